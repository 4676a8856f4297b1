"""Doors between the worker and what it talks to, which a test can shut, hold and listen at.

    gate = DatabaseGate(stack)                    # between worker and PostgreSQL
    trap = gate.trap("begin", "lose_answer")      # the next batch with a begin is committed, its answer is lost
    trap.sprung.wait()

    gate = UpstreamGate()                         # between worker and sandbox
    held = gate.hold("POST /v1/invoices ")        # the next such call stands still on its way until held.release()
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import re
import select
import shutil
import socket
import struct
import tempfile
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

from stack import Stack

PATIENCE_S = 60.0


class Cut(Exception):
    """The connection ends here."""


class Gate:
    """Accepts connections, each of which a thread serves until it ends."""

    def __init__(self, listener: socket.socket) -> None:
        self.lock = threading.Lock()
        self._listener = listener
        self._clients: set[socket.socket] = set()
        self._is_open = True
        self._closed = False
        listener.listen(64)
        listener.settimeout(0.1)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while not self._closed:
            with contextlib.suppress(TimeoutError, OSError):
                client, _ = self._listener.accept()
                if self._is_open:
                    threading.Thread(target=self._run, args=(client,), daemon=True).start()
                else:
                    client.close()

    def _run(self, client: socket.socket) -> None:
        with self.lock:
            self._clients.add(client)
        try:
            self.serve(client)
        except (Cut, OSError, http.client.HTTPException):
            pass
        finally:
            with self.lock:
                self._clients.discard(client)
            client.close()

    def serve(self, client: socket.socket) -> None:
        raise NotImplementedError

    def shut(self) -> None:
        """Ends all connections, and lets nobody in."""
        self._is_open = False
        with self.lock:
            for client in self._clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        self._is_open = True

    def close(self) -> None:
        self._closed = True
        self.shut()
        self._acceptor.join(10)
        self._listener.close()


# ---- PostgreSQL


@dataclasses.dataclass
class Trap:
    """What happens to the next batch that runs a statement."""

    statement: str
    act: str  # lose_question, lose_answer, commit_late
    shuts: bool = False  # the gate, before the worker can come back and ask
    about: bytes = b""  # what must stand in the batch: other requests' pass
    sprung: threading.Event = dataclasses.field(default_factory=threading.Event)
    release: threading.Event = dataclasses.field(default_factory=threading.Event)  # commit_late: now it may
    done: threading.Event = dataclasses.field(default_factory=threading.Event)  # commit_late: it has


class _Batches:
    """Cuts what a client sends into batches, each up to its Sync."""

    def __init__(self) -> None:
        self._data = b""
        self._started = False
        self._batch = b""
        self._names: set[str] = set()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, set[str]]]:
        self._data += data
        while (message := self._next()) is not None:
            self._batch += message
            if message[:1] == b"B" and self._started:
                self._names.add(message[5:].split(b"\0")[1].decode())
            if not self._started or message[:1] in b"SX":
                self._started = True
                yield self._batch, self._names
                self._batch, self._names = b"", set()

    def _next(self) -> bytes | None:
        """The first message has no type."""
        head = 1 if self._started else 0
        if len(self._data) < head + 4:
            return None
        length = head + struct.unpack_from("!I", self._data, head)[0]
        if len(self._data) < length:
            return None
        message, self._data = self._data[:length], self._data[length:]
        return message


class DatabaseGate(Gate):
    """On a unix socket in a directory of its own, or (tcp) on a port of 127.0.0.1."""

    FLUSH = b"H\0\0\0\4"

    def __init__(self, stack: Stack, tcp: bool = False) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="igg.", dir="/tmp"))
        found = re.search(r"host='?([^ ']+)", stack.env["INVOICEGATE_AUDIT_DATABASE"])
        assert found
        self.server = f"{found[1]}/.s.PGSQL.5432"
        self.traps: list[Trap] = []
        listener = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        listener.bind(("127.0.0.1", 0) if tcp else str(self.directory / ".s.PGSQL.5432"))
        self.port = listener.getsockname()[1] if tcp else 5432
        super().__init__(listener)

    @property
    def database(self) -> str:
        """For INVOICEGATE_DATABASE."""
        return f"host={self.directory} port=5432 user=invoicegate_worker dbname=invoicegate"

    def close(self) -> None:
        super().close()
        for trap in self.traps:
            trap.release.set()
        shutil.rmtree(self.directory)

    def trap(self, statement: str, act: str, shuts: bool = False, about: str = "") -> Trap:
        trap = Trap(statement, act, shuts, about.encode())
        with self.lock:
            self.traps.append(trap)
        return trap

    def _take_trap(self, names: set[str], batch: bytes) -> Trap | None:
        with self.lock:
            for trap in self.traps:
                if trap.statement in names and trap.about in batch:
                    self.traps.remove(trap)
                    return trap
        return None

    def serve(self, client: socket.socket) -> None:
        batches = _Batches()
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(self.server)
            while True:
                ready, _, _ = select.select([client, server], [], [], PATIENCE_S)
                if server in ready:
                    client.sendall(_some(server))
                if client in ready:
                    data = _some(client)
                    if not self._is_open:  # what the worker tries here because another connection was shut
                        raise Cut
                    for batch, names in batches.feed(data):
                        trap = self._take_trap(names, batch)
                        if trap is None:
                            server.sendall(batch)
                        else:
                            self._spring(trap, batch, client, server)

    def _spring(self, trap: Trap, batch: bytes, client: socket.socket, server: socket.socket) -> None:
        """A lane has one batch under way at most, so the server's next bytes belong to this one."""
        if trap.act == "lose_answer":
            server.sendall(batch)
            _read_until(server, b"Z")
        elif trap.act == "commit_late":
            sync = batch[-5:]
            server.sendall(batch[:-5] + self.FLUSH)
            _read_until(server, b"C")
            client.shutdown(socket.SHUT_RDWR)
            self._tell(trap)
            trap.release.wait(PATIENCE_S)
            server.sendall(sync)
            _read_until(server, b"Z")
            trap.done.set()
            raise Cut
        else:
            assert trap.act == "lose_question", trap.act
        self._tell(trap)
        raise Cut

    def _tell(self, trap: Trap) -> None:
        if trap.shuts:
            self.shut()
        trap.sprung.set()


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise Cut
    return data


def _read_until(server: socket.socket, kind: bytes) -> None:
    """Reads messages until one of this type."""
    data = b""
    while True:
        while len(data) >= 5 and len(data) >= 1 + struct.unpack_from("!I", data, 1)[0]:
            if data[:1] == kind:
                return
            data = data[1 + struct.unpack_from("!I", data, 1)[0] :]
        data += _some(server)


# ---- the upstream


class Held:
    """A call that stands still on its way."""

    def __init__(self, start: str) -> None:
        self.start = start.encode()
        self.arrived = threading.Event()
        self._released = threading.Event()
        self.answered = threading.Event()  # the upstream has done it and answered

    def release(self) -> None:
        self._released.set()

    def wait(self) -> None:
        self.arrived.set()
        self._released.wait(PATIENCE_S)


class UpstreamGate(Gate):
    """On a port of 127.0.0.1. Give it its target, the sandbox's port, once that is known."""

    def __init__(self) -> None:
        self.target = 0
        self._held: list[Held] = []
        self._alterations: list[tuple[re.Pattern[str], Callable[[bytes], bytes]]] = []
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        super().__init__(listener)

    def hold(self, start: str) -> Held:
        """The next call that begins so."""
        held = Held(start)
        with self.lock:
            self._held.append(held)
        return held

    def alter(self, call: str, change: Callable[[bytes], bytes]) -> None:
        """Changes the body of the next answer to a call whose request line matches."""
        with self.lock:
            self._alterations.append((re.compile(call), change))

    def close(self) -> None:
        for held in self._held:
            held.release()
        super().close()

    def _take(self, of: list[Any], fits: Callable[[Any], object]) -> Any:
        with self.lock:
            for one in of:
                if fits(one):
                    of.remove(one)
                    return one
        return None

    def serve(self, client: socket.socket) -> None:
        with client.makefile("rb") as reader:
            while head := _head(reader):
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                data = head + reader.read(int(length[1]) if length else 0)
                held = self._take(self._held, lambda one: data.startswith(one.start))
                if held:
                    held.wait()
                answer = self._ask(data)
                if held:
                    held.answered.set()
                client.sendall(answer)

    def _ask(self, data: bytes) -> bytes:
        line = data.split(b"\r\n", 1)[0].decode("latin-1")
        with socket.create_connection(("127.0.0.1", self.target), timeout=PATIENCE_S) as server:
            server.sendall(data)
            response = http.client.HTTPResponse(server, method=line.split(" ", 1)[0])
            response.begin()
            body = response.read()
        alteration = self._take(self._alterations, lambda one: one[0].search(line))
        if alteration:
            body = alteration[1](body)
        kept = [
            f"{name}: {value}\r\n"
            for name, value in response.getheaders()
            if name.lower() not in ("content-length", "transfer-encoding", "connection")
        ]
        head = f"HTTP/1.1 {response.status} {response.reason}\r\n{''.join(kept)}Content-Length: {len(body)}\r\n\r\n"
        return head.encode("latin-1") + body


def _head(reader: Any) -> bytes:
    """Up to and with the empty line; nothing when the connection has ended."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        if not line:
            return b""
        head += line
    return head
