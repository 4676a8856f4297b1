"""Every refusal that a client can meet: its status, its words, which of two comes first, and that nothing happened.

The order is: address, method, size, type, API key, body, Idempotency-Key, objects, rules.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
from typing import Any, Callable, Iterator

import pytest

from books import Books
from stack import Stack, Tenant
from waiting import wait_for
from wire import Answer, Header

JSON = ("Content-Type", "application/json")
LARGE = b" " * 70000
NO_KEY = "The API key is missing or not valid. Send it in the Authorization header."
NO_ADDRESS = "There is nothing at this address."
IDEMPOTENCY_FORM = "The Idempotency-Key must have 1 to 255 printable ASCII characters, without a comma unless quoted."


@dataclasses.dataclass(frozen=True)
class World:
    """One stack with everything that can be named wrongly."""

    stack: Stack
    tenant: Tenant
    foreign: Tenant
    no_admin: str
    no_email: str
    bad_keys: dict[str, str]

    def create(self, **members: Any) -> Answer:
        return self.stack.create(self.tenant, **members)

    def post(self, body: Any, **how: Any) -> Answer:
        return self.stack.post(body, tenant=self.tenant, **how)

    def data(self, **members: Any) -> dict[str, Any]:
        return {"data": self.stack.data(self.tenant, **members)}

    def with_key(self, key: str | None) -> Answer:
        headers: list[Header] = [JSON] if key is None else [("Authorization", key), JSON]
        return self.post(self.data(), headers=headers)

    def posts(self) -> int:
        """How many upstream calls could have made something."""
        counts = self.stack.sandbox.counts()
        return sum(counts[step] for step in ("customer", "invoice", "lines"))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Stack(DEADLINE_MS=3000, CALL_TIMEOUT_MS=1000, CONNECT_TIMEOUT_MS=1000, LEASE_MS=1500) as stack:
        tenant, foreign = stack.tenant(), stack.tenant()
        agency = ("--agency", str(tenant.agency))
        stack.ctl("client", "add", *agency, "client_no_admin", "--name", "N", "--member", "Jane:jane@example.com")
        stack.ctl("client", "add", *agency, "client_no_email", "--name", "E", "--member", "Jane::admin")
        stack.sandbox.api("POST", "products", {"id": "prod_foreign", "name": "Theirs"}, account=foreign.account)
        yield World(stack, tenant, foreign, "client_no_admin", "client_no_email", make_bad_keys(stack, tenant))


def make_bad_keys(stack: Stack, tenant: Tenant) -> dict[str, str]:
    def make() -> tuple[str, str]:
        key = stack.ctl("key", "create", "--agency", str(tenant.agency), "--mode", "live")
        return key, stack.sql("select max(key_id) as id from gateway.api_keys where agency_id = %s", tenant.agency)[0]["id"]

    unknown, revoked, expired = make(), make(), make()
    stack.sql("delete from gateway.api_keys where key_id = %s", unknown[1])
    stack.ctl("key", "revoke", str(revoked[1]), "--agency", str(tenant.agency))
    stack.sql("update gateway.api_keys set expires_at = now() - interval '1 s' where key_id = %s", expired[1])
    return {
        "unknown": unknown[0],
        "revoked": revoked[0],
        "expired": expired[0],
        "wrong checksum": tenant.key[:-1] + ("a" if tenant.key[-1] != "a" else "b"),
        "other form": "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "too long": tenant.key + "x",
        "two keys": f"{tenant.key}, {tenant.key}",
        "basic": "Basic dXNlcjpwYXNz",
        "bearer alone": "Bearer",
        "empty": "",
    }


def assert_refused(answer: Answer, status: int, message: str) -> None:
    """The status, exactly {"error": message}, a Request-Id, and no sign of a replay."""
    assert (answer.status, answer.error) == (status, message)
    assert answer.request_id
    assert not answer.replayed


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    status: int
    message: str
    ask: Callable[[World], Answer]
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


def body_row(name: str, message: str, body: Any) -> Row:
    return Row(name, 400, message, lambda world: world.post(body))


def data_row(name: str, message: str, **members: Any) -> Row:
    return Row(name, 400, message, lambda world: world.create(**members))


def method_row(method: str) -> Row:
    message = "This address does not answer this method."
    return Row(method, 405, message, lambda world: world.post(b"", method=method), {"Allow": "GET, POST"})


def path_row(path: str) -> Row:
    return Row(f"path {path}", 404, NO_ADDRESS, lambda world: world.post(world.data(), path=path))


def type_row(content_type: str | None) -> Row:
    def ask(world: World) -> Answer:
        more: list[Header] = [] if content_type is None else [("Content-Type", content_type)]
        return world.post(world.data(), headers=[("Authorization", world.tenant.key), *more])

    return Row(f"type {content_type}", 415, "The Content-Type must be application/json.", ask)


def key_row(name: str) -> Row:
    return Row(f"{name} key", 401, NO_KEY, lambda world: world.with_key(world.bad_keys[name]))


def id_rule(member: str) -> str:
    return f"data.{member} must be a string of 1 to 255 letters, digits and characters such as _ - . :."


METHOD_RULE = 'data.collection_method must be "charge_automatically" or "send_invoice".'
DAYS_RULE = "data.days_until_due must be an integer from 0 to 3650."

# What is refused without asking the upstream anything.
BEFORE_UPSTREAM = [
    path_row("/"),
    path_row("/v1/public"),
    path_row("/v1/public/"),
    path_row("/v1/public/stripe/connect/accounts"),
    path_row("/v1/public/stripe/connect/accounts/acct_1"),
    path_row("/v1/public/stripe/connect/accounts/acct_1/invoices/"),
    path_row("/v1/public/stripe/connect/accounts//invoices"),
    path_row("/v2/public/stripe/connect/accounts/acct_1/invoices"),
    method_row("PUT"),
    method_row("PATCH"),
    method_row("DELETE"),
    method_row("OPTIONS"),
    Row("TRACE", 405, "This method is not allowed here.", lambda w: w.post(b"", method="TRACE"), {"Allow": "GET, POST"}),
    Row("too large", 413, "The request body is larger than 64 KB.", lambda w: w.post(LARGE)),
    type_row(None),
    type_row("text/plain"),
    type_row("application/x-www-form-urlencoded"),
    type_row("multipart/form-data; boundary=x"),
    type_row("application/json; charset=iso-8859-1"),
    type_row("application/jsonp"),
    Row("no key", 401, NO_KEY, lambda world: world.with_key(None)),
    key_row("unknown"),
    key_row("revoked"),
    key_row("expired"),
    key_row("wrong checksum"),
    key_row("other form"),
    key_row("too long"),
    key_row("two keys"),
    key_row("basic"),
    key_row("bearer alone"),
    key_row("empty"),
    body_row("empty body", "The body is empty: a JSON object is expected.", b""),
    body_row("not JSON", "The body is not valid JSON: a value is missing (byte 1).", b"hello"),
    body_row("half", "The body is not valid JSON: it ends too early (byte 9).", b'{"data":'),
    body_row("array", "The body must be a JSON object.", []),
    body_row("string", "The body must be a JSON object.", '"data"'),
    body_row("no data", "The body must have a member data.", {}),
    body_row("data null", "data must be an object.", {"data": None}),
    body_row("data array", "data must be an object.", {"data": []}),
    data_row("no clientId", "data.clientId is required.", clientId=...),
    data_row("no productId", "data.productId is required.", productId=...),
    data_row("no collection_method", "data.collection_method is required.", collection_method=...),
    data_row("clientId null", id_rule("clientId"), clientId=None),
    data_row("clientId number", id_rule("clientId"), clientId=64),
    data_row("clientId empty", id_rule("clientId"), clientId=""),
    data_row("productId object", id_rule("productId"), productId={}),
    data_row("productId with slash", id_rule("productId"), productId="prod/../x"),
    data_row("collection_method number", METHOD_RULE, collection_method=1),
    data_row("collection_method unknown", METHOD_RULE, collection_method="by_pigeon"),
    data_row("collection_method in capitals", METHOD_RULE, collection_method="SEND_INVOICE"),
    data_row("days string", DAYS_RULE, days_until_due="30"),
    data_row("days fraction", DAYS_RULE, days_until_due=30.5),
    data_row("days null", DAYS_RULE, days_until_due=None),
    data_row("days negative", DAYS_RULE, days_until_due=-1),
    data_row("days too many", DAYS_RULE, days_until_due=3651),
    data_row(
        "send_invoice without days",
        "data.days_until_due is required with collection_method send_invoice.",
        days_until_due=...,
    ),
    data_row(
        "charge_automatically with days",
        "data.days_until_due is only allowed with collection_method send_invoice.",
        collection_method="charge_automatically",
    ),
    Row(
        "account unknown",
        404,
        "The account in the path is not known to this agency.",
        lambda w: w.post(w.data(), path="/v1/public/stripe/connect/accounts/acct_nobody/invoices"),
    ),
    Row(
        "account foreign",
        404,
        "The account in the path is not known to this agency.",
        lambda w: w.post(w.data(), path=w.stack.invoices_path(w.foreign)),
    ),
    Row("client unknown", 404, "data.clientId names no client of this agency.", lambda w: w.create(clientId="nobody")),
    Row(
        "client foreign",
        404,
        "data.clientId names no client of this agency.",
        lambda w: w.create(clientId=w.foreign.client),
    ),
    Row(
        "no admin member",
        400,
        "The client has no admin member. Assign one, then send the request again.",
        lambda w: w.create(clientId=w.no_admin),
    ),
    Row(
        "admin without e-mail",
        400,
        "The client's admin member has no e-mail address, which collection_method send_invoice needs.",
        lambda w: w.create(clientId=w.no_email),
    ),
]


@pytest.mark.status_row
@pytest.mark.parametrize("row", BEFORE_UPSTREAM, ids=lambda row: row.name)
def test_refused_before_the_upstream(world: World, row: Row) -> None:
    with world.stack.nothing_upstream():
        answer = row.ask(world)
    assert_refused(answer, row.status, row.message)
    assert {name: answer.header(name) for name in row.headers} == row.headers
    request = world.stack.request_row(answer.request_id) if answer.request_id.count("-") == 4 else None
    if row.status == 404 and row.message == NO_ADDRESS or row.status in (405, 413, 415, 401):
        assert request is None
    else:
        assert request is not None
        assert (request["state"], request["http_status"], request["invoice_id"]) == ("refused", row.status, None)


# What the upstream has to be asked about: read, but nothing posted.
PRODUCTS = [
    ("prod_nothing", 404, "data.productId names no product of this account."),
    ("prod_foreign", 404, "data.productId names no product of this account."),
    ("prod_archived", 400, "The product in data.productId is archived."),
    ("prod_priceless", 400, "The product in data.productId has no active one-time price."),
    ("prod_recurring", 400, "The product in data.productId has no active one-time price."),
    ("prod_inactive_price", 400, "The product in data.productId has no active one-time price."),
    (
        "prod_two_prices",
        400,
        "The product in data.productId has several one-time prices and no default. Set its default price.",
    ),
    ("prod_no_amount", 400, "The one-time price of the product in data.productId has no fixed amount."),
]


@pytest.mark.status_row
@pytest.mark.parametrize("product, status, message", PRODUCTS, ids=[row[0] for row in PRODUCTS])
def test_refused_for_its_product(world: World, product: str, status: int, message: str) -> None:
    before = world.posts()
    answer = world.create(productId=product)
    assert_refused(answer, status, message)
    assert world.posts() == before
    request = world.stack.request_row(answer.request_id)
    assert request is not None
    assert (request["state"], request["http_status"]) == ("refused", status)


# ---- what the upstream says


@dataclasses.dataclass(frozen=True)
class Upstream:
    """A fault in a step of a warm request, and what the client hears; nothing stands afterwards."""

    name: str
    fault: dict[str, Any]
    status: int
    message: str
    retry_after: bool = False
    mode: str = "live"
    product: str = "prod_usd_10000"  # another one than this has to be read first


FROM_UPSTREAM = [
    Upstream("card error", {"fault": "card_error", "step": "invoice"}, 402, ""),
    Upstream("400", {"fault": "status", "step": "invoice", "status": 400}, 400, ""),
    Upstream("404", {"fault": "status", "step": "invoice", "status": 404}, 404, ""),
    Upstream("refuses the line", {"fault": "status", "step": "lines", "status": 400}, 400, ""),
    Upstream(
        "credential",
        {"fault": "unauthorized", "step": "invoice"},
        502,
        "The payment provider refused the gateway's own credential. Its operator has to look at it.",
        mode="test",
    ),
    Upstream(
        "account closed",
        {"fault": "forbidden", "step": "invoice"},
        502,
        "The payment provider does not let the gateway use this account.",
    ),
    Upstream(
        "redirect",
        {"fault": "redirect", "step": "invoice"},
        502,
        "The payment provider gave an answer that makes no sense. No invoice was made.",
    ),
    Upstream(
        "wrong amount",
        {"fault": "wrong_amount", "step": "lines"},
        502,
        "The payment provider's invoice differs from the product's price. It was deleted; no invoice stands.",
    ),
    Upstream(
        "away",
        {"fault": "reset_before", "step": "product"},
        503,
        "The payment provider cannot be reached. No invoice was made; try again later.",
        retry_after=True,
        product="prod_eur",
    ),
    Upstream("limit", {"fault": "status_429", "step": "invoice"}, 503, "No invoice was made; try again later.", retry_after=True),
    Upstream("deadline, keyless", {"fault": "hang", "step": "invoice"}, 504, "no invoice will stand"),
]


@pytest.mark.status_row
@pytest.mark.parametrize("row", FROM_UPSTREAM, ids=lambda row: row.name)
def test_refused_by_the_upstream(world: World, row: Upstream) -> None:
    stack, tenant = world.stack, world.stack.tenant()
    key = tenant.test_key if row.mode == "test" else tenant.key
    books = Books(stack)
    assert books.told(stack.create(tenant, key=key)).status == 200
    with stack.sandbox.faulty(**row.fault, account=tenant.account):
        answer = books.told(stack.create(tenant, key=key, productId=row.product))
    assert answer.status == row.status
    assert row.message in answer.error
    assert (answer.header("Retry-After") is not None) == row.retry_after
    assert books.assert_balanced().standing == 1


@pytest.mark.status_row
def test_deadline_with_a_key(world: World) -> None:
    stack, tenant, books = world.stack, world.stack.tenant(), Books(world.stack)
    assert books.told(stack.create(tenant)).status == 200
    with stack.sandbox.faulty("hang", step="invoice", account=tenant.account):
        answer = books.told(stack.create(tenant, idempotency_key="slow"), "slow")
    assert answer.status == 504
    assert "sending the request again with the same Idempotency-Key is safe" in answer.error
    books.settle()
    replay = books.told(stack.create(tenant, idempotency_key="slow"), "slow")
    assert (replay.status, replay.replayed) == (200, True)
    assert books.assert_balanced().standing == 2


@pytest.mark.parametrize("status", [400, 402, 404])
def test_upstream_refusals_belong_to_the_key(world: World, status: int) -> None:
    stack, tenant = world.stack, world.stack.tenant()
    fault = {"fault": "card_error"} if status == 402 else {"fault": "status", "status": status}
    with stack.sandbox.faulty(**fault, step="invoice", account=tenant.account):
        first = stack.create(tenant, idempotency_key="unlucky")
    assert first.status == status and not first.replayed
    second = stack.create(tenant, idempotency_key="unlucky")
    assert (second.status, second.body, second.replayed) == (first.status, first.body, True)


def test_infrastructure_failures_release_the_key(world: World) -> None:
    stack, tenant, books = world.stack, world.stack.tenant(), Books(world.stack)
    with stack.sandbox.faulty("redirect", step="invoice", account=tenant.account):
        first = books.told(stack.create(tenant, idempotency_key="again"), "again")
    assert first.status == 502
    second = books.told(stack.create(tenant, idempotency_key="again"), "again")
    assert (second.status, second.replayed) == (200, False)
    assert books.assert_balanced().standing == 1


# ---- which of two comes first


def use_key(world: World, key: str) -> None:
    answer = world.create(idempotency_key=key)
    assert answer.status == 200, answer


def unknown_account(world: World, body: Any) -> Answer:
    return world.post(body, path="/v1/public/stripe/connect/accounts/acct_nobody/invoices")


def reused(world: World, body: Any) -> Answer:
    use_key(world, "order")
    return world.post(body, more_headers=[("Idempotency-Key", "order")])


def in_flight(world: World, body: Any, key: str) -> Answer:
    """While the first request with this key is at work."""
    tenant, sandbox = world.tenant, world.stack.sandbox
    with sandbox.faulty("delay", delay_ms=600, account=tenant.account):
        before = sandbox.counts()["total"]
        pending = world.stack.send(world.stack.create_bytes(tenant, idempotency_key=key))
        wait_for("a call", lambda: sandbox.counts()["total"] > before)
        answer = world.post(body, more_headers=[("Idempotency-Key", key)])
        assert pending.answer().status == 200
    return answer


NOT_JSON = ("Content-Type", "text/plain")
BAD_BODY = b'{"data":{}}'
PAIRS: list[tuple[str, int, str, Callable[[World], Answer]]] = [
    ("address, method", 404, NO_ADDRESS, lambda w: w.post(b"", path="/v1/public/x", method="GET")),
    ("address, size", 404, NO_ADDRESS, lambda w: w.post(LARGE, path="/v1/public/x")),
    (
        "method, size",
        405,
        "This address does not answer this method.",
        lambda w: w.post(LARGE, method="PUT"),
    ),
    ("method, type", 405, "This address does not answer this method.", lambda w: w.post(b"", method="PUT", headers=[NOT_JSON])),
    ("size, type", 413, "The request body is larger than 64 KB.", lambda w: w.post(LARGE, headers=[NOT_JSON])),
    ("size, key", 413, "The request body is larger than 64 KB.", lambda w: w.post(LARGE, headers=[JSON])),
    ("type, key", 415, "The Content-Type must be application/json.", lambda w: w.post(b"{}", headers=[NOT_JSON])),
    ("key, body", 401, NO_KEY, lambda w: w.post(BAD_BODY, headers=[JSON])),
    (
        "unknown key, body",
        401,
        NO_KEY,
        lambda w: w.post(BAD_BODY, headers=[("Authorization", w.bad_keys["unknown"]), JSON]),
    ),
    (
        "key, Idempotency-Key",
        401,
        NO_KEY,
        lambda w: w.post(w.data(), headers=[("Authorization", w.bad_keys["revoked"]), JSON, ("Idempotency-Key", "a,b")]),
    ),
    ("key, account", 401, NO_KEY, lambda w: w.post(w.data(), headers=[JSON], path=w.stack.invoices_path(w.foreign))),
    ("body, reused key", 400, "data.clientId is required.", lambda w: reused(w, w.data(clientId=...))),
    ("body, busy key", 400, "data.clientId is required.", lambda w: in_flight(w, w.data(clientId=...), "busy")),
    ("body, account", 400, "data.clientId is required.", lambda w: unknown_account(w, w.data(clientId=...))),
    ("Idempotency-Key, body", 400, IDEMPOTENCY_FORM, lambda w: w.post(BAD_BODY, more_headers=[("Idempotency-Key", "")])),
    (
        "reused key, client",
        422,
        "This Idempotency-Key was used with other parameters. Use a new key for a new invoice.",
        lambda w: reused(w, w.data(clientId="nobody")),
    ),
    (
        "reused key, rule",
        422,
        "This Idempotency-Key was used with other parameters. Use a new key for a new invoice.",
        lambda w: reused(w, w.data(clientId=w.no_admin)),
    ),
    (
        "account, client",
        404,
        "The account in the path is not known to this agency.",
        lambda w: unknown_account(w, w.data(clientId="nobody")),
    ),
    (
        "account, rule",
        404,
        "The account in the path is not known to this agency.",
        lambda w: unknown_account(w, w.data(clientId=w.no_admin)),
    ),
    (
        "client, product",
        404,
        "data.clientId names no client of this agency.",
        lambda w: w.create(clientId="nobody", productId="prod_nothing"),
    ),
    # What we know by ourselves is told without asking the upstream about the product.
    (
        "rule of the client, product",
        400,
        "The client has no admin member. Assign one, then send the request again.",
        lambda w: w.create(clientId=w.no_admin, productId="prod_nothing"),
    ),
]


@pytest.mark.parametrize("status, message, ask", [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS])
def test_order_of_refusals(world: World, status: int, message: str, ask: Callable[[World], Answer]) -> None:
    assert_refused(ask(world), status, message)


# Between members of data: the first in the documented order.
@pytest.mark.parametrize("first", ["clientId", "productId", "collection_method", "days_until_due"])
def test_order_of_members(world: World, first: str) -> None:
    members = ["clientId", "productId", "collection_method", "days_until_due"]
    wrong = {member: [] for member in members[members.index(first) :]}
    answer = world.create(**wrong)
    assert answer.status == 400
    assert answer.error.startswith(f"data.{first} ")


def test_everything_wrong_put_right_one_by_one(world: World) -> None:
    request: dict[str, Any] = {
        "path": "/v1/public/x",
        "method": "PUT",
        "body": LARGE,
        "headers": [NOT_JSON],
        "more_headers": [],
    }
    key: Header = ("Authorization", world.tenant.key)
    use_key(world, "walk")
    repairs: list[tuple[int, dict[str, Any]]] = [
        (404, {"path": world.stack.invoices_path(world.tenant)}),
        (405, {"method": "POST"}),
        (413, {"body": BAD_BODY}),
        (415, {"headers": [JSON]}),
        (401, {"headers": [key, JSON]}),
        (400, {"body": world.data(clientId="nobody", productId="prod_nothing"), "more_headers": [("Idempotency-Key", "walk")]}),
        (422, {"more_headers": []}),
        (404, {"body": world.data(productId="prod_nothing")}),
        (404, {"body": world.data(productId="prod_archived")}),
        (400, {"body": world.data()}),
    ]
    for status, repair in repairs:
        answer = world.post(**request)
        assert (answer.status, bool(answer.error)) == (status, True)
        request |= repair
    assert world.post(**request).status == 200


# ---- nobody learns of anybody else


def test_foreign_is_the_same_as_unknown(world: World) -> None:
    stack = world.stack
    path = "/v1/public/stripe/connect/accounts/acct_nobody/invoices"
    assert world.post(world.data(), path=stack.invoices_path(world.foreign)).body == world.post(world.data(), path=path).body
    assert world.create(clientId=world.foreign.client).body == world.create(clientId="nobody").body
    assert world.create(productId="prod_foreign").body == world.create(productId="prod_nothing").body


def test_all_bad_keys_get_the_same_answer(world: World) -> None:
    answers = [world.with_key(key) for key in [None, *world.bad_keys.values()]]
    assert {(answer.status, answer.body) for answer in answers} == {(401, json.dumps({"error": NO_KEY}, separators=(",", ":")).encode())}
    assert {tuple(sorted(set(answer.headers.keys()))) for answer in answers} == {tuple(sorted(set(answers[0].headers.keys())))}


def test_the_callers_request_id_is_not_ours(world: World) -> None:
    answer = world.post(world.data(), more_headers=[("Request-Id", "mine"), ("X-Request-Id", "mine")])
    assert answer.status == 200
    assert answer.request_id != "mine"


# ---- Idempotency-Key


@pytest.mark.status_row
def test_replay_is_the_same_byte_for_byte(world: World) -> None:
    first = world.create(idempotency_key="replay me")
    with world.stack.nothing_upstream():
        second = world.create(idempotency_key="replay me")
    assert (first.status, first.replayed) == (200, False)
    assert (second.status, second.replayed) == (200, True)
    assert second.body == first.body
    assert second.request_id != first.request_id
    assert second.header("Original-Request") == first.request_id


@pytest.mark.status_row
@pytest.mark.parametrize(
    "other",
    [
        {"productId": "prod_eur"},
        {"days_until_due": 31},
        {"clientId": "client_no_admin"},
        {"collection_method": "charge_automatically", "days_until_due": ...},
    ],
    ids=str,
)
def test_key_with_other_parameters(world: World, other: dict[str, Any]) -> None:
    use_key(world, "mine")
    with world.stack.nothing_upstream():
        answer = world.create(idempotency_key="mine", **other)
    assert_refused(answer, 422, "This Idempotency-Key was used with other parameters. Use a new key for a new invoice.")


def test_key_with_the_same_parameters_in_other_words(world: World) -> None:
    first = world.create(idempotency_key="words")
    data = world.stack.data(world.tenant, memo="ignored")
    body = json.dumps({"more": 1, "data": dict(reversed(data.items()))}, indent=4)
    second = world.post(body, more_headers=[("Idempotency-Key", '"words"')])
    assert (second.status, second.body, second.replayed) == (200, first.body, True)


@pytest.mark.status_row
def test_key_in_flight(world: World) -> None:
    answer = in_flight(world, world.data(), "in flight")
    assert_refused(
        answer, 409, "A request with this Idempotency-Key is still being worked on. Send it again in a moment."
    )
    assert int(answer.header("Retry-After") or 0) >= 1
    assert world.create(idempotency_key="in flight").replayed


def test_many_with_one_key_at_once(world: World) -> None:
    tenant, books = world.stack.tenant(), Books(world.stack)
    answers = books.told_all(world.stack.burst([world.stack.create_bytes(tenant, idempotency_key="one")] * 20), ["one"] * 20)
    assert {answer.status for answer in answers} <= {200, 409}
    assert len({answer.body for answer in answers if answer.status == 200}) == 1
    assert books.assert_balanced().standing == 1


def test_keys_of_others_are_others(world: World) -> None:
    stack, books = world.stack, Books(world.stack)
    sibling = stack.tenant(agency=world.tenant.agency)
    answers = [
        stack.create(world.tenant, idempotency_key="shared"),
        stack.create(world.tenant, key=world.tenant.test_key, idempotency_key="shared"),
        stack.create(world.foreign, idempotency_key="shared"),
        stack.create(sibling, idempotency_key="shared"),
    ]
    assert [(answer.status, answer.replayed) for answer in answers] == [(200, False)] * 4
    assert len({answer.json["id"] for answer in answers}) == 4
    assert books.assert_balanced().standing == 4


GOOD_KEYS = ["a", "b" * 255, '"quoted, with a comma"', r'"with \" and \\"', "spaces in it", "~!@#$%^&*()_+=[]{}|;:'<>?/"]


@pytest.mark.parametrize("key", GOOD_KEYS)
def test_good_keys(world: World, key: str) -> None:
    first, second = world.create(idempotency_key=key), world.create(idempotency_key=key)
    assert (first.status, second.status, second.replayed) == (200, 200, True)


def test_quoted_and_bare_are_the_same_key(world: World) -> None:
    first = world.create(idempotency_key="plain")
    second = world.create(idempotency_key='"plain"')
    assert (second.replayed, second.body) == (True, first.body)


BAD_KEYS = ["", '""', "c" * 256, '"' + "c" * 256 + '"', "a,b", '"open', '"a" b', r'"a\b"', "tab\tinside", "caf\u00e9"]


@pytest.mark.status_row
@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys(world: World, key: str) -> None:
    with world.stack.nothing_upstream():
        assert_refused(world.create(idempotency_key=key), 400, IDEMPOTENCY_FORM)


@pytest.mark.status_row
@pytest.mark.parametrize("second", ["a", "b"])
def test_two_keys(world: World, second: str) -> None:
    with world.stack.nothing_upstream():
        answer = world.post(world.data(), more_headers=[("Idempotency-Key", "a"), ("Idempotency-Key", second)])
    assert_refused(answer, 400, "There must be one Idempotency-Key header at most.")


# ---- what nginx says by itself


def http(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, *headers, "", ""]).encode("latin-1")


HOST, CLOSE = "Host: localhost", "Connection: close"
NOT_HTTP = "The request is not valid HTTP."
BY_NGINX = [
    ("no request line", 400, NOT_HTTP, http("HELLO")),
    ("method in small letters", 400, NOT_HTTP, http("post / HTTP/1.1", HOST)),
    ("no host", 400, NOT_HTTP, http("POST /v1/public/ HTTP/1.1", CLOSE)),
    ("two hosts", 400, NOT_HTTP, http("POST /v1/public/ HTTP/1.1", HOST, "Host: other", CLOSE)),
    ("bad host", 400, NOT_HTTP, http("POST /v1/public/ HTTP/1.1", "Host: a/../b", CLOSE)),
    ("bad escape in the path", 400, NOT_HTTP, http("POST /v1/public/%zz HTTP/1.1", HOST, CLOSE)),
    ("path above the root", 400, NOT_HTTP, http("GET /../../etc/passwd HTTP/1.1", HOST, CLOSE)),
    ("header with a space", 400, NOT_HTTP, http("POST /v1/public/ HTTP/1.1", HOST, "A b: c", CLOSE)),
    ("folded header", 400, NOT_HTTP, http("POST /v1/public/ HTTP/1.1", HOST, "A: b", " c", CLOSE)),
    ("two Authorization headers", 400, NOT_HTTP, http("POST /v1/public/ HTTP/1.1", HOST, "Authorization: a", "Authorization: b")),
    ("negative length", 400, NOT_HTTP, http("POST /v1/public/ HTTP/1.1", HOST, "Content-Length: -1", CLOSE)),
    ("length and chunks", 400, NOT_HTTP, http("POST / HTTP/1.1", HOST, "Content-Length: 1", "Transfer-Encoding: chunked")),
    ("long address", 414, "The address of the request is too long.", http(f"GET /{'x' * 9000} HTTP/1.1", HOST, CLOSE)),
    ("long header", 400, "The headers of the request are too large.", http("GET / HTTP/1.1", HOST, f"A: {'x' * 9000}", CLOSE)),
    ("HTTP/2.0", 505, "This version of HTTP is not supported.", http("GET / HTTP/2.0", HOST)),
    (
        "gzip transfer",
        501,
        "The request uses a part of HTTP that is not supported here.",
        http("POST /v1/public/ HTTP/1.1", HOST, "Transfer-Encoding: gzip", CLOSE),
    ),
    ("other address", 404, NO_ADDRESS, http("GET /elsewhere HTTP/1.1", HOST, CLOSE)),
    ("error page itself", 404, NO_ADDRESS, http("GET /_invoicegate/error/502-unsent HTTP/1.1", HOST, CLOSE)),
    ("CONNECT", 400, NOT_HTTP, http("CONNECT localhost:80 HTTP/1.1", HOST)),
]


@pytest.mark.status_row
@pytest.mark.parametrize("status, message, data", [row[1:] for row in BY_NGINX], ids=[row[0] for row in BY_NGINX])
def test_refused_by_nginx(world: World, status: int, message: str, data: bytes) -> None:
    with world.stack.nothing_upstream():
        assert_refused(world.stack.exchange(data), status, message)


@pytest.mark.status_row
def test_no_worker(world: World) -> None:
    world.stack.stop_workers()
    try:
        with world.stack.nothing_upstream():
            answer = world.create()
    finally:
        world.stack.up()
    assert_refused(answer, 502, "No worker could be reached: nothing was done, try again shortly.")
    assert int(answer.header("Retry-After") or 0) >= 1
    assert world.create().status == 200


@pytest.mark.status_row
def test_worker_dies_with_the_request(world: World) -> None:
    stack, tenant, books = world.stack, world.tenant, Books(world.stack)
    with stack.sandbox.faulty("delay", step="lines", delay_ms=800, account=tenant.account):
        before = stack.sandbox.counts()["lines"]
        pending = stack.send(stack.create_bytes(tenant, idempotency_key="orphan"))
        wait_for("the line", lambda: stack.sandbox.counts()["lines"] > before)
        os.kill(stack.worker_pid(), signal.SIGKILL)
        answer = pending.answer()
    assert_refused(
        answer,
        504,
        "No answer arrived and the outcome is not known yet: a retry with the same Idempotency-Key is safe.",
    )
    assert re.fullmatch(r"[0-9a-f]{32}", answer.request_id)
    wait_for("a worker", lambda: world.create().status == 200)
    books.settle()
    replay = books.told(world.create(idempotency_key="orphan"), "orphan")
    assert (replay.status, replay.replayed) == (200, True)
    books.assert_balanced()
