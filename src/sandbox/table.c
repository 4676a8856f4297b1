#include "sandbox/table.h"

#include <stdlib.h>
#include <string.h>

#include "sandbox/check.h"

enum { FIRST_SLOTS = 64, WORD_BYTES = 8 };

static uint64_t mix(uint64_t value)
{
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93ULL;
    value ^= value >> 32;
    return value;
}

uint64_t hash_bytes(const void *data, size_t len, uint64_t seed)
{
    const unsigned char *bytes = data;
    uint64_t hash = seed ^ (len * 0x9e3779b97f4a7c15ULL);
    for (; len >= WORD_BYTES; len -= WORD_BYTES, bytes += WORD_BYTES) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        hash = mix(hash ^ word) * 0x9fb21c651e98df25ULL;
    }
    uint64_t tail = 0;
    if (len > 0)
        memcpy(&tail, bytes, len);
    return mix(hash ^ mix(tail + len));
}

static const char *id_of(const void *object)
{
    return *(const char *const *)object;
}

// The slot of this id, or the free one where it would go.
static struct table_slot *seek(const struct table *table, const char *id, uint64_t hash)
{
    size_t mask = table->slot_count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct table_slot *slot = &table->slots[i];
        if (slot->object == NULL || (slot->hash == hash && strcmp(id_of(slot->object), id) == 0))
            return slot;
    }
}

void *table_find(const struct table *table, const char *id)
{
    if (table->count == 0)
        return NULL;
    return seek(table, id, hash_bytes(id, strlen(id), 0))->object;
}

static void grow(struct table *table)
{
    size_t slot_count = table->slot_count == 0 ? FIRST_SLOTS : table->slot_count * 2;
    struct table_slot *old = table->slots;
    size_t old_count = table->slot_count;
    table->slots = calloc(slot_count, sizeof *table->slots);
    CHECK(table->slots != NULL);
    table->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].object != NULL)
            *seek(table, id_of(old[i].object), old[i].hash) = old[i];
    }
    free(old);
}

void table_put(struct table *table, void *object)
{
    if (table->count * 4 >= table->slot_count * 3)
        grow(table);
    const char *id = id_of(object);
    uint64_t hash = hash_bytes(id, strlen(id), 0);
    struct table_slot *slot = seek(table, id, hash);
    CHECK(slot->object == NULL);
    slot->hash = hash;
    slot->object = object;
    table->count++;
}

void table_free(struct table *table)
{
    free(table->slots);
    *table = (struct table){0};
}
