"""Acts of the upstream's own interface on invoices that went through the gateway: update, finalize, send, void, items."""

from __future__ import annotations

import os

import pytest

from books import Books
from passed_on import Caller, refused
from stack import Stack, Tenant
from waiting import wait_for

# act: (end of the path, step in the sandbox, step in the audit, form, status afterwards)
ACTS = {
    "update": ("", "advance", "update", {"description": "new"}, "draft"),
    "finalize": ("/finalize", "finalize", "finalize", {}, "open"),
    "send": ("/send", "send", "send", {}, "open"),
    "void": ("/void", "void", "void", {}, "void"),
}


@pytest.fixture
def caller(stack: Stack, tenant: Tenant) -> Caller:
    return Caller(stack, tenant)


def whole(caller: Caller) -> dict:
    """A draft with a line, to be sent."""
    customer = caller.customer()
    invoice = caller.create(customer=customer, collection_method="send_invoice", days_until_due=30)
    item = caller.post("invoiceitems", customer=customer, invoice=invoice["id"], amount=700, currency="usd")
    assert item.status == 200, item
    return invoice


def ready_for(caller: Caller, act: str) -> str:
    invoice = whole(caller)["id"]
    if act == "void":
        assert caller.post(f"invoices/{invoice}/finalize").status == 200
    return f"invoices/{invoice}{ACTS[act][0]}"


def audited(stack: Stack, invoice_id: str) -> dict:
    return stack.audit("select * from audit.invoices where invoice_id = %s", invoice_id)[0]


def test_a_life(stack: Stack, caller: Caller, books: Books) -> None:
    invoice = whole(caller)
    updated = caller.post(f"invoices/{invoice['id']}", description="It changed", **{"metadata[a]": "b"})
    assert updated.status == 200 and updated.json["description"] == "It changed" and updated.json["total"] == 700
    assert updated.json["metadata"] == {"a": "b"}
    finalized = caller.post(f"invoices/{invoice['id']}/finalize").json
    assert finalized["status"] == "open" and finalized["number"]
    assert caller.post(f"invoices/{invoice['id']}/send").json["status"] == "open"
    seen = audited(stack, invoice["id"])
    assert (seen["status"], seen["number"], seen["amount_minor"]) == ("open", finalized["number"], 700)
    voided = caller.post(f"invoices/{invoice['id']}/void")
    assert voided.json["status"] == "void"
    seen = audited(stack, invoice["id"])
    assert (seen["status"], seen["object"]["status"]) == ("void", "void")
    routes = [row["route"] for row in books.requests().values()]
    assert sorted(routes) == ["invoice_finalize", "invoice_send", "invoice_update", "invoice_void", "invoiceitems", "invoices"]
    assert {row["state"] for row in books.requests().values()} == {"created"}
    assert books.assert_balanced().created == 1


def test_an_invoice_does_not_come_back_from_its_end(stack: Stack, caller: Caller, books: Books) -> None:
    """The answer to a finalize is late: meanwhile the invoice was voided, and so it stays in the books."""
    path = ready_for(caller, "finalize")
    invoice = path.split("/")[1]
    with stack.sandbox.faulty("delay", step="finalize", account=caller.tenant.account, delay_ms=700, count=1):
        pending = stack.send(caller.post_bytes(path))
        open_upstream = lambda: stack.sandbox.ledger(caller.tenant.account)["invoices"][0]["status"] == "open"  # noqa: E731
        wait_for("the upstream to finalize", open_upstream)
        stack.sandbox.api("POST", f"invoices/{invoice}/void", account=caller.tenant.account)
        stack.sql("update gateway.invoices set refreshed_at = 'epoch' where invoice_id = %s", invoice)
        assert caller.get(f"invoices/{invoice}").json["status"] == "void"
    assert pending.answer().status in (200, 504)
    books.settle()
    assert audited(stack, invoice)["status"] == "void"
    assert caller.get(f"invoices/{invoice}").json["status"] == "void"


def test_an_invoice_of_the_other_door(stack: Stack, caller: Caller, books: Books) -> None:
    made = books.told(stack.create(caller.tenant)).json
    finalized = caller.post(f"invoices/{made['id']}/finalize")
    assert finalized.status == 200 and finalized.json["total"] == 10000
    row = stack.request_row(finalized.request_id)
    assert row and row["client_id"] == caller.tenant.client and row["customer_id"] == made["customer"]["id"]


@pytest.mark.parametrize("act", ACTS)
def test_an_act_in_the_audit(stack: Stack, caller: Caller, act: str) -> None:
    path = ready_for(caller, act)
    answer = caller.post(path, key="k", **ACTS[act][3])
    assert answer.status == 200 and answer.json["status"] == ACTS[act][4], answer
    row = stack.request_row(answer.request_id)
    assert row and (row["route"], row["state"], row["invoice_id"]) == (f"invoice_{act}", "created", answer.json["id"])
    steps = stack.audit("select step, outcome from audit.upstream_calls where request_id = %s", answer.request_id)
    assert steps == [{"step": ACTS[act][2], "outcome": "ok"}]
    events = [e["what"] for e in stack.audit("select what from audit.events where request_id = %s order by at, event_id", answer.request_id)]
    assert events == ["opened", "done"]


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_done_once_for_a_key(stack: Stack, caller: Caller, act: str) -> None:
    path = ready_for(caller, act)
    first = caller.post(path, key="k", **ACTS[act][3])
    with stack.nothing_upstream():
        again = caller.post(path, key="k", **ACTS[act][3])
    assert again.replayed and again.body == first.body
    refused(caller.post(path, key="k", footer="else"), 400, "idempotency_error")


@pytest.mark.parametrize("act", ACTS)
def test_a_foreign_invoice(stack: Stack, caller: Caller, act: str) -> None:
    other = Caller(stack, stack.tenant())
    made_around = stack.sandbox.api("POST", "invoices", {"customer": caller.customer()}, account=caller.tenant.account)["id"]
    theirs = whole(other)["id"]
    tester = Caller(stack, caller.tenant, mode="test")
    tested = tester.create()["id"]
    for invoice in (made_around, theirs, tested, "in_nobody"):
        with stack.nothing_upstream():
            answer = caller.post(f"invoices/{invoice}{ACTS[act][0]}", **ACTS[act][3])
        refused(answer, 404, "invalid_request_error", code="resource_missing")


def test_a_refused_act_leaves_everything_as_it_was(stack: Stack, caller: Caller) -> None:
    invoice = whole(caller)
    before = audited(stack, invoice["id"])
    answer = caller.post(f"invoices/{invoice['id']}/void", key="k")
    refused(answer, 400, "invalid_request_error")
    after = audited(stack, invoice["id"])
    assert after["status"] == before["status"] == "draft" and after["object"] == before["object"]
    row = stack.request_row(answer.request_id)
    assert row and (row["state"], row["reason"]) == ("failed", "upstream_refused")
    assert caller.post(f"invoices/{invoice['id']}/finalize").status == 200


def test_acts_on_one_invoice_go_one_after_another(caller: Caller, stack: Stack) -> None:
    """Who comes while another is at it is told to come again; what the books show is what the last one did."""
    invoices = [whole(caller)["id"] for _ in range(5)]
    requests = [caller.post_bytes(f"invoices/{i}", description=f"d{n}") for n in range(6) for i in invoices]
    answers = stack.burst(requests + [caller.post_bytes(f"invoices/{i}/finalize") for i in invoices])
    assert {answer.status for answer in answers} <= {200, 400, 429}  # 400: finalized meanwhile
    for busy in (answer for answer in answers if answer.status == 429):
        assert "Another call on this invoice" in refused(busy, 429, "invalid_request_error")
        assert busy.header("Retry-After") and busy.header("Stripe-Should-Retry") == "true"
    for invoice in invoices:
        real = stack.sandbox.api("GET", f"invoices/{invoice}", account=caller.tenant.account)
        kept = audited(stack, invoice)
        assert (kept["status"], kept["object"]["description"]) == (real["status"], real["description"])


def test_items_of_one_invoice_may_come_together(caller: Caller, stack: Stack) -> None:
    customer = caller.customer()
    invoice = caller.create(customer=customer)["id"]
    items = [caller.post_bytes("invoiceitems", customer=customer, invoice=invoice, amount=100, currency="usd") for _ in range(6)]
    assert {answer.status for answer in stack.burst(items)} == {200}
    assert caller.get(f"invoices/{invoice}").json["total"] == 600


def test_others_cannot_keep_an_invoice_busy(stack: Stack, caller: Caller) -> None:
    other = Caller(stack, stack.tenant(account=caller.tenant.account))
    invoices = [whole(caller)["id"] for _ in range(5)]
    theirs = [other.post_bytes(f"invoices/{i}", description="x") for i in invoices for _ in range(4)]
    answers = stack.burst(theirs + [caller.post_bytes(f"invoices/{i}", description="mine") for i in invoices])
    assert [answer.status for answer in answers] == [404] * 20 + [200] * 5


# ---- items


def test_an_item_and_its_mark(stack: Stack, caller: Caller) -> None:
    customer = caller.customer()
    answer = caller.post("invoiceitems", customer=customer, amount=5, currency="usd", **{"metadata[a]": "b"})
    assert answer.json["object"] == "invoiceitem" and answer.json["metadata"] == {"a": "b"}
    real = next(i for i in stack.sandbox.ledger(caller.tenant.account)["invoiceitems"] if i["id"] == answer.json["id"])
    assert real
    row = stack.request_row(answer.request_id)
    assert row and (row["route"], row["state"], row["customer_id"], row["invoice_id"]) == ("invoiceitems", "created", customer, None)
    assert stack.audit("select * from audit.invoices where request_id = %s", answer.request_id) == []


def test_an_item_for_a_foreign_invoice(stack: Stack, caller: Caller) -> None:
    customer = caller.customer()
    foreign = stack.sandbox.api("POST", "invoices", {"customer": customer}, account=caller.tenant.account)["id"]
    with stack.nothing_upstream():
        answer = caller.post("invoiceitems", customer=customer, invoice=foreign, amount=5, currency="usd")
    refused(answer, 404, "invalid_request_error", code="resource_missing")


def test_an_item_for_another_agencys_customer(stack: Stack, caller: Caller) -> None:
    """Agencies may share a connected account: what one of them has there is still not the other's."""
    other = Caller(stack, stack.tenant(account=caller.tenant.account))
    assert stack.create(other.tenant).status == 200
    theirs = stack.audit("select customer_id from audit.customers where agency_id = %s", other.tenant.agency)[0]["customer_id"]
    with stack.nothing_upstream():
        for path, fields in (("invoiceitems", {"amount": 5, "currency": "usd"}), ("invoices", {})):
            answer = caller.post(path, customer=theirs, **fields)
            refused(answer, 404, "invalid_request_error", code="resource_missing")
    assert other.post("invoiceitems", customer=theirs, amount=5, currency="usd").status == 200


@pytest.mark.parametrize("name", ["customer", "invoice"])
def test_an_item_with_a_strange_id(stack: Stack, caller: Caller, name: str) -> None:
    with stack.nothing_upstream():
        answer = caller.post("invoiceitems", **{"customer": "cus_1", "amount": 5, "currency": "usd"} | {name: "a/../b"})
    refused(answer, 400, "invalid_request_error", param=name)


@pytest.mark.fault_step
@pytest.mark.parametrize("fault", ["reset_after", "status_500_saved", "idempotency_error"])
def test_an_item_in_doubt(start_stack, fault: str) -> None:
    stack = start_stack(LOOKUP_PAUSE_MS=300)
    caller = Caller(stack, stack.demo)
    customer = caller.customer()
    if fault == "idempotency_error":
        stack.sandbox.fault("reset_after", step="invoiceitem", count=1)
    stack.sandbox.fault(fault, step="invoiceitem", count=1)
    answer = caller.post("invoiceitems", customer=customer, amount=5, currency="usd", key="k")
    assert answer.status == 200 and answer.json["amount"] == 5 and answer.json["metadata"] == {}, answer
    items = stack.sandbox.ledger(caller.tenant.account)["invoiceitems"]
    assert [item["id"] for item in items] == [answer.json["id"]]


# ---- faults

FAULTS = [
    *("reset_before", "reset_after", "status_409", "status_424", "status_429", "status_500_before", "status_500_after"),
    *("status_503_html", "garbage", "nul_in_string", "cut_body", "hang", "hang_before", "no_id", "not_object"),
    *("should_retry_true", "refuse_connection", "idempotency_error", "status_500_saved", "wrong_id"),
]


@pytest.mark.fault_step
@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "keyless"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("act", ["finalize", "update"])
def test_one_fault_at_an_act(patient: Stack, act: str, fault: str, keyed: bool) -> None:
    caller, books = Caller(patient, patient.tenant()), Books(patient)
    key = "k" if keyed else None
    path = ready_for(caller, act)
    if fault == "idempotency_error":  # its answer was lost, and repeating cannot tell
        patient.sandbox.fault("reset_after", step=ACTS[act][1], account=caller.tenant.account, count=1)
    patient.sandbox.fault(fault, step=ACTS[act][1], account=caller.tenant.account, count=1)
    answer = caller.post(path, key=key, **ACTS[act][3])
    assert answer.status in (200, 504), answer
    books.settle()
    row = patient.request_row(answer.request_id)
    assert row and row["state"] == "created", row
    assert audited(patient, row["invoice_id"])["status"] == ACTS[act][4]
    if answer.status == 200:
        assert answer.json["status"] == ACTS[act][4]
    elif keyed:
        assert caller.post(path, key=key, **ACTS[act][3]).json["status"] == ACTS[act][4]
    else:
        assert "look at the invoice" in refused(answer, 504, "api_error")
    # Never taken back, and never done twice.
    stands = [i for i in patient.sandbox.ledger(caller.tenant.account)["invoices"] if not i["deleted"]]
    assert len(stands) == 1


@pytest.fixture(scope="module")
def patient(request: pytest.FixtureRequest):
    with Stack(DEADLINE_MS=3000, CALL_TIMEOUT_MS=1000, CONNECT_TIMEOUT_MS=1000, LEASE_MS=1500, LOOKUP_PAUSE_MS=300) as stack:
        yield stack
        stack.keep = request.session.testsfailed > 0


def test_an_act_that_was_not_done(patient: Stack) -> None:
    caller = Caller(patient, patient.tenant())
    path = ready_for(caller, "finalize")
    patient.sandbox.fault("idempotency_error", step="finalize", account=caller.tenant.account, count=1)
    answer = caller.post(path, key="k")
    assert refused(answer, 502, "api_error") == "The payment provider lost the request. Nothing was changed."
    assert caller.post(path, key="k").json["status"] == "open"


def test_a_refusal_because_it_was_done(patient: Stack) -> None:
    """The answer is lost and the upstream forgets the key: it refuses to finalize what it has finalized."""
    caller = Caller(patient, patient.tenant())
    path = ready_for(caller, "finalize")
    patient.sandbox.fault("reset_after", step="finalize", account=caller.tenant.account, count=1)
    patient.sandbox.fault("status", step="finalize", account=caller.tenant.account, count=1, status=400)
    answer = caller.post(path, key="k")
    assert answer.status == 200 and answer.json["status"] == "open"


def told_no_more(stack: Stack, caller: Caller, act: str, done: bool) -> str:
    """The upstream did what was asked, or did not, and will only ever say that it failed. Returns the act's path."""
    path = ready_for(caller, act)
    if done:
        stack.sandbox.fault("reset_after", step=ACTS[act][1], account=caller.tenant.account, count=1)
    stack.sandbox.fault("idempotency_error", step=ACTS[act][1], account=caller.tenant.account, count=1)
    return path


@pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])
def test_an_update_that_nobody_speaks_of(patient: Stack, done: bool) -> None:
    caller = Caller(patient, patient.tenant())
    path = told_no_more(patient, caller, "update", done)
    answer = caller.post(path, key="k", description="new")
    if done:
        assert answer.status == 200 and answer.json["description"] == "new", answer
        assert "invoicegate" not in answer.body.decode()
    else:
        assert refused(answer, 502, "api_error") == "The payment provider lost the request. Nothing was changed."
        assert not patient.audit("select object from audit.invoices where invoice_id = %s", path.split("/")[1])[0]["object"]["description"]
    shown = caller.get(path).json
    assert shown["description"] == ("new" if done else None)


def test_nothing_is_done_over_an_act_in_doubt(patient: Stack) -> None:
    """The invoice is kept for whoever began, also after a 504: then for the next one."""
    caller, books = Caller(patient, patient.tenant()), Books(patient)
    path = ready_for(caller, "update")
    with patient.sandbox.faulty("hang", step="advance", account=caller.tenant.account):
        refused(caller.post(path, key="k", description="first"), 504, "api_error")
        for later in (path, f"{path}/finalize"):
            assert "Another call on this invoice" in refused(caller.post(later), 429, "invalid_request_error")
        item = caller.post("invoiceitems", customer=caller.get(path).json["customer"], invoice=path.split("/")[1], amount=5, currency="usd")
        refused(item, 429, "invalid_request_error")
    books.settle()
    again = caller.post(path, key="k", description="first")
    assert again.status == 200 and again.json["description"] == "first", again
    assert caller.post(path, description="second").json["description"] == "second"
    assert caller.get(path).json["description"] == "second"


def test_an_update_whose_mark_was_written_over(patient: Stack) -> None:
    """Somebody else's later mark is there: nobody can tell what came of ours."""
    caller, books = Caller(patient, patient.tenant()), Books(patient)
    path = told_no_more(patient, caller, "update", True)
    before = patient.sandbox.counts()["get_invoice"]
    with patient.sandbox.faulty("hang_before", step="get_invoice", account=caller.tenant.account):
        pending = patient.send(caller.post_bytes(path, key="k", description="first"))
        wait_for("the look", lambda: patient.sandbox.counts()["get_invoice"] > before)
        later = {"metadata[invoicegate_act]": "ffffffff-ffff-7fff-bfff-ffffffffffff"}
        patient.sandbox.api("POST", path, later, account=caller.tenant.account)
    request_id = pending.answer().request_id
    books.settle()
    row = patient.request_row(request_id)
    assert row and (row["state"], row["reason"]) == ("failed", "act_unsure"), row
    assert "not known whether" in refused(caller.post(path, key="k", description="first"), 504, "api_error")


@pytest.mark.parametrize("act", ["update", "finalize", "send", "item"])
def test_somebodys_404_says_nothing_of_an_act(patient: Stack, act: str) -> None:
    """A look that is answered by a 404 which is not the upstream's own word is no look."""
    caller, books = Caller(patient, patient.tenant()), Books(patient)
    customer = caller.customer()
    if act == "item":
        path, fields, look = "invoiceitems", {"customer": customer, "amount": 5, "currency": "usd"}, "invoiceitem"
        patient.sandbox.fault("reset_after", step="invoiceitem", account=caller.tenant.account, count=1)
        patient.sandbox.fault("idempotency_error", step="invoiceitem", account=caller.tenant.account, count=1)
    else:
        path, fields, look = told_no_more(patient, caller, act, True), ACTS[act][3], "get_invoice"
    patient.sandbox.fault("status", step=look, account=caller.tenant.account, count=2, status=404)
    answer = caller.post(path, key="k", **fields)
    books.settle()
    assert answer.status == 504 or act != "send", answer
    again = caller.post(path, key="k", **fields)
    assert again.status == (504 if act == "send" else 200), again
    if act == "item":
        assert len(patient.sandbox.ledger(caller.tenant.account)["invoiceitems"]) == 1


def test_a_draft_does_not_come_back(patient: Stack) -> None:
    """It was deleted, and everybody knows, while the answer to an update of it was on its way."""
    caller, books = Caller(patient, patient.tenant()), Books(patient)
    path = ready_for(caller, "update")
    with patient.sandbox.faulty("hang", step="advance", account=caller.tenant.account):
        refused(caller.post(path, key="k", description="first"), 504, "api_error")
        patient.sandbox.api("DELETE", path, account=caller.tenant.account)
        patient.sql("update gateway.invoices set refreshed_at = 'epoch' where invoice_id = %s", path.split("/")[1])
        refused(caller.get(path), 404, "invalid_request_error")
    books.settle()
    refused(caller.get(path), 404, "invalid_request_error")
    assert patient.audit("select from audit.invoices where invoice_id = %s", path.split("/")[1]) == []


def test_parameters_in_the_address_are_not_lost(stack: Stack, caller: Caller) -> None:
    path = ready_for(caller, "finalize")
    with stack.nothing_upstream():
        refused(caller.post(f"{path}?auto_advance=false"), 400, "invalid_request_error", param="auto_advance")
        refused(caller.post("invoices?customer=cus_1"), 400, "invalid_request_error", param="customer")


@pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])
def test_nothing_shows_that_an_invoice_was_sent_again(patient: Stack, done: bool) -> None:
    caller = Caller(patient, patient.tenant())
    path = told_no_more(patient, caller, "send", done)
    invoice = path.split("/")[1]
    assert patient.sandbox.api("POST", f"invoices/{invoice}/finalize", account=caller.tenant.account)["status"] == "open" or done
    answer = caller.post(path, key="k")
    assert "not known whether" in refused(answer, 504, "api_error")
    assert answer.header("Stripe-Should-Retry") == "false"
    before = patient.sandbox.counts()["send"]
    again = caller.post(path, key="k")
    assert again.replayed and again.body == answer.body and patient.sandbox.counts()["send"] == before
    assert again.header("Stripe-Should-Retry") == "false"
    assert audited(patient, invoice)["status"] == "open"
    assert caller.get(f"invoices/{invoice}").json["status"] == "open"


def test_a_draft_that_was_not_sent(patient: Stack) -> None:
    caller = Caller(patient, patient.tenant())
    path = told_no_more(patient, caller, "send", False)
    refused(caller.post(path, key="k"), 502, "api_error")
    assert caller.post(path, key="k").json["status"] == "open"


@pytest.mark.parametrize("act", ["update", "finalize", "send"])
def test_an_act_on_a_draft_that_somebody_deleted(stack: Stack, caller: Caller, act: str) -> None:
    path = ready_for(caller, act)
    invoice = path.split("/")[1]
    stack.sandbox.api("DELETE", f"invoices/{invoice}", account=caller.tenant.account)
    refused(caller.post(path, **ACTS[act][3]), 404, "invalid_request_error", code="resource_missing")
    assert stack.audit("select from audit.invoices where invoice_id = %s", invoice) == []  # deleted
    assert invoice not in [i["id"] for i in caller.get("invoices").json["data"]]


def test_an_upstream_that_is_away(patient: Stack) -> None:
    caller = Caller(patient, patient.tenant())
    path = ready_for(caller, "finalize")
    with patient.sandbox.faulty("status_429", step="finalize", account=caller.tenant.account):
        answer = caller.post(path, key="k")
    refused(answer, 503, "api_error")
    assert answer.header("Retry-After")
    assert caller.post(path, key="k").status == 200


@pytest.mark.parametrize("act", ["finalize", "void", "update"])
@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "keyless"])
def test_kill_9_while_an_act_is_under_way(start_stack, act: str, keyed: bool) -> None:
    stack = start_stack(workers=2)
    caller, books = Caller(stack, stack.demo), Books(stack)
    path = ready_for(caller, act)
    step = ACTS[act][1]
    before = stack.sandbox.counts()[step]
    stack.sandbox.fault("delay", step=step, count=1, delay_ms=800)
    pending = stack.send(caller.post_bytes(path, key="k" if keyed else None, **ACTS[act][3]))
    wait_for("the call", lambda: stack.sandbox.counts()[step] > before)
    for pid in stack.worker_pids():
        os.kill(pid, 9)
    pending.leave()
    wait_for("workers", lambda: len(stack.worker_pids()) == 2)
    books.settle()
    row = stack.audit("select * from audit.requests where route = %s", f"invoice_{act}")[-1]
    assert (row["state"], row["reason"]) == ("created", None), row
    assert audited(stack, row["invoice_id"])["status"] == ACTS[act][4]
    keys = {c["idempotency_key"] for c in stack.sandbox.calls() if c["step"] == step}
    assert len(keys) == 1
    if keyed:
        assert caller.post(path, key="k", **ACTS[act][3]).replayed
