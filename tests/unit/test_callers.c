/* Keys that were used, and the agencies' shares. */
#include "flow/callers.h"

#include "unit.h"

static void digest_of(int number, uint8_t digest[DIGEST_BYTES])
{
    memset(digest, 0, DIGEST_BYTES);
    memcpy(digest, &number, sizeof(number));
}

static struct callers *start(void)
{
    struct callers *callers = malloc(sizeof(*callers));
    assert_non_null(callers);
    assert_true(callers_init(callers));
    return callers;
}

static void end(struct callers *callers)
{
    callers_free(callers);
    free(callers);
}

static void a_key_is_known_from_its_first_use_to_its_end(void **state)
{
    struct callers *callers = start();
    uint8_t digest[DIGEST_BYTES];
    (void)state;
    digest_of(7, digest);
    assert_int_equal(callers_agency(callers, digest), 0);
    callers_opened(callers, 1, digest, 42);
    assert_int_equal(callers_agency(callers, digest), 42);
    digest[DIGEST_BYTES - 1] = 1;
    assert_int_equal(callers_agency(callers, digest), 0);
    digest[DIGEST_BYTES - 1] = 0;
    callers_closed(callers, digest);
    assert_int_equal(callers_agency(callers, digest), 0);
    callers_closed(callers, digest);
    end(callers);
}

static void used_keys_are_gathered_once_in_pieces(void **state)
{
    struct callers *callers = start();
    struct store_used_key keys[10];
    uint8_t digest[DIGEST_BYTES];
    (void)state;
    for (int i = 0; i < 15; i++) {
        digest_of(i, digest);
        callers_opened(callers, 1, digest, 1);
        callers_opened(callers, 2, digest, 1);
    }
    assert_int_equal(callers_gather(callers, keys, 10), 10);
    assert_int_equal(callers_gather(callers, keys, 10), 5);
    assert_int_equal(callers_gather(callers, keys, 10), 0);
    callers_opened(callers, 3, digest, 1);
    assert_int_equal(callers_gather(callers, keys, 10), 1);
    assert_memory_equal(keys[0].digest, digest, DIGEST_BYTES);
    end(callers);
}

static void the_oldest_makes_room(void **state)
{
    struct callers *callers = start();
    uint8_t digest[DIGEST_BYTES];
    (void)state;
    for (int i = 0; i < 4 * CALLERS; i++) {
        digest_of(i, digest);
        callers_opened(callers, i, digest, i + 1);
        assert_int_equal(callers_agency(callers, digest), i + 1);
    }
    digest_of(0, digest);
    assert_int_equal(callers_agency(callers, digest), 0);
    end(callers);
}

/* As many as the agency may have in flight when it alone asks for more and more. */
static uint32_t grow(struct callers *callers, int64_t agency, uint32_t *used, uint32_t capacity)
{
    uint32_t own = 0;
    while (*used < capacity && callers_have_room(callers, agency, *used, capacity)) {
        callers_come(callers, 1, agency);
        callers_begin(callers, agency);
        own++;
        ++*used;
    }
    return own;
}

static void one_agency_leaves_room_for_others(void **state)
{
    struct callers *callers = start();
    uint32_t used = 0;
    (void)state;
    assert_in_range(grow(callers, 1, &used, 4096), 2047, 2049);
    assert_in_range(grow(callers, 2, &used, 4096), 1023, 1025);
    assert_in_range(grow(callers, 3, &used, 4096), 511, 513);
    assert_true(callers_have_room(callers, 4, used, 4096));
    assert_false(callers_have_room(callers, 1, used, 4096));
    for (int i = 0; i < 2000; i++)
        callers_go(callers, 1);
    assert_true(callers_have_room(callers, 1, used - 2000, 4096));
    end(callers);
}

static void begin(struct callers *callers, int64_t now_ms, int64_t agency)
{
    callers_come(callers, now_ms, agency);
    callers_begin(callers, agency);
}

static void there_is_a_window_while_others_ask(void **state)
{
    struct callers *callers = start();
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_true(callers_may_begin(callers, 5000, 1));
        begin(callers, 5000, 1);
    }
    begin(callers, 5000, 2);
    assert_false(callers_may_begin(callers, 5000, 1));
    assert_true(callers_may_begin(callers, 5000, 2));
    assert_true(callers_may_begin(callers, 5000, 3));
    begin(callers, 5500, 2);
    begin(callers, 5600, 1);
    assert_false(callers_may_begin(callers, 5500 + CALLERS_CROWD_MS - 1, 1)); /* the other has asked again */
    assert_true(callers_may_begin(callers, 5500 + CALLERS_CROWD_MS, 1));      /* alone again */
    callers_go(callers, 1);
    for (int i = 0; i < 1000 - CALLERS_WINDOW + 1; i++)
        callers_go(callers, 1);
    assert_true(callers_may_begin(callers, 5000, 1));
    callers_begin(callers, 1);
    assert_false(callers_may_begin(callers, 5000, 1));
    end(callers);
}

static void a_small_worker_turns_nobody_away_early(void **state)
{
    struct callers *callers = start();
    uint32_t used = 0;
    (void)state;
    assert_int_equal(grow(callers, 1, &used, 4), 4);
    end(callers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_known_from_its_first_use_to_its_end),
        cmocka_unit_test(used_keys_are_gathered_once_in_pieces),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(one_agency_leaves_room_for_others),
        cmocka_unit_test(there_is_a_window_while_others_ask),
        cmocka_unit_test(a_small_worker_turns_nobody_away_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
