/* How requests end: the decision, its commit, the answer. Nothing is told before it is committed, 504 aside.
 */
#ifndef INVOICEGATE_FLOW_ENDING_H
#define INVOICEGATE_FLOW_ENDING_H

#include "flow/job.h"
#include "flow/object.h"

/* The invoice is whole: record it, then answer 200. */
void ending_created(struct job *job);
/* We or circumstances gave up. A draft that stands is deleted first. reason is a word of flow/reasons. */
void ending_fail(struct job *job, const char *reason);
/* Nobody can tell whether the act was done: its key answers so for good, lest a second try does it twice. */
void ending_unsure(struct job *job);
/* The same before anything was called: we stay away from the upstream for so long. */
void ending_shed(struct job *job, const char *reason, int64_t wait_ms);
/* A rule that needed the upstream's data refuses it; nothing was forwarded. */
void ending_refuse(struct job *job, const char *reason);
/* The upstream said no (or was never reached): what that means for the client. A draft that stands is
 * deleted. */
void ending_upstream_failed(struct job *job, struct decision decision, const struct reply *reply,
                            struct object object);
/* Commits a decision that cannot be taken back, before it is acted upon. why: the reason of the end, or NULL.
 */
void ending_decide(struct job *job, enum job_state state, const char *doing, const char *why);
/* The draft has to go, for the reason that was given before: decided, then done. */
void ending_delete(struct job *job);
/* Remembers what it means, and (later) ends so. */
void ending_upstream_said(struct job *job, struct decision decision, const struct reply *reply,
                          struct object object);
void ending_as_said(struct job *job);
/* The draft is deleted, or (stands) can no longer be. */
void ending_deleted(struct job *job, bool stands);
/* A failover has lost the intent of what stands upstream: it is written again, then its end or what was
 * decided. */
void ending_restore(struct job *job);
void ending_restored(struct job *job, const struct store_answer *answer);
/* Gives the request back unfinished: memory is no place to wait for long. */
void ending_park(struct job *job);
/* Everything is told and nothing is to be recorded any more. */
void ending_done(struct job *job);
/* How a draft's deletion that another worker decided is to end. reason may be absent or unknown. */
void ending_resume_delete(struct job *job, struct text reason);
/* The commit of the end has been answered. */
void ending_stored(struct job *job, const struct store_answer *answer);

/* Begin refused it, replayed it, or did not know the key: answer and end. */
void ending_begin_said_no(struct job *job, const struct store_answer *answer);
/* Told before anything was recorded: unknown routes and the like. */
void ending_early(struct job *job, const struct refusal *refusal);
/* Told and forgotten: nothing of it is recorded. */
void ending_told(struct job *job, const char *reason);
/* Another worker has this request now: it will bring it to its end. */
void ending_taken_over(struct job *job);

/* 504: the only thing that is told before the outcome is known. */
void ending_answer_unresolved(struct job *job);
/* Something is in doubt: the audit shows the request as unresolved until it is settled. */
void ending_note_unresolved(struct job *job, const char *why);

#endif
