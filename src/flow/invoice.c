/* One invoice, from its intent to its end. Read the functions from top to bottom: that is the order in which
 * a request passes them. Each state is entered by one short function that asks a station for something; what
 * the station answered decides the next state. */
#include "flow/invoice.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "flow/act.h"
#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/lookup.h"
#include "flow/object.h"
#include "flow/prepare.h"
#include "flow/product.h"
#include "flow/read.h"
#include "flow/shortage.h"
#include "flow/step.h"
#include "flow/withdraw.h"

/* 1. The intent is recorded before anything is sent upstream. PostgreSQL authenticates and resolves on the
 * way. */
static bool says_how_to_collect(const struct request *request)
{
    return !request->body.status && act_of_route(request->route) == ACT_NONE;
}

void invoice_start(struct job *job)
{
    const struct request *request = &job->request;
    struct store_begin *in = &job->task.in.begin;
    act_mark(&job->request, &job->arena, job->request_text);
    *in = (struct store_begin){
        .route = text_from(route_name(request->route)),
        .account_id = request->account_id,
        .client_id = request->client_id,
        .product_id = request->product_id,
        .collection_method = says_how_to_collect(request)
                                 ? text_from(collection_method_name(request->collection_method))
                                 : TEXT_NONE,
        .days_until_due = request->days_until_due >= 0 ? request->days_until_due : STORE_NULL32,
        .idempotency_key = request->idempotency_key,
        .refusal_status = request->body.status,
        .refusal_reason = text_from(request->body.reason),
        .refusal_detail = request->body.message,
        .customer_id = request->customer_id,
        .form = request->form,
        .invoice_id = request->invoice_id,
        .api_version = request->api_version,
    };
    memcpy(in->request_id, job->request_id, UUID_BYTES);
    memcpy(in->key_digest, request->key_digest, DIGEST_BYTES);
    memcpy(in->fingerprint, request->fingerprint, DIGEST_BYTES);
    job_set_state(job, JOB_BEGINNING);
    job_submit(job, STORE_BEGIN);
}

void invoice_fill_plan(struct job *job, const struct store_answer *answer)
{
    const struct request *request = &job->request;
    struct plan *plan = &job->plan;
    memcpy(plan->request_id, job->request_id, UUID_BYTES);
    plan->agency_id = answer->agency_id;
    plan->mode = text_is(answer->mode, TEXT("test")) ? MODE_TEST : MODE_LIVE;
    plan->account_id = arena_copy(&job->arena, answer->account_id);
    plan->client_id = arena_copy(&job->arena, answer->client_id);
    plan->product_id = request->product_id;
    plan->collection_method = text_from(collection_method_name(request->collection_method));
    plan->days_until_due = request->days_until_due;
    plan->auto_advance = answer->auto_advance;
    plan->form = request->form;
    plan->act = act_of_route(request->route);
    plan->upstream_version = request->api_version;
    plan->invoice_id = request->invoice_id;
    prepare_keep(job, answer);
}

static void begun(struct job *job, const struct store_answer *answer)
{
    if (answer->verdict != STORE_GO) {
        ending_begin_said_no(job, answer);
        return;
    }
    job->fence = 1;
    job->planned = answer->planned;
    invoice_fill_plan(job, answer);
    invoice_next(job);
}

static void enter_invoice(struct job *job);

/* 2, 3, 4. What is still missing? A warm request goes straight to its invoice; prepare.c does the rest. */
void invoice_next(struct job *job)
{
    if (job->compensate)
        ending_fail(job, "client_left");
    else if (job->plan.act != ACT_NONE)
        act_begin(job);
    else if (job->planned)
        enter_invoice(job);
    else
        prepare_next(job);
}

/* 5. The invoice, still without a line. */
static void enter_invoice(struct job *job)
{
    if (job->invoice_since_s == 0)
        job->invoice_since_s = (int64_t)time(NULL);
    step_enter(job, JOB_MAKING_INVOICE, STEP_INVOICE);
}

static bool customer_is_gone(const struct reply *reply, struct object object)
{
    return (reply->status == 400 || reply->status == 404) && object_is_missing_error(object) &&
           text_is(object_text(object, "error.param"), TEXT("customer"));
}

/* A refusal speaks of its own attempt. What an earlier one that was in doubt has made, only a look can tell.
 */
static void invoice_refused(struct job *job, struct decision decision, const struct reply *reply,
                            struct object object)
{
    bool renews =
        !job->compensate && prepare_may_renew(job) && !job->plan.form.at && customer_is_gone(reply, object);
    if (job->invoice_doubted) {
        ending_upstream_said(job, decision, reply, object);
        lookup_after_refusal(job, renews ? ABSENT_IS_RENEWED : ABSENT_AS_SAID);
    } else if (renews) {
        prepare_renew_customer(job);
    } else {
        ending_upstream_failed(job, decision, reply, object);
    }
}

static void refuse_difference(struct job *job, const char *reason)
{
    LOG(LOG_ERROR, "the upstream's invoice differs from the plan: it is deleted",
        LOG_TEXT("request_id", text_from(job->request_text)), LOG_TEXT("invoice_id", job->plan.invoice_id),
        LOG_TEXT("reason", text_from(reason)));
    job->gateway->metrics->alarms[METRIC_amount_mismatch]++;
    ending_fail(job, reason);
}

void invoice_stands(struct job *job, const struct reply *reply, struct object object)
{
    invoice_keep(job, reply, object);
    if (invoice_is_of_mode(object, job->plan.mode))
        invoice_has_id(job);
    else
        refuse_difference(job, "mode_mismatch");
}

static void invoice_made(struct job *job, struct decision decision, const struct reply *reply,
                         struct object object)
{
    if (decision.outcome == OUTCOME_OK) {
        invoice_stands(job, reply, object);
    } else if (decision.look_up) {
        lookup_begin(job, STEP_INVOICE);
    } else if (decision.outcome == OUTCOME_REFUSED) {
        invoice_refused(job, decision, reply, object);
    } else {
        ending_upstream_failed(job, decision, reply, object);
    }
}

/* 6. Its one line. What came through the upstream's own interface is as its caller wants it. */
void invoice_has_id(struct job *job)
{
    if (shortage_is(job))
        shortage_end(job);
    else if (job->compensate)
        ending_fail(job, "compensated");
    else if (job->plan.form.at)
        invoice_passed_on(job, job->plan.invoice_id);
    else
        step_enter(job, JOB_ADDING_LINES, STEP_LINES);
}

static void lines_added(struct job *job, struct decision decision, const struct reply *reply,
                        struct object object)
{
    if (decision.outcome == OUTCOME_OK)
        invoice_has_lines(job, reply, object);
    else if (decision.look_up)
        lookup_begin(job, STEP_LINES);
    else
        ending_upstream_failed(job, decision, reply, object);
}

/* 7. It must bill what was frozen, or it must not stand. */
void invoice_has_lines(struct job *job, const struct reply *reply, struct object object)
{
    bool matches = invoice_matches(object, &job->plan);
    if (shortage_is(job)) {
        shortage_end(job);
        return;
    }
    if (!matches) {
        refuse_difference(job, "amount_mismatch");
        return;
    }
    invoice_keep(job, reply, object);
    invoice_write_answer(job, object);
    if (job->compensate)
        ending_fail(job, "compensated");
    else if (job->plan.auto_advance)
        invoice_decide_advance(job);
    else
        ending_created(job);
}

/* 8. An account that advances by itself: irreversible, so the decision is committed first. */
void invoice_decide_advance(struct job *job)
{
    if (shortage_is(job)) {
        shortage_end(job);
        return;
    }
    ending_decide(job, JOB_DECIDING_ADVANCE, "advance", NULL);
}

/* Whether the upstream has decided about the call itself. A gateway that is kept out asks again. */
static bool is_decided(struct decision decision, const struct reply *reply)
{
    return decision.outcome == OUTCOME_REFUSED &&
           (reply->status == 400 || reply->status == 402 || reply->status == 404);
}

static void advanced(struct job *job, struct decision decision, const struct reply *reply,
                     struct object object)
{
    if (decision.outcome == OUTCOME_OK)
        invoice_has_advanced(job, reply, object);
    else if (decision.look_up || is_decided(decision, reply))
        lookup_begin(job, STEP_ADVANCE);
    else
        step_retry(job, reply->retry_after_s);
}

void invoice_has_advanced(struct job *job, const struct reply *reply, struct object object)
{
    invoice_keep(job, reply, object);
    invoice_write_answer(job, object);
    if (text_is(job->status, TEXT("draft")) && !object_true(object, "auto_advance")) {
        job->gateway->metrics->alarms[METRIC_not_advanced]++;
        LOG(LOG_ERROR, "the upstream did not let an invoice advance: it stays a draft",
            LOG_TEXT("request_id", text_from(job->request_text)),
            LOG_TEXT("invoice_id", job->plan.invoice_id));
    }
    if (job->compensate)
        ending_fail(job, "compensated");
    else
        ending_created(job);
}

/* 9. A draft that must not stand is deleted; only "no longer a draft" ends that otherwise. */
static void deleted(struct job *job, struct decision decision, const struct reply *reply)
{
    if (decision.outcome == OUTCOME_OK)
        ending_deleted(job, false);
    else if (is_decided(decision, reply))
        lookup_begin(job, STEP_DELETE); /* a refusal alone does not tell why */
    else
        step_retry(job, reply->retry_after_s);
}

void invoice_not_deleted(struct job *job, const struct reply *reply, struct object object)
{
    if (text_is(object_text(object, "status"), TEXT("draft"))) {
        ending_delete(job);
    } else {
        invoice_keep(job, reply, object);
        ending_deleted(job, true);
    }
}

static void decision_stored(struct job *job, const struct store_answer *answer)
{
    if (answer->verdict == STORE_MISSING && !job->restored)
        ending_restore(job);
    else if (answer->verdict != STORE_GO)
        ending_taken_over(job);
    else if (job->state == JOB_DECIDING_DELETE)
        step_enter(job, JOB_DELETING, STEP_DELETE);
    else if (job->compensate)
        ending_fail(job, "compensated");
    else
        step_enter(job, JOB_ADVANCING, STEP_ADVANCE);
}

void invoice_stored(struct job *job, const struct store_answer *answer)
{
    switch (job->state) {
    case JOB_BEGINNING:
        begun(job, answer);
        break;
    case JOB_RENEWING_CUSTOMER:
        prepare_renewed(job, answer);
        break;
    case JOB_PLANNING:
        prepare_planned(job, answer);
        break;
    case JOB_DECIDING_ADVANCE:
    case JOB_DECIDING_DELETE:
        decision_stored(job, answer);
        break;
    case JOB_FINISHING:
        ending_stored(job, answer);
        break;
    case JOB_RESTORING:
        ending_restored(job, answer);
        break;
    case JOB_WITHDRAWING:
        withdraw_stored(job, answer);
        break;
    case JOB_PARKING:
        ending_done(job);
        break;
    case JOB_READING:
    case JOB_KEEPING:
        read_stored(job, answer);
        break;
    default:
        NEVER("a state that waits for PostgreSQL");
    }
}

void invoice_called(struct job *job, struct decision decision, const struct reply *reply,
                    struct object object)
{
    switch (job->state) {
    case JOB_READING_PRODUCT:
        prepare_product_read(job, decision, reply, object);
        break;
    case JOB_READING_PRICES:
        prepare_prices_read(job, decision, reply, object);
        break;
    case JOB_MAKING_CUSTOMER:
        prepare_customer_made(job, decision, reply, object);
        break;
    case JOB_MAKING_INVOICE:
        invoice_made(job, decision, reply, object);
        break;
    case JOB_ADDING_LINES:
        lines_added(job, decision, reply, object);
        break;
    case JOB_REFRESHING:
        read_called(job, decision, reply, object);
        break;
    case JOB_ACTING:
        act_done(job, decision, reply, object);
        break;
    case JOB_LOOKING_UP:
        if (job->plan.act == ACT_NONE)
            lookup_replied(job, decision, reply, object);
        else
            act_looked_up(job, decision, reply, object);
        break;
    case JOB_ADVANCING:
        advanced(job, decision, reply, object);
        break;
    case JOB_DELETING:
        deleted(job, decision, reply);
        break;
    default:
        NEVER("a state that waits for the upstream");
    }
}
