/* The breaker and the budgets, with time given by hand. */
#include "flow/traffic.h"

#include "unit.h"

#define ACCOUNT TEXT("acct_1")
#define OTHER TEXT("acct_2")

static const struct facts refused = {.transport = TRANSPORT_NOT_SENT};
static const struct facts fine = {.transport = TRANSPORT_ANSWERED, .status = 200};

static struct facts status(int number)
{
    return (struct facts){.transport = TRANSPORT_ANSWERED, .status = number};
}

static void breaker_opens_at_its_limit_and_lets_one_probe_through(void **state)
{
    struct breaker breaker = {0};
    (void)state;
    for (int i = 0; i < 4; i++)
        breaker_failure(&breaker, 1000, 5);
    assert_int_equal(breaker_wait_ms(&breaker, 1000), 0);
    breaker_failure(&breaker, 1000, 5);
    assert_int_equal(breaker_wait_ms(&breaker, 1400), 600);
    assert_int_equal(breaker_wait_ms(&breaker, 2000), 0); /* the probe */
    assert_true(breaker_wait_ms(&breaker, 2000) > 0);     /* everybody else */
    breaker_failure(&breaker, 2100, 5);                   /* the probe failed: twice as long */
    assert_int_equal(breaker_wait_ms(&breaker, 2100), 2000);
    assert_int_equal(breaker_wait_ms(&breaker, 4100), 0);
    breaker_success(&breaker);
    assert_int_equal(breaker_wait_ms(&breaker, 4100), 0);
    assert_int_equal(breaker_wait_ms(&breaker, 4100), 0);
}

static void breaker_cooldown_is_bounded(void **state)
{
    struct breaker breaker = {0};
    int64_t now_ms = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        breaker_failure(&breaker, now_ms, 1);
        now_ms += breaker_left_ms(&breaker, now_ms);
    }
    breaker_failure(&breaker, now_ms, 1);
    assert_int_equal(breaker_left_ms(&breaker, now_ms), 15000);
}

static void refused_connections_close_the_whole_mode_and_only_it(void **state)
{
    struct traffic traffic;
    (void)state;
    assert_true(traffic_init(&traffic, 0));
    for (int i = 0; i < 5; i++)
        traffic_tell(&traffic, 10000, MODE_LIVE, ACCOUNT, &refused, 0);
    assert_true(traffic_wait_ms(&traffic, 10000, MODE_LIVE, OTHER) > 0);
    assert_int_equal(traffic_wait_ms(&traffic, 10000, MODE_TEST, OTHER), 0);
    assert_int_equal(traffic_open(&traffic, 10000), 1);
    traffic_free(&traffic);
}

static void a_403_or_429_holds_up_its_account_only(void **state)
{
    struct traffic traffic;
    struct facts closed = status(403), limited = status(429);
    (void)state;
    assert_true(traffic_init(&traffic, 0));
    traffic_tell(&traffic, 10000, MODE_LIVE, ACCOUNT, &closed, 0);
    assert_true(traffic_wait_ms(&traffic, 10000, MODE_LIVE, ACCOUNT) > 0);
    assert_int_equal(traffic_wait_ms(&traffic, 10000, MODE_LIVE, OTHER), 0);
    traffic_tell(&traffic, 10000, MODE_LIVE, OTHER, &limited, 7);
    assert_int_equal(traffic_wait_ms(&traffic, 10000, MODE_LIVE, OTHER), 7000);
    traffic_tell(&traffic, 17000, MODE_LIVE, OTHER, &fine, 0);
    assert_int_equal(traffic_wait_ms(&traffic, 17000, MODE_LIVE, OTHER), 0);
    traffic_free(&traffic);
}

static void budget_allows_a_burst_then_spaces_posts_out(void **state)
{
    struct traffic traffic;
    int64_t last_ms = 0;
    (void)state;
    assert_true(traffic_init(&traffic, 25));
    for (int i = 0; i < 6; i++)
        assert_int_equal(traffic_reserve_ms(&traffic, 100000, 1, MODE_LIVE, ACCOUNT), 0);
    for (int i = 0; i < 25; i++)
        last_ms = traffic_reserve_ms(&traffic, 100000, 1, MODE_LIVE, ACCOUNT);
    assert_int_equal(last_ms, 1000);
    assert_int_equal(traffic_reserve_ms(&traffic, 100000, 1, MODE_LIVE, OTHER), 0);
    traffic_free(&traffic);
}

static void budget_is_shared_evenly_by_the_workers(void **state)
{
    struct traffic traffic;
    int64_t last_ms = 0;
    (void)state;
    assert_true(traffic_init(&traffic, 20));
    for (int i = 0; i < 20; i++)
        last_ms = traffic_reserve_ms(&traffic, 100000, 2, MODE_LIVE, ACCOUNT);
    assert_int_equal(last_ms, 1700);
    traffic_free(&traffic);
}

static void more_accounts_than_places_stay_bounded(void **state)
{
    struct traffic traffic;
    (void)state;
    assert_true(traffic_init(&traffic, 25));
    for (int i = 0; i < 20000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "acct_%d", i);
        assert_int_equal(traffic_reserve_ms(&traffic, 100000 + i, 1, MODE_LIVE, text_from(name)), 0);
    }
    traffic_free(&traffic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(breaker_opens_at_its_limit_and_lets_one_probe_through),
        cmocka_unit_test(breaker_cooldown_is_bounded),
        cmocka_unit_test(refused_connections_close_the_whole_mode_and_only_it),
        cmocka_unit_test(a_403_or_429_holds_up_its_account_only),
        cmocka_unit_test(budget_allows_a_burst_then_spaces_posts_out),
        cmocka_unit_test(budget_is_shared_evenly_by_the_workers),
        cmocka_unit_test(more_accounts_than_places_stay_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
