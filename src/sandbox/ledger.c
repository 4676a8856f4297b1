#include "sandbox/ledger.h"

#include <string.h>

#include "sandbox/shape.h"

typedef void write_object(struct text *text, const struct scope *scope, const void *object);

struct selection {
    const struct store *store;
    const char *account;
    const char *mode;
};

static const char *mode_name(const struct scope *scope)
{
    return scope->livemode ? "live" : "test";
}

static bool selected(const struct selection *selection, const struct scope *scope)
{
    return (selection->account == NULL || strcmp(selection->account, scope->account) == 0) &&
           (selection->mode == NULL || strcmp(selection->mode, mode_name(scope)) == 0);
}

static void write_start(struct text *text, const struct scope *scope, const char *id)
{
    text_string(text, "{\"id\":");
    text_quoted(text, id);
    text_member_string(text, "account", scope->account);
    text_member_string(text, "mode", mode_name(scope));
}

static void write_invoice(struct text *text, const struct scope *scope, const void *object)
{
    const struct invoice *invoice = object;
    write_start(text, scope, invoice->id);
    text_member_string(text, "status", invoice->status);
    text_member_bool(text, "deleted", invoice->deleted);
    text_member_int(text, "total", invoice->total_minor);
    text_member_string(text, "currency", invoice->currency);
    text_member_string(text, "customer", invoice->customer_id);
    text_member_string(text, "collection_method", invoice->collection_method);
    text_member_bool(text, "auto_advance", invoice->auto_advance);
    text_member_string(text, "number", invoice->number);
    text_member(text, "metadata");
    metadata_write(text, &invoice->metadata);
    text_member_int(text, "lines", (int64_t)invoice->lines.count);
    text_member_int(text, "created", invoice->created_s);
    text_member_string(text, "idempotency_key", invoice->idempotency_key);
    text_char(text, '}');
}

static void write_customer(struct text *text, const struct scope *scope, const void *object)
{
    const struct customer *customer = object;
    write_start(text, scope, customer->id);
    text_member_string(text, "email", customer->email);
    text_member_string(text, "name", customer->name);
    text_member_bool(text, "deleted", customer->deleted);
    text_member_int(text, "created", customer->created_s);
    text_member_string(text, "idempotency_key", customer->idempotency_key);
    text_member(text, "metadata");
    metadata_write(text, &customer->metadata);
    text_char(text, '}');
}

static void write_item(struct text *text, const struct scope *scope, const void *object)
{
    const struct item *item = object;
    write_start(text, scope, item->id);
    text_member_string(text, "customer", item->customer_id);
    text_member_string(text, "invoice", item->invoice_id);
    text_member_bool(text, "deleted", item->deleted);
    text_member_int(text, "amount", item->amount_minor);
    text_member_string(text, "currency", item->currency);
    text_member_string(text, "idempotency_key", item->idempotency_key);
    text_char(text, '}');
}

static void write_key(struct text *text, const struct scope *scope, const void *object)
{
    const struct saved *saved = object;
    text_string(text, "{\"key\":");
    text_quoted(text, saved->id);
    text_member_string(text, "account", scope->account);
    text_member_string(text, "mode", mode_name(scope));
    text_member_string(text, "path", saved->path);
    text_member_int(text, "status", saved->status);
    text_member_int(text, "times_used", saved->times_used);
    text_member_int(text, "executions", saved->executions);
    text_member_bool(text, "forgotten", saved->forgotten);
    text_char(text, '}');
}

static const struct list *list_at(const struct scope *scope, size_t offset)
{
    return (const struct list *)((const char *)scope + offset);
}

static void write_list(struct text *text, const struct selection *selection, const char *name, size_t offset,
                       write_object *write)
{
    bool first = true;
    text_member(text, name);
    text_char(text, '[');
    for (size_t s = 0; s < selection->store->scope_list.count; s++) {
        const struct scope *scope = selection->store->scope_list.items[s];
        const struct list *list = list_at(scope, offset);
        for (size_t i = 0; selected(selection, scope) && i < list->count; i++) {
            if (!first)
                text_char(text, ',');
            first = false;
            write(text, scope, list->items[i]);
        }
    }
    text_char(text, ']');
}

static void write_count(struct text *text, const struct selection *selection, const char *name, size_t offset)
{
    size_t count = 0;
    for (size_t s = 0; s < selection->store->scope_list.count; s++) {
        const struct scope *scope = selection->store->scope_list.items[s];
        count += selected(selection, scope) ? list_at(scope, offset)->count : 0;
    }
    text_member_int(text, name, (int64_t)count);
}

static void write_calls(struct text *text, const struct store *store)
{
    text_member(text, "calls");
    text_char(text, '{');
    text_member_int(text, "total", store->calls[STEP_ANY]);
    for (int step = STEP_ANY + 1; step < STEP_COUNT; step++)
        text_member_int(text, step_name((enum step)step), store->calls[step]);
    text_char(text, '}');
}

void ledger_write(struct text *text, const struct store *store, const char *account, const char *mode,
                  bool summary)
{
    const struct selection selection = {store, account, mode};
    text_char(text, '{');
    write_calls(text, store);
    text_string(text, ",\"counts\":{");
    write_count(text, &selection, "invoices", offsetof(struct scope, invoice_list));
    write_count(text, &selection, "customers", offsetof(struct scope, customer_list));
    write_count(text, &selection, "invoiceitems", offsetof(struct scope, item_list));
    write_count(text, &selection, "keys", offsetof(struct scope, key_list));
    text_char(text, '}');
    if (!summary) {
        write_list(text, &selection, "invoices", offsetof(struct scope, invoice_list), write_invoice);
        write_list(text, &selection, "customers", offsetof(struct scope, customer_list), write_customer);
        write_list(text, &selection, "invoiceitems", offsetof(struct scope, item_list), write_item);
        write_list(text, &selection, "keys", offsetof(struct scope, key_list), write_key);
    }
    text_char(text, '}');
}
