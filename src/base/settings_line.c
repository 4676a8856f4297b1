#include "base/settings_line.h"

#include <string.h>

static char *trimmed(char *text)
{
    char *end;
    text += strspn(text, " \t\r");
    end = text + strlen(text);
    while (end > text && strchr(" \t\r", end[-1]))
        *--end = '\0';
    return text;
}

enum settings_line settings_line(char *line, char **name, char **value)
{
    char *equals;
    size_t length;
    *name = trimmed(line);
    if (**name == '\0' || strchr("#;", **name))
        return SETTINGS_LINE_EMPTY;
    equals = strchr(*name, '=');
    if (!equals || equals == *name)
        return SETTINGS_LINE_WRONG;
    *equals = '\0';
    *name = trimmed(*name);
    *value = trimmed(equals + 1);
    length = strlen(*value);
    if (length > 1 && (**value == '"' || **value == '\'') && (*value)[length - 1] == **value) {
        (*value)[length - 1] = '\0';
        (*value)++;
    }
    return SETTINGS_LINE_GOOD;
}
