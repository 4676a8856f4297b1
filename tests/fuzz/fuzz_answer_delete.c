/* The deletion of a draft that must not stand, whatever the upstream says to it. */
#include "fuzz.h"
#include "world.h"

#define DRAFT "200\n" WORLD_DRAFT("") "\n%%\n"
#define REFUSED "400\n{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"No.\"}}\n%%\n"

static const struct scene scenes[] = {
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .before = DRAFT REFUSED},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .keyed = true, .before = DRAFT REFUSED},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .before = DRAFT "lc\n\n%%\n"},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .taken = "delete"},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .taken = "delete", .old = true, .keyed = true},
    {.method = "POST", .uri = "/v1/invoices", .body = "customer=cus_1", .taken = "delete"},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world_play_one_of(scenes, sizeof(scenes) / sizeof(scenes[0]), (struct text){(const char *)data, size});
    return 0;
}
