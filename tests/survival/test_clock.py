"""The worker's clock jumps a day, ahead and back, while requests are under way. The upstream, PostgreSQL and nginx have the
right time."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import pytest
from books import Books
from stack import Stack
from waiting import wait_for

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """clock("+1d") sets the worker's clock a day ahead."""
    file = tmp_path / "clock"

    def jump(offset: str) -> None:
        file.write_text(offset + "\n")

    jump("+0")
    yield jump


@pytest.fixture
def stack(start_stack: Callable[..., Stack], clock: Callable[[str], None], tmp_path: Path) -> Stack:
    if not LIBRARIES:
        pytest.skip("libfaketime is not installed (Debian package faketime)")
    faketime = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_ONLY_CMDS": "invoicegate",
        "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return start_stack(env=faketime)


def test_it_is_another_day(stack: Stack, clock: Callable[[str], None]) -> None:
    clock("+1d")
    before = len(stack.log("workers"))
    stack.create()
    today = stack.sql("select to_char(now() at time zone 'utc', 'YYYY-MM-DD') as today")[0]["today"]
    lines = [line for line in stack.log("workers")[before:].splitlines() if '"message":"request"' in line]
    assert lines and today not in lines[0], lines


@pytest.mark.parametrize("jumps", [("+1d", "+0"), ("-1d", "+0"), ("+1d", "-1d")], ids=" then ".join)
def test_the_clock_jumps_under_way(stack: Stack, clock: Callable[[str], None], jumps: tuple[str, ...]) -> None:
    tenant, books = stack.tenant(), Books(stack)
    stack.sandbox.latency(300)
    for jump in jumps:
        requests = [stack.create_bytes(tenant, idempotency_key=f"{jump}-{number}") for number in range(4)]
        pending = [stack.send(request) for request in requests + [stack.create_bytes(tenant)] * 3]
        clock(jump)
        answers = [one.answer() for one in pending]
        books.told_all(answers, [f"{jump}-{number}" for number in range(4)] + [None] * 3)
        assert {answer.status for answer in answers} <= {200, 503, 504}
    stack.sandbox.latency(0)
    for jump in jumps:
        for number in range(4):
            key = f"{jump}-{number}"
            wait_for("the invoice", lambda: books.told(stack.create(tenant, idempotency_key=key), key).status == 200)
    books.assert_balanced(60)


@pytest.mark.parametrize("jump", ["+1d", "-1d"])
@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "keyless"])
def test_a_doubt_is_looked_up_with_a_wrong_clock(stack: Stack, clock: Callable[[str], None], jump: str, keyed: bool) -> None:
    """The upstream makes the invoice, loses its answer and forgets its key: only its list tells that it stands."""
    tenant, books, key = stack.tenant(), Books(stack), "doubt" if keyed else None
    assert books.told(stack.create(tenant)).status == 200
    clock(jump)
    stack.sandbox.fault("reset_after", step="invoice", count=1)
    stack.sandbox.fault("idempotency_error", step="invoice", count=1)
    answer = books.told(stack.create(tenant, idempotency_key=key), key)
    assert answer.status in (200, 504), answer
    books.assert_balanced(60)
