/* API keys: made here, shown once, kept as a digest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/apikey.h"
#include "ctl/agency.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/file.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"

#define NAME_BYTES_MAX 200
#define HINT_BYTES 4
#define DIGEST_KEY_BYTES_MIN 32
#define DIGEST_KEY_BYTES_MAX 4096

static const char *digest_key_path(struct arena *arena)
{
    const char *path = getenv("INVOICEGATE_DIGEST_KEY_FILE");
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (path && *path)
        return path;
    return directory && *directory ? arena_printf(arena, "%s/digest-key", directory).at : NULL;
}

/* The operator's digest key: what the worker reads too, without the newline at its end. */
static enum ctl_exit digest_key_read(struct ctl *ctl, struct text *key)
{
    const char *path = digest_key_path(&ctl->arena);
    if (!path) {
        say_error("INVOICEGATE_DIGEST_KEY_FILE is not set; set it to the file whose content keys the "
                  "digests, the same "
                  "as the worker's");
        return CTL_FAILED;
    }
    *key = file_read(&ctl->arena, path, DIGEST_KEY_BYTES_MAX);
    if (!key->at) {
        say_error("the digest key %s cannot be read: %s", path, strerror(errno));
        return CTL_FAILED;
    }
    if (key->length > 0 && key->at[key->length - 1] == '\n')
        key->length--;
    if (key->length < DIGEST_KEY_BYTES_MIN) {
        say_error("the digest key %s has %zu bytes, %d are needed; 'openssl rand -hex 32' makes one", path,
                  key->length, DIGEST_KEY_BYTES_MIN);
        return CTL_FAILED;
    }
    return CTL_DONE;
}

static enum ctl_exit make(struct ctl *ctl, enum mode mode, char key[APIKEY_BYTES + 1],
                          uint8_t digest[DIGEST_BYTES])
{
    struct text digest_key;
    enum ctl_exit end = digest_key_read(ctl, &digest_key);
    if (end != CTL_DONE)
        return end;
    if (apikey_make(mode, key) && apikey_digest(digest_key, text_from(key), digest))
        return CTL_DONE;
    say_error("no key could be made: the system gives no random bytes");
    return CTL_FAILED;
}

/* Answers the key's row, committed; NULL after an error. */
static PGresult *store(struct ctl *ctl, int64_t agency_id, const char *key, const uint8_t *digest)
{
    const char *name = option_text(ctl, "name");
    const char *expires;
    if (!option_moment(ctl, "expires", &expires) || !db_begin(&ctl->db))
        return NULL;
    PGresult *rows =
        DB_QUERY(&ctl->db,
                 "insert into gateway.api_keys (agency_id, digest, mode, name, hint, expires_at) "
                 "values ($1, $2, $3, coalesce($4, ''), $5, $6::timestamptz) "
                 "returning key_id, agency_id, mode, name, hint, created_at, expires_at",
                 db_int(agency_id), db_bytes((struct text){(const char *)digest, DIGEST_BYTES}),
                 db_text(option_text(ctl, "mode")), db_text(name), db_text(key + APIKEY_BYTES - HINT_BYTES),
                 db_text(expires));
    if (rows)
        event_write(ctl, "key", agency_id, "key created", PQgetvalue(rows, 0, 0));
    if (rows && db_commit(&ctl->db))
        return rows;
    PQclear(rows);
    return NULL;
}

static void print_key(const struct ctl *ctl, const char *key, const PGresult *rows)
{
    if (ctl->json) {
        struct json_object *object = json_row(rows, 0);
        json_object_object_add(object, "key", json_object_new_string(key));
        json_print(object);
    } else
        printf("%s\n", key);
    if (fflush(stdout) == 0)
        say_note("key %s: this is shown once and kept nowhere; store it now", PQgetvalue(rows, 0, 0));
    else
        say_error(
            "the key was made but could not be shown; revoke it: invoicegatectl key revoke --agency %s %s",
            PQgetvalue(rows, 0, 1), PQgetvalue(rows, 0, 0));
}

/* A moment that is no date (the 31st of February) or already past is the operator's slip, not the database's.
 */
static enum ctl_exit check_expiry(struct ctl *ctl)
{
    const char *expires;
    if (!option_moment(ctl, "expires", &expires))
        return CTL_USAGE;
    if (!expires)
        return CTL_DONE;
    PGresult *rows = DB_QUERY(&ctl->db, "select $1::timestamptz > now()", db_text(expires));
    if (!rows)
        return strncmp(ctl->db.sqlstate, "22", 2) == 0 ? CTL_USAGE : CTL_DATABASE;
    bool future = db_cell_bool(rows, 0, 0);
    PQclear(rows);
    return future ? CTL_DONE : usage_error(ctl, "--expires is in the past");
}

static enum ctl_exit create(struct ctl *ctl)
{
    char key[APIKEY_BYTES + 1];
    uint8_t digest[DIGEST_BYTES];
    int64_t agency_id;
    const char *name = option_text(ctl, "name");
    enum mode mode = strcmp(option_text(ctl, "mode"), "live") == 0 ? MODE_LIVE : MODE_TEST;
    if (name && !check_plain(ctl, "--name", name, NAME_BYTES_MAX))
        return CTL_USAGE;
    enum ctl_exit end = make(ctl, mode, key, digest);
    if (end == CTL_DONE)
        end = agency_required(ctl, &agency_id);
    if (end == CTL_DONE)
        end = check_expiry(ctl);
    if (end == CTL_DONE) {
        PGresult *rows = store(ctl, agency_id, key, digest);
        if (rows)
            print_key(ctl, key, rows);
        else
            end = CTL_DATABASE;
        PQclear(rows);
    }
    explicit_bzero(key, sizeof(key));
    return end;
}

static const struct option create_options[] = {
    {"agency", "ID", "whose key it is", NULL, true, false},
    {"mode", "live|test", "which half of the upstream it opens", "live test", true, false},
    {"name", "NAME", "what it is for", NULL, false, false},
    {"expires", "ISO", "until when it is good, such as 2027-01-31; default: for ever", NULL, false, false},
    OPTIONS_END,
};

const struct command key_commands[] = {
    {"key", "create", "", 0, 0, "make an API key and print it, once",
     "The database keeps a keyed digest and the last four characters. Standard output has the key alone.",
     create_options,
     "  invoicegatectl key create --agency 1 --mode test --name laptop\n"
     "  key=$(invoicegatectl key create --agency 1 --mode live --expires 2027-01-31)\n",
     create},
    COMMANDS_END,
};
