/* Log lines: one JSON object a line on standard error. Never a key, a body or an e-mail address: callers pass
 * ids only. */
#ifndef INVOICEGATE_BASE_LOG_H
#define INVOICEGATE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

void log_level_set(enum log_level level);
/* From "error", "warning", "info", "debug". */
MUST_CHECK bool log_level_from(const char *name, enum log_level *level);

struct log_field {
    const char *name;
    struct text text; /* absent: number is meant */
    int64_t number;   /* LOG_NO_NUMBER: null is meant */
};

#define LOG_NO_NUMBER INT64_MIN
#define LOG_TEXT(name_, text_) ((struct log_field){(name_), (text_), LOG_NO_NUMBER})
#define LOG_INT(name_, number_) ((struct log_field){(name_), TEXT_NONE, (number_)})

/* {"time":"2025-01-31T12:00:00.123Z","severity":"warning","message":"...","name":value,...}
 * Text is escaped, cut at 512 bytes a field; each byte that is not UTF-8 becomes "?". An absent text prints
 * null. One write a line; fields that would make it longer than 8 KiB are left out. */
void log_event(enum log_level level, const char *message, const struct log_field *fields, int count);

#define LOG(level, message, ...)                                                                             \
    log_event((level), (message), (const struct log_field[]){__VA_ARGS__},                                   \
              (int)(sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)))
#define LOG_PLAIN(level, message) log_event((level), (message), NULL, 0)

#endif
