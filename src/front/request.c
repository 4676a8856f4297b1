#include "front/request.h"

#include "front/header.h"
#include "front/request_fields.h"

/* ---- the headers */

static void read_idempotency_key(struct reading *reading)
{
    const struct http_request *http = reading->http;
    struct refusal *refusal = &reading->request->body;
    bool plain = reading->request->shape == SHAPE_PLAIN;
    struct text header = http->idempotency_key, key = TEXT_NONE;

    if (http->idempotency_key_repeated)
        refuse(refusal, 400, "idempotency_key", TEXT("There must be one Idempotency-Key header at most."));
    else if (header.at && plain && !header_idempotency_key(reading->arena, header, &key))
        refuse(refusal, 400, "idempotency_key",
               TEXT("The Idempotency-Key must have 1 to 255 printable ASCII characters, without a comma "
                    "unless quoted."));
    else if (header.at && !plain && !header_upstream_idempotency_key(reading->arena, header, &key))
        refuse(refusal, 400, "idempotency_key",
               TEXT("The Idempotency-Key must have 1 to 255 printable ASCII characters."));
    else
        reading->request->idempotency_key = arena_copy(reading->arena, key);
}

/* An empty header is refused, too: who sends it may believe that it names an account. */
static void read_stripe_account(struct reading *reading)
{
    const struct http_request *http = reading->http;
    struct request *request = reading->request;

    if (http->stripe_account_repeated) {
        refuse(&request->body, 400, "stripe_account",
               TEXT("There must be one Stripe-Account header at most."));
    } else if (http->stripe_account.at && !text_is_id(http->stripe_account)) {
        refuse(&request->body, 400, "stripe_account",
               TEXT("The Stripe-Account header must be the id of an account: 1 to 255 letters, digits, "
                    "- and _."));
    } else if (http->stripe_account.at) {
        request->has_stripe_account = true;
        request->account_id = arena_copy(reading->arena, http->stripe_account);
    }
}

static void read_stripe_version(struct reading *reading)
{
    struct text version = reading->http->stripe_version;

    if (version.at && !header_is_version(version))
        refuse(&reading->request->body, 400, "stripe_version",
               TEXT("The Stripe-Version header must be a version such as 2025-03-31.basil."));
    else
        reading->request->api_version = arena_copy(reading->arena, version);
}

/* False only when libcrypto fails. */
static bool read_credential(struct reading *reading, struct text digest_key)
{
    struct request *request = reading->request;
    struct text header = reading->http->authorization, key;
    char room[HEADER_BASIC_MAX_BYTES];
    bool made = true;

    if (request->shape != SHAPE_STRIPE || !header_basic_key(header, room, &key))
        key = header_api_key(header);
    request->has_credential = apikey_check(key, &request->mode);
    if (request->has_credential)
        made = apikey_digest(digest_key, key, request->key_digest);
    else
        refuse(&request->early, 401, "key_invalid", TEXT(REQUEST_KEY_MESSAGE));
    explicit_bzero(room, sizeof room);
    return made;
}

/* ---- the envelope */

static bool has_body(const struct reading *reading)
{
    return text_is(reading->http->method, TEXT("POST"));
}

static bool has_good_type(const struct http_request *http, enum shape shape)
{
    /* nginx hands an absent header over as an empty one. A body that is missing altogether is told as such
     * later. */
    if (http->content_type.length == 0)
        return http->body.length == 0 && !http->body_cut;
    return shape == SHAPE_STRIPE ? header_is_form(http->content_type) : header_is_json(http->content_type);
}

static void read_address(struct reading *reading)
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
    request->shape = match.shape;
    request->account_id = arena_copy(reading->arena, match.account);
    request->invoice_id = arena_copy(reading->arena, match.id);
}

/* 404, 405, 413 and 415, in this order. */
static void read_envelope(struct reading *reading)
{
    const struct http_request *http = reading->http;
    struct request *request = reading->request;

    read_address(reading);
    if (http->body_too_large)
        refuse(&request->early, 413, "body_too_large", TEXT("The body is too large."));
    if (has_body(reading) && !has_good_type(http, request->shape))
        refuse(&request->early, 415, "content_type",
               request->shape == SHAPE_STRIPE
                   ? TEXT("The Content-Type must be application/x-www-form-urlencoded.")
                   : TEXT("The Content-Type must be application/json."));
}

/* ---- the whole */

static bool read_body(struct reading *reading)
{
    if (reading->http->body_cut)
        refuse(&reading->request->body, 400, "body_cut",
               TEXT("The body is shorter than its Content-Length."));
    if (!has_body(reading))
        return request_read_query(reading);
    if (reading->http->body_cut)
        return !arena_overflowed(reading->arena);
    return reading->request->shape == SHAPE_STRIPE ? request_read_form(reading) : request_read_json(reading);
}

bool request_read_by(const struct request_rules *rules, const struct http_request *http,
                     struct text digest_key, struct arena *arena, struct request *request)
{
    struct reading reading = {.rules = rules, .http = http, .arena = arena, .request = request};

    *request = (struct request){.days_until_due = DAYS_UNTIL_DUE_NONE, .auto_advance = AUTO_ADVANCE_NONE};
    read_envelope(&reading);
    if (request->early.status == 0 && !read_credential(&reading, digest_key))
        return false;
    if (request->early.status != 0)
        return !arena_overflowed(arena);
    read_idempotency_key(&reading);
    if (request->shape == SHAPE_STRIPE) {
        read_stripe_account(&reading);
        read_stripe_version(&reading);
    }
    return read_body(&reading);
}

bool request_read(const struct http_request *http, struct text digest_key, struct arena *arena,
                  struct request *request)
{
    return request_read_by(&REQUEST_RULES_DEFAULT, http, digest_key, arena, request);
}
