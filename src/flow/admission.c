#include "flow/admission.h"

#include "base/log.h"
#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/reasons.h"
#include "flow/telling.h"

#define GATHER_EVERY_MS 5000
#define HOLD_MS 1000 /* so long an answer to one wrong key too many waits */
#define HOLD_PART 8  /* of the requests in flight, so many may be such */

bool admission_init(struct admission *admission, int wrong_keys_per_min)
{
    *admission = (struct admission){.held = 0};
    return callers_init(&admission->callers) && strangers_init(&admission->strangers, wrong_keys_per_min);
}

void admission_free(struct admission *admission)
{
    callers_free(&admission->callers);
    strangers_free(&admission->strangers);
}

/* ---- keys that were used */

static void gather(void *owner)
{
    struct gateway *gateway = owner;
    struct admission *admission = &gateway->admission;
    struct store_task *used = &admission->used;
    loop_timer(gateway->loop, &admission->gather, GATHER_EVERY_MS, gather, gateway);
    if (used->busy || !store_is_ready(gateway->store))
        return;
    used->in.used.keys = admission->used_keys;
    used->in.used.count = callers_gather(&admission->callers, admission->used_keys, ADMISSION_USED_MAX);
    if (used->in.used.count == 0)
        return;
    used->kind = STORE_USED;
    store_submit(gateway->store, used);
}

void admission_start(struct gateway *gateway)
{
    loop_timer(gateway->loop, &gateway->admission.gather, GATHER_EVERY_MS, gather, gateway);
}

void admission_stop(struct gateway *gateway)
{
    loop_untimer(gateway->loop, &gateway->admission.gather);
}

/* ---- an agency's share */

static void count_in(struct job *job, int64_t agency_id)
{
    job->agency_id = agency_id;
    callers_begin(&job->gateway->admission.callers, agency_id);
}

bool admission_enter(struct job *job)
{
    const struct slots *jobs = &job->gateway->jobs;
    const struct callers *callers = &job->gateway->admission.callers;
    int64_t agency_id = callers_agency(callers, job->request.key_digest);
    if (agency_id == 0)
        return true;
    if (!callers_may_begin(callers, agency_id, jobs->used, jobs->limit))
        return false;
    count_in(job, agency_id);
    return true;
}

void admission_known(struct job *job, int64_t agency_id)
{
    if (job->request.has_credential)
        callers_opened(&job->gateway->admission.callers, loop_now_ms(job->gateway->loop),
                       job->request.key_digest, agency_id);
    if (job->agency_id == 0)
        count_in(job, agency_id);
}

void admission_leave(struct job *job)
{
    if (job->agency_id)
        callers_end(&job->gateway->admission.callers, job->agency_id);
    job->agency_id = 0;
}

uint64_t admission_flow(const struct job *job)
{
    return job->agency_id ? STORE_FLOW_FIRST + (uint64_t)job->agency_id : STORE_FLOW_STRANGERS;
}

/* ---- wrong keys */

static void tell_held(void *owner)
{
    struct job *job = owner;
    struct reason reason = *reason_of("wrong_keys");
    job->gateway->admission.held--;
    reason.retry_after_s = job->ending.retry_after_s;
    tell_reason(job, &reason);
    ending_done(job);
}

/* Nothing but memory waits with it, and only so many of them. */
static void hold(struct job *job, int wait_s)
{
    struct gateway *gateway = job->gateway;
    bool waits = !job->answered && gateway->admission.held < gateway->jobs.limit / HOLD_PART + 1;
    loop_untimer(gateway->loop, &job->deadline);
    job->ending.retry_after_s = wait_s;
    gateway->admission.held++;
    if (waits)
        loop_timer(gateway->loop, &job->backoff, HOLD_MS, tell_held, job);
    else
        tell_held(job);
}

bool admission_slows(struct job *job)
{
    struct gateway *gateway = job->gateway;
    int wait_s;
    if (job->request.has_credential)
        callers_closed(&gateway->admission.callers, job->request.key_digest);
    wait_s = strangers_wrong(&gateway->admission.strangers, loop_now_ms(gateway->loop), job->wrong_key_from);
    if (wait_s == 0)
        return false;
    hold(job, wait_s);
    return true;
}
