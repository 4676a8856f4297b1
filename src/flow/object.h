/* Reading what the upstream sends, which is as little trusted as what a client sends. Values are found by
 * path
 * ("pricing.price_details.price"); a value of another type, null, with a NUL
 * or with broken UTF-8 inside counts as absent. */
#ifndef INVOICEGATE_FLOW_OBJECT_H
#define INVOICEGATE_FLOW_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/tokens.h"

/* A value inside a text that was read; tokens is NULL where there is none. Passed by value, valid as long as
 * the tokens and the text they point into. */
struct object {
    const struct tokens *tokens;
    uint32_t index;
};

#define OBJECT_NONE ((struct object){NULL, 0})

/* None when the bytes are no JSON object. tokens and arena hold what is read. */
struct object object_read(struct tokens *tokens, struct arena *arena, struct text body);
bool object_exists(struct object object);

struct object object_at(struct object object, const char *path);
struct text object_text(struct object object, const char *path);
/* The same, absent when it is longer than anybody's word should be. */
struct text object_text_within(struct object object, const char *path, size_t max_bytes);
MUST_CHECK bool object_int64(struct object object, const char *path, int64_t *value);
bool object_true(struct object object, const char *path);
bool object_is_array(struct object object, const char *path);
/* Whether it is the upstream's own way to say no: an object with a member error. */
bool object_is_error(struct object object);
/* Such an error that says that something is not there; error.param may tell what. */
bool object_is_missing_error(struct object object);
/* Elements of the array at path; 0 when there is none. */
size_t object_count(struct object object, const char *path);
struct object object_element(struct object object, const char *path, size_t index);
/* Its bytes as the upstream sent them. */
struct text object_bytes(struct object object);

#endif
