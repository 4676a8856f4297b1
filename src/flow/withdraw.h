/* Taking back an invoice that was committed as created while its client, who has no key to ask for it again,
 * left without hearing of it (protocol 8). */
#ifndef INVOICEGATE_FLOW_WITHDRAW_H
#define INVOICEGATE_FLOW_WITHDRAW_H

#include "flow/job.h"

/* Whether nobody was told, or can ever be, of what was just committed as created. */
bool withdraw_is_due(const struct job *job, bool told);
/* From FINISHING: PostgreSQL opens the request again, for its draft to be deleted. */
void withdraw_begin(struct job *job);
void withdraw_stored(struct job *job, const struct store_answer *answer);

#endif
