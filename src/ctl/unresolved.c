/* Requests that are not at their end though they should be. */
#include "ctl/commands.h"
#include "ctl/options.h"
#include "ctl/table.h"

static const struct column columns[] = {
    {"request_id", "request_id", CELL_TEXT, false}, {"state", "state", CELL_STATE, false},
    {"age_s", "age (s)", CELL_NUMBER, false},       {"doing", "doing", CELL_TEXT, false},
    {"standing", "standing", CELL_TEXT, true},      {"reason", "reason", CELL_TEXT, true},
    {"last_call", "last call", CELL_TEXT, true},    {"take_overs", "take-overs", CELL_NUMBER, false},
    {"agency_id", "agency", CELL_NUMBER, false},    {"account_id", "account_id", CELL_TEXT, true},
    {"client_id", "client_id", CELL_TEXT, true},    {"mode", "mode", CELL_TEXT, false},
    {"invoice_id", "invoice_id", CELL_TEXT, false}, COLUMNS_END,
};

/* A young request that is simply being worked on is not listed without --all. */
static const char sql[] = {
    "select w.request_id, r.created_at, r.agency_id, r.account_id, r.client_id, r.mode, r.state, r.reason, "
    "       r.invoice_id, w.doing, "
    "       case when w.parked_at is not null then 'parked for an operator' "
    "            when k.worker_id is null and w.due_at > now() then 'waits for its next look at ' || "
    "                 to_char(w.due_at at time zone 'UTC', 'HH24:MI:SS') "
    "            when k.worker_id is null then 'waits for a worker' "
    "            when k.ended_at is not null or k.lease_until < now() then 'its worker is gone; waits for "
    "another' "
    "            else 'worker ' || w.worker_id || ' has it' end as standing, "
    "       c.step || ': ' || c.outcome || coalesce(' ' || c.http_status, '') as last_call, "
    "       w.worker_id, w.fence, w.take_overs, w.parked_at, w.due_at, "
    "       extract(epoch from now() - r.created_at)::bigint as age_s "
    "from gateway.work w "
    "left join gateway.invoice_requests r using (request_id) "
    "left join gateway.workers k using (worker_id) "
    "left join lateral (select step, outcome, http_status from gateway.upstream_calls c "
    "       where c.request_id = w.request_id order by started_at desc limit 1) c on true "
    "where $1 or r.state is null or r.state = 'unresolved' or w.parked_at is not null or w.doing <> 'create' "
    "      or r.created_at < now() - interval '2 minutes' "
    "order by w.request_id"};

static enum ctl_exit unresolved(struct ctl *ctl)
{
    if (!db_open(&ctl->db))
        return CTL_DATABASE;
    PGresult *rows = DB_QUERY(&ctl->db, sql, db_bool(option_given(ctl, "all")));
    return list_print(ctl, rows, columns, "nothing is unresolved");
}

static const struct option options[] = {
    {"all", NULL, "also what is being worked on right now", NULL, false, false},
    OPTIONS_END,
};

const struct command unresolved_commands[] = {
    {"unresolved", NULL, "", 0, 0, "list requests whose outcome is unknown, overdue or parked, oldest first",
     "Within two minutes of upstream and database answering this list is empty, but for what is parked.",
     options,
     "  invoicegatectl unresolved\n"
     "  invoicegatectl unresolved --all --json | jq '.data | length'\n",
     unresolved},
    COMMANDS_END,
};
