#include "front/route.h"

#define PUBLIC "/v1/public/stripe/connect/accounts/"

/* One row a method and path. A segment in braces stands for any: {account} or {id}. */
struct pattern {
    const char *name;
    struct text path;
    bool post; /* else GET */
};

static const struct pattern patterns[ROUTE_COUNT] = {
    [ROUTE_NONE] = {"none", TEXT_NONE, false},
    [ROUTE_ACCOUNT_INVOICES] = {"account_invoices", TEXT(PUBLIC "{account}/invoices"), true},
    [ROUTE_ACCOUNT_INVOICE_GET] = {"account_invoice_get", TEXT(PUBLIC "{account}/invoices/{id}"), false},
    [ROUTE_ACCOUNT_INVOICES_LIST] = {"account_invoices_list", TEXT(PUBLIC "{account}/invoices"), false},
    [ROUTE_INVOICES] = {"invoices", TEXT("/v1/invoices"), true},
    [ROUTE_INVOICES_LIST] = {"invoices_list", TEXT("/v1/invoices"), false},
    [ROUTE_INVOICE_GET] = {"invoice_get", TEXT("/v1/invoices/{id}"), false},
    [ROUTE_INVOICE_UPDATE] = {"invoice_update", TEXT("/v1/invoices/{id}"), true},
    [ROUTE_INVOICE_FINALIZE] = {"invoice_finalize", TEXT("/v1/invoices/{id}/finalize"), true},
    [ROUTE_INVOICE_SEND] = {"invoice_send", TEXT("/v1/invoices/{id}/send"), true},
    [ROUTE_INVOICE_VOID] = {"invoice_void", TEXT("/v1/invoices/{id}/void"), true},
    [ROUTE_INVOICEITEMS] = {"invoiceitems", TEXT("/v1/invoiceitems"), true},
    [ROUTE_OPENAPI] = {"openapi", TEXT("/openapi.json"), false},
};

const char *route_name(enum route route)
{
    return patterns[route].name;
}

enum route route_named(struct text name)
{
    for (int i = ROUTE_NONE + 1; i < ROUTE_COUNT; i++)
        if (text_is(name, text_from(patterns[i].name)))
            return (enum route)i;
    return ROUTE_NONE;
}

static struct text before(struct text text, char c)
{
    const char *found = text.length > 0 ? memchr(text.at, c, text.length) : NULL;

    return found ? (struct text){text.at, (size_t)(found - text.at)} : text;
}

/* Fills account and id of the match where the path has them. */
static bool path_matches(struct text pattern, struct text path, struct route_match *match)
{
    while (pattern.length > 0) {
        if (pattern.at[0] == '{') {
            struct text segment = before(path, '/');
            *(pattern.at[1] == 'a' ? &match->account : &match->id) = segment;
            if (!text_is_id(segment))
                return false;
            path = text_skip(path, segment.length);
            pattern = text_skip(pattern, before(pattern, '}').length + 1);
        } else {
            if (path.length == 0 || path.at[0] != pattern.at[0])
                return false;
            path = text_skip(path, 1);
            pattern = text_skip(pattern, 1);
        }
    }
    return path.length == 0;
}

static enum shape shape_of(struct text path)
{
    bool plain = !text_starts(path, TEXT("/v1/")) || text_starts(path, TEXT("/v1/public/")) ||
                 text_is(path, TEXT("/v1/public"));

    return plain ? SHAPE_PLAIN : SHAPE_STRIPE;
}

enum shape route_shape(enum route route)
{
    return shape_of(patterns[route].path);
}

static struct text allow_of(bool get, bool post)
{
    if (get && post)
        return TEXT("GET, POST");
    if (get)
        return TEXT("GET");
    return post ? TEXT("POST") : TEXT_NONE;
}

struct route_match route_of(struct text method, struct text uri)
{
    struct text path = before(uri, '?');
    struct route_match none = {.route = ROUTE_NONE, .shape = shape_of(path)};
    bool get = false, post = false;

    for (int i = ROUTE_NONE + 1; i < ROUTE_COUNT; i++) {
        const struct pattern *pattern = &patterns[i];
        struct route_match match = none;
        if (!path_matches(pattern->path, path, &match))
            continue;
        match.route = (enum route)i;
        if (text_is(method, pattern->post ? TEXT("POST") : TEXT("GET")))
            return match;
        *(pattern->post ? &post : &get) = true;
    }
    none.allow = allow_of(get, post);
    return none;
}
