"""HTTP by hand: a request is exactly the bytes that a test says, however odd, and an answer is read by http.client.
Each answer is held against the gateway's own description of itself (contract.py) before a test gets to see it.

    answer = exchange(port, request_bytes("POST", "/v1/public/...", [("Authorization", key)], b"{}"))
    answers = burst(port, [bytes, bytes, ...])     # all are sent before the first answer is read
    pending = Pending(port, bytes)                 # sent; pending.answer() or pending.leave() later
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import select
import socket
from typing import Any, Iterable

import contract

PATIENCE_S = 60.0
Header = tuple[str | bytes, str | bytes]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a client was told."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal; fails unless the body is exactly {"error": "..."} as JSON."""
        assert self.headers.get_content_type() == "application/json", (self.headers.items(), self.body)
        value = self.json
        assert isinstance(value, dict) and list(value) == ["error"], self.body
        assert isinstance(value["error"], str) and value["error"].strip(), self.body
        return value["error"]

    @property
    def request_id(self) -> str:
        """The Request-Id, of which there must be one."""
        found = self.headers.get_all("Request-Id") or []
        assert len(found) == 1 and found[0], self.headers.items()
        return found[0]

    @property
    def replayed(self) -> bool:
        return self.headers.get("Idempotent-Replayed") == "true"

    def header(self, name: str) -> str | None:
        return self.headers.get(name)


class NoAnswer(Exception):
    """The connection ended without an HTTP answer."""


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def request_bytes(
    method: str | bytes,
    target: str | bytes,
    headers: Iterable[Header],
    body: bytes = b"",
    *,
    content_length: str | bytes | None | bool = True,
    close: bool = True,
) -> bytes:
    """One request as it goes onto the wire.

    content_length: True for the true one, None for no header at all, or any text to send instead.
    close: asks the server to close the connection after its answer.
    """
    lines = [_bytes(method) + b" " + _bytes(target) + b" HTTP/1.1", b"Host: localhost"]
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    if content_length is True:
        lines.append(b"Content-Length: %d" % len(body))
    elif isinstance(content_length, (str, bytes)):
        lines.append(b"Content-Length: " + _bytes(content_length))
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    """A body in chunks; send it with Transfer-Encoding: chunked and content_length=None."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def connect(port: int, timeout_s: float = PATIENCE_S) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=timeout_s)


def read_answer(sock: socket.socket, method: str = "POST") -> Answer:
    """Reads one answer from a connection; NoAnswer when the connection ends first."""
    response = http.client.HTTPResponse(sock, method=method)
    try:
        response.begin()
        return Answer(response.status, response.headers, response.read())
    except (http.client.BadStatusLine, ConnectionError) as problem:
        raise NoAnswer(str(problem)) from problem
    finally:
        response.close()


def answer_to(sock: socket.socket, data: bytes) -> Answer:
    """Reads the answer to these bytes, which must be a documented one."""
    answer = read_answer(sock, data.split(b" ", 1)[0].decode("latin-1"))
    contract.check(data, answer)
    return answer


def exchange(
    port: int, data: bytes, *, half_close: bool = False, described: bool = True, timeout_s: float = PATIENCE_S
) -> Answer:
    """Sends the bytes on a connection of their own and reads one answer.

    half_close: says that nothing more will be sent (for bodies that are shorter than their Content-Length).
    described: at this port openapi.json counts; it does not at the one for monitoring.
    """
    with connect(port, timeout_s) as sock:
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered already and does not want the rest
        return answer_to(sock, data) if described else read_answer(sock, data.split(b" ", 1)[0].decode("latin-1"))


class Pending:
    """A request that was sent and whose answer nobody has read yet."""

    def __init__(self, port: int, data: bytes, timeout_s: float = PATIENCE_S):
        self.data = data
        self.sock = connect(port, timeout_s)
        self.sock.sendall(data)

    def answer(self) -> Answer:
        with self.sock:
            return answer_to(self.sock, self.data)

    def leave(self) -> None:
        """The client goes without waiting."""
        self.sock.close()

    def is_answered_within(self, seconds: float) -> bool:
        """Whether anything arrives within this time; it stays unread."""
        return bool(select.select([self.sock], [], [], seconds)[0])


def burst(port: int, requests: Iterable[bytes], timeout_s: float = PATIENCE_S) -> list[Answer]:
    """All at once: every request is on its way, on a connection of its own, before the first answer is read."""
    requests = list(requests)
    socks: list[socket.socket] = []
    try:
        for _ in requests:
            socks.append(connect(port, timeout_s))
        for sock, data in zip(socks, requests):
            sock.sendall(data)
        return [answer_to(sock, data) for sock, data in zip(socks, requests)]
    finally:
        for sock in socks:
            sock.close()
