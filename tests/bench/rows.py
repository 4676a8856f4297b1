"""Loads of one's own choosing, without any reference: ROWS=64x0,512x100,64x0k (clients x upstream latency in ms; a k at the
end gives each call an Idempotency-Key), WORKERS (1), QUICK=1 (short runs)."""

from __future__ import annotations

import os
import statistics
import sys
from dataclasses import dataclass, field

from stack import Stack
from wrk import CLIENTS_OF_THE_GATEWAY, measure, say


@dataclass
class Load:
    """How many wait at once, and how slow the upstream is."""

    clients: int
    latency_ms: int
    keyed: bool
    runs: list[dict[str, float]] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.clients} clients, {self.latency_ms} ms{', keyed' if self.keyed else ''}"

    def median(self, column: str) -> float:
        return statistics.median(run[column] for run in self.runs)


COLUMNS = [
    ("invoices/s", "invoices_per_s", 0),
    ("p50 ms", "p50_ms", 1),
    ("p99 ms", "p99_ms", 1),
    ("worker us", "gateway_us", 0),
    ("nginx us", "nginx_us", 0),
    ("postgres us", "postgres_us", 0),
    ("sandbox us", "sandbox_us", 0),
    ("worker MB", "gateway_mb", 0),
]


def read_loads(text: str) -> list[Load]:
    loads = []
    for word in text.split(","):
        clients, _, latency_ms = word.rstrip("k").partition("x")
        loads.append(Load(int(clients), int(latency_ms), word.endswith("k")))
    return loads


def table(loads: list[Load]) -> str:
    heads = ["clients", "upstream ms", "keyed", *(head for head, _, _ in COLUMNS)]
    lines = [heads]
    for load in loads:
        cells = [str(load.clients), str(load.latency_ms), "yes" if load.keyed else "no"]
        cells += [f"{load.median(column):,.{digits}f}" for _, column, digits in COLUMNS]
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in lines)


def run_all(stack: Stack, loads: list[Load], runs: int, seconds: int) -> list[str]:
    problems = []
    stack.start(CLIENTS_OF_THE_GATEWAY)
    stack.set_latency(0)
    measure(stack, 64, 3, "warm-up")
    stack.settle()
    # Round by round, so that a bad minute of the machine does not hit all runs of a load.
    for number in range(1, runs + 1):
        for index, load in enumerate(loads):
            stack.set_latency(load.latency_ms)
            run = measure(stack, load.clients, seconds, f"{number}-{index}", load.keyed)
            stack.settle()
            load.runs.append(run)
            say(f"  {load.title}, run {number} of {runs}: {run['invoices_per_s']:,.0f} invoices/s")
            if run["failed"]:
                problems.append(f"{load.title}: {run['failed']:.0f} calls were not answered with 200")
    return problems + stack.strange_statuses() + stack.problems()


def main() -> int:
    runs, seconds = (1, 4) if os.environ.get("QUICK", "") not in ("", "0") else (3, 10)
    loads = read_loads(os.environ["ROWS"])
    stack = Stack(int(os.environ.get("WORKERS") or 1), {"INVOICEGATE_MAX_INFLIGHT": "8192"})
    try:
        problems = run_all(stack, loads, runs, seconds)
        print(f"\n{stack.workers} worker(s), medians of {runs} runs of {seconds} s; us: CPU time an invoice\n")
        print(table(loads), flush=True)
    finally:
        stack.stop()
    for problem in problems:
        print(f"bench: {problem}", file=sys.stderr)
    return 1 if problems else 0
