// The API's objects as tables: what stands between two values, then the value. Written in a packed form, in
// which the constant parts are three bytes each: an answer saved under an idempotency key costs some 500
// bytes, not 3,000.
#pragma once

#include <stdbool.h>

#include "sandbox/objects.h"
#include "sandbox/text.h"

enum shape {
    SHAPE_INVOICE,
    SHAPE_LINE,
    SHAPE_LINE_OLD, // before Stripe-Version 2025-03-31
    SHAPE_ITEM,
    SHAPE_ITEM_OLD,
    SHAPE_CUSTOMER,
    SHAPE_PRICE,
    SHAPE_PRODUCT,
    SHAPE_COUNT
};

struct view {
    bool old_dialect;
    bool expand_default_price;
};

// Appends the object of that shape, packed.
void shape_write(struct text *packed, enum shape shape, const void *object, struct view view);

// Appends what was packed as plain JSON.
void shape_unpack(struct text *plain, const char *packed, size_t len);

void metadata_write(struct text *text, const struct metadata *metadata);
