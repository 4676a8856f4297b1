#include "flow/act.h"

#include <string.h>
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

void act_mark(struct request *request, struct arena *arena, const char *request_id)
{
    struct text form = request->form, marked;
    if (request->route != ROUTE_INVOICE_UPDATE || request->body.status)
        return;
    marked = arena_printf(arena, "%.*s%smetadata[" METADATA_ACT "]=%s", (int)form.length, form.at,
                          form.length > 0 ? "&" : "", request_id);
    if (marked.at)
        request->form = marked;
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

/* The invoice as the act left it; an item is no invoice, and only told. The act was done: short of memory for
 * its answer, it must not be told as anything else. */
static void adopt(struct job *job, const struct reply *reply, struct object object)
{
    job->unknown[STEP_ACT] = true;
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
 * tells. */
static void refused_in_doubt(struct job *job, struct decision decision, const struct reply *reply,
                             struct object object)
{
    ending_upstream_said(job, decision, reply, object);
    lookup_after_refusal(job, ABSENT_AS_SAID);
}

/* The draft was deleted by somebody else. */
static bool says_gone(const struct job *job, struct decision decision, const struct reply *reply,
                      struct object object)
{
    return decision.outcome == OUTCOME_REFUSED && job->plan.act != ACT_INVOICEITEM &&
           invoice_is_gone(reply, object);
}

void act_done(struct job *job, struct decision decision, const struct reply *reply, struct object object)
{
    bool done = decision.outcome == OUTCOME_OK;
    job->gone = says_gone(job, decision, reply, object);
    if (done && is_about_it(job, object))
        adopt(job, reply, object);
    else if (done || decision.look_up)
        lookup_begin(job, STEP_ACT);
    else if (job->invoice_doubted && !job->gone)
        refused_in_doubt(job, decision, reply, object);
    else
        ending_upstream_failed(job, decision, reply, object);
}

enum sight { SHOWS_DONE, SHOWS_UNDONE, SHOWS_NEITHER };

/* Marks are request ids, which begin with their time: a later update has written over what this one left. */
static enum sight sight_of_mark(const struct job *job, struct text mark)
{
    struct text form = job->plan.form, ours = text_from(job->request_text);
    if (!form.at || !memmem(form.at, form.length, METADATA_ACT, strlen(METADATA_ACT)))
        return SHOWS_NEITHER; /* it was frozen without one */
    if (text_is(mark, ours))
        return SHOWS_DONE;
    return mark.length == ours.length && memcmp(mark.at, ours.at, ours.length) > 0 ? SHOWS_NEITHER
                                                                                   : SHOWS_UNDONE;
}

/* What the invoice itself tells of the act. That it is no draft proves that it is finalized, not that it was
 * sent. */
static enum sight sight_of(const struct job *job, struct object invoice)
{
    struct text status = object_text(invoice, "status");
    bool is_draft = text_is(status, TEXT("draft"));
    switch (job->plan.act) {
    case ACT_UPDATE:
        return sight_of_mark(job, object_text(invoice, "metadata." METADATA_ACT));
    case ACT_SEND:
        return is_draft ? SHOWS_UNDONE : SHOWS_NEITHER;
    case ACT_VOID:
        return text_is(status, TEXT("void")) ? SHOWS_DONE : SHOWS_UNDONE;
    default:
        return is_draft ? SHOWS_UNDONE : SHOWS_DONE;
    }
}

static void look_at_invoice(struct job *job, const struct reply *reply, struct object invoice)
{
    enum sight sight = sight_of(job, invoice);
    invoice_keep(job, reply, invoice); /* whatever is told: the books show what was seen */
    if (sight == SHOWS_UNDONE) {
        lookup_absent(job);
        return;
    }
    LOG(LOG_WARNING,
        sight == SHOWS_DONE ? "an act is told by what its invoice shows"
                            : "an invoice does not show whether an act was done",
        LOG_TEXT("request_id", text_from(job->request_text)), LOG_TEXT("invoice_id", job->plan.invoice_id));
    if (sight == SHOWS_DONE)
        adopt(job, reply, invoice);
    else
        ending_unsure(job);
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
    job->gone = says_gone(job, decision, reply, object);
    if (!job->gone && (decision.outcome != OUTCOME_OK || !(is_list || is_about_it(job, object)))) {
        step_retry(job, reply->retry_after_s);
    } else if (is_list) {
        look_at_items(job, object);
    } else if (job->gone) {
        lookup_absent(job);
    } else {
        look_at_invoice(job, reply, object);
    }
}
