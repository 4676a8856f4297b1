#include "ctl/db.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/say.h"

#define DATABASE_DEFAULT "dbname=invoicegate"
#define CONNECT_TIMEOUT_S "10"
#define MESSAGE_BYTES 512

struct hint {
    const char *sqlstate; /* its start */
    const char *hint;
};

static const struct hint hints[] = {
    {"3F000", "the database has no schema yet: run 'invoicegatectl migrate'"},
    {"42P01", "the database is older than this program: run 'invoicegatectl migrate'"},
    {"42883", "the database is older than this program: run 'invoicegatectl migrate'"},
    {"42703", "the database is older than this program: run 'invoicegatectl migrate'"},
    {"42501", "connect as a member of role invoicegate_owner"},
    {"25006", "connect to the writable primary"},
    {"55P03", "another session holds a lock: try again"},
    {"40", "it collided with another transaction: try again"},
    {"53", "the server is short of resources: try again later"},
    {"57", "the server is stopping or starting: try again"},
    {"08", "check that the server is reachable"},
};

static const char *hint_of(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (strncmp(sqlstate, hints[i].sqlstate, strlen(hints[i].sqlstate)) == 0)
            return hints[i].hint;
    return NULL;
}

/* The first line of what libpq says, without the severity in front. */
static void first_line(const char *message, char line[MESSAGE_BYTES])
{
    static const char *const severities[] = {"ERROR:", "FATAL:", "PANIC:"};
    for (size_t i = 0; i < sizeof(severities) / sizeof(severities[0]); i++)
        if (strncmp(message, severities[i], strlen(severities[i])) == 0)
            message += strlen(severities[i]);
    message += strspn(message, " \n");
    snprintf(line, MESSAGE_BYTES, "%.*s", (int)strcspn(message, "\n"), message);
}

void db_say_error(struct db *db, const PGresult *result)
{
    char line[MESSAGE_BYTES];
    const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    snprintf(db->sqlstate, sizeof(db->sqlstate), "%s", sqlstate ? sqlstate : "");
    first_line(result ? PQresultErrorMessage(result) : PQerrorMessage(db->connection), line);
    const char *position = result ? PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION) : NULL;
    db->error_position = position ? (int)strtol(position, NULL, 10) : 0;
    const char *hint = hint_of(db->sqlstate);
    if (!hint && PQstatus(db->connection) == CONNECTION_BAD)
        hint = "check that the server runs and what INVOICEGATE_DATABASE says";
    say_error("database: %s%s%s", line[0] ? line : "no answer", hint ? "; " : "", hint ? hint : "");
    db->failed = true;
}

/* libpq would quote the string in its complaint, password and all: judge it first and keep quiet about its
 * parts. */
static bool connection_string_valid(const char *string)
{
    char *complaint = NULL;
    PQconninfoOption *parsed = PQconninfoParse(string, &complaint);
    bool valid = parsed != NULL;
    PQconninfoFree(parsed);
    PQfreemem(complaint);
    return valid;
}

static bool connect_to(struct db *db, const char *string)
{
    /* What stands before dbname may be overridden by the connection string, what stands after may not. */
    const char *names[] = {"connect_timeout", "fallback_application_name", "dbname", "client_encoding", NULL};
    const char *values[] = {CONNECT_TIMEOUT_S, "invoicegatectl", string, "UTF8", NULL};
    db->connection = PQconnectdbParams(names, values, 1);
    if (!db->connection || PQstatus(db->connection) != CONNECTION_OK) {
        db_say_error(db, NULL);
        return false;
    }
    return true;
}

static void drop_notice(void *nobody, const PGresult *notice)
{
    (void)nobody;
    (void)notice;
}

bool db_open(struct db *db)
{
    if (db->connection)
        return !db->failed;
    const char *set = getenv("INVOICEGATE_DATABASE");
    const char *string = set && *set ? set : DATABASE_DEFAULT;
    db->failed = true;
    if (!connection_string_valid(string)) {
        say_error(
            "INVOICEGATE_DATABASE is no libpq connection string; write 'host=... dbname=... user=...' or "
            "postgresql://...");
        return false;
    }
    if (!connect_to(db, string))
        return false;
    db->failed = false;
    PQsetNoticeReceiver(db->connection, drop_notice, NULL);
    return db_script(
        db, "set search_path = pg_catalog, pg_temp; set datestyle = 'ISO, YMD'; set timezone = 'UTC'; "
            "set bytea_output = 'hex'; set client_min_messages = warning");
}

void db_close(struct db *db)
{
    PQfinish(db->connection);
    db->connection = NULL;
}

struct db_param db_text(const char *string)
{
    return (struct db_param){.text = text_from(string)};
}

struct db_param db_int(int64_t number)
{
    struct db_param param = {.is_number = true};
    snprintf(param.digits, sizeof(param.digits), "%lld", (long long)number);
    return param;
}

struct db_param db_bool(bool value)
{
    return db_text(value ? "true" : "false");
}

struct db_param db_bytes(struct text bytes)
{
    return (struct db_param){.text = bytes, .is_bytes = true};
}

PGresult *db_query_params(struct db *db, const char *sql, const struct db_param *params, int count)
{
    const char *values[DB_PARAMS_MAX];
    int lengths[DB_PARAMS_MAX];
    int formats[DB_PARAMS_MAX];
    CHECK(count <= DB_PARAMS_MAX);
    if (db->failed)
        return NULL;
    CHECK(db->connection);
    for (int i = 0; i < count; i++) {
        values[i] = params[i].is_number ? params[i].digits : params[i].text.at;
        lengths[i] = (int)params[i].text.length;
        formats[i] = params[i].is_bytes;
    }
    PGresult *result = PQexecParams(db->connection, sql, count, NULL, values, lengths, formats, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return result;
    db_say_error(db, result);
    PQclear(result);
    return NULL;
}

bool db_run_params(struct db *db, const char *sql, const struct db_param *params, int count)
{
    PGresult *result = db_query_params(db, sql, params, count);
    PQclear(result);
    return result != NULL;
}

bool db_script(struct db *db, const char *sql)
{
    if (db->failed)
        return false;
    PGresult *result = PQexec(db->connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY)
        db_say_error(db, result);
    PQclear(result);
    return !db->failed;
}

bool db_begin(struct db *db)
{
    return db_script(db, "begin");
}

bool db_commit(struct db *db)
{
    return db_script(db, "commit");
}

void db_rollback(struct db *db)
{
    if (!db->connection || PQtransactionStatus(db->connection) == PQTRANS_IDLE)
        return;
    PQclear(PQexec(db->connection, "rollback"));
}

struct text db_cell(const PGresult *rows, int row, int column)
{
    if (PQgetisnull(rows, row, column))
        return TEXT_NONE;
    return (struct text){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

int64_t db_cell_int(const PGresult *rows, int row, int column)
{
    int64_t value;
    CHECK(text_to_int64(db_cell(rows, row, column), &value));
    return value;
}

bool db_cell_bool(const PGresult *rows, int row, int column)
{
    return text_is(db_cell(rows, row, column), TEXT("t"));
}
