"""A worker dies on entering each state of a request of the upstream's own interface (see test_crash_steps.py for how)."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Callable, Iterator

import paths  # noqa: F401  (makes the end-to-end tests' modules known)
import pytest
import wire
from books import Books
from passed_on import Caller
from stack import SANITIZED, Stack
from waiting import wait_for

SHORT = {"LEASE_MS": 1500, "DEADLINE_MS": 3000, "CALL_TIMEOUT_MS": 2000, "BACKGROUND_MS": 500, "PARK_MS": 1000, "LOOKUP_PAUSE_MS": 500}
PATIENCE_S = 90.0
CREATING = ("BEGINNING", "MAKING_INVOICE", "LOOKING_UP", "FINISHING", "ENDED")
ACTING = ("BEGINNING", "ACTING", "LOOKING_UP", "FINISHING", "ENDED")


@pytest.fixture(scope="module")
def stack_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stack]]:
    failed = request.session.testsfailed
    with Stack(workers=2, **SHORT) as stack:

        def get(state: str) -> Stack:
            if stack.settings.get("INVOICEGATE_CRASH_AT") != state:
                marker = tmp_path_factory.mktemp(state) / "died"
                marker.touch()
                stack.settings |= {"INVOICEGATE_CRASH_AT": state, "INVOICEGATE_CRASH_ONCE": str(marker)}
                stack.up()
            return stack

        yield get
        stack.keep = request.session.testsfailed > failed


def die(stack: Stack, state: str, request: bytes) -> None:
    marker = Path(stack.settings["INVOICEGATE_CRASH_ONCE"])
    time.sleep(0.5 if state == "ENDED" else 0)  # the request before this one ends just after its answer is out
    marker.unlink()
    with contextlib.suppress(wire.NoAnswer):
        assert stack.exchange(request).status in (200, 504)
    wait_for(f"the worker's death in {state}", marker.exists, PATIENCE_S, 0.05)
    stack.sandbox.no_faults()


@pytest.mark.skipif(not SANITIZED, reason="only the sanitizer build dies when it is told to")
@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "keyless"])
@pytest.mark.parametrize("state", CREATING)
def test_a_worker_dies_while_it_makes_an_invoice(stack_of: Callable[[str], Stack], state: str, keyed: bool) -> None:
    stack = stack_of(state)
    caller, books = Caller(stack, stack.tenant()), Books(stack)
    customer = caller.customer()
    if state == "LOOKING_UP":
        stack.sandbox.fault("status_500_saved", step="invoice", account=caller.tenant.account, count=1)
    die(stack, state, caller.post_bytes("invoices", customer=customer, key="k" if keyed else None))
    books.settle(PATIENCE_S)
    balance = books.balance()
    assert not balance.problems(), balance.problems()
    if keyed:
        answer = wait_for("an answer", lambda: [a for a in [caller.post("invoices", customer=customer, key="k")] if a.status == 200])
        assert answer[0].json["metadata"] == {}
        assert books.assert_balanced(PATIENCE_S).standing == 1
    elif state != "ENDED":  # by then the answer is out
        assert balance.standing == 0


@pytest.mark.skipif(not SANITIZED, reason="only the sanitizer build dies when it is told to")
@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "keyless"])
@pytest.mark.parametrize("state", ACTING)
def test_a_worker_dies_while_it_acts(stack_of: Callable[[str], Stack], state: str, keyed: bool) -> None:
    stack = stack_of(state)
    caller, books = Caller(stack, stack.tenant()), Books(stack)
    invoice = caller.create()["id"]
    if state == "LOOKING_UP":
        stack.sandbox.fault("status_500_saved", step="finalize", account=caller.tenant.account, count=1)
    die(stack, state, caller.post_bytes(f"invoices/{invoice}/finalize", key="k" if keyed else None))
    books.settle(PATIENCE_S)
    rows = [row for row in books.requests().values() if row["route"] == "invoice_finalize"]
    begun = state != "BEGINNING"  # before its commit nobody knows of it
    assert [row["state"] for row in rows] in ([["created"]] if begun else [[], ["created"]])
    if begun:
        seen = stack.audit("select status from audit.invoices where invoice_id = %s", invoice)
        assert seen[0]["status"] == "paid"  # nothing to pay: finalized and done
    if keyed:
        look = lambda: [a for a in [caller.post(f"invoices/{invoice}/finalize", key="k")] if a.status == 200]  # noqa: E731
        assert wait_for("an answer", look)[0].json["status"] == "paid"
