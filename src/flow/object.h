/* Reading what the upstream sends, which is as little trusted as what a client sends. Values are found by
 * path
 * ("pricing.price_details.price"); a value of another type, with a NUL or with broken UTF-8 inside counts as
 * absent. */
#ifndef INVOICEGATE_FLOW_OBJECT_H
#define INVOICEGATE_FLOW_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

struct json_object;

/* The caller frees it with object_free(); NULL when the bytes are no JSON object. Texts read from it live as
 * long. */
struct json_object *object_read(struct text body) MUST_CHECK;
void object_free(struct json_object *object);

struct json_object *object_at(struct json_object *object, const char *path);
struct text object_text(struct json_object *object, const char *path);
MUST_CHECK bool object_int64(struct json_object *object, const char *path, int64_t *value);
bool object_true(struct json_object *object, const char *path);
bool object_is_array(struct json_object *object, const char *path);
/* Elements of the array at path; 0 when there is none. */
size_t object_count(struct json_object *object, const char *path);
struct json_object *object_element(struct json_object *object, const char *path, size_t index);

/* An id that may go into paths and tables: [A-Za-z0-9_-], 1 to 255 bytes. */
bool object_id_valid(struct text id);

#endif
