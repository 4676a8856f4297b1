-- What the worker executes once the upstream has spoken: note_invoices, finish_invoices, record_calls.
-- Every one is fenced: a worker that was overtaken changes nothing, but an invoice that it reports is recorded.

set role invoicegate_owner;

-- A change on the way: the outcome is unknown, a draft's id is known, or something irreversible was decided
-- (delete, advance), which stands here before it is done.
create function gateway.note_invoices(
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
    select item.ord::integer, case when noted.ord is null then 'stale' else 'go' end
      from item left join noted on noted.ord = item.ord;
    perform gateway.record_late_invoice(p_worker, i.request_id, i.invoice_id, null, null, null, null, null, null)
       from unnest(p_request_id, p_fence, p_invoice_id) as i (request_id, fence, invoice_id)
      where i.invoice_id is not null
        and not exists (select from gateway.work w
                         where w.request_id = i.request_id and w.worker_id = p_worker and w.fence = i.fence);
end
$$;

-- The end of a request. state is created, failed or refused. p_pin: the answer belongs to the client's key for good;
-- otherwise the key is released to a new request.
-- Verdicts: done; stale (somebody else has it or ended it, in which case state tells how); missing (no such request:
-- a failover lost it). What the members carry travels from each part to the next, so that nothing is joined by hand.
create function gateway.finish_invoices(
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
                  r.amount_minor as planned_minor, r.currency as planned_currency, r.invoice_id as about_id
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
               customer_id, status, number, amount_minor, currency, created_at, refreshed_at, object)
        select distinct on (1, 2, 3, 4, 5)
               e.agency_id, e.account_id, e.mode, e.upstream_id, e.invoice_id, e.request_id, e.client_id,
               e.customer_id, e.status, e.number, e.amount_minor, e.currency,
               coalesce(to_timestamp(e.created_s), now()), now(), e.object
          from ended e
         where e.invoice_id is not null
         order by 1, 2, 3, 4, 5, e.request_id desc
            on conflict (agency_id, account_id, mode, upstream_id, invoice_id) do update
           set status = excluded.status, number = excluded.number, amount_minor = excluded.amount_minor,
               currency = excluded.currency, refreshed_at = excluded.refreshed_at,
               object = coalesce(excluded.object, v.object)
    ), touched as (
        -- An item changed an invoice that the answer does not show: it is looked at before it is told again.
        update gateway.invoices v
           set refreshed_at = 'epoch'
          from ended e
         where e.route = 'invoiceitems' and e.state = 'created' and e.about_id is not null
           and v.invoice_id = e.about_id and v.agency_id = e.agency_id and v.account_id = e.account_id
           and v.mode = e.mode and v.upstream_id = e.upstream_id
    ), pinned as (
        update gateway.idempotency_keys k
           set ended_at = now(), http_status = e.http_status, answer = e.answer
          from ended e
         where e.pin and e.idempotency_key is not null
           and k.agency_id = e.agency_id and k.account_id = e.account_id and k.mode = e.mode and k.route = e.route
           and k.idempotency_key = e.idempotency_key and k.request_id = e.request_id
    ), unpinned as (
        delete from gateway.idempotency_keys k
         using ended e
         where not e.pin and e.idempotency_key is not null
           and k.agency_id = e.agency_id and k.account_id = e.account_id and k.mode = e.mode and k.route = e.route
           and k.idempotency_key = e.idempotency_key and k.request_id = e.request_id
    ), history as (
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        select e.request_id, e.agency_id, p_worker,
               case when e.state = 'created' and not gateway.makes_invoice(e.route) then 'done' else e.state end,
               e.reason
          from ended e
    )
    select array_agg(e.ord::integer) into v_done from ended e;

    return query select done.ord, 'done', null::text, null::integer from unnest(v_done) as done (ord);
    if cardinality(v_done) is distinct from cardinality(p_request_id) then
        return query
        select *
          from gateway.finish_late(p_worker, v_done, p_request_id, p_fence, p_state, p_invoice_id, p_status, p_number,
                                   p_amount_minor, p_currency, p_created_s, p_object);
    end if;
end
$$;

-- An invoice that an overtaken worker reports is in the books in any case. If its request has ended failed meanwhile,
-- nobody was to find one: the request opens again, held by nobody, and whoever takes it up deletes the draft.
create function gateway.record_late_invoice(
    p_worker bigint, p_request_id uuid, p_invoice_id text, p_status text, p_number text, p_amount_minor bigint,
    p_currency text, p_created_s bigint, p_object bytea) returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_request gateway.invoice_requests;
    v_is_new  boolean;
begin
    select * into v_request from gateway.invoice_requests where request_id = p_request_id for update;
    insert into gateway.invoices (agency_id, account_id, mode, upstream_id, invoice_id, request_id, client_id,
                                  customer_id, status, number, amount_minor, currency, created_at, refreshed_at, object)
    values (v_request.agency_id, v_request.account_id, v_request.mode, v_request.upstream_id, p_invoice_id, p_request_id,
            v_request.client_id, v_request.customer_id, p_status, p_number, p_amount_minor, p_currency,
            coalesce(to_timestamp(p_created_s), now()), now(), p_object)
        on conflict do nothing;
    v_is_new := found;
    insert into gateway.events (subject_id, agency_id, worker_id, what, why)
    values (p_request_id, v_request.agency_id, p_worker, 'late_invoice', p_invoice_id);
    if not v_is_new or p_status = 'deleted' or v_request.state <> 'failed' then
        return;
    end if;
    update gateway.invoice_requests
       set state = 'open', invoice_id = p_invoice_id, finished_at = null, finished_fence = null
     where request_id = p_request_id;
    insert into gateway.work (request_id, worker_id, fence, doing, due_at)
    values (p_request_id, 0, coalesce(v_request.finished_fence, 1) + 1, 'delete', now());
    insert into gateway.events (subject_id, agency_id, worker_id, what, why)
    values (p_request_id, v_request.agency_id, p_worker, 'reopened', 'the draft of a failed request has shown up');
    insert into gateway.tallies (request_id, begun_at, agency_id, amount_minor, requests, account_id, mode, currency,
                                 state, reason)
    values (p_request_id, v_request.created_at, v_request.agency_id, -coalesce(v_request.amount_minor, 0), -1,
            v_request.account_id, v_request.mode, coalesce(v_request.currency, ''), 'failed',
            coalesce(v_request.reason, ''));
end
$$;

-- The members of a finish that did not hold their request any more: run again after a commit whose answer was lost, or
-- overtaken.
create function gateway.finish_late(
    p_worker bigint, p_done integer[], p_request_id uuid[], p_fence integer[], p_state text[], p_invoice_id text[],
    p_status text[], p_number text[], p_amount_minor bigint[], p_currency text[], p_created_s bigint[],
    p_object bytea[])
    returns table (ord integer, verdict text, state text, http_status integer)
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_late record;
begin
    for v_late in
        select i.*, r.request_id is not null as known, r.state as state_now, r.http_status as status_told,
               coalesce(r.state = i.state and r.finished_fence = i.fence, false) as same
          from unnest(p_request_id, p_fence, p_state, p_invoice_id, p_status, p_number, p_amount_minor, p_currency,
                      p_created_s, p_object) with ordinality
            as i (request_id, fence, state, invoice_id, status, number, amount_minor, currency, created_s, object, ord)
          left join gateway.invoice_requests r on r.request_id = i.request_id
         where i.ord <> all (coalesce(p_done, '{}'))
         order by i.request_id
    loop
        if v_late.known and not v_late.same and v_late.invoice_id is not null then
            perform gateway.record_late_invoice(
                        p_worker, v_late.request_id, v_late.invoice_id, v_late.status, v_late.number,
                        v_late.amount_minor, v_late.currency, v_late.created_s, v_late.object);
        end if;
        ord := v_late.ord;
        verdict := case when v_late.same then 'done' when v_late.known then 'stale' else 'missing' end;
        state := v_late.state_now;
        http_status := v_late.status_told;
        return next;
    end loop;
end
$$;

-- Opens a request again that ended as created while its client left without hearing of it: it has no key to ask for it
-- again, so its draft shall be deleted. The fence is raised; run again, it changes nothing.
create function gateway.withdraw_invoice(p_worker bigint, p_request_id uuid, p_fence integer)
    returns table (ord integer, verdict text)
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update gateway.invoice_requests
       set state = 'open', reason = 'compensated', http_status = null, finished_at = null, finished_fence = null
     where request_id = p_request_id and state = 'created' and finished_fence = p_fence and idempotency_key is null;
    if found then
        insert into gateway.work (request_id, worker_id, fence, doing)
        values (p_request_id, p_worker, p_fence + 1, 'delete');
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        select request_id, agency_id, p_worker, 'withdrawn', 'compensated'
          from gateway.invoice_requests
         where request_id = p_request_id;
        insert into gateway.tallies (request_id, begun_at, agency_id, amount_minor, requests, account_id, mode, currency,
                                     state, reason)
        select request_id, created_at, agency_id, -coalesce(amount_minor, 0), -1, account_id, mode,
               coalesce(currency, ''), 'created', ''
          from gateway.invoice_requests
         where request_id = p_request_id;
    end if;
    return query
    select 1, case when exists (select from gateway.work w
                                 where w.request_id = p_request_id and w.worker_id = p_worker and w.fence = p_fence + 1)
                   then 'go' else 'stale' end;
end
$$;

-- The attempts of the same batch. Run again, it changes nothing. (plpgsql keeps its plan; an SQL function would be
-- planned anew at each call.)
create function gateway.record_calls(
    p_request_id uuid[], p_fence integer[], p_step text[], p_attempt integer[], p_started_us bigint[],
    p_duration_ms integer[], p_http_status integer[], p_outcome text[], p_upstream_request_id text[]) returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = force_generic_plan
as $$
begin
    insert into gateway.upstream_calls (request_id, fence, step, attempt, started_at, duration_ms, http_status,
                                        outcome, upstream_request_id)
    select request_id, fence, step, attempt, to_timestamp(started_us / 1000000.0), duration_ms, http_status,
           outcome, upstream_request_id
      from unnest(p_request_id, p_fence, p_step, p_attempt, p_started_us, p_duration_ms, p_http_status, p_outcome,
                  p_upstream_request_id)
        as i (request_id, fence, step, attempt, started_us, duration_ms, http_status, outcome, upstream_request_id)
        on conflict do nothing;
end
$$;

grant execute on function gateway.note_invoices, gateway.finish_invoices, gateway.withdraw_invoice,
                          gateway.record_calls to invoicegate_worker;

reset role;
