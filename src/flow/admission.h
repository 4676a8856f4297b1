/* Who asks, before and after PostgreSQL has said who may: one agency must not take up the whole worker, wrong
 * keys are slowed down, and keys that were used are written down now and then. */
#ifndef INVOICEGATE_FLOW_ADMISSION_H
#define INVOICEGATE_FLOW_ADMISSION_H

#include "flow/callers.h"
#include "flow/job.h"
#include "flow/strangers.h"

#define ADMISSION_USED_MAX 256

struct admission {
    struct callers callers;
    struct strangers strangers;
    uint32_t held; /* answers to wrong keys that wait */
    struct timer gather;
    struct store_task used;
    struct store_used_key used_keys[ADMISSION_USED_MAX];
    struct job_queue {
        struct job *first;
        struct job *last;
    } waiting[CALLERS_SHARES]; /* who comes first of each agency begins first */
    struct job_queue next;     /* they may begin in the loop's next turn */
    struct timer turn;
};

enum admission_verdict { ADMISSION_GO, ADMISSION_WAITS, ADMISSION_REFUSED };

MUST_CHECK bool admission_init(struct admission *admission, int wrong_keys_per_min);
/* Gathers the keys that were used every few seconds, from now on. The store must be open. */
void admission_start(struct gateway *gateway);
void admission_stop(struct gateway *gateway);
void admission_free(struct admission *admission);

/* A request with a key has come. One that waits is begun by gateway_begin() when its turn comes. */
MUST_CHECK enum admission_verdict admission_enter(struct job *job);
/* It waits for its turn no longer: its client has left, or its deadline has passed. */
void admission_give_up(struct job *job);
/* PostgreSQL has said whose it is. */
void admission_known(struct job *job, int64_t agency_id);
/* PostgreSQL does not know the key, or it cannot be one. True: its client has sent too many of those, and
 * this takes the job to its end. */
MUST_CHECK bool admission_slows(struct job *job);
/* The job is at its end. */
void admission_leave(struct job *job);

/* Whose turn it is that the job's tasks take in PostgreSQL's queue. */
uint64_t admission_flow(const struct job *job);

#endif
