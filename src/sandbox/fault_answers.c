// What a fault makes of an answer.
#include <stdlib.h>
#include <string.h>

#include "sandbox/errors.h"
#include "sandbox/faults.h"

static const char HOSTILE_ID[] = "\"in_../../v1/x?a=1&b=%00#\\\"'; drop table invoices; --\\n\\u202e\"";

static void answer_status(struct call *call, const struct fault_rule *rule)
{
    int status = rule->status != 0 ? rule->status : rule->kind->status;
    switch (status) {
    case 401:
        call_error(call, 401, "invalid_request_error", NULL, NULL, "Invalid API Key provided.");
        break;
    case 403:
        call_error(call, 403, "invalid_request_error", "account_invalid", NULL,
                   "The provided key does not have access to account '%s'.", call->account);
        break;
    case 409:
        call_error(call, 409, "invalid_request_error", "lock_timeout", NULL,
                   "This object cannot be accessed right now because another request is using it.");
        break;
    case 429:
        call_error(call, 429, "invalid_request_error", "rate_limit", NULL, "Request rate limit exceeded.");
        break;
    default:
        call_error(call, status, "api_error", NULL, NULL, "An error of the sandbox's making (%d).", status);
        break;
    }
    call->retry_after_s = rule->retry_after_s;
    call->should_retry = rule->kind->should_retry;
    call->replayed = false;
}

static void answer_html(struct call *call, const struct fault_rule *rule)
{
    call->status = 503;
    call->content_type = "text/html";
    call->retry_after_s = rule->retry_after_s;
    text_clear(&call->answer);
    text_string(&call->answer, "<html><head><title>503 Service Temporarily Unavailable</title></head>"
                               "<body><h1>503 Service Temporarily Unavailable</h1></body></html>");
}

static void answer_redirect(struct call *call)
{
    call->status = 302;
    call->content_type = "text/html";
    call->location = "http://127.0.0.1:9/elsewhere";
    text_clear(&call->answer);
    text_string(&call->answer, "<html>moved</html>");
}

void fault_answer(struct call *call, const struct fault_rule *rule)
{
    switch (rule->kind->alter) {
    case ALTER_STATUS:
        answer_status(call, rule);
        break;
    case ALTER_IDEMPOTENCY:
        call_error(call, 400, "idempotency_error", NULL, NULL,
                   "Keys for idempotent requests can only be used with the same parameters they were first "
                   "used with.");
        break;
    case ALTER_HTML:
        answer_html(call, rule);
        break;
    case ALTER_REDIRECT:
        answer_redirect(call);
        break;
    default: // reset, hang, refusal: nothing is sent
        call->status = 500;
        break;
    }
}

// Puts bytes in the place of what stands at [from, to).
static void splice(struct text *plain, size_t from, size_t to, const char *bytes, size_t len)
{
    struct text tail = {0};
    text_add(&tail, plain->data + to, plain->len - to);
    plain->len = from;
    text_add(plain, bytes, len);
    text_add(plain, tail.data, tail.len);
    text_free(&tail);
}

// Where the value of the first member of that name begins and ends; the name comes as `"name":`.
static bool find_value(struct text *plain, const char *name, size_t *from, size_t *to)
{
    const char *start = text_end(plain);
    const char *at = strstr(start, name);
    if (at == NULL)
        return false;
    at += strlen(name);
    *from = (size_t)(at - start);
    if (*at != '"') {
        *to = *from + strcspn(at, ",}]");
        return true;
    }
    for (at++; *at != '"' && *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
    }
    *to = (size_t)(at - start) + (*at == '"');
    return true;
}

static void set_value(struct text *plain, const char *name, const char *value, size_t len)
{
    size_t from;
    size_t to;
    if (find_value(plain, name, &from, &to))
        splice(plain, from, to, value, len);
}

static void bump_number(struct text *plain, const char *name)
{
    size_t from;
    size_t to;
    if (!find_value(plain, name, &from, &to))
        return;
    char *end;
    long long number = strtoll(plain->data + from, &end, 10);
    if (end != plain->data + to)
        return;
    struct text bumped = {0};
    text_int(&bumped, number + 1);
    splice(plain, from, to, bumped.data, bumped.len);
    text_free(&bumped);
}

static void remove_id(struct text *plain)
{
    size_t from;
    size_t to;
    if (find_value(plain, "\"id\":", &from, &to))
        splice(plain, from - strlen("\"id\":"), to + (plain->data[to] == ','), "", 0);
}

static void set_currency(struct text *plain)
{
    bool euro = strstr(text_end(plain), "\"currency\":\"eur\"") != NULL;
    set_value(plain, "\"currency\":", euro ? "\"usd\"" : "\"eur\"", 5);
}

static void alter_amounts(struct text *plain)
{
    bump_number(plain, "\"unit_amount\":");
    bump_number(plain, "\"total\":");
    bump_number(plain, "\"amount\":");
}

static void alter_status(struct call *call, const struct fault_rule *rule, struct text *plain)
{
    answer_status(call, rule);
    text_clear(plain);
    shape_unpack(plain, call->answer.data, call->answer.len);
}

static void alter_text(const struct fault_rule *rule, struct text *plain)
{
    static const char raw_nul[] = "\"a\0b\"";
    switch (rule->kind->alter) {
    case ALTER_GARBAGE:
        text_clear(plain);
        text_string(plain, "\x1f\x8b{\"id\": in_<not json>, ]\xff\xfe");
        break;
    case ALTER_NUL:
        if (rule->raw)
            set_value(plain, "\"description\":", raw_nul, sizeof raw_nul - 1);
        else
            set_value(plain, "\"description\":", "\"a\\u0000b\"", 10);
        break;
    case ALTER_WRONG_ID:
        set_value(plain, "\"id\":", HOSTILE_ID, sizeof HOSTILE_ID - 1);
        break;
    case ALTER_NO_ID:
        remove_id(plain);
        break;
    case ALTER_NOT_OBJECT:
        splice(plain, 0, 0, "[", 1);
        text_char(plain, ']');
        break;
    case ALTER_AMOUNT:
        alter_amounts(plain);
        break;
    case ALTER_CURRENCY:
        set_currency(plain);
        break;
    case ALTER_QUANTITY:
        bump_number(plain, "\"quantity\":");
        break;
    default:
        break;
    }
}

void fault_alter(struct call *call, const struct fault_rule *rule, struct text *plain)
{
    bool stored = rule->kind->effects != 0 && call->method != METHOD_GET;
    bool worked = call->status >= 200 && call->status < 300;
    if (rule->kind->alter == ALTER_STATUS)
        alter_status(call, rule, plain);
    else if (worked && !stored)
        alter_text(rule, plain);
}
