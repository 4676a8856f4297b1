"""Agencies that share a worker: how much one may take up, and that those who wait for their turn come to no harm."""

from __future__ import annotations

import time
from typing import Callable

import pytest

import wire
from books import Books
from stack import Stack, Tenant
from waiting import wait_for

WINDOW = 64  # requests of one agency under way while others ask, too
LIMIT = "This agency has too many requests under way. Nothing was done; try again in a moment."


def warm(stack: Stack) -> tuple[Tenant, Tenant]:
    """Two tenants whose keys, customers and products are known."""
    greedy, modest = stack.tenant(), stack.tenant()
    for tenant in (greedy, modest):
        assert stack.create(tenant).status == 200
    return greedy, modest


def requests_of(stack: Stack, tenant: Tenant) -> int:
    return stack.audit("select count(*) as n from audit.requests where agency_id = %s", tenant.agency)[0]["n"]


def test_one_agency_leaves_room_for_others(start_stack: Callable[..., Stack]) -> None:
    stack = start_stack(MAX_INFLIGHT=100, DEADLINE_MS=20000, CALL_TIMEOUT_MS=5000)
    greedy, modest, books = stack.tenant(), stack.tenant(), Books(stack)
    for tenant in (greedy, modest):
        assert books.told(stack.create(tenant)).status == 200
    stack.sandbox.latency(1500)
    flood = [stack.send(stack.create_bytes(greedy)) for _ in range(120)]
    refused = flood[-1].answer()  # so the worker has taken them all in
    assert books.told(refused).status == 429 and int(refused.header("Retry-After") or 0) >= 1
    assert refused.error == LIMIT
    modest_answers = books.told_all(stack.burst([stack.create_bytes(modest)] * 30))
    assert {answer.status for answer in modest_answers} == {200}
    statuses = [books.told(pending.answer()).status for pending in flood[:-1]]
    assert set(statuses) == {200, 429} and statuses.count(200) >= 64
    stack.sandbox.latency(0)
    assert books.told(stack.create(greedy)).status == 200
    assert books.assert_balanced().created == statuses.count(200) + 33


@pytest.mark.parametrize("keyed", [False, True])
def test_a_tenant_in_company_waits_for_its_turn(stack: Stack, books: Books, keyed: bool) -> None:
    """Three windows full at once: all are made, one window after the other."""
    greedy, modest = warm(stack)
    stack.sandbox.latency(200)
    assert stack.create(modest).status == 200
    keys = [f"k{number}" if keyed else None for number in range(3 * WINDOW)]
    answers = stack.burst([stack.create_bytes(greedy, idempotency_key=key) for key in keys])
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["id"] for answer in answers}) == 3 * WINDOW
    stack.sandbox.latency(0)


def test_only_a_window_of_a_tenant_is_under_way(start_stack: Callable[..., Stack]) -> None:
    """The upstream is stuck: a window full is told 504, the others wait in vain and hear that nothing was done."""
    stack = start_stack(DEADLINE_MS=1500, CALL_TIMEOUT_MS=20000)
    greedy, modest = warm(stack)
    books, before = Books(stack), requests_of(stack, greedy)
    stack.sandbox.latency(5000)
    flood = [stack.send(stack.create_bytes(greedy)) for _ in range(2 * WINDOW)]
    company = []
    for _ in range(10):  # until the deadline has passed for all
        company.append(stack.send(stack.create_bytes(modest)))
        time.sleep(0.25)
    answers = books.told_all(pending.answer() for pending in flood)
    books.told_all(pending.answer() for pending in company)
    late = [answer for answer in answers if answer.status == 429]
    assert {answer.error for answer in late} == {LIMIT} and all(answer.header("Retry-After") for answer in late)
    assert {answer.status for answer in answers if answer.status != 429} <= {503, 504}
    assert len(late) >= WINDOW and requests_of(stack, greedy) - before == len(answers) - len(late)
    stack.sandbox.latency(0)
    assert books.assert_balanced(60).created == 0


def test_who_leaves_while_it_waits_leaves_nothing_behind(stack: Stack) -> None:
    greedy, modest = warm(stack)
    books, before = Books(stack), requests_of(stack, greedy)
    stack.sandbox.latency(500)
    books.told(stack.create(modest))
    crowd = [stack.send(stack.create_bytes(greedy)) for _ in range(2 * WINDOW)]
    wait_for("a window full", lambda: requests_of(stack, greedy) - before >= WINDOW)
    for pending in reversed(crowd):
        pending.leave()
    stack.sandbox.latency(0)
    assert books.told(stack.create(greedy)).status == 200
    assert books.assert_balanced(60).created == 2


def test_reads_take_turns_too(stack: Stack) -> None:
    greedy, modest = warm(stack)
    path = stack.invoices_path(greedy)
    assert stack.create(modest).status == 200
    asking = [("Authorization", greedy.key)]
    answers = stack.burst([wire.request_bytes("GET", path, asking)] * (3 * WINDOW))
    assert {answer.status for answer in answers} == {200}
