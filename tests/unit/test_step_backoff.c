#include "unit.h"

#include "flow/step.h"

#define LEAST_MS 500
#define MOST_MS 5000

/* Values at which arithmetic on random numbers goes wrong, if it does. */
static const uint32_t randoms[] = {0,          1,          2,          499,       500,  501,
                                   999,        1000,       4499,       4500,      4501, 0x7fffffff,
                                   0x80000000, 0x80000001, 0xfffffffe, 0xffffffff};

/* The longest delay before a repetition, by its number. */
static int64_t top_ms(int tries)
{
    static const int64_t tops[] = {500, 1000, 2000, 4000};
    return tries < (int)COUNT_OF(tops) ? tops[tries] : MOST_MS;
}

static void stays_in_bounds(void **state)
{
    static const int tries[] = {0, 1, 2, 3, 4, 5, 6, 7, 31, 32, 63, 64, 1000, INT32_MAX};

    (void)state;
    for (size_t t = 0; t < COUNT_OF(tries); t++)
        for (uint32_t i = 0; i < 20000; i++) {
            uint32_t random = i < COUNT_OF(randoms) ? randoms[i] : i * 2654435761U;
            int64_t delay_ms = step_backoff_ms(tries[t], 0, random);
            assert_in_range(delay_ms, LEAST_MS, top_ms(tries[t]));
        }
}

static void reaches_its_bounds(void **state)
{
    (void)state;
    for (int tries = 0; tries < 10; tries++) {
        bool least = false, most = false;
        for (uint32_t random = 0; random <= MOST_MS; random++) {
            int64_t delay_ms = step_backoff_ms(tries, 0, random);
            least = least || delay_ms == LEAST_MS;
            most = most || delay_ms == top_ms(tries);
        }
        assert_true(least && most);
    }
}

/* Many that failed at the same moment do not come back at the same moment. */
static void spreads_over_its_whole_range(void **state)
{
    bool seen[10] = {false};

    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        seen[(step_backoff_ms(8, 0, i * 2654435761U) - LEAST_MS) / 451] = true;
    for (size_t i = 0; i < COUNT_OF(seen); i++)
        assert_true(seen[i]);
}

static void the_upstreams_wish_is_the_least(void **state)
{
    static const int wishes_s[] = {0, 1, 2, 4, 5, 6, 60, 3600, INT32_MAX};

    (void)state;
    for (size_t w = 0; w < COUNT_OF(wishes_s); w++)
        for (int tries = 1; tries < 12; tries++)
            for (size_t i = 0; i < COUNT_OF(randoms); i++) {
                int64_t wish_ms = (int64_t)wishes_s[w] * 1000;
                int64_t plain_ms = step_backoff_ms(tries, 0, randoms[i]);
                int64_t delay_ms = step_backoff_ms(tries, wishes_s[w], randoms[i]);
                assert_true(delay_ms == (plain_ms > wish_ms ? plain_ms : wish_ms));
            }
}

static void a_negative_wish_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(randoms); i++)
        assert_int_equal(step_backoff_ms(3, -1, randoms[i]), step_backoff_ms(3, 0, randoms[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stays_in_bounds),
        cmocka_unit_test(reaches_its_bounds),
        cmocka_unit_test(spreads_over_its_whole_range),
        cmocka_unit_test(the_upstreams_wish_is_the_least),
        cmocka_unit_test(a_negative_wish_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
