/* Logins for dashboards that see one agency. The password is made here and shown once; the server is given no
 * more than what checks it. */
#include <stdio.h>

#include "base/digest.h"
#include "ctl/agency.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"
#include "ctl/table.h"

#define LOGIN_BYTES_MAX 63
#define PASSWORD_RANDOM_BYTES 24
#define CONNECTIONS_MAX "20"
#define TEMP_FILES_MAX "1GB"

struct login {
    const char *name;
    char password[2 * PASSWORD_RANDOM_BYTES + 1];
    int64_t agency_id;
    bool unlimited; /* whoever makes it may not limit its temporary files */
};

static enum ctl_exit check_free(struct ctl *ctl, const struct login *login)
{
    PGresult *rows = DB_QUERY(&ctl->db, "select from pg_roles where rolname = $1", db_text(login->name));
    enum ctl_exit end = !rows ? CTL_DATABASE : PQntuples(rows) == 0 ? CTL_DONE : CTL_FAILED;
    PQclear(rows);
    if (end == CTL_FAILED)
        say_error("there is a role %s already; choose another name with --login NAME", login->name);
    return end;
}

/* The statements that make the role, as one text; absent after a complaint. */
static struct text make_sql(struct ctl *ctl, const struct login *login)
{
    struct text sql = TEXT_NONE;
    PGconn *connection = ctl->db.connection;
    char *verifier = PQencryptPasswordConn(connection, login->password, login->name, "scram-sha-256");
    char *quoted = verifier ? PQescapeLiteral(connection, verifier, strlen(verifier)) : NULL;
    char *name = PQescapeIdentifier(connection, login->name, strlen(login->name));
    char *database = PQescapeIdentifier(connection, PQdb(connection), strlen(PQdb(connection)));
    if (quoted && name && database)
        sql = arena_printf(
            &ctl->arena,
            "create role %s login in role invoicegate_dashboard connection limit " CONNECTIONS_MAX
            " password %s; "
            "alter role %s in database %s set jit = off; "
            "alter role %s in database %s set default_transaction_read_only = on; "
            "alter role %s in database %s set statement_timeout = '60s'; "
            "alter role %s in database %s set idle_in_transaction_session_timeout = '10min'",
            name, quoted, name, database, name, database, name, database, name, database);
    else
        db_say_error(&ctl->db, NULL);
    PQfreemem(verifier);
    PQfreemem(quoted);
    PQfreemem(name);
    PQfreemem(database);
    return sql;
}

/* Only superusers, and whom they let, may set this one: the login itself cannot take it back. */
static bool limit_files(struct ctl *ctl, struct login *login)
{
    PGresult *rows = DB_QUERY(&ctl->db,
                              "select format('alter role %I in database %I set temp_file_limit = %L', "
                              "$1::text, current_database(), '" TEMP_FILES_MAX "') "
                              "where has_parameter_privilege('temp_file_limit', 'set')",
                              db_text(login->name));
    login->unlimited = rows && PQntuples(rows) == 0;
    bool done = rows && (login->unlimited || db_script(&ctl->db, PQgetvalue(rows, 0, 0)));
    PQclear(rows);
    return done;
}

static enum ctl_exit make(struct ctl *ctl, struct login *login)
{
    struct text sql = make_sql(ctl, login);
    if (!sql.at || !db_begin(&ctl->db) || !db_script(&ctl->db, sql.at) || !limit_files(ctl, login))
        return CTL_DATABASE;
    DB_RUN(&ctl->db, "insert into gateway.dashboard_logins (login, agency_id) values ($1, $2)",
           db_text(login->name), db_int(login->agency_id));
    event_write(ctl, "login", login->agency_id, "dashboard login added", login->name);
    return db_commit(&ctl->db) ? CTL_DONE : CTL_DATABASE;
}

static void print_made(const struct ctl *ctl, const struct login *login)
{
    if (ctl->json) {
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "login", json_object_new_string(login->name));
        json_object_object_add(object, "agency_id", json_object_new_int64(login->agency_id));
        json_object_object_add(object, "password", json_object_new_string(login->password));
        json_print(object);
    } else
        printf("%s\n%s\n", login->name, login->password);
    if (login->unlimited)
        say_note(
            "warning: its temporary files have no limit, which only a superuser may set: alter role %s set "
            "temp_file_limit = '" TEMP_FILES_MAX "'",
            login->name);
    if (fflush(stdout) == 0)
        say_note("login %s: the password is shown once and kept nowhere; store it now", login->name);
    else
        say_error(
            "the login was made but could not be shown; revoke it: invoicegatectl dashboard-login revoke %s",
            login->name);
}

static enum ctl_exit make_password(struct login *login)
{
    uint8_t bytes[PASSWORD_RANDOM_BYTES];
    if (!random_bytes(bytes, sizeof(bytes))) {
        say_error("no password could be made: the system gives no random bytes");
        return CTL_FAILED;
    }
    digest_hex(bytes, sizeof(bytes), login->password);
    return CTL_DONE;
}

static enum ctl_exit add(struct ctl *ctl)
{
    struct login login = {.name = option_text(ctl, "login")};
    if (login.name && !check_plain(ctl, "--login", login.name, LOGIN_BYTES_MAX))
        return CTL_USAGE;
    if (!text_to_int64(text_from(ctl->arguments[0]), &login.agency_id) || login.agency_id <= 0)
        return usage_error(ctl, "AGENCY is the agency's number, not '%s'", ctl->arguments[0]);
    enum ctl_exit end = agency_known(ctl, login.agency_id);
    if (!login.name)
        login.name = arena_printf(&ctl->arena, "invoicegate_agency_%lld", (long long)login.agency_id).at;
    if (end == CTL_DONE)
        end = check_free(ctl, &login);
    if (end == CTL_DONE)
        end = make_password(&login);
    if (end == CTL_DONE)
        end = make(ctl, &login);
    if (end == CTL_DONE)
        print_made(ctl, &login);
    explicit_bzero(login.password, sizeof(login.password));
    return end;
}

static const struct column list_columns[] = {
    {"login", "login", CELL_TEXT, false},
    {"agency_id", "agency_id", CELL_NUMBER, false},
    {"agency", "agency", CELL_TEXT, true},
    {"connections", "connections", CELL_NUMBER, false},
    {"created_at", "created (UTC)", CELL_MOMENT, false},
    COLUMNS_END,
};

static enum ctl_exit list(struct ctl *ctl)
{
    if (!db_open(&ctl->db))
        return CTL_DATABASE;
    PGresult *rows = db_query_params(
        &ctl->db,
        "select l.login::text as login, l.agency_id, a.name as agency, "
        "       (select count(*) from pg_stat_activity s where s.usename = l.login) as connections, "
        "l.created_at "
        "from gateway.dashboard_logins l join gateway.agencies a using (agency_id) order by l.login",
        NULL, 0);
    return list_print(ctl, rows, list_columns,
                      "no dashboard logins; 'invoicegatectl dashboard-login add AGENCY' makes one");
}

/* Open connections see nothing from the commit on; they are ended after it all the same. */
static enum ctl_exit end_connections(struct ctl *ctl, const char *login)
{
    return DB_RUN(&ctl->db, "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1",
                  db_text(login))
               ? CTL_DONE
               : CTL_DATABASE;
}

/* A role may have been dropped by hand; large objects that it made would keep it. */
static bool drop_role(struct ctl *ctl, const char *login)
{
    PGresult *rows = DB_QUERY(
        &ctl->db,
        "select format('drop owned by %I; drop role %I', rolname, rolname) from pg_roles where rolname = $1",
        db_text(login));
    bool done = rows && (PQntuples(rows) == 0 || db_script(&ctl->db, PQgetvalue(rows, 0, 0)));
    PQclear(rows);
    return done;
}

static enum ctl_exit drop(struct ctl *ctl, const char *login, int64_t agency_id)
{
    if (end_connections(ctl, login) != CTL_DONE || !drop_role(ctl, login))
        return CTL_DATABASE;
    event_write(ctl, "login", agency_id, "dashboard login revoked", login);
    return db_commit(&ctl->db) ? CTL_DONE : CTL_DATABASE;
}

static enum ctl_exit revoke(struct ctl *ctl)
{
    const char *login = ctl->arguments[0];
    if (!check_plain(ctl, "the login", login, LOGIN_BYTES_MAX))
        return CTL_USAGE;
    if (!db_open(&ctl->db) || !db_begin(&ctl->db))
        return CTL_DATABASE;
    PGresult *rows = DB_QUERY(
        &ctl->db,
        "delete from gateway.dashboard_logins where login = $1 returning login::text as login, agency_id",
        db_text(login));
    enum ctl_exit end = !rows ? CTL_DATABASE : PQntuples(rows) == 1 ? CTL_DONE : CTL_NOT_FOUND;
    if (end == CTL_NOT_FOUND)
        say_error("there is no dashboard login %s; 'invoicegatectl dashboard-login list' shows them", login);
    else if (end == CTL_DONE)
        end = drop(ctl, login, db_cell_int(rows, 0, 1));
    if (end == CTL_DONE)
        end = end_connections(ctl, login);
    if (end == CTL_DONE && ctl->json)
        json_print(json_row(rows, 0));
    else if (end == CTL_DONE)
        printf("login %s is revoked\n", login);
    PQclear(rows);
    return end;
}

static const struct option no_options[] = {
    OPTIONS_END,
};

static const struct option add_options[] = {
    {"login", "NAME", "what to call it; default invoicegate_agency_AGENCY", NULL, false, false},
    OPTIONS_END,
};

const struct command dashboard_commands[] = {
    {"dashboard-login", "add", "AGENCY", 1, 1,
     "make a database login that sees one agency's audit, and print it",
     "It reads the views of schema audit, of which it sees its agency's rows, and nothing else. Login and\n"
     "password are printed, a line each; the password is kept nowhere. Logins belong to the whole server.",
     add_options,
     "  invoicegatectl dashboard-login add 1\n"
     "  invoicegatectl dashboard-login add 1 --login blue_harbor_grafana --json\n",
     add},
    {"dashboard-login", "list", "", 0, 0, "list the logins that see one agency", NULL, no_options,
     "  invoicegatectl dashboard-login list\n", list},
    {"dashboard-login", "revoke", "LOGIN", 1, 1, "remove such a login and end its connections", NULL,
     no_options, "  invoicegatectl dashboard-login revoke invoicegate_agency_1\n", revoke},
    COMMANDS_END,
};
