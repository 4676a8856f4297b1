/* Which price of a product an invoice would use, and whether an invoice says what it should. Pure. */
#ifndef INVOICEGATE_FLOW_PRODUCT_H
#define INVOICEGATE_FLOW_PRODUCT_H

#include "base/arena.h"
#include "flow/object.h"
#include "upstream/calls.h"

struct price {
    struct text price_id;
    int64_t amount_minor;
    struct text currency; /* lower case */
};

enum price_verdict {
    PRICE_FOUND,
    PRICE_LIST_NEEDED, /* the product has no usable default price: the list decides */
    PRICE_NONE,
    PRICE_AMBIGUOUS,
    PRICE_WITHOUT_AMOUNT,
    PRODUCT_ARCHIVED,
    PRODUCT_NONSENSE /* the upstream's answer makes no sense */
};

/* By the product's default price. Texts are copied into the arena. */
enum price_verdict price_of_product(struct object product, struct arena *arena, struct price *price);
/* By the list of its active one-time prices. */
enum price_verdict price_of_list(struct object list, struct arena *arena, struct price *price);

/* Whether the invoice bills exactly what the plan froze: one line of that price, quantity, currency and
 * amount. The total is not compared where lines are told: discounts and taxes of the customer's own may
 * change it. */
bool invoice_matches(struct object invoice, const struct plan *plan);
/* A test call must not make a live invoice, whatever credential the settings give. */
bool invoice_is_of_mode(struct object invoice, enum mode mode);
/* Whether the invoice carries the mark of the plan's request. */
bool invoice_is_ours(struct object invoice, const struct plan *plan);

#endif
