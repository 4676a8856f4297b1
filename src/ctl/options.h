/* The command line of one command: options, arguments and their checks. */
#ifndef INVOICEGATE_CTL_OPTIONS_H
#define INVOICEGATE_CTL_OPTIONS_H

#include "ctl/ctl.h"

/* Sorts the words behind the command into options and arguments. Says what is wrong and answers CTL_USAGE;
 * sets *help when the help is asked for (then nothing else is checked). The words stay the caller's. */
enum ctl_exit options_parse(struct ctl *ctl, int count, char **words, bool *help) MUST_CHECK;

/* NULL when the option was not given; of a repeated one the last. The name must be in the command's table. */
const char *option_text(const struct ctl *ctl, const char *name);
bool option_given(const struct ctl *ctl, const char *name);
/* The value as a positive number; false with a complaint when it is none. 0 when it was not given. */
MUST_CHECK bool option_number(const struct ctl *ctl, const char *name, int64_t *number);
/* NULL with a complaint unless the value is a moment in ISO 8601: a date, or date and time with or without a
 * zone. The answer is what PostgreSQL reads, in UTC where no zone is given. */
MUST_CHECK bool option_moment(struct ctl *ctl, const char *name, const char **moment);

/* Seconds of a time such as 90s, 30m, 24h or 7d, at most ten years; a plain 0 too. fallback stands in when it
 * was not given. False with a complaint. */
MUST_CHECK bool option_duration(const struct ctl *ctl, const char *name, const char *fallback,
                                int64_t *seconds);

/* All values of a repeated option as a JSON array; NULL when it was not given. */
const char *option_list(struct ctl *ctl, const char *name);

/* "invoicegatectl NOUN VERB: ..." and where the help is. Answers CTL_USAGE. */
enum ctl_exit usage_error(const struct ctl *ctl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Complains unless the argument may be a name or an id: not empty, plain UTF-8, of at most so many bytes. */
MUST_CHECK bool check_plain(const struct ctl *ctl, const char *what, const char *value, size_t bytes_max);

#endif
