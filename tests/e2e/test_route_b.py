"""POST /v1/invoices: the upstream's own interface at the same flow."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from books import Books
from passed_on import FORM, Caller, basic, refused
from stack import Stack, Tenant
from waiting import wait_for

# Every attribute of the documented object and what type it may have, null aside.
ATTRIBUTES: dict[str, type | tuple[type, ...]] = (
    dict.fromkeys(
        "id object account_country account_name application billing_reason collection_method currency customer "
        "customer_email customer_name customer_phone customer_tax_exempt default_payment_method default_source description "
        "footer from_invoice hosted_invoice_url invoice_pdf latest_revision number on_behalf_of payment_intent receipt_number "
        "statement_descriptor status test_clock".split(),
        str,
    )
    | dict.fromkeys(
        "amount_due amount_paid amount_overpaid amount_remaining amount_shipping attempt_count created due_date ending_balance "
        "next_payment_attempt period_end period_start post_payment_credit_notes_amount pre_payment_credit_notes_amount "
        "starting_balance subtotal subtotal_excluding_tax total total_excluding_tax webhooks_delivered_at".split(),
        int,
    )
    | dict.fromkeys("attempted auto_advance livemode paid paid_out_of_band".split(), bool)
    | dict.fromkeys(
        "account_tax_ids custom_fields customer_tax_ids default_tax_rates discounts total_discount_amounts total_taxes".split(), list
    )
    | dict.fromkeys(
        "automatic_tax customer_address customer_shipping confirmation_secret issuer last_finalization_error lines payments "
        "metadata parent payment_settings shipping_cost shipping_details status_transitions transfer_data".split(),
        dict,
    )
)
NEVER_NULL = (
    "id object amount_due amount_paid amount_remaining attempt_count attempted auto_advance automatic_tax collection_method "
    "created currency customer customer_tax_ids default_tax_rates discounts issuer lines payments livemode metadata paid "
    "paid_out_of_band payment_settings period_end period_start starting_balance status status_transitions subtotal total"
).split()


@pytest.fixture
def caller(stack: Stack, tenant: Tenant) -> Caller:
    return Caller(stack, tenant)


def row_of(stack: Stack, request_id: str) -> dict:
    row = stack.request_row(request_id)
    assert row
    return row


# ---- the documented call


def test_curl_as_printed(stack: Stack) -> None:
    """The documentation's example, with another host, key and customer: the demo agency has a default account."""
    customer = Caller(stack, stack.demo).customer()
    done = subprocess.run(
        ["curl", "-q", "-s", "--noproxy", "*", "-m", "30", f"http://127.0.0.1:{stack.port}/v1/invoices"]
        + ["-u", f"{stack.demo.key}:", "-d", f"customer={customer}"]
        + ["-d", "description=Invoice for August subscription", "-d", "auto_advance=true"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    invoice = json.loads(done.stdout)
    assert invoice["object"] == "invoice" and invoice["customer"] == customer and invoice["status"] == "draft"
    assert invoice["description"] == "Invoice for August subscription" and invoice["auto_advance"] is True


def test_every_attribute_of_the_object(caller: Caller) -> None:
    invoice = caller.create(description="x", **{"metadata[order]": "7"})
    assert set(ATTRIBUTES) <= set(invoice), set(ATTRIBUTES) - set(invoice)
    for name, value in invoice.items():
        if value is None:
            assert name not in NEVER_NULL, name
        elif name in ATTRIBUTES:
            kind = ATTRIBUTES[name]
            assert isinstance(value, kind) and (kind is bool or not isinstance(value, bool)), (name, value)
    assert invoice["lines"]["object"] == invoice["payments"]["object"] == "list"
    assert invoice["livemode"] is True


def test_all_six_parameters(caller: Caller, books: Books) -> None:
    answer = books.told(
        caller.post(
            "invoices",
            b"customer=%s&description=Gr%%C3%%BC%%C3%%9Fe+an+alle%%21&auto_advance=false&metadata[order]=7&metadata%%5Bby%%5D=a%%26b"
            b"&collection_method=send_invoice&days_until_due=030" % caller.customer().encode(),
        )
    )
    invoice = answer.json
    assert invoice["description"] == "Gr\u00fc\u00dfe an alle!" and invoice["auto_advance"] is False
    assert invoice["metadata"] == {"order": "7", "by": "a&b"}
    assert invoice["collection_method"] == "send_invoice"
    assert invoice["due_date"] == invoice["created"] + 30 * 86400
    books.assert_balanced()


def test_our_metadata_is_upstream_and_not_in_the_answer(stack: Stack, caller: Caller) -> None:
    answer = caller.post("invoices", customer=caller.customer(), **{"metadata[a]": "b"})
    assert answer.json["metadata"] == {"a": "b"}
    assert b"invoicegate" not in answer.body
    real = next(i for i in stack.sandbox.ledger(caller.tenant.account)["invoices"] if i["id"] == answer.json["id"])
    assert real["metadata"] == {"a": "b", "invoicegate_request": answer.request_id}


def test_a_known_clients_customer_is_told_in_the_audit(stack: Stack, caller: Caller, books: Books) -> None:
    made = books.told(stack.create(caller.tenant)).json
    answer = books.told(caller.post("invoices", customer=made["customer"]["id"]))
    row = row_of(stack, answer.request_id)
    assert row["client_id"] == caller.tenant.client and row["customer_id"] == made["customer"]["id"]
    invoice = stack.audit("select * from audit.invoices where invoice_id = %s", answer.json["id"])[0]
    assert invoice["client_id"] == caller.tenant.client
    books.assert_balanced()


def test_the_audit_of_one_call(stack: Stack, caller: Caller) -> None:
    customer = caller.customer()
    answer = caller.post("invoices", customer=customer, key="one", collection_method="send_invoice", days_until_due=5)
    row = row_of(stack, answer.request_id)
    wanted = {
        **{"route": "invoices", "state": "created", "mode": "live", "http_status": 200, "reason": None, "client_id": None},
        **{"account_id": caller.tenant.account, "customer_id": customer, "invoice_id": answer.json["id"]},
        **{"idempotency_key": "one", "collection_method": "send_invoice", "days_until_due": 5, "currency": "usd"},
    }
    assert {name: row[name] for name in wanted} == wanted
    steps = stack.audit("select step, outcome from audit.upstream_calls where request_id = %s", answer.request_id)
    assert steps == [{"step": "invoice", "outcome": "ok"}]


def test_both_doors_in_one_batch(stack: Stack, caller: Caller, books: Books) -> None:
    customer = caller.customer()
    requests = []
    for number in range(20):
        requests.append(stack.create_bytes(caller.tenant, idempotency_key=f"a{number}"))
        requests.append(caller.post_bytes("invoices", customer=customer, key=f"b{number}"))
    answers = books.told_all(stack.burst(requests), [f"{door}{n}" for n in range(20) for door in "ab"])
    assert {answer.status for answer in answers} == {200}
    books.assert_balanced()


# ---- who asks, and for which account


@pytest.mark.parametrize("spelling", ["basic", "bearer", "bare"])
def test_spellings_of_the_key(caller: Caller, spelling: str) -> None:
    header = {"basic": basic(caller.secret), "bearer": f"Bearer {caller.secret}", "bare": caller.secret}[spelling]
    headers = [("Authorization", header), ("Content-Type", FORM), ("Stripe-Account", caller.tenant.account)]
    answer = caller.post("invoices", customer=caller.customer(), how={"headers": headers})
    assert answer.status == 200, answer


@pytest.mark.parametrize("header", ["", "Bearer x", "Basic Og==", "Basic ???", "Bearer igk_live_" + "0" * 36, "Digest a"])
def test_no_good_key(stack: Stack, caller: Caller, header: str) -> None:
    headers = [("Authorization", header)] if header else []
    with stack.nothing_upstream():
        answer = caller.post("invoices", b"customer=x", how={"headers": [*headers, ("Content-Type", FORM)]})
    assert "API key" in refused(answer, 401, "invalid_request_error")


def test_an_agency_without_a_default_account(stack: Stack, caller: Caller) -> None:
    stack.sql("update gateway.accounts set is_default = false where agency_id = %s", caller.tenant.agency)
    with stack.nothing_upstream():
        answer = caller.post("invoices", customer="cus_1", how={"account": None})
    refused(answer, 400, "invalid_request_error")
    assert row_of(stack, answer.request_id)["reason"] == "no_default_account"


def test_the_default_account(stack: Stack, caller: Caller) -> None:
    stack.sql("update gateway.accounts set is_default = true where agency_id = %s", caller.tenant.agency)
    customer = caller.customer()
    first = caller.post("invoices", customer=customer, key="d", how={"account": None})
    assert first.status == 200
    assert row_of(stack, first.request_id)["account_id"] == caller.tenant.account
    again = caller.post("invoices", customer=customer, key="d", how={"account": None})
    assert again.replayed and again.body == first.body


def test_an_unknown_account(stack: Stack, caller: Caller) -> None:
    other = stack.tenant()
    for account in ("acct_nobody", other.account):
        with stack.nothing_upstream():
            answer = caller.post("invoices", customer="cus_1", how={"account": account})
        refused(answer, 404, "invalid_request_error", code="resource_missing")


def test_a_key_of_other_routes(stack: Stack, caller: Caller) -> None:
    stack.sql("update gateway.api_keys set routes = '{account_invoices}' where agency_id = %s", caller.tenant.agency)
    refused(caller.post("invoices", customer="cus_1"), 403, "invalid_request_error")
    assert stack.create(caller.tenant).status == 200


def test_test_mode(stack: Stack, caller: Caller, books: Books) -> None:
    tester = Caller(stack, caller.tenant, mode="test")
    answer = tester.post("invoices", customer=tester.customer())
    assert answer.status == 200 and answer.json["livemode"] is False
    assert row_of(stack, answer.request_id)["mode"] == "test"
    refused(tester.post("invoices", customer=caller.customer()), 400, "invalid_request_error", code="resource_missing")
    live = caller.create()
    modes = {i["invoice_id"]: i["mode"] for i in stack.audit("select invoice_id, mode from audit.invoices")}
    assert modes[answer.json["id"]] == "test" and modes[live["id"]] == "live"


@pytest.mark.parametrize("path", ["customers", "customers/cus_1", "invoices/in_1/pay", "invoices/in_1/lines", "invoiceitems/ii_1", "private", ""])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_not_served_is_told_in_the_same_shape(stack: Stack, caller: Caller, method: str, path: str) -> None:
    """Whether a worker or the web server says so: a client library reads it either way."""
    with stack.nothing_upstream():
        answer = stack.exchange(caller.request_bytes(method, path))
    assert refused(answer, 404, "invalid_request_error") == "There is nothing at this address."


# ---- keys


def test_replay_is_byte_for_byte(caller: Caller, books: Books) -> None:
    customer = caller.customer()
    first = books.told(caller.post("invoices", customer=customer, key="k"), "k")
    again = books.told(caller.post("invoices", customer=customer, key="k"), "k")
    assert again.status == 200 and again.body == first.body and again.replayed and not first.replayed
    assert again.header("Original-Request") == first.request_id != again.request_id
    books.assert_balanced()


def test_the_order_of_parameters_means_nothing(caller: Caller) -> None:
    customer = caller.customer().encode()
    first = caller.post("invoices", b"customer=%s&description=a+b&metadata[x]=1" % customer, key="k")
    again = caller.post("invoices", b"metadata%%5Bx%%5D=1&description=a%%20b&customer=%s" % customer, key="k")
    assert again.replayed and again.json["id"] == first.json["id"]


def test_a_key_with_other_parameters(stack: Stack, caller: Caller) -> None:
    customer = caller.customer()
    caller.post("invoices", customer=customer, key="k")
    with stack.nothing_upstream():
        answer = caller.post("invoices", customer=customer, description="else", key="k")
    refused(answer, 400, "idempotency_error")
    assert row_of(stack, answer.request_id)["http_status"] == 400


def test_a_key_in_use(stack: Stack, caller: Caller) -> None:
    customer = caller.customer()
    stack.sandbox.latency(700)
    pending = stack.send(caller.post_bytes("invoices", customer=customer, key="k"))
    wait_for("the intent", lambda: stack.sql("select request_id from gateway.work"))
    answer = caller.post("invoices", customer=customer, key="k")
    refused(answer, 409, "idempotency_error", code="idempotency_key_in_use")
    assert answer.header("Retry-After") and answer.header("Stripe-Should-Retry") == "true"
    assert pending.answer().status == 200


def test_an_upstream_refusal_is_saved(caller: Caller) -> None:
    first = caller.post("invoices", customer="cus_nobody", key="k")
    again = caller.post("invoices", customer="cus_nobody", key="k")
    assert again.replayed and again.body == first.body and again.status == first.status == 400


# ---- what the upstream says


def test_a_refusal_passes_with_its_words(stack: Stack, caller: Caller) -> None:
    answer = caller.post("invoices", customer="cus_nobody")
    message = refused(answer, 400, "invalid_request_error", code="resource_missing", param="customer")
    assert message == "No such customer: 'cus_nobody'"
    row = row_of(stack, answer.request_id)
    assert (row["state"], row["reason"], row["detail"]) == ("failed", "upstream_refused", message)
    assert b"request_log_url" not in answer.body and b"dashboard" not in answer.body


def test_a_card_error(stack: Stack, caller: Caller) -> None:
    customer = caller.customer()
    stack.sandbox.fault("card_error", step="invoice", account=caller.tenant.account, count=1)
    answer = caller.post("invoices", customer=customer)
    refused(answer, 402, "card_error")


@pytest.mark.parametrize(("fault", "status", "more"), [("unauthorized", 502, {}), ("forbidden", 502, {}), ("status_429", 503, {})])
def test_what_is_the_operators_trouble(stack: Stack, caller: Caller, fault: str, status: int, more: dict) -> None:
    customer = caller.customer()
    stack.sandbox.fault(fault, step="invoice", account=caller.tenant.account, **more)
    answer = caller.post("invoices", customer=customer, key="k")
    refused(answer, status, "api_error")
    stack.sandbox.no_faults()
    assert [i for i in stack.sandbox.ledger(caller.tenant.account)["invoices"]] == []


def test_the_callers_version_goes_upstream(stack: Stack, caller: Caller) -> None:
    customer = caller.customer()
    caller.post("invoices", customer=customer, how={"more_headers": [("Stripe-Version", "2024-06-20")]})
    caller.post("invoices", customer=customer)
    versions = [c["stripe_version"] for c in stack.sandbox.calls(account=caller.tenant.account) if c["step"] == "invoice"]
    assert versions == ["2024-06-20", "2025-03-31.basil"]


def test_pass_through_of_further_parameters(stack: Stack, caller: Caller) -> None:
    invoice = caller.create(footer="Thanks", currency="eur", **{"custom_fields[0][name]": "PO", "custom_fields[0][value]": "12"})
    assert (invoice["footer"], invoice["currency"]) == ("Thanks", "eur")
    assert invoice["custom_fields"] == [{"name": "PO", "value": "12"}]
    with stack.nothing_upstream():
        answer = caller.post("invoices", customer="cus_1", application_fee_amount=5)
    refused(answer, 400, "invalid_request_error", code="parameter_unknown", param="application_fee_amount")


def test_settings_of_pass_through(start_stack) -> None:
    stack = start_stack(PASS_THROUGH="no", PASS_THROUGH_MONEY="yes")
    caller = Caller(stack, stack.demo)
    customer = caller.customer()
    answer = caller.post("invoices", customer=customer, footer="x")
    refused(answer, 400, "invalid_request_error", code="parameter_unknown", param="footer")
    assert caller.post("invoices", customer=customer, application_fee_amount=5).status == 200


# ---- faults

FAULTS = [
    *("reset_before", "reset_after", "status_409", "status_424", "status_429", "status_500_before", "status_500_after"),
    *("status_503_html", "garbage", "nul_in_string", "cut_body", "hang", "hang_before", "no_id", "not_object"),
    *("should_retry_true", "refuse_connection"),
]


@pytest.mark.fault_step
@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "keyless"])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_at_the_invoice(stack: Stack, caller: Caller, books: Books, fault: str, keyed: bool) -> None:
    key = "k" if keyed else None
    customer = caller.customer()
    stack.sandbox.fault(fault, step="invoice", account=caller.tenant.account, count=1)
    answer = books.told(caller.post("invoices", customer=customer, key=key), key)
    assert answer.status in (200, 504), answer
    books.assert_balanced()
    if keyed and answer.status == 504:
        refused(answer, 504, "api_error")
        assert answer.header("Stripe-Should-Retry") == "true"
        answer = books.told(caller.post("invoices", customer=customer, key=key), key)
    if keyed:
        assert answer.status == 200, answer
        books.assert_balanced()


@pytest.mark.fault_step
@pytest.mark.parametrize("fault", ["status_500_saved", "idempotency_error"])
def test_what_repeating_cannot_tell_is_looked_up(start_stack, fault: str) -> None:
    stack = start_stack(LOOKUP_PAUSE_MS=300)
    caller, books = Caller(stack, stack.demo), Books(stack)
    customer = caller.customer()
    stack.sandbox.fault("reset_after", step="invoice", count=1)
    stack.sandbox.fault(fault, step="invoice", skip=1 if fault == "status_500_saved" else 0, count=1)
    answer = books.told(caller.post("invoices", customer=customer, key="k"), "k")
    assert answer.status == 200, answer
    books.assert_balanced()


def test_nothing_was_made_and_repeating_cannot_tell(start_stack) -> None:
    stack = start_stack(LOOKUP_PAUSE_MS=300)
    caller, books = Caller(stack, stack.demo), Books(stack)
    stack.sandbox.fault("idempotency_error", step="invoice", count=1)
    answer = books.told(caller.post("invoices", customer=caller.customer(), key="k"), "k")
    refused(answer, 502, "api_error")
    books.assert_balanced()


def test_a_keyless_client_that_leaves(stack: Stack, caller: Caller, books: Books) -> None:
    customer = caller.customer()
    stack.sandbox.latency(500)
    before = stack.sandbox.counts()["invoice"]
    pending = stack.send(caller.post_bytes("invoices", customer=customer))
    wait_for("the call", lambda: stack.sandbox.counts()["invoice"] > before)
    pending.leave()
    assert books.assert_balanced().standing == 0


# ---- workers that die


@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "keyless"])
def test_kill_9_while_the_upstream_works(start_stack, keyed: bool) -> None:
    stack = start_stack(workers=2)
    caller, books = Caller(stack, stack.demo), Books(stack)
    key = "k" if keyed else None
    customer = caller.customer()
    stack.sandbox.fault("delay", step="invoice", count=1, delay_ms=800)
    pending = stack.send(caller.post_bytes("invoices", customer=customer, key=key, description="\u00e4 & b"))
    wait_for("the call", lambda: stack.sandbox.counts()["invoice"] > 0)
    for pid in stack.worker_pids():
        os.kill(pid, 9)
    with pytest.raises(Exception):
        assert pending.answer().status == 200
    wait_for("workers", lambda: len(stack.worker_pids()) == 2)
    balance = books.assert_balanced()
    assert balance.standing == (1 if keyed else 0)
    if keyed:
        answer = caller.post("invoices", customer=customer, key=key, description="\u00e4 & b")
        assert answer.replayed and answer.json["description"] == "\u00e4 & b" and answer.json["metadata"] == {}
        bodies = {c["body"] for c in stack.sandbox.calls() if c["step"] == "invoice"}
        assert len(bodies) == 1


@pytest.mark.parametrize("door", ["a", "b"])
def test_a_taken_over_request_keeps_its_version(start_stack, door: str) -> None:
    """The setting changes between the first attempt and the next worker's; the bytes do not, headers included."""
    stack = start_stack(UPSTREAM_VERSION="2025-03-31.basil")
    caller, books = Caller(stack, stack.demo), Books(stack)
    customer = caller.customer()
    assert stack.create().status == 200
    stack.sandbox.fault("hang_before", step="invoice", count=1)
    more = [("Stripe-Version", "2024-06-20")]
    request = (
        stack.create_bytes(idempotency_key="k")
        if door == "a"
        else caller.post_bytes("invoices", customer=customer, key="k", how={"more_headers": more})
    )
    before = stack.sandbox.counts()["invoice"]
    pending = stack.send(request)
    wait_for("the call", lambda: stack.sandbox.counts()["invoice"] > before)
    os.kill(stack.pid("workers"), 9)
    for pid in stack.worker_pids():
        os.kill(pid, 9)
    pending.leave()
    stack.settings["INVOICEGATE_UPSTREAM_VERSION"] = "2025-04-30.basil"
    stack.up()
    assert books.assert_balanced().created == 2
    made = [c["stripe_version"] for c in stack.sandbox.calls() if c["step"] in ("invoice", "lines")][-2:]
    assert set(made) == {"2024-06-20" if door == "b" else "2025-03-31.basil"}, made


def test_a_test_key_makes_no_live_invoice(start_stack, tmp_path) -> None:
    """The operator has put the upstream's live key where the test key belongs."""
    key = tmp_path / "key"
    key.write_text("sk_live_sandbox")
    stack = start_stack(UPSTREAM_TEST_KEY_FILE=key)
    live, test = Caller(stack, stack.demo), Caller(stack, stack.demo, mode="test")
    customer = live.customer()
    assert "live invoice for a test key" in refused(test.post("invoices", customer=customer), 502, "api_error")
    plain = stack.create(stack.demo, key=stack.demo.test_key)
    assert plain.status == 502 and "live invoice for a test key" in plain.json["error"], plain
    assert [i for i in stack.sandbox.ledger(stack.demo.account)["invoices"] if not i["deleted"]] == []
    assert live.post("invoices", customer=customer).status == 200
