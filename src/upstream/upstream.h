/* HTTP calls to the upstream through libcurl's multi interface, thousands at once. Only upstream/ knows
 * libcurl. */
#ifndef INVOICEGATE_UPSTREAM_UPSTREAM_H
#define INVOICEGATE_UPSTREAM_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/slots.h"
#include "upstream/calls.h"

enum transport {
    TRANSPORT_ANSWERED, /* a whole answer, whatever its status */
    TRANSPORT_NOT_SENT, /* no byte of the request can have been acted on */
    TRANSPORT_LOST      /* sent, or perhaps sent, and no whole answer */
};

enum should_retry { SHOULD_RETRY_UNSAID, SHOULD_RETRY_YES, SHOULD_RETRY_NO };

/* Texts are views that are valid during the call that hands it over. */
struct reply {
    enum transport transport;
    int status; /* 0 when there is no whole answer */
    struct text body;
    struct text request_id; /* the upstream's, or absent */
    int retry_after_s;      /* 0: unsaid; at most a minute */
    enum should_retry should_retry;
    bool replayed;      /* Idempotent-Replayed: true */
    bool resent;        /* sent twice: the first sending was lost and may have been acted on */
    int64_t started_us; /* unix time */
    int64_t duration_us;
    const char *problem; /* of the transport, or NULL */
};

typedef void upstream_reply_fn(void *owner, struct ref ref, const struct reply *reply);

struct upstream_settings {
    const char *url; /* http or https, no slash at its end */
    const char *version;
    struct text keys[MODE_COUNT]; /* absent: that mode is not served */
    const char *ca_file;          /* NULL: the system's */
    long connect_timeout_ms;
    long call_timeout_ms;
    size_t answer_max_bytes;
    uint32_t max_calls;
};

struct upstream;

/* Settings are copied where they are kept. NULL when memory is out or libcurl refuses a setting. */
MUST_CHECK struct upstream *upstream_open(struct loop *loop, const struct upstream_settings *settings,
                                          upstream_reply_fn *reply, void *owner);
/* Starts a call for ref, one at a time for each ref. The reply always comes later, from the loop.
 * False when too many calls are under way or memory is out: nothing was sent. */
MUST_CHECK bool upstream_start(struct upstream *upstream, struct ref ref, const struct call *call,
                               uint32_t *number);
/* Gives a call up: no reply will come. What was sent stays sent. */
void upstream_cancel(struct upstream *upstream, uint32_t number);
/* New credentials for calls that start from now on. */
MUST_CHECK bool upstream_set_key(struct upstream *upstream, enum mode mode, struct text key);
/* So many calls at once from now on. False when memory is out: then nothing changes. */
MUST_CHECK bool upstream_limit(struct upstream *upstream, uint32_t max_calls);
void upstream_close(struct upstream *upstream);

#endif
