#include "flow/callers.h"

#include <stdlib.h>
#include <string.h>

#define BUCKET 4

bool callers_init(struct callers *callers)
{
    memset(callers, 0, sizeof(*callers));
    callers->list = calloc(CALLERS, sizeof(*callers->list));
    return callers->list != NULL;
}

void callers_free(struct callers *callers)
{
    free(callers->list);
    callers->list = NULL;
}

/* A digest is as good as random. */
static struct caller *bucket_of(const struct callers *callers, const uint8_t digest[DIGEST_BYTES])
{
    uint32_t number;
    memcpy(&number, digest, sizeof(number));
    return &callers->list[number % (CALLERS / BUCKET) * BUCKET];
}

static struct caller *find(const struct callers *callers, const uint8_t digest[DIGEST_BYTES])
{
    struct caller *bucket = bucket_of(callers, digest);
    for (int i = 0; i < BUCKET; i++)
        if (bucket[i].agency_id && memcmp(bucket[i].digest, digest, DIGEST_BYTES) == 0)
            return &bucket[i];
    return NULL;
}

int64_t callers_agency(const struct callers *callers, const uint8_t digest[DIGEST_BYTES])
{
    const struct caller *caller = find(callers, digest);
    return caller ? caller->agency_id : 0;
}

static struct caller *make_room(struct caller *bucket)
{
    struct caller *oldest = bucket;
    for (int i = 0; i < BUCKET; i++) {
        if (!bucket[i].agency_id)
            return &bucket[i];
        if (bucket[i].used_ms < oldest->used_ms)
            oldest = &bucket[i];
    }
    return oldest;
}

void callers_opened(struct callers *callers, int64_t now_ms, const uint8_t digest[DIGEST_BYTES],
                    int64_t agency_id)
{
    struct caller *caller = find(callers, digest);
    if (!caller)
        caller = make_room(bucket_of(callers, digest));
    memcpy(caller->digest, digest, DIGEST_BYTES);
    caller->agency_id = agency_id;
    caller->used_ms = now_ms;
    caller->used = true;
}

void callers_closed(struct callers *callers, const uint8_t digest[DIGEST_BYTES])
{
    struct caller *caller = find(callers, digest);
    if (caller)
        *caller = (struct caller){0};
}

int callers_gather(struct callers *callers, struct store_used_key *keys, int room)
{
    int count = 0;
    for (int i = 0; i < CALLERS && count < room; i++) {
        struct caller *caller = &callers->list[i];
        if (!caller->used)
            continue;
        caller->used = false;
        memcpy(keys[count++].digest, caller->digest, DIGEST_BYTES);
    }
    return count;
}

size_t callers_share(int64_t agency_id)
{
    return (size_t)((uint64_t)agency_id % CALLERS_SHARES); /* they are numbered one after the other */
}

bool callers_have_room(const struct callers *callers, int64_t agency_id, uint32_t used, uint32_t capacity)
{
    uint32_t own = callers->shares[callers_share(agency_id)].here;
    return own < CALLERS_FLOOR || (used < capacity && own < capacity - used);
}

void callers_come(struct callers *callers, int64_t now_ms, int64_t agency_id)
{
    callers->shares[callers_share(agency_id)].here++;
    if (callers->askers[0].agency_id != agency_id)
        callers->askers[1] = callers->askers[0];
    callers->askers[0] = (struct asker){agency_id, now_ms};
}

bool callers_may_begin(const struct callers *callers, int64_t now_ms, int64_t agency_id)
{
    const struct asker *other = &callers->askers[callers->askers[0].agency_id == agency_id];
    bool crowded = other->agency_id != 0 && now_ms - other->at_ms < CALLERS_CROWD_MS;
    return !crowded || callers->shares[callers_share(agency_id)].under_way < CALLERS_WINDOW;
}

void callers_begin(struct callers *callers, int64_t agency_id)
{
    callers->shares[callers_share(agency_id)].under_way++;
}

void callers_go(struct callers *callers, int64_t agency_id)
{
    struct share *share = &callers->shares[callers_share(agency_id)];
    CHECK(share->here > 0 && share->under_way > 0);
    share->here--;
    share->under_way--;
}
