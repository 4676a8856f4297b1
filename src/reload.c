#include "reload.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "settings.h"

/* What was written to a stream in memory, without spaces at its end. */
struct words {
    char *at;
    size_t length;
    FILE *stream;
};

static bool words_open(struct words *words)
{
    words->stream = open_memstream(&words->at, &words->length);
    return words->stream != NULL;
}

static struct text words_read(struct words *words)
{
    struct text text;
    if (fflush(words->stream) != 0)
        return TEXT_NONE;
    text = (struct text){words->at, words->length};
    while (text.length > 0 && (unsigned char)text.at[text.length - 1] <= ' ')
        text.length--;
    return text.length > 0 ? text : TEXT_NONE;
}

static void words_close(struct words *words)
{
    if (words->stream)
        (void)fclose(words->stream);
    free(words->at);
}

static void apply_keys(const struct config *config, struct upstream *upstream)
{
    struct upstream_settings settings = settings_upstream(config);
    for (int mode = 0; mode < MODE_COUNT; mode++)
        if (settings.keys[mode].at && !upstream_set_key(upstream, (enum mode)mode, settings.keys[mode]))
            LOG_PLAIN(LOG_ERROR, "an upstream key could not be changed: out of memory");
}

/* Room first: without it the old limit stays. The front opens late. */
static bool make_room(const struct config *fresh, struct gateway *gateway)
{
    uint32_t limit = (uint32_t)fresh->max_inflight;
    return slots_limit(&gateway->jobs, limit) && upstream_limit(gateway->upstream, limit) &&
           (!gateway->front || front_limit(gateway->front, settings_connections(fresh)));
}

static void log_stray(const char *name)
{
    LOG(LOG_WARNING, "this is no setting and has no effect", LOG_TEXT("name", text_from(name)));
}

void reload_tell_strays(const struct config *config)
{
    config_strays(config, log_stray);
}

static void renew(struct config *config, const struct config *fresh, struct words *changed,
                  struct words *restart)
{
    reload_tell_strays(fresh);
    config_renew(config, fresh, changed->stream, restart->stream);
    LOG(LOG_INFO, "settings were read anew", LOG_TEXT("changed", words_read(changed)),
        LOG_TEXT("needs_restart", words_read(restart)));
}

void reload_settings(struct config *config, struct gateway *gateway,
                     struct gateway_settings *gateway_settings, struct store_settings *store_settings)
{
    struct config *fresh = calloc(1, sizeof(*fresh)); /* large: secrets live in it */
    struct words problem = {0}, changed = {0}, restart = {0};
    bool read = false;
    if (fresh && words_open(&problem) && words_open(&changed) && words_open(&restart))
        read = config_read(fresh, problem.stream);
    if (!read || !make_room(fresh, gateway)) {
        struct text why = problem.stream ? words_read(&problem) : TEXT_NONE;
        LOG(LOG_ERROR, "settings were not read anew: the old ones stay",
            LOG_TEXT("why", why.at ? why : TEXT("out of memory")));
    } else {
        renew(config, fresh, &changed, &restart);
        log_level_set(config->log_level);
        *gateway_settings = settings_gateway(config);
        *store_settings = settings_store(config);
        store_settings->metrics = gateway->metrics;
        gateway->traffic.posts_per_s = config->account_posts_per_s;
        gateway->admission.strangers.limit = config->wrong_keys_per_min;
        apply_keys(config, gateway->upstream);
    }
    if (fresh)
        config_forget(fresh);
    free(fresh);
    words_close(&problem);
    words_close(&changed);
    words_close(&restart);
}
