#include "flow/traffic.h"

#include <stdlib.h>

#define BUCKET 4
#define KEPT_OUT_LIMIT 3 /* 401 in a row */
#define AWAY_LIMIT 5     /* connections refused in a row */
#define FAILING_LIMIT 8  /* an account's 5xx and lost answers in a row */
#define KNOWN_MS 60000   /* so long a good answer counts */
#define CLOSED_MS 5000   /* after a 403 */
#define BURST_US 200000  /* so much of the budget may be used at once */

bool traffic_init(struct traffic *traffic, int posts_per_s)
{
    *traffic = (struct traffic){.posts_per_s = posts_per_s};
    traffic->accounts = calloc(TRAFFIC_ACCOUNTS, sizeof(*traffic->accounts));
    return traffic->accounts != NULL;
}

void traffic_free(struct traffic *traffic)
{
    free(traffic->accounts);
    traffic->accounts = NULL;
}

/* FNV-1a. A collision shares a budget between two accounts, nothing worse. */
static uint64_t name_of(enum mode mode, struct text account)
{
    uint64_t hash = 14695981039346656037U ^ (uint64_t)mode;
    for (size_t i = 0; i < account.length; i++)
        hash = (hash ^ (unsigned char)account.at[i]) * 1099511628211U;
    return hash ? hash : 1;
}

static struct account_traffic *account_of(struct traffic *traffic, int64_t now_ms, enum mode mode,
                                          struct text account)
{
    uint64_t name = name_of(mode, account);
    struct account_traffic *bucket = &traffic->accounts[name % (TRAFFIC_ACCOUNTS / BUCKET) * BUCKET];
    struct account_traffic *oldest = bucket;
    for (int i = 0; i < BUCKET; i++) {
        if (bucket[i].name == name) {
            bucket[i].used_ms = now_ms;
            return &bucket[i];
        }
        if (bucket[i].used_ms < oldest->used_ms)
            oldest = &bucket[i];
    }
    *oldest = (struct account_traffic){.name = name, .used_ms = now_ms};
    return oldest;
}

int64_t traffic_wait_ms(struct traffic *traffic, int64_t now_ms, enum mode mode, struct text account)
{
    struct account_traffic *own = account_of(traffic, now_ms, mode, account);
    int64_t wait_ms = breaker_left_ms(&own->breaker, now_ms);
    if (wait_ms == 0)
        wait_ms = breaker_wait_ms(&traffic->upstream[mode], now_ms);
    return wait_ms ? wait_ms : breaker_wait_ms(&own->breaker, now_ms);
}

int64_t traffic_reserve_ms(struct traffic *traffic, int64_t now_ms, int workers, enum mode mode,
                           struct text account)
{
    int64_t now_us = now_ms * 1000, slot_us;
    struct account_traffic *own;
    if (traffic->posts_per_s == 0)
        return 0;
    own = account_of(traffic, now_ms, mode, account);
    if (own->next_post_us < now_us - BURST_US)
        own->next_post_us = now_us - BURST_US;
    slot_us = own->next_post_us;
    own->next_post_us += (int64_t)1000000 * workers / traffic->posts_per_s;
    return slot_us > now_us ? (slot_us - now_us + 999) / 1000 : 0;
}

void traffic_tell(struct traffic *traffic, int64_t now_ms, enum mode mode, struct text account,
                  const struct facts *facts, int retry_after_s)
{
    struct breaker *upstream = &traffic->upstream[mode];
    struct breaker *own = &account_of(traffic, now_ms, mode, account)->breaker;
    if (facts->transport == TRANSPORT_NOT_SENT || facts->status == 401)
        traffic->good_ms[mode] = 0;
    if (facts->transport == TRANSPORT_NOT_SENT) {
        breaker_failure(upstream, now_ms, AWAY_LIMIT);
        return;
    }
    if (facts->transport == TRANSPORT_LOST) {
        breaker_failure(own, now_ms, FAILING_LIMIT);
        return;
    }
    if (facts->status == 401) {
        breaker_failure(upstream, now_ms, KEPT_OUT_LIMIT);
        return;
    }
    breaker_success(upstream);
    traffic_is_good(traffic, now_ms, mode);
    if (facts->status == 403)
        breaker_open(own, now_ms, CLOSED_MS);
    else if (facts->status == 429 && retry_after_s > 0)
        breaker_open(own, now_ms, retry_after_s * 1000L);
    else if (facts->status >= 500)
        breaker_failure(own, now_ms, FAILING_LIMIT);
    else
        breaker_success(own);
}

void traffic_is_good(struct traffic *traffic, int64_t now_ms, enum mode mode)
{
    traffic->good_ms[mode] = now_ms;
}

bool traffic_is_shut(const struct traffic *traffic, int64_t now_ms, enum mode mode)
{
    return breaker_left_ms(&traffic->upstream[mode], now_ms) > 0;
}

bool traffic_known_good(const struct traffic *traffic, int64_t now_ms, enum mode mode)
{
    return traffic->good_ms[mode] != 0 && now_ms - traffic->good_ms[mode] < KNOWN_MS &&
           !traffic_is_shut(traffic, now_ms, mode);
}

int traffic_open(const struct traffic *traffic, int64_t now_ms)
{
    int open = 0;
    for (int mode = 0; mode < MODE_COUNT; mode++)
        open += breaker_left_ms(&traffic->upstream[mode], now_ms) > 0;
    for (int i = 0; i < TRAFFIC_ACCOUNTS; i++)
        open += traffic->accounts[i].name && breaker_left_ms(&traffic->accounts[i].breaker, now_ms) > 0;
    return open;
}
