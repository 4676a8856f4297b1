#include "front/route.h"

#define ACCOUNT_MAX_BYTES 255

/* One row a method and path: what stands before and behind the account. */
struct pattern {
    enum route route;
    const char *name;
    struct text method;
    struct text before, behind;
};

static const struct pattern patterns[ROUTE_COUNT] = {
    [ROUTE_NONE] = {ROUTE_NONE, "none", TEXT_NONE, TEXT_NONE, TEXT_NONE},
    [ROUTE_ACCOUNT_INVOICES] = {ROUTE_ACCOUNT_INVOICES, "account_invoices", TEXT("POST"),
                                TEXT("/v1/public/stripe/connect/accounts/"), TEXT("/invoices")},
};

const char *route_name(enum route route)
{
    return patterns[route].name;
}

static bool is_account(struct text account)
{
    if (account.length == 0 || account.length > ACCOUNT_MAX_BYTES)
        return false;
    for (size_t i = 0; i < account.length; i++) {
        char c = account.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
              c == '-'))
            return false;
    }
    return true;
}

static struct text without_query(struct text uri)
{
    const char *query = uri.length > 0 ? memchr(uri.at, '?', uri.length) : NULL;

    return query ? (struct text){uri.at, (size_t)(query - uri.at)} : uri;
}

static bool path_matches(const struct pattern *pattern, struct text path, struct text *account)
{
    size_t fixed_bytes = pattern->before.length + pattern->behind.length;

    if (path.length <= fixed_bytes || !text_starts(path, pattern->before))
        return false;
    *account = (struct text){path.at + pattern->before.length, path.length - fixed_bytes};
    return is_account(*account) &&
           text_is((struct text){account->at + account->length, pattern->behind.length}, pattern->behind);
}

struct route_match route_of(struct text method, struct text uri)
{
    struct route_match match = {.route = ROUTE_NONE};
    struct text path = without_query(uri);
    struct text account;

    for (int i = ROUTE_NONE + 1; i < ROUTE_COUNT; i++) {
        if (!path_matches(&patterns[i], path, &account))
            continue;
        if (text_is(method, patterns[i].method))
            return (struct route_match){.route = patterns[i].route, .account = account};
        match.allow = patterns[i].method;
    }
    return match;
}
