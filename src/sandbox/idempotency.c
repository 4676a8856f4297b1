#include "sandbox/idempotency.h"

#include <stdio.h>
#include <string.h>

#include "sandbox/errors.h"

enum { MOST_KEY_CHARS = 255 };

static struct saved *find(const struct call *call)
{
    return table_find(&call->scope->keys, call->key);
}

static void replay(struct call *call, const struct saved *saved)
{
    call->status = saved->status;
    call->replayed = true;
    text_add(&call->answer, saved->body, saved->body_len);
    snprintf(call->original_request, sizeof call->original_request, "%s", saved->request_id);
}

bool idempotency_answers(struct call *call, struct idempotency_clock clock)
{
    if (call->key == NULL)
        return false;
    if (utf8_length(call->key) > MOST_KEY_CHARS) {
        call_error(call, 400, "idempotency_error", NULL, NULL,
                   "Idempotency keys can be at most 255 characters long.");
        return true;
    }
    struct saved *saved = find(call);
    if (saved == NULL)
        return false;
    saved->times_used++;
    if (saved->forgotten || call->now_ms - saved->created_ms > clock.ttl_s * 1000)
        return false;
    if (saved->digest[0] != call->digest[0] || saved->digest[1] != call->digest[1])
        call_error(call, 400, "idempotency_error", NULL, NULL,
                   "Keys for idempotent requests can only be used with the same parameters they were first "
                   "used with. Try using a key other than '%.255s' if you meant to execute a different "
                   "request.",
                   call->key);
    else if (saved->busy_until_ms > clock.monotonic_ms)
        call_error(call, 409, "idempotency_error", "idempotency_key_in_use", NULL,
                   "There is currently another in-progress request using this Idempotency Key (%.255s). "
                   "Please try again later.",
                   call->key);
    else
        replay(call, saved);
    return true;
}

void idempotency_save(struct call *call)
{
    struct arena *arena = &call->store->arena;
    struct saved *saved = find(call);
    if (saved == NULL) {
        saved = arena_alloc(arena, sizeof *saved);
        saved->id = call_keep(call, call->key);
        saved->times_used = 1;
        table_put(&call->scope->keys, saved);
        list_add(arena, &call->scope->key_list, saved);
    }
    saved->path = call_keep(call, call->path);
    saved->body = arena_copy_bytes(arena, call->answer.data, call->answer.len);
    saved->body_len = call->answer.len;
    saved->request_id = call_keep(call, call->request_id);
    saved->digest[0] = call->digest[0];
    saved->digest[1] = call->digest[1];
    saved->created_ms = call->now_ms;
    saved->status = call->status;
    saved->forgotten = false;
    saved->busy_until_ms = 0;
    saved->executions++;
}

void idempotency_set_busy(struct call *call, int64_t until_monotonic_ms)
{
    struct saved *saved = find(call);
    CHECK(saved != NULL);
    saved->busy_until_ms = until_monotonic_ms;
}
