#include "sandbox/prices.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/errors.h"
#include "sandbox/lists.h"
#include "sandbox/params.h"
#include "sandbox/routes.h"

#define MILLION 1000000LL
#define MOST_TOTAL_MINOR 999999999999LL

bool price_amount(const struct price *price, int64_t quantity, int64_t *amount_minor)
{
    int64_t millionth;
    if (__builtin_mul_overflow(price->unit_amount_millionth, quantity, &millionth) ||
        millionth > MOST_TOTAL_MINOR * MILLION)
        return false;
    *amount_minor = (millionth + MILLION / 2) / MILLION;
    return true;
}

const struct price *price_for_invoice(struct call *call, const char *id, const char *param)
{
    const struct price *price = table_find(&call->scope->prices, id);
    if (price == NULL)
        call_refuse(call, 400, "resource_missing", param, "No such price: '%s'", id);
    else if (!price->active)
        call_refuse(call, 400, NULL, param,
                    "The price specified is inactive. This field only accepts active prices.");
    else if (!price->product->active)
        call_refuse(call, 400, NULL, param, "Price `%s` is not available: its product `%s` is inactive.", id,
                    price->product_id);
    else if (strcmp(price->type, "one_time") != 0)
        call_refuse(call, 400, NULL, param,
                    "The price specified is set to `type=recurring` but this field only accepts prices with "
                    "`type=one_time`.");
    else
        return price;
    return NULL;
}

static struct price *find_price(struct call *call)
{
    struct price *price = table_find(&call->scope->prices, call->object_id);
    if (price == NULL)
        call_missing(call, "price");
    return price;
}

// params_check has seen that it is a decimal of at most twelve and six digits.
static int64_t parse_millionth(const char *decimal)
{
    int64_t whole = strtoll(decimal, NULL, 10);
    const char *dot = strchr(decimal, '.');
    int64_t rest = 0;
    int64_t unit = MILLION / 10;
    for (const char *c = dot == NULL ? "" : dot + 1; *c != '\0'; c++, unit /= 10)
        rest += (*c - '0') * unit;
    return whole * MILLION + rest;
}

static void set_amount(struct call *call, struct price *price)
{
    const char *decimal = form_text(&call->form, "unit_amount");
    if (decimal == NULL)
        decimal = form_text(&call->form, "unit_amount_decimal");
    price->unit_decimal = call_keep(call, decimal);
    price->unit_amount_millionth = parse_millionth(decimal);
    bool whole = price->unit_amount_millionth % MILLION == 0;
    price->unit_amount_minor = whole ? price->unit_amount_millionth / MILLION : NO_NUMBER;
}

static const char *recurring_json(struct call *call)
{
    const char *interval = form_text(&call->form, "recurring[interval]");
    if (interval == NULL)
        return "null";
    struct text json = {0};
    text_format(&json,
                "{\"interval\":\"%s\",\"interval_count\":%lld,\"meter\":null,\"trial_period_days\":null,"
                "\"usage_type\":\"licensed\"}",
                interval, (long long)form_int(&call->form, "recurring[interval_count]", 1));
    const char *kept = call_keep_text(call, &json);
    text_free(&json);
    return kept;
}

static const char *lower_currency(struct call *call)
{
    char currency[4] = {0};
    const char *given = form_text(&call->form, "currency");
    for (int i = 0; i < 3; i++)
        currency[i] = (char)tolower((unsigned char)given[i]);
    return call_keep(call, currency);
}

void price_create(struct call *call)
{
    const struct form *form = &call->form;
    struct product *product = table_find(&call->scope->products, form_text(form, "product"));
    struct price *price = arena_alloc(&call->store->arena, sizeof *price);
    if (form_text(form, "unit_amount") == NULL && form_text(form, "unit_amount_decimal") == NULL) {
        call_invalid(call, "parameter_missing", "unit_amount", "Missing required param: unit_amount.");
        return;
    }
    if (product == NULL) {
        call_refuse(call, 400, "resource_missing", "product", "No such product: '%s'",
                    form_text(form, "product"));
        return;
    }
    if (!metadata_merge(call, "metadata", &price->metadata))
        return;
    price->id = call_new_id(call, "price_");
    price->product = product;
    price->product_id = product->id;
    price->currency = lower_currency(call);
    price->nickname = call_keep_field(call, "nickname");
    price->recurring_json = recurring_json(call);
    price->type = form_has(form, "recurring[interval]") ? "recurring" : "one_time";
    price->active = form_bool(form, "active", true);
    price->livemode = call->livemode;
    price->created_s = call_now_s(call);
    set_amount(call, price);
    table_put(&call->scope->prices, price);
    list_add(&call->store->arena, &call->scope->price_list, price);
    call_answer(call, SHAPE_PRICE, price);
}

void price_read(struct call *call)
{
    const struct price *price = find_price(call);
    if (price != NULL)
        call_answer(call, SHAPE_PRICE, price);
}

void price_update(struct call *call)
{
    struct price *price = find_price(call);
    if (price == NULL || !metadata_merge(call, "metadata", &price->metadata))
        return;
    price->active = form_bool(&call->form, "active", price->active);
    call_update_text(call, "nickname", &price->nickname);
    call_answer(call, SHAPE_PRICE, price);
}

static bool price_fits(const struct call *call, const void *object)
{
    const struct price *price = object;
    return list_equals(call, "product", price->product_id) && list_equals(call, "type", price->type) &&
           list_equals(call, "currency", price->currency) &&
           list_equals_bool(call, "active", price->active) && list_created_fits(call, price->created_s);
}

void price_list(struct call *call)
{
    list_answer(call, &(struct listing){&call->scope->price_list, &call->scope->prices, SHAPE_PRICE,
                                        price_fits, "/v1/prices", "price"});
}
