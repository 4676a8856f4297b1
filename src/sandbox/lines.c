#include <stdio.h>
#include <string.h>

#include "sandbox/errors.h"
#include "sandbox/invoices.h"
#include "sandbox/lists.h"
#include "sandbox/params.h"
#include "sandbox/prices.h"
#include "sandbox/routes.h"

enum { MOST_LINES = 250, MOST_ORDERS = 100, PARAM_NAME_BYTES = 64 };

#define MOST_TOTAL_MINOR 999999999999LL

static void write_taxes(struct call *call, struct invoice *invoice, int64_t tax_minor)
{
    struct text json = {0};
    text_format(&json,
                "[{\"amount\":%lld,\"tax_behavior\":\"exclusive\",\"taxability_reason\":\"not_available\","
                "\"taxable_amount\":%lld,\"type\":\"tax_rate_details\"}]",
                (long long)tax_minor, (long long)invoice->subtotal_minor);
    invoice->taxes_json = call_keep_text(call, &json);
    text_free(&json);
}

void invoice_recount(struct call *call, struct invoice *invoice)
{
    int64_t subtotal = 0;
    for (size_t i = 0; i < invoice->lines.count; i++)
        subtotal += ((const struct line *)invoice->lines.items[i])->amount_minor;
    int64_t tax = invoice->tax_percent == 0 ? 0 : (subtotal * invoice->tax_percent + 50) / 100;
    invoice->subtotal_minor = subtotal;
    if (tax != 0)
        write_taxes(call, invoice, tax);
    else
        invoice->taxes_json = NULL;
    invoice->total_minor = subtotal + tax + invoice->skew_minor;
    bool is_void = strcmp(invoice->status, "void") == 0;
    invoice->amount_due_minor = invoice->total_minor > 0 ? invoice->total_minor : 0;
    invoice->amount_remaining_minor =
        is_void || invoice->paid ? 0 : invoice->amount_due_minor - invoice->amount_paid_minor;
}

void invoice_add_line(struct call *call, struct invoice *invoice, const struct line_order *order)
{
    struct line *line = arena_alloc(&call->store->arena, sizeof *line);
    line->id = call_new_id(call, "il_");
    line->item_id = order->item_id != NULL ? order->item_id : call_new_id(call, "ii_");
    line->invoice_id = invoice->id;
    line->price = order->price;
    line->currency = order->currency;
    line->description = order->description;
    line->metadata = order->metadata;
    line->amount_minor = order->amount_minor;
    line->quantity = order->quantity;
    line->period_start_s = call_now_s(call);
    line->period_end_s = call_now_s(call);
    line->livemode = invoice->livemode;
    if (call->effects & EFFECT_AMOUNT)
        line->amount_minor++;
    if (call->effects & EFFECT_QUANTITY)
        line->quantity++;
    if (call->effects & EFFECT_CURRENCY) {
        line->currency = other_currency(line->currency);
        invoice->currency = line->currency;
    }
    list_add(&call->store->arena, &invoice->lines, line);
}

void invoice_take_item(struct call *call, struct invoice *invoice, struct item *item)
{
    list_remove(&item->customer->items, item);
    item->invoice = invoice;
    item->invoice_id = invoice->id;
    invoice_add_line(call, invoice,
                     &(struct line_order){item->price, item->description, item->id, item->currency,
                                          item->metadata, item->amount_minor, item->quantity});
}

void invoice_drop_item(struct call *call, struct invoice *invoice, const struct item *item)
{
    for (size_t i = 0; i < invoice->lines.count; i++) {
        const struct line *line = invoice->lines.items[i];
        if (strcmp(line->item_id, item->id) == 0) {
            list_remove(&invoice->lines, line);
            break;
        }
    }
    invoice_recount(call, invoice);
}

// A field of the line at that place of the request, by the last part of its name.
static const struct field *line_field(const struct call *call, int64_t index, const char *pattern)
{
    for (size_t i = 0; i < call->form.count; i++) {
        const struct field *field = &call->form.fields[i];
        if (field->index == index && strcmp(field->param->name, pattern) == 0)
            return field;
    }
    return NULL;
}

static int64_t line_int(const struct call *call, int64_t index, const char *pattern, int64_t otherwise)
{
    const struct field *field = line_field(call, index, pattern);
    int64_t value = otherwise;
    return field != NULL && parse_int(field->value, &value) ? value : otherwise;
}

static bool read_price(struct call *call, const struct invoice *invoice, const struct field *field,
                       struct line_order *order)
{
    order->price = price_for_invoice(call, field->value, field->name);
    if (order->price == NULL)
        return false;
    if (strcmp(order->price->currency, invoice->currency) != 0) {
        call_refuse(call, 400, NULL, field->name,
                    "The currency of the price (%s) does not match the currency of the invoice (%s).",
                    order->price->currency, invoice->currency);
        return false;
    }
    if (!price_amount(order->price, order->quantity, &order->amount_minor)) {
        call_refuse(call, 400, "amount_too_large", field->name, "The amount of the line is too large.");
        return false;
    }
    if (order->description == NULL)
        order->description = order->price->product->name;
    order->currency = order->price->currency;
    return true;
}

static bool read_order(struct call *call, const struct invoice *invoice, int64_t index,
                       struct line_order *order)
{
    const char *price_name = call->view.old_dialect ? "lines[#][price]" : "lines[#][pricing][price]";
    const struct field *price = line_field(call, index, price_name);
    const struct field *amount = line_field(call, index, "lines[#][amount]");
    const struct field *description = line_field(call, index, "lines[#][description]");
    char prefix[PARAM_NAME_BYTES];
    snprintf(prefix, sizeof prefix, "lines[%lld][metadata]", (long long)index);
    if ((price == NULL) == (amount == NULL)) {
        snprintf(prefix, sizeof prefix, "lines[%lld]", (long long)index);
        call_invalid(call, price == NULL ? "parameter_missing" : "parameter_invalid_exclusive", prefix,
                     "A line has either a price or an amount.");
        return false;
    }
    *order = (struct line_order){.quantity = line_int(call, index, "lines[#][quantity]", 1)};
    if (description != NULL && description->value[0] != '\0')
        order->description = call_keep(call, description->value);
    if (!metadata_merge(call, prefix, &order->metadata))
        return false;
    if (price != NULL)
        return read_price(call, invoice, price, order);
    order->amount_minor = line_int(call, index, "lines[#][amount]", 0);
    order->currency = invoice->currency;
    return true;
}

static bool names_line(const struct field *field)
{
    return strncmp(field->name, "lines[", 6) == 0 && field->index >= 0;
}

// The distinct places N of lines[N], in the order of their first mention.
static size_t find_indexes(const struct call *call, int64_t *indexes)
{
    size_t count = 0;
    for (size_t i = 0; i < call->form.count; i++) {
        const struct field *field = &call->form.fields[i];
        size_t at = 0;
        if (!names_line(field))
            continue;
        while (at < count && indexes[at] != field->index)
            at++;
        if (at == count && count < MOST_ORDERS)
            indexes[count++] = field->index;
    }
    return count;
}

void lines_add(struct call *call)
{
    int64_t indexes[MOST_ORDERS];
    struct line_order orders[MOST_ORDERS];
    size_t count = find_indexes(call, indexes);
    if (count == 0) {
        call_invalid(call, "parameter_missing", "lines", "Missing required param: lines.");
        return;
    }
    struct invoice *invoice = invoice_find_draft(call);
    if (invoice == NULL)
        return;
    int64_t total = invoice->subtotal_minor;
    for (size_t i = 0; i < count; i++) {
        if (!read_order(call, invoice, indexes[i], &orders[i]))
            return;
        total += orders[i].amount_minor;
    }
    if (total > MOST_TOTAL_MINOR || invoice->lines.count + count > MOST_LINES) {
        call_refuse(call, 400, "amount_too_large", "lines",
                    "The invoice has too many lines or is too large.");
        return;
    }
    if (!metadata_merge(call, "invoice_metadata", &invoice->metadata))
        return;
    for (size_t i = 0; i < count; i++)
        invoice_add_line(call, invoice, &orders[i]);
    invoice_recount(call, invoice);
    call_answer(call, SHAPE_INVOICE, invoice);
}

static bool any_line(const struct call *call, const void *object)
{
    (void)call;
    return object != NULL;
}

void lines_list(struct call *call)
{
    const struct invoice *invoice = invoice_find(call);
    if (invoice == NULL)
        return;
    struct list newest_first = {0};
    struct table by_id = {0};
    for (size_t i = invoice->lines.count; i-- > 0;) {
        list_add(&call->store->arena, &newest_first, invoice->lines.items[i]);
        table_put(&by_id, invoice->lines.items[i]);
    }
    struct text url = {0};
    text_format(&url, "/v1/invoices/%s/lines", invoice->id);
    enum shape shape = call->view.old_dialect ? SHAPE_LINE_OLD : SHAPE_LINE;
    list_answer(call, &(struct listing){&newest_first, &by_id, shape, any_line, text_end(&url), "line_item"});
    table_free(&by_id);
    text_free(&url);
}
