#include "flow/gateway.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/ending.h"
#include "flow/invoice.h"
#include "flow/patience.h"
#include "flow/read.h"
#include "flow/reasons.h"
#include "flow/step.h"
#include "flow/telling.h"
#include "front/openapi.h"
#include "front/response_of.h"

#define SCRATCH_MAX_BYTES (32 * 1024 * 1024)

bool gateway_init(struct gateway *gateway, struct loop *loop, const struct gateway_settings *settings)
{
    *gateway = (struct gateway){.loop = loop, .settings = settings};
    arena_init(&gateway->scratch, SCRATCH_MAX_BYTES);
    return slots_init(&gateway->jobs, settings->max_inflight) &&
           traffic_init(&gateway->traffic, settings->account_posts_per_s) &&
           admission_init(&gateway->admission, settings->wrong_keys_per_min) &&
           admin_init(gateway, settings->runtime_dir);
}

uint32_t gateway_inflight(const struct gateway *gateway)
{
    return gateway->jobs.used;
}

/* For whom there is no job, or needs to be none. */
static void answer_without_job(struct gateway *gateway, struct ref conn, enum route route,
                               struct http_answer answer)
{
    uint8_t id[UUID_BYTES] = {0};
    char id_text[UUID_TEXT_BYTES];
    gateway->metrics->requests[route][metric_status(answer.status)]++;
    if (!uuid7_make(id))
        memset(id, 0, sizeof(id));
    uuid_text(id, id_text);
    answer.content_type = TEXT("application/json");
    answer.request_id = text_from(id_text);
    (void)front_answer(gateway->front, conn, &answer);
}

/* A fixed sentence is all that is left to say. */
static void shed(struct gateway *gateway, struct ref conn, const struct route_match *match)
{
    const struct reason *reason = reason_of("overloaded");
    struct http_answer answer =
        response_of_error(&gateway->scratch, match->shape, reason->status, text_from(reason->message));
    if (!answer.body.at)
        answer.body = telling_last_words(match->shape);
    answer.retry_after_s = reason->retry_after_s;
    answer_without_job(gateway, conn, match->route, answer);
    arena_reset(&gateway->scratch);
}

static void tell_description(struct gateway *gateway, struct ref conn)
{
    struct http_answer answer = {.status = 200, .body = openapi_document()};
    answer_without_job(gateway, conn, ROUTE_OPENAPI, answer);
}

void gateway_begin(struct job *job)
{
    if (!store_is_ready(job->gateway->store))
        ending_told(job, "database_away");
    else if (read_is(job))
        read_start(job);
    else
        invoice_start(job);
}

static void admit(struct job *job)
{
    enum admission_verdict verdict = admission_enter(job);
    if (verdict == ADMISSION_REFUSED) {
        ending_told(job, "agency_limit");
        return;
    }
    patience_start(job, job->gateway->settings->deadline_ms);
    if (verdict == ADMISSION_GO)
        gateway_begin(job);
}

/* What can be told without PostgreSQL is told at once; everything else begins. */
static void route_job(struct job *job)
{
    if (job->request.early.status) {
        ending_early(job, &job->request.early);
    } else if (!store_is_ready(job->gateway->store)) {
        ending_told(job, "database_away");
    } else {
        admit(job);
    }
}

void gateway_arrived(void *owner, struct ref conn, const struct http_request *http)
{
    struct gateway *gateway = owner;
    struct route_match match;
    struct job *job;
    bool named;
    if (http->admin.length > 0) {
        admin_arrived(gateway, conn, http);
        return;
    }
    match = route_of(http->method, http->uri);
    if (match.route == ROUTE_OPENAPI) {
        tell_description(gateway, conn);
        return;
    }
    job = job_new(gateway);
    if (!job) {
        shed(gateway, conn, &match);
        return;
    }
    job->conn = conn;
    job->trace = trace_read(http->traceparent);
    named = uuid7_make(job->request_id);
    uuid_text(job->request_id, job->request_text);
    if (!named || !request_read_by(&gateway->settings->rules, http, gateway->settings->digest_key,
                                   &job->arena, &job->request)) {
        ending_told(job, "overloaded");
        return;
    }
    if (http->authorization.length > 0)
        job->wrong_key_from = arena_copy(&job->arena, http->remote_address);
    route_job(job);
}

/* Connections are few thousands and leaving is rare: looking through the jobs costs less than keeping an
 * index. */
void gateway_client_left(void *owner, struct ref conn)
{
    struct gateway *gateway = owner;
    for (uint32_t i = 0; i < gateway->jobs.capacity; i++) {
        struct job *job = gateway->jobs.slots[i].thing;
        if (job && !job->answered && job->conn.slot == conn.slot && job->conn.generation == conn.generation) {
            patience_client_left(job);
            return;
        }
    }
}

void gateway_stored(void *owner, struct store_task *task, const struct store_answer *answer)
{
    struct gateway *gateway = owner;
    struct job *job;
    if (task == &gateway->recovery.take) {
        recovery_taken_all(gateway);
        return;
    }
    if (task == &gateway->admission.used)
        return;
    if (task == &gateway->admin.count) {
        admin_counted(gateway, answer);
        return;
    }
    job = slots_get(&gateway->jobs, task->ref);
    CHECK(job); /* a job is not released while a task of its own is under way */
    if (answer->agency_id > 0)
        admission_known(job, answer->agency_id);
    if (task == &job->note) {
        job_noted(job);
    } else {
        job->database_us += loop_clock_us() - job->asked_us;
        invoice_stored(job, answer);
    }
}

void gateway_called(void *owner, struct ref ref, const struct reply *reply)
{
    struct gateway *gateway = owner;
    struct job *job;
    if (ready_called(gateway, ref, reply))
        return;
    job = slots_get(&gateway->jobs, ref);
    CHECK(job); /* a job cancels its call before it ends */
    step_replied(job, reply);
}

/* Only at the end of the process: PostgreSQL keeps what these jobs have not brought to their end. */
void gateway_free(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->jobs.capacity; i++)
        if (gateway->jobs.slots && gateway->jobs.slots[i].thing)
            job_free(gateway->jobs.slots[i].thing);
    admin_stop(gateway);
    traffic_free(&gateway->traffic);
    admission_free(&gateway->admission);
    arena_free(&gateway->scratch);
    slots_free(&gateway->jobs);
}
