/* Rows as a table: columns as wide as their contents, cut to the terminal where one is. */
#ifndef INVOICEGATE_CTL_TABLE_H
#define INVOICEGATE_CTL_TABLE_H

#include "ctl/ctl.h"

enum cell_kind {
    CELL_TEXT,
    CELL_NUMBER, /* to the right */
    CELL_MOMENT, /* to seconds */
    CELL_MONEY,  /* with the row's column "currency" */
    CELL_YES,    /* "yes" or nothing */
    CELL_STATE,  /* in the state's colour */
    CELL_LIST,   /* a JSON array; "all" for null */
};

struct column {
    const char *field; /* the result's column; NULL ends the list */
    const char *title;
    enum cell_kind kind;
    bool flexible; /* may be cut to fit the terminal */
};

#define COLUMNS_END                                                                                          \
    {                                                                                                        \
        .field = NULL                                                                                        \
    }

/* The first so many rows. A column that is empty in every row is left out. */
void table_print(struct ctl *ctl, const PGresult *rows, int count, const struct column *columns);
void table_print_all(struct ctl *ctl, const PGresult *rows, const struct column *columns);

/* A list that is not paged: as table or JSON, or the note where it is empty. Gives the rows up; NULL: they
 * could not be read, which was said. */
enum ctl_exit list_print(struct ctl *ctl, PGresult *rows, const struct column *columns, const char *empty);

/* One cell as the table shows it, clean. */
struct text table_cell(struct arena *arena, const PGresult *rows, int row, const struct column *column);

#endif
