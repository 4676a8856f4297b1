-- What metrics show of unresolved requests: audit.unresolved in two figures, for the workers' role.

set role invoicegate_owner;

-- The age is that of the request: how long ago its intent was committed.
create function gateway.count_unresolved(out unresolved bigint, out oldest_s bigint)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
        select count(*), coalesce(extract(epoch from now() - min(r.created_at))::bigint, 0)
          from gateway.work w
          cross join lateral (select created_at, state from gateway.invoice_requests r
                               where r.request_id = w.request_id offset 0) r
         where r.state = 'unresolved' or w.parked_at is not null;
    end;
grant execute on function gateway.count_unresolved to invoicegate_worker;

reset role;
