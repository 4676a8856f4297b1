/* The history: what an operator did, written in the transaction that does it. */
#ifndef INVOICEGATE_CTL_EVENT_H
#define INVOICEGATE_CTL_EVENT_H

#include "ctl/ctl.h"

/* about: "agency", "key", "account", "client", "migration". agency_id 0: concerns none. why names ids only,
 * never a person; who ran the command is added. A failure sticks to ctl->db. */
void event_write(struct ctl *ctl, const char *about, int64_t agency_id, const char *what, const char *why);

/* The operator's name on this host. */
const char *event_who(void);

#endif
