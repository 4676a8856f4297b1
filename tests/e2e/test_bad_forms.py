"""Forms that are wrong: each gets a clear refusal that names the parameter, and the upstream never hears of it."""

from __future__ import annotations

import contextlib

import pytest

from bad_forms import BAD_FORMS, GOOD, OTHER_CALLS, BadForm
from passed_on import FORM, Caller, refused
from stack import Stack
from wire import NoAnswer, request_bytes


@pytest.fixture(scope="module")
def caller(stack: Stack) -> Caller:
    return Caller(stack, stack.tenant())


@pytest.fixture(scope="module")
def worker(stack: Stack) -> int:
    return stack.worker_pid()


def test_there_are_many_of_them() -> None:
    names = [case.name for case in BAD_FORMS]
    assert len(names) >= 150 and len(set(names)) == len(names)


@pytest.mark.bad_input
@pytest.mark.parametrize("case", BAD_FORMS, ids=lambda case: case.name)
def test_bad_form(stack: Stack, caller: Caller, worker: int, case: BadForm) -> None:
    headers = [("Authorization", f"Bearer {caller.secret}"), ("Stripe-Account", caller.tenant.account)]
    type_ = FORM if case.type is None else case.type
    headers += [("Content-Type", type_)] if type_ else []
    how = {"content_length": case.length} if case.length else {}
    with stack.nothing_upstream():
        answer = stack.exchange(request_bytes("POST", f"/v1/{case.path}", [*headers, *case.headers], case.body, **how))
    message = refused(answer, case.status, "invalid_request_error")
    if case.param is not None:
        assert answer.json["error"].get("param") == case.param, answer.body
    assert len(message) > 10
    assert stack.worker_pid() == worker
    if case.status == 400 and answer.request_id.count("-") == 4:  # a worker has seen it
        row = stack.request_row(answer.request_id)
        assert row and (row["state"], row["http_status"], row["invoice_id"]) == ("refused", 400, None)


@pytest.mark.bad_input
@pytest.mark.parametrize("path", ["invoices", *OTHER_CALLS])
def test_a_body_that_is_cut_short(stack: Stack, caller: Caller, path: str) -> None:
    """The web server does not pass it on: it closes, with or without a word."""
    data = caller.request_bytes("POST", path, GOOD, content_length="100")
    requests = "select count(*) as n from audit.requests where account_id = %s"
    before = stack.audit(requests, caller.tenant.account)
    with stack.nothing_upstream(), contextlib.suppress(NoAnswer):
        refused(stack.exchange(data, half_close=True), 400, "invalid_request_error")
    assert stack.audit(requests, caller.tenant.account) == before


@pytest.mark.bad_input
@pytest.mark.parametrize("body", [b"customer=cus_1", b"data[clientId]=a&data[productId]=b", b""])
def test_a_form_at_the_json_route(stack: Stack, body: bytes) -> None:
    headers = [("Authorization", stack.demo.key), ("Content-Type", FORM)]
    with stack.nothing_upstream():
        answer = stack.post(body, headers=headers)
        assert answer.status == 415 and answer.error
        answer = stack.post(body)
        assert answer.status == 400 and answer.error.startswith("The body is "), answer
