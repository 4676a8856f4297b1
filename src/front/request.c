#include "front/request.h"

#include <json-c/json.h>
#include <stddef.h>

#include "front/header.h"
#include "front/json.h"

#define ID_MAX_BYTES 255
#define DAYS_MAX 3650

static const char *const methods[] = {"charge_automatically", "send_invoice"};

const char *collection_method_name(enum collection_method method)
{
    return methods[method];
}

/* What one call of request_read works on. */
struct reading {
    const struct http_request *http;
    struct arena *arena;
    struct request *request;
    bool method_known; /* collection_method was read */
};

static void refuse(struct refusal *refusal, int status, const char *reason, struct text message)
{
    if (refusal->status == 0)
        *refusal = (struct refusal){.status = status, .reason = reason, .message = message};
}

/* ---- the fields of the body */

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

static struct text string_of(struct json_object *value)
{
    return (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

static bool take_id(struct reading *reading, struct json_object *value, size_t offset)
{
    struct text *field = (struct text *)(void *)((char *)reading->request + offset);

    if (!is_id(string_of(value)))
        return false;
    *field = arena_copy(reading->arena, string_of(value));
    return true;
}

static bool take_method(struct reading *reading, struct json_object *value, size_t offset)
{
    (void)offset;
    for (int i = 0; i < (int)(sizeof methods / sizeof *methods); i++)
        if (text_is(string_of(value), text_from(methods[i]))) {
            reading->request->collection_method = (enum collection_method)i;
            reading->method_known = true;
            return true;
        }
    return false;
}

static bool take_days(struct reading *reading, struct json_object *value, size_t offset)
{
    /* json-c answers the nearest number that fits where one does not, so the range refuses those too. */
    int64_t days = json_object_get_int64(value);

    (void)offset;
    if (days < 0 || days > DAYS_MAX)
        return false;
    reading->request->days_until_due = (int)days;
    return true;
}

/* Every field of the body stands here once: its name inside data, its JSON type, whether it must be there,
 * and who checks and keeps it. */
struct field {
    const char *name;
    const char *reason;
    enum json_type type;
    bool required;
    bool (*take)(struct reading *reading, struct json_object *value, size_t offset);
    size_t offset;       /* of the member of struct request, for take */
    struct text missing; /* what the client is told; optional fields never are */
    struct text no_good;
};

#define ID_RULE " must be a string of 1 to 255 letters, digits and characters such as _ - . :"

static const struct field fields[] = {
    {"clientId", "client_id", json_type_string, true, take_id, offsetof(struct request, client_id),
     TEXT("data.clientId is required."), TEXT("data.clientId" ID_RULE ".")},
    {"productId", "product_id", json_type_string, true, take_id, offsetof(struct request, product_id),
     TEXT("data.productId is required."), TEXT("data.productId" ID_RULE ".")},
    {"collection_method", "collection_method", json_type_string, true, take_method, 0,
     TEXT("data.collection_method is required."),
     TEXT("data.collection_method must be \"charge_automatically\" or \"send_invoice\".")},
    {"days_until_due", "days_until_due", json_type_int, false, take_days, 0, TEXT_NONE,
     TEXT("data.days_until_due must be an integer from 0 to 3650.")},
};

static void read_field(struct reading *reading, const struct field *field, struct json_object *data)
{
    struct refusal *refusal = &reading->request->body;
    struct json_object *value;

    if (!json_object_object_get_ex(data, field->name, &value)) {
        if (field->required)
            refuse(refusal, 400, field->reason, field->missing);
    } else if (!json_object_is_type(value, field->type) || !field->take(reading, value, field->offset)) {
        refuse(refusal, 400, field->reason, field->no_good);
    }
}

/* The one rule between two fields: days_until_due comes with send_invoice and with nothing else. */
static void check_days(struct reading *reading)
{
    struct request *request = reading->request;
    bool given = request->days_until_due != DAYS_UNTIL_DUE_NONE;

    if (request->body.status != 0 || !reading->method_known)
        return;
    if (request->collection_method == COLLECT_BY_INVOICE && !given)
        refuse(&request->body, 400, "days_until_due",
               TEXT("data.days_until_due is required with collection_method send_invoice."));
    if (request->collection_method == COLLECT_AUTOMATICALLY && given)
        refuse(&request->body, 400, "days_until_due",
               TEXT("data.days_until_due is only allowed with collection_method send_invoice."));
}

static void read_data(struct reading *reading, struct json_object *body)
{
    struct refusal *refusal = &reading->request->body;
    struct json_object *data;

    if (!json_object_is_type(body, json_type_object)) {
        refuse(refusal, 400, "body_invalid", TEXT("The body must be a JSON object."));
    } else if (!json_object_object_get_ex(body, "data", &data)) {
        refuse(refusal, 400, "body_invalid", TEXT("The body must have a member data."));
    } else if (!json_object_is_type(data, json_type_object)) {
        refuse(refusal, 400, "body_invalid", TEXT("data must be an object."));
    } else {
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            read_field(reading, &fields[i], data);
        check_days(reading);
    }
}

static void read_body(struct reading *reading)
{
    struct refusal *refusal = &reading->request->body;
    struct json_object *body;
    struct text why;

    if (reading->http->body_cut) {
        refuse(refusal, 400, "body_cut", TEXT("The body is shorter than its Content-Length."));
        return;
    }
    body = json_read(reading->arena, reading->http->body, &why);
    if (!body) {
        refuse(refusal, 400, "body_invalid", why);
        return;
    }
    read_data(reading, body);
    json_object_put(body);
}

/* ---- the headers */

static void read_idempotency_key(struct reading *reading)
{
    const struct http_request *http = reading->http;
    struct refusal *refusal = &reading->request->body;
    struct text key;

    if (http->idempotency_key_repeated)
        refuse(refusal, 400, "idempotency_key", TEXT("There must be one Idempotency-Key header at most."));
    else if (http->idempotency_key.at && !header_idempotency_key(reading->arena, http->idempotency_key, &key))
        refuse(refusal, 400, "idempotency_key",
               TEXT("The Idempotency-Key must have 1 to 255 printable ASCII characters, without a comma "
                    "unless quoted."));
    else if (http->idempotency_key.at)
        reading->request->idempotency_key = arena_copy(reading->arena, key);
}

static bool has_json_type(const struct http_request *http)
{
    /* nginx hands an absent header over as an empty one. A body that is missing altogether is told as such
     * later. */
    if (http->content_type.length == 0)
        return http->body.length == 0 && !http->body_cut;
    return header_is_json(http->content_type);
}

/* False only when libcrypto fails. */
static bool read_credential(struct reading *reading, struct text digest_key)
{
    struct request *request = reading->request;
    struct text key = header_api_key(reading->http->authorization);

    if (!apikey_check(key, &request->mode)) {
        refuse(&request->early, 401, "key_invalid", TEXT(REQUEST_KEY_MESSAGE));
        return true;
    }
    request->has_credential = true;
    return apikey_digest(digest_key, key, request->key_digest);
}

/* 404, 405, 413 and 415, in this order. */
static void read_envelope(struct reading *reading)
{
    const struct http_request *http = reading->http;
    struct request *request = reading->request;
    struct route_match match = route_of(http->method, http->uri);

    if (match.allow.at) {
        refuse(&request->early, 405, "method", TEXT("This address does not answer this method."));
        request->early.allow = match.allow;
    } else if (match.route == ROUTE_NONE) {
        refuse(&request->early, 404, "route", TEXT("There is nothing at this address."));
    }
    request->route = match.route;
    request->account_id = arena_copy(reading->arena, match.account);
    if (http->body_too_large)
        refuse(&request->early, 413, "body_too_large", TEXT("The body is too large."));
    if (!has_json_type(http))
        refuse(&request->early, 415, "content_type", TEXT("The Content-Type must be application/json."));
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

bool request_read(const struct http_request *http, struct text digest_key, struct arena *arena,
                  struct request *request)
{
    struct reading reading = {.http = http, .arena = arena, .request = request};

    *request = (struct request){.days_until_due = DAYS_UNTIL_DUE_NONE};
    read_envelope(&reading);
    if (request->early.status == 0 && !read_credential(&reading, digest_key))
        return false;
    if (request->early.status == 0) {
        read_idempotency_key(&reading);
        read_body(&reading);
    }
    if (arena_overflowed(arena))
        return false;
    if (request->early.status == 0 && request->body.status == 0)
        return make_fingerprint(&reading);
    return true;
}
