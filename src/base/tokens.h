/* A JSON text as tokens that point into it: one pass, no allocation a value, nothing copied.
 *
 * The text must be what RFC 8259 calls JSON, whole and alone: anything else is refused. What strings hold is
 * not looked at (tokens_string() does when one is wanted). Members that are named twice are both there;
 * looking up finds the last. */
#ifndef INVOICEGATE_BASE_TOKENS_H
#define INVOICEGATE_BASE_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

enum token_type {
    TOKEN_OBJECT,
    TOKEN_ARRAY,
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_TRUE,
    TOKEN_FALSE,
    TOKEN_NULL
};

/* Children follow their parent. In an object names (strings) and values take turns. */
struct token {
    uint32_t start; /* in the text; of a string: behind its quote */
    uint32_t end;   /* one behind; of a string: its closing quote */
    uint32_t next;  /* the token behind this one and all its children; of a name in the whole text's object:
                       the  one before it at the same place */
    uint8_t type;
    bool escaped; /* a string with a backslash in it */
};

#define TOKENS_PLACES 64

struct tokens {
    struct text text;
    struct token *at;
    uint32_t count;
    uint32_t room;
    struct arena *arena;
    uint32_t named[TOKENS_PLACES]; /* the last name at each place, in the whole text's object; 0: none */
};

#define TOKENS_DEPTH_MAX 32

/* False when the text is no JSON, too deep or too large, or memory is out. The text must outlive the tokens.
 */
MUST_CHECK bool tokens_read(struct tokens *tokens, struct arena *arena, struct text text);

/* The value of the named member of the object at token index; 0 when there is none (0 is the whole text). */
uint32_t tokens_member(const struct tokens *tokens, uint32_t object, struct text name);
/* The decoded string: a view, or, if it has escapes, a copy in the arena. Absent when it is no string, holds
 * a NUL or broken UTF-8, or memory is out. */
struct text tokens_string(const struct tokens *tokens, uint32_t index);
/* The bytes of any value as they stand in the text. */
struct text tokens_bytes(const struct tokens *tokens, uint32_t index);

#endif
