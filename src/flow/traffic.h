/* Who may call the upstream now: a breaker for each upstream identity (live, test), a breaker and a budget of
 * POSTs for each account, so that one account's trouble holds up that account only. */
#ifndef INVOICEGATE_FLOW_TRAFFIC_H
#define INVOICEGATE_FLOW_TRAFFIC_H

#include "base/apikey.h"
#include "base/text.h"
#include "flow/breaker.h"
#include "flow/outcome.h"

#define TRAFFIC_ACCOUNTS 4096 /* remembered at once; the least recently used of a bucket makes room */

struct account_traffic {
    uint64_t name; /* a hash of mode and account; 0: free */
    int64_t used_ms;
    struct breaker breaker;
    int64_t next_post_us; /* when the budget allows the next POST, on the loop's clock */
};

struct traffic {
    struct breaker upstream[MODE_COUNT];
    int64_t good_ms[MODE_COUNT]; /* when the upstream last showed that it takes our key; 0: it did not, or no
                                    more */
    struct account_traffic *accounts; /* TRAFFIC_ACCOUNTS */
    int posts_per_s;                  /* for each account, over all workers; 0: no budget */
};

MUST_CHECK bool traffic_init(struct traffic *traffic, int posts_per_s);
void traffic_free(struct traffic *traffic);

/* 0: go ahead. Otherwise how long this account's calls have to stay away. Asking may make the caller the
 * probe. */
int64_t traffic_wait_ms(struct traffic *traffic, int64_t now_ms, enum mode mode, struct text account);
/* Reserves the account's next POST: 0 or how long to wait for it. workers share the budget evenly. */
int64_t traffic_reserve_ms(struct traffic *traffic, int64_t now_ms, int workers, enum mode mode,
                           struct text account);
/* What an attempt showed. */
void traffic_tell(struct traffic *traffic, int64_t now_ms, enum mode mode, struct text account,
                  const struct facts *facts, int retry_after_s);
/* The same of a call that belongs to no account. */
void traffic_is_good(struct traffic *traffic, int64_t now_ms, enum mode mode);
/* Whether the upstream took our key lately, and nothing has spoken against it since. */
bool traffic_known_good(const struct traffic *traffic, int64_t now_ms, enum mode mode);
/* Whether nobody may call it now. */
bool traffic_is_shut(const struct traffic *traffic, int64_t now_ms, enum mode mode);
/* Breakers that are open. */
int traffic_open(const struct traffic *traffic, int64_t now_ms);

#endif
