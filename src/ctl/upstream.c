#include "ctl/upstream.h"

#include <stdlib.h>
#include <time.h>

#include "ctl/say.h"
#include "ctl/secret.h"

/* The worker's defaults. */
#define URL_DEFAULT "https://api.stripe.com"
#define VERSION_DEFAULT "2025-03-31.basil"

#define TRIES_MAX 5
#define FIRST_PAUSE_MS 500
#define PAUSE_MS_MAX 10000
#define CONNECT_TIMEOUT_MS 10000L
#define TIMEOUT_MS 30000L
#define BODY_BYTES_MAX ((size_t)8 << 20)

static const char *setting(const char *name, const char *fallback)
{
    const char *value = getenv(name);
    return value && *value ? value : fallback;
}

/* Without a slash at its end, as in the upstream's identity. */
static const char *trimmed_url(struct arena *arena)
{
    struct text url = text_from(setting("INVOICEGATE_UPSTREAM_URL", URL_DEFAULT));
    while (url.length > 0 && url.at[url.length - 1] == '/')
        url.length--;
    return arena_copy(arena, url).at;
}

static void add_header(struct upstream *upstream, const char *name, const char *value)
{
    struct text line = arena_printf(upstream->arena, "%s: %s", name, value);
    struct curl_slist *longer = line.at ? curl_slist_append(upstream->headers, line.at) : NULL;
    if (longer)
        upstream->headers = longer;
}

static void prepare(struct upstream *upstream, const char *key)
{
    const char *authorities = setting("INVOICEGATE_UPSTREAM_CA_FILE", NULL);
    curl_easy_setopt(upstream->curl, CURLOPT_HTTPHEADER, upstream->headers);
    curl_easy_setopt(upstream->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(upstream->curl, CURLOPT_USERNAME, key);
    curl_easy_setopt(upstream->curl, CURLOPT_PASSWORD, "");
    curl_easy_setopt(upstream->curl, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(upstream->curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(upstream->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(upstream->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(upstream->curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(upstream->curl, CURLOPT_ERRORBUFFER, upstream->error);
    if (authorities)
        curl_easy_setopt(upstream->curl, CURLOPT_CAINFO, authorities);
}

enum ctl_exit upstream_open(struct upstream *upstream, struct ctl *ctl, const char *mode,
                            const char *account_id)
{
    bool live = strcmp(mode, "live") == 0;
    struct text key;
    *upstream =
        (struct upstream){.arena = &ctl->arena, .url = trimmed_url(&ctl->arena), .tries_max = TRIES_MAX};
    enum ctl_exit end =
        live ? secret_read(ctl, "INVOICEGATE_UPSTREAM_KEY_FILE", "upstream-key", &key)
             : secret_read(ctl, "INVOICEGATE_UPSTREAM_TEST_KEY_FILE", "upstream-test-key", &key);
    if (end != CTL_DONE)
        return end;
    struct text key_string = arena_copy(&ctl->arena, key); /* ends where its white space was */
    upstream->curl = curl_easy_init();
    if (!upstream->curl || !upstream->url || !key_string.at) {
        say_error("out of memory");
        return CTL_FAILED;
    }
    upstream->key_of_other_mode = strstr(key_string.at, live ? "_test_" : "_live_") != NULL;
    if (account_id)
        add_header(upstream, "Stripe-Account", account_id);
    add_header(upstream, "Accept", "application/json");
    add_header(upstream, "Stripe-Version", setting("INVOICEGATE_UPSTREAM_VERSION", VERSION_DEFAULT));
    prepare(upstream, key_string.at);
    return CTL_DONE;
}

void upstream_close(struct upstream *upstream)
{
    curl_easy_cleanup(upstream->curl);
    curl_slist_free_all(upstream->headers);
}

time_t upstream_date(const struct upstream *upstream)
{
    struct curl_header *header = NULL;
    if (!upstream->curl ||
        curl_easy_header(upstream->curl, "Date", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return -1;
    return curl_getdate(header->value, NULL);
}

const char *upstream_escape(const struct upstream *upstream, const char *text)
{
    char *escaped = curl_easy_escape(upstream->curl, text, 0);
    struct text copy = arena_copy(upstream->arena, text_from(escaped));
    curl_free(escaped);
    return copy.at ? copy.at : "";
}

static size_t take_body(char *bytes, size_t size, size_t count, void *body)
{
    struct builder *builder = body;
    if (builder->length + size * count > BODY_BYTES_MAX)
        return 0;
    builder_add(builder, (struct text){bytes, size * count});
    return size * count;
}

/* One call. False when there was no whole answer. */
static bool call_once(struct upstream *upstream, const char *path, struct text *body)
{
    struct builder builder;
    struct text url = arena_printf(upstream->arena, "%s%s", upstream->url, path);
    builder_init(&builder, upstream->arena, 4096);
    upstream->status = 0;
    upstream->error[0] = '\0';
    curl_easy_setopt(upstream->curl, CURLOPT_URL, url.at);
    curl_easy_setopt(upstream->curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(upstream->curl, CURLOPT_WRITEDATA, &builder);
    CURLcode code = curl_easy_perform(upstream->curl);
    if (code != CURLE_OK && !upstream->error[0])
        snprintf(upstream->error, sizeof(upstream->error), "%s", curl_easy_strerror(code));
    curl_easy_getinfo(upstream->curl, CURLINFO_RESPONSE_CODE, &upstream->status);
    *body = builder_text(&builder);
    return code == CURLE_OK && body->at;
}

static bool worth_again(bool answered, long status)
{
    return !answered || status == 409 || status == 424 || status == 429 || status >= 500;
}

/* What the upstream asks for, or twice as long as before; without jitter, as one caller alone collides with
 * nobody. */
static void rest(const struct upstream *upstream, int attempt)
{
    curl_off_t asked_s = 0;
    curl_easy_getinfo(upstream->curl, CURLINFO_RETRY_AFTER, &asked_s);
    int64_t pause_ms = asked_s > 0 ? asked_s * 1000 : (int64_t)FIRST_PAUSE_MS << attempt;
    if (pause_ms > PAUSE_MS_MAX)
        pause_ms = PAUSE_MS_MAX;
    struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* The sentence that the upstream gives with an error. */
static const char *message_of(struct json_object *answer)
{
    struct json_object *error = NULL;
    struct json_object *message = NULL;
    if (!json_object_object_get_ex(answer, "error", &error) ||
        !json_object_object_get_ex(error, "message", &message))
        return "it does not say why";
    return json_object_get_string(message);
}

static enum ctl_exit judge(struct upstream *upstream, const char *path, bool answered,
                           struct json_object *answer)
{
    if (!answered)
        say_error("upstream %s gives no answer: %s; check INVOICEGATE_UPSTREAM_URL", upstream->url,
                  upstream->error);
    else if (upstream->status == 404)
        return CTL_NOT_FOUND;
    else if (upstream->status == 401)
        say_error("upstream %s refuses the key; check the key file of this mode", upstream->url);
    else if (upstream->status == 403)
        say_error("upstream %s closes this account to us: %s", upstream->url, message_of(answer));
    else if (upstream->status != 200)
        say_error("upstream answers %ld to %s: %s", upstream->status, path, message_of(answer));
    else if (!json_object_is_type(answer, json_type_object))
        say_error("upstream answers something that is no JSON object to %s", path);
    else
        return CTL_DONE;
    return CTL_UPSTREAM;
}

enum ctl_exit upstream_get(struct upstream *upstream, const char *path, struct json_object **object,
                           struct text *bytes)
{
    bool answered = call_once(upstream, path, bytes);
    for (int attempt = 0; attempt + 1 < upstream->tries_max && worth_again(answered, upstream->status);
         attempt++) {
        rest(upstream, attempt);
        answered = call_once(upstream, path, bytes);
    }
    *object = answered ? json_tokener_parse(bytes->at) : NULL;
    enum ctl_exit end = judge(upstream, path, answered, *object);
    if (end != CTL_DONE) {
        json_object_put(*object);
        *object = NULL;
    }
    return end;
}
