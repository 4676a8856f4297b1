"""What hostile and thoughtless clients do, each in a process of its own: attacks.py NAME reads its task as JSON on standard
input and writes what came of it on standard output.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import secrets
import selectors
import socket
import sys
import threading
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import wire
from callers import Caller, Room, connect

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DRIP_S = 3.0
Task = dict[str, Any]


def addresses(network: int) -> Iterator[str]:
    """Round and round through 127.NETWORK.0.0/16."""
    return itertools.cycle(f"127.{network}.{number >> 8}.{number & 255}" for number in range(1, 65000))


def wrong_key() -> str:
    """Right in form and checksum, but nobody's."""
    key = "igk_live_" + "".join(DIGITS[byte % 62] for byte in secrets.token_bytes(30))
    crc, digits = zlib.crc32(key.encode()), ""
    for _ in range(6):
        digits, crc = DIGITS[crc % 62] + digits, crc // 62
    return key + digits


def wish(task: Task, key: str, *, close: bool = False) -> bytes:
    headers = [("Authorization", key), ("Content-Type", "application/json")]
    return wire.request_bytes("POST", task["path"], headers, task["body"].encode(), close=close)


# ---- connections that do nothing, or next to nothing


class Idler:
    """One of thousands; opened again whenever nginx has had enough of it."""

    def __init__(self, task: Task, number: int, source: str):
        self.task, self.kind, self.source = task, number % 4, source
        self.sock: socket.socket | None = None
        self.opened = 0

    def open(self) -> None:
        request = wish(self.task, self.task["key"])
        head = request.index(b"\r\n\r\n") + 4
        begin = (b"", request[: head - 40], request[: head + 10], wire.request_bytes("GET", "/nowhere", [], close=False))
        self.sock = connect(self.task["port"], self.source)
        self.sock.sendall(begin[self.kind])
        self.sock.setblocking(False)
        self.opened += 1

    def drip(self) -> None:
        """One byte more of a header or of a body."""
        assert self.sock is not None
        if self.kind in (1, 2):
            self.sock.send(b"x" if self.kind == 1 else b" ")


def idle(task: Task) -> dict[str, Any]:
    """Silent ones, slow headers, slow bodies, and such that keep their connection after an answer."""
    sources = addresses(20)
    crowd = [Idler(task, number, next(sources)) for number in range(task["count"])]
    selector = selectors.EpollSelector()
    most, end, index = 0, time.monotonic() + task["seconds"], 0
    waiting = list(crowd)
    while time.monotonic() < end:
        for idler in waiting[:200]:
            try:
                idler.open()
                selector.register(idler.sock, selectors.EVENT_READ, idler)
            except OSError:
                pass  # its turn comes again
        waiting = [idler for idler in waiting[:200] if idler.sock is None] + waiting[200:]
        for key, _ in selector.select(0.05):
            _look(selector, key.data, waiting)
        part = int(len(crowd) * 0.05 / DRIP_S) + 1
        for idler in (crowd[(index + number) % len(crowd)] for number in range(part)):
            if idler.sock is not None:
                try:
                    idler.drip()
                except OSError:
                    pass  # read events tell
        index += part
        most = max(most, len(crowd) - len(waiting))
    return {"requests": sum(idler.opened for idler in crowd), "note": f"{most:,} open at once"}


def _look(selector: selectors.BaseSelector, idler: Idler, waiting: list[Idler]) -> None:
    """An answer to a request that was made of nothing is read; an end is the beginning of the next one."""
    assert idler.sock is not None
    try:
        if idler.sock.recv(65536):
            return
    except BlockingIOError:
        return
    except OSError:
        pass
    selector.unregister(idler.sock)
    idler.sock.close()
    idler.sock = None
    waiting.append(idler)


# ---- more than anybody wants to read


def _pour(task: Task, source: str, head: bytes, piece: bytes, most_bytes: int) -> str:
    """Sends until it is refused; answers how that went."""
    try:
        with connect(task["port"], source) as sock:
            sock.sendall(head)
            sock.settimeout(0.0)
            sent, end = 0, time.monotonic() + 10
            while sent < most_bytes and time.monotonic() < end:
                try:
                    sent += sock.send(piece)
                except BlockingIOError:
                    time.sleep(0.001)
                try:
                    told = sock.recv(4096)
                    return told[9:12].decode("latin-1") if told else "closed"
                except BlockingIOError:
                    pass
            sock.settimeout(20)
            return sock.recv(4096)[9:12].decode("latin-1") or "closed"
    except TimeoutError:
        return "taken"
    except OSError:
        return "closed"


def _pours(task: Task, network: int, heads: Iterator[bytes], piece: bytes, most_bytes: int) -> dict[str, Any]:
    """Several at once, one after the other until the time is over."""
    ends: Counter[str] = Counter()
    sources, lock = addresses(network), threading.Lock()

    def pour_on() -> None:
        while time.monotonic() < task["end"]:
            with lock:
                source, head = next(sources), next(heads)
            end = _pour(task, source, head, piece, most_bytes)
            with lock:
                ends[end] += 1
            time.sleep(0.01)

    threads = [threading.Thread(target=pour_on) for _ in range(task["at_once"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"requests": sum(ends.values()), "statuses": dict(ends), "wrong": ends["200"] + ends["taken"]}


def headers(task: Task) -> dict[str, Any]:
    """Headers of a megabyte."""
    head = wire.request_bytes("POST", task["path"], [], content_length=None, close=False)[:-2]
    return _pours(task, 21, itertools.repeat(head), b"X-%s: %s\r\n" % (b"h" * 20, b"a" * 4000), 2**20)


def bodies(task: Task) -> dict[str, Any]:
    """Bodies in chunks that never end, each with another key."""

    def head() -> bytes:
        lines = wish(task, wrong_key()).split(b"\r\n\r\n")[0].replace(b"Content-Length: ", b"X-Was: ")
        return lines + b"\r\nTransfer-Encoding: chunked\r\n\r\n"

    heads = (head() for _ in itertools.count())
    return _pours(task, 22, heads, b"2000\r\n" + b" " * 8192 + b"\r\n", 2**30)


# ---- many requests


class Tally:
    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.lost = 0
        self.ids: list[str] = []
        self.seconds: list[float] = []

    def told(self, status: int, body: bytes, seconds: float) -> None:
        self.statuses[status] += 1
        self.seconds.append(seconds)
        if status == 200:
            self.ids.append(json.loads(body)["id"])

    def miss(self, count: int) -> None:
        self.lost += count

    def result(self, allowed: tuple[int, ...]) -> dict[str, Any]:
        wrong = sum(count for status, count in self.statuses.items() if status not in allowed)
        return {"requests": sum(self.statuses.values()), "statuses": dict(self.statuses), "ids": self.ids, "lost": self.lost,
                "wrong": wrong}


def wrong_keys(task: Task) -> dict[str, Any]:
    """Each key another one; so many from one address that nobody there is slowed down."""
    room, tally, sources = Room(), Tally(), addresses(23)

    def some() -> Iterator[bytes]:
        return (wish(task, wrong_key()) for _ in range(task["each"]))

    def visitors() -> None:
        """A new address as soon as one is done."""
        while room.busy < task["at_once"] and started[0] < task["count"] // task["each"] and room.open:
            started[0] += 1
            Caller(room, task["port"], next(sources), some(), tally.told, depth=10, lost=tally.miss)
        if started[0] < task["count"] // task["each"] and room.open:
            room.at(time.monotonic() + 0.005, visitors)

    started = [0]
    visitors()
    room.run(task["end"])
    return tally.result((401,))


def one_address(task: Task) -> dict[str, Any]:
    """Wrong keys without an end, all from one address."""
    room, tally = Room(), Tally()
    for number in range(task["at_once"]):
        requests = (wish(task, wrong_key()) for _ in itertools.count())
        Caller(room, task["port"], "127.24.0.1", requests, tally.told, lost=tally.miss, think_s=task["think_s"],
               begin_s=number / 1000)
    room.run(task["end"])
    return tally.result((401, 429))


def flood(task: Task) -> dict[str, Any]:
    """One tenant that asks as fast as it can, with as many keys and from as many addresses as it has."""
    room, tally = Room(), Tally()
    sources = [f"127.25.{number >> 8}.{number & 255}" for number in range(1, task["addresses"] + 1)]
    for number in range(task["at_once"]):
        requests = itertools.repeat(wish(task, task["keys"][number % len(task["keys"])]))
        Caller(room, task["port"], sources[number % len(sources)], requests, tally.told, lost=tally.miss,
               think_s=task["think_s"], begin_s=number / 500)
    room.run(task["end"])
    return tally.result((200, 429, 503))


def timing(task: Task) -> dict[str, Any]:
    """Wrong keys of several kinds in turns, one after the other: how long each waits for its 401."""
    tallies = {kind: Tally() for kind in task["kinds"]}
    sources = addresses(27)
    while time.monotonic() < task["end"]:
        room, source = Room(), next(sources)
        kinds = list(tallies) * task["each"]
        random.shuffle(kinds)
        expected = iter(kinds)
        requests = (wish(task, wrong_key() if kind == "unknown" else task["kinds"][kind]) for kind in kinds)
        Caller(room, task["port"], source, requests, lambda *told: tallies[next(expected)].told(*told), lost=tallies["unknown"].miss,
               think_s=0.01)
        room.run(task["end"])
    results = [tally.result((401,)) for tally in tallies.values()]
    return {
        "ms": {kind: [seconds * 1000 for seconds in tally.seconds] for kind, tally in tallies.items()},
        "lost": sum(result["lost"] for result in results),
        "wrong": sum(result["wrong"] for result in results),
    }


def tenants(task: Task) -> dict[str, Any]:
    """No attack: well-behaved tenants, each on a few connections, from addresses of their own. They go on until told to end."""
    room, tally = Room(), Tally()
    for number, tenant in enumerate(task["tenants"]):
        for connection in range(task["each"]):
            requests = itertools.repeat(wish(task | tenant, tenant["key"]))
            Caller(room, task["port"], f"127.26.{number}.{connection + 1}", requests, tally.told, lost=tally.miss,
                   think_s=task["think_s"], begin_s=(number * task["each"] + connection) / 50)

    def over() -> None:
        room.open = False
        room.selector.unregister(sys.stdin.buffer.raw)

    room.selector.register(sys.stdin.buffer.raw, selectors.EVENT_READ, over)  # whoever started this closes it
    room.run(task["end"])
    return tally.result((200,)) | {"ms": [seconds * 1000 for seconds in tally.seconds]}


ATTACKS = {attack.__name__: attack for attack in (idle, headers, bodies, wrong_keys, one_address, flood, timing, tenants)}


def main() -> None:
    task = json.loads(sys.stdin.buffer.raw.readline())
    os.nice(task.get("nice", 0))
    task["end"] = time.monotonic() + task["seconds"]
    print(json.dumps(ATTACKS[sys.argv[1]](task)))


if __name__ == "__main__":
    main()
