#include "unit.h"

#include <stdio.h>

#include "reading.h"

#define assert_object(object_) assert_true(object_exists(object_))
#define assert_no_object(object_) assert_false(object_exists(object_))

/* A text in memory of its exact size, so that reading past its end is noticed. */
static struct object read_exactly(struct text body)
{
    char *copy = malloc(body.length ? body.length : 1);
    struct object object;
    assert_non_null(copy);
    memcpy(copy, body.at, body.length);
    object = reading_of((struct text){copy, body.length});
    free(copy);
    return object;
}

static struct object must_read(const char *body)
{
    struct object object = read_exactly(text_from(body));
    if (!object_exists(object))
        fail_msg("not read: %s", body);
    return object;
}

static void only_whole_objects_are_read(void **state)
{
    static const struct {
        const char *body;
        bool good;
    } table[] = {
        {"{}", true},
        {" \r\n\t{ } \n", true},
        {"{\"a\":1}", true},
        {"{\"a\":{\"b\":[1,2,{\"c\":null}]}}", true},
        {"", false},
        {" ", false},
        {"[]", false},
        {"[{}]", false},
        {"null", false},
        {"true", false},
        {"1", false},
        {"\"{}\"", false},
        {"{", false},
        {"{\"a\"", false},
        {"{\"a\":", false},
        {"{\"a\":1", false},
        {"{\"a\":1,", false},
        {"{\"a\":1,}", false},
        {"{\"a\":tru", false},
        {"{\"a\":\"b", false},
        {"{\"a\":\"b\\", false},
        {"{\"a\":\"\\u12", false},
        {"{a:1}", false},
        {"{\"a\":01}", false},
        {"{\"a\":+1}", false},
        {"{\"a\":.5}", false},
        {"{\"a\":0x10}", false},
        {"{\"a\":1}x", false},
        {"{\"a\":1}{}", false},
        {"{\"a\":1},", false},
        {"{\"a\":1} // no", false},
        {"{/* no */}", false},
        {"{\"a\":[1,]}", false},
        {"{\"a\":1]", false},
        {"\xef\xbb\xbf{}", false},
        {"<html><body>502 Bad Gateway</body></html>", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct object object = read_exactly(text_from(table[i].body));
        print_message("%s\n", table[i].body);
        assert_int_equal(object_exists(object), table[i].good);
        reading_free(object);
    }
    assert_no_object(reading_of(TEXT_NONE));
    assert_no_object(reading_of((struct text){"{}", (size_t)INT32_MAX + 1})); /* refused unseen */
}

static void a_nul_is_no_end(void **state)
{
    (void)state;
    assert_no_object(read_exactly(TEXT("{}\0{}")));
    assert_no_object(read_exactly(TEXT("{\"a\":1\0}")));
    assert_no_object(read_exactly(TEXT("\0")));
}

/* An answer cut off anywhere is none. */
static void no_part_of_an_answer_is_read(void **state)
{
    static const char body[] =
        "{\"id\":\"in_1\",\"lines\":{\"data\":[{\"amount\":1250,\"ok\":true,\"n\":null}]},"
        "\"s\":\"\\u00e9\\n\",\"f\":-1.5e3}";

    (void)state;
    for (size_t length = 0; length < sizeof(body) - 1; length++)
        assert_no_object(read_exactly((struct text){body, length}));
    reading_free(must_read(body));
}

/* {"a":{"a":...{}...}} of so many objects. */
static struct object read_nested(size_t objects, const char *open, const char *close)
{
    size_t length = 0;
    char *body = malloc(objects * (strlen(open) + strlen(close)) + 16);
    struct object object;
    assert_non_null(body);
    for (size_t i = 1; i < objects; i++)
        length += (size_t)sprintf(body + length, "%s", open);
    length += (size_t)sprintf(body + length, "{}");
    for (size_t i = 1; i < objects; i++)
        length += (size_t)sprintf(body + length, "%s", close);
    object = reading_of((struct text){body, length});
    free(body);
    return object;
}

static void depth_is_bounded(void **state)
{
    static const size_t deep[] = {40, 1000, 100000};
    struct object object = read_nested(20, "{\"a\":", "}");

    (void)state;
    assert_object(object);
    reading_free(object);
    for (size_t i = 0; i < COUNT_OF(deep); i++)
        assert_no_object(read_nested(deep[i], "{\"a\":", "}"));
    assert_no_object(read_nested(20000, "{\"a\":[", "]}"));
}

static void finds_by_path(void **state)
{
    struct object object =
        must_read("{\"a\":{\"b\":{\"c\":\"x\"},\"\":\"empty\"},\"d\":[{\"e\":\"y\"}],\"n\":null}");

    (void)state;
    assert_int_equal(object_at(object, "").index, object.index);
    assert_text(object_text(object, "a.b.c"), "x");
    assert_text(object_text(object_at(object, "a.b"), "c"), "x");
    assert_no_object(object_at(object, "b"));
    assert_no_object(object_at(object, "a.c"));
    assert_no_object(object_at(object, "a.b.c.d"));
    assert_no_object(object_at(object, "d.e"));
    assert_no_object(object_at(object, "n"));
    assert_no_object(object_at(object, "n.x"));
    assert_no_object(object_at(object, "A"));
    assert_text(object_text(object_element(object, "d", 0), "e"), "y");
    assert_no_object(object_at(OBJECT_NONE, "a"));
    assert_null(object_text(OBJECT_NONE, "a").at);
    reading_free(object);
}

/* What reading a value as each type gives. */
static const struct {
    const char *value;
    const char *text; /* NULL: absent */
    bool is_number;
    int64_t number;
    bool is_true;
    size_t count;
} values[] = {
    {"\"\"", "", false, 0, false, 0},
    {"\"x\"", "x", false, 0, false, 0},
    {"\"1\"", "1", false, 0, false, 0},
    {"\"true\"", "true", false, 0, false, 0},
    {"\"J\\u00fcrgen \\ud83d\\udcb6\"", "J\xc3\xbcrgen \xf0\x9f\x92\xb6", false, 0, false, 0},
    {"\"\xc3\xa9\"", "\xc3\xa9", false, 0, false, 0},
    {"\"a\\u0000b\"", NULL, false, 0, false, 0},
    {"\"\\u0000\"", NULL, false, 0, false, 0},
    {"\"\xff\"", NULL, false, 0, false, 0},
    {"\"\xc0\xaf\"", NULL, false, 0, false, 0},
    {"\"\xed\xa0\x80\"", NULL, false, 0, false, 0},
    {"\"\xf4\x90\x80\x80\"", NULL, false, 0, false, 0},
    {"\"caf\xc3\"", NULL, false, 0, false, 0},
    {"0", NULL, true, 0, false, 0},
    {"-0", NULL, true, 0, false, 0},
    {"1250", NULL, true, 1250, false, 0},
    {"-1", NULL, true, -1, false, 0},
    {"9223372036854775806", NULL, true, INT64_MAX - 1, false, 0},
    {"-9223372036854775807", NULL, true, INT64_MIN + 1, false, 0},
    {"9223372036854775807", NULL, true, INT64_MAX, false, 0},
    {"9223372036854775808", NULL, false, 0, false, 0},
    {"18446744073709551615", NULL, false, 0, false, 0},
    {"-9223372036854775808", NULL, true, INT64_MIN, false, 0},
    {"1.0", NULL, false, 0, false, 0},
    {"1e3", NULL, false, 0, false, 0},
    {"1e400", NULL, false, 0, false, 0},
    {"true", NULL, false, 0, true, 0},
    {"false", NULL, false, 0, false, 0},
    {"null", NULL, false, 0, false, 0},
    {"{}", NULL, false, 0, false, 0},
    {"{\"length\":3}", NULL, false, 0, false, 0},
    {"[]", NULL, false, 0, false, 0},
    {"[1]", NULL, false, 0, false, 1},
    {"[null,null]", NULL, false, 0, false, 2},
    {"[\"x\",true,1250]", NULL, false, 0, false, 3},
};

static void another_type_counts_as_absent(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        char body[128];
        struct object object;
        int64_t number = 0;
        struct text text;
        snprintf(body, sizeof(body), "{\"v\":%s}", values[i].value);
        print_message("%s\n", values[i].value);
        object = must_read(body);
        text = object_text(object, "v");
        if (values[i].text)
            assert_text(text, values[i].text);
        else
            assert_null(text.at);
        assert_int_equal(object_int64(object, "v", &number), values[i].is_number);
        if (values[i].is_number)
            assert_true(number == values[i].number);
        assert_int_equal(object_true(object, "v"), values[i].is_true);
        assert_int_equal(object_is_array(object, "v"), values[i].value[0] == '[');
        assert_int_equal(object_count(object, "v"), values[i].count);
        assert_no_object(object_element(object, "v", values[i].count));
        reading_free(object);
    }
}

/* Longer than any number type: never believed, whether it is read or not. */
static void no_huge_number_is_believed(void **state)
{
    static const char *const signs[] = {"", "-"};

    (void)state;
    for (size_t s = 0; s < COUNT_OF(signs); s++)
        for (size_t digits = 20; digits < 400; digits += 7) {
            char body[512], nines[400];
            struct object object;
            int64_t number;
            memset(nines, '9', digits);
            nines[digits] = '\0';
            snprintf(body, sizeof(body), "{\"v\":%s%s}", signs[s], nines);
            object = reading_of(text_from(body));
            assert_false(object_int64(object, "v", &number));
            reading_free(object);
        }
}

static void elements_are_found_by_index(void **state)
{
    struct object object = must_read("{\"d\":[{\"id\":\"a\"},null,{\"id\":\"c\"}]}");

    (void)state;
    assert_int_equal(object_count(object, "d"), 3);
    assert_text(object_text(object_element(object, "d", 0), "id"), "a");
    assert_no_object(object_element(object, "d", 1));
    assert_text(object_text(object_element(object, "d", 2), "id"), "c");
    assert_no_object(object_element(object, "d", 3));
    assert_no_object(object_element(object, "d", SIZE_MAX));
    assert_no_object(object_element(object, "x", 0));
    assert_no_object(object_element(OBJECT_NONE, "d", 0));
    assert_int_equal(object_count(OBJECT_NONE, "d"), 0);
    reading_free(object);
}

static void of_two_members_the_last_counts(void **state)
{
    struct object object = must_read("{\"id\":\"a\",\"id\":\"b\"}");

    (void)state;
    assert_text(object_text(object, "id"), "b");
    reading_free(object);
}

static void each_of_many_members_is_found(void **state)
{
    char body[8192] = "{\"\":-1";
    size_t length = strlen(body);
    struct object object;
    int64_t value;

    (void)state;
    for (int i = 0; i < 300; i++)
        length += (size_t)snprintf(body + length, sizeof body - length, ",\"m%d\":%d", i, i);
    snprintf(body + length, sizeof body - length, "}");
    object = must_read(body);
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        assert_true(object_int64(object, name, &value));
        assert_int_equal(value, i);
    }
    assert_no_object(object_at(object, "m300"));
    reading_free(object);
}

/* Strings are read in blocks: what ends or spoils one is found wherever it stands. */
static void strings_of_every_length(void **state)
{
    (void)state;
    for (size_t length = 0; length < 70; length++)
        for (size_t place = 0; place <= length; place++) {
            char body[128];
            struct object object;
            int whole = snprintf(body, sizeof body, "{\"a\":\"%.*s\"}", (int)length,
                                 "\xc3\xa4"
                                 "56789012345678901234567890123456789012345678901234567890123456789012");
            object = must_read(body);
            assert_int_equal(object_bytes(object_at(object, "a")).length, length + 2);
            reading_free(object);
            body[6 + place] = '\x1f';
            assert_no_object(read_exactly(text_from(body)));
            if (place + 1 < length) {
                body[6 + place] = '\\';
                body[7 + place] = 'n';
                object = must_read(body);
                assert_int_equal(object_bytes(object_at(object, "a")).length, length + 2);
                reading_free(object);
            }
            assert_no_object(read_exactly((struct text){body, (size_t)whole - 2}));
        }
}

static void ids_are_plain_words(void **state)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    char id[256];

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char three[3] = {'a', (char)(unsigned char)byte, 'z'};
        bool valid = byte != 0 && strchr(good, byte);
        assert_int_equal(text_is_id((struct text){three, 3}), valid);
        assert_int_equal(text_is_id((struct text){three + 1, 1}), valid);
    }
    memset(id, 'x', sizeof(id));
    for (size_t length = 1; length <= 255; length++)
        assert_true(text_is_id((struct text){id, length}));
    assert_false(text_is_id((struct text){id, 256}));
    assert_false(text_is_id((struct text){id, 0}));
    assert_false(text_is_id(TEXT_NONE));
    assert_true(text_is_id(TEXT("in_1MtHbELkdIwHu7ixl4OzzPMv")));
    assert_false(text_is_id(TEXT("..")));
    assert_false(text_is_id(TEXT("in_1/add_lines")));
}

static void nothing_can_be_freed(void **state)
{
    (void)state;
    reading_free(OBJECT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_whole_objects_are_read),
        cmocka_unit_test(a_nul_is_no_end),
        cmocka_unit_test(no_part_of_an_answer_is_read),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(finds_by_path),
        cmocka_unit_test(another_type_counts_as_absent),
        cmocka_unit_test(no_huge_number_is_believed),
        cmocka_unit_test(elements_are_found_by_index),
        cmocka_unit_test(of_two_members_the_last_counts),
        cmocka_unit_test(each_of_many_members_is_found),
        cmocka_unit_test(strings_of_every_length),
        cmocka_unit_test(ids_are_plain_words),
        cmocka_unit_test(nothing_can_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
