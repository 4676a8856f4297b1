/* References to things in flight: a slot and its generation. A completion whose thing has gone finds nothing.
 */
#ifndef INVOICEGATE_BASE_SLOTS_H
#define INVOICEGATE_BASE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

struct ref {
    uint32_t slot;
    uint32_t generation; /* 0: refers to nothing */
};

#define REF_NONE ((struct ref){0, 0})

struct slot {
    void *thing; /* NULL while free */
    uint32_t generation;
    uint32_t next_free;
};

struct slots {
    struct slot *slots;
    uint32_t capacity;
    uint32_t limit; /* so many may be used */
    uint32_t used;
    uint32_t first_free;
};

/* False when memory is out. */
MUST_CHECK bool slots_init(struct slots *slots, uint32_t capacity);
/* So many may be used from now on; those that are too many stay until they are removed. False when memory is
 * out: then nothing changes. */
MUST_CHECK bool slots_limit(struct slots *slots, uint32_t limit);
void slots_free(struct slots *slots);
/* REF_NONE when the limit is reached. */
struct ref slots_put(struct slots *slots, void *thing);
/* NULL when the reference is stale or none. */
void *slots_get(const struct slots *slots, struct ref ref);
void slots_remove(struct slots *slots, struct ref ref);

#endif
