/* The body of a call of the upstream's own interface. The first byte chooses route and rules. */
#include <stdlib.h>

#include "fuzz.h"

static const struct text addresses[] = {
    {"/v1/invoices", 12},           {"/v1/invoices/in_1", 17},      {"/v1/invoices/in_1/finalize", 26},
    {"/v1/invoices/in_1/send", 22}, {"/v1/invoices/in_1/void", 22}, {"/v1/invoiceitems", 16},
};
#define ADDRESSES (sizeof(addresses) / sizeof(addresses[0]))

static const struct request_rules rules[] = {
    {.pass_through = true},
    {.pass_through = false},
    {.pass_through = true, .pass_through_money = true},
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request http = {
        .method = TEXT("POST"),
        .content_type = TEXT("application/x-www-form-urlencoded"),
        .authorization = TEXT("Bearer " FUZZ_KEY),
        .idempotency_key = TEXT("key, 1"),
        .stripe_version = TEXT("2025-03-31.basil"),
    };
    if (size == 0)
        return 0;
    http.uri = addresses[data[0] % ADDRESSES];
    http.body = fuzz_exact((struct text){(const char *)data + 1, size - 1});
    fuzz_request(&rules[data[0] / ADDRESSES % RULES], &http);
    free((void *)(uintptr_t)http.body.at);
    return 0;
}
