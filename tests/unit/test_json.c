#include "unit.h"

#include <json-c/json.h>

#include "front/json.h"

#define FOUR(x) x x x x
#define SIXTEEN(x) FOUR(FOUR(x))

struct row {
    const char *what;
    struct text body;
    const char *why; /* NULL: it is good; else part of the sentence */
};

static const struct row rows[] = {
    {"object", TEXT("{\"a\":1}"), NULL},
    {"empty object", TEXT("{}"), NULL},
    {"empty array", TEXT(" [ ] "), NULL},
    {"all white space", TEXT("\t\r\n {\"a\" : [ 1 , 2 ] }\n"), NULL},
    {"string", TEXT("\"x\""), NULL},
    {"number at the end", TEXT("12"), NULL},
    {"true", TEXT("true"), NULL},
    {"numbers", TEXT("[0,-0,1.5,-1.25e10,1E5,1e+5,1e-5,9223372036854775807,123456789012345678901234567890]"),
     NULL},
    {"escapes", TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""), NULL},
    {"surrogate pair", TEXT("\"\\ud83d\\uDE00\""), NULL},
    {"DEL", TEXT("\"\x7f\""), NULL},
    {"same name in different objects", TEXT("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}"), NULL},
    {"16 levels", TEXT(SIXTEEN("[") SIXTEEN("]")), NULL},

    {"empty", TEXT(""), "empty"},
    {"only white space", TEXT(" \n"), "ends too early"},
    {"null", TEXT("null"), "not a JSON object"},
    {"trailing garbage", TEXT("{} x"), "follows behind"},
    {"two values", TEXT("{}{}"), "follows behind"},
    {"trailing NUL", TEXT("{}\0"), "follows behind"},
    {"line comment", TEXT("{} // x"), "follows behind"},
    {"block comment", TEXT("{/* x */}"), "name is missing"},
    {"trailing comma in an object", TEXT("{\"a\":1,}"), "name is missing"},
    {"trailing comma in an array", TEXT("[1,]"), "value is missing"},
    {"leading comma", TEXT("[,1]"), "value is missing"},
    {"no comma", TEXT("[1 2]"), "comma"},
    {"no colon", TEXT("{\"a\" 1}"), "colon"},
    {"wrong bracket", TEXT("[1}"), "closing bracket"},
    {"no end", TEXT("{\"a\":1"), "closing bracket"},
    {"leading zero", TEXT("[01]"), "comma"},
    {"plus", TEXT("[+1]"), "value is missing"},
    {"no digit before the point", TEXT("[.5]"), "value is missing"},
    {"no digit behind the point", TEXT("[1.]"), "number is malformed"},
    {"point, then exponent", TEXT("[1.e5]"), "number is malformed"},
    {"no exponent", TEXT("[1e]"), "number is malformed"},
    {"sign without exponent", TEXT("[1e+]"), "number is malformed"},
    {"lone minus", TEXT("[-]"), "number is malformed"},
    {"minus and a letter", TEXT("[-Infinity]"), "number is malformed"},
    {"NaN", TEXT("[NaN]"), "value is missing"},
    {"nan", TEXT("[nan]"), "value is missing"},
    {"Infinity", TEXT("[Infinity]"), "value is missing"},
    {"hexadecimal", TEXT("[0x10]"), "comma"},
    {"number and letters", TEXT("[12abc]"), "comma"},
    {"too large", TEXT("{\"a\":[1e400]}"), "too large"},
    {"too large, negative", TEXT("-1e400"), "too large"},
    {"TRUE", TEXT("[TRUE]"), "value is missing"},
    {"tru", TEXT("[tru"), "value is missing"},
    {"truer", TEXT("[truer]"), "comma"},
    {"single quotes", TEXT("['a']"), "value is missing"},
    {"single quotes around a name", TEXT("{'a':1}"), "name is missing"},
    {"no quotes around a name", TEXT("{a:1}"), "name is missing"},
    {"number as a name", TEXT("{1:1}"), "name is missing"},
    {"raw line feed", TEXT("[\"a\nb\"]"), "control character"},
    {"raw tab", TEXT("[\"a\tb\"]"), "control character"},
    {"raw NUL", TEXT("[\"a\0b\"]"), "control character"},
    {"raw control in a name", TEXT("{\"a\x01\":1}"), "control character"},
    {"escaped NUL", TEXT("[\"a\\u0000b\"]"), "U+0000"},
    {"escaped NUL in a name", TEXT("{\"a\\u0000b\":1}"), "U+0000"},
    {"unknown escape", TEXT("[\"\\x41\"]"), "escape is malformed"},
    {"escaped quote of the wrong kind", TEXT("[\"\\'\"]"), "escape is malformed"},
    {"short \\u", TEXT("[\"\\u12\"]"), "\\u escape"},
    {"\\u at the end", TEXT("[\"\\u1"), "\\u escape"},
    {"backslash at the end", TEXT("[\"\\"), "escape is malformed"},
    {"no closing quote", TEXT("[\"abc"), "does not end"},
    {"lone high surrogate", TEXT("[\"\\ud83d\"]"), "surrogate"},
    {"lone low surrogate", TEXT("[\"\\ude00\"]"), "surrogate"},
    {"two high surrogates", TEXT("[\"\\ud83d\\ud83d\"]"), "surrogate"},
    {"byte order mark", TEXT("\xef\xbb\xbf{}"), "value is missing"},
    {"UTF-16", TEXT("\xff\xfe{\0}\0"), "UTF-8"},
    {"plainly invalid UTF-8", TEXT("[\"\xff\"]"), "UTF-8"},
    {"overlong UTF-8", TEXT("[\"\xc0\xaf\"]"), "UTF-8"},
    {"surrogate in UTF-8", TEXT("[\"\xed\xa0\x80\"]"), "UTF-8"},
    {"cut UTF-8", TEXT("[\"\xe2\x82\"]"), "UTF-8"},
    {"duplicate", TEXT("{\"a\":1,\"a\":2}"), "twice"},
    {"duplicate, the same value", TEXT("{\"a\":1,\"a\":1}"), "twice"},
    {"duplicate, spelled differently", TEXT("{\"a\":1,\"\\u0061\":2}"), "twice"},
    {"duplicate below", TEXT("[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]"), "twice"},
    {"duplicate hides members", TEXT("{\"a\":{\"b\":1},\"a\":{\"b\":1,\"c\":2}}"), "twice"},
    {"duplicate empty name", TEXT("{\"\":1,\"\":2}"), "twice"},
    {"17 levels", TEXT("[" SIXTEEN("[") SIXTEEN("]") "]"), "16 levels"},
    {"17 levels of objects", TEXT("[" SIXTEEN("{\"a\":") "1" SIXTEEN("}") "]"), "16 levels"},
    {"very deep", TEXT(SIXTEEN(SIXTEEN("["))), "16 levels"},
    {"only a colon", TEXT(":"), "value is missing"},
    {"only a closing bracket", TEXT("]"), "value is missing"},
};

static void reads_what_the_rfc_allows_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena;
        struct text why = TEXT_NONE;
        /* A copy of the exact size, so that the sanitizer notices a read past the end. */
        char *copy = malloc(rows[i].body.length ? rows[i].body.length : 1);
        struct json_object *value;

        assert_non_null(copy);
        memcpy(copy, rows[i].body.at, rows[i].body.length);
        arena_init(&arena, 65536);
        value = json_read(&arena, (struct text){copy, rows[i].body.length}, &why);
        print_message("%s: %.*s\n", rows[i].what, value ? 4 : (int)why.length, value ? "good" : why.at);
        if (rows[i].why) {
            assert_null(value);
            assert_non_null(memmem(why.at, why.length, rows[i].why, strlen(rows[i].why)));
        } else {
            assert_non_null(value);
        }
        json_object_put(value);
        arena_free(&arena);
        free(copy);
    }
}

static void says_where(void **state)
{
    struct arena arena;
    struct text why;

    (void)state;
    arena_init(&arena, 65536);
    assert_null(json_read(&arena, TEXT("{\"a\":1,}"), &why));
    assert_text(why, "The body is not valid JSON: a member's name is missing (byte 8).");
    arena_free(&arena);
}

static void gives_the_values(void **state)
{
    struct arena arena;
    struct text why;
    struct json_object *value, *member;

    (void)state;
    arena_init(&arena, 65536);
    value = json_read(&arena, TEXT("{\"a\":\"\\u00e9\\ud83d\\ude00\",\"b\":30.0,\"c\":30,\"d\":null}"), &why);
    assert_non_null(value);
    assert_true(json_object_object_get_ex(value, "a", &member));
    assert_string_equal(json_object_get_string(member), "\xc3\xa9\xf0\x9f\x98\x80");
    assert_true(json_object_object_get_ex(value, "b", &member));
    assert_true(json_object_is_type(member, json_type_double));
    assert_true(json_object_object_get_ex(value, "c", &member));
    assert_true(json_object_is_type(member, json_type_int));
    assert_true(json_object_object_get_ex(value, "d", &member));
    assert_null(member);
    json_object_put(value);
    arena_free(&arena);
}

static void writes_strings(void **state)
{
    static const struct {
        struct text text;
        const char *json;
    } table[] = {
        {TEXT(""), "\"\""},
        {TEXT("abc"), "\"abc\""},
        {TEXT("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
        {TEXT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {TEXT("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\""},
        {TEXT("\xc3\xa9\xe2\x82\xac"), "\"\xc3\xa9\xe2\x82\xac\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena arena;
        struct builder out;
        arena_init(&arena, 65536);
        builder_init(&out, &arena, 0);
        json_write_string(&out, table[i].text);
        assert_text(builder_text(&out), table[i].json);
        arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_rfc_allows_and_nothing_else),
        cmocka_unit_test(says_where),
        cmocka_unit_test(gives_the_values),
        cmocka_unit_test(writes_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
