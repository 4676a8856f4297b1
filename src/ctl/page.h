/* One page of a long list, and how to go on. */
#ifndef INVOICEGATE_CTL_PAGE_H
#define INVOICEGATE_CTL_PAGE_H

#include <json-c/json.h>

#include "ctl/ctl.h"

struct page {
    const PGresult *rows; /* may hold more than is shown */
    int shown;
    bool has_more;
    const char *cursor_field; /* the column whose last value --after takes */
};

/* {"data": [...], "has_more": ..., "next_cursor": ..., "totals": [...]}; gives totals up, NULL leaves them
 * out. */
void page_print_json(const struct page *page, struct json_object *totals);
/* The command for the next page, on standard error, when there is one. */
void page_print_hint(struct ctl *ctl, const struct page *page);

#endif
