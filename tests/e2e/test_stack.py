"""The helpers themselves: a stack that works, and books that notice."""

from __future__ import annotations

from books import Books
from stack import Stack, Tenant


def test_an_invoice_is_made(stack: Stack, tenant: Tenant, books: Books) -> None:
    answer = books.told(stack.create(tenant))
    assert answer.status == 200, answer
    balance = books.assert_balanced()
    assert (balance.created, balance.standing) == (1, 1)


# History refuses to be changed: damage has to be done past its guards.
DAMAGE = "set session_replication_role = replica; "


def test_books_notice_what_is_wrong(stack: Stack, tenant: Tenant, books: Books) -> None:
    answer = books.told(stack.create(tenant))
    other = books.told(stack.create(tenant), "a key")
    books.told(answer, "a key")
    stack.sql(DAMAGE + "delete from gateway.invoices where invoice_id = %s", answer.json["id"])
    stack.sql(DAMAGE + "update gateway.invoices set amount_minor = 1 where invoice_id = %s", other.json["id"])
    assert set(books.balance().problems()) == {"lost", "doubled", "mismatched"}
    stack.sql(DAMAGE + "update gateway.invoice_requests set state = 'failed' where request_id = %s", other.request_id)
    assert "unwanted" in books.balance().problems()
