/* API keys: made here, shown once, kept as a digest. */
#include "ctl/key.h"

#include <stdio.h>

#include "ctl/agency.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"
#include "ctl/secret.h"
#include "ctl/table.h"

#define WHY_BYTES_MAX 500
#define DIGEST_KEY_BYTES_MIN 32

enum ctl_exit key_make(struct ctl *ctl, enum mode mode, char key[APIKEY_BYTES + 1],
                       uint8_t digest[DIGEST_BYTES])
{
    struct text digest_key;
    enum ctl_exit end = secret_read(ctl, "INVOICEGATE_DIGEST_KEY_FILE", "digest-key", &digest_key);
    if (end != CTL_DONE)
        return end;
    if (digest_key.length < DIGEST_KEY_BYTES_MIN) {
        say_error("the digest key has %zu bytes, %d are needed; 'openssl rand -hex 32' makes one",
                  digest_key.length, DIGEST_KEY_BYTES_MIN);
        return CTL_FAILED;
    }
    if (apikey_make(mode, key) && apikey_digest(digest_key, text_from(key), digest))
        return CTL_DONE;
    say_error("no key could be made: the system gives no random bytes");
    return CTL_FAILED;
}

/* Answers the key's row, committed; NULL after an error. */
static PGresult *store(struct ctl *ctl, int64_t agency_id, const char *key, const uint8_t *digest,
                       const char *expires)
{
    const char *name = option_text(ctl, "name");
    if (!db_begin(&ctl->db))
        return NULL;
    PGresult *rows = DB_QUERY(
        &ctl->db,
        "insert into gateway.api_keys (agency_id, digest, mode, name, hint, expires_at, accounts, routes) "
        "values ($1, $2, $3, coalesce($4, ''), $5, $6::timestamptz, "
        "        (select array_agg(v) from jsonb_array_elements_text($7::jsonb) v), "
        "        (select array_agg(v) from jsonb_array_elements_text($8::jsonb) v)) "
        "returning key_id, agency_id, mode, name, hint, to_jsonb(accounts) as accounts, "
        "          to_jsonb(routes) as routes, created_at, expires_at",
        db_int(agency_id), db_bytes((struct text){(const char *)digest, DIGEST_BYTES}),
        db_text(option_text(ctl, "mode")), db_text(name), db_text(key + APIKEY_BYTES - KEY_HINT_BYTES),
        db_text(expires), db_text(option_list(ctl, "account")), db_text(option_list(ctl, "route")));
    if (rows)
        event_write(ctl, "key", agency_id, "key created", PQgetvalue(rows, 0, 0));
    if (rows && db_commit(&ctl->db))
        return rows;
    PQclear(rows);
    return NULL;
}

void key_print(const struct ctl *ctl, const char *key, const PGresult *rows)
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

enum ctl_exit key_check_expiry(struct ctl *ctl, const char *expires)
{
    if (!expires)
        return CTL_DONE;
    PGresult *rows = DB_QUERY(&ctl->db, "select $1::timestamptz > now()", db_text(expires));
    if (!rows)
        return strncmp(ctl->db.sqlstate, "22", 2) == 0 ? CTL_USAGE : CTL_DATABASE;
    bool future = db_cell_bool(rows, 0, 0);
    PQclear(rows);
    return future ? CTL_DONE : usage_error(ctl, "--expires is in the past");
}

/* A key for an account that the agency has not would open nothing. */
static enum ctl_exit check_accounts(struct ctl *ctl, int64_t agency_id)
{
    PGresult *rows =
        DB_QUERY(&ctl->db,
                 "select v from jsonb_array_elements_text($2::jsonb) v "
                 "where not exists (select from gateway.accounts where agency_id = $1 and account_id = v)",
                 db_int(agency_id), db_text(option_list(ctl, "account")));
    if (!rows)
        return CTL_DATABASE;
    enum ctl_exit end = PQntuples(rows) == 0 ? CTL_DONE : CTL_NOT_FOUND;
    if (end == CTL_NOT_FOUND)
        say_error("agency %lld has no account %s; 'invoicegatectl account list --agency %lld' shows them",
                  (long long)agency_id, PQgetvalue(rows, 0, 0), (long long)agency_id);
    PQclear(rows);
    return end;
}

static enum ctl_exit create(struct ctl *ctl)
{
    char key[APIKEY_BYTES + 1];
    uint8_t digest[DIGEST_BYTES];
    int64_t agency_id;
    const char *name = option_text(ctl, "name");
    enum mode mode = strcmp(option_text(ctl, "mode"), "live") == 0 ? MODE_LIVE : MODE_TEST;
    const char *expires;
    if ((name && !check_plain(ctl, "--name", name, KEY_NAME_BYTES_MAX)) ||
        !option_moment(ctl, "expires", &expires))
        return CTL_USAGE;
    enum ctl_exit end = key_make(ctl, mode, key, digest);
    if (end == CTL_DONE)
        end = agency_required(ctl, &agency_id);
    if (end == CTL_DONE)
        end = key_check_expiry(ctl, expires);
    if (end == CTL_DONE)
        end = check_accounts(ctl, agency_id);
    if (end == CTL_DONE) {
        PGresult *rows = store(ctl, agency_id, key, digest, expires);
        if (rows)
            key_print(ctl, key, rows);
        else
            end = CTL_DATABASE;
        PQclear(rows);
    }
    explicit_bzero(key, sizeof(key));
    return end;
}

static const struct column list_columns[] = {
    {"key_id", "key_id", CELL_NUMBER, false},
    {"state", "state", CELL_STATE, false},
    {"mode", "mode", CELL_TEXT, false},
    {"hint", "ends in", CELL_TEXT, false},
    {"name", "name", CELL_TEXT, true},
    {"accounts", "accounts", CELL_LIST, true},
    {"routes", "routes", CELL_LIST, true},
    {"created_at", "created (UTC)", CELL_MOMENT, false},
    {"expires_at", "expires (UTC)", CELL_MOMENT, false},
    {"revoked_at", "revoked (UTC)", CELL_MOMENT, false},
    {"last_used_at", "last used (UTC)", CELL_MOMENT, false},
    {"follows", "follows", CELL_NUMBER, false},
    COLUMNS_END,
};

static enum ctl_exit list(struct ctl *ctl)
{
    int64_t agency_id;
    enum ctl_exit end = agency_required(ctl, &agency_id);
    if (end != CTL_DONE)
        return end;
    PGresult *rows = DB_QUERY(
        &ctl->db,
        "select agency_id, key_id, case when revoked_at is not null then 'revoked' when expires_at <= now() "
        "then "
        "       'expired' else 'active' end as state, mode, hint, name, to_jsonb(accounts) as accounts, "
        "       to_jsonb(routes) as routes, created_at, expires_at, revoked_at, last_used_at, follows "
        "from gateway.api_keys where agency_id = $1 order by key_id",
        db_int(agency_id));
    return list_print(ctl, rows, list_columns,
                      "this agency has no keys; 'invoicegatectl key create' makes one");
}

#define REVOKED_COLUMNS "agency_id, key_id, mode, hint, name, revoked_at"

/* The key's row as it is afterwards; a key that was revoked before keeps its moment. */
static PGresult *revoke_or_find(struct ctl *ctl, int64_t agency_id, int64_t key_id)
{
    PGresult *rows = DB_QUERY(&ctl->db,
                              "update gateway.api_keys set revoked_at = now() "
                              "where agency_id = $1 and key_id = $2 and revoked_at is null "
                              "returning " REVOKED_COLUMNS ", true as revoked",
                              db_int(agency_id), db_int(key_id));
    if (!rows || PQntuples(rows) == 1)
        return rows;
    PQclear(rows);
    return DB_QUERY(&ctl->db,
                    "select " REVOKED_COLUMNS ", false as revoked from gateway.api_keys "
                    "where agency_id = $1 and key_id = $2",
                    db_int(agency_id), db_int(key_id));
}

static void print_revoked(const struct ctl *ctl, const PGresult *rows)
{
    if (ctl->json)
        json_print(json_row(rows, 0));
    else if (db_cell_bool(rows, 0, 6))
        printf("key %s is revoked; requests that were accepted before are finished\n",
               PQgetvalue(rows, 0, 1));
    else
        printf("key %s was revoked already at %.19s UTC\n", PQgetvalue(rows, 0, 1), PQgetvalue(rows, 0, 5));
}

void key_say_not_found(int64_t agency_id, int64_t key_id)
{
    say_error("agency %lld has no key %lld; 'invoicegatectl key list --agency %lld' shows them",
              (long long)agency_id, (long long)key_id, (long long)agency_id);
}

static enum ctl_exit revoke_checked(struct ctl *ctl, int64_t agency_id, int64_t key_id)
{
    enum ctl_exit end = CTL_DATABASE;
    const char *why = option_text(ctl, "why");
    PGresult *rows = revoke_or_find(ctl, agency_id, key_id);
    if (!rows)
        return CTL_DATABASE;
    if (PQntuples(rows) == 0) {
        key_say_not_found(agency_id, key_id);
        end = CTL_NOT_FOUND;
    } else {
        if (db_cell_bool(rows, 0, 6))
            event_write(
                ctl, "key", agency_id, "key revoked",
                arena_printf(&ctl->arena, "%lld%s%s", (long long)key_id, why ? ": " : "", why ? why : "").at);
        if (db_commit(&ctl->db)) {
            print_revoked(ctl, rows);
            end = CTL_DONE;
        }
    }
    PQclear(rows);
    return end;
}

bool key_id_given(struct ctl *ctl, int64_t *key_id)
{
    if (text_to_int64(text_from(ctl->arguments[0]), key_id) && *key_id > 0)
        return true;
    usage_error(ctl, "KEY_ID is the number that 'key list' shows, never the key itself");
    return false;
}

static enum ctl_exit revoke(struct ctl *ctl)
{
    int64_t agency_id;
    int64_t key_id;
    if (!key_id_given(ctl, &key_id))
        return CTL_USAGE;
    if (option_given(ctl, "why") && !check_plain(ctl, "--why", option_text(ctl, "why"), WHY_BYTES_MAX))
        return CTL_USAGE;
    enum ctl_exit end = agency_required(ctl, &agency_id);
    if (end != CTL_DONE)
        return end;
    if (!db_begin(&ctl->db))
        return CTL_DATABASE;
    return revoke_checked(ctl, agency_id, key_id);
}

static const struct option list_options[] = {
    {"agency", "ID", "whose keys", NULL, true, false},
    OPTIONS_END,
};

static const struct option revoke_options[] = {
    {"agency", "ID", "whose key it is", NULL, true, false},
    {"why", "TEXT", "the reason, for the history", NULL, false, false},
    OPTIONS_END,
};

static const struct option create_options[] = {
    {"agency", "ID", "whose key it is", NULL, true, false},
    {"mode", "live|test", "which half of the upstream it opens", "live test", true, false},
    {"name", "NAME", "what it is for", NULL, false, false},
    {"expires", "ISO", "until when it is good, such as 2027-01-31; default: for ever", NULL, false, false},
    {"account", "ACCOUNT", "open this account only; default: all of the agency", NULL, false, true},
    {"route", "ROUTE", "open this call only; default: all",
     "account_invoices account_invoice_get account_invoices_list invoices invoices_list invoice_get "
     "invoice_update "
     "invoice_finalize invoice_send invoice_void invoiceitems",
     false, true},
    OPTIONS_END,
};

const struct command key_commands[] = {
    {"key", "create", "", 0, 0, "make an API key and print it, once",
     "The database keeps a keyed digest and the last four characters. Standard output has the key alone.",
     create_options,
     "  invoicegatectl key create --agency 1 --mode test --name laptop\n"
     "  key=$(invoicegatectl key create --agency 1 --mode live --expires 2027-01-31)\n",
     create},
    {"key", "list", "", 0, 0, "list an agency's keys by number, without the keys themselves", NULL,
     list_options, "  invoicegatectl key list --agency 1\n", list},
    {"key", "revoke", "KEY_ID", 1, 1, "close a key for ever", NULL, revoke_options,
     "  invoicegatectl key revoke --agency 1 3 --why 'laptop lost'\n", revoke},
    {"key", "rotate", "KEY_ID", 1, 1, "make a key that follows another, which stays open for a while",
     "The new key has the old one's mode, name, accounts and routes, and is printed once. Both are good "
     "until "
     "the\n"
     "overlap ends; 'key list' shows when the old one was last used, 'key revoke' closes it earlier.",
     key_rotate_options,
     "  invoicegatectl key rotate --agency 1 3\n"
     "  key=$(invoicegatectl key rotate --agency 1 3 --overlap 7d)\n",
     key_rotate},
    COMMANDS_END,
};
