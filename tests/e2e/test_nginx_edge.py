"""The shipped nginx site, attacked: request smuggling, slow clients, oversized requests, floods, and workers that refuse."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from pathlib import Path
from typing import Callable, Iterator

import pytest

import h2
import wire
from books import Books
from edge import Edge, worker_socket
from stack import Stack, Tenant
from waiting import wait_for
from wire import Answer, request_bytes

SECOND_WISH = b"smuggled"


@pytest.fixture(scope="module")
def edge(stack: Stack) -> Iterator[Edge]:
    """The site as it is, without limits on rates."""
    with Edge([worker_socket(stack)]) as edge:
        yield edge


def good(stack: Stack, tenant: Tenant, *more: wire.Header, close: bool = True) -> bytes:
    body = json.dumps({"data": stack.data(tenant)}).encode()
    headers = [("Authorization", tenant.key), ("Content-Type", "application/json"), *more]
    return request_bytes("POST", stack.invoices_path(tenant), headers, body, close=close)


def requests_of(stack: Stack, tenant: Tenant) -> list[dict]:
    return stack.audit("select * from audit.requests where agency_id = %s", tenant.agency)


# ---- what a client gets


def test_an_invoice_over_tls(edge: Edge, stack: Stack, tenant: Tenant, books: Books) -> None:
    answer = books.told(edge.exchange(good(stack, tenant)))
    assert answer.status == 200
    assert answer.headers["Server"] == "nginx"
    books.assert_balanced()


def test_an_invoice_over_http2(edge: Edge, stack: Stack, tenant: Tenant) -> None:
    with edge.connect(edge.context("h2")) as sock:
        assert sock.selected_alpn_protocol() == "h2" and sock.version() == "TLSv1.3"
        assert h2.outcome(sock, h2.request(*h2_wish(stack, tenant))) == "200"
    assert len(requests_of(stack, tenant)) == 1


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_refused(edge: Edge) -> None:
    context = edge.context()
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        edge.connect(context).close()
    context = edge.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with edge.connect(context) as sock:
        assert sock.version() == "TLSv1.2" and re.search("GCM|CHACHA20", sock.cipher()[0])


def test_a_plain_request_to_the_tls_port_is_told_so(edge: Edge, stack: Stack, tenant: Tenant) -> None:
    answer = wire.exchange(edge.port, good(stack, tenant))
    assert (answer.status, answer.error) == (400, "This port speaks HTTPS only.")


def test_the_request_id_is_ours_and_in_the_log(edge: Edge, stack: Stack, tenant: Tenant) -> None:
    theirs = "00000000-0000-7000-8000-000000000000"
    made = edge.exchange(good(stack, tenant, ("Request-Id", theirs), ("X-Request-Id", theirs)))
    refused = edge.exchange(request_bytes("GET", "/nowhere?token=hunter2", [("Authorization", tenant.key)]))
    assert made.request_id != theirs and refused.request_id and refused.error
    lines = wait_for("both lines", lambda: [line for line in edge.log("access").splitlines()
                                            if made.request_id in line or refused.request_id in line][1:] and
                     [json.loads(line) for line in edge.log("access").splitlines()])
    ours = {line["request_id"]: line for line in lines}
    assert ours[made.request_id]["status"] == "200" and ours[made.request_id]["tls"] == "TLSv1.3"
    assert ours[refused.request_id]["path"] == "/nowhere"
    for log in ("access", "error"):
        assert "hunter2" not in edge.log(log) and tenant.key not in edge.log(log)


@pytest.mark.parametrize("spelled", ["igk_live_misplaced7", "%69gk_live_misplaced7", "acct_1sk_test_misplaced7"])
def test_a_key_in_the_address_is_not_logged(edge: Edge, tenant: Tenant, spelled: str) -> None:
    path = f"/v1/public/stripe/connect/accounts/{spelled}/invoices"
    refused = edge.exchange(request_bytes("GET", path, [("Authorization", tenant.key)]))
    (line,) = wait_for("its line", lambda: [json.loads(line) for line in edge.log("access").splitlines() if refused.request_id in line])
    assert line["path"].startswith("/v1/public/stripe/connect/accounts/") and line["path"].endswith("...")
    assert "misplaced" not in edge.log("access")


# ---- request smuggling


def smuggled(stack: Stack, tenant: Tenant) -> bytes:
    """A whole request for a second invoice, to stand where a body should."""
    return good(stack, tenant, ("Idempotency-Key", SECOND_WISH.decode()))


def with_headers(*lines: bytes, body: Callable[[bytes], bytes] = lambda second: second) -> Callable[[Stack, Tenant], bytes]:
    def make(stack: Stack, tenant: Tenant) -> bytes:
        head = [
            b"POST " + stack.invoices_path(tenant).encode() + b" HTTP/1.1",
            b"Host: localhost",
            b"Authorization: " + tenant.key.encode(),
            b"Content-Type: application/json",
        ]
        return b"\r\n".join([*head, *lines]) + b"\r\n\r\n" + body(smuggled(stack, tenant))

    return make


ZERO = lambda second: b"0\r\n\r\n" + second  # noqa: E731
SMUGGLING = {
    "length before chunks": with_headers(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=ZERO),
    "chunks before length": with_headers(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=ZERO),
    "two lengths": with_headers(b"Content-Length: 0", b"Content-Length: 400"),
    "two equal lengths": with_headers(b"Content-Length: 0", b"Content-Length: 0"),
    "a list of lengths": with_headers(b"Content-Length: 0, 0"),
    "a length with a sign": with_headers(b"Content-Length: +0"),
    "a negative length": with_headers(b"Content-Length: -1"),
    "a hexadecimal length": with_headers(b"Content-Length: 0x0"),
    "a length that overflows": with_headers(b"Content-Length: 18446744073709551616"),
    "an empty length": with_headers(b"Content-Length: "),
    "chunks twice": with_headers(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=ZERO),
    "chunks in a list": with_headers(b"Transfer-Encoding: chunked, identity", body=ZERO),
    "chunks with a mark": with_headers(b"Transfer-Encoding: \x0bchunked", body=ZERO),
    "an unknown coding": with_headers(b"Transfer-Encoding: xchunked", body=ZERO),
    "a space before the colon": with_headers(b"Transfer-Encoding : chunked", body=ZERO),
    "a folded line": with_headers(b"Transfer-Encoding:", b" chunked", body=ZERO),
    "a bare return": with_headers(b"X: a\rTransfer-Encoding: chunked", b"Content-Length : 0"),
    "a NUL": with_headers(b"X: a\x00b", b"Content-Length: 0"),
    "a chunk's size with a prefix": with_headers(b"Transfer-Encoding: chunked", body=lambda second: b"0x0\r\n\r\n" + second),
    "a chunk's size with a sign": with_headers(b"Transfer-Encoding: chunked", body=lambda second: b"+0\r\n\r\n" + second),
    "a chunk without an end": with_headers(b"Transfer-Encoding: chunked", body=lambda second: b"1\r\nab0\r\n\r\n" + second),
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_nothing_can_be_smuggled(edge: Edge, stack: Stack, tenant: Tenant, name: str) -> None:
    """One refusal, then the end of the connection: what follows is not taken for a request."""
    assert edge.answers(SMUGGLING[name](stack, tenant)) in ([400], [501])
    assert requests_of(stack, tenant) == []


def test_old_http_has_no_chunks(edge: Edge, stack: Stack, tenant: Tenant) -> None:
    data = with_headers(b"Transfer-Encoding: chunked", body=ZERO)(stack, tenant).replace(b" HTTP/1.1", b" HTTP/1.0", 1)
    assert edge.answers(data) == [400]
    assert requests_of(stack, tenant) == []


def test_two_requests_in_one_piece_are_two(edge: Edge, stack: Stack, tenant: Tenant, books: Books) -> None:
    """The counter-example: a length that is true, and a second request behind it."""
    data = good(stack, tenant, close=False) + smuggled(stack, tenant)
    assert edge.answers(data) == [200, 200]
    assert books.assert_balanced().created == 2


@pytest.mark.parametrize(
    "name", ["Remote-Addr", "Request-Method", "Request-Uri", "Script-Filename", "Content-Length-", "Proxy", "Fcgi-Role"]
)
def test_headers_do_not_become_parameters(edge: Edge, stack: Stack, tenant: Tenant, name: str) -> None:
    assert edge.exchange(good(stack, tenant, (name, "GET"), (name.replace("-", "_"), "0"))).status == 200


def h2_wish(stack: Stack, tenant: Tenant, *more: tuple[bytes, bytes], length: int | None = None) -> tuple[list, bytes]:
    body = json.dumps({"data": stack.data(tenant)}).encode()
    return [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", stack.invoices_path(tenant).encode()),
        (b"authorization", tenant.key.encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body) if length is None else length).encode()),
        *more,
    ], body


H2_SMUGGLING = {
    "a length that is too small": ((), 1),
    "a length that is too large": ((), 60000),
    "a line break in a value": (((b"x", b"a\r\ntransfer-encoding: chunked"),), None),
    "a line break in a name": (((b"x: a\r\ny", b"z"),), None),
    "a second path": (((b":path", b"/v1/invoices"),), None),
    "a capital in a name": (((b"Transfer-Encoding", b"chunked"),), None),
    "a second length": (((b"content-length", b"0"),), None),
}


@pytest.mark.parametrize("name", H2_SMUGGLING)
def test_nothing_can_be_smuggled_through_http2(edge: Edge, stack: Stack, tenant: Tenant, name: str) -> None:
    more, length = H2_SMUGGLING[name]
    with edge.connect(edge.context("h2")) as sock:
        assert h2.outcome(sock, h2.request(*h2_wish(stack, tenant, *more, length=length))) in ("400", "reset", "goaway", "closed")
    assert requests_of(stack, tenant) == []


# ---- oversized


OVERSIZED = {
    "a long address": (414, lambda path: request_bytes("GET", path + "?" + "a" * 9000, [])),
    "a long header": (400, lambda path: request_bytes("POST", path, [("X", "a" * 9000)])),
    "many headers": (400, lambda path: request_bytes("POST", path, [(f"X-{n}", "a" * 1000) for n in range(40)])),
    "a megabyte of header": (400, lambda path: request_bytes("POST", path, [("X", "a" * 2**20)])),
    "a body one byte too long": (413, lambda path: request_bytes("POST", path, [], b"a" * (2**16 + 1))),
    "a length of terabytes": (413, lambda path: request_bytes("POST", path, [], content_length=str(2**42))),
    "chunks without end": (
        413,
        lambda path: request_bytes(
            "POST", path, [("Transfer-Encoding", "chunked")], (b"2000\r\n" + b"a" * 8192 + b"\r\n") * 20, content_length=None
        ),
    ),
}


@pytest.mark.parametrize("name", OVERSIZED)
def test_oversized_requests_get_an_answer(edge: Edge, stack: Stack, tenant: Tenant, name: str) -> None:
    status, make = OVERSIZED[name]
    answer = edge.exchange(make(stack.invoices_path(tenant)))
    assert answer.status == status and answer.error and answer.request_id


def test_the_longest_body_reaches_a_worker(edge: Edge, stack: Stack, tenant: Tenant) -> None:
    body = json.dumps({"data": stack.data(tenant)}).encode()
    headers = [("Authorization", tenant.key), ("Content-Type", "application/json")]
    assert edge.exchange(request_bytes("POST", stack.invoices_path(tenant), headers, body.ljust(2**16))).status == 200


def test_a_bomb_of_headers_over_http2(edge: Edge) -> None:
    """A table of one large value, named again and again."""
    block = b"\x40" + h2._text(b"x") + h2._text(b"a" * 4000) + b"\xbe" * 4000
    data = h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) + h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, block)
    with edge.connect(edge.context("h2")) as sock:
        assert h2.outcome(sock, data) in ("400", "reset", "goaway", "closed")


# ---- slow clients


@pytest.fixture(scope="module")
def impatient(stack: Stack) -> Iterator[Edge]:
    """Nobody wants to wait for the site's ten seconds."""
    times = dict.fromkeys(("client_header_timeout", "client_body_timeout", "send_timeout", "keepalive_timeout"), "1s")
    with Edge([worker_socket(stack)], **times) as edge:
        yield edge


@pytest.mark.parametrize("part", ["header", "body"])
def test_who_stops_in_the_middle_is_let_go(impatient: Edge, stack: Stack, tenant: Tenant, part: str) -> None:
    data = good(stack, tenant)
    head = data.index(b"\r\n\r\n")
    with impatient.connect() as sock:
        sock.sendall(data[: head - 5] if part == "header" else data[: head + 20])
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(65536) == b""
    assert requests_of(stack, tenant) == []


def test_a_header_that_never_ends_ends(impatient: Edge) -> None:
    with impatient.connect() as sock, pytest.raises((ConnectionError, ssl.SSLError, StopIteration)):
        sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n")
        for number in range(200):
            sock.sendall(b"X-%d: a\r\n" % number)
            sock.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                if sock.recv(65536) == b"":
                    raise StopIteration
        pytest.fail("it went on and on")


def test_idle_and_slow_clients_are_in_nobody_s_way(edge: Edge, stack: Stack, tenant: Tenant, books: Books) -> None:
    data = good(stack, tenant)
    with contextlib.ExitStack() as crowd:
        for number in range(300):
            sock = crowd.enter_context(wire.connect(edge.plain_port))
            sock.sendall(data[: (0, 30, data.index(b"\r\n\r\n") + 10)[number % 3]])
        for _ in range(5):
            assert books.told(edge.exchange(data)).status == 200
    assert books.assert_balanced().created == 5


def test_who_does_not_read_is_in_nobody_s_way(edge: Edge, stack: Stack, tenant: Tenant, books: Books) -> None:
    with contextlib.ExitStack() as crowd:
        for _ in range(50):
            sock = crowd.enter_context(wire.connect(edge.plain_port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            sock.sendall(request_bytes("GET", "/v1/public/", [], close=False) * 20)
        assert books.told(edge.exchange(good(stack, tenant))).status == 200


# ---- limits


ROUTE_B = "/v1/invoices/in_1"


def ask(edge: Edge, key: str | None, path: str = "/v1/public/nowhere", count: int = 12) -> list[Answer]:
    headers = [("Authorization", key)] if key else []
    return wire.burst(edge.plain_port, [request_bytes("GET", path, headers)] * count)


def split(answers: list[Answer]) -> tuple[int, list[Answer]]:
    refused = [answer for answer in answers if answer.status == 429]
    assert all(answer.header("Retry-After") == "1" and answer.request_id for answer in refused)
    return len(answers) - len(refused), refused


@pytest.fixture
def limited(stack: Stack) -> Iterator[Edge]:
    """One request a minute, and five above that."""
    with Edge([worker_socket(stack)], caller_rate="1r/m") as edge:
        yield edge


def test_a_key_that_asks_too_much(limited: Edge, stack: Stack, tenant: Tenant) -> None:
    passed, refused = split(ask(limited, tenant.key))
    assert passed == 6 and all(answer.error.startswith("There are too many requests") for answer in refused)
    passed, refused = split(ask(limited, f"Bearer {tenant.key}"))
    assert passed == 0, "the same key in another spelling"
    assert split(ask(limited, tenant.test_key))[0] == 6, "another key of the same address"
    assert split(ask(limited, None))[0] == split(ask(limited, "Bearer nonsense"))[0] == 12, "no key is nobody's key"
    refused = [answer.json["error"] for answer in split(ask(limited, tenant.key, ROUTE_B))[1]]
    assert refused and all(error["code"] == "rate_limit" and error["message"] for error in refused)
    for log in ("access", "error"):
        assert tenant.key not in limited.log(log) and tenant.test_key not in limited.log(log)
    assert '"limit":"REJECTED"' in limited.log("access") and "limiting requests" in limited.log("error")


def test_an_address_that_asks_too_much(stack: Stack, tenant: Tenant) -> None:
    with Edge([worker_socket(stack)], client_rate="1r/m") as edge:
        assert split(ask(edge, tenant.key))[0] == 6
        assert split(ask(edge, tenant.test_key))[0] == 0
        assert split(ask(edge, None))[0] == 0


def invoices_called(stack: Stack, tenant: Tenant) -> int:
    return sum(call["step"] == "invoice" for call in stack.sandbox.calls(account=tenant.account))


def test_an_address_with_too_many_at_once(stack: Stack, tenant: Tenant, books: Books) -> None:
    with Edge([worker_socket(stack)], waiting="3") as edge:
        books.told(stack.exchange(good(stack, tenant)))  # its customer and product are known from here on
        with stack.sandbox.faulty("hang_before", step="invoice", account=tenant.account):
            waiting = [wire.Pending(edge.plain_port, good(stack, tenant)) for _ in range(3)]
            wait_for("three to wait", lambda: invoices_called(stack, tenant) >= 4)
            refused = books.told_all(wire.burst(edge.plain_port, [good(stack, tenant)] * 5))
        answers = books.told_all(pending.answer() for pending in waiting)
    assert [answer.status for answer in answers] == [200] * 3
    assert [answer.status for answer in refused] == [429] * 5
    assert books.assert_balanced().created == 4


# ---- workers that refuse, and workers that break


class Broken:
    """A socket that somebody listens on who takes what is sent and goes without an answer."""

    def __init__(self, path: Path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(16)
        self.listener.settimeout(60)
        self.taken = 0
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                with sock:
                    self.taken += sock.recv(65536) != b""

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)


@pytest.fixture
def place(stack: Stack) -> Path:
    """For sockets: short."""
    place = stack.dir / "edge"
    place.mkdir(exist_ok=True)
    for path in place.glob("*.sock"):
        path.unlink()
    return place


def test_a_worker_that_refuses_is_passed_over(stack: Stack, tenant: Tenant, books: Books, place: Path) -> None:
    """Each time anew: no failure is held against it."""
    gone, closed = place / "gone.sock", place / "closed.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(closed))
    with Edge([gone, closed, worker_socket(stack)]) as edge:
        for _ in range(12):
            assert books.told(edge.exchange(good(stack, tenant))).status == 200
        assert edge.log("access").count("closed.sock") > 3
    assert books.assert_balanced().created == 12


def test_a_worker_whose_queue_is_full_is_passed_over(stack: Stack, tenant: Tenant, books: Books, place: Path) -> None:
    full = place / "full.sock"
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as queue:
        listener.bind(str(full))
        listener.listen(0)
        queue.enter_context(socket.socket(socket.AF_UNIX)).connect(str(full))
        with Edge([full, worker_socket(stack)]) as edge:
            for _ in range(6):
                assert books.told(edge.exchange(good(stack, tenant))).status == 200
    assert books.assert_balanced().created == 6


def test_a_request_that_was_sent_goes_to_nobody_else(stack: Stack, tenant: Tenant, place: Path) -> None:
    broken = Broken(place / "broken.sock")
    try:
        with Edge([place / "broken.sock", worker_socket(stack)]) as edge:
            statuses = [edge.exchange(good(stack, tenant, ("Idempotency-Key", f"k{number}"))).status for number in range(8)]
            lines = [json.loads(line) for line in edge.log("access").splitlines()]
    finally:
        broken.close()
    assert set(statuses) == {200, 504} and broken.taken == statuses.count(504)
    assert len(requests_of(stack, tenant)) == statuses.count(200)
    assert all(re.search(r"broken\.sock, ", line["worker"]) is None for line in lines), "sent, and then to another"


def test_no_worker_at_all(place: Path, stack: Stack, tenant: Tenant) -> None:
    with Edge([place / "gone.sock"]) as edge:
        answer = edge.exchange(good(stack, tenant))
        assert (answer.status, answer.header("Retry-After")) == (502, "1")
        assert "nothing was done" in answer.error


def test_a_client_that_leaves_early_is_no_error(edge: Edge, stack: Stack, tenant: Tenant, books: Books) -> None:
    stack.sandbox.latency(300)
    with edge.connect() as sock:
        sock.sendall(good(stack, tenant, ("Idempotency-Key", "left")))
        wait_for("its intent", lambda: requests_of(stack, tenant))
    books.assert_balanced()
    stack.sandbox.latency(0)
    assert len(requests_of(stack, tenant)) == 1
