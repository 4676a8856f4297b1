"""One run of load against a subject: what the load saw, and what each part of the stack spent meanwhile.

A subject has a url, load_environment() for load.lua, and parts(): the processes at the root of each part, by name. The part
that is called gateway is the one whose memory is watched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Protocol

from processes import cpu_of_trees, machine_busy_s, rss_of_trees

HERE = Path(__file__).resolve().parent
CLIENTS_OF_THE_GATEWAY = 1000


class Subject(Protocol):
    name: str
    url: str

    def load_environment(self) -> dict[str, str]: ...

    def parts(self) -> dict[str, list[int]]: ...


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Watch(threading.Thread):
    """Looks at a subject's memory twice a second while a load runs, and shows that time passes."""

    def __init__(self, subject: Subject, what: str) -> None:
        super().__init__(daemon=True)
        self.subject, self.what = subject, what
        self.done = threading.Event()
        self.peak_rss_bytes = 0

    def run(self) -> None:
        begun, told = time.monotonic(), 0.0
        while not self.done.wait(0.5):
            self.peak_rss_bytes = max(self.peak_rss_bytes, rss_of_trees(self.subject.parts()["gateway"]))
            passed = time.monotonic() - begun
            if passed - told >= 2:
                say(f"    {self.what}: {passed:.0f} s")
                told = passed


def wrk(subject: Subject, clients: int, seconds: float, label: str, keyed: bool = False) -> dict[str, int]:
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:.0f}s", "--timeout", "30s", "-s", str(HERE / "load.lua")]
    environment = {
        **os.environ,
        "BENCH_CLIENTS": str(CLIENTS_OF_THE_GATEWAY),
        "BENCH_RUN": label,
        "BENCH_KEYED": "1" if keyed else "0",
        **subject.load_environment(),
    }
    done = subprocess.run(
        [*command, subject.url], env=environment, capture_output=True, text=True, timeout=seconds + 120, check=False
    )
    if done.returncode != 0 or not done.stdout.strip().endswith("}"):
        raise RuntimeError(f"wrk failed (status {done.returncode}): {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def time_of_children() -> float:
    """CPU seconds of this program and of the wrk runs that have ended."""
    return sum(os.times()[:4])


class Spending:
    """CPU seconds of each part of a subject, and of everybody else, since it was made."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.begun = subject, time.monotonic()
        self.own, self.busy, self.parts = time_of_children(), machine_busy_s(), cpu_of_trees(subject.parts())

    def so_far(self) -> tuple[dict[str, float], dict[str, float]]:
        """Seconds by part; and shares of the machine that was busy, and that others took."""
        after, busy_s = cpu_of_trees(self.subject.parts()), machine_busy_s() - self.busy
        spent = {part: after[part] - self.parts[part] for part in after}
        others_s = busy_s - sum(spent.values()) - (time_of_children() - self.own)
        whole_s = (time.monotonic() - self.begun) * (os.cpu_count() or 1)
        return spent, {"busy": busy_s / whole_s, "others": max(0.0, others_s) / whole_s}


def measure(subject: Subject, clients: int, seconds: float, label: str, keyed: bool = False) -> dict[str, float]:
    watch = Watch(subject, f"{subject.name}, {clients} clients")
    spending = Spending(subject)
    watch.start()
    try:
        load = wrk(subject, clients, seconds, label, keyed)
        spent, shares = spending.so_far()
    finally:
        watch.done.set()
        watch.join()
    answers = load["answers"]
    if answers == 0:
        raise RuntimeError(f"{subject.name}: no answer at all with {clients} clients")
    return {
        "answers": answers,
        "failed": load["bad_status"] + load["broken"] + load["timeouts"],
        "invoices_per_s": answers / (load["duration_us"] / 1e6),
        "p50_ms": load["p50_us"] / 1000,
        "p99_ms": load["p99_us"] / 1000,
        "max_ms": load["max_us"] / 1000,
        **{f"{part}_us": cpu_s * 1e6 / answers for part, cpu_s in spent.items()},
        "gateway_mb": watch.peak_rss_bytes / 2**20,
        **shares,
    }
