/* Blocking access to PostgreSQL for one command at a time: one connection, bound parameters, no pool.
 *
 * Errors stick: the first one is said on standard error with what to do next; later calls do nothing and
 * answer NULL or false, so a command may look once, at its end. */
#ifndef INVOICEGATE_CTL_DB_H
#define INVOICEGATE_CTL_DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct db {
    PGconn *connection; /* NULL until opened */
    bool failed;
    int error_position; /* in characters from 1 into the statement that failed, 0 where the server names none
                         */
    char sqlstate[6];   /* of the statement that failed, "" when there is none */
};

struct db_param {
    struct text text; /* absent: null */
    char digits[24];  /* what text shows for numbers */
    bool is_number;
    bool is_bytes;
};

struct db_param db_text(const char *string); /* NULL: null */
struct db_param db_int(int64_t number);
struct db_param db_bool(bool value);
struct db_param db_bytes(struct text bytes);

#define DB_PARAMS_MAX 16

/* Connects as INVOICEGATE_DATABASE says, with a session that speaks UTF-8, ISO dates and UTC. */
MUST_CHECK bool db_open(struct db *db);
/* An open transaction is rolled back by the server. */
void db_close(struct db *db);

/* One statement with bound parameters. NULL after an error; else the caller clears the result. */
PGresult *db_query_params(struct db *db, const char *sql, const struct db_param *params,
                          int count) MUST_CHECK;
#define DB_QUERY(db, sql, ...)                                                                               \
    db_query_params((db), (sql), (const struct db_param[]){__VA_ARGS__},                                     \
                    (int)(sizeof((const struct db_param[]){__VA_ARGS__}) / sizeof(struct db_param)))
/* The same where the rows do not matter. */
bool db_run_params(struct db *db, const char *sql, const struct db_param *params, int count);
#define DB_RUN(db, sql, ...)                                                                                 \
    db_run_params((db), (sql), (const struct db_param[]){__VA_ARGS__},                                       \
                  (int)(sizeof((const struct db_param[]){__VA_ARGS__}) / sizeof(struct db_param)))
/* Any number of statements without parameters: fixed SQL and migrations only. */
bool db_script(struct db *db, const char *sql);

bool db_begin(struct db *db);
/* False when the commit was not confirmed. */
MUST_CHECK bool db_commit(struct db *db);
void db_rollback(struct db *db);

/* Rows whose cells are numbers, texts and truths; the caller knows the column is not null where it takes a
 * number. */
int64_t db_cell_int(const PGresult *rows, int row, int column);
bool db_cell_bool(const PGresult *rows, int row, int column);
struct text db_cell(const PGresult *rows, int row,
                    int column); /* absent: null; lives as long as the result */

/* Says the error that the connection holds, with what to do next. */
void db_say_error(struct db *db, const PGresult *result);

#endif
