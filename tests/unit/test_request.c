#include "unit.h"

#include "front/request.h"

#define PATH "/v1/public/stripe/connect/accounts/acct_1/invoices"
#define KEY "igk_live_0123456789ABCDEFGHIJabcdefghij47pEPA"
#define TEST_KEY "igk_test_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz0QTAsK"
#define JSON "application/json"
#define BODY(members) "{\"data\":{" members "}}"
#define IDS "\"clientId\":\"c1\",\"productId\":\"p1\","
#define AUTO "\"collection_method\":\"charge_automatically\""
#define SEND "\"collection_method\":\"send_invoice\""
#define GOOD BODY(IDS SEND ",\"days_until_due\":30")
#define TEN "aaaaaaaaaa"
#define FIFTY TEN TEN TEN TEN TEN
#define LONGEST FIFTY FIFTY FIFTY FIFTY FIFTY "aaaaa"

/* A good request; rows change one thing. */
static const struct http_request good = {
    .method = TEXT("POST"),
    .uri = TEXT(PATH),
    .content_type = TEXT(JSON),
    .authorization = TEXT(KEY),
    .body = TEXT(GOOD),
};

/* Owns what it read until the next call. */
struct read {
    struct arena arena;
    struct request request;
};

static void read_http(struct read *read, const struct http_request *http)
{
    arena_init(&read->arena, 1 << 20);
    assert_true(request_read(http, TEXT("digest key"), &read->arena, &read->request));
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
    http.idempotency_key = TEXT("\"k 1\"");
    read_http(&read, &http);
    assert_int_equal(read.request.early.status, 0);
    assert_int_equal(read.request.body.status, 0);
    assert_int_equal(read.request.route, ROUTE_ACCOUNT_INVOICES);
    assert_text(read.request.account_id, "acct_1");
    assert_true(read.request.has_credential);
    assert_int_equal(read.request.mode, MODE_LIVE);
    assert_true(apikey_digest(TEXT("digest key"), TEXT(KEY), digest));
    assert_memory_equal(read.request.key_digest, digest, DIGEST_BYTES);
    assert_text(read.request.idempotency_key, "k 1");
    assert_text(read.request.client_id, "c1");
    assert_text(read.request.product_id, "p1");
    assert_int_equal(read.request.collection_method, COLLECT_BY_INVOICE);
    assert_int_equal(read.request.days_until_due, 30);
    done(&read);
}

static void keeps_no_view_of_what_arrived(void **state)
{
    char body[] = GOOD, uri[] = PATH, key[] = "abc";
    struct http_request http = good;
    struct read read;

    (void)state;
    http.body = text_from(body);
    http.uri = text_from(uri);
    http.idempotency_key = text_from(key);
    read_http(&read, &http);
    memset(body, 'x', sizeof body);
    memset(uri, 'x', sizeof uri);
    memset(key, 'x', sizeof key);
    assert_text(read.request.account_id, "acct_1");
    assert_text(read.request.client_id, "c1");
    assert_text(read.request.product_id, "p1");
    assert_text(read.request.idempotency_key, "abc");
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
        const char *reason;
    } table[] = {
        {METHOD, TEXT("GET"), 0, NULL},
        {METHOD, TEXT("DELETE"), 405, "method"},
        {URI, TEXT("/"), 404, "route"},
        {URI, TEXT(PATH "/"), 404, "route"},
        {URI, TEXT(PATH "?x=1"), 0, NULL},
        {TYPE, TEXT("text/plain"), 415, "content_type"},
        {TYPE, TEXT(""), 415, "content_type"},
        {TYPE, TEXT_NONE, 415, "content_type"},
        {TYPE, TEXT("application/x-www-form-urlencoded"), 415, "content_type"},
        {TYPE, TEXT("application/json; charset=latin1"), 415, "content_type"},
        {TYPE, TEXT("Application/JSON; charset=UTF-8"), 0, NULL},
        {AUTHORIZATION, TEXT_NONE, 401, "key_invalid"},
        {AUTHORIZATION, TEXT(""), 401, "key_invalid"},
        {AUTHORIZATION, TEXT("Bearer"), 401, "key_invalid"},
        {AUTHORIZATION, TEXT("Bearer "), 401, "key_invalid"},
        {AUTHORIZATION, TEXT("nonsense"), 401, "key_invalid"},
        {AUTHORIZATION, TEXT("Basic " KEY), 401, "key_invalid"},
        {AUTHORIZATION, TEXT(KEY "x"), 401, "key_invalid"},
        {AUTHORIZATION, TEXT(KEY " "), 401, "key_invalid"},
        {AUTHORIZATION, TEXT("igk_live_0123456789ABCDEFGHIJabcdefghij47pEPB"), 401, "key_invalid"},
        {AUTHORIZATION, TEXT("Bearer Bearer " KEY), 401, "key_invalid"},
        {AUTHORIZATION, TEXT("Bearer " KEY), 0, NULL},
        {AUTHORIZATION, TEXT("bEARER    " KEY), 0, NULL},
        {AUTHORIZATION, TEXT(TEST_KEY), 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct http_request http = good;
        struct text *fields[] = {&http.method, &http.uri, &http.content_type, &http.authorization};
        struct read read;
        *fields[table[i].change] = table[i].value;
        read_http(&read, &http);
        print_message("%d %.*s\n", table[i].change, (int)table[i].value.length, table[i].value.at);
        assert_int_equal(read.request.early.status, table[i].status);
        assert_int_equal(read.request.has_credential, table[i].status == 0);
        if (table[i].status != 0) {
            assert_string_equal(read.request.early.reason, table[i].reason);
            assert_true(read.request.early.message.length > 0);
        }
        if (table[i].status == 401)
            assert_text(read.request.early.message, REQUEST_KEY_MESSAGE);
        if (table[i].status == 405)
            assert_text(read.request.early.allow, "GET, POST");
        done(&read);
    }
}

static void the_key_says_the_mode(void **state)
{
    struct http_request http = good;
    struct read read;

    (void)state;
    http.authorization = TEXT("Bearer " TEST_KEY);
    read_http(&read, &http);
    assert_int_equal(read.request.mode, MODE_TEST);
    done(&read);
}

/* Everything is wrong at first; what is told first is put right next. */
static void refusals_come_in_order(void **state)
{
    static const int order[] = {404, 405, 413, 415, 401};
    struct http_request http = {.method = TEXT("PUT"), .uri = TEXT("/x"), .content_type = TEXT("text/plain")};
    struct read read;

    (void)state;
    http.body_too_large = true;
    http.idempotency_key_repeated = true;
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        read_http(&read, &http);
        assert_int_equal(read.request.early.status, order[i]);
        assert_int_equal(read.request.body.status, 0);
        done(&read);
        switch (order[i]) {
        case 404:
            http.uri = TEXT(PATH);
            break;
        case 405:
            http.method = TEXT("POST");
            break;
        case 413:
            http.body_too_large = false;
            break;
        case 415:
            http.content_type = TEXT(JSON);
            break;
        default:
            http.authorization = TEXT(KEY);
        }
    }
    read_http(&read, &http);
    assert_int_equal(read.request.early.status, 0);
    assert_int_equal(read.request.body.status, 400);
    done(&read);
}

static void a_missing_body_needs_no_type(void **state)
{
    struct http_request http = good;
    struct read read;

    (void)state;
    http.content_type = TEXT_NONE;
    http.body = TEXT("");
    read_http(&read, &http);
    assert_int_equal(read.request.early.status, 0);
    assert_int_equal(read.request.body.status, 400);
    done(&read);
}

/* ---- bodies */

static void bodies(void **state)
{
    static const struct {
        const char *body;
        const char *reason;  /* NULL: it is good */
        const char *message; /* NULL: not looked at */
    } table[] = {
        {GOOD, NULL, NULL},
        {BODY(IDS AUTO), NULL, NULL},
        {BODY(IDS SEND ",\"days_until_due\":0"), NULL, NULL},
        {BODY(IDS SEND ",\"days_until_due\":3650"), NULL, NULL},
        {BODY(IDS AUTO ",\"more\":[1,{\"a\":null}]"), NULL, NULL},
        {"{\"x\":1,\"data\":{" IDS AUTO "},\"y\":{\"data\":2}}", NULL, NULL},
        {" \n{ \"data\" : { " IDS AUTO " } }\t", NULL, NULL},
        {BODY("\"clientId\":\"64abc123def456789012345a\",\"productId\":\"prod_A.b:c-d\"," AUTO), NULL, NULL},
        {BODY("\"clientId\":\"" LONGEST "\",\"productId\":\"a@b~(c)\"," AUTO), NULL, NULL},
        {BODY("\"clientId\":\"c\\u0031\",\"productId\":\"p1\"," AUTO), NULL, NULL},

        {"", "body_invalid", "The body is empty: a JSON object is expected."},
        {"{", "body_invalid", NULL},
        {"x", "body_invalid", NULL},
        {GOOD "x", "body_invalid", NULL},
        {"data=1&clientId=2", "body_invalid", NULL},
        {"[]", "body_invalid", "The body must be a JSON object."},
        {"\"data\"", "body_invalid", "The body must be a JSON object."},
        {"1", "body_invalid", "The body must be a JSON object."},
        {"null", "body_invalid", NULL},
        {"{}", "body_invalid", "The body must have a member data."},
        {"{" IDS AUTO "}", "body_invalid", "The body must have a member data."},
        {"{\"Data\":{}}", "body_invalid", "The body must have a member data."},
        {"{\"data\":null}", "body_invalid", "data must be an object."},
        {"{\"data\":[]}", "body_invalid", "data must be an object."},
        {"{\"data\":\"{}\"}", "body_invalid", "data must be an object."},
        {"{\"data\":{},\"data\":{" IDS AUTO "}}", "body_invalid", NULL},
        {BODY(IDS AUTO ",\"clientId\":\"c2\""), "body_invalid", NULL},
        {BODY(IDS AUTO ",\"client\\u0049d\":\"c2\""), "body_invalid", NULL},

        {BODY(""), "client_id", "data.clientId is required."},
        {BODY("\"productId\":\"p1\"," AUTO), "client_id", "data.clientId is required."},
        {BODY("\"clientid\":\"c1\",\"productId\":\"p1\"," AUTO), "client_id", "data.clientId is required."},
        {BODY("\"clientId\":\"\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":null,\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":1,\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":[\"c1\"],\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"a b\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"a/b\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"a\\\\b\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"a%2fb\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"a?b\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"a#b\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"a\\nb\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"a\\u007f\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"caf\\u00e9\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\".\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"..\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"a" LONGEST "\",\"productId\":\"p1\"," AUTO), "client_id", NULL},
        {BODY("\"clientId\":\"c1\"," AUTO), "product_id", "data.productId is required."},
        {BODY("\"clientId\":\"c1\",\"productId\":true," AUTO), "product_id",
         "data.productId must be a string of 1 to 255 letters, digits and characters such as _ - . :."},
        {BODY("\"clientId\":\"c1\",\"productId\":\"../customers\"," AUTO), "product_id", NULL},

        {BODY("\"clientId\":\"c1\",\"productId\":\"p1\""), "collection_method",
         "data.collection_method is required."},
        {BODY(IDS "\"collection_method\":\"\""), "collection_method",
         "data.collection_method must be \"charge_automatically\" or \"send_invoice\"."},
        {BODY(IDS "\"collection_method\":\"Send_Invoice\""), "collection_method", NULL},
        {BODY(IDS "\"collection_method\":\"send_invoice \""), "collection_method", NULL},
        {BODY(IDS "\"collection_method\":null"), "collection_method", NULL},
        {BODY(IDS "\"collection_method\":1"), "collection_method", NULL},

        {BODY(IDS SEND), "days_until_due",
         "data.days_until_due is required with collection_method send_invoice."},
        {BODY(IDS AUTO ",\"days_until_due\":30"), "days_until_due",
         "data.days_until_due is only allowed with collection_method send_invoice."},
        {BODY(IDS AUTO ",\"days_until_due\":0"), "days_until_due",
         "data.days_until_due is only allowed with collection_method send_invoice."},
        {BODY(IDS SEND ",\"days_until_due\":30.0"), "days_until_due",
         "data.days_until_due must be an integer from 0 to 3650."},
        {BODY(IDS SEND ",\"days_until_due\":3e1"), "days_until_due", NULL},
        {BODY(IDS SEND ",\"days_until_due\":\"30\""), "days_until_due", NULL},
        {BODY(IDS SEND ",\"days_until_due\":true"), "days_until_due", NULL},
        {BODY(IDS SEND ",\"days_until_due\":null"), "days_until_due", NULL},
        {BODY(IDS AUTO ",\"days_until_due\":null"), "days_until_due", NULL},
        {BODY(IDS SEND ",\"days_until_due\":[30]"), "days_until_due", NULL},
        {BODY(IDS SEND ",\"days_until_due\":-1"), "days_until_due", NULL},
        {BODY(IDS SEND ",\"days_until_due\":3651"), "days_until_due", NULL},
        {BODY(IDS SEND ",\"days_until_due\":4294967326"), "days_until_due", NULL},
        {BODY(IDS SEND ",\"days_until_due\":18446744073709551646"), "days_until_due", NULL},
        {BODY(IDS SEND ",\"days_until_due\":-99999999999999999999"), "days_until_due", NULL},
        {BODY(IDS SEND ",\"days_until_due\":NaN"), "body_invalid", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct http_request http = good;
        struct read read;
        http.body = text_from(table[i].body);
        read_http(&read, &http);
        print_message("%.70s: %.*s\n", table[i].body, (int)read.request.body.message.length,
                      read.request.body.message.at ? read.request.body.message.at : "");
        assert_int_equal(read.request.early.status, 0);
        assert_int_equal(read.request.body.status, table[i].reason ? 400 : 0);
        if (table[i].reason)
            assert_string_equal(read.request.body.reason, table[i].reason);
        if (table[i].message)
            assert_text(read.request.body.message, table[i].message);
        done(&read);
    }
}

static void a_cut_body_is_told(void **state)
{
    struct http_request http = good;
    struct read read;

    (void)state;
    http.body_cut = true;
    read_http(&read, &http);
    assert_int_equal(read.request.body.status, 400);
    assert_string_equal(read.request.body.reason, "body_cut");
    done(&read);
}

static void what_was_good_is_kept_for_the_audit(void **state)
{
    struct http_request http = good;
    struct read read;

    (void)state;
    http.body = TEXT(BODY("\"clientId\":\"c1\",\"productId\":7,\"collection_method\":\"no\""));
    read_http(&read, &http);
    assert_text(read.request.client_id, "c1");
    assert_null(read.request.product_id.at);
    assert_string_equal(read.request.body.reason, "product_id");
    assert_int_equal(read.request.days_until_due, DAYS_UNTIL_DUE_NONE);
    done(&read);
}

/* ---- idempotency keys */

static void idempotency_keys(void **state)
{
    static const struct {
        struct text header;
        bool repeated;
        const char *key; /* NULL: none */
        int status;
    } table[] = {
        {TEXT_NONE, false, NULL, 0},
        {TEXT("abc"), false, "abc", 0},
        {TEXT("\"abc\""), false, "abc", 0},
        {TEXT(LONGEST), false, LONGEST, 0},
        {TEXT(""), false, NULL, 400},
        {TEXT("\"\""), false, NULL, 400},
        {TEXT(LONGEST "a"), false, NULL, 400},
        {TEXT("a,b"), false, NULL, 400},
        {TEXT("caf\xc3\xa9"), false, NULL, 400},
        {TEXT("abc"), true, NULL, 400},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct http_request http = good;
        struct read read;
        http.idempotency_key = table[i].header;
        http.idempotency_key_repeated = table[i].repeated;
        read_http(&read, &http);
        assert_int_equal(read.request.early.status, 0);
        assert_int_equal(read.request.body.status, table[i].status);
        if (table[i].key)
            assert_text(read.request.idempotency_key, table[i].key);
        else
            assert_null(read.request.idempotency_key.at);
        if (table[i].status)
            assert_string_equal(read.request.body.reason, "idempotency_key");
        done(&read);
    }
}

/* ---- fingerprints */

static void fingerprint(const char *uri, const char *body, uint8_t digest[DIGEST_BYTES])
{
    struct http_request http = good;
    struct read read;

    http.uri = text_from(uri);
    http.body = text_from(body);
    read_http(&read, &http);
    assert_int_equal(read.request.early.status, 0);
    assert_int_equal(read.request.body.status, 0);
    memcpy(digest, read.request.fingerprint, DIGEST_BYTES);
    done(&read);
}

static void fingerprints_are_of_the_meaning(void **state)
{
    static const struct {
        const char *uri;
        const char *body;
        bool same;
    } table[] = {
        {PATH, GOOD, true},
        {PATH "?x", GOOD, true},
        {PATH,
         " {\"data\": {\"days_until_due\" :30," SEND ",\"productId\":\"p1\",\"clientId\":\"c\\u0031\"}}",
         true},
        {PATH, BODY(IDS SEND ",\"days_until_due\":30,\"unknown\":1"), true},
        {PATH, BODY(IDS SEND ",\"days_until_due\":31"), false},
        {PATH, BODY(IDS AUTO), false},
        {PATH, BODY("\"clientId\":\"c2\",\"productId\":\"p1\"," SEND ",\"days_until_due\":30"), false},
        {PATH, BODY("\"clientId\":\"c1\",\"productId\":\"p2\"," SEND ",\"days_until_due\":30"), false},
        {PATH, BODY("\"clientId\":\"p1\",\"productId\":\"c1\"," SEND ",\"days_until_due\":30"), false},
        {"/v1/public/stripe/connect/accounts/acct_2/invoices", GOOD, false},
    };
    uint8_t first[DIGEST_BYTES], other[DIGEST_BYTES];

    (void)state;
    fingerprint(PATH, GOOD, first);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        print_message("%s\n", table[i].body);
        fingerprint(table[i].uri, table[i].body, other);
        assert_int_equal(memcmp(first, other, DIGEST_BYTES) == 0, table[i].same);
    }
}

static void fingerprints_are_not_moved_by_where_parts_end(void **state)
{
    uint8_t a[DIGEST_BYTES], b[DIGEST_BYTES];

    (void)state;
    fingerprint(PATH, BODY("\"clientId\":\"a\",\"productId\":\"b,c\"," AUTO), a);
    fingerprint(PATH, BODY("\"clientId\":\"a,b\",\"productId\":\"c\"," AUTO), b);
    assert_memory_not_equal(a, b, DIGEST_BYTES);
}

/* Requests outlive upgrades: the same request must have the same fingerprint in every version. */
static void a_fingerprint_stays(void **state)
{
    uint8_t digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES + 1];

    (void)state;
    fingerprint(PATH, GOOD, digest);
    digest_hex(digest, DIGEST_BYTES, hex);
    assert_string_equal(hex, "b812fbca225b21c8114c1f96e7cee5fa6ff5e739af5f7c315b350d0827e518f7");
}

static void no_memory_is_told(void **state)
{
    struct arena arena;
    struct request request;

    (void)state;
    for (size_t cap_bytes = 0; cap_bytes < 300; cap_bytes += 8) {
        arena_init(&arena, cap_bytes);
        if (request_read(&good, TEXT("digest key"), &arena, &request))
            assert_int_equal(request.body.status, 0);
        else
            assert_true(arena_overflowed(&arena));
        arena_free(&arena);
    }
}

static void methods_have_names(void **state)
{
    (void)state;
    assert_string_equal(collection_method_name(COLLECT_AUTOMATICALLY), "charge_automatically");
    assert_string_equal(collection_method_name(COLLECT_BY_INVOICE), "send_invoice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_of_a_good_request),
        cmocka_unit_test(keeps_no_view_of_what_arrived),
        cmocka_unit_test(early_refusals),
        cmocka_unit_test(the_key_says_the_mode),
        cmocka_unit_test(refusals_come_in_order),
        cmocka_unit_test(a_missing_body_needs_no_type),
        cmocka_unit_test(bodies),
        cmocka_unit_test(a_cut_body_is_told),
        cmocka_unit_test(what_was_good_is_kept_for_the_audit),
        cmocka_unit_test(idempotency_keys),
        cmocka_unit_test(fingerprints_are_of_the_meaning),
        cmocka_unit_test(fingerprints_are_not_moved_by_where_parts_end),
        cmocka_unit_test(a_fingerprint_stays),
        cmocka_unit_test(no_memory_is_told),
        cmocka_unit_test(methods_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
