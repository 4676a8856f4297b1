/* What a worker has PostgreSQL do from time to time: the lease, partitions, forgotten keys, roll-ups. Private
 * to store/. */
#ifndef INVOICEGATE_STORE_CHORES_H
#define INVOICEGATE_STORE_CHORES_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "store/statements.h"

struct store;

void chores_start(struct store *store);
void chores_stop(struct store *store);
/* The next one that is due, or NO_CHORE. The lease travels with whatever leaves; the others go alone. */
enum statement chores_take(struct store *store, bool alone);
/* Under constant load no lane is ever without a batch: what waited for a whole period goes first, once. */
enum statement chores_take_late(struct store *store);
/* Whoever reads the books adds up what is not rolled up yet: it must not pile up. */
void chores_rolled_up(struct store *store, const PGresult *result);

#endif
