/* Text on its way to a terminal: what could move the cursor, recolour, reorder or hide is written out
 * instead. */
#ifndef INVOICEGATE_CTL_CLEAN_H
#define INVOICEGATE_CTL_CLEAN_H

#include <stdio.h>

#include "base/arena.h"
#include "base/text.h"

/* Makes wcwidth know Unicode whatever the environment says; answers whether the terminal itself is said to be
 * UTF-8, so that block characters may be drawn. Call once at the start. */
bool clean_start(void);

/* Control, direction and invisible characters become \x1b or \u202e, bytes that are not UTF-8 become \xff. */
struct text clean(struct arena *arena, struct text text);
void clean_put(FILE *file, struct text text);

/* The same for finished JSON text, where such characters stand in strings only: they become JSON's own
 * escapes. */
void clean_put_json(FILE *file, struct text json);

/* Columns that a clean text takes on a terminal. */
int clean_width(struct text text);
/* The longest start of a clean text that fits into so many columns. */
struct text clean_fit(struct text text, int columns);

#endif
