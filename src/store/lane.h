/* One connection to PostgreSQL and the batch that is under way on it. Private to store/. */
#ifndef INVOICEGATE_STORE_LANE_H
#define INVOICEGATE_STORE_LANE_H

#include <libpq-fe.h>

#include "base/loop.h"
#include "store/statements.h"
#include "store/store.h"

#define LANE_BATCH_MAX 256
#define LANE_RUNS_MAX STATEMENT_COUNT
#define NO_CHORE STATEMENT_COUNT

#define LANE_STATES(X)                                                                                       \
    X(DOWN)       /* waits for its next try */                                                               \
    X(CONNECTING) /* libpq is at it */                                                                       \
    X(GREETING)   /* checks durability, prepares statements, says hello */                                   \
    X(IDLE)                                                                                                  \
    X(BUSY) /* a batch is under way */

enum lane_state {
#define X(name) LANE_##name,
    LANE_STATES(X)
#undef X
};

/* One statement of a batch. */
struct run {
    enum statement statement;
    int first; /* of its tasks in the batch */
    int count;
    PGresult *result; /* kept until the whole batch is known to be committed */
};

/* What travels as one transaction, and what has come back of it. */
struct batch {
    struct store_task *tasks[LANE_BATCH_MAX];
    int count;
    struct run runs[LANE_RUNS_MAX];
    int run_count;
    bool failed;
    char sqlstate[6];
};

struct lane {
    struct store *store;
    int number;
    enum lane_state state;
    PGconn *connection;
    struct watch watch;
    struct timer timer; /* DOWN: next try; otherwise: patience with the server */
    int tries;
    struct params params;
    struct batch batch;
    int64_t sent_ms;
    int run_at;        /* whose results are arriving */
    bool unreplicated; /* the commit did not wait for the standby */
};

void lane_open(struct lane *lane, struct store *store, int number);
/* Sends tasks (at most LANE_BATCH_MAX, any kinds) and a chore (or NO_CHORE) as one transaction. Only while
 * IDLE. */
void lane_send(struct lane *lane, struct store_task **tasks, int count, enum statement chore);
/* Says goodbye for the worker, waiting a second at most. Only at the end of the process. */
void lane_goodbye(struct lane *lane);
void lane_close(struct lane *lane);

/* What a lane tells its store (store.c). */
void store_lane_ready(struct lane *lane);
/* A function is missing, or the right to it. */
void store_lane_lacks(struct lane *lane);
/* The connection is gone: the tasks of its batch may have been committed. */
void store_lane_lost(struct lane *lane);
/* The lane has nothing to do. */
void store_lane_free(struct lane *lane);
/* A batch is committed, or (failed) certainly rolled back. The lane may have its next one already. */
void store_lane_done(struct lane *lane, struct batch *batch);

#endif
