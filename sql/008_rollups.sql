-- Counts per hour and day, made of the events and exact at every moment.
--
-- Events carry the number of their transaction (tick). Transactions end in another order than they begin, so a roll-up takes
-- only what lies below the oldest one still under way: nothing can appear there any more. How far it came (horizon) is
-- committed with the counts; whoever looks adds the events from there on. Both stand in one snapshot, on a replica as well.
-- A transaction that writes and stays open holds the horizon back: counts stay right, only dearer to ask for.

set role invoicegate_owner;

create table gateway.roll_up_state (
    only_one   boolean primary key default true check (only_one),
    horizon    bigint not null default 0,     -- every event with a smaller tick is counted
    shift      bigint not null default 0,     -- what is added to transaction numbers (gateway.rebuild_roll_ups)
    rolled_at  timestamptz not null default now(),
    counted    bigint not null default 0
) with (fillfactor = 10);
insert into gateway.roll_up_state default values;

-- What an event does to the counts. A withdrawal takes back an end as created.
create table gateway.ends (
    what      text primary key,
    state     text not null,
    requests  integer not null
);
insert into gateway.ends
values ('created', 'created', 1), ('settled_created', 'created', 1), ('withdrawn', 'created', -1), ('failed', 'failed', 1),
       ('settled_failed', 'failed', 1), ('refused', 'refused', 1);

-- currency is '' where none is known, reason where there is none.
create table gateway.hourly (
    hour          timestamptz not null,
    agency_id     bigint not null,
    account_id    text not null,
    mode          text not null,
    currency      text not null,
    state         text not null,
    reason        text not null,
    requests      bigint not null,
    amount_minor  bigint not null,
    primary key (hour, agency_id, account_id, mode, currency, state, reason)
) with (fillfactor = 70);
create table gateway.daily (
    day           date not null,
    agency_id     bigint not null,
    account_id    text not null,
    mode          text not null,
    currency      text not null,
    state         text not null,
    reason        text not null,
    requests      bigint not null,
    amount_minor  bigint not null,
    primary key (day, agency_id, account_id, mode, currency, state, reason)
) with (fillfactor = 70);

-- How many created requests took how long: as a whole, in upstream calls, and the rest (database and gateway).
-- A bucket ends at 2 ^ (bucket / 4) milliseconds.
create table gateway.latency_hourly (
    hour          timestamptz not null,
    agency_id     bigint not null,
    mode          text not null,
    bucket        smallint not null,
    whole         bigint not null,
    upstream      bigint not null,
    rest          bigint not null,
    primary key (hour, agency_id, mode, bucket)
) with (fillfactor = 70);
create table gateway.latency_daily (
    day           date not null,
    agency_id     bigint not null,
    account_id    text not null,
    mode          text not null,
    bucket        smallint not null,
    whole         bigint not null,
    upstream      bigint not null,
    rest          bigint not null,
    primary key (day, agency_id, account_id, mode, bucket)
) with (fillfactor = 70);

create function gateway.latency_bucket(p_ms double precision) returns smallint
    language sql immutable parallel safe
    return ceil(ln(greatest(p_ms, 1)) / ln(2) * 4)::smallint;

-- Counts the events whose ticks are at least p_from and below p_to; answers how many ends there were. Nothing here looks at
-- what a request has become since: its time, account and amount stay as they are, and the event says the rest.
create function gateway.roll_up_span(p_from bigint, p_to bigint) returns bigint
    language plpgsql volatile set search_path = pg_catalog, pg_temp set jit = off
    set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
as $$
declare
    v_counted bigint;
begin
    with ended as materialized (
        select e.subject_id, e.state, e.requests, r.created_at, r.agency_id, r.account_id, r.mode,
               date_trunc('hour', r.created_at, 'UTC') as hour, (r.created_at at time zone 'UTC')::date as day,
               coalesce(r.currency, '') as currency, coalesce(r.amount_minor, 0) as amount_minor,
               case when e.state = 'created' then '' when e.what = 'settled_failed' then 'settled'
                    else coalesce(e.why, '') end as reason,
               extract(epoch from e.at - r.created_at) * 1000 as whole_ms
          from (select n.subject_id, n.at, n.what, n.why, k.state, k.requests
                  from gateway.events n
                  join gateway.ends k using (what)
                 where n.tick >= p_from and n.tick < p_to and n.about = 'request'
                offset 0) e
         cross join lateral (select * from gateway.invoice_requests r where r.request_id = e.subject_id offset 0) r
    ), by_hour as (
        insert into gateway.hourly as h
        select hour, agency_id, account_id, mode, currency, state, reason, sum(requests), sum(requests * amount_minor)
          from ended
         group by 1, 2, 3, 4, 5, 6, 7
         order by 1, 2, 3, 4, 5, 6, 7
            on conflict (hour, agency_id, account_id, mode, currency, state, reason) do update
           set requests = h.requests + excluded.requests, amount_minor = h.amount_minor + excluded.amount_minor
    ), by_day as (
        insert into gateway.daily as d
        select day, agency_id, account_id, mode, currency, state, reason, sum(requests), sum(requests * amount_minor)
          from ended
         group by 1, 2, 3, 4, 5, 6, 7
         order by 1, 2, 3, 4, 5, 6, 7
            on conflict (day, agency_id, account_id, mode, currency, state, reason) do update
           set requests = d.requests + excluded.requests, amount_minor = d.amount_minor + excluded.amount_minor
    ), took as materialized (
        select e.hour, e.day, e.agency_id, e.account_id, e.mode, share.bucket, share.whole, share.upstream, share.rest
          from ended e
         cross join lateral (select coalesce(sum(c.duration_ms), 0) as upstream_ms
                               from gateway.upstream_calls c
                              where c.request_id = e.subject_id
                             offset 0) u
         cross join lateral (values (gateway.latency_bucket(e.whole_ms::float), 1, 0, 0),
                                    (gateway.latency_bucket(least(u.upstream_ms, e.whole_ms)::float), 0, 1, 0),
                                    (gateway.latency_bucket((e.whole_ms - u.upstream_ms)::float), 0, 0, 1))
                         as share (bucket, whole, upstream, rest)
         where e.state = 'created' and e.requests > 0
    ), took_by_hour as (
        insert into gateway.latency_hourly as h
        select hour, agency_id, mode, bucket, sum(whole), sum(upstream), sum(rest)
          from took
         group by 1, 2, 3, 4
         order by 1, 2, 3, 4
            on conflict (hour, agency_id, mode, bucket) do update
           set whole = h.whole + excluded.whole, upstream = h.upstream + excluded.upstream, rest = h.rest + excluded.rest
    ), took_by_day as (
        insert into gateway.latency_daily as d
        select day, agency_id, account_id, mode, bucket, sum(whole), sum(upstream), sum(rest)
          from took
         group by 1, 2, 3, 4, 5
         order by 1, 2, 3, 4, 5
            on conflict (day, agency_id, account_id, mode, bucket) do update
           set whole = d.whole + excluded.whole, upstream = d.upstream + excluded.upstream, rest = d.rest + excluded.rest
    )
    select count(*) into v_counted from ended;
    return v_counted;
end
$$;

-- Counts what can be counted, for about a tenth of a second (a worker's connection waits); answers how many ends that were. Any number of workers may call
-- it as often as they like: one does it, the others answer 0.
create function gateway.roll_up() returns bigint
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_began   timestamptz := clock_timestamp();
    v_state   gateway.roll_up_state;
    v_end     bigint;
    v_from    bigint;
    v_to      bigint;
    v_span    bigint := 200;
    v_counted bigint;
    v_all     bigint := 0;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('invoicegate.roll_up', 0)) then
        return 0;
    end if;
    select * into strict v_state from gateway.roll_up_state;
    v_end := txid_snapshot_xmin(txid_current_snapshot()) + v_state.shift;
    if v_end < v_state.horizon then
        raise exception 'the events were counted on another server: run "invoicegatectl audit rebuild"';
    end if;
    v_from := v_state.horizon;
    while v_from < v_end and clock_timestamp() < v_began + interval '100 ms' loop
        v_to := least(v_end, v_from + v_span);
        v_counted := gateway.roll_up_span(v_from, v_to);
        v_all := v_all + v_counted;
        v_span := case when v_counted = 0 then v_span * 4 else 200 end;
        v_from := v_to;
    end loop;
    -- Nothing is written for nothing, but the events to look through must not become many.
    if v_all > 0 or v_from > v_state.horizon + 1000 then
        update gateway.roll_up_state
           set horizon = v_from, counted = counted + v_all,
               rolled_at = case when v_all > 0 then now() else rolled_at end;
    end if;
    return v_all;
end
$$;
grant execute on function gateway.roll_up to invoicegate_worker;

-- Counts everything again: after a dump was restored into another server, whose transactions have other numbers, or when
-- the counts are in doubt. Counts of months that retention dropped are kept. Events wait meanwhile.
create function gateway.rebuild_roll_ups() returns bigint
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    v_kept    timestamptz;
    v_newest  bigint;
    v_shift   bigint;
    v_horizon bigint;
    v_counted bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended('invoicegate.roll_up', 0));
    lock table gateway.events in access exclusive mode;
    select coalesce(max(month) + interval '1 month', '-infinity') into v_kept from gateway.dropped_months;
    select coalesce(max(tick), 0) into v_newest from gateway.events;
    select shift into strict v_shift from gateway.roll_up_state;
    if v_newest >= txid_current() + v_shift then
        -- Another server: from here on events have greater ticks than any before.
        v_shift := v_newest - txid_snapshot_xmin(txid_current_snapshot()) + 1;
        execute format('alter table gateway.events alter column tick set default (txid_current() + %s)', v_shift);
    end if;
    v_horizon := txid_snapshot_xmin(txid_current_snapshot()) + v_shift;
    delete from gateway.hourly where hour >= v_kept;
    delete from gateway.latency_hourly where hour >= v_kept;
    delete from gateway.daily where day >= v_kept;
    delete from gateway.latency_daily where day >= v_kept;
    v_counted := gateway.roll_up_span(0, v_horizon);
    update gateway.roll_up_state
       set horizon = v_horizon, shift = v_shift, counted = counted + v_counted, rolled_at = now();
    return v_counted;
end
$$;

-- The months that retention exported and dropped.
create table gateway.dropped_months (
    month       timestamptz primary key,
    dropped_at  timestamptz not null default now(),
    rows        jsonb not null
);

grant select on gateway.roll_up_state, gateway.ends, gateway.hourly, gateway.daily, gateway.latency_hourly,
                gateway.latency_daily to invoicegate_reader;
select gateway.show_own_agency(name)
  from unnest(array['hourly', 'daily', 'latency_hourly', 'latency_daily']) as owned (name);

reset role;

set role invoicegate_reader;

create view audit.ended_lately as
select r.request_id, r.created_at, r.agency_id, r.account_id, r.mode, coalesce(r.currency, '') as currency, e.state,
       case when e.state = 'created' then '' when e.what = 'settled_failed' then 'settled' else coalesce(e.why, '') end
           as reason,
       e.requests, e.requests * coalesce(r.amount_minor, 0) as amount_minor
  from (select n.subject_id, n.what, n.why, k.state, k.requests
          from gateway.events n
          join gateway.ends k using (what)
         where n.tick >= (select horizon from gateway.roll_up_state)
           and n.tick < (select horizon from gateway.roll_up_state) + 4611686018427387904
           and n.about = 'request'
        offset 0) e
  cross join lateral (select * from gateway.invoice_requests r where r.request_id = e.subject_id offset 0) r;

comment on view audit.ended_lately is 'What ended since the last roll-up, one row for each end; the aggregates add it to what is rolled up.';
comment on column audit.ended_lately.request_id is 'The request.';
comment on column audit.ended_lately.created_at is 'When its intent was committed.';
comment on column audit.ended_lately.agency_id is 'The agency.';
comment on column audit.ended_lately.account_id is 'The connected account, as the upstream names it.';
comment on column audit.ended_lately.mode is 'live or test.';
comment on column audit.ended_lately.currency is 'Three-letter ISO code, lower case; empty where none was known.';
comment on column audit.ended_lately.state is 'created, failed or refused.';
comment on column audit.ended_lately.reason is 'Why it failed or was refused; empty for created.';
comment on column audit.ended_lately.requests is '1; -1 where an end was taken back.';
comment on column audit.ended_lately.amount_minor is 'The amount as planned, with the sign of requests.';

create view audit.daily as
select day, agency_id, account_id, mode, nullif(currency, '') as currency,
       coalesce(sum(requests) filter (where state = 'created'), 0)::bigint as created,
       coalesce(sum(requests) filter (where state = 'failed'), 0)::bigint as failed,
       coalesce(sum(requests) filter (where state = 'refused'), 0)::bigint as refused,
       coalesce(sum(requests) filter (where state = 'unresolved'), 0)::bigint as unresolved,
       coalesce(sum(requests) filter (where state = 'open'), 0)::bigint as open,
       coalesce(sum(amount_minor) filter (where state = 'created'), 0)::bigint as created_minor,
       coalesce(sum(amount_minor) filter (where state = 'failed'), 0)::bigint as failed_minor,
       coalesce(sum(amount_minor) filter (where state = 'refused'), 0)::bigint as refused_minor,
       coalesce(sum(amount_minor) filter (where state = 'unresolved'), 0)::bigint as unresolved_minor
  from (select day, agency_id, account_id, mode, currency, state, requests, amount_minor
          from gateway.daily
         union all
        select (created_at at time zone 'UTC')::date, agency_id, account_id, mode, currency, state, requests, amount_minor
          from audit.ended_lately
         union all
        select (created_at at time zone 'UTC')::date, agency_id, account_id, mode, coalesce(currency, ''), state, 1, amount_minor
          from audit.unfinished) counted
 group by day, agency_id, account_id, mode, nullif(currency, '');

comment on view audit.daily is 'Requests and amounts per day (UTC), account, mode and currency, exact to this moment. A request counts on the day of its intent.';
comment on column audit.daily.day is 'The day of the intent, in UTC.';
comment on column audit.daily.agency_id is 'The agency.';
comment on column audit.daily.account_id is 'The connected account, as the upstream names it.';
comment on column audit.daily.mode is 'live or test.';
comment on column audit.daily.currency is 'Three-letter ISO code, lower case; null where none was known (most refusals). Amounts of different currencies never meet.';
comment on column audit.daily.created is 'Requests that ended created.';
comment on column audit.daily.failed is 'Requests that ended failed.';
comment on column audit.daily.refused is 'Requests that were refused.';
comment on column audit.daily.unresolved is 'Requests that are unresolved now.';
comment on column audit.daily.open is 'Requests that are being worked on now.';
comment on column audit.daily.created_minor is 'Sum of the created requests'' amounts (unit prices as planned), in the smallest unit.';
comment on column audit.daily.failed_minor is 'The same of the failed ones.';
comment on column audit.daily.refused_minor is 'The same of the refused ones, where an amount was known.';
comment on column audit.daily.unresolved_minor is 'The same of the unresolved ones.';

create view audit.hourly as
select hour, agency_id, account_id, mode, nullif(currency, '') as currency,
       coalesce(sum(requests) filter (where state = 'created'), 0)::bigint as created,
       coalesce(sum(requests) filter (where state = 'failed'), 0)::bigint as failed,
       coalesce(sum(requests) filter (where state = 'refused'), 0)::bigint as refused,
       coalesce(sum(requests) filter (where state = 'unresolved'), 0)::bigint as unresolved,
       coalesce(sum(requests) filter (where state = 'open'), 0)::bigint as open,
       coalesce(sum(amount_minor) filter (where state = 'created'), 0)::bigint as created_minor,
       coalesce(sum(amount_minor) filter (where state = 'failed'), 0)::bigint as failed_minor,
       coalesce(sum(amount_minor) filter (where state = 'refused'), 0)::bigint as refused_minor,
       coalesce(sum(amount_minor) filter (where state = 'unresolved'), 0)::bigint as unresolved_minor
  from (select hour, agency_id, account_id, mode, currency, state, requests, amount_minor
          from gateway.hourly
         union all
        select date_trunc('hour', created_at, 'UTC'), agency_id, account_id, mode, currency, state, requests, amount_minor
          from audit.ended_lately
         union all
        select date_trunc('hour', created_at, 'UTC'), agency_id, account_id, mode, coalesce(currency, ''), state, 1, amount_minor
          from audit.unfinished) counted
 group by hour, agency_id, account_id, mode, nullif(currency, '');

comment on view audit.hourly is 'The same as audit.daily per hour.';
comment on column audit.hourly.hour is 'The beginning of the hour of the intent.';
comment on column audit.hourly.agency_id is 'The agency.';
comment on column audit.hourly.account_id is 'The connected account, as the upstream names it.';
comment on column audit.hourly.mode is 'live or test.';
comment on column audit.hourly.currency is 'Three-letter ISO code, lower case; null where none was known (most refusals). Amounts of different currencies never meet.';
comment on column audit.hourly.created is 'Requests that ended created.';
comment on column audit.hourly.failed is 'Requests that ended failed.';
comment on column audit.hourly.refused is 'Requests that were refused.';
comment on column audit.hourly.unresolved is 'Requests that are unresolved now.';
comment on column audit.hourly.open is 'Requests that are being worked on now.';
comment on column audit.hourly.created_minor is 'Sum of the created requests'' amounts (unit prices as planned), in the smallest unit.';
comment on column audit.hourly.failed_minor is 'The same of the failed ones.';
comment on column audit.hourly.refused_minor is 'The same of the refused ones, where an amount was known.';
comment on column audit.hourly.unresolved_minor is 'The same of the unresolved ones.';

create view audit.failure_reasons as
select day, agency_id, account_id, mode, nullif(currency, '') as currency, state, reason, sum(requests)::bigint as requests,
       sum(amount_minor)::bigint as amount_minor
  from (select day, agency_id, account_id, mode, currency, state, reason, requests, amount_minor
          from gateway.daily
         where state in ('failed', 'refused')
         union all
        select (created_at at time zone 'UTC')::date, agency_id, account_id, mode, currency, state, reason, requests, amount_minor
          from audit.ended_lately
         where state in ('failed', 'refused')) counted
 group by day, agency_id, account_id, mode, nullif(currency, ''), state, reason;

comment on view audit.failure_reasons is 'Why requests failed or were refused, per day (UTC), account, mode and currency, exact to this moment.';
comment on column audit.failure_reasons.day is 'The day of the intent, in UTC.';
comment on column audit.failure_reasons.agency_id is 'The agency.';
comment on column audit.failure_reasons.account_id is 'The connected account, as the upstream names it.';
comment on column audit.failure_reasons.mode is 'live or test.';
comment on column audit.failure_reasons.currency is 'Three-letter ISO code, lower case; null where none was known (most refusals). Amounts of different currencies never meet.';
comment on column audit.failure_reasons.state is 'failed or refused.';
comment on column audit.failure_reasons.reason is 'The stable word of audit.requests.reason.';
comment on column audit.failure_reasons.requests is 'How many.';
comment on column audit.failure_reasons.amount_minor is 'The sum of their amounts as planned, where known, in the smallest unit.';

create view audit.latency_daily as
select day, agency_id, account_id, mode, max(requests)::bigint as requests,
       min(ms) filter (where whole_so_far >= 0.5 * requests)::integer as whole_p50_ms,
       min(ms) filter (where whole_so_far >= 0.95 * requests)::integer as whole_p95_ms,
       min(ms) filter (where whole_so_far >= 0.99 * requests)::integer as whole_p99_ms,
       min(ms) filter (where upstream_so_far >= 0.5 * requests)::integer as upstream_p50_ms,
       min(ms) filter (where upstream_so_far >= 0.95 * requests)::integer as upstream_p95_ms,
       min(ms) filter (where upstream_so_far >= 0.99 * requests)::integer as upstream_p99_ms,
       min(ms) filter (where rest_so_far >= 0.5 * requests)::integer as rest_p50_ms,
       min(ms) filter (where rest_so_far >= 0.95 * requests)::integer as rest_p95_ms,
       min(ms) filter (where rest_so_far >= 0.99 * requests)::integer as rest_p99_ms
  from (select day, agency_id, account_id, mode, ceil(2 ^ (bucket / 4.0)) as ms,
               sum(whole) over (partition by day, agency_id, account_id, mode) as requests,
               sum(whole) over so_far as whole_so_far,
               sum(upstream) over so_far as upstream_so_far,
               sum(rest) over so_far as rest_so_far
          from gateway.latency_daily
        window so_far as (partition by day, agency_id, account_id, mode order by bucket)) counted
 group by day, agency_id, account_id, mode;

comment on view audit.latency_daily is 'How long created requests took, per day (UTC), account and mode. Some seconds behind.';
comment on column audit.latency_daily.day is 'The day of the intent, in UTC.';
comment on column audit.latency_daily.agency_id is 'The agency.';
comment on column audit.latency_daily.account_id is 'The connected account, as the upstream names it.';
comment on column audit.latency_daily.mode is 'live or test.';
comment on column audit.latency_daily.requests is 'How many created requests this is about.';
comment on column audit.latency_daily.whole_p50_ms is 'From intent to end: 50 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_daily.whole_p95_ms is 'From intent to end: 95 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_daily.whole_p99_ms is 'From intent to end: 99 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_daily.upstream_p50_ms is 'In upstream calls: 50 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_daily.upstream_p95_ms is 'In upstream calls: 95 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_daily.upstream_p99_ms is 'In upstream calls: 99 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_daily.rest_p50_ms is 'In the database and the gateway itself: 50 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_daily.rest_p95_ms is 'In the database and the gateway itself: 95 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_daily.rest_p99_ms is 'In the database and the gateway itself: 99 % took at most so many milliseconds (to about a fifth).';

create view audit.latency_hourly as
select hour, agency_id, mode, max(requests)::bigint as requests,
       min(ms) filter (where whole_so_far >= 0.5 * requests)::integer as whole_p50_ms,
       min(ms) filter (where whole_so_far >= 0.95 * requests)::integer as whole_p95_ms,
       min(ms) filter (where whole_so_far >= 0.99 * requests)::integer as whole_p99_ms,
       min(ms) filter (where upstream_so_far >= 0.5 * requests)::integer as upstream_p50_ms,
       min(ms) filter (where upstream_so_far >= 0.95 * requests)::integer as upstream_p95_ms,
       min(ms) filter (where upstream_so_far >= 0.99 * requests)::integer as upstream_p99_ms,
       min(ms) filter (where rest_so_far >= 0.5 * requests)::integer as rest_p50_ms,
       min(ms) filter (where rest_so_far >= 0.95 * requests)::integer as rest_p95_ms,
       min(ms) filter (where rest_so_far >= 0.99 * requests)::integer as rest_p99_ms
  from (select hour, agency_id, mode, ceil(2 ^ (bucket / 4.0)) as ms,
               sum(whole) over (partition by hour, agency_id, mode) as requests,
               sum(whole) over so_far as whole_so_far,
               sum(upstream) over so_far as upstream_so_far,
               sum(rest) over so_far as rest_so_far
          from gateway.latency_hourly
        window so_far as (partition by hour, agency_id, mode order by bucket)) counted
 group by hour, agency_id, mode;

comment on view audit.latency_hourly is 'How long created requests took, per hour, agency and mode. Some seconds behind.';
comment on column audit.latency_hourly.hour is 'The beginning of the hour of the intent.';
comment on column audit.latency_hourly.agency_id is 'The agency.';
comment on column audit.latency_hourly.mode is 'live or test.';
comment on column audit.latency_hourly.requests is 'How many created requests this is about.';
comment on column audit.latency_hourly.whole_p50_ms is 'From intent to end: 50 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_hourly.whole_p95_ms is 'From intent to end: 95 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_hourly.whole_p99_ms is 'From intent to end: 99 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_hourly.upstream_p50_ms is 'In upstream calls: 50 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_hourly.upstream_p95_ms is 'In upstream calls: 95 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_hourly.upstream_p99_ms is 'In upstream calls: 99 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_hourly.rest_p50_ms is 'In the database and the gateway itself: 50 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_hourly.rest_p95_ms is 'In the database and the gateway itself: 95 % took at most so many milliseconds (to about a fifth).';
comment on column audit.latency_hourly.rest_p99_ms is 'In the database and the gateway itself: 99 % took at most so many milliseconds (to about a fifth).';

create view audit.latency_histogram as
select day, agency_id, account_id, mode, ceil(2 ^ (bucket / 4.0))::integer as at_most_ms, whole, upstream, rest
  from gateway.latency_daily;

comment on view audit.latency_histogram is 'The counts that audit.latency_daily is made of, to be added up over other spans.';
comment on column audit.latency_histogram.day is 'The day of the intent, in UTC.';
comment on column audit.latency_histogram.agency_id is 'The agency.';
comment on column audit.latency_histogram.account_id is 'The connected account, as the upstream names it.';
comment on column audit.latency_histogram.mode is 'live or test.';
comment on column audit.latency_histogram.at_most_ms is 'The bucket: so many milliseconds at most, and more than the bucket before.';
comment on column audit.latency_histogram.whole is 'Created requests that took so long from intent to end.';
comment on column audit.latency_histogram.upstream is 'The same by their time in upstream calls.';
comment on column audit.latency_histogram.rest is 'The same by the time left: database and gateway.';

create view audit.roll_up as
select rolled_at, extract(epoch from now() - rolled_at)::bigint as age_s, counted
  from gateway.roll_up_state;

comment on view audit.roll_up is 'How far the roll-ups are. The counts of the other views do not depend on it.';
comment on column audit.roll_up.rolled_at is 'When something was last rolled up.';
comment on column audit.roll_up.age_s is 'How long ago that was, in seconds.';
comment on column audit.roll_up.counted is 'How many ends were rolled up, in all.';
grant select on all tables in schema audit to invoicegate_auditor, invoicegate_dashboard;

reset role;
