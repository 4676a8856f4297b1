/* What clients of route A are told. Pure but for the arena. */
#ifndef INVOICEGATE_FRONT_RESPONSE_H
#define INVOICEGATE_FRONT_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "front/conn.h"

/* The members of the documented 200 answer. */
struct invoice_answer {
    struct text id;
    int64_t amount_minor;
    struct text currency; /* any case: written in lower case */
    struct text status;
    struct text number; /* absent: null */
    struct text customer_id;
    struct text customer_email; /* absent: null */
    struct text customer_name;  /* absent: null */
    struct text description;    /* absent: "" */
    int64_t created_s;
};

/* The body of a 200. Absent when the arena overflowed. */
struct text response_invoice(struct arena *arena, const struct invoice_answer *invoice);
/* {"error":"<message>"} */
struct text response_error(struct arena *arena, struct text message);

#endif
