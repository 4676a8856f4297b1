#!/usr/bin/python3
"""What one request costs the database: begin_invoices, finish_invoices and record_calls in batches, as a worker sends them.

    insert_cost.py [--requests 20000] [--batch 64] [--rounds 3] [--sql DIR]

A private server without fsync, one connection: the figures are the server's CPU time, the bytes of WAL, and the bytes on
disk for one request with two upstream calls and an invoice object of 1.5 KB. Compare two states of sql/ with --sql.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import time
import uuid
from pathlib import Path

import psycopg2

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from ctl_database import Ctl, Server  # noqa: E402

DIGEST = b"k" * 32
ACCOUNTS, CLIENTS = 20, 500
OBJECT = json.dumps({"id": "in_", "object": "invoice", "lines": [{"id": f"il_{i}", "amount": i * 10} for i in range(40)]})
# What begin_invoices resolves: agency 1 with a key, accounts, clients, customers and prices that are all known.
TENANT = f"""
insert into gateway.accounts (agency_id, account_id) select 1, 'acct_1MtHbELkdIwHu' || n from generate_series(1, {ACCOUNTS}) n;
insert into gateway.clients (agency_id, client_id, name) select 1, 'client_b' || n, 'C' from generate_series(1, {CLIENTS}) n;
insert into gateway.members (agency_id, client_id, name, email, is_admin) select 1, 'client_b' || n, 'A', 'a@b.c', true
  from generate_series(1, {CLIENTS}) n;
insert into gateway.customers (agency_id, client_id, account_id, upstream_id, generation, recipe, name, email, customer_id)
select 1, 'client_b' || c, 'acct_1MtHbELkdIwHu' || a, u.upstream_id, 1, 1, 'A', 'a@b.c', 'cus_' || c || a
  from generate_series(1, {CLIENTS}) c, generate_series(1, {ACCOUNTS}) a, gateway.upstreams u where u.mode = 'test';
insert into gateway.products select 1, 'acct_1MtHbELkdIwHu' || a, upstream_id, 'prod_1', 'P', true, 'price_1', now() + interval '1 day'
  from generate_series(1, {ACCOUNTS}) a, gateway.upstreams where mode = 'test';
insert into gateway.prices select 1, 'acct_1MtHbELkdIwHu' || a, upstream_id, 'price_1', 'prod_1', 10000, 'usd', now()
  from generate_series(1, {ACCOUNTS}) a, gateway.upstreams where mode = 'test';
"""
SETUP = f"""
insert into gateway.agencies (name) select 'agency ' || n from generate_series(1, 4) n;
insert into gateway.api_keys (agency_id, digest, mode, hint) values (1, %s, 'test', 'kkkk');
insert into gateway.upstreams (url, platform, mode) values ('http://x', '', 'test');
insert into gateway.workers (host, pid, build, lease_until, recipe, test_upstream) values ('h', 1, 'b', now() + interval '1 day', 1, 1);
{TENANT}"""


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def batch_of(number: int, size: int) -> list[tuple[str, str, str]]:
    rows = []
    for i in range(size):
        n = number * size + i
        milliseconds = int(time.time() * 1000)
        raw = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
        raw[6], raw[8] = 0x70 | raw[6] & 15, 0x80 | raw[8] & 63
        rows.append((str(uuid.UUID(bytes=bytes(raw))), f"acct_1MtHbELkdIwHu{n % ACCOUNTS + 1}", f"client_b{n * 7 % CLIENTS + 1}"))
    return sorted(rows)


def begin(cursor, rows) -> None:
    size = len(rows)
    cursor.execute(
        "select verdict, planned from gateway.begin_invoices(1, false, '2025-03-31.basil', %s::uuid[], %s::bytea[], %s, %s, %s, %s, "
        "%s, %s::integer[], %s::text[], %s::bytea[], %s::integer[], %s::text[], %s::text[])",
        ([r[0] for r in rows], [DIGEST] * size, ["account_invoices"] * size, [r[1] for r in rows], [r[2] for r in rows],
         ["prod_1"] * size, ["charge_automatically"] * size, [None] * size, [None] * size, [DIGEST] * size, [0] * size,
         [None] * size, [None] * size),
    )
    assert set(cursor.fetchall()) == {("go", True)}


def finish(cursor, rows, number: int) -> None:
    size = len(rows)
    ids = [r[0] for r in rows]
    cursor.execute(
        "select verdict from gateway.finish_invoices(1, %s::uuid[], %s, %s, %s::text[], %s::text[], %s, %s, %s, %s::text[], %s::bigint[], "
        "%s, %s::bigint[], %s::bytea[], %s, %s::bytea[])",
        (ids, [1] * size, ["created"] * size, [None] * size, [None] * size, [200] * size,
         [f"in_1MtHbE{number:06d}LkdIwHu{i:04d}" for i in range(size)], ["draft"] * size, [None] * size, [10000] * size,
         ["usd"] * size, [1_700_000_000 + number] * size, [OBJECT.encode()] * size, [True] * size, [b"{}"] * size),
    )
    assert {row[0] for row in cursor.fetchall()} == {"done"}
    cursor.execute(
        "select gateway.record_calls(%s::uuid[], %s, %s, %s, %s::bigint[], %s, %s, %s, %s)",
        ([i for i in ids for _ in "12"], [1] * size * 2, ["invoice", "lines"] * size, [1] * size * 2,
         [1_700_000_000_000_000 + number] * size * 2, [210] * size * 2, [200] * size * 2, ["ok"] * size * 2,
         [f"req_{n:014d}" for n in range(size * 2)]),
    )


def round_of(ctl: Ctl, requests: int, size: int) -> dict[str, float]:
    connection = psycopg2.connect(ctl.environment["INVOICEGATE_DATABASE"])
    cursor = connection.cursor()
    cursor.execute(SETUP, (DIGEST,))
    connection.commit()
    cursor.execute("analyze")
    connection.commit()
    cursor.execute("select pg_backend_pid(), pg_current_wal_lsn()")
    pid, lsn = cursor.fetchone()
    began = cpu_s(pid)
    pending: list = []
    for number in range(requests // size):
        pending.append((number, batch_of(number, size)))
        begin(cursor, pending[-1][1])
        connection.commit()
        if len(pending) > max(1, 256 // size):  # what is in flight upstream
            at, rows = pending.pop(0)
            finish(cursor, rows, at)
            connection.commit()
    for at, rows in pending:
        finish(cursor, rows, at)
        connection.commit()
    used = cpu_s(pid) - began
    cursor.execute(
        "select pg_current_wal_lsn() - %s, (select sum(n_tup_hot_upd)::float / greatest(sum(n_tup_upd), 1) from pg_stat_all_tables "
        "where relname like 'invoice_requests%%'), pg_database_size(current_database())", (lsn,))
    wal, _, disk = cursor.fetchone()
    connection.close()
    done = requests // size * size
    hot = ctl.sql("select pg_sleep(0.6); select round(sum(n_tup_hot_upd)::numeric / greatest(sum(n_tup_upd), 1), 3) from pg_stat_all_tables "
                  "where relname like 'invoice_requests%'").splitlines()[-1]
    return {"cpu_us": used / done * 1e6, "wal_bytes": float(wal) / done, "disk_mb": disk / 2**20, "hot": float(hot)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sql", type=Path)
    given = parser.parse_args()
    server = Server()
    try:
        server.start()
        if given.sql:
            shutil.rmtree(server.migrations)
            shutil.copytree(given.sql, server.migrations)
        rounds = []
        for number in range(given.rounds):
            server.sql("postgres", f"create database cost_{number}")
            ctl = Ctl(server, f"cost_{number}")
            ctl.run("migrate", "--sql", str(server.migrations))
            rounds.append(round_of(ctl, given.requests, given.batch))
            server.sql("postgres", f"drop database cost_{number}")
        print(", ".join(f"{name} {statistics.median(r[name] for r in rounds):.1f}" if name != "hot" else
                        f"hot {statistics.median(r[name] for r in rounds):.3f}" for name in rounds[0]), "| a request, batch", given.batch)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
