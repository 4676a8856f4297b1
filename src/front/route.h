/* From method and path to a route. Pure. */
#ifndef INVOICEGATE_FRONT_ROUTE_H
#define INVOICEGATE_FRONT_ROUTE_H

#include "base/text.h"

enum route {
    ROUTE_NONE,
    ROUTE_ACCOUNT_INVOICES, /* POST /v1/public/stripe/connect/accounts/{accountId}/invoices */
    ROUTE_COUNT
};

/* As tables, logs and metrics call it: "account_invoices"; "none". */
const char *route_name(enum route route);

struct route_match {
    enum route route;    /* ROUTE_NONE: 404 */
    struct text account; /* the raw path segment; only [A-Za-z0-9_-], at most 255 bytes, else ROUTE_NONE */
    struct text allow;   /* present: the path is known, the method is not: 405 with this Allow */
};

/* uri is the raw request target. A query is ignored. Percent-escapes, dot segments, double and trailing
 * slashes do not match anything: one resource has one spelling. */
struct route_match route_of(struct text method, struct text uri);

#endif
