/* The upstream calls of a request, one a line, each with its bar on a common axis of time. */
#ifndef INVOICEGATE_CTL_TIMELINE_H
#define INVOICEGATE_CTL_TIMELINE_H

#include "ctl/story.h"

void timeline_print(struct ctl *ctl, const PGresult *calls);

#endif
