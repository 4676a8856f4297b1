/* Whether this worker can serve: its database is there and as it should be, the upstream answered lately.
 * What is not known of the upstream is found out by one harmless call a mode, which whoever asks waits for.
 */
#ifndef INVOICEGATE_FLOW_READY_H
#define INVOICEGATE_FLOW_READY_H

#include "base/apikey.h"
#include "base/loop.h"
#include "base/slots.h"
#include "upstream/upstream.h"

#define READY_WAITING_MAX 8

struct gateway;

struct probe {
    uint32_t number; /* of its call; 0: none is under way */
    const char *problem;
};

struct ready {
    struct probe probes[MODE_COUNT];
    struct timer patience;
    struct ref waiting[READY_WAITING_MAX]; /* connections */
    int waiting_count;
};

/* Answers conn, now or in a moment. */
void ready_asked(struct gateway *gateway, struct ref conn);
/* Whether a reply is for a probe; then it is dealt with. */
MUST_CHECK bool ready_called(struct gateway *gateway, struct ref ref, const struct reply *reply);
void ready_stop(struct gateway *gateway);

#endif
