#include "sandbox/invoices.h"

#include <ctype.h>
#include <string.h>

#include "sandbox/errors.h"
#include "sandbox/lists.h"
#include "sandbox/params.h"
#include "sandbox/routes.h"

struct invoice *invoice_find(struct call *call)
{
    struct invoice *invoice = table_find(&call->scope->invoices, call->object_id);
    if (invoice != NULL && !invoice->deleted)
        return invoice;
    call_missing(call, "invoice");
    return NULL;
}

struct invoice *invoice_find_draft(struct call *call)
{
    struct invoice *invoice = invoice_find(call);
    if (invoice == NULL || strcmp(invoice->status, "draft") == 0)
        return invoice;
    call_refuse(call, 400, "invoice_not_editable", NULL,
                "This invoice is no longer editable: its status is %s.", invoice->status);
    return NULL;
}

const char *other_currency(const char *currency)
{
    return strcmp(currency, "eur") == 0 ? "usd" : "eur";
}

static struct customer *find_customer(struct call *call)
{
    const char *id = form_text(&call->form, "customer");
    struct customer *customer = table_find(&call->scope->customers, id);
    if (customer != NULL && !customer->deleted)
        return customer;
    call_refuse(call, 400, "resource_missing", "customer", "No such customer: '%s'", id);
    return NULL;
}

static void set_start(struct call *call, struct invoice *invoice, struct customer *customer)
{
    invoice->customer = customer;
    invoice->customer_id = customer->id;
    invoice->customer_email = customer->email;
    invoice->customer_name = customer->name;
    invoice->customer_phone = customer->phone;
    invoice->collection_method = "charge_automatically";
    invoice->status = "draft";
    invoice->created_s = call_now_s(call);
    invoice->due_s = NO_NUMBER;
    invoice->finalized_s = NO_NUMBER;
    invoice->uncollectible_s = NO_NUMBER;
    invoice->paid_s = NO_NUMBER;
    invoice->voided_s = NO_NUMBER;
    invoice->ending_balance_minor = NO_NUMBER;
    invoice->livemode = call->livemode;
}

static void set_currency(struct call *call, struct invoice *invoice)
{
    const char *given = form_text(&call->form, "currency");
    char currency[4] = {0};
    for (int i = 0; given != NULL && i < 3; i++)
        currency[i] = (char)tolower((unsigned char)given[i]);
    const char *otherwise = invoice->customer->currency != NULL ? invoice->customer->currency : "usd";
    invoice->currency = given != NULL ? call_keep(call, currency) : otherwise;
    if (invoice->customer->currency == NULL)
        invoice->customer->currency = invoice->currency;
    if (call->effects & EFFECT_CURRENCY)
        invoice->currency = other_currency(invoice->currency);
    if (call->effects & EFFECT_AMOUNT)
        invoice->skew_minor = 1;
}

static void sweep_in(struct call *call, struct invoice *invoice)
{
    struct list *pending = &invoice->customer->items;
    for (size_t i = 0; i < pending->count;) {
        struct item *item = pending->items[i];
        if (strcmp(item->currency, invoice->currency) == 0)
            invoice_take_item(call, invoice, item);
        else
            i++;
    }
}

static void register_invoice(struct call *call, struct invoice *invoice)
{
    struct scope *scope = call->scope;
    invoice->id = call_new_id(call, "in_");
    invoice->idempotency_key = call_keep(call, call->key);
    table_put(&scope->invoices, invoice);
    list_add(&call->store->arena, &scope->invoice_list, invoice);
    list_add(&call->store->arena, &invoice->customer->invoices, invoice);
}

void invoice_create(struct call *call)
{
    struct customer *customer = find_customer(call);
    if (customer == NULL)
        return;
    struct invoice *invoice = arena_alloc(&call->store->arena, sizeof *invoice);
    set_start(call, invoice, customer);
    if (!invoice_set_fields(call, invoice))
        return;
    register_invoice(call, invoice);
    set_currency(call, invoice);
    const char *pending = form_text(&call->form, "pending_invoice_items_behavior");
    if (pending != NULL && strcmp(pending, "include") == 0)
        sweep_in(call, invoice);
    invoice_recount(call, invoice);
    call_answer(call, SHAPE_INVOICE, invoice);
}

void invoice_read(struct call *call)
{
    const struct invoice *invoice = invoice_find(call);
    if (invoice != NULL)
        call_answer(call, SHAPE_INVOICE, invoice);
}

// After finalization only these may still change.
static bool check_final_fields(struct call *call)
{
    for (size_t i = 0; i < call->form.count; i++) {
        const char *name = call->form.fields[i].name;
        if (strcmp(name, "auto_advance") == 0 || strncmp(name, "metadata", 8) == 0 ||
            strncmp(name, "expand", 6) == 0)
            continue;
        call_refuse(call, 400, "invoice_not_editable", name,
                    "Finalized invoices can't be updated in this way: %s", name);
        return false;
    }
    return true;
}

void invoice_update(struct call *call)
{
    struct invoice *invoice = invoice_find(call);
    if (invoice == NULL || (strcmp(invoice->status, "draft") != 0 && !check_final_fields(call)))
        return;
    struct invoice changed = *invoice;
    if (!invoice_set_fields(call, &changed))
        return;
    *invoice = changed;
    invoice_recount(call, invoice);
    call_answer(call, SHAPE_INVOICE, invoice);
}

// What stood on invoice items lives on as pending.
static void release_items(struct call *call, struct invoice *invoice)
{
    for (size_t i = 0; i < invoice->lines.count; i++) {
        const struct line *line = invoice->lines.items[i];
        struct item *item = table_find(&call->scope->items, line->item_id);
        if (item == NULL)
            continue;
        item->invoice = NULL;
        item->invoice_id = NULL;
        list_add(&call->store->arena, &item->customer->items, item);
    }
}

void invoice_delete(struct call *call)
{
    struct invoice *invoice = invoice_find(call);
    if (invoice == NULL)
        return;
    if (strcmp(invoice->status, "draft") != 0) {
        call_refuse(call, 400, "invoice_not_editable", NULL,
                    "You can only delete draft invoices; this one is %s. Void it instead.", invoice->status);
        return;
    }
    invoice->deleted = true;
    release_items(call, invoice);
    call->status = 200;
    text_string(&call->answer, "{\"id\":");
    text_quoted(&call->answer, invoice->id);
    text_string(&call->answer, ",\"object\":\"invoice\",\"deleted\":true}");
}

static bool invoice_fits(const struct call *call, const void *object)
{
    const struct invoice *invoice = object;
    return !invoice->deleted && list_equals(call, "status", invoice->status) &&
           list_equals(call, "collection_method", invoice->collection_method) &&
           list_created_fits(call, invoice->created_s);
}

void invoice_list(struct call *call)
{
    struct listing listing = {&call->scope->invoice_list,
                              &call->scope->invoices,
                              SHAPE_INVOICE,
                              invoice_fits,
                              "/v1/invoices",
                              "invoice"};
    const char *id = form_text(&call->form, "customer");
    if (id != NULL) {
        const struct customer *customer = table_find(&call->scope->customers, id);
        if (customer == NULL) {
            call_refuse(call, 400, "resource_missing", "customer", "No such customer: '%s'", id);
            return;
        }
        listing.objects = &customer->invoices;
    }
    list_answer(call, &listing);
}
