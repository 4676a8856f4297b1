"""Rules 13, 14, 16 and 18 of what the books keep: answers that belong to a key, invoices that bill what was frozen, the
upstream's bytes, requests that rest."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterator

import pytest

import rules
from books import Books
from gates import UpstreamGate
from passed_on import Caller, refused
from rules import books, row_of, settle, tenant, workers_run  # noqa: F401 (fixtures)
from stack import Stack, Tenant
from waiting import wait_for


@pytest.fixture(scope="module")
def gate() -> Iterator[UpstreamGate]:
    gate = UpstreamGate()
    yield gate
    gate.close()


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, gate: UpstreamGate) -> Iterator[Stack]:
    """Its worker speaks to the sandbox through the gate."""
    with Stack(**rules.SETTINGS, UPSTREAM_URL=gate.url) as stack:
        gate.target = stack.sandbox.port
        yield stack
        stack.keep = request.session.testsfailed > 0


# ---- 13. what belongs to a key


def key_row(stack: Stack, tenant: Tenant) -> dict[str, Any] | None:
    rows = stack.sql("select * from gateway.idempotency_keys where account_id = %s", tenant.account)
    return rows[0] if rows else None


@pytest.mark.parametrize(
    "fault, status, pinned",
    [
        (None, 200, True),
        ({"fault": "status", "step": "invoice", "status": 400}, 400, True),
        ({"fault": "status", "step": "invoice", "status": 402}, 402, True),
        ({"fault": "status", "step": "invoice", "status": 404}, 404, True),
        ({"fault": "card_error", "step": "lines"}, 402, True),
        ({"fault": "forbidden", "step": "invoice"}, 502, False),
        ({"fault": "redirect", "step": "invoice"}, 502, False),
        ({"fault": "should_retry_false", "step": "product"}, 503, False),
        ({"fault": "wrong_amount", "step": "lines"}, 502, False),
        ({"fault": "status", "step": "product", "status": 404}, 404, False),
    ],
    ids=lambda value: f"{value['fault']} at {value['step']}" if isinstance(value, dict) else None,
)
def test_rule_13_only_decisions_belong_to_the_key(
    stack: Stack, tenant: Tenant, books: Books, fault: dict[str, Any] | None, status: int, pinned: bool
) -> None:
    """What the upstream or we have decided for good is repeated byte for byte under that key, and nothing is sent for it.
    After a failure of the machinery, or a refusal that never was a request, the key serves a new request."""
    if fault:
        stack.sandbox.fault(**fault, account=tenant.account)
    first = books.told(stack.create(tenant, idempotency_key="a key"), "a key")
    stack.sandbox.no_faults()
    assert first.status == status
    sent = len(rules.steps(stack, tenant))
    wait_for("the breaker to let go", lambda: not fault or fault["fault"] != "forbidden" or stack.create(tenant).status == 200)
    second = books.told(stack.create(tenant, idempotency_key="a key"), "a key")
    if pinned:
        assert (second.status, second.body, second.replayed) == (first.status, first.body, True)
        assert second.header("Original-Request") == first.request_id != second.request_id
        assert len(rules.steps(stack, tenant)) == sent
    else:
        assert (second.status, second.replayed) == (200, False)
    books.assert_balanced()


def test_rule_13_keys_are_forgotten_after_their_time(stack: Stack) -> None:
    """Counted from the request's end, by the worker itself, and never while a request is open."""
    ended, recent, young = stack.tenant(), stack.tenant(), stack.tenant()
    for tenant in (ended, recent, young):
        assert stack.create(tenant, idempotency_key="a key").status == 200
    left = rules.orphan(stack, fault="hang", step="lines")
    created = "update gateway.idempotency_keys set created_at = created_at - interval '25 h' where account_id = any(%s)"
    stack.sql(created, [ended.account, recent.account, left.tenant.account])
    late = "update gateway.idempotency_keys set ended_at = ended_at - interval '25 h' where account_id = %s"
    stack.sql(late, ended.account)
    held = "update gateway.invoice_requests set recipe = %s where request_id = %s"
    stack.sql(held, 99, left.request_id)  # so that it stays open
    stack.up()  # a worker begins with its chores
    wait_for("the old key to go", lambda: key_row(stack, ended) is None)
    assert all(key_row(stack, tenant) for tenant in (recent, young, left.tenant))
    assert stack.create(recent, idempotency_key="a key").replayed
    assert not stack.create(ended, idempotency_key="a key").replayed
    assert stack.create(left.tenant, idempotency_key="a key").status == 409
    stack.sql(held, 1, left.request_id)
    assert settle(stack, left.request_id)["state"] == "created"
    assert stack.create(left.tenant, idempotency_key="a key").replayed


# ---- 14. the check


def in_lines(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def alter(body: bytes) -> bytes:
        invoice = json.loads(body)
        change(invoice)
        return json.dumps(invoice).encode()

    return alter


def line_of(invoice: dict[str, Any]) -> dict[str, Any]:
    return invoice["lines"]["data"][0]


MISMATCHES: dict[str, Callable[[dict[str, Any]], None]] = {
    "price": lambda invoice: line_of(invoice)["pricing"]["price_details"].update(price="price_other"),
    "quantity": lambda invoice: line_of(invoice).update(quantity=2),
    "line amount": lambda invoice: line_of(invoice).update(amount=9999),
    "line currency": lambda invoice: line_of(invoice).update(currency="eur"),
    "currency": lambda invoice: invoice.update(currency="eur"),
    "two lines": lambda invoice: invoice["lines"]["data"].append(line_of(invoice)),
    "another invoice": lambda invoice: invoice.update(id="in_another"),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_rule_14_an_invoice_that_bills_something_else_is_deleted(
    stack: Stack, tenant: Tenant, gate: UpstreamGate, books: Books, name: str
) -> None:
    """Price, quantity, currency and amount of its one line are what was frozen, or the draft goes: 502, and an alarm."""
    gate.alter("^POST .*/add_lines", in_lines(MISMATCHES[name]))
    answer = books.told(stack.create(tenant))
    assert answer.status == 502
    assert row_of(stack, answer.request_id)["reason"] == "amount_mismatch"
    alarms = [line for line in stack.log("workers").splitlines() if "differs from the plan" in line]
    assert any(answer.request_id in line and '"severity":"error"' in line for line in alarms)
    assert books.assert_balanced().standing == 0


@pytest.mark.parametrize("total", [9000, 12100, 0, -500])
def test_rule_14_the_customers_own_discounts_and_taxes_are_theirs(
    stack: Stack, tenant: Tenant, gate: UpstreamGate, total: int
) -> None:
    """A total that differs from the line's amount is no mismatch; it is what the client is told."""
    gate.alter("^POST .*/add_lines", in_lines(lambda invoice: invoice.update(total=total, amount_due=total)))
    answer = stack.create(tenant)
    assert (answer.status, answer.json["amount"]) == (200, total)
    (row,) = stack.audit("select amount_minor from audit.invoices where request_id = %s", answer.request_id)
    assert (row["amount_minor"], row_of(stack, answer.request_id)["amount_minor"]) == (total, 10000)


def test_rule_14_snapshots_are_trusted_for_a_minute(stack: Stack, tenant: Tenant, books: Books) -> None:
    """A price read a minute ago is good enough, an older one is read again."""
    assert books.told(stack.create(tenant)).json["amount"] == 10000
    new = stack.sandbox.api("POST", "prices", {"product": "prod_usd_10000", "currency": "usd", "unit_amount": 777}, account=tenant.account)
    stack.sandbox.api("POST", "products/prod_usd_10000", {"default_price": new["id"]}, account=tenant.account)
    assert books.told(stack.create(tenant)).json["amount"] == 10000
    old = "update gateway.products set fetched_at = fetched_at - interval '61 s' where account_id = %s"
    stack.sql(old, tenant.account)
    assert books.told(stack.create(tenant)).json["amount"] == 777
    books.assert_balanced()


# ---- 16. the upstream's bytes


def text_member(name: str, json_text: bytes) -> Callable[[bytes], bytes]:
    """Puts these bytes in the place of a member's value, as they are."""

    def alter(body: bytes) -> bytes:
        altered, count = re.subn(rb'("%s": ?)(null|"[^"]*"|-?\d+)' % name.encode(), lambda m: m[1] + json_text, body, count=1)
        assert count == 1, (name, body)
        return altered

    return alter


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "NUL in the description": text_member("description", rb'"a\u0000b"'),
    "raw NUL in the description": text_member("description", b'"a\0b"'),
    "half a pair in the description": text_member("description", rb'"\ud800"'),
    "no UTF-8 in the description": text_member("description", b'"\xff\xfe"'),
    "surrogate bytes in the footer": text_member("footer", b'"\xed\xa0\x80"'),
    "NUL in the number": text_member("number", rb'"a\u0000b"'),
    "half a pair in the number": text_member("number", rb'"\udc00x"'),
    "no UTF-8 in the number": text_member("number", b'"\xc3("'),
    "a long number": text_member("number", b'"' + b"9" * 20000 + b'"'),
    "a number that is a number": text_member("number", b"42"),
    "NUL in the status": text_member("status", rb'"dr\u0000aft"'),
    "a status that is none": text_member("status", b"17"),
    "a creation beyond time": text_member("created", b"9223372036854775807"),
    "a creation before time": text_member("created", b"-9223372036854775807"),
    "a creation in words": text_member("created", b'"yesterday"'),
    "a fractional total": text_member("total", b"100.5"),
    "an enormous total": text_member("total", b"1e400"),
    "a total beyond 64 bits": text_member("total", b"99999999999999999999"),
    "NUL in an unknown member": lambda body: body.rstrip()[:-1] + rb',"x\u0000y":"\u0000"}',
    "deep nesting": lambda body: body.rstrip()[:-1] + b',"deep":' + b"[" * 25 + b"]" * 25 + b"}",
    "spaces at the end": lambda body: body + b" \n" * 5000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_rule_16_strange_bytes_do_not_stop_the_finish(
    stack: Stack, tenant: Tenant, gate: UpstreamGate, name: str
) -> None:
    """Whatever the upstream puts into an invoice's other members, the request comes to its end. What was believed is kept
    as it came; the audit's views can be read; the client gets sound JSON."""
    seen: list[bytes] = []

    def alter(body: bytes) -> bytes:
        seen.append(HOSTILE[name](body))
        return seen[-1]

    gate.alter("^POST .*/add_lines", alter)
    answer = stack.create(tenant, idempotency_key="strange")
    assert len(seen) == 1
    assert answer.status == 200, answer
    assert re.fullmatch(r"in_\w+", answer.json["id"])
    row = row_of(stack, answer.request_id)
    assert (row["state"], row["invoice_id"]) == ("created", answer.json["id"])
    (kept,) = stack.sql("select object from gateway.invoices where invoice_id = %s", answer.json["id"])
    attempts = len(rules.calls(stack, tenant, "lines"))
    assert (bytes(kept["object"]) == seen[0]) == (attempts == 1)
    (shown,) = stack.audit("select object, status, number from audit.invoices where invoice_id = %s", answer.json["id"])
    assert shown["object"] is None or shown["object"]["id"] == answer.json["id"]
    replay = stack.create(tenant, idempotency_key="strange")
    assert (replay.body, replay.replayed) == (answer.body, True)


# ---- 18. resting


def test_rule_18_requests_rest_in_postgresql(stack: Stack, books: Books) -> None:
    """While the upstream is away for long, requests whose outcome matters wait in the database, not in a worker: no
    worker holds them, invoicegatectl lists them, and they are finished once the upstream is back."""
    tenants = [stack.tenant() for _ in range(3)]
    for tenant in tenants:
        stack.sandbox.fault("status_503_html", step="lines", account=tenant.account)
    answers = books.told_all(
        stack.burst(stack.create_bytes(tenant, idempotency_key=tenant.account) for tenant in tenants),
        [tenant.account for tenant in tenants],
    )
    assert [answer.status for answer in answers] == [504] * 3
    ids = {answer.request_id for answer in answers}
    resting = "select request_id from gateway.work where worker_id = 0 and due_at is not null and request_id = any(%s::uuid[])"
    seen: set[str] = set()
    wait_for("all to have rested", lambda: seen.update(row["request_id"] for row in stack.sql(resting, list(ids))) or seen == ids)
    assert ids <= {row["request_id"] for row in json.loads(stack.ctl("unresolved", "--all", "--json"))["data"]}
    stack.sandbox.no_faults()
    assert books.assert_balanced().created == 3
    assert json.loads(stack.ctl("unresolved", "--json"))["data"] == []


def parked(stack: Stack, key: str | None = "a key") -> rules.Orphan:
    """A request that five workers have lost."""
    left = rules.orphan(stack, fault="hang", step="invoice", key=key)
    stack.sql("update gateway.work set take_overs = 5 where request_id = %s", left.request_id)
    stack.up()
    wait_for("it to be parked", lambda: (rules.work_of(stack, left.request_id) or {})["parked_at"])
    return left


SETTLE = ("--by", "Ada King", "--why", "looked it up")


def history_of(stack: Stack, request_id: str) -> list[tuple[str, str]]:
    rows = stack.audit("select what, why from audit.events where request_id = %s order by at, event_id", request_id)
    return [(row["what"], row["why"]) for row in rows]


def test_rule_18_a_parked_request_is_settled_by_hand(stack: Stack) -> None:
    """No worker touches it; an operator ends it as failed, which is an event with a name and a reason, and its key serves
    a new request."""
    left = parked(stack)
    (draft,) = rules.standing(stack, left.tenant)
    stack.sandbox.api("DELETE", f"invoices/{draft['id']}", account=left.tenant.account)
    listed = json.loads(stack.ctl("unresolved", "--json"))["data"]
    assert [row["request_id"] for row in listed] == [left.request_id]
    stack.ctl("settle", left.request_id, "--as", "failed", *SETTLE)
    row = row_of(stack, left.request_id)
    assert (row["state"], row["reason"]) == ("failed", "settled")
    what, why = history_of(stack, left.request_id)[-1]
    assert what == "settled_failed" and why.startswith("Ada King") and why.endswith("looked it up")
    again = stack.create(left.tenant, idempotency_key="a key")
    assert (again.status, again.replayed) == (200, False)


def test_rule_18_what_was_settled_as_created_is_not_made_again(stack: Stack) -> None:
    """An operator found the invoice of a parked request. Its client was told to send the request again with its key: that
    must not make a second invoice."""
    left = parked(stack)
    (draft,) = rules.standing(stack, left.tenant)
    stack.ctl("settle", left.request_id, "--as", "created", "--invoice", draft["id"], *SETTLE)
    row = row_of(stack, left.request_id)
    assert (row["state"], row["invoice_id"]) == ("created", draft["id"])
    again = stack.create(left.tenant, idempotency_key="a key")
    # Every other error would say that there is none.
    assert (again.status, again.replayed) == (504, True) and draft["id"] in again.body.decode(), again
    assert len(rules.standing(stack, left.tenant)) == 1


@pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])
def test_rule_18_a_parked_act_is_settled_by_hand(stack: Stack, done: bool) -> None:
    """An operator has seen whether it was done. Its key hears so, or serves a new request; the invoice is told as it is."""
    caller = Caller(stack, stack.tenant())
    invoice = caller.create(collection_method="send_invoice", days_until_due=30)["id"]
    path = f"invoices/{invoice}"
    with stack.sandbox.faulty("hang" if done else "hang_before", step="advance", account=caller.tenant.account):
        pending = stack.send(caller.post_bytes(path, key="a key", description="new"))
        rules.wait_for_calls(stack, caller.tenant, "advance")
        request_id = rules.open_request(stack, caller.tenant)
        rules.kill_workers(stack)
        pending.leave()
    stack.sql("update gateway.work set take_overs = 5 where request_id = %s", request_id)
    stack.up()
    wait_for("it to be parked", lambda: (rules.work_of(stack, request_id) or {})["parked_at"])
    stack.ctl("settle", request_id, "--as", "created" if done else "failed", *SETTLE)
    row = row_of(stack, request_id)
    assert (row["state"], row["reason"], row["invoice_id"]) == ("created" if done else "failed", "settled", invoice)
    assert caller.get(path).json["description"] == ("new" if done else None)
    again = caller.post(path, key="a key", description="new")
    if done:
        assert again.replayed and "settled by an operator: it was done." in refused(again, 504, "api_error")
    else:
        assert (again.status, again.replayed, again.json["description"]) == (200, False, "new")
