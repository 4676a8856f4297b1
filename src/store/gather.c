#include "store/gather.h"

#include "store/internal.h"

#define GATHER_MIN 8     /* tasks of a batch under way that show that there is load */
#define GATHER_MAX_MS 10 /* PostgreSQL takes longer than that: another lane helps */

static bool is_soon_back(const struct lane *lane, int64_t now_ms)
{
    return lane->state == LANE_BUSY && lane->batch.count >= GATHER_MIN &&
           now_ms - lane->sent_ms < GATHER_MAX_MS;
}

static void wake(void *owner)
{
    (void)owner; /* the loop looks at what waits before it sleeps */
}

bool gather_more(struct store *store)
{
    int64_t now_ms = loop_now_ms(store->loop);
    bool gathers = false;
    if (store->waiting.count == 0 || store->waiting.count >= (unsigned)store->settings->batch_max)
        return false;
    for (int i = 0; i < store->lane_count && !gathers; i++)
        gathers = is_soon_back(&store->lanes[i], now_ms);
    if (gathers && !store->gathering.place)
        loop_timer(store->loop, &store->gathering, GATHER_MAX_MS, wake, store);
    return gathers;
}
