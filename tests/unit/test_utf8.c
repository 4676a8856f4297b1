#include "unit.h"

#include "base/utf8.h"

static void follows_the_rfc(void **state)
{
    static const struct {
        const char *what;
        struct text text;
        bool valid;
    } table[] = {
        {"empty", TEXT(""), true},
        {"ASCII", TEXT("abc"), true},
        {"NUL", TEXT("a\0b"), true},
        {"U+0080", TEXT("\xc2\x80"), true},
        {"U+07FF", TEXT("\xdf\xbf"), true},
        {"U+0800", TEXT("\xe0\xa0\x80"), true},
        {"U+D7FF", TEXT("\xed\x9f\xbf"), true},
        {"U+E000", TEXT("\xee\x80\x80"), true},
        {"U+FFFF", TEXT("\xef\xbf\xbf"), true},
        {"U+10000", TEXT("\xf0\x90\x80\x80"), true},
        {"U+10FFFF", TEXT("\xf4\x8f\xbf\xbf"), true},
        {"overlong NUL", TEXT("\xc0\x80"), false},
        {"overlong slash", TEXT("\xc0\xaf"), false},
        {"overlong, two bytes", TEXT("\xc1\xbf"), false},
        {"overlong, three bytes", TEXT("\xe0\x9f\xbf"), false},
        {"overlong, four bytes", TEXT("\xf0\x8f\xbf\xbf"), false},
        {"first surrogate", TEXT("\xed\xa0\x80"), false},
        {"last surrogate", TEXT("\xed\xbf\xbf"), false},
        {"U+110000", TEXT("\xf4\x90\x80\x80"), false},
        {"F5", TEXT("\xf5\x80\x80\x80"), false},
        {"five bytes", TEXT("\xf8\x88\x80\x80\x80"), false},
        {"FF", TEXT("\xff"), false},
        {"lone continuation", TEXT("a\x80"), false},
        {"cut after one", TEXT("\xc3"), false},
        {"cut after two", TEXT("\xe2\x82"), false},
        {"cut after three", TEXT("\xf0\x9f\x98"), false},
        {"second byte is ASCII", TEXT("\xc3(x"), false},
        {"third byte is ASCII", TEXT("\xe2\x82("), false},
        {"fourth byte is ASCII", TEXT("\xf0\x9f\x98("), false},
        {"Latin-1", TEXT("caf\xe9"), false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        print_message("%s\n", table[i].what);
        assert_int_equal(utf8_valid(table[i].text), table[i].valid);
    }
}

static void counts_points(void **state)
{
    (void)state;
    assert_int_equal(utf8_length(TEXT("")), 0);
    assert_int_equal(utf8_length(TEXT("abc")), 3);
    assert_int_equal(utf8_length(TEXT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 3);
}

static void says_what_the_first_takes(void **state)
{
    (void)state;
    assert_int_equal(utf8_next(TEXT("")), 0);
    assert_int_equal(utf8_next(TEXT("ab")), 1);
    assert_int_equal(utf8_next(TEXT("\xe2\x82\xac!")), 3);
    assert_int_equal(utf8_next(TEXT("\x80")), 0);
}

static void plain_has_no_controls(void **state)
{
    (void)state;
    assert_true(utf8_is_plain(TEXT("")));
    assert_true(utf8_is_plain(TEXT("J\xc3\xb6rg & Co")));
    assert_false(utf8_is_plain(TEXT("a\nb")));
    assert_false(utf8_is_plain(TEXT("a\0b")));
    assert_false(utf8_is_plain(TEXT("\x1f")));
    assert_false(utf8_is_plain(TEXT("\x7f")));
    assert_false(utf8_is_plain(TEXT("\xff")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_rfc),
        cmocka_unit_test(counts_points),
        cmocka_unit_test(says_what_the_first_takes),
        cmocka_unit_test(plain_has_no_controls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
