"""The main job: one call, one invoice, in the books before anybody hears of it; whatever is away or leaves meanwhile."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import time
import urllib.parse
from typing import Any, Callable, Iterator

import pytest

from books import Books
from stack import Stack, Tenant
from waiting import wait_for
from wire import Answer

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# How long nothing must happen while something that it needs is held back.
A_WHILE_S = 0.4


def form(call: dict[str, Any]) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(call["body"], strict_parsing=True, keep_blank_values=True))


def steps(stack: Stack, tenant: Tenant) -> list[str]:
    return [call["step"] for call in stack.sandbox.calls(account=tenant.account)]


def called(stack: Stack, tenant: Tenant, step: str) -> Callable[[], bool]:
    return lambda: step in steps(stack, tenant)


def events(stack: Stack, request_id: str) -> list[str]:
    rows = stack.audit("select what from audit.events where request_id = %s order by at, event_id", request_id)
    return [row["what"] for row in rows]


def only_request(stack: Stack, tenant: Tenant) -> dict[str, Any]:
    (row,) = stack.audit("select * from audit.requests where account_id = %s", tenant.account)
    return row


@pytest.fixture(scope="module")
def pair() -> Iterator[Stack]:
    """Two workers, and time enough for hundreds of requests on a slow machine."""
    with Stack(workers=2, DEADLINE_MS=50000, LEASE_MS=5000) as stack:
        yield stack


# ---- the answer


def test_documented_example(stack: Stack, books: Books) -> None:
    before = int(time.time())
    answer = books.told(stack.create(stack.demo))
    assert answer.status == 200
    assert answer.header("Content-Type") == "application/json"
    assert UUID7.fullmatch(answer.request_id)
    assert answer.header("Idempotent-Replayed") is None
    body = answer.json
    types = {name: type(value) for name, value in body.items()}
    assert types == {
        "id": str,
        "amount": int,
        "currency": str,
        "status": str,
        "number": type(None),
        "customer": dict,
        "description": str,
        "created": int,
    }
    assert re.fullmatch(r"in_\w+", body["id"])
    assert before - 1 <= body["created"] <= int(time.time()) + 1
    customer = body["customer"]
    assert re.fullmatch(r"cus_\w+", customer["id"])
    assert customer == {"id": customer["id"], "email": "customer@example.com", "name": "John Doe"}
    told = {name: body[name] for name in ("amount", "currency", "status", "description")}
    assert told == {"amount": 10000, "currency": "usd", "status": "draft", "description": ""}
    assert books.assert_balanced().created == 1


def test_charge_automatically(stack: Stack, tenant: Tenant, books: Books) -> None:
    answer = books.told(stack.create(tenant, collection_method="charge_automatically", days_until_due=...))
    assert answer.status == 200
    (invoice,) = stack.sandbox.ledger(tenant.account)["invoices"]
    assert invoice["collection_method"] == "charge_automatically"
    assert "days_until_due" not in form(stack.sandbox.calls(account=tenant.account)[-2])
    books.assert_balanced()


@pytest.mark.parametrize("spelling", ["{}", "Bearer {}", "bearer {}", "BEARER   {}"])
def test_key_spellings(stack: Stack, spelling: str) -> None:
    answer = stack.create(key=spelling.format(stack.demo.key))
    assert answer.status == 200


def test_unknown_members_are_ignored(stack: Stack, tenant: Tenant) -> None:
    data = stack.data(tenant, memo="for later", nested={"a": [1, None]})
    assert stack.post({"data": data, "trace": True}, tenant=tenant).status == 200


def test_test_key_makes_test_invoices(stack: Stack, tenant: Tenant, books: Books) -> None:
    answer = books.told(stack.create(tenant, key=tenant.test_key))
    assert answer.status == 200
    live = books.told(stack.create(tenant))
    assert live.json["customer"]["id"] != answer.json["customer"]["id"]
    modes = {invoice["id"]: invoice["mode"] for invoice in stack.sandbox.ledger(tenant.account)["invoices"]}
    assert modes == {answer.json["id"]: "test", live.json["id"]: "live"}
    assert {row["mode"] for row in books.requests().values()} == {"live", "test"}
    books.assert_balanced()


def test_account_that_advances_by_itself(stack: Stack, books: Books) -> None:
    tenant = stack.tenant(auto_advance=True)
    answer = books.told(stack.create(tenant))
    assert answer.status == 200
    assert steps(stack, tenant)[-3:] == ["invoice", "lines", "advance"]
    (invoice,) = stack.sandbox.ledger(tenant.account)["invoices"]
    assert invoice["auto_advance"] is True
    assert "advance_decided" in events(stack, answer.request_id)
    books.assert_balanced()


# ---- once, and then from memory


@pytest.mark.parametrize("count", [2, 20])
def test_first_requests_at_once_make_one_customer(pair: Stack, count: int) -> None:
    tenant = pair.tenant()
    books = Books(pair)
    answers = books.told_all(pair.burst([pair.create_bytes(tenant)] * count))
    assert [answer.status for answer in answers] == [200] * count
    ledger = pair.sandbox.ledger(tenant.account)
    assert len(ledger["customers"]) == 1
    assert {answer.json["customer"]["id"] for answer in answers} == {ledger["customers"][0]["id"]}
    (row,) = pair.sql("select customer_id from gateway.customers where account_id = %s", tenant.account)
    assert row["customer_id"] == ledger["customers"][0]["id"]
    assert books.assert_balanced().created == count


def test_product_and_customer_are_remembered(stack: Stack, tenant: Tenant) -> None:
    for _ in range(3):
        assert stack.create(tenant).status == 200
    assert steps(stack, tenant) == ["product", "customer"] + ["invoice", "lines"] * 3


def test_product_is_read_again_after_a_minute(stack: Stack, tenant: Tenant) -> None:
    assert stack.create(tenant).status == 200
    age = "update gateway.products set fetched_at = fetched_at - interval '61 s' where account_id = %s"
    stack.sql(age, tenant.account)
    assert stack.create(tenant).status == 200
    assert steps(stack, tenant) == ["product", "customer", "invoice", "lines", "product", "invoice", "lines"]


def test_customer_that_is_gone_is_made_anew(stack: Stack, tenant: Tenant, books: Books) -> None:
    first = books.told(stack.create(tenant))
    stack.sandbox.reset()
    second = stack.create(tenant)
    assert second.status == 200
    assert second.json["customer"]["id"] != first.json["customer"]["id"]
    (customer,) = stack.sandbox.ledger(tenant.account)["customers"]
    assert customer["id"] == second.json["customer"]["id"]


# ---- what is sent upstream


def test_every_upstream_call_is_complete(stack: Stack, tenant: Tenant) -> None:
    answer = stack.create(tenant)
    calls = stack.sandbox.calls(account=tenant.account)
    assert [(call["method"], call["step"]) for call in calls] == [
        ("GET", "product"),
        ("POST", "customer"),
        ("POST", "invoice"),
        ("POST", "lines"),
    ]
    for call in calls:
        assert call["stripe_account"] == tenant.account
        assert call["stripe_version"] == "2025-03-31.basil"
        assert call["authorization"] == "Basic"
        assert (call["idempotency_key"] is not None) == (call["method"] == "POST")
    whose = hashlib.sha256(f"{tenant.agency}\n{tenant.client}\n{tenant.account}\nlive".encode()).hexdigest()
    assert [call["idempotency_key"] for call in calls] == [
        None,
        f"invoicegate-customer-{whose}-1",
        f"invoicegate-{answer.request_id}-invoice-1",
        f"invoicegate-{answer.request_id}-lines-1",
    ]


def test_upstream_forms(stack: Stack, tenant: Tenant) -> None:
    answer = stack.create(tenant)
    _, customer, invoice, lines = stack.sandbox.calls(account=tenant.account)
    assert form(customer) == {
        "name": "John Doe",
        "email": "customer@example.com",
        "metadata[invoicegate_client]": tenant.client,
    }
    assert form(invoice) == {
        "customer": answer.json["customer"]["id"],
        "collection_method": "send_invoice",
        "days_until_due": "30",
        "auto_advance": "false",
        "pending_invoice_items_behavior": "exclude",
        "currency": "usd",
        "metadata[invoicegate_request]": answer.request_id,
        "metadata[invoicegate_client]": tenant.client,
    }
    assert form(lines) == {"lines[0][pricing][price]": "price_usd_10000", "lines[0][quantity]": "1"}
    assert lines["path"] == f"/v1/invoices/{answer.json['id']}/add_lines"


# ---- the books


def test_audit_of_a_cold_and_a_warm_request(stack: Stack, tenant: Tenant) -> None:
    cold = stack.create(tenant, idempotency_key="first")
    warm = stack.create(tenant)
    row = stack.request_row(cold.request_id)
    assert row is not None
    assert row["created_at"] <= row["finished_at"]
    expected = {
        "agency_id": tenant.agency,
        "account_id": tenant.account,
        "client_id": tenant.client,
        "product_id": "prod_usd_10000",
        "route": "account_invoices",
        "mode": "live",
        "state": "created",
        "reason": None,
        "http_status": 200,
        "invoice_id": cold.json["id"],
        "amount_minor": 10000,
        "currency": "usd",
        "idempotency_key": "first",
        "collection_method": "send_invoice",
        "days_until_due": 30,
    }
    assert {name: row[name] for name in expected} == expected
    assert events(stack, cold.request_id) == ["opened", "planned", "created"]
    assert events(stack, warm.request_id) == ["opened", "created"]
    calls = "select * from audit.upstream_calls where request_id = %s order by started_at"
    rows = stack.audit(calls, cold.request_id)
    assert [row["step"] for row in rows] == ["product", "customer", "invoice", "lines"]
    for row in rows:
        assert (row["attempt"], row["http_status"], row["outcome"]) == (1, 200, "ok")
        assert row["upstream_request_id"] and row["duration_ms"] >= 0
    assert [row["step"] for row in stack.audit(calls, warm.request_id)] == ["invoice", "lines"]


def test_audit_holds_the_whole_invoice(stack: Stack, tenant: Tenant) -> None:
    answer = stack.create(tenant)
    (row,) = stack.audit("select * from audit.invoices where invoice_id = %s", answer.json["id"])
    assert (row["request_id"], row["agency_id"], row["client_id"]) == (answer.request_id, tenant.agency, tenant.client)
    assert (row["status"], row["amount_minor"], row["currency"]) == ("draft", 10000, "usd")
    assert row["object"]["object"] == "invoice"
    assert row["object"]["lines"]["data"][0]["amount"] == 10000


def test_intent_is_recorded_before_anything_is_sent(stack: Stack, tenant: Tenant) -> None:
    with stack.locked("gateway.invoice_requests"):
        pending = stack.send(stack.create_bytes(tenant))
        assert not pending.is_answered_within(A_WHILE_S)
        assert steps(stack, tenant) == []
    assert pending.answer().status == 200


def test_plan_is_recorded_before_the_first_post_of_its_step(stack: Stack, tenant: Tenant) -> None:
    with stack.locked("gateway.prices"):
        pending = stack.send(stack.create_bytes(tenant))
        wait_for("the customer", called(stack, tenant, "customer"))
        assert not pending.is_answered_within(A_WHILE_S)
        assert steps(stack, tenant) == ["product", "customer"]
    assert pending.answer().status == 200


def test_what_stands_in_the_books_while_the_upstream_works(stack: Stack, tenant: Tenant) -> None:
    with stack.sandbox.faulty("delay", step="invoice", delay_ms=500, account=tenant.account):
        pending = stack.send(stack.create_bytes(tenant))
        wait_for("the POST", called(stack, tenant, "invoice"))
        row = only_request(stack, tenant)
        told = pending.is_answered_within(0)
    assert not told
    assert (row["state"], row["price_id"], row["amount_minor"]) == ("open", "price_usd_10000", 10000)
    assert row["customer_id"]
    assert pending.answer().status == 200


def test_result_is_recorded_before_the_answer(stack: Stack, tenant: Tenant) -> None:
    with stack.locked("gateway.invoices"):
        pending = stack.send(stack.create_bytes(tenant))
        wait_for("the line", called(stack, tenant, "lines"))
        assert not pending.is_answered_within(A_WHILE_S)
        assert only_request(stack, tenant)["state"] == "open"
    answer = pending.answer()
    assert answer.status == 200
    assert only_request(stack, tenant)["invoice_id"] == answer.json["id"]


# ---- many


def test_500_requests_at_once(pair: Stack) -> None:
    tenant = pair.tenant()
    books = Books(pair)
    keys = [f"key-{number}" if number % 2 else None for number in range(500)]
    answers = books.told_all(pair.burst([pair.create_bytes(tenant, idempotency_key=key) for key in keys]), keys)
    assert [answer.status for answer in answers if answer.status != 200] == []
    assert len({answer.json["id"] for answer in answers}) == 500
    assert len({answer.request_id for answer in answers}) == 500
    balance = books.assert_balanced()
    assert (balance.created, balance.standing) == (500, 500)


def test_more_than_max_inflight(start_stack: Callable[..., Stack]) -> None:
    stack = start_stack(MAX_INFLIGHT=4)
    assert stack.create().status == 200
    books = Books(stack)
    stack.sandbox.latency(300)
    answers = books.told_all(stack.burst([stack.create_bytes()] * 12))
    shed = [answer for answer in answers if answer.status == 503]
    assert [answer.status for answer in answers if answer.status != 503] == [200] * (12 - len(shed))
    assert 1 <= len(shed) <= 8
    for answer in shed:
        assert answer.error == "The gateway is at its limit of open requests. Try again in a moment."
        assert int(answer.header("Retry-After") or 0) >= 1
        assert answer.request_id
    assert books.assert_balanced().created == 12 - len(shed)
    stack.sandbox.latency(0)
    assert stack.create().status == 200


# ---- PostgreSQL is away


def assert_database_away(answer: Answer) -> None:
    assert answer.status == 503
    assert answer.error == "The gateway cannot reach its database. No invoice was made; try again in a moment."
    assert int(answer.header("Retry-After") or 0) >= 1
    assert answer.request_id


@pytest.fixture(scope="module")
def fragile() -> Iterator[Stack]:
    """A stack whose parts die and come back."""
    with Stack(DEADLINE_MS=3000, CALL_TIMEOUT_MS=1000, CONNECT_TIMEOUT_MS=1000, LEASE_MS=1500) as stack:
        yield stack


def create_until_200(stack: Stack, books: Books) -> Answer:
    """As a client that obeys Retry-After would, but faster."""

    def attempt() -> Answer | None:
        answer = books.told(stack.create())
        return answer if answer.status == 200 else None

    found = wait_for("a 200", attempt, every_s=0.1)
    assert found is not None
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["shutdown", "crash"])
def test_database_away(fragile: Stack, how: signal.Signals) -> None:
    books = Books(fragile)
    books.told(fragile.create())
    worker = fragile.worker_pid()
    fragile.stop_postgres(how)
    with fragile.nothing_upstream():
        for _ in range(3):
            assert_database_away(books.told(fragile.create()))
    fragile.up()
    create_until_200(fragile, books)
    assert fragile.worker_pid() == worker
    assert books.assert_balanced().created == 2


def test_database_away_at_start(fragile: Stack) -> None:
    books = Books(fragile)
    fragile.stop_postgres()
    os.kill(fragile.worker_pid(), signal.SIGKILL)
    answer = wait_for("a new worker", lambda: (a := fragile.create()).error.startswith("The gateway cannot") and a)
    assert_database_away(answer)
    worker = fragile.worker_pid()
    fragile.up()
    create_until_200(fragile, books)
    assert fragile.worker_pid() == worker
    assert books.assert_balanced().created == 1


def test_database_dies_while_the_upstream_works(fragile: Stack) -> None:
    books = Books(fragile)
    assert books.told(fragile.create()).status == 200
    with fragile.sandbox.faulty("delay", step="lines", delay_ms=500):
        pending = fragile.send(fragile.create_bytes(idempotency_key="lasting"))
        before = fragile.sandbox.counts()["lines"]
        wait_for("the line", lambda: fragile.sandbox.counts()["lines"] > before or before)
        fragile.stop_postgres(signal.SIGQUIT)
    fragile.up()
    answer = books.told(pending.answer(), "lasting")
    assert answer.status in (200, 504)
    assert books.assert_balanced().created == 2
    replay = books.told(fragile.create(idempotency_key="lasting"), "lasting")
    assert (replay.status, replay.replayed) == (200, True)


# ---- the upstream is away


@pytest.mark.parametrize("key", [None, "patient"], ids=["keyless", "keyed"])
def test_upstream_away(fragile: Stack, key: str | None) -> None:
    books = Books(fragile)
    assert books.told(fragile.create()).status == 200
    fragile.stop_sandbox()
    answer = fragile.create(idempotency_key=key)
    assert answer.status == 503
    assert answer.error == "The payment provider cannot be reached. No invoice was made; try again later."
    assert int(answer.header("Retry-After") or 0) >= 1
    fragile.up()
    books.told(answer, key)
    assert books.assert_balanced().created == 1
    again = books.told(fragile.create(idempotency_key=key), key)
    assert (again.status, again.replayed) == (200, False)
    assert books.assert_balanced().created == 2


# ---- clients that leave


def test_keyless_client_leaves(stack: Stack, tenant: Tenant, books: Books) -> None:
    with stack.sandbox.faulty("delay", step="invoice", delay_ms=400, account=tenant.account):
        pending = stack.send(stack.create_bytes(tenant))
        wait_for("the POST", called(stack, tenant, "invoice"))
        pending.leave()
        books.settle()
    row = only_request(stack, tenant)
    assert row["state"] == "failed"
    assert [invoice["deleted"] for invoice in stack.sandbox.ledger(tenant.account)["invoices"]] == [True]
    assert books.assert_balanced().standing == 0


def test_keyless_client_leaves_before_anything_stands(stack: Stack, tenant: Tenant, books: Books) -> None:
    with stack.sandbox.faulty("delay", step="product", delay_ms=400, account=tenant.account):
        pending = stack.send(stack.create_bytes(tenant))
        wait_for("the GET", called(stack, tenant, "product"))
        pending.leave()
        books.settle()
    row = only_request(stack, tenant)
    assert (row["state"], row["reason"]) == ("failed", "client_left")
    assert steps(stack, tenant) == ["product"]


def test_keyed_client_leaves(stack: Stack, tenant: Tenant, books: Books) -> None:
    with stack.sandbox.faulty("delay", step="invoice", delay_ms=400, account=tenant.account):
        pending = stack.send(stack.create_bytes(tenant, idempotency_key="back soon"))
        wait_for("the POST", called(stack, tenant, "invoice"))
        pending.leave()
        books.settle()
    row = only_request(stack, tenant)
    assert row["state"] == "created"
    answer = books.told(stack.create(tenant, idempotency_key="back soon"), "back soon")
    assert (answer.status, answer.replayed, answer.json["id"]) == (200, True, row["invoice_id"])
    assert books.assert_balanced().standing == 1


# ---- workers that end


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGUSR1], ids=["TERM", "USR1"])
def test_drain(fragile: Stack, how: signal.Signals) -> None:
    books = Books(fragile)
    assert books.told(fragile.create()).status == 200
    worker = fragile.worker_pid()
    before = fragile.sandbox.counts()["invoice"]
    fragile.sandbox.latency(300)
    pending = [fragile.send(fragile.create_bytes()) for _ in range(5)]
    wait_for("the POSTs", lambda: fragile.sandbox.counts()["invoice"] == before + 5)
    os.kill(worker, how)
    later = [fragile.send(fragile.create_bytes()) for _ in range(5)]
    answers = books.told_all(request.answer() for request in pending + later)
    fragile.sandbox.latency(0)
    assert [answer.status for answer in answers] == [200] * 10
    assert books.told(fragile.create()).status == 200
    wait_for("another worker", lambda: fragile.worker_pids() not in ([], [worker]))
    assert books.assert_balanced().created == 12


def test_killed_worker_is_replaced(fragile: Stack) -> None:
    books = Books(fragile)
    for _ in range(3):
        worker = fragile.worker_pid()
        os.kill(worker, signal.SIGKILL)
        create_until_200(fragile, books)
        assert fragile.worker_pid() != worker
    assert books.assert_balanced().created == 3
