#include "unit.h"

#include "reading.h"

#define assert_object(object_) assert_true(object_exists(object_))
#define assert_no_object(object_) assert_false(object_exists(object_))

#include "flow/object.h"
#include "flow/product.h"

#define REQUEST "0190d3f2-7a1b-7c3d-8e4f-0123456789ab"
#define ARENA_BYTES 4096

#define PRICE_WITH(rest) "{\"id\":\"price_3\",\"active\":true,\"type\":\"one_time\"," rest "}"
#define GOOD_PRICE PRICE_WITH("\"currency\":\"eur\",\"unit_amount\":1250")
#define PRODUCT(default_price) "{\"id\":\"prod_9\",\"active\":true,\"default_price\":" default_price "}"
#define LIST(elements) "{\"object\":\"list\",\"data\":" elements "}"

static struct object must_read(const char *body)
{
    struct object object = reading_of(text_from(body));
    if (!object_exists(object))
        fail_msg("no JSON object: %s", body);
    return object;
}

typedef enum price_verdict choose_fn(struct object object, struct arena *arena, struct price *price);

/* Asks for the price of a body; a found one must be price_3 at 1250 eur. */
static void assert_verdict(choose_fn *choose, const char *body, enum price_verdict verdict)
{
    struct object object = must_read(body);
    struct price price = {0};
    struct arena arena;
    enum price_verdict got;
    arena_init(&arena, ARENA_BYTES);
    got = choose(object, &arena, &price);
    reading_free(object); /* what was found must not live in it */
    if (got != verdict)
        fail_msg("got %d, not %d: %s", got, verdict, body);
    if (got == PRICE_FOUND) {
        assert_text(price.price_id, "price_3");
        assert_text(price.currency, "eur");
        assert_int_equal(price.amount_minor, 1250);
    }
    arena_free(&arena);
}

/* Prices that are one-time and active, and what taking them gives. */
static const struct {
    const char *price;
    enum price_verdict verdict;
} one_time[] = {
    {GOOD_PRICE, PRICE_FOUND},
    {PRICE_WITH("\"currency\":\"EUR\",\"unit_amount\":1250"), PRICE_FOUND},
    {PRICE_WITH("\"currency\":\"eUr\",\"unit_amount\":1250,\"recurring\":null"), PRICE_FOUND},
    {PRICE_WITH("\"currency\":\"eur\",\"unit_amount\":null"), PRICE_WITHOUT_AMOUNT},
    {PRICE_WITH("\"currency\":\"eur\""), PRICE_WITHOUT_AMOUNT},
    {PRICE_WITH("\"currency\":\"eur\",\"unit_amount\":null,\"unit_amount_decimal\":\"0.5\""),
     PRICE_WITHOUT_AMOUNT},
    {PRICE_WITH("\"currency\":\"eur\",\"unit_amount\":\"1250\""), PRICE_WITHOUT_AMOUNT},
    {PRICE_WITH("\"currency\":\"eur\",\"unit_amount\":12.5"), PRICE_WITHOUT_AMOUNT},
    {PRICE_WITH("\"currency\":\"eur\",\"unit_amount\":9223372036854775808"), PRICE_WITHOUT_AMOUNT},
    {PRICE_WITH("\"currency\":\"eur\",\"unit_amount\":-1"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"currency\":null,\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"currency\":7,\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"currency\":\"\",\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"currency\":\"eu\",\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"currency\":\"euro\",\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"currency\":\"e\\u0000r\",\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"currency\":\"e r\",\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"currency\":\"e\xc3\xa9\",\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"id\":\"price/3\",\"currency\":\"eur\",\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"id\":\"\",\"currency\":\"eur\",\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"id\":3,\"currency\":\"eur\",\"unit_amount\":1250"), PRODUCT_NONSENSE},
    {PRICE_WITH("\"id\":null,\"currency\":\"eur\",\"unit_amount\":1250"), PRODUCT_NONSENSE},
};

#define UNUSABLE(active_and_type)                                                                            \
    "{\"id\":\"price_3\",\"currency\":\"eur\",\"unit_amount\":1250" active_and_type "}"

/* What is no active one-time price. */
static const char *const unusable[] = {
    "null",
    "\"price_3\"",
    "7",
    "true",
    "[]",
    "{}",
    ("[" GOOD_PRICE "]"),
    UNUSABLE(",\"active\":false,\"type\":\"one_time\""),
    UNUSABLE(",\"active\":\"true\",\"type\":\"one_time\""),
    UNUSABLE(",\"active\":1,\"type\":\"one_time\""),
    UNUSABLE(",\"type\":\"one_time\""),
    UNUSABLE(",\"active\":true,\"type\":\"recurring\""),
    UNUSABLE(",\"active\":true,\"type\":\"ONE_TIME\""),
    UNUSABLE(",\"active\":true,\"type\":null"),
    UNUSABLE(",\"active\":true"),
};

static void takes_the_default_price(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(one_time); i++) {
        char body[512];
        snprintf(body, sizeof(body), PRODUCT("%s"), one_time[i].price);
        assert_verdict(price_of_product, body, one_time[i].verdict);
    }
}

static void asks_for_the_list_without_a_usable_default(void **state)
{
    (void)state;
    assert_verdict(price_of_product, "{\"id\":\"prod_9\",\"active\":true}", PRICE_LIST_NEEDED);
    for (size_t i = 0; i < COUNT_OF(unusable); i++) {
        char body[512];
        snprintf(body, sizeof(body), PRODUCT("%s"), unusable[i]);
        assert_verdict(price_of_product, body, PRICE_LIST_NEEDED);
    }
}

static void an_archived_product_has_no_price(void **state)
{
    (void)state;
    assert_verdict(price_of_product, "{\"active\":false,\"default_price\":" GOOD_PRICE "}", PRODUCT_ARCHIVED);
    assert_verdict(price_of_product, "{\"active\":false,\"default_price\":null}", PRODUCT_ARCHIVED);
    assert_verdict(price_of_product, "{\"active\":null,\"default_price\":" GOOD_PRICE "}", PRODUCT_ARCHIVED);
    assert_verdict(price_of_product, "{\"active\":\"true\",\"default_price\":" GOOD_PRICE "}",
                   PRODUCT_ARCHIVED);
    assert_verdict(price_of_product, "{\"id\":\"prod_9\",\"deleted\":true}", PRODUCT_ARCHIVED);
}

static void takes_the_only_price_of_a_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(one_time); i++) {
        char body[512];
        snprintf(body, sizeof(body), LIST("[%s]"), one_time[i].price);
        assert_verdict(price_of_list, body, one_time[i].verdict);
    }
    for (size_t i = 0; i < COUNT_OF(unusable); i++) {
        char body[512];
        snprintf(body, sizeof(body), LIST("[%s]"), unusable[i]);
        assert_verdict(price_of_list, body, PRICE_NONE);
    }
}

static void a_list_decides_by_its_length(void **state)
{
    (void)state;
    assert_verdict(price_of_list, LIST("[]"), PRICE_NONE);
    assert_verdict(price_of_list, LIST("[" GOOD_PRICE "," GOOD_PRICE "]"), PRICE_AMBIGUOUS);
    assert_verdict(price_of_list, LIST("[" GOOD_PRICE ",null]"), PRICE_AMBIGUOUS);
    assert_verdict(price_of_list, LIST("[1,2,3]"), PRICE_AMBIGUOUS);
}

static void what_is_no_list_is_nonsense(void **state)
{
    static const char *const bodies[] = {"{}",      LIST("null"), LIST("{}"),       LIST("\"\""),
                                         LIST("7"), LIST("true"), LIST(GOOD_PRICE), "{\"Data\":[]}"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        assert_verdict(price_of_list, bodies[i], PRODUCT_NONSENSE);
}

/* Without memory nothing is found. */
static void a_full_arena_finds_no_price(void **state)
{
    struct object object = must_read(PRODUCT(GOOD_PRICE));

    (void)state;
    for (size_t cap_bytes = 0; cap_bytes < 12; cap_bytes++) {
        struct arena arena;
        struct price price = {0};
        arena_init(&arena, cap_bytes);
        assert_int_equal(price_of_product(object, &arena, &price), PRODUCT_NONSENSE);
        arena_free(&arena);
    }
    reading_free(object);
}

static struct plan whole_plan(void)
{
    struct plan plan = {.price_id = TEXT("price_3"),
                        .amount_minor = 1250,
                        .currency = TEXT("eur"),
                        .invoice_id = TEXT("in_8")};
    assert_true(uuid_from_text(TEXT(REQUEST), plan.request_id));
    return plan;
}

static bool matches(const char *body)
{
    struct plan plan = whole_plan();
    struct object invoice = must_read(body);
    bool answer = invoice_matches(invoice, &plan);
    reading_free(invoice);
    return answer;
}

#define INVOICE(lines) "{\"id\":\"in_8\",\"currency\":\"eur\",\"total\":1250,\"lines\":" lines "}"
#define LINE(price, amount, quantity, currency)                                                              \
    "{\"amount\":" amount ",\"quantity\":" quantity ",\"currency\":" currency                                \
    ",\"pricing\":{\"price_details\":{\"price\":" price "}}}"
#define ONE_LINE(price, amount, quantity, currency)                                                          \
    INVOICE("{\"data\":[" LINE(price, amount, quantity, currency) "]}")
#define GOOD_LINE LINE("\"price_3\"", "1250", "1", "\"eur\"")

static void an_invoice_as_planned_matches(void **state)
{
    static const char *const bodies[] = {
        INVOICE("{\"data\":[" GOOD_LINE "]}"),
        /* the case of a currency is the upstream's own business */
        "{\"id\":\"in_8\",\"currency\":\"EUR\",\"lines\":{\"data\":[" LINE("\"price_3\"", "1250", "1",
                                                                           "\"Eur\"") "]}}",
        /* discounts and taxes of the customer's own */
        "{\"id\":\"in_8\",\"currency\":\"eur\",\"total\":1,\"amount_due\":0,\"lines\":{\"data\":[" GOOD_LINE
        "]}}",
        /* the older way to name a price */
        INVOICE("{\"data\":[{\"amount\":1250,\"quantity\":1,\"currency\":\"eur\",\"price\":{\"id\":\"price_"
                "3\"}}]}"),
        /* a dialect that tells no lines */
        "{\"id\":\"in_8\",\"currency\":\"eur\",\"total\":1250}",
        INVOICE("null"),
        INVOICE("{}"),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        print_message("%s\n", bodies[i]);
        assert_true(matches(bodies[i]));
    }
}

static void each_single_deviation_is_a_mismatch(void **state)
{
    static const char *const bodies[] = {
        /* of the invoice */
        "{\"id\":\"in_9\",\"currency\":\"eur\",\"lines\":{\"data\":[" GOOD_LINE "]}}",
        "{\"id\":\"IN_8\",\"currency\":\"eur\",\"lines\":{\"data\":[" GOOD_LINE "]}}",
        "{\"id\":null,\"currency\":\"eur\",\"lines\":{\"data\":[" GOOD_LINE "]}}",
        "{\"currency\":\"eur\",\"lines\":{\"data\":[" GOOD_LINE "]}}",
        "{\"id\":\"in_8\",\"currency\":\"usd\",\"lines\":{\"data\":[" GOOD_LINE "]}}",
        "{\"id\":\"in_8\",\"currency\":null,\"lines\":{\"data\":[" GOOD_LINE "]}}",
        "{\"id\":\"in_8\",\"lines\":{\"data\":[" GOOD_LINE "]}}",
        /* of the number of lines */
        INVOICE("{\"data\":[]}"),
        INVOICE("{\"data\":[" GOOD_LINE "," GOOD_LINE "]}"),
        INVOICE("{\"data\":{}}"),
        INVOICE("{\"data\":\"x\"}"),
        INVOICE("{\"data\":[null]}"),
        INVOICE("{\"data\":[[]]}"),
        /* of the price */
        ONE_LINE("\"price_4\"", "1250", "1", "\"eur\""),
        ONE_LINE("\"\"", "1250", "1", "\"eur\""),
        ONE_LINE("null", "1250", "1", "\"eur\""),
        ONE_LINE("{\"id\":\"price_3\"}", "1250", "1", "\"eur\""),
        INVOICE("{\"data\":[{\"amount\":1250,\"quantity\":1,\"currency\":\"eur\"}]}"),
        INVOICE("{\"data\":[{\"amount\":1250,\"quantity\":1,\"currency\":\"eur\",\"price\":\"price_3\"}]}"),
        INVOICE("{\"data\":[{\"amount\":1250,\"quantity\":1,\"currency\":\"eur\",\"price\":{\"id\":\"price_"
                "4\"}}]}"),
        INVOICE(
            "{\"data\":[{\"amount\":1250,\"quantity\":1,\"currency\":\"eur\",\"price\":{\"id\":\"price_3\"},"
            "\"pricing\":{\"price_details\":{\"price\":\"price_4\"}}}]}"),
        /* of the amount */
        ONE_LINE("\"price_3\"", "1249", "1", "\"eur\""),
        ONE_LINE("\"price_3\"", "1251", "1", "\"eur\""),
        ONE_LINE("\"price_3\"", "-1250", "1", "\"eur\""),
        ONE_LINE("\"price_3\"", "0", "1", "\"eur\""),
        ONE_LINE("\"price_3\"", "\"1250\"", "1", "\"eur\""),
        ONE_LINE("\"price_3\"", "1250.0", "1", "\"eur\""),
        ONE_LINE("\"price_3\"", "null", "1", "\"eur\""),
        ONE_LINE("\"price_3\"", "18446744073709552866", "1", "\"eur\""),
        /* of the quantity */
        ONE_LINE("\"price_3\"", "1250", "0", "\"eur\""),
        ONE_LINE("\"price_3\"", "1250", "2", "\"eur\""),
        ONE_LINE("\"price_3\"", "1250", "-1", "\"eur\""),
        ONE_LINE("\"price_3\"", "1250", "null", "\"eur\""),
        ONE_LINE("\"price_3\"", "1250", "\"1\"", "\"eur\""),
        ONE_LINE("\"price_3\"", "1250", "4294967297", "\"eur\""),
        /* of the line's currency */
        ONE_LINE("\"price_3\"", "1250", "1", "\"usd\""),
        ONE_LINE("\"price_3\"", "1250", "1", "\"eu\""),
        ONE_LINE("\"price_3\"", "1250", "1", "null"),
        /* of the total where no lines are told */
        "{\"id\":\"in_8\",\"currency\":\"eur\",\"total\":1251}",
        "{\"id\":\"in_8\",\"currency\":\"eur\",\"total\":null}",
        "{\"id\":\"in_8\",\"currency\":\"eur\",\"total\":\"1250\"}",
        "{\"id\":\"in_8\",\"currency\":\"eur\"}",
        "{\"id\":\"in_9\",\"currency\":\"eur\",\"total\":1250}",
        "{\"id\":\"in_8\",\"currency\":\"usd\",\"total\":1250}",
        "{}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        if (matches(bodies[i]))
            fail_msg("matches: %s", bodies[i]);
}

/* The same invoice against a plan that differs in one thing. */
static void each_single_deviation_of_the_plan_is_a_mismatch(void **state)
{
    struct object invoice = must_read(INVOICE("{\"data\":[" GOOD_LINE "]}"));
    struct plan plans[6];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(plans); i++)
        plans[i] = whole_plan();
    plans[1].price_id = TEXT("price_33");
    plans[2].amount_minor = 1251;
    plans[3].currency = TEXT("chf");
    plans[4].invoice_id = TEXT("in_88");
    plans[5].invoice_id = TEXT_NONE;
    for (size_t i = 0; i < COUNT_OF(plans); i++)
        assert_int_equal(invoice_matches(invoice, &plans[i]), i == 0);
    reading_free(invoice);
}

static void an_invoice_is_known_by_its_mark(void **state)
{
    static const struct {
        const char *body;
        bool ours;
    } table[] = {
        {"{\"metadata\":{\"invoicegate_request\":\"" REQUEST "\"}}", true},
        {"{\"metadata\":{\"x\":\"y\",\"invoicegate_request\":\"" REQUEST "\"}}", true},
        {"{\"metadata\":{\"invoicegate_request\":\"0190d3f2-7a1b-7c3d-8e4f-0123456789ac\"}}", false},
        {"{\"metadata\":{\"invoicegate_request\":\"0190D3F2-7A1B-7C3D-8E4F-0123456789AB\"}}", false},
        {"{\"metadata\":{\"invoicegate_request\":\"" REQUEST " \"}}", false},
        {"{\"metadata\":{\"invoicegate_request\":\"" REQUEST "\\u0000\"}}", false},
        {"{\"metadata\":{\"invoicegate_request\":\"\"}}", false},
        {"{\"metadata\":{\"invoicegate_request\":null}}", false},
        {"{\"metadata\":{\"invoicegate_request\":[\"" REQUEST "\"]}}", false},
        {"{\"metadata\":{\"invoicegate_client\":\"" REQUEST "\"}}", false},
        {"{\"metadata\":[]}", false},
        {"{\"metadata\":null}", false},
        {"{\"invoicegate_request\":\"" REQUEST "\"}", false},
        {"{}", false},
    };
    struct plan plan = whole_plan();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct object invoice = must_read(table[i].body);
        print_message("%s\n", table[i].body);
        assert_int_equal(invoice_is_ours(invoice, &plan), table[i].ours);
        reading_free(invoice);
    }
    assert_false(invoice_is_ours(OBJECT_NONE, &plan));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_default_price),
        cmocka_unit_test(asks_for_the_list_without_a_usable_default),
        cmocka_unit_test(an_archived_product_has_no_price),
        cmocka_unit_test(takes_the_only_price_of_a_list),
        cmocka_unit_test(a_list_decides_by_its_length),
        cmocka_unit_test(what_is_no_list_is_nonsense),
        cmocka_unit_test(a_full_arena_finds_no_price),
        cmocka_unit_test(an_invoice_as_planned_matches),
        cmocka_unit_test(each_single_deviation_is_a_mismatch),
        cmocka_unit_test(each_single_deviation_of_the_plan_is_a_mismatch),
        cmocka_unit_test(an_invoice_is_known_by_its_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
