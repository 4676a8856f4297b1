-- What the worker executes before anything is sent upstream: hello, begin_invoices, plan_invoices, renew_customer.
--
-- Each takes a whole batch as parallel arrays and answers a row for each member; ord counts from 1. All may be run
-- again with the same ids when a commit's fate is unknown. Plans are generic and avoid hash joins and sequential
-- scans: a plan made while a table was empty must still be right when it is large.

set role invoicegate_owner;

-- Whether a request is a wish for an invoice. The other routes act on one that is there: counts are not about them.
create function gateway.makes_invoice(p_route text) returns boolean
    language sql immutable parallel safe
    return p_route in ('account_invoices', 'invoices');
grant execute on function gateway.makes_invoice to invoicegate_reader;

-- A worker process introduces itself: it gets its number and hears what the durability promise depends on.
create function gateway.hello(p_host text, p_pid integer, p_build text, p_recipe smallint, p_url text, p_platform text,
                              p_live boolean, p_test boolean, p_lease_ms integer)
    returns table (worker_id bigint, live_upstream integer, test_upstream integer)
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into gateway.upstreams (url, platform, mode)
    select p_url, p_platform, mode
      from unnest(array['live', 'test'], array[p_live, p_test]) as wanted (mode, served)
     where served
        on conflict do nothing;
    return query
    insert into gateway.workers as w (host, pid, build, recipe, lease_until, live_upstream, test_upstream)
    select p_host, p_pid, p_build, p_recipe, now() + make_interval(secs => p_lease_ms / 1000.0),
           (select u.upstream_id from gateway.upstreams u
             where p_live and (u.url, u.platform, u.mode) = (p_url, p_platform, 'live')),
           (select u.upstream_id from gateway.upstreams u
             where p_test and (u.url, u.platform, u.mode) = (p_url, p_platform, 'test'))
    returning w.worker_id, w.live_upstream, w.test_upstream;
end
$$;

-- Answers how many workers live (they share the accounts' budgets). A lapsed lease is renewed all the same: fences
-- protect what was taken over.
create function gateway.renew_lease(p_worker bigint, p_lease_ms integer) returns integer
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    begin atomic
        update gateway.workers
           set lease_until = now() + make_interval(secs => p_lease_ms / 1000.0)
         where worker_id = p_worker;
        select count(*)::integer from gateway.workers where ended_at is null and lease_until >= now();
    end;

create function gateway.goodbye(p_worker bigint) returns void
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    begin atomic
        update gateway.workers set ended_at = now(), lease_until = now() where worker_id = p_worker;
    end;

create type gateway.begin_verdict as (
    ord                 integer,
    verdict             text,     -- go, refused, replay, unauthorized, busy, stale
    http_status         integer,  -- of a refusal or a replay
    reason              text,     -- of a refusal
    agency_id           bigint,
    mode                text,
    planned             boolean,  -- customer, price and amount are frozen: no plan_invoices needed
    generation          integer,
    customer_generation integer,
    customer_id         text,
    customer_name       text,     -- frozen, for the customer that is still to be made
    customer_email      text,
    price_id            text,
    amount_minor        bigint,
    currency            text,
    auto_advance        boolean,
    days_until_due      integer,
    original_request    uuid,     -- of a replay
    answer              bytea,    -- of a replay
    account_id          text,     -- the account that it is about: what was named, or the agency's default
    client_id           text      -- whose customer it is, where that is known
);

-- What became of a request whose begin was committed earlier (or the same begin, run again).
create function gateway.begun_before(p_worker bigint, p_request_id uuid) returns gateway.begin_verdict
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
        select 1,
               case when w.worker_id = p_worker then 'go' when r.state = 'refused' then 'refused' else 'stale' end,
               r.http_status, r.reason, r.agency_id, r.mode, r.planned_at is not null, r.generation,
               r.customer_generation, coalesce(r.customer_id, c.customer_id), c.name, c.email, r.price_id,
               r.amount_minor, r.currency, r.auto_advance, r.days_until_due, null::uuid, null::bytea, r.account_id,
               r.client_id
          from gateway.invoice_requests r
          left join gateway.work w using (request_id)
          left join gateway.customers c
            on (c.agency_id, c.client_id, c.account_id, c.upstream_id, c.generation)
             = (r.agency_id, r.client_id, r.account_id, r.upstream_id, r.customer_generation)
         where r.request_id = p_request_id;
    end;

-- Accounts as they count: where a caller of the upstream's own interface names none, its agency's default one.
create function gateway.effective_accounts(p_key_digest bytea[], p_account_id text[]) returns text[]
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
        select array_agg(coalesce(i.account_id, a.account_id) order by i.ord)
          from unnest(p_key_digest, p_account_id) with ordinality as i (key_digest, account_id, ord)
          left join gateway.api_keys k on k.digest = i.key_digest and i.account_id is null
          left join gateway.accounts a on a.agency_id = k.agency_id and a.is_default;
    end;

-- Authenticates, resolves, refuses or freezes, and records the intent, in one commit.
-- Route account_invoices asks for an invoice for a client and a product; the other routes are calls of the upstream's own
-- interface: p_form is sent as it is, p_invoice_id is the invoice that an act is about, p_api_version the caller's wish.
-- The order of the refusals is the order of the branches below. Refusals of strangers are not stored.
-- p_again: this batch of one may have been committed before.
create function gateway.begin_invoices(
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
    select array_agg(locked order by ord) into v_locked
      from (select ord, pg_try_advisory_xact_lock(scope) as locked
              from (select i.ord, hashtextextended(k.agency_id || ' ' || coalesce(i.account, '') || ' ' || i.route
                                                   || ' ' || i.key, 0) as scope
                      from unnest(p_account_id, p_route, p_idempotency_key, p_key_digest) with ordinality
                        as i (account, route, key, digest, ord)
                      left join gateway.api_keys k on i.key is not null and k.digest = i.digest
                     order by scope nulls last
                    offset 0) ordered) taken;

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
               coalesce(v.client_id, own.client_id, n.client_id) as owner_id,
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
                select o.client_id
                  from gateway.customers o
                 where o.agency_id = n.agency_id and o.account_id = n.account_id and o.customer_id = n.named_customer
                   and o.upstream_id = n.upstream_id
                 limit 1) own on n.named_customer is not null
          left join gateway.invoices v
            on v.invoice_id = n.invoice_id and v.agency_id = n.agency_id and v.account_id = n.account_id
           and v.mode = n.mode and v.upstream_id = n.upstream_id and v.status is distinct from 'deleted'
          left join gateway.products p
            on p.agency_id = n.agency_id and p.account_id = n.account_id and p.upstream_id = n.upstream_id
           and p.product_id = n.product_id and p.fetched_at > clock_timestamp() - interval '60 s'
          left join gateway.prices pr
            on pr.agency_id = n.agency_id and pr.account_id = n.account_id and pr.upstream_id = n.upstream_id
           and pr.price_id = p.price_id
          left join gateway.idempotency_keys ik
            on ik.agency_id = n.agency_id and ik.account_id = n.account_id and ik.mode = n.mode
           and ik.route = n.route and ik.idempotency_key = n.idempotency_key
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
    ), pin as (
        insert into gateway.idempotency_keys (
               agency_id, account_id, mode, route, idempotency_key, fingerprint, request_id)
        select agency_id, account_id, mode, route, idempotency_key, fingerprint, request_id
          from frozen where go and idempotency_key is not null
         order by 1, 2, 3, 4, 5
    ), history as (
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        select request_id, agency_id, p_worker, case when go then 'opened' else 'refused' end, reason
          from frozen
         where go or reason not in ('key_invalid', 'mode_not_served', 'in_flight', 'replay')
    ), counted as (
        insert into gateway.tallies (request_id, begun_at, agency_id, amount_minor, account_id, mode, currency, state,
                                     reason)
        select request_id, now(), agency_id, 0, coalesce(account_id, ''), mode, '', 'refused', reason
          from frozen
         where not go and gateway.makes_invoice(route)
           and reason not in ('key_invalid', 'mode_not_served', 'in_flight', 'replay')
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
           bool_or(customer_missing)
      into v_verdicts, v_missing
      from frozen;

    if v_missing then
        v_verdicts := gateway.freeze_customers(v_recipe, p_account_id, p_client_id, v_live, v_test, v_verdicts);
    end if;
    return query select * from unnest(v_verdicts);
end
$$;

-- Freezes what the customer of each request that has none will be made of; who comes first decides.
create function gateway.freeze_customers(p_recipe smallint, p_account_id text[], p_client_id text[], p_live integer,
                                         p_test integer, p_verdicts gateway.begin_verdict[])
    returns gateway.begin_verdict[]
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_frozen gateway.begin_verdict[];
begin
    insert into gateway.customers (agency_id, client_id, account_id, upstream_id, generation, recipe, name, email)
    select distinct on (1, 2, 3, 4, 5)
           agency_id, p_client_id[ord], p_account_id[ord], case mode when 'live' then p_live else p_test end,
           customer_generation, p_recipe, customer_name, customer_email
      from unnest(p_verdicts)
     where verdict = 'go' and customer_id is null and customer_generation is not null
     order by 1, 2, 3, 4, 5
        on conflict do nothing;
    -- A new statement sees what others committed meanwhile.
    select array_agg(row (
               v.ord, v.verdict, v.http_status, v.reason, v.agency_id, v.mode, v.planned, v.generation,
               v.customer_generation, coalesce(v.customer_id, c.customer_id), coalesce(c.name, v.customer_name),
               case when c.name is null then v.customer_email else c.email end, v.price_id, v.amount_minor,
               v.currency, v.auto_advance, v.days_until_due, v.original_request, v.answer, v.account_id,
               v.client_id)::gateway.begin_verdict
                     order by v.ord)
      into v_frozen
      from unnest(p_verdicts) v
      left join gateway.customers c
        on v.verdict = 'go'
       and (c.agency_id, c.client_id, c.account_id, c.upstream_id, c.generation)
         = (v.agency_id, p_client_id[v.ord], p_account_id[v.ord],
            case v.mode when 'live' then p_live else p_test end, v.customer_generation);
    return v_frozen;
end
$$;

create type gateway.plan_verdict as (
    ord          integer,
    verdict      text,     -- go, stale
    customer_id  text,
    price_id     text,
    amount_minor bigint,
    currency     text
);

-- Freezes what a cold request lacked: the price just read upstream, the customer just made upstream.
-- Product arrays are null where the price was known; p_customer_id is null where the customer was known.
create function gateway.plan_invoices(
    p_worker bigint, p_request_id uuid[], p_fence integer[], p_customer_id text[], p_product_name text[],
    p_price_id text[], p_amount_minor bigint[], p_currency text[], p_product_object bytea[])
    returns setof gateway.plan_verdict
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
    set enable_bitmapscan = off
as $$
declare
    v_ids   uuid[] := (select array_agg(id order by id) from unnest(p_request_id) as ids (id));
    v_first uuid := v_ids[1];
    v_last  uuid := v_ids[cardinality(v_ids)];
begin
    insert into gateway.products as p (agency_id, account_id, upstream_id, product_id, name, active, price_id,
                                       fetched_at, object)
    select distinct on (1, 2, 3, 4)
           r.agency_id, r.account_id, r.upstream_id, r.product_id, i.product_name, true, i.price_id,
           clock_timestamp(), i.object
      from unnest(p_request_id, p_product_name, p_price_id, p_product_object)
           as i (request_id, product_name, price_id, object)
      join gateway.invoice_requests r on r.request_id = i.request_id and r.request_id between v_first and v_last
     where i.price_id is not null
     order by 1, 2, 3, 4, i.request_id desc
        on conflict (agency_id, account_id, upstream_id, product_id) do update
       set name = excluded.name, active = true, price_id = excluded.price_id, fetched_at = excluded.fetched_at,
           object = excluded.object;

    insert into gateway.prices as p (agency_id, account_id, upstream_id, price_id, product_id, unit_amount_minor,
                                     currency, fetched_at)
    select distinct on (1, 2, 3, 4)
           r.agency_id, r.account_id, r.upstream_id, i.price_id, r.product_id, i.amount_minor, i.currency,
           clock_timestamp()
      from unnest(p_request_id, p_price_id, p_amount_minor, p_currency)
           as i (request_id, price_id, amount_minor, currency)
      join gateway.invoice_requests r on r.request_id = i.request_id and r.request_id between v_first and v_last
     where i.price_id is not null
     order by 1, 2, 3, 4, i.request_id desc
        on conflict (agency_id, account_id, upstream_id, price_id) do update
       set unit_amount_minor = excluded.unit_amount_minor, currency = excluded.currency,
           fetched_at = excluded.fetched_at;

    -- The first customer id stored wins; rows are locked in key order before they are changed.
    perform
      from gateway.customers c
      join (select distinct r.agency_id, r.client_id, r.account_id, r.upstream_id, r.customer_generation
              from unnest(p_request_id, p_customer_id) as i (request_id, customer_id)
              join gateway.invoice_requests r
                on r.request_id = i.request_id and r.request_id between v_first and v_last
             where i.customer_id is not null) k
        on (c.agency_id, c.client_id, c.account_id, c.upstream_id, c.generation)
         = (k.agency_id, k.client_id, k.account_id, k.upstream_id, k.customer_generation)
     order by c.agency_id, c.client_id, c.account_id, c.upstream_id, c.generation
       for update of c;
    update gateway.customers c
       set customer_id = i.customer_id
      from unnest(p_request_id, p_customer_id) as i (request_id, customer_id)
      join gateway.invoice_requests r on r.request_id = i.request_id and r.request_id between v_first and v_last
     where i.customer_id is not null and c.customer_id is null
       and (c.agency_id, c.client_id, c.account_id, c.upstream_id, c.generation)
         = (r.agency_id, r.client_id, r.account_id, r.upstream_id, r.customer_generation);

    return query
    with planned as (
        update gateway.invoice_requests r
           set customer_id = coalesce(r.customer_id, c.customer_id), price_id = coalesce(r.price_id, i.price_id),
               amount_minor = coalesce(r.amount_minor, i.amount_minor), currency = coalesce(r.currency, i.currency),
               planned_at = coalesce(r.planned_at, now())
          from unnest(p_request_id, p_fence, p_price_id, p_amount_minor, p_currency) with ordinality
               as i (request_id, fence, price_id, amount_minor, currency, ord)
          join gateway.work w
            on w.request_id = i.request_id and w.worker_id = p_worker and w.fence = i.fence
          cross join lateral (
                select q.agency_id, q.client_id, q.account_id, q.upstream_id, q.customer_generation
                  from gateway.invoice_requests q
                 where q.request_id = i.request_id and q.request_id between v_first and v_last) q
          left join gateway.customers c
            on (c.agency_id, c.client_id, c.account_id, c.upstream_id, c.generation)
             = (q.agency_id, q.client_id, q.account_id, q.upstream_id, q.customer_generation)
         where r.request_id = i.request_id and r.request_id between v_first and v_last
        returning i.ord, r.request_id, r.agency_id, r.customer_id, r.price_id, r.amount_minor, r.currency
    ), history as (
        insert into gateway.events (subject_id, agency_id, worker_id, what, why)
        select request_id, agency_id, p_worker, 'planned', price_id from planned
    )
    select i.ord::integer, case when p.ord is null then 'stale' else 'go' end, p.customer_id, p.price_id,
           p.amount_minor, p.currency
      from generate_series(1, cardinality(p_request_id)) as i (ord)
      left join planned p on p.ord = i.ord;
end
$$;

-- The upstream says that this request's customer is gone and has made nothing: a next generation of the customer (or
-- the one that somebody else began meanwhile) and a next generation of the request's own keys.
create function gateway.renew_customer(p_worker bigint, p_request_id uuid, p_fence integer)
    returns setof gateway.begin_verdict
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_request gateway.invoice_requests;
    v_next    integer;
begin
    perform from gateway.work
      where request_id = p_request_id and worker_id = p_worker and fence = p_fence for update;
    if not found then
        return;
    end if;
    select * into strict v_request from gateway.invoice_requests where request_id = p_request_id;
    select case when max(generation) > v_request.customer_generation then max(generation)
                else v_request.customer_generation + 1 end
      into v_next
      from gateway.customers
     where (agency_id, client_id, account_id, upstream_id)
         = (v_request.agency_id, v_request.client_id, v_request.account_id, v_request.upstream_id);
    insert into gateway.customers (agency_id, client_id, account_id, upstream_id, generation, recipe, name, email)
    select v_request.agency_id, v_request.client_id, v_request.account_id, v_request.upstream_id, v_next,
           v_request.recipe, m.name, m.email
      from gateway.members m
     where m.agency_id = v_request.agency_id and m.client_id = v_request.client_id and m.is_admin
     order by m.email is null, m.member_id
     limit 1
        on conflict do nothing;
    update gateway.invoice_requests
       set generation = generation + 1, customer_generation = v_next, customer_id = null, planned_at = null
     where request_id = p_request_id;
    insert into gateway.events (subject_id, agency_id, worker_id, what, why)
    values (p_request_id, v_request.agency_id, p_worker, 'customer_renewed', v_request.customer_id);
    return query select * from gateway.begun_before(p_worker, p_request_id) b where b.verdict is not null;
end
$$;

grant execute on function gateway.hello, gateway.renew_lease, gateway.goodbye, gateway.begin_invoices,
                          gateway.plan_invoices, gateway.renew_customer to invoicegate_worker;

reset role;
