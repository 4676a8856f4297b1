#!/usr/bin/python3
"""make bench: invoices per second, latencies, CPU time and memory of the private stack under load.

Every figure is the median of several runs. The table goes to standard output, all runs to .run/bench.json.
Environment: QUICK=1 (short runs), WORKERS (1), ROWS (such as 64x0,512x100: clients x upstream latency in ms; a k at
the end gives each call an Idempotency-Key).
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from processes import cpu_of_trees, machine, machine_busy_s, rss_of_trees
from stack import ROOT, Stack

HERE = Path(__file__).resolve().parent
CLIENTS_OF_THE_GATEWAY = 1000
DISTURBED = 0.10  # of the machine's time, taken by others


@dataclass
class Row:
    """One load: how many wait at once, and how slow the upstream is."""

    clients: int
    latency_ms: int
    keyed: bool
    runs: list[dict[str, float]] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.clients} clients, {self.latency_ms} ms{', keyed' if self.keyed else ''}"

    def median(self, column: str) -> float:
        return statistics.median(run[column] for run in self.runs)


ROWS = "64x0,512x0,64x100,512x100,64x0k"


def read_rows(text: str) -> list[Row]:
    rows = []
    for word in text.split(","):
        clients, _, latency_ms = word.rstrip("k").partition("x")
        rows.append(Row(int(clients), int(latency_ms), word.endswith("k")))
    return rows


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Watch(threading.Thread):
    """Looks at the subject twice a second while a load runs, and shows that time passes."""

    def __init__(self, subject: Stack, what: str) -> None:
        super().__init__(daemon=True)
        self.subject, self.what = subject, what
        self.done = threading.Event()
        self.peak_rss_bytes = 0
        self.peak_in_flight = 0

    def run(self) -> None:
        begun, told = time.monotonic(), 0.0
        while not self.done.wait(0.5):
            self.peak_rss_bytes = max(self.peak_rss_bytes, rss_of_trees(self.subject.parts()["gateway"]))
            self.peak_in_flight = max(self.peak_in_flight, self.subject.in_flight())
            passed = time.monotonic() - begun
            if passed - told >= 2:
                say(f"  {self.what}: {passed:.0f} s")
                told = passed


def wrk(subject: Stack, row: Row, seconds: int, label: str) -> dict[str, int]:
    command = ["wrk", "-t1", f"-c{row.clients}", f"-d{seconds}s", "--timeout", "30s", "-s", str(HERE / "load.lua")]
    environment = {
        **os.environ,
        **subject.load_environment(),
        "BENCH_CLIENTS": str(CLIENTS_OF_THE_GATEWAY),
        "BENCH_RUN": label,
        "BENCH_KEYED": "1" if row.keyed else "0",
    }
    done = subprocess.run(
        [*command, subject.url], env=environment, capture_output=True, text=True, timeout=seconds + 120, check=False
    )
    if done.returncode != 0 or not done.stdout.strip().endswith("}"):
        raise RuntimeError(f"wrk failed (status {done.returncode}): {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(subject: Stack, row: Row, seconds: int, label: str) -> dict[str, float]:
    """One run: what the load saw, and what each part spent meanwhile."""
    watch = Watch(subject, row.title)
    own_before = time_of_children()
    busy_before, parts_before, begun = machine_busy_s(), cpu_of_trees(subject.parts()), time.monotonic()
    watch.start()
    try:
        load = wrk(subject, row, seconds, label)
        passed = time.monotonic() - begun
        parts_after, busy_after = cpu_of_trees(subject.parts()), machine_busy_s()
    finally:
        watch.done.set()
        watch.join()
    spent = {part: parts_after[part] - parts_before[part] for part in parts_after}
    others_s = busy_after - busy_before - sum(spent.values()) - (time_of_children() - own_before)
    answers = load["answers"]
    if answers == 0:
        raise RuntimeError(f"no answer at all with {row.title}")
    return {
        "answers": answers,
        "failed": load["bad_status"] + load["broken"] + load["timeouts"],
        "invoices_per_s": answers / (load["duration_us"] / 1e6),
        "p50_ms": load["p50_us"] / 1000,
        "p99_ms": load["p99_us"] / 1000,
        "max_ms": load["max_us"] / 1000,
        **{f"{part}_us": cpu_s * 1e6 / answers for part, cpu_s in spent.items()},
        "gateway_mb": watch.peak_rss_bytes / 2**20,
        "in_flight": watch.peak_in_flight,
        "others": max(0.0, others_s) / (passed * (os.cpu_count() or 1)),
    }


def time_of_children() -> float:
    """CPU seconds of this program and of the wrk runs that have ended."""
    return sum(os.times()[:4])


def warm_up(subject: Stack, seconds: int) -> int:
    """Every client gets its upstream customer, every program its memory."""
    subject.set_latency(0)
    load = wrk(subject, Row(64, 0, False), seconds, "warm-up")
    subject.settle()
    return load["answers"]


COLUMNS = [
    ("invoices/s", "invoices_per_s", 0),
    ("p50 ms", "p50_ms", 1),
    ("p99 ms", "p99_ms", 1),
    ("worker us", "gateway_us", 0),
    ("nginx us", "nginx_us", 0),
    ("postgres us", "postgres_us", 0),
    ("sandbox us", "sandbox_us", 0),
    ("worker MB", "gateway_mb", 0),
    ("in flight", "in_flight", 0),
]


def table(rows: list[Row]) -> str:
    heads = ["clients", "upstream ms", "keyed", *(head for head, _, _ in COLUMNS)]
    lines = [heads]
    for row in rows:
        cells = [str(row.clients), str(row.latency_ms), "yes" if row.keyed else "no"]
        cells += [f"{row.median(column):,.{digits}f}" for _, column, digits in COLUMNS]
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in lines)


def write_results(path: Path, subject: Stack, rows: list[Row], problems: list[str]) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(
        json.dumps(
            {
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "machine": machine(),
                "subjects": [
                    {
                        "name": subject.name,
                        "workers": subject.workers,
                        "problems": problems,
                        "rows": [
                            {**asdict(row), "median": {name: row.median(name) for name in row.runs[0]}} for row in rows
                        ],
                    }
                ],
            },
            indent=1,
        )
        + "\n"
    )


def bench(subject: Stack, rows: list[Row], runs: int, seconds: int) -> list[str]:
    """Runs every row; answers what went wrong."""
    problems = []
    say(f"{subject.name}: starting its stack, {CLIENTS_OF_THE_GATEWAY} clients")
    subject.start(CLIENTS_OF_THE_GATEWAY)
    say("  warming up: 3 s")
    answers = warm_up(subject, 3)
    # Round by round, so that a bad minute of the machine does not hit all runs of a row.
    for round_number in range(1, runs + 1):
        for index, row in enumerate(rows):
            subject.set_latency(row.latency_ms)
            run = measure(subject, row, seconds, f"{round_number}-{index}")
            subject.settle()
            row.runs.append(run)
            answers += int(run["answers"])
            say(f"  {row.title}, run {round_number} of {runs}: {run['invoices_per_s']:,.0f} invoices/s")
            if run["failed"]:
                problems.append(f"{row.title}: {run['failed']:.0f} calls were not answered with 200")
    return problems + subject.strange_statuses() + subject.problems(answers)


def report(subject: Stack, rows: list[Row], runs: int, seconds: int) -> None:
    facts = machine()
    print(
        f"\n{subject.name}, {subject.workers} worker(s); {facts['cores']} cores shared by load, gateway, nginx, "
        f"PostgreSQL and sandbox;\nmedians of {runs} runs of {seconds} s; us: CPU time per invoice\n"
    )
    print(table(rows), flush=True)
    for row in rows:
        if row.median("others") > DISTURBED:
            say(f"note: {row.title}: other programs took {row.median('others'):.0%} of the machine")


def main() -> int:
    quick = os.environ.get("QUICK", "") not in ("", "0")
    runs, seconds = (1, 4) if quick else (3, 10)
    rows = read_rows(os.environ.get("ROWS") or ROWS)
    results = ROOT / ".run" / "bench.json"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    subject = Stack(int(os.environ.get("WORKERS") or 1))
    try:
        problems = bench(subject, rows, runs, seconds)
        report(subject, rows, runs, seconds)
        write_results(results, subject, rows, problems)
        say(f"\nall runs: {results.relative_to(ROOT)}")
    finally:
        say("stopping the stack")
        subject.stop()
    for problem in problems:
        print(f"bench: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
