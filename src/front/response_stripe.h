/* What clients of the upstream's own interface are told: its shapes, without what is the operator's alone.
 * Pure but for the arena. */
#ifndef INVOICEGATE_FRONT_RESPONSE_STRIPE_H
#define INVOICEGATE_FRONT_RESPONSE_STRIPE_H

#include <stdbool.h>

#include "base/arena.h"
#include "front/request.h"

/* An error as its body tells it. Absent members are left out; an absent type follows from the status. */
struct stripe_error {
    int status;
    struct text type; /* "invalid_request_error", "idempotency_error", "api_error", "card_error" */
    struct text code;
    struct text decline_code;
    struct text doc_url;
    struct text message;
    struct text param;
};

/* What becomes of one of our own statuses here, with its usual code; 422 (another request had this key) is a
 * 400 of the upstream's. The status to send is that of the answer. */
struct stripe_error response_stripe_error_of(int status, struct text message);

/* What may be passed on of an error that the upstream answered to the account's call: no log addresses, keys,
 * other accounts or names of the gateway's own. The message may be a sentence of ours instead. False when the
 * body is no such error, or the arena overflowed. */
MUST_CHECK bool response_stripe_upstream_error(struct arena *arena, int status, struct text body,
                                               struct text account_id, struct stripe_error *error);

/* {"error":{...}}. Absent when the arena overflowed. */
struct text response_stripe_error(struct arena *arena, const struct stripe_error *error);
/* The same of a refusal of request_read. */
struct text response_stripe_refusal(struct arena *arena, const struct refusal *refusal);

/* The upstream's object without our own keys (invoicegate_*) in any of its metadata, and every other byte as
 * it is. Absent when it is no JSON object, or the arena overflowed. */
struct text response_stripe_object(struct arena *arena, struct text object);

#endif
