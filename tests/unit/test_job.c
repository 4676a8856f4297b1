#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "flow/gateway.h"
#include "flow/job.h"

#define CAP 4

/* Where a job may go from each state, in words; what is not here aborts. */
static const struct {
    enum job_state from;
    const char *to;
} legal[] = {
    {JOB_ARRIVED,
     "READING BEGINNING READING_PRODUCT READING_PRICES MAKING_CUSTOMER PLANNING MAKING_INVOICE ADDING_LINES "
     "ACTING LOOKING_UP ADVANCING DECIDING_DELETE DELETING FINISHING PARKING ENDED"},
    {JOB_BEGINNING, "READING_PRODUCT MAKING_CUSTOMER PLANNING MAKING_INVOICE ACTING FINISHING ENDED"},
    {JOB_READING_PRODUCT, "READING_PRICES MAKING_CUSTOMER PLANNING FINISHING PARKING"},
    {JOB_READING_PRICES, "MAKING_CUSTOMER PLANNING FINISHING PARKING"},
    {JOB_MAKING_CUSTOMER, "RENEWING_CUSTOMER PLANNING FINISHING PARKING"},
    {JOB_RENEWING_CUSTOMER, "MAKING_CUSTOMER PLANNING FINISHING ENDED"},
    {JOB_PLANNING, "MAKING_INVOICE FINISHING ENDED"},
    {JOB_MAKING_INVOICE, "RENEWING_CUSTOMER ADDING_LINES LOOKING_UP DECIDING_DELETE FINISHING PARKING"},
    {JOB_ADDING_LINES, "LOOKING_UP DECIDING_ADVANCE DECIDING_DELETE FINISHING PARKING"},
    {JOB_ACTING, "LOOKING_UP FINISHING PARKING"},
    {JOB_LOOKING_UP,
     "RENEWING_CUSTOMER ADDING_LINES DECIDING_ADVANCE DECIDING_DELETE FINISHING PARKING ENDED"},
    {JOB_DECIDING_ADVANCE, "ADVANCING DECIDING_DELETE RESTORING ENDED"},
    {JOB_ADVANCING, "LOOKING_UP DECIDING_DELETE FINISHING PARKING"},
    {JOB_DECIDING_DELETE, "DELETING RESTORING ENDED"},
    {JOB_DELETING, "LOOKING_UP FINISHING PARKING"},
    {JOB_FINISHING, "RESTORING WITHDRAWING ENDED"},
    {JOB_RESTORING, "DECIDING_ADVANCE DECIDING_DELETE FINISHING ENDED"},
    {JOB_WITHDRAWING, "DELETING ENDED"},
    {JOB_READING, "REFRESHING ENDED"},
    {JOB_REFRESHING, "KEEPING ENDED"},
    {JOB_KEEPING, "ENDED"},
    {JOB_PARKING, "ENDED"},
    {JOB_ENDED, ""},
};

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static bool is_legal(enum job_state from, enum job_state to)
{
    assert_int_equal(legal[from].from, from);
    return has_word(legal[from].to, job_state_name(to));
}

static int open_gateway(void **state)
{
    struct gateway *gateway = calloc(1, sizeof(*gateway));
    assert_non_null(gateway);
    gateway->loop = loop_new();
    assert_non_null(gateway->loop);
    assert_true(slots_init(&gateway->jobs, CAP));
    *state = gateway;
    return 0;
}

static int close_gateway(void **state)
{
    struct gateway *gateway = *state;
    assert_int_equal(gateway->jobs.used, 0);
    slots_free(&gateway->jobs);
    loop_free(gateway->loop);
    free(gateway);
    return 0;
}

static struct job *must_new(struct gateway *gateway)
{
    struct job *job = job_new(gateway);
    assert_non_null(job);
    return job;
}

/* Brings a job to its end whatever its state is. */
static void end(struct job *job)
{
    job->state = JOB_ENDED;
    job->answered = true;
    job_release(job);
}

typedef void deed_fn(struct job *job, int argument);

/* Whether a deed on the job aborts; done in a child, which tells nothing and leaves no core. */
static bool aborts(struct job *job, deed_fn *deed, int argument)
{
    pid_t child = fork();
    int status = 0;
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        deed(job, argument);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
    assert_true(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

static void set_state(struct job *job, int to)
{
    job_set_state(job, (enum job_state)to);
}

static void release(struct job *job, int unused)
{
    (void)unused;
    job_release(job);
}

static void legal_edges_are_accepted(void **state)
{
    struct job *job = must_new(*state);
    int edges = 0;

    assert_int_equal(COUNT_OF(legal), JOB_STATE_COUNT);
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT; to++) {
            if (!is_legal((enum job_state)from, (enum job_state)to))
                continue;
            job->state = (enum job_state)from;
            job->tries = 3;
            print_message("%s -> %s\n", job_state_name((enum job_state)from),
                          job_state_name((enum job_state)to));
            job_set_state(job, (enum job_state)to);
            assert_int_equal(job->state, to);
            assert_int_equal(job->tries, 0); /* they count within a state */
            edges++;
        }
    print_message("%d edges\n", edges);
    end(job);
}

static void illegal_edges_abort(void **state)
{
    struct job *job = must_new(*state);

    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT; to++) {
            if (is_legal((enum job_state)from, (enum job_state)to))
                continue;
            job->state = (enum job_state)from;
            if (!aborts(job, set_state, to))
                fail_msg("%s -> %s is let through", job_state_name((enum job_state)from),
                         job_state_name((enum job_state)to));
        }
    job->state = JOB_ARRIVED;
    assert_true(aborts(job, set_state, JOB_STATE_COUNT));
    assert_true(aborts(job, set_state, 31));
    end(job);
}

/* No state is left while something that belongs to it is under way. */
static void a_busy_job_does_not_change(void **state)
{
    struct job *job = must_new(*state);

    assert_false(aborts(job, set_state, JOB_BEGINNING));
    job->call_number = 7;
    assert_true(aborts(job, set_state, JOB_BEGINNING));
    job->call_number = 0;
    job->task.busy = true;
    assert_true(aborts(job, set_state, JOB_BEGINNING));
    job->task.busy = false;
    job->note.busy = true; /* goes on beside the job's own business */
    assert_false(aborts(job, set_state, JOB_BEGINNING));
    job->note.busy = false;
    end(job);
}

/* Two changes of one request in one batch would have no order: the second is not handed over yet. */
static void a_task_waits_for_the_note_before_it(void **state)
{
    struct gateway *gateway = *state;
    struct job *job = must_new(gateway);
    struct ref ref = job->ref;

    assert_null(gateway->store); /* handing anything over would crash */
    job->note.busy = true;
    job_submit(job, STORE_NOTE);
    assert_true(job->held);
    assert_false(job->task.busy);
    assert_true(aborts(job, set_state, JOB_BEGINNING));
    job->held = false;
    job->note.busy = false;
    job_noted(job);
    assert_ptr_equal(slots_get(&gateway->jobs, ref), job); /* not at its end */
    job->state = JOB_ENDED;
    job->answered = true;
    job_noted(job);
    assert_null(slots_get(&gateway->jobs, ref));
}

static void every_state_is_reached_and_left(void **state)
{
    bool reached[JOB_STATE_COUNT] = {[JOB_ARRIVED] = true};

    (void)state;
    for (int round = 0; round < JOB_STATE_COUNT; round++)
        for (int from = 0; from < JOB_STATE_COUNT; from++)
            for (int to = 0; to < JOB_STATE_COUNT; to++)
                if (reached[from] && is_legal((enum job_state)from, (enum job_state)to))
                    reached[to] = true;
    for (int s = 0; s < JOB_STATE_COUNT; s++) {
        assert_true(reached[s]);
        assert_int_equal(strlen(legal[s].to) == 0, s == JOB_ENDED);
    }
}

/* The promises that the edges alone keep. */
static void edges_keep_the_order_of_the_protocol(void **state)
{
    (void)state;
    for (int from = 0; from < JOB_STATE_COUNT; from++) {
        enum job_state s = (enum job_state)from;
        /* an irreversible act follows its committed decision (or was decided before a take-over) */
        assert_int_equal(is_legal(s, JOB_DELETING),
                         s == JOB_DECIDING_DELETE || s == JOB_WITHDRAWING || s == JOB_ARRIVED);
        assert_int_equal(is_legal(s, JOB_ADVANCING), s == JOB_DECIDING_ADVANCE || s == JOB_ARRIVED);
        /* the intent comes first, once */
        assert_int_equal(is_legal(s, JOB_BEGINNING), s == JOB_ARRIVED);
        assert_false(is_legal(s, JOB_ARRIVED));
        /* what was cold is frozen before the first POST of the invoice */
        assert_int_equal(is_legal(s, JOB_MAKING_INVOICE),
                         s == JOB_PLANNING || s == JOB_BEGINNING || s == JOB_ARRIVED);
    }
}

static void a_new_job_is_found_by_its_reference(void **state)
{
    struct gateway *gateway = *state;
    struct job *job = must_new(gateway);

    assert_int_equal(job->state, JOB_ARRIVED);
    assert_ptr_equal(job->gateway, gateway);
    assert_ptr_equal(slots_get(&gateway->jobs, job->ref), job);
    assert_false(job->answered || job_is_keyed(job) || job_invoice_possible(job));
    assert_null(job->calls);
    end(job);
}

static void a_stale_reference_finds_nothing(void **state)
{
    struct gateway *gateway = *state;
    struct ref old[8];

    for (size_t i = 0; i < COUNT_OF(old); i++) {
        struct job *job = must_new(gateway);
        old[i] = job->ref;
        for (size_t k = 0; k < i; k++)
            assert_null(slots_get(&gateway->jobs, old[k]));
        assert_ptr_equal(slots_get(&gateway->jobs, old[i]), job);
        end(job);
        assert_null(slots_get(&gateway->jobs, old[i]));
        assert_int_equal(old[i].slot, old[0].slot);
    }
}

static void the_cap_gives_null(void **state)
{
    struct gateway *gateway = *state;
    struct job *jobs[CAP];

    for (int i = 0; i < CAP; i++)
        jobs[i] = must_new(gateway);
    for (int i = 0; i < 3; i++)
        assert_null(job_new(gateway));
    assert_int_equal(gateway->jobs.used, CAP);
    end(jobs[1]);
    jobs[1] = must_new(gateway);
    assert_null(job_new(gateway));
    for (int i = 0; i < CAP; i++)
        end(jobs[i]);
}

static void a_job_stays_until_nothing_needs_it(void **state)
{
    struct gateway *gateway = *state;
    struct job *job = must_new(gateway);
    struct ref ref = job->ref;

    job_release(job); /* not at its end */
    job->answered = true;
    job->state = JOB_ENDED;
    job->task.busy = true;
    job_release(job);
    job->task.busy = false;
    job->note.busy = true;
    job_release(job);
    assert_ptr_equal(slots_get(&gateway->jobs, ref), job);
    job->note.busy = false;
    job_release(job);
    assert_null(slots_get(&gateway->jobs, ref));
}

/* An end without an answer, or with a call under way, is a mistake of ours. */
static void an_unanswered_end_aborts(void **state)
{
    struct job *job = must_new(*state);

    job->state = JOB_ENDED;
    assert_true(aborts(job, release, 0));
    job->answered = true;
    job->call_number = 3;
    assert_true(aborts(job, release, 0));
    job->call_number = 0;
    end(job);
}

static void on_timer(void *owner)
{
    (void)owner;
    fail_msg("a timer of a job that is gone");
}

static void stop(void *owner)
{
    loop_stop(owner);
}

static void the_timers_go_with_the_job(void **state)
{
    struct gateway *gateway = *state;
    struct job *job = must_new(gateway);
    struct timer last = {0};

    loop_timer(gateway->loop, &job->deadline, 0, on_timer, job);
    loop_timer(gateway->loop, &job->backoff, 0, on_timer, job);
    end(job);
    loop_timer(gateway->loop, &last, 1, stop, gateway->loop);
    loop_run(gateway->loop);
}

static void knows_whether_an_invoice_is_possible(void **state)
{
    struct job *job = must_new(*state);

    assert_false(job_invoice_possible(job));
    job->unknown[STEP_CUSTOMER] = true;
    assert_false(job_invoice_possible(job));
    job->unknown[STEP_INVOICE] = true;
    assert_true(job_invoice_possible(job));
    job->unknown[STEP_INVOICE] = false;
    job->state = JOB_MAKING_INVOICE;
    assert_false(job_invoice_possible(job)); /* before the call, and while it waits after a clean failure */
    job->call_number = 5;
    assert_true(job_invoice_possible(job));
    job->state = JOB_MAKING_CUSTOMER;
    assert_false(job_invoice_possible(job));
    job->call_number = 0;
    job->plan.invoice_id = TEXT("in_8");
    assert_true(job_invoice_possible(job));
    end(job);
}

static void a_key_makes_a_job_keyed(void **state)
{
    struct job *job = must_new(*state);

    job->request.idempotency_key = TEXT("k");
    assert_true(job_is_keyed(job));
    end(job);
}

static void remembers_attempts_in_order(void **state)
{
    struct job *job = must_new(*state);
    struct reply lost = {.transport = TRANSPORT_LOST, .started_us = 5, .duration_us = 1999};
    struct reply good = {.status = 200, .duration_us = 2000, .request_id = TEXT("req_1")};
    const struct store_call *call;

    job->step = STEP_INVOICE;
    job->fence = 3;
    job->attempts[STEP_INVOICE] = 1;
    job_add_call(job, &lost, OUTCOME_UNKNOWN);
    job->attempts[STEP_INVOICE] = 2;
    job_add_call(job, &good, OUTCOME_OK);

    call = job->calls;
    assert_text(call->step, "invoice");
    assert_text(call->outcome, "unknown");
    assert_true(call->attempt == 1 && call->fence == 3 && call->started_us == 5 && call->duration_ms == 1);
    assert_int_equal(call->http_status, STORE_NULL32);
    assert_null(call->upstream_request_id.at);
    call = call->next;
    assert_text(call->outcome, "ok");
    assert_true(call->attempt == 2 && call->http_status == 200 && call->duration_ms == 2);
    assert_text(call->upstream_request_id, "req_1");
    assert_true(call->upstream_request_id.at != good.request_id.at);
    assert_null(call->next);
    end(job);
}

/* A job whose memory is used up goes on; its audit has a gap. */
static void an_attempt_too_many_is_left_out(void **state)
{
    struct job *job = must_new(*state);
    struct reply reply = {.status = 200};

    job_add_call(job, &reply, OUTCOME_OK);
    assert_null(arena_alloc(&job->arena, SIZE_MAX / 2));
    job_add_call(job, &reply, OUTCOME_OK);
    assert_non_null(job->calls);
    assert_null(job->calls->next);
    end(job);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_gateway, close_gateway)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(legal_edges_are_accepted),
        TEST(illegal_edges_abort),
        TEST(a_busy_job_does_not_change),
        TEST(a_task_waits_for_the_note_before_it),
        cmocka_unit_test(every_state_is_reached_and_left),
        cmocka_unit_test(edges_keep_the_order_of_the_protocol),
        TEST(a_new_job_is_found_by_its_reference),
        TEST(a_stale_reference_finds_nothing),
        TEST(the_cap_gives_null),
        TEST(a_job_stays_until_nothing_needs_it),
        TEST(an_unanswered_end_aborts),
        TEST(the_timers_go_with_the_job),
        TEST(knows_whether_an_invoice_is_possible),
        TEST(a_key_makes_a_job_keyed),
        TEST(remembers_attempts_in_order),
        TEST(an_attempt_too_many_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
