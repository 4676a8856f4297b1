#include "sandbox/routes.h"

#include <stdio.h>
#include <string.h>

#include "sandbox/params.h"

static const struct route ROUTES[] = {
    {METHOD_GET, "products", true, NULL, STEP_PRODUCT, PARAMS_READ, product_read},
    {METHOD_POST, "invoices", false, NULL, STEP_INVOICE, PARAMS_INVOICE_CREATE, invoice_create},
    {METHOD_POST, "invoices", true, "add_lines", STEP_LINES, PARAMS_LINES_ADD, lines_add},
    {METHOD_GET, "invoices", true, NULL, STEP_GET_INVOICE, PARAMS_READ, invoice_read},
    {METHOD_GET, "invoices", false, NULL, STEP_LIST_INVOICES, PARAMS_INVOICE_LIST, invoice_list},
    {METHOD_POST, "invoices", true, NULL, STEP_ADVANCE, PARAMS_INVOICE_UPDATE, invoice_update},
    {METHOD_DELETE, "invoices", true, NULL, STEP_DELETE, PARAMS_NONE, invoice_delete},
    {METHOD_POST, "customers", false, NULL, STEP_CUSTOMER, PARAMS_CUSTOMER_CREATE, customer_create},
    {METHOD_GET, "prices", false, NULL, STEP_PRICE, PARAMS_PRICE_LIST, price_list},
    {METHOD_GET, "customers", true, NULL, STEP_CUSTOMER, PARAMS_READ, customer_read},
    {METHOD_POST, "invoices", true, "finalize", STEP_FINALIZE, PARAMS_INVOICE_FINALIZE, invoice_finalize},
    {METHOD_POST, "invoices", true, "send", STEP_SEND, PARAMS_READ, invoice_send},
    {METHOD_POST, "invoices", true, "void", STEP_VOID, PARAMS_READ, invoice_void},
    {METHOD_POST, "invoices", true, "pay", STEP_PAY, PARAMS_INVOICE_PAY, invoice_pay},
    {METHOD_POST, "invoices", true, "mark_uncollectible", STEP_VOID, PARAMS_READ, invoice_mark_uncollectible},
    {METHOD_GET, "invoices", true, "lines", STEP_GET_INVOICE, PARAMS_LINES_LIST, lines_list},
    {METHOD_POST, "invoiceitems", false, NULL, STEP_INVOICEITEM, PARAMS_ITEM_CREATE, item_create},
    {METHOD_GET, "invoiceitems", false, NULL, STEP_INVOICEITEM, PARAMS_ITEM_LIST, item_list},
    {METHOD_GET, "invoiceitems", true, NULL, STEP_INVOICEITEM, PARAMS_READ, item_read},
    {METHOD_DELETE, "invoiceitems", true, NULL, STEP_INVOICEITEM, PARAMS_NONE, item_delete},
    {METHOD_GET, "products", false, NULL, STEP_PRODUCT, PARAMS_PRODUCT_LIST, product_list},
    {METHOD_POST, "products", false, NULL, STEP_PRODUCT, PARAMS_PRODUCT_CREATE, product_create},
    {METHOD_POST, "products", true, NULL, STEP_PRODUCT, PARAMS_PRODUCT_UPDATE, product_update},
    {METHOD_POST, "prices", false, NULL, STEP_PRICE, PARAMS_PRICE_CREATE, price_create},
    {METHOD_GET, "prices", true, NULL, STEP_PRICE, PARAMS_READ, price_read},
    {METHOD_POST, "prices", true, NULL, STEP_PRICE, PARAMS_PRICE_UPDATE, price_update},
    {METHOD_GET, "customers", false, NULL, STEP_CUSTOMER, PARAMS_CUSTOMER_LIST, customer_list},
    {METHOD_POST, "customers", true, NULL, STEP_CUSTOMER, PARAMS_CUSTOMER_CREATE, customer_update},
    {METHOD_DELETE, "customers", true, NULL, STEP_CUSTOMER, PARAMS_NONE, customer_delete},
    {METHOD_GET, "account", false, NULL, STEP_ACCOUNT, PARAMS_READ, account_read},
};

static const char PREFIX[] = "/v1/";

static bool same(const char *name, const char *bytes, size_t len)
{
    return strlen(name) == len && memcmp(name, bytes, len) == 0;
}

static bool fits(const struct route *route, enum method method, const char *collection, size_t collection_len,
                 size_t id_len, const char *action)
{
    bool same_action =
        route->action == NULL ? action == NULL : action != NULL && strcmp(route->action, action) == 0;
    return route->method == method && route->has_id == (id_len > 0) && same_action &&
           same(route->collection, collection, collection_len);
}

const struct route *route_find(struct call *call)
{
    if (strncmp(call->path, PREFIX, sizeof PREFIX - 1) != 0)
        return NULL;
    const char *collection = call->path + sizeof PREFIX - 1;
    size_t collection_len = strcspn(collection, "/");
    const char *id = collection + collection_len + (collection[collection_len] == '/');
    size_t id_len = strcspn(id, "/");
    const char *action = id[id_len] == '/' ? id + id_len + 1 : NULL;
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++) {
        if (!fits(&ROUTES[i], call->method, collection, collection_len, id_len, action))
            continue;
        memcpy(call->object_id, id, id_len);
        size_t decoded = percent_decode(call->object_id, id_len, false);
        call->object_id[decoded] = '\0';
        return &ROUTES[i];
    }
    return NULL;
}
