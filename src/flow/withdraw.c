#include "flow/withdraw.h"

#include <string.h>

#include "base/log.h"
#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/patience.h"
#include "flow/step.h"

bool withdraw_is_due(const struct job *job, bool told)
{
    return !told && job_may_withdraw(job) && !job->ending.reason &&
           text_is(job->final_state, TEXT("created"));
}

void withdraw_begin(struct job *job)
{
    struct store_withdraw *in = &job->task.in.withdraw;
    LOG(LOG_WARNING, "created, but its client has left and has no key to ask for it: it is deleted",
        LOG_TEXT("request_id", text_from(job->request_text)), LOG_TEXT("invoice_id", job->plan.invoice_id));
    job_set_state(job, JOB_WITHDRAWING);
    in->fence = job->fence;
    memcpy(in->request_id, job->request_id, UUID_BYTES);
    job_submit(job, STORE_WITHDRAW);
}

void withdraw_stored(struct job *job, const struct store_answer *answer)
{
    if (answer->verdict != STORE_GO) {
        ending_taken_over(job);
        return;
    }
    job->fence++;
    job->compensate = true;
    job->doing = "delete";
    ending_resume_delete(job, TEXT("compensated"));
    patience_start(job, job->gateway->settings->background_ms);
    step_enter(job, JOB_DELETING, STEP_DELETE);
}
