/* The database as the operator sees it: server, migrations, grants, clock, workers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/doctor.h"
#include "ctl/migration.h"
#include "ctl/options.h"

#define CLOCK_WARNING_S 2.0
#define CLOCK_FAILURE_S 60.0

/* What a worker calls. A test compares this with what the migrations grant. */
static const char worker_functions[] =
    "{hello,renew_lease,goodbye,read_invoice,list_invoices,refresh_invoice,begin_invoices,plan_invoices,"
    "renew_customer,note_invoices,finish_invoices,"
    "record_calls,take_over,park_invoices,withdraw_invoice,purge_keys,restore_request,make_partitions,"
    "roll_up,keys_used,count_unresolved}";

static const char server_sql[] = {
    "select current_setting('server_version_num')::integer >= 150000, "
    "       pg_is_in_recovery() or current_setting('default_transaction_read_only') = 'on', "
    "       current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on', "
    "       current_setting('server_version'), "
    "       current_setting('max_connections')::integer - (select count(*) from pg_stat_activity "
    "           where backend_type = 'client backend')"};

static const char grants_sql[] = {
    "select (select count(*) from pg_roles where rolname = 'invoicegate_worker' and rolcanlogin "
    "            and not rolsuper and not rolcreaterole and not rolcreatedb and not rolbypassrls), "
    "       (select string_agg(name, ', ') from unnest($1::text[]) name where not exists ("
    "            select from pg_proc where pronamespace = 'gateway'::regnamespace and proname = name "
    "            and has_function_privilege('invoicegate_worker', oid, 'execute'))), "
    "       (select string_agg(oid::regclass::text, ', ') from pg_class "
    "            where relnamespace in ('gateway'::regnamespace, 'audit'::regnamespace) "
    "            and relkind in ('r', 'p', 'v') "
    "            and has_table_privilege('invoicegate_worker', oid, 'select, insert, update, delete')), "
    "       (select string_agg(oid::regclass::text, ', ') from pg_class "
    "            where relnamespace = 'audit'::regnamespace and relkind = 'v' "
    "            and not has_table_privilege('invoicegate_auditor', oid, 'select')), "
    "       (select count(*) from gateway.shared_functions() s "
    "            where has_function_privilege('public', s.function, 'execute'))"};

/* Where history could be changed unseen: a superuser put a trigger aside, or a restore left it out. */
static const char history_sql[] = {
    "select string_agg(t.oid::regclass::text, ', ') from pg_class t "
    "    where t.relnamespace = 'gateway'::regnamespace and t.relkind in ('r', 'p') "
    "    and t.relname ~ ('^(invoices|reconciliation(s|_findings)|' "
    "        || '(events|upstream_calls|invoice_requests)(_default|_\\d+_\\d+)?)$') "
    "    and exists (select from unnest('{history_stays,truncate_is_refused}'::name[]) guard "
    "        where not exists (select from pg_trigger "
    "            where tgrelid = t.oid and tgname = guard and tgenabled in ('O', 'A')))"};

static const char workers_sql[] = {
    "select (select count(distinct (host, pid)) from gateway.workers where ended_at is null and lease_until "
    "> now()), "
    "       (select count(*) from gateway.work where parked_at is not null), "
    "       (select count(*) from gateway.work w join gateway.invoice_requests r using (request_id) "
    "            where r.created_at < now() - interval '5 minutes')"};

/* One row, or NULL after a finding that says why not. */
static PGresult *look(struct doctor *doctor, const char *check, const char *sql,
                      const struct db_param *params, int count)
{
    struct ctl *ctl = doctor->ctl;
    struct hearing hearing = hearing_begin();
    PGresult *rows = db_query_params(&ctl->db, sql, params, count);
    struct text said = hearing_end(hearing, &ctl->arena);
    if (rows && PQntuples(rows) == 1)
        return rows;
    doctor_say(doctor, check, HEALTH_FAILED, "connect as a superuser, or run 'invoicegatectl migrate' first",
               "it could not be looked at: %s", said.at);
    PQclear(rows);
    ctl->db.failed = false; /* for the next check */
    return NULL;
}

static bool check_server(struct doctor *doctor)
{
    struct hearing hearing = hearing_begin();
    bool opened = db_open(&doctor->ctl->db);
    struct text said = hearing_end(hearing, &doctor->ctl->arena);
    if (!opened) {
        doctor_say(doctor, "database", HEALTH_FAILED,
                   "export INVOICEGATE_DATABASE as for every other command, and see that the server runs",
                   "%s", said.at);
        return false;
    }
    PGresult *facts = look(doctor, "database", server_sql, NULL, 0);
    if (!facts)
        return false;
    const char *version = PQgetvalue(facts, 0, 3);
    if (!db_cell_bool(facts, 0, 0))
        doctor_say(doctor, "database", HEALTH_FAILED, "use PostgreSQL 15 or later",
                   "PostgreSQL %s is too old", version);
    else if (db_cell_bool(facts, 0, 1))
        doctor_say(doctor, "database", HEALTH_FAILED, "name the primary in INVOICEGATE_DATABASE",
                   "PostgreSQL %s is a standby or read-only", version);
    else if (!db_cell_bool(facts, 0, 2))
        doctor_say(doctor, "database", HEALTH_FAILED, "set fsync and full_page_writes to on",
                   "PostgreSQL %s may lose what it confirmed", version);
    else if (db_cell_int(facts, 0, 4) < 10)
        doctor_say(doctor, "database", HEALTH_WARNING, "raise max_connections: a worker takes about four",
                   "PostgreSQL %s has %s connections left", version, PQgetvalue(facts, 0, 4));
    else
        doctor_say(doctor, "database", HEALTH_OK, NULL, "PostgreSQL %s, a writable primary that syncs",
                   version);
    PQclear(facts);
    return true;
}

static void check_migrations(struct doctor *doctor)
{
    int pending = 0, newest = 0;
    struct hearing hearing = hearing_begin();
    enum ctl_exit end = migrations_look(doctor->ctl, option_text(doctor->ctl, "sql"), &newest, &pending);
    struct text said = hearing_end(hearing, &doctor->ctl->arena);
    doctor->ctl->db.failed = false;
    if (end != CTL_DONE)
        doctor_say(doctor, "migrations", HEALTH_FAILED, "install the version that this database belongs to",
                   "%s", said.at);
    else if (pending > 0)
        doctor_say(doctor, "migrations", HEALTH_FAILED, "run 'invoicegatectl migrate'",
                   "%d to come; %03d is the newest applied one", pending, newest);
    else
        doctor_say(doctor, "migrations", HEALTH_OK, NULL, "all are applied; %03d is the newest", newest);
}

static void check_grants(struct doctor *doctor)
{
    struct db_param functions = db_text(worker_functions);
    PGresult *facts = look(doctor, "grants", grants_sql, &functions, 1);
    if (!facts)
        return;
    if (db_cell_int(facts, 0, 0) != 1)
        doctor_say(doctor, "grants", HEALTH_FAILED,
                   "alter role invoicegate_worker login nosuperuser nocreaterole nocreatedb nobypassrls",
                   "the role invoicegate_worker is missing, cannot log in, or may too much");
    else if (!PQgetisnull(facts, 0, 1))
        doctor_say(doctor, "grants", HEALTH_FAILED,
                   "run 'invoicegatectl migrate'; then grant execute on them to invoicegate_worker",
                   "invoicegate_worker may not execute %s", PQgetvalue(facts, 0, 1));
    else if (!PQgetisnull(facts, 0, 2))
        doctor_say(doctor, "grants", HEALTH_FAILED,
                   "revoke all on them from invoicegate_worker and from public",
                   "invoicegate_worker may read or write %s", PQgetvalue(facts, 0, 2));
    else if (!PQgetisnull(facts, 0, 3))
        doctor_say(doctor, "grants", HEALTH_WARNING, "grant select on them to invoicegate_auditor",
                   "invoicegate_auditor may not read %s", PQgetvalue(facts, 0, 3));
    else if (db_cell_int(facts, 0, 4) > 0)
        doctor_say(
            doctor, "grants", HEALTH_WARNING,
            "let a superuser run 'select gateway.close_functions()' in this database; on a server without "
            "one, give dashboards a replica",
            "every login may take advisory locks, write large objects or the log: %s of the server's "
            "functions are open",
            PQgetvalue(facts, 0, 4));
    else
        doctor_say(doctor, "grants", HEALTH_OK, NULL,
                   "the worker's role may execute its functions and no more");
    PQclear(facts);
}

static void check_history(struct doctor *doctor)
{
    PGresult *facts = look(doctor, "history", history_sql, NULL, 0);
    if (!facts)
        return;
    if (!PQgetisnull(facts, 0, 0))
        doctor_say(
            doctor, "history", HEALTH_FAILED,
            "alter table ... enable trigger user; one that is missing stands in sql/003_partitions.sql",
            "the triggers that keep history as it is are off or missing on %s", PQgetvalue(facts, 0, 0));
    else
        doctor_say(doctor, "history", HEALTH_OK, NULL, "nobody changes it unseen: its triggers are in force");
    PQclear(facts);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The middle of the round trip is when the server looked, more or less. */
static void check_clock(struct doctor *doctor)
{
    double before = now_s();
    PGresult *facts = look(doctor, "clock", "select extract(epoch from clock_timestamp())", NULL, 0);
    double after = now_s();
    if (!facts)
        return;
    double apart = fabs(strtod(PQgetvalue(facts, 0, 0), NULL) - (before + after) / 2) - (after - before) / 2;
    if (apart > CLOCK_WARNING_S)
        doctor_say(doctor, "clock", apart > CLOCK_FAILURE_S ? HEALTH_FAILED : HEALTH_WARNING,
                   "synchronise both clocks, with chrony or systemd-timesyncd",
                   "this host's clock and the database's are %.1f s apart", apart);
    else
        doctor_say(doctor, "clock", HEALTH_OK, NULL, "this host's clock and the database's agree");
    PQclear(facts);
}

static void check_workers(struct doctor *doctor)
{
    PGresult *facts = look(doctor, "workers", workers_sql, NULL, 0);
    if (!facts)
        return;
    const char *living = PQgetvalue(facts, 0, 0);
    if (db_cell_int(facts, 0, 0) == 0)
        doctor_say(doctor, "workers", HEALTH_FAILED, "systemctl enable --now invoicegate@1 invoicegate@2",
                   "no worker holds a lease in this database");
    else if (db_cell_int(facts, 0, 1) > 0)
        doctor_say(doctor, "workers", HEALTH_WARNING, "see 'invoicegatectl unresolved', then settle them",
                   "%s living; %s requests are parked for an operator", living, PQgetvalue(facts, 0, 1));
    else if (db_cell_int(facts, 0, 2) > 0)
        doctor_say(doctor, "workers", HEALTH_WARNING, "see 'invoicegatectl unresolved'",
                   "%s living; %s requests are at work for more than five minutes", living,
                   PQgetvalue(facts, 0, 2));
    else
        doctor_say(doctor, "workers", HEALTH_OK, NULL, "%s living, nothing overdue", living);
    PQclear(facts);
}

void doctor_check_database(struct doctor *doctor)
{
    if (!check_server(doctor))
        return;
    check_migrations(doctor);
    check_grants(doctor);
    check_history(doctor);
    check_clock(doctor);
    check_workers(doctor);
}
