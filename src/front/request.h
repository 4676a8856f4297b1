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
    const char *code;    /* the upstream's word for it ("parameter_missing", ...), or NULL */
    struct text param;   /* the parameter at fault, or absent */
};

/* What the operator lets clients of the upstream's own interface send beyond the known parameters. */
struct request_rules {
    bool pass_through;       /* unknown parameters go on to the upstream */
    bool pass_through_money; /* those, too, that may move money to another account */
};

#define REQUEST_RULES_DEFAULT ((struct request_rules){.pass_through = true})

/* Of every 401, whatever is wrong with the key: a guesser learns nothing. */
#define REQUEST_KEY_MESSAGE "The API key is missing or not valid. Send it in the Authorization header."

#define AUTO_ADVANCE_NONE (-1)

#define LIST_LIMIT_DEFAULT 10
#define LIST_LIMIT_MAX 100
#define LIST_NO_TIME INT64_MIN

/* What a GET asks for. */
struct query {
    int limit;
    struct text after; /* one of them at most */
    struct text before;
    struct text customer_id; /* absent: of all */
    struct text status;
    int64_t from_s; /* both included, or LIST_NO_TIME */
    int64_t until_s;
    struct text expand; /* of one invoice: the query in its one spelling, or absent */
};

struct request {
    enum route route;
    enum shape shape;       /* of the answer, early refusals included */
    struct text account_id; /* absent: the agency's default account (upstream's interface alone) */
    struct text invoice_id; /* of the path */
    bool has_credential;    /* a key of the right form was sent; else early.status is 401 */
    enum mode mode;
    uint8_t key_digest[DIGEST_BYTES];
    struct text idempotency_key; /* absent: keyless */
    struct text client_id;
    struct text product_id;
    enum collection_method collection_method;
    int days_until_due; /* DAYS_UNTIL_DUE_NONE when absent */

    /* The upstream's own interface alone. */
    bool has_stripe_account; /* account_id came in the Stripe-Account header */
    struct text api_version; /* the Stripe-Version header, or absent */
    struct text customer_id;
    struct text description; /* absent: none */
    int auto_advance;        /* 0, 1, or AUTO_ADVANCE_NONE when absent */
    struct text form; /* all parameters in their one spelling, as they are to be forwarded; may be "" */

    struct query query; /* routes that read */

    uint8_t fingerprint[DIGEST_BYTES]; /* of the parameters' meaning, not of the body's spelling */

    struct refusal early; /* 404, 405, 413, 415, 401: told without asking the database */
    struct refusal body;  /* 400: told only after authentication */
};

/* Fills request; everything it keeps is copied into the arena. digest_key is the operator's secret.
 * False only when memory is out (arena overflow, libcrypto). */
MUST_CHECK bool request_read_by(const struct request_rules *rules, const struct http_request *http,
                                struct text digest_key, struct arena *arena, struct request *request);
/* By REQUEST_RULES_DEFAULT. */
MUST_CHECK bool request_read(const struct http_request *http, struct text digest_key, struct arena *arena,
                             struct request *request);

#endif
