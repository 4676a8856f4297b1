#include "flow/strangers.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/digest.h"

#define BUCKET 4
#define MINUTE_MS 60000
#define NETWORK_BYTES 8

bool strangers_init(struct strangers *strangers, int limit_per_min)
{
    *strangers = (struct strangers){.limit = limit_per_min};
    strangers->list = calloc(STRANGERS, sizeof(*strangers->list));
    return strangers->list && random_bytes((uint8_t *)&strangers->seed, sizeof(strangers->seed));
}

void strangers_free(struct strangers *strangers)
{
    free(strangers->list);
    strangers->list = NULL;
}

/* FNV-1a, and a last stir: neighbouring addresses go to different buckets. */
static uint64_t name_of(const struct strangers *strangers, struct text address)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char network[sizeof(struct in6_addr)];
    uint64_t hash = 14695981039346656037U ^ strangers->seed;
    if (address.length < sizeof(text)) {
        memcpy(text, address.at, address.length);
        text[address.length] = '\0';
        if (inet_pton(AF_INET6, text, network) == 1)
            address = (struct text){(const char *)network, NETWORK_BYTES};
    }
    for (size_t i = 0; i < address.length; i++)
        hash = (hash ^ (unsigned char)address.at[i]) * 1099511628211U;
    hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15U;
    return hash ? hash : 1;
}

static struct stranger *stranger_of(struct strangers *strangers, int64_t now_ms, uint64_t name)
{
    struct stranger *bucket = &strangers->list[(name >> 16) % (STRANGERS / BUCKET) * BUCKET];
    struct stranger *oldest = bucket;
    for (int i = 0; i < BUCKET; i++) {
        if (bucket[i].name == name)
            return &bucket[i];
        if (bucket[i].name == 0 || (oldest->name && bucket[i].since_ms < oldest->since_ms))
            oldest = &bucket[i];
    }
    *oldest = (struct stranger){.name = name, .since_ms = now_ms};
    return oldest;
}

int strangers_wrong(struct strangers *strangers, int64_t now_ms, struct text address)
{
    struct stranger *stranger;
    if (strangers->limit == 0 || !address.at)
        return 0;
    stranger = stranger_of(strangers, now_ms, name_of(strangers, address));
    if (now_ms - stranger->since_ms >= MINUTE_MS) {
        stranger->since_ms = now_ms;
        stranger->wrong = 0;
    }
    if (stranger->wrong < strangers->limit) {
        stranger->wrong++;
        return 0;
    }
    return (int)((stranger->since_ms + MINUTE_MS - now_ms + 999) / 1000);
}
