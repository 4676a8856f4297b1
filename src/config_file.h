/* The file of INVOICEGATE_SETTINGS_FILE: settings that win over the environment, and that SIGHUP can read
 * anew. */
#ifndef INVOICEGATE_CONFIG_FILE_H
#define INVOICEGATE_CONFIG_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/check.h"

#define CONFIG_FILE_MAX_BYTES 65536
#define CONFIG_FILE_MAX_LINES 256

struct config_file {
    char *text; /* the whole file, taken apart */
    int count;
    struct {
        const char *name, *value;
    } lines[CONFIG_FILE_MAX_LINES];
};

/* False after one line on errors. Without a path there is nothing in it. */
MUST_CHECK bool config_file_read(struct config_file *file, const char *path, FILE *errors);
/* NULL when it says nothing about it. The last line counts. Valid until the file is forgotten. */
const char *config_file_value(const struct config_file *file, const char *name);
void config_file_forget(struct config_file *file);

#endif
