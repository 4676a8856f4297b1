"""Remote control of the sandbox, the stand-in upstream of a stack (invoicegate-sandbox --help lists what it can do).

    stack.sandbox.fault("reset_after", step="invoice", count=1)     # the next answer to POST /v1/invoices is lost
    stack.sandbox.ledger()["invoices"]                              # what really exists
    stack.sandbox.calls()                                           # the last calls, oldest first
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import urllib.parse
from typing import Any, Iterator

from waiting import wait_for


class Sandbox:
    """Speaks to the control paths only, never as the gateway does."""

    def __init__(self, url: str):
        self.port = urllib.parse.urlsplit(url).port

    def control(self, method: str, path: str, value: Any = None) -> Any:
        # The fault refuse_connection closes the door for a second, for us too.
        return wait_for("the sandbox", lambda: self._control(method, path, value), timeout_s=10)[0]

    def _control(self, method: str, path: str, value: Any) -> list[Any]:
        """The answer in a list; an empty one when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            body = None if value is None else json.dumps(value)
            connection.request(method, f"/_sandbox/{path}", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer
            return [json.loads(answer)]
        except ConnectionRefusedError:
            return []
        finally:
            connection.close()

    def fault(self, fault: str, **rule: Any) -> int:
        """Adds a rule; members: step, account, probability, count, skip, retry_after_s, delay_ms, status, bytes, raw."""
        return self.control("POST", "faults", {"fault": fault, **rule})["id"]

    def faults(self) -> list[dict[str, Any]]:
        """The rules and how often each fired."""
        return self.control("GET", "faults")["data"]

    def fired(self, fault_id: int) -> int:
        return next(rule["fired"] for rule in self.faults() if rule["id"] == fault_id)

    def no_faults(self, fault_id: int | None = None) -> None:
        """Removes one rule or all of them."""
        self.control("DELETE", "faults" if fault_id is None else f"faults/{fault_id}")

    @contextlib.contextmanager
    def faulty(self, fault: str, **rule: Any) -> Iterator[int]:
        """A rule for the length of a with block; the value is its id."""
        fault_id = self.fault(fault, **rule)
        try:
            yield fault_id
        finally:
            self.no_faults(fault_id)

    def latency(self, latency_ms: int, jitter_ms: int = 0) -> None:
        self.control("POST", "latency", {"latency_ms": latency_ms, "jitter_ms": jitter_ms})

    def ledger(self, account: str | None = None) -> dict[str, Any]:
        """Everything that exists: invoices, customers, invoiceitems, keys, counts, calls."""
        return self.control("GET", "ledger" + (f"?account={account}" if account else ""))

    def counts(self) -> dict[str, int]:
        """How often each step was called since the start (or reset); member total for all."""
        return self.control("GET", "ledger?summary=true")["calls"]

    def calls(self, limit: int = 1000, account: str | None = None) -> list[dict[str, Any]]:
        """The last calls (at most 10000), oldest first: method, path, stripe_account, idempotency_key, body, status, ..."""
        found = self.control("GET", f"calls?limit={limit}")["data"]
        return [call for call in found if account is None or call["stripe_account"] == account]

    def api(self, method: str, path: str, fields: dict[str, Any] | None = None, *, account: str, mode: str = "live") -> Any:
        """One call as the operator of an account would make it, such as POST products; it counts as a call."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        secret = base64.b64encode(f"sk_{mode}_sandbox:".encode()).decode()
        headers = {"Authorization": f"Basic {secret}", "Stripe-Account": account}
        body = None
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urllib.parse.urlencode(fields)
        try:
            connection.request(method, f"/v1/{path}", body, headers)
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer
            return json.loads(answer)
        finally:
            connection.close()

    def reset(self) -> None:
        """Forgets everything, customers too: better give a test an account of its own (Stack.tenant)."""
        self.control("POST", "reset")
