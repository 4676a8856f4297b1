#include "sandbox/arena.h"

#include <stdlib.h>
#include <string.h>

#include "sandbox/check.h"

enum { CHUNK_BYTES = 1 << 20, ALIGNMENT = 16, FIRST_CAPACITY = 2 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t size_bytes;
    _Alignas(ALIGNMENT) char bytes[];
};

static void add_chunk(struct arena *arena, size_t needed_bytes)
{
    size_t size = needed_bytes > CHUNK_BYTES ? needed_bytes : (size_t)CHUNK_BYTES;
    struct arena_chunk *chunk = calloc(1, sizeof *chunk + size);
    CHECK(chunk != NULL);
    chunk->older = arena->chunk;
    chunk->size_bytes = size;
    arena->chunk = chunk;
    arena->used_bytes = 0;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    size_t size = (size_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (arena->chunk == NULL || arena->chunk->size_bytes - arena->used_bytes < size)
        add_chunk(arena, size);
    void *memory = arena->chunk->bytes + arena->used_bytes;
    arena->used_bytes += size;
    return memory;
}

const char *arena_copy_bytes(struct arena *arena, const char *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

const char *arena_copy(struct arena *arena, const char *string)
{
    return string == NULL ? NULL : arena_copy_bytes(arena, string, strlen(string));
}

void arena_free(struct arena *arena)
{
    while (arena->chunk != NULL) {
        struct arena_chunk *older = arena->chunk->older;
        free(arena->chunk);
        arena->chunk = older;
    }
    arena->used_bytes = 0;
}

void list_add(struct arena *arena, struct list *list, void *item)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? FIRST_CAPACITY : list->capacity * 2;
        void **items = arena_alloc(arena, capacity * sizeof *items);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
}

void list_remove(struct list *list, const void *item)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] != item)
            continue;
        memmove(&list->items[i], &list->items[i + 1], (list->count - i - 1) * sizeof *list->items);
        list->count--;
        return;
    }
}
