/* What was counted, as Prometheus reads it (text format 0.0.4). */
#ifndef INVOICEGATE_FLOW_EXPOSITION_H
#define INVOICEGATE_FLOW_EXPOSITION_H

#include "base/metrics_file.h"
#include "upstream/calls.h"

/* The place of a step in the counters; each act has its own. */
int exposition_step(enum step step, enum act act);
/* Absent when the arena overflowed. now_s is unix time. Pure but for the arena. */
struct text exposition_text(struct arena *arena, const struct metrics_sum *sum, int64_t now_s);

#endif
