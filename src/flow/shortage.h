/* Memory is out while a job is under way. Whoever takes its request up later has memory of its own, so
 * nothing that may stand upstream is given up here. */
#ifndef INVOICEGATE_FLOW_SHORTAGE_H
#define INVOICEGATE_FLOW_SHORTAGE_H

#include "flow/job.h"

/* Whether something that the job read or kept just now may be missing. */
bool shortage_is(const struct job *job);
/* Ends the job in a state that waits for the upstream, without a call under way: with 503 and nothing made,
 * or, where something may stand, parked and told so. */
void shortage_end(struct job *job);

#endif
