#include "unit.h"

#include "front/request.h"

#define KEY "igk_live_0123456789ABCDEFGHIJabcdefghij47pEPA"
#define BASIC "Basic aWdrX2xpdmVfMDEyMzQ1Njc4OUFCQ0RFRkdISUphYmNkZWZnaGlqNDdwRVBBOg=="
#define BASIC_WITH_PASSWORD "Basic aWdrX2xpdmVfMDEyMzQ1Njc4OUFCQ0RFRkdISUphYmNkZWZnaGlqNDdwRVBBOng="
#define BASIC_WITHOUT_COLON "Basic aWdrX2xpdmVfMDEyMzQ1Njc4OUFCQ0RFRkdISUphYmNkZWZnaGlqNDdwRVBB"
#define FORM "application/x-www-form-urlencoded"
#define JSON_PATH "/v1/public/stripe/connect/accounts/acct_1/invoices"
#define C "customer=cus_1"
#define TEN "aaaaaaaaaa"
#define FIFTY TEN TEN TEN TEN TEN
#define LONGEST FIFTY FIFTY FIFTY FIFTY FIFTY "aaaaa"
#define FIVE_HUNDRED FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY

/* A good request; rows change one thing. */
static const struct http_request good = {
    .method = TEXT("POST"),
    .uri = TEXT("/v1/invoices"),
    .content_type = TEXT(FORM),
    .authorization = TEXT(BASIC),
    .body = TEXT(C),
};

static const struct request_rules usual = {.pass_through = true};
static const struct request_rules strict = {.pass_through = false};
static const struct request_rules lax = {.pass_through = true, .pass_through_money = true};

/* Owns what it read until done(). */
struct read {
    struct arena arena;
    struct request request;
};

static void read_by(struct read *read, const struct request_rules *rules, const struct http_request *http)
{
    arena_init(&read->arena, 2 << 20);
    assert_true(request_read_by(rules, http, TEXT("digest key"), &read->arena, &read->request));
}

static void read_body(struct read *read, const struct request_rules *rules, struct text body)
{
    struct http_request http = good;

    http.body = body;
    read_by(read, rules, &http);
}

static void done(struct read *read)
{
    arena_free(&read->arena);
}

static void reads_all_of_a_good_request(void **state)
{
    struct http_request http = good;
    struct read read;
    uint8_t digest[DIGEST_BYTES];

    (void)state;
    http.idempotency_key = TEXT("k, 1");
    http.stripe_account = TEXT("acct_7");
    http.stripe_version = TEXT("2025-03-31.basil");
    http.body = TEXT("customer=cus_123456789&description=Invoice for August subscription&auto_advance=true&"
                     "metadata[order]=7&collection_method=send_invoice&days_until_due=030");
    read_by(&read, &usual, &http);
    assert_int_equal(read.request.early.status, 0);
    assert_int_equal(read.request.body.status, 0);
    assert_int_equal(read.request.route, ROUTE_INVOICES);
    assert_int_equal(read.request.shape, SHAPE_STRIPE);
    assert_true(read.request.has_credential);
    assert_int_equal(read.request.mode, MODE_LIVE);
    assert_true(apikey_digest(TEXT("digest key"), TEXT(KEY), digest));
    assert_memory_equal(read.request.key_digest, digest, DIGEST_BYTES);
    assert_true(read.request.has_stripe_account);
    assert_text(read.request.account_id, "acct_7");
    assert_text(read.request.api_version, "2025-03-31.basil");
    assert_text(read.request.idempotency_key, "k, 1");
    assert_text(read.request.customer_id, "cus_123456789");
    assert_text(read.request.description, "Invoice for August subscription");
    assert_int_equal(read.request.auto_advance, 1);
    assert_int_equal(read.request.collection_method, COLLECT_BY_INVOICE);
    assert_int_equal(read.request.days_until_due, 30);
    assert_text(read.request.form,
                "customer=cus_123456789&description=Invoice%20for%20August%20subscription&auto_advance=true&"
                "metadata[order]=7&collection_method=send_invoice&days_until_due=30");
    assert_null(read.request.client_id.at);
    done(&read);
}

static void what_is_absent_stays_so(void **state)
{
    struct read read;

    (void)state;
    read_by(&read, &usual, &good);
    assert_int_equal(read.request.body.status, 0);
    assert_false(read.request.has_stripe_account);
    assert_null(read.request.account_id.at);
    assert_null(read.request.invoice_id.at);
    assert_null(read.request.api_version.at);
    assert_null(read.request.idempotency_key.at);
    assert_null(read.request.description.at);
    assert_int_equal(read.request.auto_advance, AUTO_ADVANCE_NONE);
    assert_int_equal(read.request.collection_method, COLLECT_AUTOMATICALLY);
    assert_int_equal(read.request.days_until_due, DAYS_UNTIL_DUE_NONE);
    assert_text(read.request.form, "customer=cus_1");
    done(&read);
}

static void keeps_no_view_of_what_arrived(void **state)
{
    char body[] = "customer=cus_1&description=d&x=y", account[] = "acct_1", version[] = "2024-06-20";
    struct http_request http = good;
    struct read read;

    (void)state;
    http.body = text_from(body);
    http.stripe_account = text_from(account);
    http.stripe_version = text_from(version);
    read_by(&read, &usual, &http);
    memset(body, 'x', sizeof body);
    memset(account, 'x', sizeof account);
    memset(version, 'x', sizeof version);
    assert_text(read.request.customer_id, "cus_1");
    assert_text(read.request.description, "d");
    assert_text(read.request.account_id, "acct_1");
    assert_text(read.request.api_version, "2024-06-20");
    assert_text(read.request.form, "customer=cus_1&description=d&x=y");
    done(&read);
}

/* ---- what is told without asking the database */

enum change { METHOD, URI, TYPE, AUTHORIZATION };

static void early_refusals(void **state)
{
    static const struct {
        enum change change;
        struct text value;
        int status;
        enum shape shape;
    } table[] = {
        {URI, TEXT("/v1/invoices?x=1"), 0, SHAPE_STRIPE},
        {URI, TEXT("/v1/invoices/"), 404, SHAPE_STRIPE},
        {URI, TEXT("/v1/charges"), 404, SHAPE_STRIPE},
        {URI, TEXT("/v1/public/x"), 404, SHAPE_PLAIN},
        {METHOD, TEXT("DELETE"), 405, SHAPE_STRIPE},
        {TYPE, TEXT("application/json"), 415, SHAPE_STRIPE},
        {TYPE, TEXT("multipart/form-data; boundary=x"), 415, SHAPE_STRIPE},
        {TYPE, TEXT("text/plain"), 415, SHAPE_STRIPE},
        {TYPE, TEXT(""), 415, SHAPE_STRIPE},
        {TYPE, TEXT_NONE, 415, SHAPE_STRIPE},
        {TYPE, TEXT(FORM "; charset=latin1"), 415, SHAPE_STRIPE},
        {TYPE, TEXT(FORM "; charset=utf-8"), 0, SHAPE_STRIPE},
        {URI, TEXT(JSON_PATH), 415, SHAPE_PLAIN}, /* a form for the JSON interface */
        {AUTHORIZATION, TEXT(KEY), 0, SHAPE_STRIPE},
        {AUTHORIZATION, TEXT("Bearer " KEY), 0, SHAPE_STRIPE},
        {AUTHORIZATION, TEXT_NONE, 401, SHAPE_STRIPE},
        {AUTHORIZATION, TEXT(""), 401, SHAPE_STRIPE},
        {AUTHORIZATION, TEXT("Basic " KEY), 401, SHAPE_STRIPE},
        {AUTHORIZATION, TEXT("Basic"), 401, SHAPE_STRIPE},
        {AUTHORIZATION, TEXT(BASIC "="), 401, SHAPE_STRIPE},
        {AUTHORIZATION, TEXT(BASIC_WITH_PASSWORD), 401, SHAPE_STRIPE},
        {AUTHORIZATION, TEXT(BASIC_WITHOUT_COLON), 401, SHAPE_STRIPE},
        {AUTHORIZATION, TEXT("Bearer " BASIC), 401, SHAPE_STRIPE},
        {AUTHORIZATION, TEXT("Basic c2tfdGVzdF8xMjM0NTo="), 401, SHAPE_STRIPE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct http_request http = good;
        struct text *fields[] = {&http.method, &http.uri, &http.content_type, &http.authorization};
        struct read read;
        *fields[table[i].change] = table[i].value;
        read_by(&read, &usual, &http);
        print_message("%d %.*s\n", table[i].change, (int)table[i].value.length,
                      table[i].value.at ? table[i].value.at : "");
        assert_int_equal(read.request.early.status, table[i].status);
        assert_int_equal(read.request.shape, table[i].shape);
        assert_int_equal(read.request.has_credential, table[i].status == 0);
        if (table[i].status == 401)
            assert_text(read.request.early.message, REQUEST_KEY_MESSAGE);
        if (table[i].status == 405)
            assert_text(read.request.early.allow, "GET, POST");
        if (table[i].status)
            assert_true(read.request.early.message.length > 0);
        done(&read);
    }
}

static void basic_is_for_this_interface_alone(void **state)
{
    struct http_request http = good;
    struct read read;

    (void)state;
    http.uri = TEXT(JSON_PATH);
    http.content_type = TEXT("application/json");
    read_by(&read, &usual, &http);
    assert_int_equal(read.request.early.status, 401);
    done(&read);
}

/* ---- bodies */

#define ID_RULE " must be a string of 1 to 255 letters, digits and characters such as _ - . :."
#define EMPTY "parameter_invalid_empty"
#define MISSING "parameter_missing"
#define INTEGER "parameter_invalid_integer"
#define RESERVED " is reserved: names that begin with invoicegate_ are the gateway's own."

static void bodies(void **state)
{
    static const struct {
        struct text body;
        const char *form;                  /* NULL: refused */
        const char *reason, *code, *param; /* NULL: none */
        const char *message;               /* NULL: not looked at */
    } table[] = {
        {TEXT(C), "customer=cus_1", NULL, NULL, NULL, NULL},
        {TEXT("customer=cus%5F1"), "customer=cus_1", NULL, NULL, NULL, NULL},
        {TEXT("customer=" LONGEST), "customer=" LONGEST, NULL, NULL, NULL, NULL},
        {TEXT("description=x&" C), "description=x&customer=cus_1", NULL, NULL, NULL, NULL},
        {TEXT(C "&description="), "customer=cus_1&description=", NULL, NULL, NULL, NULL},
        {TEXT(C "&description=a+b%0Ac%E2%82%AC"), "customer=cus_1&description=a%20b%0Ac%E2%82%AC", NULL, NULL,
         NULL, NULL},
        {TEXT(C "&description=" FIVE_HUNDRED FIVE_HUNDRED FIVE_HUNDRED),
         "customer=cus_1&description=" FIVE_HUNDRED FIVE_HUNDRED FIVE_HUNDRED, NULL, NULL, NULL, NULL},
        {TEXT(C "&auto_advance=false"), "customer=cus_1&auto_advance=false", NULL, NULL, NULL, NULL},
        {TEXT(C "&collection_method=charge_automatically"),
         "customer=cus_1&collection_method=charge_automatically", NULL, NULL, NULL, NULL},
        {TEXT("days_until_due=0&collection_method=send_invoice&" C),
         "days_until_due=0&collection_method=send_invoice&customer=cus_1", NULL, NULL, NULL, NULL},
        {TEXT(C "&collection_method=send_invoice&days_until_due=003650"),
         "customer=cus_1&collection_method=send_invoice&days_until_due=3650", NULL, NULL, NULL, NULL},
        {TEXT(C "&metadata[a]=1&metadata[b c]="), "customer=cus_1&metadata[a]=1&metadata[b%20c]=", NULL, NULL,
         NULL, NULL},
        {TEXT(C "&metadata="), "customer=cus_1", NULL, NULL, NULL, NULL},
        {TEXT("metadata&" C), "customer=cus_1", NULL, NULL, NULL, NULL},
        {TEXT(C "&metadata[aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd]=" FIVE_HUNDRED),
         "customer=cus_1&metadata[aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd]=" FIVE_HUNDRED, NULL, NULL, NULL,
         NULL},
        {TEXT(C "&metadata[\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac]=x"),
         "customer=cus_1&metadata[%E2%82%AC%E2%82%AC%E2%82%AC%E2%82%AC]=x", NULL, NULL, NULL, NULL},
        {TEXT(C "&metadata[Invoicegate_x]=x"), "customer=cus_1&metadata[Invoicegate_x]=x", NULL, NULL, NULL,
         NULL},
        {TEXT(C "&currency=usd&footer=f&custom_fields[0][name]=n&expand[]=customer&expand[]=lines"),
         "customer=cus_1&currency=usd&footer=f&custom_fields[0][name]=n&expand[]=customer&expand[]=lines",
         NULL, NULL, NULL, NULL},
        {TEXT(C "&pending_invoice_items_behavior=include"),
         "customer=cus_1&pending_invoice_items_behavior=include", NULL, NULL, NULL, NULL},

        {TEXT(""), NULL, "customer", MISSING, "customer", "customer is required."},
        {TEXT("description=x"), NULL, "customer", MISSING, "customer", "customer is required."},
        {TEXT("custmer=cus_1"), NULL, "customer", MISSING, "customer", "customer is required."},
        {TEXT("Customer=cus_1"), NULL, "parameter_unknown", "parameter_unknown", "Customer",
         "Customer is not a parameter of this call."},
        {TEXT("customer"), NULL, "customer", EMPTY, "customer", "customer" ID_RULE},
        {TEXT("customer="), NULL, "customer", EMPTY, "customer", "customer" ID_RULE},
        {TEXT("customer=a b"), NULL, "customer", NULL, "customer", "customer" ID_RULE},
        {TEXT("customer=cus_1\n"), NULL, "customer", NULL, "customer", NULL},
        {TEXT("customer=../x"), NULL, "customer", NULL, "customer", NULL},
        {TEXT("customer=.."), NULL, "customer", NULL, "customer", NULL},
        {TEXT("customer=a" LONGEST), NULL, "customer", NULL, "customer", NULL},
        {TEXT("customer[]=cus_1"), NULL, "customer", NULL, "customer[]",
         "customer[] must not have brackets."},
        {TEXT("customer[id]=cus_1"), NULL, "customer", NULL, "customer[id]", NULL},
        {TEXT(C "&" C), NULL, "body_invalid", NULL, "customer", "customer is given more than once."},
        {TEXT(C "&customer[id]=x"), NULL, "body_invalid", NULL, "customer[id]", NULL},
        {TEXT(C "&x=%zz"), NULL, "body_invalid", NULL, "x", NULL},
        {TEXT(C "&description=%00"), NULL, "body_invalid", NULL, "description", NULL},
        {TEXT(C "&description=%ff"), NULL, "body_invalid", NULL, "description",
         "description is not valid UTF-8."},
        {TEXT("{\"customer\":\"cus_1\"}"), NULL, "body_invalid", NULL, NULL,
         "The body looks like JSON: form-encoded parameters are expected."},
        {TEXT("\"customer\""), NULL, "parameter_unknown", "parameter_unknown", "\"customer\"", NULL},
        {TEXT(C "&description=" FIVE_HUNDRED FIVE_HUNDRED FIVE_HUNDRED "a"), NULL, "description", NULL,
         "description", "description must have at most 1500 bytes."},
        {TEXT(C "&description[]=x"), NULL, "description", NULL, "description[]", NULL},
        {TEXT(C "&auto_advance="), NULL, "auto_advance", EMPTY, "auto_advance",
         "auto_advance must be true or false."},
        {TEXT(C "&auto_advance=1"), NULL, "auto_advance", NULL, "auto_advance", NULL},
        {TEXT(C "&auto_advance=True"), NULL, "auto_advance", NULL, "auto_advance", NULL},
        {TEXT(C "&auto_advance=true+"), NULL, "auto_advance", NULL, "auto_advance", NULL},
        {TEXT(C "&auto_advance=yes"), NULL, "auto_advance", NULL, "auto_advance", NULL},
        {TEXT(C "&auto_advance[]=true"), NULL, "auto_advance", NULL, "auto_advance[]", NULL},
        {TEXT(C "&collection_method="), NULL, "collection_method", EMPTY, "collection_method",
         "collection_method must be \"charge_automatically\" or \"send_invoice\"."},
        {TEXT(C "&collection_method=Send_invoice"), NULL, "collection_method", NULL, "collection_method",
         NULL},
        {TEXT(C "&collection_method=bad&days_until_due=3"), NULL, "collection_method", NULL,
         "collection_method", NULL},
        {TEXT(C "&collection_method=send_invoice"), NULL, "days_until_due", MISSING, "days_until_due",
         "days_until_due is required with collection_method send_invoice."},
        {TEXT(C "&days_until_due=30"), NULL, "days_until_due", NULL, "days_until_due",
         "days_until_due is only allowed with collection_method send_invoice."},
        {TEXT(C "&collection_method=charge_automatically&days_until_due=0"), NULL, "days_until_due", NULL,
         "days_until_due", NULL},
#define SEND C "&collection_method=send_invoice&days_until_due"
        {TEXT(SEND "="), NULL, "days_until_due", EMPTY, "days_until_due",
         "days_until_due must be an integer from 0 to 3650."},
        {TEXT(SEND "=-1"), NULL, "days_until_due", INTEGER, "days_until_due", NULL},
        {TEXT(SEND "=3651"), NULL, "days_until_due", INTEGER, "days_until_due", NULL},
        {TEXT(SEND "=30.0"), NULL, "days_until_due", INTEGER, "days_until_due", NULL},
        {TEXT(SEND "=+30"), NULL, "days_until_due", INTEGER, "days_until_due", NULL},
        {TEXT(SEND "=0x1e"), NULL, "days_until_due", INTEGER, "days_until_due", NULL},
        {TEXT(SEND "=3e1"), NULL, "days_until_due", INTEGER, "days_until_due", NULL},
        {TEXT(SEND "=18446744073709551646"), NULL, "days_until_due", INTEGER, "days_until_due", NULL},
        {TEXT(SEND "=%2B30"), NULL, "days_until_due", INTEGER, "days_until_due", NULL},
        {TEXT(SEND "[]=30"), NULL, "days_until_due", NULL, "days_until_due[]", NULL},
        {TEXT(C "&metadata=x"), NULL, "metadata", NULL, "metadata",
         "metadata must be of the form metadata[key]=value."},
        {TEXT(C "&metadata[]=x"), NULL, "metadata", NULL, "metadata[]", NULL},
        {TEXT(C "&metadata[a][b]=x"), NULL, "metadata", NULL, "metadata[a][b]", NULL},
        {TEXT(C "&metadata[a][]=x"), NULL, "metadata", NULL, "metadata[a][]", NULL},
        {TEXT(C "&metadata[a%5Bb]=x"), NULL, "body_invalid", NULL, "metadata[a[b]", NULL},
        {TEXT(C "&metadata[a]=x&metadata[a]=y"), NULL, "body_invalid", NULL, "metadata[a]", NULL},
        {TEXT(C "&metadata=&metadata[a]=y"), NULL, "body_invalid", NULL, "metadata[a]", NULL},
        {TEXT(C "&metadata[aaaaaaaaaabbbbbbbbbbccccccccccddddddddddd]=x"), NULL, "metadata", NULL,
         "metadata[aaaaaaaaaabbbbbbbbbbccccccccccddddddddddd]", NULL},
        {TEXT(C "&metadata[a]=" FIVE_HUNDRED "a"), NULL, "metadata", NULL, "metadata[a]",
         "metadata[a] must have at most 500 characters."},
        {TEXT(C "&metadata[invoicegate_request]=x"), NULL, "name_reserved", NULL,
         "metadata[invoicegate_request]", "metadata[invoicegate_request]" RESERVED},
        {TEXT(C "&metadata[invoicegate_]=x"), NULL, "name_reserved", NULL, "metadata[invoicegate_]", NULL},
        {TEXT(C "&metadata[%69nvoicegate_client]=x"), NULL, "name_reserved", NULL,
         "metadata[invoicegate_client]", NULL},
        {TEXT(C "&subscription_data[metadata][invoicegate_client]=x"), NULL, "name_reserved", NULL,
         "subscription_data[metadata][invoicegate_client]", NULL},
        {TEXT(C "&invoicegate_x=x"), NULL, "name_reserved", NULL, "invoicegate_x", NULL},
        {TEXT(C "&_method=delete"), NULL, "parameter_unknown", "parameter_unknown", "_method", NULL},
        {TEXT(C "&a b=1"), NULL, "parameter_unknown", "parameter_unknown", "a b", NULL},
        {TEXT(C "&a.b=1"), NULL, "parameter_unknown", "parameter_unknown", "a.b", NULL},
        {TEXT(C "&9=1"), NULL, "parameter_unknown", "parameter_unknown", "9", NULL},
        {TEXT(C "&application_fee_amount=1"), NULL, "parameter_money", "parameter_unknown",
         "application_fee_amount",
         "application_fee_amount may reach beyond this agency: the operator of this gateway has not allowed "
         "it."},
        {TEXT(C "&from_invoice[invoice]=in_2"), NULL, "parameter_money", "parameter_unknown",
         "from_invoice[invoice]", NULL},
        {TEXT(C "&transfer_data[destination]=acct_2"), NULL, "parameter_money", "parameter_unknown",
         "transfer_data[destination]", NULL},
        {TEXT(C "&transfer_data=x"), NULL, "parameter_money", "parameter_unknown", "transfer_data", NULL},
        {TEXT(C "&on_behalf_of=acct_2"), NULL, "parameter_money", "parameter_unknown", "on_behalf_of", NULL},
        {TEXT(C "&issuer[type]=account"), NULL, "parameter_money", "parameter_unknown", "issuer[type]", NULL},
        {TEXT(C "&automatic_tax[liability][type]=self"), NULL, "parameter_money", "parameter_unknown",
         "automatic_tax[liability][type]", NULL},
        {TEXT(C "&%69ssuer[type]=account"), NULL, "parameter_money", "parameter_unknown", "issuer[type]",
         NULL},
        {TEXT("custmer=1&auto_advance=9"), NULL, "auto_advance", NULL, "auto_advance", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct read read;
        read_body(&read, &usual, table[i].body);
        const struct refusal *refusal = &read.request.body;
        print_message("%.*s: %.*s\n", (int)table[i].body.length, table[i].body.at,
                      (int)refusal->message.length, refusal->message.at ? refusal->message.at : "");
        assert_int_equal(read.request.early.status, 0);
        assert_int_equal(refusal->status, table[i].form ? 0 : 400);
        if (table[i].form)
            assert_text(read.request.form, table[i].form);
        else
            assert_string_equal(refusal->reason, table[i].reason);
        assert_int_equal(refusal->code != NULL, table[i].code != NULL);
        if (table[i].code)
            assert_string_equal(refusal->code, table[i].code);
        if (table[i].param)
            assert_text(refusal->param, table[i].param);
        else
            assert_null(refusal->param.at);
        if (table[i].message)
            assert_text(refusal->message, table[i].message);
        done(&read);
    }
}

static void rules_say_what_passes(void **state)
{
    static const struct {
        const struct request_rules *rules;
        const char *more;
        const char *reason; /* NULL: it passes */
    } table[] = {
        {&usual, "&currency=usd", NULL},
        {&strict, "&currency=usd", "parameter_unknown"},
        {&strict, "&expand[]=lines", "parameter_unknown"},
        {&strict, "&metadata[a]=1", NULL},
        {&strict, "&description=x", NULL},
        {&strict, "&issuer[type]=self", "parameter_money"},
        {&lax, "&automatic_tax[liability][type]=self&automatic_tax[enabled]=true", NULL},
        {&lax, "&issuer[type]=self&application_fee_amount=1&transfer_data[destination]=a&on_behalf_of=b",
         NULL},
        {&lax, "&Issuer[type]=self", "parameter_unknown"},
        {&lax, "&metadata[invoicegate_request]=self", "name_reserved"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char body[256];
        struct read read;
        snprintf(body, sizeof body, "%s%s", C, table[i].more);
        print_message("%s\n", body);
        read_body(&read, table[i].rules, text_from(body));
        assert_int_equal(read.request.body.status, table[i].reason ? 400 : 0);
        if (table[i].reason)
            assert_string_equal(read.request.body.reason, table[i].reason);
        else
            assert_text(read.request.form, body);
        done(&read);
    }
}

/* customer and so many keys of metadata, or so many parameters of any kind. */
static struct text many(struct arena *arena, const char *before, int count, const char *after)
{
    struct builder out;

    builder_init(&out, arena, 64);
    builder_add(&out, TEXT(C));
    for (int i = 0; i < count; i++) {
        builder_add(&out, text_from(before));
        builder_add_int64(&out, i);
        builder_add(&out, text_from(after));
    }
    return builder_text(&out);
}

static void numbers_are_limited(void **state)
{
    static const struct {
        const char *before, *after;
        int count;
        const char *message; /* NULL: good */
    } table[] = {
        {"&metadata[k", "]=v", 47, NULL},
        {"&metadata[k", "]=v", 48, "metadata must have at most 47 keys."},
        {"&metadata[k", "]=v", 499, "metadata must have at most 47 keys."},
        {"&x", "=v", 499, NULL},
        {"&x", "=v", 500, "There are more than 500 parameters."},
        {"&x", "=v", 10000, "There are more than 500 parameters."},
    };
    struct arena arena;

    (void)state;
    arena_init(&arena, 4 << 20);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct read read;
        read_body(&read, &usual, many(&arena, table[i].before, table[i].count, table[i].after));
        assert_int_equal(read.request.body.status, table[i].message ? 400 : 0);
        if (table[i].message)
            assert_text(read.request.body.message, table[i].message);
        done(&read);
    }
    arena_free(&arena);
}

/* What escaping makes of a form must have room. */
static void the_largest_body_has_room(void **state)
{
    static char body[65536];
    struct read read;

    (void)state;
    memset(body, '\x01', sizeof body);
    memcpy(body, C "&x=", sizeof C + 2);
    read_body(&read, &usual, (struct text){body, sizeof body});
    assert_int_equal(read.request.body.status, 0);
    assert_true(read.request.form.length > 3 * (sizeof body - 20));
    done(&read);
}

static void a_cut_body_is_told(void **state)
{
    struct http_request http = good;
    struct read read;

    (void)state;
    http.body_cut = true;
    read_by(&read, &usual, &http);
    assert_int_equal(read.request.body.status, 400);
    assert_string_equal(read.request.body.reason, "body_cut");
    done(&read);
}

static void what_was_good_is_kept_for_the_audit(void **state)
{
    struct read read;

    (void)state;
    read_body(&read, &usual, TEXT("auto_advance=no&description=d&customer=cus_9&collection_method=x"));
    assert_string_equal(read.request.body.reason, "auto_advance");
    assert_text(read.request.customer_id, "cus_9");
    assert_text(read.request.description, "d");
    done(&read);
}

/* ---- headers */

static void headers(void **state)
{
    static const struct {
        struct text key, account, version;
        bool key_twice, account_twice;
        const char *reason; /* NULL: good */
    } table[] = {
        {TEXT("k"), TEXT("acct_1"), TEXT("2024-06-20"), false, false, NULL},
        {TEXT("\"k\""), TEXT_NONE, TEXT_NONE, false, false, NULL},
        {TEXT(LONGEST), TEXT(LONGEST), TEXT_NONE, false, false, NULL},
        {TEXT(""), TEXT_NONE, TEXT_NONE, false, false, "idempotency_key"},
        {TEXT(LONGEST "a"), TEXT_NONE, TEXT_NONE, false, false, "idempotency_key"},
        {TEXT("\"k"), TEXT_NONE, TEXT_NONE, false, false, "idempotency_key"},
        {TEXT("k"), TEXT_NONE, TEXT_NONE, true, false, "idempotency_key"},
        {TEXT_NONE, TEXT(""), TEXT_NONE, false, false, "stripe_account"},
        {TEXT_NONE, TEXT("acct 1"), TEXT_NONE, false, false, "stripe_account"},
        {TEXT_NONE, TEXT("acct_1, acct_2"), TEXT_NONE, false, false, "stripe_account"},
        {TEXT_NONE, TEXT("../x"), TEXT_NONE, false, false, "stripe_account"},
        {TEXT_NONE, TEXT(LONGEST "a"), TEXT_NONE, false, false, "stripe_account"},
        {TEXT_NONE, TEXT("acct_1"), TEXT_NONE, false, true, "stripe_account"},
        {TEXT_NONE, TEXT_NONE, TEXT(""), false, false, "stripe_version"},
        {TEXT_NONE, TEXT_NONE, TEXT("latest"), false, false, "stripe_version"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct http_request http = good;
        struct read read;
        http.idempotency_key = table[i].key;
        http.stripe_account = table[i].account;
        http.stripe_version = table[i].version;
        http.idempotency_key_repeated = table[i].key_twice;
        http.stripe_account_repeated = table[i].account_twice;
        read_by(&read, &usual, &http);
        print_message("%zu\n", i);
        assert_int_equal(read.request.early.status, 0);
        assert_int_equal(read.request.body.status, table[i].reason ? 400 : 0);
        if (table[i].reason)
            assert_string_equal(read.request.body.reason, table[i].reason);
        assert_int_equal(read.request.has_stripe_account, read.request.account_id.at != NULL);
        done(&read);
    }
}

/* ---- the other calls */

static void other_calls_have_parameters_of_their_own(void **state)
{
    static const struct {
        const char *method, *uri, *body;
        enum route route;
        const char *reason; /* NULL: good */
    } table[] = {
        {"POST", "/v1/invoices/in_1", "description=x&metadata[a]=&metadata_x=1", ROUTE_INVOICE_UPDATE, NULL},
        {"POST", "/v1/invoices/in_1", "", ROUTE_INVOICE_UPDATE, NULL},
        {"POST", "/v1/invoices/in_1/finalize", "auto_advance=false", ROUTE_INVOICE_FINALIZE, NULL},
        {"POST", "/v1/invoices/in_1/void", "", ROUTE_INVOICE_VOID, NULL},
        {"POST", "/v1/invoiceitems", C "&amount=100&currency=usd", ROUTE_INVOICEITEMS, NULL},
        {"POST", "/v1/invoices/in_1", "metadata[invoicegate_client]=", ROUTE_INVOICE_UPDATE, "name_reserved"},
        {"POST", "/v1/invoices/in_1", "metadata[]=", ROUTE_INVOICE_UPDATE, "metadata"},
        {"POST", "/v1/invoices/in_1", "metadata=", ROUTE_INVOICE_UPDATE, "metadata"},
        {"POST", "/v1/invoices/in_1", "on_behalf_of=x", ROUTE_INVOICE_UPDATE, "parameter_money"},
        {"POST", "/v1/invoices/in_1", "a=%", ROUTE_INVOICE_UPDATE, "body_invalid"},
        {"GET", "/v1/invoices/in_1", "", ROUTE_INVOICE_GET, NULL},
        {"GET", "/v1/invoices?limit=3", "", ROUTE_INVOICES_LIST, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct http_request http = good;
        struct read read;
        http.method = text_from(table[i].method);
        http.uri = text_from(table[i].uri);
        http.body = text_from(table[i].body);
        print_message("%s %s\n", table[i].uri, table[i].body);
        read_by(&read, &strict, &http);
        assert_int_equal(read.request.early.status, 0);
        assert_int_equal(read.request.route, table[i].route);
        assert_int_equal(read.request.body.status, table[i].reason ? 400 : 0);
        if (table[i].reason)
            assert_string_equal(read.request.body.reason, table[i].reason);
        if (strstr(table[i].uri, "in_1"))
            assert_text(read.request.invoice_id, "in_1");
        done(&read);
    }
}

/* ---- fingerprints */

static void fingerprint(const struct http_request *http, uint8_t digest[DIGEST_BYTES])
{
    struct read read;

    read_by(&read, &lax, http);
    assert_int_equal(read.request.early.status, 0);
    assert_int_equal(read.request.body.status, 0);
    memcpy(digest, read.request.fingerprint, DIGEST_BYTES);
    done(&read);
}

static void fingerprints_are_of_the_meaning(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } table[] = {
        {C "&x=1&y=2", "y=2&" C "&x=1", true},
        {C "&description=a+b", C "&description=%61%20b", true},
        {C "&metadata[a]=1&metadata[b]=2", C "&metadata%5Bb%5D=2&metadata[a]=1", true},
        {C "&metadata=", C, true},
        {C "&collection_method=send_invoice&days_until_due=7",
         C "&collection_method=send_invoice&days_until_due=07", true},
        {C "&x[0][a]=1&x[0][b]=2", C "&x[0][b]=2&x[0][a]=1", true},
        {C "&expand[]=a&x=1&expand[]=b", C "&x=1&expand[]=a&expand[]=b", true},
        {C "&expand[]=a&expand[]=b", C "&expand[]=b&expand[]=a", false},
        {C "&i[][a]=1&i[][b]=2&i[][a]=3", C "&i[][a]=1&i[][a]=3&i[][b]=2", false},
        {C, "customer=cus_2", false},
        {C, C "&description=", false},
        {C "&x=1", C "&x=2", false},
        {C "&x=1", C "&y=1", false},
        {C "&x=1&y=", C "&x=&y=1", false},
        {C "&x=1+1:y", C "&x=1&y=1", false},
        {C "&metadata[a]=1", C "&metadata[a]=1&metadata[b]=", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct http_request a = good, b = good;
        uint8_t one[DIGEST_BYTES], other[DIGEST_BYTES];
        a.body = text_from(table[i].a);
        b.body = text_from(table[i].b);
        fingerprint(&a, one);
        fingerprint(&b, other);
        print_message("%s | %s\n", table[i].a, table[i].b);
        assert_int_equal(memcmp(one, other, DIGEST_BYTES) == 0, table[i].same);
    }
}

static void fingerprints_are_of_account_and_address(void **state)
{
    static const struct {
        struct text uri, account;
    } table[] = {
        {TEXT("/v1/invoices"), TEXT_NONE},      {TEXT("/v1/invoices"), TEXT("-")},
        {TEXT("/v1/invoices"), TEXT("acct_1")}, {TEXT("/v1/invoiceitems"), TEXT_NONE},
        {TEXT("/v1/invoices/in_1"), TEXT_NONE}, {TEXT("/v1/invoices/in_2"), TEXT_NONE},
    };
    uint8_t digests[COUNT_OF(table)][DIGEST_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct http_request http = good;
        http.uri = table[i].uri;
        http.stripe_account = table[i].account;
        fingerprint(&http, digests[i]);
        for (size_t other = 0; other < i; other++)
            assert_memory_not_equal(digests[i], digests[other], DIGEST_BYTES);
    }
}

/* Requests outlive upgrades: the same request must have the same fingerprint in every version. */
static void a_fingerprint_stays(void **state)
{
    struct http_request http = good;
    uint8_t digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES + 1];

    (void)state;
    http.body = TEXT(C "&description=a b&metadata[k]=v&expand[]=lines");
    http.stripe_account = TEXT("acct_1");
    fingerprint(&http, digest);
    digest_hex(digest, DIGEST_BYTES, hex);
    assert_string_equal(hex, "9405f2c0ac74a0ad3710fc0e628b115f5fc597b3be281dd0d0538e6ac2c13473");
}

static void no_memory_is_told(void **state)
{
    struct http_request http = good;
    struct arena arena;
    struct request request;
    size_t read = 0;

    (void)state;
    http.body = TEXT(C "&description=a b&metadata[k]=v&collection_method=send_invoice&days_until_due=7");
    http.stripe_account = TEXT("acct_1");
    http.idempotency_key = TEXT("k");
    for (size_t cap_bytes = 0; cap_bytes < 8000; cap_bytes += 8) {
        arena_init(&arena, cap_bytes);
        if (request_read_by(&usual, &http, TEXT("digest key"), &arena, &request)) {
            assert_int_equal(request.body.status, 0);
            read++;
        } else {
            assert_true(arena_overflowed(&arena));
        }
        arena_free(&arena);
    }
    assert_true(read > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_of_a_good_request),
        cmocka_unit_test(what_is_absent_stays_so),
        cmocka_unit_test(keeps_no_view_of_what_arrived),
        cmocka_unit_test(early_refusals),
        cmocka_unit_test(basic_is_for_this_interface_alone),
        cmocka_unit_test(bodies),
        cmocka_unit_test(rules_say_what_passes),
        cmocka_unit_test(numbers_are_limited),
        cmocka_unit_test(the_largest_body_has_room),
        cmocka_unit_test(a_cut_body_is_told),
        cmocka_unit_test(what_was_good_is_kept_for_the_audit),
        cmocka_unit_test(headers),
        cmocka_unit_test(other_calls_have_parameters_of_their_own),
        cmocka_unit_test(fingerprints_are_of_the_meaning),
        cmocka_unit_test(fingerprints_are_of_account_and_address),
        cmocka_unit_test(a_fingerprint_stays),
        cmocka_unit_test(no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
