/* From method and path to a route. Pure. */
#ifndef INVOICEGATE_FRONT_ROUTE_H
#define INVOICEGATE_FRONT_ROUTE_H

#include <stdbool.h>

#include "base/text.h"

enum route {
    ROUTE_NONE,
    ROUTE_ACCOUNT_INVOICES,      /* POST /v1/public/stripe/connect/accounts/{account}/invoices */
    ROUTE_ACCOUNT_INVOICE_GET,   /* GET the same/{id} */
    ROUTE_ACCOUNT_INVOICES_LIST, /* GET the same */
    ROUTE_INVOICES,              /* POST /v1/invoices */
    ROUTE_INVOICES_LIST,         /* GET /v1/invoices */
    ROUTE_INVOICE_GET,           /* GET /v1/invoices/{id} */
    ROUTE_INVOICE_UPDATE,        /* POST /v1/invoices/{id} */
    ROUTE_INVOICE_FINALIZE,      /* POST /v1/invoices/{id}/finalize */
    ROUTE_INVOICE_SEND,          /* POST /v1/invoices/{id}/send */
    ROUTE_INVOICE_VOID,          /* POST /v1/invoices/{id}/void */
    ROUTE_INVOICEITEMS,          /* POST /v1/invoiceitems */
    ROUTE_OPENAPI,               /* GET /openapi.json: for everybody, without a job */
    ROUTE_COUNT
};

/* As tables, logs and metrics call it: "account_invoices", "invoices", "invoice_get", ...; "none". */
const char *route_name(enum route route);

/* ROUTE_NONE for a word that is no route's name. */
enum route route_named(struct text name);

/* What bodies look like, both ways: JSON and {"error":"..."}, or forms and the upstream's own objects. */
enum shape { SHAPE_PLAIN, SHAPE_STRIPE };

enum shape route_shape(enum route route);

struct route_match {
    enum route route;    /* ROUTE_NONE: 404 */
    enum shape shape;    /* also where nothing matches: that of the address */
    struct text account; /* the raw path segment; only [A-Za-z0-9_-], at most 255 bytes, else ROUTE_NONE */
    struct text id;      /* of the invoice in the path, in the same characters */
    struct text allow;   /* present: the path is known, the method is not: 405 with this Allow */
};

/* uri is the raw request target. A query is ignored. Percent-escapes, dot segments, double and trailing
 * slashes do not match anything: one resource has one spelling. */
struct route_match route_of(struct text method, struct text uri);

#endif
