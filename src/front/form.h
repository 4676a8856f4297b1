/* Forms from strangers: application/x-www-form-urlencoded with brackets for nesting.
 *
 * Refused here: broken percent escapes, the character U+0000, invalid UTF-8, control characters in names,
 * names without a name or with brackets out of place, more than 5 levels of brackets, names of more than 200
 * bytes, more than 500 parameters, a parameter that is given twice (lists aside), or both as a value and as a
 * dictionary. Pure but for the arena. */
#ifndef INVOICEGATE_FRONT_FORM_H
#define INVOICEGATE_FRONT_FORM_H

#include <stdbool.h>

#include "base/arena.h"

#define FORM_PAIRS_MAX 500
#define FORM_BRACKETS_MAX 5
#define FORM_NAME_MAX_BYTES 200

struct form_pair {
    struct text name;         /* decoded, with its brackets */
    const struct text *parts; /* of "a[b][]": "a", "b" and "", which stands for one more element of a list */
    size_t parts_count;       /* at least 1; the first part is never empty */
    struct text value;
};

/* The parameters in the order in which they came. All memory is the arena's; values may be replaced. */
struct form {
    struct form_pair *pairs;
    size_t count;
};

struct form_error {
    struct text param;   /* absent where it has no name that could be told */
    struct text message; /* one clear sentence */
};

/* False when the form is malformed, or when the arena overflowed. */
MUST_CHECK bool form_read(struct arena *arena, struct text body, struct form *form, struct form_error *error);

/* Writes the form in its one spelling, the order kept: brackets as they are, all bytes but letters, digits
 * and
 * "-._~" as percent escapes. */
void form_write(const struct form *form, struct builder *out);

/* The pairs by their names, whatever the order in which they came; only elements of one list keep theirs.
 * NULL when the arena overflowed or the form is empty. */
const struct form_pair **form_sorted(struct arena *arena, const struct form *form);

#endif
