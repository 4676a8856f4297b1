#include "front/response_list.h"

#include "front/json.h"

static void add_more(struct builder *out, enum shape shape, bool has_more, struct text last_id)
{
    builder_add(out, has_more ? TEXT(",\"has_more\":true") : TEXT(",\"has_more\":false"));
    if (shape == SHAPE_STRIPE) {
        builder_add(out, TEXT(",\"url\":\"/v1/invoices\"}"));
        return;
    }
    builder_add(out, TEXT(",\"next_cursor\":"));
    if (has_more && last_id.at)
        json_write_string(out, last_id);
    else
        builder_add(out, TEXT("null"));
    builder_add_char(out, '}');
}

struct text response_list(struct arena *arena, enum shape shape, const struct text *bodies, int count,
                          bool has_more, struct text last_id)
{
    struct builder out;
    size_t bytes = 128;

    for (int i = 0; i < count; i++)
        bytes += bodies[i].length + 1;
    builder_init(&out, arena, bytes);
    builder_add(&out, shape == SHAPE_STRIPE ? TEXT("{\"object\":\"list\",\"data\":[") : TEXT("{\"data\":["));
    for (int i = 0; i < count; i++) {
        if (i > 0)
            builder_add_char(&out, ',');
        builder_add(&out, bodies[i]);
    }
    builder_add_char(&out, ']');
    add_more(&out, shape, has_more, last_id);
    return builder_text(&out);
}
