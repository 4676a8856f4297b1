#include "base/slots.h"

#include <stdlib.h>

#define NO_SLOT UINT32_MAX

bool slots_limit(struct slots *slots, uint32_t limit)
{
    struct slot *grown;

    if (limit > slots->capacity || !slots->slots) {
        grown = realloc(slots->slots, (limit > 0 ? limit : 1) * sizeof *grown);
        if (!grown)
            return false;
        slots->slots = grown;
        for (uint32_t i = limit; i-- > slots->capacity;) {
            slots->slots[i] = (struct slot){.generation = 1, .next_free = slots->first_free};
            slots->first_free = i;
        }
        slots->capacity = limit;
    }
    slots->limit = limit;
    return true;
}

bool slots_init(struct slots *slots, uint32_t capacity)
{
    *slots = (struct slots){.first_free = NO_SLOT};
    return slots_limit(slots, capacity);
}

void slots_free(struct slots *slots)
{
    free(slots->slots);
    *slots = (struct slots){.first_free = NO_SLOT};
}

struct ref slots_put(struct slots *slots, void *thing)
{
    struct slot *slot;
    struct ref ref;

    CHECK(thing);
    if (slots->first_free == NO_SLOT || slots->used >= slots->limit)
        return REF_NONE;
    slot = &slots->slots[slots->first_free];
    ref = (struct ref){slots->first_free, slot->generation};
    slots->first_free = slot->next_free;
    slot->thing = thing;
    slots->used++;
    return ref;
}

void *slots_get(const struct slots *slots, struct ref ref)
{
    if (ref.slot >= slots->capacity || slots->slots[ref.slot].generation != ref.generation)
        return NULL;
    return slots->slots[ref.slot].thing;
}

void slots_remove(struct slots *slots, struct ref ref)
{
    struct slot *slot;

    if (!slots_get(slots, ref))
        return;
    slot = &slots->slots[ref.slot];
    slot->thing = NULL;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    slot->next_free = slots->first_free;
    slots->first_free = ref.slot;
    slots->used--;
}
