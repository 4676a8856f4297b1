// The API's calls in one table.
#pragma once

#include "sandbox/call.h"
#include "sandbox/form.h"

typedef void handler(struct call *call);

struct route {
    enum method method;
    const char *collection;
    bool has_id;
    const char *action; // NULL when there is none
    enum step step;
    const struct param *params;
    handler *handle; // executes; params were checked and call->executed is set
};

// Finds the route of call->path and sets call->object_id; NULL when there is none.
const struct route *route_find(struct call *call);

handler account_read;
handler product_create, product_read, product_update, product_list;
handler price_create, price_read, price_update, price_list;
handler customer_create, customer_read, customer_update, customer_delete, customer_list;
handler invoice_create, invoice_read, invoice_update, invoice_delete, invoice_list;
handler invoice_finalize, invoice_send, invoice_void, invoice_pay, invoice_mark_uncollectible;
handler lines_add, lines_list;
handler item_create, item_read, item_delete, item_list;
