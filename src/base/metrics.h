/* Counters and histograms of one worker process, registered by name and label set, written as Prometheus
 * text. */
#ifndef INVOICEGATE_BASE_METRICS_H
#define INVOICEGATE_BASE_METRICS_H

#include <stdint.h>

#include "base/arena.h"

/* Every counter has a place in this list: name, labels. Cheap to bump: one addition. */
#define METRIC_HISTOGRAM_BUCKETS 14

struct histogram {
    uint64_t buckets[METRIC_HISTOGRAM_BUCKETS + 1]; /* the last one is +Inf */
    uint64_t count;
    double sum_seconds;
};

extern const double metric_bucket_seconds[METRIC_HISTOGRAM_BUCKETS];

void histogram_add_us(struct histogram *histogram, int64_t duration_us);
/* Writes NAME_bucket{le=...}, NAME_sum and NAME_count with the given labels ("" or `a="b"`). */
void histogram_write(const struct histogram *histogram, const char *name, const char *labels,
                     struct builder *out);
void metric_write(struct builder *out, const char *name, const char *labels, int64_t value);

#endif
