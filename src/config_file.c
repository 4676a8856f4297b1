#include "config_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/plain_file.h"
#include "base/settings_line.h"

static bool complain(FILE *errors, const char *path, int line, const char *what)
{
    if (line > 0)
        fprintf(errors, "invoicegate: INVOICEGATE_SETTINGS_FILE %s, line %d: %s\n", path, line, what);
    else
        fprintf(errors, "invoicegate: INVOICEGATE_SETTINGS_FILE %s %s\n", path, what);
    return false;
}

/* NULL, or what is wrong. */
static const char *read_text(struct config_file *file, const char *path)
{
    int fd = plain_file_open(path);
    const char *problem = fd < 0 && errno == EINVAL ? "is no file" : "cannot be read";
    FILE *stream = fd >= 0 ? fdopen(fd, "r") : NULL;
    size_t length;
    if (!stream) {
        if (fd >= 0)
            close(fd);
        return problem;
    }
    file->text = calloc(1, CONFIG_FILE_MAX_BYTES + 1);
    length = file->text ? fread(file->text, 1, CONFIG_FILE_MAX_BYTES + 1, stream) : 0;
    if (!file->text || ferror(stream))
        problem = "cannot be read";
    else if (length > CONFIG_FILE_MAX_BYTES)
        problem = "is too long";
    else
        problem = strlen(file->text) == length ? NULL : "is no text";
    (void)fclose(stream);
    return problem;
}

bool config_file_read(struct config_file *file, const char *path, FILE *errors)
{
    const char *problem;
    char *rest;
    *file = (struct config_file){.text = NULL};
    if (!path || !*path)
        return true;
    if ((problem = read_text(file, path)))
        return complain(errors, path, 0, problem);
    rest = file->text;
    for (int number = 1; rest; number++) {
        char *line = strsep(&rest, "\n"), *name, *value;
        enum settings_line kind = settings_line(line, &name, &value);
        if (kind == SETTINGS_LINE_WRONG)
            return complain(errors, path, number, "is not NAME=VALUE");
        if (kind == SETTINGS_LINE_EMPTY)
            continue;
        if (file->count == CONFIG_FILE_MAX_LINES)
            return complain(errors, path, number, "is one line too many");
        file->lines[file->count].name = name;
        file->lines[file->count++].value = value;
    }
    return true;
}

const char *config_file_value(const struct config_file *file, const char *name)
{
    for (int i = file->count; i-- > 0;)
        if (strcmp(file->lines[i].name, name) == 0)
            return file->lines[i].value;
    return NULL;
}

void config_file_forget(struct config_file *file)
{
    free(file->text);
    *file = (struct config_file){.text = NULL};
}
