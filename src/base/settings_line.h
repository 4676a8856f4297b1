/* A line of a settings file as systemd reads them: NAME=VALUE, quotes around the value, comments in lines of
 * their own. */
#ifndef INVOICEGATE_BASE_SETTINGS_LINE_H
#define INVOICEGATE_BASE_SETTINGS_LINE_H

enum settings_line { SETTINGS_LINE_EMPTY, SETTINGS_LINE_GOOD, SETTINGS_LINE_WRONG };

/* Takes the line apart in its place: name and value point into it. Empty: a comment, or nothing. */
enum settings_line settings_line(char *line, char **name, char **value);

#endif
