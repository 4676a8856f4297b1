/* From a step to its HTTP call: method, path, form and idempotency key. Pure: the same plan gives the same
 * bytes for ever, whichever worker, crash or upgrade lies between. What is sent changes only together with
 * RECIPE. */
#ifndef INVOICEGATE_UPSTREAM_CALLS_H
#define INVOICEGATE_UPSTREAM_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/apikey.h"
#include "base/arena.h"
#include "base/digest.h"

/* The version of the bytes below. A worker leaves requests of a recipe that it does not know alone. */
#define RECIPE 1

/* name in the audit, creates something upstream */
#define STEPS(X)                                                                                             \
    X(PRODUCT, product, false)                                                                               \
    X(PRICES, prices, false)                                                                                 \
    X(CUSTOMER, customer, true)                                                                              \
    X(INVOICE, invoice, true)                                                                                \
    X(LINES, lines, true)                                                                                    \
    X(LOOKUP, lookup, false)                                                                                 \
    X(ADVANCE, advance, true)                                                                                \
    X(DELETE, delete, true)                                                                                  \
    X(ACT, act, true)                                                                                        \
    X(READ, read, false)

enum step {
#define X(upper, lower, creates) STEP_##upper,
    STEPS(X)
#undef X
        STEP_COUNT
};

/* name in the audit, end of its path. What a caller of the upstream's own interface asks for an invoice that
 * is there, or (an item) for one that is to come. */
#define ACTS(X)                                                                                              \
    X(NONE, none, "")                                                                                        \
    X(UPDATE, update, "")                                                                                    \
    X(FINALIZE, finalize, "/finalize")                                                                       \
    X(SEND, send, "/send")                                                                                   \
    X(VOID, void, "/void")                                                                                   \
    X(INVOICEITEM, invoiceitem, "")

enum act {
#define X(upper, lower, end) ACT_##upper,
    ACTS(X)
#undef X
        ACT_COUNT
};

const char *step_name(enum step step);
/* Whether a lost answer leaves its outcome unknown. */
bool step_creates(enum step step);

/* The metadata of an invoice that names its request. */
#define METADATA_REQUEST "invoicegate_request"
#define METADATA_CLIENT "invoicegate_client"
/* The last update of an invoice. */
#define METADATA_ACT "invoicegate_act"

/* Everything that the calls are made of, as it is frozen in PostgreSQL. */
struct plan {
    uint8_t request_id[UUID_BYTES];
    int32_t generation;
    int64_t agency_id;
    enum mode mode;
    struct text account_id;
    struct text client_id;
    struct text product_id;
    struct text upstream_version; /* of the interface; absent: the worker's own */
    struct text collection_method;
    int32_t days_until_due; /* below 0: not sent */
    int32_t customer_generation;
    struct text customer_id;
    struct text customer_name;
    struct text customer_email; /* absent: none */
    struct text price_id;
    int64_t amount_minor;
    struct text currency;
    bool auto_advance;
    /* A call of the upstream's own interface goes on as its caller wrote it. */
    struct text form;        /* absent: an invoice of ours, made in several steps */
    enum act act;            /* ACT_NONE: it makes an invoice */
    struct text query;       /* READ: behind the path, or absent */
    struct text invoice_id;  /* once known; that an act is about */
    struct text list_cursor; /* LOOKUP: the last invoice of the page before, or absent */
    int64_t list_since_s;    /* LOOKUP: created at or after */
};

/* The step as the audit calls it: an act by its own name. */
const char *plan_step_name(const struct plan *plan, enum step step);

enum method { METHOD_GET, METHOD_POST, METHOD_DELETE };

struct call {
    enum method method;
    struct text path;            /* with its query */
    struct text form;            /* absent: no body */
    struct text idempotency_key; /* absent with GET and DELETE */
    struct text account_id;
    struct text version; /* of the upstream's interface; absent: as in the settings */
    enum mode mode;
    struct text traceparent; /* absent: none. A header alone, which no step's bytes or key depend on */
};

/* False when the arena overflowed. All texts are NUL-terminated and in the arena or the plan. */
MUST_CHECK bool call_make(enum step step, const struct plan *plan, struct arena *arena, struct call *call);

#endif
