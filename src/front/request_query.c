/* The queries of routes that read. Unknown parameters are refused on the upstream's own interface and ignored
 * on the other. */
#include "front/form.h"
#include "front/request_fields.h"

#define TIME_MAX_S INT64_C(253402300799) /* the last second of the year 9999 */

struct parameter {
    const char *name;
    enum route routes[3]; /* where it is known */
    bool (*take)(struct query *query, struct text value);
    const char *rule;
};

static bool take_limit(struct query *query, struct text value)
{
    int64_t limit;
    if (!text_to_int64(value, &limit) || limit < 1 || limit > LIST_LIMIT_MAX)
        return false;
    query->limit = (int)limit;
    return true;
}

static bool take_segment(struct text *kept, struct text value)
{
    *kept = value;
    return text_is_id(value);
}

static bool take_after(struct query *query, struct text value)
{
    return take_segment(&query->after, value);
}

static bool take_before(struct query *query, struct text value)
{
    return take_segment(&query->before, value);
}

static bool take_customer(struct query *query, struct text value)
{
    return take_segment(&query->customer_id, value);
}

static bool take_status(struct query *query, struct text value)
{
    static const char *const known[] = {"draft", "open", "paid", "uncollectible", "void"};
    query->status = value;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (text_is(value, text_from(known[i])))
            return true;
    return false;
}

static bool time_of(struct text value, int64_t add, int64_t *time_s)
{
    if (!text_to_int64(value, time_s) || *time_s < 0 || *time_s > TIME_MAX_S)
        return false;
    *time_s += add;
    return true;
}

static bool take_from(struct query *query, struct text value)
{
    return time_of(value, 0, &query->from_s);
}

static bool take_above(struct query *query, struct text value)
{
    return time_of(value, 1, &query->from_s);
}

static bool take_until(struct query *query, struct text value)
{
    return time_of(value, 0, &query->until_s);
}

static bool take_below(struct query *query, struct text value)
{
    return time_of(value, -1, &query->until_s);
}

static bool take_at(struct query *query, struct text value)
{
    return take_from(query, value) && take_until(query, value);
}

#define ID_RULE " must be an id: 1 to 255 letters, digits, - and _."
#define TIME_RULE " must be a time in whole seconds since 1970."
#define LISTS                                                                                                \
    {                                                                                                        \
        ROUTE_INVOICES_LIST, ROUTE_ACCOUNT_INVOICES_LIST                                                     \
    }

static const struct parameter parameters[] = {
    {"limit", LISTS, take_limit, " must be an integer from 1 to 100."},
    {"starting_after", LISTS, take_after, ID_RULE},
    {"ending_before", {ROUTE_INVOICES_LIST}, take_before, ID_RULE},
    {"customer", {ROUTE_INVOICES_LIST}, take_customer, ID_RULE},
    {"status", {ROUTE_INVOICES_LIST}, take_status, " must be draft, open, paid, uncollectible or void."},
    {"created", {ROUTE_INVOICES_LIST}, take_at, TIME_RULE},
    {"created[gte]", {ROUTE_INVOICES_LIST}, take_from, TIME_RULE},
    {"created[gt]", {ROUTE_INVOICES_LIST}, take_above, TIME_RULE},
    {"created[lte]", {ROUTE_INVOICES_LIST}, take_until, TIME_RULE},
    {"created[lt]", {ROUTE_INVOICES_LIST}, take_below, TIME_RULE},
    {"created_start", {ROUTE_ACCOUNT_INVOICES_LIST}, take_from, TIME_RULE},
    {"created_end", {ROUTE_ACCOUNT_INVOICES_LIST}, take_until, TIME_RULE},
};

static const struct parameter *find(enum route route, struct text name)
{
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        for (int r = 0; r < 3 && parameters[i].routes[r] != ROUTE_NONE; r++)
            if (parameters[i].routes[r] == route && text_is(name, text_from(parameters[i].name)))
                return &parameters[i];
    return NULL;
}

/* What is to be expanded in one invoice is the upstream's business. */
static bool is_expand(const struct request *request, const struct form_pair *pair)
{
    return request->route == ROUTE_INVOICE_GET && text_is(pair->parts[0], TEXT("expand"));
}

static void take(struct reading *reading, const struct form_pair *pair)
{
    struct request *request = reading->request;
    const struct parameter *parameter = find(request->route, pair->name);

    if (parameter && !parameter->take(&request->query, pair->value))
        refuse_param(reading, "query", NULL, pair->name, parameter->rule);
    else if (!parameter && request->shape == SHAPE_STRIPE && !is_expand(request, pair))
        refuse_param(reading, "query", "parameter_unknown", pair->name, " is not a parameter of this call.");
}

static void take_all(struct reading *reading, const struct form *form)
{
    struct request *request = reading->request;
    struct builder out;

    for (size_t i = 0; i < form->count; i++)
        take(reading, &form->pairs[i]);
    if (request->query.after.at && request->query.before.at)
        refuse_param(reading, "query", NULL, TEXT("ending_before"), " cannot stand beside starting_after.");
    if (request->route == ROUTE_INVOICE_GET && form->count > 0) {
        builder_init(&out, reading->arena, 64);
        form_write(form, &out);
        request->query.expand = builder_text(&out);
    }
}

static struct text query_of(struct text uri)
{
    const char *mark = uri.length > 0 ? memchr(uri.at, '?', uri.length) : NULL;

    return mark ? text_skip(uri, (size_t)(mark - uri.at) + 1) : TEXT("");
}

bool request_read_query(struct reading *reading)
{
    struct request *request = reading->request;
    struct form_error error;
    struct form form;

    request->query =
        (struct query){.limit = LIST_LIMIT_DEFAULT, .from_s = LIST_NO_TIME, .until_s = LIST_NO_TIME};
    if (form_read(reading->arena, query_of(reading->http->uri), &form, &error)) {
        take_all(reading, &form);
    } else if (!arena_overflowed(reading->arena)) {
        refuse(&request->body, 400, "query", error.message);
        request->body.param = error.param;
    }
    return !arena_overflowed(reading->arena);
}
