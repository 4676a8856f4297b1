/* The reference of the audit's views, from the comments that stand with them, and their roll-ups. */
#include <stdio.h>

#include "ctl/clean.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"

#define VIEWS_MAX 50

/* One row a view (column is null) followed by one a column, in the views' order. */
static const char describe_sql[] = {
    "select c.relname::text as view, a.attname::text as column, "
    "       case when a.attnum is not null then format_type(a.atttypid, a.atttypmod) end as type, "
    "       case when a.attnum is null then obj_description(c.oid, 'pg_class') "
    "            else col_description(c.oid, a.attnum) end as about "
    "from pg_class c "
    "join lateral (select null::smallint as attnum, null::name as attname, null::oid as atttypid, "
    "                     null::integer as atttypmod "
    "       union all "
    "       select attnum, attname, atttypid, atttypmod from pg_attribute "
    "       where attrelid = c.oid and attnum > 0 and not attisdropped) a on true "
    "where c.relnamespace = 'audit'::regnamespace and c.relkind = 'v' "
    "      and ($1::jsonb is null or $1::jsonb ? c.relname::text) "
    "order by c.relname, a.attnum nulls first"};

/* The names as they may be written, audit.requests or requests, in a JSON array; NULL for none. */
static const char *wanted(struct ctl *ctl)
{
    static const char prefix[] = "audit.";
    if (ctl->argument_count == 0)
        return NULL;
    struct json_object *array = json_object_new_array();
    for (int i = 0; i < ctl->argument_count; i++) {
        const char *name = ctl->arguments[i];
        if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
            name += sizeof(prefix) - 1;
        json_object_array_add(array, json_object_new_string(name));
    }
    struct text list = arena_copy(&ctl->arena, text_from(json_object_to_json_string(array)));
    json_object_put(array);
    return list.at;
}

static void print_reference(const PGresult *rows)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        if (PQgetisnull(rows, row, 1)) {
            printf("%saudit.", row > 0 ? "\n" : "");
            clean_put(stdout, db_cell(rows, row, 0));
            printf("\n  ");
            clean_put(stdout, db_cell(rows, row, 3));
            printf("\n\n");
            continue;
        }
        printf("  %-20s %-26s ", PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 2));
        clean_put(stdout, db_cell(rows, row, 3));
        printf("\n");
    }
}

static enum ctl_exit describe(struct ctl *ctl)
{
    if (!db_open(&ctl->db))
        return CTL_DATABASE;
    PGresult *rows = DB_QUERY(&ctl->db, describe_sql, db_text(wanted(ctl)));
    enum ctl_exit end = !rows ? CTL_DATABASE : PQntuples(rows) > 0 ? CTL_DONE : CTL_NOT_FOUND;
    if (end == CTL_NOT_FOUND)
        say_error("there is no such view; 'invoicegatectl audit describe' shows all");
    else if (end == CTL_DONE && ctl->json)
        json_print_data(json_rows(rows));
    else if (end == CTL_DONE)
        print_reference(rows);
    PQclear(rows);
    return end;
}

static enum ctl_exit rebuild(struct ctl *ctl)
{
    if (!db_open(&ctl->db) || !db_begin(&ctl->db))
        return CTL_DATABASE;
    say_note("counting all events again; events of new requests wait meanwhile");
    PGresult *rows = db_query_params(&ctl->db, "select gateway.rebuild_roll_ups() as counted", NULL, 0);
    if (rows)
        event_write(ctl, "maintenance", 0, "roll-ups rebuilt", PQgetvalue(rows, 0, 0));
    enum ctl_exit end = rows && db_commit(&ctl->db) ? CTL_DONE : CTL_DATABASE;
    if (end == CTL_DONE && ctl->json)
        json_print(json_row(rows, 0));
    else if (end == CTL_DONE)
        printf("%s ends of requests are counted\n", PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return end;
}

static const struct option no_options[] = {
    OPTIONS_END,
};

const struct command audit_commands[] = {
    {"audit", "describe", "[VIEW ...]", 0, VIEWS_MAX, "print the reference of the audit's views and columns",
     "The texts are the comments in the database. Columns may be added; none is ever renamed, retyped or "
     "removed.",
     no_options,
     "  invoicegatectl audit describe\n"
     "  invoicegatectl audit describe requests daily --json\n",
     describe},
    {"audit", "rebuild", "", 0, 0, "count the hourly and daily roll-ups again from the events",
     "Needed once after a dump was restored into another server. Counts of dropped months are kept.",
     no_options, "  invoicegatectl audit rebuild\n", rebuild},
    COMMANDS_END,
};
