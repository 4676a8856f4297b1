#include "fuzz.h"

#include <stdlib.h>

#include "front/form.h"
#include "front/json.h"
#include "front/response_of.h"

#define ARENA_BYTES ((size_t)8 * 1024 * 1024)
#define LEVELS_MAX 16

struct text fuzz_take(struct text *rest, struct text separator)
{
    const char *found = rest->at ? memmem(rest->at, rest->length, separator.at, separator.length) : NULL;
    struct text part = *rest;
    if (!found) {
        *rest = TEXT_NONE;
        return part;
    }
    part.length = (size_t)(found - part.at);
    *rest = text_skip(*rest, part.length + separator.length);
    return part;
}

struct text fuzz_exact(struct text text)
{
    char *copy;
    if (!text.at)
        return TEXT_NONE;
    copy = malloc(text.length > 0 ? text.length : 1);
    CHECK(copy);
    if (text.length > 0)
        memcpy(copy, text.at, text.length);
    return (struct text){copy, text.length};
}

static bool is_set(struct text text)
{
    return text.at && text.length > 0;
}

/* What the rest of the gateway relies on in a request that nothing speaks against. */
static void check_good(const struct request *request, struct arena *arena)
{
    enum route route = request->route;
    if (route == ROUTE_ACCOUNT_INVOICES) {
        CHECK(text_is_id(request->account_id));
        CHECK(is_set(request->client_id) && is_set(request->product_id));
        CHECK((request->collection_method == COLLECT_BY_INVOICE) == (request->days_until_due >= 0));
    }
    if (request->idempotency_key.at)
        CHECK(request->idempotency_key.length >= 1 && request->idempotency_key.length <= 255);
    if (request->form.at && request->form.length > 0) {
        struct form form;
        struct form_error error;
        struct builder again;
        CHECK(form_read(arena, request->form, &form, &error));
        builder_init(&again, arena, request->form.length + 1);
        form_write(&form, &again);
        CHECK(text_is(builder_text(&again), request->form));
    }
    CHECK(request->query.limit >= 0 && request->query.limit <= LIST_LIMIT_MAX);
}

static void check_refusal(const struct request *request, const struct refusal *refusal, struct arena *arena)
{
    struct http_answer answer;
    if (refusal->status == 0)
        return;
    CHECK(refusal->status >= 400 && refusal->status < 500 && refusal->reason && refusal->message.at);
    answer = response_of_refusal(arena, request->shape, refusal);
    CHECK(json_is_valid(answer.body, LEVELS_MAX));
}

static void check(const struct request *request, struct arena *arena)
{
    check_refusal(request, &request->early, arena);
    check_refusal(request, &request->body, arena);
    if (request->early.status == 0)
        CHECK(request->route != ROUTE_NONE && request->has_credential);
    if (request->early.status == 0 && request->body.status == 0)
        check_good(request, arena);
    CHECK(!arena_overflowed(arena));
}

void fuzz_request(const struct request_rules *rules, const struct http_request *http)
{
    struct arena arena;
    struct request first, second;
    arena_init(&arena, ARENA_BYTES);
    CHECK(request_read_by(rules, http, FUZZ_DIGEST_KEY, &arena, &first));
    check(&first, &arena);
    CHECK(request_read_by(rules, http, FUZZ_DIGEST_KEY, &arena, &second));
    CHECK(first.route == second.route && first.early.status == second.early.status &&
          first.body.status == second.body.status && text_is(first.form, second.form));
    CHECK(memcmp(first.fingerprint, second.fingerprint, DIGEST_BYTES) == 0);
    arena_free(&arena);
}
