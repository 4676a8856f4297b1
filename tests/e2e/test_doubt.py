"""Refusals and deletions that are not what they seem: each once left an invoice that nobody knew of."""

from __future__ import annotations

from typing import Callable, Iterator

import pytest
from books import Books
from gates import UpstreamGate
from passed_on import Caller, refused
from stack import Stack, Tenant
from waiting import wait_for


@pytest.mark.parametrize("status", [400, 402, 404])
@pytest.mark.parametrize("first", ["status_500_after", "reset_after"])
def test_a_refusal_after_a_doubt_is_not_the_end(
    stack: Stack, tenant: Tenant, books: Books, first: str, status: int
) -> None:
    """The first attempt has made the invoice; what refuses the second one cannot undo that. A look finds it."""
    stack.sandbox.fault(first, step="invoice", count=1, account=tenant.account)
    stack.sandbox.fault("status", status=status, step="invoice", count=1, account=tenant.account)
    answer = books.told(stack.create(tenant, idempotency_key=f"{first} {status}"), f"{first} {status}")
    assert answer.status == 200, answer
    balance = books.assert_balanced()
    assert (balance.created, balance.standing) == (1, 1)


@pytest.mark.parametrize("status", [400, 402, 404])
def test_a_refusal_that_a_look_confirms_is_told(stack: Stack, tenant: Tenant, books: Books, status: int) -> None:
    """Nothing was made by the attempt that was lost: one look is enough to believe the upstream's no."""
    stack.sandbox.fault("reset_before", step="invoice", count=1, account=tenant.account)
    stack.sandbox.fault("status", status=status, step="invoice", count=1, account=tenant.account)
    answer = books.told(stack.create(tenant, idempotency_key=f"no {status}"), f"no {status}")
    assert answer.status == status, answer
    assert books.assert_balanced().standing == 0


@pytest.mark.parametrize("key", ["keyed", None])
def test_only_the_upstream_says_that_a_draft_is_gone(
    stack: Stack, tenant: Tenant, books: Books, key: str | None
) -> None:
    """The line is refused, and somebody answers 404 to the deletion of a draft that is still there."""
    stack.sandbox.fault("status", status=400, step="lines", count=1, account=tenant.account)
    stack.sandbox.fault("status", status=404, step="delete", count=1, account=tenant.account)
    answer = books.told(stack.create(tenant, idempotency_key=key), key)
    assert answer.status == 400, answer
    assert books.assert_balanced().standing == 0


def test_a_customer_that_is_gone_after_a_doubt_makes_no_second_invoice(
    stack: Stack, tenant: Tenant, books: Books
) -> None:
    """The upstream has made the invoice, then loses customer and keys: a new customer must not mean a new invoice."""
    warm = books.told(stack.create(tenant))
    stack.sandbox.fault("hang", step="invoice", count=1, account=tenant.account)
    pending = stack.send(stack.create_bytes(tenant, idempotency_key="once"))
    wait_for("the second invoice", lambda: len(stack.sandbox.ledger(tenant.account)["invoices"]) == 2)
    stack.sandbox.api("DELETE", f"customers/{warm.json['customer']['id']}", account=tenant.account)
    stack.sandbox.control("POST", "forget_keys")
    books.told(pending.answer(), "once")
    balance = books.assert_balanced(60.0)
    assert balance.standing == balance.created <= 2


# ---- a look that is still finding out when the client's patience ends


def refused_after_a_loss(stack: Stack, tenant: Tenant, step: str, look: str) -> None:
    """The upstream has done it, nobody hears of that, the second attempt is refused, and whoever looks waits."""
    stack.sandbox.fault("reset_after", step=step, count=1, account=tenant.account)
    stack.sandbox.fault("status", status=400, step=step, count=1, account=tenant.account)
    stack.sandbox.fault("hang_before", step=look, account=tenant.account)


def test_a_look_for_an_invoice_takes_long(stack: Stack, tenant: Tenant, books: Books) -> None:
    refused_after_a_loss(stack, tenant, "invoice", "list_invoices")
    answer = books.told(stack.create(tenant, idempotency_key="once"), "once")
    assert answer.status == 504, answer
    row = stack.request_row(answer.request_id)
    assert row and row["state"] == "unresolved", row
    stack.sandbox.no_faults()
    books.settle()
    assert books.told(stack.create(tenant, idempotency_key="once"), "once").replayed
    balance = books.assert_balanced()
    assert (balance.created, balance.standing) == (1, 1)


def test_a_look_for_an_item_takes_long(stack: Stack, tenant: Tenant, books: Books) -> None:
    caller = Caller(stack, tenant)
    item = {"customer": caller.customer(), "amount": 5, "currency": "usd"}
    refused_after_a_loss(stack, tenant, "invoiceitem", "invoiceitem")
    refused(caller.post("invoiceitems", key="once", **item), 504, "api_error")
    stack.sandbox.no_faults()
    books.settle()
    again = caller.post("invoiceitems", key="once", **item)
    assert again.status == 200 and again.replayed, again
    assert [i["id"] for i in stack.sandbox.ledger(tenant.account)["invoiceitems"]] == [again.json["id"]]


@pytest.fixture
def upstream_gate() -> Iterator[UpstreamGate]:
    gate = UpstreamGate()
    yield gate
    gate.close()


def test_a_look_at_an_act_takes_long(start_stack: Callable[..., Stack], upstream_gate: UpstreamGate) -> None:
    """The upstream has done it, and answers with another invoice."""
    stack = start_stack(UPSTREAM_URL=upstream_gate.url, LOOKUP_PAUSE_MS=300)
    upstream_gate.target = stack.sandbox.port
    caller, books = Caller(stack, stack.demo), Books(stack)
    invoice = caller.create()["id"]
    upstream_gate.alter(r"^POST /v1/invoices/\w+/finalize", lambda body: body.replace(invoice.encode(), b"in_another"))
    with stack.sandbox.faulty("hang_before", step="get_invoice"):
        answer = caller.post(f"invoices/{invoice}/finalize", key="once")
        refused(answer, 504, "api_error")
    books.settle()
    row = stack.request_row(answer.request_id)
    assert row and row["state"] == "created", row
    again = caller.post(f"invoices/{invoice}/finalize", key="once")
    assert again.replayed and again.json["id"] == invoice
    assert [call["step"] for call in stack.sandbox.calls()].count("finalize") == 1
