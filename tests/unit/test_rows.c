#include "unit.h"

#include "store/rows.h"
#include "store/statements.h"
#include "store/store.h"

/* Bytes are written as hex with spaces, so that they can be read. */
static size_t from_hex(const char *hex, unsigned char *bytes, size_t room)
{
    size_t length = 0;
    for (const char *at = hex; *at; at += at[0] == ' ' ? 1 : 2) {
        unsigned byte;
        if (*at == ' ')
            continue;
        assert_int_equal(sscanf(at, "%2x", &byte), 1);
        assert_true(length < room);
        bytes[length++] = (unsigned char)byte;
    }
    return length;
}

static void assert_bytes(const struct params *params, size_t from, size_t to, const char *hex)
{
    unsigned char wanted[512];
    size_t length = from_hex(hex, wanted, sizeof(wanted));
    assert_false(params->failed);
    if (to - from != length || memcmp(params->bytes + from, wanted, length) != 0) {
        for (size_t i = from; i < to; i++)
            print_error("%02x ", (unsigned char)params->bytes[i]);
        fail_msg("%zu bytes, not %s", to - from, hex);
    }
}

static void numbers_are_big_endian(void **state)
{
    struct params params = {0};

    (void)state;
    params_reset(&params);
    params_int8(&params, 0x0102030405060708);
    params_int8(&params, -1);
    params_int4(&params, 0x01020304);
    params_int4(&params, INT32_MAX);
    params_int2(&params, 0x0102);
    params_int2(&params, -2);
    params_bool(&params, true);
    params_bool(&params, false);
    assert_int_equal(params.count, 8);
    assert_bytes(&params, 0, params.used,
                 "0102030405060708 ffffffffffffffff 01020304 7fffffff 0102 fffe 01 00");
    for (int i = 0; i < params.count; i++)
        assert_false(params.nulls[i]);
    params_free(&params);
}

static void every_parameter_knows_its_start(void **state)
{
    static const size_t starts[] = {0, 8, 12, 15, 15, 31, 32};
    static const uint8_t uuid[UUID_BYTES] = {0x01, 0x90};
    struct params params = {0};

    (void)state;
    params_reset(&params);
    params_int8(&params, 1);
    params_int4(&params, 2);
    params_text(&params, TEXT("abc"));
    params_text(&params, TEXT(""));
    params_uuid(&params, uuid);
    params_bool(&params, true);
    params_int2(&params, 7);
    assert_int_equal(params.count, 7);
    for (int i = 0; i < params.count; i++)
        assert_int_equal(params.starts[i], starts[i]);
    assert_bytes(&params, 12, 15, "616263");
    assert_bytes(&params, 15, 31, "0190 0000000000000000000000000000");
    params_free(&params);
}

static void the_least_number_and_the_absent_text_are_null(void **state)
{
    struct params params = {0};
    static const bool nulls[] = {true, false, true, false, true, false};

    (void)state;
    params_reset(&params);
    params_int8(&params, STORE_NULL64);
    params_int8(&params, STORE_NULL64 + 1);
    params_int4(&params, STORE_NULL32);
    params_int4(&params, 0);
    params_text(&params, TEXT_NONE);
    params_text(&params, TEXT(""));
    for (int i = 0; i < params.count; i++)
        assert_int_equal(params.nulls[i], nulls[i]);
    params_free(&params);
}

static void a_reset_forgets_all_but_the_room(void **state)
{
    struct params params = {0};
    size_t room;

    (void)state;
    params_int4(&params, STORE_NULL32);
    params_text(&params, TEXT("something"));
    room = params.room;
    params.failed = true;
    params_reset(&params);
    assert_true(params.count == 0 && params.used == 0 && !params.failed && params.room == room);
    params_int4(&params, 5);
    assert_false(params.nulls[0]);
    assert_bytes(&params, 0, params.used, "00000005");
    params_free(&params);
    assert_true(!params.bytes && params.room == 0);
    params_free(&params);
}

/* One member of each type. */
struct sample {
    uint8_t uuid[UUID_BYTES];
    uint8_t digest[DIGEST_BYTES];
    struct text text;
    struct text bytes;
    int32_t int4;
    int64_t int8;
    bool flag;
};

#define FIELD(type_, member)                                                                                 \
    {                                                                                                        \
        .type = COLUMN_##type_, .offset = offsetof(struct sample, member)                                    \
    }

static const struct sample samples[2] = {
    {.uuid = {0x01, 0x90, 0xd3, 0xf2, 0x7a, 0x1b, 0x7c, 0x3d, 0x8e, 0x4f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab},
     .digest = {0xff, [31] = 0x01},
     .text = {"a\xc3\xa9", 3},
     .bytes = {"{\0}", 3},
     .int4 = 30,
     .int8 = 1250,
     .flag = true},
    {.uuid = {0}, .digest = {0}, .int4 = STORE_NULL32, .int8 = STORE_NULL64, .flag = false},
};

#define ZEROS_16 "00000000000000000000000000000000"

/* dimensions, nulls allowed, type, elements, lower bound; then for each element its length and bytes. */
static const struct {
    struct column column;
    const char *hex;
} arrays[] = {
    {FIELD(UUID, uuid), "00000001 00000001 00000b86 00000002 00000001 "
                        "00000010 0190d3f27a1b7c3d8e4f0123456789ab 00000010 " ZEROS_16},
    {FIELD(DIGEST, digest),
     "00000001 00000001 00000011 00000002 00000001 00000020 ff" ZEROS_16 "000000000000000000000000000001 "
     "00000020 " ZEROS_16 ZEROS_16},
    {FIELD(TEXT, text), "00000001 00000001 00000019 00000002 00000001 00000003 61c3a9 ffffffff"},
    {FIELD(BYTES, bytes), "00000001 00000001 00000011 00000002 00000001 00000003 7b007d ffffffff"},
    {FIELD(INT4, int4), "00000001 00000001 00000017 00000002 00000001 00000004 0000001e ffffffff"},
    {FIELD(INT8, int8), "00000001 00000001 00000014 00000002 00000001 00000008 00000000000004e2 ffffffff"},
    {FIELD(BOOL, flag), "00000001 00000001 00000010 00000002 00000001 00000001 01 00000001 00"},
};

static void arrays_have_the_binary_form(void **state)
{
    struct params params = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(arrays); i++) {
        params_reset(&params);
        params_array_begin(&params, arrays[i].column.type, COUNT_OF(samples));
        for (size_t s = 0; s < COUNT_OF(samples); s++)
            params_array_add(&params, &arrays[i].column, &samples[s]);
        print_message("column type %d\n", arrays[i].column.type);
        assert_int_equal(params.count, 1);
        assert_false(params.nulls[0]);
        assert_bytes(&params, 0, params.used, arrays[i].hex);
    }
    params_free(&params);
}

static void an_empty_text_is_no_null_element(void **state)
{
    static const struct sample sample = {.text = {"", 0}};
    static const struct column column = FIELD(TEXT, text);
    struct params params = {0};

    (void)state;
    params_array_begin(&params, COLUMN_TEXT, 1);
    params_array_add(&params, &column, &sample);
    assert_bytes(&params, 0, params.used, "00000001 00000001 00000019 00000001 00000001 00000000");
    params_free(&params);
}

static void grows_as_far_as_it_must(void **state)
{
    static const struct column column = FIELD(BYTES, bytes);
    enum { LENGTH = 10007, ELEMENTS = 300 };
    struct params params = {0};
    char *body = malloc(LENGTH);

    (void)state;
    assert_non_null(body);
    for (int round = 0; round < 2; round++) {
        params_reset(&params);
        params_int8(&params, 9);
        params_array_begin(&params, COLUMN_BYTES, ELEMENTS);
        for (int i = 0; i < ELEMENTS; i++) {
            struct sample sample = {.bytes = {body, LENGTH}};
            memset(body, i, LENGTH);
            params_array_add(&params, &column, &sample);
        }
        assert_int_equal(params.starts[1], 8);
        assert_int_equal(params.used, 8 + 20 + ELEMENTS * (4 + LENGTH));
        for (int i = 0; i < ELEMENTS; i++) {
            const char *element = params.bytes + 28 + i * (4 + LENGTH);
            memset(body, i, LENGTH);
            assert_memory_equal(element, "\x00\x00\x27\x17", 4);
            assert_memory_equal(element + 4, body, LENGTH);
        }
    }
    free(body);
    params_free(&params);
}

static void without_a_connection_nothing_is_sent(void **state)
{
    struct params params = {0};

    (void)state;
    params_int4(&params, 1);
    assert_false(params_send(&params, NULL, "x"));
    params.failed = true;
    assert_false(params_send(&params, NULL, "x"));
    params_int4(&params, 1); /* failure is sticky */
    assert_int_equal(params.used, 4);
    params_free(&params);
}

static const uint8_t request_id[UUID_BYTES] = {0xaa, 0xbb};

/* What each kind of task is sent with has as many parameters as its statement. */
static void statements_get_the_parameters_they_name(void **state)
{
    struct statement_context context = {.worker_id = 5, .upstream_version = TEXT("2025-03-31.basil")};
    struct params params = {0};

    (void)state;
    for (int kind = 0; kind < STORE_KIND_COUNT; kind++) {
        struct store_task task = {.kind = (enum store_kind)kind};
        struct store_task *tasks[] = {&task, &task, &task};
        print_message("%s\n", statements[kind].name);
        statement_params(&params, &context, (enum store_kind)kind, tasks, COUNT_OF(tasks));
        assert_int_equal(params.count, statements[kind].params);
        assert_bytes(&params, 0, 8, "0000000000000005");
    }
    params_free(&params);
}

static struct store_task note_task(void)
{
    struct store_task task = {.kind = STORE_NOTE};
    task.in.note = (struct store_note){.fence = 2,
                                       .state = TEXT("open"),
                                       .doing = TEXT("delete"),
                                       .why = TEXT("x"),
                                       .http_status = STORE_NULL32};
    memcpy(task.in.note.request_id, request_id, UUID_BYTES);
    return task;
}

/* One array after the other, each with its head. */
static const char note_hex[] = "0000000000000005 "
                               "00000001 00000001 00000b86 00000001 00000001 "
                               "00000010 aabb0000000000000000000000000000 "
                               "00000001 00000001 00000017 00000001 00000001 00000004 00000002 "
                               "00000001 00000001 00000019 00000001 00000001 00000004 6f70656e "
                               "00000001 00000001 00000019 00000001 00000001 00000006 64656c657465 "
                               "00000001 00000001 00000019 00000001 00000001 ffffffff "
                               "00000001 00000001 00000019 00000001 00000001 00000001 78 "
                               "00000001 00000001 00000017 00000001 00000001 ffffffff";

static void a_note_is_written_column_by_column(void **state)
{
    struct statement_context context = {.worker_id = 5};
    struct store_task task = note_task(), *tasks[] = {&task};
    struct params params = {0};

    (void)state;
    statement_params(&params, &context, STORE_NOTE, tasks, 1);
    assert_bytes(&params, 0, params.used, note_hex);
    params_free(&params);
}

static void the_calls_of_all_tasks_travel_together(void **state)
{
    struct store_call calls[3] = {{.next = &calls[1], .fence = 1, .attempt = 1},
                                  {.fence = 1, .attempt = 2},
                                  {.fence = 1, .attempt = 3}};
    struct store_task first = {.calls = &calls[0]}, none = {0}, second = {.calls = &calls[2]};
    struct store_task *tasks[] = {&first, &none, &second}, *empty[] = {&none};
    struct params params = {0};

    (void)state;
    assert_int_equal(statement_calls_params(&params, tasks, COUNT_OF(tasks)), 3);
    assert_int_equal(params.count, statements[STATEMENT_CALLS].params);
    assert_bytes(&params, params.starts[3], params.starts[4],
                 "00000001 00000001 00000017 00000003 00000001 "
                 "00000004 00000001 00000004 00000002 00000004 00000003");
    assert_bytes(&params, params.starts[9], params.used, "00");
    assert_int_equal(statement_calls_params(&params, empty, 1), 0);
    assert_int_equal(params.count, 0);
    params_free(&params);
}

/* What is run again, was refused or comes from a sweep. */
static void calls_that_may_be_recorded_already_say_so(void **state)
{
    struct store_call call = {.fence = 1, .attempt = 1}, of_sweep = {.attempt = 1};
    struct store_task fresh = {.calls = &call}, again = {.calls = &call, .again = true},
                      refused = {.calls = &call, .errors = 1}, sweep = {.calls = &of_sweep};
    struct store_task *others[] = {&again, &refused, &sweep};
    struct params params = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct store_task *tasks[] = {&fresh, others[i]};
        assert_int_equal(statement_calls_params(&params, tasks, COUNT_OF(tasks)), 2);
        assert_bytes(&params, params.starts[9], params.used, "01");
    }
    params_free(&params);
}

/* A result of text fields, made without a server; NULL is SQL null. */
static PGresult *result_of(int columns, const char *const *values)
{
    static char name[] = "c";
    PGresAttDesc attributes[24] = {0};
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    assert_non_null(result);
    for (int i = 0; i < columns; i++)
        attributes[i] = (PGresAttDesc){.name = name, .typid = 25, .typlen = -1};
    assert_true(PQsetResultAttrs(result, columns, attributes));
    for (int i = 0; i < columns; i++)
        assert_true(PQsetvalue(result, 0, i, values[i] ? strdupa(values[i]) : NULL,
                               values[i] ? (int)strlen(values[i]) : -1));
    return result;
}

static void fields_are_read(void **state)
{
    static const struct {
        const char *value;
        int64_t int8;
        int32_t int4;
        bool flag;
    } table[] = {
        {NULL, STORE_NULL64, STORE_NULL32, false},
        {"", STORE_NULL64, STORE_NULL32, false},
        {"0", 0, 0, false},
        {"-1", -1, -1, false},
        {"2147483647", INT32_MAX, INT32_MAX, false},
        {"2147483648", 2147483648, STORE_NULL32, false},
        {"-2147483647", -2147483647, -2147483647, false},
        {"-2147483648", -2147483648, STORE_NULL32, false},
        {"9223372036854775807", INT64_MAX, STORE_NULL32, false},
        {"9223372036854775808", STORE_NULL64, STORE_NULL32, false},
        {"1.5", STORE_NULL64, STORE_NULL32, false},
        {"t", STORE_NULL64, STORE_NULL32, true},
        {"f", STORE_NULL64, STORE_NULL32, false},
        {"true", STORE_NULL64, STORE_NULL32, false},
        {"caf\xc3\xa9", STORE_NULL64, STORE_NULL32, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        PGresult *result = result_of(1, &table[i].value);
        if (table[i].value)
            assert_text(row_text(result, 0, 0), table[i].value);
        else
            assert_null(row_text(result, 0, 0).at);
        assert_true(row_int8(result, 0, 0) == table[i].int8);
        assert_int_equal(row_int4(result, 0, 0), table[i].int4);
        assert_int_equal(row_bool(result, 0, 0), table[i].flag);
        PQclear(result);
    }
}

static void verdicts_are_read(void **state)
{
    static const struct {
        const char *word;
        enum store_verdict verdict;
    } table[] = {
        {"go", STORE_GO},       {"refused", STORE_REFUSED}, {"replay", STORE_REPLAY},
        {"busy", STORE_BUSY},   {"done", STORE_DONE},       {"unauthorized", STORE_UNAUTHORIZED},
        {"stale", STORE_STALE}, {"missing", STORE_MISSING}, {"anything else", STORE_AWAY},
        {"", STORE_AWAY},       {NULL, STORE_AWAY},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const char *const values[] = {"3", table[i].word, "created", "200"};
        PGresult *result = result_of(4, values);
        struct store_answer answer;
        assert_int_equal(statement_answer(STORE_FINISH, result, 0, &answer), 3);
        assert_int_equal(answer.verdict, table[i].verdict);
        assert_text(answer.state, "created");
        assert_int_equal(answer.http_status, 200);
        PQclear(result);
    }
}

static void a_row_without_a_place_is_nobodys(void **state)
{
    static const char *const places[] = {NULL, "0", "-1", "x", "4294967297"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        const char *const values[] = {places[i], "go"};
        PGresult *result = result_of(2, values);
        struct store_answer answer;
        assert_int_equal(statement_answer(STORE_NOTE, result, 0, &answer), 0);
        PQclear(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(every_parameter_knows_its_start),
        cmocka_unit_test(the_least_number_and_the_absent_text_are_null),
        cmocka_unit_test(a_reset_forgets_all_but_the_room),
        cmocka_unit_test(arrays_have_the_binary_form),
        cmocka_unit_test(an_empty_text_is_no_null_element),
        cmocka_unit_test(grows_as_far_as_it_must),
        cmocka_unit_test(without_a_connection_nothing_is_sent),
        cmocka_unit_test(statements_get_the_parameters_they_name),
        cmocka_unit_test(a_note_is_written_column_by_column),
        cmocka_unit_test(the_calls_of_all_tasks_travel_together),
        cmocka_unit_test(calls_that_may_be_recorded_already_say_so),
        cmocka_unit_test(fields_are_read),
        cmocka_unit_test(verdicts_are_read),
        cmocka_unit_test(a_row_without_a_place_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
