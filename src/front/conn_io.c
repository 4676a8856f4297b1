#include "front/conn_io.h"

#include <limits.h>
#include <stddef.h>

/* ---- reading */

struct parameter {
    struct text name;
    size_t offset; /* of its struct text in struct http_request */
};

static const struct parameter parameters[] = {
    {TEXT("REQUEST_METHOD"), offsetof(struct http_request, method)},
    {TEXT("REQUEST_URI"), offsetof(struct http_request, uri)},
    {TEXT("CONTENT_TYPE"), offsetof(struct http_request, content_type)},
    {TEXT("HTTP_AUTHORIZATION"), offsetof(struct http_request, authorization)},
    {TEXT("HTTP_IDEMPOTENCY_KEY"), offsetof(struct http_request, idempotency_key)},
    {TEXT("HTTP_STRIPE_ACCOUNT"), offsetof(struct http_request, stripe_account)},
    {TEXT("HTTP_STRIPE_VERSION"), offsetof(struct http_request, stripe_version)},
    {TEXT("HTTP_TRACEPARENT"), offsetof(struct http_request, traceparent)},
    {TEXT("INVOICEGATE_ADMIN"), offsetof(struct http_request, admin)},
    {TEXT("REMOTE_ADDR"), offsetof(struct http_request, remote_address)},
};

static struct text *field_of(struct http_request *http, struct text name)
{
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (text_is(name, parameters[i].name))
            return (struct text *)(void *)((char *)http + parameters[i].offset);
    return NULL;
}

/* Of parameters that come twice the first one counts; with a second idempotency key or account nobody knows
 * which one is meant. */
static void take_parameter(struct http_request *http, struct text name, struct text value,
                           int64_t *announced_bytes)
{
    struct text *field = field_of(http, name);

    if (field == &http->idempotency_key && field->at)
        http->idempotency_key_repeated = true;
    else if (field == &http->stripe_account && field->at)
        http->stripe_account_repeated = true;
    else if (field == &http->traceparent && field->at)
        *field = TEXT("");
    else if (field && !field->at)
        *field = value;
    else if (text_is(name, TEXT("CONTENT_LENGTH")) && !text_to_int64(value, announced_bytes))
        *announced_bytes = 0; /* empty where there is no body */
}

static int64_t take_parameters(struct http_request *http, char **envp)
{
    int64_t announced_bytes = 0;

    for (; *envp; envp++) {
        const char *equals = strchr(*envp, '=');
        if (equals)
            take_parameter(http, (struct text){*envp, (size_t)(equals - *envp)}, text_from(equals + 1),
                           &announced_bytes);
    }
    return announced_bytes;
}

/* Bytes that stayed on a kept connection would be taken for the next request. */
static bool read_away(FCGX_Stream *in)
{
    char trash[8192];
    bool any = false;

    while (FCGX_GetStr(trash, sizeof trash, in) > 0)
        any = true;
    return any;
}

bool conn_read(FCGX_Request *fcgi, char *room, size_t max_bytes, struct http_request *http)
{
    int64_t announced_bytes;
    int length;
    bool good;

    CHECK(max_bytes <= INT_MAX);
    *http = (struct http_request){0};
    announced_bytes = take_parameters(http, fcgi->envp);
    length = FCGX_GetStr(room, (int)max_bytes, fcgi->in);
    http->body_too_large = read_away(fcgi->in);
    good = FCGX_GetError(fcgi->in) == 0;
    FCGX_FreeStream(&fcgi->in); /* 8 KB that would wait with the request */
    http->body = http->body_too_large ? TEXT("") : (struct text){room, (size_t)length};
    http->body_cut = !http->body_too_large && length < announced_bytes;
    return good;
}

/* ---- writing: errors stay in the stream until the end */

/* nginx makes the status line of this; without a phrase it would lack the space that RFC 9112 wants. */
struct status {
    int status;
    struct text line;
};

static const struct status statuses[] = {
    {200, TEXT("Status: 200 OK\r\n")},
    {400, TEXT("Status: 400 Bad Request\r\n")},
    {401, TEXT("Status: 401 Unauthorized\r\n")},
    {402, TEXT("Status: 402 Payment Required\r\n")},
    {403, TEXT("Status: 403 Forbidden\r\n")},
    {404, TEXT("Status: 404 Not Found\r\n")},
    {405, TEXT("Status: 405 Method Not Allowed\r\n")},
    {409, TEXT("Status: 409 Conflict\r\n")},
    {413, TEXT("Status: 413 Content Too Large\r\n")},
    {415, TEXT("Status: 415 Unsupported Media Type\r\n")},
    {422, TEXT("Status: 422 Unprocessable Content\r\n")},
    {429, TEXT("Status: 429 Too Many Requests\r\n")},
    {500, TEXT("Status: 500 Internal Server Error\r\n")},
    {502, TEXT("Status: 502 Bad Gateway\r\n")},
    {503, TEXT("Status: 503 Service Unavailable\r\n")},
    {504, TEXT("Status: 504 Gateway Timeout\r\n")},
};

static void put(FCGX_Stream *out, struct text text)
{
    while (text.length > 0) {
        int length = text.length < INT_MAX ? (int)text.length : INT_MAX;
        if (FCGX_PutStr(text.at, length, out) != length)
            return;
        text = text_skip(text, (size_t)length);
    }
}

static void put_number(FCGX_Stream *out, const char *name_and_colon, int64_t number)
{
    char digits[TEXT_INT64_BYTES];

    put(out, text_from(name_and_colon));
    put(out, text_of_int64(number, digits));
    put(out, TEXT("\r\n"));
}

static void put_status(FCGX_Stream *out, int status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status) {
            put(out, statuses[i].line);
            return;
        }
    put_number(out, "Status: ", status);
}

static void put_header(FCGX_Stream *out, const char *name_and_colon, struct text value)
{
    if (!value.at)
        return;
    put(out, text_from(name_and_colon));
    while (value.length > 0) {
        size_t plain = 0;
        while (plain < value.length && value.at[plain] >= 0x20 && value.at[plain] <= 0x7e)
            plain++;
        put(out, (struct text){value.at, plain});
        value = text_skip(value, plain < value.length ? plain + 1 : plain);
    }
    put(out, TEXT("\r\n"));
}

bool conn_write(const FCGX_Request *fcgi, const struct http_answer *answer)
{
    FCGX_Stream *out = fcgi->out;

    put_status(out, answer->status);
    put_header(out, "Content-Type: ", answer->content_type);
    put_number(out, "Content-Length: ", (int64_t)answer->body.length);
    put_header(out, "Request-Id: ", answer->request_id);
    put_header(out, "Allow: ", answer->allow);
    if (answer->retry_after_s > 0)
        put_number(out, "Retry-After: ", answer->retry_after_s);
    put_header(out, "Idempotent-Replayed: ", answer->idempotent_replayed ? TEXT("true") : TEXT_NONE);
    put_header(out, "Stripe-Should-Retry: ", text_from(answer->should_retry));
    put_header(out, "Server-Timing: ", answer->server_timing);
    put(out, answer->more_headers);
    put(out, TEXT("\r\n"));
    put(out, answer->body);
    /* The error stream first: the last one to be closed writes the end of the request, in one go with the
     * answer. */
    return FCGX_FClose(fcgi->err) == 0 && FCGX_FClose(out) == 0;
}
