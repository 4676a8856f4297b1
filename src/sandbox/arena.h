// Memory of one owner, given back all at once. Out of memory ends the program.
#pragma once

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunk;
    size_t used_bytes; // in the newest chunk
};

// Zeroed, aligned for any object; lives until arena_free.
void *arena_alloc(struct arena *arena, size_t size_bytes);

// A NUL-terminated copy; NULL stays NULL.
const char *arena_copy(struct arena *arena, const char *string);
const char *arena_copy_bytes(struct arena *arena, const char *bytes, size_t len);

void arena_free(struct arena *arena);

// A growing array of pointers whose memory belongs to an arena.
struct list {
    void **items;
    size_t count;
    size_t capacity;
};

void list_add(struct arena *arena, struct list *list, void *item);

// Keeps the order of what stays; an item that is not there is ignored.
void list_remove(struct list *list, const void *item);
