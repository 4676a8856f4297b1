"""Time that the gateway adds: 200 requests a second, evenly spaced, through the whole stack; and the same two upstream calls
one after the other through nginx alone. The difference of the percentiles is what the gateway, its two commits and its
batches cost a request that finds the machine idle."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from stack import ROOT, Stack, free_port
from wrk import measure, say

if TYPE_CHECKING:
    from bench import Bench

PROGRAM = Path(os.environ.get("INVOICEGATE_BENCH", ROOT / "build/bench")) / "rate/fixed_rate"
RATE, CONNECTIONS = 200, 64
MARK_P50_MS, MARK_P99_MS = 1.5, 6.0

NGINX = """
upstream proxied {{
    server {sandbox};
    keepalive 512;
    keepalive_requests 100000;
}}
server {{
    listen 127.0.0.1:{port} backlog=4096;
    access_log {log} invoicegate;
    keepalive_requests 1000000;
    location / {{
        proxy_pass http://proxied;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }}
}}
"""


def open_proxy(stack: Stack) -> int:
    """The sandbox behind the stack's nginx, which is told to read its files again: the sandbox's port was not known before."""
    port = free_port()
    sandbox = stack.facts["INVOICEGATE_SANDBOX_URL"].removeprefix("http://")
    server = NGINX.format(sandbox=sandbox, port=port, log=stack.directory / "log/proxied-access.log")
    with (stack.directory / "more-servers.conf").open("a") as servers:
        servers.write(server)
    os.kill(stack.parts()["nginx"][0], signal.SIGHUP)
    give_up = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return port
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def request_text(path: str, headers: dict[str, str], body: str) -> str:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])


def write_requests(bench: Bench) -> dict[str, list[Path]]:
    """Ours, and the two calls that a worker makes of it; @@@@@@@@ and $$$$ are filled in by the program."""
    stack, facts = bench.stack, bench.stack.facts
    client, customer, price, version = stack.query(
        "select client_id, customer_id, price_id, upstream_version from gateway.invoice_requests"
        " where state = 'created' order by request_id limit 1"
    )[0]
    body = {"clientId": client, "productId": facts["INVOICEGATE_PRODUCT"], "collection_method": "send_invoice", "days_until_due": 30}
    ours = request_text(
        f"/v1/public/stripe/connect/accounts/{facts['INVOICEGATE_ACCOUNT']}/invoices",
        {"Authorization": facts["INVOICEGATE_KEY"], "Content-Type": "application/json"},
        json.dumps({"data": body}, separators=(",", ":")),
    )
    key = (stack.directory / "secret/upstream-key").read_text()
    headers = {
        "Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode(), "Stripe-Version": version,
        "Stripe-Account": facts["INVOICEGATE_ACCOUNT"], "User-Agent": "invoicegate/1",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    request = f"{os.urandom(4).hex()}-0000-7000-8000-0000@@@@@@@@"
    form = {"customer": customer, "collection_method": "send_invoice", "days_until_due": "30", "auto_advance": "false",
            "pending_invoice_items_behavior": "exclude", "currency": "usd", "metadata[invoicegate_request]": request,
            "metadata[invoicegate_client]": client}
    invoice = request_text("/v1/invoices", {**headers, "Idempotency-Key": f"invoicegate-{os.urandom(4).hex()}-@@@@@@@@-invoice-1"},
                           urlencode(form, safe="@[]"))
    lines = request_text("/v1/invoices/$$$$/add_lines", {**headers, "Idempotency-Key": f"invoicegate-{os.urandom(4).hex()}-@@@@@@@@-lines-1"},
                         urlencode({"lines[0][pricing][price]": price, "lines[0][quantity]": "1"}, safe="[]"))
    files = {"ours": [ours], "proxied": [invoice, lines]}
    return {name: [write(stack.directory / f"{name}-{at}", text) for at, text in enumerate(texts)] for name, texts in files.items()}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def run(port: int, seconds: int, files: list[Path]) -> dict[str, int]:
    done = subprocess.run([PROGRAM, str(port), str(RATE), str(seconds), str(CONNECTIONS), *files], capture_output=True, text=True,
                          timeout=seconds + 60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"fixed_rate failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def sync_ms(directory: Path) -> float:
    """What one commit waits for at least: a page written and synced, where the database lies."""
    times = []
    with (directory / "sync-test").open("wb", buffering=0) as file:
        for _ in range(100):
            begun = time.perf_counter()
            file.write(bytes(8192))
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def measure_added(bench: Bench) -> None:
    stack = bench.stack
    stack.set_latency(0)
    measure(stack, 64, 2, "warm-up")
    stack.settle()
    port = open_proxy(stack)
    kept, syncs = [], []
    seconds = bench.seconds + (0 if bench.quick else 7)
    for number in range(1, bench.runs + 1):
        files = write_requests(bench)
        syncs.append(sync_ms(stack.directory))
        ours = run(int(stack.environment["PORT"]), seconds, files["ours"])
        stack.settle()
        proxied = run(port, seconds, files["proxied"])
        stack.made_elsewhere += proxied["answered"]
        for name, found in (("ours", ours), ("proxied", proxied)):
            if found["failed"]:
                bench.problems.append(f"{RATE}/s, {name}: {found['failed']} of {found['wanted']} calls were not answered with 200")
        for share, mark in (("p50", MARK_P50_MS), ("p99", MARK_P99_MS)):
            bench.rows[f"added_ms_{share}"].add((ours[f"{share}_us"] - proxied[f"{share}_us"]) / 1000, mark)
        say(f"  run {number}: ours p50 {ours['p50_us'] / 1000:.2f} ms, p99 {ours['p99_us'] / 1000:.2f} ms; two calls through nginx "
            f"p50 {proxied['p50_us'] / 1000:.2f} ms, p99 {proxied['p99_us'] / 1000:.2f} ms")
        kept.append({"ours": ours, "proxied": proxied, "sync_ms": syncs[-1]})
    bench.rows["added_ms_p50"].remark = f"two commits are in it; a page written and synced took {statistics.median(syncs):.2f} ms meanwhile"
    bench.details["added"] = kept
