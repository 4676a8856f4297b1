#include "unit.h"

static void compares(void **state)
{
    (void)state;
    assert_true(text_is(TEXT("abc"), TEXT("abc")));
    assert_false(text_is(TEXT("abc"), TEXT("abd")));
    assert_false(text_is(TEXT("abc"), TEXT("ab")));
    assert_true(text_is(TEXT_NONE, TEXT("")));
    assert_true(text_is_nocase(TEXT("Bearer"), TEXT("bEARER")));
    assert_false(text_is_nocase(TEXT("Bearer"), TEXT("Bearex")));
    assert_false(text_is_nocase(TEXT("k"), TEXT("\xe2\x84\xaa"))); /* KELVIN SIGN */
    assert_true(text_starts(TEXT("igk_live_"), TEXT("igk_")));
    assert_true(text_starts(TEXT("igk"), TEXT("")));
    assert_false(text_starts(TEXT("ig"), TEXT("igk_")));
}

static void absent_differs_from_empty(void **state)
{
    (void)state;
    assert_null(text_from(NULL).at);
    assert_non_null(text_from("").at);
    assert_int_equal(text_from("abc").length, 3);
}

static void writes_integers(void **state)
{
    char room[TEXT_INT64_BYTES];

    (void)state;
    assert_true(text_is(text_of_int64(0, room), TEXT("0")));
    assert_true(text_is(text_of_int64(-7, room), TEXT("-7")));
    assert_true(text_is(text_of_int64(120, room), TEXT("120")));
    assert_true(text_is(text_of_int64(INT64_MAX, room), TEXT("9223372036854775807")));
    assert_true(text_is(text_of_int64(INT64_MIN, room), TEXT("-9223372036854775808")));
}

static void reads_integers(void **state)
{
    static const struct {
        const char *digits;
        bool good;
        int64_t value;
    } table[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"7", true, 7},
        {"007", true, 7},
        {"-12", true, -12},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"12abc", false, 0},
        {"1.0", false, 0},
        {"0x10", false, 0},
        {"--1", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int64_t value = 0;
        print_message("\"%s\"\n", table[i].digits);
        assert_int_equal(text_to_int64(text_from(table[i].digits), &value), table[i].good);
        assert_int_equal(value, table[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(absent_differs_from_empty),
        cmocka_unit_test(writes_integers),
        cmocka_unit_test(reads_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
