/* A new key in place of an old one, which stays open for a while so that nobody has to change at the same
 * moment. */
#include <stdio.h>

#include "ctl/agency.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/key.h"
#include "ctl/options.h"
#include "ctl/say.h"

#define OVERLAP_DEFAULT "24h"

/* The old key as it is, locked: mode, state, by which key it was followed, accounts that are gone. */
static PGresult *find(struct ctl *ctl, int64_t agency_id, int64_t key_id)
{
    return DB_QUERY(
        &ctl->db,
        "select k.mode, case when k.revoked_at is not null then 'is revoked' "
        "                    when k.expires_at <= now() then 'has expired' end, "
        "       (select max(f.key_id) from gateway.api_keys f where f.agency_id = $1 and f.follows = $2) "
        "from gateway.api_keys k where k.agency_id = $1 and k.key_id = $2 for update",
        db_int(agency_id), db_int(key_id));
}

static enum ctl_exit check_old(int64_t agency_id, int64_t key_id, const PGresult *old)
{
    if (PQntuples(old) == 0) {
        key_say_not_found(agency_id, key_id);
        return CTL_NOT_FOUND;
    }
    struct text closed = db_cell(old, 0, 1);
    struct text followed = db_cell(old, 0, 2);
    if (closed.at)
        say_error("key %lld %s and needs no successor; 'invoicegatectl key create' makes a new one",
                  (long long)key_id, closed.at);
    else if (followed.at)
        say_error("key %lld is followed by key %s already; rotate that one", (long long)key_id, followed.at);
    return closed.at || followed.at ? CTL_FAILED : CTL_DONE;
}

/* With the old key's mode, name and scope. Where no expiry is given, it lives as long as the old one was to.
 */
static PGresult *follow(struct ctl *ctl, int64_t agency_id, int64_t key_id, const char *key,
                        const uint8_t *digest, const char *expires)
{
    return DB_QUERY(
        &ctl->db,
        "insert into gateway.api_keys (agency_id, digest, mode, name, hint, expires_at, accounts, routes, "
        "                              follows) "
        "select agency_id, $3, mode, coalesce($4, name), $5, "
        "       coalesce($6::timestamptz, now() + (expires_at - created_at)), accounts, routes, key_id "
        "from gateway.api_keys where agency_id = $1 and key_id = $2 "
        "returning key_id, agency_id, mode, name, hint, to_jsonb(accounts) as accounts, "
        "          to_jsonb(routes) as routes, created_at, expires_at, follows",
        db_int(agency_id), db_int(key_id), db_bytes((struct text){(const char *)digest, DIGEST_BYTES}),
        db_text(option_text(ctl, "name")), db_text(key + APIKEY_BYTES - KEY_HINT_BYTES), db_text(expires));
}

/* The old key's end: never later than it was. */
static PGresult *shorten(struct ctl *ctl, int64_t agency_id, int64_t key_id, int64_t overlap_s)
{
    return DB_QUERY(&ctl->db,
                    "update gateway.api_keys "
                    "set expires_at = least(expires_at, now() + make_interval(secs => $3)) "
                    "where agency_id = $1 and key_id = $2 "
                    "returning to_char(expires_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS')",
                    db_int(agency_id), db_int(key_id), db_int(overlap_s));
}

/* Inside of a transaction, which it commits. */
static enum ctl_exit replace(struct ctl *ctl, int64_t agency_id, int64_t key_id, const PGresult *old,
                             int64_t overlap_s, const char *expires)
{
    char key[APIKEY_BYTES + 1];
    uint8_t digest[DIGEST_BYTES];
    PGresult *made = NULL;
    PGresult *ends = NULL;
    enum mode mode = text_is(db_cell(old, 0, 0), TEXT("live")) ? MODE_LIVE : MODE_TEST;
    enum ctl_exit end = key_make(ctl, mode, key, digest);
    if (end != CTL_DONE)
        goto done;
    end = CTL_DATABASE;
    made = follow(ctl, agency_id, key_id, key, digest, expires);
    ends = made ? shorten(ctl, agency_id, key_id, overlap_s) : NULL;
    if (!ends)
        goto done;
    event_write(ctl, "key", agency_id, "key rotated",
                arena_printf(&ctl->arena, "%lld is followed by %s; open until %s", (long long)key_id,
                             PQgetvalue(made, 0, 0), PQgetvalue(ends, 0, 0))
                    .at);
    if (!db_commit(&ctl->db))
        goto done;
    key_print(ctl, key, made);
    say_note("key %lld stays open until %s UTC", (long long)key_id, PQgetvalue(ends, 0, 0));
    end = CTL_DONE;
done:
    explicit_bzero(key, sizeof(key));
    PQclear(made);
    PQclear(ends);
    return end;
}

static enum ctl_exit rotate_checked(struct ctl *ctl, int64_t agency_id, int64_t key_id, int64_t overlap_s,
                                    const char *expires)
{
    PGresult *old = db_begin(&ctl->db) ? find(ctl, agency_id, key_id) : NULL;
    if (!old)
        return CTL_DATABASE;
    enum ctl_exit end = check_old(agency_id, key_id, old);
    if (end == CTL_DONE)
        end = replace(ctl, agency_id, key_id, old, overlap_s, expires);
    PQclear(old);
    return end;
}

enum ctl_exit key_rotate(struct ctl *ctl)
{
    int64_t agency_id;
    int64_t key_id;
    int64_t overlap_s;
    const char *name = option_text(ctl, "name");
    const char *expires;
    if (!key_id_given(ctl, &key_id) || (name && !check_plain(ctl, "--name", name, KEY_NAME_BYTES_MAX)) ||
        !option_duration(ctl, "overlap", OVERLAP_DEFAULT, &overlap_s) ||
        !option_moment(ctl, "expires", &expires))
        return CTL_USAGE;
    enum ctl_exit end = agency_required(ctl, &agency_id);
    if (end == CTL_DONE)
        end = key_check_expiry(ctl, expires);
    return end == CTL_DONE ? rotate_checked(ctl, agency_id, key_id, overlap_s, expires) : end;
}

const struct option key_rotate_options[] = {
    {"agency", "ID", "whose key it is", NULL, true, false},
    {"overlap", "TIME", "how long the old key stays open: 30m, 24h, 7d or 0; default: " OVERLAP_DEFAULT, NULL,
     false, false},
    {"expires", "ISO", "until when the new key is good; default: for as long as the old one was", NULL, false,
     false},
    {"name", "NAME", "what the new key is for; default: as the old one", NULL, false, false},
    OPTIONS_END,
};
