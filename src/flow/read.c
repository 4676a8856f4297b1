#include "flow/read.h"

#include <string.h>

#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/invoice.h"
#include "flow/patience.h"
#include "flow/reasons.h"
#include "flow/shortage.h"
#include "flow/step.h"
#include "flow/telling.h"
#include "front/response.h"
#include "front/response_list.h"
#include "front/response_stripe.h"

#define READS_PART 8 /* of the jobs in flight, so many may be reads */
#define LOOK_PART 3  /* of the deadline is spent on a look at the upstream */
/* An invoice that something was done to was seen on the first day of 1970, says finish_invoices(). */
#define OUTDATED_US INT64_C(86400000000)

bool read_is(const struct job *job)
{
    enum route route = job->request.route;
    return route == ROUTE_INVOICE_GET || route == ROUTE_INVOICES_LIST || route == ROUTE_ACCOUNT_INVOICE_GET ||
           route == ROUTE_ACCOUNT_INVOICES_LIST;
}

static bool is_list(const struct job *job)
{
    return job->request.route == ROUTE_INVOICES_LIST || job->request.route == ROUTE_ACCOUNT_INVOICES_LIST;
}

static void tell_and_end(struct job *job, struct text body)
{
    if (body.at)
        tell_body(job, body);
    else
        tell_reason(job, reason_of("overloaded"));
    ending_done(job);
}

static void refuse_and_end(struct job *job, const struct reason *reason)
{
    tell_reason(job, reason);
    ending_done(job);
}

void read_start(struct job *job)
{
    const struct request *request = &job->request;
    const struct query *query = &request->query;
    struct store_read *in = &job->task.in.read;
    struct gateway *gateway = job->gateway;
    job_set_state(job, JOB_READING);
    job->is_read = true;
    if (++gateway->reads > gateway->jobs.limit / READS_PART + 1) {
        refuse_and_end(job, reason_of("overloaded"));
        return;
    }
    *in = (struct store_read){
        .route = text_from(route_name(request->route)),
        .account_id = request->account_id,
        .refused = request->body.status != 0,
        .invoice_id = request->invoice_id,
        .version = request->api_version,
        .limit = query->limit,
        .customer_id = query->customer_id,
        .status = query->status,
        .from_s = query->from_s == LIST_NO_TIME ? STORE_NULL64 : query->from_s,
        .until_s = query->until_s == LIST_NO_TIME ? STORE_NULL64 : query->until_s,
        .after = query->after,
        .before = query->before,
    };
    memcpy(in->key_digest, request->key_digest, DIGEST_BYTES);
    job_submit(job, is_list(job) ? STORE_LIST : STORE_READ);
}

/* ---- telling */

static void refuse_cursor(struct job *job, const struct reason *reason)
{
    bool after = job->request.query.after.at != NULL;
    struct refusal refusal = {
        .status = reason->status,
        .reason = reason->word,
        .message = after ? TEXT("starting_after names no invoice that this list could show.")
                         : TEXT("ending_before names no invoice that this list could show."),
        .code = "resource_missing",
        .param = after ? TEXT("starting_after") : TEXT("ending_before"),
    };
    tell_refusal(job, &refusal);
    ending_done(job);
}

/* One invoice in the caller's shape; absent also where memory is out, which the job's arena then shows. */
static struct text body_of(struct job *job, const struct store_invoice *invoice)
{
    struct gateway *gateway = job->gateway;
    struct tokens tokens;
    struct object object;
    struct text body;
    if (job->request.shape == SHAPE_STRIPE)
        return invoice_told(&job->arena, invoice->object, invoice->invoice_id, "invoice");
    object = object_read(&tokens, &gateway->scratch, invoice->object);
    body = response_invoice(&job->arena, &(struct invoice_answer){
                                             .id = invoice->invoice_id,
                                             .amount_minor = invoice->amount_minor,
                                             .currency = invoice->currency,
                                             .status = invoice->status.at ? invoice->status : TEXT("draft"),
                                             .number = invoice->number,
                                             .customer_id = invoice->customer_id,
                                             .customer_email = object_text(object, "customer_email"),
                                             .customer_name = object_text(object, "customer_name"),
                                             .description = object_text(object, "description"),
                                             .created_s = invoice->created_s,
                                         });
    if (arena_overflowed(&gateway->scratch)) {
        arena_fail(&job->arena);
        body = TEXT_NONE;
    }
    arena_reset(&gateway->scratch);
    return body;
}

static void tell_list(struct job *job, const struct store_answer *answer)
{
    struct text bodies[STORE_PAGE_MAX], last = TEXT_NONE;
    for (int i = 0; i < answer->invoice_count; i++) {
        bodies[i] = body_of(job, &answer->invoices[i]);
        if (!bodies[i].at) {
            refuse_and_end(job, reason_of("overloaded"));
            return;
        }
        last = answer->invoices[i].invoice_id;
    }
    tell_and_end(job, response_list(&job->arena, job->request.shape, bodies, answer->invoice_count,
                                    answer->has_more, last));
}

/* Whether more is known than the snapshot shows: something was done to the invoice since. */
static bool is_outdated(const struct job *job)
{
    return job->state == JOB_REFRESHING && job->seen_us < OUTDATED_US;
}

/* What was seen last is better than nothing, unless it is known to be wrong. */
static void tell_snapshot(struct job *job)
{
    if (job->request.query.expand.at || is_outdated(job))
        refuse_and_end(job, reason_of("upstream_unread"));
    else
        tell_and_end(job, job->answer);
}

/* ---- one invoice */

static void look(struct job *job, const struct store_answer *answer, const struct store_invoice *invoice)
{
    struct plan *plan = &job->plan;
    plan->agency_id = answer->agency_id;
    plan->mode = text_is(answer->mode, TEXT("test")) ? MODE_TEST : MODE_LIVE;
    plan->account_id = arena_copy(&job->arena, answer->account_id);
    plan->invoice_id = arena_copy(&job->arena, invoice->invoice_id);
    plan->customer_id = arena_copy(&job->arena, invoice->customer_id);
    plan->upstream_version = job->request.api_version;
    plan->query = job->request.query.expand;
    plan->amount_minor = invoice->amount_minor;
    job->seen_us = invoice->seen_us;
    patience_start(job, job->gateway->settings->deadline_ms / LOOK_PART);
    step_enter(job, JOB_REFRESHING, STEP_READ);
}

static void found(struct job *job, const struct store_answer *answer)
{
    const struct store_invoice *invoice = answer->invoices;
    job->answer = body_of(job, invoice);
    if (!job->answered && (invoice->stale || job->request.query.expand.at))
        look(job, answer, invoice);
    else
        tell_snapshot(job);
}

static void keep_in_books(struct job *job, struct text status)
{
    job->task.in.refresh = (struct store_refresh){.agency_id = job->plan.agency_id,
                                                  .account_id = job->plan.account_id,
                                                  .mode = text_from(mode_name(job->plan.mode)),
                                                  .invoice_id = job->plan.invoice_id,
                                                  .seen_us = job->seen_us,
                                                  .status = status,
                                                  .number = job->number,
                                                  .amount_minor = job->total_minor,
                                                  .currency = job->plan.currency,
                                                  .object = job->invoice_object,
                                                  .version = job->plan.upstream_version};
    job_set_state(job, JOB_KEEPING);
    job_submit(job, STORE_REFRESH);
}

/* As the upstream shows it now. */
static void keep(struct job *job, const struct reply *reply, struct object object)
{
    struct store_invoice invoice;
    invoice_keep(job, reply, object);
    invoice = (struct store_invoice){.invoice_id = job->plan.invoice_id,
                                     .status = job->status,
                                     .number = job->number,
                                     .amount_minor = job->total_minor,
                                     .currency = job->plan.currency,
                                     .customer_id = job->plan.customer_id,
                                     .created_s = job->created_s,
                                     .object = job->invoice_object};
    if (shortage_is(job)) {
        tell_snapshot(job);
        return;
    }
    arena_reset(&job->gateway->scratch); /* what object was read into: body_of() needs it */
    job->answer = body_of(job, &invoice);
    keep_in_books(job, job->status);
}

/* Somebody else deleted the draft: the books say so before anybody is told. */
static void forget(struct job *job)
{
    job->gone = true;
    job->number = TEXT_NONE;
    job->total_minor = STORE_NULL64;
    job->plan.currency = TEXT_NONE;
    keep_in_books(job, TEXT("deleted"));
}

/* What cannot be expanded is the caller's to hear. */
static void tell_what_was_said(struct job *job, struct decision decision, const struct reply *reply,
                               struct object object)
{
    ending_upstream_said(job, decision, reply, object);
    (void)tell_ending(job);
    ending_done(job);
}

void read_called(struct job *job, struct decision decision, const struct reply *reply, struct object object)
{
    bool about_it =
        decision.outcome == OUTCOME_OK && text_is(object_text(object, "id"), job->plan.invoice_id);
    if (decision.outcome == OUTCOME_REFUSED && invoice_is_gone(reply, object))
        forget(job);
    else if (decision.outcome == OUTCOME_REFUSED && job->request.query.expand.at && object_is_error(object))
        tell_what_was_said(job, decision, reply, object);
    else if (about_it && job->request.query.expand.at)
        tell_and_end(job, response_stripe_object(&job->arena, reply->body));
    else if (about_it && !object_true(object, "deleted"))
        keep(job, reply, object);
    else
        tell_snapshot(job);
}

void read_stored(struct job *job, const struct store_answer *answer)
{
    const struct reason *reason = answer->reason.at ? reason_find(answer->reason) : NULL;
    if (answer->agency_id > 0)
        job->plan.agency_id = answer->agency_id;
    if (job->state == JOB_KEEPING && job->gone) {
        refuse_and_end(job, reason_of("invoice_unknown"));
    } else if (job->state == JOB_KEEPING) {
        tell_and_end(job, job->answer);
    } else if (answer->verdict == STORE_UNAUTHORIZED && admission_slows(job)) {
        return;
    } else if (answer->verdict == STORE_GO && is_list(job)) {
        tell_list(job, answer);
    } else if (answer->verdict == STORE_GO && answer->invoice_count == 1) {
        found(job, answer);
    } else if (text_is(answer->reason, TEXT("request"))) {
        tell_refusal(job, &job->request.body);
        ending_done(job);
    } else if (reason && reason == reason_of("cursor_unknown")) {
        refuse_cursor(job, reason);
    } else {
        refuse_and_end(job, reason ? reason : reason_of("database_unread"));
    }
}

void read_unreachable(struct job *job)
{
    tell_snapshot(job);
}

/* What PostgreSQL works on is waited for: it is not long. */
void read_expired(struct job *job)
{
    if (job->state == JOB_REFRESHING) {
        step_stop(job);
        tell_snapshot(job);
    } else {
        tell_reason(job, reason_of("database_unread"));
    }
}
