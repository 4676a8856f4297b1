#include "settings.h"

#define CONNECTIONS_MORE 64 /* that wait for nothing */
#define ANSWER_MAX_BYTES (1024 * 1024)

static struct text key_of(const struct config *config, enum mode mode)
{
    const struct secret *secret = &config->upstream_keys[mode];
    return secret->length ? (struct text){secret->bytes, secret->length} : TEXT_NONE;
}

struct gateway_settings settings_gateway(const struct config *config)
{
    return (struct gateway_settings){
        .digest_key = {config->digest_key.bytes, config->digest_key.length},
        .rules = {.pass_through = config->pass_through, .pass_through_money = config->pass_through_money},
        .deadline_ms = config->deadline_ms,
        .max_inflight = (uint32_t)config->max_inflight,
        .lease_ms = config->lease_ms,
        .background_ms = config->background_ms,
        .park_ms = config->park_ms,
        .lookup_pause_ms = config->lookup_pause_ms,
        .account_posts_per_s = config->account_posts_per_s,
        .wrong_keys_per_min = config->wrong_keys_per_min,
        .runtime_dir = config->runtime_dir,
        .serves = {config->upstream_keys[MODE_LIVE].length > 0, config->upstream_keys[MODE_TEST].length > 0},
    };
}

uint32_t settings_connections(const struct config *config)
{
    return (uint32_t)config->max_inflight + CONNECTIONS_MORE;
}

struct store_settings settings_store(const struct config *config)
{
    return (struct store_settings){
        .database = config->database,
        .build = INVOICEGATE_VERSION,
        .recipe = RECIPE,
        .upstream_url = config->upstream_url,
        .upstream_platform = config->upstream_platform,
        .upstream_version = config->upstream_version,
        .serves = {config->upstream_keys[MODE_LIVE].length > 0, config->upstream_keys[MODE_TEST].length > 0},
        .lanes = config->database_lanes,
        .batch_max = config->batch_max,
        .lease_ms = config->lease_ms,
        .key_retention_h = config->key_retention_h,
        .allow_unsafe = config->unsafe_database,
    };
}

struct upstream_settings settings_upstream(const struct config *config)
{
    return (struct upstream_settings){
        .url = config->upstream_url,
        .version = config->upstream_version,
        .keys = {key_of(config, MODE_LIVE), key_of(config, MODE_TEST)},
        .ca_file = config->upstream_ca_file,
        .connect_timeout_ms = config->connect_timeout_ms,
        .call_timeout_ms = config->call_timeout_ms,
        .answer_max_bytes = ANSWER_MAX_BYTES,
        .max_calls = (uint32_t)config->max_inflight,
    };
}
