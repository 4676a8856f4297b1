/* FastCGI connections from nginx: the only place that knows libfcgi.
 *
 * One epoll loop accepts on the listening socket (file descriptor 0, owned by spawn-fcgi) and keeps
 * connections that nginx keeps. One connection carries one request at a time. */
#ifndef INVOICEGATE_FRONT_CONN_H
#define INVOICEGATE_FRONT_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/slots.h"
#include "base/text.h"

/* What arrived. All views are valid only during the call that hands it over: copy what must live longer. */
struct http_request {
    struct text method;
    struct text uri; /* as the client sent it: percent-encoded, with its query */
    struct text content_type;
    struct text authorization;
    struct text idempotency_key;
    bool idempotency_key_repeated; /* more than one such header */
    struct text stripe_account;
    bool stripe_account_repeated;
    struct text stripe_version;
    struct text traceparent; /* of several: empty, which is none */
    struct text
        admin; /* not empty: it came through the listener for monitoring (nginx says so, no client can) */
    struct text remote_address;
    struct text body;
    bool body_too_large; /* longer than body_max_bytes: read to its end and thrown away */
    bool body_cut;       /* shorter than its announced length */
};

/* What to answer. Bytes of header values below 0x20 and above 0x7e are never sent. */
struct http_answer {
    int status;
    struct text content_type;
    struct text body;
    struct text request_id;
    struct text allow; /* absent: no such header */
    int retry_after_s; /* 0: no such header */
    bool idempotent_replayed;
    const char *should_retry; /* "true", "false" or NULL: Stripe-Should-Retry */
    struct text server_timing;
    struct text more_headers; /* whole lines with CRLF, made by the gateway itself, or absent */
};

struct front;

struct front_settings {
    int listen_fd;
    bool listen_fd_is_ours; /* nobody else accepts on it: at the drain it may be shut down */
    uint32_t max_connections;
    size_t body_max_bytes;
    int io_timeout_ms; /* of one blocking read or write inside libfcgi */
};

/* A whole request has arrived on connection conn. The callee must call front_answer() once, now or later. */
typedef void front_request_fn(void *owner, struct ref conn, const struct http_request *request);
/* The client of a request that is not answered yet has left: conn is stale from now on. */
typedef void front_left_fn(void *owner, struct ref conn);

MUST_CHECK struct front *front_open(struct loop *loop, const struct front_settings *settings,
                                    front_request_fn *request, front_left_fn *left, void *owner);
/* False when the connection has gone (which is no error: the client left). */
bool front_answer(struct front *front, struct ref conn, const struct http_answer *answer);
/* Stop accepting; connections that nginx keeps are served until nginx closes them. */
void front_drain(struct front *front);
/* So many connections from now on; those that are there stay. False when memory is out: then nothing changes.
 */
MUST_CHECK bool front_limit(struct front *front, uint32_t max_connections);
uint32_t front_connections(const struct front *front);
void front_close(struct front *front);

#endif
