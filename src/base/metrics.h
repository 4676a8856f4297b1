/* What a worker counts. Counting is one addition to this struct, wherever something happens:
 * `grep -rn 'metrics->'` finds all places. flow/exposition.c writes it as Prometheus text,
 * base/metrics_file.c keeps it where the other workers of the host find it. */
#ifndef INVOICEGATE_BASE_METRICS_H
#define INVOICEGATE_BASE_METRICS_H

#include <stdint.h>

#include "base/apikey.h"
#include "base/arena.h"

/* Rooms, larger than what is in use: counters of workers of different versions are added up place by place.
 * So new members go to the end of struct metrics, and new routes, steps, ... to the end of their lists. */
#define METRIC_ROUTES 24
#define METRIC_STATUSES 24
#define METRIC_STEPS 32
#define METRIC_OUTCOMES 4
#define METRIC_BUCKETS 15 /* without +Inf */

/* How a request that should make an invoice ended. */
#define METRIC_STATES(X) X(created) X(failed) X(refused)

/* What somebody has to look at. */
#define METRIC_ALARMS(X)                                                                                     \
    X(amount_mismatch) /* the upstream's invoice differed from the plan: deleted */                          \
    X(draft_stands)    /* a draft to be deleted was no draft any more */                                     \
    X(not_advanced)    /* an invoice that was to advance stayed a draft */                                   \
    X(intent_lost)     /* the database had lost a request: written again */

enum metric_state {
#define X(name) METRIC_##name,
    METRIC_STATES(X) METRIC_STATE_COUNT
};

enum metric_alarm { METRIC_ALARMS(X) METRIC_ALARM_COUNT };
#undef X

struct histogram {
    uint64_t buckets[METRIC_BUCKETS + 1]; /* the last one is +Inf */
    uint64_t sum;                         /* in the scale's raw unit */
};

/* Upper bounds in a raw unit, and how many of that make the unit that is shown. */
struct scale {
    int64_t bounds[METRIC_BUCKETS];
    int64_t unit;
};

extern const struct scale metric_seconds; /* raw: microseconds */
extern const struct scale metric_items;   /* raw: items */

struct metrics {
    uint64_t requests[METRIC_ROUTES][METRIC_STATUSES]; /* by metric_status() */
    uint64_t invoices[8][MODE_COUNT];
    uint64_t upstream_calls[METRIC_STEPS][METRIC_OUTCOMES];
    uint64_t alarms[8];
    struct histogram request;
    struct histogram batch;
    struct histogram upstream[METRIC_STEPS];
};

/* What is so now. Those of workers that ended count no more. */
struct gauges {
    int64_t inflight;
    int64_t inflight_limit;
    int64_t breaker_open;
    int64_t database_ready; /* 1: its database can be used */
    int64_t unresolved;     /* of the whole database, as the worker last heard */
    int64_t unresolved_oldest_s;
    int64_t unresolved_at_s; /* unix time of that; 0: not yet */
    int64_t spare[9];
};

/* The place of an HTTP status; statuses that no answer of ours has share the last one. */
int metric_status(int status);
/* "200", ...; "other"; NULL behind the last one. */
const char *metric_status_name(int place);

void histogram_add(struct histogram *histogram, const struct scale *scale, int64_t value);

/* The text of one metric: a head once, then its samples. labels: "" or `a="b"`. Pure but for the arena. */
void metric_head(struct builder *out, const char *name, const char *type, const char *help);
void metric_write(struct builder *out, const char *name, const char *labels, int64_t value);
/* NAME_bucket{le=...}, NAME_sum and NAME_count. */
void metric_write_histogram(struct builder *out, const char *name, const char *labels,
                            const struct histogram *histogram, const struct scale *scale);

#endif
