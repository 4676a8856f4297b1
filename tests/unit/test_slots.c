#include "unit.h"

#include "base/slots.h"

static void finds_what_was_put(void **state)
{
    struct slots slots;
    int things[3];
    struct ref refs[3];

    (void)state;
    assert_true(slots_init(&slots, 3));
    for (int i = 0; i < 3; i++) {
        refs[i] = slots_put(&slots, &things[i]);
        assert_int_not_equal(refs[i].generation, 0);
    }
    assert_int_equal(slots.used, 3);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(slots_get(&slots, refs[i]), &things[i]);
    slots_free(&slots);
}

static void full_gives_none(void **state)
{
    struct slots slots;
    int thing;

    (void)state;
    assert_true(slots_init(&slots, 1));
    assert_int_equal(slots_put(&slots, &thing).generation, 1);
    assert_int_equal(slots_put(&slots, &thing).generation, 0);
    slots_free(&slots);

    assert_true(slots_init(&slots, 0));
    assert_int_equal(slots_put(&slots, &thing).generation, 0);
    slots_free(&slots);
}

static void stale_finds_nothing(void **state)
{
    struct slots slots;
    int first, second;
    struct ref old, new;

    (void)state;
    assert_true(slots_init(&slots, 1));
    old = slots_put(&slots, &first);
    slots_remove(&slots, old);
    assert_null(slots_get(&slots, old));
    new = slots_put(&slots, &second);
    assert_int_equal(new.slot, old.slot);
    assert_null(slots_get(&slots, old));
    slots_remove(&slots, old); /* harmless */
    assert_ptr_equal(slots_get(&slots, new), &second);
    assert_int_equal(slots.used, 1);
    slots_free(&slots);
}

static void none_and_nonsense_find_nothing(void **state)
{
    struct slots slots;

    (void)state;
    assert_true(slots_init(&slots, 2));
    assert_null(slots_get(&slots, REF_NONE));
    assert_null(slots_get(&slots, (struct ref){0, 1}));
    assert_null(slots_get(&slots, (struct ref){7, 1}));
    slots_remove(&slots, REF_NONE);
    slots_remove(&slots, (struct ref){7, 1});
    assert_int_equal(slots.used, 0);
    slots_free(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_put),
        cmocka_unit_test(full_gives_none),
        cmocka_unit_test(stale_finds_nothing),
        cmocka_unit_test(none_and_nonsense_find_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
