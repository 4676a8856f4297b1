/* The upstream's lists: a product's prices, and what a look-up finds. */
#include "fuzz.h"
#include "world.h"

#define PRODUCT "200\n{\"id\":\"prod_1\",\"active\":true,\"name\":\"Work\"}\n%%\n"
#define LOST "500n\n{}\n%%\n"

static const struct scene scenes[] = {
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .cold = true, .before = PRODUCT},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .keyed = true, .before = LOST},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .before = LOST},
    {.method = "POST",
     .uri = WORLD_JSON,
     .body = WORLD_BODY,
     .before = "200\n" WORLD_DRAFT("") "\n%%\n" LOST},
    {.method = "POST", .uri = "/v1/invoices", .body = "customer=cus_1", .keyed = true, .before = LOST},
    {.method = "POST", .uri = "/v1/invoiceitems", .body = "customer=cus_1&amount=5", .before = LOST},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .taken = "create", .old = true},
    {.method = "POST",
     .uri = WORLD_JSON,
     .body = WORLD_BODY,
     .taken = "create",
     .taken_without = true,
     .old = true,
     .keyed = true},
    {.method = "POST", .uri = "/v1/invoices", .body = "customer=cus_1", .taken = "create", .old = true},
    {.method = "GET", .uri = "/v1/invoices?limit=3"},
    {.method = "GET", .uri = WORLD_JSON},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world_play_one_of(scenes, sizeof(scenes) / sizeof(scenes[0]), (struct text){(const char *)data, size});
    return 0;
}
