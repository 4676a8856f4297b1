/* From HTTP to a wish for an invoice: headers, body and their rules that need no data.
 * Pure but for the arena. */
#ifndef INVOICEGATE_FRONT_REQUEST_H
#define INVOICEGATE_FRONT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/apikey.h"
#include "base/arena.h"
#include "front/conn.h"
#include "front/route.h"

enum collection_method { COLLECT_AUTOMATICALLY, COLLECT_BY_INVOICE };
/* "charge_automatically", "send_invoice" */
const char *collection_method_name(enum collection_method method);

#define DAYS_UNTIL_DUE_NONE (-1)

/* Why a request is not served. A status of 0: it is fine so far.
 * The reason is a short word for audit and metrics: "body_invalid", "key_invalid", "days_until_due", ... */
struct refusal {
    int status;
    const char *reason;
    struct text message; /* one clear sentence for the client */
    struct text allow;   /* with 405 */
};

/* Of every 401, whatever is wrong with the key: a guesser learns nothing. */
#define REQUEST_KEY_MESSAGE "The API key is missing or not valid. Send it in the Authorization header."

struct request {
    enum route route;
    struct text account_id;
    bool has_credential; /* a key of the right form was sent; else early.status is 401 */
    enum mode mode;
    uint8_t key_digest[DIGEST_BYTES];
    struct text idempotency_key; /* absent: keyless */
    struct text client_id;
    struct text product_id;
    enum collection_method collection_method;
    int days_until_due;                /* DAYS_UNTIL_DUE_NONE when absent */
    uint8_t fingerprint[DIGEST_BYTES]; /* of the parameters' meaning, not of the body's spelling */

    struct refusal early; /* 404, 405, 413, 415, 401: told without asking the database */
    struct refusal body;  /* 400: told only after authentication */
};

/* Fills request; everything it keeps is copied into the arena. digest_key is the operator's secret.
 * False only when memory is out (arena overflow, libcrypto). */
MUST_CHECK bool request_read(const struct http_request *http, struct text digest_key, struct arena *arena,
                             struct request *request);

#endif
