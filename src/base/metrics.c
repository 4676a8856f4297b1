#include "base/metrics.h"

#include <stdio.h>

const double metric_bucket_seconds[METRIC_HISTOGRAM_BUCKETS] = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
};

void histogram_add_us(struct histogram *histogram, int64_t duration_us)
{
    double seconds = (double)duration_us / 1e6;
    int bucket = 0;

    while (bucket < METRIC_HISTOGRAM_BUCKETS && seconds > metric_bucket_seconds[bucket])
        bucket++;
    histogram->buckets[bucket]++;
    histogram->count++;
    histogram->sum_seconds += seconds;
}

/* NAME_SUFFIX{LABELS,MORE} and a space; no braces where both are empty. */
static void add_name(struct builder *out, const char *name, const char *suffix, const char *labels,
                     const char *more)
{
    builder_add(out, text_from(name));
    builder_add(out, text_from(suffix));
    if (*labels || *more) {
        builder_add_char(out, '{');
        builder_add(out, text_from(labels));
        if (*labels && *more)
            builder_add_char(out, ',');
        builder_add(out, text_from(more));
        builder_add_char(out, '}');
    }
    builder_add_char(out, ' ');
}

static void add_value(struct builder *out, uint64_t value)
{
    builder_add_int64(out, (int64_t)value);
    builder_add_char(out, '\n');
}

void histogram_write(const struct histogram *histogram, const char *name, const char *labels,
                     struct builder *out)
{
    uint64_t so_far = 0;
    char text[64];

    for (int i = 0; i < METRIC_HISTOGRAM_BUCKETS; i++) {
        so_far += histogram->buckets[i];
        snprintf(text, sizeof text, "le=\"%g\"", metric_bucket_seconds[i]);
        add_name(out, name, "_bucket", labels, text);
        add_value(out, so_far);
    }
    add_name(out, name, "_bucket", labels, "le=\"+Inf\"");
    add_value(out, histogram->count);
    add_name(out, name, "_sum", labels, "");
    snprintf(text, sizeof text, "%.6f\n", histogram->sum_seconds);
    builder_add(out, text_from(text));
    add_name(out, name, "_count", labels, "");
    add_value(out, histogram->count);
}

void metric_write(struct builder *out, const char *name, const char *labels, int64_t value)
{
    add_name(out, name, "", labels, "");
    builder_add_int64(out, value);
    builder_add_char(out, '\n');
}
