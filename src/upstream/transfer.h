/* One call under way: a libcurl handle and what it gathers. Private to upstream/. */
#ifndef INVOICEGATE_UPSTREAM_TRANSFER_H
#define INVOICEGATE_UPSTREAM_TRANSFER_H

#include <curl/curl.h>

#include "upstream/upstream.h"

#define TRANSFER_HEADERS_MAX 8
#define TRANSFER_REQUEST_ID_BYTES 128

struct transfer {
    CURL *easy; /* reused from call to call, with its TLS sessions */
    struct ref ref;
    uint32_t number; /* from 1 */
    struct transfer *next_free;
    bool running;
    int64_t started_us;
    int64_t started_clock_us;
    size_t answer_max_bytes;
    char *body;
    size_t body_bytes;
    size_t body_room_bytes;
    struct curl_slist headers[TRANSFER_HEADERS_MAX]; /* our own nodes: libcurl only reads the list */
    char *header_text;                               /* what the nodes point into */
    size_t header_room_bytes;
    char request_id[TRANSFER_REQUEST_ID_BYTES];
    int retry_after_s;
    enum should_retry should_retry;
    bool replayed;
    int sendings; /* how often libcurl began to send this call */
};

/* A handle with everything that is the same for every call. NULL when memory is out or libcurl refuses. */
MUST_CHECK struct transfer *transfer_new(const struct upstream_settings *settings);
void transfer_free(struct transfer *transfer);
/* Before it rests, or waits for the next answer: neither shall cost the last one's memory. */
void transfer_rest(struct transfer *transfer);

struct transfer_target {
    const char *version;
    const char *authorization; /* a whole header line */
};
/* Everything that belongs to this call. The form stays the caller's until the reply. */
MUST_CHECK bool transfer_load(struct transfer *transfer, const struct transfer_target *target,
                              const struct call *call);
/* What came of it, after libcurl has said how it ended. */
void transfer_reply(struct transfer *transfer, CURLcode code, struct reply *reply);

#endif
