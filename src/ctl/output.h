/* What a command prints on standard output: JSON made of rows, and the check that it arrived. */
#ifndef INVOICEGATE_CTL_OUTPUT_H
#define INVOICEGATE_CTL_OUTPUT_H

#include <json-c/json.h>

#include "ctl/ctl.h"

/* One row as an object: column names as members; numbers, truths, JSON and null as such, moments in ISO 8601
 * with Z, all else as strings. The caller owns it. */
struct json_object *json_row(const PGresult *rows, int row);
/* All rows in an array. */
struct json_object *json_rows(const PGresult *rows);
struct json_object *json_string(struct text text);

struct json_object *json_moment(struct text moment);

/* Prints the object and a newline and gives it up. */
void json_print(struct json_object *object);
/* {"data": array}: what lists without pages print. */
void json_print_data(struct json_object *array);

/* Flushes standard output; answers CTL_FAILED with a complaint when not everything could be written. */
enum ctl_exit output_end(void);

#endif
