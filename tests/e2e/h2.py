"""HTTP/2 by hand, as far as tests of what nginx refuses need it: one stream, headers written out, frames as a test says."""

from __future__ import annotations

import contextlib
import ssl
import struct
from typing import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY, CONTINUATION = 0, 1, 3, 4, 7, 9
END_STREAM, END_HEADERS = 1, 4
INDEXED_STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _text(value: bytes) -> bytes:
    """A length with a prefix of seven bits, then the bytes."""
    if len(value) < 127:
        return bytes((len(value),)) + value
    rest, digits = len(value) - 127, b""
    while rest >= 128:
        digits, rest = digits + bytes((rest % 128 + 128,)), rest // 128
    return b"\x7f" + digits + bytes((rest,)) + value


def header_block(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)


def request(headers: Iterable[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """Everything that a client sends for one request."""
    end = frame(DATA, END_STREAM, 1, body) if body else b""
    flags = END_HEADERS | (0 if body else END_STREAM)
    return PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, flags, 1, header_block(headers)) + end


def outcome(sock: ssl.SSLSocket, data: bytes, timeout_s: float = 20) -> str:
    """Sends it; answers the status of the response, "reset", "goaway" or "closed", whatever comes first."""
    sock.settimeout(timeout_s)
    received = b""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        sock.sendall(data)
    while True:
        while len(received) >= 9:
            length, kind = int.from_bytes(received[:3], "big"), received[3]
            if len(received) < 9 + length:
                break
            payload, received = received[9 : 9 + length], received[9 + length :]
            if kind == HEADERS:
                while payload[0] & 0xE0 == 0x20:  # the size of its table
                    payload = payload[1:]
                return str(INDEXED_STATUS.get(payload[0] & 0x7F) if payload[0] & 0x80 else int(payload[2:5]))
            if kind in (RST_STREAM, GOAWAY):
                return "reset" if kind == RST_STREAM else "goaway"
        try:
            more = sock.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            return "closed"
        received += more
