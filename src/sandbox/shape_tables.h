// The tables behind shape.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sandbox/shape.h"

enum kind {
    KIND_NOTHING,
    KIND_STRING,        // const char *; NULL is null
    KIND_RAW,           // const char * that is JSON; NULL is the fallback
    KIND_NUMBER,        // int64_t; NO_NUMBER is null
    KIND_BOOL,          // bool
    KIND_METADATA,      // struct metadata
    KIND_LINES,         // struct list of lines
    KIND_PRICING,       // const struct price *, as pricing
    KIND_PRICE,         // const struct price *, whole
    KIND_PRODUCT_PRICE, // a product's default_price, id or whole
};

struct piece {
    const char *text; // comes before the value
    const char *fallback;
    uint16_t len;
    uint16_t offset; // of the value in the object
    enum kind kind;
};

struct shape_table {
    const struct piece *pieces;
    size_t count;
};

const struct shape_table *shape_table(enum shape shape);
