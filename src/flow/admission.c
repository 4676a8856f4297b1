#include "flow/admission.h"

#include <string.h>

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
    memset(admission, 0, sizeof(*admission));
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
    loop_untimer(gateway->loop, &gateway->admission.turn);
}

/* ---- an agency's share */

static void queue_put(struct job_queue *queue, struct job *job)
{
    job->next_waiting = NULL;
    if (queue->last)
        queue->last->next_waiting = job;
    else
        queue->first = job;
    queue->last = job;
}

static struct job *queue_take(struct job_queue *queue)
{
    struct job *job = queue->first;
    queue->first = job->next_waiting;
    if (!queue->first)
        queue->last = NULL;
    return job;
}

/* Whether it was in there. */
static bool queue_remove(struct job_queue *queue, const struct job *job)
{
    struct job *before = NULL;
    for (struct job *at = queue->first; at; before = at, at = at->next_waiting) {
        if (at != job)
            continue;
        *(before ? &before->next_waiting : &queue->first) = at->next_waiting;
        if (queue->last == at)
            queue->last = before;
        return true;
    }
    return false;
}

/* Those whose turn it is, outside of whatever made it theirs. */
static void begin_next(void *owner)
{
    struct gateway *gateway = owner;
    while (gateway->admission.next.first) {
        struct job *job = queue_take(&gateway->admission.next);
        job->waits = false;
        gateway_begin(job);
    }
}

static void let_begin(struct gateway *gateway, int64_t agency_id)
{
    struct admission *admission = &gateway->admission;
    struct job_queue *waiting = &admission->waiting[callers_share(agency_id)];
    while (waiting->first && callers_may_begin(&admission->callers, loop_now_ms(gateway->loop), agency_id)) {
        callers_begin(&admission->callers, agency_id);
        queue_put(&admission->next, queue_take(waiting));
        loop_timer(gateway->loop, &admission->turn, 0, begin_next, gateway);
    }
}

/* One that is to be in any case: begun elsewhere, or by a key that nothing was known of. */
static void count_in(struct job *job, int64_t agency_id)
{
    struct callers *callers = &job->gateway->admission.callers;
    job->agency_id = agency_id;
    callers_come(callers, loop_now_ms(job->gateway->loop), agency_id);
    callers_begin(callers, agency_id);
}

enum admission_verdict admission_enter(struct job *job)
{
    struct gateway *gateway = job->gateway;
    struct admission *admission = &gateway->admission;
    int64_t now_ms = loop_now_ms(gateway->loop);
    int64_t agency_id = callers_agency(&admission->callers, job->request.key_digest);
    struct job_queue *waiting = &admission->waiting[callers_share(agency_id)];
    if (agency_id == 0)
        return ADMISSION_GO;
    if (!callers_have_room(&admission->callers, agency_id, gateway->jobs.used, gateway->jobs.limit))
        return ADMISSION_REFUSED;
    job->agency_id = agency_id;
    callers_come(&admission->callers, now_ms, agency_id);
    job->waits = waiting->first || !callers_may_begin(&admission->callers, now_ms, agency_id);
    if (!job->waits) {
        callers_begin(&admission->callers, agency_id);
        return ADMISSION_GO;
    }
    queue_put(waiting, job);
    let_begin(gateway, agency_id); /* perhaps it is alone again */
    return ADMISSION_WAITS;
}

void admission_give_up(struct job *job)
{
    struct admission *admission = &job->gateway->admission;
    CHECK(job->waits);
    if (queue_remove(&admission->waiting[callers_share(job->agency_id)], job))
        callers_begin(&admission->callers, job->agency_id); /* so that it goes like any other */
    else
        CHECK(queue_remove(&admission->next, job));
    job->waits = false;
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
    int64_t agency_id = job->agency_id;
    if (agency_id == 0)
        return;
    if (job->waits)
        admission_give_up(job);
    callers_go(&job->gateway->admission.callers, agency_id);
    job->agency_id = 0;
    let_begin(job->gateway, agency_id);
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
