#include "unit.h"

#include "base/apikey.h"

static void knows_good_from_bad(void **state)
{
    /* Checksums computed with Python's zlib.crc32. */
    static const struct {
        const char *what;
        struct text key;
        bool good;
        enum mode mode;
    } table[] = {
        {"live", TEXT("igk_live_0123456789ABCDEFGHIJabcdefghij47pEPA"), true, MODE_LIVE},
        {"test, leading zero", TEXT("igk_test_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz0QTAsK"), true, MODE_TEST},
        {"unknown mode", TEXT("igk_prod_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz0zepcr"), false, MODE_LIVE},
        {"not base62", TEXT("igk_live_0123456789ABCDEFGHIJabcdefgh-j299MYD"), false, MODE_LIVE},
        {"mistyped", TEXT("igk_live_0123456789ABCDEFGHIJabcdefghiJ47pEPA"), false, MODE_LIVE},
        {"two swapped", TEXT("igk_live_1023456789ABCDEFGHIJabcdefghij47pEPA"), false, MODE_LIVE},
        {"wrong mode for its checksum", TEXT("igk_test_0123456789ABCDEFGHIJabcdefghij47pEPA"), false,
         MODE_LIVE},
        {"wrong checksum", TEXT("igk_live_0123456789ABCDEFGHIJabcdefghij47pEPB"), false, MODE_LIVE},
        {"short", TEXT("igk_live_0123456789ABCDEFGHIJabcdefghij47pEP"), false, MODE_LIVE},
        {"long", TEXT("igk_live_0123456789ABCDEFGHIJabcdefghij47pEPAA"), false, MODE_LIVE},
        {"NUL inside", TEXT("igk_live_0123456789ABCDEFGHIJabcdefgh\0j47pEPA"), false, MODE_LIVE},
        {"upper case", TEXT("IGK_LIVE_0123456789ABCDEFGHIJabcdefghij47pEPA"), false, MODE_LIVE},
        {"empty", TEXT(""), false, MODE_LIVE},
        {"absent", TEXT_NONE, false, MODE_LIVE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        enum mode mode = MODE_LIVE;
        print_message("%s\n", table[i].what);
        assert_int_equal(apikey_check(table[i].key, &mode), table[i].good);
        assert_int_equal(mode, table[i].mode);
    }
}

static void made_keys_are_good(void **state)
{
    char key[APIKEY_BYTES + 1], other[APIKEY_BYTES + 1];

    (void)state;
    for (int i = 0; i < 200; i++) {
        enum mode wanted = i % 2 ? MODE_TEST : MODE_LIVE, mode;
        assert_true(apikey_make(wanted, key));
        assert_int_equal(strlen(key), APIKEY_BYTES);
        assert_true(apikey_check(text_from(key), &mode));
        assert_int_equal(mode, wanted);
    }
    assert_true(apikey_make(MODE_LIVE, key));
    assert_true(apikey_make(MODE_LIVE, other));
    assert_string_not_equal(key, other);
}

static void modes_have_names(void **state)
{
    (void)state;
    assert_string_equal(mode_name(MODE_LIVE), "live");
    assert_string_equal(mode_name(MODE_TEST), "test");
}

static void digest_depends_on_both(void **state)
{
    uint8_t a[DIGEST_BYTES], b[DIGEST_BYTES], c[DIGEST_BYTES];

    (void)state;
    assert_true(apikey_digest(TEXT("secret"), TEXT("key one"), a));
    assert_true(apikey_digest(TEXT("secret"), TEXT("key two"), b));
    assert_true(apikey_digest(TEXT("another"), TEXT("key one"), c));
    assert_memory_not_equal(a, b, DIGEST_BYTES);
    assert_memory_not_equal(a, c, DIGEST_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_good_from_bad),
        cmocka_unit_test(made_keys_are_good),
        cmocka_unit_test(modes_have_names),
        cmocka_unit_test(digest_depends_on_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
