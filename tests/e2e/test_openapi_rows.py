"""Each status that src/front/openapi.json lists for each of its operations, provoked. That the answer is as described is
looked at on its way here (contract.py)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import threading
import urllib.parse
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import contract
from contract import DOC, FORM
from edge import Edge, worker_socket
from passed_on import Caller
from stack import Stack, Tenant
from waiting import wait_for
from wire import Answer, Header, request_bytes

# Statuses that no test can bring about from outside, and why.
NOT_PROVOKED = {"500": "the web server or a worker is out of memory"}

# What a call is made of: its form or JSON, the name of its route, and of the sandbox's step behind it.
ROUTES = {
    "createInvoice": ("account_invoices", "invoice"),
    "listInvoices": ("account_invoices_list", None),
    "getInvoice": ("account_invoice_get", None),
    "stripeCreateInvoice": ("invoices", "invoice"),
    "stripeListInvoices": ("invoices_list", None),
    "stripeGetInvoice": ("invoice_get", None),
    "stripeUpdateInvoice": ("invoice_update", "advance"),
    "stripeFinalizeInvoice": ("invoice_finalize", "finalize"),
    "stripeSendInvoice": ("invoice_send", "send"),
    "stripeVoidInvoice": ("invoice_void", "void"),
    "stripeCreateInvoiceItem": ("invoiceitems", "invoiceitem"),
    "getDescription": ("openapi", None),
}
ROWS = list(contract.rows())


@dataclasses.dataclass(frozen=True)
class Call:
    """One documented operation, with everything that is needed for an answer of 200."""

    world: World
    template: str
    method: str
    invoice: str
    body: bytes

    @property
    def route(self) -> str:
        return ROUTES[DOC["paths"][self.template][self.method]["operationId"]][0]

    @property
    def step(self) -> str:
        step = ROUTES[DOC["paths"][self.template][self.method]["operationId"]][1]
        assert step
        return step

    @property
    def stripe(self) -> bool:
        return self.template.startswith("/v1/invoice")

    def bytes(self, *more: Header, key: str | None = "", account: str = "", query: str = "", type_: str = "", version: str = "1.1", **how: Any) -> bytes:
        """key: another API key, or None for none. Other words change what they name."""
        tenant = self.world.tenant
        account = account or tenant.account
        target = self.template.replace("{accountId}", account).replace("{invoiceId}", self.invoice) + query
        headers: list[Header] = [] if key is None else [("Authorization", key or tenant.key)]
        headers += [("Stripe-Account", account)] if self.stripe else []
        if self.method == "post":
            headers.append(("Content-Type", type_ or (FORM if self.stripe else "application/json")))
        body = how.pop("body", self.body)
        data = request_bytes(self.method.upper(), target, [*headers, *more], body, **how)
        return data.replace(b" HTTP/1.1\r\n", f" HTTP/{version}\r\n".encode(), 1)


@dataclasses.dataclass(frozen=True)
class World:
    stack: Stack
    tenant: Tenant
    caller: Caller
    customer: str
    draft: str  # some invoice
    narrow: dict[str, str]  # a key of another route, by route
    crowded: Edge  # nobody may ask any more
    alone: Edge  # without a worker
    broken: Edge  # whose worker takes requests and goes

    def call(self, template: str, method: str, fresh: bool = False) -> Call:
        """fresh: about an invoice of its own, in the state that the act needs."""
        if template.endswith("invoiceitems"):
            body = urllib.parse.urlencode({"customer": self.customer, "amount": 5, "currency": "usd"}).encode()
        elif template == "/v1/invoices" and method == "post":
            body = f"customer={self.customer}".encode()
        elif method == "post" and not template.startswith("/v1/invoice"):
            body = json.dumps({"data": self.stack.data(self.tenant)}).encode()
        else:
            body = b"description=x" if template == "/v1/invoices/{invoiceId}" and method == "post" else b""
        acts = fresh and method == "post" and "{invoiceId}" in template
        return Call(self, template, method, self.ready(template) if acts else self.draft, body)

    def ready(self, template: str) -> str:
        invoice = self.caller.create(customer=self.customer, collection_method="send_invoice", days_until_due=30)["id"]
        self.caller.post("invoiceitems", customer=self.customer, invoice=invoice, amount=700, currency="usd")
        if template.endswith("/void"):
            assert self.caller.post(f"invoices/{invoice}/finalize").status == 200
        return invoice


class Gone:
    """Takes what it is sent and closes."""

    def __init__(self, path: Path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(16)
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                with sock:
                    sock.recv(65536)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)


@pytest.fixture(scope="module")
def world(stack: Stack) -> Iterator[World]:
    tenant = stack.tenant()
    caller = Caller(stack, tenant)
    customer = caller.customer()
    limited: dict[str, str] = {}
    for other in ("invoiceitems", "invoices"):
        told = stack.ctl("key", "create", "--agency", str(tenant.agency), "--mode", "live", "--name", "narrow", "--route", other)
        limited[other] = told.split()[-1]
    narrow = {route: limited["invoices" if route == "invoiceitems" else "invoiceitems"] for route, _ in ROUTES.values()}
    place = stack.dir / "rows"
    place.mkdir()
    with contextlib.ExitStack() as running:
        gone = Gone(place / "gone.sock")
        running.callback(gone.close)
        edges = [
            running.enter_context(edge)
            for edge in (Edge([worker_socket(stack)], client_rate="1r/m"), Edge([place / "no.sock"]), Edge([place / "gone.sock"]))
        ]
        for _ in range(7):  # 5 more than the one in this minute
            edges[0].exchange(request_bytes("GET", "/openapi.json", []))
        yield World(stack, tenant, caller, customer, caller.create(customer=customer)["id"], narrow, *edges)


@pytest.fixture(scope="module")
def without_database() -> Iterator[Stack]:
    with Stack(DEADLINE_MS=3000) as stack:
        stack.stop_postgres()
        yield stack
        stack.up()


# ---- the ways to each status


def busy(call: Call) -> Answer:
    """While the first call with its key gets no answer from the upstream."""
    stack, data = call.world.stack, call.bytes(("Idempotency-Key", f"busy {call.route}"))
    with stack.sandbox.faulty("hang", step=call.step, account=call.world.tenant.account):
        before = stack.sandbox.counts()[call.step]
        pending = stack.send(data)
        wait_for("the call upstream", lambda: stack.sandbox.counts()[call.step] > before)
        answer = stack.exchange(data)
    assert pending.answer().status in (200, 504)
    return answer


def used_key(call: Call) -> Answer:
    key = ("Idempotency-Key", f"used {call.route}")
    assert call.world.stack.exchange(call.bytes(key)).status == 200
    other = json.dumps({"data": call.world.stack.data(call.world.tenant, days_until_due=7)}).encode()
    return call.world.stack.exchange(call.bytes(key, body=other))


def card(call: Call) -> Answer:
    with call.world.stack.sandbox.faulty("card_error", step=call.step, account=call.world.tenant.account):
        return call.world.stack.exchange(call.bytes())


def twice(call: Call) -> bytes:
    """What neither a worker nor, without a worker's interface, the web server takes."""
    name = "Authorization" if call.route == "openapi" else "Idempotency-Key"
    return call.bytes((name, "a"), (name, "b"))


WAYS: dict[str, Callable[[Call], Answer]] = {
    "200": lambda call: call.world.stack.exchange(call.bytes()),
    "400": lambda call: call.world.stack.exchange(twice(call)),
    "401": lambda call: call.world.stack.exchange(call.bytes(key=None)),
    "402": card,
    "403": lambda call: call.world.stack.exchange(call.bytes(key=call.world.narrow[call.route])),
    "404": lambda call: call.world.stack.exchange(call.bytes(account="acct_nobody")),
    "409": busy,
    "413": lambda call: call.world.stack.exchange(call.bytes(content_length=str(2**20), body=b"")),
    "414": lambda call: call.world.stack.exchange(call.bytes(query="?" + "x" * 9000)),
    "415": lambda call: call.world.stack.exchange(call.bytes(type_="text/plain")),
    "422": used_key,
    "429": lambda call: call.world.crowded.exchange(call.bytes()),
    "501": lambda call: call.world.stack.exchange(call.bytes(("Transfer-Encoding", "gzip"), content_length=None, body=b"")),
    "502": lambda call: call.world.alone.exchange(call.bytes()),
    "504": lambda call: call.world.broken.exchange(call.bytes()),
    "505": lambda call: call.world.stack.exchange(call.bytes(version="2.0")),
}


@pytest.mark.status_row
@pytest.mark.parametrize(("template", "method", "status"), [row for row in ROWS if row[2] in WAYS])
def test_documented_row(world: World, template: str, method: str, status: str) -> None:
    call = world.call(template, method, fresh=status in ("200", "402", "409", "422"))
    assert WAYS[status](call).status == int(status)


@pytest.mark.status_row
@pytest.mark.parametrize(("template", "method"), [row[:2] for row in ROWS if row[2] == "503"])
def test_documented_row_without_a_database(world: World, without_database: Stack, template: str, method: str) -> None:
    assert without_database.exchange(world.call(template, method).bytes()).status == 503


def test_no_row_is_forgotten() -> None:
    statuses = {status for _, _, status in ROWS}
    assert statuses == {*WAYS, "503", *NOT_PROVOKED}
    assert len(ROWS) > 180


# ---- methods that an address does not answer

OTHER = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE")


@pytest.mark.status_row
@pytest.mark.parametrize(("template", "method"), [(t, m) for t, item in DOC["paths"].items() for m in OTHER if m.lower() not in item])
def test_other_methods(world: World, template: str, method: str) -> None:
    served = [name for name in contract.METHODS if name in DOC["paths"][template]]
    data = world.call(template, served[0]).bytes().partition(b" ")[2]
    answer = world.stack.exchange(method.encode() + b" " + data)
    assert (answer.status, answer.header("Allow")) == (405, ", ".join(served).upper())
