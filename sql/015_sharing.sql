-- What others see and what acts leave behind: agencies that share an account, callers of other interface versions, drafts
-- that somebody deleted upstream, acts of which it is not certain what they did.

set role invoicegate_owner;

-- The version of the upstream's interface that object is in, or 'expanded' where its caller had parts of it spelled out:
-- for another caller it is fetched anew. Null: not known.
alter table gateway.invoices add column shape text;

-- Whose a customer is, whichever agency asks.
create index customers_by_id on gateway.customers (customer_id, account_id);
drop index gateway.customers_by_customer;

-- Authenticates, resolves, refuses or freezes, and records the intent, in one commit.
-- Route account_invoices asks for an invoice for a client and a product; the other routes are calls of the upstream's own
-- interface: p_form is sent as it is, p_invoice_id is the invoice that an act is about, p_api_version the caller's wish.
-- Agencies may share a connected account: a customer that is another agency's client is unknown to this one.
-- The order of the refusals is the order of the branches below. Refusals of strangers are not stored.
-- p_again: this batch of one may have been committed before.
create or replace function gateway.begin_invoices(
    p_worker bigint, p_again boolean, p_version text, p_request_id uuid[], p_key_digest bytea[], p_route text[],
    p_account_id text[], p_client_id text[], p_product_id text[], p_collection_method text[], p_days_until_due integer[],
    p_idempotency_key text[], p_fingerprint bytea[], p_refusal_status integer[], p_refusal_reason text[],
    p_refusal_detail text[], p_customer_id text[] default null, p_form bytea[] default null,
    p_invoice_id text[] default null, p_api_version text[] default null)
    returns setof gateway.begin_verdict
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
    set enable_bitmapscan = off
as $$
declare
    v_live     integer;
    v_test     integer;
    v_recipe   smallint;
    v_locked   boolean[];
    v_missing  boolean;
    v_refused  boolean;
    v_keyed    boolean := array_remove(p_idempotency_key, null) <> '{}';
    v_verdicts gateway.begin_verdict[];
    v_verdict  gateway.begin_verdict;
begin
    if p_again then
        v_verdict := gateway.begun_before(p_worker, p_request_id[1]);
        if v_verdict.verdict is not null then
            -- Others had it meanwhile: it has come back under another fence, to another job.
            if exists (select from gateway.work w where w.request_id = p_request_id[1] and w.fence > 1) then
                v_verdict.verdict := 'stale';
            end if;
            return next v_verdict;
            return;
        end if;
    end if;
    select live_upstream, test_upstream, recipe into strict v_live, v_test, v_recipe
      from gateway.workers where worker_id = p_worker;

    if array_position(p_account_id, null) is not null then
        p_account_id := gateway.effective_accounts(p_key_digest, p_account_id);
    end if;

    -- An idempotency key's scope is locked before it is looked at, in key order, without waiting for anybody. It is the
    -- agency's own: what others send cannot be in its way.
    if v_keyed then
        select array_agg(locked order by ord) into v_locked
          from (select ord, pg_try_advisory_xact_lock(scope) as locked
                  from (select i.ord, hashtextextended(k.agency_id || ' ' || coalesce(i.account, '') || ' ' || i.route
                                                       || ' ' || i.key, 0) as scope
                          from unnest(p_account_id, p_route, p_idempotency_key, p_key_digest) with ordinality
                            as i (account, route, key, digest, ord)
                          left join gateway.api_keys k on i.key is not null and k.digest = i.digest
                         order by scope nulls last
                        offset 0) ordered) taken;
    end if;

    with item as (
        select *
          from unnest(p_request_id, p_key_digest, p_route, p_account_id, p_client_id, p_product_id,
                      p_collection_method, p_days_until_due, p_idempotency_key, p_fingerprint, p_refusal_status,
                      p_refusal_reason, p_refusal_detail, p_customer_id, p_form, p_invoice_id, p_api_version)
               with ordinality
            as i (request_id, key_digest, route, account_id, client_id, product_id, collection_method, days_until_due,
                  idempotency_key, fingerprint, refusal_status, refusal_reason, refusal_detail, named_customer, form,
                  invoice_id, api_version, ord)
    ), known as (
        select i.*, i.route = 'account_invoices' as plain, k.agency_id, k.key_id, k.mode, k.accounts, k.routes,
               case k.mode when 'live' then v_live when 'test' then v_test end as upstream_id,
               a.account_id is not null as account_known, a.auto_advance,
               c.client_id is not null as client_known
          from item i
          left join gateway.api_keys k
            on k.digest = i.key_digest
           and k.revoked_at is null
           and (k.expires_at is null or k.expires_at > now())
          left join gateway.accounts a on a.agency_id = k.agency_id and a.account_id = i.account_id
          left join gateway.clients c on c.agency_id = k.agency_id and c.client_id = i.client_id
    ), resolved as (
        select n.*, m.name as admin_name, m.email as admin_email,
               cu.generation as customer_generation, cu.customer_id, cu.name as customer_name,
               cu.email as customer_email,
               p.price_id, pr.unit_amount_minor, pr.currency,
               ik.request_id as earlier_request, ik.fingerprint as earlier_fingerprint, ik.ended_at,
               ik.http_status as earlier_status, ik.answer,
               coalesce(v.client_id, case when own.agency_id = n.agency_id then own.client_id end, n.client_id)
               as owner_id,
               own.agency_id <> n.agency_id as customer_of_others,
               coalesce(v.customer_id, n.named_customer) as their_customer,
               n.invoice_id is null or v.invoice_id is not null as invoice_known,
               n.idempotency_key is not null
               and row_number() over (partition by n.agency_id, n.account_id, n.mode, n.route, n.idempotency_key
                                      order by n.ord) > 1 as repeated
          from known n
          left join lateral (
                select m.name, m.email
                  from gateway.members m
                 where m.agency_id = n.agency_id and m.client_id = n.client_id and m.is_admin
                 order by m.email is null, m.member_id
                 limit 1) m on n.client_known
          left join lateral (
                select cu.generation, cu.customer_id, cu.name, cu.email
                  from gateway.customers cu
                 where cu.agency_id = n.agency_id and cu.client_id = n.client_id and cu.account_id = n.account_id
                   and cu.upstream_id = n.upstream_id
                 order by cu.generation desc
                 limit 1) cu on n.client_known
          left join lateral (
                select o.agency_id, o.client_id
                  from gateway.customers o
                 where n.named_customer is not null and o.customer_id = n.named_customer
                   and o.account_id = n.account_id and o.upstream_id = n.upstream_id
                 order by o.agency_id <> n.agency_id
                 limit 1) own on true
          left join lateral (
                select v.invoice_id, v.client_id, v.customer_id
                  from gateway.invoices v
                 where n.invoice_id is not null and v.invoice_id = n.invoice_id and v.agency_id = n.agency_id
                   and v.account_id = n.account_id and v.mode = n.mode and v.upstream_id = n.upstream_id
                   and v.status is distinct from 'deleted'
                 limit 1) v on true
          left join gateway.products p
            on p.agency_id = n.agency_id and p.account_id = n.account_id and p.upstream_id = n.upstream_id
           and p.product_id = n.product_id and p.fetched_at > clock_timestamp() - interval '60 s'
          left join gateway.prices pr
            on pr.agency_id = n.agency_id and pr.account_id = n.account_id and pr.upstream_id = n.upstream_id
           and pr.price_id = p.price_id
          left join lateral (
                select ik.request_id, ik.fingerprint, ik.ended_at, ik.http_status, ik.answer
                  from gateway.idempotency_keys ik
                 where n.idempotency_key is not null and ik.agency_id = n.agency_id and ik.account_id = n.account_id
                   and ik.mode = n.mode and ik.route = n.route and ik.idempotency_key = n.idempotency_key
                 limit 1) ik on true
    ), judged as (
        select r.*,
               case when r.agency_id is null then 'key_invalid'
                    when r.upstream_id is null then 'mode_not_served'
                    when r.accounts is not null and r.account_id <> all (r.accounts) then 'out_of_scope'
                    when r.routes is not null and r.route <> all (r.routes) then 'out_of_scope'
                    when r.refusal_status <> 0 then r.refusal_reason
                    when r.idempotency_key is not null and not v_locked[r.ord] then 'in_flight'
                    when r.earlier_fingerprint <> r.fingerprint then 'key_reused'
                    when r.earlier_request is not null and r.ended_at is null then 'in_flight'
                    when r.earlier_request is not null then 'replay'
                    when r.repeated then 'in_flight'
                    when r.account_id is null then 'no_default_account'
                    when not r.account_known then 'account_unknown'
                    when not r.invoice_known then 'invoice_unknown'
                    when r.customer_of_others then 'customer_unknown'
                    when not r.plain then null
                    when not r.client_known then 'client_unknown'
                    when r.admin_name is null then 'no_admin_member'
                    when r.collection_method = 'send_invoice' and r.admin_email is null then 'admin_without_email'
               end as reason
          from resolved r
    ), decided as (
        select j.*, j.reason is null as go,
               j.plain and j.reason is null
               and (j.customer_generation is null
                    or j.collection_method = 'send_invoice' and j.customer_email is null) as customer_missing,
               case when j.reason = 'key_reused' and not j.plain then 400 else
               case j.reason
                    when 'key_invalid' then 401
                    when 'mode_not_served' then 403
                    when 'out_of_scope' then 403
                    when 'in_flight' then 409
                    when 'key_reused' then 422
                    when 'no_default_account' then 400
                    when 'account_unknown' then 404
                    when 'invoice_unknown' then 404
                    when 'customer_unknown' then 404
                    when 'client_unknown' then 404
                    when 'no_admin_member' then 400
                    when 'admin_without_email' then 400
                    when 'replay' then j.earlier_status
                    else nullif(j.refusal_status, 0)
               end end as http_status
          from judged j
    ), frozen as (
        select d.*,
               case when d.customer_missing then coalesce(d.customer_generation, 0) + 1
                    else d.customer_generation end as frozen_generation,
               case when not d.plain then d.their_customer
                    when not d.customer_missing then d.customer_id end as frozen_customer,
               d.go and (not d.plain
                         or not d.customer_missing and d.customer_id is not null and d.currency is not null) as planned
          from decided d
    ), intent as (
        insert into gateway.invoice_requests (
               request_id, agency_id, key_id, route, mode, upstream_id, account_id, client_id, product_id,
               collection_method, days_until_due, idempotency_key, fingerprint, created_at, recipe, upstream_version,
               customer_generation, customer_id, price_id, amount_minor, currency, auto_advance, form, planned_at,
               state, reason, detail, http_status, invoice_id, finished_at)
        select request_id, agency_id, key_id, route, mode, upstream_id, coalesce(account_id, ''), owner_id, product_id,
               collection_method, days_until_due, idempotency_key, fingerprint, now(), v_recipe,
               coalesce(api_version, p_version),
               case when go then frozen_generation end, case when go then frozen_customer end,
               case when go then price_id end, case when go then unit_amount_minor end, case when go then currency end,
               coalesce(go and plain and auto_advance, false), form, case when planned then now() end,
               case when go then 'open' else 'refused' end, reason, refusal_detail, http_status,
               case when go then invoice_id end, case when not go then now() end
          from frozen
         where go or reason not in ('key_invalid', 'mode_not_served', 'in_flight', 'replay')
    ), hold as (
        insert into gateway.work (request_id, worker_id) select request_id, p_worker from frozen where go
    ), history as (
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        select request_id, agency_id, p_worker, case when go then 'opened' else 'refused' end, reason
          from frozen
         where go or reason not in ('key_invalid', 'mode_not_served', 'in_flight', 'replay')
    )
    select array_agg(row (
               ord, case when go then 'go'
                         when reason = 'replay' then 'replay'
                         when reason = 'key_invalid' then 'unauthorized'
                         when reason = 'in_flight' and p_again and not v_locked[ord] then 'busy'
                         else 'refused' end,
               http_status, reason, agency_id, mode, planned, 1, frozen_generation, frozen_customer,
               case when customer_missing then admin_name else customer_name end,
               case when customer_missing then admin_email else customer_email end,
               price_id, unit_amount_minor, currency, plain and auto_advance, days_until_due,
               case when reason = 'replay' then earlier_request end,
               case when reason = 'replay' then answer end, account_id, owner_id)::gateway.begin_verdict order by ord),
           bool_or(customer_missing), bool_or(not go)
      into v_verdicts, v_missing, v_refused
      from frozen;

    -- What most batches do not need stands apart: it would cost each of them its preparation.
    if v_keyed then
        insert into gateway.idempotency_keys (
               agency_id, account_id, mode, route, idempotency_key, fingerprint, request_id)
        select v.agency_id, v.account_id, v.mode, p_route[v.ord], p_idempotency_key[v.ord], p_fingerprint[v.ord],
               p_request_id[v.ord]
          from unnest(v_verdicts) v
         where v.verdict = 'go' and p_idempotency_key[v.ord] is not null
         order by 1, 2, 3, 4, 5;
    end if;
    if v_refused then
        insert into gateway.tallies (request_id, begun_at, agency_id, amount_minor, account_id, mode, currency, state,
                                     reason)
        select p_request_id[v.ord], now(), v.agency_id, 0, coalesce(v.account_id, ''), v.mode, '', 'refused', v.reason
          from unnest(v_verdicts) v
         where v.verdict = 'refused' and gateway.makes_invoice(p_route[v.ord])
           and v.reason not in ('mode_not_served', 'in_flight');
    end if;
    if v_missing then
        v_verdicts := gateway.freeze_customers(v_recipe, p_account_id, p_client_id, v_live, v_test, v_verdicts);
    end if;
    return query select * from unnest(v_verdicts);
end
$$;

-- The end of a request. state is created, failed or refused. p_pin: the answer belongs to the client's key for good;
-- otherwise the key is released to a new request.
-- Verdicts: done; stale (somebody else has it or ended it, in which case state tells how); missing (no such request:
-- a failover lost it). What the members carry travels from each part to the next, so that nothing is joined by hand.
create or replace function gateway.finish_invoices(
    p_worker bigint, p_request_id uuid[], p_fence integer[], p_state text[], p_reason text[], p_detail text[],
    p_http_status integer[], p_invoice_id text[], p_status text[], p_number text[], p_amount_minor bigint[],
    p_currency text[], p_created_s bigint[], p_object bytea[], p_pin boolean[], p_answer bytea[])
    returns table (ord integer, verdict text, state text, http_status integer)
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
    set enable_bitmapscan = off
as $$
declare
    v_ids   uuid[] := (select array_agg(id order by id) from unnest(p_request_id) as ids (id));
    v_first uuid := v_ids[1];
    v_last  uuid := v_ids[cardinality(v_ids)];
    v_done  integer[];
    v_keyed boolean;
    v_acts  boolean;
    v_lost  boolean;
begin
    with held as (
        delete from gateway.work w
         using unnest(p_request_id, p_fence, p_state, p_reason, p_detail, p_http_status, p_invoice_id, p_status,
                      p_number, p_amount_minor, p_currency, p_created_s, p_object, p_pin, p_answer) with ordinality
            as i (request_id, fence, state, reason, detail, http_status, invoice_id, status, number, amount_minor,
                  currency, created_s, object, pin, answer, ord)
         where w.request_id = i.request_id and w.worker_id = p_worker and w.fence = i.fence
        returning i.*
    ), ended as (
        update gateway.invoice_requests r
           set state = h.state, reason = h.reason, detail = h.detail,
               http_status = coalesce(r.http_status, h.http_status),
               invoice_id = coalesce(h.invoice_id, r.invoice_id), finished_at = now(), finished_fence = h.fence,
               amount_minor = coalesce(r.amount_minor, h.amount_minor), currency = coalesce(r.currency, h.currency)
          from held h
         where r.request_id = h.request_id and r.request_id between v_first and v_last
        returning h.request_id, h.state, h.reason, h.http_status, h.invoice_id, h.status, h.number, h.amount_minor,
                  h.currency, h.created_s, h.object, h.pin, h.answer, h.ord, r.agency_id, r.account_id, r.mode,
                  r.route, r.upstream_id, r.client_id, r.customer_id, r.idempotency_key, r.created_at as begun_at,
                  r.amount_minor as planned_minor, r.currency as planned_currency,
                  case when position('expand' in r.form) > 0 then 'expanded' else r.upstream_version end as shape
    ), counted as (
        insert into gateway.tallies (request_id, begun_at, agency_id, amount_minor, took_ms, account_id, mode, currency,
                                     state, reason)
        select e.request_id, e.begun_at, e.agency_id, coalesce(e.planned_minor, 0),
               least(extract(epoch from now() - e.begun_at) * 1000, 2147483647), e.account_id, e.mode,
               coalesce(e.planned_currency, ''), e.state,
               case when e.state = 'created' then '' else coalesce(e.reason, '') end
          from ended e
         where gateway.makes_invoice(e.route)
    ), made as (
        insert into gateway.invoices as v (agency_id, account_id, mode, upstream_id, invoice_id, request_id, client_id,
               customer_id, status, number, amount_minor, currency, created_at, refreshed_at, object, shape)
        select distinct on (1, 2, 3, 4, 5)
               e.agency_id, e.account_id, e.mode, e.upstream_id, e.invoice_id, e.request_id, e.client_id,
               e.customer_id, e.status, e.number, e.amount_minor, e.currency,
               coalesce(to_timestamp(e.created_s), now()), now(), e.object, e.shape
          from ended e
         where e.invoice_id is not null
         order by 1, 2, 3, 4, 5, e.request_id desc
            on conflict (agency_id, account_id, mode, upstream_id, invoice_id) do update
           set status = excluded.status, number = excluded.number, amount_minor = excluded.amount_minor,
               currency = excluded.currency, refreshed_at = excluded.refreshed_at,
               object = coalesce(excluded.object, v.object),
               shape = case when excluded.object is null then v.shape else excluded.shape end
         -- What an act says that others overtook on its way: an invoice does not come back from its end.
         where coalesce(v.status, '') not in ('void', 'paid', 'uncollectible')
            or coalesce(excluded.status, '') not in ('draft', 'open')
    ), history as (
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        select e.request_id, e.agency_id, p_worker,
               case when e.state = 'created' and not gateway.makes_invoice(e.route) then 'done' else e.state end,
               e.reason
          from ended e
    )
    select array_agg(e.ord::integer), bool_or(e.idempotency_key is not null),
           bool_or(e.route = 'invoiceitems' or e.state = 'failed' and not gateway.makes_invoice(e.route)),
           bool_or(e.state = 'failed' and e.invoice_id is null)
      into v_done, v_keyed, v_acts, v_lost
      from ended e;

    -- What most batches do not need stands apart: it would cost each of them its preparation.
    if v_keyed then
        update gateway.idempotency_keys k
           set ended_at = now(), http_status = p_http_status[d.ord], answer = p_answer[d.ord]
          from unnest(v_done) as d (ord)
          join gateway.invoice_requests r
            on r.request_id = p_request_id[d.ord] and r.request_id between v_first and v_last
         where p_pin[d.ord] and r.idempotency_key is not null
           and k.agency_id = r.agency_id and k.account_id = r.account_id and k.mode = r.mode and k.route = r.route
           and k.idempotency_key = r.idempotency_key and k.request_id = r.request_id;
        delete from gateway.idempotency_keys k
         using unnest(v_done) as d (ord)
          join gateway.invoice_requests r
            on r.request_id = p_request_id[d.ord] and r.request_id between v_first and v_last
         where not p_pin[d.ord] and r.idempotency_key is not null
           and k.agency_id = r.agency_id and k.account_id = r.account_id and k.mode = r.mode and k.route = r.route
           and k.idempotency_key = r.idempotency_key and k.request_id = r.request_id;
    end if;
    if v_lost then
        -- Nothing was found of what had been in doubt: a call that is still on its way may make it yet.
        insert into gateway.sweeps (request_id)
        select r.request_id
          from unnest(v_done) as d (ord)
          join gateway.invoice_requests r
            on r.request_id = p_request_id[d.ord] and r.request_id between v_first and v_last
         where r.state = 'failed' and r.invoice_id is null and gateway.makes_invoice(r.route)
           and exists (select from gateway.events h where h.subject_id = r.request_id and h.what = 'unresolved')
            on conflict do nothing;
    end if;
    if v_acts then
        -- An item changed an invoice that its answer does not show, and of an act that failed it is not always certain
        -- what it did: the invoice is looked at before it is told again. An act may also have found its draft gone.
        update gateway.invoices v
           set refreshed_at = 'epoch',
               status = case when p_status[d.ord] = 'deleted' and v.status = 'draft' then 'deleted' else v.status end
          from unnest(v_done) as d (ord)
          join gateway.invoice_requests r
            on r.request_id = p_request_id[d.ord] and r.request_id between v_first and v_last
         where (r.route = 'invoiceitems' or r.state = 'failed' and not gateway.makes_invoice(r.route))
           and v.invoice_id = r.invoice_id and v.agency_id = r.agency_id and v.account_id = r.account_id
           and v.mode = r.mode and v.upstream_id = r.upstream_id;
    end if;

    return query select done.ord, 'done', null::text, null::integer from unnest(v_done) as done (ord);
    if cardinality(v_done) is distinct from cardinality(p_request_id) then
        return query
        select *
          from gateway.finish_late(p_worker, v_done, p_request_id, p_fence, p_state, p_invoice_id, p_status, p_number,
                                   p_amount_minor, p_currency, p_created_s, p_object);
    end if;
end
$$;

-- Takes requests that nobody works on: of workers that said goodbye, parked ones that are due, and (p_lapsed) of workers
-- whose lease has run out. The fence is raised, so whoever held one before can change nothing any more. A request of
-- another upstream identity or of a recipe that this worker does not know is left alone; one that five workers lost
-- waits for an operator. p_again: the commit of an earlier call is unknown, so what this worker holds already is told
-- too (with its fence as it is). Every step of a taken request may have been attempted: the caller must treat it so.
-- With them come the sweeps that are due (doing is sweep, fence 0), which are nobody's to hold.
create or replace function gateway.take_over(p_worker bigint, p_again boolean, p_lapsed boolean, p_limit integer)
    returns table (request_id uuid, fence integer, doing text, agency_id bigint, mode text, account_id text,
                   client_id text, product_id text, collection_method text, days_until_due integer,
                   idempotency_key text, planned boolean, generation integer, customer_generation integer,
                   customer_id text, customer_name text, customer_email text, price_id text, amount_minor bigint,
                   currency text, auto_advance boolean, invoice_id text, reason text, created_s bigint, old boolean,
                   upstream_version text, route text, form bytea)
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    with me as (
        select live_upstream, test_upstream, recipe from gateway.workers where worker_id = p_worker
    ), free as (
        select w.request_id, w.worker_id as before, w.take_overs
          from gateway.work w
          left join gateway.workers o on o.worker_id = w.worker_id
         where w.worker_id <> p_worker
           and w.parked_at is null
           and (w.due_at is null or w.due_at <= now())
           and (o.worker_id is null or o.ended_at is not null or (p_lapsed and o.lease_until < now()))
           and exists (select
                         from gateway.invoice_requests r
                        cross join me
                        where r.request_id = w.request_id
                          and r.upstream_id in (me.live_upstream, me.test_upstream)
                          and r.recipe <= me.recipe)
         order by w.request_id
         limit p_limit
           for update of w skip locked
    ), given_up as (
        update gateway.work w
           set parked_at = now(), fence = w.fence + 1
          from free
         where w.request_id = free.request_id and free.take_overs >= 5 and free.before <> 0
        returning w.request_id
    ), taken as (
        update gateway.work w
           set worker_id = p_worker, fence = w.fence + 1, due_at = null,
               take_overs = w.take_overs + case when free.before = 0 then 0 else 1 end
          from free
         where w.request_id = free.request_id and not (free.take_overs >= 5 and free.before <> 0)
        returning w.request_id, w.fence, w.doing, free.before
    ), swept as (
        update gateway.sweeps s
           set due_at = now() + least(greatest(now() - s.since, interval '1 s'), interval '15 minutes')
          from (select d.request_id
                  from gateway.sweeps d
                 where d.due_at <= now() and d.since > now() - interval '3 days'
                   and exists (select
                                 from gateway.invoice_requests r
                                cross join me
                                where r.request_id = d.request_id
                                  and r.upstream_id in (me.live_upstream, me.test_upstream)
                                  and r.recipe <= me.recipe)
                 order by d.request_id
                 limit p_limit
                   for update of d skip locked) due
         where s.request_id = due.request_id
        returning s.request_id
    ), swept_enough as (
        delete from gateway.sweeps s where s.since <= now() - interval '3 days'
    ), history as (
        insert into gateway.events (subject_id, worker_id, what, why)
        select t.request_id, p_worker, 'taken_over', 'from worker ' || t.before from taken t
         union all
        select g.request_id, p_worker, 'parked', 'five workers lost it: an operator has to look' from given_up g
    )
    select t.request_id, t.fence, t.doing, r.agency_id, r.mode, r.account_id, r.client_id, r.product_id,
           r.collection_method, r.days_until_due, r.idempotency_key, r.planned_at is not null, r.generation,
           r.customer_generation, coalesce(r.customer_id, c.customer_id), c.name, c.email, r.price_id,
           r.amount_minor, r.currency, r.auto_advance, r.invoice_id, r.reason, extract(epoch from r.created_at)::bigint,
           r.created_at < now() - interval '20 hours', r.upstream_version, r.route, r.form
      from (select request_id, fence, doing from taken
             union all
            select request_id, fence, doing from gateway.work where p_again and worker_id = p_worker
             union all
            select request_id, 0, 'sweep' from swept) t
      join gateway.invoice_requests r on r.request_id = t.request_id
      left join gateway.customers c
        on (c.agency_id, c.client_id, c.account_id, c.upstream_id, c.generation)
         = (r.agency_id, r.client_id, r.account_id, r.upstream_id, r.customer_generation);
end
$$;

drop function gateway.read_invoice(bigint, bytea, text, text, boolean, text);
drop function gateway.refresh_invoice(bigint, bigint, text, text, text, bigint, text, text, bigint, text, bytea);

-- p_version: of the upstream's interface, as the caller wants to see it.
create function gateway.read_invoice(p_worker bigint, p_key_digest bytea, p_route text, p_account_id text,
                                     p_refused boolean, p_invoice_id text, p_version text default null)
    returns setof gateway.read_row
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_reader  record;
    v_invoice gateway.invoices;
    v_row     gateway.read_row;
begin
    select * into v_reader from gateway.reader_of(p_worker, p_key_digest, p_route, p_account_id, p_refused);
    if v_reader.reason is null then
        select * into v_invoice
          from gateway.invoices v
         where v.invoice_id = p_invoice_id and v.agency_id = v_reader.agency_id and v.account_id = v_reader.account_id
           and v.mode = v_reader.mode and v.upstream_id = v_reader.upstream_id and v.status is distinct from 'deleted';
    end if;
    if v_invoice.invoice_id is null then
        return next gateway.read_refusal(v_reader.agency_id, v_reader.mode, coalesce(v_reader.reason, 'invoice_unknown'));
    else
        v_row := gateway.read_row_of(v_invoice, false);
        v_row.stale := v_row.stale or coalesce(v_invoice.shape <> p_version, false);
        return next v_row;
    end if;
end
$$;

-- What a look at the upstream showed, unless the row has changed since it was read (p_seen_us): then that is newer.
create function gateway.refresh_invoice(p_worker bigint, p_agency_id bigint, p_account_id text, p_mode text,
                                        p_invoice_id text, p_seen_us bigint, p_status text, p_number text,
                                        p_amount_minor bigint, p_currency text, p_object bytea,
                                        p_version text default null)
    returns setof gateway.read_row
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update gateway.invoices v
       set status = p_status, number = p_number, amount_minor = coalesce(p_amount_minor, v.amount_minor),
           currency = coalesce(p_currency, v.currency), object = coalesce(p_object, v.object), refreshed_at = now(),
           shape = case when p_object is null then v.shape else p_version end
      from gateway.workers w
     where w.worker_id = p_worker and v.invoice_id = p_invoice_id and v.agency_id = p_agency_id
       and v.account_id = p_account_id and v.mode = p_mode
       and v.upstream_id = case p_mode when 'live' then w.live_upstream else w.test_upstream end
       and (p_status is distinct from 'deleted' or coalesce(v.status, 'draft') = 'draft') -- only a draft can go
       and (extract(epoch from v.refreshed_at) * 1000000)::bigint = p_seen_us;
    return next gateway.read_refusal(p_agency_id, p_mode, null);
end
$$;

grant execute on function gateway.read_invoice, gateway.refresh_invoice to invoicegate_worker;

reset role;
