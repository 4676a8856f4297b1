-- One act at a time on an invoice. An act whose answer was lost may be done late: what is asked for after it must come
-- after it.

set role invoicegate_owner;

alter table gateway.work add column acts_on text;                    -- the invoice that an act is about
alter table gateway.work add column alone boolean not null default true;  -- no other act on it beside this one
create index work_by_invoice on gateway.work (acts_on) where acts_on is not null;
-- Of acts that are under way while this is applied.
update gateway.work w
   set acts_on = r.invoice_id, alone = r.route <> 'invoiceitems'
  from gateway.invoice_requests r
 where r.request_id = w.request_id and r.invoice_id is not null and not gateway.makes_invoice(r.route);

-- What a client is told that is refused for this reason.
create function gateway.refusal_status(p_reason text, p_route text, p_status integer) returns integer
    language sql immutable parallel safe
    return case p_reason
                when 'key_invalid' then 401
                when 'mode_not_served' then 403
                when 'out_of_scope' then 403
                when 'in_flight' then 409
                when 'invoice_busy' then 429
                when 'key_reused' then case when p_route = 'account_invoices' then 422 else 400 end
                when 'no_default_account' then 400
                when 'account_unknown' then 404
                when 'invoice_unknown' then 404
                when 'customer_unknown' then 404
                when 'client_unknown' then 404
                when 'no_admin_member' then 400
                when 'admin_without_email' then 400
                else nullif(p_status, 0)
           end;

-- Authenticates, resolves, refuses or freezes, and records the intent, in one commit.
-- Route account_invoices asks for an invoice for a client and a product; the other routes are calls of the upstream's own
-- interface: p_form is sent as it is, p_invoice_id is the invoice that an act is about, p_api_version the caller's wish.
-- Agencies may share a connected account: a customer that is another agency's client is unknown to this one.
-- The order of the refusals is the order of the branches below. Refusals of strangers are not stored.
-- p_again: this batch of one may have been committed before.
-- A statement's preparation grows with the columns that travel through its parts, and so does each member's share. So only
-- a member's number travels; what the worker sent is taken from the arrays where it is needed.
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
    v_keyed    boolean := array_remove(p_idempotency_key, null) <> '{}';
    v_locked   boolean[];
    v_earlier  gateway.idempotency_keys[];   -- what each member's key stands for already
    v_bound    text[];                       -- why a member's key does not let it through
    v_named    boolean := array_remove(p_invoice_id, null) <> '{}' or array_remove(p_customer_id, null) <> '{}';
    v_acting   boolean := array_remove(p_invoice_id, null) <> '{}';
    v_free     boolean[];                    -- nobody begins an act on the same invoice at this moment
    v_owner    text[];                       -- whose customer each member's call is about
    v_theirs   text[];                       -- the customer of the invoice that it is about
    v_unknown  text[];                       -- why what it is about is nothing that it may see
    v_missing  boolean;
    v_refused  boolean;
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

    -- What most batches do not need stands apart: it would cost each of them its preparation.
    --
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
        -- A new statement sees what was committed before the lock was given.
        select array_agg(e.earlier order by e.ord),
               array_agg(case when e.key is null then null
                              when not v_locked[e.ord] then 'in_flight'
                              when (e.earlier).fingerprint <> e.fingerprint then 'key_reused'
                              when (e.earlier).request_id is not null and (e.earlier).ended_at is null then 'in_flight'
                              when (e.earlier).request_id is not null then 'replay'
                              when e.place > 1 then 'in_flight'
                         end order by e.ord)
          into v_earlier, v_bound
          from (select i.ord, i.key, i.fingerprint, known.earlier,
                       row_number() over (partition by k.agency_id, i.account, k.mode, i.route, i.key
                                          order by i.ord) as place
                  from unnest(p_account_id, p_route, p_idempotency_key, p_fingerprint, p_key_digest) with ordinality
                    as i (account, route, key, fingerprint, digest, ord)
                  left join gateway.api_keys k
                    on i.key is not null
                   and k.digest = i.digest
                   and k.revoked_at is null
                   and (k.expires_at is null or k.expires_at > now())
                  left join lateral (
                        select ik as earlier
                          from gateway.idempotency_keys ik
                         where ik.agency_id = k.agency_id and ik.account_id = i.account and ik.mode = k.mode
                           and ik.route = i.route and ik.idempotency_key = i.key
                         limit 1) known on true) e;
    end if;

    -- An invoice or a customer that the caller names: is it there, and whose?
    if v_named then
        select array_agg(coalesce(v.client_id, case when own.agency_id = k.agency_id then own.client_id end)
                         order by i.ord),
               array_agg(v.customer_id order by i.ord),
               array_agg(case when i.invoice_id is not null and v.invoice_id is null then 'invoice_unknown'
                              when own.agency_id <> k.agency_id then 'customer_unknown' end order by i.ord)
          into v_owner, v_theirs, v_unknown
          from unnest(p_key_digest, p_account_id, p_customer_id, p_invoice_id) with ordinality
            as i (digest, account_id, customer_id, invoice_id, ord)
          left join gateway.api_keys k on k.digest = i.digest
          left join lateral (
                select o.agency_id, o.client_id
                  from gateway.customers o
                 where i.customer_id is not null and o.customer_id = i.customer_id and o.account_id = i.account_id
                   and o.upstream_id = case k.mode when 'live' then v_live when 'test' then v_test end
                 order by o.agency_id <> k.agency_id
                 limit 1) own on true
          left join lateral (
                select v.invoice_id, v.client_id, v.customer_id
                  from gateway.invoices v
                 where i.invoice_id is not null and v.invoice_id = i.invoice_id and v.agency_id = k.agency_id
                   and v.account_id = i.account_id and v.mode = k.mode
                   and v.upstream_id = case k.mode when 'live' then v_live when 'test' then v_test end
                   and v.status is distinct from 'deleted'
                 limit 1) v on true;
    end if;

    -- Acts on one invoice go one after another, so that their answers can be kept in the order in which they were done, and
    -- what is in doubt is not done over what came after it. Only items may pass each other.
    if v_acting then
        select array_agg(case when i.invoice_id is null then true
                              when i.route = 'invoiceitems' then pg_try_advisory_xact_lock_shared(i.scope)
                              else pg_try_advisory_xact_lock(i.scope)
                         end order by i.ord)
          into v_free
          from (select i.ord, i.invoice_id, i.route,
                       hashtextextended(k.agency_id || ' act ' || i.invoice_id, 0) as scope
                  from unnest(p_key_digest, p_route, p_invoice_id) with ordinality as i (digest, route, invoice_id, ord)
                  left join gateway.api_keys k on k.digest = i.digest) i;
        -- A new statement sees what was committed before the lock was given.
        select array_agg(coalesce(v_unknown[b.ord],
                                  case when b.invoice_id is null then null
                                       when not v_free[b.ord] or b.place > 1 and b.any_alone
                                         or exists (select
                                                      from gateway.work w
                                                     where w.acts_on = b.invoice_id and (w.alone or b.alone))
                                       then 'invoice_busy' end) order by b.ord)
          into v_unknown
          from (select i.ord, i.invoice_id, i.alone,
                       row_number() over same as place, bool_or(i.alone) over same as any_alone
                  from (select ord, digest, invoice_id, route <> 'invoiceitems' as alone
                          from unnest(p_key_digest, p_route, p_invoice_id) with ordinality
                            as i (digest, route, invoice_id, ord)) i
                  left join gateway.api_keys k on k.digest = i.digest
                window same as (partition by k.agency_id, i.invoice_id order by i.ord)) b;
    end if;

    with known as (
        select i.request_id, i.ord::integer as ord, k.agency_id, k.key_id, k.mode, k.accounts, k.routes,
               case k.mode when 'live' then v_live when 'test' then v_test end as upstream_id,
               a.account_id, a.auto_advance, p_client_id[i.ord] as client_id
          from unnest(p_request_id) with ordinality as i (request_id, ord)
          left join gateway.api_keys k
            on k.digest = p_key_digest[i.ord]
           and k.revoked_at is null
           and (k.expires_at is null or k.expires_at > now())
          left join gateway.accounts a on a.agency_id = k.agency_id and a.account_id = p_account_id[i.ord]
        offset 0
    ), judged as (
        select n.ord, n.request_id, n.agency_id, n.mode, n.key_id, n.upstream_id, n.auto_advance,
               p_route[n.ord] = 'account_invoices' as plain,
               m.name as admin_name, m.email as admin_email,
               cu.generation as customer_generation, cu.customer_id, cu.name as customer_name,
               cu.email as customer_email,
               p_route[n.ord] = 'account_invoices'
               and (cu.generation is null or p_collection_method[n.ord] = 'send_invoice' and cu.email is null)
               as customer_missing,
               p.price_id, pr.unit_amount_minor, pr.currency,
               case when n.agency_id is null then 'key_invalid'
                    when n.upstream_id is null then 'mode_not_served'
                    when p_account_id[n.ord] <> all (n.accounts) or p_route[n.ord] <> all (n.routes) then 'out_of_scope'
                    when p_refusal_status[n.ord] <> 0 then p_refusal_reason[n.ord]
                    when v_bound[n.ord] is not null then v_bound[n.ord]
                    when p_account_id[n.ord] is null then 'no_default_account'
                    when n.account_id is null then 'account_unknown'
                    when v_unknown[n.ord] is not null then v_unknown[n.ord]
                    when p_route[n.ord] <> 'account_invoices' then null
                    when m.name is null then 'no_admin_member'
                    when p_collection_method[n.ord] = 'send_invoice' and m.email is null then 'admin_without_email'
               end as reason
          from known n
          left join lateral (
                select m.name, m.email
                  from gateway.members m
                 where m.agency_id = n.agency_id and m.client_id = n.client_id and m.is_admin
                 order by m.email is null, m.member_id
                 limit 1) m on true
          left join lateral (
                select cu.generation, cu.customer_id, cu.name, cu.email
                  from gateway.customers cu
                 where cu.agency_id = n.agency_id and cu.client_id = n.client_id and cu.account_id = n.account_id
                   and cu.upstream_id = n.upstream_id
                 order by cu.generation desc
                 limit 1) cu on true
          left join gateway.products p
            on p.agency_id = n.agency_id and p.account_id = n.account_id and p.upstream_id = n.upstream_id
           and p.product_id = p_product_id[n.ord] and p.fetched_at > clock_timestamp() - interval '60 s'
          left join gateway.prices pr
            on pr.agency_id = n.agency_id and pr.account_id = n.account_id and pr.upstream_id = n.upstream_id
           and pr.price_id = p.price_id
        offset 0
    ), frozen as (
        select j.ord, j.request_id, j.reason, j.agency_id, j.mode, j.key_id, j.upstream_id,
               j.price_id, j.unit_amount_minor, j.currency, j.plain and j.auto_advance as auto_advance,
               j.customer_missing,
               case when j.customer_missing then coalesce(j.customer_generation, 0) + 1
                    else j.customer_generation end as customer_generation,
               case when not j.plain then coalesce(v_theirs[j.ord], p_customer_id[j.ord])
                    when not j.customer_missing then j.customer_id end as customer_id,
               case when j.customer_missing then j.admin_name else j.customer_name end as customer_name,
               case when j.customer_missing then j.admin_email else j.customer_email end as customer_email,
               j.reason is null
               and (not j.plain or not j.customer_missing and j.customer_id is not null and j.currency is not null)
               as planned
          from judged j
    ), intent as (
        insert into gateway.invoice_requests (
               request_id, agency_id, key_id, route, mode, upstream_id, account_id, client_id, product_id,
               collection_method, days_until_due, idempotency_key, fingerprint, created_at, recipe, upstream_version,
               customer_generation, customer_id, price_id, amount_minor, currency, auto_advance, form, planned_at,
               state, invoice_id)
        select request_id, agency_id, key_id, p_route[ord], mode, upstream_id, p_account_id[ord],
               coalesce(v_owner[ord], p_client_id[ord]), p_product_id[ord], p_collection_method[ord],
               p_days_until_due[ord], p_idempotency_key[ord], p_fingerprint[ord], now(), v_recipe,
               coalesce(p_api_version[ord], p_version), customer_generation, customer_id, price_id, unit_amount_minor,
               currency, auto_advance, p_form[ord], case when planned then now() end, 'open', p_invoice_id[ord]
          from frozen
         where reason is null
    ), hold as (
        insert into gateway.work (request_id, worker_id, acts_on, alone)
        select request_id, p_worker, p_invoice_id[ord], p_route[ord] <> 'invoiceitems' from frozen where reason is null
    ), history as (
        insert into gateway.events (subject_id, agency_id, worker_id, what)
        select request_id, agency_id, p_worker, 'opened' from frozen where reason is null
    )
    select array_agg(row (
               ord, case when reason is null then 'go' else 'refused' end, null, reason, agency_id, mode, planned, 1,
               customer_generation, customer_id, customer_name, customer_email, price_id, unit_amount_minor, currency,
               auto_advance, p_days_until_due[ord], null, null, p_account_id[ord],
               coalesce(v_owner[ord], p_client_id[ord]))::gateway.begin_verdict),
           bool_or(reason is null and customer_missing), bool_or(reason is not null)
      into v_verdicts, v_missing, v_refused
      from frozen;

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
        for v_at in 1 .. cardinality(v_verdicts) loop
            v_verdict := v_verdicts[v_at];
            continue when v_verdict.verdict = 'go';
            if v_verdict.reason = 'no_admin_member'
               and not exists (select from gateway.clients c where c.agency_id = v_verdict.agency_id
                                                               and c.client_id = v_verdict.client_id) then
                v_verdict.reason := 'client_unknown';
            end if;
            v_verdict.http_status := gateway.refusal_status(v_verdict.reason, p_route[v_verdict.ord],
                                                            p_refusal_status[v_verdict.ord]);
            if v_verdict.reason = 'key_invalid' then
                v_verdict.verdict := 'unauthorized';
            elsif p_again and (v_verdict.reason = 'in_flight' and not v_locked[v_verdict.ord]
                               or v_verdict.reason = 'invoice_busy' and not v_free[v_verdict.ord]) then
                v_verdict.verdict := 'busy';
            elsif v_verdict.reason = 'replay' then
                v_verdict.verdict := 'replay';
                v_verdict.http_status := v_earlier[v_verdict.ord].http_status;
                v_verdict.original_request := v_earlier[v_verdict.ord].request_id;
                v_verdict.answer := v_earlier[v_verdict.ord].answer;
            end if;
            v_verdicts[v_at] := v_verdict;
        end loop;
        insert into gateway.invoice_requests (
               request_id, agency_id, key_id, route, mode, upstream_id, account_id, client_id, product_id,
               collection_method, days_until_due, idempotency_key, fingerprint, created_at, recipe, upstream_version,
               form, state, reason, detail, http_status, finished_at)
        select p_request_id[v.ord], v.agency_id, k.key_id, p_route[v.ord], v.mode,
               case v.mode when 'live' then v_live else v_test end, coalesce(v.account_id, ''), v.client_id,
               p_product_id[v.ord], p_collection_method[v.ord], p_days_until_due[v.ord], p_idempotency_key[v.ord],
               p_fingerprint[v.ord], now(), v_recipe, coalesce(p_api_version[v.ord], p_version), p_form[v.ord],
               'refused', v.reason, p_refusal_detail[v.ord], v.http_status, now()
          from unnest(v_verdicts) v
          join gateway.api_keys k on k.digest = p_key_digest[v.ord]
         where v.verdict = 'refused'
           and v.reason not in ('key_invalid', 'mode_not_served', 'in_flight', 'invoice_busy', 'replay');
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        select p_request_id[v.ord], v.agency_id, p_worker, 'refused', v.reason
          from unnest(v_verdicts) v
         where v.verdict = 'refused'
           and v.reason not in ('key_invalid', 'mode_not_served', 'in_flight', 'invoice_busy', 'replay');
        insert into gateway.tallies (request_id, begun_at, agency_id, amount_minor, account_id, mode, currency, state,
                                     reason)
        select p_request_id[v.ord], now(), v.agency_id, 0, coalesce(v.account_id, ''), v.mode, '', 'refused', v.reason
          from unnest(v_verdicts) v
         where v.verdict = 'refused' and gateway.makes_invoice(p_route[v.ord])
           and v.reason not in ('key_invalid', 'mode_not_served', 'in_flight', 'invoice_busy', 'replay');
    end if;
    if v_missing then
        v_verdicts := gateway.freeze_customers(v_recipe, p_account_id, p_client_id, v_live, v_test, v_verdicts);
    end if;
    foreach v_verdict in array v_verdicts loop
        return next v_verdict;
    end loop;
end
$$;

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
        insert into gateway.work (request_id, worker_id, fence, acts_on, alone)
        values (p_request_id, case when v_is_taken then 0 else p_worker end, p_fence, p_invoice_id,
                p_route <> 'invoiceitems')
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

reset role;
