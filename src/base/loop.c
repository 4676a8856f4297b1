#include "base/loop.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH 256

struct loop {
    int epoll_fd;
    bool stopping;
    int64_t now_ms;

    struct epoll_event batch[BATCH]; /* what epoll_wait collected; ptr is the watch, NULL once cancelled */
    int batch_count;
    int batch_at; /* the event being delivered */

    struct timer **heap; /* heap[1] is due first; a timer knows its place */
    uint32_t timers;
    uint32_t heap_room;

    struct before_sleep *hooks; /* in the order of registration */

    struct watch signals;
    loop_signal_fn *signal_call;
    void *signal_owner;
};

int64_t loop_clock_us(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (!loop)
        return NULL;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        free(loop);
        return NULL;
    }
    loop->now_ms = loop_clock_us() / 1000;
    return loop;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    if (loop->signals.call)
        close(loop->signals.fd);
    close(loop->epoll_fd);
    free(loop->heap);
    free(loop);
}

int64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

/* ---- watches */

static bool watched(const struct watch *watch)
{
    return watch->call && watch->fd >= 0;
}

bool loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events, loop_watch_fn *call,
                void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    CHECK(fd >= 0 && call);
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return false;
    *watch = (struct watch){.fd = fd, .events = events, .call = call, .owner = owner};
    return true;
}

void loop_watch_events(struct loop *loop, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    CHECK(watched(watch));
    if (watch->events == events)
        return;
    CHECK(epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0);
    watch->events = events;
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
    if (watched(watch)) {
        /* Fails where the fd was just closed, which has removed it already. */
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, &(struct epoll_event){0});
        for (int i = loop->batch_at; i < loop->batch_count; i++)
            if (loop->batch[i].data.ptr == watch)
                loop->batch[i].data.ptr = NULL;
    }
    watch->fd = -1;
    watch->call = NULL;
}

static void deliver(const struct epoll_event *event)
{
    struct watch *watch = event->data.ptr;
    uint32_t events;

    if (!watch)
        return;
    /* Its owner may have asked for less since the event was collected. */
    events = event->events & (watch->events | EPOLLERR | EPOLLHUP);
    if (events)
        watch->call(watch->owner, events);
}

static void deliver_batch(struct loop *loop)
{
    for (loop->batch_at = 0; loop->batch_at < loop->batch_count; loop->batch_at++)
        deliver(&loop->batch[loop->batch_at]);
    loop->batch_count = 0;
}

/* ---- timers: a binary heap */

static void place(struct loop *loop, struct timer *timer, uint32_t at)
{
    loop->heap[at] = timer;
    timer->place = at;
}

/* Moves a timer to where it belongs between its parents and its children. */
static void sift(struct loop *loop, struct timer *timer, uint32_t at)
{
    while (at > 1 && loop->heap[at / 2]->due_ms > timer->due_ms) {
        place(loop, loop->heap[at / 2], at);
        at /= 2;
    }
    for (uint32_t child; (child = 2 * at) <= loop->timers; at = child) {
        if (child < loop->timers && loop->heap[child + 1]->due_ms < loop->heap[child]->due_ms)
            child++;
        if (loop->heap[child]->due_ms >= timer->due_ms)
            break;
        place(loop, loop->heap[child], at);
    }
    place(loop, timer, at);
}

static void reserve_timer(struct loop *loop)
{
    uint32_t room = loop->heap_room ? 2 * loop->heap_room : 64;
    struct timer **heap;

    if (loop->timers + 1 < loop->heap_room)
        return;
    heap = realloc(loop->heap, room * sizeof(struct timer *));
    CHECK(heap);
    loop->heap = heap;
    loop->heap_room = room;
}

void loop_timer(struct loop *loop, struct timer *timer, int64_t delay_ms, loop_fn *call, void *owner)
{
    CHECK(call);
    timer->due_ms = loop->now_ms + (delay_ms > 0 ? delay_ms : 0);
    timer->call = call;
    timer->owner = owner;
    if (timer->place == 0) {
        reserve_timer(loop);
        timer->place = ++loop->timers;
    }
    sift(loop, timer, timer->place);
}

void loop_untimer(struct loop *loop, struct timer *timer)
{
    uint32_t at = timer->place;
    struct timer *last;

    if (at == 0)
        return;
    last = loop->heap[loop->timers--];
    timer->place = 0;
    if (last != timer)
        sift(loop, last, at);
}

/* No more calls than there were timers, or one that arms itself again without delay would keep the turn from
 * ending. */
static void run_timers(struct loop *loop)
{
    for (uint32_t most = loop->timers; most > 0 && loop->timers > 0 && loop->heap[1]->due_ms <= loop->now_ms;
         most--) {
        struct timer *timer = loop->heap[1];
        loop_untimer(loop, timer);
        timer->call(timer->owner);
    }
}

/* ---- turns */

void loop_before_sleep(struct loop *loop, struct before_sleep *hook, loop_fn *call, void *owner)
{
    struct before_sleep **end = &loop->hooks;

    while (*end)
        end = &(*end)->next;
    *hook = (struct before_sleep){.call = call, .owner = owner};
    *end = hook;
}

static void run_hooks(struct loop *loop)
{
    for (struct before_sleep *hook = loop->hooks; hook; hook = hook->next)
        hook->call(hook->owner);
}

/* How long to sleep: until the first timer, for ever where there is none. */
static int sleep_ms(const struct loop *loop)
{
    int64_t left_ms;

    if (loop->timers == 0)
        return -1;
    left_ms = loop->heap[1]->due_ms - loop_clock_us() / 1000;
    if (left_ms < 0)
        return 0;
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

static void collect(struct loop *loop)
{
    int count = epoll_wait(loop->epoll_fd, loop->batch, BATCH, sleep_ms(loop));

    CHECK(count >= 0 || errno == EINTR);
    loop->batch_count = count > 0 ? count : 0;
    loop->now_ms = loop_clock_us() / 1000;
}

void loop_run(struct loop *loop)
{
    loop->stopping = false;
    loop->now_ms = loop_clock_us() / 1000;
    for (;;) {
        run_timers(loop);
        run_hooks(loop);
        if (loop->stopping)
            return;
        collect(loop);
        deliver_batch(loop);
    }
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

/* ---- signals */

static void signal_arrived(void *owner, uint32_t events)
{
    struct loop *loop = owner;
    struct signalfd_siginfo info;

    (void)events;
    while (read(loop->signals.fd, &info, sizeof info) == (ssize_t)sizeof info)
        loop->signal_call(loop->signal_owner, (int)info.ssi_signo);
}

bool loop_signals(struct loop *loop, loop_signal_fn *call, void *owner)
{
    sigset_t set;
    int fd;

    CHECK(!loop->signals.call);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return false;
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return false;
    loop->signal_call = call;
    loop->signal_owner = owner;
    if (!loop_watch(loop, &loop->signals, fd, EPOLLIN, signal_arrived, loop)) {
        close(fd);
        return false;
    }
    return true;
}
