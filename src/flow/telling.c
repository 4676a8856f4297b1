#include "flow/telling.h"

#include "flow/gateway.h"
#include "front/response_of.h"

/* False only when the client has left meanwhile. */
static bool tell(struct job *job, struct http_answer *http)
{
    CHECK(!job->answered);
    http->content_type = TEXT("application/json");
    http->request_id = text_from(job->request_text);
    if (!http->body.at)
        http->body = TEXT(TELLING_LAST_WORDS);
    job->answered = true;
    return front_answer(job->gateway->front, job->conn, http);
}

static struct http_answer answer_of(struct job *job, const struct reason *reason, struct text message)
{
    struct http_answer http = response_of_error(&job->arena, job->request.shape, reason->status, message);
    http.retry_after_s = reason->retry_after_s;
    return http;
}

void tell_reason(struct job *job, const struct reason *reason)
{
    struct http_answer http = answer_of(job, reason, text_from(reason->message));
    if (!job->answered)
        (void)tell(job, &http);
}

void tell_refusal(struct job *job, const struct refusal *refusal)
{
    struct http_answer http = response_of_refusal(&job->arena, job->request.shape, refusal);
    if (!job->answered)
        (void)tell(job, &http);
}

void tell_begin_refused(struct job *job, const struct store_answer *stored)
{
    const struct refusal *body = &job->request.body;
    const struct reason *reason = reason_find(stored->reason);
    if (body->status && text_is(stored->reason, text_from(body->reason)))
        tell_refusal(job, body);
    else
        tell_reason(job, reason ? reason : reason_of("internal"));
}

void tell_replay(struct job *job, const struct store_answer *stored)
{
    struct http_answer http = {.status = stored->http_status,
                               .body = arena_copy(&job->arena, stored->answer),
                               .idempotent_replayed = true,
                               .more_headers = arena_printf(&job->arena, "Original-Request: %.*s\r\n",
                                                            (int)stored->original_request.length,
                                                            stored->original_request.at)};
    if (arena_overflowed(&job->arena)) /* its end stands: whoever asks again hears it */
        tell_reason(job, reason_of("overloaded"));
    else if (!job->answered)
        (void)tell(job, &http);
}

void tell_body(struct job *job, struct text body)
{
    struct http_answer http = {.status = 200, .body = body};
    if (!job->answered)
        (void)tell(job, &http);
}

struct text telling_of_ending(struct job *job)
{
    const struct ending *ending = &job->ending;
    if (ending->body.at)
        return ending->body;
    return response_of_error(&job->arena, job->request.shape, ending->status, ending->message).body;
}

bool tell_ending(struct job *job)
{
    const struct reason *reason = job->ending.reason ? reason_of(job->ending.reason) : NULL;
    struct http_answer http = {.status = job->ending.status, .body = job->answer};
    if (job->answered)
        return false;
    if (reason) {
        http = response_of_error(&job->arena, job->request.shape, job->ending.status, job->ending.message);
        http.retry_after_s = job->ending.retry_after_s ? job->ending.retry_after_s : reason->retry_after_s;
        if (job->ending.body.at)
            http.body = job->ending.body;
    }
    return tell(job, &http);
}

const struct reason *telling_unresolved(const struct job *job)
{
    if (job_is_keyed(job))
        return reason_of("unresolved");
    return reason_of(job_may_withdraw(job) ? "unresolved_keyless" : "unresolved_act");
}
