/* What PostgreSQL answers to the statements: rows become verdicts, answers and requests to take over. */
#include "store/statements.h"

#include "store/rows.h"

static enum store_verdict verdict_from(struct text word)
{
    static const struct {
        const char *word;
        enum store_verdict verdict;
    } words[] = {
        {"go", STORE_GO},         {"refused", STORE_REFUSED},
        {"replay", STORE_REPLAY}, {"unauthorized", STORE_UNAUTHORIZED},
        {"busy", STORE_BUSY},     {"done", STORE_DONE},
        {"stale", STORE_STALE},   {"missing", STORE_MISSING},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (text_is(word, text_from(words[i].word)))
            return words[i].verdict;
    return STORE_AWAY;
}

/* Five columns from first on. */
static void customer_answer(const PGresult *result, int row, int first, struct store_answer *answer)
{
    answer->generation = row_int4(result, row, first);
    answer->customer_generation = row_int4(result, row, first + 1);
    answer->customer_id = row_text(result, row, first + 2);
    answer->customer_name = row_text(result, row, first + 3);
    answer->customer_email = row_text(result, row, first + 4);
}

/* What is frozen of a request, as far as it is known: ten columns from first on. */
static void frozen_answer(const PGresult *result, int row, int first, struct store_answer *answer)
{
    answer->planned = row_bool(result, row, first);
    customer_answer(result, row, first + 1, answer);
    answer->price_id = row_text(result, row, first + 6);
    answer->amount_minor = row_int8(result, row, first + 7);
    answer->currency = row_text(result, row, first + 8);
    answer->auto_advance = row_bool(result, row, first + 9);
}

static void begin_answer(const PGresult *result, int row, struct store_answer *answer)
{
    answer->http_status = row_int4(result, row, 2);
    answer->reason = row_text(result, row, 3);
    answer->agency_id = row_int8(result, row, 4);
    answer->mode = row_text(result, row, 5);
    frozen_answer(result, row, 6, answer);
    answer->original_request = row_text(result, row, 16);
    answer->answer = row_text(result, row, 17);
    answer->account_id = row_text(result, row, 18);
    answer->client_id = row_text(result, row, 19);
}

static void plan_answer(const PGresult *result, int row, struct store_answer *answer)
{
    answer->customer_id = row_text(result, row, 2);
    answer->price_id = row_text(result, row, 3);
    answer->amount_minor = row_int8(result, row, 4);
    answer->currency = row_text(result, row, 5);
}

bool statement_taken(const PGresult *result, int row, struct store_taken *taken)
{
    struct store_answer *plan = &taken->plan;
    *taken = (struct store_taken){.fence = row_int4(result, row, 1),
                                  .doing = row_text(result, row, 2),
                                  .account_id = row_text(result, row, 5),
                                  .client_id = row_text(result, row, 6),
                                  .product_id = row_text(result, row, 7),
                                  .collection_method = row_text(result, row, 8),
                                  .days_until_due = row_int4(result, row, 9),
                                  .idempotency_key = row_text(result, row, 10),
                                  .invoice_id = row_text(result, row, 21),
                                  .reason = row_text(result, row, 22),
                                  .created_s = row_int8(result, row, 23),
                                  .old = row_bool(result, row, 24),
                                  .upstream_version = row_text(result, row, 25),
                                  .route = row_text(result, row, 26),
                                  .form = row_text(result, row, 27)};
    plan->agency_id = row_int8(result, row, 3);
    plan->account_id = taken->account_id;
    plan->client_id = taken->client_id;
    plan->mode = row_text(result, row, 4);
    frozen_answer(result, row, 11, plan);
    return uuid_from_text(row_text(result, row, 0), taken->request_id) && taken->fence >= 0;
}

bool statement_invoice(const PGresult *result, int row, struct store_answer *answer,
                       struct store_invoice *invoice)
{
    answer->verdict = verdict_from(row_text(result, row, 0));
    answer->reason = row_text(result, row, 1);
    answer->agency_id = row_int8(result, row, 2);
    answer->mode = row_text(result, row, 3);
    answer->account_id = row_text(result, row, 4);
    answer->has_more = row_bool(result, row, 15);
    *invoice = (struct store_invoice){.invoice_id = row_text(result, row, 5),
                                      .status = row_text(result, row, 6),
                                      .number = row_text(result, row, 7),
                                      .amount_minor = row_int8(result, row, 8),
                                      .currency = row_text(result, row, 9),
                                      .customer_id = row_text(result, row, 10),
                                      .created_s = row_int8(result, row, 11),
                                      .object = row_text(result, row, 12),
                                      .stale = row_bool(result, row, 13),
                                      .seen_us = row_int8(result, row, 14)};
    return invoice->invoice_id.at != NULL;
}

int statement_answer(enum store_kind kind, const PGresult *result, int row, struct store_answer *answer)
{
    int32_t ord = row_int4(result, row, 0);
    *answer = (struct store_answer){.verdict = verdict_from(row_text(result, row, 1))};
    if (kind == STORE_BEGIN)
        begin_answer(result, row, answer);
    else if (kind == STORE_RENEW)
        customer_answer(result, row, 2, answer);
    else if (kind == STORE_PLAN)
        plan_answer(result, row, answer);
    else if (kind == STORE_FINISH) {
        answer->state = row_text(result, row, 2);
        answer->http_status = row_int4(result, row, 3);
    }
    return ord > 0 ? (int)ord : 0;
}
