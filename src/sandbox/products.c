#include <string.h>

#include "sandbox/errors.h"
#include "sandbox/lists.h"
#include "sandbox/params.h"
#include "sandbox/routes.h"

static struct product *find_product(struct call *call)
{
    struct product *product = table_find(&call->scope->products, call->object_id);
    if (product == NULL)
        call_missing(call, "product");
    return product;
}

static void set_fields(struct call *call, struct product *product)
{
    call_update_text(call, "name", &product->name);
    call_update_text(call, "description", &product->description);
    product->active = form_bool(&call->form, "active", product->active);
    product->updated_s = call_now_s(call);
}

void product_create(struct call *call)
{
    struct product *product = arena_alloc(&call->store->arena, sizeof *product);
    const char *id = form_text(&call->form, "id");
    if (id != NULL && table_find(&call->scope->products, id) != NULL) {
        call_refuse(call, 400, "resource_already_exists", "id", "Product already exists.");
        return;
    }
    if (!metadata_merge(call, "metadata", &product->metadata))
        return;
    product->id = id != NULL ? call_keep(call, id) : call_new_id(call, "prod_");
    product->active = true;
    product->livemode = call->livemode;
    product->created_s = call_now_s(call);
    set_fields(call, product);
    table_put(&call->scope->products, product);
    list_add(&call->store->arena, &call->scope->product_list, product);
    call_answer(call, SHAPE_PRODUCT, product);
}

void product_read(struct call *call)
{
    const struct product *product = find_product(call);
    if (product != NULL)
        call_answer(call, SHAPE_PRODUCT, product);
}

static bool set_default_price(struct call *call, struct product *product)
{
    const char *id = form_text(&call->form, "default_price");
    struct price *price = id == NULL ? NULL : table_find(&call->scope->prices, id);
    if (id != NULL && (price == NULL || price->product != product)) {
        call_refuse(call, 400, "resource_missing", "default_price", "No such price: '%s'", id);
        return false;
    }
    if (form_has(&call->form, "default_price")) {
        product->default_price = price;
        product->default_price_id = price == NULL ? NULL : price->id;
    }
    return true;
}

void product_update(struct call *call)
{
    struct product *product = find_product(call);
    if (product == NULL || !metadata_merge(call, "metadata", &product->metadata) ||
        !set_default_price(call, product))
        return;
    set_fields(call, product);
    call_answer(call, SHAPE_PRODUCT, product);
}

static bool product_fits(const struct call *call, const void *object)
{
    const struct product *product = object;
    return list_equals_bool(call, "active", product->active) && list_created_fits(call, product->created_s);
}

void product_list(struct call *call)
{
    list_answer(call, &(struct listing){&call->scope->product_list, &call->scope->products, SHAPE_PRODUCT,
                                        product_fits, "/v1/products", "product"});
}

void account_read(struct call *call)
{
    call->status = 200;
    text_string(&call->answer, "{\"id\":");
    text_quoted(&call->answer, call->account);
    text_string(&call->answer, ",\"object\":\"account\",\"business_profile\":{\"name\":\"Sandbox\"},"
                               "\"charges_enabled\":true,\"country\":\"US\",\"default_currency\":\"usd\","
                               "\"details_submitted\":true,\"email\":\"account@sandbox.example\","
                               "\"payouts_enabled\":true,\"type\":\"standard\"}");
}
