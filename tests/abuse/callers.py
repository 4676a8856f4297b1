"""Clients in numbers: one thread and an epoll for thousands of connections, each from an address of this host that it chooses.

    room = Room()
    Caller(room, port, "127.1.0.1", requests, told, think_s=0.05)     # one connection, one request after the other
    room.run(until=time.monotonic() + 10)

A Caller asks on a kept connection until its requests end or the room closes. What was sent and never answered is lost.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import time
from typing import Callable, Iterator

AGAIN_S = 0.2  # after a refused connection


class Room:
    """The loop: sockets and moments."""

    def __init__(self) -> None:
        self.selector = selectors.EpollSelector()
        self.moments: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = itertools.count()
        self.open = True
        self.busy = 0  # callers that are not done

    def at(self, moment: float, call: Callable[[], None]) -> None:
        heapq.heappush(self.moments, (moment, next(self.numbers), call))

    def watch(self, sock: socket.socket, call: Callable[[], None]) -> None:
        self.selector.register(sock, selectors.EVENT_READ, call)

    def forget(self, sock: socket.socket) -> None:
        self.selector.unregister(sock)
        sock.close()

    def turn(self, end: float) -> None:
        due = min(self.moments[0][0], end) if self.moments else end
        for key, _ in self.selector.select(max(0.0, min(0.5, due - time.monotonic()))):
            key.data()
        now = time.monotonic()
        while self.moments and self.moments[0][0] <= now:
            heapq.heappop(self.moments)[2]()

    def run(self, until: float, patience_s: float = 60.0) -> None:
        """Until that moment or until all callers are done; then waits for the answers that are still to come."""
        while time.monotonic() < until and self.busy:
            self.turn(until)
        self.open = False
        end = time.monotonic() + patience_s
        while self.busy and time.monotonic() < end:
            self.turn(end)


def connect(port: int, source: str) -> socket.socket:
    """A connection from that address, which must be one of this host's (all of 127.0.0.0/8 are)."""
    sock = socket.create_connection(("127.0.0.1", port), 20, (source, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Caller:
    """depth requests are on their way at once, one behind the other on the same connection."""

    def __init__(
        self,
        room: Room,
        port: int,
        source: str,
        requests: Iterator[bytes],
        told: Callable[[int, bytes, float], None],
        *,
        think_s: float = 0.0,
        depth: int = 1,
        lost: Callable[[int], None] = lambda count: None,
        begin_s: float = 0.0,
    ) -> None:
        self.room, self.port, self.source, self.requests, self.told = room, port, source, requests, told
        self.think_s, self.depth, self.lost = think_s, depth, lost
        self.sock: socket.socket | None = None
        self.received = b""
        self.sent_at: list[float] = []  # of the requests that wait for their answers
        room.busy += 1
        room.at(time.monotonic() + begin_s, self.ask)

    def ask(self) -> None:
        batch = list(itertools.islice(self.requests, self.depth)) if self.room.open else []
        if not batch:
            self._done()
            return
        self.sent_at = [time.monotonic()] * len(batch)
        try:
            if self.sock is None:
                self.sock = connect(self.port, self.source)
                self.room.watch(self.sock, self._readable)
            self.sock.sendall(b"".join(batch))
        except OSError:
            self._broken()

    def _readable(self) -> None:
        assert self.sock is not None
        try:
            more = self.sock.recv(262144)
        except OSError:
            more = b""
        if not more:
            self._broken()
            return
        self.received += more
        while self.sent_at and self._take_answer():
            pass
        if not self.sent_at:
            self.room.at(time.monotonic() + self.think_s, self.ask)

    def _take_answer(self) -> bool:
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.received[:end].lower()
        at = head.find(b"\r\ncontent-length: ")
        whole = end + 4 + (int(head[at + 18 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)
        if len(self.received) < whole:
            return False
        body, self.received = self.received[end + 4 : whole], self.received[whole:]
        self.told(int(head[9:12]), body, time.monotonic() - self.sent_at.pop(0))
        if b"\r\nconnection: close" in head:
            self._close()
        return True

    def _broken(self) -> None:
        if self.sent_at:
            self.lost(len(self.sent_at))
        self._close()
        self.room.at(time.monotonic() + AGAIN_S, self.ask)

    def _close(self) -> None:
        """What was sent behind the answer that closes the connection was refused with it."""
        if self.sock is not None:
            self.room.forget(self.sock)
        self.sock, self.received, self.sent_at = None, b"", []

    def _done(self) -> None:
        self._close()
        self.room.busy -= 1
