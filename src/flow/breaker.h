/* A circuit breaker: after repeated failures callers are told at once, a probe finds the return. Pure: time
 * is given. */
#ifndef INVOICEGATE_FLOW_BREAKER_H
#define INVOICEGATE_FLOW_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct breaker {
    int failures;           /* in a row */
    int64_t cooldown_ms;    /* of the last opening; doubles while probes fail */
    int64_t open_until_ms;  /* 0: closed */
    int64_t probe_until_ms; /* a probe is under way, and its answer is waited for so long */
};

/* 0: go ahead (you may be the probe); otherwise how long to stay away. */
int64_t breaker_wait_ms(struct breaker *breaker, int64_t now_ms);
/* The same without becoming the probe. */
int64_t breaker_left_ms(const struct breaker *breaker, int64_t now_ms);
void breaker_success(struct breaker *breaker);
/* Opens at the limit-th failure in a row. */
void breaker_failure(struct breaker *breaker, int64_t now_ms, int limit);
/* Opens now, for so long: the other side said so. */
void breaker_open(struct breaker *breaker, int64_t now_ms, int64_t for_ms);

#endif
