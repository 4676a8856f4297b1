/* One upstream step: its call, its repetitions, its outcome. */
#ifndef INVOICEGATE_FLOW_STEP_H
#define INVOICEGATE_FLOW_STEP_H

#include "flow/job.h"

/* Makes the call of a step and repeats it until it is decided; invoice_called() hears the decision. */
void step_start(struct job *job, enum step step);
/* Changes the job's state, then starts the state's step. */
void step_enter(struct job *job, enum job_state state, enum step step);
/* The same, but the call goes after delay_ms. */
void step_start_later(struct job *job, enum step step, int64_t delay_ms);
/* The call once more, after the usual growing delay and not before the upstream wants it (0: unsaid). */
void step_retry(struct job *job, int retry_after_s);
void step_replied(struct job *job, const struct reply *reply);
/* Gives the step up: a call under way is cut off, no repetition comes. */
void step_stop(struct job *job);

/* How long to wait before repetition number tries (from 1): exponential with full jitter, 0.5 s to 5 s, never
 * less than the upstream asked for. random is any number. Pure. */
int64_t step_backoff_ms(int tries, int retry_after_s, uint32_t random);

#endif
