/* What clients are told, in the shape of their interface. Every answer of a job goes out here. */
#ifndef INVOICEGATE_FLOW_TELLING_H
#define INVOICEGATE_FLOW_TELLING_H

#include "flow/job.h"
#include "flow/reasons.h"

/* Where memory is out even for the sentence. */
struct text telling_last_words(enum shape shape);

/* The client has left before it was told anything. */
void tell_nobody(struct job *job);
/* These do nothing for a client that was told already, or has left. */
void tell_reason(struct job *job, const struct reason *reason);
/* Refused before or by begin; the refusal may be the request's own or one of data. */
void tell_refusal(struct job *job, const struct refusal *refusal);
void tell_begin_refused(struct job *job, const struct store_answer *stored);
/* The saved answer of the request that had the same key. */
void tell_replay(struct job *job, const struct store_answer *stored);
/* A body that is ready. */
void tell_body(struct job *job, struct text body);
/* The job's end, as it was committed. False when nobody was there to be told. */
bool tell_ending(struct job *job);
/* 504: what is told before the outcome is known. */
const struct reason *telling_unresolved(const struct job *job);

/* The body of the job's ending in the caller's shape. */
struct text telling_of_ending(struct job *job);

#endif
