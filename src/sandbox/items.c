#include <ctype.h>
#include <string.h>

#include "sandbox/errors.h"
#include "sandbox/invoices.h"
#include "sandbox/lists.h"
#include "sandbox/params.h"
#include "sandbox/prices.h"
#include "sandbox/routes.h"

static enum shape item_shape(const struct call *call)
{
    return call->view.old_dialect ? SHAPE_ITEM_OLD : SHAPE_ITEM;
}

static struct item *find_item(struct call *call)
{
    struct item *item = table_find(&call->scope->items, call->object_id);
    if (item != NULL && !item->deleted)
        return item;
    call_missing(call, "invoiceitem");
    return NULL;
}

static bool read_customer(struct call *call, struct item *item)
{
    const char *id = form_text(&call->form, "customer");
    item->customer = table_find(&call->scope->customers, id);
    if (item->customer == NULL || item->customer->deleted) {
        call_refuse(call, 400, "resource_missing", "customer", "No such customer: '%s'", id);
        return false;
    }
    item->customer_id = item->customer->id;
    return true;
}

static bool read_invoice(struct call *call, const struct item *item, struct invoice **found)
{
    const char *id = form_text(&call->form, "invoice");
    struct invoice *invoice = id == NULL ? NULL : table_find(&call->scope->invoices, id);
    *found = invoice;
    if (id == NULL)
        return true;
    if (invoice == NULL || invoice->deleted)
        call_refuse(call, 400, "resource_missing", "invoice", "No such invoice: '%s'", id);
    else if (invoice->customer != item->customer)
        call_refuse(call, 400, NULL, "invoice", "This invoice belongs to another customer.");
    else if (strcmp(invoice->status, "draft") != 0)
        call_refuse(call, 400, "invoice_not_editable", "invoice", "This invoice is no longer editable.");
    else
        return true;
    return false;
}

static bool read_price(struct call *call, const char *name, struct item *item)
{
    item->price = price_for_invoice(call, form_text(&call->form, name), name);
    if (item->price == NULL)
        return false;
    if (!price_amount(item->price, item->quantity, &item->amount_minor)) {
        call_refuse(call, 400, "amount_too_large", name, "The amount is too large.");
        return false;
    }
    item->currency = item->price->currency;
    if (item->description == NULL)
        item->description = item->price->product->name;
    return true;
}

static bool read_amount(struct call *call, struct item *item)
{
    const struct form *form = &call->form;
    const char *name = call->view.old_dialect ? "price" : "pricing[price]";
    const char *currency = form_text(form, "currency");
    bool has_price = form_text(form, name) != NULL;
    bool has_amount = form_text(form, "amount") != NULL;
    item->quantity = form_int(form, "quantity", 1);
    item->description = call_keep_field(call, "description");
    if (has_price == has_amount) {
        call_invalid(call, has_price ? "parameter_invalid_exclusive" : "parameter_missing", name,
                     "An invoice item has either a price or an amount.");
        return false;
    }
    if (has_price)
        return read_price(call, name, item);
    if (currency == NULL) {
        call_invalid(call, "parameter_missing", "currency", "Missing required param: currency.");
        return false;
    }
    char lower[4] = {0};
    for (int i = 0; i < 3; i++)
        lower[i] = (char)tolower((unsigned char)currency[i]);
    item->currency = call_keep(call, lower);
    item->amount_minor = form_int(form, "amount", 0);
    return true;
}

static void apply_effects(const struct call *call, struct item *item)
{
    if (call->effects & EFFECT_AMOUNT)
        item->amount_minor++;
    if (call->effects & EFFECT_QUANTITY)
        item->quantity++;
    if (call->effects & EFFECT_CURRENCY)
        item->currency = other_currency(item->currency);
}

static void register_item(struct call *call, struct item *item, struct invoice *invoice)
{
    item->id = call_new_id(call, "ii_");
    item->idempotency_key = call_keep(call, call->key);
    item->date_s = call_now_s(call);
    item->livemode = call->livemode;
    apply_effects(call, item);
    table_put(&call->scope->items, item);
    list_add(&call->store->arena, &call->scope->item_list, item);
    list_add(&call->store->arena, &item->customer->items, item);
    if (invoice == NULL)
        return;
    unsigned effects = call->effects;
    call->effects = EFFECT_NONE; // they have been applied to the item
    invoice_take_item(call, invoice, item);
    invoice->currency = item->currency;
    call->effects = effects;
    invoice_recount(call, invoice);
}

void item_create(struct call *call)
{
    struct item *item = arena_alloc(&call->store->arena, sizeof *item);
    struct invoice *invoice = NULL;
    if (!read_amount(call, item) || !read_customer(call, item) || !read_invoice(call, item, &invoice) ||
        !metadata_merge(call, "metadata", &item->metadata))
        return;
    if (invoice != NULL && strcmp(invoice->currency, item->currency) != 0) {
        call_refuse(call, 400, NULL, "currency",
                    "The currency of the item (%s) does not match the currency of the invoice (%s).",
                    item->currency, invoice->currency);
        return;
    }
    register_item(call, item, invoice);
    call_answer(call, item_shape(call), item);
}

void item_read(struct call *call)
{
    const struct item *item = find_item(call);
    if (item != NULL)
        call_answer(call, item_shape(call), item);
}

void item_delete(struct call *call)
{
    struct item *item = find_item(call);
    if (item == NULL)
        return;
    if (item->invoice != NULL && strcmp(item->invoice->status, "draft") != 0) {
        call_refuse(call, 400, "invoice_not_editable", NULL,
                    "This item belongs to an invoice that is no longer editable.");
        return;
    }
    if (item->invoice != NULL)
        invoice_drop_item(call, item->invoice, item);
    else
        list_remove(&item->customer->items, item);
    item->deleted = true;
    call->status = 200;
    text_string(&call->answer, "{\"id\":");
    text_quoted(&call->answer, item->id);
    text_string(&call->answer, ",\"object\":\"invoiceitem\",\"deleted\":true}");
}

static bool item_fits(const struct call *call, const void *object)
{
    const struct item *item = object;
    return !item->deleted && list_equals(call, "customer", item->customer_id) &&
           list_equals(call, "invoice", item->invoice_id) &&
           list_equals_bool(call, "pending", item->invoice == NULL) && list_created_fits(call, item->date_s);
}

void item_list(struct call *call)
{
    list_answer(call, &(struct listing){&call->scope->item_list, &call->scope->items, item_shape(call),
                                        item_fits, "/v1/invoiceitems", "invoiceitem"});
}
