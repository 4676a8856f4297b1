/* Looking up what is there when repeating a call cannot tell: the customer's invoices since the request began
 * are listed to the last page and compared by the mark in their metadata (the upstream's search lags and is
 * not used). */
#ifndef INVOICEGATE_FLOW_LOOKUP_H
#define INVOICEGATE_FLOW_LOOKUP_H

#include "flow/job.h"
#include "flow/object.h"

/* sought: the step in doubt, INVOICE, LINES, ADVANCE, DELETE or ACT. */
void lookup_begin(struct job *job, enum step sought);
/* After the upstream refused an invoice, or an act, of which an earlier attempt was in doubt: one look tells.
 */
void lookup_after_refusal(struct job *job, enum after_absence after);
void lookup_replied(struct job *job, struct decision decision, const struct reply *reply,
                    struct object object);
/* Behind the last element of a list that has more. */
void lookup_next_page(struct job *job, struct object list);
/* What was sought is not there: a second look, and then it is certain. */
void lookup_absent(struct job *job);

#endif
