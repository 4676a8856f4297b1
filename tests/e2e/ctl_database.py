"""A private PostgreSQL and the operator's tool on it, for the tests that begin with test_ctl."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("INVOICEGATE_BUILD", ROOT / "build"))
PROGRAM = BUILD / "invoicegatectl"
DIGEST_KEY = "0123456789abcdef0123456789abcdef"
START_SECONDS = 60
RUN_SECONDS = 60


def postgres_programs() -> Path:
    """The newest installed server's programs: they are not in PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert found, "no PostgreSQL server is installed"
    return found[-1]


class Server:
    """PostgreSQL in a directory of its own that listens on a unix socket there and nowhere else."""

    OPTIONS = "-k %s -c listen_addresses= -c fsync=off"

    def __init__(self) -> None:
        # Short: a unix socket's path has at most 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="igctl.", dir="/tmp"))
        self.migrations = self.directory / "sql"
        self.programs = postgres_programs()
        # The server refuses to run as root: inside a user namespace it runs as nobody.
        root = os.geteuid() == 0
        self.prefix = ["unshare", "--map-user=65534", "--map-group=65534", "--"] if root else []

    def _program(self, name: str, *arguments: str) -> None:
        # Not pipes: the server would inherit and hold them.
        with open(self.directory / "log", "ab") as log:
            subprocess.run(
                [*self.prefix, self.programs / name, *arguments],
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, timeout=START_SECONDS,
            )

    def start(self) -> None:
        # One state of the files for the whole run, whoever edits them meanwhile.
        shutil.copytree(ROOT / "sql", self.migrations)
        data = str(self.directory / "data")
        self._program("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D", data)
        self._program("pg_ctl", "-w", "-D", data, "-o", self.OPTIONS % self.directory, "-l", str(self.directory / "server.log"), "start")

    def restart(self) -> None:
        data = str(self.directory / "data")
        self._program("pg_ctl", "-w", "-m", "fast", "-D", data, "-o", self.OPTIONS % self.directory,
                      "-l", str(self.directory / "server.log"), "restart")

    def stop(self) -> None:
        if (self.directory / "data" / "postmaster.pid").exists():
            self._program("pg_ctl", "-w", "-m", "immediate", "-D", str(self.directory / "data"), "stop")
        shutil.rmtree(self.directory)

    def database(self, name: str) -> str:
        return f"host={self.directory} user=postgres dbname={name}"

    def sql(self, database: str, text: str) -> str:
        """Runs any number of statements; answers the rows of the last, unaligned."""
        done = subprocess.run(
            [self.programs / "psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", self.database(database), "-f", "-"],
            input=text, capture_output=True, text=True, check=False, timeout=RUN_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class Ctl:
    """The tool on one database."""

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self.name = database
        key_file = server.directory / "digest-key"
        key_file.write_text(DIGEST_KEY + "\n")
        self.environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "INVOICEGATE_DATABASE": server.database(database),
            "INVOICEGATE_DIGEST_KEY_FILE": str(key_file),
            **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
        }

    def run(self, *arguments: str, code: int = 0, stdin: str | bytes = b"", **changes: str | None):
        """Runs it, insists on the exit code, answers what it wrote. changes: environment, None takes a name out."""
        environment = {**self.environment, **changes}
        done = subprocess.run(
            [PROGRAM, *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            env={name: value for name, value in environment.items() if value is not None},
            capture_output=True, check=False, timeout=RUN_SECONDS,
        )
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == code, f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def out(self, *arguments: str, **more: Any) -> str:
        return self.run(*arguments, **more).stdout.strip()

    def json(self, *arguments: str, **more: Any) -> Any:
        return json.loads(self.run(*arguments, "--json", **more).stdout)

    def refusal(self, code: int, *arguments: str, **more: Any) -> str:
        """What it complains about: one line and nothing on standard output."""
        done = self.run(*arguments, code=code, **more)
        lines = done.stderr.splitlines()
        assert done.stdout == "" and len(lines) == 1 and lines[0].startswith("invoicegatectl: "), done
        return lines[0]

    def sql(self, text: str) -> str:
        return self.server.sql(self.name, text)


# One agency with an account, a client and requests in every state, as workers leave them behind.
BOOKS = """
insert into gateway.agencies (name) values ('Blue Harbor');
insert into gateway.accounts (agency_id, account_id, is_default) values (1, 'acct_1', true), (1, 'acct_2', false);
insert into gateway.clients (agency_id, client_id, name) values (1, 'c1', 'Northwind'), (1, 'c2', 'Empty');
insert into gateway.members (agency_id, client_id, name, email, is_admin)
values (1, 'c1', 'Bo', null, true), (1, 'c1', 'Ada', 'ada@example.com', true), (1, 'c1', 'Cy', null, false);
insert into gateway.upstreams (url, platform, mode) values ('https://api.example.com', '', 'test');
insert into gateway.workers (host, pid, build, lease_until, recipe)
values ('alpha', 11, 'test', now() + interval '1 hour', 1), ('beta', 12, 'test', now() - interval '1 hour', 1);
insert into gateway.customers (agency_id, client_id, account_id, upstream_id, generation, recipe, name, email, customer_id)
values (1, 'c1', 'acct_1', 1, 1, 1, 'Ada', 'ada@example.com', 'cus_1');
"""

REQUEST = """
insert into gateway.invoice_requests (
       request_id, agency_id, route, mode, upstream_id, account_id, client_id, product_id, collection_method,
       days_until_due, idempotency_key, created_at, recipe, upstream_version, customer_generation, customer_id, price_id,
       amount_minor, currency, state, reason, http_status, invoice_id, finished_at)
values ('{id}', 1, 'account_invoices', '{mode}', 1, 'acct_1', 'c1', 'prod_1', 'send_invoice', 30, 'key-{id}', '{at}', 1,
        '2025-03-31.basil', 1, 'cus_1', 'price_1', 10000, '{currency}', '{state}', {reason}, {told}, {invoice},
        case when '{state}' in ('created', 'failed', 'refused') then timestamptz '{at}' + interval '412 ms' end);
insert into gateway.events (subject_id, agency_id, worker_id, at, what)
values ('{id}', 1, 1, '{at}', 'opened'),
       ('{id}', 1, 1, timestamptz '{at}' + interval '412 ms', '{state}');
"""

INVOICE = """
insert into gateway.invoices (agency_id, account_id, mode, upstream_id, invoice_id, request_id, client_id, customer_id,
       status, amount_minor, currency, created_at, refreshed_at, object)
select 1, 'acct_1', '{mode}', 1, '{invoice}', '{id}', 'c1', 'cus_1', '{status}', 10000, '{currency}', '{at}', now(),
       '{{"id": "{invoice}", "customer_name": "Ada"}}';
"""


class Books:
    """Writes requests as the worker's functions would leave them."""

    def __init__(self, ctl: Ctl) -> None:
        self.ctl = ctl
        self.count = 0
        ctl.sql(BOOKS)

    def request(self, state: str, reason: str | None = None, told: int | None = None, invoice: str | None = None,
                status: str = "draft", mode: str = "test", currency: str = "usd", work: str = "") -> str:
        """Answers the id. work: the columns worker_id, doing, parked_at of an open request, as SQL."""
        self.count += 1
        at = f"2026-01-31T12:00:{self.count:02d}Z"
        request_id = self.ctl.sql(f"select gateway.uuid_at('{at}')")
        values = {"id": request_id, "at": at, "state": state, "mode": mode, "currency": currency, "status": status}
        text = REQUEST.format(
            **values, reason=f"'{reason}'" if reason else "null", told=told or "null",
            invoice=f"'{invoice}'" if invoice else "null",
        )
        if invoice and status != "none":
            text += INVOICE.format(**values, invoice=invoice)
        if work:
            text += f"insert into gateway.work (request_id, worker_id, doing, parked_at) values ('{request_id}', {work});"
        self.ctl.sql(text)
        return request_id

    def call(self, request_id: str, step: str, start_ms: int, duration_ms: int, outcome: str = "ok",
             status: int | None = 200, attempt: int = 1, fence: int = 1) -> None:
        self.ctl.sql(
            f"insert into gateway.upstream_calls values ('{request_id}', {fence}, '{step}', {attempt}, "
            f"gateway.uuid_time('{request_id}') + interval '{start_ms} ms', {duration_ms}, {status or 'null'}, "
            f"'{outcome}', 'req_{step}')"
        )


@pytest.fixture(scope="module")
def server():
    running = Server()
    try:
        running.start()
        running.sql("postgres", "create database migrated")
        Ctl(running, "migrated").run("migrate", "--sql", str(running.migrations))
        yield running
    finally:
        running.stop()


@pytest.fixture
def new_ctl(server, request):
    """Makes the tool on a database of the test's own, a copy of the template."""
    made = []

    def make(template: str) -> Ctl:
        name = f"test_{abs(hash(request.node.nodeid))}_{len(made)}"
        server.sql("postgres", f"create database {name} template {template}")
        made.append(name)
        return Ctl(server, name)

    yield make
    for name in made:
        server.sql("postgres", f"drop database {name} with (force)")


@pytest.fixture
def ctl(new_ctl):
    """On a migrated, empty database."""
    return new_ctl("migrated")


@pytest.fixture
def books(ctl):
    """With an agency, accounts and clients."""
    return Books(ctl)
