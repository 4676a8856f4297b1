/* Requests that other workers left behind: taken over, finished with the same bytes and keys. */
#ifndef INVOICEGATE_FLOW_RECOVER_H
#define INVOICEGATE_FLOW_RECOVER_H

#include "base/loop.h"
#include "store/store.h"

struct gateway;

struct recovery {
    struct timer timer;
    struct store_task take;
    int taken;   /* by the take under way */
    bool missed; /* something that was taken found no place */
};

/* Looks every third of a lease, from now on. The store must be open. */
void recovery_start(struct gateway *gateway);
void recovery_stop(struct gateway *gateway);
/* One request that is ours now; owner is the gateway. */
void recovery_taken(void *owner, const struct store_taken *taken);
/* The take is committed. */
void recovery_taken_all(struct gateway *gateway);

#endif
