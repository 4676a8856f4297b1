#include "sandbox/control.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/control_rules.h"
#include "sandbox/ledger.h"

static const char FAULTS_PATH[] = "/_sandbox/faults";

struct control {
    struct sandbox *sandbox;
    const char *path;
    struct form form; // the query
    const char *body;
    size_t body_len;
    int status;
    struct text answer;
};

typedef void control_handler(struct control *control);

static void fail(struct control *control, int status, const char *message)
{
    control->status = status;
    text_clear(&control->answer);
    text_string(&control->answer, "{\"error\":{");
    text_member_string(&control->answer, "message", message);
    text_string(&control->answer, "}}");
}

static json_object *read_object(struct control *control)
{
    struct json_tokener *tokener = json_tokener_new();
    CHECK(tokener != NULL);
    json_object *object = json_tokener_parse_ex(tokener, control->body, (int)control->body_len);
    json_tokener_free(tokener);
    if (json_object_is_type(object, json_type_object))
        return object;
    json_object_put(object);
    fail(control, 400, "The body has to be a JSON object.");
    return NULL;
}

static void add_fault(struct control *control)
{
    json_object *object = read_object(control);
    if (object == NULL)
        return;
    struct text problem = {0};
    struct fault_rule *rule = control_read_rule(object, &problem);
    if (rule == NULL) {
        fail(control, 400, text_end(&problem));
    } else {
        faults_add(&control->sandbox->faults, rule);
        text_string(&control->answer, "{\"id\":");
        text_int(&control->answer, rule->id);
        text_string(&control->answer, "}");
    }
    text_free(&problem);
    json_object_put(object);
}

static void list_faults(struct control *control)
{
    text_string(&control->answer, "{\"data\":");
    faults_write(&control->answer, &control->sandbox->faults);
    text_string(&control->answer, ",\"names\":");
    fault_kinds_write(&control->answer);
    text_char(&control->answer, '}');
}

static void remove_faults(struct control *control)
{
    int64_t id = 0;
    const char *tail = control->path + sizeof FAULTS_PATH - 1;
    if (*tail == '/' && (!parse_int(tail + 1, &id) || id <= 0)) {
        fail(control, 404, "No such fault.");
        return;
    }
    int64_t removed = faults_remove(&control->sandbox->faults, id);
    if (id != 0 && removed == 0)
        fail(control, 404, "No such fault.");
    else
        text_format(&control->answer, "{\"removed\":%lld}", (long long)removed);
}

static void show_ledger(struct control *control)
{
    const struct form *form = &control->form;
    ledger_write(&control->answer, &control->sandbox->store, form_text(form, "account"),
                 form_text(form, "mode"), form_bool(form, "summary", false));
}

static void show_calls(struct control *control)
{
    int64_t limit = form_int(&control->form, "limit", RECENT_CALLS);
    recent_write(&control->answer, &control->sandbox->recent, limit < 0 ? 0 : (uint64_t)limit);
}

static void set_latency(struct control *control)
{
    json_object *object = read_object(control);
    if (object == NULL)
        return;
    struct sandbox *sandbox = control->sandbox;
    int64_t latency_ms = sandbox->latency_ms;
    int64_t jitter_ms = sandbox->jitter_ms;
    if (!control_read_latency(object, &latency_ms, &jitter_ms)) {
        fail(control, 400, "latency_ms and jitter_ms are numbers from 0 to 3600000.");
    } else {
        sandbox->latency_ms = latency_ms;
        sandbox->jitter_ms = jitter_ms;
        text_format(&control->answer, "{\"latency_ms\":%lld,\"jitter_ms\":%lld}", (long long)latency_ms,
                    (long long)jitter_ms);
    }
    json_object_put(object);
}

static void forget_keys(struct control *control)
{
    store_forget_keys(&control->sandbox->store);
    state_add_forget_keys(&control->sandbox->state);
    text_string(&control->answer, "{}");
}

static void reset(struct control *control)
{
    struct sandbox *sandbox = control->sandbox;
    call_reset(&sandbox->call);
    store_free(&sandbox->store);
    faults_remove(&sandbox->faults, 0);
    recent_forget(&sandbox->recent);
    state_empty(&sandbox->state);
    sandbox->latency_ms = sandbox->options->latency_ms;
    sandbox->jitter_ms = sandbox->options->jitter_ms;
    text_string(&control->answer, "{}");
}

struct control_route {
    enum method method;
    const char *path;
    control_handler *handle;
};

static const struct control_route ROUTES[] = {
    {METHOD_POST, "/_sandbox/faults", add_fault},        {METHOD_GET, "/_sandbox/faults", list_faults},
    {METHOD_DELETE, "/_sandbox/faults", remove_faults},  {METHOD_GET, "/_sandbox/ledger", show_ledger},
    {METHOD_GET, "/_sandbox/calls", show_calls},         {METHOD_POST, "/_sandbox/latency", set_latency},
    {METHOD_POST, "/_sandbox/forget_keys", forget_keys}, {METHOD_POST, "/_sandbox/reset", reset},
};

static const struct control_route *find_route(enum method method, const char *path)
{
    size_t faults_len = sizeof FAULTS_PATH - 1;
    bool one_fault = strncmp(path, FAULTS_PATH, faults_len) == 0 && path[faults_len] == '/';
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++) {
        bool same = strcmp(ROUTES[i].path, path) == 0 || (one_fault && ROUTES[i].handle == remove_faults);
        if (ROUTES[i].method == method && same)
            return &ROUTES[i];
    }
    return NULL;
}

static void free_answer(const void *data, size_t len, void *extra)
{
    (void)len;
    (void)extra;
    free((void *)(uintptr_t)data);
}

// The answer's memory goes over to libevent: a ledger can be large.
static void send_answer(struct control *control, struct evhttp_request *request)
{
    struct text answer = control->answer;
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "application/json");
    if (answer.len == 0 || evbuffer_add_reference(evhttp_request_get_output_buffer(request), answer.data,
                                                  answer.len, free_answer, NULL) != 0)
        text_free(&answer);
    evhttp_send_reply(request, control->status, NULL, NULL);
}

void control_handle(struct sandbox *sandbox, struct evhttp_request *request, enum method method,
                    const char *path, const char *query, const char *body, size_t body_len)
{
    struct control control = {
        .sandbox = sandbox, .path = path, .body = body, .body_len = body_len, .status = 200};
    struct text query_bytes = {0};
    text_string(&query_bytes, query == NULL ? "" : query);
    size_t query_len = query_bytes.len;
    text_end(&query_bytes);
    const struct control_route *route = find_route(method, path);
    if (form_parse(&control.form, query_bytes.data, query_len) != FORM_OK)
        fail(&control, 400, "The query cannot be read.");
    else if (route == NULL)
        fail(&control, 404, "No such control path; --help lists them.");
    else
        route->handle(&control);
    form_free(&control.form);
    text_free(&query_bytes);
    send_answer(&control, request);
}
