/* Settings from the environment: each has a default that works, a unit in its name, and is checked at start.
 */
#ifndef INVOICEGATE_CONFIG_H
#define INVOICEGATE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/apikey.h"
#include "base/log.h"
#include "base/text.h"

#define CONFIG_SECRET_MAX_BYTES 4096

/* A file's content, whitespace at its end removed; length 0: not there. */
struct secret {
    char bytes[CONFIG_SECRET_MAX_BYTES];
    size_t length;
};

struct config {
    const char *database;
    const char *upstream_url; /* without a slash at its end */
    const char *upstream_platform;
    const char *upstream_version;
    const char *upstream_ca_file; /* NULL: the system's */
    const char *runtime_dir;
    struct secret upstream_keys[MODE_COUNT];
    struct secret digest_key;
    int deadline_ms;
    int connect_timeout_ms;
    int call_timeout_ms;
    int max_inflight;
    int account_posts_per_s;
    int wrong_keys_per_min;
    int lease_ms;
    int key_retention_h;
    int background_ms;
    int park_ms;
    int lookup_pause_ms;
    int drain_ms;
    int database_lanes;
    int batch_max;
    bool own_socket;
    bool pass_through;
    bool pass_through_money;
    bool unsafe_database;
    enum log_level log_level;
};

/* False after one clear line on errors. The texts live as long as the environment. */
MUST_CHECK bool config_read(struct config *config, FILE *errors);
/* Every setting with its default, range and unit. */
void config_describe(FILE *out);
void config_forget_secrets(struct config *config);

#endif
