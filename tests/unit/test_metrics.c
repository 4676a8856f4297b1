#include "unit.h"

#include "base/metrics.h"

static void writes_values(void **state)
{
    struct arena arena;
    struct builder out;

    (void)state;
    arena_init(&arena, 65536);
    builder_init(&out, &arena, 64);
    metric_head(&out, "a_total", "counter", "What a is.");
    metric_write(&out, "a_total", "", 3);
    metric_write(&out, "b", "x=\"1\",y=\"2\"", -4);
    assert_text(builder_text(&out),
                "# HELP a_total What a is.\n# TYPE a_total counter\na_total 3\nb{x=\"1\",y=\"2\"} -4\n");
    arena_free(&arena);
}

static void a_bound_belongs_to_its_bucket(void **state)
{
    struct histogram histogram = {0};

    (void)state;
    histogram_add(&histogram, &metric_seconds, 0);
    histogram_add(&histogram, &metric_seconds, 1000);
    histogram_add(&histogram, &metric_seconds, 1001);
    histogram_add(&histogram, &metric_seconds, 30000000);
    histogram_add(&histogram, &metric_seconds, 30000001);
    histogram_add(&histogram, &metric_seconds, -5); /* a clock that was set back adds nothing to the sum */
    assert_int_equal(histogram.buckets[0], 3);
    assert_int_equal(histogram.buckets[1], 1);
    assert_int_equal(histogram.buckets[METRIC_BUCKETS - 1], 1);
    assert_int_equal(histogram.buckets[METRIC_BUCKETS], 1);
    assert_int_equal(histogram.sum, 60002002);
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
    histogram_add(&histogram, &metric_seconds, 500);
    histogram_add(&histogram, &metric_seconds, 4000);
    histogram_add(&histogram, &metric_seconds, 60000000);
    metric_write_histogram(&out, "s", "step=\"check\"", &histogram, &metric_seconds);
    metric_write_histogram(&out, "t", "", &histogram, &metric_seconds);
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
    const struct scale *const scales[] = {&metric_seconds, &metric_items};
    (void)state;
    for (int s = 0; s < 2; s++)
        for (int i = 1; i < METRIC_BUCKETS; i++)
            assert_true(scales[s]->bounds[i] > scales[s]->bounds[i - 1]);
}

static void every_status_has_one_place(void **state)
{
    (void)state;
    assert_string_equal(metric_status_name(metric_status(200)), "200");
    assert_string_equal(metric_status_name(metric_status(504)), "504");
    assert_string_equal(metric_status_name(metric_status(418)), "other");
    assert_string_equal(metric_status_name(metric_status(0)), "other");
    assert_null(metric_status_name(metric_status(0) + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_values),
        cmocka_unit_test(a_bound_belongs_to_its_bucket),
        cmocka_unit_test(writes_cumulative_buckets),
        cmocka_unit_test(bounds_rise),
        cmocka_unit_test(every_status_has_one_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
