// What several calls do with an invoice.
#pragma once

#include "sandbox/call.h"

// The invoice that the path names; NULL with a 404 when it is unknown or deleted.
struct invoice *invoice_find(struct call *call);

// The same, but only a draft; NULL with a 400 otherwise.
struct invoice *invoice_find_draft(struct call *call);

// Brings totals up to date after lines or payments changed.
void invoice_recount(struct call *call, struct invoice *invoice);

// What makes one line of an invoice.
struct line_order {
    const struct price *price; // NULL for a plain amount
    const char *description;   // kept already, or NULL
    const char *item_id;       // NULL: a new one
    const char *currency;
    struct metadata metadata;
    int64_t amount_minor;
    int64_t quantity;
};

void invoice_add_line(struct call *call, struct invoice *invoice, const struct line_order *order);

// Takes a pending item onto the invoice.
void invoice_take_item(struct call *call, struct invoice *invoice, struct item *item);

// The opposite; the line goes.
void invoice_drop_item(struct call *call, struct invoice *invoice, const struct item *item);

// Another currency than this one.
const char *other_currency(const char *currency);

// The members that creating and updating share. False with the refusal.
bool invoice_set_fields(struct call *call, struct invoice *invoice) MUST_CHECK;
