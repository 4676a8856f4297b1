/* What erasing a client's personal data would touch. Looks only. */
#include <stdio.h>

#include "ctl/client.h"
#include "ctl/output.h"
#include "ctl/table.h"

/* Each place where a person's name or address can stand, how many rows there, and what would become of them.
 * Frozen customers wait while a request may still send their bytes again. */
static const char places_sql[] = {
    "with mine as materialized ("
    "    select request_id, agency_id, client_id, account_id, mode, route, idempotency_key, state, "
    "invoice_id "
    "    from gateway.invoice_requests where agency_id = $1 and client_id = $2"
    "), busy as ("
    "    select exists (select from mine where state in ('open', 'unresolved')) "
    "        or exists (select from mine join gateway.work using (request_id)) as yes"
    ") "
    "select 'members' as place, 'names and e-mail addresses' as holds, count(*) as rows, 'erased' as fate, "
    "       'nothing depends on them once a customer is frozen' as why "
    "from gateway.members where agency_id = $1 and client_id = $2 "
    "union all "
    "select 'clients', 'the client''s name', count(*), 'erased', 'the id stays: requests and invoices point "
    "to it' "
    "from gateway.clients where agency_id = $1 and client_id = $2 "
    "union all "
    "select 'customers', 'name and address as sent upstream', count(*), "
    "       case when (select yes from busy) then 'waits' else 'erased' end, "
    "       case when (select yes from busy) then 'requests under way must send the same bytes again' "
    "            else 'the upstream''s ids stay' end "
    "from gateway.customers where agency_id = $1 and client_id = $2 "
    "union all "
    "select 'upstream customers', 'the same at the upstream', count(*), 'stays', "
    "       'delete them there: the gateway does not' "
    "from gateway.customers where agency_id = $1 and client_id = $2 and customer_id is not null "
    "union all "
    "select 'idempotency_keys', 'answers kept for replay', count(*), "
    "       case when bool_or(k.ended_at is null) then 'waits' else 'erased' end, "
    "       case when bool_or(k.ended_at is null) then 'requests under way hold their keys' "
    "            else 'a replay of these keys would be a new request' end "
    "from mine join gateway.idempotency_keys k using (agency_id, account_id, mode, route, idempotency_key) "
    "union all "
    "select 'invoices', 'the upstream''s objects, with name and address', count(*), 'stays', "
    "       'the books: amounts and addressees of invoices are kept by law' "
    "from gateway.invoices where agency_id = $1 and client_id = $2 and status is distinct from 'deleted' "
    "union all "
    "select 'deleted drafts', 'the upstream''s objects, with name and address', count(object), 'erased', "
    "       'no invoice came of them; id and amount stay' "
    "from gateway.invoices where agency_id = $1 and client_id = $2 and status = 'deleted' "
    "union all "
    "select 'invoice_requests', 'ids and amounts, parameters as the caller sent them', count(*), 'stays', "
    "       'the books: which request made which invoice' "
    "from mine "
    "union all "
    "select 'events', 'ids and reasons', count(*), 'stays', 'the history names no person' "
    "from mine join gateway.events e on e.subject_id = mine.request_id"};

static const struct column columns[] = {
    {"place", "where", CELL_TEXT, false}, {"holds", "what", CELL_TEXT, true},
    {"rows", "rows", CELL_NUMBER, false}, {"fate", "fate", CELL_STATE, false},
    {"why", "why", CELL_TEXT, true},      COLUMNS_END,
};

enum ctl_exit client_erase_preview(struct ctl *ctl)
{
    int64_t agency_id;
    enum ctl_exit end = client_required(ctl, ctl->arguments[0], &agency_id);
    if (end != CTL_DONE)
        return end;
    PGresult *rows = DB_QUERY(&ctl->db, places_sql, db_int(agency_id), db_text(ctl->arguments[0]));
    return list_print(ctl, rows, columns, "");
}
