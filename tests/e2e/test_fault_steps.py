"""Every fault of the upstream at every step of a request, with and without an Idempotency-Key: nothing lost, nothing
doubled, no client lied to. fault_table says what each has to come to; the rows run many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Iterator

import pytest

from fault_runner import FaultRun
from fault_table import FAULTS, ROWS, Row
from stack import SANITIZED, Stack

# Room for everything that an endless answer may leave behind, many at once; a sanitizer keeps what was freed for a while.
RSS_MAX_BYTES = (768 if SANITIZED else 192) * 1024 * 1024

PATIENT = {"DEADLINE_MS": 40000, "CALL_TIMEOUT_MS": 2000, "CONNECT_TIMEOUT_MS": 1000, "LOOKUP_PAUSE_MS": 300}
HASTY = {"DEADLINE_MS": 2000, "CALL_TIMEOUT_MS": 700, "CONNECT_TIMEOUT_MS": 300, "LOOKUP_PAUSE_MS": 300}
PARKING = {"BACKGROUND_MS": 1500, "PARK_MS": 500, "LEASE_MS": 1500}


# Who refuses connections refuses them to everybody: the rows of refused run one by one, beside the other stacks.
SETTINGS = {"patient": PATIENT, "hasty": HASTY, "refused": HASTY}


def stack_of(row: Row) -> str:
    if not row.hasty:
        return "patient"
    return "refused" if row.apart == "alone" else "hasty"


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[str, FaultRun]]:
    """The rows that were selected, by their stacks."""
    wanted = [item.callspec.params["row_id"] for item in request.session.items if item.name.startswith("test_fault[")]
    rows = [ROWS[row_id] for row_id in wanted or ROWS]
    with ExitStack() as stacks, ThreadPoolExecutor(len(SETTINGS)) as pool:
        started = {name: stacks.enter_context(Stack(**settings, **PARKING)) for name, settings in SETTINGS.items()}
        runs = {name: FaultRun(stack, [row for row in rows if stack_of(row) == name]) for name, stack in started.items()}
        list(pool.map(FaultRun.run, runs.values()))
        yield runs
        for stack in started.values():
            stack.keep = request.session.testsfailed > 0


@pytest.mark.fault_step
@pytest.mark.parametrize("row_id", list(ROWS))
def test_fault(runs: dict[str, FaultRun], row_id: str) -> None:
    problems = runs[stack_of(ROWS[row_id])].results[row_id].problems()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", SETTINGS)
def test_books_agree(runs: dict[str, FaultRun], name: str) -> None:
    run = runs[name]
    problems = run.books.balance().problems()
    # One fault makes the upstream's total differ from its lines; the lines are what is compared with the plan.
    skewed = {row["invoice_id"] for r in run.results.values() if r.row.word == "skewed" for row in r.requests.values()}
    mismatched = [text for text in problems.pop("mismatched", []) if not any(str(one) in text for one in skewed)]
    assert not problems and not mismatched, (problems, mismatched)


@pytest.mark.parametrize("name", SETTINGS)
def test_no_call_is_missing(runs: dict[str, FaultRun], name: str) -> None:
    """Or the comparison of keys and bodies would have gaps."""
    assert runs[name].watch.missed == 0


@pytest.mark.parametrize("name", SETTINGS)
def test_the_worker_is_the_same_and_no_larger(runs: dict[str, FaultRun], name: str) -> None:
    run = runs[name]
    assert run.stack.worker_pid() == run.worker
    assert run.stack.rss_bytes(run.worker) < RSS_MAX_BYTES


def test_every_fault_is_in_the_table(runs: dict[str, FaultRun]) -> None:
    names = runs["patient"].stack.sandbox.control("GET", "faults")["names"]
    assert set(names) == {fault.kind for fault in FAULTS.values()}
