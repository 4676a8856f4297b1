#include "upstream/transfer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define BODY_FIRST_BYTES 4096
#define PATH_MAX_BYTES 2048
#define EXPECT_FROM_BYTES 1024 /* before longer bodies libcurl would ask first */
#define RETRY_AFTER_MAX_S 60   /* longer, and what is in doubt would stay so after the upstream is back */

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct transfer *transfer = owner;
    size_t length = size * count, needed = transfer->body_bytes + length;
    if (needed > transfer->answer_max_bytes)
        return 0;
    if (needed > transfer->body_room_bytes) {
        size_t room = transfer->body_room_bytes ? transfer->body_room_bytes : BODY_FIRST_BYTES;
        char *grown;
        while (room < needed)
            room *= 2;
        grown = realloc(transfer->body, room);
        if (!grown)
            return 0;
        transfer->body = grown;
        transfer->body_room_bytes = room;
    }
    memcpy(transfer->body + transfer->body_bytes, bytes, length);
    transfer->body_bytes = needed;
    return length;
}

/* The value of a header line if it is the named one, cut at its line end; absent otherwise. */
static struct text header_value(struct text line, struct text name)
{
    struct text value;
    if (line.length <= name.length || line.at[name.length] != ':' ||
        strncasecmp(line.at, name.at, name.length) != 0)
        return TEXT_NONE;
    value = (struct text){line.at + name.length + 1, line.length - name.length - 1};
    while (value.length > 0 && (value.at[0] == ' ' || value.at[0] == '\t')) {
        value.at++;
        value.length--;
    }
    while (value.length > 0 && (unsigned char)value.at[value.length - 1] <= ' ')
        value.length--;
    return value;
}

static void forget_headers(struct transfer *transfer)
{
    transfer->request_id[0] = '\0';
    transfer->retry_after_s = 0;
    transfer->should_retry = SHOULD_RETRY_UNSAID;
    transfer->replayed = false;
}

/* The upstream's request id goes into tables and logs: only characters that harm nowhere. */
static void keep_request_id(struct transfer *transfer, struct text value)
{
    size_t kept = 0;
    for (size_t i = 0; i < value.length && kept < sizeof(transfer->request_id) - 1; i++)
        if (value.at[i] > ' ' && value.at[i] < 0x7f && value.at[i] != '"' && value.at[i] != '\\')
            transfer->request_id[kept++] = value.at[i];
    transfer->request_id[kept] = '\0';
}

static size_t on_header(char *bytes, size_t size, size_t count, void *owner)
{
    struct transfer *transfer = owner;
    struct text line = {bytes, size * count}, value;
    int64_t seconds;
    if (text_starts(line, TEXT("HTTP/")))
        forget_headers(transfer); /* an interim answer came before */
    else if ((value = header_value(line, TEXT("Request-Id"))).at)
        keep_request_id(transfer, value);
    else if ((value = header_value(line, TEXT("Retry-After"))).at)
        transfer->retry_after_s = text_to_int64(value, &seconds) && seconds > 0
                                      ? (int)(seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S)
                                      : 0;
    else if ((value = header_value(line, TEXT("Stripe-Should-Retry"))).at)
        transfer->should_retry = text_is_nocase(value, TEXT("true"))    ? SHOULD_RETRY_YES
                                 : text_is_nocase(value, TEXT("false")) ? SHOULD_RETRY_NO
                                                                        : SHOULD_RETRY_UNSAID;
    else if ((value = header_value(line, TEXT("Idempotent-Replayed"))).at)
        transfer->replayed = text_is_nocase(value, TEXT("true"));
    return line.length;
}

/* When a kept connection breaks before a byte of the answer, libcurl sends the call again on a fresh one and
 * tells nobody. */
static int on_sending(void *owner, char *address, char *local_address, int port, int local_port)
{
    struct transfer *transfer = owner;
    (void)address;
    (void)local_address;
    (void)port;
    (void)local_port;
    transfer->sendings++;
    return CURL_PREREQFUNC_OK;
}

#define SET(option, value) (curl_easy_setopt(easy, CURLOPT_##option, (value)) == CURLE_OK)

static bool set_common(CURL *easy, struct transfer *transfer, const struct upstream_settings *settings)
{
    bool secure = strncmp(settings->url, "https:", 6) == 0;
    return SET(NOSIGNAL, 1L) && SET(PRIVATE, transfer) && SET(WRITEFUNCTION, on_body) &&
           SET(WRITEDATA, transfer) && SET(HEADERFUNCTION, on_header) && SET(HEADERDATA, transfer) &&
           SET(PREREQFUNCTION, on_sending) && SET(PREREQDATA, transfer) && SET(PROTOCOLS_STR, "http,https") &&
           SET(FOLLOWLOCATION, 0L) && SET(PROXY, "") && SET(NOPROXY, "*") &&
           SET(CONNECTTIMEOUT_MS, settings->connect_timeout_ms) &&
           SET(TIMEOUT_MS, settings->call_timeout_ms) && SET(SSL_VERIFYPEER, 1L) && SET(SSL_VERIFYHOST, 2L) &&
           (!settings->ca_file || SET(CAINFO, settings->ca_file)) && SET(TCP_KEEPALIVE, 1L) &&
           SET(BUFFERSIZE, 8192L) && SET(PIPEWAIT, secure ? 1L : 0L) &&
           SET(HTTP_VERSION, (long)(secure ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
}

struct transfer *transfer_new(const struct upstream_settings *settings)
{
    struct transfer *transfer = calloc(1, sizeof(*transfer));
    if (!transfer)
        return NULL;
    transfer->easy = curl_easy_init();
    transfer->answer_max_bytes = settings->answer_max_bytes;
    if (!transfer->easy || !set_common(transfer->easy, transfer, settings)) {
        transfer_free(transfer);
        return NULL;
    }
    return transfer;
}

void transfer_free(struct transfer *transfer)
{
    if (!transfer)
        return;
    curl_easy_cleanup(transfer->easy);
    free(transfer->body);
    free(transfer->header_text);
    free(transfer);
}

void transfer_rest(struct transfer *transfer)
{
    free(transfer->body);
    transfer->body = NULL;
    transfer->body_room_bytes = 0;
}

static bool header_room(struct transfer *transfer, size_t bytes)
{
    char *grown;
    if (bytes <= transfer->header_room_bytes)
        return true;
    grown = realloc(transfer->header_text, bytes);
    if (!grown)
        return false;
    transfer->header_text = grown;
    transfer->header_room_bytes = bytes;
    return true;
}

/* Appends a header line at *end of the text buffer and links its node. */
static void header_add(struct transfer *transfer, int *count, char **end, const char *name, struct text value)
{
    struct curl_slist *node = &transfer->headers[*count];
    CHECK(*count < TRANSFER_HEADERS_MAX);
    node->data = *end;
    node->next = NULL;
    if (*count > 0)
        transfer->headers[*count - 1].next = node;
    (*count)++;
    *end = stpcpy(*end, name);
    if (value.at)
        memcpy(*end, value.at, value.length);
    *end += value.length;
    *(*end)++ = '\0';
}

static bool load_headers(struct transfer *transfer, const struct transfer_target *target,
                         const struct call *call)
{
    struct text version = call->version.at ? call->version : text_from(target->version);
    struct text authorization = text_from(target->authorization);
    char *end;
    int count = 0;
    if (!header_room(transfer, 128 + authorization.length + version.length + call->account_id.length +
                                   call->idempotency_key.length + call->traceparent.length))
        return false;
    end = transfer->header_text;
    /* All that is the same for every call goes here, too: libcurl would write it twice otherwise. */
    header_add(transfer, &count, &end, "User-Agent: invoicegate/1", TEXT(""));
    header_add(transfer, &count, &end, "", authorization);
    header_add(transfer, &count, &end, "Stripe-Version: ", version);
    if (call->account_id.at)
        header_add(transfer, &count, &end, "Stripe-Account: ", call->account_id);
    if (call->form.length >= EXPECT_FROM_BYTES)
        header_add(transfer, &count, &end, "Expect:", TEXT(""));
    if (call->idempotency_key.at)
        header_add(transfer, &count, &end, "Idempotency-Key: ", call->idempotency_key);
    if (call->traceparent.at)
        header_add(transfer, &count, &end, "traceparent: ", call->traceparent);
    return true;
}

/* The path with its query, as it is. Of a whole URL libcurl would take scheme and host apart for each call.
 */
static bool load_target(CURL *easy, struct text path)
{
    char room[PATH_MAX_BYTES];
    if (path.length >= sizeof(room))
        return false;
    memcpy(room, path.at, path.length);
    room[path.length] = '\0';
    return SET(REQUEST_TARGET, room);
}

static bool load_method(CURL *easy, const struct call *call)
{
    switch (call->method) {
    case METHOD_POST:
        return SET(CUSTOMREQUEST, NULL) && SET(POSTFIELDSIZE, (long)call->form.length) &&
               SET(POSTFIELDS, call->form.at);
    case METHOD_DELETE:
        return SET(HTTPGET, 1L) && SET(CUSTOMREQUEST, "DELETE");
    case METHOD_GET:
        break;
    }
    return SET(CUSTOMREQUEST, NULL) && SET(HTTPGET, 1L);
}

static int64_t unix_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool transfer_load(struct transfer *transfer, const struct transfer_target *target, const struct call *call)
{
    CURL *easy = transfer->easy;
    transfer->body_bytes = 0;
    transfer->sendings = 0;
    forget_headers(transfer);
    transfer->started_us = unix_now_us();
    transfer->started_clock_us = loop_clock_us();
    return load_target(easy, call->path) && load_method(easy, call) && load_headers(transfer, target, call) &&
           SET(HTTPHEADER, transfer->headers);
}

void transfer_reply(struct transfer *transfer, CURLcode code, struct reply *reply)
{
    long status = 0, sent_bytes = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
    *reply =
        (struct reply){.transport = TRANSPORT_ANSWERED,
                       .started_us = transfer->started_us,
                       .resent = transfer->sendings > 1,
                       .duration_us = loop_clock_us() - transfer->started_clock_us,
                       .request_id = transfer->request_id[0] ? text_from(transfer->request_id) : TEXT_NONE};
    if (code != CURLE_OK || status == 0) {
        reply->transport = sent_bytes > 0 || reply->resent ? TRANSPORT_LOST : TRANSPORT_NOT_SENT;
        reply->problem = curl_easy_strerror(code);
        return;
    }
    reply->status = (int)status;
    reply->body = (struct text){transfer->body ? transfer->body : "", transfer->body_bytes};
    reply->retry_after_s = transfer->retry_after_s;
    reply->should_retry = transfer->should_retry;
    reply->replayed = transfer->replayed;
}
