#include "unit.h"

#include "base/metrics.h"

static void writes_values(void **state)
{
    struct arena arena;
    struct builder out;

    (void)state;
    arena_init(&arena, 65536);
    builder_init(&out, &arena, 64);
    metric_write(&out, "a_total", "", 3);
    metric_write(&out, "b", "x=\"1\",y=\"2\"", -4);
    assert_text(builder_text(&out), "a_total 3\nb{x=\"1\",y=\"2\"} -4\n");
    arena_free(&arena);
}

static void a_bound_belongs_to_its_bucket(void **state)
{
    struct histogram histogram = {0};

    (void)state;
    histogram_add_us(&histogram, 0);
    histogram_add_us(&histogram, 1000);
    histogram_add_us(&histogram, 1001);
    histogram_add_us(&histogram, 30000000);
    histogram_add_us(&histogram, 30000001);
    assert_int_equal(histogram.buckets[0], 2);
    assert_int_equal(histogram.buckets[1], 1);
    assert_int_equal(histogram.buckets[METRIC_HISTOGRAM_BUCKETS - 1], 1);
    assert_int_equal(histogram.buckets[METRIC_HISTOGRAM_BUCKETS], 1);
    assert_int_equal(histogram.count, 5);
}

static void writes_cumulative_buckets(void **state)
{
    struct arena arena;
    struct builder out;
    struct histogram histogram = {0};
    struct text text;

    (void)state;
    arena_init(&arena, 65536);
    builder_init(&out, &arena, 64);
    histogram_add_us(&histogram, 500);
    histogram_add_us(&histogram, 4000);
    histogram_add_us(&histogram, 60000000);
    histogram_write(&histogram, "s", "step=\"check\"", &out);
    histogram_write(&histogram, "t", "", &out);
    text = builder_text(&out);
    assert_non_null(text.at);
    assert_non_null(strstr(text.at, "s_bucket{step=\"check\",le=\"0.001\"} 1\n"));
    assert_non_null(strstr(text.at, "s_bucket{step=\"check\",le=\"0.0025\"} 1\n"));
    assert_non_null(strstr(text.at, "s_bucket{step=\"check\",le=\"0.005\"} 2\n"));
    assert_non_null(strstr(text.at, "s_bucket{step=\"check\",le=\"30\"} 2\n"));
    assert_non_null(strstr(text.at, "s_bucket{step=\"check\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text.at, "s_sum{step=\"check\"} 60.004500\n"));
    assert_non_null(strstr(text.at, "s_count{step=\"check\"} 3\n"));
    assert_non_null(strstr(text.at, "t_bucket{le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text.at, "t_count 3\n"));
    arena_free(&arena);
}

static void bounds_rise(void **state)
{
    (void)state;
    for (int i = 1; i < METRIC_HISTOGRAM_BUCKETS; i++)
        assert_true(metric_bucket_seconds[i] > metric_bucket_seconds[i - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_values),
        cmocka_unit_test(a_bound_belongs_to_its_bucket),
        cmocka_unit_test(writes_cumulative_buckets),
        cmocka_unit_test(bounds_rise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
