/* Why a request was refused or failed: one word for tables, one sentence and one status for clients. */
#ifndef INVOICEGATE_FLOW_REASONS_H
#define INVOICEGATE_FLOW_REASONS_H

#include "base/text.h"

struct reason {
    const char *word; /* as in audit.requests.reason */
    int status;
    int retry_after_s; /* 0: no header */
    const char *message;
};

/* NULL for a word that is not in the list. */
const struct reason *reason_find(struct text word);
/* The reason must be in the list. */
const struct reason *reason_of(const char *word);

#endif
