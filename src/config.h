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
#include "config_file.h"

#define CONFIG_SECRET_MAX_BYTES 4096
#define CONFIG_URL_MAX_BYTES 1024

/* A file's content, whitespace at its end removed; length 0: not there. */
struct secret {
    char bytes[CONFIG_SECRET_MAX_BYTES];
    size_t length;
};

struct config {
    struct config_file file; /* texts may point into it */
    const char *settings_file;
    char url[CONFIG_URL_MAX_BYTES];
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

/* From the settings file, if there is one, and the environment. False after one clear line on errors. The
 * texts live as long as the environment and the config. */
MUST_CHECK bool config_read(struct config *config, FILE *errors);
/* Tells each name in the environment and the settings file that looks like a setting and is none: a
 * misspelled one would be missed in silence. Never a value. */
typedef void config_stray_fn(const char *name);
void config_strays(const struct config *config, config_stray_fn *tell);
/* Takes over from fresh what can change while the worker runs, and writes the names of what changed.
 * needs_restart: those of what differs and stays as it was. */
void config_renew(struct config *config, const struct config *fresh, FILE *changed, FILE *needs_restart);
/* Frees what reading took, and wipes the secrets: of one that is of no more use. */
void config_forget(struct config *config);
/* Every setting with its default, range and unit. */
void config_describe(FILE *out);

#endif
