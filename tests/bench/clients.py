"""Many clients at once: the memory of requests that wait, and throughput against the ideal."""

from __future__ import annotations

import statistics
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from processes import all_processes, tree
from stack import Stack
from wrk import measure, say, wrk

if TYPE_CHECKING:
    from bench import Bench

WAITING, WAIT_MS = 4000, 500
MARK_BYTES = 40_000.0
CALLS, LATENCY_MS = 2, 100
ALL_OF_THE_CPU, FLAT = 0.95, 0.95


def worker_pids(stack: Stack) -> list[int]:
    (root,) = stack.parts()["gateway"]
    return [process.pid for process in tree(root, all_processes()) if process.name == "invoicegate"]


def memory_bytes(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{pid}/status has no {field}")


class InFlight(threading.Thread):
    """The most requests that were under way at once, looked at ten times a second."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self.stack, self.most, self.done = stack, 0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.1):
            self.most = max(self.most, self.stack.in_flight())


def restart_workers(bench: Bench, number: int, workers: int = 1) -> None:
    """A setting that means nothing here makes them start again: what an earlier load left must not count as idle."""
    bench.stack.up(WORKERS=str(workers), INVOICEGATE_DRAIN_MS=str(40000 + number))
    bench.stack.set_latency(0)
    measure(bench.stack, 8, 1, f"idle-{number}")
    bench.stack.settle()


def one_wait(bench: Bench, number: int) -> dict[str, float]:
    restart_workers(bench, number)
    (pid,) = worker_pids(bench.stack)
    idle = memory_bytes(pid, "VmRSS")
    bench.stack.set_latency(WAIT_MS)
    watch = InFlight(bench.stack)
    watch.start()
    load = wrk(bench.stack, WAITING, 6 if bench.quick else 10, f"waiting-{number}")
    watch.done.set()
    watch.join()
    peak = memory_bytes(pid, "VmHWM")
    bench.stack.set_latency(0)
    bench.stack.settle()
    failed = load["bad_status"] + load["broken"] + load["timeouts"]
    if failed:
        bench.problems.append(f"{WAITING} clients waiting: {failed} calls were not answered with 200")
    say(f"  run {number}: idle {idle / 2**20:.1f} MB, peak {peak / 2**20:.1f} MB, {watch.most} in flight at most, {load['answers']} answers")
    if watch.most < WAITING * 0.95:
        say(f"    note: only {watch.most} of {WAITING} were seen waiting at once")
    return {"idle_bytes": idle, "peak_bytes": peak, "in_flight": watch.most, "answers": load["answers"], "failed": failed}


def measure_waiting(bench: Bench) -> None:
    found = [one_wait(bench, number) for number in range(1, (1 if bench.quick else bench.runs) + 1)]
    bench.details["waiting"] = found
    for run in found:
        bench.rows["bytes_per_waiting_request"].add((run["peak_bytes"] - run["idle_bytes"]) / max(1, min(run["in_flight"], WAITING)), MARK_BYTES)
    bench.rows["bytes_per_waiting_request"].remark = (
        f"{statistics.median(run['in_flight'] for run in found):.0f} were in flight, {sum(run['failed'] for run in found)} not answered with 200"
    )


def alone_ms(bench: Bench) -> float:
    """The time of a lone request when the upstream takes none."""
    bench.stack.set_latency(0)
    return measure(bench.stack, 1, 2, "alone")["p50_ms"]


def measure_ideal(bench: Bench) -> None:
    seconds = bench.seconds + 2
    measure(bench.stack, 64, 2, "warm-up")
    bench.stack.settle()
    alone = alone_ms(bench)
    counts = [500, 2000, 4000] if bench.quick else [250, 500, 1000, 2000, 4000]
    kept: dict[int, list[dict[str, float]]] = {count: [] for count in counts}
    bench.stack.set_latency(LATENCY_MS)
    for number in range(1, (1 if bench.quick else bench.runs) + 1):
        for count in counts:
            run = measure(bench.stack, count, seconds, f"ideal-{number}")
            bench.stack.settle()
            run["ideal_per_s"] = count * 1000 / (CALLS * LATENCY_MS + alone)
            kept[count].append(run)
            say(f"  {count} clients, run {number}: {run['invoices_per_s']:,.0f}/s, {run['invoices_per_s'] / run['ideal_per_s']:.0%} of "
                f"the ideal; {run['busy']:.0%} of the machine busy, p99 {run['p99_ms']:.0f} ms")
            if run["failed"]:
                bench.problems.append(f"{count} clients, {LATENCY_MS} ms: {run['failed']:.0f} calls were not answered with 200")
    bench.stack.set_latency(0)
    bench.details["ideal"] = {"alone_ms": alone, "runs": kept}
    note(bench, kept)


def note(bench: Bench, kept: dict[int, list[dict[str, float]]]) -> None:
    row = bench.rows["ideal_throughput_share_2000"]
    for run in kept[2000]:
        row.add(run["invoices_per_s"], run["ideal_per_s"])
    parts = []
    for count, runs in kept.items():
        share = statistics.median(run["invoices_per_s"] / run["ideal_per_s"] for run in runs)
        busy = statistics.median(run["busy"] for run in runs)
        parts.append(f"{count}: {share:.0%} ({busy:.0%} busy)")
    most = statistics.median(run["invoices_per_s"] for run in kept[4000]) / statistics.median(run["invoices_per_s"] for run in kept[2000])
    busiest = statistics.median(run["busy"] for run in kept[2000])
    if busiest >= ALL_OF_THE_CPU and most >= FLAT:
        row.excuse = "(the CPU is the limit, and more clients make no fewer)"
    row.remark = f"share of the ideal by clients, and of the machine that was busy: {', '.join(parts)}; 4,000 clients make {most:.2f} times what 2,000 make"
