/* Connected accounts of an agency, named as the upstream names them. */
#include <stdio.h>

#include "ctl/agency.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"
#include "ctl/table.h"

#define ACCOUNT_BYTES_MAX 255

/* It becomes part of paths and headers. */
static bool account_id_valid(const struct ctl *ctl, const char *account_id)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t length = strlen(account_id);
    if (length > 0 && length <= ACCOUNT_BYTES_MAX && strspn(account_id, allowed) == length)
        return true;
    usage_error(ctl,
                "'%s' is no account: letters, digits, _ and - are allowed, such as acct_1NYF2bQUoDmQfLzV",
                account_id);
    return false;
}

#define ACCOUNT_COLUMNS "agency_id, account_id, is_default, auto_advance, created_at"

/* One account is the default: the one before steps down. */
static void clear_default(struct ctl *ctl, int64_t agency_id, const char *account_id)
{
    DB_RUN(&ctl->db,
           "update gateway.accounts set is_default = false where agency_id = $1 and account_id <> $2 and "
           "is_default",
           db_int(agency_id), db_text(account_id));
}

/* The account's row; added says whether it is new. */
static PGresult *add_or_find(struct ctl *ctl, int64_t agency_id, const char *account_id)
{
    PGresult *rows =
        DB_QUERY(&ctl->db,
                 "insert into gateway.accounts (agency_id, account_id, is_default, auto_advance) "
                 "values ($1, $2, false, $3) on conflict do nothing "
                 "returning " ACCOUNT_COLUMNS ", true as added",
                 db_int(agency_id), db_text(account_id), db_bool(option_given(ctl, "auto-advance")));
    if (!rows || PQntuples(rows) == 1)
        return rows;
    PQclear(rows);
    return DB_QUERY(&ctl->db,
                    "select " ACCOUNT_COLUMNS ", false as added from gateway.accounts "
                    "where agency_id = $1 and account_id = $2",
                    db_int(agency_id), db_text(account_id));
}

static PGresult *make_default(struct ctl *ctl, int64_t agency_id, const char *account_id)
{
    clear_default(ctl, agency_id, account_id);
    return DB_QUERY(&ctl->db,
                    "update gateway.accounts set is_default = true where agency_id = $1 and account_id = $2 "
                    "returning " ACCOUNT_COLUMNS ", true as added",
                    db_int(agency_id), db_text(account_id));
}

static void write_event(struct ctl *ctl, const PGresult *rows, const char *what)
{
    struct text why = arena_printf(&ctl->arena, "%s%s%s", PQgetvalue(rows, 0, 1),
                                   db_cell_bool(rows, 0, 2) ? ", default" : "",
                                   db_cell_bool(rows, 0, 3) ? ", advances automatically" : "");
    event_write(ctl, "account", db_cell_int(rows, 0, 0), what, why.at);
}

static void print_account(const struct ctl *ctl, const PGresult *rows)
{
    if (ctl->json)
        json_print(json_row(rows, 0));
    else
        printf("%s\n", PQgetvalue(rows, 0, 1));
}

static enum ctl_exit add_checked(struct ctl *ctl, int64_t agency_id, const char *account_id)
{
    enum ctl_exit end = CTL_DATABASE;
    PGresult *rows = add_or_find(ctl, agency_id, account_id);
    if (!rows)
        goto done;
    bool added = PQntuples(rows) == 1 && db_cell_bool(rows, 0, 5);
    if (!added && !option_given(ctl, "if-missing")) {
        say_error("agency %lld has account %s already; --if-missing makes that no error",
                  (long long)agency_id, account_id);
        end = CTL_FAILED;
        goto done;
    }
    if (added && option_given(ctl, "default")) {
        PQclear(rows);
        rows = make_default(ctl, agency_id, account_id);
    }
    if (added && rows)
        write_event(ctl, rows, "account added");
    if (rows && db_commit(&ctl->db)) {
        print_account(ctl, rows);
        end = CTL_DONE;
    }
done:
    PQclear(rows);
    return end;
}

static enum ctl_exit add(struct ctl *ctl)
{
    int64_t agency_id;
    if (!account_id_valid(ctl, ctl->arguments[0]))
        return CTL_USAGE;
    enum ctl_exit end = agency_required(ctl, &agency_id);
    if (end != CTL_DONE)
        return end;
    if (!db_begin(&ctl->db))
        return CTL_DATABASE;
    return add_checked(ctl, agency_id, ctl->arguments[0]);
}

static const struct column list_columns[] = {
    {"account_id", "account_id", CELL_TEXT, false},
    {"is_default", "default", CELL_YES, false},
    {"auto_advance", "auto-advance", CELL_YES, false},
    {"created_at", "created (UTC)", CELL_MOMENT, false},
    COLUMNS_END,
};

static enum ctl_exit list(struct ctl *ctl)
{
    int64_t agency_id;
    enum ctl_exit end = agency_required(ctl, &agency_id);
    if (end != CTL_DONE)
        return end;
    PGresult *rows = DB_QUERY(
        &ctl->db, "select " ACCOUNT_COLUMNS " from gateway.accounts where agency_id = $1 order by account_id",
        db_int(agency_id));
    return list_print(ctl, rows, list_columns,
                      "this agency has no accounts; 'invoicegatectl account add' adds one");
}

static PGresult *change(struct ctl *ctl, int64_t agency_id, const char *account_id)
{
    const char *advance = option_text(ctl, "auto-advance");
    if (option_given(ctl, "default"))
        clear_default(ctl, agency_id, account_id);
    return DB_QUERY(&ctl->db,
                    "update gateway.accounts set is_default = is_default or $3::boolean, "
                    "       auto_advance = coalesce($4 = 'on', auto_advance) "
                    "where agency_id = $1 and account_id = $2 returning " ACCOUNT_COLUMNS,
                    db_int(agency_id), db_text(account_id), db_bool(option_given(ctl, "default")),
                    db_text(advance));
}

static enum ctl_exit set(struct ctl *ctl)
{
    int64_t agency_id;
    const char *account_id = ctl->arguments[0];
    if (!option_given(ctl, "default") && !option_given(ctl, "auto-advance"))
        return usage_error(ctl, "it needs --default or --auto-advance on|off");
    enum ctl_exit end = agency_required(ctl, &agency_id);
    if (end != CTL_DONE)
        return end;
    end = CTL_DATABASE;
    PGresult *rows = db_begin(&ctl->db) ? change(ctl, agency_id, account_id) : NULL;
    if (rows && PQntuples(rows) == 0) {
        say_error("agency %lld has no account %s; 'invoicegatectl account list --agency %lld' shows them",
                  (long long)agency_id, account_id, (long long)agency_id);
        end = CTL_NOT_FOUND;
    } else if (rows) {
        write_event(ctl, rows, "account changed");
        if (db_commit(&ctl->db)) {
            print_account(ctl, rows);
            end = CTL_DONE;
        }
    }
    PQclear(rows);
    return end;
}

static const struct option list_options[] = {
    {"agency", "ID", "whose accounts", NULL, true, false},
    OPTIONS_END,
};

static const struct option set_options[] = {
    {"agency", "ID", "whose account it is", NULL, true, false},
    {"default", NULL, "what requests that name no account mean; the default before steps down", NULL, false,
     false},
    {"auto-advance", "on|off", "whether new invoices finalize by themselves", "on off", false, false},
    OPTIONS_END,
};

static const struct option add_options[] = {
    {"agency", "ID", "whose account it is", NULL, true, false},
    {"default", NULL, "what requests that name no account mean; the default before steps down", NULL, false,
     false},
    {"auto-advance", NULL, "finalize invoices by themselves after creation", NULL, false, false},
    {"if-missing", NULL, "if it is there already, leave it as it is", NULL, false, false},
    OPTIONS_END,
};

const struct command account_commands[] = {
    {"account", "add", "ACCOUNT", 1, 1, "add a connected account to an agency", NULL, add_options,
     "  invoicegatectl account add --agency 1 acct_1NYF2bQUoDmQfLzV --default\n"
     "  invoicegatectl account add --agency 1 acct_demo --if-missing\n",
     add},
    {"account", "list", "", 0, 0, "list an agency's accounts", NULL, list_options,
     "  invoicegatectl account list --agency 1\n", list},
    {"account", "set", "ACCOUNT", 1, 1, "change an account's settings", NULL, set_options,
     "  invoicegatectl account set --agency 1 acct_demo --default\n"
     "  invoicegatectl account set --agency 1 acct_demo --auto-advance off\n",
     set},
    COMMANDS_END,
};
