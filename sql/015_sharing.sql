-- What others see and what acts leave behind: agencies that share an account, callers of other interface versions, drafts
-- that somebody deleted upstream, acts of which it is not certain what they did.

set role invoicegate_owner;

-- The version of the upstream's interface that object is in, or 'expanded' where its caller had parts of it spelled out:
-- for another caller it is fetched anew. Null: not known.
alter table gateway.invoices add column shape text;

-- Whose a customer is, whichever agency asks.
create index customers_by_id on gateway.customers (customer_id, account_id);
drop index gateway.customers_by_customer;

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
