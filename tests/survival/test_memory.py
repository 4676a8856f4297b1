"""Each allocation that a request makes in its worker fails once, whoever makes it: the request is told 503, or that its
outcome is not known yet, or is served all the same; nothing is lost, and nothing leaks.

The worker goes on, but for what its libraries make of it: libfcgi aborts (it is spared here, but for the last test) and
json-c may follow a null pointer. Then multiwatch (or systemd) starts the worker again, and what it had begun is taken
over; the books must agree all the same. libpq may fall silent; the worker gives that connection up after 25 s."""

from __future__ import annotations

import itertools
import os
from typing import Callable, Iterator

import pytest
from books import Books
from scarcity import Scarcity
from stack import Stack, Tenant
from waiting import wait_for
from wire import Answer

# What each kind of request makes at most; where one more finds nothing to fail, its end is reached.
ALLOCATIONS_MAX = 2000
# Every so manieth is tried: STEP=1 tries all of them.
STEP = int(os.environ.get("STEP", "1"))
# Longer than the worker's patience with a connection that has fallen silent.
PATIENCE_S = 100.0
# Allocations that caches and buffers may keep.
KEPT_MAX = 400
# What may be told of a request whose worker has no memory. 504: not known yet. 400: json-c has lost a member of the body.
TOLD = (200, 400, 500, 502, 503, 504)
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def scarcity() -> Iterator[Scarcity]:
    scarcity = Scarcity()
    yield scarcity
    scarcity.close()


@pytest.fixture(scope="module")
def poor(request: pytest.FixtureRequest, scarcity: Scarcity) -> Iterator[Stack]:
    from conftest import SHORT

    with Stack(**SHORT, env=scarcity.env) as stack:
        yield stack
        scarcity.enough()
        stack.keep = request.session.testsfailed > 0


class Kinds:
    """What is asked for, each as a function from a number to an answer."""

    def __init__(self, stack: Stack):
        self.stack = stack
        self.tenant = stack.tenant()
        self.numbers = itertools.count(1)
        self.invoice = ""
        self.customer = ""

    def _make(self) -> None:
        """What acts and reads are about."""
        if not self.invoice:
            answer = wait_for("an invoice", lambda: self._made(), PATIENCE_S, 0.3)
            self.invoice, self.customer = answer.json["id"], answer.json["customer"]["id"]

    def _made(self) -> Answer | None:
        answer = self.stack.create(self.tenant)
        return answer if answer.status == 200 else None

    def warm(self, number: int) -> Answer:
        return self.stack.create(self.tenant)

    def keyed(self, number: int) -> Answer:
        return self.stack.create(self.tenant, idempotency_key=f"scarce-{number}")

    def cold(self, number: int) -> Answer:
        client = f"cold-{next(self.numbers)}"
        self.stack.ctl("client", "add", "--agency", str(self.tenant.agency), client, "--name", client, "--member", "Jo:jo@example.com:admin")
        return self.stack.create(self.tenant, clientId=client)

    def _form(self, path: str, body: str, method: str = "POST") -> Answer:
        headers = [("Authorization", f"Bearer {self.tenant.key}"), ("Stripe-Account", self.tenant.account)]
        if method == "POST":
            headers.append(("Content-Type", FORM))
        return self.stack.post(body, path=path, method=method, headers=headers)

    def passed_on(self, number: int) -> Answer:
        self._make()
        return self._form("/v1/invoices", f"customer={self.customer}&description=work%20{number}&auto_advance=false")

    def read(self, number: int) -> Answer:
        self._make()
        return self._form(f"/v1/invoices/{self.invoice}", "", "GET")

    def list(self, number: int) -> Answer:
        return self._form("/v1/invoices?limit=3", "", "GET")

    def act(self, number: int) -> Answer:
        self._make()
        return self._form(f"/v1/invoices/{self.invoice}", f"description=again%20{number}")

    def refused(self, number: int) -> Answer:
        return self.stack.post({"data": {"clientId": "nobody"}}, tenant=self.tenant)


NAMES = ("warm", "keyed", "cold", "passed_on", "read", "list", "act", "refused")


class Leaks:
    """Compares a worker's living allocations with those when it was first seen. Its successor is another matter."""

    def __init__(self, stack: Stack, scarcity: Scarcity):
        self.stack, self.scarcity = stack, scarcity
        self.worker, self.live = stack.worker_pid(), scarcity.live

    def look(self) -> None:
        worker, live = self.stack.worker_pid(), self.scarcity.live
        if worker != self.worker:
            self.worker, self.live = worker, live
        assert live - self.live < KEPT_MAX, f"{live - self.live} allocations more than before"


def _told(books: Books, ask: Callable[[int], Answer], number: int, keyed: bool) -> Answer:
    key = f"scarce-{number}" if keyed else None
    answer = ask(number)
    if ask.__name__ not in ("read", "list", "act"):
        books.told(answer, key)
    return answer


@pytest.mark.parametrize("name", NAMES)
def test_each_allocation_of_a_request_fails(poor: Stack, scarcity: Scarcity, name: str) -> None:
    books, kinds = Books(poor), Kinds(poor)
    ask = getattr(kinds, name)
    good = 400 if name == "refused" else 200
    for number in range(3):
        first = 1_000_000 + number
        wait_for("a good answer", lambda: _told(books, ask, first, name == "keyed").status == good, PATIENCE_S, 0.3)
    leaks, told = Leaks(poor, scarcity), dict.fromkeys(TOLD, 0)
    died = poor.log("workers").count("died, respawn")
    reached = False
    for number in range(0, ALLOCATIONS_MAX, STEP):
        # Where the last failure took a connection away, the next request would end before it came to its own.
        wait_for("a good answer", lambda: _told(books, ask, 3_000_000 + number, name == "keyed").status == good, PATIENCE_S, 0.05)
        leaks.look()
        scarcity.fail(after=number)
        answer = _told(books, ask, number, name == "keyed")
        assert answer.status in (*TOLD, good), (number, answer)
        told[answer.status] = told.get(answer.status, 0) + 1
        if name == "keyed" and answer.status != 200:
            scarcity.enough()
            wait_for("the key's invoice", lambda: _told(books, ask, number, True).status == 200, PATIENCE_S, 0.3)
        reached = scarcity.failed == 0
        scarcity.enough()
        if reached:
            break
    again = poor.log("workers").count("died, respawn") - died
    print(f"{name}: {number} allocations, told {told}, worker started again {again} times")
    assert reached, "more allocations than expected"
    wait_for("a good answer", lambda: _told(books, ask, 2_000_000, name == "keyed").status == good, PATIENCE_S, 0.3)
    books.assert_balanced(PATIENCE_S)
    leaks.look()


def test_nothing_can_be_allocated_for_a_while(poor: Stack, scarcity: Scarcity) -> None:
    """From some allocation on the next five hundred fail, libfcgi's as well, which aborts by that: a worker that ends
    starts again, and what it had begun is taken over."""
    books, kinds = Books(poor), Kinds(poor)
    assert kinds.warm(0).status == 200
    for after in range(0, 400, 20):
        scarcity.fail(after, count=500, spare=False)
        books.told_all(poor.burst(poor.create_bytes(kinds.tenant) for _ in range(4)))
        scarcity.enough()
    wait_for("an invoice", lambda: books.told(poor.create(kinds.tenant)).status == 200, PATIENCE_S, 0.3)
    books.assert_balanced(PATIENCE_S)
