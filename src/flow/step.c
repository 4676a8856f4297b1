#include "flow/step.h"

#include <string.h>

#include "base/log.h"
#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/invoice.h"
#include "flow/object.h"

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

static void step_send(void *owner)
{
    struct job *job = owner;
    struct gateway *gateway = job->gateway;
    if (!upstream_start(gateway->upstream, job->ref, &job->call, &job->call_number)) {
        job->call_number = 0;
        loop_timer(gateway->loop, &job->backoff, NO_SLOT_RETRY_MS, step_send, job);
        return;
    }
    job->attempts[job->step]++;
}

void step_start(struct job *job, enum step step)
{
    job->step = step;
    if (!call_make(step, &job->plan, &job->arena, &job->call)) {
        ending_fail(job, "internal");
        return;
    }
    step_send(job);
}

void step_again(struct job *job, int64_t delay_ms)
{
    loop_timer(job->gateway->loop, &job->backoff, delay_ms, step_send, job);
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

/* What each step needs to find in a 2xx answer before it is believed. */
static bool is_sound(enum step step, struct json_object *object)
{
    if (!object)
        return false;
    if (step == STEP_PRICES || step == STEP_LOOKUP)
        return object_is_array(object, "data");
    return object_id_valid(object_text(object, "id"));
}

static struct facts facts_of(enum step step, const struct reply *reply, struct json_object *object)
{
    return (struct facts){
        .transport = reply->transport,
        .status = reply->status,
        .should_retry = reply->should_retry,
        .replayed = reply->replayed,
        .sound = is_sound(step, object),
        .idempotency_error = text_is(object_text(object, "error.type"), TEXT("idempotency_error")),
    };
}

static void log_attempt(const struct job *job, const struct reply *reply, enum outcome outcome)
{
    enum log_level level = outcome == OUTCOME_OK ? LOG_DEBUG : LOG_WARNING;
    LOG(level, "upstream call", LOG_TEXT("request_id", text_from(job->request_text)),
        LOG_TEXT("account", job->plan.account_id), LOG_TEXT("step", text_from(step_name(job->step))),
        LOG_INT("attempt", job->attempts[job->step]), LOG_INT("http_status", reply->status),
        LOG_TEXT("outcome", text_from(outcome_name(outcome))),
        LOG_INT("duration_ms", reply->duration_us / 1000), LOG_TEXT("problem", text_from(reply->problem)));
}

static bool repeats(const struct decision *decision)
{
    return decision->outcome == OUTCOME_RETRY || (decision->outcome == OUTCOME_UNKNOWN && !decision->look_up);
}

/* Retrying is worth it only while somebody waits or something may already stand upstream. */
static bool is_hopeless(const struct job *job)
{
    return (job->expired || job->compensate) && !job_invoice_possible(job);
}

void step_replied(struct job *job, const struct reply *reply)
{
    struct json_object *object = reply->transport == TRANSPORT_ANSWERED ? object_read(reply->body) : NULL;
    struct facts facts = facts_of(job->step, reply, object);
    struct decision decision = outcome_decide(job->step, &facts, job->unknown[job->step]);
    uint32_t random = 0;
    job->call_number = 0;
    job_add_call(job, reply, decision.outcome);
    log_attempt(job, reply, decision.outcome);
    job->unknown[job->step] = decision.outcome == OUTCOME_UNKNOWN;
    if (repeats(&decision) && !is_hopeless(job)) {
        job->tries++;
        if (decision.outcome == OUTCOME_UNKNOWN && job_invoice_possible(job) && !job->noted)
            ending_note_unresolved(job, step_name(job->step), STORE_NULL32);
        if (!random_bytes((uint8_t *)&random, sizeof(random)))
            random = (uint32_t)loop_clock_us();
        step_again(job, step_backoff_ms(job->tries, reply->retry_after_s, random));
    } else {
        invoice_called(job, decision, reply, object);
    }
    object_free(object);
}
