"""A real stack for tests: PostgreSQL, sandbox, workers under spawn-fcgi and multiwatch, nginx.

    with Stack(DEADLINE_MS=3000) as stack:          # INVOICEGATE_DEADLINE_MS of its workers
        answer = stack.create()                     # the documented example of the create-invoice call
        stack.audit("select * from audit.requests where request_id = %s", answer.request_id)

The programs come from the folder $INVOICEGATE_BUILD (tests/pytest.sh sets it). Each stack lives in a short private
directory on a free port, and stopping it fails when a sanitizer or a CHECK has left a report in a log.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from collections import deque
from pathlib import Path
from typing import Any, Iterable, Iterator

import psycopg2
import psycopg2.extras

import wire
from upstream import Sandbox
from waiting import wait_for
from wire import Answer, Header

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("INVOICEGATE_BUILD", ROOT / "build")).resolve()
SANITIZED = BUILD.name == "asan"
REPORTS = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: |: cannot be: !|double free|corrupted")

_numbers = itertools.count(1)


_last_ports: deque[int] = deque(maxlen=50)


def free_port() -> int:
    """Below the range from which the kernel takes ports by itself; processes that start together look in ranges of their own,
    and none gets a port that it was given a moment ago."""
    first = 20000 + os.getpid() % 100 * 100
    for _ in range(1000):
        port = random.randrange(first, first + 100)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            if port not in _last_ports:
                _last_ports.append(port)
                return port
    raise AssertionError("no free port")


@dataclasses.dataclass(frozen=True)
class Tenant:
    """An agency with one account and one client: what Stack.post and Stack.create need to know."""

    agency: int
    key: str
    test_key: str
    account: str
    client: str


class Stack:
    def __init__(self, *, workers: int = 1, sandbox_args: str = "", env: dict[str, str] | None = None, **settings: Any):
        """settings: names as in invoicegate --help, without INVOICEGATE_. env: for all programs."""
        self.workers = workers
        self.more_env = env or {}
        self.settings = {f"INVOICEGATE_{name}": str(value) for name, value in settings.items()}
        self.sandbox_args = sandbox_args
        self.keep = False  # the directory, for a look after a failure
        self.env: dict[str, str] = {}

    # ---- start and stop

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="ig.", dir="/tmp"))
        self.port = free_port()
        self.up()

    def _script(self, name: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("INVOICEGATE_", "PG"))}
        env |= {"RUN_DIR": str(self.dir), "PORT": str(self.port), "BUILD_DIR": str(BUILD), "WORKERS": str(self.workers)}
        env["ADMIN_PORT"] = str(self.port - 10000)  # a range in which nobody looks for a free port
        env |= {"SANDBOX_ARGS": self.sandbox_args} | self.more_env | self.settings
        return subprocess.run(
            [ROOT / "tests/stack" / name], env=env, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=300
        )

    def up(self) -> None:
        """Starts what does not run. Workers whose settings are the same go on running as they are."""
        done = self._script("up.sh")
        assert done.returncode == 0, done.stdout + done.stderr
        lines = (self.dir / "env").read_text().splitlines()
        pairs = (shlex.split(line)[0].partition("=") for line in lines if not line.startswith("#"))
        self.env = {name: value for name, _, value in pairs}
        self.url = self.env["INVOICEGATE_URL"]
        self.admin_port = int(self.env["INVOICEGATE_ADMIN_URL"].rpartition(":")[2])
        self.sandbox = Sandbox(self.env["INVOICEGATE_SANDBOX_URL"])
        self.demo = Tenant(
            1,
            self.env["INVOICEGATE_KEY"],
            self.env["INVOICEGATE_TEST_KEY"],
            self.env["INVOICEGATE_ACCOUNT"],
            self.env["INVOICEGATE_CLIENT"],
        )

    def stop(self) -> None:
        done = self._script("down.sh")
        reports = self.reports()
        if not self.keep and done.returncode == 0 and not reports:
            shutil.rmtree(self.dir)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not reports, f"{self.dir}/log:\n" + "\n".join(reports)

    def log(self, name: str) -> str:
        """workers, sandbox, nginx-error, nginx-access, postgres. Without a line that is being written."""
        text = (self.dir / "log" / f"{name}.log").read_text(errors="replace")
        return text[: text.rfind("\n") + 1]

    def reports(self) -> list[str]:
        """What sanitizers and failed checks left in the logs, and nginx's own alarms."""
        found = [line for name in ("workers", "sandbox") for line in self.log(name).splitlines() if REPORTS.search(line)]
        return found + [line for line in self.log("nginx-error").splitlines() if "[emerg]" in line or "[alert]" in line]

    # ---- processes

    def pid(self, name: str) -> int:
        """The pid on record: postgres, sandbox, nginx, workers (which is multiwatch)."""
        return int((self.dir / "pid" / f"{name}.pid").read_text())

    def worker_pids(self) -> list[int]:
        """The running workers, in order of their pids."""
        return sorted(int(pid) for pid in self._children(self.pid("workers")) if _runs(pid, BUILD / "invoicegate"))

    def worker_pid(self) -> int:
        """The only worker of a stack with one."""
        return wait_for("the worker", lambda: self.worker_pids() if len(self.worker_pids()) == 1 else [])[0]

    @staticmethod
    def _children(pid: int) -> list[str]:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return []

    def rss_bytes(self, pid: int) -> int:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop_postgres(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: an orderly shutdown; SIGQUIT: as after a crash. up() brings it back."""
        self._end("postgres", how)

    def stop_sandbox(self, how: signal.Signals = signal.SIGKILL) -> None:
        """It keeps its state in a file; up() brings it back on the same port."""
        self._end("sandbox", how)

    def stop_workers(self) -> None:
        """All workers and their keeper, after the requests in flight; up() starts new ones."""
        workers = self.worker_pids()
        self._end("workers", signal.SIGTERM)
        wait_for("the workers to end", lambda: not any(_alive(pid) for pid in workers))

    def _end(self, name: str, how: signal.Signals) -> None:
        pid = self.pid(name)
        os.kill(pid, how)
        wait_for(f"{name} to end", lambda: not _alive(pid))

    # ---- databases

    def audit(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """As the auditor, who sees the views of schema audit; a row is a dict."""
        return _query(self.env["INVOICEGATE_AUDIT_DATABASE"], statement, values)

    def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """As the superuser, who sees everything."""
        return _query(self._superuser(), statement, values)

    def _superuser(self) -> str:
        return self.env["INVOICEGATE_AUDIT_DATABASE"].replace("user=invoicegate_auditor", "user=postgres")

    def request_row(self, request_id: str) -> dict[str, Any] | None:
        """What audit.requests knows of a Request-Id; None for nothing."""
        rows = self.audit("select * from audit.requests where request_id = %s", request_id)
        return rows[0] if rows else None

    @contextlib.contextmanager
    def locked(self, table: str, change: str = "") -> Iterator[None]:
        """Nobody can write to this table within the block: what needs it waits, and then finds it changed by a statement."""
        connection = psycopg2.connect(self._superuser())
        try:
            connection.cursor().execute(f"lock table {table} in share row exclusive mode; {change}")
            yield
            connection.commit()
        finally:
            connection.close()

    # ---- the operator's tool

    def ctl(self, *arguments: str, code: int = 0) -> str:
        """invoicegatectl; answers its standard output."""
        done = subprocess.run([self.dir / "ctl", *arguments], text=True, capture_output=True, timeout=60)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout.strip()

    def tenant(
        self,
        *,
        members: Iterable[str] = ("John Doe:customer@example.com:admin",),
        account: str | None = None,
        auto_advance: bool = False,
        agency: int | None = None,
    ) -> Tenant:
        """A new agency (unless one is given) with keys, an account and a client of its own."""
        number = next(_numbers)
        account = account or f"acct_e2e{number:06d}"
        client = f"client_{number}"
        if agency is None:
            agency = int(self.ctl("agency", "add", f"Agency {number}"))
        who = ("--agency", str(agency))
        self.ctl("account", "add", *who, account, *(["--auto-advance"] if auto_advance else []))
        given = [word for member in members for word in ("--member", member)]
        self.ctl("client", "add", *who, client, "--name", f"Client {number}", *given)
        key, test_key = (self.ctl("key", "create", *who, "--mode", mode, "--name", "e2e") for mode in ("live", "test"))
        return Tenant(agency, key, test_key, account, client)

    # ---- requests

    def invoices_path(self, tenant: Tenant | None = None) -> str:
        return f"/v1/public/stripe/connect/accounts/{(tenant or self.demo).account}/invoices"

    def data(self, tenant: Tenant | None = None, **members: Any) -> dict[str, Any]:
        """The documented example; a member that is given as ... is left out."""
        data = {
            "clientId": (tenant or self.demo).client,
            "productId": "prod_usd_10000",
            "collection_method": "send_invoice",
            "days_until_due": 30,
        }
        return {name: value for name, value in (data | members).items() if value is not ...}

    def create_bytes(
        self, tenant: Tenant | None = None, *, key: str | None = None, idempotency_key: str | None = None, **members: Any
    ) -> bytes:
        """A create-invoice request as bytes, for wire.burst and wire.exchange."""
        tenant = tenant or self.demo
        body = json.dumps({"data": self.data(tenant, **members)}).encode()
        headers: list[Header] = [("Authorization", key or tenant.key), ("Content-Type", "application/json")]
        if idempotency_key is not None:
            headers.append(("Idempotency-Key", idempotency_key))
        return wire.request_bytes("POST", self.invoices_path(tenant), headers, body)

    def create(
        self, tenant: Tenant | None = None, *, key: str | None = None, idempotency_key: str | None = None, **members: Any
    ) -> Answer:
        """Asks for the invoice of the documented example. members change or (with ...) leave out members of data;
        key is another API key than the tenant's live one."""
        return self.exchange(self.create_bytes(tenant, key=key, idempotency_key=idempotency_key, **members))

    def post(
        self,
        body: bytes | str | Any,
        *,
        tenant: Tenant | None = None,
        path: str | bytes | None = None,
        method: str | bytes = "POST",
        headers: Iterable[Header] | None = None,
        more_headers: Iterable[Header] = (),
        **how: Any,
    ) -> Answer:
        """Any request. body: bytes as they are, or a value that becomes JSON. headers replace Authorization and
        Content-Type, more_headers follow them. how: content_length and close of wire.request_bytes."""
        tenant = tenant or self.demo
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if headers is None:
            headers = [("Authorization", tenant.key), ("Content-Type", "application/json")]
        target = self.invoices_path(tenant) if path is None else path
        return self.exchange(wire.request_bytes(method, target, [*headers, *more_headers], body, **how))

    def exchange(self, data: bytes, **how: Any) -> Answer:
        """Raw bytes on a connection of their own; one answer."""
        return wire.exchange(self.port, data, **how)

    def admin(self, path: str, method: str = "GET", headers: Iterable[Header] = ()) -> Answer:
        """What monitoring asks: /metrics, /livez, /readyz."""
        request = wire.request_bytes(method, path, headers, content_length=None)
        return wire.exchange(self.admin_port, request, described=False)

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name and labels as they stand there."""
        answer = wait_for("the counters", lambda: [a for a in [self.admin("/metrics")] if a.status == 200])[0]
        lines = answer.body.decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    def send(self, data: bytes) -> wire.Pending:
        """Sends a request and leaves its answer for later."""
        return wire.Pending(self.port, data)

    def burst(self, requests: Iterable[bytes]) -> list[Answer]:
        """All at once; answers in the order of the requests."""
        return wire.burst(self.port, requests)

    @contextlib.contextmanager
    def nothing_upstream(self) -> Iterator[None]:
        """Fails if the upstream was called within the block; a test before may have left looks for what comes late."""
        before = self.sandbox.counts()
        yield
        after = self.sandbox.counts()
        if after != before:
            sweeps = self.sql("select account_id from gateway.sweeps join gateway.invoice_requests using (request_id)")
            swept = {("list_invoices", row["account_id"]) for row in sweeps}
            calls = self.sandbox.calls(after["total"] - before["total"])
            assert [call for call in calls if (call["step"], call["stripe_account"]) not in swept] == []


def _query(database: str, statement: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    connection = psycopg2.connect(database, connect_timeout=10)
    try:
        connection.autocommit = True
        with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(statement, values or None)
            return [dict(row) for row in cursor.fetchall()] if cursor.description else []
    finally:
        connection.close()


def _runs(pid: str, program: Path) -> bool:
    with contextlib.suppress(OSError):
        return Path(os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")) == program
    return False


def _alive(pid: int) -> bool:
    """A zombie is dead."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
