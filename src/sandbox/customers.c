#include <string.h>

#include "sandbox/errors.h"
#include "sandbox/lists.h"
#include "sandbox/params.h"
#include "sandbox/routes.h"

enum { PREFIX_LETTERS = 8 };

static struct customer *find_customer(struct call *call)
{
    struct customer *customer = table_find(&call->scope->customers, call->object_id);
    if (customer == NULL)
        call_missing(call, "customer");
    return customer;
}

static bool check_email(struct call *call)
{
    const char *email = form_text(&call->form, "email");
    const char *at = email == NULL ? NULL : strchr(email, '@');
    bool good =
        email == NULL || (at != NULL && at != email && at[1] != '\0' && strpbrk(email, " <>") == NULL);
    if (!good)
        call_invalid(call, "email_invalid", "email", "Invalid email address: %.200s", email);
    return good;
}

static void set_fields(struct call *call, struct customer *customer)
{
    call_update_text(call, "email", &customer->email);
    call_update_text(call, "name", &customer->name);
    call_update_text(call, "description", &customer->description);
    call_update_text(call, "phone", &customer->phone);
    call_update_text(call, "invoice_prefix", &customer->prefix);
}

// The last letters of the id in upper case, as invoice numbers begin with them.
static const char *make_prefix(struct call *call, const char *id)
{
    char prefix[PREFIX_LETTERS + 1] = {0};
    const char *tail = id + strlen(id) - PREFIX_LETTERS;
    for (int i = 0; i < PREFIX_LETTERS; i++)
        prefix[i] = (char)(tail[i] >= 'a' && tail[i] <= 'z' ? tail[i] - 'a' + 'A' : tail[i]);
    return call_keep(call, prefix);
}

void customer_create(struct call *call)
{
    struct customer *customer = arena_alloc(&call->store->arena, sizeof *customer);
    if (!check_email(call) || !metadata_merge(call, "metadata", &customer->metadata))
        return;
    customer->id = call_new_id(call, "cus_");
    customer->prefix = make_prefix(call, customer->id);
    customer->account = call->scope->account;
    customer->idempotency_key = call_keep(call, call->key);
    customer->created_s = call_now_s(call);
    customer->next_sequence = 1;
    customer->livemode = call->livemode;
    set_fields(call, customer);
    table_put(&call->scope->customers, customer);
    list_add(&call->store->arena, &call->scope->customer_list, customer);
    call_answer(call, SHAPE_CUSTOMER, customer);
}

static void answer_deleted(struct call *call)
{
    call->status = 200;
    text_string(&call->answer, "{\"id\":");
    text_quoted(&call->answer, call->object_id);
    text_string(&call->answer, ",\"object\":\"customer\",\"deleted\":true}");
}

void customer_read(struct call *call)
{
    const struct customer *customer = find_customer(call);
    if (customer == NULL)
        return;
    if (customer->deleted)
        answer_deleted(call);
    else
        call_answer(call, SHAPE_CUSTOMER, customer);
}

void customer_update(struct call *call)
{
    struct customer *customer = find_customer(call);
    if (customer == NULL)
        return;
    if (customer->deleted) {
        call_missing(call, "customer");
        return;
    }
    if (!check_email(call) || !metadata_merge(call, "metadata", &customer->metadata))
        return;
    set_fields(call, customer);
    call_answer(call, SHAPE_CUSTOMER, customer);
}

void customer_delete(struct call *call)
{
    struct customer *customer = find_customer(call);
    if (customer == NULL)
        return;
    if (customer->deleted) {
        call_missing(call, "customer");
        return;
    }
    customer->deleted = true;
    answer_deleted(call);
}

static bool customer_fits(const struct call *call, const void *object)
{
    const struct customer *customer = object;
    return !customer->deleted && list_equals(call, "email", customer->email) &&
           list_created_fits(call, customer->created_s);
}

void customer_list(struct call *call)
{
    list_answer(call, &(struct listing){&call->scope->customer_list, &call->scope->customers, SHAPE_CUSTOMER,
                                        customer_fits, "/v1/customers", "customer"});
}
