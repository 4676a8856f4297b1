-- The views that dashboards query. Columns may be added at the end; none is ever renamed, retyped or removed.

set role invoicegate_owner;

-- The upstream's bytes as json, or null where they are none: a strange answer must not break a dashboard's query.
create function gateway.try_json(p_bytes bytea) returns json
    language plpgsql immutable strict parallel safe
as $$
begin
    return convert_from(p_bytes, 'UTF8')::json;
exception when others then
    return null;
end
$$;

create view audit.requests as
select request_id, created_at, finished_at, agency_id, account_id, client_id, product_id, route, mode, state, reason,
       http_status, invoice_id, amount_minor, currency, detail, idempotency_key, key_id, customer_id, price_id,
       collection_method, days_until_due
  from gateway.invoice_requests;

comment on view audit.requests is 'Every wish for an invoice that came with a valid key: one row, from its intent to its end.';
comment on column audit.requests.request_id is 'UUID version 7, made by the gateway; the Request-Id of the answer; ordered by time.';
comment on column audit.requests.created_at is 'When the intent was committed.';
comment on column audit.requests.finished_at is 'When the request reached created, failed or refused; null while open or unresolved.';
comment on column audit.requests.agency_id is 'The agency whose key was used.';
comment on column audit.requests.account_id is 'The connected account, as the upstream names it.';
comment on column audit.requests.client_id is 'The agency''s client to be billed; null when the body named none that could be one.';
comment on column audit.requests.product_id is 'The upstream product to be billed.';
comment on column audit.requests.route is 'Which call: account_invoices.';
comment on column audit.requests.mode is 'live or test, by the key.';
comment on column audit.requests.state is 'open; unresolved (may exist upstream, being settled); created; failed (upstream or the gateway gave up); refused (never forwarded).';
comment on column audit.requests.reason is 'Why it failed or was refused, as one stable word.';
comment on column audit.requests.http_status is 'The status that the client was told.';
comment on column audit.requests.invoice_id is 'The upstream invoice; with state failed, a draft that was deleted again.';
comment on column audit.requests.amount_minor is 'The price of one unit when the plan was frozen, in the smallest unit of the currency.';
comment on column audit.requests.currency is 'Three-letter ISO code, lower case.';
comment on column audit.requests.detail is 'The sentence that belongs to the reason, where there is one.';
comment on column audit.requests.idempotency_key is 'The client''s Idempotency-Key, if it sent one.';
comment on column audit.requests.key_id is 'The API key that was used, by its number.';
comment on column audit.requests.customer_id is 'The upstream customer of the plan.';
comment on column audit.requests.price_id is 'The upstream price of the plan.';
comment on column audit.requests.collection_method is 'charge_automatically or send_invoice; null when the body was refused.';
comment on column audit.requests.days_until_due is 'With send_invoice: days until the invoice is due.';

create view audit.invoices as
select invoice_id, request_id, agency_id, account_id, client_id, customer_id, status, number, amount_minor, currency,
       mode, created_at, gateway.try_json(object) as object, refreshed_at
  from gateway.invoices
 where status is distinct from 'deleted';

comment on view audit.invoices is 'Every invoice that stands upstream because of the gateway. Drafts that it deleted again are told by audit.requests and audit.events.';
comment on column audit.invoices.invoice_id is 'The upstream''s id.';
comment on column audit.invoices.request_id is 'The request that made it.';
comment on column audit.invoices.agency_id is 'The agency.';
comment on column audit.invoices.account_id is 'The connected account.';
comment on column audit.invoices.client_id is 'The agency''s client.';
comment on column audit.invoices.customer_id is 'The upstream customer.';
comment on column audit.invoices.status is 'draft, open, paid, void or uncollectible, as last seen.';
comment on column audit.invoices.number is 'The invoice number; null for drafts.';
comment on column audit.invoices.amount_minor is 'The invoice''s total in the smallest unit of the currency.';
comment on column audit.invoices.currency is 'Three-letter ISO code, lower case.';
comment on column audit.invoices.mode is 'live or test.';
comment on column audit.invoices.created_at is 'The upstream''s time of creation.';
comment on column audit.invoices.object is 'The upstream''s whole invoice object as last seen; null where its bytes are no JSON.';
comment on column audit.invoices.refreshed_at is 'When the object was last seen.';

create view audit.upstream_calls as
select request_id, step, attempt, started_at, duration_ms, http_status, outcome, upstream_request_id, fence
  from gateway.upstream_calls;

comment on view audit.upstream_calls is 'Every HTTP call made upstream for a request.';
comment on column audit.upstream_calls.request_id is 'The request.';
comment on column audit.upstream_calls.step is 'product, prices, customer, invoice, lines, check, advance or delete.';
comment on column audit.upstream_calls.attempt is 'Counts from 1 within a step and a fence.';
comment on column audit.upstream_calls.started_at is 'When the call began, by the worker''s clock.';
comment on column audit.upstream_calls.duration_ms is 'Until the answer was whole or the call was given up.';
comment on column audit.upstream_calls.http_status is 'The upstream''s status; null when there was no answer.';
comment on column audit.upstream_calls.outcome is 'ok; refused (the upstream decided no); retry (it did not happen); unknown (it may have happened).';
comment on column audit.upstream_calls.upstream_request_id is 'The upstream''s own Request-Id, for its support.';
comment on column audit.upstream_calls.fence is 'Raised whenever another worker takes the request over.';

create view audit.events as
select event_id, at, case when about = 'request' then subject_id end as request_id, worker_id::text as worker, what,
       why, agency_id, about
  from gateway.events;

comment on view audit.events is 'History: one row for each change, written in the transaction of the change.';
comment on column audit.events.event_id is 'Grows with time within one subject.';
comment on column audit.events.at is 'When its transaction began.';
comment on column audit.events.request_id is 'The request; null for what concerns none.';
comment on column audit.events.worker is 'The worker''s number; null for what an operator did.';
comment on column audit.events.what is 'opened, planned, unresolved, delete_decided, advance_decided, created, failed, refused, ...';
comment on column audit.events.why is 'The reason, or what belongs to the event.';
comment on column audit.events.agency_id is 'The agency, where one is concerned.';
comment on column audit.events.about is 'request, agency, account, client, key, ...';

grant select on all tables in schema audit to invoicegate_auditor;
grant usage on schema gateway to invoicegate_auditor;
grant execute on function gateway.try_json to invoicegate_auditor;

reset role;
