/* Why a request was refused or failed: one word for tables, one sentence and one status for clients. */
#ifndef INVOICEGATE_FLOW_REASONS_H
#define INVOICEGATE_FLOW_REASONS_H

#include "base/text.h"

#define NOT_AGAIN (-1)

struct reason {
    const char *word; /* as in audit.requests.reason */
    int status;
    int retry_after_s; /* 0: no header; NOT_AGAIN: no program should send it again by itself */
    const char *message;
};

/* NULL for a word that is not in the list. */
const struct reason *reason_find(struct text word);
/* The reason must be in the list. */
const struct reason *reason_of(const char *word);

#endif
