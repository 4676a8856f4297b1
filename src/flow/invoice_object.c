/* What the upstream's object says of an invoice, and what its caller is told of it. */
#include <time.h>

#include "flow/ending.h"
#include "flow/invoice.h"
#include "front/response.h"
#include "front/response_stripe.h"

#define TEXT_MAX_BYTES 5000
#define WORD_MAX_BYTES 255
#define CREATED_END_S INT64_C(253402300800) /* the year 10000 */

/* What the upstream calls the invoice's creation, if it is a time that PostgreSQL can hold. */
static int64_t created_of(struct object object)
{
    int64_t created_s;
    bool sound = object_int64(object, "created", &created_s) && created_s > 0 && created_s < CREATED_END_S;
    return sound ? created_s : (int64_t)time(NULL);
}

bool invoice_is_gone(const struct reply *reply, struct object error)
{
    struct text param = object_text(error, "error.param");
    bool about_it = !param.at || text_is(param, TEXT("id")) || text_is(param, TEXT("invoice"));
    return reply->status == 404 && about_it && object_is_missing_error(error);
}

void invoice_keep_id(struct job *job, struct object object)
{
    struct text id = arena_copy(&job->arena, object_text(object, "id"));
    if (id.at)
        job->plan.invoice_id = id;
    else if (!job->plan.invoice_id.at)
        job->unknown[STEP_INVOICE] = true; /* it stands, and memory for its name is out */
}

void invoice_keep(struct job *job, const struct reply *reply, struct object object)
{
    invoice_keep_id(job, object);
    job->invoice_object = arena_copy(&job->arena, reply->body);
    job->status = arena_copy(&job->arena, object_text_within(object, "status", WORD_MAX_BYTES));
    job->number = arena_copy(&job->arena, object_text_within(object, "number", WORD_MAX_BYTES));
    job->created_s = created_of(object);
    if (!object_int64(object, "total", &job->total_minor) &&
        !object_int64(object, "amount_due", &job->total_minor))
        job->total_minor = job->plan.amount_minor;
    if (!job->plan.currency.at)
        job->plan.currency = arena_copy(&job->arena, object_text(object, "currency"));
    job->has_invoice_facts = true;
}

struct text invoice_told(struct arena *arena, struct text bytes, struct text id, const char *kind)
{
    struct text told = response_stripe_object(arena, bytes);
    if (told.at)
        return told;
    return arena_printf(arena, "{\"id\":\"%.*s\",\"object\":\"%s\"}", (int)id.length, id.at, kind);
}

void invoice_passed_on(struct job *job, struct text id)
{
    const char *kind = job->plan.act == ACT_INVOICEITEM ? "invoiceitem" : "invoice";
    job->answer = invoice_told(&job->arena, job->invoice_object, id, kind);
    ending_created(job);
}

void invoice_write_answer(struct job *job, struct object object)
{
    struct invoice_answer invoice = {
        .id = job->plan.invoice_id,
        .amount_minor = job->total_minor,
        .currency = job->plan.currency,
        .status = job->status.at ? job->status : TEXT("draft"),
        .number = job->number,
        .customer_id = job->plan.customer_id,
        .customer_email = object_text_within(object, "customer_email", TEXT_MAX_BYTES),
        .customer_name = object_text_within(object, "customer_name", TEXT_MAX_BYTES),
        .description = object_text_within(object, "description", TEXT_MAX_BYTES),
        .created_s = job->created_s,
    };
    job->answer = response_invoice(&job->arena, &invoice);
}
