#include "ctl/agency.h"

#include <stdio.h>

#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"
#include "ctl/table.h"

#define NAME_BYTES_MAX 200

enum ctl_exit agency_known(struct ctl *ctl, int64_t agency_id)
{
    if (!db_open(&ctl->db))
        return CTL_DATABASE;
    PGresult *rows =
        DB_QUERY(&ctl->db, "select from gateway.agencies where agency_id = $1", db_int(agency_id));
    enum ctl_exit end = !rows ? CTL_DATABASE : PQntuples(rows) == 1 ? CTL_DONE : CTL_NOT_FOUND;
    PQclear(rows);
    if (end == CTL_NOT_FOUND)
        say_error("there is no agency %lld; 'invoicegatectl agency list' shows them", (long long)agency_id);
    return end;
}

enum ctl_exit agency_required(struct ctl *ctl, int64_t *agency_id)
{
    return option_number(ctl, "agency", agency_id) ? agency_known(ctl, *agency_id) : CTL_USAGE;
}

/* The new agency's row, or the old one's when there is one of that name; added says which. */
static PGresult *add_or_find(struct ctl *ctl, const char *name)
{
    PGresult *rows = DB_QUERY(&ctl->db,
                              "insert into gateway.agencies (name) values ($1) on conflict (name) do nothing "
                              "returning agency_id, name, created_at, true as added",
                              db_text(name));
    if (!rows || PQntuples(rows) == 1)
        return rows;
    PQclear(rows);
    return DB_QUERY(
        &ctl->db, "select agency_id, name, created_at, false as added from gateway.agencies where name = $1",
        db_text(name));
}

static void print_added(const struct ctl *ctl, const PGresult *rows)
{
    if (ctl->json)
        json_print(json_row(rows, 0));
    else
        printf("%lld\n", (long long)db_cell_int(rows, 0, 0));
}

static enum ctl_exit add(struct ctl *ctl)
{
    const char *name = ctl->arguments[0];
    if (!check_plain(ctl, "the name", name, NAME_BYTES_MAX))
        return CTL_USAGE;
    if (!db_open(&ctl->db) || !db_begin(&ctl->db))
        return CTL_DATABASE;
    enum ctl_exit end = CTL_DATABASE;
    PGresult *rows = add_or_find(ctl, name);
    if (!rows || PQntuples(rows) != 1)
        goto done;
    if (!db_cell_bool(rows, 0, 3) && !option_given(ctl, "if-missing")) {
        say_error("agency '%s' exists already as number %s; --if-missing makes that no error", name,
                  db_cell(rows, 0, 0).at);
        end = CTL_FAILED;
        goto done;
    }
    if (db_cell_bool(rows, 0, 3))
        event_write(ctl, "agency", db_cell_int(rows, 0, 0), "agency added", db_cell(rows, 0, 0).at);
    if (db_commit(&ctl->db)) {
        print_added(ctl, rows);
        end = CTL_DONE;
    }
done:
    PQclear(rows);
    return end;
}

static const struct column list_columns[] = {
    {"agency_id", "agency_id", CELL_NUMBER, false},
    {"name", "name", CELL_TEXT, true},
    {"accounts", "accounts", CELL_NUMBER, false},
    {"clients", "clients", CELL_NUMBER, false},
    {"active_keys", "active keys", CELL_NUMBER, false},
    {"created_at", "created (UTC)", CELL_MOMENT, false},
    COLUMNS_END,
};

static enum ctl_exit list(struct ctl *ctl)
{
    if (!db_open(&ctl->db))
        return CTL_DATABASE;
    PGresult *rows = db_query_params(
        &ctl->db,
        "select agency_id, name, created_at, "
        "       (select count(*) from gateway.accounts c where c.agency_id = a.agency_id) as accounts, "
        "       (select count(*) from gateway.clients c where c.agency_id = a.agency_id) as clients, "
        "       (select count(*) from gateway.api_keys k where k.agency_id = a.agency_id and k.revoked_at is "
        "null "
        "           and (k.expires_at is null or k.expires_at > now())) as active_keys "
        "from gateway.agencies a order by agency_id",
        NULL, 0);
    return list_print(ctl, rows, list_columns, "no agencies yet; 'invoicegatectl agency add NAME' makes one");
}

static const struct option no_options[] = {
    OPTIONS_END,
};

static const struct option add_options[] = {
    {"if-missing", NULL, "if there is one of that name, print its id", NULL, false, false},
    OPTIONS_END,
};

const struct command agency_commands[] = {
    {"agency", "add", "NAME", 1, 1, "add an agency and print its id", NULL, add_options,
     "  invoicegatectl agency add 'Blue Harbor Studio'\n"
     "  id=$(invoicegatectl agency add demo --if-missing)\n",
     add},
    {"agency", "list", "", 0, 0, "list the agencies", NULL, no_options,
     "  invoicegatectl agency list\n"
     "  invoicegatectl agency list --json | jq '.data[].name'\n",
     list},
    COMMANDS_END,
};
