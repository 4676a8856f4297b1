"""A stack of the test's own, with the short settings of make chaos."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import paths  # noqa: F401
import pytest
from chaos import SHORT
from stack import Stack


@pytest.fixture
def start_stack(request: pytest.FixtureRequest) -> Iterator[Callable[..., Stack]]:
    """start_stack(MAX_INFLIGHT=2, workers=2): settings as for Stack, over the short ones."""
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
