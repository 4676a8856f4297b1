"""Stacks that go through hard times. The workers are those of a build without sanitizers: what is preloaded into them,
and their limits, leave no room for these."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import paths  # noqa: F401
import pytest
from stack import SANITIZED, Stack

SHORT = {"DEADLINE_MS": 3000, "CALL_TIMEOUT_MS": 1000, "CONNECT_TIMEOUT_MS": 1000, "LEASE_MS": 1500}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SANITIZED:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="not with sanitizers: make survival"))


@pytest.fixture
def start_stack(request: pytest.FixtureRequest) -> Iterator[Callable[..., Stack]]:
    """start_stack(MAX_INFLIGHT=2, workers=2): settings as for Stack, over short ones."""
    stacks: list[Stack] = []

    def start(**settings: Any) -> Stack:
        stack = Stack(**(SHORT | settings))
        stacks.append(stack)
        stack.start()
        return stack

    failed = request.session.testsfailed
    yield start
    for stack in stacks:
        stack.keep = request.session.testsfailed > failed
        stack.stop()
