#include "unit.h"

#include "front/route.h"

#define BASE "/v1/public/stripe/connect/accounts/"
#define TEN "aaaaaaaaaa"
#define FIFTY TEN TEN TEN TEN TEN
#define TWO_HUNDRED_FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY

static void matches_one_spelling(void **state)
{
    static const struct {
        const char *method;
        const char *uri;
        enum route route;
        const char *account; /* NULL: absent */
        const char *allow;
    } table[] = {
        {"POST", BASE "acct_1Abc-9/invoices", ROUTE_ACCOUNT_INVOICES, "acct_1Abc-9", NULL},
        {"POST", BASE "a/invoices", ROUTE_ACCOUNT_INVOICES, "a", NULL},
        {"POST", BASE "a/invoices?x=1", ROUTE_ACCOUNT_INVOICES, "a", NULL},
        {"POST", BASE "a/invoices?", ROUTE_ACCOUNT_INVOICES, "a", NULL},
        {"POST", BASE "a/invoices?a=/b?c", ROUTE_ACCOUNT_INVOICES, "a", NULL},
        {"POST", BASE "invoices/invoices", ROUTE_ACCOUNT_INVOICES, "invoices", NULL},
        {"POST", BASE TWO_HUNDRED_FIFTY "aaaaa/invoices", ROUTE_ACCOUNT_INVOICES, TWO_HUNDRED_FIFTY "aaaaa",
         NULL},
        {"GET", BASE "a/invoices", ROUTE_ACCOUNT_INVOICES_LIST, "a", NULL},
        {"post", BASE "a/invoices", ROUTE_NONE, NULL, "GET, POST"},
        {"PUT", BASE "a/invoices?x", ROUTE_NONE, NULL, "GET, POST"},
        {"", BASE "a/invoices", ROUTE_NONE, NULL, "GET, POST"},
        {"OPTIONS", BASE "a/invoices", ROUTE_NONE, NULL, "GET, POST"},
        {"POST", BASE TWO_HUNDRED_FIFTY "aaaaaa/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", "", ROUTE_NONE, NULL, NULL},
        {"POST", "/", ROUTE_NONE, NULL, NULL},
        {"POST", "?", ROUTE_NONE, NULL, NULL},
        {"POST", "*", ROUTE_NONE, NULL, NULL},
        {"POST", BASE, ROUTE_NONE, NULL, NULL},
        {"POST", BASE "a", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "a/invoices/", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "a//invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "a/b/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "../invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "./invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "a%20b/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "%61/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "a;b/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "caf\xc3\xa9/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "a/Invoices", ROUTE_NONE, NULL, NULL},
        {"POST", BASE "a/invoices#x", ROUTE_NONE, NULL, NULL},
        {"POST", "/" BASE "a/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", "/V1/public/stripe/connect/accounts/a/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", "/stripe/connect/accounts/a/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", "http://host" BASE "a/invoices", ROUTE_NONE, NULL, NULL},
        {"POST", "/v1/public/stripe/connect/accounts", ROUTE_NONE, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct route_match match = route_of(text_from(table[i].method), text_from(table[i].uri));
        print_message("%s %.80s\n", table[i].method, table[i].uri);
        assert_int_equal(match.route, table[i].route);
        if (table[i].account)
            assert_text(match.account, table[i].account);
        else
            assert_null(match.account.at);
        if (table[i].allow)
            assert_text(match.allow, table[i].allow);
        else
            assert_null(match.allow.at);
    }
}

static void routes_have_addresses(void **state)
{
    static const struct {
        const char *method;
        const char *uri;
        enum route route;
        enum shape shape;
        const char *account, *id, *allow; /* NULL: absent */
    } table[] = {
        {"POST", BASE "a/invoices", ROUTE_ACCOUNT_INVOICES, SHAPE_PLAIN, "a", NULL, NULL},
        {"GET", BASE "a/invoices", ROUTE_ACCOUNT_INVOICES_LIST, SHAPE_PLAIN, "a", NULL, NULL},
        {"GET", BASE "a/invoices?limit=3", ROUTE_ACCOUNT_INVOICES_LIST, SHAPE_PLAIN, "a", NULL, NULL},
        {"GET", BASE "a/invoices/in_1", ROUTE_ACCOUNT_INVOICE_GET, SHAPE_PLAIN, "a", "in_1", NULL},
        {"POST", BASE "a/invoices/in_1", ROUTE_NONE, SHAPE_PLAIN, NULL, NULL, "GET"},
        {"PUT", BASE "a/invoices", ROUTE_NONE, SHAPE_PLAIN, NULL, NULL, "GET, POST"},
        {"GET", BASE "a/invoices/", ROUTE_NONE, SHAPE_PLAIN, NULL, NULL, NULL},
        {"POST", "/v1/invoices", ROUTE_INVOICES, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/invoices?x=1", ROUTE_INVOICES, SHAPE_STRIPE, NULL, NULL, NULL},
        {"GET", "/v1/invoices", ROUTE_INVOICES_LIST, SHAPE_STRIPE, NULL, NULL, NULL},
        {"GET", "/v1/invoices?limit=1&a=/b", ROUTE_INVOICES_LIST, SHAPE_STRIPE, NULL, NULL, NULL},
        {"DELETE", "/v1/invoices", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, "GET, POST"},
        {"POST", "/v1/invoices/", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1//invoices", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/Invoices", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/invoicesx", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"GET", "/v1/invoices/in_1Mt-x", ROUTE_INVOICE_GET, SHAPE_STRIPE, NULL, "in_1Mt-x", NULL},
        {"GET", "/v1/invoices/" TWO_HUNDRED_FIFTY "aaaaa", ROUTE_INVOICE_GET, SHAPE_STRIPE, NULL,
         TWO_HUNDRED_FIFTY "aaaaa", NULL},
        {"GET", "/v1/invoices/" TWO_HUNDRED_FIFTY "aaaaaa", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/invoices/in_1", ROUTE_INVOICE_UPDATE, SHAPE_STRIPE, NULL, "in_1", NULL},
        {"DELETE", "/v1/invoices/in_1", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, "GET, POST"},
        {"POST", "/v1/invoices/in_1/finalize", ROUTE_INVOICE_FINALIZE, SHAPE_STRIPE, NULL, "in_1", NULL},
        {"POST", "/v1/invoices/in_1/send", ROUTE_INVOICE_SEND, SHAPE_STRIPE, NULL, "in_1", NULL},
        {"POST", "/v1/invoices/in_1/void", ROUTE_INVOICE_VOID, SHAPE_STRIPE, NULL, "in_1", NULL},
        {"POST", "/v1/invoices/void/void", ROUTE_INVOICE_VOID, SHAPE_STRIPE, NULL, "void", NULL},
        {"GET", "/v1/invoices/in_1/void", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, "POST"},
        {"POST", "/v1/invoices/in_1/pay", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/invoices/in_1/send/", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/invoices//send", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/invoices/../send", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/invoices/a%2fb/send", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/invoices/{id}", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/invoiceitems", ROUTE_INVOICEITEMS, SHAPE_STRIPE, NULL, NULL, NULL},
        {"GET", "/v1/invoiceitems", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, "POST"},
        {"POST", "/v1/invoiceitems/ii_1", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"GET", "/openapi.json", ROUTE_OPENAPI, SHAPE_PLAIN, NULL, NULL, NULL},
        {"GET", "/openapi.json?x=1", ROUTE_OPENAPI, SHAPE_PLAIN, NULL, NULL, NULL},
        {"HEAD", "/openapi.json", ROUTE_NONE, SHAPE_PLAIN, NULL, NULL, "GET"},
        {"POST", "/openapi.json", ROUTE_NONE, SHAPE_PLAIN, NULL, NULL, "GET"},
        {"GET", "/openapi.json/", ROUTE_NONE, SHAPE_PLAIN, NULL, NULL, NULL},
        {"GET", "/v1/openapi.json", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/customers", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/publicly", ROUTE_NONE, SHAPE_STRIPE, NULL, NULL, NULL},
        {"POST", "/v1/public", ROUTE_NONE, SHAPE_PLAIN, NULL, NULL, NULL},
        {"POST", "/v1/public?x", ROUTE_NONE, SHAPE_PLAIN, NULL, NULL, NULL},
        {"POST", "/v2/invoices", ROUTE_NONE, SHAPE_PLAIN, NULL, NULL, NULL},
        {"POST", "", ROUTE_NONE, SHAPE_PLAIN, NULL, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct route_match match = route_of(text_from(table[i].method), text_from(table[i].uri));
        const struct text found[] = {match.account, match.id, match.allow};
        const char *const wanted[] = {table[i].account, table[i].id, table[i].allow};
        print_message("%s %.80s\n", table[i].method, table[i].uri);
        assert_int_equal(match.route, table[i].route);
        assert_int_equal(match.shape, table[i].shape);
        for (size_t t = 0; t < COUNT_OF(found); t++) {
            if (wanted[t])
                assert_text(found[t], wanted[t]);
            else
                assert_null(found[t].at);
        }
    }
}

static void nul_matches_nothing(void **state)
{
    (void)state;
    assert_int_equal(route_of(TEXT("POST"), TEXT(BASE "a\0b/invoices")).route, ROUTE_NONE);
    assert_int_equal(route_of(TEXT_NONE, TEXT_NONE).route, ROUTE_NONE);
}

static void routes_have_names(void **state)
{
    (void)state;
    assert_string_equal(route_name(ROUTE_NONE), "none");
    assert_string_equal(route_name(ROUTE_ACCOUNT_INVOICES), "account_invoices");
    assert_string_equal(route_name(ROUTE_INVOICES), "invoices");
    for (int i = 0; i < ROUTE_COUNT; i++) {
        assert_non_null(route_name((enum route)i));
        for (int other = 0; other < i; other++)
            assert_string_not_equal(route_name((enum route)i), route_name((enum route)other));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_one_spelling),
        cmocka_unit_test(routes_have_addresses),
        cmocka_unit_test(nul_matches_nothing),
        cmocka_unit_test(routes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
