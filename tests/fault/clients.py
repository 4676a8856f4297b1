"""Clients as they are in the wild: some with keys, who insist, and some without, who do not; some leave early."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time

import paths  # noqa: F401
import wire
from stack import Stack, Tenant
from wishes import Attempt, Wish, Wishes

# The official libraries wait 80 s, which the gateway's default deadline of 30 s fits into; both are scaled by ten.
PATIENCE_S = 8.0
RETRIES = 2
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.5, 5.0


def backoff_s(tries: int, rng: random.Random) -> float:
    """As the official libraries: doubled each time, with jitter, never under the first."""
    top = min(BACKOFF_FIRST_S * 2**tries, BACKOFF_MAX_S)
    return max(BACKOFF_FIRST_S, top * 0.5 * (1 + rng.random()))


def is_retried(attempt: Attempt) -> bool:
    return attempt.status is None or attempt.status == 409 or attempt.status >= 500


class Population:
    """The tenants of a run, each with many clients (cold customers) and a few that are used again and again."""

    WARM, COLD = 3, 300
    PRODUCTS = ["prod_usd_10000"] * 6 + ["prod_eur", "prod_jpy", "prod_no_default", "prod_unknown"]

    def __init__(self, stack: Stack) -> None:
        self.tenants = [stack.tenant(), stack.tenant(), stack.tenant(auto_advance=True)]
        for tenant in self.tenants:
            self._add_clients(stack, tenant)

    def _add_clients(self, stack: Stack, tenant: Tenant) -> None:
        stack.sql(
            "insert into gateway.clients (agency_id, client_id, name)"
            " select %s, 'cold_' || n, 'Client ' || n from generate_series(1, %s) n",
            tenant.agency,
            self.COLD,
        )
        stack.sql(
            "insert into gateway.members (agency_id, client_id, name, email, is_admin)"
            " select agency_id, client_id, 'Member of ' || name, client_id || '@example.com', true"
            " from gateway.clients where agency_id = %s and client_id like 'cold_%%'",
            tenant.agency,
        )

    def wish(self, rng: random.Random) -> Wish:
        tenant = rng.choice(self.tenants)
        cold = rng.random() < 0.3
        return Wish(
            tenant=tenant,
            api_key=tenant.test_key if rng.random() < 0.2 else tenant.key,
            client_id=f"cold_{rng.randint(1, self.COLD if cold else self.WARM)}",
            product_id=rng.choice(self.PRODUCTS),
            idempotency_key=f"{rng.getrandbits(64):016x}" if rng.random() < 0.5 else None,
        )


class Client(threading.Thread):
    """One after another, until the end of the run."""

    def __init__(self, stack: Stack, population: Population, wishes: Wishes, seed: str) -> None:
        super().__init__(name=f"client {seed}", daemon=True)
        self.stack, self.population, self.wishes = stack, population, wishes
        self.rng = random.Random(seed)
        self.earlier: list[Wish] = []

    def run(self) -> None:
        while not self.wishes.ended:
            wish = self._choose()
            if not self.wishes.enter(wish):
                return
            try:
                self._fulfil(wish)
            finally:
                self.wishes.leave()
            time.sleep(self.rng.random() * 0.05)

    def _choose(self) -> Wish:
        """Mostly something new; sometimes an old key again."""
        if self.earlier and self.rng.random() < 0.05:
            return self.rng.choice(self.earlier)
        wish = self.population.wish(self.rng)
        if wish.idempotency_key:
            self.earlier.append(wish)
        return wish

    def _fulfil(self, wish: Wish) -> None:
        """Sometimes a key is used by two at the same time."""
        twin = None
        if wish.idempotency_key and self.rng.random() < 0.05:
            twin = threading.Thread(target=self._insist, args=(wish, random.Random(self.rng.random())), daemon=True)
            twin.start()
        self._insist(wish, self.rng)
        if twin:
            twin.join()

    def _insist(self, wish: Wish, rng: random.Random) -> None:
        impatient = rng.random() < 0.1
        patience_s = rng.uniform(0.02, 2.5) if impatient else PATIENCE_S
        for tries in range(1 + (RETRIES if wish.idempotency_key and not impatient else 0)):
            if tries:
                time.sleep(backoff_s(tries - 1, rng))
            attempt = self.attempt(wish, patience_s)
            self.wishes.told(wish, attempt)
            if not is_retried(attempt):
                return

    def attempt(self, wish: Wish, patience_s: float) -> Attempt:
        attempt = Attempt(begun=time.time())
        try:
            answer = wire.exchange(self.stack.port, self._request(wish), timeout_s=patience_s)
            self._read(attempt, answer)
        except TimeoutError:
            attempt.left = True
        except (OSError, wire.NoAnswer, http.client.HTTPException, ValueError) as problem:
            attempt.problem = f"{type(problem).__name__}: {problem}"
        attempt.ended = time.time()
        return attempt

    def _request(self, wish: Wish) -> bytes:
        return self.stack.create_bytes(
            wish.tenant,
            key=wish.api_key,
            idempotency_key=wish.idempotency_key,
            clientId=wish.client_id,
            productId=wish.product_id,
        )

    @staticmethod
    def _read(attempt: Attempt, answer: wire.Answer) -> None:
        body = json.loads(answer.body)
        attempt.status = answer.status
        attempt.request_id = answer.header("Request-Id") or ""
        attempt.replayed = answer.replayed
        if answer.status == 200:
            attempt.invoice_id, attempt.amount_minor = body["id"], body["amount"]
            attempt.currency, attempt.customer_id = body["currency"], body["customer"]["id"]
        else:
            attempt.error = body["error"]
