#include "sandbox/errors.h"

#include <string.h>

static void write_error(struct call *call, int status, const char *type, const char *code, const char *param,
                        const char *message)
{
    struct text *answer = &call->answer;
    call->status = status;
    text_clear(answer);
    text_string(answer, "{\"error\":{");
    if (code != NULL) {
        text_member_string(answer, "code", code);
        text_member(answer, "doc_url");
        text_string(answer, "\"https://stripe.com/docs/error-codes/");
        for (const char *c = code; *c != '\0'; c++)
            text_char(answer, *c == '_' ? '-' : *c);
        text_char(answer, '"');
    }
    text_member_string(answer, "message", message);
    if (param != NULL)
        text_member_string(answer, "param", param);
    text_member(answer, "request_log_url");
    text_format(answer, "\"https://dashboard.sandbox.example/%s/logs/%s\"", call->livemode ? "live" : "test",
                call->request_id);
    text_member_string(answer, "type", type);
    text_string(answer, "}}");
}

__attribute__((format(printf, 6, 0))) static void write_formatted(struct call *call, int status,
                                                                  const char *type, const char *code,
                                                                  const char *param, const char *format,
                                                                  va_list arguments)
{
    struct text message = {0};
    text_vformat(&message, format, arguments);
    write_error(call, status, type, code, param, text_end(&message));
    text_free(&message);
}

void call_error(struct call *call, int status, const char *type, const char *code, const char *param,
                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_formatted(call, status, type, code, param, format, arguments);
    va_end(arguments);
}

void call_invalid(struct call *call, const char *code, const char *param, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_formatted(call, 400, "invalid_request_error", code, param, format, arguments);
    va_end(arguments);
    call->executed = false;
}

void call_refuse(struct call *call, int status, const char *code, const char *param, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_formatted(call, status, "invalid_request_error", code, param, format, arguments);
    va_end(arguments);
}

void call_missing(struct call *call, const char *what)
{
    call_refuse(call, 404, "resource_missing", "id", "No such %s: '%s'", what, call->object_id);
}
