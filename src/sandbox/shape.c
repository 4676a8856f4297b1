#include "sandbox/shape.h"

#include "sandbox/check.h"
#include "sandbox/shape_tables.h"

// Plain JSON never holds this byte raw, so it can announce a constant part.
enum { MARK = 0x01, MARK_BYTES = 3, INLINE_LINES = 10 };

static void write_mark(struct text *packed, enum shape shape, size_t piece)
{
    text_add(packed, (const char[]){MARK, (char)shape, (char)piece}, MARK_BYTES);
}

void metadata_write(struct text *text, const struct metadata *metadata)
{
    text_char(text, '{');
    for (size_t i = 0; i < metadata->count; i++)
        text_member_string(text, metadata->pairs[i].key, metadata->pairs[i].value);
    text_char(text, '}');
}

static void write_lines(struct text *packed, const struct list *lines, const char *invoice_id,
                        struct view view)
{
    size_t shown = lines->count < INLINE_LINES ? lines->count : INLINE_LINES;
    text_string(packed, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < shown; i++) {
        if (i > 0)
            text_char(packed, ',');
        shape_write(packed, view.old_dialect ? SHAPE_LINE_OLD : SHAPE_LINE, lines->items[i], view);
    }
    text_string(packed, "],\"has_more\":");
    text_bool(packed, shown < lines->count);
    text_member_int(packed, "total_count", (int64_t)lines->count);
    text_string(packed, ",\"url\":\"/v1/invoices/");
    text_string(packed, invoice_id);
    text_string(packed, "/lines\"}");
}

static void write_pricing(struct text *packed, const struct price *price)
{
    if (price == NULL) {
        text_string(packed, "null");
        return;
    }
    text_string(packed, "{\"price_details\":{\"price\":");
    text_quoted(packed, price->id);
    text_string(packed, ",\"product\":");
    text_quoted(packed, price->product_id);
    text_string(packed, "},\"type\":\"price_details\",\"unit_amount_decimal\":");
    text_quoted(packed, price->unit_decimal);
    text_char(packed, '}');
}

static void write_price(struct text *packed, const struct price *price, struct view view)
{
    if (price == NULL)
        text_string(packed, "null");
    else
        shape_write(packed, SHAPE_PRICE, price, view);
}

static void write_number(struct text *packed, int64_t number)
{
    if (number == NO_NUMBER)
        text_string(packed, "null");
    else
        text_int(packed, number);
}

static void write_product_price(struct text *packed, const struct product *product, struct view view)
{
    if (view.expand_default_price)
        write_price(packed, product->default_price, view);
    else
        text_quoted(packed, product->default_price_id);
}

static const char *as_string(const void *field)
{
    return *(const char *const *)field;
}

static void write_value(struct text *packed, const struct piece *piece, const void *object, struct view view)
{
    const void *field = (const char *)object + piece->offset;
    switch (piece->kind) {
    case KIND_STRING:
        text_quoted(packed, as_string(field));
        break;
    case KIND_RAW:
        text_string(packed, as_string(field) == NULL ? piece->fallback : as_string(field));
        break;
    case KIND_NUMBER:
        write_number(packed, *(const int64_t *)field);
        break;
    case KIND_BOOL:
        text_bool(packed, *(const bool *)field);
        break;
    case KIND_METADATA:
        metadata_write(packed, field);
        break;
    case KIND_LINES:
        write_lines(packed, field, as_string(object), view);
        break;
    case KIND_PRICING:
        write_pricing(packed, *(const struct price *const *)field);
        break;
    case KIND_PRICE:
        write_price(packed, *(const struct price *const *)field, view);
        break;
    case KIND_PRODUCT_PRICE:
        write_product_price(packed, object, view);
        break;
    case KIND_NOTHING:
        break;
    }
}

void shape_write(struct text *packed, enum shape shape, const void *object, struct view view)
{
    const struct shape_table *table = shape_table(shape);
    for (size_t i = 0; i < table->count; i++) {
        write_mark(packed, shape, i);
        write_value(packed, &table->pieces[i], object, view);
    }
}

void shape_unpack(struct text *plain, const char *packed, size_t len)
{
    const char *end = packed + len;
    while (packed < end) {
        const char *mark = memchr(packed, MARK, (size_t)(end - packed));
        const char *stop = mark == NULL ? end : mark;
        text_add(plain, packed, (size_t)(stop - packed));
        if (mark == NULL)
            break;
        CHECK(end - mark >= MARK_BYTES);
        const struct shape_table *table = shape_table((enum shape)mark[1]);
        const struct piece *piece = &table->pieces[(unsigned char)mark[2]];
        text_add(plain, piece->text, piece->len);
        packed = mark + MARK_BYTES;
    }
}
