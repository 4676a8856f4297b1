#include "ctl/price.h"

const char *json_text(struct json_object *object, const char *name)
{
    struct json_object *member = NULL;
    if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_string))
        return NULL;
    return json_object_get_string(member);
}

bool json_true(struct json_object *object, const char *name)
{
    struct json_object *member = NULL;
    return json_object_object_get_ex(object, name, &member) &&
           json_object_is_type(member, json_type_boolean) && json_object_get_boolean(member);
}

static bool json_amount(struct json_object *object, const char *name, int64_t *amount)
{
    struct json_object *member = NULL;
    if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_int))
        return false;
    *amount = json_object_get_int64(member);
    return true;
}

#define CURRENCY_BYTES 3

static bool one_time(struct json_object *price)
{
    const char *type = json_text(price, "type");
    return json_true(price, "active") && type && strcmp(type, "one_time") == 0 && json_text(price, "id");
}

/* Three letters, in lower case. */
static const char *currency_of(struct arena *arena, struct json_object *price)
{
    const char *given = json_text(price, "currency");
    char *lower = given && strlen(given) == CURRENCY_BYTES ? arena_zalloc(arena, CURRENCY_BYTES + 1) : NULL;
    for (int i = 0; lower && i < CURRENCY_BYTES; i++)
        lower[i] = (char)(given[i] >= 'A' && given[i] <= 'Z' ? given[i] + 32 : given[i]);
    return lower;
}

static void take(struct arena *arena, struct json_object *from, struct price *price)
{
    price->currency = currency_of(arena, from);
    price->state = "price_without_amount";
    if (!json_amount(from, "unit_amount", &price->unit_amount_minor) || !price->currency)
        return;
    price->state = "billable";
    price->price_id = arena_copy(arena, text_from(json_text(from, "id"))).at;
}

static void take_only(struct arena *arena, struct json_object *list, struct price *price)
{
    struct json_object *data = NULL;
    bool is_list =
        json_object_object_get_ex(list, "data", &data) && json_object_is_type(data, json_type_array);
    size_t count = is_list ? json_object_array_length(data) : 0;
    if (count > 1)
        price->state = "ambiguous_price";
    else if (count == 1 && one_time(json_object_array_get_idx(data, 0)))
        take(arena, json_object_array_get_idx(data, 0), price);
}

static enum ctl_exit choose_listed(struct upstream *upstream, const char *product_id, struct price *price)
{
    struct json_object *list = NULL;
    struct text bytes;
    struct text path =
        arena_printf(upstream->arena, "/v1/prices?product=%s&active=true&type=one_time&limit=2",
                     upstream_escape(upstream, product_id));
    enum ctl_exit end = upstream_get(upstream, path.at, &list, &bytes);
    if (end == CTL_DONE)
        take_only(upstream->arena, list, price);
    json_object_put(list);
    return end;
}

enum ctl_exit price_choose(struct upstream *upstream, struct json_object *product, struct price *price)
{
    struct json_object *chosen = NULL;
    *price = (struct price){.state = "no_one_time_price"};
    if (!json_true(product, "active")) {
        price->state = "product_archived";
        return CTL_DONE;
    }
    if (json_object_object_get_ex(product, "default_price", &chosen) && one_time(chosen)) {
        take(upstream->arena, chosen, price);
        return CTL_DONE;
    }
    return choose_listed(upstream, json_text(product, "id"), price);
}
