#include "store/rows.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "store/store.h"

/* Type numbers of pg_type, which never change. */
static const struct {
    uint32_t oid;
    int32_t size; /* of a fixed-size element, else 0 */
} types[] = {
    [COLUMN_UUID] = {2950, UUID_BYTES},
    [COLUMN_DIGEST] = {17, DIGEST_BYTES},
    [COLUMN_TEXT] = {25, 0},
    [COLUMN_BYTES] = {17, 0},
    [COLUMN_INT4] = {23, 4},
    [COLUMN_INT8] = {20, 8},
    [COLUMN_BOOL] = {16, 1},
};

void params_reset(struct params *params)
{
    params->used = 0;
    params->count = 0;
    params->failed = false;
}

void params_free(struct params *params)
{
    free(params->bytes);
    *params = (struct params){0};
}

static void params_bytes(struct params *params, const void *bytes, size_t length)
{
    if (params->failed)
        return;
    if (params->used + length > params->room) {
        size_t room = (params->used + length) * 2 + 4096;
        char *grown = realloc(params->bytes, room);
        if (!grown) {
            params->failed = true;
            return;
        }
        params->bytes = grown;
        params->room = room;
    }
    if (length > 0) {
        CHECK(bytes);
        memcpy(params->bytes + params->used, bytes, length);
    }
    params->used += length;
}

static void params_be32(struct params *params, uint32_t value)
{
    uint32_t big = htobe32(value);
    params_bytes(params, &big, sizeof(big));
}

static void params_next(struct params *params, bool null)
{
    CHECK(params->count < ROWS_PARAMS_MAX);
    params->nulls[params->count] = null;
    params->starts[params->count++] = params->used;
}

void params_int8(struct params *params, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    params_next(params, value == STORE_NULL64);
    params_bytes(params, &big, sizeof(big));
}

void params_int4(struct params *params, int32_t value)
{
    params_next(params, value == STORE_NULL32);
    params_be32(params, (uint32_t)value);
}

void params_int2(struct params *params, int16_t value)
{
    uint16_t big = htobe16((uint16_t)value);
    params_next(params, false);
    params_bytes(params, &big, sizeof(big));
}

void params_bool(struct params *params, bool value)
{
    char byte = (char)value;
    params_next(params, false);
    params_bytes(params, &byte, 1);
}

void params_text(struct params *params, struct text value)
{
    params_next(params, !value.at);
    params_bytes(params, value.at, value.length);
}

void params_uuid(struct params *params, const uint8_t *uuid)
{
    params_next(params, false);
    params_bytes(params, uuid, UUID_BYTES);
}

void params_array_begin(struct params *params, enum column_type type, int elements)
{
    params_next(params, false);
    params_be32(params, 1); /* dimensions */
    params_be32(params, 1); /* may hold nulls */
    params_be32(params, types[type].oid);
    params_be32(params, (uint32_t)elements);
    params_be32(params, 1); /* lower bound */
}

static void params_element(struct params *params, const void *bytes, size_t length)
{
    params_be32(params, (uint32_t)length);
    params_bytes(params, bytes, length);
}

static void params_null(struct params *params)
{
    params_be32(params, UINT32_MAX); /* length -1 */
}

static void add_text(struct params *params, struct text text)
{
    if (text.at)
        params_element(params, text.at, text.length);
    else
        params_null(params);
}

static void add_int4(struct params *params, int32_t value)
{
    uint32_t big = htobe32((uint32_t)value);
    if (value == STORE_NULL32)
        params_null(params);
    else
        params_element(params, &big, sizeof(big));
}

static void add_int8(struct params *params, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    if (value == STORE_NULL64)
        params_null(params);
    else
        params_element(params, &big, sizeof(big));
}

void params_array_add(struct params *params, const struct column *column, const void *structure)
{
    const char *field = (const char *)structure + column->offset;
    switch (column->type) {
    case COLUMN_UUID:
    case COLUMN_DIGEST:
    case COLUMN_BOOL:
        params_element(params, field, (size_t)types[column->type].size);
        break;
    case COLUMN_TEXT:
    case COLUMN_BYTES:
        add_text(params, *(const struct text *)(const void *)field);
        break;
    case COLUMN_INT4:
        add_int4(params, *(const int32_t *)(const void *)field);
        break;
    case COLUMN_INT8:
        add_int8(params, *(const int64_t *)(const void *)field);
        break;
    }
}

bool params_send(struct params *params, PGconn *connection, const char *statement)
{
    const char *values[ROWS_PARAMS_MAX];
    int lengths[ROWS_PARAMS_MAX];
    int formats[ROWS_PARAMS_MAX];
    if (params->failed)
        return false;
    params->starts[params->count] = params->used;
    for (int i = 0; i < params->count; i++) {
        values[i] = params->nulls[i] ? NULL : params->bytes + params->starts[i];
        lengths[i] = (int)(params->starts[i + 1] - params->starts[i]);
        formats[i] = 1;
    }
    return PQsendQueryPrepared(connection, statement, params->count, values, lengths, formats, 0) == 1;
}

struct text row_text(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return TEXT_NONE;
    return (struct text){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

int64_t row_int8(const PGresult *result, int row, int column)
{
    int64_t value;
    struct text text = row_text(result, row, column);
    return text.at && text_to_int64(text, &value) ? value : STORE_NULL64;
}

int32_t row_int4(const PGresult *result, int row, int column)
{
    int64_t value = row_int8(result, row, column);
    return value > INT32_MIN && value <= INT32_MAX ? (int32_t)value : STORE_NULL32;
}

bool row_bool(const PGresult *result, int row, int column)
{
    return text_is(row_text(result, row, column), TEXT("t"));
}
