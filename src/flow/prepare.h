/* What a cold request lacks: its product's price, its customer, the frozen plan. */
#ifndef INVOICEGATE_FLOW_PREPARE_H
#define INVOICEGATE_FLOW_PREPARE_H

#include "flow/job.h"
#include "flow/object.h"

/* Customer and price as PostgreSQL knows them (absent where it does not). */
void prepare_keep(struct job *job, const struct store_answer *answer);
/* Gets the next thing that is missing; when nothing is, freezes the plan and goes on to the invoice. */
void prepare_next(struct job *job);

void prepare_product_read(struct job *job, struct decision decision, const struct reply *reply,
                          struct object object);
void prepare_prices_read(struct job *job, struct decision decision, const struct reply *reply,
                         struct object object);
void prepare_customer_made(struct job *job, struct decision decision, const struct reply *reply,
                           struct object object);
void prepare_planned(struct job *job, const struct store_answer *answer);

/* The customer is gone upstream, or its key is spent: its next generation. */
bool prepare_may_renew(const struct job *job);
void prepare_renew_customer(struct job *job);
void prepare_renewed(struct job *job, const struct store_answer *answer);

#endif
