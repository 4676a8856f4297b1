#include "unit.h"

#include "base/trace.h"

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"
#define GOOD "00-" ID "-" PARENT "-01"

static void valid_ones_are_taken(void **state)
{
    static const char *const headers[] = {
        GOOD,
        "00-" ID "-" PARENT "-00",
        "00-" ID "-" PARENT "-ff",
        "cc-" ID "-" PARENT "-01",
        "cc-" ID "-" PARENT "-01-what-comes-later",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct trace trace = trace_read(text_from(headers[i]));
        assert_text(trace_id(&trace), ID);
        assert_int_equal(trace.sampled, i != 1);
    }
}

static void invalid_ones_are_none(void **state)
{
    static const char *const headers[] = {
        "",
        "00",
        ID,
        "ff-" ID "-" PARENT "-01", /* no version */
        "0-" ID "-" PARENT "-01",
        "00-" ID "-" PARENT "-1",
        "00-" ID "-" PARENT "-01-more", /* version 00 has no more */
        "00-" ID "-" PARENT "-01 ",
        "cc-" ID "-" PARENT "-01.more",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" ID "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01", /* upper case */
        "00-4bf92f3577b34da6a3ce929d0e0e473g-" PARENT "-01",
        "00_" ID "-" PARENT "-01",
        "00-" ID "-" PARENT "-0x",
        "zz-" ID "-" PARENT "-01",
    };
    char room[TRACEPARENT_BYTES + 1];
    struct trace trace = trace_read(TEXT_NONE);
    (void)state;
    assert_null(trace_id(&trace).at);
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        trace = trace_read(text_from(headers[i]));
        assert_null(trace_id(&trace).at);
        assert_null(trace_write(&trace, room).at);
    }
}

static void each_call_has_a_parent_id_of_its_own(void **state)
{
    char first[TRACEPARENT_BYTES + 1], second[TRACEPARENT_BYTES + 1];
    struct trace trace = trace_read(TEXT(GOOD));
    (void)state;
    struct text one = trace_write(&trace, first), two = trace_write(&trace, second);
    assert_int_equal(one.length, TRACEPARENT_BYTES);
    assert_int_equal(two.length, TRACEPARENT_BYTES);
    assert_memory_equal(one.at, "00-" ID "-", 36);
    assert_memory_equal(one.at + 52, "-01", 4);
    assert_memory_not_equal(one.at + 36, PARENT, 16);
    assert_memory_not_equal(one.at + 36, two.at + 36, 16);
    trace = trace_read(one); /* what goes out is valid itself */
    assert_text(trace_id(&trace), ID);
    assert_true(trace.sampled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_ones_are_taken),
        cmocka_unit_test(invalid_ones_are_none),
        cmocka_unit_test(each_call_has_a_parent_id_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
