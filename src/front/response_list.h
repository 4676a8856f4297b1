/* Lists of invoices in either shape. Pure but for the arena. */
#ifndef INVOICEGATE_FRONT_RESPONSE_LIST_H
#define INVOICEGATE_FRONT_RESPONSE_LIST_H

#include <stdbool.h>

#include "base/arena.h"
#include "front/request.h"

/* bodies are the invoices as they are told alone; last_id is that of the last one, or absent. Absent when the
 * arena overflowed. */
struct text response_list(struct arena *arena, enum shape shape, const struct text *bodies, int count,
                          bool has_more, struct text last_id);

#endif
