/* A job: one request on its way through the gateway. Its states stand in one list; job_set_state() is the
 * only place that changes one. Whoever completes something for a job finds it by reference: a job that has
 * gone is not found. */
#ifndef INVOICEGATE_FLOW_JOB_H
#define INVOICEGATE_FLOW_JOB_H

#include "base/arena.h"
#include "base/loop.h"
#include "base/slots.h"
#include "base/trace.h"
#include "flow/outcome.h"
#include "front/request.h"
#include "store/store.h"
#include "upstream/upstream.h"

#define JOB_STATES(X)                                                                                        \
    X(ARRIVED)           /* read, not recorded */                                                            \
    X(BEGINNING)         /* PostgreSQL authenticates, resolves, records the intent */                        \
    X(READING_PRODUCT)   /* cold product */                                                                  \
    X(READING_PRICES)    /* product without a usable default price */                                        \
    X(MAKING_CUSTOMER)   /* cold customer */                                                                 \
    X(RENEWING_CUSTOMER) /* the customer is gone upstream: PostgreSQL begins its next generation */          \
    X(PLANNING)          /* PostgreSQL freezes what was cold */                                              \
    X(MAKING_INVOICE)                                                                                        \
    X(ADDING_LINES)                                                                                          \
    X(ACTING)           /* an act of the upstream's own interface, on an invoice that is there */            \
    X(LOOKING_UP)       /* what is there? repeating cannot tell */                                           \
    X(DECIDING_ADVANCE) /* PostgreSQL records the decision first */                                          \
    X(ADVANCING)                                                                                             \
    X(DECIDING_DELETE)                                                                                       \
    X(DELETING)                                                                                              \
    X(FINISHING)   /* PostgreSQL records what came of it */                                                  \
    X(RESTORING)   /* PostgreSQL has lost the request in a failover: its intent is written again */          \
    X(WITHDRAWING) /* created, but nobody can ever hear of it: PostgreSQL opens it again for its draft to be \
                      deleted */                                                                             \
    X(READING)     /* PostgreSQL finds what is asked for; nothing is recorded */                             \
    X(REFRESHING)  /* a look at the upstream first */                                                        \
    X(KEEPING)     /* PostgreSQL keeps what it showed */                                                     \
    X(PARKING)     /* given back to PostgreSQL: somebody takes it up again later */                          \
    X(ENDED)

enum job_state {
#define X(name) JOB_##name,
    JOB_STATES(X)
#undef X
        JOB_STATE_COUNT
};

/* How the request ends, and what its client is told of it. */
struct ending {
    const char *reason; /* NULL while nothing speaks against success; a word of flow/reasons */
    int status;
    struct text message; /* in the arena or a literal */
    struct text body;    /* the upstream's own error as it is told; absent: made of status and message */
    int retry_after_s;   /* 0: as the reason says */
    bool pin;            /* the upstream decided it for good: it belongs to the client's key */
};

/* What follows when a look-up finds nothing. */
enum after_absence {
    ABSENT_IS_FAILED,  /* after a second look */
    ABSENT_AS_SAID,    /* the upstream has refused it, too: its words stand (job.ending) */
    ABSENT_IS_RENEWED, /* the upstream has refused it for its customer's sake: with a new customer */
};

struct gateway;

struct job {
    struct gateway *gateway;
    struct ref ref;
    enum job_state state;
    struct arena arena;

    struct ref conn;
    bool answered;   /* the client was told, or has left */
    bool expired;    /* the deadline has passed */
    bool noted;      /* the audit shows it as unresolved */
    int told;        /* the status that was told before the end was known; 0: none */
    bool told_noted; /* and PostgreSQL knows it */
    bool compensate; /* nobody can ask for it later: no invoice shall stand (protocol 8) */
    struct timer deadline;
    int64_t arrived_us;  /* on the loop's clock, like the next one */
    int64_t asked_us;    /* when PostgreSQL was asked what the state waits for */
    int64_t database_us; /* spent waiting so far */
    int64_t upstream_us;
    struct trace trace;
    char traceparent[TRACEPARENT_BYTES + 1]; /* of the call under way */
    int64_t agency_id;                       /* whose share of the worker it takes; 0: not known yet */
    struct text wrong_key_from; /* the address to blame for a wrong key; absent: no key was sent */
    bool waits;                 /* here, but its agency has enough under way */
    struct job *next_waiting;
    bool is_read; /* counted among the gateway's reads */

    uint8_t request_id[UUID_BYTES];
    char request_text[UUID_TEXT_BYTES];
    struct request request;
    struct plan plan;
    int32_t fence;
    bool planned;
    struct text product_name; /* read just now, for the plan to keep */
    struct text product_object;

    /* the upstream call under way */
    enum step step;
    struct call call;
    uint32_t call_number; /* 0: none */
    struct timer backoff;
    bool called;              /* some call was made for the job */
    bool reserved;            /* the next POST has its place in the account's budget */
    int tries;                /* of this step since it was entered */
    int attempts[STEP_COUNT]; /* over the job's life, for the audit */
    bool unknown[STEP_COUNT]; /* an attempt of the step may have happened */
    bool invoice_doubted;     /* some attempt to make the invoice, or of the act, may have happened */
    enum after_absence after_absence;
    enum step sought;        /* LOOKING_UP: the step that is in doubt */
    const char *doing;       /* "create", or what was decided for good: "delete", "advance" */
    int lookups;             /* how often the whole list was read without finding it */
    int renewals;            /* of the customer */
    int64_t invoice_since_s; /* unix time before the first attempt to make the invoice */

    /* what came back */
    struct text invoice_object; /* the bytes of the last invoice object */
    struct text status;
    struct text number;
    int64_t total_minor;
    int64_t created_s;
    bool has_invoice_facts;
    bool gone;          /* an act: the upstream says that its draft was deleted */
    struct text answer; /* the body of a 200 */
    struct ending ending;
    int64_t seen_us;         /* a read: when PostgreSQL had last seen the invoice */
    struct text final_state; /* created, failed or refused */
    bool restored;           /* after the database had lost it */
    bool is_sweep;           /* looks whether a draft has shown up after all; holds nothing (fence 0) */

    struct store_task task;   /* the one the state waits for */
    struct store_task note;   /* "unresolved", beside the state's own business */
    bool held;                /* the task waits for the note before it */
    struct store_call *calls; /* attempts to be recorded with the next task */
    struct store_call **calls_end;
};

const char *job_state_name(enum job_state state);

/* NULL when the limit of jobs in flight is reached or memory is out. */
struct job *job_new(struct gateway *gateway);
/* Illegal changes abort. */
void job_set_state(struct job *job, enum job_state state);
/* Hands the job's task, filled in, to PostgreSQL, after a note that is under way: what travels together has
 * no order. */
void job_submit(struct job *job, enum store_kind kind);
/* The note is committed. */
void job_noted(struct job *job);
/* Frees a job that ENDED and that nothing is under way for; does nothing otherwise. */
void job_release(struct job *job);

/* Frees a job wherever it stands: only when the process ends. */
void job_free(struct job *job);

/* Whether something may have been done upstream because of this job: an invoice made, an act done. */
bool job_invoice_possible(const struct job *job);
/* Whether the state waits for the upstream. */
bool job_is_calling(const struct job *job);
bool job_is_keyed(const struct job *job);
/* What the audit shows of a request that is not at its end: once in doubt, it stays so. */
struct text job_audit_state(const struct job *job);
/* Whether it is an invoice that nobody could ask for again: its draft is deleted rather than left alone. */
bool job_may_withdraw(const struct job *job);

/* Remembers an attempt; it is recorded with the next note or finish. */
void job_add_call(struct job *job, const struct reply *reply, enum outcome outcome);

#endif
