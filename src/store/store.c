#include <stdlib.h>

#include "base/log.h"
#include "store/internal.h"

#define DELAY_MS 200
#define PARTITIONS_EVERY_MS (6 * 60 * 60 * 1000)
#define ERRORS_OF_BEGIN_MAX 3

static void queue_init(struct task_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_put(struct task_queue *queue, struct store_task *task)
{
    task->next = NULL;
    *queue->last = task;
    queue->last = &task->next;
}

static struct store_task *queue_take(struct task_queue *queue)
{
    struct store_task *task = queue->first;
    if (task) {
        queue->first = task->next;
        if (!queue->first)
            queue->last = &queue->first;
    }
    return task;
}

static void store_deliver(struct store *store, struct store_task *task, const struct store_answer *answer)
{
    task->busy = false;
    task->again = false;
    task->errors = 0;
    store->pending--;
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
    LOG_PLAIN(ready ? LOG_INFO : LOG_ERROR,
              ready ? "database ready" : "database away: new requests are refused");
}

/* Begins that were never sent are certainly not recorded: their clients can be told at once. */
static void store_refuse_waiting(struct store *store)
{
    static const struct store_answer away = {.verdict = STORE_AWAY};
    struct task_queue waiting = store->waiting;
    struct store_task *task;
    if (!waiting.first)
        return;
    queue_init(&store->waiting);
    while ((task = queue_take(&waiting))) {
        if (task->kind == STORE_BEGIN)
            store_deliver(store, task, &away);
        else
            queue_put(&store->waiting, task);
    }
}

static struct lane *store_idle_lane(struct store *store)
{
    for (int i = 0; i < store->lane_count; i++)
        if (store->lanes[i].state == LANE_IDLE)
            return &store->lanes[i];
    return NULL;
}

/* Before the loop sleeps: everything that is ready and has a lane leaves in one batch a lane. */
static void store_send(void *owner)
{
    struct store *store = owner;
    struct lane *lane;
    if (!store->ready)
        store_refuse_waiting(store);
    while ((store->alone.first || store->waiting.first || store->lease_due || store->partitions_due) &&
           (lane = store_idle_lane(store))) {
        struct store_task *batch[LANE_BATCH_MAX];
        int count = 0;
        bool partitions = store->partitions_due && !store->alone.first && !store->waiting.first;
        bool lease = store->lease_due && !partitions;
        if (store->alone.first)
            batch[count++] = queue_take(&store->alone);
        else
            while (count < store->settings->batch_max && store->waiting.first)
                batch[count++] = queue_take(&store->waiting);
        store->lease_due = store->lease_due && !lease;
        store->partitions_due = store->partitions_due && !partitions;
        lane_send(lane, batch, count, lease, partitions);
    }
}

void store_lane_ready(struct lane *lane)
{
    struct store *store = lane->store;
    store->lease_due = true;
    store_ready_update(store);
}

void store_lane_lost(struct lane *lane)
{
    struct store *store = lane->store;
    for (int i = 0; i < lane->batch_count; i++) {
        lane->batch[i]->again = true;
        queue_put(&store->alone, lane->batch[i]);
    }
    lane->batch_count = 0;
    store_ready_update(store);
}

/* The batch is certainly rolled back. Neighbours of a poisoned task must not go down with it: each is run
 * alone. */
static void store_batch_failed(struct store *store, struct store_task **batch, int count,
                               const char *sqlstate)
{
    static const struct store_answer away = {.verdict = STORE_AWAY};
    for (int i = 0; i < count; i++) {
        struct store_task *task = batch[i];
        if (count > 1) {
            queue_put(&store->alone, task);
            continue;
        }
        task->errors++;
        if (task->kind == STORE_BEGIN && !task->again && task->errors >= ERRORS_OF_BEGIN_MAX) {
            store_deliver(store, task, &away);
            continue;
        }
        LOG(LOG_WARNING, "a task is tried again", LOG_INT("errors", task->errors),
            LOG_TEXT("sqlstate", text_from(sqlstate)));
        store_delay(store, task);
    }
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

void store_lane_done(struct lane *lane)
{
    struct store *store = lane->store;
    int count = lane->batch_count;
    lane->batch_count = 0;
    if (lane->failed) {
        store_batch_failed(store, lane->batch, count, lane->sqlstate);
        return;
    }
    for (int i = 0; i < lane->run_count; i++)
        if (lane->runs[i].statement < (enum statement)STORE_KIND_COUNT && lane->runs[i].count > 0)
            store_run_done(store, lane->batch + lane->runs[i].first, &lane->runs[i]);
}

static void store_lease_due(void *owner)
{
    struct store *store = owner;
    store->lease_due = store->ready;
    loop_timer(store->loop, &store->lease, store->settings->lease_ms / 3, store_lease_due, store);
}

static void store_partitions_due(void *owner)
{
    struct store *store = owner;
    store->partitions_due = true;
    loop_timer(store->loop, &store->partitions, PARTITIONS_EVERY_MS, store_partitions_due, store);
}

struct store *store_open(struct loop *loop, const struct store_settings *settings, store_answer_fn *answer,
                         void *owner)
{
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return NULL;
    CHECK(settings->lanes >= 1 && settings->lanes <= STORE_LANES_MAX);
    CHECK(settings->batch_max >= 1 && settings->batch_max <= LANE_BATCH_MAX);
    store->loop = loop;
    store->settings = settings;
    store->answer = answer;
    store->owner = owner;
    store->lane_count = settings->lanes;
    queue_init(&store->alone);
    queue_init(&store->waiting);
    queue_init(&store->delayed);
    for (int i = 0; i < store->lane_count; i++)
        lane_open(&store->lanes[i], store, i);
    loop_before_sleep(loop, &store->hook, store_send, store);
    store_lease_due(store);
    store_partitions_due(store);
    return store;
}

bool store_is_ready(const struct store *store)
{
    return store->ready;
}

uint32_t store_pending(const struct store *store)
{
    return store->pending;
}

void store_submit(struct store *store, struct store_task *task)
{
    CHECK(!task->busy);
    task->busy = true;
    store->pending++;
    queue_put(&store->waiting, task);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    for (int i = 0; i < store->lane_count; i++)
        lane_close(&store->lanes[i]);
    loop_untimer(store->loop, &store->delay);
    loop_untimer(store->loop, &store->lease);
    loop_untimer(store->loop, &store->partitions);
    free(store);
}
