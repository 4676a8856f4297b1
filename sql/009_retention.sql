-- Retention of old months, and what reconciliation with the upstream found.

set role invoicegate_owner;

-- ---------------------------------------------------------------------------------------------- retention

-- The months before p_before that have partitions, oldest first, and those partitions.
create function gateway.months_before(p_before timestamptz) returns table (month timestamptz, tables text[])
    language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC'
    begin atomic
        select m.month, array_agg(m.name order by m.name)
          from (select c.relname::text as name, to_timestamp(right(c.relname::text, 7), 'YYYY_MM') as month
                  from pg_class c
                  join pg_inherits i on i.inhrelid = c.oid
                 where i.inhparent in ('gateway.invoice_requests'::regclass, 'gateway.upstream_calls'::regclass,
                                       'gateway.events'::regclass)
                   and c.relname::text ~ '_[0-9]{4}_[0-9]{2}$') m
         where m.month < p_before
         group by m.month
         order by m.month;
    end;

-- Changes whenever a row comes, goes or changes.
create function gateway.state_of_table(p_table text) returns text
    language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_state text;
begin
    execute format('select concat(count(*), '' '', sum(xmin::text::bigint)) from gateway.%I', p_table) into v_state;
    return v_state;
end
$$;

-- Drops a month whose export was checked. p_tables: {"events_2024_01": {"state": what state_of_table said when it was exported,
-- "rows": ..., ...}, ...}. Refuses when anything has changed since, is unfinished, or is not in the roll-ups.
create function gateway.drop_month(p_month timestamptz, p_tables jsonb, p_by text) returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
    set lock_timeout = '500ms'
as $$
declare
    v_from    uuid := gateway.uuid_at(p_month);
    v_until   uuid := gateway.uuid_at(p_month + interval '1 month');
    v_table   text;
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
    insert into gateway.dropped_months (month, rows) values (p_month, p_tables)
        on conflict (month) do update set dropped_at = now(), rows = excluded.rows;
    insert into gateway.events (subject_id, about, what, why)
    values (gateway.uuid_new(), 'retention', 'month dropped', to_char(p_month, 'YYYY-MM') || '; by ' || p_by);
end
$$;

-- ---------------------------------------------------------------------------------------------- reconciliation

create table gateway.reconciliations (
    reconciliation_id  bigint generated always as identity primary key,
    at                 timestamptz not null default now(),
    agency_id          bigint not null references gateway.agencies,
    account_id         text not null,
    mode               text not null,
    since              timestamptz not null,
    until              timestamptz not null,
    by                 text not null,
    listed             bigint not null,
    recorded           bigint not null,
    findings           bigint not null
);

create table gateway.reconciliation_findings (
    reconciliation_id  bigint not null references gateway.reconciliations,
    agency_id          bigint not null,
    kind               text not null check (kind in ('missing_here', 'missing_there', 'different')),
    invoice_id         text not null,
    request_id         uuid,
    amount_minor       bigint,
    currency           text,
    upstream_minor     bigint,
    upstream_currency  text,
    primary key (reconciliation_id, invoice_id)
);

create trigger history_stays before update or delete on gateway.reconciliations
    for each row execute function gateway.guard_history();
create trigger history_stays before update or delete on gateway.reconciliation_findings
    for each row execute function gateway.guard_history();
select gateway.guard_truncate('reconciliations'), gateway.guard_truncate('reconciliation_findings');

grant select on gateway.dropped_months, gateway.reconciliations, gateway.reconciliation_findings to invoicegate_reader;
select gateway.show_own_agency('reconciliations'), gateway.show_own_agency('reconciliation_findings');

reset role;

set role invoicegate_reader;

create view audit.reconciliations as
select reconciliation_id, at, agency_id, account_id, mode, since, until, by, listed, recorded, findings
  from gateway.reconciliations;

comment on view audit.reconciliations is 'The comparisons of the audit with what the upstream lists (invoicegatectl reconcile).';
comment on column audit.reconciliations.reconciliation_id is 'Its number.';
comment on column audit.reconciliations.at is 'When it was written.';
comment on column audit.reconciliations.agency_id is 'The agency.';
comment on column audit.reconciliations.account_id is 'The connected account, as the upstream names it.';
comment on column audit.reconciliations.mode is 'live or test.';
comment on column audit.reconciliations.since is 'Invoices created at this moment or later were compared.';
comment on column audit.reconciliations.until is 'And before this one.';
comment on column audit.reconciliations.by is 'Who ran it.';
comment on column audit.reconciliations.listed is 'Invoices of the gateway that the upstream listed.';
comment on column audit.reconciliations.recorded is 'Invoices that the audit had.';
comment on column audit.reconciliations.findings is 'How many did not agree.';

create view audit.reconciliation_findings as
select reconciliation_id, agency_id, kind, invoice_id, request_id, amount_minor, currency, upstream_minor, upstream_currency
  from gateway.reconciliation_findings;

comment on view audit.reconciliation_findings is 'What did not agree.';
comment on column audit.reconciliation_findings.reconciliation_id is 'The comparison.';
comment on column audit.reconciliation_findings.agency_id is 'The agency.';
comment on column audit.reconciliation_findings.kind is 'missing_here: stands upstream and is not in the audit; missing_there: the other way round; different: amounts or currencies differ.';
comment on column audit.reconciliation_findings.invoice_id is 'The invoice.';
comment on column audit.reconciliation_findings.request_id is 'The request that made it.';
comment on column audit.reconciliation_findings.amount_minor is 'What the audit says, in the smallest unit.';
comment on column audit.reconciliation_findings.currency is 'In which currency.';
comment on column audit.reconciliation_findings.upstream_minor is 'What the upstream says, in the smallest unit.';
comment on column audit.reconciliation_findings.upstream_currency is 'In which currency.';

create view audit.dropped_months as
select month, dropped_at, rows as tables
  from gateway.dropped_months
 where (select everything from gateway.caller);

comment on view audit.dropped_months is 'Months whose requests, calls and events were exported and dropped. Their counts stay in the aggregates.';
comment on column audit.dropped_months.month is 'The month''s beginning, in UTC.';
comment on column audit.dropped_months.dropped_at is 'When.';
comment on column audit.dropped_months.tables is 'What was exported: rows, digest and file of each table.';
grant select on all tables in schema audit to invoicegate_auditor, invoicegate_dashboard;

reset role;
