"""A worker that has no descriptors left: what comes waits or is refused, what is under way goes on, and nothing is lost."""

from __future__ import annotations

import os
import resource
from typing import Callable

import pytest
from books import Books
from stack import Stack
from waiting import wait_for

# Beyond those that the worker has open already.
FEW = (0, 1, 2, 4, 8)
# nginx has its own answers for a worker that accepts nothing: 502 to 504 without a Request-Id.
REFUSED = (429, 500, 502, 503, 504)


def _limit(pid: int, descriptors: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, hard))


@pytest.mark.parametrize("few", FEW)
def test_no_descriptors(start_stack: Callable[..., Stack], few: int) -> None:
    stack = start_stack()
    tenant, books = stack.tenant(), Books(stack)
    assert books.told(stack.create(tenant)).status == 200
    worker = stack.worker_pid()
    enough, _ = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    _limit(worker, max(int(fd) for fd in os.listdir(f"/proc/{worker}/fd")) + 1 + few)
    requests = [stack.create_bytes(tenant, idempotency_key=f"few-{number}") for number in range(30)]
    answers = stack.burst(requests)
    _limit(worker, enough)
    for number, answer in enumerate(answers):
        assert answer.status == 200 or answer.status in REFUSED, answer
        key = f"few-{number}"
        wait_for("the key's invoice", lambda: books.told(stack.create(tenant, idempotency_key=key), key).status == 200)
    balance = books.assert_balanced(60)
    assert balance.standing == 31, balance
    assert stack.worker_pid() == worker
