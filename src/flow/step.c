#include "flow/step.h"

#include <string.h>

#include "base/log.h"
#include "flow/ending.h"
#include "flow/exposition.h"
#include "flow/gateway.h"
#include "flow/invoice.h"
#include "flow/object.h"
#include "flow/read.h"
#include "flow/shortage.h"

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS 5000
#define NO_SLOT_RETRY_MS 100

int64_t step_backoff_ms(int tries, int retry_after_s, uint32_t random)
{
    int64_t top_ms = (int64_t)BACKOFF_FIRST_MS << (tries < 5 ? tries : 5);
    int64_t delay_ms;
    if (top_ms > BACKOFF_MAX_MS)
        top_ms = BACKOFF_MAX_MS;
    delay_ms = BACKOFF_FIRST_MS + (int64_t)(random % (uint32_t)(top_ms - BACKOFF_FIRST_MS + 1));
    return delay_ms > retry_after_s * 1000L ? delay_ms : retry_after_s * 1000L;
}

static void step_send(void *owner);

static void send_later(struct job *job, int64_t delay_ms)
{
    loop_timer(job->gateway->loop, &job->backoff, delay_ms, step_send, job);
}

/* A request that has called nobody yet and whose client waits can be told at once; others wait their time. */
static bool is_fresh(const struct job *job)
{
    return !job->called && !job->answered;
}

static bool is_post(enum step step)
{
    return step_creates(step) && step != STEP_DELETE;
}

/* Whether the account's breaker and budget let the call go now. If not, it goes later or its request has
 * ended. */
static bool may_go(struct job *job)
{
    struct gateway *gateway = job->gateway;
    int64_t now_ms = loop_now_ms(gateway->loop);
    int64_t wait_ms = traffic_wait_ms(&gateway->traffic, now_ms, job->plan.mode, job->plan.account_id);
    const char *reason = "upstream_away";
    bool refuse = wait_ms > 0;
    if (wait_ms == 0 && is_post(job->step) && !job->reserved) {
        wait_ms = traffic_reserve_ms(&gateway->traffic, now_ms, store_live_workers(gateway->store),
                                     job->plan.mode, job->plan.account_id);
        job->reserved = true;
        reason = "upstream_limit";
        refuse = wait_ms > gateway->settings->deadline_ms / 2;
    }
    if (wait_ms == 0)
        return true;
    if (read_is(job))
        read_unreachable(job);
    else if (is_fresh(job) && refuse)
        ending_shed(job, reason, wait_ms);
    else
        send_later(job, wait_ms);
    return false;
}

static void step_send(void *owner)
{
    struct job *job = owner;
    struct gateway *gateway = job->gateway;
    if (!may_go(job))
        return;
    job->call.traceparent = trace_write(&job->trace, job->traceparent);
    if (!upstream_start(gateway->upstream, job->ref, &job->call, &job->call_number)) {
        job->call_number = 0;
        send_later(job, NO_SLOT_RETRY_MS);
        return;
    }
    job->called = true;
    job->reserved = false;
    job->attempts[job->step]++;
}

static bool prepare(struct job *job, enum step step)
{
    job->step = step;
    if (call_make(step, &job->plan, &job->arena, &job->call))
        return true;
    shortage_end(job);
    return false;
}

void step_start(struct job *job, enum step step)
{
    if (prepare(job, step))
        step_send(job);
}

void step_start_later(struct job *job, enum step step, int64_t delay_ms)
{
    if (prepare(job, step))
        send_later(job, delay_ms);
}

/* The loop's clock stands during a turn: a delay that must not be too short counts from the answer on. */
static int64_t turn_ms(const struct job *job)
{
    return loop_clock_us() / 1000 + 1 - loop_now_ms(job->gateway->loop);
}

void step_retry(struct job *job, int retry_after_s)
{
    uint32_t random = 0;
    if (!random_bytes((uint8_t *)&random, sizeof(random)))
        random = (uint32_t)loop_clock_us();
    job->tries++;
    send_later(job, step_backoff_ms(job->tries, retry_after_s, random) + turn_ms(job));
}

void step_stop(struct job *job)
{
    loop_untimer(job->gateway->loop, &job->backoff);
    if (job->call_number)
        upstream_cancel(job->gateway->upstream, job->call_number);
    job->call_number = 0;
}

void step_enter(struct job *job, enum job_state state, enum step step)
{
    job_set_state(job, state);
    step_start(job, step);
}

/* A list with an invoice that has no name cannot tell that ours is absent. */
static bool is_sound_list(struct object list)
{
    size_t count = object_count(list, "data");
    for (size_t i = 0; i < count; i++)
        if (!text_is_id(object_text(object_element(list, "data", i), "id")))
            return false;
    return object_is_array(list, "data");
}

/* Only the upstream itself can say that a draft is gone: this one, now or before. */
static bool is_sound_deletion(const struct job *job, const struct reply *reply, struct object object)
{
    if (reply->status == 404)
        return object_is_missing_error(object);
    return text_is(object_text(object, "id"), job->plan.invoice_id) && object_true(object, "deleted");
}

/* What each step needs to find in an answer before it is believed. */
static bool is_sound(const struct job *job, const struct reply *reply, struct object object)
{
    enum step step = job->step;
    if (!object_exists(object))
        return false;
    if (step == STEP_DELETE)
        return is_sound_deletion(job, reply, object);
    if (step == STEP_PRICES || step == STEP_LOOKUP)
        return is_sound_list(object);
    return text_is_id(object_text(object, "id"));
}

static struct facts facts_of(const struct job *job, const struct reply *reply, struct object object)
{
    return (struct facts){
        .transport = reply->transport,
        .status = reply->status,
        .should_retry = reply->should_retry,
        .replayed = reply->replayed,
        .sound = is_sound(job, reply, object),
        .spoken = object_is_error(object),
        .idempotency_error = text_is(object_text(object, "error.type"), TEXT("idempotency_error")),
    };
}

static void log_attempt(const struct job *job, const struct reply *reply, enum outcome outcome)
{
    enum log_level level = outcome == OUTCOME_OK ? LOG_DEBUG : LOG_WARNING;
    LOG(level, "upstream call", LOG_TEXT("request_id", text_from(job->request_text)),
        LOG_TEXT("trace_id", trace_id(&job->trace)), LOG_INT("agency_id", job->plan.agency_id),
        LOG_TEXT("account", job->plan.account_id),
        LOG_TEXT("step", text_from(plan_step_name(&job->plan, job->step))),
        LOG_INT("attempt", job->attempts[job->step]), LOG_INT("http_status", reply->status),
        LOG_TEXT("outcome", text_from(outcome_name(outcome))),
        LOG_INT("duration_ms", reply->duration_us / 1000), LOG_TEXT("problem", text_from(reply->problem)));
}

static void count_attempt(struct job *job, const struct reply *reply, enum outcome outcome)
{
    struct metrics *metrics = job->gateway->metrics;
    int step = exposition_step(job->step, job->plan.act);
    metrics->upstream_calls[step][outcome]++;
    histogram_add(&metrics->upstream[step], &metric_seconds, reply->duration_us);
    job->upstream_us += reply->duration_us;
}

static bool repeats(const struct decision *decision)
{
    return decision->outcome == OUTCOME_RETRY || (decision->outcome == OUTCOME_UNKNOWN && !decision->look_up);
}

/* Retrying is worth it only while somebody waits or something may already stand upstream. */
static bool is_hopeless(const struct job *job)
{
    return read_is(job) || ((job->expired || job->compensate) && !job_invoice_possible(job));
}

void step_replied(struct job *job, const struct reply *reply)
{
    struct gateway *gateway = job->gateway;
    struct tokens tokens;
    struct object object = reply->transport == TRANSPORT_ANSWERED
                               ? object_read(&tokens, &gateway->scratch, reply->body)
                               : OBJECT_NONE;
    struct facts facts = facts_of(job, reply, object);
    bool was_unknown = job->unknown[job->step] || (reply->resent && step_creates(job->step));
    struct decision decision = outcome_decide(job->step, &facts, was_unknown);
    job->call_number = 0;
    traffic_tell(&job->gateway->traffic, loop_now_ms(job->gateway->loop), job->plan.mode,
                 job->plan.account_id, &facts, reply->retry_after_s);
    job_add_call(job, reply, decision.outcome);
    log_attempt(job, reply, decision.outcome);
    count_attempt(job, reply, decision.outcome);
    job->unknown[job->step] = decision.outcome == OUTCOME_UNKNOWN;
    if ((job->step == STEP_INVOICE || job->step == STEP_ACT) && (was_unknown || job->unknown[job->step]))
        job->invoice_doubted = true;
    if (repeats(&decision) && !is_hopeless(job)) {
        if (decision.outcome == OUTCOME_UNKNOWN && job_invoice_possible(job) && !job->noted)
            ending_note_unresolved(job, plan_step_name(&job->plan, job->step));
        step_retry(job, reply->retry_after_s);
    } else {
        invoice_called(job, decision, reply, object);
    }
    arena_reset(&gateway->scratch); /* the job may be gone by now */
}
