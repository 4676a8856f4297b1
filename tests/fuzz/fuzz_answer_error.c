/* The upstream's refusals and failures, told in either shape. Every answer is an error unless it says
 * otherwise: the status stands in front of each. */
#include "front/json.h"
#include "front/response_of.h"
#include "fuzz.h"
#include "world.h"

#define DRAFT "200\n" WORLD_DRAFT("") "\n%%\n"

static const struct scene scenes[] = {
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .keyed = true},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .cold = true},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .before = DRAFT},
    {.method = "POST", .uri = "/v1/invoices", .body = "customer=cus_1"},
    {.method = "POST", .uri = "/v1/invoices/in_1/send", .body = ""},
    {.method = "POST", .uri = "/v1/invoices/in_1/void", .body = "", .before = "l\n\n%%\n"},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .keyed = true, .before = "l\n\n%%\n"},
    {.method = "GET", .uri = "/v1/invoices/in_1", .before = WORLD_DRAFT("") "\n%%\n"},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .taken = "create", .keyed = true},
};

/* What may be passed on of a refusal is an error again. */
static void pass_on(struct text body)
{
    struct arena arena;
    struct text message = TEXT("The upstream refuses this.");
    struct text told;
    arena_init(&arena, (size_t)16 * 1024 * 1024);
    told = response_of_upstream_error(&arena, SHAPE_STRIPE, 402, body, TEXT("acct_1"), &message);
    CHECK(told.at && json_is_valid(told, 64) && message.at);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text input = {(const char *)data, size};
    if (size > 0)
        pass_on(text_skip(input, 1));
    world_play_one_of(scenes, sizeof(scenes) / sizeof(scenes[0]), input);
    return 0;
}
