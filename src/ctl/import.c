/* Many clients at once, from JSON lines: checked here, copied into a temporary table, stored by three
 * statements. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/agency.h"
#include "ctl/client.h"
#include "ctl/event.h"
#include "ctl/import_line.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"

#define LINE_BYTES_MAX ((ssize_t)1 << 20)
#define COMPLAINTS_MAX 50
#define PROGRESS_LINES 1000
#define PROGRESS_ROOM 40

struct import {
    struct ctl *ctl;
    int64_t agency_id;
    struct arena arena; /* of one line */
    int64_t lines;
    int64_t bad;
    bool progress; /* standard error is a terminal */
    bool failed;   /* a complaint that ends everything was said */
};

static void wipe_progress(const struct import *import)
{
    if (import->progress)
        fprintf(stderr, "\r%*s\r", PROGRESS_ROOM, "");
}

static void show_progress(const struct import *import)
{
    if (import->progress && import->lines % PROGRESS_LINES == 0)
        fprintf(stderr, "\r%lld lines read", (long long)import->lines);
}

static void complain(struct import *import, int64_t line, const char *fault)
{
    import->bad++;
    wipe_progress(import);
    if (import->bad <= COMPLAINTS_MAX)
        say_note("line %lld: %s", (long long)line, fault);
    else if (import->bad == COMPLAINTS_MAX + 1)
        say_note("... and more");
}

static bool copy_in(struct import *import, struct text row)
{
    struct db *db = &import->ctl->db;
    if (PQputCopyData(db->connection, row.at, (int)row.length) == 1)
        return true;
    db_say_error(db, NULL);
    return false;
}

/* One line of the file: a row for the temporary table, or a complaint. */
static bool take_line(struct import *import, struct text line)
{
    const char *fault = NULL;
    import->lines++;
    show_progress(import);
    arena_reset(&import->arena);
    struct text row = import_line_row(&import->arena, line, import->lines, &fault);
    if (row.at)
        return copy_in(import, row);
    if (fault)
        complain(import, import->lines, fault);
    return true;
}

static bool read_lines(struct import *import, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    bool done = true;
    while (done && (length = getline(&line, &room, file)) >= 0) {
        if (length > 0 && line[length - 1] == '\n')
            length--;
        if (length <= LINE_BYTES_MAX)
            done = take_line(import, (struct text){line, (size_t)length});
        else
            complain(import, ++import->lines, "it is longer than a megabyte");
    }
    if (done && ferror(file)) {
        say_error("the file cannot be read: %s", strerror(errno));
        import->failed = true;
        done = false;
    }
    free(line);
    wipe_progress(import);
    return done;
}

static bool copy_file(struct import *import, FILE *file)
{
    struct db *db = &import->ctl->db;
    if (!db_script(db,
                   "create temporary table import (line bigint, client_id text, name text, members jsonb) "
                   "on commit drop"))
        return false;
    PGresult *result = PQexec(db->connection, "copy pg_temp.import from stdin");
    bool copying = PQresultStatus(result) == PGRES_COPY_IN;
    if (!copying)
        db_say_error(db, result);
    PQclear(result);
    if (!copying)
        return false;
    bool done = read_lines(import, file);
    if (PQputCopyEnd(db->connection, done ? NULL : "given up") != 1 && !db->failed)
        db_say_error(db, NULL);
    while ((result = PQgetResult(db->connection))) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK && !db->failed && done)
            db_say_error(db, result);
        PQclear(result);
    }
    return done && !db->failed;
}

/* Takes out, and names, what the lines cannot say by themselves: a client given twice or there already. */
static bool remove_known(struct import *import)
{
    struct ctl *ctl = import->ctl;
    PGresult *rows = DB_QUERY(
        &ctl->db,
        "with judged as ("
        "    select i.line, i.client_id, "
        "           first_value(i.line) over (partition by i.client_id order by i.line) as first_line, "
        "           c.client_id is not null as known "
        "    from pg_temp.import i left join gateway.clients c on c.agency_id = $1 and c.client_id = "
        "i.client_id"
        "), gone as (delete from pg_temp.import i using judged j "
        "    where i.line = j.line and (j.known or j.line <> j.first_line)) "
        "select line, client_id, first_line, known from judged "
        "where line <> first_line or (known and not $2) order by line",
        db_int(import->agency_id), db_bool(option_given(ctl, "if-missing")));
    for (int row = 0; row < PQntuples(rows); row++) {
        arena_reset(&import->arena);
        struct text fault =
            db_cell_int(rows, row, 0) != db_cell_int(rows, row, 2)
                ? arena_printf(&import->arena, "client '%s' is on line %s already", PQgetvalue(rows, row, 1),
                               PQgetvalue(rows, row, 2))
                : arena_printf(&import->arena,
                               "client '%s' is there already; --if-missing makes that no error",
                               PQgetvalue(rows, row, 1));
        complain(import, db_cell_int(rows, row, 0), fault.at);
    }
    PQclear(rows);
    return rows != NULL;
}

/* Answers one row: how many clients and members were stored. */
static PGresult *store(struct import *import)
{
    return DB_QUERY(
        &import->ctl->db,
        "with c as ("
        "    insert into gateway.clients (agency_id, client_id, name) "
        "    select $1::bigint, client_id, name from pg_temp.import order by client_id returning 1"
        "), m as ("
        "    insert into gateway.members (agency_id, client_id, name, email, is_admin) "
        "    select $1::bigint, i.client_id, m.value ->> 'name', m.value ->> 'email', "
        "           (m.value ->> 'admin')::boolean "
        "    from pg_temp.import i, jsonb_array_elements(i.members) with ordinality as m (value, ord) "
        "    order by i.line, m.ord returning 1"
        "), e as ("
        "    insert into gateway.events (subject_id, about, agency_id, what, why) "
        "    select gateway.uuid_new(), 'client', $1::bigint, 'client added', "
        "           format('%s with %s members, imported; by %s', client_id, "
        "                  jsonb_array_length(members), $2::text) "
        "    from pg_temp.import order by line"
        ") select $1::bigint as agency_id, (select count(*) from c) as clients, "
        "         (select count(*) from m) as members",
        db_int(import->agency_id), db_text(event_who()));
}

static void print_stored(const struct import *import, const PGresult *rows)
{
    if (import->ctl->json) {
        struct json_object *object = json_row(rows, 0);
        json_object_object_add(object, "lines", json_object_new_int64(import->lines));
        json_object_object_add(object, "bad_lines", json_object_new_int64(import->bad));
        json_print(object);
    } else
        printf("%s clients with %s members added from %lld lines, %lld of them bad\n", PQgetvalue(rows, 0, 1),
               PQgetvalue(rows, 0, 2), (long long)import->lines, (long long)import->bad);
}

static enum ctl_exit import_file(struct import *import, FILE *file)
{
    struct ctl *ctl = import->ctl;
    if (!db_begin(&ctl->db) || !copy_file(import, file) || !remove_known(import))
        return import->failed ? CTL_FAILED : CTL_DATABASE;
    if (import->bad > 0 && !option_given(ctl, "skip-bad")) {
        say_error("nothing was stored: %lld of %lld lines are bad; mend them or give --skip-bad",
                  (long long)import->bad, (long long)import->lines);
        return CTL_FAILED;
    }
    enum ctl_exit end = CTL_DATABASE;
    PGresult *rows = store(import);
    if (rows && db_commit(&ctl->db)) {
        print_stored(import, rows);
        end = CTL_DONE;
    }
    PQclear(rows);
    return end;
}

enum ctl_exit client_import(struct ctl *ctl)
{
    const char *path = ctl->arguments[0];
    struct import import = {.ctl = ctl, .progress = isatty(STDERR_FILENO) == 1};
    FILE *opened = strcmp(path, "-") == 0 ? NULL : fopen(path, "re");
    FILE *file = opened ? opened : stdin;
    if (!opened && strcmp(path, "-") != 0) {
        say_error("%s cannot be read: %s", path, strerror(errno));
        return CTL_FAILED;
    }
    arena_init(&import.arena, (size_t)LINE_BYTES_MAX * 16);
    enum ctl_exit end = agency_required(ctl, &import.agency_id);
    if (end == CTL_DONE)
        end = import_file(&import, file);
    arena_free(&import.arena);
    if (opened)
        fclose(opened);
    return end;
}
