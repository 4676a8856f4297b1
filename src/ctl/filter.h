/* The options that choose rows of audit.requests and audit.invoices, as bound parameters of one condition. */
#ifndef INVOICEGATE_CTL_FILTER_H
#define INVOICEGATE_CTL_FILTER_H

#include "ctl/ctl.h"

enum filter_param {
    FILTER_AGENCY,
    FILTER_ACCOUNT,
    FILTER_CLIENT,
    FILTER_STATE,
    FILTER_MODE,
    FILTER_SINCE,
    FILTER_UNTIL,
    FILTER_AFTER,
    FILTER_LIMIT,
    FILTER_PARAMS,
};

struct filter {
    struct db_param params[FILTER_PARAMS];
    int64_t limit;
};

/* Parameters 1 to 7; a parameter that is null chooses everything. */
#define FILTER_CONDITION(state_column)                                                                       \
    "($1::bigint is null or agency_id = $1) and ($2::text is null or account_id = $2) "                      \
    "and ($3::text is null or client_id = $3) and ($4::text is null or " state_column " = $4) "              \
    "and ($5::text is null or mode = $5) and ($6::timestamptz is null or created_at >= $6) "                 \
    "and ($7::timestamptz is null or created_at < $7) "
/* The id holds the worker's clock, created_at the database's: a day between them is more than ever is. Lets
 * the server leave whole partitions out. */
#define FILTER_PARTITIONS                                                                                    \
    "and ($6::timestamptz is null or request_id >= gateway.uuid_at($6::timestamptz - interval '1 day')) "    \
    "and ($7::timestamptz is null or request_id <= gateway.uuid_at($7::timestamptz + interval '1 day')) "
/* Parameters 8 and 9. One row more than the limit tells whether there are more; ties keep a request's rows
 * together. */
#define FILTER_PAGE                                                                                          \
    "and ($8::uuid is null or request_id < $8) "                                                             \
    "order by request_id desc fetch first ($9::bigint + 1) rows with ties"

/* Reads the options. Says what is wrong with them. */
MUST_CHECK bool filter_read(struct ctl *ctl, struct filter *filter);

#define FILTER_OPTIONS(states)                                                                                 \
    {"agency", "ID", "of this agency", NULL, false, false},                                                    \
        {"account", "ACCOUNT", "of this account", NULL, false, false},                                         \
        {"client", "CLIENT", "of this client", NULL, false, false},                                            \
        {"state", "STATE", "in this state: " states, states, false, false},                                    \
        {"mode", "live|test", "of this mode", "live test", false, false},                                      \
        {"since", "ISO", "created at this moment or later, such as 2026-01-31T12:00:00Z", NULL, false, false}, \
        {"until", "ISO", "created before this moment", NULL, false, false},                                    \
        {"limit", "NUMBER", "at most so many rows; default 50", NULL, false, false},                           \
        {"after", "REQUEST_ID", "go on behind this one", NULL, false, false},                                  \
    {                                                                                                          \
        "no-totals", NULL, "do not add up the whole selection", NULL, false, false                             \
    }

#endif
