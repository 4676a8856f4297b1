/* Agencies: whose keys, accounts and clients everything else is. */
#ifndef INVOICEGATE_CTL_AGENCY_H
#define INVOICEGATE_CTL_AGENCY_H

#include "ctl/ctl.h"

/* Makes sure that there is such an agency; opens the database. */
enum ctl_exit agency_known(struct ctl *ctl, int64_t agency_id) MUST_CHECK;
/* Reads --agency and makes sure that there is such an agency; opens the database. */
enum ctl_exit agency_required(struct ctl *ctl, int64_t *agency_id) MUST_CHECK;

#endif
