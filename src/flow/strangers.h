/* Wrong keys, counted by the address that they come from: a fixed table in memory. What is counted is wrong
 * keys alone, so that right ones from the same address (a company behind one address) pass all the time. */
#ifndef INVOICEGATE_FLOW_STRANGERS_H
#define INVOICEGATE_FLOW_STRANGERS_H

#include "base/text.h"

#define STRANGERS 4096 /* remembered at once; the one with the oldest minute of a bucket makes room */

struct stranger {
    uint64_t name; /* a hash of the address; 0: free */
    int64_t since_ms;
    int wrong; /* keys since then */
};

struct strangers {
    struct stranger *list; /* STRANGERS */
    int limit;             /* wrong keys in a minute; 0: any number */
    uint64_t seed;         /* nobody outside knows which addresses share a bucket */
};

MUST_CHECK bool strangers_init(struct strangers *strangers, int limit_per_min);
void strangers_free(struct strangers *strangers);
/* Counts one wrong key. 0 while the address keeps to the limit; otherwise the seconds until its minute is
 * over. Of an IPv6 address its network of 64 bits counts. */
int strangers_wrong(struct strangers *strangers, int64_t now_ms, struct text address);

#endif
