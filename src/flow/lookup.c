#include "flow/lookup.h"

#include <string.h>

#include "base/log.h"
#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/invoice.h"
#include "flow/object.h"
#include "flow/prepare.h"
#include "flow/product.h"
#include "flow/shortage.h"
#include "flow/step.h"

#define CLOCK_MARGIN_S (26 * 3600) /* a clock that is a whole day ahead must not hide an invoice */
#define UNDELETED_PAUSE_MS 1000    /* an upstream that refuses to delete is not asked in a tight loop */

/* An act is looked for on its invoice, everything else in a list. */
static enum step step_of(const struct job *job)
{
    bool listed = job->plan.act == ACT_NONE || job->plan.act == ACT_INVOICEITEM;
    return listed ? STEP_LOOKUP : STEP_READ;
}

void lookup_begin(struct job *job, enum step sought)
{
    job->sought = sought;
    job->unknown[sought] = true; /* until the look tells */
    job->after_absence = ABSENT_IS_FAILED;
    job->lookups = 0;
    job->plan.list_cursor = TEXT_NONE;
    job->plan.list_since_s = job->invoice_since_s - CLOCK_MARGIN_S;
    if (!job->is_sweep)
        ending_note_unresolved(job, "looking_up");
    job_set_state(job, JOB_LOOKING_UP);
    step_start_later(job, step_of(job), sought == STEP_DELETE ? UNDELETED_PAUSE_MS : 0);
}

void lookup_after_refusal(struct job *job, enum after_absence after)
{
    lookup_begin(job, job->plan.act == ACT_NONE ? STEP_INVOICE : STEP_ACT);
    job->after_absence = after;
}

static void found_new(struct job *job, const struct reply *reply, struct object invoice)
{
    if (job->plan.form.at) {
        invoice_stands(job, reply, invoice);
        return;
    }
    invoice_keep_id(job, invoice);
    if (object_count(invoice, "lines.data") > 0)
        invoice_has_lines(job, reply, invoice);
    else if (job->sought == STEP_LINES)
        ending_fail(job, "not_found_upstream"); /* the draft has no line and its key is spent: delete it */
    else
        invoice_has_id(job);
}

/* The decision to delete it is not a sweep's to take: as a late invoice it opens the request again. */
static void found_by_sweep(struct job *job, struct object invoice)
{
    invoice_keep_id(job, invoice);
    ending_delete(job);
}

/* A found invoice is a whole answer by itself: its bytes go the usual way. */
static void found(struct job *job, struct object invoice)
{
    struct reply reply = {.transport = TRANSPORT_ANSWERED, .status = 200, .body = object_bytes(invoice)};
    LOG(LOG_WARNING, "found by look-up", LOG_TEXT("request_id", text_from(job->request_text)),
        LOG_TEXT("invoice_id", object_text(invoice, "id")));
    job->unknown[job->sought] = false;
    if (job->is_sweep)
        found_by_sweep(job, invoice);
    else if (job->sought == STEP_ADVANCE)
        invoice_has_advanced(job, &reply, invoice);
    else if (job->sought == STEP_DELETE)
        invoice_not_deleted(job, &reply, invoice);
    else
        found_new(job, &reply, invoice);
}

/* Absent once may be early; absent twice, a pause apart, is absent. */
void lookup_absent(struct job *job)
{
    job->plan.list_cursor = TEXT_NONE;
    if (shortage_is(job)) { /* it may be there, unread */
        shortage_end(job);
        return;
    }
    if (job->is_sweep) {
        ending_done(job);
        return;
    }
    if (++job->lookups < 2 && job->after_absence == ABSENT_IS_FAILED) {
        step_start_later(job, step_of(job), job->gateway->settings->lookup_pause_ms);
        return;
    }
    job->unknown[job->sought] = false;
    if (job->after_absence == ABSENT_IS_RENEWED && !job->compensate)
        prepare_renew_customer(job);
    else if (job->after_absence != ABSENT_IS_FAILED)
        ending_as_said(job);
    else if (job->sought == STEP_DELETE)
        ending_deleted(job, false);
    else
        ending_fail(job, job->plan.act == ACT_NONE ? "not_found_upstream" : "act_not_done");
}

void lookup_next_page(struct job *job, struct object list)
{
    size_t count = object_count(list, "data");
    struct text last = object_text(object_element(list, "data", count - 1), "id");
    if (text_is(last, job->plan.list_cursor)) { /* the same page again: so it would never end */
        step_retry(job, 0);
        return;
    }
    job->plan.list_cursor = arena_copy(&job->arena, last);
    step_start(job, STEP_LOOKUP);
}

void lookup_replied(struct job *job, struct decision decision, const struct reply *reply,
                    struct object object)
{
    size_t count = object_count(object, "data");
    if (decision.outcome != OUTCOME_OK) {
        step_retry(job, reply->retry_after_s);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct object invoice = object_element(object, "data", i);
        if (invoice_is_ours(invoice, &job->plan)) {
            found(job, invoice);
            return;
        }
    }
    if (count > 0 && object_true(object, "has_more")) {
        lookup_next_page(job, object);
        return;
    }
    lookup_absent(job);
}
