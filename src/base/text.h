/* A view of bytes that somebody else owns. Not NUL-terminated; may hold NUL. */
#ifndef INVOICEGATE_BASE_TEXT_H
#define INVOICEGATE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"

struct text {
    const char *at; /* NULL means absent, which differs from empty */
    size_t length;
};

#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})
#define TEXT_NONE ((struct text){NULL, 0})

static inline struct text text_from(const char *string)
{
    return string ? (struct text){string, strlen(string)} : TEXT_NONE;
}

static inline bool text_is(struct text a, struct text b)
{
    return a.length == b.length && (a.length == 0 || (a.at && b.at && memcmp(a.at, b.at, a.length) == 0));
}

/* What follows the first bytes, of which there must be so many. */
static inline struct text text_skip(struct text text, size_t bytes)
{
    return bytes == 0 ? text : (struct text){text.at + bytes, text.length - bytes};
}

/* ASCII only, whatever the locale. */
bool text_is_nocase(struct text a, struct text b);
bool text_starts(struct text whole, struct text start);
/* 1 to 255 letters, digits, - and _: what accounts and ids are made of, in paths, answers and tables. */
bool text_is_id(struct text text);

/* A plain decimal integer, optional minus, nothing else around it. False when it is none or does not fit. */
MUST_CHECK bool text_to_int64(struct text digits, int64_t *value);

#define TEXT_INT64_BYTES 20

/* A number in decimal, written into room. */
struct text text_of_int64(int64_t value, char room[TEXT_INT64_BYTES]);

#endif
