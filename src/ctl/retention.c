/* Old months leave the database: exported as JSON lines, checked, and only then dropped. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/export.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"
#include "ctl/table.h"

#define TRIES_MAX 5
#define TRY_AGAIN_US 500000
#define COPIES_MAX 1000

struct retention {
    struct ctl *ctl;
    const char *directory;
    const char *month;          /* as PostgreSQL reads it */
    struct json_object *tables; /* of the month: what drop_month wants to know */
    struct json_object *done;   /* for --json: a row a month */
};

/* A month that came back is exported under a further name: TABLE.jsonl, TABLE.2.jsonl, TABLE.3.jsonl ... */
static const char *path_of(const struct retention *retention, const char *table, int copy)
{
    struct arena *arena = &retention->ctl->arena;
    return copy == 1 ? arena_printf(arena, "%s/%s.jsonl", retention->directory, table).at
                     : arena_printf(arena, "%s/%s.%d.jsonl", retention->directory, table, copy).at;
}

/* Never replaces what stands there. Not every file system knows such a renaming, but then it knows links. */
static bool give_name(const char *draft, const char *path)
{
    if (renameat2(AT_FDCWD, draft, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    return link(draft, path) == 0 && unlink(draft) == 0;
}

/* The draft under the first name that is free; NULL after saying why not. Another file of this name may be
 * all that is left of what was dropped before. */
static const char *keep_file(const struct retention *retention, const char *table, const char *draft)
{
    for (int copy = 1; copy <= COPIES_MAX; copy++) {
        const char *path = path_of(retention, table, copy);
        if (path && give_name(draft, path))
            return path;
        if (!path || errno != EEXIST) {
            say_error("%s cannot get its name: %s", draft, strerror(errno));
            return NULL;
        }
    }
    say_error("%s has %d files of %s already", retention->directory, COPIES_MAX, table);
    return NULL;
}

/* What was not dropped for certain is in the database: its files would only be mistaken for an export. */
static void take_back(const struct retention *retention)
{
    json_object_object_foreach(retention->tables, table, facts)
    {
        (void)table;
        (void)unlink(json_object_get_string(json_object_object_get(facts, "file")));
    }
}

static void sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static void note_table(struct retention *retention, const char *table, const char *state,
                       const struct export *expected, const char *path)
{
    struct json_object *facts = json_object_new_object();
    json_object_object_add(facts, "rows", json_object_new_int64(expected->rows));
    json_object_object_add(facts, "digest", json_object_new_string(expected->digest));
    json_object_object_add(facts, "state", json_object_new_string(state));
    json_object_object_add(facts, "file", json_object_new_string(path));
    json_object_object_add(retention->tables, table, facts);
}

/* The file gets its name once it is proven to hold the table. */
static enum ctl_exit export_one(struct retention *retention, const char *table)
{
    struct ctl *ctl = retention->ctl;
    struct export expected;
    const char *draft = arena_printf(&ctl->arena, "%s/%s.jsonl.part", retention->directory, table).at;
    const char *path = NULL;
    PGresult *state = DB_QUERY(&ctl->db, "select gateway.state_of_table($1)", db_text(table));
    enum ctl_exit end = !state || !draft ? CTL_DATABASE : export_expected(ctl, table, &expected);
    if (end == CTL_DONE)
        end = export_table(ctl, table, draft);
    if (end == CTL_DONE)
        end = export_check(draft, &expected);
    if (end == CTL_DONE && !(path = keep_file(retention, table, draft)))
        end = CTL_FAILED;
    if (end == CTL_DONE)
        note_table(retention, table, PQgetvalue(state, 0, 0), &expected, path);
    PQclear(state);
    return end;
}

/* tables: a JSON array of the month's partitions, all exported as they are at one moment. */
static enum ctl_exit export_month(struct retention *retention, const char *tables)
{
    struct db *db = &retention->ctl->db;
    struct json_object *names = json_tokener_parse(tables);
    enum ctl_exit end =
        db_script(db, "begin isolation level repeatable read read only") ? CTL_DONE : CTL_DATABASE;
    for (size_t i = 0; i < json_object_array_length(names) && end == CTL_DONE; i++)
        end = export_one(retention, json_object_get_string(json_object_array_get_idx(names, i)));
    json_object_put(names);
    if (end == CTL_DONE && !db_commit(db))
        end = CTL_DATABASE;
    sync_directory(retention->directory);
    return end;
}

/* The tables are locked for an instant; whoever reads them for long makes us come back. */
static enum ctl_exit drop_month(struct retention *retention)
{
    struct db *db = &retention->ctl->db;
    const char *tables = json_object_to_json_string(retention->tables);
    for (int attempt = 1;; attempt++) {
        struct db told = *db; /* an error would stick, and this one may pass */
        PGresult *result =
            PQexecParams(db->connection, "select gateway.drop_month($1::timestamptz, $2::jsonb, $3)", 3, NULL,
                         (const char *const[]){retention->month, tables, event_who()}, NULL, NULL, 0);
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        bool again = sqlstate && strcmp(sqlstate, "55P03") == 0 && attempt < TRIES_MAX;
        bool done = PQresultStatus(result) == PGRES_TUPLES_OK;
        if (!done && !again)
            db_say_error(&told, result);
        if (!done && !again && sqlstate && PQstatus(db->connection) == CONNECTION_OK)
            take_back(retention);
        PQclear(result);
        if (!again)
            return done ? CTL_DONE : CTL_FAILED;
        usleep(TRY_AGAIN_US);
    }
}

static int64_t rows_of(struct json_object *tables)
{
    int64_t rows = 0;
    json_object_object_foreach(tables, name, facts)
    {
        (void)name;
        rows += json_object_get_int64(json_object_object_get(facts, "rows"));
    }
    return rows;
}

static void tell(struct retention *retention, const char *label)
{
    if (!retention->ctl->json) {
        printf("%s  %lld rows exported to %s, checked and dropped\n", label,
               (long long)rows_of(retention->tables), retention->directory);
        fflush(stdout);
        return;
    }
    struct json_object *row = json_object_new_object();
    json_object_object_add(row, "month", json_object_new_string(label));
    json_object_object_add(row, "tables", json_object_get(retention->tables));
    json_object_array_add(retention->done, row);
}

static enum ctl_exit retire(struct retention *retention, const PGresult *months, int row)
{
    retention->month = PQgetvalue(months, row, 1);
    retention->tables = json_object_new_object();
    enum ctl_exit end = export_month(retention, PQgetvalue(months, row, 2));
    if (end != CTL_DONE)
        take_back(retention);
    else
        end = drop_month(retention);
    if (end == CTL_DONE)
        tell(retention, PQgetvalue(months, row, 0));
    json_object_put(retention->tables);
    return end;
}

static enum ctl_exit retire_all(struct ctl *ctl, const char *directory, const PGresult *months)
{
    struct retention retention = {.ctl = ctl, .directory = directory, .done = json_object_new_array()};
    enum ctl_exit end = CTL_DONE;
    if (access(directory, W_OK | X_OK) != 0) {
        say_error("--to %s: %s", directory, strerror(errno));
        end = CTL_FAILED;
    }
    for (int row = 0; row < PQntuples(months) && end == CTL_DONE; row++)
        end = retire(&retention, months, row);
    if (ctl->json && end == CTL_DONE)
        json_print_data(json_object_get(retention.done));
    else if (end == CTL_DONE && PQntuples(months) == 0)
        say_note("no month is that old");
    json_object_put(retention.done);
    return end;
}

static const struct column columns[] = {
    {"month", "month", CELL_TEXT, false},
    {"bytes", "bytes", CELL_NUMBER, false},
    {"tables", "tables", CELL_LIST, true},
    COLUMNS_END,
};

static enum ctl_exit retention(struct ctl *ctl)
{
    int64_t keep;
    if (!option_number(ctl, "keep-months", &keep))
        return CTL_USAGE;
    if (!option_given(ctl, "dry-run") && !option_given(ctl, "to"))
        return usage_error(ctl, "it needs --to DIR or --dry-run");
    if (!db_open(&ctl->db))
        return CTL_DATABASE;
    PGresult *months = DB_QUERY(
        &ctl->db,
        "select to_char(month, 'YYYY-MM') as month, month as start, to_jsonb(tables) as tables, "
        "       (select sum(pg_total_relation_size(('gateway.' || quote_ident(name))::regclass))::bigint "
        "        from unnest(tables) as name) as bytes "
        "from gateway.months_before(date_trunc('month', now()) - make_interval(months => $1::integer))",
        db_int(keep));
    if (!months)
        return CTL_DATABASE;
    if (option_given(ctl, "dry-run"))
        return list_print(ctl, months, columns, "no month is that old");
    enum ctl_exit end = retire_all(ctl, option_text(ctl, "to"), months);
    PQclear(months);
    return end;
}

static const struct option options[] = {
    {"keep-months", "NUMBER", "whole months to keep before the current one", NULL, true, false},
    {"to", "DIR", "where the files go: TABLE.jsonl, one a partition; none is ever replaced", NULL, false,
     false},
    {"dry-run", NULL, "show which months would go; change nothing", NULL, false, false},
    OPTIONS_END,
};

const struct command retention_commands[] = {
    {"retention", NULL, "", 0, 0,
     "export months that are old as JSON lines, check the files, drop the months",
     "Requests, upstream calls and events leave; invoices, roll-ups and everything else stay. A month is "
     "dropped\n"
     "only if its files were read back and agree line by line, nothing in it has changed since, nothing in "
     "it is\n"
     "unfinished and all of it is in the roll-ups. Bytes are written as hex, as PostgreSQL shows them. A "
     "month "
     "that\n"
     "came back by a late row is exported as TABLE.2.jsonl; audit.dropped_months tells of every file.",
     options,
     "  invoicegatectl retention --keep-months 24 --dry-run\n"
     "  invoicegatectl retention --keep-months 24 --to /var/backups/invoicegate\n",
     retention},
    COMMANDS_END,
};
