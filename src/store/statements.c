#include "store/statements.h"

#include <stddef.h>

/* jit: to compile a statement takes 200 ms where a scan of a few megabytes takes 10. */
const char statement_greeting[] =
    "select current_setting('fsync'), current_setting('full_page_writes'),"
    "       pg_is_in_recovery(), current_setting('transaction_read_only'),"
    "       current_setting('synchronous_standby_names'), current_setting('server_version_num'),"
    "       set_config('lock_timeout', '5s', false), set_config('statement_timeout', '20s', false),"
    "       set_config('jit', 'off', false),"
    "       set_config('synchronous_commit', case when $1 or current_setting('synchronous_commit') ="
    "           'remote_apply' then current_setting('synchronous_commit') else 'on' end, false)";

const char statement_hello[] = "select worker_id from gateway.hello($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const struct statement_text statements[STATEMENT_COUNT] = {
    [STORE_BEGIN] = {"begin",
                     "select ord, verdict, http_status, reason, agency_id, mode, planned, generation,"
                     "       customer_generation, customer_id, customer_name, customer_email, price_id,"
                     "       amount_minor, currency, auto_advance, original_request,"
                     "       convert_from(answer, 'UTF8'), account_id, client_id"
                     "  from gateway.begin_invoices($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,"
                     "                              $14, $15, $16, $17, $18, $19, $20)",
                     20},
    [STORE_PLAN] = {"plan",
                    "select ord, verdict, customer_id, price_id, amount_minor, currency"
                    "  from gateway.plan_invoices($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    9},
    [STORE_RENEW] = {"renew",
                     "select ord, verdict, generation, customer_generation, customer_id, customer_name,"
                     "       customer_email"
                     "  from gateway.renew_customer($1, $2, $3)",
                     3},
    [STORE_NOTE] = {"note", "select ord, verdict from gateway.note_invoices($1, $2, $3, $4, $5, $6, $7, $8)",
                    8},
    [STORE_FINISH] = {"finish",
                      "select ord, verdict, state, http_status"
                      "  from gateway.finish_invoices($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,"
                      "                               $14, $15, $16)",
                      16},
    [STORE_WITHDRAW] = {"withdraw", "select ord, verdict from gateway.withdraw_invoice($1, $2, $3)", 3},
    [STORE_PARK] = {"park", "select ord, verdict from gateway.park_invoices($1, $2, $3, $4)", 4},
    [STORE_RESTORE] =
        {"restore",
         "select ord, verdict"
         "  from gateway.restore_request($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
         "                               $15, $16, $17, $18, $19, $20, $21)",
         21},
    [STORE_TAKE] =
        {"take",
         "select request_id, fence, doing, agency_id, mode, account_id, client_id, product_id,"
         "       collection_method, days_until_due, idempotency_key, planned, generation,"
         "       customer_generation, customer_id, customer_name, customer_email, price_id, amount_minor,"
         "       currency, auto_advance, invoice_id, reason, created_s, old, upstream_version,"
         "       route, convert_from(form, 'UTF8')"
         "  from gateway.take_over($1, $2, $3, $4)",
         4},
    [STORE_READ] = {"read", "select * from gateway.read_invoice($1, $2, $3, $4, $5, $6, $7)", 7},
    [STORE_LIST] = {"list",
                    "select * from gateway.list_invoices($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                    12},
    [STORE_REFRESH] = {"refresh",
                       "select * from gateway.refresh_invoice($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
                       "                                      $12)",
                       12},
    [STORE_USED] = {"used", "select ord, verdict from gateway.keys_used($1, $2)", 2},
    [STORE_COUNT] = {"count", "select unresolved, oldest_s from gateway.count_unresolved()", 0},
    [STATEMENT_CALLS] = {"calls", "select gateway.record_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", 10},
    [STATEMENT_LEASE] =
        {"lease",
         "select gateway.renew_lease($1, $2), current_setting('fsync'), current_setting('full_page_writes')",
         2},
    [STATEMENT_PARTITIONS] = {"partitions", "select gateway.make_partitions(3)", 0},
    [STATEMENT_PURGE] = {"purge", "select gateway.purge_keys($1, 500)", 1},
    [STATEMENT_ROLL_UP] = {"roll_up", "select gateway.roll_up()", 0},
    [STATEMENT_GOODBYE] = {"goodbye", "select gateway.goodbye($1)", 1},
};

#define FIELD(type, structure, member)                                                                       \
    {                                                                                                        \
        COLUMN_##type, offsetof(struct structure, member)                                                    \
    }
#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static const struct column begin_columns[] = {
    FIELD(UUID, store_begin, request_id),
    FIELD(DIGEST, store_begin, key_digest),
    FIELD(TEXT, store_begin, route),
    FIELD(TEXT, store_begin, account_id),
    FIELD(TEXT, store_begin, client_id),
    FIELD(TEXT, store_begin, product_id),
    FIELD(TEXT, store_begin, collection_method),
    FIELD(INT4, store_begin, days_until_due),
    FIELD(TEXT, store_begin, idempotency_key),
    FIELD(DIGEST, store_begin, fingerprint),
    FIELD(INT4, store_begin, refusal_status),
    FIELD(TEXT, store_begin, refusal_reason),
    FIELD(TEXT, store_begin, refusal_detail),
    FIELD(TEXT, store_begin, customer_id),
    FIELD(BYTES, store_begin, form),
    FIELD(TEXT, store_begin, invoice_id),
    FIELD(TEXT, store_begin, api_version),
};

static const struct column plan_columns[] = {
    FIELD(UUID, store_plan, request_id),  FIELD(INT4, store_plan, fence),
    FIELD(TEXT, store_plan, customer_id), FIELD(TEXT, store_plan, product_name),
    FIELD(TEXT, store_plan, price_id),    FIELD(INT8, store_plan, amount_minor),
    FIELD(TEXT, store_plan, currency),    FIELD(BYTES, store_plan, product_object),
};

static const struct column note_columns[] = {
    FIELD(UUID, store_note, request_id),  FIELD(INT4, store_note, fence),      FIELD(TEXT, store_note, state),
    FIELD(TEXT, store_note, doing),       FIELD(TEXT, store_note, invoice_id), FIELD(TEXT, store_note, why),
    FIELD(INT4, store_note, http_status),
};

static const struct column finish_columns[] = {
    FIELD(UUID, store_finish, request_id), FIELD(INT4, store_finish, fence),
    FIELD(TEXT, store_finish, state),      FIELD(TEXT, store_finish, reason),
    FIELD(TEXT, store_finish, detail),     FIELD(INT4, store_finish, http_status),
    FIELD(TEXT, store_finish, invoice_id), FIELD(TEXT, store_finish, status),
    FIELD(TEXT, store_finish, number),     FIELD(INT8, store_finish, amount_minor),
    FIELD(TEXT, store_finish, currency),   FIELD(INT8, store_finish, created_s),
    FIELD(BYTES, store_finish, object),    FIELD(BOOL, store_finish, pin),
    FIELD(BYTES, store_finish, answer),
};

static const struct column park_columns[] = {
    FIELD(UUID, store_park, request_id),
    FIELD(INT4, store_park, fence),
    FIELD(INT4, store_park, delay_ms),
};

static const struct column call_columns[] = {
    FIELD(UUID, store_call, request_id),
    FIELD(INT4, store_call, fence),
    FIELD(TEXT, store_call, step),
    FIELD(INT4, store_call, attempt),
    FIELD(INT8, store_call, started_us),
    FIELD(INT4, store_call, duration_ms),
    FIELD(INT4, store_call, http_status),
    FIELD(TEXT, store_call, outcome),
    FIELD(TEXT, store_call, upstream_request_id),
};

static const struct {
    const struct column *columns;
    int count;
} inputs[STORE_KIND_COUNT] = {
    [STORE_BEGIN] = {begin_columns, COUNT(begin_columns)},
    [STORE_PLAN] = {plan_columns, COUNT(plan_columns)},
    [STORE_NOTE] = {note_columns, COUNT(note_columns)},
    [STORE_FINISH] = {finish_columns, COUNT(finish_columns)},
    [STORE_PARK] = {park_columns, COUNT(park_columns)},
};

static void renew_params(struct params *params, const struct store_task *task)
{
    params_uuid(params, task->in.renew.request_id);
    params_int4(params, task->in.renew.fence);
}

static void withdraw_params(struct params *params, const struct store_task *task)
{
    params_uuid(params, task->in.withdraw.request_id);
    params_int4(params, task->in.withdraw.fence);
}

static void version_param(struct params *params, const struct statement_context *context, struct text version)
{
    params_text(params, version.at ? version : context->upstream_version);
}

static void restore_params(struct params *params, const struct statement_context *context,
                           const struct store_restore *in)
{
    params_uuid(params, in->request_id);
    params_int4(params, in->fence);
    params_int8(params, in->agency_id);
    params_text(params, in->mode);
    params_text(params, in->route);
    params_text(params, in->account_id);
    params_text(params, in->client_id);
    params_text(params, in->product_id);
    params_text(params, in->collection_method);
    params_int4(params, in->days_until_due);
    params_text(params, in->idempotency_key);
    params_text(params, (struct text){(const char *)in->fingerprint, DIGEST_BYTES});
    version_param(params, context, in->upstream_version);
    params_int4(params, in->generation);
    params_text(params, in->customer_id);
    params_text(params, in->price_id);
    params_int8(params, in->amount_minor);
    params_text(params, in->currency);
    params_text(params, in->form);
    params_text(params, in->invoice_id);
}

static void take_params(struct params *params, const struct store_task *task)
{
    params_bool(params, task->again);
    params_bool(params, task->in.take.lapsed);
    params_int4(params, task->in.take.limit);
}

static void read_params(struct params *params, const struct statement_context *context, enum store_kind kind,
                        const struct store_read *in)
{
    params_text(params, (struct text){(const char *)in->key_digest, DIGEST_BYTES});
    params_text(params, in->route);
    params_text(params, in->account_id);
    params_bool(params, in->refused);
    if (kind == STORE_READ) {
        params_text(params, in->invoice_id);
        version_param(params, context, in->version);
        return;
    }
    params_int4(params, in->limit);
    params_text(params, in->customer_id);
    params_text(params, in->status);
    params_int8(params, in->from_s);
    params_int8(params, in->until_s);
    params_text(params, in->after);
    params_text(params, in->before);
}

static void refresh_params(struct params *params, const struct statement_context *context,
                           const struct store_refresh *in)
{
    params_int8(params, in->agency_id);
    params_text(params, in->account_id);
    params_text(params, in->mode);
    params_text(params, in->invoice_id);
    params_int8(params, in->seen_us);
    params_text(params, in->status);
    params_text(params, in->number);
    params_int8(params, in->amount_minor);
    params_text(params, in->currency);
    params_text(params, in->object);
    version_param(params, context, in->version);
}

static void used_params(struct params *params, const struct store_used *in)
{
    static const struct column digest = FIELD(DIGEST, store_used_key, digest);
    params_array_begin(params, COLUMN_DIGEST, in->count);
    for (int i = 0; i < in->count; i++)
        params_array_add(params, &digest, &in->keys[i]);
}

/* The kinds that are no batches: one task, plain parameters. */
static bool single_params(struct params *params, const struct statement_context *context,
                          const struct store_task *task)
{
    if (task->kind == STORE_RENEW)
        renew_params(params, task);
    else if (task->kind == STORE_WITHDRAW)
        withdraw_params(params, task);
    else if (task->kind == STORE_RESTORE)
        restore_params(params, context, &task->in.restore);
    else if (task->kind == STORE_TAKE)
        take_params(params, task);
    else if (task->kind == STORE_REFRESH)
        refresh_params(params, context, &task->in.refresh);
    else if (task->kind == STORE_USED)
        used_params(params, &task->in.used);
    else if (statement_is_read(task->kind))
        read_params(params, context, task->kind, &task->in.read);
    else
        return false;
    return true;
}

bool statement_is_read(enum store_kind kind)
{
    return kind == STORE_READ || kind == STORE_LIST || kind == STORE_REFRESH || kind == STORE_COUNT;
}

bool statement_is_single(enum store_kind kind)
{
    return kind == STORE_RENEW || kind == STORE_WITHDRAW || kind == STORE_RESTORE || kind == STORE_TAKE ||
           kind == STORE_USED || statement_is_read(kind);
}

void statement_params(struct params *params, const struct statement_context *context, enum store_kind kind,
                      struct store_task *const *tasks, int count)
{
    params_reset(params);
    if (kind == STORE_COUNT)
        return;
    params_int8(params, context->worker_id);
    if (single_params(params, context, tasks[0]))
        return;
    if (kind == STORE_BEGIN) {
        params_bool(params, tasks[0]->again);
        params_text(params, context->upstream_version);
    }
    for (int c = 0; c < inputs[kind].count; c++) {
        params_array_begin(params, inputs[kind].columns[c].type, count);
        for (int t = 0; t < count; t++)
            params_array_add(params, &inputs[kind].columns[c], &tasks[t]->in);
    }
}

/* Whether some of the calls may stand in the books already: of a task that is run again, or of a sweep (fence
 * 0), each of which counts its attempts anew. */
static bool may_be_recorded(struct store_task *const *tasks, int count)
{
    for (int t = 0; t < count; t++) {
        if (tasks[t]->again || tasks[t]->errors > 0)
            return true;
        for (const struct store_call *call = tasks[t]->calls; call; call = call->next)
            if (call->fence == 0)
                return true;
    }
    return false;
}

int statement_calls_params(struct params *params, struct store_task *const *tasks, int count)
{
    int calls = 0;
    for (int t = 0; t < count; t++)
        for (const struct store_call *call = tasks[t]->calls; call; call = call->next)
            calls++;
    params_reset(params);
    for (int c = 0; calls > 0 && c < COUNT(call_columns); c++) {
        params_array_begin(params, call_columns[c].type, calls);
        for (int t = 0; t < count; t++)
            for (const struct store_call *call = tasks[t]->calls; call; call = call->next)
                params_array_add(params, &call_columns[c], call);
    }
    if (calls > 0)
        params_bool(params, may_be_recorded(tasks, count));
    return calls;
}
