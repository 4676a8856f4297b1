"""One process of the sandbox and a client for it, on http.client alone."""

import dataclasses
import http.client
import json
import os
import signal
import ssl
import subprocess
import time
import urllib.parse
from pathlib import Path

BINARY = Path(os.environ.get("INVOICEGATE_BUILD", "build")).resolve() / "invoicegate-sandbox"
PATIENCE_S = 20


@dataclasses.dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def error(self) -> dict:
        return self.json["error"]


class Sandbox:
    """One process of the real binary, on a free port."""

    def __init__(self, directory: Path, *arguments: str, tls: ssl.SSLContext | None = None):
        self.directory = directory
        self.arguments = arguments
        self.tls = tls
        self.start()

    def start(self) -> None:
        port_file = self.directory / "port"
        port_file.unlink(missing_ok=True)
        self.log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            [BINARY, "--listen", "127.0.0.1:0", "--port-file", port_file, *self.arguments], stderr=self.log
        )
        for _ in range(PATIENCE_S * 50):
            if port_file.exists():
                self.port = int(port_file.read_text())
                return
            assert self.process.poll() is None, (self.directory / "log").read_text()
            time.sleep(0.02)
        raise AssertionError("the sandbox did not start")

    def stop(self, sig: int = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        code = self.process.wait(timeout=PATIENCE_S)
        self.log.close()
        return code

    def connect(self, timeout_s: float = PATIENCE_S) -> http.client.HTTPConnection:
        if self.tls is not None:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def send(self, method: str, path: str, body: bytes | str | None, headers: dict, timeout_s: float = PATIENCE_S):
        connection = self.connect(timeout_s)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def call(
        self,
        method: str,
        path: str,
        form: dict | None = None,
        *,
        key: str | None = None,
        account: str | None = "acct_1",
        version: str | None = None,
        secret: str = "sk_test_sandbox",
        timeout_s: float = PATIENCE_S,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {secret}"}
        if account is not None:
            headers["Stripe-Account"] = account
        if version is not None:
            headers["Stripe-Version"] = version
        if key is not None:
            headers["Idempotency-Key"] = key
        body = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urllib.parse.urlencode(form)
        return self.send(method, path, body, headers, timeout_s)

    def get(self, path: str, **options) -> Answer:
        return self.call("GET", path, **options)

    def post(self, path: str, form: dict | None = None, **options) -> Answer:
        return self.call("POST", path, form or {}, **options)

    def delete(self, path: str, **options) -> Answer:
        return self.call("DELETE", path, **options)

    def control(self, method: str, path: str, value: dict | None = None) -> dict:
        body = None if value is None else json.dumps(value)
        answer = self.send(method, f"/_sandbox/{path}", body, {"Content-Type": "application/json"})
        assert answer.status == 200, answer.body
        return answer.json

    def fault(self, fault: str, **rule) -> int:
        return self.control("POST", "faults", {"fault": fault, **rule})["id"]

    def ledger(self, query: str = "") -> dict:
        return self.control("GET", f"ledger{query}")

    def customer(self, **form: str) -> str:
        answer = self.post("/v1/customers", {"name": "Jenny", "email": "jenny@example.com"} | form)
        assert answer.status == 200, answer.body
        return answer.json["id"]

    def invoice(self, customer: str | None = None, **form: str) -> dict:
        answer = self.post("/v1/invoices", {"customer": customer or self.customer()} | form)
        assert answer.status == 200, answer.body
        return answer.json
