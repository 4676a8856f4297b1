"""The floor: an invoice's work with the gateway's own logic taken out, by three small programs (floor/*.c).

fcgi: nginx to an empty libfcgi loop, the same load and answer. sql: our statements with real parameters, in batches of the
size that the gateway's own run had. curl: the two POSTs of each invoice. Their CPU time is added up, with that of nginx and
PostgreSQL, and set against the whole stack's in the same round.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from stack import ROOT, Stack
from wrk import Spending, measure, say

if TYPE_CHECKING:
    from bench import Bench

PROGRAMS = Path(os.environ.get("INVOICEGATE_BENCH", ROOT / "build/bench")) / "floor"
LANES = 2  # INVOICEGATE_DATABASE_LANES has it as its default
CLIENTS = 64

NGINX = """
upstream floor {{
    server unix:{socket} max_fails=0;
    keepalive 8192;
    keepalive_requests 100000;
    keepalive_time 3s;
    keepalive_timeout 1s;
}}
server {{
    listen 127.0.0.1:{port} backlog=4096;
    access_log {log} invoicegate;
    include {locations};
}}
"""


class Floor:
    """The empty FastCGI program as a subject; the other two are run by themselves."""

    name = "floor"

    def __init__(self, stack: Stack, port: int) -> None:
        self.stack, self.port = stack, port
        self.socket = stack.directory / "floor.sock"
        self.process: subprocess.Popen | None = None
        locations = stack.directory / "floor-server.conf"
        locations.write_text(
            (ROOT / "nginx/invoicegate-server.conf").read_text().replace("fastcgi_pass invoicegate;", "fastcgi_pass floor;")
        )
        stack.nginx_servers.append(
            NGINX.format(socket=self.socket, port=port, log=stack.directory / "log/floor-access.log", locations=locations)
        )

    def start(self) -> None:
        """With the stack up: its answer is one of the gateway's own."""
        self._learn()
        self.process = subprocess.Popen([PROGRAMS / "fcgi", self.socket, self.stack.directory / "floor-answer"], stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        if self.process:
            self.process.kill()  # libfcgi catches the gentler signals
            self.process.wait(30)

    def _learn(self) -> None:
        facts = self.stack.facts
        body = {"clientId": "bench-1", "productId": facts["INVOICEGATE_PRODUCT"], "collection_method": "send_invoice", "days_until_due": 30}
        request = urllib.request.Request(
            f"{self.stack.url}/v1/public/stripe/connect/accounts/{facts['INVOICEGATE_ACCOUNT']}/invoices",
            data=json.dumps({"data": body}).encode(),
            headers={"Authorization": facts["INVOICEGATE_KEY"], "Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            told, headers = answer.read(), answer.headers
        ours = [f"{name}: {value}\r\n" for name, value in headers.items()
                if name.lower() not in ("server", "date", "connection", "transfer-encoding", "content-length")]
        head = "Status: 200 OK\r\n" + "".join(ours) + "\r\n"
        (self.stack.directory / "floor-answer").write_bytes(head.encode() + told)
        self.customer, self.price, self.object, self.digest = self.stack.query(
            "select r.customer_id, r.price_id, v.object, (select encode(digest, 'hex') from gateway.api_keys k where k.key_id = r.key_id)"
            "  from gateway.invoices v join gateway.invoice_requests r using (request_id) where v.invoice_id = %s",
            json.loads(told)["id"],
        )[0]
        (self.stack.directory / "floor-object").write_bytes(bytes(self.object))

    # ---- as a subject

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def load_environment(self) -> dict[str, str]:
        return self.stack.load_environment()

    def parts(self) -> dict[str, list[int]]:
        return {**self.stack.parts(), "gateway": [self.process.pid]}

    # ---- the other two

    def _run(self, name: str, *arguments: object) -> dict[str, int]:
        done = subprocess.run([PROGRAMS / name, *map(str, arguments)], capture_output=True, text=True, timeout=180, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"the floor's {name} failed: {(done.stderr or done.stdout).strip()}")
        return json.loads(done.stdout)

    def sql(self, batch: int, mixed_percent: int, seconds: int) -> dict[str, float]:
        """Microseconds an invoice: of the program, and of PostgreSQL."""
        # Products count as known for a minute; here nobody reads them again.
        self.stack.query("update gateway.products set fetched_at = clock_timestamp() + interval '1 minute'")
        facts, spending = self.stack.facts, Spending(self.stack)
        found = self._run(
            "sql", f"host={self.stack.socket_dir} user=invoicegate_worker dbname=invoicegate", facts["INVOICEGATE_SANDBOX_URL"],
            self.digest, facts["INVOICEGATE_ACCOUNT"], facts["INVOICEGATE_PRODUCT"], self.stack.directory / "floor-object",
            batch, mixed_percent, LANES, seconds,
        )
        time.sleep(0.5)  # until the postmaster has counted the time of the backends that ended
        postgres_s = spending.so_far()[0]["postgres"]
        count = found["invoices"]
        self.stack.finished_elsewhere += count
        return {"client_us": found["cpu_us"] / count, "postgres_us": postgres_s * 1e6 / count, "invoices_per_s": count / seconds,
                "batch": batch, "mixed_percent": mixed_percent}

    def curl(self, at_once: int, seconds: int) -> dict[str, float]:
        facts = self.stack.facts
        key = (self.stack.directory / "secret/upstream-key").read_text()
        found = self._run(
            "curl", facts["INVOICEGATE_SANDBOX_URL"], "Basic " + base64.b64encode(f"{key}:".encode()).decode(), "2025-03-31.basil",
            facts["INVOICEGATE_ACCOUNT"], self.customer, self.price, "bench-1", at_once, seconds,
        )
        self.stack.made_elsewhere += found["invoices"]
        return {"client_us": found["cpu_us"] / found["invoices"], "invoices_per_s": found["invoices"] / seconds}


def batches_of(stack: Stack, since: object) -> tuple[float, int]:
    """Of the gateway's transactions since then: invoices that one statement began or finished, on average; and how much of the
    work (per cent) went in transactions that did both."""
    tasks, transactions, statements = stack.query(
        "select count(*), count(distinct e.xmin::text), count(distinct (e.xmin::text, e.what = 'opened'))"
        "  from gateway.events e join gateway.workers w using (worker_id)"
        " where e.at >= %s and w.host <> 'floor' and e.what in ('opened', 'created')", since,
    )[0]
    statements = max(1, statements)
    return tasks / statements, round(200 * (statements - transactions) / statements)


def one_round(bench: Bench, number: int) -> dict[str, object]:
    stack, seconds = bench.stack, bench.seconds
    since = stack.query("select clock_timestamp()")[0][0]
    ours = measure(stack, CLIENTS, seconds, f"floor-{number}")
    stack.settle()
    exact, mixed_percent = batches_of(stack, since)
    fcgi = measure(bench.floor, CLIENTS, seconds, f"floor-fcgi-{number}")
    for subject, run in ((stack, ours), (bench.floor, fcgi)):
        if run["failed"]:
            bench.problems.append(f"{subject.name}: {run['failed']:.0f} calls were not answered with 200")
    sql = bench.floor.sql(max(1, round(exact)), mixed_percent, seconds)
    curl = bench.floor.curl(CLIENTS, seconds)
    whole = ours["gateway_us"] + ours["nginx_us"] + ours["postgres_us"]
    floor = fcgi["gateway_us"] + fcgi["nginx_us"] + sql["client_us"] + sql["postgres_us"] + curl["client_us"]
    say(
        f"  run {number}: ours {whole:.0f} us (worker {ours['gateway_us']:.0f}, nginx {ours['nginx_us']:.0f}, PostgreSQL "
        f"{ours['postgres_us']:.0f}; {exact:.1f} invoices a statement, {mixed_percent} % mixed); floor {floor:.0f} us (fcgi {fcgi['gateway_us']:.1f} + nginx "
        f"{fcgi['nginx_us']:.1f}, curl {curl['client_us']:.1f}, libpq {sql['client_us']:.1f} + PostgreSQL {sql['postgres_us']:.1f})"
    )
    return {"ours_us": whole, "floor_us": floor, "ours": ours, "batch": exact, "mixed_percent": mixed_percent, "fcgi": fcgi, "sql": sql, "curl": curl}


def measure_floor(bench: Bench) -> None:
    bench.stack.set_latency(0)
    bench.floor.start()
    measure(bench.stack, CLIENTS, 2, "warm-up")
    bench.stack.settle()
    # Both sides shall plan by the tables as they are: a plan of a fresh, empty database is no floor.
    bench.stack.query("analyze")
    rounds = [one_round(bench, number) for number in range(1, bench.runs + 1)]
    bench.details["floor"] = rounds
    for found in rounds:
        bench.rows["floor_cpu_us_per_invoice"].add(found["ours_us"], found["floor_us"])
