/* The gateway's whole flow with stand-ins for its stations: PostgreSQL says yes, time passes at once, nginx
 * takes every answer, and the upstream says what the fuzzer wants.
 *
 * The upstream's answers stand one after another, each as a line "<status><letters>" and a body, with a line
 * "%%" between them. Letters: y, n (Stripe-Should-Retry), r (replayed), x (sent twice), l (lost), s (not
 * sent), a (Retry-After); d: the deadline passes before it, c: the client leaves before it. S, M: what
 * PostgreSQL says next time: "another worker has it", "no such request". */
#ifndef INVOICEGATE_TESTS_WORLD_H
#define INVOICEGATE_TESTS_WORLD_H

#include "front/conn.h"

/* Who asks for what, and what is known before. */
struct scene {
    const char *method;
    const char *uri;
    const char *body; /* JSON or a form, as the address wants it */
    bool keyed;
    bool cold; /* product and customer are not known */
    bool auto_advance;
    const char
        *taken; /* what another worker was doing ("create", "delete", "advance"), or NULL: it just came */
    bool taken_without; /* the other worker had no invoice yet */
    bool old;
    const char *before; /* the upstream's first answers, in front of the fuzzer's, or NULL */
    bool *inside;       /* true while the gateway's own code runs, or NULL */
};

#define WORLD_REQUEST "0190d3f2-7a1b-7c3d-8e4f-0123456789ab"
#define WORLD_INVOICE "in_1"
/* An invoice as it should be, with or without its line. */
#define WORLD_LINE                                                                                           \
    "{\"id\":\"il_1\",\"amount\":10000,\"currency\":\"usd\",\"quantity\":1,\"pricing\":{\"price_details\":{" \
    "\"price\":"                                                                                             \
    "\"price_1\"}}}"
#define WORLD_DRAFT(lines)                                                                                   \
    "{\"id\":\"in_1\",\"object\":\"invoice\",\"status\":\"draft\",\"currency\":\"usd\",\"total\":10000,"     \
    "\"created\":"                                                                                           \
    "1795298020,\"metadata\":{\"invoicegate_request\":\"" WORLD_REQUEST "\"},\"lines\":{\"data\":[" lines    \
    "]}}"

#define WORLD_JSON "/v1/public/stripe/connect/accounts/acct_1/invoices"
#define WORLD_BODY                                                                                           \
    "{\"data\":{\"clientId\":\"64abc123def456789012345a\",\"productId\":\"prod_1\",\"collection_method\":"   \
    "\"send_invoice\",\"days_until_due\":30}}"

/* Plays the scene to its end or to the end of the answers, and checks what was told and recorded. */
void world_play(const struct scene *scene, struct text answers);
/* The same with the first byte choosing the scene. */
void world_play_one_of(const struct scene *scenes, size_t count, struct text input);

#endif
