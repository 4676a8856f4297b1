"""A worker dies on entering each state of a request, once; another one takes over, and the three books must agree.

The sanitizer build kills itself with SIGKILL on entering the state INVOICEGATE_CRASH_AT unless the file
INVOICEGATE_CRASH_ONCE exists, which it makes then: the test removes it when everything is ready. The states come from
the program's own list, so that a new one cannot be forgotten: it needs a scenario here that leads there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import re
import time
from pathlib import Path
from typing import Callable, Iterator

import paths
import pytest
import wire
from books import Books
from stack import SANITIZED, Stack, Tenant
from upstream_side import Platform
from waiting import wait_for

SHORT = {
    "LEASE_MS": 1500,
    "DEADLINE_MS": 3000,
    "CALL_TIMEOUT_MS": 2000,
    "BACKGROUND_MS": 500,
    "PARK_MS": 1000,
    "LOOKUP_PAUSE_MS": 1000,
}
PATIENCE_S = 90.0


def states() -> list[str]:
    listed = (paths.ROOT / "src/flow/job.h").read_text().partition("#define JOB_STATES(X)")[2].partition("enum job_state")[0]
    return re.findall(r"^\s*X\((\w+)\)", listed, re.MULTILINE)


@dataclasses.dataclass
class Case:
    """What one scenario works on. arm() comes last, when everything before the request is done."""

    stack: Stack
    tenant: Tenant
    books: Books
    key: str | None
    arm: Callable[[], None]
    members: dict[str, object] = dataclasses.field(default_factory=dict)  # of its request

    def send(self) -> wire.Pending:
        return self.stack.send(self.stack.create_bytes(self.tenant, idempotency_key=self.key, **self.members))

    def told(self, pending: wire.Pending) -> wire.Answer | None:
        """None: the connection ended without an answer."""
        with contextlib.suppress(wire.NoAnswer):
            return self.books.told(pending.answer(), self.key)
        return None


# ---- scenarios: each leads a request through its state


def plain(case: Case) -> wire.Answer | None:
    """A new tenant's first request is cold: product, customer and plan come before the invoice."""
    case.arm()
    return case.told(case.send())


def without_default_price(case: Case) -> wire.Answer | None:
    case.members["productId"] = "prod_no_default"
    case.arm()
    return case.told(case.send())


def customer_gone(case: Case) -> wire.Answer | None:
    assert case.books.told(case.stack.create(case.tenant)).status == 200
    platform = Platform(case.stack, [case.tenant], random.Random(1))
    for customer in platform.call("GET", "/v1/customers?limit=100", case.tenant, live=True)["data"]:
        platform.call("DELETE", f"/v1/customers/{customer['id']}", case.tenant, live=True)
    case.arm()
    return case.told(case.send())


def in_doubt(case: Case) -> wire.Answer | None:
    """The invoice is made, its answer lost, and repeating cannot tell."""
    case.stack.sandbox.fault("reset_after", step="invoice", count=1)
    case.stack.sandbox.fault("idempotency_error", step="invoice", count=1)
    case.arm()
    return case.told(case.send())


def in_doubt_and_nothing_made(case: Case) -> wire.Answer | None:
    case.stack.sandbox.fault("status_500_saved", step="invoice", count=1)
    case.arm()
    return case.told(case.send())


def mismatch(case: Case) -> wire.Answer | None:
    case.stack.sandbox.fault("wrong_amount", step="lines", count=1)
    case.arm()
    return case.told(case.send())


def parked(case: Case) -> wire.Answer | None:
    """Nobody waits any more, and the upstream stays away."""
    case.stack.sandbox.fault("status_503_html", step="lines")
    case.stack.sandbox.fault("status_503_html", step="delete")
    case.arm()
    return case.told(case.send())


def left_at_the_end(case: Case) -> wire.Answer | None:
    """The client leaves while the end is being committed."""
    case.arm()
    before = case.stack.sandbox.counts()["lines"]
    with case.stack.locked("gateway.invoices"):
        pending = case.send()
        wait_for("its line", lambda: case.stack.sandbox.counts()["lines"] > before)
        wait_for("its end to wait", lambda: case.stack.sql("select pid from pg_locks where not granted"))
        pending.leave()
        time.sleep(1.0)
    return None


def lost_by_the_database(case: Case) -> wire.Answer | None:
    """As after a failover to a standby that lagged: the intent has gone while the upstream works."""
    case.stack.sandbox.fault("delay", step="lines", count=1, delay_ms=1500)
    before = case.stack.sandbox.counts()["lines"]
    case.arm()
    pending = case.send()
    wait_for("its line", lambda: case.stack.sandbox.counts()["lines"] > before)
    open_ids = [row["id"] for row in case.stack.sql("select request_id::text as id from gateway.work")]
    for table in ("work", "idempotency_keys", "invoice_requests"):
        # Past history's guards: a failover asks nobody.
        case.stack.sql(f"set session_replication_role = replica; delete from gateway.{table} where request_id::text = any (%s)", open_ids)
    return case.told(pending)


Scenario = Callable[[Case], "wire.Answer | None"]
SCENARIOS: dict[str, list[Scenario]] = {
    "BEGINNING": [plain],
    "READING_PRODUCT": [plain],
    "READING_PRICES": [without_default_price],
    "MAKING_CUSTOMER": [plain],
    "RENEWING_CUSTOMER": [customer_gone],
    "PLANNING": [plain],
    "MAKING_INVOICE": [plain],
    "ADDING_LINES": [plain],
    "LOOKING_UP": [in_doubt, in_doubt_and_nothing_made],
    "DECIDING_ADVANCE": [plain],
    "ADVANCING": [plain],
    "DECIDING_DELETE": [mismatch],
    "DELETING": [mismatch],
    "FINISHING": [plain],
    "RESTORING": [lost_by_the_database],
    "WITHDRAWING": [left_at_the_end],
    "PARKING": [parked],
    "ENDED": [plain],
}
BEGUN_IN = {"ARRIVED"}  # a job is in it from its first moment: nobody enters it
# The first is in test_crash_passed_on.py; the others record nothing that could be lost.
ELSEWHERE = {"ACTING", "READING", "REFRESHING", "KEEPING"}
KEYLESS_ONLY = {"WITHDRAWING"}
# Everything is committed: an answer that did not get out, or a client's leaving, is the one thing that can be lost.
COMMITTED = {"WITHDRAWING", "ENDED"}
ADVANCED = {"DECIDING_ADVANCE", "ADVANCING"}
# The database has lost the intent, and the only worker that knew of it dies before it could write it again: two
# disasters in one second. The invoice stands and nobody knows; its client was told 504 and nothing else.
BEYOND_HELP = {"RESTORING"}


def cases() -> list[tuple[str, Scenario, bool]]:
    return [
        pytest.param(state, scenario, keyed, id=f"{state}-{scenario.__name__}-{'keyed' if keyed else 'keyless'}")
        for state in states()
        if state not in BEGUN_IN | ELSEWHERE
        for scenario in SCENARIOS.get(state, [plain])
        for keyed in (True, False)
        if not (keyed and state in KEYLESS_ONLY)
    ]


def test_every_state_has_a_scenario() -> None:
    assert set(states()) == set(SCENARIOS) | BEGUN_IN | ELSEWHERE


@pytest.fixture(scope="module")
def stack_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stack]]:
    """The stack, with workers that die in this state."""
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


def marker_of(stack: Stack) -> Path:
    return Path(stack.settings["INVOICEGATE_CRASH_ONCE"])


def insist(case: Case) -> wire.Answer:
    """With the same key, as clients do, until there is an answer that is none of 409 and 5xx."""
    end = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(wire.NoAnswer):
            answer = case.books.told(case.stack.create(case.tenant, idempotency_key=case.key, **case.members), case.key)
            if answer.status < 500 and answer.status != 409:
                return answer
        assert time.monotonic() < end, "no final answer for the key"
        time.sleep(0.3)


@pytest.mark.skipif(not SANITIZED, reason="only the sanitizer build dies when it is told to")
@pytest.mark.parametrize(("state", "scenario", "keyed"), cases())
def test_a_worker_dies_on_entering(stack_of: Callable[[str], Stack], state: str, scenario: Scenario, keyed: bool) -> None:
    stack = stack_of(state)
    marker = marker_of(stack)
    case = Case(
        stack=stack,
        tenant=stack.tenant(auto_advance=state in ADVANCED),
        books=Books(stack),
        key=f"{state} {scenario.__name__}" if keyed else None,
        arm=marker.unlink,
    )
    answer = scenario(case)
    wait_for(f"the worker's death in {state}", marker.exists, PATIENCE_S, 0.05)
    stack.sandbox.no_faults()
    assert answer is None or answer.status in (200, 504), answer
    if state in BEYOND_HELP:
        assert answer and answer.status == 504
        return
    case.books.settle(PATIENCE_S)
    balance = case.books.balance()
    assert not balance.problems(), balance.problems()
    if keyed:
        assert insist(case).status == 200
        case.books.settle(PATIENCE_S)
        assert not case.books.balance().problems(), case.books.balance().problems()
        of_key = [i for i, request in case.books.requests().items() if request["idempotency_key"] == case.key]
        stands = [i for i in stack.sandbox.ledger(case.tenant.account)["invoices"] if not i["deleted"]]
        assert sum(invoice["metadata"]["invoicegate_request"] in of_key for invoice in stands) == 1, stands
    elif answer is None or answer.status != 200:
        earlier = sum(told.status == 200 for told, _ in case.books.answers)
        assert balance.standing - earlier <= (1 if state in COMMITTED else 0), balance


def test_nobody_enters_the_first_state(stack_of: Callable[[str], Stack]) -> None:
    """What a job begins in is not entered: the mark would have to be there otherwise."""
    for state in BEGUN_IN:
        stack = stack_of(state)
        marker_of(stack).unlink()
        assert stack.create().status == 200
        assert not marker_of(stack).exists()
