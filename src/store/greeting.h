/* The first exchange on a new connection: is this a database that keeps what it confirms, and does it know
 * us? Private to store/. */
#ifndef INVOICEGATE_STORE_GREETING_H
#define INVOICEGATE_STORE_GREETING_H

#include "store/lane.h"

/* Queues the questions, the prepared statements and (for a store that has no number yet) the hello; one Sync.
 */
MUST_CHECK bool greeting_send(struct lane *lane);
/* After its Sync: NULL when all is well (and the store has its worker_id), else one clear sentence. */
const char *greeting_problem(struct lane *lane);
/* The same of a batch: what the lease that went with it, if any, says of the server's settings now. */
const char *greeting_lapsed(const struct lane *lane);

#endif
