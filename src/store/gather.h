/* Whether tasks wait for the lane that is on its way rather than take an idle one. Private to store/.
 *
 * One batch of forty costs PostgreSQL less than two of twenty, and a commit less. A lane beside another is
 * for what would wait too long otherwise: when little is under way, when a whole batch is ready, or when
 * PostgreSQL is slow. */
#ifndef INVOICEGATE_STORE_GATHER_H
#define INVOICEGATE_STORE_GATHER_H

#include <stdbool.h>

struct store;

/* Asked whenever the loop is about to sleep; true wakes it up again in time. */
bool gather_more(struct store *store);

#endif
