// An application/x-www-form-urlencoded text, decoded in place, and the tables of what an endpoint takes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/check.h"

enum param_type {
    PARAM_TEXT,     // up to `most` characters; empty unsets
    PARAM_ID,       // not empty
    PARAM_INT,      // between least and most
    PARAM_BOOL,     // true or false
    PARAM_ENUM,     // one of choices
    PARAM_CURRENCY, // three letters
    PARAM_DECIMAL,  // up to six decimals
    PARAM_METADATA, // metadata[key]; a whole `metadata` may only be empty
    PARAM_ANY,      // taken and not looked at
};

enum dialect { DIALECT_BOTH, DIALECT_NEW, DIALECT_OLD }; // new: Stripe-Version from 2025-03-31

// In a name # stands for a number or nothing, * for any text without a bracket.
struct param {
    const char *name;
    enum param_type type;
    bool required;
    enum dialect dialect;
    const char *choices; // "a|b"
    int64_t least;
    int64_t most;
};

struct field {
    char *name;
    char *value;
    const struct param *param; // set once it is known to be valid
    int64_t index;             // what # stood for; -1 when nothing
};

struct form {
    struct field *fields; // owned; form_free gives it back
    size_t count;
    size_t capacity;
};

enum form_result { FORM_OK, FORM_TOO_MANY, FORM_NOT_TEXT };

// Adds the fields of a NUL-terminated text that has to outlive the form. On FORM_NOT_TEXT the last field is
// the bad one.
enum form_result form_parse(struct form *form, char *text, size_t len) MUST_CHECK;

// Decodes %XX (and + when asked) in place and answers the new length.
size_t percent_decode(char *text, size_t len, bool plus);

void form_clear(struct form *form);
void form_free(struct form *form);

// Does the name fit the pattern? Sets index to what # stood for.
bool param_matches(const char *pattern, const char *name, int64_t *index);

// The last field of that exact name; NULL when there is none.
const struct field *form_field(const struct form *form, const char *name);

// The value; NULL when the field is absent or empty.
const char *form_text(const struct form *form, const char *name);
bool form_has(const struct form *form, const char *name);
int64_t form_int(const struct form *form, const char *name, int64_t otherwise);
bool form_bool(const struct form *form, const char *name, bool otherwise);

// False when it is not a whole decimal number of at most 18 digits.
bool parse_int(const char *text, int64_t *value) MUST_CHECK;
