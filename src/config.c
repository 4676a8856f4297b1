#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/plain_file.h"

#define PREFIX "INVOICEGATE_"
#define STRAY_NAME_BYTES 80
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

enum setting_type { SETTING_TEXT, SETTING_NUMBER, SETTING_SWITCH, SETTING_SECRET, SETTING_LEVEL };

struct setting {
    const char *name; /* without the prefix */
    enum setting_type type;
    size_t offset;
    const char *fallback; /* "" for none; of a secret: its name in the credentials directory */
    long least, most;
    const char *about;
    bool reloads; /* SIGHUP changes it */
};

#define AT(member) offsetof(struct config, member)

static const struct setting settings[] = {
    {"SETTINGS_FILE", SETTING_TEXT, AT(settings_file), "", 0, 0,
     "file with settings as NAME=VALUE lines, which win over the environment; SIGHUP reads it anew", false},
    {"DATABASE", SETTING_TEXT, AT(database), "dbname=invoicegate user=invoicegate_worker", 0, 0,
     "libpq connection string; role invoicegate_worker", false},
    {"UPSTREAM_URL", SETTING_TEXT, AT(upstream_url), "https://api.stripe.com", 0, 0,
     "where invoices are created: scheme, host and port only", false},
    {"UPSTREAM_KEY_FILE", SETTING_SECRET, AT(upstream_keys[MODE_LIVE]), "upstream-key", 0, 0,
     "file with the upstream's live secret key", true},
    {"UPSTREAM_TEST_KEY_FILE", SETTING_SECRET, AT(upstream_keys[MODE_TEST]), "upstream-test-key", 0, 0,
     "file with the upstream's test secret key", true},
    {"UPSTREAM_CA_FILE", SETTING_TEXT, AT(upstream_ca_file), "", 0, 0,
     "certificates to trust instead of the system's", false},
    {"UPSTREAM_VERSION", SETTING_TEXT, AT(upstream_version), "2025-03-31.basil", 0, 0,
     "Stripe-Version that is sent with every call", false},
    {"UPSTREAM_PLATFORM", SETTING_TEXT, AT(upstream_platform), "", 0, 0,
     "the platform's own account id; a change keeps requests of the other platform apart", false},
    {"DIGEST_KEY_FILE", SETTING_SECRET, AT(digest_key), "digest-key", 0, 0,
     "file with the secret that API keys are digested with, at least 32 bytes", false},
    {"DEADLINE_MS", SETTING_NUMBER, AT(deadline_ms), "30000", 100, 300000,
     "longest wait of a client; nginx must wait longer", true},
    {"CONNECT_TIMEOUT_MS", SETTING_NUMBER, AT(connect_timeout_ms), "5000", 10, 60000,
     "longest wait for a connection to the upstream", false},
    {"CALL_TIMEOUT_MS", SETTING_NUMBER, AT(call_timeout_ms), "20000", 50, 120000,
     "longest wait for one answer of the upstream", false},
    {"MAX_INFLIGHT", SETTING_NUMBER, AT(max_inflight), "4096", 1, 65536,
     "requests that one worker works on at once", true},
    {"ACCOUNT_POSTS_PER_S", SETTING_NUMBER, AT(account_posts_per_s), "25", 0, 10000,
     "POSTs a second for one account, over all workers; 0: no limit", true},
    {"WRONG_KEYS_PER_MIN", SETTING_NUMBER, AT(wrong_keys_per_min), "60", 0, 1000000,
     "wrong API keys from one address before a worker slows them down; 0: any number", true},
    {"LEASE_MS", SETTING_NUMBER, AT(lease_ms), "15000", 500, 600000,
     "after this silence of a worker others take its requests over", false},
    {"KEY_RETENTION_H", SETTING_NUMBER, AT(key_retention_h), "24", 24, 8760,
     "how long an Idempotency-Key is remembered after its request ended", true},
    {"BACKGROUND_MS", SETTING_NUMBER, AT(background_ms), "30000", 100, 600000,
     "how long a worker itself goes on with a request that nobody waits for", true},
    {"PARK_MS", SETTING_NUMBER, AT(park_ms), "15000", 100, 600000,
     "after that, how long the request rests in PostgreSQL before it is taken up again", true},
    {"LOOKUP_PAUSE_MS", SETTING_NUMBER, AT(lookup_pause_ms), "60000", 100, 600000,
     "between two looks for an invoice before it counts as absent; a slow upstream needs more", true},
    {"DRAIN_MS", SETTING_NUMBER, AT(drain_ms), "40000", 0, 600000,
     "longest wait for requests in flight after SIGTERM", true},
    {"DATABASE_LANES", SETTING_NUMBER, AT(database_lanes), "2", 1, 8,
     "connections that carry intents and results", false},
    {"BATCH_MAX", SETTING_NUMBER, AT(batch_max), "128", 1, 256, "requests in one database transaction", true},
    {"PASS_THROUGH", SETTING_SWITCH, AT(pass_through), "yes", 0, 0,
     "yes: POST /v1/invoices passes parameters on that the gateway does not know", true},
    {"PASS_THROUGH_MONEY", SETTING_SWITCH, AT(pass_through_money), "no", 0, 0,
     "yes: also those that may move money or responsibility to another account, or reach other invoices",
     true},
    {"OWN_SOCKET", SETTING_SWITCH, AT(own_socket), "no", 0, 0,
     "yes: no other worker shares the listening socket, so a drain may close it", false},
    {"UNSAFE_DATABASE", SETTING_SWITCH, AT(unsafe_database), "no", 0, 0,
     "yes: accept a database that may lose what it confirmed; for experiments only", false},
    {"RUNTIME_DIR", SETTING_TEXT, AT(runtime_dir), "/run/invoicegate", 0, 0,
     "directory for what workers of this host share", false},
    {"LOG_LEVEL", SETTING_LEVEL, AT(log_level), "info", 0, 0, "error, warning, info or debug", true},
};

static const char *setting_value(const struct setting *setting, const struct config_file *file)
{
    char name[64];
    const char *value;
    CHECK(snprintf(name, sizeof(name), PREFIX "%s", setting->name) < (int)sizeof(name));
    value = config_file_value(file, name);
    if (!value)
        value = getenv(name);
    return value && *value ? value : NULL;
}

static bool complain(FILE *errors, const struct setting *setting, const char *what)
{
    fprintf(errors, "invoicegate: " PREFIX "%s %s\n", setting->name, what);
    return false;
}

static bool read_number(const struct setting *setting, const char *value, int *number, FILE *errors)
{
    char what[96];
    int64_t read;
    if (text_to_int64(text_from(value), &read) && read >= setting->least && read <= setting->most) {
        *number = (int)read;
        return true;
    }
    (void)snprintf(what, sizeof(what), "must be a whole number from %ld to %ld", setting->least,
                   setting->most);
    return complain(errors, setting, what);
}

static bool read_switch(const struct setting *setting, const char *value, bool *on, FILE *errors)
{
    *on = strcmp(value, "yes") == 0;
    return *on || strcmp(value, "no") == 0 || complain(errors, setting, "must be yes or no");
}

/* Reads the file, all of it or nothing; answers what is wrong with it, or NULL. */
static const char *read_file(int fd, struct secret *secret)
{
    ssize_t got;
    size_t length = 0;
    while (length < sizeof(secret->bytes) &&
           (got = read(fd, secret->bytes + length, sizeof(secret->bytes) - length)) != 0) {
        if (got < 0)
            return "names a file that cannot be read";
        length += (size_t)got;
    }
    if (length == sizeof(secret->bytes))
        return "names a file that is too long";
    while (length > 0 && (unsigned char)secret->bytes[length - 1] <= ' ')
        length--;
    secret->bytes[length] = '\0';
    secret->length = length;
    return length > 0 ? NULL : "names an empty file";
}

/* A named file must be readable; one in the credentials directory may be missing. */
static bool read_secret(const struct setting *setting, const char *named, struct secret *secret, FILE *errors)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    const char *problem;
    char path[PATH_MAX];
    int fd;
    secret->length = 0;
    if (!named && !directory)
        return true;
    if (snprintf(path, sizeof(path), "%s%s%s", named ? named : directory, named ? "" : "/",
                 named ? "" : setting->fallback) >= (int)sizeof(path))
        return complain(errors, setting, "is too long a path");
    fd = plain_file_open(path);
    if (fd < 0 && errno == EINVAL)
        return complain(errors, setting, "names what is no file: a pipe, a device or a directory");
    if (fd < 0)
        return !named || complain(errors, setting, "names a file that cannot be read");
    problem = read_file(fd, secret);
    close(fd);
    return !problem || complain(errors, setting, problem);
}

static bool read_setting(const struct setting *setting, struct config *config, FILE *errors)
{
    char *field = (char *)config + setting->offset;
    const char *given = setting_value(setting, &config->file);
    const char *value = given ? given : setting->fallback;
    switch (setting->type) {
    case SETTING_TEXT:
        *(const char **)(void *)field = value;
        return true;
    case SETTING_NUMBER:
        return read_number(setting, value, (int *)(void *)field, errors);
    case SETTING_SWITCH:
        return read_switch(setting, value, (bool *)(void *)field, errors);
    case SETTING_SECRET:
        return read_secret(setting, given, (struct secret *)(void *)field, errors);
    case SETTING_LEVEL:
        return log_level_from(value, (enum log_level *)(void *)field) ||
               complain(errors, setting, "must be error, warning, info or debug");
    }
    return false;
}

static const struct setting *setting_named(const char *name)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    NEVER("a setting of the table");
    return NULL;
}

/* A header value is sent as it is. */
static bool is_token(const char *value)
{
    for (; *value; value++)
        if (*value <= ' ' || *value >= 0x7f)
            return false;
    return true;
}

/* "scheme://host[:port]" with an optional slash, which is dropped: the URL is part of an upstream's identity.
 */
static bool check_url(struct config *config, FILE *errors)
{
    const char *given = config->upstream_url;
    size_t length = strlen(given), scheme = strncmp(given, "http://", 7) == 0 ? 7 : 8;
    bool good = (scheme == 7 || strncmp(given, "https://", 8) == 0) && is_token(given);
    if (length > 0 && given[length - 1] == '/')
        length--;
    if (!good || length <= scheme || length >= sizeof(config->url) || given[scheme] == ':' ||
        strpbrk(given + scheme, "?#@\"\\") || memchr(given + scheme, '/', length - scheme))
        return complain(errors, setting_named("UPSTREAM_URL"),
                        "must be like https://api.example.com, no more");
    memcpy(config->url, given, length);
    config->url[length] = '\0';
    config->upstream_url = config->url;
    return true;
}

static bool is_key(const struct secret *secret)
{
    return strlen(secret->bytes) == secret->length && is_token(secret->bytes);
}

static bool check_secrets(const struct config *config, FILE *errors)
{
    if (config->digest_key.length < 32)
        return complain(errors, setting_named("DIGEST_KEY_FILE"),
                        "must name a file with at least 32 bytes; make one with: openssl rand -hex 32");
    if (!config->upstream_keys[MODE_LIVE].length && !config->upstream_keys[MODE_TEST].length)
        return complain(errors, setting_named("UPSTREAM_KEY_FILE"),
                        "must name a file with the upstream's secret key (or give UPSTREAM_TEST_KEY_FILE)");
    for (int mode = 0; mode < MODE_COUNT; mode++)
        if (config->upstream_keys[mode].length > 400 || !is_key(&config->upstream_keys[mode]))
            return complain(errors,
                            setting_named(mode == MODE_LIVE ? "UPSTREAM_KEY_FILE" : "UPSTREAM_TEST_KEY_FILE"),
                            "must hold one key, printable, without spaces");
    return true;
}

bool config_read(struct config *config, FILE *errors)
{
    memset(config, 0, sizeof(*config));
    if (!config_file_read(&config->file, getenv(PREFIX "SETTINGS_FILE"), errors))
        return false;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (!read_setting(&settings[i], config, errors))
            return false;
    if (!*config->upstream_ca_file)
        config->upstream_ca_file = NULL;
    if (!is_token(config->upstream_version) || !*config->upstream_version)
        return complain(errors, setting_named("UPSTREAM_VERSION"), "must be printable, without spaces");
    return check_url(config, errors) && check_secrets(config, errors);
}

static void describe_one(FILE *out, const struct setting *setting)
{
    fprintf(out, "  " PREFIX "%s\n      %s\n", setting->name, setting->about);
    if (setting->type == SETTING_SECRET)
        fprintf(out, "      default: %s in systemd's credentials directory\n", setting->fallback);
    else if (setting->type == SETTING_NUMBER)
        fprintf(out, "      default: %s, from %ld to %ld\n", setting->fallback, setting->least,
                setting->most);
    else
        fprintf(out, "      default: %s\n", *setting->fallback ? setting->fallback : "none");
    if (setting->reloads)
        fprintf(out, "      read anew at SIGHUP\n");
}

void config_describe(FILE *out)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        describe_one(out, &settings[i]);
}

/* ---- names that are none */

/* Of the programs and tests beside the worker, which share its environment. */
static const char *const names_of_others[] = {
    "ACCOUNT",  "ADMIN",      "ADMIN_URL", "AUDIT_DATABASE", "BENCH",       "BUILD",  "CLIENT",  "CONFIG_DIR",
    "CRASH_AT", "CRASH_ONCE", "KEY",       "PRODUCT",        "SANDBOX_URL", "SCARCE", "SQL_DIR", "TEST_BUILD",
    "TEST_KEY", "URL",        "VERSION",
};

static bool is_known(const char *name)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (strcmp(settings[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < sizeof(names_of_others) / sizeof(names_of_others[0]); i++)
        if (strcmp(names_of_others[i], name) == 0)
            return true;
    return false;
}

/* entry: NAME, or NAME=VALUE. A name that is cut is unknown all the same. */
static void look_at_name(const char *entry, config_stray_fn *tell)
{
    char name[STRAY_NAME_BYTES];
    if (strncmp(entry, PREFIX, sizeof(PREFIX) - 1) != 0)
        return;
    (void)snprintf(name, sizeof(name), "%.*s", (int)strspn(entry, NAME_CHARACTERS), entry);
    if (!is_known(name + sizeof(PREFIX) - 1))
        tell(name);
}

void config_strays(const struct config *config, config_stray_fn *tell)
{
    for (char **entry = environ; *entry; entry++)
        look_at_name(*entry, tell);
    for (int i = 0; i < config->file.count; i++)
        look_at_name(config->file.lines[i].name, tell);
}

/* ---- while the worker runs */

static bool is_same(const struct setting *setting, const void *one, const void *two)
{
    const struct secret *first = one, *second = two;
    switch (setting->type) {
    case SETTING_TEXT:
        return text_is(text_from(*(const char *const *)one), text_from(*(const char *const *)two));
    case SETTING_NUMBER:
        return *(const int *)one == *(const int *)two;
    case SETTING_SWITCH:
        return *(const bool *)one == *(const bool *)two;
    case SETTING_SECRET:
        return text_is((struct text){first->bytes, first->length},
                       (struct text){second->bytes, second->length});
    case SETTING_LEVEL:
        return *(const enum log_level *)one == *(const enum log_level *)two;
    }
    return false;
}

/* Texts point into fresh: none of them reloads. */
static void copy_value(const struct setting *setting, void *to, const void *from)
{
    static const size_t sizes[] = {[SETTING_NUMBER] = sizeof(int),
                                   [SETTING_SWITCH] = sizeof(bool),
                                   [SETTING_SECRET] = sizeof(struct secret),
                                   [SETTING_LEVEL] = sizeof(enum log_level)};
    CHECK(setting->type != SETTING_TEXT);
    memcpy(to, from, sizes[setting->type]);
}

/* Which modes are served was told to the database at the start. */
static bool may_change(const struct setting *setting, const void *old, const void *fresh)
{
    if (setting->type != SETTING_SECRET)
        return setting->reloads;
    return setting->reloads && ((const struct secret *)old)->length && ((const struct secret *)fresh)->length;
}

void config_renew(struct config *config, const struct config *fresh, FILE *changed, FILE *needs_restart)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const struct setting *setting = &settings[i];
        char *old = (char *)config + setting->offset;
        const char *renewed = (const char *)fresh + setting->offset;
        if (is_same(setting, old, renewed))
            continue;
        if (may_change(setting, old, renewed)) {
            copy_value(setting, old, renewed);
            fprintf(changed, "%s ", setting->name);
        } else {
            fprintf(needs_restart, "%s ", setting->name);
        }
    }
}

void config_forget(struct config *config)
{
    config_file_forget(&config->file);
    explicit_bzero(config, sizeof(*config));
}
