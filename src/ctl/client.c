/* Clients of an agency: whom invoices are made out to. */
#include <stdio.h>

#include "ctl/agency.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/member.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"

#define ID_BYTES_MAX 255
#define NAME_BYTES_MAX 200

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
    if (!check_plain(ctl, "the client's id", ctl->arguments[0], ID_BYTES_MAX) ||
        !check_plain(ctl, "--name", option_text(ctl, "name"), NAME_BYTES_MAX) || !members_valid(ctl))
        return CTL_USAGE;
    enum ctl_exit end = agency_required(ctl, &agency_id);
    if (end != CTL_DONE)
        return end;
    if (!db_begin(&ctl->db))
        return CTL_DATABASE;
    return add_checked(ctl, agency_id, ctl->arguments[0]);
}

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
    COMMANDS_END,
};
