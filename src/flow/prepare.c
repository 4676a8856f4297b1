/* What a cold request lacks: its product's price, its customer, the frozen plan. A warm one never comes here.
 */
#include "flow/prepare.h"

#include <string.h>

#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/invoice.h"
#include "flow/object.h"
#include "flow/product.h"
#include "flow/shortage.h"
#include "flow/step.h"

#define RENEWALS_MAX 2
#define NAME_MAX_BYTES 1000

static void enter_planning(struct job *job);

bool prepare_may_renew(const struct job *job)
{
    return job->renewals < RENEWALS_MAX;
}

static void keep_customer(struct job *job, const struct store_answer *answer)
{
    struct plan *plan = &job->plan;
    plan->generation = answer->generation;
    plan->customer_generation = answer->customer_generation;
    plan->customer_id = arena_copy(&job->arena, answer->customer_id);
    plan->customer_name = arena_copy(&job->arena, answer->customer_name);
    plan->customer_email = arena_copy(&job->arena, answer->customer_email);
}

static void keep_price(struct job *job, const struct store_answer *answer)
{
    job->plan.price_id = arena_copy(&job->arena, answer->price_id);
    job->plan.amount_minor = answer->amount_minor;
    job->plan.currency = arena_copy(&job->arena, answer->currency);
}

void prepare_keep(struct job *job, const struct store_answer *answer)
{
    keep_customer(job, answer);
    keep_price(job, answer);
}

void prepare_next(struct job *job)
{
    if (!job->plan.price_id.at)
        step_enter(job, JOB_READING_PRODUCT, STEP_PRODUCT);
    else if (!job->plan.customer_id.at)
        step_enter(job, JOB_MAKING_CUSTOMER, STEP_CUSTOMER);
    else
        enter_planning(job);
}

/* 2. A product that PostgreSQL has not seen in the last minute is read, with its price. */
static void price_decided(struct job *job, enum price_verdict verdict, const struct price *price)
{
    static const char *const refusals[] = {
        [PRICE_NONE] = "no_one_time_price",
        [PRICE_AMBIGUOUS] = "ambiguous_price",
        [PRICE_WITHOUT_AMOUNT] = "price_without_amount",
        [PRODUCT_ARCHIVED] = "product_archived",
    };
    if (shortage_is(job)) {
        shortage_end(job);
    } else if (verdict == PRICE_LIST_NEEDED) {
        step_enter(job, JOB_READING_PRICES, STEP_PRICES);
    } else if (verdict == PRICE_FOUND) {
        job->plan.price_id = price->price_id;
        job->plan.amount_minor = price->amount_minor;
        job->plan.currency = price->currency;
        invoice_next(job);
    } else if (verdict == PRODUCT_NONSENSE) {
        ending_fail(job, "upstream_nonsense");
    } else {
        ending_refuse(job, refusals[verdict]);
    }
}

void prepare_product_read(struct job *job, struct decision decision, const struct reply *reply,
                          struct object object)
{
    struct price price = {0};
    if (decision.outcome == OUTCOME_REFUSED && reply->status == 404) {
        ending_refuse(job, "product_unknown");
    } else if (decision.outcome != OUTCOME_OK) {
        ending_upstream_failed(job, decision, reply, object);
    } else {
        job->product_name = arena_copy(&job->arena, object_text_within(object, "name", NAME_MAX_BYTES));
        job->product_object = arena_copy(&job->arena, reply->body);
        price_decided(job, price_of_product(object, &job->arena, &price), &price);
    }
}

void prepare_prices_read(struct job *job, struct decision decision, const struct reply *reply,
                         struct object object)
{
    struct price price = {0};
    if (decision.outcome != OUTCOME_OK)
        ending_upstream_failed(job, decision, reply, object);
    else
        price_decided(job, price_of_list(object, &job->arena, &price), &price);
}

/* 3. The client's customer, once for each client, account and mode: two at once send the same bytes under one
 * key. */
void prepare_renew_customer(struct job *job)
{
    struct store_renew *in = &job->task.in.renew;
    job->renewals++;
    job_set_state(job, JOB_RENEWING_CUSTOMER);
    in->fence = job->fence;
    memcpy(in->request_id, job->request_id, UUID_BYTES);
    job_submit(job, STORE_RENEW);
}

void prepare_customer_made(struct job *job, struct decision decision, const struct reply *reply,
                           struct object object)
{
    if (decision.outcome == OUTCOME_OK) {
        job->plan.customer_id = arena_copy(&job->arena, object_text(object, "id"));
        if (shortage_is(job))
            shortage_end(job);
        else
            invoice_next(job);
    } else if (decision.look_up && prepare_may_renew(job)) {
        prepare_renew_customer(job); /* its key is spent for good: the next generation has another */
    } else {
        ending_upstream_failed(job, decision, reply, object);
    }
}

void prepare_renewed(struct job *job, const struct store_answer *answer)
{
    if (answer->verdict != STORE_GO) {
        ending_taken_over(job);
        return;
    }
    job->planned = false;
    job->unknown[STEP_CUSTOMER] = false; /* of the new generation nothing was attempted */
    keep_customer(job, answer);
    invoice_next(job);
}

/* 4. What was cold is frozen before the invoice's first POST: from here on every attempt sends the same
 * bytes. */
static void enter_planning(struct job *job)
{
    struct store_plan *in = &job->task.in.plan;
    bool price_read = job->product_object.at != NULL;
    *in = (struct store_plan){
        .fence = job->fence,
        .customer_id = job->plan.customer_id,
        .product_name = job->product_name,
        .price_id = price_read ? job->plan.price_id : TEXT_NONE,
        .amount_minor = price_read ? job->plan.amount_minor : STORE_NULL64,
        .currency = price_read ? job->plan.currency : TEXT_NONE,
        .product_object = job->product_object,
    };
    memcpy(in->request_id, job->request_id, UUID_BYTES);
    job_set_state(job, JOB_PLANNING);
    job_submit(job, STORE_PLAN);
}

void prepare_planned(struct job *job, const struct store_answer *answer)
{
    if (answer->verdict != STORE_GO) {
        ending_taken_over(job);
        return;
    }
    /* PostgreSQL's word counts: another request may have been first with the customer. */
    job->plan.customer_id = arena_copy(&job->arena, answer->customer_id);
    keep_price(job, answer);
    job->planned = true;
    invoice_next(job);
}
