#include "unit.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"

/* Runs one log_event with standard error in a file and answers what was written. */
static const char *logged(enum log_level level, const char *message, const struct log_field *fields,
                          int count)
{
    static char line[16384];
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    size_t length;

    assert_non_null(file);
    assert_true(kept >= 0);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    log_event(level, message, fields, count);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    rewind(file);
    length = fread(line, 1, sizeof line - 1, file);
    line[length] = '\0';
    fclose(file);
    return line;
}

static struct json_object *parsed(const char *line)
{
    struct json_object *object = json_tokener_parse(line);

    assert_non_null(object);
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    return object;
}

static const char *member(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;

    assert_true(json_object_object_get_ex(object, name, &value));
    return json_object_get_string(value);
}

static void writes_one_object_a_line(void **state)
{
    const struct log_field fields[] = {LOG_TEXT("request_id", TEXT("abc")), LOG_INT("status", -5),
                                       LOG_TEXT("account", TEXT_NONE), LOG_INT("zero", 0)};
    struct json_object *object = parsed(logged(LOG_WARNING, "it happened", fields, COUNT_OF(fields)));

    (void)state;
    assert_string_equal(member(object, "severity"), "warning");
    assert_string_equal(member(object, "message"), "it happened");
    assert_string_equal(member(object, "request_id"), "abc");
    assert_string_equal(member(object, "status"), "-5");
    assert_null(member(object, "account"));
    assert_string_equal(member(object, "zero"), "0");
    assert_int_equal(strlen(member(object, "time")), strlen("2025-01-31T12:00:00.123Z"));
    json_object_put(object);
}

static void escapes(void **state)
{
    const struct log_field fields[] = {LOG_TEXT("a", TEXT("\"\\\n\x01\x7f\xc3\xa9/")),
                                       LOG_TEXT("b", TEXT("x\xff\xc0\xafy\xed\xa0\x80"))};
    const char *line = logged(LOG_ERROR, "m", fields, COUNT_OF(fields));
    struct json_object *object = parsed(line);

    (void)state;
    assert_true(utf8_valid(text_from(line)));
    assert_string_equal(member(object, "a"), "\"\\\n\x01\x7f\xc3\xa9/");
    assert_string_equal(member(object, "b"), "x???y???");
    json_object_put(object);
}

static void cuts_long_fields(void **state)
{
    char text[2000];
    const struct log_field field = LOG_TEXT("a", ((struct text){text, sizeof text}));
    struct json_object *object;

    (void)state;
    memset(text, 'x', sizeof text);
    object = parsed(logged(LOG_ERROR, "m", &field, 1));
    assert_int_equal(strlen(member(object, "a")), 512 + strlen("..."));
    json_object_put(object);
}

static void leaves_out_what_does_not_fit(void **state)
{
    char text[512];
    struct log_field fields[40];
    struct json_object *object;

    (void)state;
    memset(text, '\x01', sizeof text); /* six bytes each when escaped */
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        fields[i] = LOG_TEXT("a", ((struct text){text, sizeof text}));
    object = parsed(logged(LOG_ERROR, "m", fields, COUNT_OF(fields)));
    assert_int_equal(strlen(member(object, "a")), 512);
    json_object_put(object);
}

static void levels_filter(void **state)
{
    enum log_level level = LOG_INFO;

    (void)state;
    assert_string_equal(logged(LOG_DEBUG, "m", NULL, 0), "");
    assert_true(log_level_from("debug", &level));
    log_level_set(level);
    assert_string_not_equal(logged(LOG_DEBUG, "m", NULL, 0), "");
    assert_true(log_level_from("error", &level));
    log_level_set(level);
    assert_string_equal(logged(LOG_WARNING, "m", NULL, 0), "");
    assert_string_not_equal(logged(LOG_ERROR, "m", NULL, 0), "");
    assert_false(log_level_from("loud", &level));
    assert_false(log_level_from("", &level));
    log_level_set(LOG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_one_object_a_line),
        cmocka_unit_test(escapes),
        cmocka_unit_test(cuts_long_fields),
        cmocka_unit_test(leaves_out_what_does_not_fit),
        cmocka_unit_test(levels_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
