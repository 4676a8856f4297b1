/* The steps of creating one invoice, in their order. The file to read first is invoice.c. */
#ifndef INVOICEGATE_FLOW_INVOICE_H
#define INVOICEGATE_FLOW_INVOICE_H

#include "flow/job.h"
#include "flow/object.h"

/* Whatever comes next for a job whose intent is recorded. */
void invoice_next(struct job *job);
/* Starts a job that has its request. */
void invoice_start(struct job *job);
/* The plan as far as PostgreSQL knows it. */
void invoice_fill_plan(struct job *job, const struct store_answer *answer);
/* PostgreSQL has answered the task that the state waited for. */
void invoice_stored(struct job *job, const struct store_answer *answer);
/* The step under way is decided; object is the answer's JSON, or NULL. */
void invoice_called(struct job *job, struct decision decision, const struct reply *reply,
                    struct object object);
/* It stands upstream: kept, and deleted again if it is of the wrong mode. */
void invoice_stands(struct job *job, const struct reply *reply, struct object object);
/* Its id is known (made just now, or found by look-up): on to its line. */
void invoice_has_id(struct job *job);
/* Its line is there: on to the check. */
void invoice_has_lines(struct job *job, const struct reply *reply, struct object object);
/* What the upstream's object says of the invoice. Where memory is out some of it is missing (shortage_is),
 * but not that the invoice stands. */
void invoice_keep(struct job *job, const struct reply *reply, struct object object);
/* The upstream says that there is no such invoice (any more). */
bool invoice_is_gone(const struct reply *reply, struct object error);
/* Its id alone. */
void invoice_keep_id(struct job *job, struct object object);
/* The body of the documented 200. */
void invoice_write_answer(struct job *job, struct object object);
/* What the caller of the upstream's own interface is told of an object of this kind: its bytes but for our
 * metadata or, where those can be read but given to no client, its id. Absent when the arena overflowed. */
struct text invoice_told(struct arena *arena, struct text bytes, struct text id, const char *kind);
/* The invoice (or the act's) is as the caller of the upstream's own interface is to be told: the end. */
void invoice_passed_on(struct job *job, struct text id);
void invoice_decide_advance(struct job *job);
/* As it is after its advance was confirmed, or cannot be any more. */
void invoice_has_advanced(struct job *job, const struct reply *reply, struct object object);
/* As it is after the upstream refused to delete it. */
void invoice_not_deleted(struct job *job, const struct reply *reply, struct object object);

#endif
