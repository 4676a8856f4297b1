#include <stdlib.h>

#include "base/log.h"
#include "store/chores.h"
#include "store/gather.h"
#include "store/internal.h"

#define DELAY_MS 200
#define LACKING_MS (20 * 1000) /* longer than the pauses between the chores that come often */
#define ERRORS_OF_BEGIN_MAX 3

static void store_deliver(struct store *store, struct store_task *task, const struct store_answer *answer)
{
    task->busy = false;
    task->again = false;
    task->errors = 0;
    task->calls = NULL; /* recorded: the owner's next task has its own */
    store->answer(store->owner, task, answer);
}

static void store_delayed_now(void *owner)
{
    struct store *store = owner;
    struct store_task *task;
    while ((task = queue_take(&store->delayed)))
        queue_put(&store->alone, task);
}

static void store_delay(struct store *store, struct store_task *task)
{
    queue_put(&store->delayed, task);
    if (!store->delay.place)
        loop_timer(store->loop, &store->delay, DELAY_MS, store_delayed_now, store);
}

static void store_ready_update(struct store *store)
{
    bool ready = false;
    for (int i = 0; i < store->lane_count; i++)
        ready = ready || store->lanes[i].state == LANE_IDLE || store->lanes[i].state == LANE_BUSY;
    if (ready == store->ready)
        return;
    store->ready = ready;
    store->ready_since_ms = loop_now_ms(store->loop);
    LOG_PLAIN(ready ? LOG_INFO : LOG_ERROR,
              ready ? "database ready" : "database away: new requests are refused");
}

static struct lane *store_read_lane(struct store *store)
{
    return &store->lanes[store->lane_count];
}

/* A lane that has never been there yet may be so in a moment. */
static bool store_may_read(struct store *store)
{
    const struct lane *lane = store_read_lane(store);
    return lane->state == LANE_IDLE || lane->state == LANE_BUSY || (store->ready && lane->tries == 0);
}

/* Reads go one by one and are not repeated: whoever asked can ask again. */
static void store_send_read(struct store *store)
{
    static const struct store_answer away = {.verdict = STORE_AWAY};
    struct store_task *task;
    while (turns_first(&store->reading) && !store_may_read(store))
        store_deliver(store, turns_take(&store->reading), &away);
    if (store_read_lane(store)->state == LANE_IDLE && (task = turns_take(&store->reading)))
        lane_send(store_read_lane(store), &task, 1, NO_CHORE);
}

static void store_read_done(struct store *store, struct store_task *task, const PGresult *result)
{
    struct store_invoice invoices[STORE_PAGE_MAX];
    struct store_answer answer = {.verdict = STORE_AWAY, .invoices = invoices};
    if (task->kind == STORE_COUNT && result && PQntuples(result) == 1) {
        answer.verdict = STORE_GO;
        answer.unresolved = row_int8(result, 0, 0);
        answer.unresolved_oldest_s = row_int8(result, 0, 1);
        store_deliver(store, task, &answer);
        return;
    }
    for (int row = 0; result && row < PQntuples(result) && row < STORE_PAGE_MAX; row++)
        answer.invoice_count += statement_invoice(result, row, &answer, &invoices[row]);
    store_deliver(store, task, &answer);
}

/* Begins that were never sent are certainly not recorded: their clients can be told at once. */
static void store_refuse_waiting(struct store *store)
{
    static const struct store_answer away = {.verdict = STORE_AWAY};
    struct task_queue kept;
    struct store_task *task;
    queue_init(&kept);
    while ((task = turns_take(&store->waiting))) {
        if (task->kind == STORE_BEGIN)
            store_deliver(store, task, &away);
        else
            queue_put(&kept, task);
    }
    while ((task = queue_take(&kept)))
        turns_put(&store->waiting, task);
}

static struct lane *store_idle_lane(struct store *store)
{
    for (int i = 0; i < store->lane_count; i++)
        if (store->lanes[i].state == LANE_IDLE)
            return &store->lanes[i];
    return NULL;
}

static int store_take_batch(struct store *store, struct store_task **batch)
{
    int count = 0;
    if (store->alone.first) {
        batch[count++] = queue_take(&store->alone);
        return count;
    }
    while (count < store->settings->batch_max && turns_first(&store->waiting)) {
        if (statement_is_single(turns_first(&store->waiting)->kind) && count > 0)
            break;
        batch[count++] = turns_take(&store->waiting);
        if (statement_is_single(batch[count - 1]->kind))
            break;
    }
    return count;
}

/* Before the loop sleeps, and when a lane is free again: everything that is ready and has a lane leaves in
 * one batch a lane. */
static void store_send(void *owner)
{
    struct store *store = owner;
    struct lane *lane;
    if (!store->ready)
        store_refuse_waiting(store);
    store_send_read(store);
    while ((lane = store_idle_lane(store))) {
        struct store_task *batch[LANE_BATCH_MAX];
        enum statement chore = chores_take_late(store);
        int count = chore == NO_CHORE && !gather_more(store) ? store_take_batch(store, batch) : 0;
        /* A task that is run again may find everything done and write nothing, and such a commit waits for no
         * standby: with the lease in it, it waits until that has the earlier one, too. */
        if (count > 0 && batch[0]->again)
            store->chores[0].due = true;
        if (chore == NO_CHORE)
            chore = chores_take(store, count == 0);
        if (count == 0 && chore == NO_CHORE)
            return;
        if (count > 0 && store->settings->metrics)
            histogram_add(&store->settings->metrics->batch, &metric_items, count);
        lane_send(lane, batch, count, chore);
    }
}

void store_lane_ready(struct lane *lane)
{
    struct store *store = lane->store;
    store->chores[0].due = true; /* the lease: time has passed */
    store_ready_update(store);
}

/* Nothing tells when it is there again but that statements stop failing, and some come seldom. */
void store_lane_lacks(struct lane *lane)
{
    lane->store->lacking_until_ms = loop_now_ms(lane->store->loop) + LACKING_MS;
}

void store_lane_lost(struct lane *lane)
{
    struct store *store = lane->store;
    static const struct store_answer away = {.verdict = STORE_AWAY};
    int count = lane->batch.count;
    lane->batch.count = 0;
    for (int i = 0; i < count; i++) {
        if (lane == store_read_lane(store)) {
            store_deliver(store, lane->batch.tasks[i], &away);
            continue;
        }
        lane->batch.tasks[i]->again = true;
        queue_put(&store->alone, lane->batch.tasks[i]);
    }
    store_ready_update(store);
}

/* The batch is certainly rolled back. Neighbours of a poisoned task must not go down with it: each is run
 * alone. */
static void store_batch_failed(struct store *store, const struct batch *batch)
{
    static const struct store_answer away = {.verdict = STORE_AWAY};
    for (int i = 0; i < batch->count; i++) {
        struct store_task *task = batch->tasks[i];
        if (batch->count > 1) {
            queue_put(&store->alone, task);
            continue;
        }
        task->errors++;
        if (task->kind == STORE_BEGIN && !task->again && task->errors >= ERRORS_OF_BEGIN_MAX) {
            store_deliver(store, task, &away);
            continue;
        }
        LOG(LOG_WARNING, "a task is tried again", LOG_INT("errors", task->errors),
            LOG_TEXT("sqlstate", text_from(batch->sqlstate)));
        store_delay(store, task);
    }
}

static void store_take_done(struct store *store, struct store_task *task, const PGresult *result)
{
    static const struct store_answer done = {.verdict = STORE_GO};
    struct store_taken taken;
    for (int row = 0; row < PQntuples(result); row++)
        if (statement_taken(result, row, &taken))
            store->taken(store->owner, &taken);
    store_deliver(store, task, &done);
}

static void store_run_done(struct store *store, struct store_task **tasks, const struct run *run)
{
    struct store_answer answer;
    for (int row = 0; row < PQntuples(run->result); row++) {
        int ord = statement_answer((enum store_kind)run->statement, run->result, row, &answer);
        if (ord < 1 || ord > run->count || !tasks[ord - 1])
            continue;
        if (answer.verdict == STORE_BUSY && tasks[ord - 1]->again)
            store_delay(store, tasks[ord - 1]);
        else
            store_deliver(store, tasks[ord - 1], &answer);
        tasks[ord - 1] = NULL;
    }
    /* renew_customer answers no row when the request is no longer ours. */
    for (int i = 0; i < run->count; i++) {
        static const struct store_answer stale = {.verdict = STORE_STALE};
        if (tasks[i])
            store_deliver(store, tasks[i], &stale);
    }
}

void store_lane_free(struct lane *lane)
{
    store_send(lane->store);
}

void store_lane_done(struct lane *lane, struct batch *batch)
{
    struct store *store = lane->store;
    if (lane == store_read_lane(store)) {
        for (int i = 0; i < batch->count; i++)
            store_read_done(store, batch->tasks[i], batch->failed ? NULL : batch->runs[0].result);
        return;
    }
    if (batch->failed && batch->count == 0)
        LOG(LOG_WARNING, "a chore failed; its turn comes again",
            LOG_TEXT("sqlstate", text_from(batch->sqlstate)));
    if (batch->failed) {
        store_batch_failed(store, batch);
        return;
    }
    for (int i = 0; i < batch->run_count; i++) {
        const struct run *run = &batch->runs[i];
        if (run->statement == STATEMENT_LEASE && run->result && PQntuples(run->result) == 1)
            store->live_workers = row_int4(run->result, 0, 0);
        else if (run->statement == STATEMENT_ROLL_UP && run->result)
            chores_rolled_up(store, run->result);
        else if (run->statement == (enum statement)STORE_TAKE && run->count == 1)
            store_take_done(store, batch->tasks[run->first], run->result);
        else if (run->statement < (enum statement)STORE_KIND_COUNT && run->count > 0)
            store_run_done(store, batch->tasks + run->first, run);
    }
}

struct store *store_open(struct loop *loop, const struct store_settings *settings, store_answer_fn *answer,
                         store_taken_fn *taken, void *owner)
{
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return NULL;
    CHECK(settings->lanes >= 1 && settings->lanes <= STORE_LANES_MAX);
    CHECK(settings->batch_max >= 1 && settings->batch_max <= LANE_BATCH_MAX);
    store->loop = loop;
    store->settings = settings;
    store->answer = answer;
    store->taken = taken;
    store->live_workers = 1;
    store->problem = STORE_UNREACHED;
    store->owner = owner;
    store->lane_count = settings->lanes;
    queue_init(&store->alone);
    turns_init(&store->waiting);
    queue_init(&store->delayed);
    turns_init(&store->reading);
    for (int i = 0; i <= store->lane_count; i++)
        lane_open(&store->lanes[i], store, i);
    loop_before_sleep(loop, &store->hook, store_send, store);
    chores_start(store);
    return store;
}

bool store_is_ready(const struct store *store)
{
    return store->ready;
}

enum store_health store_health(const struct store *store)
{
    if (!store->ready)
        return store->problem;
    return loop_now_ms(store->loop) < store->lacking_until_ms ? STORE_UNMIGRATED : STORE_READY;
}

int64_t store_ready_ms(const struct store *store)
{
    return store->ready ? loop_now_ms(store->loop) - store->ready_since_ms : 0;
}

int store_live_workers(const struct store *store)
{
    return store->live_workers > 1 ? store->live_workers : 1;
}

void store_submit(struct store *store, struct store_task *task)
{
    CHECK(!task->busy);
    task->busy = true;
    turns_put(statement_is_read(task->kind) ? &store->reading : &store->waiting, task);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->worker_id != 0 && store_idle_lane(store))
        lane_goodbye(store_idle_lane(store));
    for (int i = 0; i <= store->lane_count; i++)
        lane_close(&store->lanes[i]);
    loop_untimer(store->loop, &store->delay);
    loop_untimer(store->loop, &store->gathering);
    chores_stop(store);
    free(store);
}
