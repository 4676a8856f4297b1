#include "flow/telling.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "flow/gateway.h"
#include "front/response_of.h"

#define SERVER_TIMING_BYTES 128
#define STATUS_LEFT 499 /* in nginx's words */
#define TENTHS(us) (long long)((us) / 1000), (int)((us) / 100 % 10)

struct text telling_last_words(enum shape shape)
{
    if (shape == SHAPE_STRIPE)
        return TEXT("{\"error\":{\"type\":\"api_error\",\"message\":\"An unexpected error occurred\"}}");
    return TEXT("{\"error\":\"An unexpected error occurred\"}");
}

static struct text server_timing(const struct job *job, int64_t total_us, char room[SERVER_TIMING_BYTES])
{
    int length =
        snprintf(room, SERVER_TIMING_BYTES, "db;dur=%lld.%d, upstream;dur=%lld.%d, total;dur=%lld.%d",
                 TENTHS(job->database_us), TENTHS(job->upstream_us), TENTHS(total_us));
    return (struct text){room, (size_t)length};
}

/* Before the account is known to be one, its place may hold anything that a client put there by mistake. */
static struct text account_to_log(const struct job *job)
{
    static const char *const marks[] = {"igk_", "sk_", "rk_", "pk_", "whsec_", "@"};
    struct text given = job->request.account_id;
    if (job->plan.account_id.at)
        return job->plan.account_id;
    for (size_t i = 0; given.at && i < sizeof(marks) / sizeof(marks[0]); i++)
        if (memmem(given.at, given.length, marks[i], strlen(marks[i])))
            return TEXT_NONE;
    return given;
}

static void log_answer(const struct job *job, int status, const char *reason, int64_t total_us)
{
    LOG(status >= 500 ? LOG_WARNING : LOG_INFO, "request",
        LOG_TEXT("request_id", text_from(job->request_text)), LOG_TEXT("trace_id", trace_id(&job->trace)),
        LOG_TEXT("route", text_from(route_name(job->request.route))),
        LOG_INT("agency_id", job->plan.agency_id ? job->plan.agency_id : LOG_NO_NUMBER),
        LOG_TEXT("account", account_to_log(job)), LOG_INT("http_status", status),
        LOG_TEXT("reason", text_from(reason)), LOG_TEXT("invoice_id", job->plan.invoice_id),
        LOG_INT("database_ms", job->database_us / 1000), LOG_INT("upstream_ms", job->upstream_us / 1000),
        LOG_INT("duration_ms", total_us / 1000));
}

static void count_answer(const struct job *job, int status, int64_t total_us)
{
    struct metrics *metrics = job->gateway->metrics;
    metrics->requests[job->request.route][metric_status(status)]++;
    histogram_add(&metrics->request, &metric_seconds, total_us);
}

/* reason: why it is no 200, or NULL. False only when the client has left meanwhile. */
static bool tell(struct job *job, struct http_answer *http, const char *reason)
{
    char timing[SERVER_TIMING_BYTES];
    int64_t total_us = loop_clock_us() - job->arrived_us;
    bool told;
    CHECK(!job->answered);
    http->server_timing = server_timing(job, total_us, timing);
    http->content_type = TEXT("application/json");
    http->request_id = text_from(job->request_text);
    if (!http->body.at)
        http->body = telling_last_words(job->request.shape);
    job->answered = true;
    log_answer(job, http->status, reason, total_us);
    count_answer(job, http->status, total_us);
    told = front_answer(job->gateway->front, job->conn, http);
    http->server_timing = TEXT_NONE; /* its room ends here */
    return told;
}

/* Whether and when it is worth another try. A program must not repeat by itself what may have been done. */
static void advise(struct http_answer *http, const struct reason *reason)
{
    http->retry_after_s = reason->retry_after_s == NOT_AGAIN ? 0 : reason->retry_after_s;
    if (reason->retry_after_s == NOT_AGAIN && http->should_retry)
        http->should_retry = "false";
}

static struct http_answer answer_of(struct job *job, const struct reason *reason, struct text message)
{
    struct http_answer http = response_of_error(&job->arena, job->request.shape, reason->status, message);
    advise(&http, reason);
    return http;
}

void tell_nobody(struct job *job)
{
    int64_t total_us = loop_clock_us() - job->arrived_us;
    job->answered = true;
    log_answer(job, STATUS_LEFT, "client_left", total_us);
    count_answer(job, STATUS_LEFT, total_us);
}

void tell_reason(struct job *job, const struct reason *reason)
{
    struct http_answer http = answer_of(job, reason, text_from(reason->message));
    if (!job->answered)
        (void)tell(job, &http, reason->word);
}

void tell_refusal(struct job *job, const struct refusal *refusal)
{
    struct http_answer http = response_of_refusal(&job->arena, job->request.shape, refusal);
    if (!job->answered)
        (void)tell(job, &http, refusal->reason);
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

/* What is kept for a key stays: a program that repeated it by itself would only hear it again. */
void tell_replay(struct job *job, const struct store_answer *stored)
{
    bool is_final_error = job->request.shape == SHAPE_STRIPE && stored->http_status >= 500;
    struct http_answer http = {.status = stored->http_status,
                               .should_retry = is_final_error ? "false" : NULL,
                               .body = arena_copy(&job->arena, stored->answer),
                               .idempotent_replayed = true,
                               .more_headers = arena_printf(&job->arena, "Original-Request: %.*s\r\n",
                                                            (int)stored->original_request.length,
                                                            stored->original_request.at)};
    if (arena_overflowed(&job->arena)) /* its end stands: whoever asks again hears it */
        tell_reason(job, reason_of("overloaded"));
    else if (!job->answered)
        (void)tell(job, &http, "replayed");
}

void tell_body(struct job *job, struct text body)
{
    struct http_answer http = {.status = 200, .body = body};
    if (!job->answered)
        (void)tell(job, &http, NULL);
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
        advise(&http, reason);
        if (job->ending.retry_after_s)
            http.retry_after_s = job->ending.retry_after_s;
        if (job->ending.body.at)
            http.body = job->ending.body;
    }
    return tell(job, &http, job->ending.reason);
}

const struct reason *telling_unresolved(const struct job *job)
{
    if (job_is_keyed(job))
        return reason_of("unresolved");
    return reason_of(job_may_withdraw(job) ? "unresolved_keyless" : "unresolved_act");
}
