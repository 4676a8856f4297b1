#include "ctl/export.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/digest.h"
#include "ctl/say.h"

/* Of a line's SHA-256 so many bits count: their sum over any table fits into 128. */
#define DIGEST_BITS 60
static bool say_write_error(const char *path)
{
    say_error("%s cannot be written: %s", path, strerror(errno));
    return false;
}

/* All that the server sends. */
static bool copy_out(struct ctl *ctl, FILE *file, const char *path)
{
    PGconn *connection = ctl->db.connection;
    bool written = true;
    char *line;
    int length;
    while ((length = PQgetCopyData(connection, &line, 0)) > 0) {
        written = written && fwrite(line, 1, (size_t)length, file) == (size_t)length;
        PQfreemem(line);
    }
    PGresult *end = PQgetResult(connection);
    bool whole = length == -1 && PQresultStatus(end) == PGRES_COMMAND_OK;
    if (!whole)
        db_say_error(&ctl->db, end);
    else if (!written)
        say_write_error(path);
    PQclear(end);
    while ((end = PQgetResult(connection)))
        PQclear(end);
    return whole && written;
}

static bool start_copy(struct ctl *ctl, const char *table)
{
    /* Control characters never stand in JSON text: with these for quote and delimiter nothing is quoted. */
    PGresult *result = DB_QUERY(
        &ctl->db,
        "select format('copy (select row_to_json(t) from gateway.%I t) to stdout "
        "               (format csv, quote %L, escape %L, delimiter %L)', $1::text, chr(1), chr(1), chr(2))",
        db_text(table));
    PGresult *started = result ? PQexec(ctl->db.connection, PQgetvalue(result, 0, 0)) : NULL;
    bool copying = PQresultStatus(started) == PGRES_COPY_OUT;
    if (result && !copying)
        db_say_error(&ctl->db, started);
    PQclear(started);
    PQclear(result);
    return copying;
}

enum ctl_exit export_table(struct ctl *ctl, const char *table, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file) {
        say_write_error(path);
        return CTL_FAILED;
    }
    bool done = start_copy(ctl, table) && copy_out(ctl, file, path);
    if (done && (fflush(file) != 0 || fsync(fd) != 0))
        done = say_write_error(path);
    if (fclose(file) != 0 && done)
        done = say_write_error(path);
    return done ? CTL_DONE : ctl->db.failed ? CTL_DATABASE : CTL_FAILED;
}

enum ctl_exit export_expected(struct ctl *ctl, const char *table, struct export *expected)
{
    PGresult *text =
        DB_QUERY(&ctl->db,
                 "select format('select count(*), coalesce(sum((''x'' || left(encode(sha256(convert_to("
                 "row_to_json(t)::text, ''UTF8'')), ''hex''), 15))::bit(60)::bigint), 0) from gateway.%I t', "
                 "$1::text)",
                 db_text(table));
    PGresult *rows = text ? db_query_params(&ctl->db, PQgetvalue(text, 0, 0), NULL, 0) : NULL;
    if (rows) {
        expected->rows = db_cell_int(rows, 0, 0);
        snprintf(expected->digest, sizeof(expected->digest), "%s", PQgetvalue(rows, 0, 1));
    }
    PQclear(text);
    PQclear(rows);
    return rows ? CTL_DONE : CTL_DATABASE;
}

static uint64_t start_of(const uint8_t digest[DIGEST_BYTES])
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | digest[i];
    return value >> (64 - DIGEST_BITS);
}

static void put_decimal(unsigned __int128 value, char digits[48])
{
    char reversed[48];
    int count = 0;
    do {
        reversed[count++] = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value > 0);
    for (int i = 0; i < count; i++)
        digits[i] = reversed[count - 1 - i];
    digits[count] = '\0';
}

/* One line without its newline; false when it is no JSON object. */
static bool add_line(struct text line, unsigned __int128 *sum)
{
    uint8_t digest[DIGEST_BYTES];
    struct json_object *object = json_tokener_parse(line.at);
    bool valid = json_object_is_type(object, json_type_object) && digest_sha256(line, digest);
    json_object_put(object);
    if (valid)
        *sum += start_of(digest);
    return valid;
}

/* False with the line's number in *rows when a line is none. */
static bool add_file(FILE *file, struct export *found)
{
    unsigned __int128 sum = 0;
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    bool valid = true;
    while (valid && (length = getline(&line, &room, file)) > 0) {
        found->rows++;
        valid = line[length - 1] == '\n';
        line[length - 1] = '\0';
        valid = valid && add_line((struct text){line, (size_t)length - 1}, &sum);
    }
    free(line);
    put_decimal(sum, found->digest);
    return valid && !ferror(file);
}

enum ctl_exit export_check(const char *path, const struct export *expected)
{
    struct export found = {.rows = 0};
    enum ctl_exit end = CTL_FAILED;
    FILE *file = fopen(path, "re");
    if (!file) {
        say_error("%s cannot be read back: %s", path, strerror(errno));
        return CTL_FAILED;
    }
    if (!add_file(file, &found))
        say_error("%s is damaged in line %lld; nothing was dropped", path, (long long)found.rows);
    else if (found.rows != expected->rows || strcmp(found.digest, expected->digest) != 0)
        say_error("%s does not hold what the database has (%lld lines of %lld); nothing was dropped", path,
                  (long long)found.rows, (long long)expected->rows);
    else
        end = CTL_DONE;
    fclose(file);
    return end;
}
