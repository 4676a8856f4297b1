/* Parameters and results in PostgreSQL's wire forms. Arrays go out in binary form: no quoting, no parsing. */
#ifndef INVOICEGATE_STORE_ROWS_H
#define INVOICEGATE_STORE_ROWS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/text.h"

#define ROWS_PARAMS_MAX 24

/* How a member of a task's struct becomes an element of an array parameter. */
enum column_type {
    COLUMN_UUID,
    COLUMN_DIGEST,
    COLUMN_TEXT,
    COLUMN_BYTES,
    COLUMN_INT4,
    COLUMN_INT8,
    COLUMN_BOOL
};

struct column {
    enum column_type type;
    size_t offset; /* in the struct */
};

/* The parameters of one statement, growing in one buffer. Failure (no memory) is sticky. */
struct params {
    char *bytes;
    size_t used;
    size_t room;
    bool failed;
    int count;
    size_t starts[ROWS_PARAMS_MAX + 1];
    bool nulls[ROWS_PARAMS_MAX];
};

void params_reset(struct params *params);
void params_free(struct params *params);
void params_int8(struct params *params, int64_t value);
void params_int4(struct params *params, int32_t value);
void params_int2(struct params *params, int16_t value);
void params_bool(struct params *params, bool value);
void params_text(struct params *params, struct text value);
void params_uuid(struct params *params, const uint8_t *uuid);

/* One array: begin with its type and length, then add a member's field for each element. */
void params_array_begin(struct params *params, enum column_type type, int elements);
void params_array_add(struct params *params, const struct column *column, const void *structure);

/* Sends it as a prepared statement. False when libpq refuses or memory was out. */
MUST_CHECK bool params_send(struct params *params, PGconn *connection, const char *statement);

/* Fields of a result in text form, by position (looking names up costs an allocation a field); null is
 * absent, STORE_NULL32/64 or false. */
struct text row_text(const PGresult *result, int row, int column);
int32_t row_int4(const PGresult *result, int row, int column);
int64_t row_int8(const PGresult *result, int row, int column);
bool row_bool(const PGresult *result, int row, int column);

#endif
