#include "sandbox/api.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sandbox/auth.h"
#include "sandbox/errors.h"
#include "sandbox/idempotency.h"
#include "sandbox/params.h"
#include "sandbox/routes.h"

static const char DEFAULT_VERSION[] = "2025-03-31.basil";
static const char NEW_DIALECT_SINCE[] = "2025-03-31";

static bool is_version(const char *version)
{
    static const char shape[] = "dddd-dd-dd";
    size_t i = 0;
    for (; shape[i] != '\0'; i++) {
        bool digit = version[i] >= '0' && version[i] <= '9';
        if (shape[i] == 'd' ? !digit : version[i] != '-')
            return false;
    }
    if (version[i] == '\0')
        return true;
    size_t name = strspn(version + i + 1, "abcdefghijklmnopqrstuvwxyz_");
    return version[i] == '.' && name > 0 && version[i + 1 + name] == '\0' && strlen(version) < VERSION_BYTES;
}

static void read_dialect(struct call *call)
{
    call->view.old_dialect = strncmp(call->version, NEW_DIALECT_SINCE, sizeof NEW_DIALECT_SINCE - 1) < 0;
}

static bool read_version(struct call *call, const char *version)
{
    bool good = version == NULL || is_version(version);
    snprintf(call->version, sizeof call->version, "%s", good && version != NULL ? version : DEFAULT_VERSION);
    read_dialect(call);
    if (!good)
        call_error(call, 400, "invalid_request_error", NULL, NULL, "Invalid Stripe API version: %.100s",
                   version);
    return good;
}

static bool read_route(struct call *call)
{
    static const char *const names[] = {"GET", "POST", "DELETE", "other"};
    call->route = route_find(call);
    if (call->route == NULL)
        call_error(call, 404, "invalid_request_error", NULL, NULL, "Unrecognized request URL (%s: %.200s).",
                   names[call->method], call->path);
    return call->route != NULL;
}

static bool check_content_type(struct call *call, const struct incoming *incoming)
{
    static const char form_type[] = "application/x-www-form-urlencoded";
    if (incoming->body_len == 0 ||
        (incoming->content_type != NULL &&
         strncasecmp(incoming->content_type, form_type, sizeof form_type - 1) == 0))
        return true;
    call_error(call, 400, "invalid_request_error", NULL, NULL,
               "Invalid request (check that your POST content type is application/x-www-form-urlencoded).");
    return false;
}

static bool read_form(struct call *call, const char *form, size_t len)
{
    text_clear(&call->form_bytes);
    text_reserve(&call->form_bytes, len + 1);
    text_add(&call->form_bytes, form, len);
    call->form_bytes.data[len] = '\0';
    form_clear(&call->form);
    switch (form_parse(&call->form, call->form_bytes.data, len)) {
    case FORM_OK:
        break;
    case FORM_TOO_MANY:
        call_invalid(call, "parameter_invalid_form", NULL, "The request has too many parameters.");
        return false;
    case FORM_NOT_TEXT:
        call_invalid(call, "parameter_invalid_string", call->form.fields[call->form.count - 1].name,
                     "Invalid string: not valid UTF-8, or a NUL in it.");
        return false;
    }
    for (size_t i = 0; i < call->form.count; i++) {
        int64_t index = 0;
        const struct field *field = &call->form.fields[i];
        if (param_matches("expand[#]", field->name, &index) && strstr(field->value, "default_price") != NULL)
            call->view.expand_default_price = true;
    }
    return true;
}

static void read_digest(struct call *call, const char *body, size_t len)
{
    uint64_t path = hash_bytes(call->path, strlen(call->path), (uint64_t)call->method);
    call->digest[0] = hash_bytes(body, len, path);
    call->digest[1] = hash_bytes(body, len, ~path * 3);
}

bool api_admit(struct call *call, const struct options *options, const struct incoming *incoming)
{
    call_make_id(call, "req_", call->request_id);
    if (!read_version(call, incoming->version) || !auth_key(call, options, incoming->authorization) ||
        !auth_account(call, incoming->account) || !read_route(call) || !check_content_type(call, incoming))
        return false;
    call->scope = store_scope(call->store, call->account, call->livemode);
    call->store->calls[call->route->step]++;
    call->store->calls[STEP_ANY]++;
    call->key = call->method == METHOD_POST ? incoming->key : NULL;
    read_digest(call, incoming->body, incoming->body_len);
    bool in_query = call->method != METHOD_POST && incoming->query != NULL;
    const char *form = in_query ? incoming->query : incoming->body;
    return read_form(call, form, in_query ? strlen(form) : incoming->body_len);
}

void api_execute(struct call *call)
{
    if (!params_check(call, call->route->params))
        return;
    call->executed = true;
    if (call->effects & EFFECT_CARD)
        call_error(call, 402, "card_error", "card_declined", NULL, "Your card was declined.");
    else
        call->route->handle(call);
    if (call->executed && (call->effects & EFFECT_SAVE_500))
        call_error(call, 500, "api_error", NULL, NULL, "An unknown error occurred.");
    CHECK(call->status != 0);
    if (call->executed && call->key != NULL)
        idempotency_save(call);
}

bool api_resume(struct call *call, const char *body, size_t body_len)
{
    call_make_id(call, "req_", call->request_id);
    read_dialect(call);
    if (!read_route(call))
        return false;
    call->scope = store_scope(call->store, call->account, call->livemode);
    read_digest(call, body, body_len);
    if (!read_form(call, body, body_len))
        return false;
    api_execute(call);
    return call->executed;
}
