/* The body of a call of the plain interface. */
#include <json-c/json.h>
#include <stdlib.h>

#include "front/json.h"
#include "fuzz.h"

#define LEVELS_MAX 16

/* What is read must be JSON by the other reader, too. */
static void read_alone(struct text body)
{
    struct arena arena;
    struct text why;
    struct json_object *object;
    arena_init(&arena, (size_t)8 * 1024 * 1024);
    object = json_read(&arena, body, &why);
    CHECK(object ? json_is_valid(body, LEVELS_MAX) : why.at || text_is(body, TEXT("null")));
    json_object_put(object);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text body = fuzz_exact((struct text){(const char *)data, size});
    struct http_request http = {
        .method = TEXT("POST"),
        .uri = TEXT("/v1/public/stripe/connect/accounts/acct_1/invoices"),
        .content_type = TEXT("application/json"),
        .authorization = TEXT(FUZZ_KEY),
        .body = body,
    };
    read_alone(body);
    fuzz_request(&REQUEST_RULES_DEFAULT, &http);
    free((void *)(uintptr_t)body.at);
    return 0;
}
