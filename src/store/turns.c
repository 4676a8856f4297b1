#include "store/turns.h"

void queue_init(struct task_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

void queue_put(struct task_queue *queue, struct store_task *task)
{
    task->next = NULL;
    *queue->last = task;
    queue->last = &task->next;
}

struct store_task *queue_take(struct task_queue *queue)
{
    struct store_task *task = queue->first;
    if (task) {
        queue->first = task->next;
        if (!queue->first)
            queue->last = &queue->first;
    }
    return task;
}

void turns_init(struct turns *turns)
{
    for (int i = 0; i < TURNS_PLACES; i++)
        queue_init(&turns->places[i]);
    turns->taken = 0;
    turns->next = 0;
    turns->count = 0;
}

/* The worker's own tasks and those of strangers have places that they share with no agency. */
static unsigned place_of(uint64_t flow)
{
    if (flow < STORE_FLOW_FIRST)
        return (unsigned)flow;
    return STORE_FLOW_FIRST + (unsigned)(flow % (TURNS_PLACES - STORE_FLOW_FIRST));
}

void turns_put(struct turns *turns, struct store_task *task)
{
    unsigned place = place_of(task->flow);
    queue_put(&turns->places[place], task);
    turns->taken |= UINT64_C(1) << place;
    turns->count++;
}

/* The first place from next on, round the end, that is not empty. */
static unsigned turn_of(const struct turns *turns)
{
    uint64_t behind = turns->taken & UINT64_MAX << turns->next;
    return (unsigned)__builtin_ctzll(behind ? behind : turns->taken);
}

struct store_task *turns_first(const struct turns *turns)
{
    return turns->taken ? turns->places[turn_of(turns)].first : NULL;
}

struct store_task *turns_take(struct turns *turns)
{
    unsigned place;
    struct store_task *task;
    if (!turns->taken)
        return NULL;
    place = turn_of(turns);
    task = queue_take(&turns->places[place]);
    if (!turns->places[place].first)
        turns->taken &= ~(UINT64_C(1) << place);
    turns->next = (place + 1) % TURNS_PLACES;
    turns->count--;
    return task;
}
