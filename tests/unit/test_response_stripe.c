#include "unit.h"

#include <json-c/json.h>

#include "front/json.h"
#include "front/response_stripe.h"

struct fixture {
    struct arena arena;
};

static int set_up(void **state)
{
    static struct fixture fixture;

    arena_init(&fixture.arena, 8 << 20);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    arena_free(&f->arena);
    return 0;
}

/* ---- errors of our own */

static void statuses_have_their_kind(void **state)
{
    static const struct {
        int status, sent;
        const char *body;
    } table[] = {
        {400, 400, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}"},
        {401, 401, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}"},
        {402, 402, "{\"error\":{\"type\":\"card_error\",\"message\":\"m\"}}"},
        {403, 403, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}"},
        {404, 404,
         "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"resource_missing\",\"message\":\"m\"}}"},
        {405, 405, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}"},
        {409, 409,
         "{\"error\":{\"type\":\"idempotency_error\",\"code\":\"idempotency_key_in_use\",\"message\":\"m\"}"
         "}"},
        {413, 413, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}"},
        {415, 415, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}"},
        {422, 400, "{\"error\":{\"type\":\"idempotency_error\",\"message\":\"m\"}}"},
        {429, 429,
         "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"rate_limit\",\"message\":\"m\"}}"},
        {500, 500, "{\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}"},
        {502, 502, "{\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}"},
        {503, 503, "{\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}"},
        {504, 504, "{\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct stripe_error error = response_stripe_error_of(table[i].status, TEXT("m"));
        print_message("%d\n", table[i].status);
        assert_int_equal(error.status, table[i].sent);
        assert_text(response_stripe_error(&f->arena, &error), table[i].body);
    }
}

static void errors_are_written_whole_and_escaped(void **state)
{
    struct stripe_error error = {.status = 400,
                                 .type = TEXT("card_error"),
                                 .code = TEXT("c"),
                                 .decline_code = TEXT("d"),
                                 .doc_url = TEXT("u"),
                                 .message = TEXT("a \"b\"\n"),
                                 .param = TEXT("metadata[a\\b]")};
    struct fixture *f = *state;

    assert_text(response_stripe_error(&f->arena, &error),
                "{\"error\":{\"type\":\"card_error\",\"code\":\"c\",\"decline_code\":\"d\",\"doc_url\":\"u\","
                "\"message\":\"a \\\"b\\\"\\n\",\"param\":\"metadata[a\\\\b]\"}}");
}

static void refusals_name_their_parameter(void **state)
{
    static const struct {
        struct refusal refusal;
        const char *body;
    } table[] = {
        {{.status = 400,
          .message = TEXT("customer is required."),
          .code = "parameter_missing",
          .param = TEXT("customer")},
         "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"parameter_missing\","
         "\"message\":\"customer is required.\",\"param\":\"customer\"}}"},
        {{.status = 404, .message = TEXT("There is nothing at this address.")},
         "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"There is nothing at this "
         "address.\"}}"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_text(response_stripe_refusal(&f->arena, &table[i].refusal), table[i].body);
}

/* ---- errors of the upstream */

#define INVALID "{\"error\":{\"type\":\"invalid_request_error\","
#define OURS "\"message\":\"The payment provider refused the request.\""
#define DOC "\"doc_url\":\"https://stripe.com/docs/error-codes/resource-missing\""

static void upstream_errors_lose_what_is_not_the_callers(void **state)
{
    static const struct {
        int status;
        const char *body;
        const char *told; /* NULL: of no use */
    } table[] = {
        {400,
         "{\"error\":{\"code\":\"resource_missing\"," DOC ",\"message\":\"No such customer: 'cus_1'\","
         "\"param\":\"customer\",\"request_log_url\":\"https://dashboard.stripe.com/acct_op/logs/req_1\","
         "\"type\":\"invalid_request_error\"}}",
         INVALID "\"code\":\"resource_missing\"," DOC ",\"message\":\"No such customer: 'cus_1'\","
                 "\"param\":\"customer\"}}"},
        {402,
         "{\"error\":{\"type\":\"card_error\",\"code\":\"card_declined\",\"decline_code\":\"lost_card\","
         "\"message\":\"No.\",\"charge\":\"ch_1\",\"payment_intent\":{\"id\":\"pi_1\"}}}",
         "{\"error\":{\"type\":\"card_error\",\"code\":\"card_declined\",\"decline_code\":\"lost_card\","
         "\"message\":\"No.\"}}"},
        {400, INVALID "\"message\":\"Account acct_own is fine.\"}}",
         INVALID "\"message\":\"Account acct_own is fine.\"}}"},
        {400, INVALID "\"message\":\"Account acct_operator is not.\"}}", INVALID OURS "}}"},
        {400, INVALID "\"message\":\"acct_own acct_ownx\"}}", INVALID OURS "}}"},
        {400, INVALID "\"message\":\"The key sk_live_abc is odd\"}}", INVALID OURS "}}"},
        {400, INVALID "\"message\":\"The key 'rk_test_abc' is odd\"}}", INVALID OURS "}}"},
        {400, INVALID "\"message\":\"Application ca_123 is odd\"}}", INVALID OURS "}}"},
        {400, INVALID "\"message\":\"See https://dashboard.stripe.com/x\"}}", INVALID OURS "}}"},
        {400, INVALID "\"message\":\"No metadata invoicegate_request\"}}", INVALID OURS "}}"},
        {400, INVALID "\"message\":\"A task_list, africa_x and risk_1 are\"}}",
         INVALID "\"message\":\"A task_list, africa_x and risk_1 are\"}}"},
        {400, INVALID "\"message\":\"m\",\"param\":\"metadata[invoicegate_client]\"}}",
         INVALID "\"message\":\"m\"}}"},
        {400, INVALID "\"message\":\"m\",\"doc_url\":\"https://evil.example/\"}}",
         INVALID "\"message\":\"m\"}}"},
        {400, INVALID "\"message\":\"m\",\"code\":\"a b\"}}", INVALID "\"message\":\"m\"}}"},
        {400, INVALID "\"message\":\"m\",\"code\":7,\"param\":null}}", INVALID "\"message\":\"m\"}}"},
        {400, INVALID "\"message\":\"a\\u0007b\"}}", INVALID OURS "}}"},
        {400, INVALID "\"message\":\"\"}}", INVALID OURS "}}"},
        {400, "{\"error\":{}}", INVALID OURS "}}"},
        {402, "{\"error\":{\"type\":\"odd_error\"}}", "{\"error\":{\"type\":\"card_error\"," OURS "}}"},
        {404, "{\"error\":{\"type\":null,\"message\":\"m\"}}", INVALID "\"message\":\"m\"}}"},
        {400, "{\"error\":{\"type\":\"idempotency_error\",\"message\":\"m\"}}",
         "{\"error\":{\"type\":\"idempotency_error\",\"message\":\"m\"}}"},
        {400, "{\"error\":\"m\"}", NULL},
        {400, "{\"error\":null}", NULL},
        {400, "{}", NULL},
        {400, "[]", NULL},
        {400, "null", NULL},
        {400, "", NULL},
        {400, "<html>", NULL},
        {400, INVALID, NULL},
        {400, INVALID "\"message\":\"\xff\"}}", NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct stripe_error error;
        bool good = response_stripe_upstream_error(&f->arena, table[i].status, text_from(table[i].body),
                                                   TEXT("acct_own"), &error);
        print_message("%s\n", table[i].body);
        assert_int_equal(good, table[i].told != NULL);
        assert_int_equal(error.status, table[i].status);
        if (good)
            assert_text(response_stripe_error(&f->arena, &error), table[i].told);
    }
}

static void without_an_account_none_is_told(void **state)
{
    struct fixture *f = *state;
    struct stripe_error error;

    assert_true(response_stripe_upstream_error(
        &f->arena, 400, TEXT("{\"error\":{\"message\":\"acct_operator\"}}"), TEXT_NONE, &error));
    assert_text(error.message, "The payment provider refused the request.");
}

static void long_messages_are_replaced(void **state)
{
    struct fixture *f = *state;
    struct builder body;
    struct stripe_error error;

    builder_init(&body, &f->arena, 64);
    builder_add(&body, TEXT("{\"error\":{\"message\":\""));
    for (int i = 0; i < 1001; i++)
        builder_add_char(&body, 'x');
    builder_add(&body, TEXT("\"}}"));
    assert_true(
        response_stripe_upstream_error(&f->arena, 400, builder_text(&body), TEXT("acct_own"), &error));
    assert_text(error.message, "The payment provider refused the request.");
}

/* ---- objects */

#define US "\"invoicegate_request\":\"r\""
#define US_TOO "\"invoicegate_client\" : {\"a\":[1,\"}\"]}"

static void our_metadata_is_cut_out(void **state)
{
    static const struct {
        const char *object;
        const char *left; /* NULL: absent */
    } table[] = {
        {"{}", "{}"},
        {" {} \n", " {} \n"},
        {"{\"metadata\":{}}", "{\"metadata\":{}}"},
        {"{\"metadata\": { } }", "{\"metadata\": { } }"},
        {"{\"metadata\":null}", "{\"metadata\":null}"},
        {"{\"metadata\":["
         "\"invoicegate_request\""
         "]}",
         "{\"metadata\":[\"invoicegate_request\"]}"},
        {"{\"metadata\":\"invoicegate_request\"}", "{\"metadata\":\"invoicegate_request\"}"},
        {"{\"metadata\":{" US "}}", "{\"metadata\":{}}"},
        {"{\"metadata\" :\n{ " US " , " US_TOO "\n} ,\"b\":1}", "{\"metadata\" :\n{} ,\"b\":1}"},
        {"{\"metadata\":{" US ",\"a\":\"1\"}}", "{\"metadata\":{\"a\":\"1\"}}"},
        {"{\"metadata\":{\"a\":\"1\"," US "}}", "{\"metadata\":{\"a\":\"1\"}}"},
        {"{\"metadata\":{\"a\":\"1\"," US ",\"b\":\"2\"," US_TOO ",\"c\":\"3\"}}",
         "{\"metadata\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}}"},
        {"{\"metadata\":{" US "," US_TOO ",\"c\":\"3\"}}", "{\"metadata\":{\"c\":\"3\"}}"},
        {"{\"metadata\":{\"c\":\"3\"," US "," US_TOO "}}", "{\"metadata\":{\"c\":\"3\"}}"},
        {"{\n  \"id\": \"in_1\",\n  \"metadata\": {\n    " US ",\n    \"order\": \"7\",\n    " US_TOO
         "\n  },\n  \"number\": null\n}\n",
         "{\n  \"id\": \"in_1\",\n  \"metadata\": {\n    \"order\": \"7\"\n  },\n  \"number\": null\n}\n"},
        {"{\n  \"metadata\": {\n    \"order\": \"7\",\n    " US "\n  }\n}",
         "{\n  \"metadata\": {\n    \"order\": \"7\"\n  }\n}"},
        {"{\"metadata\":{\"Invoicegate_request\":\"r\",\"invoicegate\":1,\"xinvoicegate_\":2}}",
         "{\"metadata\":{\"Invoicegate_request\":\"r\",\"invoicegate\":1,\"xinvoicegate_\":2}}"},
        {"{\"metadata\":{\"invoicegate_\":\"r\"}}", "{\"metadata\":{}}"},
        {"{\"metadata\":{\"\\u0069nvoicegate\\u005Frequest\":\"r\"}}", "{\"metadata\":{}}"},
        {"{\"met\\u0061data\":{" US "}}", "{\"met\\u0061data\":{}}"},
        {"{\"metadata\":{\"\\u20acinvoicegate_\":\"r\",\"\\\"\":1,\"\\u0169nvoicegate_\":2}}",
         "{\"metadata\":{\"\\u20acinvoicegate_\":\"r\",\"\\\"\":1,\"\\u0169nvoicegate_\":2}}"},
        {"{\"invoicegate_request\":\"r\",\"a\":{" US "}}", "{\"invoicegate_request\":\"r\",\"a\":{" US "}}"},
        {"{\"metadatax\":{" US "},\"xmetadata\":{" US "},\"metadat\":{" US "}}",
         "{\"metadatax\":{" US "},\"xmetadata\":{" US "},\"metadat\":{" US "}}"},
        {"{\"customer\":{\"metadata\":{" US "}},\"lines\":{\"data\":[{\"metadata\":{\"a\":1," US "}},{"
         "\"metadata\":{" US_TOO "}}]},\"metadata\":{" US "}}",
         "{\"customer\":{\"metadata\":{}},\"lines\":{\"data\":[{\"metadata\":{\"a\":1}},{\"metadata\":{}}]},"
         "\"metadata\":{}}"},
        {"{\"description\":\"\\\"metadata\\\":{"
         "\\\"invoicegate_request\\\":1}\",\"a\":[\"metadata\",{\"b\":2}]}",
         "{\"description\":\"\\\"metadata\\\":{\\\"invoicegate_request\\\":1}\",\"a\":[\"metadata\",{\"b\":2}"
         "]}"},
        {"{\"a\":1.0e+5,\"b\":-0,\"c\":\"\\u00e9\xc3\xa9\\/\",\"d\":[ ],\"metadata\":{" US
         "},\"a\":12345678901234567890}",
         "{\"a\":1.0e+5,\"b\":-0,\"c\":\"\\u00e9\xc3\xa9\\/\",\"d\":[ "
         "],\"metadata\":{},\"a\":12345678901234567890}"},
        {"", NULL},
        {"[]", NULL},
        {"[{\"metadata\":{}}]", NULL},
        {"null", NULL},
        {"\"metadata\"", NULL},
        {"{", NULL},
        {"{\"metadata\":{" US "}", NULL},
        {"{\"metadata\":{" US ",}}", NULL},
        {"{\"metadata\":{" US "}}x", NULL},
        {"{\"metadata\":{\"invoicegate_request\"}}", NULL},
        {"{\"metadata\":{\"a\":\"\xff\"}}", NULL},
        {"{\"metadata\":{\"a\":\"\n\"}}", NULL},
        {"{'metadata':{}}", NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct text left = response_stripe_object(&f->arena, text_from(table[i].object));
        print_message("%s\n", table[i].object);
        if (table[i].left)
            assert_text(left, table[i].left);
        else
            assert_null(left.at);
    }
}

/* So deep an object is no invoice. */
static void levels_are_limited(void **state)
{
    struct fixture *f = *state;

    for (int levels = 60; levels < 70; levels++) {
        struct builder object;
        builder_init(&object, &f->arena, 64);
        builder_add(&object, TEXT("{\"a\":"));
        for (int i = 1; i < levels; i++)
            builder_add_char(&object, '[');
        for (int i = 1; i < levels; i++)
            builder_add_char(&object, ']');
        builder_add_char(&object, '}');
        assert_int_equal(response_stripe_object(&f->arena, builder_text(&object)).at != NULL, levels <= 64);
    }
}

/* Every cut and every changed byte: nothing, or an object again. */
static void damaged_objects_stay_valid_or_are_none(void **state)
{
    static const char whole[] =
        "{\"metadata\": {\"a\":\"1\", " US ",\n" US_TOO ", \"\\u0069\":[]},\"b\":[{\"metadata\":{" US "}}]}";
    static const char odd[] = "\"\\{}[],:u0m \n\xc3";
    size_t good = 0;

    (void)state;
    for (size_t length = sizeof whole - 1; length > 0; length = length > 30 ? length - 7 : length - 1)
        for (size_t i = 0; i < length; i++)
            for (size_t c = 0; c < sizeof odd; c++) {
                char *copy = malloc(length); /* of its own size, so that reading on is noticed */
                struct arena arena;
                struct text left;
                assert_non_null(copy);
                memcpy(copy, whole, length);
                copy[i] = odd[c];
                arena_init(&arena, 1 << 16);
                left = response_stripe_object(&arena, (struct text){copy, length});
                if (left.at) {
                    assert_true(json_is_valid(left, 64));
                    good++;
                }
                arena_free(&arena);
                free(copy);
            }
    assert_true(good > 100);
}

static void no_memory_is_told(void **state)
{
    static const char object[] = "{\"metadata\":{" US ",\"a\":\"1\"},\"b\":\"c\"}";

    (void)state;
    for (size_t cap_bytes = 0; cap_bytes < 256; cap_bytes++) {
        struct arena arena;
        struct stripe_error error;
        struct text left;
        arena_init(&arena, cap_bytes);
        left = response_stripe_object(&arena, TEXT(object));
        assert_int_equal(left.at == NULL, arena_overflowed(&arena));
        arena_free(&arena);
        arena_init(&arena, cap_bytes);
        if (!response_stripe_upstream_error(
                &arena, 400, TEXT("{\"error\":{\"code\":\"c\",\"message\":\"m\",\"param\":\"p\"}}"),
                TEXT_NONE, &error))
            assert_true(arena_overflowed(&arena));
        arena_free(&arena);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(statuses_have_their_kind),
        TEST(errors_are_written_whole_and_escaped),
        TEST(refusals_name_their_parameter),
        TEST(upstream_errors_lose_what_is_not_the_callers),
        TEST(without_an_account_none_is_told),
        TEST(long_messages_are_replaced),
        TEST(our_metadata_is_cut_out),
        TEST(levels_are_limited),
        TEST(damaged_objects_stay_valid_or_are_none),
        TEST(no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
