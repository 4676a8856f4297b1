#include "unit.h"

#include "flow/exposition.h"
#include "flow/outcome.h"
#include "front/route.h"

static struct metrics_sum sum;
static struct arena arena;

static int clear(void **state)
{
    (void)state;
    sum = (struct metrics_sum){.workers = 2};
    arena_init(&arena, 1 << 20);
    return 0;
}

static int free_arena(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

#define assert_line(text, line) assert_non_null(strstr((text).at, "\n" line "\n"))

static void what_was_counted_stands_there(void **state)
{
    struct text text;
    (void)state;
    sum.metrics.requests[ROUTE_ACCOUNT_INVOICES][metric_status(200)] = 5;
    sum.metrics.requests[ROUTE_NONE][metric_status(404)] = 1;
    sum.metrics.invoices[METRIC_created][MODE_TEST] = 4;
    sum.metrics.upstream_calls[exposition_step(STEP_INVOICE, ACT_NONE)][OUTCOME_OK] = 4;
    sum.metrics.upstream_calls[exposition_step(STEP_ACT, ACT_FINALIZE)][OUTCOME_UNKNOWN] = 2;
    sum.metrics.alarms[METRIC_draft_stands] = 1;
    histogram_add(&sum.metrics.batch, &metric_items, 3);
    sum.gauges = (struct gauges){.inflight = 9,
                                 .database_ready = 1,
                                 .unresolved = 6,
                                 .unresolved_oldest_s = 30,
                                 .unresolved_at_s = 1000};
    text = exposition_text(&arena, &sum, 1010);
    assert_non_null(text.at);
    assert_line(text, "invoicegate_requests_total{route=\"account_invoices\",status=\"200\"} 5");
    assert_line(text, "invoicegate_requests_total{route=\"none\",status=\"404\"} 1");
    assert_line(text, "invoicegate_invoices_total{state=\"created\",mode=\"test\"} 4");
    assert_line(text, "invoicegate_invoices_total{state=\"failed\",mode=\"live\"} 0");
    assert_line(text, "invoicegate_upstream_calls_total{step=\"invoice\",outcome=\"ok\"} 4");
    assert_line(text, "invoicegate_upstream_calls_total{step=\"finalize\",outcome=\"unknown\"} 2");
    assert_line(text, "invoicegate_upstream_seconds_count{step=\"invoice\"} 0");
    assert_line(text, "invoicegate_alarms_total{what=\"draft_stands\"} 1");
    assert_line(text, "invoicegate_database_batch_size_bucket{le=\"4\"} 1");
    assert_line(text, "invoicegate_inflight 9");
    assert_line(text, "invoicegate_workers 2");
    assert_line(text, "invoicegate_workers_ready 1");
    assert_line(text, "invoicegate_unresolved 6");
    assert_line(text, "invoicegate_unresolved_oldest_seconds 30");
    assert_line(text, "# TYPE invoicegate_request_seconds histogram");
}

static void an_old_word_of_the_database_is_none(void **state)
{
    struct text text;
    (void)state;
    sum.gauges.unresolved_at_s = 1000;
    text = exposition_text(&arena, &sum, 1061);
    assert_null(strstr(text.at, "invoicegate_unresolved"));
}

static void no_memory_is_no_text(void **state)
{
    struct arena small;
    (void)state;
    arena_init(&small, 1024);
    assert_null(exposition_text(&small, &sum, 0).at);
    arena_free(&small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, clear, free_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_counted_stands_there),
        TEST(an_old_word_of_the_database_is_none),
        TEST(no_memory_is_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
