-- What shows up after all, and what a failover lost: neither stays unknown to the books.

set role invoicegate_owner;

-- Requests that ended as failed because nothing was found upstream. A call that was on its way for longer than both looks
-- may still make a draft, and the worker that could report it may be gone: so somebody looks again, after ever longer
-- pauses, for three days. What is found is recorded as late: its request opens again, and the draft is deleted.
create table gateway.sweeps (
    request_id   uuid primary key,
    since        timestamptz not null default now(),
    due_at       timestamptz not null default now()
);

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
           set due_at = now() + greatest(now() - s.since, interval '1 s')
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

-- A change on the way: the outcome is unknown, a draft's id is known, or something irreversible was decided
-- (delete, advance), which stands here before it is done. Verdicts: go; stale; missing (a failover lost the request).
create or replace function gateway.note_invoices(
    p_worker bigint, p_request_id uuid[], p_fence integer[], p_state text[], p_doing text[], p_invoice_id text[],
    p_why text[], p_http_status integer[]) returns table (ord integer, verdict text)
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
    set enable_bitmapscan = off
as $$
declare
    v_ids   uuid[] := (select array_agg(id order by id) from unnest(p_request_id) as ids (id));
    v_first uuid := v_ids[1];
    v_last  uuid := v_ids[cardinality(v_ids)];
begin
    return query
    with item as (
        select *
          from unnest(p_request_id, p_fence, p_state, p_doing, p_invoice_id, p_why, p_http_status) with ordinality
            as i (request_id, fence, state, doing, invoice_id, why, http_status, ord)
    ), held as (
        update gateway.work w
           set doing = i.doing
          from item i
         where w.request_id = i.request_id and w.worker_id = p_worker and w.fence = i.fence
        returning i.*
    ), noted as (
        update gateway.invoice_requests r
           set state = h.state, invoice_id = coalesce(h.invoice_id, r.invoice_id), reason = h.why,
               http_status = coalesce(r.http_status, h.http_status)
          from held h
         where r.request_id = h.request_id and r.request_id between v_first and v_last
        returning h.*, r.agency_id
    ), history as (
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        select request_id, agency_id, p_worker, case doing when 'create' then state else doing || '_decided' end, why
          from noted
    )
    select item.ord::integer,
           case when noted.ord is not null then 'go'
                when exists (select from gateway.invoice_requests r where r.request_id = item.request_id) then 'stale'
                else 'missing' end
      from item left join noted on noted.ord = item.ord;
    perform gateway.record_late_invoice(p_worker, i.request_id, i.invoice_id, null, null, null, null, null, null)
       from unnest(p_request_id, p_fence, p_invoice_id) as i (request_id, fence, invoice_id)
      where i.invoice_id is not null
        and exists (select from gateway.invoice_requests r where r.request_id = i.request_id)
        and not exists (select from gateway.work w
                         where w.request_id = i.request_id and w.worker_id = p_worker and w.fence = i.fence);
end
$$;

-- Re-creates the intent of a request that a failover lost, from what its worker still knows. Its client may have asked again
-- meanwhile: a key that belongs to another request now is not this one's any more. Then nobody holds it, and whoever takes
-- it over compensates it, as a request without a key whose client has left.
create or replace function gateway.restore_request(
    p_worker bigint, p_request_id uuid, p_fence integer, p_agency_id bigint, p_mode text, p_route text,
    p_account_id text, p_client_id text, p_product_id text, p_collection_method text, p_days_until_due integer,
    p_idempotency_key text, p_fingerprint bytea, p_version text, p_generation integer, p_customer_id text,
    p_price_id text, p_amount_minor bigint, p_currency text, p_form bytea, p_invoice_id text)
    returns table (ord integer, verdict text)
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_upstream integer;
    v_recipe   smallint;
    v_is_taken boolean;
begin
    select exists (select
                     from gateway.idempotency_keys
                    where (agency_id, account_id, mode, route, idempotency_key)
                        = (p_agency_id, p_account_id, p_mode, p_route, p_idempotency_key)
                      and request_id <> p_request_id)
      into v_is_taken;
    select case p_mode when 'live' then live_upstream else test_upstream end, recipe
      into strict v_upstream, v_recipe
      from gateway.workers where worker_id = p_worker;
    insert into gateway.invoice_requests (
           request_id, agency_id, route, mode, upstream_id, account_id, client_id, product_id, collection_method,
           days_until_due, idempotency_key, fingerprint, created_at, recipe, upstream_version, generation,
           customer_id, price_id, amount_minor, currency, form, invoice_id, planned_at, state)
    values (p_request_id, p_agency_id, p_route, p_mode, v_upstream, p_account_id, p_client_id, p_product_id,
            p_collection_method, p_days_until_due, case when not v_is_taken then p_idempotency_key end,
            p_fingerprint, gateway.uuid_time(p_request_id),
            v_recipe, p_version, p_generation, p_customer_id, p_price_id, p_amount_minor,
            p_currency, p_form, p_invoice_id, now(), 'open')
        on conflict do nothing;
    if found then
        insert into gateway.work (request_id, worker_id, fence)
        values (p_request_id, case when v_is_taken then 0 else p_worker end, p_fence)
            on conflict do nothing;
        insert into gateway.idempotency_keys (agency_id, account_id, mode, route, idempotency_key, fingerprint,
                                              request_id)
        select p_agency_id, p_account_id, p_mode, p_route, p_idempotency_key, p_fingerprint, p_request_id
         where p_idempotency_key is not null and not v_is_taken
            on conflict do nothing;
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        values (p_request_id, p_agency_id, p_worker, 'restored', 'the database had lost it');
    end if;
    return query select 1, case when v_is_taken then 'stale' else 'go' end;
end
$$;

-- An operator's word on a request that the gateway could not settle itself. created needs the invoice's id.
-- Only the owner's side may call it: invoicegatectl settle. Of an invoice that stands the key's next call hears by a 504:
-- every other error says that there is none.
create or replace function gateway.settle_request(p_request_id uuid, p_state text, p_invoice_id text, p_by text, p_why text)
    returns boolean
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_request gateway.invoice_requests;
    v_words   text;
begin
    if p_state not in ('created', 'failed') or (p_state = 'created') <> (p_invoice_id is not null)
       or coalesce(p_by, '') = '' or coalesce(p_why, '') = '' then
        raise exception 'settle needs created with an invoice id, or failed without one, and who and why';
    end if;
    delete from gateway.work where request_id = p_request_id;
    if not found then
        return false;
    end if;
    update gateway.invoice_requests
       set state = p_state, reason = 'settled', detail = p_why, invoice_id = coalesce(p_invoice_id, invoice_id),
           finished_at = now()
     where request_id = p_request_id and state in ('open', 'unresolved')
    returning * into v_request;
    insert into gateway.invoices (agency_id, account_id, mode, upstream_id, invoice_id, request_id, client_id,
                                  customer_id, amount_minor, currency, created_at, refreshed_at)
    select v_request.agency_id, v_request.account_id, v_request.mode, v_request.upstream_id, p_invoice_id,
           p_request_id, v_request.client_id, v_request.customer_id, v_request.amount_minor, v_request.currency,
           now(), now()
     where p_state = 'created'
        on conflict do nothing;
    -- As failed the client's key is free again. What stands must not be made a second time: as created it stays bound.
    v_words := 'The outcome of this request was settled by an operator: invoice ' || p_invoice_id || ' stands.';
    update gateway.idempotency_keys
       set ended_at = now(), http_status = 504,
           answer = convert_to(case v_request.route
                               when 'account_invoices' then json_build_object('error', v_words)
                               else json_build_object('error', json_build_object('type', 'api_error', 'message', v_words))
                               end::text, 'UTF8')
     where p_state = 'created' and request_id = p_request_id
       and (agency_id, account_id, mode, route, idempotency_key)
         = (v_request.agency_id, v_request.account_id, v_request.mode, v_request.route, v_request.idempotency_key);
    delete from gateway.idempotency_keys
     where p_state = 'failed' and request_id = p_request_id
       and (agency_id, account_id, mode, route, idempotency_key)
         = (v_request.agency_id, v_request.account_id, v_request.mode, v_request.route, v_request.idempotency_key);
    insert into gateway.events (subject_id, agency_id, what, why)
    values (p_request_id, v_request.agency_id, 'settled_' || p_state, p_by || ': ' || p_why);
    insert into gateway.tallies (request_id, begun_at, agency_id, amount_minor, account_id, mode, currency, state, reason)
    select request_id, created_at, agency_id, coalesce(amount_minor, 0), account_id, mode, coalesce(currency, ''), p_state,
           case p_state when 'created' then '' else 'settled' end
      from gateway.invoice_requests
     where request_id = v_request.request_id and gateway.makes_invoice(route);
    return true;
end
$$;

reset role;
