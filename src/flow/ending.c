#include "flow/ending.h"

#include <string.h>

#include "base/log.h"
#include "flow/act.h"
#include "flow/gateway.h"
#include "flow/invoice.h"
#include "flow/object.h"
#include "flow/reasons.h"
#include "flow/shortage.h"
#include "flow/telling.h"
#include "flow/withdraw.h"
#include "front/response_of.h"

static void end(struct job *job)
{
    job_set_state(job, JOB_ENDED);
    job_release(job);
}

/* Hands the attempts gathered so far to a task. */
static void take_calls(struct job *job, struct store_task *task)
{
    task->calls = job->calls;
    job->calls = NULL;
    job->calls_end = &job->calls;
}

static void finish(struct job *job, struct text state)
{
    struct store_finish *in = &job->task.in.finish;
    bool made = job->plan.act == ACT_NONE; /* an act that failed leaves its invoice as it was */
    bool deleted = made && job->plan.invoice_id.at && !text_is(state, TEXT("created"));
    job->final_state = state;
    if (job->told && !job->told_noted)
        ending_note_unresolved(job, "deadline");
    job_set_state(job, JOB_FINISHING);
    *in = (struct store_finish){
        .fence = job->fence,
        .state = state,
        .reason = text_from(job->ending.reason),
        .detail = job->ending.message,
        .http_status = job->ending.status,
        .invoice_id = made || (job->has_invoice_facts && !job->gone) ? job->plan.invoice_id : TEXT_NONE,
        .status = deleted || job->gone ? TEXT("deleted") : job->status,
        .number = job->number,
        .amount_minor = deleted || !job->has_invoice_facts ? STORE_NULL64 : job->total_minor,
        .currency = job->plan.currency,
        .created_s = job->has_invoice_facts ? job->created_s : STORE_NULL64,
        .object = job->invoice_object,
        .pin = job->ending.pin,
        .answer = job_is_keyed(job) ? job->answer : TEXT_NONE, /* kept for replays */
    };
    memcpy(in->request_id, job->request_id, UUID_BYTES);
    take_calls(job, &job->task);
    job_submit(job, STORE_FINISH);
}

void ending_created(struct job *job)
{
    if (shortage_is(job)) {
        shortage_end(job);
        return;
    }
    job->ending = (struct ending){.status = 200, .pin = true};
    finish(job, TEXT("created"));
}

/* With a draft upstream, the decision to delete it is committed first; without one the end is. */
static void fail(struct job *job)
{
    if (job->ending.reason)
        job->answer = telling_of_ending(job);
    if (!job->answer.at) /* memory is out: what cannot be told again is not kept for the key */
        job->ending.pin = false;
    if (job->plan.act == ACT_NONE && job->plan.invoice_id.at)
        ending_delete(job);
    else
        finish(job, TEXT("failed"));
}

/* What is being done now, and the attempts so far. told: the status that the client was told, or
 * STORE_NULL32. */
static void fill_note(struct job *job, struct store_task *task, struct text state, const char *why,
                      int32_t told)
{
    task->in.note = (struct store_note){.fence = job->fence,
                                        .state = state,
                                        .doing = text_from(job->doing),
                                        .invoice_id = job->plan.invoice_id,
                                        .why = text_from(why),
                                        .http_status = told};
    memcpy(task->in.note.request_id, job->request_id, UUID_BYTES);
    take_calls(job, task);
}

void ending_decide(struct job *job, enum job_state state, const char *doing, const char *why)
{
    job_set_state(job, state);
    job->doing = doing;
    fill_note(job, &job->task, job_audit_state(job), why, STORE_NULL32);
    job_submit(job, STORE_NOTE);
}

void ending_delete(struct job *job)
{
    ending_decide(job, JOB_DECIDING_DELETE, "delete", job->ending.reason);
}

static void set_ending(struct job *job, const char *word)
{
    const struct reason *reason = reason_of(word);
    job->ending = (struct ending){
        .reason = reason->word, .status = reason->status, .message = text_from(reason->message)};
}

void ending_fail(struct job *job, const char *reason)
{
    set_ending(job, reason);
    fail(job);
}

/* The key hears of it for good: a new request under it would do a second time what was done, or perhaps. */
static void finish_kept(struct job *job, const char *reason, struct text state)
{
    set_ending(job, reason);
    job->ending.pin = true;
    job->answer = telling_of_ending(job);
    if (shortage_is(job))
        shortage_end(job);
    else
        finish(job, state);
}

void ending_unsure(struct job *job)
{
    finish_kept(job, "act_unsure", TEXT("failed"));
}

void ending_shed(struct job *job, const char *reason, int64_t wait_ms)
{
    set_ending(job, reason);
    job->ending.retry_after_s = (int)((wait_ms + 999) / 1000);
    fail(job);
}

void ending_refuse(struct job *job, const char *reason)
{
    set_ending(job, reason);
    finish(job, TEXT("refused"));
}

static const char *failure_word(struct decision decision, const struct reply *reply, struct object object)
{
    bool refused = decision.outcome == OUTCOME_REFUSED && object_is_error(object);
    if (reply->transport != TRANSPORT_ANSWERED)
        return "upstream_away";
    if (reply->status == 401)
        return "upstream_unauthorized";
    if (reply->status == 403)
        return "upstream_forbidden";
    if (reply->status == 429)
        return "upstream_limit";
    if (refused && (reply->status == 400 || reply->status == 402 || reply->status == 404))
        return "upstream_refused";
    if (reply->status >= 500)
        return "upstream_away";
    return "upstream_nonsense";
}

void ending_upstream_said(struct job *job, struct decision decision, const struct reply *reply,
                          struct object object)
{
    const char *word = failure_word(decision, reply, object);
    set_ending(job, word);
    if (strcmp(word, "upstream_refused") == 0) {
        job->ending.status = reply->status;
        job->ending.body =
            response_of_upstream_error(&job->arena, job->request.shape, reply->status, reply->body,
                                       job->plan.account_id, &job->ending.message);
        job->ending.pin = true;
    }
    if (reply->status == 401 || reply->status == 403)
        LOG(LOG_ERROR, "the upstream refuses the gateway",
            LOG_TEXT("request_id", text_from(job->request_text)), LOG_TEXT("account", job->plan.account_id),
            LOG_INT("http_status", reply->status));
}

void ending_as_said(struct job *job)
{
    fail(job);
}

void ending_upstream_failed(struct job *job, struct decision decision, const struct reply *reply,
                            struct object object)
{
    ending_upstream_said(job, decision, reply, object);
    fail(job);
}

void ending_deleted(struct job *job, bool stands)
{
    if (!stands) {
        finish(job, TEXT("failed"));
        return;
    }
    LOG(LOG_ERROR, "a draft to be deleted is no draft any more: it stands",
        LOG_TEXT("request_id", text_from(job->request_text)), LOG_TEXT("invoice_id", job->plan.invoice_id));
    job->gateway->metrics->alarms[METRIC_draft_stands]++;
    finish_kept(job, "stood_already", TEXT("created"));
}

/* Of a request whose client was told before, or has left: telling.c logs the others. */
static void log_late_end(const struct job *job)
{
    LOG(LOG_INFO, "settled", LOG_TEXT("request_id", text_from(job->request_text)),
        LOG_TEXT("trace_id", trace_id(&job->trace)), LOG_INT("agency_id", job->plan.agency_id),
        LOG_TEXT("account", job->plan.account_id), LOG_TEXT("state", job->final_state),
        LOG_TEXT("reason", text_from(job->ending.reason)), LOG_TEXT("invoice_id", job->plan.invoice_id),
        LOG_INT("duration_ms", (loop_clock_us() - job->arrived_us) / 1000));
}

static enum metric_state state_of(struct text state)
{
    if (text_is(state, TEXT("created")))
        return METRIC_created;
    return text_is(state, TEXT("refused")) ? METRIC_refused : METRIC_failed;
}

static void count_end(struct job *job, enum metric_state state, enum mode mode)
{
    if (act_of_route(job->request.route) == ACT_NONE)
        job->gateway->metrics->invoices[state][mode]++;
}

void ending_restore(struct job *job)
{
    const struct plan *plan = &job->plan;
    struct store_restore *in = &job->task.in.restore;
    LOG(LOG_ERROR, "the database has lost a request: its intent is written again",
        LOG_TEXT("request_id", text_from(job->request_text)));
    job->gateway->metrics->alarms[METRIC_intent_lost]++;
    job->restored = true;
    *in = (struct store_restore){
        .fence = job->fence,
        .agency_id = plan->agency_id,
        .mode = text_from(mode_name(plan->mode)),
        .route = text_from(route_name(job->request.route)),
        .account_id = plan->account_id,
        .client_id = plan->client_id,
        .product_id = plan->product_id,
        .collection_method = plan->collection_method,
        .days_until_due = plan->days_until_due >= 0 ? plan->days_until_due : STORE_NULL32,
        .idempotency_key = job->request.idempotency_key,
        .upstream_version = plan->upstream_version,
        .generation = plan->generation,
        .customer_id = plan->customer_id,
        .price_id = plan->price_id,
        .amount_minor = plan->amount_minor,
        .currency = plan->currency,
        .form = plan->form,
        .invoice_id = plan->act == ACT_NONE ? TEXT_NONE : plan->invoice_id,
    };
    memcpy(in->request_id, job->request_id, UUID_BYTES);
    memcpy(in->fingerprint, job->request.fingerprint, DIGEST_BYTES);
    job_set_state(job, JOB_RESTORING);
    job_submit(job, STORE_RESTORE);
}

void ending_restored(struct job *job, const struct store_answer *stored)
{
    if (stored->verdict != STORE_GO)
        ending_taken_over(job);
    else if (job->final_state.at)
        finish(job, job->final_state);
    else if (strcmp(job->doing, "delete") == 0)
        ending_delete(job);
    else
        invoice_decide_advance(job);
}

void ending_stored(struct job *job, const struct store_answer *stored)
{
    if (stored->verdict == STORE_DONE) {
        bool late = job->answered, told;
        count_end(job, state_of(job->final_state), job->plan.mode); /* before anybody can hear of it */
        told = tell_ending(job);
        if (late)
            log_late_end(job);
        if (withdraw_is_due(job, told))
            withdraw_begin(job);
        else
            end(job);
    } else if (stored->verdict == STORE_MISSING && !job->restored) {
        ending_restore(job);
    } else {
        LOG(LOG_WARNING, "the end of a request was not this worker's to write",
            LOG_TEXT("request_id", text_from(job->request_text)), LOG_INT("verdict", stored->verdict),
            LOG_TEXT("state", stored->state));
        ending_taken_over(job);
    }
}

void ending_park(struct job *job)
{
    struct store_park *in = &job->task.in.park;
    *in = (struct store_park){.fence = job->fence, .delay_ms = job->gateway->settings->park_ms};
    memcpy(in->request_id, job->request_id, UUID_BYTES);
    LOG(LOG_WARNING, "parked: taken up again later", LOG_TEXT("request_id", text_from(job->request_text)),
        LOG_TEXT("state", text_from(job_state_name(job->state))));
    job_set_state(job, JOB_PARKING);
    take_calls(job, &job->task);
    job_submit(job, STORE_PARK);
}

void ending_done(struct job *job)
{
    end(job);
}

void ending_resume_delete(struct job *job, struct text reason)
{
    const struct reason *known = reason_find(reason);
    set_ending(job, known ? known->word : "compensated");
}

void ending_told(struct job *job, const char *reason)
{
    tell_reason(job, reason_of(reason));
    end(job);
}

void ending_taken_over(struct job *job)
{
    tell_reason(job, telling_unresolved(job));
    end(job);
}

void ending_begin_said_no(struct job *job, const struct store_answer *stored)
{
    job->plan.agency_id = stored->agency_id;
    switch (stored->verdict) {
    case STORE_REPLAY:
        tell_replay(job, stored);
        break;
    case STORE_REFUSED:
        count_end(job, METRIC_refused, job->request.mode);
        tell_begin_refused(job, stored);
        break;
    case STORE_UNAUTHORIZED:
        if (admission_slows(job))
            return;
        tell_reason(job, reason_of("key_invalid"));
        break;
    case STORE_STALE: /* recorded, but overtaken before this worker heard of it */
        ending_taken_over(job);
        return;
    default:
        tell_reason(job, reason_of("database_away"));
    }
    end(job);
}

void ending_early(struct job *job, const struct refusal *refusal)
{
    if (refusal->status == 401 && admission_slows(job))
        return;
    tell_refusal(job, refusal);
    end(job);
}

void ending_note_unresolved(struct job *job, const char *why)
{
    bool deleting = strcmp(job->doing, "delete") == 0;
    if (job->note.busy)
        return;
    job->noted = true;
    job->told_noted = job->told != 0;
    job->note.kind = STORE_NOTE;
    job->note.ref = job->ref;
    job->note.flow = admission_flow(job);
    fill_note(job, &job->note, TEXT("unresolved"),
              deleting ? job->ending.reason : why, /* whoever takes it over needs the reason */
              job->told ? job->told : STORE_NULL32);
    store_submit(job->gateway->store, &job->note);
}

void ending_answer_unresolved(struct job *job)
{
    const struct reason *reason = telling_unresolved(job);
    tell_reason(job, reason);
    job->told = reason->status;
    /* While PostgreSQL works on the request the note waits for the next one, or for the end. */
    if (!job->task.busy && !job->held)
        ending_note_unresolved(job, "deadline");
}
