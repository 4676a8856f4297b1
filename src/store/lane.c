#include "store/lane.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "store/greeting.h"
#include "store/internal.h"

#define CONNECT_PATIENCE_MS 5000
#define BATCH_PATIENCE_MS 25000
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 2000
#define GOODBYE_PATIENCE_US 1000000

static void lane_connect(void *owner);
static void lane_event(void *owner, uint32_t events);

static const struct {
    enum lane_state from;
    enum lane_state to;
} edges[] = {
    {LANE_DOWN, LANE_CONNECTING}, {LANE_CONNECTING, LANE_GREETING}, {LANE_CONNECTING, LANE_DOWN},
    {LANE_GREETING, LANE_IDLE},   {LANE_GREETING, LANE_DOWN},       {LANE_IDLE, LANE_BUSY},
    {LANE_IDLE, LANE_DOWN},       {LANE_BUSY, LANE_IDLE},           {LANE_BUSY, LANE_DOWN},
};

static void lane_set_state(struct lane *lane, enum lane_state to)
{
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        if (edges[i].from == lane->state && edges[i].to == to) {
            lane->state = to;
            return;
        }
    }
    NEVER("a lane's state changes along its edges");
}

static void batch_forget(struct batch *batch)
{
    for (int i = 0; i < batch->run_count; i++)
        PQclear(batch->runs[i].result);
    batch->run_count = 0;
}

static void lane_disconnect(struct lane *lane)
{
    struct loop *loop = lane->store->loop;
    loop_unwatch(loop, &lane->watch);
    loop_untimer(loop, &lane->timer);
    batch_forget(&lane->batch);
    PQfinish(lane->connection);
    lane->connection = NULL;
}

/* why must not quote the connection string: libpq's own messages do not hold passwords. */
static void lane_down(struct lane *lane, const char *why)
{
    int delay_ms = RETRY_FIRST_MS << (lane->tries < 5 ? lane->tries : 5);
    if (lane->state != LANE_CONNECTING || lane->tries == 0)
        LOG(LOG_WARNING, "database connection lost; trying again", LOG_INT("lane", lane->number),
            LOG_TEXT("why", text_from(why)));
    lane_disconnect(lane);
    if (lane->state != LANE_GREETING)
        lane->store->problem = STORE_UNREACHED;
    lane->tries++;
    lane_set_state(lane, LANE_DOWN);
    loop_timer(lane->store->loop, &lane->timer, delay_ms < RETRY_MAX_MS ? delay_ms : RETRY_MAX_MS,
               lane_connect, lane);
    store_lane_lost(lane);
}

static void lane_patience(void *owner)
{
    struct lane *lane = owner;
    lane_down(lane, "the server did not answer in time");
}

/* libpq may change its socket while it connects. */
static void lane_watch(struct lane *lane, uint32_t events)
{
    int fd = PQsocket(lane->connection);
    if (lane->watch.fd == fd && fd >= 0) {
        loop_watch_events(lane->store->loop, &lane->watch, events);
        return;
    }
    loop_unwatch(lane->store->loop, &lane->watch);
    if (fd < 0 || !loop_watch(lane->store->loop, &lane->watch, fd, events, lane_event, lane))
        lane_down(lane, "no socket to watch");
}

static void lane_flush(struct lane *lane)
{
    int left = PQflush(lane->connection);
    if (left < 0)
        lane_down(lane, PQerrorMessage(lane->connection));
    else
        lane_watch(lane, left ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void lane_greet(struct lane *lane)
{
    lane_set_state(lane, LANE_GREETING);
    lane->run_at = 0;
    lane->batch.failed = false;
    if (PQsetnonblocking(lane->connection, 1) != 0 || !PQenterPipelineMode(lane->connection) ||
        !greeting_send(lane))
        lane_down(lane, PQerrorMessage(lane->connection));
    else
        lane_flush(lane);
}

static void lane_poll_connect(struct lane *lane)
{
    switch (PQconnectPoll(lane->connection)) {
    case PGRES_POLLING_READING:
        lane_watch(lane, EPOLLIN);
        break;
    case PGRES_POLLING_WRITING:
        lane_watch(lane, EPOLLOUT);
        break;
    case PGRES_POLLING_OK:
        lane_greet(lane);
        break;
    default:
        lane_down(lane, PQerrorMessage(lane->connection));
    }
}

/* Somebody broke off a commit's wait for the synchronous standby: the server has committed and says so, but a
 * failover would lose it. Its texts are translated, the name of its function is not. */
static void lane_notice(void *owner, const PGresult *notice)
{
    struct lane *lane = owner;
    const char *function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
    if (function && strcmp(function, "SyncRepWaitForLSN") == 0)
        lane->unreplicated = true;
}

static void lane_connect(void *owner)
{
    struct lane *lane = owner;
    static const char *const names[] = {
        "dbname", "application_name", "client_encoding", "target_session_attrs", "tcp_user_timeout", NULL};
    const char *values[] = {
        lane->store->settings->database, "invoicegate", "UTF8", "read-write", "10000", NULL};
    lane_set_state(lane, LANE_CONNECTING);
    loop_timer(lane->store->loop, &lane->timer, CONNECT_PATIENCE_MS, lane_patience, lane);
    lane->connection = PQconnectStartParams(names, values, 1);
    lane->unreplicated = false;
    if (lane->connection)
        (void)PQsetNoticeReceiver(lane->connection, lane_notice, lane);
    if (!lane->connection || PQstatus(lane->connection) == CONNECTION_BAD)
        lane_down(lane, lane->connection ? PQerrorMessage(lane->connection) : "out of memory");
    else
        lane_watch(lane, EPOLLOUT);
}

void lane_open(struct lane *lane, struct store *store, int number)
{
    *lane = (struct lane){.store = store, .number = number, .state = LANE_DOWN, .watch = {.fd = -1}};
    loop_timer(store->loop, &lane->timer, 0, lane_connect, lane);
}

/* Groups the tasks by kind, in the order of the kinds, so that each kind is one statement. */
static void lane_load(struct lane *lane, struct store_task **tasks, int count)
{
    lane->batch.count = 0;
    for (int kind = 0; kind < STORE_KIND_COUNT; kind++) {
        int first = lane->batch.count;
        for (int i = 0; i < count; i++)
            if ((int)tasks[i]->kind == kind)
                lane->batch.tasks[lane->batch.count++] = tasks[i];
        if (lane->batch.count > first)
            lane->batch.runs[lane->batch.run_count++] = (struct run){
                .statement = (enum statement)kind, .first = first, .count = lane->batch.count - first};
    }
}

static bool lane_send_statement(struct lane *lane, enum statement statement)
{
    return params_send(&lane->params, lane->connection, statements[statement].name);
}

static bool lane_send_chore(struct lane *lane, enum statement chore)
{
    params_reset(&lane->params);
    if (chore == STATEMENT_LEASE || chore == STATEMENT_GOODBYE)
        params_int8(&lane->params, lane->store->worker_id);
    if (chore == STATEMENT_LEASE)
        params_int4(&lane->params, lane->store->settings->lease_ms);
    if (chore == STATEMENT_PURGE)
        params_int4(&lane->params, lane->store->settings->key_retention_h);
    lane->batch.runs[lane->batch.run_count++] = (struct run){.statement = chore};
    return lane_send_statement(lane, chore);
}

static bool lane_send_tasks(struct lane *lane)
{
    struct statement_context context = {lane->store->worker_id,
                                        text_from(lane->store->settings->upstream_version)};
    int kinds = lane->batch.run_count;
    for (int i = 0; i < kinds; i++) {
        struct run *run = &lane->batch.runs[i];
        statement_params(&lane->params, &context, (enum store_kind)run->statement,
                         lane->batch.tasks + run->first, run->count);
        if (!lane_send_statement(lane, run->statement))
            return false;
    }
    if (statement_calls_params(&lane->params, lane->batch.tasks, lane->batch.count) == 0)
        return true;
    lane->batch.runs[lane->batch.run_count++] = (struct run){.statement = STATEMENT_CALLS};
    return lane_send_statement(lane, STATEMENT_CALLS);
}

void lane_send(struct lane *lane, struct store_task **tasks, int count, enum statement chore)
{
    bool sent;
    lane_set_state(lane, LANE_BUSY);
    lane->sent_ms = loop_now_ms(lane->store->loop);
    lane->batch.run_count = 0;
    lane->run_at = 0;
    lane->batch.failed = false;
    lane_load(lane, tasks, count);
    sent = lane_send_tasks(lane);
    if (sent && chore != NO_CHORE)
        sent = lane_send_chore(lane, chore);
    sent = sent && PQpipelineSync(lane->connection) == 1;
    loop_timer(lane->store->loop, &lane->timer, BATCH_PATIENCE_MS, lane_patience, lane);
    if (sent)
        lane_flush(lane);
    else
        lane_down(lane, PQerrorMessage(lane->connection));
}

/* The next batch leaves before anybody hears of this one: PostgreSQL need not wait for that. */
static void lane_batch_end(struct lane *lane)
{
    struct batch done = lane->batch;
    lane->batch.count = 0;
    lane->batch.run_count = 0;
    loop_untimer(lane->store->loop, &lane->timer);
    lane_set_state(lane, LANE_IDLE);
    store_lane_free(lane);
    store_lane_done(lane, &done);
    batch_forget(&done);
}

static void lane_greeted(struct lane *lane)
{
    const char *problem =
        lane->batch.failed ? "the server refused the worker's statements" : greeting_problem(lane);
    if (problem) {
        LOG(LOG_ERROR, problem,
            LOG_TEXT("sqlstate", text_from(lane->batch.failed ? lane->batch.sqlstate : NULL)));
        lane_down(lane, problem);
        lane->store->problem = lane->batch.failed ? STORE_UNMIGRATED : STORE_UNFIT;
        return;
    }
    lane->tries = 0;
    loop_untimer(lane->store->loop, &lane->timer);
    lane_set_state(lane, LANE_IDLE);
    batch_forget(&lane->batch);
    store_lane_ready(lane);
}

/* Not the server's word but libpq's own, when memory is out: what it could not read may have been a commit.
 */
static bool lane_is_unheard(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_FATAL_ERROR && !PQresultErrorField(result, PG_DIAG_SQLSTATE);
}

/* Preparing shows what is missing at the start, but not what is taken away later, nor a right that is. */
static bool lane_lacks_function(const struct lane *lane)
{
    return strcmp(lane->batch.sqlstate, "42883") == 0 || strcmp(lane->batch.sqlstate, "42501") == 0;
}

static void lane_keep_result(struct lane *lane, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (status == PGRES_FATAL_ERROR && !lane->batch.failed) {
        lane->batch.failed = true;
        (void)snprintf(lane->batch.sqlstate, sizeof(lane->batch.sqlstate), "%s",
                       sqlstate ? sqlstate : "XX000");
        /* The primary message only: details may quote a row's values. */
        LOG(LOG_ERROR, "the database refused a statement",
            LOG_TEXT("sqlstate", text_from(lane->batch.sqlstate)),
            LOG_TEXT("why", text_from(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY))));
        if (lane->state == LANE_BUSY && lane_lacks_function(lane))
            store_lane_lacks(lane);
    }
    if (status == PGRES_TUPLES_OK && lane->run_at < lane->batch.run_count) {
        PQclear(lane->batch.runs[lane->run_at].result);
        lane->batch.runs[lane->run_at].result = result;
    } else {
        PQclear(result);
    }
}

/* The server's settings have changed: every lane greets it again, and what is under way counts once they
 * suit. */
static void lanes_down(struct store *store, const char *why)
{
    for (int i = 0; i <= store->lane_count; i++)
        if (store->lanes[i].state == LANE_IDLE || store->lanes[i].state == LANE_BUSY)
            lane_down(&store->lanes[i], why);
}

static void lane_synced(struct lane *lane)
{
    const char *lapsed = lane->state == LANE_BUSY ? greeting_lapsed(lane) : NULL;
    if (lane->unreplicated)
        lane_down(lane, "the commit's wait for the synchronous standby was broken off");
    else if (lapsed)
        lanes_down(lane->store, lapsed);
    else if (lane->state == LANE_GREETING)
        lane_greeted(lane);
    else
        lane_batch_end(lane);
}

/* Reads what has arrived. A result counts only once the Sync behind it has answered: that is the commit. */
static void lane_read(struct lane *lane)
{
    while (lane->connection && !PQisBusy(lane->connection)) {
        PGresult *result = PQgetResult(lane->connection);
        if (!result) {
            lane->run_at++;
            if (lane->run_at > LANE_RUNS_MAX + 2) {
                lane_down(lane, "no end of the results was heard");
                return;
            }
            continue;
        }
        if (lane_is_unheard(result)) {
            PQclear(result);
            lane_down(lane, "a result was not heard");
            return;
        }
        if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
            lane_keep_result(lane, result);
            continue;
        }
        PQclear(result);
        lane_synced(lane);
        return;
    }
}

static void lane_event(void *owner, uint32_t events)
{
    struct lane *lane = owner;
    if (lane->state == LANE_CONNECTING) {
        lane_poll_connect(lane);
        return;
    }
    if (events & EPOLLOUT)
        lane_flush(lane);
    if (lane->state == LANE_DOWN)
        return;
    if (!PQconsumeInput(lane->connection) || PQstatus(lane->connection) == CONNECTION_BAD)
        lane_down(lane, PQerrorMessage(lane->connection));
    else if (lane->state == LANE_BUSY || lane->state == LANE_GREETING)
        lane_read(lane);
}

void lane_goodbye(struct lane *lane)
{
    int64_t until_us = loop_clock_us() + GOODBYE_PATIENCE_US;
    if (lane->state != LANE_IDLE)
        return;
    lane->batch.run_count = 0;
    if (!lane_send_chore(lane, STATEMENT_GOODBYE) || PQpipelineSync(lane->connection) != 1)
        return;
    while (loop_clock_us() < until_us && PQflush(lane->connection) >= 0) {
        struct pollfd socket = {.fd = PQsocket(lane->connection), .events = POLLIN};
        if (poll(&socket, 1, 100) > 0 && !PQconsumeInput(lane->connection))
            return;
        if (!PQisBusy(lane->connection))
            return;
    }
}

void lane_close(struct lane *lane)
{
    if (lane->connection)
        lane_disconnect(lane);
    loop_untimer(lane->store->loop, &lane->timer);
    params_free(&lane->params);
}
