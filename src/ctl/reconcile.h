/* One comparison of the audit with the upstream. */
#ifndef INVOICEGATE_CTL_RECONCILE_H
#define INVOICEGATE_CTL_RECONCILE_H

#include <json-c/json.h>

#include "ctl/ctl.h"
#include "ctl/upstream.h"

struct reconcile {
    struct ctl *ctl;
    struct upstream upstream;
    struct arena page; /* of one answer */
    int64_t agency_id;
    const char *account_id;
    const char *mode;
    int64_t since_s;
    int64_t until_s;
    int64_t pause_ns;       /* between two calls */
    int64_t listed;         /* invoices of the gateway's */
    int64_t others;         /* that somebody else made in the same account */
    int64_t other_agencies; /* of the gateway's, but another agency made them: left out */
    bool progress;          /* standard error is a terminal */
};

/* Lists the upstream's invoices of the span into pg_temp.listed, page by page. */
enum ctl_exit reconcile_list(struct reconcile *reconcile) MUST_CHECK;
/* What stands in the audit but was not listed is asked for by its id; what is there all the same is taken as
 * listed. */
enum ctl_exit reconcile_ask(struct reconcile *reconcile) MUST_CHECK;

#endif
