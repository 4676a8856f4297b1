/* Compares the audit with what the upstream lists, and writes what it found to the audit. */
#include "ctl/reconcile.h"

#include <stdio.h>
#include <unistd.h>

#include "ctl/agency.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"
#include "ctl/table.h"

#define PAGE_BYTES_MAX ((size_t)64 << 20)
#define CALLS_PER_S_DEFAULT 5
#define CALLS_PER_S_MAX 100

#define UUID "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"

#define TABLES                                                                                               \
    "create temporary table listed (invoice_id text primary key, request text, total_minor bigint, "         \
    "                               currency text); "                                                        \
    "create temporary table found (kind text, invoice_id text, request_id uuid, amount_minor bigint, "       \
    "                              currency text, upstream_minor bigint, upstream_currency text)"

/* Agencies may share an account, and the upstream lists it whole: what another one holds is none of this
 * one's business, so it is forgotten before anything is compared. An invoice may be unknown here and yet
 * carry the mark of another's request. */
static const char forget_sql[] = {
    "with theirs as ("
    "    delete from pg_temp.listed l "
    "    where not exists (select from gateway.invoices i where i.invoice_id = l.invoice_id "
    "                          and i.agency_id = $1 and i.account_id = $2 and i.mode = $3) "
    "          and (exists (select from gateway.invoices i where i.invoice_id = l.invoice_id "
    "                           and i.agency_id <> $1 and i.account_id = $2 and i.mode = $3) "
    "               or exists (select from gateway.invoice_requests r "
    "                          where r.agency_id <> $1 and r.request_id = case when l.request ~ " UUID
    "                                                                     then l.request::uuid end)) "
    "    returning 1) "
    "select count(*) from theirs"};

/* What stands here but not there, or the other way round, or with another amount; an amount that is not known
 * here (an operator settled it) differs from none. What is under way is not judged. */
static const char find_sql[] = {
    "insert into pg_temp.found "
    "select case when i.invoice_id is null then 'missing_here' when l.invoice_id is null then "
    "'missing_there' "
    "            else 'different' end, "
    "       coalesce(l.invoice_id, i.invoice_id), coalesce(i.request_id, l.request_id), i.amount_minor, "
    "i.currency, "
    "       l.total_minor, l.currency "
    "from (select invoice_id, total_minor, currency, "
    "             case when request ~ " UUID " then request::uuid end as request_id "
    "      from pg_temp.listed) l "
    "full join (select * from gateway.invoices "
    "           where agency_id = $1 and account_id = $2 and mode = $3 and status is distinct from 'deleted' "
    "                 and (created_at >= to_timestamp($4::bigint) and created_at < to_timestamp($5::bigint) "
    "                      or invoice_id in (select invoice_id from pg_temp.listed))) i on i.invoice_id = "
    "l.invoice_id "
    "where (i.invoice_id is null or l.invoice_id is null or i.amount_minor <> l.total_minor "
    "       or i.currency <> l.currency) "
    "      and not exists (select from gateway.work w where w.request_id = coalesce(i.request_id, "
    "l.request_id))"};

static const char run_sql[] = {
    "insert into gateway.reconciliations (agency_id, account_id, mode, since, until, by, listed, recorded, "
    "findings) "
    "select $1, $2, $3, to_timestamp($4::bigint), to_timestamp($5::bigint), $6, $7, "
    "       (select count(*) from gateway.invoices where agency_id = $1 and account_id = $2 and mode = $3 "
    "               and status is distinct from 'deleted' and created_at >= to_timestamp($4::bigint) "
    "               and created_at < to_timestamp($5::bigint)), "
    "       (select count(*) from pg_temp.found) "
    "returning reconciliation_id, agency_id, account_id, mode, since, until, listed, recorded, findings"};

static bool forget_others(struct reconcile *reconcile)
{
    PGresult *theirs = DB_QUERY(&reconcile->ctl->db, forget_sql, db_int(reconcile->agency_id),
                                db_text(reconcile->account_id), db_text(reconcile->mode));
    if (theirs) {
        reconcile->other_agencies = db_cell_int(theirs, 0, 0);
        reconcile->listed -= reconcile->other_agencies;
    }
    PQclear(theirs);
    return theirs != NULL;
}

/* Answers the run's row, committed; NULL after an error. */
static PGresult *store(struct reconcile *reconcile)
{
    struct db *db = &reconcile->ctl->db;
    struct db_param agency = db_int(reconcile->agency_id);
    struct db_param account = db_text(reconcile->account_id);
    struct db_param mode = db_text(reconcile->mode);
    struct db_param since = db_int(reconcile->since_s);
    struct db_param until = db_int(reconcile->until_s);
    if (!db_begin(db) || !forget_others(reconcile) ||
        !DB_RUN(db, find_sql, agency, account, mode, since, until))
        return NULL;
    PGresult *run = DB_QUERY(db, run_sql, agency, account, mode, since, until, db_text(event_who()),
                             db_int(reconcile->listed));
    if (!run)
        return NULL;
    DB_RUN(db,
           "insert into gateway.reconciliation_findings (reconciliation_id, agency_id, kind, invoice_id, "
           "request_id, "
           "       amount_minor, currency, upstream_minor, upstream_currency) "
           "select $1, $2, kind, invoice_id, request_id, amount_minor, currency, upstream_minor, "
           "upstream_currency "
           "from pg_temp.found",
           db_text(PQgetvalue(run, 0, 0)), agency);
    struct text why = arena_printf(&reconcile->ctl->arena, "%s: %s findings", reconcile->account_id,
                                   PQgetvalue(run, 0, PQfnumber(run, "findings")));
    event_write(reconcile->ctl, "reconciliation", reconcile->agency_id, "reconciled", why.at);
    if (db_commit(db))
        return run;
    PQclear(run);
    return NULL;
}

static const struct column columns[] = {
    {"kind", "kind", CELL_TEXT, false},
    {"invoice_id", "invoice_id", CELL_TEXT, false},
    {"amount_minor", "here", CELL_NUMBER, false},
    {"currency", "currency", CELL_TEXT, false},
    {"upstream_minor", "there", CELL_NUMBER, false},
    {"upstream_currency", "currency", CELL_TEXT, false},
    {"request_id", "request_id", CELL_TEXT, false},
    COLUMNS_END,
};

static void print_found(const struct reconcile *reconcile, const PGresult *run, const PGresult *found)
{
    struct ctl *ctl = reconcile->ctl;
    if (ctl->json) {
        struct json_object *object = json_row(run, 0);
        json_object_object_add(object, "others", json_object_new_int64(reconcile->others));
        json_object_object_add(object, "other_agencies", json_object_new_int64(reconcile->other_agencies));
        json_object_object_add(object, "data", json_rows(found));
        json_print(object);
        return;
    }
    table_print_all(ctl, found, columns);
    printf("%s%lld invoices upstream, %s in the audit, %d do not agree; %lld others are not the gateway's",
           PQntuples(found) > 0 ? "\n" : "", (long long)reconcile->listed,
           PQgetvalue(run, 0, PQfnumber(run, "recorded")), PQntuples(found), (long long)reconcile->others);
    if (reconcile->other_agencies > 0)
        printf(", %lld are another agency's", (long long)reconcile->other_agencies);
    printf("\n");
}

static enum ctl_exit conclude(struct reconcile *reconcile)
{
    enum ctl_exit end = CTL_DATABASE;
    PGresult *run = store(reconcile);
    PGresult *found = run ? db_query_params(&reconcile->ctl->db,
                                            "select kind, invoice_id, request_id, amount_minor, currency, "
                                            "       upstream_minor, upstream_currency "
                                            "from pg_temp.found order by kind, invoice_id",
                                            NULL, 0)
                          : NULL;
    if (found) {
        print_found(reconcile, run, found);
        end = PQntuples(found) == 0 ? CTL_DONE : CTL_FAILED;
    }
    PQclear(found);
    PQclear(run);
    return end;
}

/* The span in whole seconds, as the upstream counts: a day up to now unless it is given. */
static enum ctl_exit read_span(struct reconcile *reconcile, const char *since, const char *until)
{
    PGresult *rows = DB_QUERY(&reconcile->ctl->db,
                              "select floor(extract(epoch from coalesce($1::timestamptz, "
                              "coalesce($2::timestamptz, now()) - interval '1 day')))"
                              "::bigint, ceil(extract(epoch from coalesce($2::timestamptz, now())))::bigint",
                              db_text(since), db_text(until));
    if (!rows)
        return CTL_DATABASE;
    reconcile->since_s = db_cell_int(rows, 0, 0);
    reconcile->until_s = db_cell_int(rows, 0, 1);
    PQclear(rows);
    if (reconcile->since_s < reconcile->until_s)
        return CTL_DONE;
    return usage_error(reconcile->ctl, "--since is not before --until");
}

static enum ctl_exit account_known(struct reconcile *reconcile)
{
    PGresult *rows =
        DB_QUERY(&reconcile->ctl->db, "select from gateway.accounts where agency_id = $1 and account_id = $2",
                 db_int(reconcile->agency_id), db_text(reconcile->account_id));
    enum ctl_exit end = !rows ? CTL_DATABASE : PQntuples(rows) == 1 ? CTL_DONE : CTL_NOT_FOUND;
    if (end == CTL_NOT_FOUND)
        say_error("agency %lld has no account %s; 'invoicegatectl account list --agency %lld' shows them",
                  (long long)reconcile->agency_id, reconcile->account_id, (long long)reconcile->agency_id);
    PQclear(rows);
    return end;
}

static enum ctl_exit prepare(struct reconcile *reconcile, const char *since, const char *until)
{
    struct ctl *ctl = reconcile->ctl;
    enum ctl_exit end = agency_required(ctl, &reconcile->agency_id);
    if (end == CTL_DONE)
        end = account_known(reconcile);
    if (end == CTL_DONE)
        end = read_span(reconcile, since, until);
    if (end == CTL_DONE)
        end = upstream_open(&reconcile->upstream, ctl, reconcile->mode, reconcile->account_id);
    if (end == CTL_DONE && !db_script(&ctl->db, TABLES))
        end = CTL_DATABASE;
    reconcile->upstream.arena = &reconcile->page;
    return end;
}

static enum ctl_exit reconcile(struct ctl *ctl)
{
    const char *mode = option_text(ctl, "mode");
    const char *since;
    const char *until;
    int64_t calls_per_s;
    if (!option_moment(ctl, "since", &since) || !option_moment(ctl, "until", &until) ||
        !option_number(ctl, "per-second", &calls_per_s))
        return CTL_USAGE;
    if (calls_per_s > CALLS_PER_S_MAX)
        return usage_error(ctl, "--per-second is at most %d", CALLS_PER_S_MAX);
    struct reconcile run = {
        .ctl = ctl,
        .account_id = option_text(ctl, "account"),
        .mode = mode ? mode : "live",
        .pause_ns = 1000000000 / (calls_per_s > 0 ? calls_per_s : CALLS_PER_S_DEFAULT),
        .progress = isatty(STDERR_FILENO) == 1,
    };
    arena_init(&run.page, PAGE_BYTES_MAX);
    enum ctl_exit end = prepare(&run, since, until);
    if (end == CTL_DONE)
        end = reconcile_list(&run);
    if (end == CTL_DONE)
        end = reconcile_ask(&run);
    if (end == CTL_DONE)
        end = conclude(&run);
    upstream_close(&run.upstream);
    arena_free(&run.page);
    return end;
}

static const struct option options[] = {
    {"agency", "ID", "whose account it is", NULL, true, false},
    {"account", "ACCOUNT", "the account to compare", NULL, true, false},
    {"mode", "live|test", "which half of the upstream; default live", "live test", false, false},
    {"since", "ISO", "invoices created at this moment or later; default a day before the end", NULL, false,
     false},
    {"until", "ISO", "invoices created before this moment; default now", NULL, false, false},
    {"per-second", "NUMBER", "calls upstream a second, at most 100; default 5", NULL, false, false},
    OPTIONS_END,
};

const struct command reconcile_commands[] = {
    {"reconcile", NULL, "", 0, 0, "compare the audit with what the upstream lists for an account",
     "Finds invoices that are missing here, missing there, or of different amounts; those of requests under "
     "way are\n"
     "not judged, and those that another agency made in the same account are only counted. The findings go "
     "to\n"
     "audit.reconciliations and audit.reconciliation_findings as well. Exit code 0\n"
     "says that all agree, 1 that something does not. Nothing is changed upstream. Settings as for product "
     "sync.",
     options,
     "  invoicegatectl reconcile --agency 1 --account acct_demo --since 2026-01-31 --until 2026-02-01\n"
     "  invoicegatectl reconcile --agency 1 --account acct_demo --json >found.json || mail -s differences "
     "ops <found.json\n",
     reconcile},
    COMMANDS_END,
};
