#include "reading.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (64 * 1024 * 1024)

struct reading {
    struct tokens tokens; /* first: objects point to it */
    struct arena arena;
    char *body;
};

static void forget(struct reading *reading)
{
    arena_free(&reading->arena);
    free(reading->body);
    free(reading);
}

struct object reading_of(struct text body)
{
    struct reading *reading = calloc(1, sizeof(*reading));
    struct object object;
    CHECK(reading);
    arena_init(&reading->arena, ARENA_BYTES);
    if (body.length <= ARENA_BYTES) {
        reading->body = malloc(body.length ? body.length : 1);
        CHECK(reading->body);
        if (body.length)
            memcpy(reading->body, body.at, body.length);
        body.at = body.at ? reading->body : NULL;
    }
    object = object_read(&reading->tokens, &reading->arena, body);
    if (!object_exists(object))
        forget(reading);
    return object;
}

void reading_free(struct object object)
{
    if (object_exists(object))
        forget((struct reading *)(void *)object.tokens);
}
