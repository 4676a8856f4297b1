/* Which price an invoice for a product would use. */
#ifndef INVOICEGATE_CTL_PRICE_H
#define INVOICEGATE_CTL_PRICE_H

#include "ctl/upstream.h"

struct price {
    const char
        *state; /* "stored", "no price", "ambiguous", "archived": what keeps the product from being billed */
    const char *price_id; /* NULL unless state is "stored" */
    int64_t unit_amount_minor;
    const char *currency;
};

/* The product's default price when it is active and one-time, else its only active one-time price (one more
 * call). The texts live in the upstream's arena. */
enum ctl_exit price_choose(struct upstream *upstream, struct json_object *product,
                           struct price *price) MUST_CHECK;

/* A member's text, or NULL when it is none. */
const char *json_text(struct json_object *object, const char *name);
bool json_true(struct json_object *object, const char *name);

#endif
