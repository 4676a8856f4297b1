"""Narrow moments that a long run of make chaos has found, each brought about on purpose."""

from __future__ import annotations

import time
from typing import Callable

import paths  # noqa: F401
from books import Books
from stack import Stack
from waiting import wait_for


def test_a_call_that_was_sent_twice_may_have_happened(start_stack: Callable[..., Stack]) -> None:
    """A kept connection breaks after the invoice was made; libcurl sends the call again by itself and hears 429."""
    stack = start_stack()
    books = Books(stack)
    assert books.told(stack.create()).status == 200  # now there is a connection to break
    stack.sandbox.fault("reset_after", step="invoice", count=1)
    stack.sandbox.fault("status_429", step="invoice", count=20)
    answer = books.told(stack.create())
    assert answer.status == 504, answer
    stack.sandbox.no_faults()
    balance = books.assert_balanced(60.0)
    assert (balance.created, balance.standing) == (1, 1)


def test_a_client_without_a_key_leaves_while_its_invoice_is_committed(start_stack: Callable[..., Stack]) -> None:
    stack = start_stack()
    books = Books(stack)
    assert stack.create().status == 200
    with stack.locked("gateway.invoices"):  # the end cannot be written
        pending = stack.send(stack.create_bytes())
        wait_for("the second line", lambda: stack.sandbox.counts()["lines"] == 2)
        wait_for("its end to wait", lambda: stack.sql("select pid from pg_locks where not granted"))
        pending.leave()
        time.sleep(1.0)  # until the worker has heard of it, most probably
    ends = "select what from gateway.events where what in ('created', 'withdrawn', 'failed') order by at"
    wait_for("the withdrawn to fail", lambda: {"what": "failed"} in stack.sql(ends), 60.0)
    assert [event["what"] for event in stack.sql(ends)] == ["created", "created", "withdrawn", "failed"]
    assert '"sqlstate":"23505"' not in stack.log("workers")  # no call is recorded a second time
    balance = books.assert_balanced(60.0)
    assert (balance.created, balance.standing) == (1, 1)


def test_with_a_key_the_invoice_stays(start_stack: Callable[..., Stack]) -> None:
    stack = start_stack()
    books = Books(stack)
    with stack.locked("gateway.invoices"):
        pending = stack.send(stack.create_bytes(idempotency_key="a key"))
        wait_for("its end to wait", lambda: stack.sql("select pid from pg_locks where not granted"))
        pending.leave()
        time.sleep(1.0)
    books.settle(60.0)
    assert books.told(stack.create(idempotency_key="a key"), "a key").replayed
    balance = books.assert_balanced()
    assert (balance.created, balance.standing) == (1, 1)
