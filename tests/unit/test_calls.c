#include "unit.h"

#include "upstream/calls.h"

#define ARENA_BYTES 16384
#define REQUEST "0190d3f2-7a1b-7c3d-8e4f-0123456789ab"

/* The digest of "7\ncl_1\nacct_1Abc\nlive", as sha256sum says it, and the same with "test". */
#define DIGEST_LIVE "4258749b887ebab116d0184190e41f9ccbf75fc6af1a803388d9918ec0174ffe"
#define DIGEST_TEST "939574f8c30878069e1cd86ea0e8d354132c3aa98be5d07d24b11c4520064ac1"

static struct plan whole_plan(void)
{
    struct plan plan = {
        .generation = 1,
        .agency_id = 7,
        .mode = MODE_LIVE,
        .account_id = TEXT("acct_1Abc"),
        .client_id = TEXT("cl_1"),
        .product_id = TEXT("prod_9"),
        .collection_method = TEXT("send_invoice"),
        .days_until_due = 30,
        .customer_generation = 2,
        .customer_id = TEXT("cus_5"),
        .customer_name = TEXT("Ada Lovelace"),
        .customer_email = TEXT("ada+bills@example.com"),
        .price_id = TEXT("price_3"),
        .amount_minor = 1250,
        .currency = TEXT("eur"),
        .auto_advance = true,
        .invoice_id = TEXT("in_8"),
        .list_cursor = TEXT("in_7"),
        .list_since_s = 1735689600,
    };
    assert_true(uuid_from_text(TEXT(REQUEST), plan.request_id));
    return plan;
}

/* Recipe 1. These bytes never change: open requests of older workers are sent again under the same keys, and
 * the upstream refuses other bytes. What is to be sent differently needs a recipe of its own. */
static const struct golden {
    enum step step;
    enum method method;
    const char *path;
    const char *form; /* NULL: absent */
    const char *key;  /* NULL: absent */
} golden[] = {
    {STEP_PRODUCT, METHOD_GET, "/v1/products/prod_9?expand%5B%5D=default_price", NULL, NULL},
    {STEP_PRICES, METHOD_GET, "/v1/prices?product=prod_9&active=true&type=one_time&limit=2", NULL, NULL},
    {STEP_CUSTOMER, METHOD_POST, "/v1/customers",
     "name=Ada%20Lovelace&email=ada%2Bbills%40example.com&metadata[invoicegate_client]=cl_1",
     "invoicegate-customer-" DIGEST_LIVE "-2"},
    {STEP_INVOICE, METHOD_POST, "/v1/invoices",
     "customer=cus_5&collection_method=send_invoice&days_until_due=30&auto_advance=false"
     "&pending_invoice_items_behavior=exclude&currency=eur&metadata[invoicegate_request]=" REQUEST
     "&metadata[invoicegate_client]=cl_1",
     "invoicegate-" REQUEST "-invoice-1"},
    {STEP_LINES, METHOD_POST, "/v1/invoices/in_8/add_lines",
     "lines[0][pricing][price]=price_3&lines[0][quantity]=1", "invoicegate-" REQUEST "-lines-1"},
    {STEP_LOOKUP, METHOD_GET,
     "/v1/invoices?limit=25&customer=cus_5&created%5Bgte%5D=1735689600&starting_after=in_7", NULL, NULL},
    {STEP_ADVANCE, METHOD_POST, "/v1/invoices/in_8", "auto_advance=true",
     "invoicegate-" REQUEST "-advance-1"},
    {STEP_DELETE, METHOD_DELETE, "/v1/invoices/in_8", NULL, NULL},
    {STEP_ACT, METHOD_POST, "/v1/invoices/in_8/finalize", "", "invoicegate-" REQUEST "-finalize-1"},
    {STEP_READ, METHOD_GET, "/v1/invoices/in_8", NULL, NULL},
};

/* The same of calls that came through the upstream's own interface. */
static const struct passed_on {
    enum step step;
    enum act act;
    const char *form; /* the caller's */
    const char *path;
    const char *sent;
    const char *key;
} passed_on[] = {
    {STEP_INVOICE, ACT_NONE, "customer=cus_5&metadata[order]=7", "/v1/invoices",
     "customer=cus_5&metadata[order]=7&metadata[invoicegate_request]=" REQUEST
     "&metadata[invoicegate_client]=cl_1",
     "invoicegate-" REQUEST "-invoice-1"},
    {STEP_ACT, ACT_UPDATE, "description=x%20y", "/v1/invoices/in_8", "description=x%20y",
     "invoicegate-" REQUEST "-update-1"},
    {STEP_ACT, ACT_FINALIZE, "", "/v1/invoices/in_8/finalize", "", "invoicegate-" REQUEST "-finalize-1"},
    {STEP_ACT, ACT_SEND, "", "/v1/invoices/in_8/send", "", "invoicegate-" REQUEST "-send-1"},
    {STEP_ACT, ACT_VOID, "", "/v1/invoices/in_8/void", "", "invoicegate-" REQUEST "-void-1"},
    {STEP_ACT, ACT_INVOICEITEM, "customer=cus_5&amount=5", "/v1/invoiceitems",
     "customer=cus_5&amount=5&metadata[invoicegate_request]=" REQUEST,
     "invoicegate-" REQUEST "-invoiceitem-1"},
};

static void assert_maybe(struct text got, const char *wanted)
{
    if (wanted)
        assert_text(got, wanted);
    else
        assert_null(got.at);
}

/* The one step that is an act of the upstream's own interface needs to know which. */
static void suit(struct plan *plan, enum step step)
{
    plan->act = step == STEP_ACT ? ACT_FINALIZE : ACT_NONE;
    plan->form = step == STEP_ACT ? TEXT("") : TEXT_NONE;
}

/* Makes a call in an arena that the caller frees. */
static struct call made(enum step step, const struct plan *plan, struct arena *arena)
{
    struct call call;
    arena_init(arena, ARENA_BYTES);
    assert_true(call_make(step, plan, arena, &call));
    return call;
}

static void recipe_one_never_changes(void **state)
{
    struct plan plan = whole_plan();

    (void)state;
    assert_int_equal(RECIPE, 1);
    assert_int_equal(COUNT_OF(golden), STEP_COUNT);
    for (size_t i = 0; i < COUNT_OF(golden); i++) {
        struct arena arena;
        struct call call;
        suit(&plan, golden[i].step);
        call = made(golden[i].step, &plan, &arena);
        print_message("%s\n", step_name(golden[i].step));
        assert_int_equal(call.method, golden[i].method);
        assert_text(call.path, golden[i].path);
        assert_maybe(call.form, golden[i].form);
        assert_maybe(call.idempotency_key, golden[i].key);
        assert_text(call.account_id, "acct_1Abc");
        assert_int_equal(call.mode, MODE_LIVE);
        arena_free(&arena);
    }
}

static void what_is_passed_on_never_changes_either(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(passed_on); i++) {
        struct plan plan = whole_plan();
        struct arena arena;
        struct call call;
        plan.act = passed_on[i].act;
        plan.form = text_from(passed_on[i].form);
        plan.upstream_version = TEXT("2024-06-20");
        call = made(passed_on[i].step, &plan, &arena);
        print_message("%s\n", plan_step_name(&plan, passed_on[i].step));
        assert_int_equal(call.method, METHOD_POST);
        assert_text(call.path, passed_on[i].path);
        assert_text(call.form, passed_on[i].sent);
        assert_text(call.idempotency_key, passed_on[i].key);
        assert_text(call.version, "2024-06-20");
        arena_free(&arena);
    }
}

/* An unknown item is looked for among its customer's items; a look may carry the caller's query. */
static void what_was_passed_on_is_looked_for(void **state)
{
    struct plan plan = whole_plan();
    struct arena arena;

    (void)state;
    plan.form = TEXT("");
    plan.act = ACT_INVOICEITEM;
    assert_text(made(STEP_LOOKUP, &plan, &arena).path,
                "/v1/invoiceitems?limit=25&customer=cus_5&created%5Bgte%5D=1735689600&starting_after=in_7");
    arena_free(&arena);
    plan.query = TEXT("expand[]=customer");
    assert_text(made(STEP_READ, &plan, &arena).path, "/v1/invoices/in_8?expand[]=customer");
    arena_free(&arena);
}

static void assert_same_text(struct text a, struct text b)
{
    assert_int_equal(a.at == NULL, b.at == NULL);
    assert_true(text_is(a, b));
}

static void same_plan_same_bytes(void **state)
{
    struct plan first = whole_plan(), second = whole_plan();

    (void)state;
    for (int step = 0; step < STEP_COUNT; step++) {
        struct arena arenas[2];
        struct call a, b;
        suit(&first, (enum step)step);
        suit(&second, (enum step)step);
        a = made((enum step)step, &first, &arenas[0]);
        b = made((enum step)step, &second, &arenas[1]);
        assert_same_text(a.path, b.path);
        assert_same_text(a.form, b.form);
        assert_same_text(a.idempotency_key, b.idempotency_key);
        arena_free(&arenas[0]);
        arena_free(&arenas[1]);
    }
}

static void every_text_ends_with_a_nul(void **state)
{
    struct plan plan = whole_plan();

    (void)state;
    for (int step = 0; step < STEP_COUNT; step++) {
        struct arena arena;
        struct call call;
        suit(&plan, (enum step)step);
        call = made((enum step)step, &plan, &arena);
        assert_int_equal(strlen(call.path.at), call.path.length);
        if (call.form.at)
            assert_int_equal(strlen(call.form.at), call.form.length);
        if (call.idempotency_key.at)
            assert_int_equal(strlen(call.idempotency_key.at), call.idempotency_key.length);
        arena_free(&arena);
    }
}

static void assert_form(enum step step, const struct plan *plan, const char *form)
{
    struct arena arena;
    assert_text(made(step, plan, &arena).form, form);
    arena_free(&arena);
}

static void assert_path(enum step step, const struct plan *plan, const char *path)
{
    struct arena arena;
    assert_text(made(step, plan, &arena).path, path);
    arena_free(&arena);
}

static void assert_key(enum step step, const struct plan *plan, const char *key)
{
    struct arena arena;
    assert_text(made(step, plan, &arena).idempotency_key, key);
    arena_free(&arena);
}

static void what_is_absent_is_not_sent(void **state)
{
    struct plan plan = whole_plan();

    (void)state;
    plan.customer_email = TEXT_NONE;
    assert_form(STEP_CUSTOMER, &plan, "name=Ada%20Lovelace&metadata[invoicegate_client]=cl_1");
    plan.customer_email = TEXT("");
    assert_form(STEP_CUSTOMER, &plan, "name=Ada%20Lovelace&email=&metadata[invoicegate_client]=cl_1");
    plan.customer_name = TEXT_NONE;
    assert_form(STEP_CUSTOMER, &plan, "email=&metadata[invoicegate_client]=cl_1");
    plan.list_cursor = TEXT_NONE;
    assert_path(STEP_LOOKUP, &plan, "/v1/invoices?limit=25&customer=cus_5&created%5Bgte%5D=1735689600");
}

static void due_days_go_with_send_invoice(void **state)
{
    static const struct {
        int32_t days;
        const char *method;
        const char *part;
    } table[] = {
        {-1, "charge_automatically", "collection_method=charge_automatically&auto_advance=false&"},
        {INT32_MIN, "charge_automatically", "collection_method=charge_automatically&auto_advance=false&"},
        {0, "send_invoice", "collection_method=send_invoice&days_until_due=0&auto_advance=false&"},
        {1, "send_invoice", "collection_method=send_invoice&days_until_due=1&auto_advance=false&"},
        {INT32_MAX, "send_invoice",
         "collection_method=send_invoice&days_until_due=2147483647&auto_advance=false&"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct plan plan = whole_plan();
        struct arena arena;
        plan.days_until_due = table[i].days;
        plan.collection_method = text_from(table[i].method);
        assert_non_null(strstr(made(STEP_INVOICE, &plan, &arena).form.at, table[i].part));
        arena_free(&arena);
    }
}

/* Whether it advances is decided later: an invoice always starts as a draft that waits. */
static void advancing_changes_nothing_before_its_step(void **state)
{
    struct plan plan = whole_plan();

    (void)state;
    plan.auto_advance = false;
    plan.amount_minor = -1;
    plan.days_until_due = 30;
    for (size_t i = 0; i < COUNT_OF(golden); i++) {
        suit(&plan, golden[i].step);
        if (golden[i].form)
            assert_form(golden[i].step, &plan, golden[i].form);
    }
}

static bool is_unreserved(int byte)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    return byte != 0 && strchr(unreserved, byte);
}

static void every_byte_is_encoded(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        struct plan plan = whole_plan();
        char raw = (char)(unsigned char)byte;
        char wanted[96];
        if (is_unreserved(byte))
            snprintf(wanted, sizeof(wanted), "name=%c&email=%c&metadata[invoicegate_client]=%c", byte, byte,
                     byte);
        else
            snprintf(wanted, sizeof(wanted), "name=%%%02X&email=%%%02X&metadata[invoicegate_client]=%%%02X",
                     (unsigned)byte, (unsigned)byte, (unsigned)byte);
        plan.customer_name = plan.customer_email = plan.client_id = (struct text){&raw, 1};
        assert_form(STEP_CUSTOMER, &plan, wanted);
    }
}

static void names_of_the_world_are_encoded(void **state)
{
    static const struct {
        const char *name;
        const char *encoded;
    } table[] = {
        {"a+b c", "a%2Bb%20c"},
        {"100%", "100%25"},
        {"%41", "%2541"},
        {"a=b&c=d", "a%3Db%26c%3Dd"},
        {"J\xc3\xbcrgen \xc3\x9f", "J%C3%BCrgen%20%C3%9F"},
        {"\xe5\xb1\xb1\xe7\x94\xb0", "%E5%B1%B1%E7%94%B0"},
        {"\xf0\x9f\x92\xb6", "%F0%9F%92%B6"},
        {"a\r\nb", "a%0D%0Ab"},
        {"O'Neil, \"Sons\" <x>", "O%27Neil%2C%20%22Sons%22%20%3Cx%3E"},
        {"a[0]", "a%5B0%5D"},
        {"~-._", "~-._"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct plan plan = whole_plan();
        char wanted[256];
        plan.customer_name = text_from(table[i].name);
        plan.customer_email = TEXT_NONE;
        snprintf(wanted, sizeof(wanted), "name=%s&metadata[invoicegate_client]=cl_1", table[i].encoded);
        assert_form(STEP_CUSTOMER, &plan, wanted);
    }
}

static void ids_cannot_leave_their_place_in_a_path(void **state)
{
    struct plan plan = whole_plan();

    (void)state;
    plan.product_id = TEXT("../a?b=c#d&e");
    plan.invoice_id = TEXT("in/../x y");
    plan.customer_id = TEXT("cus&limit=1");
    plan.list_cursor = TEXT("a&b");
    assert_path(STEP_PRODUCT, &plan, "/v1/products/..%2Fa%3Fb%3Dc%23d%26e?expand%5B%5D=default_price");
    assert_path(STEP_PRICES, &plan,
                "/v1/prices?product=..%2Fa%3Fb%3Dc%23d%26e&active=true&type=one_time&limit=2");
    assert_path(STEP_LINES, &plan, "/v1/invoices/in%2F..%2Fx%20y/add_lines");
    assert_path(STEP_ADVANCE, &plan, "/v1/invoices/in%2F..%2Fx%20y");
    assert_path(STEP_DELETE, &plan, "/v1/invoices/in%2F..%2Fx%20y");
    assert_path(
        STEP_LOOKUP, &plan,
        "/v1/invoices?limit=25&customer=cus%26limit%3D1&created%5Bgte%5D=1735689600&starting_after=a%26b");
}

static void another_generation_another_key(void **state)
{
    struct plan plan = whole_plan();

    (void)state;
    plan.generation = 12;
    assert_key(STEP_INVOICE, &plan, "invoicegate-" REQUEST "-invoice-12");
    assert_key(STEP_LINES, &plan, "invoicegate-" REQUEST "-lines-12");
    assert_key(STEP_ADVANCE, &plan, "invoicegate-" REQUEST "-advance-12");
    assert_key(STEP_CUSTOMER, &plan, "invoicegate-customer-" DIGEST_LIVE "-2");
    plan.customer_generation = 3;
    assert_key(STEP_CUSTOMER, &plan, "invoicegate-customer-" DIGEST_LIVE "-3");
    assert_key(STEP_INVOICE, &plan, "invoicegate-" REQUEST "-invoice-12");
}

/* Two first requests of one client make one customer; each makes an invoice of its own. */
static void a_customer_belongs_to_no_request(void **state)
{
    struct plan plan = whole_plan();

    (void)state;
    memset(plan.request_id, 0xff, UUID_BYTES);
    plan.product_id = TEXT("prod_other");
    plan.customer_id = TEXT_NONE;
    assert_key(STEP_CUSTOMER, &plan, "invoicegate-customer-" DIGEST_LIVE "-2");
    assert_form(STEP_CUSTOMER, &plan, golden[STEP_CUSTOMER].form);
    assert_key(STEP_INVOICE, &plan, "invoicegate-ffffffff-ffff-ffff-ffff-ffffffffffff-invoice-1");
}

static void each_client_has_a_customer_of_its_own(void **state)
{
    struct plan plans[6];
    struct call calls[COUNT_OF(plans)];
    struct arena arenas[COUNT_OF(plans)];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(plans); i++)
        plans[i] = whole_plan();
    plans[1].agency_id = 8;
    plans[2].client_id = TEXT("cl_2");
    plans[3].account_id = TEXT("acct_2");
    plans[4].mode = MODE_TEST;
    plans[5].customer_generation = 22;
    for (size_t i = 0; i < COUNT_OF(plans); i++)
        calls[i] = made(STEP_CUSTOMER, &plans[i], &arenas[i]);
    for (size_t i = 0; i < COUNT_OF(plans); i++)
        for (size_t k = 0; k < i; k++)
            assert_false(text_is(calls[i].idempotency_key, calls[k].idempotency_key));
    assert_text(calls[4].idempotency_key, "invoicegate-customer-" DIGEST_TEST "-2");
    assert_int_equal(calls[4].mode, MODE_TEST);
    for (size_t i = 0; i < COUNT_OF(plans); i++)
        arena_free(&arenas[i]);
}

/* The upstream takes at most 255 characters. */
static void keys_fit_the_upstream(void **state)
{
    struct plan plan = whole_plan();
    char long_id[255];

    (void)state;
    memset(long_id, 'x', sizeof(long_id));
    plan.generation = plan.customer_generation = INT32_MAX;
    plan.client_id = plan.account_id = (struct text){long_id, sizeof(long_id)};
    for (int step = 0; step < STEP_COUNT; step++) {
        struct arena arena;
        suit(&plan, (enum step)step);
        assert_true(made((enum step)step, &plan, &arena).idempotency_key.length <= 255);
        arena_free(&arena);
    }
}

/* Whatever the cap: the right bytes, or false. */
static void overflow_answers_false(void **state)
{
    struct plan plan = whole_plan();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(golden); i++) {
        int overflows = 0, successes = 0;
        suit(&plan, golden[i].step);
        for (size_t cap_bytes = 0; cap_bytes < 3000; cap_bytes += 1 + cap_bytes / 400) {
            struct arena arena;
            struct call call;
            arena_init(&arena, cap_bytes);
            if (call_make(golden[i].step, &plan, &arena, &call)) {
                successes++;
                assert_text(call.path, golden[i].path);
                assert_maybe(call.form, golden[i].form);
                assert_maybe(call.idempotency_key, golden[i].key);
            } else {
                overflows++;
                assert_int_equal(successes, 0); /* more room never hurts */
            }
            arena_free(&arena);
        }
        print_message("%s: %d overflows\n", step_name(golden[i].step), overflows);
        assert_true(overflows > 0 && successes > 0);
    }
}

static void an_overflowed_arena_makes_nothing(void **state)
{
    struct plan plan = whole_plan();

    (void)state;
    for (int step = 0; step < STEP_COUNT; step++) {
        struct arena arena;
        struct call call;
        arena_init(&arena, 64);
        suit(&plan, (enum step)step);
        assert_null(arena_alloc(&arena, 65));
        assert_false(call_make((enum step)step, &plan, &arena, &call));
        arena_free(&arena);
    }
}

static void steps_have_names(void **state)
{
    static const char *const names[STEP_COUNT] = {"product", "prices",  "customer", "invoice", "lines",
                                                  "lookup",  "advance", "delete",   "act",     "read"};

    (void)state;
    for (int step = 0; step < STEP_COUNT; step++) {
        assert_string_equal(step_name((enum step)step), names[step]);
        assert_int_equal(step_creates((enum step)step), golden[step].method != METHOD_GET);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recipe_one_never_changes),
        cmocka_unit_test(what_is_passed_on_never_changes_either),
        cmocka_unit_test(what_was_passed_on_is_looked_for),
        cmocka_unit_test(same_plan_same_bytes),
        cmocka_unit_test(every_text_ends_with_a_nul),
        cmocka_unit_test(what_is_absent_is_not_sent),
        cmocka_unit_test(due_days_go_with_send_invoice),
        cmocka_unit_test(advancing_changes_nothing_before_its_step),
        cmocka_unit_test(every_byte_is_encoded),
        cmocka_unit_test(names_of_the_world_are_encoded),
        cmocka_unit_test(ids_cannot_leave_their_place_in_a_path),
        cmocka_unit_test(another_generation_another_key),
        cmocka_unit_test(a_customer_belongs_to_no_request),
        cmocka_unit_test(each_client_has_a_customer_of_its_own),
        cmocka_unit_test(keys_fit_the_upstream),
        cmocka_unit_test(overflow_answers_false),
        cmocka_unit_test(an_overflowed_arena_makes_nothing),
        cmocka_unit_test(steps_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
