/* W3C trace context, of which the gateway takes part as far as it must: it takes the caller's trace over,
 * names each of its own calls, and writes the trace into its log. Nothing of it is stored. */
#ifndef INVOICEGATE_BASE_TRACE_H
#define INVOICEGATE_BASE_TRACE_H

#include <stdbool.h>

#include "base/text.h"

#define TRACE_ID_BYTES 32    /* of hex */
#define TRACEPARENT_BYTES 55 /* of version 00 */

struct trace {
    char id[TRACE_ID_BYTES + 1]; /* "" for none */
    bool sampled;
};

/* From a traceparent header. An invalid one, of whatever kind, is none. */
struct trace trace_read(struct text header);
/* Absent for none. */
struct text trace_id(const struct trace *trace);
/* The header for one call: the same trace, a parent id of the call's own. Absent without a trace, or when
 * there is no randomness. */
struct text trace_write(const struct trace *trace, char room[TRACEPARENT_BYTES + 1]);

#endif
