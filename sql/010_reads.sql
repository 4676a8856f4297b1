-- Reading back what went through the gateway: read_invoice, list_invoices, refresh_invoice. Each authenticates, looks at the
-- key's scope and answers in one call; nobody sees more than the invoices of its own agency, account and mode.

set role invoicegate_owner;

create type gateway.read_row as (
    verdict      text,     -- go, refused, unauthorized
    reason       text,     -- of a refusal; 'request' when the request itself was no good
    agency_id    bigint,
    mode         text,
    account_id   text,
    invoice_id   text,     -- null where there is no invoice to tell
    status       text,
    number       text,
    amount_minor bigint,
    currency     text,
    customer_id  text,
    created_s    bigint,
    object       text,     -- the upstream's; the little that is known where its bytes are no text
    stale        boolean,  -- it may have changed since it was last seen
    seen_us      bigint,   -- when that was
    has_more     boolean
);

-- The upstream's bytes as text, or null where PostgreSQL cannot hold them as one.
create function gateway.try_text(p_bytes bytea) returns text
    language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $$
begin
    return convert_from(p_bytes, 'UTF8');
exception when others then
    return null;
end
$$;

-- Who asks, and for which account; upstream_id is null unless the reason is.
create function gateway.reader_of(p_worker bigint, p_key_digest bytea, p_route text, p_account_id text, p_refused boolean,
                                  out agency_id bigint, out mode text, out account_id text, out upstream_id integer,
                                  out reason text)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
        select k.agency_id, k.mode, a.account_id, u.upstream_id,
               case when k.agency_id is null then 'key_invalid'
                    when u.upstream_id is null then 'mode_not_served'
                    when k.accounts is not null and coalesce(p_account_id, a.account_id) <> all (k.accounts)
                      or k.routes is not null and p_route <> all (k.routes) then 'out_of_scope'
                    when p_refused then 'request'
                    when p_account_id is null and a.account_id is null then 'no_default_account'
                    when a.account_id is null then 'account_unknown'
               end
          from (select) as one
          left join gateway.api_keys k
            on k.digest = p_key_digest and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
          left join lateral (
                select case k.mode when 'live' then w.live_upstream when 'test' then w.test_upstream end as upstream_id
                  from gateway.workers w
                 where w.worker_id = p_worker) u on true
          left join gateway.accounts a
            on a.agency_id = k.agency_id
           and case when p_account_id is null then a.is_default else a.account_id = p_account_id end;
    end;

create function gateway.read_row_of(p_invoice gateway.invoices, p_has_more boolean)
    returns gateway.read_row
    language sql stable set search_path = pg_catalog, pg_temp
    return row ('go', null, p_invoice.agency_id, p_invoice.mode, p_invoice.account_id, p_invoice.invoice_id,
                p_invoice.status, p_invoice.number, p_invoice.amount_minor, p_invoice.currency, p_invoice.customer_id,
                extract(epoch from p_invoice.created_at)::bigint,
                coalesce(gateway.try_text(p_invoice.object),
                         json_build_object('id', p_invoice.invoice_id, 'object', 'invoice', 'status', p_invoice.status,
                                           'livemode', p_invoice.mode = 'live')::text),
                -- What is paid or void stays so.
                p_invoice.status is null or p_invoice.object is null
                or p_invoice.status not in ('paid', 'void') and p_invoice.refreshed_at < now() - interval '60 s',
                (extract(epoch from p_invoice.refreshed_at) * 1000000)::bigint, p_has_more)::gateway.read_row;

create function gateway.read_refusal(p_agency_id bigint, p_mode text, p_reason text) returns gateway.read_row
    language sql immutable set search_path = pg_catalog, pg_temp
    return row (case p_reason when 'key_invalid' then 'unauthorized' else 'refused' end, p_reason, p_agency_id, p_mode,
                null, null, null, null, null, null, null, null, null, null, null, null)::gateway.read_row;

create function gateway.read_invoice(p_worker bigint, p_key_digest bytea, p_route text, p_account_id text,
                                     p_refused boolean, p_invoice_id text) returns setof gateway.read_row
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_reader  record;
    v_invoice gateway.invoices;
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
        return next gateway.read_row_of(v_invoice, false);
    end if;
end
$$;

-- Newest first, by creation and id. p_from_s and p_until_s are included. A page begins behind p_after or ends before
-- p_before; both must be in the list's account. The index invoices_by_account serves every page.
create function gateway.list_invoices(p_worker bigint, p_key_digest bytea, p_route text, p_account_id text,
                                      p_refused boolean, p_limit integer, p_customer text, p_status text,
                                      p_from_s bigint, p_until_s bigint, p_after text, p_before text)
    returns setof gateway.read_row
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = force_custom_plan
as $$
declare
    v_reader record;
    v_at     timestamptz;
    v_mark   text := coalesce(p_after, p_before);
begin
    select * into v_reader from gateway.reader_of(p_worker, p_key_digest, p_route, p_account_id, p_refused);
    if v_reader.reason is null and v_mark is not null then
        select v.created_at into v_at
          from gateway.invoices v
         where v.invoice_id = v_mark and v.agency_id = v_reader.agency_id and v.account_id = v_reader.account_id
           and v.mode = v_reader.mode and v.upstream_id = v_reader.upstream_id;
        if v_at is null then
            v_reader.reason := 'cursor_unknown';
        end if;
    end if;
    if v_reader.reason is not null then
        return next gateway.read_refusal(v_reader.agency_id, v_reader.mode, v_reader.reason);
        return;
    end if;
    if p_before is null then
        return query
        select told.*
          from (select v.invoice, count(*) over () as found, row_number() over () as place
                  from (select v as invoice
                          from gateway.invoices v
                         where v.account_id = v_reader.account_id and v.agency_id = v_reader.agency_id
                           and v.mode = v_reader.mode and v.upstream_id = v_reader.upstream_id
                           and v.status is distinct from 'deleted'
                           and (p_customer is null or v.customer_id = p_customer)
                           and (p_status is null or v.status = p_status)
                           and (p_from_s is null or v.created_at >= to_timestamp(p_from_s))
                           and (p_until_s is null or v.created_at <= to_timestamp(p_until_s))
                           and (v_at is null or v.created_at <= v_at)
                           and (v_at is null or v.created_at < v_at or v.invoice_id < v_mark)
                         order by v.created_at desc, v.invoice_id desc
                         limit p_limit + 1) v) page
         cross join lateral gateway.read_row_of(page.invoice, page.found > p_limit) told
         where page.place <= p_limit
         order by page.place;
    else
        return query
        select told.*
          from (select v.invoice, count(*) over () as found, row_number() over () as place
                  from (select v as invoice
                          from gateway.invoices v
                         where v.account_id = v_reader.account_id and v.agency_id = v_reader.agency_id
                           and v.mode = v_reader.mode and v.upstream_id = v_reader.upstream_id
                           and v.status is distinct from 'deleted'
                           and (p_customer is null or v.customer_id = p_customer)
                           and (p_status is null or v.status = p_status)
                           and (p_from_s is null or v.created_at >= to_timestamp(p_from_s))
                           and (p_until_s is null or v.created_at <= to_timestamp(p_until_s))
                           and v.created_at >= v_at
                           and (v.created_at > v_at or v.invoice_id > v_mark)
                         order by v.created_at, v.invoice_id
                         limit p_limit + 1) v) page
         cross join lateral gateway.read_row_of(page.invoice, page.found > p_limit) told
         where page.place <= p_limit
         order by page.place desc;
    end if;
    if not found then
        return next row ('go', null, v_reader.agency_id, v_reader.mode, v_reader.account_id, null, null, null, null, null,
                         null, null, null, null, null, false)::gateway.read_row;
    end if;
end
$$;

-- What a look at the upstream showed, unless the row has changed since it was read (p_seen_us): then that is newer.
create function gateway.refresh_invoice(p_worker bigint, p_agency_id bigint, p_account_id text, p_mode text,
                                        p_invoice_id text, p_seen_us bigint, p_status text, p_number text,
                                        p_amount_minor bigint, p_currency text, p_object bytea)
    returns setof gateway.read_row
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update gateway.invoices v
       set status = p_status, number = p_number, amount_minor = coalesce(p_amount_minor, v.amount_minor),
           currency = coalesce(p_currency, v.currency), object = p_object, refreshed_at = now()
      from gateway.workers w
     where w.worker_id = p_worker and v.invoice_id = p_invoice_id and v.agency_id = p_agency_id
       and v.account_id = p_account_id and v.mode = p_mode
       and v.upstream_id = case p_mode when 'live' then w.live_upstream else w.test_upstream end
       and (extract(epoch from v.refreshed_at) * 1000000)::bigint = p_seen_us;
    return next gateway.read_refusal(p_agency_id, p_mode, null);
end
$$;

grant execute on function gateway.read_invoice, gateway.list_invoices, gateway.refresh_invoice to invoicegate_worker;

reset role;
