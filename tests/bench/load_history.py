#!/usr/bin/python3
"""Fills a migrated, private database with a history: requests over months, their events, calls, invoices and roll-ups.

    load_history.py --database DSN [--requests 10000000] [--months 24] [--jobs 2]

DSN is a superuser's. It looks at the free disk first (about 2.6 KB a request) and refuses when too little would be left.
Nothing here is for a database that is in use: requests of the past are written as if they had been made then.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from datetime import datetime, timezone

import psycopg2

BYTES_A_REQUEST = 2600
CHUNK = 50_000
AGENCIES, ACCOUNTS, CLIENTS = 5, 40, 4000  # account n and client n belong to agency n % 5 + 1, but for the small one

BASE = f"""
insert into gateway.agencies (name) select 'Agency ' || n from generate_series(1, {AGENCIES + 1}) n;
insert into gateway.accounts (agency_id, account_id) select n % {AGENCIES} + 1, 'acct_' || n from generate_series(0, {ACCOUNTS - 1}) n;
insert into gateway.accounts (agency_id, account_id) values ({AGENCIES + 1}, 'acct_small');
insert into gateway.clients (agency_id, client_id, name) select n % {AGENCIES} + 1, 'client_' || n, 'Client ' || n
  from generate_series(0, {CLIENTS - 1}) n;
insert into gateway.clients (agency_id, client_id, name) values ({AGENCIES + 1}, 'client_small', 'Small');
insert into gateway.members (agency_id, client_id, name, email, is_admin)
select agency_id, client_id, 'Ada', client_id || '@example.com', true from gateway.clients;
insert into gateway.upstreams (url, platform, mode) values ('https://api.example.com', '', 'live'), ('https://api.example.com', '', 'test');
insert into gateway.workers (host, pid, build, lease_until, recipe, live_upstream, test_upstream)
select 'history', 1, 'loader', now() - interval '1 day', 1, max(upstream_id) filter (where mode = 'live'),
       max(upstream_id) filter (where mode = 'test')
  from gateway.upstreams where url = 'https://api.example.com';
"""

# One row a request: %(first)s to %(last)s of %(count)s in the month, spread evenly; one in ten thousand is the small agency's.
CHUNK_ROWS = f"""
create temporary table chunk on commit drop as
select (lpad(to_hex(ms), 12, '0') || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid as request_id,
       case when small then {AGENCIES + 1} else account %% {AGENCIES} + 1 end as agency_id,
       case when small then 'acct_small' else 'acct_' || account end as account_id,
       case when small then 'client_small'
            else 'client_' || (account %% {AGENCIES} + {AGENCIES} * (hash %% ({CLIENTS} / {AGENCIES}))) end as client_id,
       to_timestamp(ms / 1000.0) as created_at, to_timestamp((ms + took) / 1000.0) as ended_at, took, h,
       case when hash %% 10 = 0 then 'test' else 'live' end as mode, case when hash %% 10 = 0 then %(test)s else %(live)s end as upstream_id,
       (array['usd', 'usd', 'usd', 'eur', 'gbp'])[account %% 5 + 1] as currency, 1000 + hash %% 90000 as amount_minor,
       case when hash %% 100 < 94 then 'created' when hash %% 100 < 97 then 'failed' else 'refused' end as state,
       (array['upstream_refused', 'upstream_away', 'price_mismatch', 'client_unknown', 'field_invalid'])[hash %% 5 + 1] as reason
  from (select i, h, ('x' || substr(h, 19, 7))::bit(28)::int as hash, i %% 10000 = 7 as small,
               (('x' || substr(h, 26, 6))::bit(24)::int) %% {ACCOUNTS} as account,
               %(start)s + (i::numeric * %(length)s / %(count)s)::bigint as ms,
               200 + (('x' || substr(h, 12, 4))::bit(16)::int) %% 900 as took
          from generate_series(%(first)s::bigint, %(last)s) i
         cross join lateral (select md5(i || '/' || %(start)s) as h) hashed) made
 order by 1;
"""

INSERTS = """
insert into gateway.invoice_requests (request_id, agency_id, key_id, route, mode, upstream_id, account_id, client_id, product_id,
       collection_method, fingerprint, created_at, recipe, upstream_version, customer_generation, customer_id, price_id, amount_minor,
       currency, planned_at, state, reason, http_status, invoice_id, finished_at, finished_fence)
select request_id, agency_id, agency_id, 'account_invoices', mode, upstream_id, account_id, client_id, 'prod_1',
       'charge_automatically', decode(h, 'hex') || decode(h, 'hex'), created_at, 1, '2025-03-31.basil', 1,
       case when state <> 'refused' then 'cus_' || substr(h, 1, 14) end, case when state <> 'refused' then 'price_1' end,
       case when state <> 'refused' then amount_minor end, case when state <> 'refused' then currency end,
       case when state <> 'refused' then created_at end, state, case when state <> 'created' then reason end,
       case state when 'created' then 200 when 'failed' then 502 else 400 end,
       case when state = 'created' then 'in_1' || substr(h, 1, 23) end, ended_at, 1
  from chunk;
insert into gateway.events (subject_id, agency_id, worker_id, at, what, why)
select request_id, agency_id, 1, created_at, 'opened', null from chunk where state <> 'refused'
 union all
select request_id, agency_id, 1, case when state = 'refused' then created_at else ended_at end, state,
       case when state <> 'created' then reason end from chunk order by 1, 4;
insert into gateway.upstream_calls (request_id, fence, step, attempt, started_at, duration_ms, http_status, outcome, upstream_request_id)
select request_id, 1, step, 1, created_at + interval '5 ms', (took * share)::int, 200, 'ok', 'req_' || substr(h, 5, 14)
  from chunk cross join (values ('invoice', 0.5), ('lines', 0.4)) step (step, share) where state <> 'refused' order by 1;
insert into gateway.invoices (agency_id, account_id, mode, upstream_id, invoice_id, request_id, client_id, customer_id, status,
       amount_minor, currency, created_at, refreshed_at, object)
select agency_id, account_id, mode, upstream_id, 'in_1' || substr(h, 1, 23), request_id, client_id, 'cus_' || substr(h, 1, 14),
       'draft', amount_minor, currency, date_trunc('second', created_at), ended_at,
       convert_to('{"id": "in_1' || substr(h, 1, 23) || '", "object": "invoice", "customer": "cus_' || substr(h, 1, 14)
                  || '", "total": ' || amount_minor || ', "currency": "' || currency || '", "lines": {"data": ["' || md5(h) || md5(h || 1)
                  || md5(h || 2) || repeat('"line item text", ', 20) || '"]}}', 'UTF8')
  from chunk where state = 'created';
"""

LATENCIES = """
insert into gateway.latency_%(unit)s as l
select date_trunc('%(truncate)s', created_at, 'UTC')%(cast)s, agency_id, mode, share.bucket, sum(whole), sum(upstream), sum(rest)
  from chunk cross join lateral (values (gateway.latency_bucket(took), 1, 0, 0), (gateway.latency_bucket(took * 0.9), 0, 1, 0),
                                        (gateway.latency_bucket(took * 0.1), 0, 0, 1)) as share (bucket, whole, upstream, rest)
 where state = 'created' group by %(keys)s
    on conflict (%(key)s, agency_id, mode, bucket) do update
   set whole = l.whole + excluded.whole, upstream = l.upstream + excluded.upstream, rest = l.rest + excluded.rest;
"""
INSERTS += LATENCIES % {"unit": "hourly", "truncate": "hour", "cast": "", "keys": "1, 2, 3, 4", "key": "hour"}
INSERTS += LATENCIES % {"unit": "daily", "truncate": "day", "cast": "::date", "keys": "1, 2, 3, 4", "key": "day"}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def check_room(connection, requests: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('data_directory')")
        room = os.statvfs(cursor.fetchone()[0])
    free = room.f_bavail * room.f_frsize
    need = requests * BYTES_A_REQUEST
    say(f"{requests} requests need about {need / 2**30:.1f} GB; {free / 2**30:.1f} GB are free")
    if need * 1.5 > free:
        raise SystemExit("load_history: too little disk would be left; ask for fewer --requests")


def months_until_now(count: int) -> list[datetime]:
    now = datetime.now(timezone.utc)
    first = now.year * 12 + now.month - 1 - count
    return [datetime((first + i) // 12, (first + i) % 12 + 1, 1, tzinfo=timezone.utc) for i in range(count)]


def load_month(dsn: str, start: datetime, count: int, upstreams: tuple[int, int]) -> None:
    """All of a month, in chunks that are transactions."""
    end = datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=timezone.utc)
    connection = psycopg2.connect(dsn)
    with connection.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")
        for first in range(0, count, CHUNK):
            cursor.execute(CHUNK_ROWS, {
                "first": first, "last": min(first + CHUNK, count) - 1, "count": count,
                "start": int(start.timestamp() * 1000), "length": int((end - start).total_seconds() * 1000), "live": upstreams[0], "test": upstreams[1],
            })
            cursor.execute(INSERTS)
            connection.commit()
    connection.close()


def load(dsn: str, requests: int, months: int, jobs: int) -> None:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    check_room(connection, requests)
    starts = months_until_now(months)
    with connection.cursor() as cursor:
        cursor.execute(BASE)
        cursor.execute("select live_upstream, test_upstream from gateway.workers where host = 'history' order by worker_id desc limit 1")
        upstreams = cursor.fetchone()
        cursor.execute("select gateway.make_partitions_from(%s, %s)", (starts[0], months))
    begun = time.monotonic()
    waiting, lock, faults = list(starts), threading.Lock(), []

    def work() -> None:
        while not faults:
            with lock:
                if not waiting:
                    return
                start = waiting.pop(0)
            try:
                load_month(dsn, start, requests // months, upstreams)
            except Exception as fault:  # noqa: BLE001 -- raised below
                faults.append(fault)
            say(f"  {start:%Y-%m} loaded, {time.monotonic() - begun:.0f} s")

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    with connection.cursor() as cursor:
        cursor.execute("select gateway.rebuild_roll_ups()")
        say(f"  rolled up, {time.monotonic() - begun:.0f} s")
        cursor.execute("vacuum analyze")
    say(f"  vacuumed, {time.monotonic() - begun:.0f} s")
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    load(given.database, given.requests, given.months, given.jobs)


if __name__ == "__main__":
    main()
