/* The upstream's objects: products, customers, invoices and what came of acts on them. */
#include "fuzz.h"
#include "world.h"

#define FORM "customer=cus_1&description=work"

static const struct scene scenes[] = {
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .keyed = true},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .cold = true},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .auto_advance = true},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .before = "200\n" WORLD_DRAFT("") "\n%%\n"},
    {.method = "POST",
     .uri = WORLD_JSON,
     .body = WORLD_BODY,
     .auto_advance = true,
     .before = "200\n" WORLD_DRAFT("") "\n%%\n200\n" WORLD_DRAFT(WORLD_LINE) "\n%%\n"},
    {.method = "POST", .uri = "/v1/invoices", .body = FORM, .keyed = true},
    {.method = "POST", .uri = "/v1/invoices/in_1/finalize", .body = "auto_advance=false"},
    {.method = "POST", .uri = "/v1/invoices/in_1/void", .body = "", .keyed = true},
    {.method = "POST", .uri = "/v1/invoices/in_1", .body = "description=x"},
    {.method = "POST", .uri = "/v1/invoiceitems", .body = "customer=cus_1&amount=5&currency=usd"},
    {.method = "GET", .uri = "/v1/invoices/in_1"},
    {.method = "GET", .uri = WORLD_JSON "/in_1"},
    {.method = "GET", .uri = "/v1/invoices/in_1?expand[]=customer"},
    {.method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY, .taken = "advance", .keyed = true},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world_play_one_of(scenes, sizeof(scenes) / sizeof(scenes[0]), (struct text){(const char *)data, size});
    return 0;
}
