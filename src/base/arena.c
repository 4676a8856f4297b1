#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ALIGNMENT _Alignof(max_align_t)
#define FIRST_CHUNK_BYTES ((size_t)4096)
#define LARGEST_CHUNK_BYTES ((size_t)65536)

/* Under AddressSanitizer every allocation gets a chunk of its own, so that writing past its end is noticed.
 */
#if defined(__SANITIZE_ADDRESS__)
#define EXACT_CHUNKS true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT_CHUNKS true
#endif
#endif
#ifndef EXACT_CHUNKS
#define EXACT_CHUNKS false
#endif

struct arena_chunk {
    struct arena_chunk *older;
    size_t bytes;
    _Alignas(max_align_t) char room[];
};

void arena_init(struct arena *arena, size_t cap_bytes)
{
    *arena = (struct arena){.cap_bytes = cap_bytes};
}

/* Frees chunks, the newest first, down to but without the given one. */
static void free_down_to(struct arena *arena, const struct arena_chunk *last)
{
    while (arena->chunks != last) {
        struct arena_chunk *older = arena->chunks->older;
        arena->total_bytes -= arena->chunks->bytes;
        free(arena->chunks);
        arena->chunks = older;
    }
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *first = arena->chunks;

    while (first && first->older)
        first = first->older;
    /* A first chunk made for one unusually large allocation is not worth keeping. */
    if (first && (EXACT_CHUNKS || first->bytes > LARGEST_CHUNK_BYTES))
        first = NULL;
    free_down_to(arena, first);
    arena->used_bytes = 0;
    arena->overflowed = false;
}

void arena_free(struct arena *arena)
{
    free_down_to(arena, NULL);
    arena->used_bytes = 0;
}

bool arena_overflowed(const struct arena *arena)
{
    return arena->overflowed;
}

void arena_fail(struct arena *arena)
{
    arena->overflowed = true;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The size of a new chunk that has room for need_bytes; 0 when the cap forbids it. Chunks double up to a
 * limit. */
static size_t chunk_size(const struct arena *arena, size_t need_bytes)
{
    size_t left_bytes = arena->cap_bytes - arena->total_bytes;
    size_t bytes = arena->chunks ? smaller(2 * arena->chunks->bytes, LARGEST_CHUNK_BYTES) : FIRST_CHUNK_BYTES;

    if (need_bytes > left_bytes)
        return 0;
    if (EXACT_CHUNKS || need_bytes > bytes)
        bytes = need_bytes;
    return smaller(bytes, left_bytes);
}

static bool add_chunk(struct arena *arena, size_t need_bytes)
{
    size_t bytes = chunk_size(arena, need_bytes);
    struct arena_chunk *chunk = bytes == 0 ? NULL : malloc(sizeof *chunk + bytes);

    if (!chunk) {
        arena->overflowed = true;
        return false;
    }
    chunk->older = arena->chunks;
    chunk->bytes = bytes;
    arena->chunks = chunk;
    arena->total_bytes += bytes;
    arena->used_bytes = 0;
    return true;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t start = (arena->used_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    if (arena->overflowed)
        return NULL;
    if (bytes == 0)
        bytes = 1; /* every allocation has an address of its own */
    if (EXACT_CHUNKS || !arena->chunks || start > arena->chunks->bytes ||
        bytes > arena->chunks->bytes - start) {
        if (!add_chunk(arena, bytes))
            return NULL;
        start = 0;
    }
    arena->used_bytes = start + bytes;
    return arena->chunks->room + start;
}

void *arena_zalloc(struct arena *arena, size_t bytes)
{
    void *at = arena_alloc(arena, bytes);

    return at ? memset(at, 0, bytes) : NULL;
}

struct text arena_copy(struct arena *arena, struct text text)
{
    char *at;

    if (!text.at)
        return TEXT_NONE;
    at = arena_alloc(arena, text.length + 1);
    if (!at)
        return TEXT_NONE;
    memcpy(at, text.at, text.length);
    at[text.length] = '\0';
    return (struct text){at, text.length};
}

struct text arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    char *at, most[512];
    int length;

    va_start(arguments, format);
    va_copy(again, arguments);
    length = vsnprintf(most, sizeof most, format, arguments);
    va_end(arguments);
    CHECK(length >= 0);
    at = arena_alloc(arena, (size_t)length + 1);
    if (at && (size_t)length < sizeof most)
        memcpy(at, most, (size_t)length + 1);
    else if (at)
        vsnprintf(at, (size_t)length + 1, format, again);
    va_end(again);
    return at ? (struct text){at, (size_t)length} : TEXT_NONE;
}

/* Makes the arena's latest allocation longer without moving it, where its chunk has room. */
static bool grow_in_place(struct arena *arena, const char *at, size_t old_bytes, size_t new_bytes)
{
    struct arena_chunk *chunk = arena->chunks;

    if (!chunk || at + old_bytes != chunk->room + arena->used_bytes ||
        new_bytes - old_bytes > chunk->bytes - arena->used_bytes)
        return false;
    arena->used_bytes += new_bytes - old_bytes;
    return true;
}

/* Room for more_bytes and a NUL behind. */
static bool builder_room(struct builder *builder, size_t more_bytes)
{
    size_t need_bytes = builder->length + more_bytes + 1;
    size_t room_bytes = 2 * builder->room_bytes > need_bytes ? 2 * builder->room_bytes : need_bytes;
    char *at;

    if (builder->arena->overflowed || need_bytes <= builder->room_bytes)
        return !builder->arena->overflowed;
    if (grow_in_place(builder->arena, builder->at, builder->room_bytes, room_bytes)) {
        builder->room_bytes = room_bytes;
        return true;
    }
    at = arena_alloc(builder->arena, room_bytes);
    if (!at)
        return false;
    memcpy(at, builder->at, builder->length);
    builder->at = at;
    builder->room_bytes = room_bytes;
    return true;
}

void builder_init(struct builder *builder, struct arena *arena, size_t room_bytes)
{
    char *at = arena_alloc(arena, room_bytes > 0 ? room_bytes : 1);

    *builder = (struct builder){.arena = arena, .at = at, .room_bytes = room_bytes > 0 ? room_bytes : 1};
}

void builder_add(struct builder *builder, struct text text)
{
    if (text.length == 0 || !builder_room(builder, text.length))
        return;
    memcpy(builder->at + builder->length, text.at, text.length);
    builder->length += text.length;
}

void builder_add_char(struct builder *builder, char c)
{
    builder_add(builder, (struct text){&c, 1});
}

void builder_add_int64(struct builder *builder, int64_t value)
{
    char digits[TEXT_INT64_BYTES];

    builder_add(builder, text_of_int64(value, digits));
}

/* The characters of RFC 3986 that stand for themselves anywhere. */
static const bool unreserved[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true,
    ['_'] = true,         ['.'] = true,         ['~'] = true,
};

void builder_add_encoded(struct builder *builder, struct text value)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t start = 0; /* of the run that goes as it is */
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (unreserved[c])
            continue;
        builder_add(builder, (struct text){value.at + start, i - start});
        builder_add(builder, (struct text){(const char[]){'%', hex[c >> 4], hex[c & 15]}, 3});
        start = i + 1;
    }
    builder_add(builder, (struct text){value.at + start, value.length - start});
}

struct text builder_text(struct builder *builder)
{
    if (!builder_room(builder, 0))
        return TEXT_NONE;
    builder->at[builder->length] = '\0';
    return (struct text){builder->at, builder->length};
}
