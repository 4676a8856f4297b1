#include "sandbox/requests.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/control.h"
#include "sandbox/errors.h"
#include "sandbox/idempotency.h"
#include "sandbox/server.h"
#include "sandbox/wire.h"

static const char *const METHOD_NAMES[] = {"GET", "POST", "DELETE", "other"};

static enum method method_of(struct evhttp_request *request)
{
    switch (evhttp_request_get_command(request)) {
    case EVHTTP_REQ_GET:
        return METHOD_GET;
    case EVHTTP_REQ_POST:
        return METHOD_POST;
    case EVHTTP_REQ_DELETE:
        return METHOD_DELETE;
    default:
        return METHOD_OTHER;
    }
}

static void read_headers(struct evhttp_request *request, struct incoming *incoming)
{
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    const char *key = evhttp_find_header(headers, "Idempotency-Key");
    incoming->authorization = evhttp_find_header(headers, "Authorization");
    incoming->account = evhttp_find_header(headers, "Stripe-Account");
    incoming->version = evhttp_find_header(headers, "Stripe-Version");
    incoming->content_type = evhttp_find_header(headers, "Content-Type");
    incoming->traceparent = evhttp_find_header(headers, "traceparent");
    incoming->key = key == NULL || key[0] == '\0' ? NULL : key;
}

static void read_body(struct evhttp_request *request, struct incoming *incoming)
{
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    incoming->body_len = evbuffer_get_length(input);
    incoming->body = incoming->body_len == 0 ? "" : (const char *)evbuffer_pullup(input, -1);
}

static void start_call(struct sandbox *sandbox, enum method method, const char *path)
{
    struct call *call = &sandbox->call;
    call_reset(call);
    call->store = &sandbox->store;
    call->method = method;
    call->random = sandbox_random(sandbox);
    call->now_ms = sandbox_wall_ms();
    snprintf(call->path, sizeof call->path, "%s", path);
}

// Executes the call or answers from its key.
static void perform(struct sandbox *sandbox, const struct incoming *incoming, uint64_t random,
                    int64_t delay_ms)
{
    struct call *call = &sandbox->call;
    int64_t now_ms = sandbox_monotonic_ms();
    const struct idempotency_clock clock = {now_ms, sandbox->options->idempotency_ttl_s};
    if (idempotency_answers(call, clock))
        return;
    api_execute(call);
    if (!call->executed || call->method == METHOD_GET)
        return;
    if (call->key != NULL)
        idempotency_set_busy(call, now_ms + delay_ms);
    state_add_call(&sandbox->state, call, random, incoming->body, incoming->body_len);
}

static void add_header(struct evkeyvalq *headers, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0')
        evhttp_add_header(headers, name, value);
}

static void add_headers(struct evhttp_request *request, const struct call *call)
{
    char number[16];
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    add_header(headers, "Content-Type", call->content_type == NULL ? "application/json" : call->content_type);
    add_header(headers, "Request-Id", call->request_id);
    add_header(headers, "Stripe-Version", call->version);
    add_header(headers, "Stripe-Account", call->account);
    add_header(headers, "Idempotency-Key", call->key);
    if (call->replayed) {
        add_header(headers, "Idempotent-Replayed", "true");
        add_header(headers, "Original-Request", call->original_request);
    }
    if (call->retry_after_s >= 0) {
        snprintf(number, sizeof number, "%d", call->retry_after_s);
        add_header(headers, "Retry-After", number);
    }
    add_header(headers, "Stripe-Should-Retry", call->should_retry);
    add_header(headers, "Location", call->location);
}

static int64_t pick_delay_ms(struct sandbox *sandbox)
{
    if (sandbox->jitter_ms == 0)
        return sandbox->latency_ms;
    return sandbox->latency_ms + (int64_t)(sandbox_random(sandbox) % (uint64_t)(sandbox->jitter_ms + 1));
}

static struct wire_plan make_plan(struct sandbox *sandbox, const struct fault_rule *rule, int64_t delay_ms)
{
    struct wire_plan plan = {
        .how = WIRE_PLAIN, .status = sandbox->call.status, .delay_ms = delay_ms, .bytes = -1};
    if (rule == NULL)
        return plan;
    int64_t own_ms = rule->delay_ms >= 0 ? rule->delay_ms : rule->kind->delay_ms;
    plan.how = rule->kind->how;
    plan.bytes = rule->bytes;
    if (plan.how == WIRE_DRIP)
        plan.step_ms = own_ms;
    else if (plan.how == WIRE_REFUSE)
        server_refuse(sandbox, own_ms);
    else
        plan.delay_ms += own_ms;
    return plan;
}

static void answer_call(struct sandbox *sandbox, struct evhttp_request *request, enum method method,
                        const char *target, const char *path, const struct incoming *incoming)
{
    struct call *call = &sandbox->call;
    const struct fault_rule *rule = NULL;
    int64_t delay_ms = pick_delay_ms(sandbox);
    start_call(sandbox, method, path);
    uint64_t random = call->random;
    bool admitted = api_admit(call, sandbox->options, incoming);
    if (admitted)
        rule = faults_pick(&sandbox->faults, call, &sandbox->random);
    if (rule != NULL && rule->kind->before) {
        fault_answer(call, rule);
    } else if (admitted) {
        call->effects = rule == NULL ? EFFECT_NONE : rule->kind->effects;
        perform(sandbox, incoming, random, delay_ms);
    }
    text_clear(&sandbox->plain);
    shape_unpack(&sandbox->plain, call->answer.data, call->answer.len);
    if (rule != NULL && !rule->kind->before)
        fault_alter(call, rule, &sandbox->plain);
    recent_add(&sandbox->recent, call, METHOD_NAMES[method], target, incoming,
               rule == NULL ? NULL : rule->kind->name);
    add_headers(request, call);
    wire_send(sandbox, request, &sandbox->plain, make_plan(sandbox, rule, delay_ms));
}

// While connections are refused, those that are still open do not get through either.
static void answer_refused(struct sandbox *sandbox, struct evhttp_request *request)
{
    text_clear(&sandbox->plain);
    wire_send(sandbox, request, &sandbox->plain, (struct wire_plan){.how = WIRE_RESET, .bytes = -1});
}

void requests_handle(struct evhttp_request *request, void *argument)
{
    struct sandbox *sandbox = argument;
    struct incoming incoming = {0};
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
    enum method method = method_of(request);
    if (path == NULL || strlen(path) >= MOST_PATH_BYTES) {
        evhttp_send_error(request, 404, NULL);
        return;
    }
    read_headers(request, &incoming);
    read_body(request, &incoming);
    incoming.query = evhttp_uri_get_query(uri);
    if (strncmp(path, "/_sandbox", 9) == 0)
        control_handle(sandbox, request, method, path, incoming.query, incoming.body, incoming.body_len);
    else if (sandbox->refusing)
        answer_refused(sandbox, request);
    else
        answer_call(sandbox, request, method, evhttp_request_get_uri(request), path, &incoming);
}
