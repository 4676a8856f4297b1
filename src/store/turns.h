/* Tasks that wait, in the order in which they leave: within a flow first come, first served; among flows by
 * turns, so that one with a thousand tasks is in nobody's way. Private to store/. */
#ifndef INVOICEGATE_STORE_TURNS_H
#define INVOICEGATE_STORE_TURNS_H

#include "store/store.h"

struct task_queue {
    struct store_task *first;
    struct store_task **last;
};

void queue_init(struct task_queue *queue);
void queue_put(struct task_queue *queue, struct store_task *task);
/* NULL when it is empty. */
struct store_task *queue_take(struct task_queue *queue);

#define TURNS_PLACES 64 /* a bit of one word each; flows that share a place share its turn */

struct turns {
    struct task_queue places[TURNS_PLACES];
    uint64_t taken; /* the places that are not empty */
    unsigned next;  /* whose turn it is, or who comes first after it */
    unsigned count;
};

void turns_init(struct turns *turns);
void turns_put(struct turns *turns, struct store_task *task);
/* What turns_take() would take, or NULL. */
struct store_task *turns_first(const struct turns *turns);
struct store_task *turns_take(struct turns *turns);

#endif
