-- Monthly partitions of everything that is keyed by a request's id, made ahead of time.

set role invoicegate_owner;

-- The smallest UUID version 7 of a moment.
create function gateway.uuid_at(p_at timestamptz) returns uuid
    language sql immutable strict parallel safe
    return (lpad(to_hex(floor(extract(epoch from p_at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- A fresh UUID version 7, for events that concern no request.
create function gateway.uuid_new() returns uuid
    language sql volatile
    return (lpad(to_hex(floor(extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
            || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid;

-- The moment inside a UUID version 7.
create function gateway.uuid_time(p_id uuid) returns timestamptz
    language sql immutable strict parallel safe
    return to_timestamp(('x' || lpad(replace(left(p_id::text, 13), '-', ''), 16, '0'))::bit(64)::bigint / 1000.0);

-- ---------------------------------------------------------------------------------------------- history stays

-- An act of maintenance is an event. why says on what; who is added.
create function gateway.note_maintenance(p_what text, p_why text) returns void
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    begin atomic
        insert into gateway.events (subject_id, about, what, why)
        values (gateway.uuid_new(), 'maintenance', p_what, p_why || '; by ' || session_user);
    end;
grant execute on function gateway.note_maintenance to invoicegate_maintenance;

-- Refuses whoever is not, at this moment, the maintenance role: the owner and superusers, too, must say
-- "set role invoicegate_maintenance" first. Never fires on an insert.
create function gateway.guard_history() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_row jsonb;
begin
    if current_user <> 'invoicegate_maintenance' then
        raise exception 'history is append-only: % on gateway.% is refused', lower(tg_op), tg_table_name
            using errcode = 'insufficient_privilege', hint = 'role invoicegate_maintenance may; its acts are events';
    end if;
    if tg_op = 'TRUNCATE' then
        perform gateway.note_maintenance('history truncated', tg_table_name);
        return null;
    end if;
    v_row := to_jsonb(old);
    perform gateway.note_maintenance(case tg_op when 'DELETE' then 'history deleted' else 'history updated' end,
                                     concat_ws(' ', tg_table_name, coalesce(v_row ->> 'request_id', v_row ->> 'subject_id'),
                                               v_row ->> 'event_id', v_row ->> 'step', v_row ->> 'invoice_id'));
    return case tg_op when 'DELETE' then old else new end;
end
$$;

-- Rows of the parents' triggers come to partitions by themselves; TRUNCATE's have to be made on each.
create function gateway.guard_truncate(p_table text) returns void
    language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('create trigger truncate_is_refused after truncate on gateway.%I '
                   'for each statement execute function gateway.guard_history()', p_table);
end
$$;

create trigger history_stays before update or delete on gateway.events
    for each row execute function gateway.guard_history();
create trigger history_stays before update or delete on gateway.upstream_calls
    for each row execute function gateway.guard_history();
-- These change while they are being worked on; what they said stands in events. They never go.
create trigger history_stays before delete on gateway.invoice_requests
    for each row execute function gateway.guard_history();
create trigger history_stays before delete on gateway.invoices
    for each row execute function gateway.guard_history();
select gateway.guard_truncate(name)
  from unnest(array['events', 'events_default', 'upstream_calls', 'upstream_calls_default', 'invoice_requests',
                    'invoice_requests_default', 'invoices']) as guarded (name);

-- ---------------------------------------------------------------------------------------------- months

-- The months in which the default partition of a table has rows: a clock jumped, or nobody made partitions for long.
-- Ids that are no time between 2020 and 2100 stay where they are.
create function gateway.months_in_default(p_parent text) returns setof timestamptz
    language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    v_key   text := case p_parent when 'events' then 'subject_id' else 'request_id' end;
    v_from  timestamptz := '2020-01-01';
    v_first uuid;
begin
    loop
        execute format('select %I from gateway.%I where %I >= $1 and %I < $2 order by 1 limit 1', v_key,
                       p_parent || '_default', v_key, v_key)
           into v_first using gateway.uuid_at(v_from), gateway.uuid_at('2100-01-01');
        exit when v_first is null;
        v_from := date_trunc('month', gateway.uuid_time(v_first));
        return next v_from;
        v_from := v_from + interval '1 month';
    end loop;
end
$$;

-- A partition is built apart and attached, so writers wait for the attachment only.
create function gateway.make_month(p_parent text, p_month timestamptz) returns void
    language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    v_child text := p_parent || to_char(p_month, '_YYYY_MM');
begin
    -- A request's row is updated once: room for its new version on its own page spares its index entries.
    execute format('create table gateway.%I (like gateway.%I including all) with (fillfactor = %s)', v_child, p_parent,
                   case p_parent when 'invoice_requests' then 50 else 100 end);
    perform gateway.guard_truncate(v_child);
    execute format('alter table gateway.%I attach partition gateway.%I for values from (%L) to (%L)', p_parent, v_child,
                   gateway.uuid_at(p_month), gateway.uuid_at(p_month + interval '1 month'));
end
$$;

-- The same for months that have rows in the default partition, which blocks their making while it is one. It is taken
-- off for a moment, and the rows go where they belong; nobody reads or writes the table meanwhile.
create function gateway.make_months_from_default(p_parent text, p_months timestamptz[]) returns void
    language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    v_key     text := case p_parent when 'events' then 'subject_id' else 'request_id' end;
    v_default text := p_parent || '_default';
    v_month   timestamptz;
begin
    execute format('lock table gateway.%I in access exclusive mode', p_parent);
    execute format('alter table gateway.%I detach partition gateway.%I', p_parent, v_default);
    foreach v_month in array p_months loop
        perform gateway.make_month(p_parent, v_month);
        -- A table of its own has none of the parent's row triggers: nothing is lost here, it moves.
        execute format('with moved as (delete from gateway.%I where %I >= $1 and %I < $2 returning *) '
                       'insert into gateway.%I select * from moved', v_default, v_key, v_key, p_parent)
          using gateway.uuid_at(v_month), gateway.uuid_at(v_month + interval '1 month');
    end loop;
    execute format('alter table gateway.%I attach partition gateway.%I default', p_parent, v_default);
end
$$;

create function gateway.make_months(p_parent text, p_from timestamptz, p_ahead integer) returns integer
    language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    v_held  timestamptz[] := array(select gateway.months_in_default(p_parent));
    v_month timestamptz;
    v_made  integer := cardinality(v_held);
begin
    if v_made > 0 then
        perform gateway.make_months_from_default(p_parent, v_held);
    end if;
    for v_month in
        select generate_series(date_trunc('month', p_from),
                               date_trunc('month', p_from) + make_interval(months => p_ahead), interval '1 month')
    loop
        continue when to_regclass(format('gateway.%I', p_parent || to_char(v_month, '_YYYY_MM'))) is not null;
        perform gateway.make_month(p_parent, v_month);
        v_made := v_made + 1;
    end loop;
    return v_made;
end
$$;

-- Makes what is missing of the months from p_from's to p_ahead later, and those of rows in default partitions; answers
-- how many partitions it made. Only one caller does it at a time. It gives way to whoever holds a table for long (before a
-- deadlock could be suspected) and is simply called again later: what is missing goes into the default partition.
create function gateway.make_partitions_from(p_from timestamptz, p_ahead integer) returns integer
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set lock_timeout = '500ms'
as $$
declare
    v_parent text;
    v_made   integer := 0;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('invoicegate.make_partitions', 0)) then
        return 0;
    end if;
    foreach v_parent in array array['invoice_requests', 'upstream_calls', 'events'] loop
        begin
            v_made := v_made + gateway.make_months(v_parent, p_from, p_ahead);
        exception when lock_not_available then
            raise warning 'partitions of gateway.% are made later: it is in use', v_parent;
        end;
    end loop;
    return v_made;
end
$$;

create function gateway.make_partitions(p_months integer) returns integer
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    return gateway.make_partitions_from(now(), p_months);
grant execute on function gateway.make_partitions to invoicegate_worker;

select gateway.make_partitions(3);

reset role;
