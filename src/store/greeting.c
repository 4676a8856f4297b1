#include "store/greeting.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/internal.h"

static bool send_hello(struct lane *lane)
{
    const struct store_settings *settings = lane->store->settings;
    char host[256] = "";
    static const Oid types[9] = {25, 23, 25, 21, 25, 25, 16, 16, 23};
    const char *values[9];
    int lengths[9], formats[9];
    struct params *params = &lane->params;
    if (gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    params_reset(params);
    params_text(params, text_from(host));
    params_int4(params, (int32_t)getpid());
    params_text(params, text_from(settings->build));
    params_int2(params, (int16_t)settings->recipe);
    params_text(params, text_from(settings->upstream_url));
    params_text(params, text_from(settings->upstream_platform));
    params_bool(params, settings->serves[MODE_LIVE]);
    params_bool(params, settings->serves[MODE_TEST]);
    params_int4(params, settings->lease_ms);
    if (params->failed)
        return false;
    params->starts[params->count] = params->used;
    for (int i = 0; i < params->count; i++) {
        values[i] = params->bytes + params->starts[i];
        lengths[i] = (int)(params->starts[i + 1] - params->starts[i]);
        formats[i] = 1;
    }
    return PQsendQueryParams(lane->connection, statement_hello, 9, types, values, lengths, formats, 0) == 1;
}

static bool send_greeting(struct lane *lane)
{
    static const Oid type = 16;
    const char unsafe = lane->store->settings->allow_unsafe;
    const char *value = &unsafe;
    const int length = 1, format = 1;
    return PQsendQueryParams(lane->connection, statement_greeting, 1, &type, &value, &length, &format, 0) ==
           1;
}

bool greeting_send(struct lane *lane)
{
    bool sent = send_greeting(lane);
    lane->batch.runs[0] = (struct run){0};
    lane->batch.run_count = 1;
    if (sent && lane->store->worker_id == 0) {
        lane->batch.runs[lane->batch.run_count++] = (struct run){0};
        sent = send_hello(lane);
    }
    for (int i = 0; sent && i < STATEMENT_COUNT; i++)
        sent = PQsendPrepare(lane->connection, statements[i].name, statements[i].sql, 0, NULL) == 1;
    return sent && PQpipelineSync(lane->connection) == 1;
}

static bool several_hosts(PGconn *connection)
{
    PQconninfoOption *options = PQconninfo(connection);
    bool several = false;
    for (PQconninfoOption *option = options; option && option->keyword; option++)
        if ((strcmp(option->keyword, "host") == 0 || strcmp(option->keyword, "hostaddr") == 0) &&
            option->val && strchr(option->val, ','))
            several = true;
    PQconninfoFree(options);
    return several;
}

static bool text_equals(const PGresult *result, int column, const char *expected)
{
    return text_is(row_text(result, 0, column), text_from(expected));
}

/* fsync and full_page_writes stand in this column and the next. */
static const char *crash_problem(const PGresult *facts, int column)
{
    if (!text_equals(facts, column, "on"))
        return "the database server runs with fsync = off and may lose confirmed invoices: set it to on";
    if (!text_equals(facts, column + 1, "on"))
        return "the database server runs with full_page_writes = off and may lose confirmed invoices: set it "
               "to on";
    return NULL;
}

/* Columns as statement_greeting selects them. */
static const char *durability_problem(struct lane *lane, const PGresult *facts)
{
    if (text_equals(facts, 2, "t") || text_equals(facts, 3, "on"))
        return "the database server is a standby or read-only: give the address of the primary in "
               "INVOICEGATE_DATABASE";
    if (lane->store->settings->allow_unsafe)
        return NULL;
    const char *problem = crash_problem(facts, 0);
    if (problem)
        return problem;
    if (several_hosts(lane->connection) && text_equals(facts, 4, ""))
        return "INVOICEGATE_DATABASE names several hosts, but the server has no synchronous_standby_names: a "
               "failover would lose invoices";
    return NULL;
}

const char *greeting_problem(struct lane *lane)
{
    PGresult *facts = lane->batch.runs[0].result;
    PGresult *hello = lane->batch.run_count > 1 ? lane->batch.runs[1].result : NULL;
    const char *problem = "the database server did not tell its settings";
    if (facts && PQntuples(facts) == 1)
        problem = durability_problem(lane, facts);
    if (!problem && lane->batch.run_count > 1) {
        int64_t number = hello && PQntuples(hello) == 1 ? row_int8(hello, 0, 0) : STORE_NULL64;
        if (number == STORE_NULL64)
            problem = "the database did not give this worker its number";
        /* Two lanes may greet at once: the first number stays, the other incarnation never holds anything. */
        else if (lane->store->worker_id == 0)
            lane->store->worker_id = number;
    }
    return problem;
}

const char *greeting_lapsed(const struct lane *lane)
{
    for (int i = 0; i < lane->batch.run_count && !lane->store->settings->allow_unsafe; i++) {
        const struct run *run = &lane->batch.runs[i];
        if (run->statement == STATEMENT_LEASE && run->result && PQntuples(run->result) == 1)
            return crash_problem(run->result, 1);
    }
    return NULL;
}
