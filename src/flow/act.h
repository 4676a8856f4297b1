/* Acts of the upstream's own interface on an invoice that is there (update, finalize, send, void), and items
 * for one that is to come. One step, frozen like any other; never taken back. */
#ifndef INVOICEGATE_FLOW_ACT_H
#define INVOICEGATE_FLOW_ACT_H

#include "flow/job.h"
#include "flow/object.h"

/* ACT_NONE for routes that make invoices, or read. */
enum act act_of_route(enum route route);

/* Puts a mark into an update's form before it is recorded: nothing else on the invoice shows whether it was
 * done. (Whether it was sent nothing shows, and no form can carry a mark.) */
void act_mark(struct request *request, struct arena *arena, const char *request_id);
/* The act's intent is recorded: on to its call. */
void act_begin(struct job *job);
/* The same after a take-over; old: the upstream may have forgotten the key. */
void act_resume(struct job *job, bool old);
void act_done(struct job *job, struct decision decision, const struct reply *reply, struct object object);
void act_looked_up(struct job *job, struct decision decision, const struct reply *reply,
                   struct object object);

#endif
