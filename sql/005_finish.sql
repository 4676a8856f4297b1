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
    v_first uuid := (select min(id::text)::uuid from unnest(p_request_id) as ids (id));
    v_last  uuid := (select max(id::text)::uuid from unnest(p_request_id) as ids (id));
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
end
$$;

-- The end of a request. state is created, failed or refused. p_pin: the answer belongs to the client's key for good;
-- otherwise the key is released to a new request.
-- Verdicts: done; stale (somebody else has it or ended it, in which case state tells how); missing (no such request:
-- a failover lost it).
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
    v_first uuid := (select min(id::text)::uuid from unnest(p_request_id) as ids (id));
    v_last  uuid := (select max(id::text)::uuid from unnest(p_request_id) as ids (id));
begin
    return query
    with item as (
        select *
          from unnest(p_request_id, p_fence, p_state, p_reason, p_detail, p_http_status, p_invoice_id, p_status,
                      p_number, p_amount_minor, p_currency, p_created_s, p_object, p_pin, p_answer) with ordinality
            as i (request_id, fence, state, reason, detail, http_status, invoice_id, status, number, amount_minor,
                  currency, created_s, object, pin, answer, ord)
    ), before as (
        select i.ord, r.request_id, r.agency_id, r.account_id, r.mode, r.route, r.upstream_id, r.client_id,
               r.customer_id, r.idempotency_key, r.state, r.http_status, r.finished_fence
          from item i
          join gateway.invoice_requests r on r.request_id = i.request_id and r.request_id between v_first and v_last
    ), released as (
        delete from gateway.work w
         using item i
         where w.request_id = i.request_id and w.worker_id = p_worker and w.fence = i.fence
        returning i.ord
    ), ended as (
        update gateway.invoice_requests r
           set state = i.state, reason = i.reason, detail = i.detail,
               http_status = coalesce(r.http_status, i.http_status),
               invoice_id = coalesce(i.invoice_id, r.invoice_id), finished_at = now(), finished_fence = i.fence
          from released
          join item i on i.ord = released.ord
         where r.request_id = i.request_id and r.request_id between v_first and v_last
    ), made as (
        insert into gateway.invoices as v (agency_id, account_id, mode, upstream_id, invoice_id, request_id, client_id,
               customer_id, status, number, amount_minor, currency, created_at, refreshed_at, object)
        select b.agency_id, b.account_id, b.mode, b.upstream_id, i.invoice_id, i.request_id, b.client_id,
               b.customer_id, i.status, i.number, i.amount_minor, i.currency,
               coalesce(to_timestamp(i.created_s), now()), now(), i.object
          from item i
          join before b on b.ord = i.ord
         where i.invoice_id is not null
         order by 1, 2, 3, 4, 5
            on conflict (agency_id, account_id, mode, upstream_id, invoice_id) do update
           set status = excluded.status, number = excluded.number, amount_minor = excluded.amount_minor,
               currency = excluded.currency, refreshed_at = excluded.refreshed_at,
               object = coalesce(excluded.object, v.object)
    ), pinned as (
        update gateway.idempotency_keys k
           set ended_at = now(), http_status = i.http_status, answer = i.answer
          from released
          join item i on i.ord = released.ord and i.pin
          join before b on b.ord = i.ord and b.idempotency_key is not null
         where (k.agency_id, k.account_id, k.mode, k.route, k.idempotency_key)
             = (b.agency_id, b.account_id, b.mode, b.route, b.idempotency_key)
           and k.request_id = i.request_id
    ), unpinned as (
        delete from gateway.idempotency_keys k
         using released
          join item i on i.ord = released.ord and not i.pin
          join before b on b.ord = i.ord and b.idempotency_key is not null
         where (k.agency_id, k.account_id, k.mode, k.route, k.idempotency_key)
             = (b.agency_id, b.account_id, b.mode, b.route, b.idempotency_key)
           and k.request_id = i.request_id
    ), history as (
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        select i.request_id, b.agency_id, p_worker,
               case when released.ord is not null then i.state else 'late_invoice' end,
               case when released.ord is not null then i.reason else i.invoice_id end
          from item i
          join before b on b.ord = i.ord
          left join released on released.ord = i.ord
         where released.ord is not null
            or i.invoice_id is not null and not (b.state = i.state and b.finished_fence = i.fence)
    )
    select item.ord::integer,
           case when released.ord is not null then 'done'
                when before.ord is null then 'missing'
                when before.state = item.state and before.finished_fence = item.fence then 'done'
                else 'stale' end,
           before.state, before.http_status
      from item
      left join released on released.ord = item.ord
      left join before on before.ord = item.ord;
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

grant execute on function gateway.note_invoices, gateway.finish_invoices, gateway.record_calls to invoicegate_worker;

reset role;
