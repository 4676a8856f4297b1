-- What acts on invoices still lacked: a look that an item overtook counted as fresh when another one came between, and an
-- operator could not record that an act was done.

set role invoicegate_owner;

-- The end of a request. state is created, failed or refused. p_pin: the answer belongs to the client's key for good;
-- otherwise the key is released to a new request.
-- Verdicts: done; stale (somebody else has it or ended it, in which case state tells how); missing (no such request:
-- a failover lost it).
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
    v_id    uuid;
    v_first uuid;
    v_last  uuid;
    v_done  integer[];
    v_keyed boolean;
    v_acts  boolean;
    v_lost  boolean;
begin
    foreach v_id in array p_request_id loop
        v_first := least(v_first, v_id);
        v_last := greatest(v_last, v_id);
    end loop;

    with held as (
        delete from gateway.work w
         using unnest(p_request_id) with ordinality as i (request_id, ord)
         where w.request_id = i.request_id and w.worker_id = p_worker and w.fence = p_fence[i.ord]
        returning i.request_id, i.ord::integer as ord
    ), ended as (
        update gateway.invoice_requests r
           set state = p_state[h.ord], reason = p_reason[h.ord], detail = p_detail[h.ord],
               http_status = coalesce(r.http_status, p_http_status[h.ord]),
               invoice_id = coalesce(p_invoice_id[h.ord], r.invoice_id), finished_at = now(),
               finished_fence = p_fence[h.ord], amount_minor = coalesce(r.amount_minor, p_amount_minor[h.ord]),
               currency = coalesce(r.currency, p_currency[h.ord])
          from held h
         where r.request_id = h.request_id and r.request_id between v_first and v_last
        returning h.ord, r.request_id, r.agency_id, r.state, r.reason, gateway.makes_invoice(r.route) as makes,
                  r.idempotency_key is not null as keyed, r.route, r.account_id, r.mode, r.upstream_id, r.client_id,
                  r.customer_id, r.created_at, r.amount_minor, r.currency,
                  case when position('expand' in r.form) > 0 then 'expanded' else r.upstream_version end as shape
    ), counted as (
        insert into gateway.tallies (request_id, begun_at, agency_id, amount_minor, took_ms, account_id, mode, currency,
                                     state, reason)
        select e.request_id, e.created_at, e.agency_id, coalesce(e.amount_minor, 0),
               least(date_part('epoch', now() - e.created_at) * 1000, 2147483647), e.account_id, e.mode,
               coalesce(e.currency, ''), e.state, case when e.state = 'created' then '' else coalesce(e.reason, '') end
          from ended e
         where e.makes
    ), made as (
        insert into gateway.invoices as v (agency_id, account_id, mode, upstream_id, invoice_id, request_id, client_id,
               customer_id, status, number, amount_minor, currency, created_at, refreshed_at, object, shape)
        select e.agency_id, e.account_id, e.mode, e.upstream_id, p_invoice_id[e.ord], e.request_id, e.client_id,
               e.customer_id, p_status[e.ord], p_number[e.ord], p_amount_minor[e.ord], p_currency[e.ord],
               coalesce(to_timestamp(p_created_s[e.ord]), now()), now(), p_object[e.ord], e.shape
          from ended e
         where e.makes and p_invoice_id[e.ord] is not null
            on conflict (agency_id, account_id, mode, upstream_id, invoice_id) do update
           set status = excluded.status, number = excluded.number, amount_minor = excluded.amount_minor,
               currency = excluded.currency, refreshed_at = excluded.refreshed_at,
               object = coalesce(excluded.object, v.object),
               shape = case when excluded.object is null then v.shape else excluded.shape end
         -- It may be known already, and more of it: an invoice does not come back from its end.
         where coalesce(v.status, '') not in ('void', 'paid', 'uncollectible')
            or coalesce(excluded.status, '') not in ('draft', 'open')
    ), history as (
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        select e.request_id, e.agency_id, p_worker,
               case when e.state = 'created' and not e.makes then 'done' else e.state end, e.reason
          from ended e
    )
    select array_agg(e.ord), bool_or(e.keyed), bool_or(not e.makes),
           bool_or(e.state = 'failed' and p_invoice_id[e.ord] is null)
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
        -- An invoice does not come back from its end, nor a draft that somebody deleted meanwhile.
        insert into gateway.invoices as v (agency_id, account_id, mode, upstream_id, invoice_id, request_id, client_id,
               customer_id, status, number, amount_minor, currency, created_at, refreshed_at, object, shape)
        select distinct on (1, 2, 3, 4, 5)
               r.agency_id, r.account_id, r.mode, r.upstream_id, p_invoice_id[d.ord], r.request_id, r.client_id,
               r.customer_id, p_status[d.ord], p_number[d.ord], p_amount_minor[d.ord], p_currency[d.ord],
               coalesce(to_timestamp(p_created_s[d.ord]), now()), now(), p_object[d.ord],
               case when position('expand' in r.form) > 0 then 'expanded' else r.upstream_version end
          from unnest(v_done) as d (ord)
          join gateway.invoice_requests r
            on r.request_id = p_request_id[d.ord] and r.request_id between v_first and v_last
         where p_invoice_id[d.ord] is not null and not gateway.makes_invoice(r.route)
         order by 1, 2, 3, 4, 5, r.request_id desc
            on conflict (agency_id, account_id, mode, upstream_id, invoice_id) do update
           set status = excluded.status, number = excluded.number, amount_minor = excluded.amount_minor,
               currency = excluded.currency, refreshed_at = excluded.refreshed_at,
               object = coalesce(excluded.object, v.object),
               shape = case when excluded.object is null then v.shape else excluded.shape end
         where v.status is distinct from 'deleted'
           and (coalesce(v.status, '') not in ('void', 'paid', 'uncollectible')
                or coalesce(excluded.status, '') not in ('draft', 'open'));
        -- An item changed an invoice that its answer does not show, and of an act that failed it is not always certain
        -- what it did: the invoice is looked at before it is told again. An act may also have found its draft gone.
        -- Locked in one order. The old time is another one each time: a look that began before this must not count.
        perform
           from unnest(v_done) as d (ord)
           join gateway.invoice_requests r
             on r.request_id = p_request_id[d.ord] and r.request_id between v_first and v_last
           join gateway.invoices v
             on v.invoice_id = r.invoice_id and v.agency_id = r.agency_id and v.account_id = r.account_id
            and v.mode = r.mode and v.upstream_id = r.upstream_id
          where r.route = 'invoiceitems' or r.state = 'failed' and not gateway.makes_invoice(r.route)
          order by v.agency_id, v.account_id, v.mode, v.upstream_id, v.invoice_id
            for no key update of v;
        update gateway.invoices v
           set refreshed_at = timestamptz 'epoch' + random() * interval '1 day',
               status = case when p_status[d.ord] = 'deleted' and v.status = 'draft' then 'deleted' else v.status end
          from unnest(v_done) as d (ord)
          join gateway.invoice_requests r
            on r.request_id = p_request_id[d.ord] and r.request_id between v_first and v_last
         where (r.route = 'invoiceitems' or r.state = 'failed' and not gateway.makes_invoice(r.route))
           and v.invoice_id = r.invoice_id and v.agency_id = r.agency_id and v.account_id = r.account_id
           and v.mode = r.mode and v.upstream_id = r.upstream_id;
    end if;

    verdict := 'done';
    foreach ord in array coalesce(v_done, '{}') loop
        return next;
    end loop;
    if cardinality(v_done) is distinct from cardinality(p_request_id) then
        return query
        select *
          from gateway.finish_late(p_worker, v_done, p_request_id, p_fence, p_state, p_invoice_id, p_status, p_number,
                                   p_amount_minor, p_currency, p_created_s, p_object);
    end if;
end
$$;

-- An operator's word on a request that the gateway could not settle itself. created: the invoice that is named stands, or
-- the act was done. Only the owner's side may call it: invoicegatectl settle. What stands or was done the key's next call
-- hears by a 504: every other error says that nothing is there.
create or replace function gateway.settle_request(p_request_id uuid, p_state text, p_invoice_id text, p_by text, p_why text)
    returns boolean
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_request gateway.invoice_requests;
    v_makes   boolean;  -- false: an act on an invoice
    v_words   text;
begin
    select gateway.makes_invoice(route) into v_makes
      from gateway.invoice_requests where request_id = p_request_id;
    if p_state not in ('created', 'failed') or (p_state = 'created' and v_makes) <> (p_invoice_id is not null)
       or coalesce(p_by, '') = '' or coalesce(p_why, '') = '' then
        raise exception 'settle needs created with an invoice id, or failed without one, and who and why'
            using hint = 'an act on an invoice is settled without its id';
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
     where p_state = 'created' and v_makes
        on conflict do nothing;
    -- An act changed its invoice, or perhaps: it is looked at before it is told again.
    update gateway.invoices v
       set refreshed_at = timestamptz 'epoch' + random() * interval '1 day'
     where not v_makes and v.invoice_id = v_request.invoice_id and v.agency_id = v_request.agency_id
       and v.account_id = v_request.account_id and v.mode = v_request.mode and v.upstream_id = v_request.upstream_id;
    -- As failed the client's key is free again. What stands must not be made a second time: as created it stays bound.
    v_words := 'The outcome of this request was settled by an operator: '
               || case when v_makes then 'invoice ' || p_invoice_id || ' stands.' else 'it was done.' end;
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
