#include "unit.h"

#include "front/response_of.h"

#define OWN TEXT("acct_own")

/* Neither interface tells more of the operator's account than the other. */
static void both_interfaces_tell_what_may_be_told(void **state)
{
    static const struct {
        const char *body;
        const char *told;
    } table[] = {
        {"{\"error\":{\"type\":\"card_error\",\"message\":\"No such coupon: 'x'\"}}", "No such coupon: 'x'"},
        {"{\"error\":{\"type\":\"card_error\",\"message\":\"See "
         "https://dashboard.stripe.com/acct_op/logs\"}}",
         "The payment provider refused the request."},
        {"{\"error\":{\"type\":\"card_error\",\"message\":\"acct_operator cannot do that\"}}",
         "The payment provider refused the request."},
        {"{\"error\":{\"type\":\"card_error\",\"message\":\"acct_own cannot do that\"}}",
         "acct_own cannot do that"},
        {"{\"error\":{\"type\":\"card_error\",\"message\":\"sk_live_abc cannot do that\"}}",
         "The payment provider refused the request."},
        {"{\"error\":{\"type\":\"card_error\"}}", "The payment provider refused the request."},
        {"{\"error\":\"sk_live_abc\"}", "ours"},
        {"sk_live_abc", "ours"},
    };
    struct arena arena;
    char wanted[256];

    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct text body = text_from(table[i].body), plain = TEXT("ours"), stripe = TEXT("ours");
        print_message("%s\n", table[i].body);
        snprintf(wanted, sizeof wanted, "{\"error\":\"%s\"}", table[i].told);
        assert_text(response_of_upstream_error(&arena, SHAPE_PLAIN, 402, body, OWN, &plain), wanted);
        snprintf(wanted, sizeof wanted, "{\"error\":{\"type\":\"card_error\",\"message\":\"%s\"}}",
                 table[i].told);
        assert_text(response_of_upstream_error(&arena, SHAPE_STRIPE, 402, body, OWN, &stripe), wanted);
        assert_text(plain, table[i].told);
        assert_text(stripe, table[i].told);
    }
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_interfaces_tell_what_may_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
