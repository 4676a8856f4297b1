#include "sandbox/lists.h"

#include <string.h>

#include "sandbox/errors.h"

enum { DEFAULT_LIMIT = 10, MOST_LIMIT = 100 };

bool list_equals(const struct call *call, const char *name, const char *value)
{
    const char *wanted = form_text(&call->form, name);
    return wanted == NULL || (value != NULL && strcmp(wanted, value) == 0);
}

bool list_equals_bool(const struct call *call, const char *name, bool value)
{
    return form_bool(&call->form, name, value) == value;
}

bool list_created_fits(const struct call *call, int64_t created_s)
{
    const struct form *form = &call->form;
    return created_s == form_int(form, "created", created_s) &&
           created_s > form_int(form, "created[gt]", created_s - 1) &&
           created_s >= form_int(form, "created[gte]", created_s) &&
           created_s < form_int(form, "created[lt]", created_s + 1) &&
           created_s <= form_int(form, "created[lte]", created_s);
}

static bool find_cursor(struct call *call, const struct listing *listing, const char *name, size_t *position)
{
    const char *id = form_text(&call->form, name);
    const void *object = table_find(listing->table, id);
    for (size_t i = listing->objects->count; object != NULL && i-- > 0;) {
        if (listing->objects->items[i] == object) {
            *position = i;
            return true;
        }
    }
    call_refuse(call, 400, "resource_missing", name, "No such %s: '%s'", listing->noun, id);
    return false;
}

static bool fits(const struct call *call, const struct listing *listing, size_t i)
{
    return listing->filter(call, listing->objects->items[i]);
}

// The objects of the page, newest first; one more than the limit is looked for to know has_more.
struct page {
    const void *objects[MOST_LIMIT + 1];
    size_t count;
};

static void gather_older(const struct call *call, const struct listing *listing, size_t before, size_t wanted,
                         struct page *page)
{
    for (size_t i = before; i-- > 0 && page->count < wanted;) {
        if (fits(call, listing, i))
            page->objects[page->count++] = listing->objects->items[i];
    }
}

// For ending_before: the nearest newer ones, then turned round to be newest first.
static void gather_newer(const struct call *call, const struct listing *listing, size_t after, size_t wanted,
                         struct page *page)
{
    for (size_t i = after + 1; i < listing->objects->count && page->count < wanted; i++) {
        if (fits(call, listing, i))
            page->objects[page->count++] = listing->objects->items[i];
    }
}

static void write_page(struct call *call, const struct listing *listing, const struct page *page,
                       size_t limit, bool reversed)
{
    struct text *answer = &call->answer;
    size_t shown = page->count < limit ? page->count : limit;
    call->status = 200;
    text_string(answer, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < shown; i++) {
        if (i > 0)
            text_char(answer, ',');
        shape_write(answer, listing->shape, page->objects[reversed ? shown - 1 - i : i], call->view);
    }
    text_string(answer, "],\"has_more\":");
    text_bool(answer, page->count > limit);
    text_member_string(answer, "url", listing->url);
    text_char(answer, '}');
}

void list_answer(struct call *call, const struct listing *listing)
{
    struct page page = {.count = 0};
    size_t limit = (size_t)form_int(&call->form, "limit", DEFAULT_LIMIT);
    size_t position = listing->objects->count;
    bool backwards = form_text(&call->form, "ending_before") != NULL;
    if (backwards && form_text(&call->form, "starting_after") != NULL) {
        call_invalid(call, "parameter_invalid_exclusive", "ending_before",
                     "You can only specify one of these parameters: starting_after, ending_before.");
        return;
    }
    if (backwards) {
        if (!find_cursor(call, listing, "ending_before", &position))
            return;
        gather_newer(call, listing, position, limit + 1, &page);
    } else {
        if (form_text(&call->form, "starting_after") != NULL &&
            !find_cursor(call, listing, "starting_after", &position))
            return;
        gather_older(call, listing, position, limit + 1, &page);
    }
    write_page(call, listing, &page, limit, backwards);
}
