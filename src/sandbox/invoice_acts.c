// What moves an invoice from one status to the next.
#include <stdio.h>
#include <string.h>

#include "sandbox/errors.h"
#include "sandbox/invoices.h"
#include "sandbox/routes.h"

enum { NUMBER_BYTES = 48 };

static bool has_status(const struct invoice *invoice, const char *status)
{
    return strcmp(invoice->status, status) == 0;
}

static const char *keep_url(struct call *call, const struct invoice *invoice, const char *tail)
{
    struct text url = {0};
    text_format(&url, "https://invoice.sandbox.example/i/%s/%s%s", call->account, invoice->id, tail);
    const char *kept = call_keep_text(call, &url);
    text_free(&url);
    return kept;
}

static void mark_paid(struct call *call, struct invoice *invoice)
{
    invoice->status = "paid";
    invoice->paid = true;
    invoice->paid_s = call_now_s(call);
    invoice->amount_paid_minor = invoice->amount_due_minor;
    invoice_recount(call, invoice);
}

static void finalize(struct call *call, struct invoice *invoice)
{
    char number[NUMBER_BYTES];
    struct customer *customer = invoice->customer;
    const char *prefix = customer->prefix != NULL ? customer->prefix : call->scope->prefix;
    snprintf(number, sizeof number, "%s-%04lld", prefix, (long long)customer->next_sequence++);
    invoice->number = call_keep(call, number);
    invoice->status = "open";
    invoice->finalized_s = call_now_s(call);
    invoice->ending_balance_minor = 0;
    invoice->hosted_url = keep_url(call, invoice, "");
    invoice->pdf_url = keep_url(call, invoice, "/pdf");
    if (invoice->amount_due_minor == 0)
        mark_paid(call, invoice);
}

void invoice_finalize(struct call *call)
{
    struct invoice *invoice = invoice_find(call);
    if (invoice == NULL)
        return;
    if (!has_status(invoice, "draft")) {
        call_refuse(call, 400, "invoice_not_editable", NULL,
                    "This invoice is already finalized, you can't re-finalize a non-draft invoice.");
        return;
    }
    invoice->auto_advance = form_bool(&call->form, "auto_advance", invoice->auto_advance);
    finalize(call, invoice);
    call_answer(call, SHAPE_INVOICE, invoice);
}

void invoice_send(struct call *call)
{
    struct invoice *invoice = invoice_find(call);
    if (invoice == NULL)
        return;
    if (strcmp(invoice->collection_method, "send_invoice") != 0) {
        call_refuse(call, 400, NULL, NULL,
                    "You can only manually send an invoice if its collection method is 'send_invoice'.");
        return;
    }
    if (has_status(invoice, "void") || has_status(invoice, "uncollectible")) {
        call_refuse(call, 400, "invoice_not_editable", NULL, "A %s invoice can't be sent.", invoice->status);
        return;
    }
    if (has_status(invoice, "draft"))
        finalize(call, invoice);
    call_answer(call, SHAPE_INVOICE, invoice);
}

// The invoice if it is open (or uncollectible too, when that will do); NULL with a refusal otherwise.
static struct invoice *find_open(struct call *call, bool uncollectible_too)
{
    struct invoice *invoice = invoice_find(call);
    if (invoice == NULL || has_status(invoice, "open") ||
        (uncollectible_too && has_status(invoice, "uncollectible")))
        return invoice;
    call_refuse(call, 400, "invoice_not_editable", NULL,
                "You can only pass in open invoices. This invoice isn't open.");
    return NULL;
}

void invoice_void(struct call *call)
{
    struct invoice *invoice = find_open(call, true);
    if (invoice == NULL)
        return;
    invoice->status = "void";
    invoice->voided_s = call_now_s(call);
    invoice_recount(call, invoice);
    call_answer(call, SHAPE_INVOICE, invoice);
}

void invoice_mark_uncollectible(struct call *call)
{
    struct invoice *invoice = find_open(call, false);
    if (invoice == NULL)
        return;
    invoice->status = "uncollectible";
    invoice->uncollectible_s = call_now_s(call);
    call_answer(call, SHAPE_INVOICE, invoice);
}

void invoice_pay(struct call *call)
{
    struct invoice *invoice = find_open(call, true);
    if (invoice == NULL)
        return;
    if (!form_bool(&call->form, "paid_out_of_band", false)) {
        call_refuse(call, 400, NULL, NULL,
                    "There is no default_payment_method set on this Customer or Invoice. Please set a "
                    "default payment method prior to attempting payment.");
        return;
    }
    invoice->paid_out_of_band = true;
    mark_paid(call, invoice);
    call_answer(call, SHAPE_INVOICE, invoice);
}
