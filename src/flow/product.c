#include "flow/product.h"

#include "flow/object.h"

#define CURRENCY_BYTES 3

static struct text lower_currency(struct arena *arena, struct text currency)
{
    struct text copy = arena_copy(arena, currency);
    if (!copy.at || copy.length != CURRENCY_BYTES)
        return TEXT_NONE;
    char *at = arena_alloc(arena, CURRENCY_BYTES + 1);
    if (!at)
        return TEXT_NONE;
    for (size_t i = 0; i < CURRENCY_BYTES; i++) {
        at[i] = (char)(copy.at[i] | 0x20);
        if (at[i] < 'a' || at[i] > 'z')
            return TEXT_NONE;
    }
    at[CURRENCY_BYTES] = '\0';
    return (struct text){at, CURRENCY_BYTES};
}

static bool is_one_time(struct object price)
{
    return object_true(price, "active") && text_is(object_text(price, "type"), TEXT("one_time"));
}

static enum price_verdict price_take(struct object object, struct arena *arena, struct price *price)
{
    price->price_id = arena_copy(arena, object_text(object, "id"));
    price->currency = lower_currency(arena, object_text(object, "currency"));
    if (!text_is_id(price->price_id) || !price->currency.at)
        return PRODUCT_NONSENSE;
    if (!object_int64(object, "unit_amount", &price->amount_minor))
        return PRICE_WITHOUT_AMOUNT;
    return price->amount_minor < 0 ? PRODUCT_NONSENSE : PRICE_FOUND;
}

enum price_verdict price_of_product(struct object product, struct arena *arena, struct price *price)
{
    struct object chosen = object_at(product, "default_price");
    if (!object_true(product, "active"))
        return PRODUCT_ARCHIVED;
    if (!object_exists(chosen) || !is_one_time(chosen))
        return PRICE_LIST_NEEDED;
    return price_take(chosen, arena, price);
}

enum price_verdict price_of_list(struct object list, struct arena *arena, struct price *price)
{
    size_t count = object_count(list, "data");
    if (!object_is_array(list, "data"))
        return PRODUCT_NONSENSE;
    if (count == 0)
        return PRICE_NONE;
    if (count > 1)
        return PRICE_AMBIGUOUS;
    if (!is_one_time(object_element(list, "data", 0)))
        return PRICE_NONE;
    return price_take(object_element(list, "data", 0), arena, price);
}

/* Present dialects name a line's price in pricing.price_details, older ones in price. */
static struct text line_price(struct object line)
{
    struct text price = object_text(line, "pricing.price_details.price");
    return price.at ? price : object_text(line, "price.id");
}

static bool line_matches(struct object line, const struct plan *plan)
{
    int64_t amount, quantity;
    return text_is(line_price(line), plan->price_id) && object_int64(line, "amount", &amount) &&
           amount == plan->amount_minor && object_int64(line, "quantity", &quantity) && quantity == 1 &&
           text_is_nocase(object_text(line, "currency"), plan->currency);
}

bool invoice_is_of_mode(struct object invoice, enum mode mode)
{
    return mode == MODE_LIVE || !object_true(invoice, "livemode");
}

bool invoice_matches(struct object invoice, const struct plan *plan)
{
    int64_t total;
    if (!text_is(object_text(invoice, "id"), plan->invoice_id) ||
        !text_is_nocase(object_text(invoice, "currency"), plan->currency) ||
        !invoice_is_of_mode(invoice, plan->mode))
        return false;
    if (object_exists(object_at(invoice, "lines.data")))
        return object_count(invoice, "lines.data") == 1 &&
               line_matches(object_element(invoice, "lines.data", 0), plan);
    return object_int64(invoice, "total", &total) && total == plan->amount_minor;
}

bool invoice_is_ours(struct object invoice, const struct plan *plan)
{
    char id[UUID_TEXT_BYTES];
    uuid_text(plan->request_id, id);
    return text_is(object_text(invoice, "metadata." METADATA_REQUEST), text_from(id));
}
