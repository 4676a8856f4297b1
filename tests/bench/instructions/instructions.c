/* One thing that a worker does for each invoice, done COUNT times on a fixed input: for counting its
 * instructions.
 *
 *     instructions CASE COUNT INVOICE_FILE
 *
 * INVOICE_FILE: an answer of the upstream. Cases: see the table at the end. */
#include <json-c/json.h>
#include <json-c/linkhash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/object.h"
#include "flow/outcome.h"
#include "front/json.h"
#include "front/request.h"
#include "front/response.h"

#define KEY "igk_live_0123456789ABCDEFGHIJabcdefghij47pEPA"
#define PATH "/v1/public/stripe/connect/accounts/acct_demo000000000001/invoices"
#define BODY                                                                                                 \
    "{\"data\":{\"clientId\":\"64abc123def456789012345a\",\"productId\":\"prod_usd_10000\","                 \
    "\"collection_method\":\"send_invoice\",\"days_until_due\":30}}"

static struct text invoice;

static void parse(struct arena *arena)
{
    struct text why;
    struct json_object *value = json_read(arena, TEXT(BODY), &why);
    CHECK(value);
    json_object_put(value);
}

static void validate(struct arena *arena)
{
    static const struct http_request http = {.method = TEXT("POST"),
                                             .uri = TEXT(PATH),
                                             .content_type = TEXT("application/json"),
                                             .authorization = TEXT(KEY),
                                             .body = TEXT(BODY)};
    struct request request;
    CHECK(request_read(&http, TEXT("0123456789abcdef0123456789abcdef"), arena, &request));
    CHECK(request.early.status == 0 && request.body.status == 0);
}

/* Each step, with what came of it in ten ways. */
static void outcome(struct arena *arena)
{
    static const struct facts answers[] = {
        {.transport = TRANSPORT_ANSWERED, .status = 200, .sound = true},
        {.transport = TRANSPORT_ANSWERED, .status = 200},
        {.transport = TRANSPORT_ANSWERED, .status = 400, .spoken = true},
        {.transport = TRANSPORT_ANSWERED, .status = 400, .spoken = true, .idempotency_error = true},
        {.transport = TRANSPORT_ANSWERED, .status = 401, .spoken = true},
        {.transport = TRANSPORT_ANSWERED, .status = 429, .spoken = true},
        {.transport = TRANSPORT_ANSWERED, .status = 500},
        {.transport = TRANSPORT_ANSWERED, .status = 500, .replayed = true},
        {.transport = TRANSPORT_LOST},
        {.transport = TRANSPORT_NOT_SENT},
    };
    int looks = 0;
    (void)arena;
    for (int step = 0; step < STEP_COUNT; step++)
        for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
            looks += outcome_decide((enum step)step, &answers[i], i % 2).look_up;
    CHECK(looks > 0);
}

static void object(struct arena *arena)
{
    static struct tokens tokens;
    struct object read = object_read(&tokens, arena, invoice);
    int64_t total_minor;
    CHECK(object_exists(read) && object_text(read, "id").at && object_text(read, "currency").at);
    CHECK(object_int64(read, "total", &total_minor) && object_count(read, "lines.data") == 1);
}

static void response(struct arena *arena)
{
    static const struct invoice_answer answer = {.id = TEXT("in_1NXYZ2bQUoDmQfLzV00000000"),
                                                 .amount_minor = 10000,
                                                 .currency = TEXT("usd"),
                                                 .status = TEXT("draft"),
                                                 .customer_id = TEXT("cus_OXYZ2bQUoDmQfL"),
                                                 .customer_email = TEXT("customer@example.com"),
                                                 .customer_name = TEXT("John \"Joe\" D\xc3\xb6"),
                                                 .created_s = 1700000000};
    CHECK(response_invoice(arena, &answer).at);
}

/* About what one invoice asks of it. */
static void arena_use(struct arena *arena)
{
    struct builder builder;
    for (size_t i = 1; i <= 32; i++)
        CHECK(arena_alloc(arena, i * 8));
    for (int i = 0; i < 8; i++)
        CHECK(arena_copy(arena, TEXT("64abc123def456789012345a")).at);
    builder_init(&builder, arena, 64);
    for (int i = 0; i < 64; i++) {
        builder_add(&builder, TEXT("lines[0]"));
        builder_add_int64(&builder, 123456 + i);
    }
    CHECK(builder_text(&builder).at);
}

static const struct {
    const char *name;
    void (*run)(struct arena *arena);
} cases[] = {
    {"parse", parse},   {"validate", validate}, {"outcome", outcome},
    {"object", object}, {"response", response}, {"arena", arena_use},
};

static void read_invoice(const char *path)
{
    static char bytes[65536];
    FILE *file = fopen(path, "r");
    CHECK(file);
    invoice = (struct text){bytes, fread(bytes, 1, sizeof(bytes), file)};
    CHECK(invoice.length > 0 && feof(file));
    fclose(file);
}

int main(int argc, char **argv)
{
    struct arena arena;
    long count;
    if (argc != 4) {
        fprintf(stderr, "usage: instructions CASE COUNT INVOICE_FILE\n");
        return 2;
    }
    count = strtol(argv[2], NULL, 10);
    read_invoice(argv[3]);
    /* json-c's own hash begins with a random number. */
    json_global_set_string_hash(JSON_C_STR_HASH_PERLLIKE);
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (long turn = 0; strcmp(argv[1], cases[i].name) == 0 && turn < count; turn++) {
            cases[i].run(&arena);
            arena_reset(&arena);
        }
    }
    arena_free(&arena);
    return 0;
}
