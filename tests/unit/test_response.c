#include "unit.h"

#include "front/response.h"

static const struct invoice_answer full = {
    .id = TEXT("in_1"),
    .amount_minor = 10000,
    .currency = TEXT("USD"),
    .status = TEXT("draft"),
    .number = TEXT("GJXQAHMC-0001"),
    .customer_id = TEXT("cus_1"),
    .customer_email = TEXT("a@example.com"),
    .customer_name = TEXT("J\xc3\xb6rg \"X\""),
    .description = TEXT("one\ntwo"),
    .created_s = 1700000000,
};

static void has_every_member(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 65536);
    assert_text(response_invoice(&arena, &full),
                "{\"id\":\"in_1\",\"amount\":10000,\"currency\":\"usd\",\"status\":\"draft\","
                "\"number\":\"GJXQAHMC-0001\",\"customer\":{\"id\":\"cus_1\",\"email\":\"a@example.com\","
                "\"name\":\"J\xc3\xb6rg \\\"X\\\"\"},\"description\":\"one\\ntwo\",\"created\":1700000000}");
    arena_free(&arena);
}

static void absent_is_null_but_for_the_description(void **state)
{
    struct arena arena;
    struct invoice_answer invoice = full;

    (void)state;
    arena_init(&arena, 65536);
    invoice.number = invoice.customer_email = invoice.customer_name = invoice.description = TEXT_NONE;
    invoice.amount_minor = INT64_MAX;
    assert_text(response_invoice(&arena, &invoice),
                "{\"id\":\"in_1\",\"amount\":9223372036854775807,\"currency\":\"usd\",\"status\":\"draft\","
                "\"number\":null,\"customer\":{\"id\":\"cus_1\",\"email\":null,\"name\":null},"
                "\"description\":\"\",\"created\":1700000000}");
    arena_free(&arena);
}

static void errors(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 65536);
    assert_text(response_error(&arena, TEXT("Not \"that\".")), "{\"error\":\"Not \\\"that\\\".\"}");
    arena_free(&arena);
}

static void overflow_is_absent(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 100);
    assert_null(response_invoice(&arena, &full).at);
    arena_reset(&arena);
    assert_non_null(response_error(&arena, TEXT("short")).at);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_every_member),
        cmocka_unit_test(absent_is_null_but_for_the_description),
        cmocka_unit_test(errors),
        cmocka_unit_test(overflow_is_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
