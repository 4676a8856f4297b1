#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"

struct fixture {
    struct loop *loop;
    struct watch watches[3];
    struct timer timers[3];
    struct before_sleep hooks[2];
    int pairs[3][2];
    int calls;
    char trace[64];
    size_t traced;
};

static void trace(struct fixture *f, char c)
{
    assert_true(f->traced < sizeof f->trace - 1);
    f->trace[f->traced++] = c;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->loop = loop_new();
    assert_non_null(f->loop);
    for (int i = 0; i < 3; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->pairs[i]), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    loop_free(f->loop);
    for (int i = 0; i < 3; i++) {
        close(f->pairs[i][0]);
        close(f->pairs[i][1]);
    }
    free(f);
    return 0;
}

static void poke(struct fixture *f, int i)
{
    assert_int_equal(write(f->pairs[i][1], "x", 1), 1);
}

static void stop(void *owner)
{
    struct fixture *f = owner;

    trace(f, '.');
    loop_stop(f->loop);
}

static void stop_soon(struct fixture *f, int64_t delay_ms)
{
    loop_timer(f->loop, &f->timers[2], delay_ms, stop, f);
}

static void read_and_stop(void *owner, uint32_t events)
{
    struct fixture *f = owner;
    char c;

    assert_int_equal(events, EPOLLIN);
    assert_int_equal(read(f->pairs[0][0], &c, 1), 1);
    f->calls++;
    loop_stop(f->loop);
}

static void delivers_events(void **state)
{
    struct fixture *f = *state;

    assert_true(loop_watch(f->loop, &f->watches[0], f->pairs[0][0], EPOLLIN, read_and_stop, f));
    poke(f, 0);
    loop_run(f->loop);
    assert_int_equal(f->calls, 1);
    poke(f, 0);
    loop_run(f->loop);
    assert_int_equal(f->calls, 2);
}

/* Both are ready in one batch; whichever comes first removes the other, which must not be called. */
static void remove_other(void *owner, uint32_t events)
{
    struct fixture *f = owner;

    (void)events;
    f->calls++;
    loop_unwatch(f->loop, &f->watches[0]);
    loop_unwatch(f->loop, &f->watches[1]);
    stop_soon(f, 1);
}

static void a_removed_watch_is_never_called(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        assert_true(loop_watch(f->loop, &f->watches[i], f->pairs[i][0], EPOLLIN, remove_other, f));
        poke(f, i);
    }
    loop_run(f->loop);
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->watches[0].fd, -1);
    loop_unwatch(f->loop, &f->watches[0]); /* harmless */
}

static void quiet_call(void *owner, uint32_t events)
{
    struct fixture *f = owner;

    (void)events;
    trace(f, 'q');
    loop_stop(f->loop);
}

/* The other's watch is removed and used again for a descriptor on which nothing has happened. */
static void reuse_other(void *owner, uint32_t events)
{
    struct fixture *f = owner;
    struct watch *other =
        f->watches[0].call == reuse_other && f->calls == 0 ? &f->watches[1] : &f->watches[0];

    (void)events;
    f->calls++;
    loop_unwatch(f->loop, &f->watches[0]);
    loop_unwatch(f->loop, &f->watches[1]);
    assert_true(loop_watch(f->loop, other, f->pairs[2][0], EPOLLIN, quiet_call, f));
    stop_soon(f, 5);
}

static void a_reused_watch_gets_no_old_event(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        assert_true(loop_watch(f->loop, &f->watches[i], f->pairs[i][0], EPOLLIN, reuse_other, f));
        poke(f, i);
    }
    loop_run(f->loop);
    assert_int_equal(f->calls, 1);
    assert_string_equal(f->trace, ".");
}

static void want_nothing_more(void *owner, uint32_t events)
{
    struct fixture *f = owner;

    (void)events;
    f->calls++;
    loop_watch_events(f->loop, &f->watches[0], 0);
    loop_watch_events(f->loop, &f->watches[1], 0);
    stop_soon(f, 1);
}

static void events_no_longer_wanted_are_not_delivered(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        assert_true(loop_watch(f->loop, &f->watches[i], f->pairs[i][0], EPOLLIN, want_nothing_more, f));
        poke(f, i);
    }
    loop_run(f->loop);
    assert_int_equal(f->calls, 1);
}

static void tells_hang_ups(void *owner, uint32_t events)
{
    struct fixture *f = owner;

    assert_true(events & EPOLLRDHUP);
    f->calls++;
    loop_stop(f->loop);
}

static void tells_that_a_peer_left(void **state)
{
    struct fixture *f = *state;

    assert_true(loop_watch(f->loop, &f->watches[0], f->pairs[0][0], EPOLLIN | EPOLLRDHUP, tells_hang_ups, f));
    assert_int_equal(shutdown(f->pairs[0][1], SHUT_WR), 0);
    loop_run(f->loop);
    assert_int_equal(f->calls, 1);
}

static void unwatching_zeroes_and_the_closed_is_harmless(void **state)
{
    struct fixture *f = *state;
    struct watch zero = {0};
    int fd = dup(f->pairs[0][0]);

    loop_unwatch(f->loop, &zero);
    assert_int_equal(zero.fd, -1);
    assert_true(loop_watch(f->loop, &f->watches[0], fd, EPOLLIN, read_and_stop, f));
    close(fd);
    loop_unwatch(f->loop, &f->watches[0]);
    assert_int_equal(f->watches[0].fd, -1);
}

static void refuses_what_epoll_refuses(void **state)
{
    struct fixture *f = *state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_false(loop_watch(f->loop, &f->watches[0], fileno(file), EPOLLIN, read_and_stop, f));
    loop_unwatch(f->loop, &f->watches[0]);
    fclose(file);
    close(fd);
}

static void trace_a(void *owner)
{
    trace(owner, 'a');
}

static void trace_b(void *owner)
{
    trace(owner, 'b');
}

static void timers_run_in_order(void **state)
{
    struct fixture *f = *state;

    loop_timer(f->loop, &f->timers[0], 20, trace_b, f);
    loop_timer(f->loop, &f->timers[1], 10, trace_a, f);
    stop_soon(f, 30);
    loop_run(f->loop);
    assert_string_equal(f->trace, "ab.");
    assert_int_equal(f->timers[0].place, 0);
}

static void timers_can_be_moved_and_removed(void **state)
{
    struct fixture *f = *state;

    loop_timer(f->loop, &f->timers[0], 1, trace_a, f);
    loop_timer(f->loop, &f->timers[1], 5, trace_b, f);
    stop_soon(f, 20);
    loop_timer(f->loop, &f->timers[0], 10, trace_a, f);
    loop_run(f->loop);
    assert_string_equal(f->trace, "ba.");

    loop_timer(f->loop, &f->timers[0], 1, trace_a, f);
    loop_untimer(f->loop, &f->timers[0]);
    loop_untimer(f->loop, &f->timers[0]); /* harmless */
    stop_soon(f, 5);
    loop_run(f->loop);
    assert_string_equal(f->trace, "ba..");
}

static void again_at_once(void *owner)
{
    struct fixture *f = owner;

    if (++f->calls < 5)
        loop_timer(f->loop, &f->timers[0], 0, again_at_once, f);
    else
        loop_stop(f->loop);
}

static void count_turn(void *owner)
{
    trace(owner, 't');
}

static void a_timer_that_rearms_itself_lets_the_turn_end(void **state)
{
    struct fixture *f = *state;

    loop_before_sleep(f->loop, &f->hooks[0], count_turn, f);
    loop_timer(f->loop, &f->timers[0], 0, again_at_once, f);
    loop_run(f->loop);
    assert_int_equal(f->calls, 5);
    assert_true(f->traced >= 5);
}

struct many {
    struct loop *loop;
    struct timer timers[500];
    int64_t last_due_ms;
    int left;
};

struct many_owner {
    struct many *many;
    int64_t due_ms;
};

static void in_order(void *owner)
{
    struct many_owner *one = owner;

    assert_true(one->due_ms >= one->many->last_due_ms);
    one->many->last_due_ms = one->due_ms;
    if (--one->many->left == 0)
        loop_stop(one->many->loop);
}

/* The heap against a random load: armed, re-armed and removed in no order, all left ones run by their due
 * time. */
static void the_heap_stays_a_heap(void **state)
{
    struct fixture *f = *state;
    static struct many many;
    static struct many_owner owners[COUNT_OF(many.timers)];
    uint32_t random = 12345;

    memset(&many, 0, sizeof many);
    many.loop = f->loop;
    for (int round = 0; round < 5000; round++) {
        struct timer *timer;
        random = random * 1103515245 + 12345;
        timer = &many.timers[(random >> 8) % COUNT_OF(many.timers)];
        if ((random >> 4) % 4 == 0) {
            loop_untimer(f->loop, timer);
        } else {
            struct many_owner *owner = &owners[timer - many.timers];
            loop_timer(f->loop, timer, (random >> 16) % 40, in_order, owner);
            *owner = (struct many_owner){&many, timer->due_ms};
        }
    }
    for (size_t i = 0; i < COUNT_OF(many.timers); i++)
        many.left += many.timers[i].place != 0;
    assert_true(many.left > 100);
    loop_run(f->loop);
    assert_int_equal(many.left, 0);
}

static void hook_a(void *owner)
{
    trace(owner, 'A');
}

static void hook_b(void *owner)
{
    trace(owner, 'B');
}

static void hooks_run_after_timers_in_order(void **state)
{
    struct fixture *f = *state;

    loop_before_sleep(f->loop, &f->hooks[0], hook_a, f);
    loop_before_sleep(f->loop, &f->hooks[1], hook_b, f);
    stop_soon(f, 1);
    loop_run(f->loop);
    assert_true(f->traced >= 3);
    assert_string_equal(f->trace + f->traced - 3, ".AB");
}

static void got_signal(void *owner, int signal)
{
    struct fixture *f = owner;

    trace(f, signal == SIGTERM ? 'T' : signal == SIGHUP ? 'H' : signal == SIGUSR1 ? 'U' : '?');
    if (f->traced == 3)
        loop_stop(f->loop);
}

static void signals_are_events(void **state)
{
    struct fixture *f = *state;

    assert_true(loop_signals(f->loop, got_signal, f));
    assert_int_equal(raise(SIGHUP), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(raise(SIGTERM), 0);
    loop_run(f->loop);
    assert_non_null(strchr(f->trace, 'T'));
    assert_non_null(strchr(f->trace, 'H'));
    assert_non_null(strchr(f->trace, 'U'));

    /* Writing to a peer that left is no death. */
    close(f->pairs[0][1]);
    f->pairs[0][1] = dup(f->pairs[0][0]);
    assert_int_equal(write(f->pairs[0][0], "x", 1), -1);
}

static void the_clock_moves(void **state)
{
    struct fixture *f = *state;
    int64_t before_ms = loop_now_ms(f->loop);
    int64_t before_us = loop_clock_us();

    stop_soon(f, 5);
    loop_run(f->loop);
    assert_true(loop_now_ms(f->loop) > before_ms);
    assert_true(loop_clock_us() > before_us);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(delivers_events),
        TEST(a_removed_watch_is_never_called),
        TEST(a_reused_watch_gets_no_old_event),
        TEST(events_no_longer_wanted_are_not_delivered),
        TEST(tells_that_a_peer_left),
        TEST(unwatching_zeroes_and_the_closed_is_harmless),
        TEST(refuses_what_epoll_refuses),
        TEST(timers_run_in_order),
        TEST(timers_can_be_moved_and_removed),
        TEST(a_timer_that_rearms_itself_lets_the_turn_end),
        TEST(the_heap_stays_a_heap),
        TEST(hooks_run_after_timers_in_order),
        TEST(signals_are_events),
        TEST(the_clock_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
