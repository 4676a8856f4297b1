-- The views that dashboards query, and who may see which of their rows. Columns may be added at the end; none is ever
-- renamed, retyped or removed.
--
-- The views belong to invoicegate_reader, for whom row-level security holds on every table. Its policies ask who is looking:
-- auditors see everything, a dashboard login its own agency, anybody else nothing. Being policies of tables and not
-- conditions in views, they are judged before anything that the asker wrote, and still let indexes give the order of a list.

set role invoicegate_owner;

-- The upstream's bytes as json, or null where they are none: a strange answer must not break a dashboard's query.
create function gateway.try_json(p_bytes bytea) returns json
    language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $$
begin
    return convert_from(p_bytes, 'UTF8')::json;
exception when others then
    return null;
end
$$;

-- Where the ids of a moment begin: "request_id >= audit.id_at(now() - interval '1 day')" finds a day without an index on
-- time and leaves other months' partitions out.
create function audit.id_at(p_at timestamptz) returns uuid
    language sql immutable strict parallel safe
    return (lpad(to_hex(floor(extract(epoch from p_at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
comment on function audit.id_at is 'The smallest request_id of a moment.';

-- ---------------------------------------------------------------------------------------------- who is looking

-- The logins that see one agency. A login that is not here and no auditor sees nothing.
create table gateway.dashboard_logins (
    login       name primary key,
    agency_id   bigint not null references gateway.agencies,
    created_at  timestamptz not null default now()
);

-- One row for whoever asks (a view does not change current_user): the agencies from first to last are visible.
create view gateway.caller as
select who.everything, case when who.everything then 0 else l.agency_id end as first_agency,
       case when who.everything then 9223372036854775807 else l.agency_id end as last_agency
  from (select pg_has_role(current_user, 'invoicegate_auditor', 'usage') as everything) who
  left join gateway.dashboard_logins l on not who.everything and l.login = current_user;

grant select on gateway.caller, gateway.upstreams, gateway.work, gateway.workers, gateway.agencies, gateway.accounts,
                gateway.clients, gateway.members, gateway.customers, gateway.products, gateway.prices,
                gateway.invoice_requests, gateway.invoices, gateway.upstream_calls, gateway.events
   to invoicegate_reader;
grant select (agency_id, key_id, mode, name, hint, accounts, routes, created_at, expires_at, revoked_at, last_used_at)
   on gateway.api_keys to invoicegate_reader;

-- A span, so that an index on agency_id serves both kinds of askers. Its end is a comparison of rows because the planner
-- takes two plain ones for a narrow range, and then sorts where an index has the order of the list already.
create function gateway.show_own_agency(p_table text) returns void
    language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('alter table gateway.%I enable row level security', p_table);
    execute format('create policy own_agency on gateway.%I for select to invoicegate_reader '
                   'using (agency_id >= (select first_agency from gateway.caller) '
                   '       and (agency_id, 0) <= ((select last_agency from gateway.caller), 0))', p_table);
end
$$;

select gateway.show_own_agency(name)
  from unnest(array['agencies', 'accounts', 'clients', 'members', 'customers', 'products', 'prices', 'api_keys',
                    'invoice_requests', 'invoices']) as owned (name);

-- An event of a request may leave its agency to the request. Events of no agency are the operator's.
alter table gateway.events enable row level security;
create policy own_agency on gateway.events for select to invoicegate_reader
    using ((select everything from gateway.caller)
           or coalesce(agency_id, case when about = 'request'
                                       then (select r.agency_id from gateway.invoice_requests r
                                              where r.request_id = events.subject_id) end)
              = (select first_agency from gateway.caller));

-- A call's agency stands with its request. (As a scalar query it stays one look-up a row.)
alter table gateway.upstream_calls enable row level security;
create policy own_agency on gateway.upstream_calls for select to invoicegate_reader
    using ((select everything from gateway.caller)
           or (select r.agency_id from gateway.invoice_requests r where r.request_id = upstream_calls.request_id)
              = (select first_agency from gateway.caller));

grant execute on function gateway.try_json to invoicegate_auditor, invoicegate_dashboard;
grant execute on function audit.id_at to invoicegate_auditor, invoicegate_dashboard;

-- What is needed of the maintenance role beside its name.
grant select, update, delete, truncate on gateway.events, gateway.upstream_calls, gateway.invoice_requests, gateway.invoices
   to invoicegate_maintenance;
create policy maintains on gateway.events to invoicegate_maintenance using (true);
create policy maintains on gateway.upstream_calls to invoicegate_maintenance using (true);
create policy maintains on gateway.invoice_requests to invoicegate_maintenance using (true);
create policy maintains on gateway.invoices to invoicegate_maintenance using (true);

reset role;

-- A query of a page or a month is too short for a compiler's start to pay.
do $$
begin
    execute format('alter role invoicegate_auditor in database %I set jit = off', current_database());
end
$$;

-- ---------------------------------------------------------------------------------------------- the views

set role invoicegate_reader;

create view audit.agencies as
select agency_id, name, created_at
  from gateway.agencies;

comment on view audit.agencies is 'The agencies that use the gateway.';
comment on column audit.agencies.agency_id is 'The agency''s number.';
comment on column audit.agencies.name is 'Its name.';
comment on column audit.agencies.created_at is 'When it was added.';

create view audit.accounts as
select agency_id, account_id, is_default, auto_advance, created_at
  from gateway.accounts;

comment on view audit.accounts is 'The agencies'' connected accounts.';
comment on column audit.accounts.agency_id is 'The agency.';
comment on column audit.accounts.account_id is 'The connected account, as the upstream names it.';
comment on column audit.accounts.is_default is 'Whether requests that name no account mean this one.';
comment on column audit.accounts.auto_advance is 'Whether its invoices finalize by themselves after creation.';
comment on column audit.accounts.created_at is 'When it was added.';

create view audit.clients as
select agency_id, client_id, name, created_at
  from gateway.clients;

comment on view audit.clients is 'The agencies'' clients: who is billed.';
comment on column audit.clients.agency_id is 'The agency.';
comment on column audit.clients.client_id is 'The agency''s own id of the client.';
comment on column audit.clients.name is 'Its name.';
comment on column audit.clients.created_at is 'When it was added.';

create view audit.members as
select agency_id, client_id, member_id, name, email, is_admin, created_at
  from gateway.members;

comment on view audit.members is 'The people of a client. The first admin with an address gives name and address to the upstream customer.';
comment on column audit.members.agency_id is 'The agency.';
comment on column audit.members.client_id is 'The agency''s client.';
comment on column audit.members.member_id is 'The member''s number.';
comment on column audit.members.name is 'The member''s name.';
comment on column audit.members.email is 'Where invoices are sent; null when none is known.';
comment on column audit.members.is_admin is 'Whether the member is an admin of the client.';
comment on column audit.members.created_at is 'When the member was added.';

create view audit.customers as
select c.agency_id, c.client_id, c.account_id, u.mode, c.generation, c.customer_id, c.name, c.email, c.created_at
  from gateway.customers c
  join gateway.upstreams u using (upstream_id);

comment on view audit.customers is 'The upstream customers that stand for clients: one for each client, account and mode, or several after one was gone.';
comment on column audit.customers.agency_id is 'The agency.';
comment on column audit.customers.client_id is 'The agency''s client.';
comment on column audit.customers.account_id is 'The connected account, as the upstream names it.';
comment on column audit.customers.mode is 'live or test.';
comment on column audit.customers.generation is 'Counts from 1; raised when the one before was gone upstream.';
comment on column audit.customers.customer_id is 'The upstream''s id; null until it was made.';
comment on column audit.customers.name is 'The name as sent upstream.';
comment on column audit.customers.email is 'The address as sent upstream.';
comment on column audit.customers.created_at is 'When name and address were frozen.';

create view audit.products as
select p.agency_id, p.account_id, u.mode, p.product_id, p.name, p.active, p.price_id, p.fetched_at,
       gateway.try_json(p.object) as object
  from gateway.products p
  join gateway.upstreams u using (upstream_id);

comment on view audit.products is 'What the upstream last told about the products that were billed.';
comment on column audit.products.agency_id is 'The agency.';
comment on column audit.products.account_id is 'The connected account, as the upstream names it.';
comment on column audit.products.mode is 'live or test.';
comment on column audit.products.product_id is 'The upstream''s id.';
comment on column audit.products.name is 'Its name there.';
comment on column audit.products.active is 'Whether it may be billed.';
comment on column audit.products.price_id is 'The price that an invoice for it would use.';
comment on column audit.products.fetched_at is 'When the upstream told so.';
comment on column audit.products.object is 'The upstream''s whole object; null where its bytes are no JSON.';

create view audit.prices as
select p.agency_id, p.account_id, u.mode, p.price_id, p.product_id, p.unit_amount_minor, p.currency, p.fetched_at
  from gateway.prices p
  join gateway.upstreams u using (upstream_id);

comment on view audit.prices is 'What the upstream last told about the prices that were used.';
comment on column audit.prices.agency_id is 'The agency.';
comment on column audit.prices.account_id is 'The connected account, as the upstream names it.';
comment on column audit.prices.mode is 'live or test.';
comment on column audit.prices.price_id is 'The upstream''s id.';
comment on column audit.prices.product_id is 'The product that it belongs to.';
comment on column audit.prices.unit_amount_minor is 'What one unit costs, in the smallest unit of the currency.';
comment on column audit.prices.currency is 'Three-letter ISO code, lower case.';
comment on column audit.prices.fetched_at is 'When the upstream told so.';

create view audit.keys as
select agency_id, key_id, mode, name, hint, accounts, routes, created_at, expires_at, revoked_at, last_used_at
  from gateway.api_keys;

comment on view audit.keys is 'The agencies'' API keys, without what would open anything.';
comment on column audit.keys.agency_id is 'The agency.';
comment on column audit.keys.key_id is 'The key''s number.';
comment on column audit.keys.mode is 'live or test.';
comment on column audit.keys.name is 'What the operator called it.';
comment on column audit.keys.hint is 'The last four characters, to tell keys apart.';
comment on column audit.keys.accounts is 'The accounts that it is limited to; null: all.';
comment on column audit.keys.routes is 'The routes that it is limited to; null: all.';
comment on column audit.keys.created_at is 'When it was made.';
comment on column audit.keys.expires_at is 'When it ends by itself; null: never.';
comment on column audit.keys.revoked_at is 'When it was revoked; null: it was not.';
comment on column audit.keys.last_used_at is 'When it was last used, as far as that is recorded.';

create view audit.workers as
select w.worker_id, w.host, w.pid, w.build, w.started_at, w.lease_until, w.ended_at
  from gateway.workers w
 where (select everything from gateway.caller);

comment on view audit.workers is 'The starts of worker processes. Dashboard logins of agencies see none.';
comment on column audit.workers.worker_id is 'The number of this start.';
comment on column audit.workers.host is 'The host''s name.';
comment on column audit.workers.pid is 'The process.';
comment on column audit.workers.build is 'The program''s build.';
comment on column audit.workers.started_at is 'When it introduced itself.';
comment on column audit.workers.lease_until is 'Until when nobody takes its requests over.';
comment on column audit.workers.ended_at is 'When it said goodbye; null while it runs, or when it died.';

create view audit.requests as
select request_id, created_at, finished_at, agency_id, account_id, client_id, product_id, route, mode, state, reason,
       http_status, invoice_id, amount_minor, currency, detail, idempotency_key, key_id, customer_id, price_id,
       collection_method, days_until_due
  from gateway.invoice_requests;

comment on view audit.requests is 'Every wish for an invoice that came with a valid key: one row, from its intent to its end.';
comment on column audit.requests.request_id is 'UUID version 7, made by the gateway; the Request-Id of the answer; ordered by time (audit.id_at). Lists of one agency are quicker in the order of created_at.';
comment on column audit.requests.created_at is 'When the intent was committed.';
comment on column audit.requests.finished_at is 'When the request reached created, failed or refused; null while open or unresolved.';
comment on column audit.requests.agency_id is 'The agency whose key was used.';
comment on column audit.requests.account_id is 'The connected account, as the upstream names it.';
comment on column audit.requests.client_id is 'The agency''s client to be billed; null when the body named none that could be one.';
comment on column audit.requests.product_id is 'The upstream product to be billed.';
comment on column audit.requests.route is 'Which call: account_invoices and invoices make an invoice; invoice_update, invoice_finalize, invoice_send, invoice_void and invoiceitems act on one.';
comment on column audit.requests.mode is 'live or test, by the key.';
comment on column audit.requests.state is 'open; unresolved (may exist upstream, being settled); created (of an act on an invoice: it was done); failed (upstream or the gateway gave up); refused (never forwarded).';
comment on column audit.requests.reason is 'Why it failed or was refused, as one stable word.';
comment on column audit.requests.http_status is 'The status that the client was told.';
comment on column audit.requests.invoice_id is 'The upstream invoice; with state failed, a draft that was deleted again. To find a request by it, ask audit.invoices.';
comment on column audit.requests.amount_minor is 'The price of one unit when the plan was frozen; of an invoice that its caller described, its total as the call left it. In the smallest unit of the currency.';
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
comment on column audit.invoices.account_id is 'The connected account, as the upstream names it.';
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
comment on column audit.upstream_calls.step is 'product, prices, customer, invoice, lines, lookup, advance, delete; of acts update, finalize, send, void, invoiceitem or read.';
comment on column audit.upstream_calls.attempt is 'Counts from 1 within a step and a fence.';
comment on column audit.upstream_calls.started_at is 'When the call began, by the worker''s clock.';
comment on column audit.upstream_calls.duration_ms is 'Until the answer was whole or the call was given up.';
comment on column audit.upstream_calls.http_status is 'The upstream''s status; null when there was no answer.';
comment on column audit.upstream_calls.outcome is 'ok; refused (the upstream decided no); retry (it did not happen); unknown (it may have happened).';
comment on column audit.upstream_calls.upstream_request_id is 'The upstream''s own Request-Id, for its support.';
comment on column audit.upstream_calls.fence is 'Raised whenever another worker takes the request over.';

create view audit.events as
select event_id, at, subject_id as request_id, worker_id::text as worker, what, why, agency_id, about
  from gateway.events
 where about = 'request'
 union all
select event_id, at, null, worker_id::text, what, why, agency_id, about
  from gateway.events
 where about <> 'request';

comment on view audit.events is 'History: one row for each change, written in the transaction of the change. Rows are never changed or removed.';
comment on column audit.events.event_id is 'The event''s number; unique within one subject.';
comment on column audit.events.at is 'When its transaction began.';
comment on column audit.events.request_id is 'The request; null for what concerns none.';
comment on column audit.events.worker is 'The worker''s number; null for what an operator did.';
comment on column audit.events.what is 'opened, planned, unresolved, delete_decided, advance_decided, withdrawn, created, done (an act), failed, refused, ...';
comment on column audit.events.why is 'The reason, or what belongs to the event.';
comment on column audit.events.agency_id is 'The agency, where one is concerned.';
comment on column audit.events.about is 'request, agency, account, client, key, migration, maintenance, retention, ...';

create view audit.unfinished as
select r.request_id, r.created_at, extract(epoch from now() - r.created_at)::bigint as age_s, r.agency_id, r.account_id,
       r.client_id, r.product_id, r.mode, r.state, r.reason, r.invoice_id, r.amount_minor, r.currency, w.doing,
       case when w.worker_id <> 0 then w.worker_id::text end as worker, w.take_overs, w.parked_at, w.due_at
  from gateway.work w
  cross join lateral (select * from gateway.invoice_requests r where r.request_id = w.request_id offset 0) r;

comment on view audit.unfinished is 'Requests that are not at their end right now, with their age and who has them.';
comment on column audit.unfinished.request_id is 'The request.';
comment on column audit.unfinished.created_at is 'When the intent was committed.';
comment on column audit.unfinished.age_s is 'How long ago that was, in seconds.';
comment on column audit.unfinished.agency_id is 'The agency.';
comment on column audit.unfinished.account_id is 'The connected account, as the upstream names it.';
comment on column audit.unfinished.client_id is 'The agency''s client.';
comment on column audit.unfinished.product_id is 'The upstream product to be billed.';
comment on column audit.unfinished.mode is 'live or test.';
comment on column audit.unfinished.state is 'open; unresolved: an invoice may exist upstream.';
comment on column audit.unfinished.reason is 'What made it unresolved, or why it is being undone.';
comment on column audit.unfinished.invoice_id is 'The upstream invoice, once it is known.';
comment on column audit.unfinished.amount_minor is 'The price of one unit, in the smallest unit of the currency.';
comment on column audit.unfinished.currency is 'Three-letter ISO code, lower case.';
comment on column audit.unfinished.doing is 'create, delete or advance: what is being done about it.';
comment on column audit.unfinished.worker is 'The worker that has it; null: it was given back and waits.';
comment on column audit.unfinished.take_overs is 'How many workers lost it.';
comment on column audit.unfinished.parked_at is 'Since when it waits for an operator; null: it does not.';
comment on column audit.unfinished.due_at is 'Nobody looks at it before; null: any time.';

create view audit.unresolved as
select request_id, created_at, age_s, agency_id, account_id, client_id, product_id, mode, state, reason, invoice_id,
       amount_minor, currency, doing, worker, take_overs, parked_at, due_at
  from audit.unfinished
 where state = 'unresolved' or parked_at is not null;

comment on view audit.unresolved is 'What is unresolved now: an invoice may exist upstream, or an operator has to look. Empty within two minutes of upstream and database answering, but for what is parked.';
comment on column audit.unresolved.request_id is 'The request.';
comment on column audit.unresolved.created_at is 'When the intent was committed.';
comment on column audit.unresolved.age_s is 'How long ago that was, in seconds.';
comment on column audit.unresolved.agency_id is 'The agency.';
comment on column audit.unresolved.account_id is 'The connected account, as the upstream names it.';
comment on column audit.unresolved.client_id is 'The agency''s client.';
comment on column audit.unresolved.product_id is 'The upstream product to be billed.';
comment on column audit.unresolved.mode is 'live or test.';
comment on column audit.unresolved.state is 'open; unresolved: an invoice may exist upstream.';
comment on column audit.unresolved.reason is 'What made it unresolved, or why it is being undone.';
comment on column audit.unresolved.invoice_id is 'The upstream invoice, once it is known.';
comment on column audit.unresolved.amount_minor is 'The price of one unit, in the smallest unit of the currency.';
comment on column audit.unresolved.currency is 'Three-letter ISO code, lower case.';
comment on column audit.unresolved.doing is 'create, delete or advance: what is being done about it.';
comment on column audit.unresolved.worker is 'The worker that has it; null: it was given back and waits.';
comment on column audit.unresolved.take_overs is 'How many workers lost it.';
comment on column audit.unresolved.parked_at is 'Since when it waits for an operator; null: it does not.';
comment on column audit.unresolved.due_at is 'Nobody looks at it before; null: any time.';
grant select on all tables in schema audit to invoicegate_auditor, invoicegate_dashboard;

reset role;
