"""The three books of a run side by side: what clients were told, the audit, the sandbox's ledger.

Each kind of disagreement has a list of its own; an entry is a sentence and what it is about, so that its whole story
can be told.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any, Iterable, Iterator

import paths  # noqa: F401
from stack import Stack
from upstream_side import Recorder
from wishes import Attempt, Wish

METADATA_REQUEST = "invoicegate_request"
UNSETTLED = ("open", "unresolved")
# How long after a client has left its worker may still not know.
NOTICE_S = 2.0
# How long at most a worker stands still between a commit and its death.
STOP_MAX_S = 5.0
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Problem:
    kind: str  # lost, doubled, empty, mismatched, unresolved, contradicted
    sentence: str
    request_id: str = ""
    wish: Wish | None = None


KINDS = {
    "lost": "told or standing, but not in all books",
    "doubled": "more than one for one request or key",
    "empty": "drafts that stand without a line",
    "mismatched": "amounts, currencies, customers, accounts, modes, counts",
    "unresolved": "not settled in time",
    "contradicted": "clients were told otherwise",
}


class Books:
    """Everything that was written down, read once."""

    def __init__(
        self, stack: Stack, recorder: Recorder, wishes: list[Wish], upstream: Iterable[Row], kills: list[tuple[float, int]]
    ) -> None:
        """upstream: every invoice as the upstream's own API shows it, with its lines; kills: when which pid died."""
        self.recorder, self.wishes, self.kills = recorder, wishes, kills
        rows = stack.sql(
            "select r.*, r.request_id::text as id, w.worker_id as held_by, w.take_overs, w.parked_at, w.doing"
            " from gateway.invoice_requests r left join gateway.work w using (request_id)"
        )
        self.requests: dict[str, Row] = {row["id"]: row for row in rows}
        self.invoices: dict[str, Row] = {row["invoice_id"]: row for row in stack.audit("select * from audit.invoices")}
        self.workers = {row["worker_id"]: row for row in stack.sql("select * from gateway.workers")}
        self.created_by: dict[str, int] = {
            row["subject_id"]: row["worker_id"]
            for row in stack.sql("select subject_id::text, worker_id from gateway.events where what = 'created'")
        }
        self.daily = stack.audit("select sum(created) created, sum(failed) failed, sum(refused) refused from audit.daily")[0]
        ledger = stack.sandbox.ledger()
        self.keys = ledger["keys"]
        self.ledger: dict[str, Row] = {row["id"]: row for row in ledger["invoices"] if not row["deleted"]}
        self.lines = {row["id"]: row["lines"]["data"] for row in upstream}
        self.made_upstream = len(ledger["invoices"])
        self.standing: dict[str, list[Row]] = defaultdict(list)
        for invoice in self.ledger.values():
            self.standing[invoice["metadata"].get(METADATA_REQUEST, "")].append(invoice)
        self.told: dict[str, list[tuple[Wish, Attempt]]] = defaultdict(list)
        for wish in wishes:
            for attempt in wish.attempts:
                if attempt.by_worker:
                    self.told[attempt.request_id].append((wish, attempt))


class Comparison:
    def __init__(self, books: Books) -> None:
        self.books = books
        self.unheard: list[str] = []  # requests that were created in the instant in which their client or worker went
        self.problems = [
            *self._requests(),
            *self._ledger(),
            *self._amounts(),
            *self._counts(),
            *self._answers(),
            *self._keys(),
            *self._keyless(),
            *self._upstream_keys(),
        ]

    def count(self, kind: str) -> int:
        return sum(problem.kind == kind for problem in self.problems)

    def of_each_kind(self, count: int) -> list[Problem]:
        """The first few of each kind, but only one of each request: the others would tell the same story."""
        told: set[str] = set()
        few: list[Problem] = []
        for problem in sorted(self.problems, key=lambda problem: list(KINDS).index(problem.kind)):
            if sum(other.kind == problem.kind for other in few) < count and problem.request_id not in told:
                few.append(problem)
                told |= {problem.request_id} - {""}
        return few

    def _requests(self) -> Iterator[Problem]:
        for request_id, request in self.books.requests.items():
            state, stands = request["state"], [invoice["id"] for invoice in self.books.standing[request_id]]
            if len(stands) > 1:
                yield Problem("doubled", f"{len(stands)} invoices stand for one request: {stands}", request_id)
            if state in UNSETTLED or request["held_by"] is not None:
                parked = ", waits for an operator" if request["parked_at"] else ""
                why = f"{state} ({request['reason']}), doing {request['doing']}, {request['take_overs']} take-overs{parked}"
                yield Problem("unresolved", f"the request is {why}", request_id)
            elif state == "created":
                if request["invoice_id"] not in stands:
                    yield Problem("lost", f"created as {request['invoice_id']}, but {stands} stands", request_id)
                if request["invoice_id"] not in self.books.invoices:
                    yield Problem("lost", f"created, but {request['invoice_id']} is not in audit.invoices", request_id)
            elif stands:
                yield Problem("contradicted", f"{state} ({request['reason']}), yet {stands} stands", request_id)
            if request["idempotency_key"] and request["reason"] in ("client_left", "compensated"):
                yield Problem("contradicted", f"a request with a key was given up: {request['reason']}", request_id)

    def _ledger(self) -> Iterator[Problem]:
        for request_id, invoices in self.books.standing.items():
            for invoice in invoices:
                if invoice["lines"] == 0:
                    yield Problem("empty", f"{invoice['id']} stands without a line", request_id)
                if request_id not in self.books.requests:
                    yield Problem("lost", f"{invoice['id']} stands for {request_id or 'nobody'}, unknown to the audit", request_id)
                elif invoice["id"] not in self.books.invoices:
                    yield Problem("lost", f"{invoice['id']} stands, but is not in audit.invoices", request_id)
        for invoice_id, row in self.books.invoices.items():
            if invoice_id not in self.books.ledger:
                yield Problem("lost", f"audit.invoices has {invoice_id}, which does not stand", str(row["request_id"]))

    def _amounts(self) -> Iterator[Problem]:
        for invoice_id, row in self.books.invoices.items():
            real = self.books.ledger.get(invoice_id)
            request = self.books.requests.get(str(row["request_id"]))
            if real is None or request is None:
                continue  # told above
            seen = {
                "request": (str(row["request_id"]), real["metadata"].get(METADATA_REQUEST)),
                "account": (row["account_id"], real["account"]),
                "mode": (row["mode"], real["mode"]),
                "customer": (row["customer_id"], real["customer"]),
                "currency": (row["currency"], real["currency"]),
                "amount": (row["amount_minor"], real["total"]),
                "planned currency": (request["currency"], real["currency"]),
                "line": ([(request["price_id"], 1, request["amount_minor"])], self._lines(invoice_id)),
                "object's id": ((row["object"] or {}).get("id"), invoice_id),
            }
            for name, (ours, theirs) in seen.items():
                if ours != theirs:
                    yield Problem("mismatched", f"{invoice_id}: {name} is {ours!r} here, {theirs!r} there", row["request_id"])

    def _counts(self) -> Iterator[Problem]:
        for state, counted in self.books.daily.items():
            really = sum(request["state"] == state for request in self.books.requests.values())
            if counted != really:
                yield Problem("mismatched", f"audit.daily counts {counted} requests as {state}, there are {really}")

    def _lines(self, invoice_id: str) -> list[tuple[str, int, int]]:
        """A total may also hold the customer's own taxes and discounts: what was planned is the line."""
        lines = self.books.lines.get(invoice_id, [])
        return [(line["pricing"]["price_details"]["price"], line["quantity"], line["amount"]) for line in lines]

    # ---- what clients were told

    def _answers(self) -> Iterator[Problem]:
        for wish in self.books.wishes:
            for attempt in wish.attempts:
                if attempt.status == 200:
                    yield from self._success(wish, attempt)
                elif attempt.status is not None and attempt.by_worker:
                    yield from self._failure(wish, attempt)

    def _success(self, wish: Wish, attempt: Attempt) -> Iterator[Problem]:
        invoice_id = attempt.invoice_id
        row, real = self.books.invoices.get(invoice_id), self.books.ledger.get(invoice_id)
        if row is None or real is None:
            where = "upstream" if real is None else "in audit.invoices"
            yield Problem("lost", f"a client was told 200 and {invoice_id}, which is not {where}", attempt.request_id, wish)
            return
        request = self.books.requests[str(row["request_id"])]
        if request["state"] != "created" or request["invoice_id"] != invoice_id:
            said = f"told 200 and {invoice_id}, but the request is {request['state']} with {request['invoice_id']}"
            yield Problem("lost", said, request["id"], wish)
        if not attempt.replayed and attempt.request_id != request["id"]:
            yield Problem("contradicted", f"{invoice_id} belongs to request {request['id']}", attempt.request_id, wish)
        seen = {
            "amount": (attempt.amount_minor, real["total"]),
            "currency": (attempt.currency, real["currency"]),
            "customer": (attempt.customer_id, real["customer"]),
        }
        for name, (ours, theirs) in seen.items():
            if ours != theirs:
                yield Problem("mismatched", f"{invoice_id}: {name} told {ours!r}, really {theirs!r}", request["id"], wish)

    def _failure(self, wish: Wish, attempt: Attempt) -> Iterator[Problem]:
        """A worker's own word. With a key 504 leaves everything open; any other error, and any without a key, is final."""
        stands = [invoice["id"] for invoice in self.books.standing[attempt.request_id]]
        if stands and (attempt.status != 504 or not wish.idempotency_key):
            yield Problem("contradicted", f"told {attempt.status}, yet {stands} stands", attempt.request_id, wish)
        request = self.books.requests.get(attempt.request_id)
        if request and attempt.status != 504 and not attempt.replayed and attempt.status != request["http_status"]:
            said = f"told {attempt.status}, but the audit says {request['http_status']}"
            yield Problem("contradicted", said, attempt.request_id, wish)

    def _keys(self) -> Iterator[Problem]:
        told: dict[tuple[str, str], set[str]] = defaultdict(set)
        wish_of: dict[tuple[str, str], Wish] = {}
        for wish in self.books.wishes:
            if wish.idempotency_key:
                scope = (wish.tenant.account, wish.idempotency_key)
                wish_of[scope] = wish
                told[scope] |= {attempt.invoice_id for attempt in wish.attempts if attempt.status == 200}
        stands: dict[tuple[str, str], list[str]] = defaultdict(list)
        for request_id, request in self.books.requests.items():
            if request["idempotency_key"]:
                scope = (request["account_id"], request["idempotency_key"])
                stands[scope] += [invoice["id"] for invoice in self.books.standing[request_id]]
        for scope, wish in wish_of.items():
            if len(told[scope]) > 1:
                yield Problem("doubled", f"one key was told {sorted(told[scope])}", wish=wish)
            if len(stands[scope]) > 1:
                yield Problem("doubled", f"{sorted(stands[scope])} stand for one key", wish=wish)

    def _keyless(self) -> Iterator[Problem]:
        """Without a key only an invoice that its client was told of may stand, but for one instant that nobody can
        close: 'created' is committed, and before the answer is out the worker is killed or the client is gone."""
        silent: dict[str, list[tuple[Wish, Attempt]]] = defaultdict(list)
        for wish in self.books.wishes:
            if not wish.idempotency_key:
                for attempt in wish.attempts:
                    if not attempt.by_worker:
                        silent[f"{wish.tenant.account} {wish.client_id} {wish.product_id}"].append((wish, attempt))
        for request_id, request in self.books.requests.items():
            if request["idempotency_key"] or not self.books.standing[request_id] or self.books.told[request_id]:
                continue  # what was told is looked at above
            scope = f"{request['account_id']} {request['client_id']} {request['product_id']}"
            yield from self._unheard(request, silent[scope])

    def _unheard(self, request: Row, silent: list[tuple[Wish, Attempt]]) -> Iterator[Problem]:
        created, finished = request["created_at"].timestamp(), request["finished_at"] and request["finished_at"].timestamp()
        mine = [(w, a) for w, a in silent if a.begun - 0.01 <= created <= a.ended + NOTICE_S]
        possible = [a for _, a in mine if a.status in (None, 504)]
        wish = mine[0][0] if mine else None
        if not finished or not possible:
            yield Problem("contradicted", "stands without a key, and nobody was told or could have been", request["id"], wish)
        elif finished > max(a.ended for a in possible) + NOTICE_S:
            said = "without a key it was created after its client had gone"
            yield Problem("contradicted", said, request["id"], wish)
        elif request["finished_fence"] != 1:
            yield Problem("contradicted", "without a key it was created by a successor", request["id"], wish)
        elif any(a.left and abs(finished - a.ended) < NOTICE_S for a in possible) or self._killed_then(request, finished):
            self.unheard.append(request["id"])
        else:
            said = "without a key it was created and not told, though neither its client nor its worker went then"
            yield Problem("contradicted", said, request["id"], wish)

    def _killed_then(self, request: Row, finished: float) -> bool:
        """Whether the worker that committed it was killed in the instant after that, as far as clocks can tell."""
        pid = self.books.workers[self.books.created_by[request["id"]]]["pid"]
        return any(pid == killed and -0.1 < moment - finished < STOP_MAX_S for moment, killed in self.books.kills)

    # ---- what the upstream was sent

    def _upstream_keys(self) -> Iterator[Problem]:
        for (account, key), sent in self.books.recorder.bodies.items():
            if len(sent) > 1:
                yield Problem("contradicted", f"upstream key {key} of {account} was sent with {len(sent)} bodies: {sent}", key[:60])
        for key in self.books.keys:
            if key["executions"] > 1 and key["path"].startswith("/v1/invoices"):
                yield Problem("doubled", f"upstream key {key['key']} was executed {key['executions']} times")
