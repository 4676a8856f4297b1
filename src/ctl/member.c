#include "ctl/member.h"

#include <stdio.h>

#include "base/utf8.h"
#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"

#define NAME_BYTES_MAX 200
#define EMAIL_BYTES_MAX 254
#define ADMIN ":admin"

/* Something before and behind one @, no blanks: whether it can be delivered is the upstream's to say. */
static bool email_valid(struct text email)
{
    const char *at = memchr(email.at, '@', email.length);
    size_t before = at ? (size_t)(at - email.at) : 0;
    return before > 0 && before + 1 < email.length && !memchr(at + 1, '@', email.length - before - 1) &&
           !memchr(email.at, ' ', email.length) && email.length <= EMAIL_BYTES_MAX;
}

const char *member_fault(struct text name, struct text email)
{
    if (name.length == 0)
        return "a member's name is empty";
    if (name.length > NAME_BYTES_MAX)
        return "a member's name is longer than 200 bytes";
    if (!utf8_is_plain(name) || (email.at && !utf8_is_plain(email)))
        return "a member's name or address is not plain UTF-8 text";
    if (email.length > 0 && !email_valid(email))
        return "a member's e-mail address is none";
    return NULL;
}

bool member_parse(struct ctl *ctl, const char *written, struct member *member)
{
    struct text rest = text_from(written);
    size_t admin = strlen(ADMIN);
    member->is_admin = rest.length > admin && memcmp(rest.at + rest.length - admin, ADMIN, admin) == 0;
    if (member->is_admin)
        rest.length -= admin;
    const char *colon = rest.at ? memrchr(rest.at, ':', rest.length) : NULL;
    if (!colon) {
        usage_error(ctl, "a member is written NAME:EMAIL or NAME:EMAIL:admin, where EMAIL may be empty");
        return false;
    }
    struct text name = {rest.at, (size_t)(colon - rest.at)};
    struct text email = {colon + 1, rest.length - name.length - 1};
    const char *fault = member_fault(name, email);
    if (fault) {
        usage_error(ctl, "%s", fault);
        return false;
    }
    member->name = arena_copy(&ctl->arena, name).at;
    member->email = email.length > 0 ? arena_copy(&ctl->arena, email).at : NULL;
    return member->name != NULL;
}

#define MEMBER_COLUMNS "agency_id, client_id, member_id, name, email, is_admin"

/* The member with that address, else the one with that name, else a new one. */
static PGresult *replace_or_add(struct ctl *ctl, int64_t agency_id, const char *client_id,
                                const struct member *member)
{
    struct db_param agency = db_int(agency_id);
    struct db_param client = db_text(client_id);
    PGresult *rows =
        DB_QUERY(&ctl->db,
                 "update gateway.members set name = $3, email = $4, is_admin = $5 "
                 "where agency_id = $1 and client_id = $2 and member_id = ("
                 "      select member_id from gateway.members "
                 "      where agency_id = $1 and client_id = $2 and (email = $4 or name = $3) "
                 "      order by (email = $4) is not true, member_id limit 1 for update) "
                 "returning " MEMBER_COLUMNS ", false as added",
                 agency, client, db_text(member->name), db_text(member->email), db_bool(member->is_admin));
    if (!rows || PQntuples(rows) == 1)
        return rows;
    PQclear(rows);
    return DB_QUERY(&ctl->db,
                    "insert into gateway.members (agency_id, client_id, name, email, is_admin) "
                    "values ($1, $2, $3, $4, $5) returning " MEMBER_COLUMNS ", true as added",
                    agency, client, db_text(member->name), db_text(member->email), db_bool(member->is_admin));
}

/* Says so when the client's invoices would be refused from now on. */
static void warn_without_admin(struct ctl *ctl, int64_t agency_id, const char *client_id)
{
    PGresult *rows = DB_QUERY(&ctl->db,
                              "select count(*) filter (where is_admin) > 0, "
                              "       count(*) filter (where is_admin and email is not null) > 0 "
                              "from gateway.members where agency_id = $1 and client_id = $2",
                              db_int(agency_id), db_text(client_id));
    if (rows && !db_cell_bool(rows, 0, 0))
        say_note("note: client %s has no admin member: its invoices are refused", client_id);
    else if (rows && !db_cell_bool(rows, 0, 1))
        say_note("note: client %s has no admin with an e-mail address: send_invoice is refused", client_id);
    PQclear(rows);
}

static void print_member(const struct ctl *ctl, const PGresult *rows)
{
    if (ctl->json)
        json_print(json_row(rows, 0));
    else
        printf("member %s %s\n", PQgetvalue(rows, 0, 2), db_cell_bool(rows, 0, 6) ? "added" : "replaced");
}

static enum ctl_exit set(struct ctl *ctl)
{
    struct member member;
    int64_t agency_id;
    const char *client_id = ctl->arguments[0];
    if (!member_parse(ctl, option_text(ctl, "member"), &member))
        return CTL_USAGE;
    enum ctl_exit end = client_required(ctl, client_id, &agency_id);
    if (end != CTL_DONE)
        return end;
    PGresult *rows = db_begin(&ctl->db) ? replace_or_add(ctl, agency_id, client_id, &member) : NULL;
    end = CTL_DATABASE;
    if (rows) {
        event_write(ctl, "client", agency_id, db_cell_bool(rows, 0, 6) ? "member added" : "member replaced",
                    arena_printf(&ctl->arena, "%s, member %s", client_id, PQgetvalue(rows, 0, 2)).at);
        if (db_commit(&ctl->db)) {
            print_member(ctl, rows);
            warn_without_admin(ctl, agency_id, client_id);
            end = CTL_DONE;
        }
    }
    PQclear(rows);
    return end;
}

static const struct option set_options[] = {
    {"agency", "ID", "whose client it is", NULL, true, false},
    {"member", "NAME:EMAIL[:admin]", "the member; EMAIL may be empty", NULL, true, false},
    OPTIONS_END,
};

const struct command member_commands[] = {
    {"member", "set", "CLIENT", 1, 1, "add a member to a client, or replace the one of that address or name",
     "A member with the same e-mail address is replaced, else one with the same name, else a new one is "
     "added.\n"
     "Customers that exist upstream keep the name and address they were made with.",
     set_options,
     "  invoicegatectl member set --agency 1 client_77 --member 'Ada King:ada@example.com:admin'\n", set},
    COMMANDS_END,
};
