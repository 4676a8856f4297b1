"""Fixtures of the end-to-end tests.

stack        the stack that most tests share: one worker, short deadline, short lease
tenant       an agency, account and client of the test's own in it
books        what is told from here on against audit and ledger
start_stack  starts stacks with settings of a test's own; for those of a module, use Stack in a module-scoped fixture
"""

from __future__ import annotations

from typing import Any, Callable, Iterator

import pytest

from books import Books
from groups import GROUPS, GroupCounter
from stack import Stack, Tenant

# Patience of the shared stack's worker. No test relies on how long these really are.
SHORT = {"DEADLINE_MS": 3000, "CALL_TIMEOUT_MS": 1000, "CONNECT_TIMEOUT_MS": 1000, "LEASE_MS": 1500}


def pytest_configure(config: pytest.Config) -> None:
    for marker, title in GROUPS.items():
        config.addinivalue_line("markers", f"{marker}: counted at the end as {title}")
    config.pluginmanager.register(GroupCounter(), "groups")


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with Stack(**SHORT) as stack:
        yield stack
        stack.keep = request.session.testsfailed > 0


@pytest.fixture
def start_stack(request: pytest.FixtureRequest) -> Iterator[Callable[..., Stack]]:
    """start_stack(MAX_INFLIGHT=2, workers=1): a stack of the test's own, with the short settings unless given."""
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


@pytest.fixture(autouse=True)
def _healthy_sandbox(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test inherits another's faults or latency."""
    yield
    if "stack" in request.fixturenames:
        shared: Stack = request.getfixturevalue("stack")
        shared.sandbox.no_faults()
        shared.sandbox.latency(0)


@pytest.fixture
def tenant(stack: Stack) -> Tenant:
    return stack.tenant()


@pytest.fixture
def books(stack: Stack) -> Books:
    return Books(stack)
