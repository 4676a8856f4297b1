"""Rules 4 to 6 of how an invoice is made: what is done when nobody knows whether something happened."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

import rules
from books import Books
from rules import LooseWorker, books, send_and_wait, settle, stack, steps, tenant, workers_run  # noqa: F401 (fixtures)
from stack import Stack, Tenant
from waiting import wait_for

# ---- 4. unknown stays unknown


NOT_DECISIONS: dict[str, list[dict[str, Any]]] = {
    "of one account": [
        {"fault": "forbidden"},
        {"fault": "status", "status": 418},
        {"fault": "redirect"},
        {"fault": "status_429"},
        {"fault": "should_retry_false"},
    ],
    "connection refused": [{"fault": "refuse_connection", "delay_ms": 700}],
    "unauthorized": [{"fault": "unauthorized"}],
}


@pytest.mark.parametrize("answers", NOT_DECISIONS.values(), ids=NOT_DECISIONS)
def test_rule_04_unknown_is_sticky(stack: Stack, answers: list[dict[str, Any]], books: Books) -> None:
    """After an attempt that may have happened, an answer by which this one did not happen ends nothing: the client is
    told of no failure, and the invoice is the one of the first attempt."""
    tenants = []
    for step, rule in itertools.product(["invoice", "lines"], answers):
        tenants.append(tenant := stack.tenant())
        stack.sandbox.fault("reset_after", step=step, account=tenant.account, count=1)
        stack.sandbox.fault(**rule, step=step, account=tenant.account, count=1)
    keys = [tenant.account for tenant in tenants]
    requests = [stack.create_bytes(tenant, idempotency_key=tenant.account) for tenant in tenants]
    told = stack.burst(requests)
    for i, tenant in enumerate(tenants):
        for _ in range(50):
            books.told(told[i], keys[i])
            if told[i].status != 503:
                break
            assert rules.calls(stack, tenant, "invoice") == []  # kept from an upstream that nobody reaches: it was late
            time.sleep(0.2)
            told[i] = stack.exchange(requests[i])
    assert {answer.status for answer in told} <= {200, 504}, told
    rows = [settle(stack, answer.request_id) for answer in told]
    assert all(rule["fired"] == 1 for rule in stack.sandbox.faults()), stack.sandbox.faults()
    for tenant, row in zip(tenants, rows):
        (invoice,) = stack.sandbox.ledger(tenant.account)["invoices"]
        assert (row["state"], row["invoice_id"], invoice["lines"]) == ("created", invoice["id"], 1)
        rules.assert_same_bytes(stack, tenant)
    assert books.assert_balanced().created == len(tenants)


def test_rule_04_a_refusal_of_the_upstream_ends_it(stack: Stack, tenant: Tenant, books: Books) -> None:
    """The first attempt got lost on its way; the upstream's decision about the second one counts for both."""
    stack.sandbox.fault("reset_before", step="invoice", account=tenant.account, count=1)
    stack.sandbox.fault("status", step="invoice", account=tenant.account, count=1, status=402)
    answer = books.told(stack.create(tenant, idempotency_key="refused"), "refused")
    assert (answer.status, rules.row_of(stack, answer.request_id)["state"]) == (402, "failed")
    assert len(rules.calls(stack, tenant, "invoice")) == 2
    assert books.assert_balanced().standing == 0


def test_rule_04_unknown_is_shown_as_unresolved(stack: Stack, tenant: Tenant, books: Books) -> None:
    """While nobody knows, the audit says so; then it says how it ended."""
    with stack.sandbox.faulty("hang", step="invoice", account=tenant.account):
        pending, request_id = send_and_wait(stack, tenant, "invoice", key="in doubt")
        wait_for("unresolved", lambda: rules.row_of(stack, request_id)["state"] == "unresolved")
        answer = books.told(pending.answer(), "in doubt")
    assert answer.status == 504
    assert "same Idempotency-Key is safe" in answer.error
    assert settle(stack, request_id)["state"] == "created"
    told = rules.events(stack, request_id)
    assert "unresolved" in told and told[-1] == "created"
    assert books.assert_balanced().created == 1


# ---- 5. what repeating cannot change


def test_rule_05_a_replayed_500_leads_to_a_look(stack: Stack, tenant: Tenant, books: Books) -> None:
    """The upstream has made the invoice, but saved a 500 for its key and would repeat it for ever: it is looked up."""
    stack.sandbox.fault("status_500_saved", step="invoice", account=tenant.account, count=1)
    answer = books.told(stack.create(tenant, idempotency_key="saved"), "saved")
    assert answer.status == 200
    assert steps(stack, tenant) == ["product", "customer", "invoice", "invoice", "list_invoices", "lines"]
    assert books.assert_balanced().created == 1


def test_rule_05_a_replayed_500_and_nothing_there(stack: Stack, tenant: Tenant, books: Books) -> None:
    """The same, but at the second look there is still no invoice: failed, and the key is free for another request."""
    stack.sandbox.fault("status_500_saved", step="invoice", account=tenant.account, count=1)
    with stack.sandbox.faulty("status_500_before", step="list_invoices", account=tenant.account):  # nobody looks too early
        pending = stack.send(stack.create_bytes(tenant, idempotency_key="saved"))
        rules.wait_for_calls(stack, tenant, "invoice")
        (draft,) = rules.standing(stack, tenant)
        stack.sandbox.api("DELETE", f"invoices/{draft['id']}", account=tenant.account)
    answer = books.told(pending.answer(), "saved")
    assert (answer.status, rules.row_of(stack, answer.request_id)["reason"]) == (502, "not_found_upstream")
    made, *looks = steps(stack, tenant)[4:]
    assert made == "invoice" and len(looks) >= 2 and set(looks) == {"list_invoices"}
    assert books.told(stack.create(tenant, idempotency_key="saved"), "saved").status == 200
    assert books.assert_balanced().standing == 1


def test_rule_05_an_idempotency_error_leads_to_a_look(stack: Stack, tenant: Tenant, books: Books) -> None:
    """The invoice was made, its answer lost, and the key is said to belong to other bytes: it is found and adopted."""
    stack.sandbox.fault("reset_after", step="invoice", account=tenant.account, count=1)
    stack.sandbox.fault("idempotency_error", step="invoice", account=tenant.account, count=1)
    answer = books.told(stack.create(tenant, idempotency_key="spent"), "spent")
    assert answer.status == 200
    assert steps(stack, tenant) == ["product", "customer", "invoice", "invoice", "list_invoices", "lines"]
    assert books.assert_balanced().created == 1


def test_rule_05_a_409_in_progress_is_no_reason_to_look(stack: Stack, tenant: Tenant, books: Books) -> None:
    """It passes: the same call again tells."""
    stack.sandbox.fault("status_409", step="invoice", account=tenant.account, count=1)
    assert books.told(stack.create(tenant)).status == 200
    assert steps(stack, tenant) == ["product", "customer", "invoice", "invoice", "lines"]
    assert books.assert_balanced().created == 1


# ---- 6. looking up


def invoice_fields(stack: Stack, tenant: Tenant, request_id: str | None) -> dict[str, Any]:
    (customer,) = stack.sandbox.ledger(tenant.account)["customers"]
    named = {"metadata[invoicegate_request]": request_id} if request_id else {}
    method = {"collection_method": "send_invoice", "days_until_due": 30}
    return {"customer": customer["id"], "currency": "usd", "auto_advance": "false"} | method | named


LOOKED_UP = {
    "young": ("hang", "invoice"),
    "made": ("hang", "invoice"),
    "with line": ("hang", "lines"),
    "without line": ("hang_before", "lines"),
    "absent": ("hang_before", "invoice"),
    "many": ("hang", "invoice"),
    "late": ("hang_before", "invoice"),
    "nonsense": ("hang", "invoice"),
}


@pytest.fixture(scope="module")
def looked_up(stack: Stack) -> dict[str, tuple[rules.Orphan, dict[str, Any]]]:
    """Requests that lost their worker, 19 or 21 hours old once another one comes, and how each ended."""
    left = dict(zip(LOOKED_UP, rules.leave_orphans(stack, *LOOKED_UP.values())))
    for name, orphan in left.items():
        rules.age(stack, orphan.request_id, 19 if name == "young" else 21)
    for _ in range(104):
        fields = invoice_fields(stack, left["many"].tenant, None)
        stack.sandbox.api("POST", "invoices", fields, account=left["many"].tenant.account)
    for fault in ("garbage", "no_id"):
        stack.sandbox.fault(fault, step="list_invoices", account=left["nonsense"].tenant.account, count=1)
    with LooseWorker(stack, LOOKUP_PAUSE_MS=1500):
        late = left["late"]
        wait_for("the first look", lambda: "list_invoices" in steps(stack, late.tenant), every_s=0.05)
        fields = invoice_fields(stack, late.tenant, late.request_id)
        stack.sandbox.api("POST", "invoices", fields, account=late.tenant.account)
        rows = {name: settle(stack, orphan.request_id) for name, orphan in left.items()}
    return {name: (orphan, rows[name]) for name, orphan in left.items()}


LookedUp = dict[str, tuple[rules.Orphan, dict[str, Any]]]


def test_rule_06_young_keys_are_replayed(stack: Stack, looked_up: LookedUp) -> None:
    """Below 20 hours, by the database's clock, the same call under the same key tells what became of it."""
    left, row = looked_up["young"]
    assert [call["step"] for call in rules.calls_since(stack, left)] == ["invoice", "lines"]
    assert (row["state"], len(rules.standing(stack, left.tenant))) == ("created", 1)


@pytest.mark.parametrize("name", ["made", "with line"])
def test_rule_06_old_keys_are_looked_up_and_found(stack: Stack, looked_up: LookedUp, name: str) -> None:
    """The upstream may have forgotten the key and would make a second invoice: what is there is adopted, without a POST
    under that key, and by the list of the customer's invoices, which never lags as a search does."""
    left, row = looked_up[name]
    (invoice,) = stack.sandbox.ledger(left.tenant.account)["invoices"]
    sent = rules.calls_since(stack, left)
    assert [call["step"] for call in sent] == ["list_invoices"] + (["lines"] if name == "made" else [])
    assert sent[0]["path"].startswith("/v1/invoices?")
    assert f"customer={invoice['customer']}" in sent[0]["path"] and "created%5Bgte%5D=" in sent[0]["path"]
    assert row["state"] == "created"
    assert (invoice["id"], invoice["deleted"], invoice["lines"]) == (row["invoice_id"], False, 1)


def test_rule_06_a_draft_without_its_line_gets_one_line(stack: Stack, looked_up: LookedUp) -> None:
    """The look has shown that the line is missing."""
    left, row = looked_up["without line"]
    assert [call["step"] for call in rules.calls_since(stack, left)] == ["list_invoices", "lines"]
    (invoice,) = stack.sandbox.ledger(left.tenant.account)["invoices"]
    assert (row["state"], row["invoice_id"], invoice["lines"]) == ("created", invoice["id"], 1)


def test_rule_06_absent_twice_is_failed_without_a_fresh_post(stack: Stack, looked_up: LookedUp) -> None:
    """Nothing is there at two looks with a pause between: the request ends failed, and nothing is tried anew."""
    left, row = looked_up["absent"]
    looks = [call["step"] for call in rules.calls_since(stack, left)]
    assert len(looks) >= 2 and set(looks) == {"list_invoices"}  # those behind the second are sweeps
    assert (row["state"], row["reason"], len(rules.standing(stack, left.tenant))) == ("failed", "not_found_upstream", 0)


def test_rule_06_a_draft_that_shows_up_after_all_is_deleted(stack: Stack, looked_up: LookedUp) -> None:
    """A call that was on its way for longer than both looks makes a draft, and no worker is left that could report it:
    the sweep finds and deletes it."""
    left, _ = looked_up["absent"]
    fields = invoice_fields(stack, left.tenant, left.request_id)
    stack.sandbox.api("POST", "invoices", fields, account=left.tenant.account)
    wait_for("the sweep", lambda: rules.standing(stack, left.tenant) == [], timeout_s=60.0)
    assert "late_invoice" in rules.events(stack, left.request_id)
    assert settle(stack, left.request_id)["state"] == "failed"


def test_rule_06_the_list_is_read_to_its_last_page(stack: Stack, looked_up: LookedUp) -> None:
    """The customer got more invoices since than one page holds, and ours is the oldest."""
    left, row = looked_up["many"]
    sent = [call for call in rules.calls_since(stack, left) if call["idempotency_key"] or call["method"] == "GET"]
    # A busy machine may need a call twice.
    paths = [path for path, _ in itertools.groupby(call["path"] for call in sent)]
    *pages, line = paths
    assert line.endswith("/add_lines") and len(pages) >= 2 and len(set(pages)) == len(pages)
    assert ["starting_after=in_" in page for page in pages] == [False] + [True] * (len(pages) - 1)
    ours = [
        invoice
        for invoice in rules.standing(stack, left.tenant)
        if invoice["metadata"].get("invoicegate_request") == left.request_id
    ]
    assert [(invoice["id"], invoice["lines"]) for invoice in ours] == [(row["invoice_id"], 1)]


def test_rule_06_what_is_there_at_the_second_look_is_adopted(stack: Stack, looked_up: LookedUp) -> None:
    """Absent once may only be early."""
    left, row = looked_up["late"]
    assert (row["state"], len(rules.standing(stack, left.tenant))) == ("created", 1)


def test_rule_06_a_list_that_makes_no_sense_tells_nothing(stack: Stack, looked_up: LookedUp) -> None:
    """Only a sound list can say that an invoice is absent."""
    left, row = looked_up["nonsense"]
    assert steps(stack, left.tenant).count("list_invoices") >= 3
    assert (row["state"], len(rules.standing(stack, left.tenant))) == ("created", 1)
