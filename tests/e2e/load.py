"""Clients that go on asking while a test does damage.

    with Load(stack, books) as load:
        damage()
        load.wait_for_more(20)          # so many further invoices told
    books.assert_balanced()

Every other client has a key and asks with it until it is told 200; the others ask once, without one.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import Any

from books import Books
from stack import Stack, Tenant
from waiting import wait_for
from wire import Answer, NoAnswer


_numbers = itertools.count(1)  # books may hold keys of several loads


class Load:
    TRIES = 200
    PAUSE_S = 0.1

    def __init__(self, stack: Stack, books: Books, tenant: Tenant | None = None, clients: int = 6) -> None:
        self.stack, self.books, self.tenant = stack, books, tenant or stack.demo
        self.created = 0
        self.statuses: set[int] = set()
        self.problems: list[str] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number % 2 == 0,), daemon=True) for number in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.wait_for_more(5)
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a client does not end"
        assert not self.problems, self.problems

    def wait_for_more(self, count: int) -> None:
        wanted = self.created + count
        wait_for(f"{count} more invoices", lambda: self.created >= wanted or self.problems, 60.0)

    def _run(self, keyed: bool) -> None:
        while not self._ended.is_set() and not self.problems:
            key = f"load-{next(_numbers)}" if keyed else None
            if keyed:
                self._insist(key)
            elif self._ask(key) is None:
                time.sleep(self.PAUSE_S)

    def _insist(self, key: str | None) -> None:
        """As a client that was told that this is safe."""
        for _ in range(self.TRIES):
            answer = self._ask(key)
            if answer and answer.status == 200:
                return
            time.sleep(self.PAUSE_S)
        self.problems.append(f"{key} was never told 200")

    def _ask(self, key: str | None) -> Answer | None:
        answer = None
        with contextlib.suppress(NoAnswer):
            answer = self.stack.create(self.tenant, idempotency_key=key)
        with self._lock:
            if answer:
                self.books.told(answer, key)
                self.statuses.add(answer.status)
                self.created += answer.status == 200
                if answer.status not in (200, 409, 503, 504):
                    self.problems.append(f"{key}: {answer.status} {answer.body!r}")
        return answer if answer and answer.status == 200 else None
