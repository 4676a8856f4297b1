"""CPU time and throughput beside the yardstick: 64 and 512 clients, no latency, in turns behind the same nginx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wrk import Subject, measure, say

if TYPE_CHECKING:
    from bench import Bench

DISTURBED = 0.10  # of the machine's time, taken by others


def warm_up(bench: Bench, subject: Subject) -> None:
    """Every client gets its upstream customer, every program its memory; compilers at run time their time."""
    say(f"  {subject.name}: warming up")
    measure(subject, 64, 3 if subject is bench.stack else 6, "warm-up")
    bench.stack.settle()


def one(bench: Bench, subject: Subject, clients: int, label: str) -> dict[str, float]:
    run = measure(subject, clients, bench.seconds, label)
    bench.stack.settle()
    say(
        f"  {subject.name}, {clients} clients, run {label}: {run['invoices_per_s']:,.0f}/s, worker {run['gateway_us']:.0f} us, "
        f"PostgreSQL {run['postgres_us']:.0f} us, nginx {run['nginx_us']:.0f} us, p99 {run['p99_ms']:.0f} ms"
    )
    if run["failed"]:
        bench.problems.append(f"{subject.name}, {clients} clients: {run['failed']:.0f} calls were not answered with 200")
    return run


def measure_cost(bench: Bench) -> None:
    bench.stack.set_latency(0)
    subjects = [bench.stack] + ([bench.yardstick] if bench.yardstick else [])
    for subject in subjects:
        warm_up(bench, subject)
    kept: dict[str, list] = {f"{subject.name}, {clients} clients": [] for subject in subjects for clients in (64, 512)}
    bench.details["cost"] = kept
    for number in range(1, max(3, bench.runs) + 1):  # these rows decide most
        for clients in (64, 512):
            # Whoever begins takes turns, too.
            turn = subjects if number % 2 else subjects[::-1]
            found = {subject.name: one(bench, subject, clients, str(number)) for subject in turn}
            for name, run in found.items():
                kept[f"{name}, {clients} clients"].append(run)
            note(bench, clients, found["invoicegate"], found.get("yardstick"))


def note(bench: Bench, clients: int, ours: dict[str, float], theirs: dict[str, float] | None) -> None:
    def add(key: str, column: str, share: float = 1.0) -> None:
        bench.rows[key].add(ours[column] * share, theirs[column] * share if theirs else None)

    add(f"invoices_per_second_{clients}", "invoices_per_s")
    if clients == 64:
        add("worker_cpu_us_per_invoice", "gateway_us")
        add("postgres_cpu_us_per_invoice", "postgres_us")
        bench.rows["sandbox_cpu_us_per_call"].add(ours["sandbox_us"] / 2, 25.0)
    if ours["others"] > DISTURBED:
        say(f"    note: other programs took {ours['others']:.0%} of the machine")
