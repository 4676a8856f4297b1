#include "flow/patience.h"

#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/read.h"
#include "flow/step.h"
#include "flow/telling.h"

#define COMMIT_GRACE_MS 1000

/* Whether the job waits for the upstream before anything can stand there. */
static bool may_simply_stop(const struct job *job)
{
    return job_is_calling(job) && !job_invoice_possible(job);
}

/* Whether the draft of a request that must not stand can be deleted without waiting for the call under way:
 * whatever that call still does, it does to a deleted draft. */
static bool may_delete_now(const struct job *job)
{
    return job->compensate && job->plan.invoice_id.at &&
           (job->state == JOB_ADDING_LINES || job->state == JOB_ADVANCING ||
            (job->state == JOB_LOOKING_UP && job->sought != STEP_DELETE));
}

static void delete_now(struct job *job)
{
    step_stop(job);
    ending_fail(job, "compensated");
}

/* Nobody waits for an answer any more: the request waits in PostgreSQL, not in memory. */
static void expire_in_background(struct job *job)
{
    /* A look-up has to wait for its second look; parked, it would begin anew each time. */
    if (job_is_calling(job) && job->state != JOB_LOOKING_UP) {
        step_stop(job);
        ending_park(job);
    } else {
        patience_start(job, job->gateway->settings->background_ms);
    }
}

static void expired(struct job *job)
{
    bool first = !job->expired;
    job->expired = true;
    if (job->waits) {
        admission_give_up(job);
        ending_told(job, "agency_limit");
    } else if (read_is(job)) {
        read_expired(job);
    } else if (first && !job->answered && job->state == JOB_FINISHING) {
        patience_start(job, COMMIT_GRACE_MS); /* what the commit under way says is worth a moment */
    } else if (job->answered) {
        expire_in_background(job);
    } else if (may_simply_stop(job)) {
        step_stop(job);
        ending_fail(job, "upstream_away");
        patience_start(job, COMMIT_GRACE_MS);
    } else {
        /* A keyless client whose created invoice is being committed is told so, once it is. */
        bool committing = job->state == JOB_FINISHING && text_is(job->final_state, TEXT("created"));
        if (!committing || !job_may_withdraw(job)) {
            job->compensate = job_may_withdraw(job);
            ending_answer_unresolved(job);
        }
        if (may_delete_now(job))
            delete_now(job);
        patience_start(job, job->gateway->settings->background_ms);
    }
}

static void on_deadline(void *owner)
{
    expired(owner);
}

void patience_start(struct job *job, int64_t delay_ms)
{
    loop_timer(job->gateway->loop, &job->deadline, delay_ms, on_deadline, job);
}

void patience_client_left(struct job *job)
{
    tell_nobody(job);
    if (job->waits) {
        admission_give_up(job);
        ending_done(job);
        return;
    }
    if (read_is(job)) {
        read_expired(job);
        return;
    }
    job->compensate = job_may_withdraw(job);
    if (job->compensate && may_simply_stop(job)) {
        step_stop(job);
        ending_fail(job, "client_left");
    } else if (may_delete_now(job)) {
        delete_now(job);
    }
}
