// The members of an invoice that a caller sets, on creation and on update alike.
#include <stdlib.h>
#include <string.h>

#include "sandbox/errors.h"
#include "sandbox/invoices.h"
#include "sandbox/params.h"

enum { DAY_S = 86400, MOST_CUSTOM_FIELDS = 4, MOST_TAX_RATES = 10 };

static const char *keep_and_free(struct call *call, struct text *json)
{
    const char *kept = call_keep_text(call, json);
    text_free(json);
    return kept;
}

static const struct field *find_indexed(const struct call *call, const char *pattern, int64_t index)
{
    for (size_t i = 0; i < call->form.count; i++) {
        const struct field *field = &call->form.fields[i];
        if (field->index == index && strcmp(field->param->name, pattern) == 0)
            return field;
    }
    return NULL;
}

static bool set_custom_fields(struct call *call, struct invoice *invoice)
{
    struct text json = {0};
    text_char(&json, '[');
    for (int64_t i = 0; i < MOST_CUSTOM_FIELDS; i++) {
        const struct field *name = find_indexed(call, "custom_fields[#][name]", i);
        const struct field *value = find_indexed(call, "custom_fields[#][value]", i);
        if (name == NULL && value == NULL)
            break;
        if (name == NULL || value == NULL) {
            text_free(&json);
            call_invalid(call, "parameter_missing", "custom_fields",
                         "A custom field has a name and a value.");
            return false;
        }
        text_string(&json, i == 0 ? "{" : ",{");
        text_member_string(&json, "name", name->value);
        text_member_string(&json, "value", value->value);
        text_char(&json, '}');
    }
    text_char(&json, ']');
    bool some = json.len > 2;
    const char *kept = keep_and_free(call, &json);
    if (some || form_has(&call->form, "custom_fields"))
        invoice->custom_fields_json = some ? kept : NULL;
    return true;
}

// A rate is named by its percentage: txr_10 is ten per cent. There is nothing to create them with.
static bool add_tax_rate(struct call *call, struct text *json, const struct field *field, int64_t *percent)
{
    int64_t rate = 0;
    if (strncmp(field->value, "txr_", 4) != 0 || !parse_int(field->value + 4, &rate) || rate < 0 ||
        rate > 100) {
        call_refuse(call, 400, "resource_missing", field->name, "No such tax rate: '%s'", field->value);
        return false;
    }
    *percent += rate;
    if (json->len > 1)
        text_char(json, ',');
    text_char(json, '{');
    text_member_string(json, "id", field->value);
    text_member_string(json, "object", "tax_rate");
    text_member_bool(json, "active", true);
    text_member_string(json, "display_name", "Tax");
    text_member_bool(json, "inclusive", false);
    text_member_bool(json, "livemode", call->livemode);
    text_member(json, "percentage");
    text_format(json, "%lld.0}", (long long)rate);
    return true;
}

static bool set_tax_rates(struct call *call, struct invoice *invoice)
{
    struct text json = {0};
    int64_t percent = 0;
    size_t count = 0;
    bool good = true;
    text_char(&json, '[');
    for (size_t i = 0; good && i < call->form.count && count < MOST_TAX_RATES; i++) {
        const struct field *field = &call->form.fields[i];
        if (strcmp(field->param->name, "default_tax_rates[#]") != 0)
            continue;
        good = add_tax_rate(call, &json, field, &percent);
        count++;
    }
    text_char(&json, ']');
    const char *kept = keep_and_free(call, &json);
    if (good && (count > 0 || form_has(&call->form, "default_tax_rates"))) {
        invoice->tax_rates_json = count > 0 ? kept : NULL;
        invoice->tax_percent = percent;
    }
    return good;
}

static void set_issuer(struct call *call, struct invoice *invoice)
{
    const char *type = form_text(&call->form, "issuer[type]");
    if (type == NULL)
        return;
    struct text json = {0};
    text_char(&json, '{');
    if (form_text(&call->form, "issuer[account]") != NULL)
        text_member_string(&json, "account", form_text(&call->form, "issuer[account]"));
    text_member_string(&json, "type", type);
    text_char(&json, '}');
    invoice->issuer_json = keep_and_free(call, &json);
}

static void set_transfer(struct call *call, struct invoice *invoice)
{
    const char *destination = form_text(&call->form, "transfer_data[destination]");
    if (destination == NULL)
        return;
    struct text json = {0};
    const char *amount = form_text(&call->form, "transfer_data[amount]");
    text_string(&json, "{\"amount\":");
    text_string(&json, amount == NULL ? "null" : amount);
    text_member_string(&json, "destination", destination);
    text_char(&json, '}');
    invoice->transfer_json = keep_and_free(call, &json);
}

static bool set_due(struct call *call, struct invoice *invoice)
{
    const struct form *form = &call->form;
    bool send = strcmp(invoice->collection_method, "send_invoice") == 0;
    const char *days = form_text(form, "days_until_due");
    const char *due = form_text(form, "due_date");
    const char *name = days != NULL ? "days_until_due" : "due_date";
    if (!send && (days != NULL || due != NULL)) {
        call_invalid(call, "parameter_invalid_combination", name,
                     "You can only specify `%s` if `collection_method` is `send_invoice`.", name);
        return false;
    }
    if (send && days == NULL && due == NULL && invoice->due_s == NO_NUMBER) {
        call_invalid(call, "parameter_missing", "days_until_due",
                     "If invoice is set to `send_invoice`, `days_until_due` or `due_date` is required.");
        return false;
    }
    if (!send)
        invoice->due_s = NO_NUMBER;
    else if (days != NULL)
        invoice->due_s = invoice->created_s + form_int(form, "days_until_due", 0) * DAY_S;
    else if (due != NULL)
        invoice->due_s = form_int(form, "due_date", 0);
    return true;
}

static bool set_collection(struct call *call, struct invoice *invoice)
{
    const char *method = form_text(&call->form, "collection_method");
    if (method != NULL)
        invoice->collection_method =
            strcmp(method, "send_invoice") == 0 ? "send_invoice" : "charge_automatically";
    if (!set_due(call, invoice))
        return false;
    if (strcmp(invoice->collection_method, "send_invoice") == 0 && invoice->customer->email == NULL) {
        call_refuse(call, 400, "missing_email", "collection_method",
                    "Missing email. In order to create invoices that are sent to the customer, the customer "
                    "must have a valid email.");
        return false;
    }
    return true;
}

bool invoice_set_fields(struct call *call, struct invoice *invoice)
{
    const struct form *form = &call->form;
    if (form->count == 0)
        return true;
    if (!set_collection(call, invoice) || !set_custom_fields(call, invoice) ||
        !set_tax_rates(call, invoice) || !metadata_merge(call, "metadata", &invoice->metadata))
        return false;
    invoice->auto_advance = form_bool(form, "auto_advance", invoice->auto_advance);
    call_update_text(call, "description", &invoice->description);
    call_update_text(call, "footer", &invoice->footer);
    call_update_text(call, "on_behalf_of", &invoice->on_behalf_of);
    call_update_text(call, "statement_descriptor", &invoice->statement_descriptor);
    if (form_bool(form, "automatic_tax[enabled]", false))
        invoice->automatic_tax_json =
            "{\"enabled\":true,\"liability\":{\"type\":\"self\"},\"status\":\"requires_location_inputs\"}";
    set_issuer(call, invoice);
    set_transfer(call, invoice);
    return true;
}
