/* Members of a client: the persons that invoices are addressed to. */
#ifndef INVOICEGATE_CTL_MEMBER_H
#define INVOICEGATE_CTL_MEMBER_H

#include "ctl/ctl.h"

struct member {
    const char *name;
    const char *email; /* NULL: none */
    bool is_admin;
};

/* What keeps these from being a member's, or NULL: a phrase for people. */
const char *member_fault(struct text name, struct text email);

/* From NAME:EMAIL[:admin], where EMAIL may be empty. Says what is wrong. */
MUST_CHECK bool member_parse(struct ctl *ctl, const char *written, struct member *member);

#endif
