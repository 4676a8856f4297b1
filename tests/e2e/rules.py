"""What the tests of the protocol's rules share: a stack's settings, requests that are left half-way, a look at the books."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
from collections import defaultdict
from pathlib import Path
from typing import Any, Iterator

import psycopg2
import pytest

from books import Books
from stack import BUILD, REPORTS, Stack, Tenant
from waiting import wait_for
from wire import Pending

# The worker's patience, short. No test relies on how long these really are.
SETTINGS: dict[str, Any] = {
    "DEADLINE_MS": 2500,
    "CALL_TIMEOUT_MS": 900,
    "CONNECT_TIMEOUT_MS": 1000,
    "LEASE_MS": 1500,
    "LOOKUP_PAUSE_MS": 300,
    "PARK_MS": 300,
    "BACKGROUND_MS": 1000,
}
# How long nothing must happen while something that it needs is held back.
A_WHILE_S = 0.4


# ---- fixtures: a stack of the module's own, whose only worker every test may kill


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with Stack(**SETTINGS) as stack:
        yield stack
        stack.keep = request.session.testsfailed > 0


@pytest.fixture
def tenant(stack: Stack) -> Tenant:
    return stack.tenant()


@pytest.fixture
def books(stack: Stack) -> Books:
    return Books(stack)


@pytest.fixture(autouse=True)
def workers_run(stack: Stack) -> Iterator[None]:
    """For the next test everything runs, and nothing is faulty."""
    yield
    stack.sandbox.no_faults()
    stack.sandbox.latency(0)
    stack.up()


# ---- what was sent upstream


def calls(stack: Stack, tenant: Tenant, step: str | None = None, method: str | None = None) -> list[dict[str, Any]]:
    found = stack.sandbox.calls(account=tenant.account)
    return [call for call in found if step in (None, call["step"]) and method in (None, call["method"])]


def steps(stack: Stack, tenant: Tenant) -> list[str]:
    return [call["step"] for call in calls(stack, tenant)]


def form(call: dict[str, Any]) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(call["body"], strict_parsing=True, keep_blank_values=True))


def wait_for_calls(stack: Stack, tenant: Tenant, step: str, count: int = 1) -> None:
    wait_for(f"{count} of {step}", lambda: len(calls(stack, tenant, step)) >= count)


def assert_same_bytes(stack: Stack, tenant: Tenant) -> None:
    """Under one key, one path, one version and one body, however often it was sent."""
    sent: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for call in calls(stack, tenant, method="POST"):
        if call["idempotency_key"] is None:
            continue  # the test's own
        sent[call["idempotency_key"]].add((call["path"], call["stripe_version"], call["body"]))
    assert [bytes_of for bytes_of in sent.values() if len(bytes_of) > 1] == []


def standing(stack: Stack, tenant: Tenant) -> list[dict[str, Any]]:
    return [invoice for invoice in stack.sandbox.ledger(tenant.account)["invoices"] if not invoice["deleted"]]


# ---- what the books say


def only_request(stack: Stack, tenant: Tenant) -> dict[str, Any]:
    (row,) = stack.audit("select * from audit.requests where account_id = %s", tenant.account)
    return row


def row_of(stack: Stack, request_id: str) -> dict[str, Any]:
    row = stack.request_row(request_id)
    assert row is not None
    return row


def work_of(stack: Stack, request_id: str) -> dict[str, Any] | None:
    """Who works on it; None once it has ended."""
    rows = stack.sql("select * from gateway.work where request_id = %s", request_id)
    return rows[0] if rows else None


def events(stack: Stack, request_id: str) -> list[str]:
    rows = stack.audit("select what from audit.events where request_id = %s order by at, event_id", request_id)
    return [row["what"] for row in rows]


def settle(stack: Stack, request_id: str, timeout_s: float = 60.0) -> dict[str, Any]:
    """Waits for the request's end."""

    def end() -> dict[str, Any] | None:
        row = row_of(stack, request_id)
        return None if row["state"] in ("open", "unresolved") else row

    found = wait_for("the request to end", end, timeout_s, 0.1)
    assert found is not None
    return found


def age(stack: Stack, request_id: str, hours: int) -> None:
    """As if the request had come so long ago."""
    stack.sql(
        "update gateway.invoice_requests set created_at = created_at - make_interval(hours => %s) where request_id = %s",
        hours,
        request_id,
    )


@contextlib.contextmanager
def poison(stack: Stack, table: str, when: str = "true", sqlstate: str = "P0001", why: str = "poisoned") -> Iterator[None]:
    """Within the block PostgreSQL refuses to insert certain rows, as a bad constraint or a full disk would."""
    stack.sql(
        "create function gateway.poison() returns trigger language plpgsql as $$ begin"
        f" raise exception '{why}' using errcode = '{sqlstate}'; end $$"
    )
    insist(
        stack,
        f"create trigger poison before insert on gateway.{table} for each row when ({when}) execute function gateway.poison()",
    )
    try:
        yield
    finally:
        insist(stack, "drop function gateway.poison() cascade")


def insist(stack: Stack, statement: str) -> None:
    """Again when it was the victim of a deadlock: the workers are busy with the same tables."""
    for _ in range(50):
        with contextlib.suppress(psycopg2.errors.DeadlockDetected):
            stack.sql(statement)
            return
    raise AssertionError(f"deadlocks keep from {statement}")


# ---- workers


def environment(stack: Stack) -> dict[str, str]:
    """Of the stack's workers."""
    raw = Path(f"/proc/{stack.pid('workers')}/environ").read_bytes().split(b"\0")
    return dict(pair.decode().split("=", 1) for pair in raw if b"=" in pair)


_environments: dict[Path, dict[str, str]] = {}  # of those that were killed


def kill_workers(stack: Stack) -> None:
    """All of them at once, and their keeper, so that nobody works until stack.up()."""
    _environments[stack.dir] = environment(stack)
    pids = stack.worker_pids()
    keeper = stack.pid("workers")
    os.kill(keeper, signal.SIGSTOP)  # or it would start others meanwhile
    for pid in pids + [keeper]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for("the workers' end", lambda: not stack.worker_pids())


def worker_of(stack: Stack, request_id: str) -> int:
    """The pid of the worker that holds a request."""
    (row,) = stack.sql(
        "select w.pid from gateway.workers w join gateway.work using (worker_id) where request_id = %s", request_id
    )
    return row["pid"]


def open_request(stack: Stack, tenant: Tenant) -> str:
    """The id of its only request that has not ended."""
    open_ones = "select request_id from audit.requests where account_id = %s and state in ('open', 'unresolved')"
    (row,) = stack.audit(open_ones, tenant.account)
    return row["request_id"]


def send_and_wait(
    stack: Stack, tenant: Tenant, step: str, *, key: str | None = None, **members: Any
) -> tuple[Pending, str]:
    """Sends a request, waits until it has called a step, and answers it with its id. The tenant must be new."""
    pending = stack.send(stack.create_bytes(tenant, idempotency_key=key, **members))
    wait_for_calls(stack, tenant, step)
    return pending, open_request(stack, tenant)


@dataclasses.dataclass(frozen=True)
class Orphan:
    """A request whose worker died while it waited for a step's answer."""

    tenant: Tenant
    request_id: str
    called: int  # how often the upstream was called for it by then


def leave_orphans(stack: Stack, *cases: tuple[str, str], key: str | None = "a key", **of_tenants: Any) -> list[Orphan]:
    """One for each (fault, step), each of a tenant of its own; nobody works until stack.up(). With hang the upstream has
    done the step, with hang_before it has not."""
    tenants = [stack.tenant(**of_tenants) for _ in cases]
    rule_ids = [
        stack.sandbox.fault(fault, step=step, account=tenant.account) for (fault, step), tenant in zip(cases, tenants)
    ]
    sent = [send_and_wait(stack, tenant, step, key=key) for (_, step), tenant in zip(cases, tenants)]
    kill_workers(stack)
    for rule_id in rule_ids:
        stack.sandbox.no_faults(rule_id)
    for pending, _ in sent:
        pending.leave()
    return [Orphan(tenant, request_id, len(calls(stack, tenant))) for tenant, (_, request_id) in zip(tenants, sent)]


def orphan(stack: Stack, *, fault: str, step: str, key: str | None = "a key", **of_tenant: Any) -> Orphan:
    (left,) = leave_orphans(stack, (fault, step), key=key, **of_tenant)
    return left


def calls_since(stack: Stack, left: Orphan) -> list[dict[str, Any]]:
    """What was sent for it after its worker's death."""
    return calls(stack, left.tenant)[left.called :]


class LooseWorker:
    """A worker of the stack's database that nobody sends requests: it looks after what others left."""

    def __init__(self, stack: Stack, **settings: Any) -> None:
        """settings: what differs from the stack's own workers, without INVOICEGATE_."""
        self.directory = Path(tempfile.mkdtemp(prefix="igw.", dir="/tmp"))
        self.log = self.directory / "log"
        env = dict(environment(stack) if stack.worker_pids() else _environments[stack.dir])
        env |= {f"INVOICEGATE_{name}": str(value) for name, value in settings.items()}
        with socket.socket(socket.AF_UNIX) as listener, self.log.open("wb") as log:
            listener.bind(str(self.directory / "sock"))
            listener.listen(8)
            self.process = subprocess.Popen([BUILD / "invoicegate"], stdin=listener, stdout=log, stderr=log, env=env)
        self.pid = self.process.pid

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(signal.SIGCONT)
        wait_for("the worker to take signals", self._takes_signals)
        self.process.send_signal(how)
        status = self.process.wait(60)
        assert status == (0 if how == signal.SIGTERM else -how), (status, self.log.read_text(errors="replace")[-2000:])
        reports = [line for line in self.log.read_text(errors="replace").splitlines() if REPORTS.search(line)]
        assert not reports, reports

    def _takes_signals(self) -> bool:
        """Before that SIGTERM ends it as it ends any program."""
        blocked = re.search(r"SigBlk:\s*(\w+)", Path(f"/proc/{self.pid}/status").read_text())
        return blocked is None or bool(int(blocked[1], 16) >> (signal.SIGTERM - 1) & 1)

    def __enter__(self) -> LooseWorker:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process stands still within the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def nothing_happens(what: str, look: Any) -> None:
    """For a while, look stays false."""
    end = time.monotonic() + A_WHILE_S
    while time.monotonic() < end:
        assert not look(), what
        time.sleep(0.05)
