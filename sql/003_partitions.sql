-- Monthly partitions of everything that is keyed by a request's id, made ahead of time.

set role invoicegate_owner;

-- The smallest UUID version 7 of a moment.
create function gateway.uuid_at(p_at timestamptz) returns uuid
    language sql immutable strict
    return (lpad(to_hex(floor(extract(epoch from p_at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- A fresh UUID version 7, for events that concern no request.
create function gateway.uuid_new() returns uuid
    language sql volatile
    return (lpad(to_hex(floor(extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
            || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid;

-- The moment inside a UUID version 7.
create function gateway.uuid_time(p_id uuid) returns timestamptz
    language sql immutable strict
    return to_timestamp(('x' || lpad(replace(left(p_id::text, 13), '-', ''), 16, '0'))::bit(64)::bigint / 1000.0);

-- Makes what is missing of the months from this one to p_months ahead; answers how many partitions it made.
-- A partition is built apart and attached, so writers wait for the attachment only. Only one caller does it at a time.
create function gateway.make_partitions(p_months integer) returns integer
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    v_parent text;
    v_child  text;
    v_from   timestamptz;
    v_made   integer := 0;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('invoicegate.make_partitions', 0)) then
        return 0;
    end if;
    for v_from in
        select generate_series(date_trunc('month', now()),
                               date_trunc('month', now()) + make_interval(months => p_months), interval '1 month')
    loop
        foreach v_parent in array array['invoice_requests', 'upstream_calls', 'events'] loop
            v_child := v_parent || to_char(v_from, '_YYYY_MM');
            continue when to_regclass('gateway.' || v_child) is not null;
            -- A request's row is updated once: room for its new version on its own page spares three index entries.
            execute format('create table gateway.%I (like gateway.%I including all) with (fillfactor = %s)', v_child,
                           v_parent, case v_parent when 'invoice_requests' then 50 else 100 end);
            execute format('alter table gateway.%I attach partition gateway.%I for values from (%L) to (%L)',
                           v_parent, v_child, gateway.uuid_at(v_from),
                           gateway.uuid_at(v_from + interval '1 month'));
            v_made := v_made + 1;
        end loop;
    end loop;
    return v_made;
end
$$;
grant execute on function gateway.make_partitions to invoicegate_worker;

select gateway.make_partitions(3);

reset role;
