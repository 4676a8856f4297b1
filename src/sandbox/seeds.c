#include "sandbox/seeds.h"

#include <stdio.h>

#include "sandbox/check.h"

struct product_seed {
    const char *id;
    const char *name;
    const char *description;
    bool active;
};

struct price_seed {
    const char *id;
    const char *product;
    const char *currency;
    int64_t amount_millionth;
    bool recurring;
    bool active;
    bool is_default;
};

enum { MILLION = 1000000, CREATED_S = 1735689600 };

static const struct product_seed PRODUCTS[] = {
    {"prod_usd_10000", "Consulting day", "One day of consulting", true},
    {"prod_recurring", "Subscription", "A monthly subscription", true},
    {"prod_archived", "Old service", "No longer sold", false},
    {"prod_priceless", "Friendship", "A product without a price", true},
    {"prod_two_prices", "Ambiguous", "Two one-time prices and no default", true},
    {"prod_two_default", "Preferred", "Two one-time prices, one of them the default", true},
    {"prod_no_default", "Single", "One one-time price that is not the default", true},
    {"prod_jpy", "Tea", "A currency without decimals", true},
    {"prod_kwd", "Dates", "A currency with three decimals", true},
    {"prod_large", "Large", "The largest amount of eight digits", true},
    {"prod_no_amount", "Fraction", "A price that is no whole number of cents", true},
    {"prod_no_description", "Quiet", NULL, true},
    {"prod_default_recurring", "Mixed", "A recurring default and one one-time price", true},
    {"prod_inactive_price", "Closed", "The only price is not active", true},
    {"prod_eur", "Beratung", "A price in euro \xe2\x82\xac", true},
};

static const struct price_seed PRICES[] = {
    {"price_usd_10000", "prod_usd_10000", "usd", 10000LL * MILLION, false, true, true},
    {"price_recurring", "prod_recurring", "usd", 1500LL * MILLION, true, true, false},
    {"price_archived", "prod_archived", "usd", 1000LL * MILLION, false, true, true},
    {"price_two_prices_1", "prod_two_prices", "usd", 1100LL * MILLION, false, true, false},
    {"price_two_prices_2", "prod_two_prices", "usd", 2200LL * MILLION, false, true, false},
    {"price_two_default_1", "prod_two_default", "usd", 1100LL * MILLION, false, true, false},
    {"price_two_default_2", "prod_two_default", "usd", 2200LL * MILLION, false, true, true},
    {"price_no_default", "prod_no_default", "usd", 4200LL * MILLION, false, true, false},
    {"price_jpy", "prod_jpy", "jpy", 500LL * MILLION, false, true, true},
    {"price_kwd", "prod_kwd", "kwd", 12345LL * MILLION, false, true, true},
    {"price_large", "prod_large", "usd", 99999999LL * MILLION, false, true, true},
    {"price_no_amount", "prod_no_amount", "usd", 1234LL * MILLION + MILLION / 2, false, true, true},
    {"price_no_description", "prod_no_description", "usd", 700LL * MILLION, false, true, true},
    {"price_default_recurring", "prod_default_recurring", "usd", 900LL * MILLION, true, true, true},
    {"price_default_one_time", "prod_default_recurring", "usd", 1900LL * MILLION, false, true, false},
    {"price_inactive", "prod_inactive_price", "usd", 800LL * MILLION, false, false, true},
    {"price_eur", "prod_eur", "eur", 2500LL * MILLION, false, true, true},
};

static const char RECURRING[] = "{\"interval\":\"month\",\"interval_count\":1,\"meter\":null,"
                                "\"trial_period_days\":null,\"usage_type\":\"licensed\"}";

static void plant_product(struct arena *arena, struct scope *scope, const struct product_seed *seed)
{
    struct product *product = arena_alloc(arena, sizeof *product);
    product->id = seed->id;
    product->name = seed->name;
    product->description = seed->description;
    product->active = seed->active;
    product->livemode = scope->livemode;
    product->created_s = CREATED_S;
    product->updated_s = CREATED_S;
    table_put(&scope->products, product);
    list_add(arena, &scope->product_list, product);
}

static const char *decimal_text(struct arena *arena, int64_t millionth)
{
    char text[32];
    int64_t tenth = millionth % MILLION / (MILLION / 10);
    int len = tenth == 0 ? snprintf(text, sizeof text, "%lld", (long long)(millionth / MILLION))
                         : snprintf(text, sizeof text, "%lld.%lld", (long long)(millionth / MILLION),
                                    (long long)tenth);
    CHECK(len > 0 && (size_t)len < sizeof text);
    return arena_copy(arena, text);
}

static void plant_price(struct arena *arena, struct scope *scope, const struct price_seed *seed)
{
    struct price *price = arena_alloc(arena, sizeof *price);
    struct product *product = table_find(&scope->products, seed->product);
    CHECK(product != NULL);
    price->id = seed->id;
    price->product = product;
    price->product_id = product->id;
    price->currency = seed->currency;
    price->type = seed->recurring ? "recurring" : "one_time";
    price->recurring_json = seed->recurring ? RECURRING : "null";
    price->unit_amount_millionth = seed->amount_millionth;
    price->unit_amount_minor =
        seed->amount_millionth % MILLION == 0 ? seed->amount_millionth / MILLION : NO_NUMBER;
    price->unit_decimal = decimal_text(arena, seed->amount_millionth);
    price->active = seed->active;
    price->livemode = scope->livemode;
    price->created_s = CREATED_S;
    if (seed->is_default) {
        product->default_price = price;
        product->default_price_id = price->id;
    }
    table_put(&scope->prices, price);
    list_add(arena, &scope->price_list, price);
}

void seeds_plant(struct arena *arena, struct scope *scope)
{
    for (size_t i = 0; i < sizeof PRODUCTS / sizeof *PRODUCTS; i++)
        plant_product(arena, scope, &PRODUCTS[i]);
    for (size_t i = 0; i < sizeof PRICES / sizeof *PRICES; i++)
        plant_price(arena, scope, &PRICES[i]);
}
