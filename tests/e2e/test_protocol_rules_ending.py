"""Rules 7 to 9 of how a request ends: what clients are told is final, nobody's draft stands, what is irreversible is decided
in PostgreSQL first."""

from __future__ import annotations

import time
from typing import Any

import pytest

import rules
from books import Books
from rules import A_WHILE_S, books, events, row_of, send_and_wait, settle, stack, steps, tenant, workers_run  # noqa: F401 (fixtures)
from stack import Stack, Tenant
from waiting import wait_for

LONG_MS = 450  # less than the worker waits for one call


# ---- 7. what clients are told is final


REFUSED = {
    "client_unknown": (404, {"clientId": "nobody"}),
    "product_archived": (400, {"productId": "prod_archived"}),
    "product_unknown": (404, {"productId": "prod_nowhere"}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_rule_07_a_refusal_is_committed_before_it_is_told(stack: Stack, tenant: Tenant, reason: str) -> None:
    """As long as it cannot be written, nobody hears of it."""
    status, members = REFUSED[reason]
    assert stack.create(tenant).status == 200
    with stack.locked("gateway.events"):
        pending = stack.send(stack.create_bytes(tenant, **members))
        assert not pending.is_answered_within(A_WHILE_S)
    answer = pending.answer()
    assert (answer.status, row_of(stack, answer.request_id)["reason"]) == (status, reason)
    assert row_of(stack, answer.request_id)["state"] == "refused"


def test_rule_07_a_failure_is_committed_before_it_is_told(stack: Stack, tenant: Tenant, books: Books) -> None:
    """The upstream refuses the invoice; its words reach the client once the end is in the books."""
    stack.sandbox.fault("status", status=402, delay_ms=LONG_MS, step="invoice", account=tenant.account)
    pending, request_id = send_and_wait(stack, tenant, "invoice", key="refused")
    with stack.locked("gateway.events"):
        assert not pending.is_answered_within(LONG_MS / 1000 + A_WHILE_S)
        assert row_of(stack, request_id)["state"] == "open"
    assert books.told(pending.answer(), "refused").status == 402
    assert row_of(stack, request_id)["state"] == "failed"
    assert books.assert_balanced().standing == 0


ERRORS: list[tuple[dict[str, Any], int]] = [
    ({"fault": "status_429", "step": "invoice"}, 503),
    ({"fault": "forbidden", "step": "invoice"}, 502),
    ({"fault": "status_503_html", "step": "customer"}, 503),
    ({"fault": "status_503_html", "step": "product"}, 503),
    ({"fault": "card_error", "step": "lines"}, 402),
    ({"fault": "wrong_amount", "step": "lines"}, 502),
]


def test_rule_07_after_an_error_nothing_is_done(stack: Stack, books: Books) -> None:
    """Whoever was told anything but 504 can rely on it: at that moment the request has ended, nothing stands, and
    nothing is created or advanced for it any more, though the upstream would let it now."""
    tenants = [stack.tenant() for _ in ERRORS]
    for tenant, (rule, _) in zip(tenants, ERRORS):
        stack.sandbox.fault(**rule, account=tenant.account)
    keys = [tenant.account for tenant in tenants]
    answers = books.told_all(stack.burst(stack.create_bytes(t, idempotency_key=t.account) for t in tenants), keys)
    sent = [len(steps(stack, tenant)) for tenant in tenants]
    rows = [row_of(stack, answer.request_id) for answer in answers]
    assert [row["state"] for row in rows] == ["failed"] * len(ERRORS)
    assert [(answer.status, row["http_status"]) for answer, row in zip(answers, rows)] == [(s, s) for _, s in ERRORS]
    assert [rules.work_of(stack, answer.request_id) for answer in answers] == [None] * len(ERRORS)
    stack.sandbox.no_faults()
    time.sleep(A_WHILE_S)
    assert [len(steps(stack, tenant)) for tenant in tenants] == sent
    assert books.assert_balanced().standing == 0


def test_rule_07_504_while_a_draft_cannot_be_deleted(stack: Stack, tenant: Tenant, books: Books) -> None:
    """The invoice is wrong and its draft refuses to go: 502 would say that none stands, so it is 504; the books say how it
    ended once it has."""
    stack.sandbox.fault("wrong_amount", step="lines", account=tenant.account)
    with stack.sandbox.faulty("status_503_html", step="delete", account=tenant.account):
        answer = books.told(stack.create(tenant, idempotency_key="stuck"), "stuck")
        assert answer.status == 504
        assert row_of(stack, answer.request_id)["state"] in ("open", "unresolved")
    row = settle(stack, answer.request_id)
    assert (row["state"], row["reason"], row["http_status"]) == ("failed", "amount_mismatch", 504)
    assert books.assert_balanced().standing == 0


# ---- 8. requests that nobody can ask about


DEATHS = [("hang", "invoice"), ("hang_before", "invoice"), ("hang", "lines"), ("hang_before", "lines"), ("hang", "advance")]


@pytest.mark.parametrize("step", ["product", "customer", "invoice", "lines", "advance"])
def test_rule_08_a_client_without_key_left(stack: Stack, step: str, books: Books) -> None:
    """Whoever left and has no key can never hear of the invoice: it does not stand."""
    tenant = stack.tenant(auto_advance=True)
    with stack.sandbox.faulty("delay", step=step, account=tenant.account, delay_ms=LONG_MS):
        pending, request_id = send_and_wait(stack, tenant, step)
        pending.leave()
        row = settle(stack, request_id)
    assert (row["state"], row["reason"]) in [("failed", "client_left"), ("failed", "compensated")]
    assert books.assert_balanced().standing == 0


def test_rule_08_a_client_without_key_was_told_of_no_invoice(stack: Stack, books: Books) -> None:
    """504 to a request without a key says that no invoice will stand, and so it comes, wherever the request was."""
    tenants = [stack.tenant(auto_advance=True) for _ in DEATHS]
    for tenant, (fault, step) in zip(tenants, DEATHS):
        stack.sandbox.fault(fault, step=step, account=tenant.account)
    answers = books.told_all(stack.burst(stack.create_bytes(tenant) for tenant in tenants))
    stack.sandbox.no_faults()
    for answer in answers:
        assert answer.status == 504 and "no invoice will stand" in answer.error
        assert settle(stack, answer.request_id)["state"] == "failed"
    assert books.assert_balanced().standing == 0


@pytest.fixture(scope="module")
def deaths(stack: Stack) -> dict[str, list[rules.Orphan]]:
    """Requests with and without a key lose their worker at each step, and another one comes."""
    keyless = rules.leave_orphans(stack, *DEATHS, key=None, auto_advance=True)
    stack.up()
    keyed = rules.leave_orphans(stack, *DEATHS, auto_advance=True)
    stack.up()
    for left in keyless + keyed:
        settle(stack, left.request_id, 60.0)
    return {"keyless": keyless, "keyed": keyed}


@pytest.mark.parametrize("number", range(len(DEATHS)), ids=[" ".join(case) for case in DEATHS])
def test_rule_08_a_worker_died_with_a_request_without_key(
    stack: Stack, deaths: dict[str, list[rules.Orphan]], number: int
) -> None:
    """Nobody was told of an invoice, and nobody can ask: the successor sees to it that none stands."""
    left = deaths["keyless"][number]
    row = row_of(stack, left.request_id)
    assert (row["state"], rules.standing(stack, left.tenant)) == ("failed", [])
    rules.assert_same_bytes(stack, left.tenant)


@pytest.mark.parametrize("number", range(len(DEATHS)), ids=[" ".join(case) for case in DEATHS])
def test_rule_08_requests_with_a_key_are_finished(stack: Stack, deaths: dict[str, list[rules.Orphan]], number: int) -> None:
    """Their clients can ask again, and are answered from memory."""
    left = deaths["keyed"][number]
    row = row_of(stack, left.request_id)
    (invoice,) = rules.standing(stack, left.tenant)
    assert (row["state"], row["invoice_id"], invoice["lines"], invoice["auto_advance"]) == ("created", invoice["id"], 1, True)
    replay = stack.create(left.tenant, idempotency_key="a key")
    assert (replay.status, replay.replayed, replay.json["id"]) == (200, True, invoice["id"])
    rules.assert_same_bytes(stack, left.tenant)


def test_rule_10_who_ends_a_request_makes_sure_first(stack: Stack, deaths: dict[str, list[rules.Orphan]]) -> None:
    """A predecessor's POST might still be on its way. The successor that wants no invoice sends it itself, under the same
    key, and deletes what has come of it."""
    left = deaths["keyless"][DEATHS.index(("hang_before", "invoice"))]
    assert [call["step"] for call in rules.calls_since(stack, left)] == ["invoice", "delete"]


# ---- 9. irreversible acts are decided first


def test_rule_09_deleting_is_decided_before_it_is_done(stack: Stack, tenant: Tenant, books: Books) -> None:
    """As long as the decision cannot be written, the draft stays; then the decision stands before the act."""
    stack.sandbox.fault("wrong_amount", step="lines", account=tenant.account, delay_ms=LONG_MS)
    pending, request_id = send_and_wait(stack, tenant, "lines")
    with stack.locked("gateway.events"):
        assert not pending.is_answered_within(LONG_MS / 1000 + A_WHILE_S)
        assert "delete" not in steps(stack, tenant)
    assert books.told(pending.answer()).status == 502
    assert events(stack, request_id)[-2:] == ["delete_decided", "failed"]
    assert books.assert_balanced().standing == 0


def test_rule_09_advancing_is_decided_before_it_is_done(stack: Stack, books: Books) -> None:
    """The same for an invoice that is let go to its payer."""
    tenant = stack.tenant(auto_advance=True)
    stack.sandbox.fault("delay", step="lines", account=tenant.account, delay_ms=LONG_MS)
    pending, request_id = send_and_wait(stack, tenant, "lines")
    with stack.locked("gateway.events"):
        assert not pending.is_answered_within(LONG_MS / 1000 + A_WHILE_S)
        assert "advance" not in steps(stack, tenant)
    assert books.told(pending.answer()).status == 200
    assert events(stack, request_id)[-2:] == ["advance_decided", "created"]
    assert books.assert_balanced().standing == 1


def test_rule_09_a_draft_is_deleted_until_that_is_confirmed(stack: Stack, tenant: Tenant, books: Books) -> None:
    """Its first deletion is done, but the answer is lost: the 404 of a later one is as good. Between them the upstream is
    away for longer than the worker itself waits, so the request rests in PostgreSQL, too."""
    stack.sandbox.fault("wrong_amount", step="lines", account=tenant.account)
    stack.sandbox.fault("reset_after", step="delete", account=tenant.account, count=1)
    with stack.sandbox.faulty("status_503_html", step="delete", account=tenant.account):
        answer = books.told(stack.create(tenant, idempotency_key="x"), "x")
        assert answer.status == 504
        wait_for("resting", lambda: (rules.work_of(stack, answer.request_id) or {})["worker_id"] == 0)
        work = rules.work_of(stack, answer.request_id)
        assert work and work["doing"] == "delete"
    assert settle(stack, answer.request_id)["state"] == "failed"
    assert [call["status"] for call in rules.calls(stack, tenant, "delete")][-1] == 404
    assert books.assert_balanced().standing == 0


def test_rule_09_a_decided_deletion_survives_its_worker(stack: Stack, books: Books) -> None:
    """The worker dies between the decision and the act: whoever comes deletes, and does nothing else."""
    tenant = stack.tenant()
    stack.sandbox.fault("wrong_amount", step="lines", account=tenant.account)
    with stack.sandbox.faulty("hang_before", step="delete", account=tenant.account):
        pending, request_id = send_and_wait(stack, tenant, "delete", key="decided")
        rules.kill_workers(stack)
        pending.leave()
        sent = len(steps(stack, tenant))
    stack.up()
    row = settle(stack, request_id)
    assert (row["state"], row["reason"]) == ("failed", "amount_mismatch")
    assert steps(stack, tenant)[sent:] == ["delete"]
    assert books.assert_balanced().standing == 0


@pytest.mark.parametrize("key", [None, "a key"], ids=["keyless", "keyed"])
def test_rule_09_what_is_no_draft_any_more_stands(stack: Stack, tenant: Tenant, key: str | None) -> None:
    """While its deletion does not get through, the account's operator finalizes the draft: it is recorded as what it is,
    with an alarm, and the key stays bound to it."""
    if key:
        stack.sandbox.fault("wrong_quantity", step="lines", account=tenant.account)
    else:
        stack.sandbox.fault("hang", step="lines", account=tenant.account)
    with stack.sandbox.faulty("status_503_html", step="delete", account=tenant.account):
        answer = stack.create(tenant, idempotency_key=key)
        assert answer.status == 504
        rules.wait_for_calls(stack, tenant, "delete")
        (draft,) = rules.standing(stack, tenant)
        stack.sandbox.api("POST", f"invoices/{draft['id']}/finalize", {}, account=tenant.account)
    row = settle(stack, answer.request_id)
    assert (row["state"], row["reason"], row["invoice_id"]) == ("created", "stood_already", draft["id"])
    (invoice,) = stack.audit("select status, number from audit.invoices where invoice_id = %s", draft["id"])
    assert invoice["status"] == "open" and invoice["number"]
    alarms = [line for line in stack.log("workers").splitlines() if "no draft any more" in line]
    assert any(draft["id"] in line and '"severity":"error"' in line for line in alarms)
    if key:
        again = stack.create(tenant, idempotency_key=key)
        assert (again.status, again.replayed) == (504, True)
    assert len(stack.sandbox.ledger(tenant.account)["invoices"]) == 1
