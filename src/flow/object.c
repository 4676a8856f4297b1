#include "flow/object.h"

#include <json-c/json.h>
#include <string.h>

#include "base/utf8.h"

#define DEPTH_MAX 32

struct json_object *object_read(struct text body)
{
    struct json_tokener *tokener;
    struct json_object *object;
    /* json-c would take a NUL for the end and pass over what follows. */
    if (body.length == 0 || body.length > INT32_MAX || memchr(body.at, '\0', body.length))
        return NULL;
    tokener = json_tokener_new_ex(DEPTH_MAX);
    if (!tokener)
        return NULL;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    object = json_tokener_parse_ex(tokener, body.at, (int)body.length);
    if (object && (json_tokener_get_error(tokener) != json_tokener_success ||
                   !json_object_is_type(object, json_type_object))) {
        json_object_put(object);
        object = NULL;
    }
    json_tokener_free(tokener);
    return object;
}

void object_free(struct json_object *object)
{
    json_object_put(object);
}

struct json_object *object_at(struct json_object *object, const char *path)
{
    while (object && *path) {
        char name[64];
        size_t length = strcspn(path, ".");
        struct json_object *child = NULL;
        CHECK(length < sizeof(name)); /* paths are literals */
        memcpy(name, path, length);
        name[length] = '\0';
        if (!json_object_is_type(object, json_type_object) ||
            !json_object_object_get_ex(object, name, &child))
            return NULL;
        object = child;
        path += length + (path[length] == '.');
    }
    return object;
}

struct text object_text(struct json_object *object, const char *path)
{
    struct json_object *value = object_at(object, path);
    struct text text;
    if (!value || !json_object_is_type(value, json_type_string))
        return TEXT_NONE;
    text = (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    if (memchr(text.at, '\0', text.length) || !utf8_valid(text))
        return TEXT_NONE;
    return text;
}

/* json-c clamps silently: the ends of the range are not believed. */
bool object_int64(struct json_object *object, const char *path, int64_t *value)
{
    struct json_object *number = object_at(object, path);
    if (!number || !json_object_is_type(number, json_type_int))
        return false;
    *value = json_object_get_int64(number);
    return *value != INT64_MAX && *value != INT64_MIN;
}

bool object_true(struct json_object *object, const char *path)
{
    struct json_object *value = object_at(object, path);
    return value && json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

bool object_is_array(struct json_object *object, const char *path)
{
    struct json_object *value = object_at(object, path);
    return value && json_object_is_type(value, json_type_array);
}

size_t object_count(struct json_object *object, const char *path)
{
    return object_is_array(object, path) ? json_object_array_length(object_at(object, path)) : 0;
}

struct json_object *object_element(struct json_object *object, const char *path, size_t index)
{
    return index < object_count(object, path) ? json_object_array_get_idx(object_at(object, path), index)
                                              : NULL;
}

bool object_id_valid(struct text id)
{
    if (!id.at || id.length == 0 || id.length > 255)
        return false;
    for (size_t i = 0; i < id.length; i++) {
        char c = id.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '-'))
            return false;
    }
    return true;
}
