/* One line of a client import: JSON from a stranger's file. */
#ifndef INVOICEGATE_CTL_IMPORT_LINE_H
#define INVOICEGATE_CTL_IMPORT_LINE_H

#include "base/arena.h"

/* The line as a row of COPY's text format: line, client_id, name, members. Absent when the line is bad (then
 * *fault is a phrase for people) or blank (then *fault stays NULL). */
struct text import_line_row(struct arena *arena, struct text line, int64_t number, const char **fault);

#endif
