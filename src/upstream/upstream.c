#include "upstream/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "upstream/sockets.h"
#include "upstream/transfer.h"

#define AUTHORIZATION_MAX_BYTES 1024
/* libcurl walks through all connections of a multi handle to find one that rests: with thousands of calls
 * under way several short walks cost less than a long one. */
#define POOLS 8

struct pool {
    struct upstream *upstream;
    CURLM *multi;
    struct sockets sockets;
    struct timer timer;
};

struct upstream {
    struct loop *loop;
    struct upstream_settings settings;
    char *authorization[MODE_COUNT]; /* header lines, or NULL */
    upstream_reply_fn *reply;
    void *owner;
    CURLSH *share;  /* addresses, and TLS sessions for handles that have none yet */
    CURLU *address; /* without a path: that belongs to the calls */
    struct pool pools[POOLS];
    struct transfer **transfers; /* by number - 1; each stays in its pool */
    uint32_t made;
    struct transfer *free;
};

static void transfer_give_back(struct upstream *upstream, struct transfer *transfer)
{
    transfer_rest(transfer);
    transfer->next_free = upstream->free;
    upstream->free = transfer;
}

static struct pool *pool_of(struct upstream *upstream, uint32_t number)
{
    return &upstream->pools[number % POOLS];
}

static void deliver(struct pool *pool)
{
    struct upstream *upstream = pool->upstream;
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(pool->multi, &left))) {
        struct transfer *transfer;
        struct reply reply;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* the message dies with curl_multi_remove_handle */
        if (message->msg != CURLMSG_DONE)
            continue;
        CHECK(curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer) == CURLE_OK && transfer->running);
        transfer_reply(transfer, code, &reply);
        curl_multi_remove_handle(pool->multi, easy);
        transfer->running = false;
        /* Only then back to the free list: the reply's views point into it. */
        upstream->reply(upstream->owner, transfer->ref, &reply);
        transfer_give_back(upstream, transfer);
    }
}

static void on_socket(void *owner, curl_socket_t fd, int flags)
{
    struct pool *pool = owner;
    int running;
    curl_multi_socket_action(pool->multi, fd, flags, &running);
    deliver(pool);
}

static void on_timer(void *owner)
{
    struct pool *pool = owner;
    int running;
    curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    deliver(pool);
}

static int on_timer_wish(CURLM *multi, long delay_ms, void *owner)
{
    struct pool *pool = owner;
    (void)multi;
    if (delay_ms < 0)
        loop_untimer(pool->upstream->loop, &pool->timer);
    else
        loop_timer(pool->upstream->loop, &pool->timer, delay_ms, on_timer, pool);
    return 0;
}

bool upstream_set_key(struct upstream *upstream, enum mode mode, struct text key)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char line[AUTHORIZATION_MAX_BYTES] = "Authorization: Basic ", pair[512], *copy,
         *out = line + strlen(line);
    size_t length = (size_t)snprintf(pair, sizeof(pair), "%.*s:", (int)key.length, key.at ? key.at : "");
    if (!key.at || length != key.length + 1 || length >= sizeof(pair) - 3)
        return false;
    for (size_t i = 0; i < length; i += 3) {
        uint32_t three = (uint32_t)(unsigned char)pair[i] << 16;
        three |= i + 1 < length ? (uint32_t)(unsigned char)pair[i + 1] << 8 : 0;
        three |= i + 2 < length ? (uint32_t)(unsigned char)pair[i + 2] : 0;
        *out++ = alphabet[three >> 18];
        *out++ = alphabet[three >> 12 & 63];
        *out++ = i + 1 < length ? alphabet[three >> 6 & 63] : '=';
        *out++ = i + 2 < length ? alphabet[three & 63] : '=';
    }
    *out = '\0';
    copy = strdup(line);
    if (!copy)
        return false;
    free(upstream->authorization[mode]);
    upstream->authorization[mode] = copy;
    return true;
}

static bool set_keys(struct upstream *upstream)
{
    for (int mode = 0; mode < MODE_COUNT; mode++)
        if (upstream->settings.keys[mode].at &&
            !upstream_set_key(upstream, (enum mode)mode, upstream->settings.keys[mode]))
            return false;
    return true;
}

static bool set_share(CURLSH *share)
{
    return share && curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK &&
           curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_OK;
}

static bool limit_pools(struct upstream *upstream)
{
    long connections = (long)upstream->settings.max_calls / POOLS + 1;
    for (int i = 0; i < POOLS; i++)
        if (curl_multi_setopt(upstream->pools[i].multi, CURLMOPT_MAXCONNECTS, connections) != CURLM_OK)
            return false;
    return true;
}

static bool open_pool(struct upstream *upstream, struct pool *pool)
{
    pool->upstream = upstream;
    pool->sockets = (struct sockets){.loop = upstream->loop, .ready = on_socket, .owner = pool};
    pool->multi = curl_multi_init();
    return pool->multi && sockets_watch(&pool->sockets, pool->multi) &&
           curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish) == CURLM_OK &&
           curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool) == CURLM_OK;
}

static void close_pool(struct pool *pool)
{
    curl_multi_cleanup(pool->multi);
    sockets_free(&pool->sockets);
    if (pool->upstream)
        loop_untimer(pool->upstream->loop, &pool->timer);
}

static bool open_pools(struct upstream *upstream)
{
    for (int i = 0; i < POOLS; i++)
        if (!open_pool(upstream, &upstream->pools[i]))
            return false;
    return limit_pools(upstream);
}

struct upstream *upstream_open(struct loop *loop, const struct upstream_settings *settings,
                               upstream_reply_fn *reply, void *owner)
{
    struct upstream *upstream = calloc(1, sizeof(*upstream));
    if (!upstream || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(upstream);
        return NULL;
    }
    upstream->loop = loop;
    upstream->settings = *settings;
    upstream->reply = reply;
    upstream->owner = owner;
    upstream->transfers = calloc(settings->max_calls, sizeof(*upstream->transfers));
    upstream->share = curl_share_init();
    upstream->address = curl_url();
    /* With an address that libcurl cannot read each call fails, and says why. */
    if (upstream->address)
        (void)curl_url_set(upstream->address, CURLUPART_URL, settings->url, 0);
    if (!upstream->transfers || !upstream->address || !set_share(upstream->share) || !open_pools(upstream) ||
        !set_keys(upstream)) {
        upstream_close(upstream);
        return NULL;
    }
    return upstream;
}

static struct transfer *transfer_take(struct upstream *upstream)
{
    struct transfer *transfer = upstream->free;
    if (transfer) {
        upstream->free = transfer->next_free;
        return transfer;
    }
    if (upstream->made >= upstream->settings.max_calls)
        return NULL;
    transfer = transfer_new(&upstream->settings);
    if (!transfer)
        return NULL;
    transfer->number = upstream->made + 1;
    if (!sockets_keep(&pool_of(upstream, transfer->number)->sockets, transfer->easy) ||
        curl_easy_setopt(transfer->easy, CURLOPT_CURLU, upstream->address) != CURLE_OK ||
        curl_easy_setopt(transfer->easy, CURLOPT_SHARE, upstream->share) != CURLE_OK) {
        transfer_free(transfer);
        return NULL;
    }
    upstream->transfers[upstream->made++] = transfer;
    return transfer;
}

bool upstream_start(struct upstream *upstream, struct ref ref, const struct call *call, uint32_t *number)
{
    struct transfer_target target = {upstream->settings.version, upstream->authorization[call->mode]};
    struct transfer *transfer = target.authorization ? transfer_take(upstream) : NULL;
    if (!transfer)
        return false;
    transfer->ref = ref;
    if (!transfer_load(transfer, &target, call) ||
        curl_multi_add_handle(pool_of(upstream, transfer->number)->multi, transfer->easy) != CURLM_OK) {
        transfer_give_back(upstream, transfer);
        return false;
    }
    transfer->running = true;
    *number = transfer->number;
    return true;
}

void upstream_cancel(struct upstream *upstream, uint32_t number)
{
    struct transfer *transfer;
    CHECK(number >= 1 && number <= upstream->made);
    transfer = upstream->transfers[number - 1];
    CHECK(transfer->running);
    curl_multi_remove_handle(pool_of(upstream, number)->multi, transfer->easy);
    transfer->running = false;
    transfer_give_back(upstream, transfer);
}

bool upstream_limit(struct upstream *upstream, uint32_t max_calls)
{
    struct transfer **grown = upstream->transfers;
    if (max_calls > upstream->made) /* handles that were made stay */
        grown = realloc(grown, max_calls * sizeof(*grown));
    if (!grown)
        return false;
    upstream->transfers = grown;
    upstream->settings.max_calls = max_calls;
    return limit_pools(upstream);
}

void upstream_close(struct upstream *upstream)
{
    if (!upstream)
        return;
    for (uint32_t i = 0; i < upstream->made; i++) {
        struct transfer *transfer = upstream->transfers[i];
        if (transfer->running)
            curl_multi_remove_handle(pool_of(upstream, transfer->number)->multi, transfer->easy);
        transfer_free(transfer);
    }
    for (int i = 0; i < POOLS; i++)
        close_pool(&upstream->pools[i]);
    curl_share_cleanup(upstream->share);
    curl_url_cleanup(upstream->address);
    for (int mode = 0; mode < MODE_COUNT; mode++)
        free(upstream->authorization[mode]);
    free(upstream->transfers);
    free(upstream);
    curl_global_cleanup();
}
