#include "ctl/page.h"

#include "ctl/output.h"
#include "ctl/say.h"

static struct text cursor_of(const struct page *page)
{
    int column = PQfnumber(page->rows, page->cursor_field);
    CHECK(column >= 0);
    return page->has_more ? db_cell(page->rows, page->shown - 1, column) : TEXT_NONE;
}

void page_print_json(const struct page *page, struct json_object *totals)
{
    struct json_object *object = json_object_new_object();
    struct json_object *data = json_object_new_array();
    for (int row = 0; row < page->shown; row++)
        json_object_array_add(data, json_row(page->rows, row));
    json_object_object_add(object, "data", data);
    json_object_object_add(object, "has_more", json_object_new_boolean(page->has_more));
    json_object_object_add(object, "next_cursor", json_string(cursor_of(page)));
    if (totals)
        json_object_object_add(object, "totals", totals);
    json_print(object);
}

/* In single quotes, as a shell takes it. */
static void add_quoted(struct builder *builder, const char *word)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:.+";
    if (*word && strspn(word, plain) == strlen(word)) {
        builder_add(builder, text_from(word));
        return;
    }
    builder_add_char(builder, '\'');
    for (; *word; word++)
        builder_add(builder, *word == '\'' ? TEXT("'\\''") : (struct text){word, 1});
    builder_add_char(builder, '\'');
}

void page_print_hint(struct ctl *ctl, const struct page *page)
{
    if (!page->has_more)
        return;
    struct builder builder;
    builder_init(&builder, &ctl->arena, 256);
    builder_add(&builder, text_from(ctl->command->noun));
    if (ctl->command->verb) {
        builder_add_char(&builder, ' ');
        builder_add(&builder, text_from(ctl->command->verb));
    }
    for (int i = 0; i < ctl->option_count; i++) {
        if (strcmp(ctl->options[i].option->name, "after") == 0)
            continue;
        builder_add(&builder, TEXT(" --"));
        builder_add(&builder, text_from(ctl->options[i].option->name));
        if (ctl->options[i].option->value) {
            builder_add_char(&builder, ' ');
            add_quoted(&builder, ctl->options[i].value);
        }
    }
    builder_add(&builder, TEXT(" --after "));
    add_quoted(&builder, cursor_of(page).at);
    struct text command = builder_text(&builder);
    if (command.at)
        say_note("more: invoicegatectl %s", command.at);
}
