#include "base/utf8.h"
#include "front/form.h"
#include "front/request_fields.h"

/* The upstream allows 50; what the gateway adds has its place beside the caller's. */
#define METADATA_MAX_KEYS 47
#define METADATA_KEY_MAX_LENGTH 40
#define METADATA_VALUE_MAX_LENGTH 500

#define QUERY_NAME_MAX_BYTES 100
#define RESERVED TEXT("invoicegate_")

/* ---- known fields */

static struct field_value value_of(enum field_type type, struct text text)
{
    int64_t integer = text_is(text, TEXT("true"));
    struct field_value other = {.type = FIELD_DICTIONARY, .text = text};

    switch (type) {
    case FIELD_INTEGER:
        return text_to_int64(text, &integer) ? (struct field_value){.type = type, .integer = integer} : other;
    case FIELD_BOOLEAN:
        return integer || text_is(text, TEXT("false"))
                   ? (struct field_value){.type = type, .integer = integer}
                   : other;
    case FIELD_STRING:
    case FIELD_ENUM:
        return (struct field_value){.type = FIELD_STRING, .text = text};
    case FIELD_DICTIONARY:
        break;
    }
    return other;
}

static void take_field(struct reading *reading, const struct field *field, struct form_pair *pair)
{
    struct field_value value = value_of(field_type(field), pair->value);

    if (pair->parts_count > 1) {
        refuse_param(reading, field_reason(field), NULL, pair->name, " must not have brackets.");
        return;
    }
    field_take(reading, field, value);
    if (value.type == FIELD_INTEGER) /* without leading zeros */
        pair->value = arena_printf(reading->arena, "%lld", (long long)value.integer);
}

/* ---- metadata */

static void check_metadata(struct reading *reading, const struct form_pair *pair)
{
    if (pair->parts_count != 2 || pair->parts[1].length == 0)
        refuse_param(reading, "metadata", NULL, pair->name, " must be of the form metadata[key]=value.");
    else if (utf8_length(pair->parts[1]) > METADATA_KEY_MAX_LENGTH)
        refuse_param(reading, "metadata", NULL, pair->name, " must have a key of at most 40 characters.");
    else if (utf8_length(pair->value) > METADATA_VALUE_MAX_LENGTH)
        refuse_param(reading, "metadata", NULL, pair->name, " must have at most 500 characters.");
}

static bool is_metadata(const struct form_pair *pair)
{
    return text_is(pair->parts[0], TEXT("metadata"));
}

static void check_metadata_count(struct reading *reading, const struct form *form)
{
    size_t count = 0;

    for (size_t i = 0; i < form->count; i++)
        count += is_metadata(&form->pairs[i]);
    if (count > METADATA_MAX_KEYS)
        refuse_param(reading, "metadata", NULL, TEXT("metadata"), " must have at most 47 keys.");
}

/* ---- everything else */

/* As all of the upstream's parameters are named. */
static bool is_parameter_name(struct text name)
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];
        if (!(c >= 'a' && c <= 'z') && !(i > 0 && ((c >= '0' && c <= '9') || c == '_')))
            return false;
    }
    return true;
}

/* Whether it can send money, or the responsibility for it, to another account, or reach what others have in
 * this one. */
static bool reaches_out(const struct form_pair *pair)
{
    static const struct text names[] = {TEXT("application_fee_amount"), TEXT("transfer_data"),
                                        TEXT("on_behalf_of"),           TEXT("issuer"),
                                        TEXT("customer_account"),       TEXT("from_invoice")};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_is(pair->parts[0], names[i]))
            return true;
    return text_is(pair->parts[0], TEXT("automatic_tax")) && pair->parts_count > 1 &&
           text_is(pair->parts[1], TEXT("liability"));
}

static void check_unknown(struct reading *reading, const struct form_pair *pair)
{
    /* The other calls of the upstream's interface have parameters of their own. */
    bool pass = reading->rules->pass_through || reading->request->route != ROUTE_INVOICES;

    if (reaches_out(pair)) {
        if (!reading->rules->pass_through_money)
            refuse_param(reading, "parameter_money", "parameter_unknown", pair->name,
                         " may reach beyond this agency: the operator of this gateway has not allowed it.");
    } else if (!pass || !is_parameter_name(pair->parts[0])) {
        refuse_param(reading, "parameter_unknown", "parameter_unknown", pair->name,
                     " is not a parameter of this call.");
    }
}

static bool is_reserved(const struct form_pair *pair)
{
    for (size_t i = 0; i < pair->parts_count; i++)
        if (text_starts(pair->parts[i], RESERVED))
            return true;
    return false;
}

static void take_pair(struct reading *reading, struct form_pair *pair)
{
    const struct field *field = field_find(SHAPE_STRIPE, pair->parts[0]);
    bool creates = reading->request->route == ROUTE_INVOICES;

    if (is_reserved(pair))
        refuse_param(reading, "name_reserved", NULL, pair->name,
                     " is reserved: names that begin with invoicegate_ are the gateway's own.");
    else if (is_metadata(pair))
        check_metadata(reading, pair);
    else if (field && creates)
        take_field(reading, field, pair);
    else if (!field)
        check_unknown(reading, pair);
}

/* metadata= stands for no metadata. That says nothing where an invoice is made, and could not stand beside
 * the gateway's own keys; elsewhere it would delete those, and is refused. */
static void drop_empty_metadata(struct form *form)
{
    size_t kept = 0;

    for (size_t i = 0; i < form->count; i++) {
        const struct form_pair *pair = &form->pairs[i];
        if (!(is_metadata(pair) && pair->parts_count == 1 && pair->value.length == 0))
            form->pairs[kept++] = *pair;
    }
    form->count = kept;
}

static bool has(const struct form *form, const char *name)
{
    for (size_t i = 0; i < form->count; i++)
        if (text_is(form->pairs[i].parts[0], text_from(name)))
            return true;
    return false;
}

static void check_missing(struct reading *reading, const struct form *form)
{
    const struct field *field = NULL;

    while ((field = field_next(SHAPE_STRIPE, field)))
        if (!has(form, field_name(field)))
            field_missing(reading, field);
    fields_check_days(reading);
}

/* ---- the whole */

/* Each part with its length before it: two different requests never spell the same. */
static void add_part(struct builder *out, struct text part)
{
    if (part.at) {
        builder_add_int64(out, (int64_t)part.length);
        builder_add_char(out, ':');
        builder_add(out, part);
    } else {
        builder_add_char(out, '-');
    }
    builder_add_char(out, ' ');
}

static bool make_fingerprint(struct reading *reading, const struct form *form)
{
    struct request *request = reading->request;
    const struct form_pair **sorted = form_sorted(reading->arena, form);
    struct builder out;
    struct text whole;

    builder_init(&out, reading->arena, 512);
    builder_add(&out, TEXT("2 "));
    add_part(&out, text_from(route_name(request->route)));
    add_part(&out, request->account_id);
    add_part(&out, request->invoice_id);
    for (size_t i = 0; sorted && i < form->count; i++) {
        add_part(&out, sorted[i]->name);
        add_part(&out, sorted[i]->value);
    }
    whole = builder_text(&out);
    return whole.at && digest_sha256(whole, request->fingerprint);
}

static void refuse_form(struct reading *reading, const struct form_error *error)
{
    struct refusal *refusal = &reading->request->body;

    if (refusal->status != 0)
        return;
    refuse(refusal, 400, "body_invalid", error->message);
    refusal->param = error->param;
}

/* Whose an item is, and which invoice it is for: the audit wants to know, and the gateway which invoices
 * change. */
static void take_item_target(struct reading *reading, const struct form_pair *pair)
{
    struct request *request = reading->request;
    bool customer = text_is(pair->name, TEXT("customer"));

    if (!customer && !text_is(pair->name, TEXT("invoice")))
        return;
    if (text_is_id(pair->value))
        *(customer ? &request->customer_id : &request->invoice_id) = arena_copy(reading->arena, pair->value);
    else
        refuse_param(reading, customer ? "customer" : "invoice", "resource_missing", pair->name,
                     " must be an id: 1 to 255 letters, digits, - and _.");
}

static void read_parameters(struct reading *reading, struct form *form)
{
    if (reading->request->route == ROUTE_INVOICES)
        drop_empty_metadata(form);
    reading->method_known = true; /* there is a default */
    for (size_t i = 0; i < form->count; i++) {
        take_pair(reading, &form->pairs[i]);
        if (reading->request->route == ROUTE_INVOICEITEMS)
            take_item_target(reading, &form->pairs[i]);
    }
    check_metadata_count(reading, form);
    if (reading->request->route == ROUTE_INVOICES)
        check_missing(reading, form);
}

/* Of an address that is still as it came: anything may stand in it, and only this is told again. */
static bool is_query_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '[' || c == ']' || c == '%' || c == '-';
}

/* What stands behind the ? of a POST would be lost: nobody may take it for done. */
static void check_query(struct reading *reading)
{
    struct text uri = reading->http->uri, query, name;
    const char *mark = uri.at ? memchr(uri.at, '?', uri.length) : NULL;

    if (!mark)
        return;
    query = text_skip(uri, (size_t)(mark - uri.at) + 1);
    name = (struct text){query.at, 0};
    while (name.length < query.length && name.length < QUERY_NAME_MAX_BYTES &&
           is_query_name_char(name.at[name.length]))
        name.length++;
    if (query.length > 0 && name.length == 0)
        name = TEXT("query");
    if (name.length > 0)
        refuse_param(reading, "query", "parameter_unknown", name,
                     " stands in the address: the parameters of a POST belong in its body.");
}

bool request_read_form(struct reading *reading)
{
    struct request *request = reading->request;
    struct form_error error;
    struct form form;
    struct builder out;

    if (!form_read(reading->arena, reading->http->body, &form, &error)) {
        refuse_form(reading, &error);
        return !arena_overflowed(reading->arena);
    }
    check_query(reading);
    read_parameters(reading, &form);
    builder_init(&out, reading->arena, 256);
    form_write(&form, &out);
    request->form = builder_text(&out);
    if (arena_overflowed(reading->arena))
        return false;
    return request->body.status != 0 || make_fingerprint(reading, &form);
}
