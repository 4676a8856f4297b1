#include "base/trace.h"

#include <stdio.h>

#include "base/digest.h"

#define PARENT_BYTES 8

/* Lower-case hex digits, so many, and (unless zeros are fine) not all of them 0. */
static bool is_hex(const char *at, size_t length, bool zeros)
{
    for (size_t i = 0; i < length; i++) {
        if (!((at[i] >= '0' && at[i] <= '9') || (at[i] >= 'a' && at[i] <= 'f')))
            return false;
        zeros = zeros || at[i] != '0';
    }
    return zeros;
}

/* VERSION-TRACE-PARENT-FLAGS. A later version may have more behind it; ff is none. */
static bool is_valid(struct text header)
{
    const char *at = header.at;
    if (header.length < TRACEPARENT_BYTES || at[2] != '-' || at[35] != '-' || at[52] != '-')
        return false;
    if (!is_hex(at, 2, true) || memcmp(at, "ff", 2) == 0 || !is_hex(at + 3, TRACE_ID_BYTES, false) ||
        !is_hex(at + 36, 2 * PARENT_BYTES, false) || !is_hex(at + 53, 2, true))
        return false;
    return header.length == TRACEPARENT_BYTES || (memcmp(at, "00", 2) != 0 && at[TRACEPARENT_BYTES] == '-');
}

struct trace trace_read(struct text header)
{
    struct trace trace = {.id = ""};
    if (!header.at || !is_valid(header))
        return trace;
    memcpy(trace.id, header.at + 3, TRACE_ID_BYTES);
    trace.sampled = strchr("13579bdf", header.at[54]) != NULL;
    return trace;
}

struct text trace_id(const struct trace *trace)
{
    return trace->id[0] ? (struct text){trace->id, TRACE_ID_BYTES} : TEXT_NONE;
}

struct text trace_write(const struct trace *trace, char room[TRACEPARENT_BYTES + 1])
{
    uint8_t parent[PARENT_BYTES];
    char parent_text[2 * PARENT_BYTES + 1];
    if (!trace->id[0] || !random_bytes(parent, sizeof(parent)))
        return TEXT_NONE;
    parent[0] |= 1; /* all zeros would be none */
    digest_hex(parent, sizeof(parent), parent_text);
    snprintf(room, TRACEPARENT_BYTES + 1, "00-%s-%s-0%d", trace->id, parent_text, trace->sampled);
    return (struct text){room, TRACEPARENT_BYTES};
}
