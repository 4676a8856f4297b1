#include "front/request_fields.h"

#include <stddef.h>

#define ID_MAX_BYTES 255
#define DAYS_MAX 3650
#define DESCRIPTION_MAX_BYTES 1500

static const char *const methods[] = {"charge_automatically", "send_invoice"};

const char *collection_method_name(enum collection_method method)
{
    return methods[method];
}

void refuse(struct refusal *refusal, int status, const char *reason, struct text message)
{
    if (refusal->status == 0)
        *refusal = (struct refusal){.status = status, .reason = reason, .message = message};
}

void refuse_param(struct reading *reading, const char *reason, const char *code, struct text param,
                  const char *rule)
{
    struct refusal *refusal = &reading->request->body;

    if (refusal->status != 0)
        return;
    refuse(refusal, 400, reason, arena_printf(reading->arena, "%.*s%s", (int)param.length, param.at, rule));
    refusal->code = code;
    refusal->param = arena_copy(reading->arena, param);
}

/* ---- who checks and keeps a value: false where it is no good */

/* Characters that stand for themselves in a URL's path (RFC 3986, pchar without escapes): an id is part of
 * the paths of upstream calls. "." and ".." mean something else there. */
static bool is_id(struct text id)
{
    if (id.length == 0 || id.length > ID_MAX_BYTES || text_is(id, TEXT(".")) || text_is(id, TEXT("..")))
        return false;
    for (size_t i = 0; i < id.length; i++) {
        char c = id.at[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(c >= '0' && c <= '9') && (!c || !strchr("-._~!$&'()*+,;=:@", c)))
            return false;
    }
    return true;
}

static struct text *text_at(struct request *request, size_t offset)
{
    return (struct text *)(void *)((char *)request + offset);
}

static bool take_id(struct reading *reading, struct field_value value, size_t offset)
{
    if (!is_id(value.text))
        return false;
    *text_at(reading->request, offset) = arena_copy(reading->arena, value.text);
    return true;
}

static bool take_description(struct reading *reading, struct field_value value, size_t offset)
{
    if (value.text.length > DESCRIPTION_MAX_BYTES)
        return false;
    *text_at(reading->request, offset) = arena_copy(reading->arena, value.text);
    return true;
}

static bool take_method(struct reading *reading, struct field_value value, size_t offset)
{
    (void)offset;
    for (int i = 0; i < (int)(sizeof methods / sizeof *methods); i++)
        if (text_is(value.text, text_from(methods[i]))) {
            reading->request->collection_method = (enum collection_method)i;
            reading->method_known = true;
            return true;
        }
    reading->method_known = false;
    return false;
}

static bool take_days(struct reading *reading, struct field_value value, size_t offset)
{
    (void)offset;
    if (value.integer < 0 || value.integer > DAYS_MAX)
        return false;
    reading->request->days_until_due = (int)value.integer;
    return true;
}

static bool take_auto_advance(struct reading *reading, struct field_value value, size_t offset)
{
    (void)offset;
    reading->request->auto_advance = (int)value.integer;
    return true;
}

/* ---- the table */

#define IN(shape) (1U << (shape))
#define PLAIN IN(SHAPE_PLAIN)
#define STRIPE IN(SHAPE_STRIPE)

/* Every field of both interfaces stands here once: its name (inside data, or as a parameter), where it is
 * known and where it must be there, its type, and who checks and keeps it. */
struct field {
    const char *name;
    const char *reason;
    unsigned known, required; /* sets of shapes */
    enum field_type type;
    bool (*take)(struct reading *reading, struct field_value value, size_t offset);
    size_t offset;    /* of the member of struct request, for take */
    const char *rule; /* what a good value is, behind the field's name */
};

#define ID_RULE " must be a string of 1 to 255 letters, digits and characters such as _ - . :."

static const struct field fields[] = {
    {"clientId", "client_id", PLAIN, PLAIN, FIELD_STRING, take_id, offsetof(struct request, client_id),
     ID_RULE},
    {"productId", "product_id", PLAIN, PLAIN, FIELD_STRING, take_id, offsetof(struct request, product_id),
     ID_RULE},
    {"customer", "customer", STRIPE, STRIPE, FIELD_STRING, take_id, offsetof(struct request, customer_id),
     ID_RULE},
    {"description", "description", STRIPE, 0, FIELD_STRING, take_description,
     offsetof(struct request, description), " must have at most 1500 bytes."},
    {"auto_advance", "auto_advance", STRIPE, 0, FIELD_BOOLEAN, take_auto_advance, 0,
     " must be true or false."},
    {"metadata", "metadata", STRIPE, 0, FIELD_DICTIONARY, NULL, 0,
     " must be a dictionary: metadata[key]=value."},
    {"collection_method", "collection_method", PLAIN | STRIPE, PLAIN, FIELD_ENUM, take_method, 0,
     " must be \"charge_automatically\" or \"send_invoice\"."},
    {"days_until_due", "days_until_due", PLAIN | STRIPE, 0, FIELD_INTEGER, take_days, 0,
     " must be an integer from 0 to 3650."},
};

const struct field *field_next(enum shape shape, const struct field *field)
{
    const struct field *end = fields + sizeof fields / sizeof *fields;

    for (field = field ? field + 1 : fields; field < end; field++)
        if (field->known & IN(shape))
            return field;
    return NULL;
}

const struct field *field_find(enum shape shape, struct text name)
{
    const struct field *field = field_next(shape, NULL);

    while (field && !text_is(name, text_from(field->name)))
        field = field_next(shape, field);
    return field;
}

const char *field_name(const struct field *field)
{
    return field->name;
}

const char *field_reason(const struct field *field)
{
    return field->reason;
}

enum field_type field_type(const struct field *field)
{
    return field->type;
}

/* As clients know it: JSON fields are members of data. */
static struct text full_name(struct reading *reading, const char *name)
{
    const char *data = reading->request->shape == SHAPE_PLAIN ? "data." : "";

    return arena_printf(reading->arena, "%s%s", data, name);
}

/* The upstream's word for a value that is no good; it has none for most. */
static const char *code_of(const struct field *field, struct field_value value)
{
    if (value.text.at && value.text.length == 0)
        return "parameter_invalid_empty";
    return field->type == FIELD_INTEGER ? "parameter_invalid_integer" : NULL;
}

void field_take(struct reading *reading, const struct field *field, struct field_value value)
{
    enum field_type spelled = field->type == FIELD_ENUM ? FIELD_STRING : field->type;

    if (!field->take || value.type != spelled || !field->take(reading, value, field->offset))
        refuse_param(reading, field->reason, code_of(field, value), full_name(reading, field->name),
                     field->rule);
}

void field_missing(struct reading *reading, const struct field *field)
{
    if (field->required & IN(reading->request->shape))
        refuse_param(reading, field->reason, "parameter_missing", full_name(reading, field->name),
                     " is required.");
}

/* days_until_due comes with send_invoice and with nothing else. */
void fields_check_days(struct reading *reading)
{
    struct request *request = reading->request;
    bool given = request->days_until_due != DAYS_UNTIL_DUE_NONE;

    if (request->body.status != 0 || !reading->method_known)
        return;
    if (request->collection_method == COLLECT_BY_INVOICE && !given)
        refuse_param(reading, "days_until_due", "parameter_missing", full_name(reading, "days_until_due"),
                     " is required with collection_method send_invoice.");
    if (request->collection_method == COLLECT_AUTOMATICALLY && given)
        refuse_param(reading, "days_until_due", NULL, full_name(reading, "days_until_due"),
                     " is only allowed with collection_method send_invoice.");
}
