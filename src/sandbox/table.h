// Hash table of objects by their id. An object's first member is `const char *id`; the table does not own it.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct table_slot {
    uint64_t hash;
    void *object;
};

struct table {
    struct table_slot *slots;
    size_t count;
    size_t slot_count; // zero or a power of two
};

uint64_t hash_bytes(const void *data, size_t len, uint64_t seed);

// NULL when there is none.
void *table_find(const struct table *table, const char *id);

// The id must not be in the table yet.
void table_put(struct table *table, void *object);

void table_free(struct table *table);
