#include "store/chores.h"

#include "store/internal.h"

#define PARTITIONS_EVERY_MS (60 * 60 * 1000)
#define PURGE_EVERY_MS (10 * 1000)
#define ROLL_UP_EVERY_MS 1000
#define ROLL_UP_MUCH 10000 /* a roll-up that moved so many may have left some: roll_up()'s bite */

static enum statement take(struct chore *chore)
{
    chore->due = false;
    chore->late = false;
    return chore->statement;
}

enum statement chores_take(struct store *store, bool alone)
{
    for (int i = 0; i < STORE_CHORES; i++) {
        struct chore *chore = &store->chores[i];
        if (chore->due && (alone || chore->statement == STATEMENT_LEASE))
            return take(chore);
    }
    return NO_CHORE;
}

enum statement chores_take_late(struct store *store)
{
    for (int i = 0; i < STORE_CHORES; i++) {
        struct chore *chore = &store->chores[i];
        if (chore->late && chore->statement != STATEMENT_LEASE)
            return take(chore);
    }
    return NO_CHORE;
}

static void is_due(void *owner)
{
    struct chore *chore = owner;
    chore->late = chore->due;
    chore->due = true;
    loop_timer(chore->store->loop, &chore->timer, chore->every_ms, is_due, chore);
}

void chores_start(struct store *store)
{
    const struct chore chores[STORE_CHORES] = {
        {.statement = STATEMENT_LEASE, .every_ms = store->settings->lease_ms / 3, .store = store},
        {.statement = STATEMENT_PARTITIONS, .every_ms = PARTITIONS_EVERY_MS, .store = store},
        {.statement = STATEMENT_PURGE, .every_ms = PURGE_EVERY_MS, .store = store},
        {.statement = STATEMENT_ROLL_UP, .every_ms = ROLL_UP_EVERY_MS, .store = store},
    };
    for (int i = 0; i < STORE_CHORES; i++) {
        store->chores[i] = chores[i];
        is_due(&store->chores[i]);
    }
}

void chores_rolled_up(struct store *store, const PGresult *result)
{
    bool more = PQntuples(result) == 1 && row_int8(result, 0, 0) >= ROLL_UP_MUCH;
    for (int i = 0; more && i < STORE_CHORES; i++)
        if (store->chores[i].statement == STATEMENT_ROLL_UP)
            store->chores[i].due = true;
}

void chores_stop(struct store *store)
{
    for (int i = 0; i < STORE_CHORES; i++)
        loop_untimer(store->loop, &store->chores[i].timer);
}
