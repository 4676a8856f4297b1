/* Brings the database's schema up to date: each file once, in order, each in a transaction of its own. */
#include <stdio.h>
#include <string.h>

#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/migration.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"

#ifndef INVOICEGATE_SQL_DIR
#define INVOICEGATE_SQL_DIR "/usr/local/share/invoicegate/sql"
#endif

#define HAS_EVENTS                                                                                           \
    "select to_regclass('gateway.events') is not null and to_regprocedure('gateway.uuid_new()') is not null"
#define MIGRATE_LOCK "hashtextextended('invoicegate.migrate', 0)"

/* The table is made inside the transaction of the first file, which makes the schema and the owner. */
#define MIGRATIONS_TABLE                                                                                     \
    "set local role invoicegate_owner; "                                                                     \
    "create table gateway.migrations ("                                                                      \
    "version integer primary key, name text not null, digest text not null, "                                \
    "applied_at timestamptz not null default clock_timestamp()); "                                           \
    "reset role"

enum step_state { STEP_PENDING, STEP_APPLIED, STEP_CHANGED, STEP_SKIPPED };

static const char *const state_names[] = {"pending", "applied", "changed", "skipped"};

struct run {
    struct migrations files;
    PGresult *applied; /* version, name, digest, applied_at; NULL on an empty database */
    int newest;        /* of the applied ones */
};

static bool query_bool(struct db *db, const char *sql, bool *answer)
{
    PGresult *rows = db_query_params(db, sql, NULL, 0);
    *answer = rows && db_cell_bool(rows, 0, 0);
    PQclear(rows);
    return rows != NULL;
}

static bool load_applied(struct ctl *ctl, struct run *run)
{
    bool there;
    if (!query_bool(&ctl->db, "select to_regclass('gateway.migrations') is not null", &there))
        return false;
    if (!there)
        return true;
    run->applied = db_query_params(
        &ctl->db, "select version, name, digest, applied_at from gateway.migrations order by version", NULL,
        0);
    int count = run->applied ? PQntuples(run->applied) : 0;
    if (count > 0)
        run->newest = (int)db_cell_int(run->applied, count - 1, 0);
    return run->applied != NULL;
}

/* The row of gateway.migrations, -1 when there is none. */
static int applied_row(const struct run *run, int version)
{
    for (int row = 0; row < PQntuples(run->applied); row++)
        if (db_cell_int(run->applied, row, 0) == version)
            return row;
    return -1;
}

static enum step_state state_of(const struct run *run, const struct migration *file)
{
    int row = applied_row(run, file->version);
    if (row < 0)
        return file->version < run->newest ? STEP_SKIPPED : STEP_PENDING;
    return text_is(db_cell(run->applied, row, 2), text_from(file->digest)) ? STEP_APPLIED : STEP_CHANGED;
}

static bool file_of(const struct run *run, int64_t version)
{
    for (int i = 0; i < run->files.count; i++)
        if (run->files.list[i].version == version)
            return true;
    return false;
}

/* What was applied must stand in the directory as it was applied, with nothing squeezed in between. */
static enum ctl_exit check_past(const struct run *run)
{
    for (int row = 0; row < PQntuples(run->applied); row++)
        if (!file_of(run, db_cell_int(run->applied, row, 0))) {
            say_error(
                "the database has migration %03d (%s), which the directory has not: it is newer than this "
                "program; install that version",
                (int)db_cell_int(run->applied, row, 0), db_cell(run->applied, row, 1).at);
            return CTL_FAILED;
        }
    for (int i = 0; i < run->files.count; i++) {
        const struct migration *file = &run->files.list[i];
        enum step_state state = state_of(run, file);
        if (state == STEP_CHANGED)
            say_error("migration %03d_%s.sql has changed since it was applied; put the applied file back and "
                      "make a new "
                      "number of the change",
                      file->version, file->name);
        if (state == STEP_SKIPPED)
            say_error("migration %03d_%s.sql is not applied but %03d is; give it a number behind that",
                      file->version, file->name, run->newest);
        if (state == STEP_CHANGED || state == STEP_SKIPPED)
            return CTL_FAILED;
    }
    return CTL_DONE;
}

/* Events exist from the third file on; the one that brings them writes those of the files before it as well.
 */
static void write_events(struct ctl *ctl, const struct migration *file, bool had_events)
{
    bool has_events;
    if (!query_bool(
            &ctl->db,
            "select to_regclass('gateway.events') is not null and to_regprocedure('gateway.uuid_new()') "
            "is not null",
            &has_events) ||
        !has_events)
        return;
    DB_RUN(&ctl->db,
           "insert into gateway.events (subject_id, about, what, why) "
           "select gateway.uuid_new(), 'migration', 'migration applied', "
           "       format('%s %s; by %s', lpad(version::text, 3, '0'), name, $2::text) "
           "from gateway.migrations where version >= $1 order by version",
           db_int(had_events ? file->version : 0), db_text(event_who()));
}

/* A file that ends the transaction would be half applied when it fails: its id must be the same afterwards.
 */
static bool same_transaction(struct ctl *ctl, const char *id)
{
    bool same = PQtransactionStatus(ctl->db.connection) == PQTRANS_INTRANS;
    PGresult *rows = same ? DB_QUERY(&ctl->db, "select pg_current_xact_id()::text = $1", db_text(id)) : NULL;
    same = rows && db_cell_bool(rows, 0, 0);
    PQclear(rows);
    if (!same && !ctl->db.failed) {
        say_error("a migration ends the transaction that it is applied in; take begin and commit out of it");
        ctl->db.failed = true;
    }
    return same;
}

static bool run_file(struct ctl *ctl, const struct migration *file)
{
    PGresult *rows = db_query_params(&ctl->db, "select pg_current_xact_id()::text", NULL, 0);
    bool done = rows && db_script(&ctl->db, file->sql) && same_transaction(ctl, PQgetvalue(rows, 0, 0)) &&
                db_script(&ctl->db, "reset role");
    PQclear(rows);
    return done;
}

/* The line of a position in characters, both from 1. */
static int line_of(const char *text, int position)
{
    int line = 1;
    for (int characters = 1; *text && characters < position; text++) {
        line += *text == '\n';
        characters += (text[1] & 0xc0) != 0x80; /* not inside of a UTF-8 character */
    }
    return line;
}

static void say_not_applied(const struct ctl *ctl, const struct migration *file)
{
    if (ctl->db.error_position > 0)
        say_error("migration %03d_%s.sql was not applied because of its line %d; nothing of it remains",
                  file->version, file->name, line_of(file->sql, ctl->db.error_position));
    else
        say_error("migration %03d_%s.sql was not applied; nothing of it remains", file->version, file->name);
}

static bool apply(struct ctl *ctl, const struct migration *file)
{
    bool had_events;
    bool had_table;
    if (!query_bool(&ctl->db, HAS_EVENTS, &had_events) || !db_begin(&ctl->db) ||
        !db_script(&ctl->db, "set local lock_timeout = '30s'") || !run_file(ctl, file) ||
        !query_bool(&ctl->db, "select to_regclass('gateway.migrations') is not null", &had_table))
        goto failed;
    if (!had_table)
        db_script(&ctl->db, MIGRATIONS_TABLE);
    DB_RUN(&ctl->db, "insert into gateway.migrations (version, name, digest) values ($1, $2, $3)",
           db_int(file->version), db_text(file->name), db_text(file->digest));
    write_events(ctl, file, had_events);
    if (db_commit(&ctl->db))
        return true;
failed:
    say_not_applied(ctl, file);
    return false;
}

static void print_step(const struct ctl *ctl, struct json_object *array, const struct run *run,
                       const struct migration *file, const char *state)
{
    int row = applied_row(run, file->version);
    struct text applied_at = row < 0 ? TEXT_NONE : db_cell(run->applied, row, 3);
    if (!ctl->json) {
        printf("%03d  %-24s %-8s %.19s\n", file->version, file->name, state,
               applied_at.at ? applied_at.at : "");
        return;
    }
    struct json_object *step = json_object_new_object();
    json_object_object_add(step, "version", json_object_new_int(file->version));
    json_object_object_add(step, "name", json_object_new_string(file->name));
    json_object_object_add(step, "digest", json_object_new_string(file->digest));
    json_object_object_add(step, "state", json_object_new_string(state));
    json_object_object_add(step, "applied_at", applied_at.at ? json_moment(applied_at) : NULL);
    json_object_array_add(array, step);
}

/* All steps, or with pending only those that are still to come. */
static void print_steps(const struct ctl *ctl, const struct run *run, bool pending_only)
{
    struct json_object *array = ctl->json ? json_object_new_array() : NULL;
    for (int i = 0; i < run->files.count; i++) {
        enum step_state state = state_of(run, &run->files.list[i]);
        if (!pending_only || state == STEP_PENDING)
            print_step(ctl, array, run, &run->files.list[i], state_names[state]);
    }
    if (ctl->json)
        json_print_data(array);
}

static enum ctl_exit apply_pending(struct ctl *ctl, const struct run *run)
{
    struct json_object *array = ctl->json ? json_object_new_array() : NULL;
    enum ctl_exit end = CTL_DONE;
    int count = 0;
    for (int i = 0; i < run->files.count && end == CTL_DONE; i++) {
        if (state_of(run, &run->files.list[i]) != STEP_PENDING)
            continue;
        end = apply(ctl, &run->files.list[i]) ? CTL_DONE : CTL_DATABASE;
        if (end == CTL_DONE) {
            print_step(ctl, array, run, &run->files.list[i], "applied");
            count++;
        }
    }
    if (ctl->json)
        json_print_data(array);
    else if (end == CTL_DONE && count == 0)
        printf("nothing to do: migration %03d is the newest\n", run->newest);
    return end;
}

/* What a migration could not do and went on without. */
static void say_warning(void *nobody, const PGresult *notice)
{
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    (void)nobody;
    if (severity && message && strcmp(severity, "WARNING") == 0)
        say_note("warning: %s", message);
}

static bool lock(struct ctl *ctl)
{
    bool locked;
    if (!query_bool(&ctl->db, "select pg_try_advisory_lock(" MIGRATE_LOCK ")", &locked))
        return false;
    if (locked)
        return true;
    say_note("waiting for another migrate to finish");
    return db_script(&ctl->db, "select pg_advisory_lock(" MIGRATE_LOCK ")");
}

enum ctl_exit migrations_look(struct ctl *ctl, const char *directory, int *newest, int *pending)
{
    struct run run = {.applied = NULL};
    enum ctl_exit end = migrations_read(ctl, directory ? directory : INVOICEGATE_SQL_DIR, &run.files);
    if (end == CTL_DONE)
        end = load_applied(ctl, &run) ? check_past(&run) : CTL_DATABASE;
    *newest = run.newest;
    *pending = 0;
    for (int i = 0; end == CTL_DONE && i < run.files.count; i++)
        *pending += state_of(&run, &run.files.list[i]) == STEP_PENDING;
    PQclear(run.applied);
    return end;
}

static enum ctl_exit migrate(struct ctl *ctl)
{
    const char *directory = option_text(ctl, "sql");
    bool looks_only = option_given(ctl, "status") || option_given(ctl, "dry-run");
    struct run run = {.applied = NULL};
    enum ctl_exit end = migrations_read(ctl, directory ? directory : INVOICEGATE_SQL_DIR, &run.files);
    if (end != CTL_DONE)
        return end;
    end = CTL_DATABASE;
    if (!db_open(&ctl->db))
        goto done;
    PQsetNoticeReceiver(ctl->db.connection, say_warning, NULL);
    if ((!looks_only && !lock(ctl)) || !load_applied(ctl, &run))
        goto done;
    if (option_given(ctl, "status"))
        print_steps(ctl, &run, false);
    end = check_past(&run);
    if (end == CTL_DONE && !looks_only)
        end = apply_pending(ctl, &run);
    else if (end == CTL_DONE && !option_given(ctl, "status"))
        print_steps(ctl, &run, true);
done:
    PQclear(run.applied);
    return end;
}

static const struct option options[] = {
    {"sql", "DIR", "where the files NNN_name.sql are; default " INVOICEGATE_SQL_DIR, NULL, false, false},
    {"status", NULL, "show what is applied and what is pending; change nothing", NULL, false, false},
    {"dry-run", NULL, "show what would be applied; change nothing", NULL, false, false},
    OPTIONS_END,
};

const struct command migrate_commands[] = {
    {"migrate", NULL, "", 0, 0, "bring the database's schema up to date",
     "Each file is applied once, in the order of the numbers, in a transaction of its own. A second run "
     "does\n"
     "nothing; two at once wait for each other; an applied file that was changed later is an error.",
     options,
     "  invoicegatectl migrate\n"
     "  invoicegatectl migrate --sql ./sql --dry-run\n"
     "  invoicegatectl migrate --status\n",
     migrate},
    COMMANDS_END,
};
