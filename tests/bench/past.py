"""What a long past costs: the same load on empty tables and on tables with millions of requests, in turns."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import load_history
from stack import Stack
from wrk import CLIENTS_OF_THE_GATEWAY, measure, say

if TYPE_CHECKING:
    from bench import Bench

REQUESTS, REQUESTS_QUICK = 10_000_000, 100_000
BYTES_A_REQUEST = 2 * load_history.BYTES_A_REQUEST  # with the journal's files, and room to spare
MONTHS, MONTHS_QUICK = 24, 6


def affordable(wanted: int, directory) -> int:
    free = shutil.disk_usage(directory).free
    return min(wanted, int(free * 0.8 / BYTES_A_REQUEST / 100_000) * 100_000)


def cost_us(stack: Stack, seconds: float, label: str) -> dict[str, float]:
    run = measure(stack, 64, seconds, label)
    stack.settle()
    run["cost_us"] = run["gateway_us"] + run["postgres_us"]
    return run


def fill(stack: Stack, requests: int, months: int) -> None:
    """The history belongs to other accounts of the same agencies; the loader shows how far it is."""
    begun = time.monotonic()
    load_history.load(f"host={stack.socket_dir} user=postgres dbname=invoicegate", requests, months, 2)
    stack.query("checkpoint")
    size = stack.query("select pg_database_size(current_database())")[0][0]
    say(f"  {requests:,} requests, {size / 2**30:.1f} GB, in {time.monotonic() - begun:.0f} s")


def measure_past(bench: Bench) -> None:
    empty, full = Stack(), Stack()
    wanted = REQUESTS_QUICK if bench.quick else int(bench.past or REQUESTS)
    requests = affordable(wanted, full.directory)
    row = bench.rows["cost_with_10m_rows"]
    row.remark = f"{requests:,} requests of the past"
    kept = []
    try:
        full.start(CLIENTS_OF_THE_GATEWAY)
        fill(full, requests, MONTHS_QUICK if bench.quick else MONTHS)
        empty.start(CLIENTS_OF_THE_GATEWAY)
        for stack in (full, empty):
            stack.set_latency(0)
            cost_us(stack, 2, "warm-up")
        for number in range(1, bench.runs + 1):
            # The empty one does not stay empty: what both have in common is what the runs themselves write.
            late = cost_us(full, bench.seconds, f"full-{number}")
            early = cost_us(empty, bench.seconds, f"empty-{number}")
            row.add(late["cost_us"], early["cost_us"])
            kept.append({"full": late, "empty": early})
            say(f"  run {number}: worker + PostgreSQL {late['cost_us']:.0f} us with {requests:,} requests, {early['cost_us']:.0f} us without "
                f"(PostgreSQL {late['postgres_us']:.0f} and {early['postgres_us']:.0f})")
        bench.details["past"] = {"requests": requests, "runs": kept}
    finally:
        for stack in (full, empty):
            stack.stop()
