#include "unit.h"

#include "front/header.h"

static void knows_json(void **state)
{
    static const struct {
        const char *type;
        bool json;
    } table[] = {
        {"application/json", true},
        {"Application/JSON", true},
        {"  application/json\t", true},
        {"application/json;charset=utf-8", true},
        {"application/json; charset=UTF-8", true},
        {"application/json ; Charset=\"Utf-8\" ", true},
        {"application/json; version=1; charset=utf-8", true},
        {"application/json; a=\"x;charset=latin1\"; charset=utf-8", true},
        {"application/json; a=\"x\\\";charset=latin1\"", true},
        {"application/json;", true},
        {"application/json;;", true},
        {"application/json; charset=latin1", false},
        {"application/json; charset=utf-16", false},
        {"application/json; charset=", false},
        {"application/json; charset=\"utf-8", false},
        {"application/json; charset=utf-8; charset=latin1", false},
        {"application/json, text/plain", false},
        {"application/json-patch+json", false},
        {"application/jso", false},
        {"text/json", false},
        {"application/x-www-form-urlencoded", false},
        {"\"application/json\"", false},
        {";application/json", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        print_message("%s\n", table[i].type);
        assert_int_equal(header_is_json(text_from(table[i].type)), table[i].json);
    }
    assert_false(header_is_json(TEXT_NONE));
}

static void knows_forms(void **state)
{
    static const struct {
        const char *type;
        bool form;
    } table[] = {
        {"application/x-www-form-urlencoded", true},
        {"Application/X-WWW-Form-Urlencoded; Charset=UTF-8", true},
        {"application/x-www-form-urlencoded; charset=latin1", false},
        {"application/json", false},
        {"multipart/form-data; boundary=x", false},
        {"text/plain", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        print_message("%s\n", table[i].type);
        assert_int_equal(header_is_form(text_from(table[i].type)), table[i].form);
    }
}

static void reads_basic_credentials(void **state)
{
    static const struct {
        const char *header;
        const char *key; /* NULL: none */
    } table[] = {
        {"Basic YWJjOg==", "abc"},
        {"bASIC   YWJjOg==", "abc"},
        {"Basic YWJjZDo=", "abcd"},
        {"Basic YWJjZGU6", "abcde"},
        {"Basic Og==", ""},
        {"Basic ////Og==", "\xff\xff\xff"},
        {"Basic YWJjOng=", NULL},     /* a password */
        {"Basic YWI6YzpkOg==", NULL}, /* two colons */
        {"Basic YWJj", NULL},         /* no colon */
        {"Basic ", NULL},
        {"Basic", NULL},
        {"BasicYWJjOg==", NULL},
        {"Basic YWJjOg", NULL},
        {"Basic YWJjOg=", NULL},
        {"Basic YWJjOg===", NULL},
        {"Basic YWJjOg== ", NULL},
        {"Basic YWJj Og==", NULL},
        {"Basic YWJjOh==", NULL}, /* bits left over */
        {"Basic YWJjZDp=", NULL},
        {"Basic YW=jOg==", NULL},
        {"Basic YWJjO-==", NULL},
        {"Basic ====", NULL},
        {"Basic =", NULL},
        {"Bearer YWJjOg==", NULL},
        {"YWJjOg==", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char room[HEADER_BASIC_MAX_BYTES];
        struct text key;
        bool good = header_basic_key(text_from(table[i].header), room, &key);
        print_message("%s\n", table[i].header);
        assert_int_equal(good, table[i].key != NULL);
        if (table[i].key)
            assert_text(key, table[i].key);
    }
}

static void long_credentials_do_not_fit(void **state)
{
    char room[HEADER_BASIC_MAX_BYTES], header[512] = "Basic ";
    struct text key;

    (void)state;
    for (size_t length = 4; length <= 400; length += 4) {
        memset(header + 6, 'A', length);
        memcpy(header + 6 + length - 4, "AAA6", 4); /* ends in a colon */
        assert_int_equal(header_basic_key((struct text){header, 6 + length}, room, &key),
                         length / 4 * 3 <= sizeof room);
    }
}

static void knows_versions(void **state)
{
    static const struct {
        const char *version;
        bool good;
    } table[] = {
        {"2024-06-20", true},
        {"2025-03-31.basil", true},
        {"2026-01-28.clover_2", true},
        {"2025-03-31.", false},
        {"2025-03-31.Basil", false},
        {"2025-03-31basil", false},
        {"2025-3-31", false},
        {"2025-03-3", false},
        {"latest", false},
        {"", false},
        {" 2024-06-20", false},
        {"2024-06-20 ", false},
        {"2024-06-20; a_beta=v1", false},
        {"2024/06/20", false},
        {"2024-06-20.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        print_message("%s\n", table[i].version);
        assert_int_equal(header_is_version(text_from(table[i].version)), table[i].good);
    }
}

static void finds_the_api_key(void **state)
{
    static const struct {
        const char *header;
        const char *key;
    } table[] = {
        {"abc", "abc"},
        {"Bearer abc", "abc"},
        {"bearer abc", "abc"},
        {"BEARER   abc", "abc"},
        {"Bearer", "Bearer"},
        {"Bearer ", ""},
        {"Bearerabc", "Bearerabc"},
        {"Basic abc", "Basic abc"},
        {"Bearer a b", "a b"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_text(header_api_key(text_from(table[i].header)), table[i].key);
    assert_null(header_api_key(TEXT_NONE).at);
}

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define MOST HUNDRED HUNDRED TEN TEN TEN TEN TEN "01234"

static void reads_idempotency_keys(void **state)
{
    static const struct {
        const char *header;
        const char *key; /* NULL: malformed */
    } table[] = {
        {"abc", "abc"},
        {"a b", "a b"},
        {"{a:b;c}", "{a:b;c}"},
        {"a\"b", "a\"b"},
        {"a\\b", "a\\b"},
        {"\"abc\"", "abc"},
        {"\"a,b\"", "a,b"},
        {"\"a\\\"b\\\\c\"", "a\"b\\c"},
        {MOST, MOST},
        {"\"" MOST "\"", MOST},
        {MOST "x", NULL},
        {"\"" MOST "x\"", NULL},
        {"", NULL},
        {"\"\"", NULL},
        {"\"", NULL},
        {"\"abc", NULL},
        {"\"abc\\\"", NULL},
        {"\"abc\\", NULL},
        {"\"a\\bc\"", NULL},
        {"\"abc\"x", NULL},
        {"\"abc\" ", NULL},
        {"\"a\", \"b\"", NULL},
        {"a, b", NULL},
        {"a,", NULL},
        {",", NULL},
        {"a\tb", NULL},
        {"\"a\x01\"", NULL},
        {"a\x7f", NULL},
        {"caf\xc3\xa9", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena arena;
        struct text key = TEXT_NONE;
        bool good;
        arena_init(&arena, 4096);
        good = header_idempotency_key(&arena, text_from(table[i].header), &key);
        print_message("%.60s\n", table[i].header);
        assert_int_equal(good, table[i].key != NULL);
        if (good)
            assert_text(key, table[i].key);
        arena_free(&arena);
    }
}

static void nul_is_no_character_of_a_key(void **state)
{
    struct arena arena;
    struct text key;

    (void)state;
    arena_init(&arena, 4096);
    assert_false(header_idempotency_key(&arena, TEXT("a\0b"), &key));
    arena_free(&arena);
}

static void upstream_keys_may_have_commas(void **state)
{
    static const struct {
        const char *header;
        const char *key; /* NULL: malformed */
    } table[] = {
        {"abc", "abc"},        {"a, b", "a, b"}, {"\"abc\"", "abc"}, {"\"a,b\"", "a,b"},
        {"a\"b", "a\"b"},      {MOST, MOST},     {MOST "5", NULL},   {"", NULL},
        {"\"\"", NULL},        {"\"a", NULL},    {"\"a\"b", NULL},   {"a\tb", NULL},
        {"caf\xc3\xa9", NULL},
    };
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct text key;
        bool good = header_upstream_idempotency_key(&arena, text_from(table[i].header), &key);
        print_message("%s\n", table[i].header);
        assert_int_equal(good, table[i].key != NULL);
        if (table[i].key)
            assert_text(key, table[i].key);
    }
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_json),
        cmocka_unit_test(knows_forms),
        cmocka_unit_test(reads_basic_credentials),
        cmocka_unit_test(long_credentials_do_not_fit),
        cmocka_unit_test(knows_versions),
        cmocka_unit_test(upstream_keys_may_have_commas),
        cmocka_unit_test(finds_the_api_key),
        cmocka_unit_test(reads_idempotency_keys),
        cmocka_unit_test(nul_is_no_character_of_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
