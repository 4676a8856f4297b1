#include "ctl/client.h"

#include <stdio.h>

#include "ctl/agency.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/member.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/page.h"
#include "ctl/say.h"
#include "ctl/table.h"

#define LIMIT_DEFAULT 50

enum ctl_exit client_missing(int64_t agency_id, const char *client_id)
{
    say_error("agency %lld has no client '%s'; 'invoicegatectl client list --agency %lld' shows them",
              (long long)agency_id, client_id, (long long)agency_id);
    return CTL_NOT_FOUND;
}

enum ctl_exit client_required(struct ctl *ctl, const char *client_id, int64_t *agency_id)
{
    enum ctl_exit end = agency_required(ctl, agency_id);
    if (end != CTL_DONE)
        return end;
    PGresult *rows = DB_QUERY(&ctl->db, "select from gateway.clients where agency_id = $1 and client_id = $2",
                              db_int(*agency_id), db_text(client_id));
    end = !rows ? CTL_DATABASE : PQntuples(rows) == 1 ? CTL_DONE : client_missing(*agency_id, client_id);
    PQclear(rows);
    return end;
}

/* The client's row; added says whether it is new. */
static PGresult *add_or_find(struct ctl *ctl, int64_t agency_id, const char *client_id)
{
    PGresult *rows =
        DB_QUERY(&ctl->db,
                 "insert into gateway.clients (agency_id, client_id, name) values ($1, $2, $3) "
                 "on conflict do nothing returning agency_id, client_id, name, created_at, true as added",
                 db_int(agency_id), db_text(client_id), db_text(option_text(ctl, "name")));
    if (!rows || PQntuples(rows) == 1)
        return rows;
    PQclear(rows);
    return DB_QUERY(&ctl->db,
                    "select agency_id, client_id, name, created_at, false as added from gateway.clients "
                    "where agency_id = $1 and client_id = $2",
                    db_int(agency_id), db_text(client_id));
}

static int add_members(struct ctl *ctl, int64_t agency_id, const char *client_id)
{
    int count = 0;
    for (int i = 0; i < ctl->option_count; i++) {
        struct member member;
        if (strcmp(ctl->options[i].option->name, "member") != 0 ||
            !member_parse(ctl, ctl->options[i].value, &member))
            continue;
        DB_RUN(&ctl->db,
               "insert into gateway.members (agency_id, client_id, name, email, is_admin) values ($1, $2, "
               "$3, $4, $5)",
               db_int(agency_id), db_text(client_id), db_text(member.name), db_text(member.email),
               db_bool(member.is_admin));
        count++;
    }
    return count;
}

static void print_client(const struct ctl *ctl, const PGresult *rows)
{
    if (ctl->json)
        json_print(json_row(rows, 0));
    else
        printf("%s\n", PQgetvalue(rows, 0, 1));
}

static enum ctl_exit add_checked(struct ctl *ctl, int64_t agency_id, const char *client_id)
{
    enum ctl_exit end = CTL_DATABASE;
    PGresult *rows = add_or_find(ctl, agency_id, client_id);
    if (!rows)
        goto done;
    bool added = PQntuples(rows) == 1 && db_cell_bool(rows, 0, 4);
    if (!added && !option_given(ctl, "if-missing")) {
        say_error("agency %lld has client %s already; --if-missing makes that no error", (long long)agency_id,
                  client_id);
        end = CTL_FAILED;
        goto done;
    }
    if (added) {
        int members = add_members(ctl, agency_id, client_id);
        event_write(ctl, "client", agency_id, "client added",
                    arena_printf(&ctl->arena, "%s with %d members", client_id, members).at);
    }
    if (db_commit(&ctl->db)) {
        print_client(ctl, rows);
        end = CTL_DONE;
    }
done:
    PQclear(rows);
    return end;
}

/* All members as they are written on the command line, before anything is stored. */
static bool members_valid(struct ctl *ctl)
{
    struct member member;
    for (int i = 0; i < ctl->option_count; i++)
        if (strcmp(ctl->options[i].option->name, "member") == 0 &&
            !member_parse(ctl, ctl->options[i].value, &member))
            return false;
    return true;
}

static enum ctl_exit add(struct ctl *ctl)
{
    int64_t agency_id;
    if (!check_plain(ctl, "the client's id", ctl->arguments[0], CLIENT_ID_BYTES_MAX) ||
        !check_plain(ctl, "--name", option_text(ctl, "name"), CLIENT_NAME_BYTES_MAX) || !members_valid(ctl))
        return CTL_USAGE;
    enum ctl_exit end = agency_required(ctl, &agency_id);
    if (end != CTL_DONE)
        return end;
    if (!db_begin(&ctl->db))
        return CTL_DATABASE;
    return add_checked(ctl, agency_id, ctl->arguments[0]);
}

static const struct column list_columns[] = {
    {"client_id", "client_id", CELL_TEXT, false},
    {"name", "name", CELL_TEXT, true},
    {"members", "members", CELL_NUMBER, false},
    {"admin_name", "admin", CELL_TEXT, true},
    {"admin_email", "admin's e-mail", CELL_TEXT, true},
    {"created_at", "created (UTC)", CELL_MOMENT, false},
    COLUMNS_END,
};

/* The admin is the one that the worker would choose. One row more than the limit tells whether there are
 * more. */
static PGresult *query_list(struct ctl *ctl, int64_t agency_id, int64_t limit)
{
    return DB_QUERY(&ctl->db,
                    "select c.agency_id, c.client_id, c.name, "
                    "       (select count(*) from gateway.members m "
                    "         where (m.agency_id, m.client_id) = (c.agency_id, c.client_id)) as members, "
                    "       a.name as admin_name, a.email as admin_email, c.created_at "
                    "from gateway.clients c "
                    "left join lateral (select name, email from gateway.members m "
                    "       where (m.agency_id, m.client_id) = (c.agency_id, c.client_id) and m.is_admin "
                    "       order by m.email is null, m.member_id limit 1) a on true "
                    "where c.agency_id = $1 and ($2::text is null or c.client_id > $2) "
                    "order by c.client_id limit $3::bigint + 1",
                    db_int(agency_id), db_text(option_text(ctl, "after")), db_int(limit));
}

static enum ctl_exit list(struct ctl *ctl)
{
    int64_t agency_id;
    int64_t limit;
    if (!option_number(ctl, "limit", &limit))
        return CTL_USAGE;
    limit = limit > 0 ? limit : LIMIT_DEFAULT;
    enum ctl_exit end = agency_required(ctl, &agency_id);
    if (end != CTL_DONE)
        return end;
    PGresult *rows = query_list(ctl, agency_id, limit);
    if (!rows)
        return CTL_DATABASE;
    int shown = PQntuples(rows) > limit ? (int)limit : PQntuples(rows);
    struct page page = {rows, shown, shown < PQntuples(rows), "client_id"};
    if (ctl->json)
        page_print_json(&page, NULL);
    else if (shown == 0)
        say_note("no clients here; 'invoicegatectl client add' or 'client import' adds some");
    else {
        table_print(ctl, rows, shown, list_columns);
        page_print_hint(ctl, &page);
    }
    PQclear(rows);
    return CTL_DONE;
}

static const struct option list_options[] = {
    {"agency", "ID", "whose clients", NULL, true, false},
    {"limit", "NUMBER", "at most so many; default 50", NULL, false, false},
    {"after", "CLIENT", "go on behind this one", NULL, false, false},
    OPTIONS_END,
};

static const struct option one_options[] = {
    {"agency", "ID", "whose client it is", NULL, true, false},
    OPTIONS_END,
};

static const struct option import_options[] = {
    {"agency", "ID", "whose clients they are", NULL, true, false},
    {"skip-bad", NULL, "leave bad lines out; without it nothing is stored when one is bad", NULL, false,
     false},
    {"if-missing", NULL, "a client that is there already is no bad line; it stays as it is", NULL, false,
     false},
    OPTIONS_END,
};

static const struct option add_options[] = {
    {"agency", "ID", "whose client it is", NULL, true, false},
    {"name", "NAME", "the client's name", NULL, true, false},
    {"member", "NAME:EMAIL[:admin]", "a person of the client; EMAIL may be empty", NULL, false, true},
    {"if-missing", NULL, "if it is there already, leave it as it is", NULL, false, false},
    OPTIONS_END,
};

const struct command client_commands[] = {
    {"client", "add", "CLIENT", 1, 1, "add a client and its members to an agency",
     "Invoices are addressed to an admin member; send_invoice needs one with an e-mail address.", add_options,
     "  invoicegatectl client add --agency 1 client_77 --name 'Northwind Ltd' --member "
     "'Ada:ada@example.com:admin'\n"
     "  invoicegatectl client add --agency 1 client_78 --name 'Café Noé' --member 'Noé::admin' "
     "--if-missing\n",
     add},
    {"client", "list", "", 0, 0, "list an agency's clients with their admins", NULL, list_options,
     "  invoicegatectl client list --agency 1\n"
     "  invoicegatectl client list --agency 1 --limit 1000 --json\n",
     list},
    {"client", "show", "CLIENT", 1, 1, "show a client, its members and what was made out to it", NULL,
     one_options, "  invoicegatectl client show --agency 1 client_77\n", client_show},
    {"client", "erase-preview", "CLIENT", 1, 1, "show what erasing a client's personal data would touch",
     "Nothing is changed: it lists what would go, what must wait for requests under way, and what must stay "
     "for\n"
     "the books.",
     one_options, "  invoicegatectl client erase-preview --agency 1 client_77\n", client_erase_preview},
    {"client", "import", "FILE", 1, 1, "add many clients from a file of JSON lines",
     "Each line is {\"client_id\": ..., \"name\": ..., \"members\": [{\"name\": ..., \"email\": ..., "
     "\"admin\": true}]}.\n"
     "Each bad line is named with its number and reason. All lines are stored or none. - reads standard "
     "input.",
     import_options,
     "  invoicegatectl client import clients.jsonl --agency 1\n"
     "  zcat clients.jsonl.gz | invoicegatectl client import - --agency 1 --if-missing --skip-bad\n",
     client_import},
    COMMANDS_END,
};
