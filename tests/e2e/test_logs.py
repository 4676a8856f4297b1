"""What workers write to their log, what of a trace goes on, and what answers tell of the time they took."""

from __future__ import annotations

import json
import re
from typing import Any, Iterator

import pytest

from stack import Stack
from test_odd_data import PEOPLE
from waiting import wait_for
from wire import Answer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = re.compile(rf"00-{TRACE}-([0-9a-f]{{16}})-01")


@pytest.fixture(scope="module")
def talkative() -> Iterator[Stack]:
    """One that logs all it can."""
    with Stack(DEADLINE_MS=3000, CALL_TIMEOUT_MS=1000, LEASE_MS=1500, LOG_LEVEL="debug") as stack:
        yield stack


def lines(stack: Stack) -> list[dict[str, Any]]:
    """Everything a worker has said; what `invoicegate --check` says before is no log."""
    said = [line for line in stack.log("workers").splitlines() if not line.startswith("invoicegate: ")]
    return [json.loads(line) for line in said]


def lines_of(stack: Stack, answer: Answer, message: str) -> list[dict[str, Any]]:
    return wait_for(message, lambda: [x for x in lines(stack) if x["message"] == message and x.get("request_id") == answer.request_id])


def create_with(stack: Stack, *headers: tuple[str, str]) -> Answer:
    return stack.post({"data": stack.data()}, more_headers=headers)


# ---- lines


def test_a_request_has_one_line_with_what_it_is_about(talkative: Stack) -> None:
    answer = talkative.create()
    (line,) = lines_of(talkative, answer, "request")
    assert line["severity"] == "info" and line["http_status"] == 200 and line["reason"] is None
    assert line["route"] == "account_invoices" and line["agency_id"] == 1 and line["account"] == talkative.demo.account
    assert line["invoice_id"] == answer.json["id"] and line["trace_id"] is None
    assert 0 <= line["database_ms"] <= line["duration_ms"] and 0 <= line["upstream_ms"] <= line["duration_ms"]
    calls = lines_of(talkative, answer, "upstream call")
    assert [call["step"] for call in calls][-2:] == ["invoice", "lines"]
    for call in calls:
        assert call["account"] == talkative.demo.account and call["agency_id"] == 1
        assert call["duration_ms"] >= 0 and call["outcome"] == "ok" and call["severity"] == "debug"


@pytest.mark.parametrize(
    "change, status, reason",
    [
        ({"productId": "prod_nothing"}, 404, "product_unknown"),
        ({"clientId": "nobody"}, 404, "client_unknown"),
        ({"key": "igk_live_nothing"}, 401, "key_invalid"),
        ({"collection_method": "perhaps"}, 400, "collection_method"),
    ],
)
def test_a_refusal_has_its_reason(talkative: Stack, change: dict[str, Any], status: int, reason: str) -> None:
    answer = talkative.create(**change)
    assert answer.status == status
    (line,) = lines_of(talkative, answer, "request")
    assert line["http_status"] == status and reason in line["reason"] and line["severity"] == "info"


def test_what_ends_after_its_answer_has_a_line_then(talkative: Stack) -> None:
    with talkative.sandbox.faulty("reset_after", step="invoice"):
        answer = talkative.create(idempotency_key="late")
        assert answer.status == 504
        (line,) = lines_of(talkative, answer, "request")
        assert line["severity"] == "warning" and line["http_status"] == 504
    (end,) = wait_for("its end", lambda: lines_of(talkative, answer, "settled"))
    assert end["state"] == "created" and end["invoice_id"]


def test_no_line_tells_a_secret(talkative: Stack) -> None:
    """Odd people, broken calls and an upstream that quotes what it was sent."""
    secrets = [talkative.demo.key, talkative.demo.test_key, "sk_live_sandbox", "sk_test_sandbox", "John Doe", "customer@example.com"]
    for name, email in PEOPLE.values():
        tenant = talkative.tenant()
        talkative.sql("update gateway.members set name = %s, email = %s where client_id = %s", name, email, tenant.client)
        assert talkative.create(tenant).status == 200
        secrets += [tenant.key, email] + ([name] if len(name) > 8 else [])
    marked = "secret-marker-7f3a"
    odd_key = f"igk_live_{marked}"
    talkative.create(key=odd_key)
    talkative.post(f'{{"data": "{marked}"', headers=[("Authorization", talkative.demo.key), ("Content-Type", "application/json")])
    talkative.post({"data": talkative.data(clientId=f"{marked}@example.com")})
    talkative.post({}, path=f"/v1/public/{marked}?key={talkative.demo.key}")
    talkative.create(idempotency_key=f"{marked}-key")
    for fault in ("status", "garbage", "reset_before"):
        with talkative.sandbox.faulty(fault, step="invoice", count=1, **({"status": 400} if fault == "status" else {})):
            talkative.create()
    log = talkative.log("workers")
    assert lines(talkative)
    assert [secret for secret in [*secrets, marked] if secret in log] == []
    assert not re.search(r"igk_(live|test)_|sk_(live|test)_|Basic |@example", log)


@pytest.mark.parametrize("misplaced", ["igk_live_misplacedA7", "sk_test_misplacedB7", "acct_whsec_misplacedC7", "misplacedD7@example.com"])
def test_what_stands_where_the_account_belongs_is_logged_only_if_it_may_be_one(talkative: Stack, misplaced: str) -> None:
    path = f"/v1/public/stripe/connect/accounts/{misplaced}/invoices"
    header = ("Stripe-Account", misplaced)
    answers = [talkative.post({"data": talkative.data()}, path=path, more_headers=[header]),
               talkative.post({}, path=path, headers=[("Content-Type", "application/json")]),
               talkative.post("customer=cus_1", path="/v1/invoices",
                              headers=[("Authorization", talkative.demo.key), ("Content-Type", "application/x-www-form-urlencoded"), header])]
    for answer in answers:
        assert answer.status in (400, 401, 404)
        (line,) = lines_of(talkative, answer, "request")
        assert line["account"] is None
    assert "misplaced" not in talkative.log("workers")
    other = talkative.post({"data": talkative.data()}, path="/v1/public/stripe/connect/accounts/acct_elsewhere/invoices")
    (line,) = lines_of(talkative, other, "request")
    assert other.status == 404 and line["account"] == "acct_elsewhere"


# ---- trace


def test_a_trace_goes_on(talkative: Stack) -> None:
    answer = create_with(talkative, ("traceparent", f"00-{TRACE}-{PARENT}-01"))
    assert answer.status == 200
    (line,) = lines_of(talkative, answer, "request")
    assert line["trace_id"] == TRACE
    calls = lines_of(talkative, answer, "upstream call")
    assert {call["trace_id"] for call in calls} == {TRACE}
    sent = [call["traceparent"] for call in talkative.sandbox.calls(2)]
    parents = {TRACEPARENT.fullmatch(header)[1] for header in sent}
    assert len(parents) == 2 and PARENT not in parents


@pytest.mark.parametrize(
    "header",
    ["", "nonsense", f"00-{TRACE}-{PARENT}", f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE.upper()}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01"],
)
def test_an_invalid_trace_is_ignored(talkative: Stack, header: str) -> None:
    answer = create_with(talkative, ("traceparent", header))
    assert answer.status == 200
    (line,) = lines_of(talkative, answer, "request")
    assert line["trace_id"] is None
    assert [call["traceparent"] for call in talkative.sandbox.calls(2)] == [None, None]


def test_two_traces_are_none(talkative: Stack) -> None:
    header = ("traceparent", f"00-{TRACE}-{PARENT}-01")
    answer = create_with(talkative, header, header)
    assert lines_of(talkative, answer, "request")[0]["trace_id"] is None


def test_a_trace_is_no_part_of_what_is_repeated(talkative: Stack) -> None:
    """Same key, another trace: the same invoice; and upstream the same key and bytes whatever the trace."""
    one, two = (
        create_with(talkative, ("Idempotency-Key", "traced"), ("traceparent", f"00-{trace}-{PARENT}-01"))
        for trace in (TRACE, TRACE[::-1])
    )
    assert one.status == two.status == 200 and one.body == two.body and two.replayed


# ---- Server-Timing


def test_answers_tell_how_long_they_took(talkative: Stack) -> None:
    talkative.sandbox.latency(200)
    try:
        answer = talkative.create()
    finally:
        talkative.sandbox.latency(0)
    found = re.fullmatch(r"db;dur=(\d+\.\d), upstream;dur=(\d+\.\d), total;dur=(\d+\.\d)", answer.header("Server-Timing") or "")
    assert found, answer.headers.items()
    database, upstream, total = map(float, found.groups())
    assert upstream >= 2 * 200 and total >= upstream + database - 0.3 and database > 0
    refused = talkative.create(key="igk_live_nothing")
    assert (refused.header("Server-Timing") or "").startswith("db;dur=0.0, upstream;dur=0.0, total;dur=")
