"""The upstream's side of a run: faults on and off by chance, changes between attempts, and a record of every call."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import random
import threading
import time
import urllib.parse
from collections import Counter, defaultdict
from typing import Any, Iterator, NamedTuple

import paths  # noqa: F401
from stack import Stack, Tenant
from upstream import Sandbox

STEPS = ["product", "price", "customer", "invoice", "lines", "list_invoices", "delete", "advance"]
STATUSES = [400, 402, 404, 408, 418, 500, 502, 504, 599]
# With these an upstream says that it has decided (no invoice; no such draft; no draft any more). One that lies about that
# cannot be served by anybody.
DECISIONS = {"invoice": (400, 402, 404), "delete": (400, 404)}
SAVED = "status_500_saved"  # only a look-up can tell, which takes a minute: rarer than the others
QUIET = (OSError, http.client.HTTPException, AssertionError, ValueError)  # the sandbox is away or refuses connections
SPOILED = (*QUIET, KeyError, TypeError)  # or its answer went through a fault


class Call(NamedTuple):
    at_ms: int
    method: str
    path: str
    account: str | None
    key: str | None
    body: str
    status: int
    fault: str | None

    def tell(self) -> str:
        spoiled = f" [{self.fault}]" if self.fault else ""
        return f"{self.at_ms / 1000:.3f} {self.method} {self.path} {self.key or ''} -> {self.status}{spoiled} {self.body}"


class Recorder(threading.Thread):
    """Reads the sandbox's last calls often enough to miss few, and never fails because the sandbox is away."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(name="recorder", daemon=True)
        self.sandbox = sandbox
        self.calls: list[Call] = []
        self.bodies: dict[tuple[str | None, str], set[tuple[str, str]]] = defaultdict(set)
        self.ended = threading.Event()
        self._seen = 0
        self._lock = threading.Lock()

    def run(self) -> None:
        while not self.ended.wait(0.5):
            self.read()

    def read(self) -> None:
        with contextlib.suppress(*QUIET), self._lock:
            answer = self.sandbox.control("GET", "calls?limit=1000")
            if answer["total"] < self._seen:
                self._seen = 0  # it was started anew
            fresh = answer["data"][-(answer["total"] - self._seen) :] if answer["total"] > self._seen else []
            self._seen = answer["total"]
            for call in fresh:
                self._add(call)

    def _add(self, call: dict[str, Any]) -> None:
        entry = Call(
            call["at_ms"],
            call["method"],
            call["path"],
            call["stripe_account"],
            call["idempotency_key"],
            call["body"],
            call["status"],
            call["fault"],
        )
        self.calls.append(entry)
        if entry.key:
            self.bodies[entry.account, entry.key].add((entry.path, entry.body))

    def about(self, *words: str) -> list[Call]:
        return [c for c in self.calls if any(w in c.path or w in c.body or w in (c.key or "") for w in words if w)]


class Faults:
    """Rules at random, per step, and how often each kind has fired."""

    def __init__(self, sandbox: Sandbox, rng: random.Random) -> None:
        self.sandbox, self.rng = sandbox, rng
        self.kinds: list[str] = sandbox.control("GET", "faults")["names"]
        self.fired: Counter[str] = Counter()
        self.shuffled = 0

    def _count(self) -> None:
        for rule in self.sandbox.faults():
            self.fired[rule["fault"]] += rule["fired"]

    def off(self) -> None:
        """Until the sandbox has heard it."""
        self._count()
        self.sandbox.no_faults()
        self.sandbox.latency(0)

    def shuffle(self) -> None:
        """Other faults than before, for other steps. The sandbox may be away: then it has none."""
        rules = [rule for step in STEPS for rule in self._rules(step)]
        self.shuffled += 1
        latency = (self.rng.choice([0, 20, 100]), self.rng.choice([0, 50, 200]))
        with contextlib.suppress(*QUIET):
            self.off()
            self.sandbox.latency(*latency)
            for rule in rules:
                self.sandbox.control("POST", "faults", rule)

    def _rules(self, step: str) -> Iterator[dict[str, Any]]:
        count = self.rng.choice([0, 0, 1, 1, 2, 3])
        for fault in self.rng.sample(self.kinds, count):
            if step == "list_invoices" and fault == "wrong_amount":
                continue  # a list that lies about a total alone cannot be told from a discount: lines are compared
            rule: dict[str, Any] = {"fault": fault, "step": step, "probability": round(self.rng.uniform(0.05, 0.5), 2)}
            if fault == SAVED:
                rule |= {"probability": 0.1, "count": 5}
            elif fault == "delay":
                rule["delay_ms"] = self.rng.randint(50, 1500)
            elif fault == "refuse_connection":
                rule |= {"delay_ms": self.rng.randint(50, 1000), "count": 2}
            elif fault == "status":
                rule["status"] = self.rng.choice([s for s in STATUSES if s not in DECISIONS.get(step, ())])
            elif fault == "endless_body":
                rule |= {"bytes": 3_000_000, "count": 3}
            yield rule


class FaultsAtRandom(threading.Thread):
    """Other faults every second or so, until it is told to end."""

    def __init__(self, faults: Faults, rng: random.Random) -> None:
        super().__init__(name="faults", daemon=True)
        self.faults, self.rng = faults, rng
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(self.rng.uniform(0.3, 1.5)):
            self.faults.shuffle()

    def end(self) -> None:
        self._ended.set()
        self.join(60)
        assert not self.is_alive(), "the faults do not end"


class Platform:
    """Somebody who uses the upstream's own API: what other people do there meanwhile, and what really stands."""

    def __init__(self, stack: Stack, tenants: list[Tenant], rng: random.Random) -> None:
        self.stack, self.tenants, self.rng = stack, tenants, rng

    def call(self, method: str, path: str, tenant: Tenant, live: bool, **form: Any) -> dict[str, Any]:
        key = "sk_live_sandbox" if live else "sk_test_sandbox"
        headers = {
            "Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode(),
            "Stripe-Account": tenant.account,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.sandbox.port, timeout=5)
        try:
            connection.request(method, path, urllib.parse.urlencode(form) if form else None, headers)
            return json.loads(self._read(connection.getresponse()))
        finally:
            connection.close()

    @staticmethod
    def _read(response: http.client.HTTPResponse) -> bytes:
        """Not for ever: a fault may let an answer drip."""
        end, body = time.monotonic() + 5.0, b""
        while piece := response.read1(65536):
            body += piece
            if time.monotonic() > end:
                raise TimeoutError("the answer takes too long")
        return body

    def invoices(self) -> Iterator[dict[str, Any]]:
        """Every invoice of every account and mode, to the last page."""
        for tenant in self.tenants:
            for live in (True, False):
                after, more = "", True
                while more:
                    page = self.call("GET", f"/v1/invoices?limit=100{after}", tenant, live)
                    yield from page["data"]
                    more = page["has_more"]
                    after = f"&starting_after={page['data'][-1]['id']}" if page["data"] else ""

    def delete_customers(self) -> bool:
        """The customers of one tenant: each client's next invoice finds none."""
        tenant, live = self.rng.choice(self.tenants), self.rng.random() < 0.8
        with contextlib.suppress(*SPOILED):
            found = self.call("GET", "/v1/customers?limit=100", tenant, live)["data"]
            for customer in found:
                if self.rng.random() < 0.5:
                    self.call("DELETE", f"/v1/customers/{customer['id']}", tenant, live)
            return bool(found)
        return False

    def change_price(self) -> bool:
        """A product gets another default price. What was frozen before keeps the old one."""
        tenant, live = self.rng.choice(self.tenants), self.rng.random() < 0.8
        product = "prod_usd_10000"
        with contextlib.suppress(*SPOILED):
            price = self.call(
                "POST", "/v1/prices", tenant, live, product=product, currency="usd", unit_amount=self.rng.randint(100, 99999)
            )
            self.call("POST", f"/v1/products/{product}", tenant, live, default_price=price["id"])
            return True
        return False
