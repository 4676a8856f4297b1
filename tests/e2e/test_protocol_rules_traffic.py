"""Rules 17 and 19: whom an upstream that refuses concerns, budgets, and parameters that move money elsewhere."""

from __future__ import annotations

import base64
import time
import urllib.parse
from typing import Any, Callable

import pytest

import rules
from books import Books
from rules import books, stack, tenant, workers_run  # noqa: F401 (fixtures)
from stack import Stack, Tenant
from waiting import wait_for
from wire import Answer, Header

AWAY = "The payment provider cannot be reached. No invoice was made; try again later."


def until_served(stack: Stack, tenant: Tenant, **how: Any) -> None:
    """A probe finds that the upstream is back."""
    wait_for("a 200", lambda: stack.create(tenant, **how).status == 200, every_s=0.1)


# ---- 17. the breaker


def refused_at_once(stack: Stack, ask: Callable[[], Answer]) -> Answer:
    """Without a call upstream."""
    with stack.nothing_upstream():
        answer = ask()
    assert (answer.status, answer.error) == (503, AWAY)
    assert int(answer.header("Retry-After") or 0) >= 1
    return answer


def test_rule_17_401_concerns_the_whole_upstream(stack: Stack, books: Books) -> None:
    """Our own credential is refused: after a few times nobody's request of that mode is sent any more, the other mode's
    are, and a probe finds out when the credential is good again."""
    one, other = stack.tenant(), stack.tenant()
    with stack.sandbox.faulty("unauthorized", account=one.account):
        told = [books.told(stack.create(one)) for _ in range(3)]
        assert [answer.status for answer in told] == [502] * 3
        assert "credential" in told[0].error
        assert books.told(refused_at_once(stack, lambda: stack.create(other))).status == 503
        assert books.told(stack.create(other, key=other.test_key)).status == 200
    alarms = [line for line in stack.log("workers").splitlines() if "refuses the gateway" in line]
    assert any(one.account in line and '"severity":"error"' in line for line in alarms)
    until_served(stack, other)
    until_served(stack, one)
    assert books.assert_balanced().problems() == {}


def test_rule_17_403_concerns_one_account(stack: Stack, books: Books) -> None:
    """The account is closed to us: its requests are refused at once for a while, all others are served."""
    closed, other = stack.tenant(), stack.tenant()
    with stack.sandbox.faulty("forbidden", account=closed.account):
        assert books.told(stack.create(closed)).status == 502
        assert books.told(refused_at_once(stack, lambda: stack.create(closed))).status == 503
        assert books.told(stack.create(other)).status == 200
    until_served(stack, closed)
    assert books.assert_balanced().problems() == {}


def test_rule_17_429_concerns_one_account(stack: Stack, books: Books) -> None:
    """The upstream says when it wants to hear of that account again, and so it is; all others are served."""
    busy, other = stack.tenant(), stack.tenant()
    stack.sandbox.fault("status_429", account=busy.account, count=1, retry_after_s=2)
    pending = stack.send(stack.create_bytes(busy, idempotency_key="first"))
    rules.wait_for_calls(stack, busy, "product")
    before = rules.calls(stack, busy)[-1]["at_ms"]
    answer = books.told(refused_at_once(stack, lambda: stack.create(busy)))
    assert int(answer.header("Retry-After") or 0) <= 2
    assert books.told(stack.create(other)).status == 200
    assert books.told(pending.answer(), "first").status == 200
    assert rules.calls(stack, busy)[1]["at_ms"] >= before + 2000
    assert books.assert_balanced().problems() == {}


def test_rule_17_an_upstream_that_is_away_is_not_asked_by_everyone(stack: Stack, tenant: Tenant, books: Books) -> None:
    """After some refused connections requests are refused at once, and few probes are made."""
    stack.stop_sandbox()
    answers = stack.burst([stack.create_bytes(tenant)] * 6)
    assert {answer.status for answer in answers} == {503}
    begun = time.monotonic()
    quick = [stack.create(tenant) for _ in range(20)]
    assert {answer.status for answer in quick} == {503}
    assert all(int(answer.header("Retry-After") or 0) >= 1 for answer in quick)
    calls = "select count(*) as n from audit.upstream_calls where request_id = any(%s::uuid[])"
    made = stack.audit(calls, [answer.request_id for answer in quick])
    assert made[0]["n"] <= 2 + (time.monotonic() - begun)
    stack.up()
    until_served(stack, tenant)
    books.told_all(answers + quick)
    assert books.assert_balanced().problems() == {}


# ---- 17. budgets


def posts(stack: Stack, tenant: Tenant) -> list[int]:
    """When each POST for the account arrived upstream, in milliseconds."""
    return [call["at_ms"] for call in rules.calls(stack, tenant, method="POST")]


@pytest.mark.parametrize("workers", [1, 2])
def test_rule_17_posts_for_an_account_keep_to_its_budget(start_stack: Callable[..., Stack], workers: int) -> None:
    """Five POSTs a second for each account, over all workers: the upstream sees no more, though all requests come at once.
    Another account's request does not stand in that queue."""
    stack = start_stack(**rules.SETTINGS | {"DEADLINE_MS": 30000}, ACCOUNT_POSTS_PER_S=5, workers=workers)
    books = Books(stack)
    busy, other = stack.tenant(), stack.tenant()
    wait_for("each worker to know of all", lambda: len(live_workers(stack)) == workers)
    pending = [stack.send(stack.create_bytes(busy)) for _ in range(6)]
    rules.wait_for_calls(stack, busy, "invoice")
    assert books.told(stack.create(other)).status == 200
    assert not all(one.is_answered_within(0) for one in pending)
    assert [books.told(one.answer()).status for one in pending] == [200] * 6
    times = posts(stack, busy)
    assert len(times) >= 13  # a customer, six invoices, six lines
    assert times[-1] - times[0] >= (len(times) - 1 - 2 * workers) * 1000 / 5
    assert books.assert_balanced().created == 7


def live_workers(stack: Stack) -> list[dict[str, Any]]:
    """Those that renew their lease; a worker's second connection may have introduced itself, too, in its first moment."""
    return stack.sql("select pid from gateway.workers where ended_at is null and lease_until >= now()")


def test_rule_17_a_budget_that_is_far_behind_refuses_at_once(start_stack: Callable[..., Stack]) -> None:
    """Whose turn would come too late to be answered is told so, with the time to wait, and nothing is sent for it."""
    stack = start_stack(**rules.SETTINGS, ACCOUNT_POSTS_PER_S=5)
    books = Books(stack)
    tenant = stack.tenant()
    assert books.told(stack.create(tenant)).status == 200
    answers = books.told_all(stack.burst([stack.create_bytes(tenant)] * 20))
    shed = [answer for answer in answers if answer.status == 503]
    assert len(shed) >= 8 and {answer.status for answer in answers} <= {200, 503, 504}
    ids = [answer.request_id for answer in shed]
    assert stack.audit("select step from audit.upstream_calls where request_id = any(%s::uuid[])", ids) == []
    limiting = "The payment provider is limiting requests. No invoice was made; try again later."
    assert {answer.error for answer in shed} == {limiting}
    assert all(int(answer.header("Retry-After") or 0) >= 1 for answer in shed)
    assert books.assert_balanced().problems() == {}


# ---- 19. parameters that move money elsewhere


MOVING = [
    {"application_fee_amount": "100"},
    {"transfer_data[destination]": "acct_elsewhere"},
    {"on_behalf_of": "acct_elsewhere"},
    {"issuer[type]": "account", "issuer[account]": "acct_elsewhere"},
]


def create_as_upstream(stack: Stack, tenant: Tenant, **more: str) -> Answer:
    """The call of the upstream's own interface."""
    customer = stack.create(tenant).json["customer"]["id"]
    fields = {"customer": customer, "collection_method": "send_invoice", "days_until_due": "30"} | more
    headers: list[Header] = [
        ("Authorization", "Basic " + base64.b64encode(f"{tenant.key}:".encode()).decode()),
        ("Stripe-Account", tenant.account),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ]
    return stack.post(urllib.parse.urlencode(fields), tenant=tenant, path="/v1/invoices", headers=headers)


@pytest.mark.parametrize("parameters", MOVING, ids=lambda parameters: next(iter(parameters)))
def test_rule_19_money_moving_parameters_need_a_setting(stack: Stack, tenant: Tenant, parameters: dict[str, str]) -> None:
    """What sends money to somebody else is refused, by name, unless the operator has said otherwise."""
    answer = create_as_upstream(stack, tenant, **parameters)
    assert answer.status == 400
    assert next(iter(parameters)).split("[")[0] in answer.json["error"]["param"]
    assert len(rules.calls(stack, tenant, "invoice")) == 1


def test_rule_19_with_the_setting_they_pass(start_stack: Callable[..., Stack]) -> None:
    stack = start_stack(**rules.SETTINGS, PASS_THROUGH_MONEY="yes")
    tenant = stack.tenant()
    for parameters in MOVING:
        create_as_upstream(stack, tenant, **parameters)
        assert parameters.items() <= rules.form(rules.calls(stack, tenant, "invoice")[-1]).items()
