#include "flow/object.h"

#include <string.h>

struct object object_read(struct tokens *tokens, struct arena *arena, struct text body)
{
    if (!tokens_read(tokens, arena, body) || tokens->at[0].type != TOKEN_OBJECT)
        return OBJECT_NONE;
    return (struct object){tokens, 0};
}

bool object_exists(struct object object)
{
    return object.tokens != NULL;
}

static enum token_type type_of(struct object object)
{
    return (enum token_type)object.tokens->at[object.index].type;
}

static bool is(struct object object, enum token_type type)
{
    return object_exists(object) && type_of(object) == type;
}

/* The JSON value null is no value. */
static struct object or_none(struct object object)
{
    return is(object, TOKEN_NULL) ? OBJECT_NONE : object;
}

struct object object_at(struct object object, const char *path)
{
    while (object_exists(object) && *path) {
        size_t length = strcspn(path, ".");
        object.index = tokens_member(object.tokens, object.index, (struct text){path, length});
        if (object.index == 0)
            return OBJECT_NONE;
        path += length + (path[length] == '.');
    }
    return or_none(object);
}

struct text object_text(struct object object, const char *path)
{
    struct object value = object_at(object, path);
    return is(value, TOKEN_STRING) ? tokens_string(value.tokens, value.index) : TEXT_NONE;
}

struct text object_text_within(struct object object, const char *path, size_t max_bytes)
{
    struct text text = object_text(object, path);
    return text.length <= max_bytes ? text : TEXT_NONE;
}

bool object_int64(struct object object, const char *path, int64_t *value)
{
    struct object number = object_at(object, path);
    return is(number, TOKEN_NUMBER) && text_to_int64(object_bytes(number), value);
}

bool object_true(struct object object, const char *path)
{
    return is(object_at(object, path), TOKEN_TRUE);
}

bool object_is_error(struct object object)
{
    return is(object_at(object, "error"), TOKEN_OBJECT);
}

bool object_is_missing_error(struct object object)
{
    return text_is(object_text(object, "error.code"), TEXT("resource_missing"));
}

bool object_is_array(struct object object, const char *path)
{
    return is(object_at(object, path), TOKEN_ARRAY);
}

/* The element behind this one. */
static uint32_t behind(struct object object, uint32_t index)
{
    return object.tokens->at[index].next;
}

size_t object_count(struct object object, const char *path)
{
    struct object array = object_at(object, path);
    size_t count = 0;
    if (!is(array, TOKEN_ARRAY))
        return 0;
    for (uint32_t i = array.index + 1; i < behind(array, array.index); i = behind(array, i))
        count++;
    return count;
}

struct object object_element(struct object object, const char *path, size_t index)
{
    struct object array = object_at(object, path);
    if (!is(array, TOKEN_ARRAY))
        return OBJECT_NONE;
    for (uint32_t i = array.index + 1; i < behind(array, array.index); i = behind(array, i))
        if (index-- == 0)
            return or_none((struct object){array.tokens, i});
    return OBJECT_NONE;
}

struct text object_bytes(struct object object)
{
    return tokens_bytes(object.tokens, object.index);
}
