#include "ctl/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/clean.h"
#include "ctl/moment.h"
#include "ctl/say.h"

/* Types of PostgreSQL by their fixed numbers (pg_type.dat). */
enum {
    TYPE_BOOL = 16,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_NUMERIC = 1700,
    TYPE_JSONB = 3802,
};

struct json_object *json_string(struct text text)
{
    return text.at ? json_object_new_string_len(text.at, (int)text.length) : NULL;
}

/* Numbers keep the digits that PostgreSQL wrote. */
static struct json_object *json_number(struct text digits)
{
    int64_t value;
    if (text_to_int64(digits, &value))
        return json_object_new_int64(value);
    double approximate = strtod(digits.at, NULL);
    return json_object_new_double_s(approximate, digits.at);
}

struct json_object *json_moment(struct text text)
{
    char iso[MOMENT_BYTES];
    moment_iso(text, iso);
    return json_object_new_string(iso);
}

static struct json_object *json_cell(const PGresult *rows, int row, int column)
{
    struct text text = db_cell(rows, row, column);
    struct json_object *parsed;
    if (!text.at)
        return NULL;
    switch (PQftype(rows, column)) {
    case TYPE_BOOL:
        return json_object_new_boolean(text_is(text, TEXT("t")));
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
    case TYPE_NUMERIC:
        return json_number(text);
    case TYPE_JSON:
    case TYPE_JSONB:
        parsed = json_tokener_parse(text.at);
        return parsed ? parsed : json_string(text);
    case TYPE_TIMESTAMPTZ:
        return json_moment(text);
    default:
        return json_string(text);
    }
}

struct json_object *json_row(const PGresult *rows, int row)
{
    struct json_object *object = json_object_new_object();
    for (int column = 0; column < PQnfields(rows); column++)
        json_object_object_add(object, PQfname(rows, column), json_cell(rows, row, column));
    return object;
}

struct json_object *json_rows(const PGresult *rows)
{
    struct json_object *array = json_object_new_array();
    for (int row = 0; row < PQntuples(rows); row++)
        json_object_array_add(array, json_row(rows, row));
    return array;
}

void json_print(struct json_object *object)
{
    clean_put_json(stdout, text_from(json_object_to_json_string_ext(object, JSON_C_TO_STRING_NOSLASHESCAPE)));
    fputc('\n', stdout);
    json_object_put(object);
}

void json_print_data(struct json_object *array)
{
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "data", array);
    json_print(object);
}

enum ctl_exit output_end(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CTL_DONE;
    say_error("the output could not be written: %s", strerror(errno));
    return CTL_FAILED;
}
