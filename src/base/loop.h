/* The event loop: epoll, timers, signals, and work to do just before it sleeps. One thread, never blocking.
 *
 * Watches and timers are embedded in their owners, who keep them in place until removed. Removing or
 * re-arming any watch or timer is allowed from inside any callback; a removed one is never called, even if
 * its event was already collected. */
#ifndef INVOICEGATE_BASE_LOOP_H
#define INVOICEGATE_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/check.h"

struct loop;

typedef void loop_watch_fn(void *owner, uint32_t events); /* events: EPOLLIN, EPOLLOUT, EPOLLRDHUP, ... */
typedef void loop_fn(void *owner);
typedef void loop_signal_fn(void *owner, int signal);

struct watch {
    int fd; /* -1 while not watched */
    uint32_t events;
    loop_watch_fn *call;
    void *owner;
};

struct timer {
    int64_t due_ms; /* on loop_now_ms's clock */
    loop_fn *call;
    void *owner;
    uint32_t place; /* in the heap, from 1; 0 while not armed */
};

/* Called once per turn after all events and timers, before the loop sleeps: where batches are sent. */
struct before_sleep {
    loop_fn *call;
    void *owner;
    struct before_sleep *next;
};

/* NULL when the system refuses. */
struct loop *loop_new(void) MUST_CHECK;
void loop_free(struct loop *loop);

/* Runs turns until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Milliseconds of the monotonic clock, read once per turn. */
int64_t loop_now_ms(const struct loop *loop);
/* Microseconds of the monotonic clock, read now. */
int64_t loop_clock_us(void);

/* Level-triggered. The fd stays the caller's. */
MUST_CHECK bool loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events,
                           loop_watch_fn *call, void *owner);
/* No system call when nothing changes. */
void loop_watch_events(struct loop *loop, struct watch *watch, uint32_t events);
/* Harmless on a watch that is not watched, or that is all zero. Must come before anything else can get the
 * fd's number: before close(fd), or right after a library closed it. */
void loop_unwatch(struct loop *loop, struct watch *watch);

/* Arms or re-arms. Fires once; with a delay of 0 when this turn's events are done and before the loop sleeps,
 * unless it is a timer that arms one: then at the latest in the next turn, which does not sleep. Never fails:
 * the heap grows (abort when out of memory). The timer must have been zero before its first use. */
void loop_timer(struct loop *loop, struct timer *timer, int64_t delay_ms, loop_fn *call, void *owner);
void loop_untimer(struct loop *loop, struct timer *timer);

void loop_before_sleep(struct loop *loop, struct before_sleep *hook, loop_fn *call, void *owner);

/* Blocks the signals TERM, INT, USR1 and HUP for the process and delivers them as events (signalfd). PIPE is
 * ignored: writing to a peer that left is an error code. */
MUST_CHECK bool loop_signals(struct loop *loop, loop_signal_fn *call, void *owner);

#endif
