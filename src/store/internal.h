/* The store from inside. Private to store/. */
#ifndef INVOICEGATE_STORE_INTERNAL_H
#define INVOICEGATE_STORE_INTERNAL_H

#include "store/lane.h"
#include "store/turns.h"

#define STORE_LANES_MAX 8
#define STORE_CHORES 4

struct store {
    struct loop *loop;
    const struct store_settings *settings;
    store_answer_fn *answer;
    store_taken_fn *taken;
    void *owner;
    struct before_sleep hook;
    int64_t worker_id; /* 0 until the first hello */
    bool ready;
    enum store_health problem; /* while not ready: what the last try to connect showed */
    struct task_queue alone;   /* to be run one by one: suspects of a failed batch, unknown commits */
    struct turns waiting;      /* the next batch gathers here */
    struct task_queue delayed; /* until the delay timer */
    struct turns reading;      /* for the lane behind the others, which does nothing else */
    struct timer delay;
    struct timer gathering; /* so long the next batch waits at most for the one under way */
    int64_t ready_since_ms;
    int64_t lacking_until_ms; /* a statement lacked its function, or the right to it */
    int live_workers;
    struct chore {
        enum statement statement;
        int every_ms;
        struct timer timer;
        bool due;
        bool late; /* it was due for a whole period */
        struct store *store;
    } chores[STORE_CHORES];
    int lane_count;
    struct lane lanes[STORE_LANES_MAX + 1]; /* the last one is for reads */
};

#endif
