/* Everything that is known of one request, read from the database. */
#ifndef INVOICEGATE_CTL_STORY_H
#define INVOICEGATE_CTL_STORY_H

#include "ctl/ctl.h"

struct story {
    PGresult *request;  /* one row as in audit.requests */
    PGresult *plan;     /* one row: what was frozen, with names for people */
    PGresult *work;     /* one row while the request is not at its end, else none */
    PGresult *invoices; /* as in audit.invoices, deleted drafts too */
    PGresult *calls;    /* as in audit.upstream_calls, with start_ms since the request's id was made */
    PGresult *events;   /* as in audit.events, with start_ms since the intent was committed */
};

/* False when the database failed. The request has no row when there is none of that id. */
MUST_CHECK bool story_load(struct ctl *ctl, const char *request_id, struct story *story);
void story_free(struct story *story);

/* One sentence for people: what came of it. The tone says how bad that is. */
struct text story_verdict(struct ctl *ctl, const struct story *story, enum tone *tone);

/* A column of the first row by name; absent: null or no row. */
struct text story_field(const PGresult *rows, const char *field);

/* "412 ms", "12.3 s", "5 min", "3 h". */
struct text story_duration(struct arena *arena, int64_t duration_ms);

#endif
