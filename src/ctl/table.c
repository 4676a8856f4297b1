#include "ctl/table.h"

#include <json-c/json.h>
#include <stdio.h>

#include "ctl/clean.h"
#include "ctl/moment.h"
#include "ctl/money.h"
#include "ctl/output.h"
#include "ctl/say.h"

#define GAP 2
#define FLEXIBLE_MIN 8

struct cell {
    struct text text;
    int width;
};

struct table {
    struct ctl *ctl;
    const PGresult *rows;
    int count;
    const struct column *columns;
    int column_count;
    struct cell *cells; /* row by row */
    int *widths;        /* 0: the column is left out */
};

static struct text list_text(struct arena *arena, struct text json)
{
    if (!json.at)
        return TEXT("all");
    struct json_object *array = json_tokener_parse(json.at);
    size_t count = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
    struct builder builder;
    builder_init(&builder, arena, json.length + 1);
    for (size_t i = 0; i < count; i++) {
        builder_add(&builder, i > 0 ? TEXT(", ") : TEXT(""));
        builder_add(&builder, text_from(json_object_get_string(json_object_array_get_idx(array, i))));
    }
    json_object_put(array);
    return builder_text(&builder);
}

static struct text moment_text(struct arena *arena, struct text moment)
{
    char seconds[MOMENT_BYTES];
    if (!moment.at)
        return TEXT_NONE;
    moment_short(moment, seconds);
    return arena_copy(arena, text_from(seconds));
}

struct text table_cell(struct arena *arena, const PGresult *rows, int row, const struct column *column)
{
    int at = PQfnumber(rows, column->field);
    CHECK(at >= 0);
    struct text text = db_cell(rows, row, at);
    switch (column->kind) {
    case CELL_MOMENT:
        return moment_text(arena, text);
    case CELL_YES:
        return text_is(text, TEXT("t")) ? TEXT("yes") : TEXT("");
    case CELL_LIST:
        return clean(arena, list_text(arena, text));
    case CELL_MONEY:
        return clean(arena, money(arena, text, db_cell(rows, row, PQfnumber(rows, "currency"))));
    default:
        return clean(arena, text);
    }
}

static struct cell *cell_at(const struct table *table, int row, int column)
{
    return &table->cells[row * table->column_count + column];
}

static bool fill(struct table *table)
{
    struct arena *arena = &table->ctl->arena;
    while (table->columns[table->column_count].field)
        table->column_count++;
    size_t count = (size_t)table->column_count;
    table->cells = arena_zalloc(arena, sizeof(struct cell) * count * (size_t)table->count + 1);
    table->widths = arena_zalloc(arena, sizeof(int) * count);
    if (!table->cells || !table->widths)
        return false;
    for (int row = 0; row < table->count; row++)
        for (int column = 0; column < table->column_count; column++) {
            struct cell *cell = cell_at(table, row, column);
            cell->text = table_cell(arena, table->rows, row, &table->columns[column]);
            cell->width = clean_width(cell->text);
            if (cell->width > table->widths[column])
                table->widths[column] = cell->width;
        }
    return !arena_overflowed(arena);
}

static void widen_to_titles(struct table *table)
{
    for (int column = 0; column < table->column_count; column++) {
        int title = (int)strlen(table->columns[column].title);
        if (table->widths[column] > 0 && table->widths[column] < title)
            table->widths[column] = title;
    }
}

static int total_width(const struct table *table)
{
    int total = -GAP;
    for (int column = 0; column < table->column_count; column++)
        if (table->widths[column] > 0)
            total += table->widths[column] + GAP;
    return total;
}

/* Takes columns from the widest flexible one until the table fits or nothing is left to take. */
static void shrink(struct table *table)
{
    int excess = table->ctl->terminal.width > 0 ? total_width(table) - table->ctl->terminal.width : 0;
    for (; excess > 0; excess--) {
        int widest = -1;
        for (int column = 0; column < table->column_count; column++)
            if (table->columns[column].flexible && table->widths[column] > FLEXIBLE_MIN &&
                (widest < 0 || table->widths[column] > table->widths[widest]))
                widest = column;
        if (widest < 0)
            return;
        table->widths[widest]--;
    }
}

static void put_padding(int columns)
{
    if (columns > 0)
        printf("%*s", columns, "");
}

/* The text cut to the width, with a mark where it was cut. Answers the columns used. */
static int put_fitted(const struct terminal *terminal, struct text text, int text_width, int width)
{
    if (text_width <= width) {
        fwrite(text.at, 1, text.length, stdout);
        return text_width;
    }
    struct text cut = clean_fit(text, width - 1);
    printf("%.*s%s", (int)cut.length, cut.at, terminal->utf8 ? "\u2026" : "~");
    return clean_width(cut) + 1;
}

static void put_cell(const struct table *table, struct text text, int column, enum tone tone, bool last)
{
    const struct terminal *terminal = &table->ctl->terminal;
    enum cell_kind kind = table->columns[column].kind;
    bool right = kind == CELL_NUMBER || kind == CELL_MONEY;
    int text_width = clean_width(text);
    int width = table->widths[column];
    if (right)
        put_padding(width - text_width);
    fputs(tone_on(terminal, tone), stdout);
    int used = text.at ? put_fitted(terminal, text, text_width, width) : 0;
    fputs(tone_off(terminal, tone), stdout);
    if (!last)
        put_padding((right ? 0 : width - used) + GAP);
}

static int last_shown(const struct table *table)
{
    int last = table->column_count - 1;
    while (last > 0 && table->widths[last] == 0)
        last--;
    return last;
}

static void put_titles(const struct table *table)
{
    int last = last_shown(table);
    for (int column = 0; column <= last; column++)
        if (table->widths[column] > 0)
            put_cell(table, text_from(table->columns[column].title), column, TONE_BOLD, column == last);
    putchar('\n');
}

static void put_row(const struct table *table, int row)
{
    int last = last_shown(table);
    for (int column = 0; column <= last; column++) {
        struct text text = cell_at(table, row, column)->text;
        bool state = table->columns[column].kind == CELL_STATE && text.at;
        if (table->widths[column] > 0)
            put_cell(table, text, column, state ? tone_of_state(text.at) : TONE_PLAIN, column == last);
    }
    putchar('\n');
}

void table_print(struct ctl *ctl, const PGresult *rows, int count, const struct column *columns)
{
    struct table table = {.ctl = ctl, .rows = rows, .count = count, .columns = columns};
    if (count == 0 || !fill(&table))
        return;
    widen_to_titles(&table);
    shrink(&table);
    put_titles(&table);
    for (int row = 0; row < count; row++)
        put_row(&table, row);
}

void table_print_all(struct ctl *ctl, const PGresult *rows, const struct column *columns)
{
    table_print(ctl, rows, PQntuples(rows), columns);
}

enum ctl_exit list_print(struct ctl *ctl, PGresult *rows, const struct column *columns, const char *empty)
{
    if (!rows)
        return CTL_DATABASE;
    if (ctl->json)
        json_print_data(json_rows(rows));
    else if (PQntuples(rows) == 0)
        say_note("%s", empty);
    else
        table_print_all(ctl, rows, columns);
    PQclear(rows);
    return CTL_DONE;
}
