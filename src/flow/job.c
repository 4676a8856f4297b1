#include "flow/job.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "flow/gateway.h"

/* Room for every answer that a request keeps (up to seven), each as large as the upstream may send it. */
#define JOB_ARENA_MAX_BYTES (8 * 1024 * 1024)

static const char *const names[JOB_STATE_COUNT] = {
#define X(name) [JOB_##name] = #name,
    JOB_STATES(X)
#undef X
};

#define TO(state) (1U << JOB_##state)

#define CALLING                                                                                              \
    (1U << JOB_READING_PRODUCT | 1U << JOB_READING_PRICES | 1U << JOB_MAKING_CUSTOMER |                      \
     1U << JOB_MAKING_INVOICE | 1U << JOB_ADDING_LINES | 1U << JOB_ACTING | 1U << JOB_LOOKING_UP |           \
     1U << JOB_ADVANCING | 1U << JOB_DELETING)

/* From each state, where a job may go. ARRIVED leads everywhere for a request that was taken over half-way;
 * it and each state that waits for the upstream may be parked. */
static const uint32_t edges[JOB_STATE_COUNT] = {
    [JOB_ARRIVED] = TO(READING) | CALLING | TO(BEGINNING) | TO(PLANNING) | TO(DECIDING_DELETE) |
                    TO(FINISHING) | TO(PARKING) | TO(ENDED),
    [JOB_BEGINNING] = TO(READING_PRODUCT) | TO(MAKING_CUSTOMER) | TO(PLANNING) | TO(MAKING_INVOICE) |
                      TO(ACTING) | TO(FINISHING) | TO(ENDED),
    [JOB_READING_PRODUCT] =
        TO(READING_PRICES) | TO(MAKING_CUSTOMER) | TO(PLANNING) | TO(FINISHING) | TO(PARKING),
    [JOB_READING_PRICES] = TO(MAKING_CUSTOMER) | TO(PLANNING) | TO(FINISHING) | TO(PARKING),
    [JOB_MAKING_CUSTOMER] = TO(PLANNING) | TO(RENEWING_CUSTOMER) | TO(FINISHING) | TO(PARKING),
    [JOB_RENEWING_CUSTOMER] = TO(MAKING_CUSTOMER) | TO(PLANNING) | TO(FINISHING) | TO(ENDED),
    [JOB_PLANNING] = TO(MAKING_INVOICE) | TO(FINISHING) | TO(ENDED),
    [JOB_MAKING_INVOICE] = TO(ADDING_LINES) | TO(LOOKING_UP) | TO(RENEWING_CUSTOMER) | TO(DECIDING_DELETE) |
                           TO(FINISHING) | TO(PARKING),
    [JOB_ADDING_LINES] =
        TO(LOOKING_UP) | TO(DECIDING_ADVANCE) | TO(DECIDING_DELETE) | TO(FINISHING) | TO(PARKING),
    [JOB_ACTING] = TO(LOOKING_UP) | TO(FINISHING) | TO(PARKING),
    [JOB_LOOKING_UP] = TO(RENEWING_CUSTOMER) | TO(ADDING_LINES) | TO(DECIDING_ADVANCE) | TO(DECIDING_DELETE) |
                       TO(FINISHING) | TO(PARKING) | TO(ENDED),
    [JOB_DECIDING_ADVANCE] = TO(ADVANCING) | TO(DECIDING_DELETE) | TO(RESTORING) | TO(ENDED),
    [JOB_ADVANCING] = TO(LOOKING_UP) | TO(DECIDING_DELETE) | TO(FINISHING) | TO(PARKING),
    [JOB_DECIDING_DELETE] = TO(DELETING) | TO(RESTORING) | TO(ENDED),
    [JOB_DELETING] = TO(LOOKING_UP) | TO(FINISHING) | TO(PARKING),
    [JOB_FINISHING] = TO(RESTORING) | TO(WITHDRAWING) | TO(ENDED),
    [JOB_RESTORING] = TO(DECIDING_ADVANCE) | TO(DECIDING_DELETE) | TO(FINISHING) | TO(ENDED),
    [JOB_WITHDRAWING] = TO(DELETING) | TO(ENDED),
    [JOB_READING] = TO(REFRESHING) | TO(ENDED),
    [JOB_REFRESHING] = TO(KEEPING) | TO(ENDED),
    [JOB_KEEPING] = TO(ENDED),
    [JOB_PARKING] = TO(ENDED),
};

const char *job_state_name(enum job_state state)
{
    CHECK(state < JOB_STATE_COUNT);
    return names[state];
}

#ifdef INVOICEGATE_TEST_BUILD
/* For crash tests only, and only in their build: dies on entering the state that INVOICEGATE_CRASH_AT names,
 * once (the file INVOICEGATE_CRASH_ONCE is made by the first to get there). */
static void job_crash_at(enum job_state state)
{
    const char *wanted = getenv("INVOICEGATE_CRASH_AT"), *once = getenv("INVOICEGATE_CRASH_ONCE");
    if (!wanted || strcmp(wanted, names[state]) != 0)
        return;
    if (!once || open(once, O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0)
        (void)kill(getpid(), SIGKILL);
}
#else
static void job_crash_at(enum job_state state)
{
    (void)state;
}
#endif

void job_set_state(struct job *job, enum job_state state)
{
    CHECK(state < JOB_STATE_COUNT && (edges[job->state] & 1U << state));
    CHECK(!job->call_number && !job->task.busy && !job->held);
    job_crash_at(state);
    job->state = state;
    job->tries = 0;
}

struct job *job_new(struct gateway *gateway)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return NULL;
    job->ref = slots_put(&gateway->jobs, job);
    if (!job->ref.generation) {
        free(job);
        return NULL;
    }
    job->gateway = gateway;
    job->arrived_us = loop_clock_us();
    job->calls_end = &job->calls;
    job->doing = "create";
    arena_init(&job->arena, JOB_ARENA_MAX_BYTES);
    return job;
}

void job_submit(struct job *job, enum store_kind kind)
{
    job->task.kind = kind;
    job->task.flow = admission_flow(job);
    job->task.ref = job->ref;
    job->asked_us = loop_clock_us();
    if (job->note.busy)
        job->held = true;
    else
        store_submit(job->gateway->store, &job->task);
}

void job_noted(struct job *job)
{
    if (job->held) {
        job->held = false;
        store_submit(job->gateway->store, &job->task);
    } else {
        job_release(job); /* in case it ended meanwhile */
    }
}

void job_free(struct job *job)
{
    struct gateway *gateway = job->gateway;
    loop_untimer(gateway->loop, &job->deadline);
    loop_untimer(gateway->loop, &job->backoff);
    admission_leave(job);
    if (job->is_read)
        gateway->reads--;
    slots_remove(&gateway->jobs, job->ref);
    arena_free(&job->arena);
    free(job);
}

void job_release(struct job *job)
{
    if (job->state != JOB_ENDED || job->task.busy || job->note.busy)
        return;
    CHECK(job->answered && !job->call_number);
    job_free(job);
}

bool job_is_calling(const struct job *job)
{
    return CALLING & 1U << job->state;
}

bool job_invoice_possible(const struct job *job)
{
    if (job->plan.act != ACT_NONE)
        return job->unknown[STEP_ACT] || (job->state == JOB_ACTING && job->call_number);
    return job->plan.invoice_id.at || job->unknown[STEP_INVOICE] ||
           (job->state == JOB_MAKING_INVOICE && job->call_number);
}

bool job_is_keyed(const struct job *job)
{
    return job->request.idempotency_key.at != NULL;
}

struct text job_audit_state(const struct job *job)
{
    return job->noted ? TEXT("unresolved") : TEXT("open");
}

bool job_may_withdraw(const struct job *job)
{
    return !job_is_keyed(job) && job->plan.act == ACT_NONE;
}

void job_add_call(struct job *job, const struct reply *reply, enum outcome outcome)
{
    struct store_call *call = arena_zalloc(&job->arena, sizeof(*call));
    if (!call)
        return; /* the audit of one attempt is worth less than the request */
    memcpy(call->request_id, job->request_id, UUID_BYTES);
    call->fence = job->fence;
    call->step = text_from(plan_step_name(&job->plan, job->step));
    call->attempt = job->attempts[job->step];
    call->started_us = reply->started_us;
    call->duration_ms = (int32_t)(reply->duration_us / 1000);
    call->http_status = reply->status ? reply->status : STORE_NULL32;
    call->outcome = text_from(outcome_name(outcome));
    call->upstream_request_id = arena_copy(&job->arena, reply->request_id);
    *job->calls_end = call;
    job->calls_end = &call->next;
}
