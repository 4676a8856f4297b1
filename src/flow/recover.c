#include "flow/recover.h"

#include <string.h>

#include "base/log.h"
#include "flow/act.h"
#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/invoice.h"
#include "flow/lookup.h"
#include "flow/patience.h"
#include "flow/prepare.h"
#include "flow/step.h"

#define TAKE_MAX 64

static void recovery_look(void *owner);

static void look_later(struct gateway *gateway, int64_t delay_ms)
{
    loop_timer(gateway->loop, &gateway->recovery.timer, delay_ms, recovery_look, gateway);
}

/* Recovery takes at most half of the places that are free: new requests need some too. */
static int32_t room(const struct gateway *gateway)
{
    const struct slots *jobs = &gateway->jobs;
    uint32_t free = jobs->limit > jobs->used ? (jobs->limit - jobs->used) / 2 : 0;
    return (int32_t)(free < TAKE_MAX ? free : TAKE_MAX);
}

/* After a reconnect every lease looks lapsed until its worker has renewed it: nobody takes over within one
 * lease. */
static void recovery_look(void *owner)
{
    struct gateway *gateway = owner;
    struct store_task *take = &gateway->recovery.take;
    int32_t limit = room(gateway);
    look_later(gateway, gateway->settings->lease_ms / 3);
    if (gateway->draining || take->busy || limit == 0 || !store_is_ready(gateway->store))
        return;
    take->kind = STORE_TAKE;
    take->in.take.lapsed = store_ready_ms(gateway->store) >= gateway->settings->lease_ms;
    take->in.take.limit = limit;
    take->again = gateway->recovery.missed;
    gateway->recovery.taken = 0;
    gateway->recovery.missed = false;
    store_submit(gateway->store, take);
}

void recovery_start(struct gateway *gateway)
{
    look_later(gateway, gateway->settings->lease_ms / 3);
}

void recovery_stop(struct gateway *gateway)
{
    loop_untimer(gateway->loop, &gateway->recovery.timer);
}

void recovery_taken_all(struct gateway *gateway)
{
    if (gateway->recovery.taken >= gateway->recovery.take.in.take.limit && !gateway->recovery.missed)
        look_later(gateway, 0); /* there may be more, and room for it */
}

/* A job that stood still while others had its request: it can write nothing any more. One that waits for
 * PostgreSQL hears that by itself. */
static void abandon(struct job *job)
{
    if (!job->answered)
        ending_answer_unresolved(job);
    if (job_is_calling(job)) {
        step_stop(job);
        ending_park(job);
    }
}

/* A look for what may have shown up after all: it takes the request from nobody. */
static bool is_sweep(const struct store_taken *taken)
{
    return text_is(taken->doing, TEXT("sweep"));
}

/* A take that was run again tells what this worker holds already, too: what it began itself (fence 1), and
 * what it has taken over. A request may also come back to a worker that has not noticed yet that it was
 * overtaken. */
static bool is_held(struct gateway *gateway, const struct store_taken *taken)
{
    bool held = false;
    bool sweeps = is_sweep(taken);
    if (!sweeps && taken->fence == 1)
        return true;
    for (uint32_t i = 0; i < gateway->jobs.capacity; i++) {
        struct job *job = gateway->jobs.slots[i].thing;
        if (!job || memcmp(job->request_id, taken->request_id, UUID_BYTES) != 0)
            continue;
        if (sweeps || job->fence == taken->fence)
            held = true;
        else
            abandon(job);
    }
    return held;
}

static void fill_request(struct job *job, const struct store_taken *taken)
{
    struct request *request = &job->request;
    struct arena *arena = &job->arena;
    request->route = route_named(taken->route);
    request->shape = route_shape(request->route);
    request->form = arena_copy(arena, taken->form);
    request->account_id = arena_copy(arena, taken->account_id);
    request->client_id = arena_copy(arena, taken->client_id);
    request->product_id = arena_copy(arena, taken->product_id);
    request->idempotency_key = arena_copy(arena, taken->idempotency_key);
    request->days_until_due =
        taken->days_until_due == STORE_NULL32 ? DAYS_UNTIL_DUE_NONE : taken->days_until_due;
    request->collection_method =
        text_is(taken->collection_method, text_from(collection_method_name(COLLECT_BY_INVOICE)))
            ? COLLECT_BY_INVOICE
            : COLLECT_AUTOMATICALLY;
}

/* Whoever had it before may have attempted every step of a frozen plan. */
static void doubt_everything(struct job *job)
{
    job->invoice_doubted = job->planned;
    for (int step = 0; step < STEP_COUNT; step++)
        job->unknown[step] = job->planned && step_creates((enum step)step);
}

static void resume(struct job *job, const struct store_taken *taken)
{
    bool has_invoice = job->plan.invoice_id.at != NULL;
    if (is_sweep(taken)) {
        job->is_sweep = true;
        lookup_begin(job, STEP_INVOICE);
    } else if (has_invoice && text_is(taken->doing, TEXT("delete"))) {
        ending_resume_delete(job, taken->reason);
        job->doing = "delete";
        step_enter(job, JOB_DELETING, STEP_DELETE);
    } else if (has_invoice && !job->compensate && text_is(taken->doing, TEXT("advance"))) {
        job->doing = "advance";
        step_enter(job, JOB_ADVANCING, STEP_ADVANCE);
    } else if (job->plan.act != ACT_NONE) {
        act_resume(job, taken->old);
    } else if (!job->planned) {
        invoice_next(job);
    } else if (taken->old) {
        lookup_begin(job, has_invoice && !job->plan.form.at ? STEP_LINES : STEP_INVOICE);
    } else if (has_invoice && !job->plan.form.at) {
        invoice_has_id(job);
    } else {
        /* Also when it shall be compensated: only under the same key is it certain what stands. */
        step_enter(job, JOB_MAKING_INVOICE, STEP_INVOICE);
    }
}

void recovery_taken(void *owner, const struct store_taken *taken)
{
    struct gateway *gateway = owner;
    struct job *job;
    gateway->recovery.taken++;
    if (is_held(gateway, taken))
        return;
    job = job_new(gateway);
    if (!job) { /* no place is free: it is this worker's already, and told again at the next look */
        gateway->recovery.missed = gateway->recovery.missed || !is_sweep(taken);
        return;
    }
    memcpy(job->request_id, taken->request_id, UUID_BYTES);
    uuid_text(job->request_id, job->request_text);
    fill_request(job, taken);
    job->answered = true; /* its client went with its worker */
    job->fence = taken->fence;
    job->planned = taken->plan.planned;
    job->invoice_since_s = taken->created_s;
    invoice_fill_plan(job, &taken->plan);
    admission_known(job, job->plan.agency_id);
    job->compensate = job_may_withdraw(job);
    job->plan.upstream_version = arena_copy(&job->arena, taken->upstream_version);
    job->plan.invoice_id = arena_copy(&job->arena, taken->invoice_id);
    doubt_everything(job);
    LOG(LOG_INFO, "taken over", LOG_TEXT("request_id", text_from(job->request_text)),
        LOG_INT("fence", job->fence));
    if (arena_overflowed(&job->arena)) {
        ending_park(job); /* what it lacks could be taken for what it is not */
        return;
    }
    patience_start(job, gateway->settings->background_ms);
    resume(job, taken);
}
