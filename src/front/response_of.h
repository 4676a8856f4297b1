/* The bodies of errors in whichever shape the caller's interface has: the one place that knows both.
 * Pure but for the arena. */
#ifndef INVOICEGATE_FRONT_RESPONSE_OF_H
#define INVOICEGATE_FRONT_RESPONSE_OF_H

#include "front/conn.h"
#include "front/request.h"

/* An error of the gateway's own: status, body and whether a client library should try again. */
struct http_answer response_of_error(struct arena *arena, enum shape shape, int status, struct text message);
/* A refusal of request_read. */
struct http_answer response_of_refusal(struct arena *arena, enum shape shape, const struct refusal *refusal);
/* What the upstream refused, told with what may be passed on of its body (*message is then that error's
 * sentence), or with message. */
struct text response_of_upstream_error(struct arena *arena, enum shape shape, int status, struct text body,
                                       struct text account_id, struct text *message);

#endif
