#include <json-c/json.h>

#include "front/json.h"
#include "front/request_fields.h"

static struct field_value value_of(struct json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_string:
        return (struct field_value){
            .type = FIELD_STRING,
            .text = {json_object_get_string(value), (size_t)json_object_get_string_len(value)}};
    case json_type_int:
        /* json-c answers the nearest number that fits where one does not: ranges refuse those too. */
        return (struct field_value){.type = FIELD_INTEGER, .integer = json_object_get_int64(value)};
    case json_type_boolean:
        return (struct field_value){.type = FIELD_BOOLEAN, .integer = json_object_get_boolean(value)};
    default:
        return (struct field_value){.type = FIELD_DICTIONARY};
    }
}

static void read_fields(struct reading *reading, struct json_object *data)
{
    const struct field *field = NULL;

    while ((field = field_next(SHAPE_PLAIN, field))) {
        struct json_object *value;
        if (json_object_object_get_ex(data, field_name(field), &value))
            field_take(reading, field, value_of(value));
        else
            field_missing(reading, field);
    }
    fields_check_days(reading);
}

static void read_data(struct reading *reading, struct json_object *body)
{
    struct refusal *refusal = &reading->request->body;
    struct json_object *data;

    if (!json_object_is_type(body, json_type_object))
        refuse(refusal, 400, "body_invalid", TEXT("The body must be a JSON object."));
    else if (!json_object_object_get_ex(body, "data", &data))
        refuse(refusal, 400, "body_invalid", TEXT("The body must have a member data."));
    else if (!json_object_is_type(data, json_type_object))
        refuse(refusal, 400, "body_invalid", TEXT("data must be an object."));
    else
        read_fields(reading, data);
}

/* Each part with its length before it: two different requests never spell the same. */
static bool make_fingerprint(struct reading *reading)
{
    struct request *request = reading->request;
    const char *route = route_name(request->route);
    const char *method = collection_method_name(request->collection_method);
    struct text whole =
        arena_printf(reading->arena, "1 %s %zu:%s %zu:%s %zu:%s %s %d", route, request->account_id.length,
                     request->account_id.at, request->client_id.length, request->client_id.at,
                     request->product_id.length, request->product_id.at, method, request->days_until_due);

    return whole.at && digest_sha256(whole, request->fingerprint);
}

bool request_read_json(struct reading *reading)
{
    struct refusal *refusal = &reading->request->body;
    struct text why;
    struct json_object *body = json_read(reading->arena, reading->http->body, &why);

    if (body)
        read_data(reading, body);
    else
        refuse(refusal, 400, "body_invalid", why);
    json_object_put(body);
    if (arena_overflowed(reading->arena))
        return false;
    return refusal->status != 0 || make_fingerprint(reading);
}
