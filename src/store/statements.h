/* The statements the worker prepares: their text, how tasks become their parameters, how rows become answers.
 */
#ifndef INVOICEGATE_STORE_STATEMENTS_H
#define INVOICEGATE_STORE_STATEMENTS_H

#include "store/rows.h"
#include "store/store.h"

/* Beyond one for each kind of task. */
enum statement {
    STATEMENT_CALLS = STORE_KIND_COUNT,
    STATEMENT_LEASE,
    STATEMENT_PARTITIONS,
    STATEMENT_PURGE,
    STATEMENT_ROLL_UP,
    STATEMENT_GOODBYE,
    STATEMENT_COUNT
};

struct statement_text {
    const char *name;
    const char *sql;
    int params;
};

extern const struct statement_text statements[STATEMENT_COUNT];

/* Asked once on every new connection: what durability rests on (protocol: verified, not assumed). It makes
 * the session's commits wait for the disk, whatever the server's or the role's setting is and becomes, unless
 * $1 (bool) says that they need not. */
extern const char statement_greeting[];
extern const char statement_hello[];

struct statement_context {
    int64_t worker_id;
    struct text upstream_version;
};

/* Kinds that are no batches travel alone. */
bool statement_is_single(enum store_kind kind);
/* Fills the parameters for tasks of one kind. */
void statement_params(struct params *params, const struct statement_context *context, enum store_kind kind,
                      struct store_task *const *tasks, int count);
/* Fills the parameters of STATEMENT_CALLS from the calls of all tasks; answers how many calls there are. */
int statement_calls_params(struct params *params, struct store_task *const *tasks, int count);
/* The same for a row of a TAKE. False when it makes no sense. */
MUST_CHECK bool statement_taken(const PGresult *result, int row, struct store_taken *taken);
/* Whether the lane for reads takes it: it stands in front of no intent (REFRESH writes what a read has seen).
 */
bool statement_is_read(enum store_kind kind);
/* One row of a READ or LIST: the verdict with what the row says of the whole, and its invoice. False when it
 * has none. */
MUST_CHECK bool statement_invoice(const PGresult *result, int row, struct store_answer *answer,
                                  struct store_invoice *invoice);
/* What row says; row's ord (from 1) is answered, 0 when the row makes no sense. */
int statement_answer(enum store_kind kind, const PGresult *result, int row, struct store_answer *answer);

#endif
