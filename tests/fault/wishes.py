"""What clients wish for and what they were told, attempt by attempt.

A wish is one invoice that somebody wants. With a key it is sent again as the official client libraries do; without one
it is sent once. Nothing is thrown away: the comparison wants every answer, and every silence.
"""

from __future__ import annotations

import dataclasses
import re
import threading
import time

import paths  # noqa: F401
from stack import Tenant

WORKERS_OWN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclasses.dataclass
class Attempt:
    """One HTTP request of a client and what came back."""

    begun: float  # unix time, as all moments here
    ended: float = 0.0
    status: int | None = None  # None: no answer
    left: bool = False  # the client went away without waiting longer
    problem: str = ""  # of the connection
    request_id: str = ""
    replayed: bool = False
    invoice_id: str = ""
    amount_minor: int | None = None
    currency: str = ""
    customer_id: str = ""
    error: str = ""

    @property
    def by_worker(self) -> bool:
        """Whether a worker said it; nginx gives its own answers another kind of id."""
        return bool(WORKERS_OWN_ID.fullmatch(self.request_id))

    def tell(self) -> str:
        moment = time.strftime("%H:%M:%S", time.gmtime(self.begun)) + f"{self.begun % 1:.3f}"[1:]
        who = "worker" if self.by_worker else "nginx"
        if self.status is None:
            said = "left without an answer" if self.left else f"no answer ({self.problem})"
        else:
            said = f"{self.status} by the {who}, Request-Id {self.request_id or '-'}, {self.invoice_id or self.error}"
        return f"{moment} +{self.ended - self.begun:.3f} s: {said}{' (replayed)' if self.replayed else ''}"


@dataclasses.dataclass
class Wish:
    tenant: Tenant
    api_key: str
    client_id: str
    product_id: str
    idempotency_key: str | None
    attempts: list[Attempt] = dataclasses.field(default_factory=list)

    def tell(self) -> list[str]:
        who = f"client {self.client_id}, product {self.product_id}, "
        return [who + (f"key {self.idempotency_key}" if self.idempotency_key else "no key")] + [
            "  " + attempt.tell() for attempt in self.attempts
        ]


class Wishes:
    """All wishes so far, for many threads; and a gate that holds new ones back."""

    def __init__(self) -> None:
        self.all: list[Wish] = []
        self.told_200 = 0
        self._condition = threading.Condition()
        self._active = 0
        self._open = True
        self._ended = False

    def enter(self, wish: Wish) -> bool:
        """Waits at the gate; False when there is no more to be done. leave() follows."""
        with self._condition:
            while not self._open and not self._ended:
                self._condition.wait(1.0)
            if self._ended:
                return False
            self._active += 1
            if not wish.attempts:
                self.all.append(wish)
            return True

    def leave(self) -> None:
        with self._condition:
            self._active -= 1
            self._condition.notify_all()

    def told(self, wish: Wish, attempt: Attempt) -> None:
        with self._condition:
            wish.attempts.append(attempt)
            self.told_200 += attempt.status == 200 and not attempt.replayed

    def hold(self, timeout_s: float) -> bool:
        """Closes the gate and waits for those who are inside."""
        with self._condition:
            self._open = False
            return self._condition.wait_for(lambda: self._active == 0, timeout_s)

    def release(self) -> None:
        with self._condition:
            self._open = True
            self._condition.notify_all()

    def end(self) -> None:
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    @property
    def ended(self) -> bool:
        return self._ended
