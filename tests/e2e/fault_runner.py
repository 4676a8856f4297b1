"""Runs rows of fault_table against a stack, many at once, and judges each by what the books say afterwards.

    run = FaultRun(stack, rows)
    run.run()
    run.results["reset_after-lines"].problems()      # what is not as it should be
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterable, TypeVar

from books import METADATA_REQUEST, Books
from fault_table import STEPS, End, Row
from stack import Stack, Tenant
from waiting import wait_for
from wire import Answer

AT_ONCE = 40
REPEAT_FOR_S = 20.0
SETTLE_S = 60.0


T = TypeVar("T")


def despite_refusal(ask: Callable[[], T]) -> T:
    """The sandbox refuses its controller, too, while it refuses connections."""
    for _ in range(100):
        try:
            return ask()
        except (ConnectionRefusedError, ConnectionResetError):
            time.sleep(0.05)
    return ask()


class Watch:
    """Every call that the sandbox hears: it remembers only the last 10000 by itself."""

    def __init__(self, stack: Stack):
        self.stack = stack
        self.calls: list[dict[str, Any]] = []
        self.missed = 0
        self._seen = self._total()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _total(self) -> int:
        return self._control("calls?limit=0")["total"]

    def _control(self, path: str) -> Any:
        return despite_refusal(lambda: self.stack.sandbox.control("GET", path))

    def _look(self) -> None:
        """While it asks how many are new, more come: who asked for too few asks for all that are remembered."""
        fresh = self._total() - self._seen
        for limit in (fresh + 200, 10000) if fresh else ():
            answer = self._control(f"calls?limit={limit}")
            new = answer["total"] - self._seen
            if new <= len(answer["data"]):
                break
        if fresh:
            self.calls += answer["data"][max(0, len(answer["data"]) - new) :]
            self.missed += max(0, new - len(answer["data"]))
            self._seen = answer["total"]

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self._look()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        self._look()


@dataclasses.dataclass
class Result:
    """A row, what its client was told, and everything that the books say of its account."""

    row: Row
    account: str
    answer: Answer | None = None
    again: Answer | None = None  # the same request once more, after the fault is over; only with a key
    failure: str = ""  # of the test itself
    requests: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    audited: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    invoices: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    customers: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    keys: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    calls: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    fired: int = 0

    def problems(self) -> list[str]:
        if self.failure or self.answer is None:
            return [f"the row was not run: {self.failure}"]
        found = self._end_problems() + self._books_problems() + self._upstream_problems()
        if self.again is not None:
            found += self._again_problems(self.again)
        return found

    def _standing(self, request_id: str) -> list[dict[str, Any]]:
        ours = [invoice for invoice in self.invoices if invoice["metadata"].get(METADATA_REQUEST) == request_id]
        return [invoice for invoice in ours if not invoice["deleted"]]

    def end(self) -> End | None:
        """The way in which it ended, if it is one of those that the table allows."""
        assert self.answer is not None
        request = self.requests.get(self.answer.request_id, {})
        for end in self.row.ends:
            if (end.told, end.state) == (self.answer.status, request.get("state")) and end.reason in ("*", request["reason"]):
                return end
        return None

    def _end_problems(self) -> list[str]:
        assert self.answer is not None
        request = self.requests.get(self.answer.request_id)
        if request is None:
            return [f"told {self.answer.status} {self.answer.body!r}, and no audit row knows {self.answer.request_id}"]
        found = []
        if not self.fired:
            found.append("the fault never struck")
        if self.end() is None:
            seen = (self.answer.status, request["state"], request["reason"])
            allowed = [(end.told, end.state, end.reason) for end in self.row.ends]
            found.append(f"{seen} is none of {allowed}: {self.answer.body!r}")
        # While the end is being committed nobody notes any more what the client is told meanwhile.
        if request["http_status"] != self.answer.status and (self.answer.status, request["http_status"]) != (504, 200):
            found.append(f"told {self.answer.status}, the audit says {request['http_status']}")
        if self.answer.status != 200 and "error" not in self.answer.json:
            found.append(f"an error without a sentence: {self.answer.body!r}")
        return found

    def _books_problems(self) -> list[str]:
        """For each request of this account: what stands upstream is what its state says, no more, no less."""
        found = []
        for request_id, request in self.requests.items():
            standing = self._standing(request_id)
            if len(standing) != (request["state"] == "created"):
                found.append(f"{request['state']} {request_id}: {[invoice['id'] for invoice in standing]} stand")
            for invoice in standing:
                found += self._invoice_problems(request, invoice)
        known = set(self.requests)
        strangers = [i["id"] for i in self.invoices if not i["deleted"] and i["metadata"].get(METADATA_REQUEST) not in known]
        audited = {row["invoice_id"] for row in self.audited}
        created = {row["invoice_id"] for row in self.requests.values() if row["state"] == "created"}
        if strangers:
            found.append(f"{strangers} stand for nobody")
        if audited != created:
            found.append(f"audit.invoices has {audited}, created are {created}")
        return found

    def _invoice_problems(self, request: dict[str, Any], invoice: dict[str, Any]) -> list[str]:
        end = self.end() if self.answer is not None and request["request_id"] == self.answer.request_id else None
        exact = end is None or end.exact_total
        advances = STEPS[self.row.step].auto_advance and (end is None or end.advances)
        found = []
        if invoice["lines"] != 1:
            found.append(f"{invoice['id']} has {invoice['lines']} lines")
        if exact and (invoice["total"], invoice["currency"]) != (request["amount_minor"], request["currency"]):
            found.append(f"{invoice['id']} bills {invoice['total']}, planned were {request['amount_minor']}")
        if invoice["auto_advance"] != advances:
            found.append(f"{invoice['id']} has auto_advance {invoice['auto_advance']}")
        for row in self.audited:
            if row["invoice_id"] == invoice["id"] and row["amount_minor"] != invoice["total"]:
                found.append(f"{invoice['id']} is {row['amount_minor']} in the audit and {invoice['total']} upstream")
        return found

    def _upstream_problems(self) -> list[str]:
        """One key, one body, one execution."""
        sent: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for call in self.calls:
            if call["idempotency_key"]:
                sent[call["idempotency_key"]].add((call["path"], call["body"]))
        found = [f"{key} was sent with {bodies}" for key, bodies in sent.items() if len(bodies) > 1]
        found += [f"{key['key']} was executed {key['executions']} times" for key in self.keys if key["executions"] > 1]
        posts = [call for call in self.calls if call["method"] == "POST" and not call["idempotency_key"]]
        if posts:
            found.append(f"POSTs without a key: {posts}")
        if len({customer["idempotency_key"] for customer in self.customers}) != len(self.customers):
            found.append(f"one key made several customers: {self.customers}")
        return found

    def _again_problems(self, again: Answer) -> list[str]:
        """The client asks once more under its key when all is well: it has its invoice, or gets one, or the same no."""
        assert self.answer is not None
        end = self.end()
        if end is None:
            return []
        if end.state == "created":
            first = self.requests[self.answer.request_id]["invoice_id"]
            told = (again.status, again.replayed, again.json.get("id"))
            return [] if told == (200, True, first) else [f"{first} was created; then told {told}"]
        told = (again.status, again.replayed)
        expected = [(end.told, True)] if end.pinned else [(status, False) for status in end.again]
        return [] if told in expected else [f"once more: told {told} instead of {expected}: {again.body!r}"]


class FaultRun:
    def __init__(self, stack: Stack, rows: Iterable[Row]):
        self.stack = stack
        self.tenant = stack.tenant()
        self.results = {row.id: Result(row, f"acct_fault{number:06d}") for number, row in enumerate(rows)}
        for result in self.results.values():
            stack.sql(
                "insert into gateway.accounts (agency_id, account_id, auto_advance) values (%s, %s, %s)",
                self.tenant.agency,
                result.account,
                STEPS[result.row.step].auto_advance,
            )
        self.books = Books(stack)
        self.worker = stack.worker_pid()

    # ---- one row

    def _tenant(self, result: Result) -> Tenant:
        key = self.tenant.test_key if result.row.apart == "test" else self.tenant.key
        return dataclasses.replace(self.tenant, account=result.account, key=key)

    def _ask(self, result: Result) -> Answer:
        key = result.row.id if result.row.keyed else None
        step = STEPS[result.row.step]
        return self.books.told(self.stack.create(self._tenant(result), idempotency_key=key, productId=step.product), key)

    def _run_row(self, result: Result) -> None:
        row = result.row
        rules = [self._fault(**rule, account=result.account) for rule in row.rules()]
        result.answer = self._ask(result)
        if row.how == "parked":
            self._wait_until_parked(result.answer.request_id)
        result.fired = despite_refusal(lambda: self.stack.sandbox.fired(rules[-1]))
        for rule in rules:
            despite_refusal(lambda: self.stack.sandbox.no_faults(rule))

    def _fault(self, fault: str, **rule: Any) -> int:
        return despite_refusal(lambda: self.stack.sandbox.fault(fault, **rule))

    def _wait_until_parked(self, request_id: str) -> None:
        """Until it was given back and somebody took it up again."""
        statement = "select fence from gateway.work where request_id = %s"
        wait_for("the request to be parked", lambda: self.stack.sql(statement, request_id)[0]["fence"] > 1, every_s=0.1)

    def _repeat(self, result: Result) -> None:
        """Like a client that obeys Retry-After, but faster."""
        end = time.monotonic() + REPEAT_FOR_S
        while True:
            result.again = self._ask(result)
            if result.again.status not in (409, 503) or time.monotonic() > end:
                return
            time.sleep(0.3)

    def _guarded(self, work: Any) -> Any:
        def run(result: Result) -> None:
            try:
                work(result)
            except Exception as problem:  # told by the row's own test
                result.failure = f"{work.__name__}: {problem!r}"

        return run

    # ---- all of them

    def run(self) -> None:
        self.watch = Watch(self.stack)
        apart: dict[str, list[Result]] = defaultdict(list)
        for result in self.results.values():
            apart[result.row.apart].append(result)
        with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(1) as single:
            single.map(self._guarded(self._run_and_settle), apart["test"])
            pool.map(self._guarded(self._run_row), apart[""])
        for result in apart["alone"]:
            self._guarded(self._run_and_settle)(result)
        self._settle()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            open_ones = {row["account_id"] for row in self.books.open_requests()}
            ended = [result for result in self.results.values() if not result.failure and result.account not in open_ones]
            keyed = [result for result in ended if result.row.keyed]
            list(pool.map(self._guarded(self._repeat), keyed))
        self._settle()
        self.watch.end()
        self._read_books()

    def _settle(self) -> None:
        """What does not end in time is told by its own row."""
        with contextlib.suppress(AssertionError):
            self.books.settle(SETTLE_S)

    def _run_and_settle(self, result: Result) -> None:
        self._run_row(result)
        assert result.answer is not None
        request_id = result.answer.request_id
        wait_for("its end", lambda: (self.stack.request_row(request_id) or {})["finished_at"], SETTLE_S, every_s=0.1)

    def _read_books(self) -> None:
        ledger = self.stack.sandbox.ledger()
        by_account = {result.account: result for result in self.results.values()}
        for row in self.books.requests().values():
            by_account[row["account_id"]].requests[row["request_id"]] = row
        for row in self.stack.audit("select * from audit.invoices"):
            if row["account_id"] in by_account:
                by_account[row["account_id"]].audited.append(row)
        for name in ("invoices", "customers", "keys"):
            for thing in ledger[name]:
                if thing["account"] in by_account:
                    getattr(by_account[thing["account"]], name).append(thing)
        for call in self.watch.calls:
            if call["stripe_account"] in by_account:
                by_account[call["stripe_account"]].calls.append(call)
