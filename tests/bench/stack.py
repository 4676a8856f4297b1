"""A private stack of its own for the benchmark: PostgreSQL, sandbox, workers, nginx; everything is removed afterwards."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import psycopg2

ROOT = Path(__file__).resolve().parents[2]
SETTLE_S = 90


def free_port() -> int:
    """Below those that the kernel gives to connections: one of these may be gone before anybody listens."""
    while True:
        port = random.randint(15000, 31000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Stack:
    """The gateway as a subject of measurement. Another subject needs the same members."""

    name = "invoicegate"

    def __init__(self, workers: int = 1, settings: dict[str, str] | None = None) -> None:
        self.workers = workers
        self.nginx_servers: list[str] = []  # of other subjects, to be filled before start()
        # Not /tmp, which may be memory: the price of a commit on disk belongs to the figures.
        self.directory = Path(tempfile.mkdtemp(prefix="igbench.", dir="/var/tmp"))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("INVOICEGATE_")},
            "RUN_DIR": str(self.directory),
            "BUILD_DIR": str(ROOT / "build"),
            "PORT": str(free_port()),
            "ADMIN_PORT": str(free_port()),
            "WORKERS": str(workers),
            "UPSTREAM_URL": "",
            "UPSTREAM_KEY": "",
            "NGINX_INCLUDE": str(self.directory / "more-servers.conf"),
            "NGINX_KEEPALIVE": "8192",  # the rows with thousands of clients need it
            **(settings or {}),
        }
        self.facts: dict[str, str] = {}
        # By the floor's programs, under the stack's account: upstream alone, and in the books alone.
        self.made_elsewhere = self.finished_elsewhere = 0

    # ---- beginning and end

    def start(self, clients: int) -> None:
        (self.directory / "more-servers.conf").write_text("".join(self.nginx_servers))
        self.up()
        for line in (self.directory / "env").read_text().splitlines():
            name, equals, value = line.partition("=")
            if equals:
                self.facts[name] = shlex.split(value)[0] if value != "''" else ""
        self.database = psycopg2.connect(
            self.facts["INVOICEGATE_AUDIT_DATABASE"].replace("user=invoicegate_auditor", "user=postgres")
        )
        self.database.autocommit = True
        self._seed(clients)

    def up(self, **changes: str) -> None:
        """Starts what does not run; workers whose number or settings have changed start again."""
        self.environment.update(changes)
        self._script("up.sh")

    def _script(self, name: str) -> None:
        subprocess.run(
            [ROOT / "tests/stack" / name], env=self.environment, check=True, timeout=300, stdout=subprocess.DEVNULL
        )

    def _seed(self, clients: int) -> None:
        lines = [
            json.dumps(
                {
                    "client_id": f"bench-{i}",
                    "name": f"Client {i}",
                    "members": [{"name": f"Admin {i}", "email": f"admin{i}@example.com", "admin": True}],
                }
            )
            for i in range(1, clients + 1)
        ]
        agency = self.query("select agency_id from gateway.agencies")[0][0]
        subprocess.run(
            [self.directory / "ctl", "client", "import", "-", "--agency", str(agency)],
            input="\n".join(lines) + "\n",
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
        )

    def stop(self) -> None:
        try:
            self._script("down.sh")
            other_data = self.directory / "pg-dir"
            if other_data.exists():
                shutil.rmtree(other_data.read_text().strip(), ignore_errors=True)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    # ---- what the load needs

    @property
    def url(self) -> str:
        return self.facts["INVOICEGATE_URL"]

    def load_environment(self) -> dict[str, str]:
        return {
            "BENCH_KEY": self.facts["INVOICEGATE_KEY"],
            "BENCH_ACCOUNT": self.facts["INVOICEGATE_ACCOUNT"],
            "BENCH_PRODUCT": self.facts["INVOICEGATE_PRODUCT"],
        }

    def set_latency(self, latency_ms: int) -> None:
        self._sandbox("/_sandbox/latency", {"latency_ms": latency_ms, "jitter_ms": 0})

    def _sandbox(self, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(
            self.facts["INVOICEGATE_SANDBOX_URL"] + path, data=json.dumps(body).encode() if body else None
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)

    # ---- what is measured

    def parts(self) -> dict[str, list[int]]:
        """The processes at the root of each part."""
        names = {"gateway": "workers", "nginx": "nginx", "postgres": "postgres", "sandbox": "sandbox"}
        return {
            part: [int((self.directory / "pid" / f"{name}.pid").read_text())] for part, name in names.items()
        }

    def query(self, sql: str, *parameters: object) -> list[tuple]:
        with self.database.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    @property
    def socket_dir(self) -> str:
        return self.database.info.host

    def in_flight(self) -> int:
        return self.query("select count(*) from gateway.work")[0][0]

    def settle(self) -> None:
        """Waits for the requests that the load left behind."""
        give_up = time.monotonic() + SETTLE_S
        while self.in_flight() > 0:
            if time.monotonic() > give_up:
                raise RuntimeError(f"{self.in_flight()} requests are still open {SETTLE_S} s after the load ended")
            time.sleep(0.1)

    def problems(self, answers: int = 0) -> list[str]:
        """What the books say that they should not, after all runs with so many answers."""
        found = []
        account = self.facts["INVOICEGATE_ACCOUNT"]
        for state, reason, count in self.query(
            "select state, reason, count(*) from audit.requests where account_id = %s group by 1, 2 order by 1, 2", account
        ):
            # wrk goes away in the middle of its last calls: without a key these are taken back.
            if state != "created" and reason not in ("client_left", "compensated"):
                found.append(f"{count} requests ended as {state}: {reason}")
        created = self.query("select count(*) from audit.requests where account_id = %s and state = 'created'", account)[0][0]
        if created < answers:
            found.append(f"{answers} calls were answered with 200, but only {created} invoices are in the audit")
        ours = self.query(
            "select (select count(*) from audit.invoices where account_id = %s)"
            "     + (select count(*) from audit.requests where account_id = %s and state <> 'created' and invoice_id is not null)",
            account, account,
        )[0][0]
        upstream = self._sandbox(f"/_sandbox/ledger?summary=true&account={account}")["counts"]["invoices"]
        ours, upstream = ours - self.finished_elsewhere, upstream - self.made_elsewhere
        if ours != upstream:
            found.append(f"the upstream has made {upstream} invoices, the books know {ours}")
        return found

    def strange_statuses(self) -> list[str]:
        """Statuses that nginx told, and what was told; 499 is a client that left."""
        counts: dict[str, int] = {}
        for line in (self.directory / "log/nginx-access.log").read_text().splitlines():
            told = json.loads(line)
            if told["path"].endswith("/invoices") and told["status"] not in ("200", "499"):
                counts[told["status"]] = counts.get(told["status"], 0) + 1
        return [f"{count} answers with status {status}" for status, count in sorted(counts.items())]
