"""Two workers on one socket against one: no lock may serialise them. What both can do is bounded by the machine's cores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clients import restart_workers
from wrk import measure, say

if TYPE_CHECKING:
    from bench import Bench


def measure_workers(bench: Bench) -> None:
    kept: list[dict[str, dict[str, float]]] = []
    for number in range(1, bench.runs + 1):
        found = {}
        for workers in (1, 2) if number % 2 else (2, 1):
            restart_workers(bench, 100 + number, workers)
            run = measure(bench.stack, 64, bench.seconds, f"workers-{workers}-{number}")
            bench.stack.settle()
            found[workers] = run
            say(f"  {workers} worker(s), run {number}: {run['invoices_per_s']:,.0f}/s, worker {run['gateway_us']:.0f} us, "
                f"PostgreSQL {run['postgres_us']:.0f} us, {run['busy']:.0%} of the machine busy")
        bench.rows["two_workers"].add(found[2]["invoices_per_s"], found[1]["invoices_per_s"])
        kept.append({str(workers): run for workers, run in found.items()})
    bench.details["workers"] = kept
    restart_workers(bench, 100, 1)
