"""Refusals and deletions that are not what they seem: each once left an invoice that nobody knew of."""

from __future__ import annotations

import pytest
from books import Books
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
