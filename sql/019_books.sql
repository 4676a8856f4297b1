-- A month that is dropped a second time: the account of what was exported first stays.

set role invoicegate_owner;

-- Drops a month whose export was checked. p_tables: {"events_2024_01": {"state": what state_of_table said when it was exported,
-- "rows": ..., ...}, ...}. Refuses when anything has changed since, is unfinished, or is not in the roll-ups.
-- A late row makes a month come back: what is dropped then stands beside what was dropped before, as "events_2024_01.2".
create or replace function gateway.drop_month(p_month timestamptz, p_tables jsonb, p_by text) returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
    set lock_timeout = '500ms'
as $$
declare
    v_from    uuid := gateway.uuid_at(p_month);
    v_until   uuid := gateway.uuid_at(p_month + interval '1 month');
    v_table   text;
    v_name    text;
    v_exports jsonb;
begin
    perform from gateway.months_before(now()) m
      where m.month = p_month and m.tables <@ array(select jsonb_object_keys(p_tables))
        and m.tables @> array(select jsonb_object_keys(p_tables));
    if not found then
        raise exception 'these are not the partitions of a month that is over';
    end if;
    if exists (select from gateway.work where request_id >= v_from and request_id < v_until) then
        raise exception 'a request of this month is unfinished: "invoicegatectl unresolved" shows it';
    end if;
    perform gateway.roll_up();
    if exists (select from gateway.tallies where request_id >= v_from and request_id < v_until) then
        raise exception 'this month''s latest ends are not counted yet: try again in some seconds';
    end if;
    insert into gateway.dropped_counts as d
    select * from gateway.counts_of(v_from, v_until)
        on conflict (hour, agency_id, account_id, mode, currency, state, reason) do update
       set requests = d.requests + excluded.requests, amount_minor = d.amount_minor + excluded.amount_minor;
    for v_table in select jsonb_object_keys(p_tables) order by 1 loop
        execute format('lock table gateway.%I in access exclusive mode', v_table);
        if gateway.state_of_table(v_table) <> p_tables -> v_table ->> 'state' then
            raise exception 'gateway.% has changed since it was exported', v_table;
        end if;
        execute format('drop table gateway.%I', v_table);
    end loop;
    select coalesce((select rows from gateway.dropped_months where month = p_month for update), '{}') into v_exports;
    for v_table in select jsonb_object_keys(p_tables) order by 1 loop
        v_name := v_table;
        for v_copy in 2 .. 1000000 loop
            exit when not v_exports ? v_name;
            v_name := v_table || '.' || v_copy;
        end loop;
        v_exports := v_exports || jsonb_build_object(v_name, p_tables -> v_table);
    end loop;
    insert into gateway.dropped_months (month, rows) values (p_month, v_exports)
        on conflict (month) do update set dropped_at = now(), rows = excluded.rows;
    insert into gateway.events (subject_id, about, what, why)
    values (gateway.uuid_new(), 'retention', 'month dropped', to_char(p_month, 'YYYY-MM') || '; by ' || p_by);
end
$$;

reset role;

set role invoicegate_reader;

comment on column audit.dropped_months.dropped_at is 'When, of the last time.';
comment on column audit.dropped_months.tables is 'What was exported: rows, digest and file of each table. Of a month that came back by a late row and was dropped again: of TABLE.2, TABLE.3 and so on, too.';

reset role;
