/* What is asked of PostgreSQL, as tasks. Only store/ knows libpq.
 *
 * A task is embedded in its owner and belongs to the store from store_submit() until its answer is delivered.
 * Tasks that are ready at the same time travel together in one transaction; the next batch gathers while one
 * is under way, so a lone task never waits. A task whose commit is unknown (connection lost) is run again
 * under the same ids until it is known: the SQL functions are made for that. */
#ifndef INVOICEGATE_STORE_STORE_H
#define INVOICEGATE_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/apikey.h"
#include "base/digest.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "base/slots.h"
#include "base/text.h"

/* SQL null for numbers; an absent text is null by itself. */
#define STORE_NULL32 INT32_MIN
#define STORE_NULL64 INT64_MIN

/* name, SQL function that runs a batch of them */
#define STORE_KINDS(X)                                                                                       \
    X(BEGIN, begin)                                                                                          \
    X(PLAN, plan)                                                                                            \
    X(RENEW, renew)                                                                                          \
    X(NOTE, note)                                                                                            \
    X(FINISH, finish)                                                                                        \
    X(WITHDRAW, withdraw)                                                                                    \
    X(PARK, park)                                                                                            \
    X(RESTORE, restore)                                                                                      \
    X(TAKE, take)                                                                                            \
    X(READ, read)                                                                                            \
    X(LIST, list)                                                                                            \
    X(REFRESH, refresh)                                                                                      \
    X(USED, used)                                                                                            \
    X(COUNT, count)

enum store_kind {
#define X(upper, lower) STORE_##upper,
    STORE_KINDS(X)
#undef X
        STORE_KIND_COUNT
};

/* One attempt of one upstream call, to be recorded with the next note or finish. */
struct store_call {
    struct store_call *next;
    uint8_t request_id[UUID_BYTES];
    int32_t fence;
    struct text step;
    int32_t attempt;
    int64_t started_us; /* unix time */
    int32_t duration_ms;
    int32_t http_status; /* STORE_NULL32: no answer */
    struct text outcome;
    struct text upstream_request_id;
};

struct store_begin {
    uint8_t request_id[UUID_BYTES];
    uint8_t key_digest[DIGEST_BYTES];
    struct text route;
    struct text account_id;
    struct text client_id;
    struct text product_id;
    struct text collection_method;
    int32_t days_until_due;
    struct text idempotency_key;
    uint8_t fingerprint[DIGEST_BYTES];
    int32_t refusal_status; /* 0: nothing against it so far */
    struct text refusal_reason;
    struct text refusal_detail;
    /* the upstream's own interface */
    struct text customer_id;
    struct text form;
    struct text invoice_id;  /* that an act is about */
    struct text api_version; /* absent: the worker's */
};

struct store_plan {
    uint8_t request_id[UUID_BYTES];
    int32_t fence;
    struct text customer_id; /* absent: known before */
    struct text product_name;
    struct text price_id; /* absent: known before */
    int64_t amount_minor;
    struct text currency;
    struct text product_object;
};

struct store_renew {
    uint8_t request_id[UUID_BYTES];
    int32_t fence;
};

struct store_note {
    uint8_t request_id[UUID_BYTES];
    int32_t fence;
    struct text state; /* "open" or "unresolved" */
    struct text doing; /* "create", "delete" or "advance" */
    struct text invoice_id;
    struct text why;
    int32_t http_status; /* what the client was told, or STORE_NULL32 */
};

struct store_finish {
    uint8_t request_id[UUID_BYTES];
    int32_t fence;
    struct text state; /* "created", "failed" or "refused" */
    struct text reason;
    struct text detail;
    int32_t http_status;
    struct text invoice_id; /* of what stands, or of the draft that was deleted */
    struct text status;
    struct text number;
    int64_t amount_minor;
    struct text currency;
    int64_t created_s;
    struct text object; /* the upstream's bytes */
    bool pin;           /* the answer belongs to the client's key for good */
    struct text answer;
};

/* Opens a request without key again whose end as created nobody heard of, under the next fence. */
struct store_withdraw {
    uint8_t request_id[UUID_BYTES];
    int32_t fence;
};

/* Gives a request back unfinished; somebody takes it up again after delay_ms. */
struct store_park {
    uint8_t request_id[UUID_BYTES];
    int32_t fence;
    int32_t delay_ms;
};

/* Re-creates the intent of a request that the database has lost. */
struct store_restore {
    uint8_t request_id[UUID_BYTES];
    int32_t fence;
    int64_t agency_id;
    struct text mode;
    struct text route;
    struct text account_id;
    struct text client_id;
    struct text product_id;
    struct text collection_method;
    int32_t days_until_due;
    struct text idempotency_key;
    uint8_t fingerprint[DIGEST_BYTES];
    struct text upstream_version; /* absent: as in the settings */
    int32_t generation;
    struct text customer_id;
    struct text price_id;
    int64_t amount_minor;
    struct text currency;
    struct text form;
    struct text invoice_id;
};

/* Takes over what nobody works on. */
struct store_take {
    bool lapsed; /* also from workers whose lease has run out */
    int32_t limit;
};

/* Reads one invoice, or (LIST) a page of them. Reads have a connection of their own and are not run again
 * when it breaks: STORE_AWAY. */
struct store_read {
    uint8_t key_digest[DIGEST_BYTES];
    struct text route;
    struct text account_id; /* absent: the agency's default one */
    bool refused;           /* the request itself is no good: told only to whoever may ask */
    struct text invoice_id; /* READ, like the next one */
    struct text version;    /* of the upstream's interface; absent: as in the settings */
    int32_t limit;
    struct text customer_id; /* absent: of all */
    struct text status;
    int64_t from_s; /* both included; STORE_NULL64: none */
    int64_t until_s;
    struct text after; /* one of them at most */
    struct text before;
};

/* What the upstream showed of an invoice that was read; nothing happens if it has changed since. */
struct store_refresh {
    int64_t agency_id;
    struct text account_id;
    struct text mode;
    struct text invoice_id;
    int64_t seen_us;
    struct text status;
    struct text number;
    int64_t amount_minor;
    struct text currency;
    struct text object;
    struct text version; /* that object is in; absent: as in the settings */
};

/* Keys that opened something lately. They stay the caller's until the answer. */
struct store_used_key {
    uint8_t digest[DIGEST_BYTES];
};

struct store_used {
    const struct store_used_key *keys;
    int count;
};

/* Tasks wait by turns: each flow has its own. */
#define STORE_FLOW_OWN 0U       /* the worker's own business */
#define STORE_FLOW_STRANGERS 1U /* whoever has not shown yet who they are */
#define STORE_FLOW_FIRST 2U     /* from here on: agencies */

struct store_task {
    struct store_task *next;
    struct ref ref; /* whose task it is: handed back with the answer */
    uint64_t flow;
    enum store_kind kind;
    bool busy;                      /* between store_submit() and the answer */
    bool again;                     /* its commit is unknown: run alone */
    int errors;                     /* how often PostgreSQL refused it */
    const struct store_call *calls; /* recorded in the same transaction; next-linked, may be NULL */
    union {
        struct store_begin begin;
        struct store_plan plan;
        struct store_renew renew;
        struct store_note note;
        struct store_finish finish;
        struct store_withdraw withdraw;
        struct store_park park;
        struct store_restore restore;
        struct store_take take;
        struct store_read read;
        struct store_refresh refresh;
        struct store_used used;
    } in;
};

enum store_verdict {
    STORE_GO,           /* begin, plan, renew, note: done, go on */
    STORE_REFUSED,      /* begin: refused and recorded */
    STORE_REPLAY,       /* begin: this key has its answer already */
    STORE_UNAUTHORIZED, /* begin: no such key */
    STORE_BUSY,         /* begin run again: its first run still holds the key's lock; ask again soon */
    STORE_DONE,         /* finish */
    STORE_STALE,        /* another worker holds this request now, or has ended it */
    STORE_MISSING,      /* note, finish: no such request */
    STORE_AWAY /* begin: not recorded, and certainly not: database away or it refused the statement */
};

/* One invoice that was read. */
struct store_invoice {
    struct text invoice_id;
    struct text status;
    struct text number;
    int64_t amount_minor;
    struct text currency;
    struct text customer_id;
    int64_t created_s;
    struct text object;
    bool stale;
    int64_t seen_us;
};

#define STORE_PAGE_MAX 100

/* What came back. Texts are views that are valid during the call only. */
struct store_answer {
    enum store_verdict verdict;
    int32_t http_status;
    struct text reason;
    int64_t agency_id;
    struct text mode;
    bool planned;
    int32_t generation;
    int32_t customer_generation;
    struct text customer_id;
    struct text customer_name;
    struct text customer_email;
    struct text price_id;
    int64_t amount_minor; /* STORE_NULL64 when unknown */
    struct text currency;
    bool auto_advance;
    struct text original_request;
    struct text answer;     /* of a replay */
    struct text account_id; /* begin: the one that was named, or the default one */
    struct text client_id;
    struct text state;                    /* of a stale finish */
    const struct store_invoice *invoices; /* read, list: newest first */
    int invoice_count;
    bool has_more;
    int64_t unresolved; /* count: how many, and how old the oldest is */
    int64_t unresolved_oldest_s;
};

/* A request that was taken over: its frozen plan, and how far it may have come. Views as above. */
struct store_taken {
    uint8_t request_id[UUID_BYTES];
    int32_t fence;
    struct text doing; /* create, delete, advance */
    struct text route;
    struct text form;
    struct text account_id;
    struct text client_id;
    struct text product_id;
    struct text upstream_version;
    struct text collection_method;
    int32_t days_until_due; /* STORE_NULL32: none */
    struct text idempotency_key;
    struct text invoice_id;
    struct text reason;
    int64_t created_s;
    bool old; /* the upstream may have forgotten its keys */
    struct store_answer plan;
};

/* task->ref tells whose it is. */
typedef void store_answer_fn(void *owner, struct store_task *task, const struct store_answer *answer);

/* Called for each request that a TAKE brought, before its answer. */
typedef void store_taken_fn(void *owner, const struct store_taken *taken);

struct store_settings {
    const char *database; /* libpq connection string */
    const char *build;
    int32_t recipe;
    const char *upstream_url;
    const char *upstream_platform;
    const char *upstream_version;
    bool serves[MODE_COUNT];
    int lanes;
    int batch_max;
    int lease_ms;
    int key_retention_h;
    bool allow_unsafe;       /* accept a database that may lose what it confirmed (tests only) */
    struct metrics *metrics; /* or NULL */
};

enum store_health {
    STORE_READY,
    STORE_UNREACHED,  /* no connection */
    STORE_UNFIT,      /* it may lose what it confirms, or cannot be written to */
    STORE_UNMIGRATED, /* it lacks functions that this worker needs, or withholds them; perhaps while ready */
};

struct store;

/* Settings stay the caller's and must outlive the store. NULL when memory is out. Connects in the background.
 */
MUST_CHECK struct store *store_open(struct loop *loop, const struct store_settings *settings,
                                    store_answer_fn *answer, store_taken_fn *taken, void *owner);
bool store_is_ready(const struct store *store);
enum store_health store_health(const struct store *store);
/* kind, ref, in and calls are set by the caller. The answer always comes later, never from inside this call.
 */
void store_submit(struct store *store, struct store_task *task);
/* How long the database has been there without a break; 0 while it is away. */
int64_t store_ready_ms(const struct store *store);
/* Workers alive, this one included, as last heard; at least 1. */
int store_live_workers(const struct store *store);
/* Ends this worker's incarnation (what it holds is free at once) if the database can be reached within a
 * second, and frees everything. */
void store_close(struct store *store);

#endif
