/* JSON from strangers: json-c with the holes closed that it leaves open.
 *
 * Refused here, before or after json-c has parsed: anything that RFC 8259 does not allow (NaN, Infinity,
 * single quotes, raw control characters, "1.", comments, trailing text or commas, a byte order mark), invalid
 * UTF-8, half surrogate pairs, the character U+0000 in any string or member name, duplicate members, numbers
 * beyond a double, more than 16 levels. */
#ifndef INVOICEGATE_FRONT_JSON_H
#define INVOICEGATE_FRONT_JSON_H

#include <json-c/json_object.h>
#include <stdbool.h>

#include "base/arena.h"

/* The parsed value (the caller puts it), or NULL with *why set to one clear sentence, which may be in the
 * arena. Where memory is out the arena has overflowed, also where json-c found none. */
MUST_CHECK struct json_object *json_read(struct arena *arena, struct text body, struct text *why);

/* Whether the text is one JSON value of at most so many levels, by the same grammar; duplicate members,
 * the size of numbers and U+0000 are not looked at. */
bool json_is_valid(struct text text, int max_levels);

/* Appends "text" with its quotes, escaped as RFC 8259 wants it; the text must be valid UTF-8. */
void json_write_string(struct builder *out, struct text text);

#endif
