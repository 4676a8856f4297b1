"""Two workers, a socket each, behind the shipped upstream block: restarting one after the other refuses nothing."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Iterator

import pytest

from books import Books
from edge import Edge, Instance
from stack import Stack, Tenant
from waiting import wait_for

CLIENTS = 24
ROUNDS = 3  # each restarts both
BETWEEN = 40  # answers that must come between two restarts


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(DEADLINE_MS=10000, LEASE_MS=3000) as stack:
        yield stack


class Clients:
    """Ask for one invoice after the other, some on kept connections and some on new ones, until told to stop."""

    def __init__(self, edge: Edge, stack: Stack, tenant: Tenant):
        self.edge, self.path = edge, stack.invoices_path(tenant)
        self.body = json.dumps({"data": stack.data(tenant)})
        self.headers = {"Authorization": tenant.key, "Content-Type": "application/json"}
        self.statuses: Counter[int] = Counter()
        self.refused: list[str] = []
        self.ids: list[str] = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.edge.plain_port, timeout=60)
        count = 0
        while not self.over.is_set():
            count += 1
            keyed = {"Idempotency-Key": f"{number}-{count}"} if number % 2 else {}
            closing = {"Connection": "close"} if number % 3 == 0 else {}
            connection.request("POST", self.path, self.body, self.headers | keyed | closing)
            response = connection.getresponse()
            told = response.read()
            self.statuses[response.status] += 1
            if response.status == 200:
                self.ids.append(json.loads(told)["id"])
            else:
                self.refused.append(f"{response.status} {told.decode()}")
        connection.close()

    def __enter__(self) -> Clients:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive()

    def more(self, count: int) -> None:
        """Waits for so many more answers."""
        goal = sum(self.statuses.values()) + count
        wait_for("answers", lambda: sum(self.statuses.values()) >= goal, 60)


def test_restarting_one_after_the_other_refuses_nothing(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    tenant, books = stack.tenant(), Books(stack)
    stack.sandbox.latency(30, 60)
    place = Path(worker_directory(stack))
    with Instance(stack, place / "1.sock") as first, Instance(stack, place / "2.sock") as second:
        with Edge([first.path, second.path]) as edge:
            with Clients(edge, stack, tenant) as clients:
                clients.more(BETWEEN)
                for _ in range(ROUNDS):
                    for worker in (first, second):
                        worker.restart()
                        clients.more(BETWEEN)
            log = edge.log("access")
    print(f"{2 * ROUNDS} restarts under {CLIENTS} clients: {dict(clients.statuses)}")
    assert clients.refused == []
    assert len(set(clients.ids)) == len(clients.ids) == clients.statuses[200]
    # Both had their share, and a restarting worker really refused: nginx went on to the other.
    assert "1.sock" in log and "2.sock" in log
    assert ".sock, unix:" in log, "no request was passed on: the restarts were not under load"
    assert books.assert_balanced().created == clients.statuses[200]


def worker_directory(stack: Stack) -> Path:
    """Short, and private to this stack."""
    place = stack.dir / "instances"
    place.mkdir(exist_ok=True)
    return place
