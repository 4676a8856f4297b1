-- Counts per hour and day, exact at every moment.
--
-- Each end of a request leaves a tally in the transaction that ends it. A roll-up moves tallies into the counts, in one
-- transaction, and whoever looks adds the tallies that are left: whatever snapshot is taken, on a replica as well, each end
-- is in it once. Nobody waits for anybody, and in which order transactions commit does not matter.

set role invoicegate_owner;

create table gateway.roll_up_state (
    only_one   boolean primary key default true check (only_one),
    rolled_at  timestamptz not null default now(),
    counted    bigint not null default 0
) with (fillfactor = 10);
insert into gateway.roll_up_state default values;

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
    mode          text not null,
    bucket        smallint not null,
    whole         bigint not null,
    upstream      bigint not null,
    rest          bigint not null,
    primary key (day, agency_id, mode, bucket)
) with (fillfactor = 70);

create function gateway.latency_bucket(p_ms double precision) returns smallint
    language sql immutable parallel safe
    return ceil(ln(greatest(p_ms, 1)) / ln(2) * 4)::smallint;

-- What retention dropped, for a rebuild.
create table gateway.dropped_counts (like gateway.hourly including all);

-- Moves at most so many tallies into the counts; answers how many. Latencies in upstream calls are looked up for a sample.
create function gateway.roll_up_some(p_limit integer, p_sample integer) returns bigint
    language plpgsql volatile set search_path = pg_catalog, pg_temp set jit = off
    set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_counted bigint;
begin
    with taken as (
        delete from gateway.tallies
         where ctid = any (array(select ctid from gateway.tallies limit p_limit))
        returning *
    ), ended as materialized (
        select t.*, date_trunc('hour', begun_at, 'UTC') as hour, (begun_at at time zone 'UTC')::date as day,
               row_number() over () as place
          from taken t
    ), by_hour as (
        insert into gateway.hourly as h
        select hour, agency_id, account_id, mode, currency, state, reason, sum(requests), sum(amount_minor)
          from ended
         group by 1, 2, 3, 4, 5, 6, 7
            on conflict (hour, agency_id, account_id, mode, currency, state, reason) do update
           set requests = h.requests + excluded.requests, amount_minor = h.amount_minor + excluded.amount_minor
    ), by_day as (
        insert into gateway.daily as d
        select day, agency_id, account_id, mode, currency, state, reason, sum(requests), sum(amount_minor)
          from ended
         group by 1, 2, 3, 4, 5, 6, 7
            on conflict (day, agency_id, account_id, mode, currency, state, reason) do update
           set requests = d.requests + excluded.requests, amount_minor = d.amount_minor + excluded.amount_minor
    ), took as materialized (
        select hour, day, agency_id, mode, gateway.latency_bucket(took_ms) as bucket, 1 as whole,
               0 as upstream, 0 as rest
          from ended
         where state = 'created' and took_ms is not null
         union all
        select hour, day, agency_id, mode, share.bucket, 0, share.upstream, share.rest
          from (select * from ended where state = 'created' and took_ms is not null and place <= p_sample offset 0) e
         cross join lateral (select coalesce(sum(c.duration_ms), 0) as ms
                               from gateway.upstream_calls c
                              where c.request_id = e.request_id
                             offset 0) u
         cross join lateral (values (gateway.latency_bucket(least(u.ms, e.took_ms)), 1, 0),
                                    (gateway.latency_bucket(e.took_ms - u.ms), 0, 1)) as share (bucket, upstream, rest)
    ), took_by_hour as (
        insert into gateway.latency_hourly as h
        select hour, agency_id, mode, bucket, sum(whole), sum(upstream), sum(rest)
          from took
         group by 1, 2, 3, 4
            on conflict (hour, agency_id, mode, bucket) do update
           set whole = h.whole + excluded.whole, upstream = h.upstream + excluded.upstream, rest = h.rest + excluded.rest
    ), took_by_day as (
        insert into gateway.latency_daily as d
        select day, agency_id, mode, bucket, sum(whole), sum(upstream), sum(rest)
          from took
         group by 1, 2, 3, 4
            on conflict (day, agency_id, mode, bucket) do update
           set whole = d.whole + excluded.whole, upstream = d.upstream + excluded.upstream, rest = d.rest + excluded.rest
    )
    select count(*) into v_counted from ended;
    return v_counted;
end
$$;

-- Any number of workers may call it as often as they like: one does it, the others answer 0. A worker's connection waits, so
-- it is done in bites.
create function gateway.roll_up() returns bigint
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_began   timestamptz := clock_timestamp();
    v_counted bigint;
    v_all     bigint := 0;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('invoicegate.roll_up', 0)) then
        return 0;
    end if;
    loop
        v_counted := gateway.roll_up_some(10000, 500);
        v_all := v_all + v_counted;
        exit when v_counted < 10000 or clock_timestamp() > v_began + interval '100 ms';
    end loop;
    if v_all > 0 then
        update gateway.roll_up_state set counted = counted + v_all, rolled_at = now();
    end if;
    return v_all;
end
$$;
grant execute on function gateway.roll_up to invoicegate_worker;

-- The same counts from the requests themselves, of the ids from p_first to before p_end.
create function gateway.counts_of(p_first uuid, p_end uuid) returns setof gateway.hourly
    language sql stable set search_path = pg_catalog, pg_temp set jit = off
    begin atomic
        select date_trunc('hour', created_at, 'UTC'), agency_id, account_id, mode, coalesce(currency, ''), state,
               case when state = 'created' then '' else coalesce(reason, '') end, count(*),
               coalesce(sum(amount_minor), 0)::bigint
          from gateway.invoice_requests
         where state in ('created', 'failed', 'refused') and gateway.makes_invoice(route) and request_id >= p_first
           and (p_end is null or request_id < p_end)
         group by 1, 2, 3, 4, 5, 6, 7;
    end;

-- Counts everything again from the requests, when the counts are in doubt. What retention dropped is added; latencies stay
-- as they are. Ends of requests wait meanwhile.
create function gateway.rebuild_roll_ups() returns bigint
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_counted bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended('invoicegate.roll_up', 0));
    lock table gateway.tallies in exclusive mode;
    delete from gateway.tallies;
    delete from gateway.hourly;
    delete from gateway.daily;
    insert into gateway.hourly
    select hour, agency_id, account_id, mode, currency, state, reason, sum(requests), sum(amount_minor)
      from (select * from gateway.dropped_counts
             union all
            select * from gateway.counts_of('00000000-0000-0000-0000-000000000000', null)) counted
     group by 1, 2, 3, 4, 5, 6, 7;
    insert into gateway.daily
    select (hour at time zone 'UTC')::date, agency_id, account_id, mode, currency, state, reason, sum(requests),
           sum(amount_minor)
      from gateway.hourly
     group by 1, 2, 3, 4, 5, 6, 7;
    select coalesce(sum(requests), 0) into v_counted from gateway.hourly;
    update gateway.roll_up_state set counted = v_counted, rolled_at = now();
    return v_counted;
end
$$;

-- The months that retention exported and dropped.
create table gateway.dropped_months (
    month       timestamptz primary key,
    dropped_at  timestamptz not null default now(),
    rows        jsonb not null
);

grant select on gateway.roll_up_state, gateway.tallies, gateway.hourly, gateway.daily, gateway.latency_hourly,
                gateway.latency_daily to invoicegate_reader;
select gateway.show_own_agency(name)
  from unnest(array['tallies', 'hourly', 'daily', 'latency_hourly', 'latency_daily']) as owned (name);

reset role;

set role invoicegate_reader;

create view audit.ended_lately as
select request_id, begun_at as created_at, agency_id, account_id, mode, currency, state, reason, requests, amount_minor
  from gateway.tallies;

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
select day, agency_id, mode, whole[last]::bigint as requests,
       ms[1 + width_bucket(ceil(0.5 * nullif(whole[last], 0)) - 1, whole)] as whole_p50_ms,
       ms[1 + width_bucket(ceil(0.95 * nullif(whole[last], 0)) - 1, whole)] as whole_p95_ms,
       ms[1 + width_bucket(ceil(0.99 * nullif(whole[last], 0)) - 1, whole)] as whole_p99_ms,
       ms[1 + width_bucket(ceil(0.5 * nullif(upstream[last], 0)) - 1, upstream)] as upstream_p50_ms,
       ms[1 + width_bucket(ceil(0.95 * nullif(upstream[last], 0)) - 1, upstream)] as upstream_p95_ms,
       ms[1 + width_bucket(ceil(0.99 * nullif(upstream[last], 0)) - 1, upstream)] as upstream_p99_ms,
       ms[1 + width_bucket(ceil(0.5 * nullif(rest[last], 0)) - 1, rest)] as rest_p50_ms,
       ms[1 + width_bucket(ceil(0.95 * nullif(rest[last], 0)) - 1, rest)] as rest_p95_ms,
       ms[1 + width_bucket(ceil(0.99 * nullif(rest[last], 0)) - 1, rest)] as rest_p99_ms
  from (select day, agency_id, mode, count(*)::integer as last, array_agg(ms order by ms) as ms,
               array_agg(whole_so_far order by ms) as whole, array_agg(upstream_so_far order by ms) as upstream,
               array_agg(rest_so_far order by ms) as rest
          from (select day, agency_id, mode, ceil(2 ^ (bucket / 4::float))::integer as ms,
                       sum(whole::float) over so_far as whole_so_far, sum(upstream::float) over so_far as upstream_so_far,
                       sum(rest::float) over so_far as rest_so_far
                  from gateway.latency_daily
                window so_far as (partition by day, agency_id, mode order by bucket rows unbounded preceding)) added
         group by day, agency_id, mode) counted;

comment on view audit.latency_daily is 'How long created requests took, per day (UTC), agency and mode. Some seconds behind.';
comment on column audit.latency_daily.day is 'The day of the intent, in UTC.';
comment on column audit.latency_daily.agency_id is 'The agency.';
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
select hour, agency_id, mode, whole[last]::bigint as requests,
       ms[1 + width_bucket(ceil(0.5 * nullif(whole[last], 0)) - 1, whole)] as whole_p50_ms,
       ms[1 + width_bucket(ceil(0.95 * nullif(whole[last], 0)) - 1, whole)] as whole_p95_ms,
       ms[1 + width_bucket(ceil(0.99 * nullif(whole[last], 0)) - 1, whole)] as whole_p99_ms,
       ms[1 + width_bucket(ceil(0.5 * nullif(upstream[last], 0)) - 1, upstream)] as upstream_p50_ms,
       ms[1 + width_bucket(ceil(0.95 * nullif(upstream[last], 0)) - 1, upstream)] as upstream_p95_ms,
       ms[1 + width_bucket(ceil(0.99 * nullif(upstream[last], 0)) - 1, upstream)] as upstream_p99_ms,
       ms[1 + width_bucket(ceil(0.5 * nullif(rest[last], 0)) - 1, rest)] as rest_p50_ms,
       ms[1 + width_bucket(ceil(0.95 * nullif(rest[last], 0)) - 1, rest)] as rest_p95_ms,
       ms[1 + width_bucket(ceil(0.99 * nullif(rest[last], 0)) - 1, rest)] as rest_p99_ms
  from (select hour, agency_id, mode, count(*)::integer as last, array_agg(ms order by ms) as ms,
               array_agg(whole_so_far order by ms) as whole, array_agg(upstream_so_far order by ms) as upstream,
               array_agg(rest_so_far order by ms) as rest
          from (select hour, agency_id, mode, ceil(2 ^ (bucket / 4::float))::integer as ms,
                       sum(whole::float) over so_far as whole_so_far, sum(upstream::float) over so_far as upstream_so_far,
                       sum(rest::float) over so_far as rest_so_far
                  from gateway.latency_hourly
                window so_far as (partition by hour, agency_id, mode order by bucket rows unbounded preceding)) added
         group by hour, agency_id, mode) counted;

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
select day, agency_id, mode, ceil(2 ^ (bucket / 4::float))::integer as at_most_ms, whole, upstream, rest
  from gateway.latency_daily;

comment on view audit.latency_histogram is 'The counts that audit.latency_daily is made of, to be added up over other spans.';
comment on column audit.latency_histogram.day is 'The day of the intent, in UTC.';
comment on column audit.latency_histogram.agency_id is 'The agency.';
comment on column audit.latency_histogram.mode is 'live or test.';
comment on column audit.latency_histogram.at_most_ms is 'The bucket: so many milliseconds at most, and more than the bucket before.';
comment on column audit.latency_histogram.whole is 'Created requests that took so long from intent to end.';
comment on column audit.latency_histogram.upstream is 'The same by their time in upstream calls; of a sample under heavy load.';
comment on column audit.latency_histogram.rest is 'The same by the time left: database and gateway; of the same sample.';

create view audit.roll_up as
select rolled_at, extract(epoch from now() - rolled_at)::bigint as age_s, counted
  from gateway.roll_up_state;

comment on view audit.roll_up is 'How far the roll-ups are. The counts of the other views do not depend on it.';
comment on column audit.roll_up.rolled_at is 'When something was last rolled up.';
comment on column audit.roll_up.age_s is 'How long ago that was, in seconds.';
comment on column audit.roll_up.counted is 'How many ends were rolled up, in all.';
grant select on all tables in schema audit to invoicegate_auditor, invoicegate_dashboard;

reset role;
