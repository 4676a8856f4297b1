#include "flow/act.h"

#include <time.h>

#include "base/log.h"
#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/invoice.h"
#include "flow/lookup.h"
#include "flow/product.h"
#include "flow/step.h"

enum act act_of_route(enum route route)
{
    static const enum act acts[ROUTE_COUNT] = {
        [ROUTE_INVOICE_UPDATE] = ACT_UPDATE,    [ROUTE_INVOICE_FINALIZE] = ACT_FINALIZE,
        [ROUTE_INVOICE_SEND] = ACT_SEND,        [ROUTE_INVOICE_VOID] = ACT_VOID,
        [ROUTE_INVOICEITEMS] = ACT_INVOICEITEM,
    };
    return acts[route];
}

void act_begin(struct job *job)
{
    job->invoice_since_s = (int64_t)time(NULL);
    step_enter(job, JOB_ACTING, STEP_ACT);
}

void act_resume(struct job *job, bool old)
{
    if (old)
        lookup_begin(job, STEP_ACT);
    else
        step_enter(job, JOB_ACTING, STEP_ACT);
}

/* The invoice as the act left it; an item is no invoice, and only told. */
static void adopt(struct job *job, const struct reply *reply, struct object object)
{
    if (job->plan.act == ACT_INVOICEITEM)
        job->invoice_object = arena_copy(&job->arena, reply->body);
    else
        invoice_keep(job, reply, object);
    invoice_passed_on(job, object_text(object, "id"));
}

/* An answer about another invoice tells nothing of this one. */
static bool is_about_it(const struct job *job, struct object object)
{
    return job->plan.act == ACT_INVOICEITEM || text_is(object_text(object, "id"), job->plan.invoice_id);
}

/* What an earlier attempt may have done is perhaps why this one is refused ("already finalized"): one look
 * tells. Of an update no look can tell. */
static void refused_in_doubt(struct job *job, struct decision decision, const struct reply *reply,
                             struct object object)
{
    ending_upstream_said(job, decision, reply, object);
    lookup_after_refusal(job, ABSENT_AS_SAID);
}

void act_done(struct job *job, struct decision decision, const struct reply *reply, struct object object)
{
    bool done = decision.outcome == OUTCOME_OK;
    if (done && is_about_it(job, object))
        adopt(job, reply, object);
    else if (done || decision.look_up)
        lookup_begin(job, STEP_ACT);
    else if (job->invoice_doubted && job->plan.act != ACT_UPDATE)
        refused_in_doubt(job, decision, reply, object);
    else
        ending_upstream_failed(job, decision, reply, object);
}

/* Whether the invoice looks as if the act was done. Of an update its status cannot tell: what is there
 * counts. */
static bool shows(enum act act, struct object invoice)
{
    struct text status = object_text(invoice, "status");
    if (act == ACT_VOID)
        return text_is(status, TEXT("void"));
    return act == ACT_UPDATE || !text_is(status, TEXT("draft"));
}

static struct object item_of(const struct job *job, struct object list)
{
    for (size_t i = 0; i < object_count(list, "data"); i++) {
        struct object item = object_element(list, "data", i);
        if (invoice_is_ours(item, &job->plan))
            return item;
    }
    return OBJECT_NONE;
}

static void look_at_items(struct job *job, struct object list)
{
    struct object item = item_of(job, list);
    size_t count = object_count(list, "data");
    struct reply reply = {.transport = TRANSPORT_ANSWERED, .status = 200};
    if (object_exists(item)) {
        reply.body = object_bytes(item);
        adopt(job, &reply, item);
    } else if (count > 0 && object_true(list, "has_more")) {
        lookup_next_page(job, list);
    } else {
        lookup_absent(job);
    }
}

void act_looked_up(struct job *job, struct decision decision, const struct reply *reply, struct object object)
{
    bool is_list = job->plan.act == ACT_INVOICEITEM;
    bool gone = decision.outcome == OUTCOME_REFUSED && reply->status == 404;
    if (!gone && (decision.outcome != OUTCOME_OK || !(is_list || is_about_it(job, object)))) {
        step_retry(job, reply->retry_after_s);
    } else if (is_list) {
        look_at_items(job, object);
    } else if (!gone && shows(job->plan.act, object)) {
        LOG(LOG_WARNING, "an act is told by what its invoice shows",
            LOG_TEXT("request_id", text_from(job->request_text)),
            LOG_TEXT("invoice_id", job->plan.invoice_id));
        adopt(job, reply, object);
    } else {
        lookup_absent(job);
    }
}
