/* invoicegate --check: can this configuration work? */
#ifndef INVOICEGATE_CHECK_H
#define INVOICEGATE_CHECK_H

#include "config.h"

/* Says on standard error what is fine and what is not. 0: all is fine; 4: the database cannot be used; 5: the
 * upstream cannot be reached or refuses a credential; 1: out of memory. */
MUST_CHECK int check_all(const struct config *config);

#endif
