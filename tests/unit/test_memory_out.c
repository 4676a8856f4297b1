/* Each allocation of the gateway fails once, and then all of them from there on: whatever was made upstream
 * must not be forgotten, nothing may abort or leak, and what is told must be true. The stand-ins in
 * tests/fuzz/world.c check that; this file only fails the allocations. */
#include "unit.h"

#include <stdlib.h>

#include "../fuzz/world.h"

#define ALLOCATIONS_MAX 3000

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static struct {
    bool inside;
    bool for_good; /* not only one, but all from there on */
    int until;     /* so many go well */
    int seen;
} trouble;

static bool fails(void)
{
    if (!trouble.inside)
        return false;
    trouble.seen++;
    return trouble.for_good ? trouble.seen > trouble.until : trouble.seen == trouble.until + 1;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

#define OK "200\n"
#define NEXT "\n%%\n"
#define PRICE                                                                                                \
    "{\"id\":\"price_1\",\"active\":true,\"type\":\"one_time\",\"currency\":\"usd\",\"unit_amount\":10000}"
#define PRODUCT "{\"id\":\"prod_1\",\"active\":true,\"name\":\"Work\",\"default_price\":" PRICE "}"
#define LISTED "{\"id\":\"prod_1\",\"active\":true,\"name\":\"Work\",\"default_price\":null}"
#define CUSTOMER "{\"id\":\"cus_1\",\"object\":\"customer\"}"
#define LIST(...) "{\"object\":\"list\",\"has_more\":false,\"data\":[" __VA_ARGS__ "]}"
#define PAGE "{\"object\":\"list\",\"has_more\":true,\"data\":[{\"id\":\"in_9\"}]}"
#define OPEN                                                                                                 \
    "{\"id\":\"in_1\",\"object\":\"invoice\",\"status\":\"open\",\"total\":10000,\"created\":1795298020}"
#define GONE                                                                                                 \
    "400\n{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"resource_missing\",\"param\":"           \
    "\"customer\","                                                                                          \
    "\"message\":\"No such customer\"}}"
#define REFUSED "402\n{\"error\":{\"type\":\"card_error\",\"message\":\"No.\"}}"
#define DELETED "{\"id\":\"in_1\",\"object\":\"invoice\",\"deleted\":true}"
#define MADE OK WORLD_DRAFT("") NEXT OK WORLD_DRAFT(WORLD_LINE)
#define LOST "500n\n{}" NEXT
#define JSON .method = "POST", .uri = WORLD_JSON, .body = WORLD_BODY
#define FORM(path, form) .method = "POST", .uri = path, .body = form

static const struct play {
    struct scene scene;
    const char *answers;
} plays[] = {
    {{JSON, .keyed = true}, MADE},
    {{JSON}, MADE},
    {{JSON, .auto_advance = true}, MADE NEXT OK WORLD_DRAFT(WORLD_LINE)},
    {{JSON, .cold = true}, OK PRODUCT NEXT OK CUSTOMER NEXT MADE},
    {{JSON, .cold = true}, OK LISTED NEXT OK LIST(PRICE) NEXT OK CUSTOMER NEXT MADE},
    {{JSON}, GONE NEXT OK CUSTOMER NEXT MADE},
    {{JSON}, REFUSED},
    {{JSON}, OK WORLD_DRAFT("") NEXT REFUSED NEXT OK DELETED},
    {{JSON}, OK WORLD_DRAFT("") NEXT REFUSED NEXT REFUSED NEXT OK WORLD_DRAFT("") NEXT OK DELETED},
    {{JSON}, LOST OK LIST(WORLD_DRAFT(WORLD_LINE))},
    {{JSON, .keyed = true}, LOST OK LIST(WORLD_DRAFT("")) NEXT OK WORLD_DRAFT(WORLD_LINE)},
    {{JSON}, LOST OK LIST() NEXT OK LIST()},
    {{JSON, .keyed = true}, LOST OK PAGE NEXT OK PAGE NEXT OK PAGE NEXT OK LIST(WORLD_DRAFT(WORLD_LINE))},
    {{JSON}, "l\n" NEXT "200d\n" WORLD_DRAFT("") NEXT OK DELETED},
    {{JSON, .taken = "create", .keyed = true}, OK WORLD_DRAFT(WORLD_LINE)},
    {{JSON, .taken = "create", .taken_without = true, .keyed = true}, MADE},
    {{JSON, .taken = "create", .taken_without = true, .cold = true}, OK PRODUCT NEXT OK CUSTOMER NEXT MADE},
    {{JSON, .taken = "create", .old = true}, OK LIST(WORLD_DRAFT(WORLD_LINE)) NEXT OK DELETED},
    {{JSON, .taken = "delete"}, OK DELETED},
    {{JSON, .taken = "advance", .keyed = true}, OK WORLD_DRAFT(WORLD_LINE)},
    {{FORM("/v1/invoices", "customer=cus_1&metadata[a]=1"), .keyed = true}, OK WORLD_DRAFT("")},
    {{FORM("/v1/invoices", "customer=cus_1")}, REFUSED},
    {{FORM("/v1/invoices", "customer=cus_1")}, LOST OK LIST(WORLD_DRAFT(""))},
    {{FORM("/v1/invoices", "customer=cus_1"), .taken = "create", .old = true}, OK LIST(WORLD_DRAFT(""))},
    {{FORM("/v1/invoices/in_1/finalize", "")}, OK WORLD_DRAFT(WORLD_LINE)},
    {{FORM("/v1/invoices/in_1/void", "")}, LOST OK WORLD_DRAFT(WORLD_LINE)},
    {{FORM("/v1/invoices/in_1/send", ""), .keyed = true}, LOST OK OPEN},
    {{FORM("/v1/invoiceitems", "customer=cus_1&amount=5")},
     LOST OK PAGE NEXT OK PAGE NEXT OK LIST("{\"id\":\"ii_1\",\"object\":\"invoiceitem\","
                                            "\"metadata\":{\"invoicegate_request\":\"" WORLD_REQUEST "\"}}")},
    {{FORM("/v1/invoiceitems", "customer=cus_1&amount=5"), .keyed = true},
     OK "{\"id\":\"ii_1\",\"object\":\"invoiceitem\"}"},
    {{.method = "GET", .uri = "/v1/invoices/in_1"}, WORLD_DRAFT("") NEXT OK WORLD_DRAFT(WORLD_LINE)},
    {{.method = "GET", .uri = WORLD_JSON "/in_1"}, WORLD_DRAFT("") NEXT OK WORLD_DRAFT(WORLD_LINE)},
    {{.method = "GET", .uri = "/v1/invoices/in_1?expand[]=customer"},
     WORLD_DRAFT("") NEXT OK WORLD_DRAFT("")},
    {{.method = "GET", .uri = "/v1/invoices"}, WORLD_DRAFT("")},
    {{.method = "GET", .uri = WORLD_JSON}, WORLD_DRAFT("")},
    {{.method = "GET", .uri = "/nowhere"}, ""},
};

/* False once the play has fewer allocations than shall go well. */
static bool play(const struct play *play, int until, bool for_good)
{
    struct scene scene = play->scene;
    scene.inside = &trouble.inside;
    trouble.inside = false;
    trouble.for_good = for_good;
    trouble.until = until;
    trouble.seen = 0;
    world_play(&scene, text_from(play->answers));
    return trouble.seen > until;
}

static void play_all(bool for_good)
{
    for (size_t i = 0; i < COUNT_OF(plays); i++) {
        int until = 0;
        fprintf(stderr, "play %zu%s\n", i, for_good ? ", for good" : "");
        while (until < ALLOCATIONS_MAX && play(&plays[i], until, for_good))
            until++;
        assert_in_range(until, 1, ALLOCATIONS_MAX - 1);
    }
}

static void an_allocation_fails(void **state)
{
    (void)state;
    play_all(false);
}

static void all_allocations_fail_from_one_on(void **state)
{
    (void)state;
    play_all(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocation_fails),
        cmocka_unit_test(all_allocations_fail_from_one_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
