#!/usr/bin/python3
"""make bench: what an invoice costs, beside a yardstick, the floor and the marks; one table, and all runs in .run/bench.json.

Environment: PEER (the yardstick's folder), QUICK=1 (under five minutes: fewer and shorter runs, a shorter past), ONLY (some
measurements: cost,floor,waiting,ideal,added,workers,past), PAST (requests of the past). ROWS chooses loads of its own instead (see rows.py).
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import added
import clients
import cost
import figures
import floor
import past
import rows
import workers
from stack import ROOT, Stack, free_port
from wrk import CLIENTS_OF_THE_GATEWAY, say
from yardstick import UPSTREAM_KEY, Yardstick


class Bench:
    """What the measurements share."""

    def __init__(self, quick: bool, peer: str) -> None:
        self.quick = quick
        self.runs, self.seconds = (2, 3) if quick else (5, 8)
        self.past = os.environ.get("PAST")  # requests of the past, instead of ten million
        self.rows = figures.rows()
        self.problems: list[str] = []
        self.details: dict[str, object] = {}
        self.stack = Stack(settings={"SANDBOX_ARGS": f"--test-key {UPSTREAM_KEY}", "INVOICEGATE_MAX_INFLIGHT": "8192"})
        self.yardstick = Yardstick(Path(peer), self.stack) if peer else None
        self.floor = floor.Floor(self.stack, free_port())

    def start(self) -> None:
        if self.yardstick:
            self.yardstick.install()
        say(f"starting the stack, with {CLIENTS_OF_THE_GATEWAY} clients")
        self.stack.start(CLIENTS_OF_THE_GATEWAY)
        if self.yardstick:
            self.yardstick.start()

    def stop(self) -> None:
        for subject in (self.floor, self.yardstick, self.stack):
            if subject:
                try:
                    subject.stop()
                except (OSError, subprocess.SubprocessError) as fault:  # the others shall stop all the same
                    say(f"bench: {subject.name} does not stop: {fault}")


MEASUREMENTS = {
    "cost": cost.measure_cost,
    "floor": floor.measure_floor,
    "waiting": clients.measure_waiting,
    "ideal": clients.measure_ideal,
    "added": added.measure_added,
    "workers": workers.measure_workers,
    "past": past.measure_past,
}


def run(bench: Bench, chosen: list[str]) -> None:
    bench.start()
    for name in chosen:
        begun = time.monotonic()
        say(f"\n{name}")
        MEASUREMENTS[name](bench)
        say(f"  {name}: done in {time.monotonic() - begun:.0f} s")
    bench.problems += bench.stack.strange_statuses() + bench.stack.problems()


def main() -> int:
    if os.environ.get("ROWS"):
        return rows.main()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [name for name in (os.environ.get("ONLY") or ",".join(MEASUREMENTS)).split(",") if name]
    peer = os.environ.get("PEER", "")
    if peer and not (Path(peer) / "server.mjs").exists():
        raise SystemExit(f"bench: PEER={peer} has no server.mjs")
    bench = Bench(os.environ.get("QUICK", "") not in ("", "0"), peer)
    results = ROOT / ".run" / "bench.json"
    begun = time.monotonic()
    try:
        run(bench, chosen)
    finally:
        say("\nstopping the stack")
        bench.stop()
        if any(row.runs for row in bench.rows.values()):
            figures.write(results, bench.rows, {"quick": bench.quick, "details": bench.details, "problems": bench.problems})
    print(f"\nAfter {time.monotonic() - begun:.0f} s; {os.cpu_count()} cores shared by load, nginx, PostgreSQL, sandbox and subject\n")
    print(figures.table(bench.rows, bench.yardstick is not None), flush=True)
    say(f"\nall runs: {results.relative_to(ROOT)}")
    for problem in bench.problems:
        print(f"bench: {problem}", file=sys.stderr)
    return 1 if bench.problems else 0


if __name__ == "__main__":
    sys.exit(main())
