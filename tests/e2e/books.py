"""The three books that must agree: what clients were told, the audit tables, and the sandbox's ledger.

    books = Books(stack)                  # from here on
    answer = books.told(stack.create(tenant, idempotency_key="a"), "a")
    books.assert_balanced()               # waits until nothing is open, then compares everything

Books looks at requests that began after it was made and at invoices that did not stand before, so tests may share a stack.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any, Iterable

from stack import Stack
from waiting import wait_for
from wire import Answer

METADATA_REQUEST = "invoicegate_request"
UNSETTLED = ("open", "unresolved")
# The routes that make invoices; the others act on one. What the second makes is its caller's: no line, no plan of ours.
MAKES = ("account_invoices", "invoices")
PLANS = "account_invoices"


@dataclasses.dataclass
class Balance:
    """What does not agree; each list holds one sentence a case. The counts are for tests that expect a number."""

    created: int = 0  # requests whose state is created
    standing: int = 0  # invoices of ours that stand upstream
    lost: list[str] = dataclasses.field(default_factory=list)  # told or standing, but not in the books
    doubled: list[str] = dataclasses.field(default_factory=list)  # more than one for one request or key
    empty_drafts: list[str] = dataclasses.field(default_factory=list)  # stands without a line
    mismatched: list[str] = dataclasses.field(default_factory=list)  # amounts, currencies, customers, states
    unwanted: list[str] = dataclasses.field(default_factory=list)  # stands though the last word was no
    unresolved: list[str] = dataclasses.field(default_factory=list)  # still open after the wait

    def problems(self) -> dict[str, list[str]]:
        return {name: value for name, value in dataclasses.asdict(self).items() if isinstance(value, list) and value}


class Books:
    def __init__(self, stack: Stack):
        self.stack = stack
        self.since = stack.sql("select clock_timestamp() as now")[0]["now"]
        self.before = {invoice["id"] for invoice in stack.sandbox.ledger()["invoices"]}
        self.answers: list[tuple[Answer, str | None]] = []

    # ---- what clients were told

    def told(self, answer: Answer, idempotency_key: str | None = None) -> Answer:
        """Notes an answer with the Idempotency-Key of its request (None: it had none), and passes it on."""
        self.answers.append((answer, idempotency_key))
        return answer

    def told_all(self, answers: Iterable[Answer], idempotency_keys: Iterable[str | None] | None = None) -> list[Answer]:
        answers = list(answers)
        keys = list(idempotency_keys) if idempotency_keys is not None else [None] * len(answers)
        return [self.told(answer, key) for answer, key in zip(answers, keys, strict=True)]

    # ---- the comparison

    def requests(self) -> dict[str, dict[str, Any]]:
        """Our rows of audit.requests by their ids."""
        rows = self.stack.audit("select * from audit.requests where created_at >= %s", self.since)
        return {row["request_id"]: row for row in rows}

    def open_requests(self) -> list[dict[str, Any]]:
        return [row for row in self.requests().values() if row["state"] in UNSETTLED]

    def settle(self, timeout_s: float = 60.0) -> None:
        """Waits until none of our requests is open or unresolved."""
        wait_for("all requests to end", lambda: not self.open_requests(), timeout_s, every_s=0.1)

    def balance(self) -> Balance:
        """Compares the three books as they are now, without waiting."""
        return _Comparison(self).balance

    def assert_balanced(self, timeout_s: float = 60.0) -> Balance:
        """Waits until everything has ended, compares, and fails with all that does not agree."""

        def settled() -> Balance | None:
            """A request whose intent the database took late may have come since all had ended."""
            self.settle(timeout_s)
            balance = self.balance()
            return None if balance.unresolved else balance

        balance = wait_for("all requests to end", settled, timeout_s, every_s=0.1)
        assert not balance.problems(), balance.problems()
        return balance


class _Comparison:
    def __init__(self, books: Books):
        self.books = books
        self.balance = Balance()
        self.requests = books.requests()
        rows = books.stack.audit(
            "select i.* from audit.invoices i join audit.requests r using (request_id) where r.created_at >= %s", books.since
        )
        self.invoices = {row["invoice_id"]: row for row in rows}
        ledger = books.stack.sandbox.ledger()["invoices"]
        self.ledger = {row["id"]: row for row in ledger if row["id"] not in books.before and not row["deleted"]}
        self.standing: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for invoice in self.ledger.values():
            self.standing[invoice["metadata"].get(METADATA_REQUEST, "")].append(invoice)
        self.balance.standing = len(self.ledger)
        self._compare_requests()
        self._compare_ledger()
        self._compare_audit_invoices()
        for answer, key in books.answers:
            self._compare_answer(answer, key)
        self._compare_keys()

    def _compare_requests(self) -> None:
        for request_id, request in self.requests.items():
            if request["route"] not in MAKES and request["state"] not in UNSETTLED:
                continue
            stands = [invoice["id"] for invoice in self.standing[request_id]]
            state = request["state"]
            if len(stands) > 1:
                self.balance.doubled.append(f"request {request_id} ({state}) has {stands}")
            if state in UNSETTLED:
                self.balance.unresolved.append(f"request {request_id} is {state}: {request['reason']}")
            elif state == "created":
                self.balance.created += 1
                if request["invoice_id"] not in stands:
                    self.balance.lost.append(f"request {request_id} is created as {request['invoice_id']}, standing: {stands}")
                if request["invoice_id"] not in self.invoices:
                    self.balance.lost.append(f"request {request_id}: {request['invoice_id']} is not in audit.invoices")
            elif stands:
                self.balance.unwanted.append(f"request {request_id} is {state} ({request['reason']}), yet {stands} stands")

    def _compare_ledger(self) -> None:
        for request_id, invoices in self.standing.items():
            for invoice in invoices:
                if request_id not in self.requests:
                    self.balance.lost.append(f"{invoice['id']} stands for {request_id or 'nobody'}, which no audit row knows")
                request = self.requests.get(request_id, {"route": PLANS, "state": ""})
                if invoice["lines"] == 0 and request["route"] == PLANS and request["state"] not in UNSETTLED:
                    self.balance.empty_drafts.append(f"{invoice['id']} of request {request_id}")

    def _compare_audit_invoices(self) -> None:
        for invoice_id, row in self.invoices.items():
            real = self.ledger.get(invoice_id)
            if real is None:
                self.balance.lost.append(f"audit.invoices has {invoice_id}, which does not stand")
                continue
            request = self.requests[row["request_id"]]
            seen = {
                "request": (row["request_id"], real["metadata"].get(METADATA_REQUEST)),
                "account": (row["account_id"], real["account"]),
                "mode": (row["mode"], real["mode"]),
                "customer": (row["customer_id"], real["customer"]),
                "currency": (row["currency"], real["currency"]),
                "amount": (row["amount_minor"], real["total"]),
                "planned amount": (request["amount_minor"], real["total"]),
                "planned customer": (request["customer_id"], real["customer"]),
                "object's id": ((row["object"] or {}).get("id"), invoice_id),
            }
            if request["route"] != PLANS:
                del seen["planned amount"]
            # Until its request has ended an invoice may still be without its line.
            if request["state"] == "created":
                self._note_differences(f"audit.invoices {invoice_id}", seen)

    def _note_differences(self, what: str, seen: dict[str, tuple[Any, Any]]) -> None:
        for name, (ours, theirs) in seen.items():
            if ours != theirs:
                self.balance.mismatched.append(f"{what}: {name} is {ours!r} here and {theirs!r} there")

    def _compare_answer(self, answer: Answer, key: str | None) -> None:
        told = f"answer {answer.status} {answer.request_id}"
        stands = [invoice["id"] for invoice in self.standing[answer.request_id]]
        request = self.requests.get(answer.request_id)
        if answer.status == 200:
            self._compare_success(told, answer)
        elif stands and (answer.status != 504 or key is None):
            self.balance.unwanted.append(f"{told}, yet {stands} stands")
        if request is not None and answer.status != 504 and not answer.replayed:
            self._note_differences(told, {"status": (answer.status, request["http_status"])})

    def _compare_success(self, told: str, answer: Answer) -> None:
        body = answer.json
        real, row = self.ledger.get(body["id"]), self.invoices.get(body["id"])
        if real is None or row is None:
            where = "upstream" if real is None else "in audit.invoices"
            self.balance.lost.append(f"{told} told of {body['id']}, which is not {where}")
            return
        seen = {
            "amount": (body["total"] if "object" in body else body["amount"], real["total"]),
            "currency": (body["currency"], real["currency"]),
            "customer": (body["customer"] if "object" in body else body["customer"]["id"], real["customer"]),
            "number": (body["number"], real["number"]),
            "created": (body["created"], real["created"]),
        }
        if not answer.replayed:
            seen["request"] = (answer.request_id, row["request_id"])
        self._note_differences(told, seen)

    def _compare_keys(self) -> None:
        """Books of tests whose tenants differ must not share keys."""
        ids: dict[str, set[str]] = defaultdict(set)
        for answer, key in self.books.answers:
            if key is not None and answer.status == 200:
                ids[key].add(answer.json["id"])
        for key, told in ids.items():
            if len(told) > 1:
                self.balance.doubled.append(f"Idempotency-Key {key} was told {sorted(told)}")
