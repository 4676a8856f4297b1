/* Reading back: one invoice (looked at upstream first when it may have changed) or a list of them, from what
 * PostgreSQL keeps. Nothing is recorded, and nothing waits for the upstream longer than it must. */
#ifndef INVOICEGATE_FLOW_READ_H
#define INVOICEGATE_FLOW_READ_H

#include "flow/job.h"
#include "flow/object.h"

bool read_is(const struct job *job);
void read_start(struct job *job);
/* PostgreSQL has answered the task that the state waited for. */
void read_stored(struct job *job, const struct store_answer *answer);
/* The look at the upstream is decided. */
void read_called(struct job *job, struct decision decision, const struct reply *reply, struct object object);
/* The upstream is not to be asked now. */
void read_unreachable(struct job *job);
/* The deadline has passed, or the client has left. */
void read_expired(struct job *job);

#endif
