/* Memory that belongs to one request: many allocations, one free, a cap set once.
 *
 * Overflow is sticky: after the first allocation that the cap or the system refuses, every later one answers
 * NULL too, so a caller may do all its work and ask arena_overflowed() once at the end. */
#ifndef INVOICEGATE_BASE_ARENA_H
#define INVOICEGATE_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/text.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used_bytes;          /* of the newest chunk */
    size_t total_bytes;         /* of all chunks */
    size_t cap_bytes;
    bool overflowed;
};

void arena_init(struct arena *arena, size_t cap_bytes);
/* Frees everything but one first chunk, which the next use of the same arena finds warm. */
void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);
bool arena_overflowed(const struct arena *arena);
/* Makes the arena overflow: for who could not get memory from elsewhere for what belongs to it. */
void arena_fail(struct arena *arena);

/* Aligned for any type; contents undefined. NULL after overflow. */
void *arena_alloc(struct arena *arena, size_t bytes);
void *arena_zalloc(struct arena *arena, size_t bytes);
/* Copies with a NUL behind the last byte, so that .at may serve as a C string where no NUL is inside.
 * An absent text stays absent; after overflow the answer is absent. */
struct text arena_copy(struct arena *arena, struct text text);
struct text arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A text that grows at its end inside an arena (one growing at a time is cheapest: it grows in place). */
struct builder {
    struct arena *arena;
    char *at;
    size_t length;
    size_t room_bytes;
};

void builder_init(struct builder *builder, struct arena *arena, size_t room_bytes);
void builder_add(struct builder *builder, struct text text);
void builder_add_char(struct builder *builder, char c);
void builder_add_int64(struct builder *builder, int64_t value);
/* As a value of application/x-www-form-urlencoded: only RFC 3986's unreserved characters stand for
 * themselves. */
void builder_add_encoded(struct builder *builder, struct text value);
/* NUL-terminated view of what was built; absent when the arena overflowed. */
struct text builder_text(struct builder *builder);

#endif
