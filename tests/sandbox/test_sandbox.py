"""The sandbox upstream: each route, each rule of idempotency, each fault, as a client sees them."""

import base64
import concurrent.futures
import http.client
import json
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from sandbox_process import BINARY, PATIENCE_S

OLD = "2024-06-20"
LINE = {"lines[0][pricing][price]": "price_usd_10000", "lines[0][quantity]": "1"}

# The attributes of an invoice in the order in which the API documents them.
INVOICE_ATTRIBUTES = """
id object account_country account_name account_tax_ids amount_due amount_paid amount_overpaid amount_remaining
amount_shipping application attempt_count attempted auto_advance automatic_tax billing_reason collection_method created
currency custom_fields customer customer_address customer_email customer_name customer_phone customer_shipping
customer_tax_exempt customer_tax_ids confirmation_secret default_payment_method default_source default_tax_rates
description discounts due_date ending_balance footer from_invoice hosted_invoice_url invoice_pdf issuer
last_finalization_error latest_revision lines payments livemode metadata next_payment_attempt number on_behalf_of paid
paid_out_of_band parent payment_intent payment_settings period_end period_start post_payment_credit_notes_amount
pre_payment_credit_notes_amount receipt_number shipping_cost shipping_details starting_balance statement_descriptor
status status_transitions subtotal subtotal_excluding_tax test_clock total total_discount_amounts total_excluding_tax
total_taxes transfer_data webhooks_delivered_at
""".split()


# ---- command line


def test_help_teaches():
    done = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0 and "Examples:" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["--nonsense"], ["--listen", "nowhere"], ["--listen", "127.0.0.1:99999"], ["--latency-ms", "x"], ["extra"]]
    + [["--tls-cert", "a"]],
)
def test_wrong_arguments_stop_the_start(arguments):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2 and done.stderr.count("\n") == 1


# ---- who may call


def test_basic_credentials(sandbox):
    token = base64.b64encode(b"sk_live_sandbox:").decode()
    answer = sandbox.send("GET", "/v1/account", None, {"Authorization": f"Basic {token}"})
    assert answer.status == 200 and answer.json["id"] == "acct_platform"


@pytest.mark.parametrize("secret", ["sk_live_other", "sk_test_", "", "sk_test_sandboxx"])
def test_unknown_keys_are_refused(sandbox, secret):
    answer = sandbox.get("/v1/account", secret=secret)
    assert answer.status == 401 and answer.error["type"] == "invalid_request_error"


def test_no_key(sandbox):
    assert sandbox.send("GET", "/v1/account", None, {}).status == 401


@pytest.mark.parametrize("account", ["acct_closed_1", "other", "acct_", "acct_a-b", "acct_" + "x" * 200])
def test_closed_and_malformed_accounts_are_forbidden(sandbox, account):
    answer = sandbox.get("/v1/account", account=account)
    assert answer.status == 403 and answer.error["code"] == "account_invalid"


def test_headers_are_echoed(sandbox):
    answer = sandbox.get("/v1/account", version="2025-04-30.basil")
    assert answer.headers["Request-Id"].startswith("req_")
    assert answer.headers["Stripe-Version"] == "2025-04-30.basil"
    assert answer.headers["Stripe-Account"] == "acct_1"


def test_wrong_version(sandbox):
    assert sandbox.get("/v1/account", version="yesterday").status == 400


def test_accounts_and_modes_are_apart(sandbox):
    customer = sandbox.customer()
    assert sandbox.get(f"/v1/customers/{customer}").status == 200
    assert sandbox.get(f"/v1/customers/{customer}", account="acct_2").status == 404
    assert sandbox.get(f"/v1/customers/{customer}", secret="sk_live_sandbox").status == 404


def test_unknown_route(sandbox):
    for method, path in [("GET", "/"), ("GET", "/v1/nothing"), ("PUT", "/v1/invoices"), ("POST", "/v1/invoices/a/b/c")]:
        answer = sandbox.call(method, path)
        assert answer.status == 404 and answer.error["type"] == "invalid_request_error"


# ---- products and prices

AMOUNTS = {
    "prod_usd_10000": ("usd", 10000),
    "prod_jpy": ("jpy", 500),
    "prod_kwd": ("kwd", 12345),
    "prod_large": ("usd", 99999999),
    "prod_eur": ("eur", 2500),
    "prod_no_amount": ("usd", None),
    "prod_no_description": ("usd", 700),
}


@pytest.mark.parametrize("product", AMOUNTS)
def test_default_price_is_expanded(sandbox, product):
    price = sandbox.get(f"/v1/products/{product}?expand[]=default_price").json["default_price"]
    assert (price["currency"], price["unit_amount"]) == AMOUNTS[product]
    assert price["active"] and price["type"] == "one_time" and price["product"] == product


def test_default_price_unexpanded(sandbox):
    product = sandbox.get("/v1/products/prod_usd_10000").json
    assert product["default_price"] == "price_usd_10000" and product["description"]


def one_time_prices(sandbox, product: str) -> int:
    return len(sandbox.get(f"/v1/prices?product={product}&active=true&type=one_time&limit=2").json["data"])


def test_special_products(sandbox):
    def product(name):
        return sandbox.get(f"/v1/products/{name}?expand%5B%5D=default_price").json

    assert product("prod_archived")["active"] is False
    assert product("prod_no_description")["description"] is None
    assert product("prod_default_recurring")["default_price"]["type"] == "recurring"
    assert product("prod_inactive_price")["default_price"]["active"] is False
    assert product("prod_two_default")["default_price"]["type"] == "one_time"
    assert product("prod_two_prices")["default_price"] is None
    counts = {
        "prod_recurring": 0,
        "prod_priceless": 0,
        "prod_two_prices": 2,
        "prod_two_default": 2,
        "prod_no_default": 1,
        "prod_default_recurring": 1,
        "prod_inactive_price": 0,
    }
    assert {name: one_time_prices(sandbox, name) for name in counts} == counts


def test_products_are_made_and_changed(sandbox):
    product = sandbox.post("/v1/products", {"name": "Coffee", "description": "Black", "id": "prod_coffee"}).json
    assert product["id"] == "prod_coffee" and product["active"] and product["default_price"] is None
    price = sandbox.post("/v1/prices", {"product": "prod_coffee", "currency": "USD", "unit_amount": "350"}).json
    assert price["currency"] == "usd" and price["unit_amount"] == 350 and price["type"] == "one_time"
    changed = sandbox.post("/v1/products/prod_coffee", {"default_price": price["id"], "active": "false"}).json
    assert changed["default_price"] == price["id"] and changed["active"] is False
    assert sandbox.get(f"/v1/prices/{price['id']}").json["active"]
    assert sandbox.post(f"/v1/prices/{price['id']}", {"active": "false"}).json["active"] is False
    assert one_time_prices(sandbox, "prod_coffee") == 0
    assert "prod_coffee" in [p["id"] for p in sandbox.get("/v1/products?active=false&limit=100").json["data"]]
    assert sandbox.post("/v1/products", {"name": "Coffee", "id": "prod_coffee"}).status == 400


def test_recurring_and_fractional_prices(sandbox):
    form = {"product": "prod_eur", "currency": "eur", "unit_amount_decimal": "12.345", "recurring[interval]": "month"}
    price = sandbox.post("/v1/prices", form).json
    assert price["type"] == "recurring" and price["unit_amount"] is None and price["unit_amount_decimal"] == "12.345"


@pytest.mark.parametrize(
    "path", ["products/prod_x", "prices/price_x", "customers/cus_x", "invoices/in_x", "invoiceitems/ii_x"]
)
def test_missing_objects(sandbox, path):
    answer = sandbox.get(f"/v1/{path}")
    assert answer.status == 404
    assert answer.error["code"] == "resource_missing" and answer.error["param"] == "id"
    assert answer.error["request_log_url"].endswith(answer.headers["Request-Id"])


# ---- customers


def test_a_customers_life(sandbox):
    made = sandbox.post("/v1/customers", {"name": "J\u00f6rg", "email": "j@example.com", "metadata[client]": "7"}).json
    assert made["name"] == "J\u00f6rg" and made["metadata"] == {"client": "7"} and made["livemode"] is False
    path = f"/v1/customers/{made['id']}"
    assert sandbox.get(path).json == made
    changed = sandbox.post(path, {"name": "", "metadata[client]": "", "metadata[x]": "y"}).json
    assert changed["name"] is None and changed["metadata"] == {"x": "y"}
    assert [c["id"] for c in sandbox.get("/v1/customers?email=j@example.com").json["data"]] == [made["id"]]
    gone = {"id": made["id"], "object": "customer", "deleted": True}
    assert sandbox.delete(path).json == gone and sandbox.get(path).json == gone
    assert sandbox.post(path, {"name": "x"}).status == 404 and sandbox.delete(path).status == 404


def test_email_is_checked(sandbox):
    assert sandbox.post("/v1/customers", {"email": "nobody"}).error["param"] == "email"


def test_metadata_limits(sandbox):
    def post(form):
        return sandbox.post("/v1/customers", form)

    assert post({f"metadata[k{i}]": "v" for i in range(50)}).status == 200
    assert post({f"metadata[k{i}]": "v" for i in range(51)}).status == 400
    assert post({"metadata[" + "k" * 40 + "]": "\u00e9" * 500}).status == 200
    assert post({"metadata[" + "k" * 41 + "]": "v"}).status == 400
    assert post({"metadata[k]": "v" * 501}).status == 400


# ---- invoices


def test_an_invoice_carries_every_attribute(sandbox):
    invoice = sandbox.invoice(**{"metadata[order]": "7", "description": "August"})
    assert list(invoice) == INVOICE_ATTRIBUTES
    assert invoice["id"].startswith("in_") and len(invoice["id"]) == 27
    assert invoice["status"] == "draft" and invoice["number"] is None and invoice["total"] == 0
    assert invoice["customer_email"] == "jenny@example.com" and invoice["customer_name"] == "Jenny"
    assert invoice["metadata"] == {"order": "7"} and invoice["description"] == "August"
    assert invoice["collection_method"] == "charge_automatically" and invoice["currency"] == "usd"
    assert sandbox.get(f"/v1/invoices/{invoice['id']}").json == invoice


def test_add_lines_and_finalize(sandbox):
    form = {"collection_method": "send_invoice", "days_until_due": "30", "currency": "usd"}
    invoice = sandbox.invoice(**form)
    assert invoice["due_date"] == invoice["created"] + 30 * 86400
    path = f"/v1/invoices/{invoice['id']}"
    filled = sandbox.post(f"{path}/add_lines", LINE).json
    assert list(filled) == INVOICE_ATTRIBUTES and filled["total"] == filled["amount_due"] == filled["subtotal"] == 10000
    line = filled["lines"]["data"][0]
    assert line["id"].startswith("il_") and line["object"] == "line_item" and line["quantity"] == 1
    assert line["amount"] == 10000 and line["currency"] == "usd" and line["invoice"] == invoice["id"]
    assert line["pricing"] == {
        "price_details": {"price": "price_usd_10000", "product": "prod_usd_10000"},
        "type": "price_details",
        "unit_amount_decimal": "10000",
    }
    final = sandbox.post(f"{path}/finalize").json
    assert final["status"] == "open" and final["number"] and final["hosted_invoice_url"] and final["invoice_pdf"]
    assert final["status_transitions"]["finalized_at"] and final["amount_remaining"] == 10000
    assert sandbox.post(f"{path}/finalize").error["code"] == "invoice_not_editable"
    assert sandbox.post(f"{path}/add_lines", LINE).status == 400
    assert sandbox.delete(path).status == 400
    assert sandbox.post(path, {"description": "late"}).status == 400
    assert sandbox.post(path, {"metadata[late]": "yes"}).json["metadata"] == {"late": "yes"}


@pytest.mark.parametrize("product,total", [("jpy", 1000), ("kwd", 24690), ("no_amount", 2469), ("large", 199999998)])
def test_amounts(sandbox, product, total):
    price = sandbox.get(f"/v1/prices/price_{product}").json
    invoice = sandbox.invoice(currency=price["currency"])
    form = {"lines[0][pricing][price]": price["id"], "lines[0][quantity]": "2"}
    assert sandbox.post(f"/v1/invoices/{invoice['id']}/add_lines", form).json["total"] == total


def test_several_lines_and_their_list(sandbox):
    path = f"/v1/invoices/{sandbox.invoice()['id']}"
    form = {}
    for i in range(12):
        form |= {f"lines[{i}][amount]": str(i), f"lines[{i}][description]": f"line {i}"}
    filled = sandbox.post(f"{path}/add_lines", form).json
    assert filled["total"] == sum(range(12))
    assert len(filled["lines"]["data"]) == 10 and filled["lines"]["has_more"] and filled["lines"]["total_count"] == 12
    first = sandbox.get(f"{path}/lines?limit=7").json
    rest = sandbox.get(f"{path}/lines?limit=7&starting_after={first['data'][-1]['id']}").json
    assert [line["description"] for line in first["data"] + rest["data"]] == [f"line {i}" for i in range(12)]
    assert first["has_more"] and not rest["has_more"]


@pytest.mark.parametrize(
    "price", ["price_eur", "price_recurring", "price_inactive", "price_archived", "price_nowhere"]
)
def test_prices_that_an_invoice_cannot_use(sandbox, price):
    invoice = sandbox.invoice(currency="usd")
    answer = sandbox.post(f"/v1/invoices/{invoice['id']}/add_lines", {"lines[0][pricing][price]": price})
    assert answer.status == 400 and answer.error["param"] == "lines[0][pricing][price]"
    assert sandbox.get(f"/v1/invoices/{invoice['id']}").json["lines"]["total_count"] == 0


def test_the_old_dialect(sandbox):
    path = f"/v1/invoices/{sandbox.invoice()['id']}/add_lines"
    assert sandbox.post(path, LINE, version=OLD).error["code"] == "parameter_unknown"
    assert sandbox.post(path, {"lines[0][price]": "price_usd_10000"}).error["code"] == "parameter_unknown"
    line = sandbox.post(path, {"lines[0][price]": "price_usd_10000"}, version=OLD).json["lines"]["data"][0]
    assert line["price"]["id"] == "price_usd_10000" and "pricing" not in line


def test_send_void_pay(sandbox):
    def filled(**form):
        invoice = sandbox.invoice(**form)
        path = f"/v1/invoices/{invoice['id']}"
        assert sandbox.post(f"{path}/add_lines", LINE).status == 200
        return path

    path = filled(collection_method="send_invoice", days_until_due="1")
    assert sandbox.post(f"{path}/void").status == 400
    assert sandbox.post(f"{path}/send").json["status"] == "open"
    void = sandbox.post(f"{path}/void").json
    assert void["status"] == "void" and void["status_transitions"]["voided_at"]
    path = filled()
    assert sandbox.post(f"{path}/send").status == 400
    assert sandbox.post(f"{path}/finalize").status == 200
    assert sandbox.post(f"{path}/pay").status == 400
    paid = sandbox.post(f"{path}/pay", {"paid_out_of_band": "true"}).json
    assert paid["status"] == "paid" and paid["paid"] and paid["amount_paid"] == 10000 and paid["amount_remaining"] == 0
    path = filled()
    sandbox.post(f"{path}/finalize")
    assert sandbox.post(f"{path}/mark_uncollectible").json["status"] == "uncollectible"


def test_an_empty_invoice_is_paid_when_it_is_finalized(sandbox):
    path = f"/v1/invoices/{sandbox.invoice()['id']}"
    assert sandbox.post(f"{path}/finalize").json["status"] == "paid"


def test_update(sandbox):
    path = f"/v1/invoices/{sandbox.invoice()['id']}"
    changed = sandbox.post(path, {"auto_advance": "true", "description": "x", "footer": "f"}).json
    assert changed["auto_advance"] and changed["description"] == "x" and changed["footer"] == "f"
    assert sandbox.post(path, {"customer": "cus_x"}).error["code"] == "parameter_unknown"


def test_delete_a_draft(sandbox):
    invoice = sandbox.invoice()
    path = f"/v1/invoices/{invoice['id']}"
    assert sandbox.delete(path).json == {"id": invoice["id"], "object": "invoice", "deleted": True}
    for answer in (sandbox.delete(path), sandbox.get(path), sandbox.post(f"{path}/add_lines", LINE)):
        assert answer.status == 404 and answer.error["code"] == "resource_missing"
    assert sandbox.get("/v1/invoices").json["data"] == []
    assert sandbox.ledger()["invoices"][0]["deleted"] is True


def test_further_parameters(sandbox):
    invoice = sandbox.invoice(
        **{
            "custom_fields[0][name]": "PO",
            "custom_fields[0][value]": "7",
            "default_tax_rates[0]": "txr_10",
            "footer": "Thanks",
            "on_behalf_of": "acct_2",
            "application_fee_amount": "5",
            "issuer[type]": "account",
            "issuer[account]": "acct_2",
            "transfer_data[destination]": "acct_3",
            "currency": "usd",
        }
    )
    assert invoice["custom_fields"] == [{"name": "PO", "value": "7"}] and invoice["footer"] == "Thanks"
    assert invoice["issuer"] == {"account": "acct_2", "type": "account"} and invoice["on_behalf_of"] == "acct_2"
    assert invoice["transfer_data"] == {"amount": None, "destination": "acct_3"}
    filled = sandbox.post(f"/v1/invoices/{invoice['id']}/add_lines", LINE).json
    assert filled["subtotal"] == 10000 and filled["total"] == 11000 and filled["total_taxes"][0]["amount"] == 1000
    assert list(filled) == INVOICE_ATTRIBUTES


BAD_INVOICES = [
    ({}, "parameter_missing", "customer"),
    ({"customer": ""}, "parameter_invalid_empty", "customer"),
    ({"customer": "cus_x"}, "resource_missing", "customer"),
    ({"customer": "C", "nonsense": "1"}, "parameter_unknown", "nonsense"),
    ({"customer": "C", "collection_method": "wish"}, "parameter_invalid_enum", "collection_method"),
    ({"customer": "C", "collection_method": "send_invoice"}, "parameter_missing", "days_until_due"),
    ({"customer": "C", "days_until_due": "3"}, "parameter_invalid_combination", "days_until_due"),
    (
        {"customer": "C", "collection_method": "send_invoice", "days_until_due": "x"},
        "parameter_invalid_integer",
        "days_until_due",
    ),
    (
        {"customer": "C", "collection_method": "send_invoice", "days_until_due": "-1"},
        "parameter_invalid_integer",
        "days_until_due",
    ),
    ({"customer": "C", "auto_advance": "yes"}, "parameter_invalid_boolean", "auto_advance"),
    ({"customer": "C", "currency": "dollars"}, "parameter_invalid_currency", "currency"),
    (
        {"customer": "C", "pending_invoice_items_behavior": "maybe"},
        "parameter_invalid_enum",
        "pending_invoice_items_behavior",
    ),
    ({"customer": "C", "metadata": "x"}, "parameter_invalid_hash", "metadata"),
    ({"customer": "C", "description": "x" * 1501}, "parameter_invalid_string", "description"),
    ({"customer": "C", "description": b"\xff"}, "parameter_invalid_string", "description"),
    ({"customer": "C", "description": "a\0b"}, "parameter_invalid_string", "description"),
    ({"customer": "C", "default_tax_rates[]": "txr_none"}, "resource_missing", "default_tax_rates[]"),
]


@pytest.mark.parametrize("form,code,param", BAD_INVOICES)
def test_bad_invoices(sandbox, form, code, param):
    form = {name: sandbox.customer() if value == "C" else value for name, value in form.items()}
    answer = sandbox.post("/v1/invoices", form)
    assert answer.status == 400
    assert (answer.error["code"], answer.error["param"]) == (code, param)
    assert answer.error["type"] == "invalid_request_error"
    assert sandbox.ledger()["invoices"] == []


def test_send_invoice_needs_an_email(sandbox):
    customer = sandbox.post("/v1/customers", {"name": "Nobody"}).json["id"]
    form = {"customer": customer, "collection_method": "send_invoice", "days_until_due": "3"}
    assert sandbox.post("/v1/invoices", form).status == 400


def test_a_deleted_customer_gets_no_invoice(sandbox):
    customer = sandbox.customer()
    sandbox.delete(f"/v1/customers/{customer}")
    answer = sandbox.post("/v1/invoices", {"customer": customer})
    assert answer.status == 400 and answer.error["code"] == "resource_missing"


def test_json_is_not_taken(sandbox):
    headers = {"Authorization": "Bearer sk_test_sandbox", "Content-Type": "application/json"}
    assert sandbox.send("POST", "/v1/customers", '{"name":"x"}', headers).status == 400


def test_lists_have_pages(sandbox):
    customer = sandbox.customer()
    made = [sandbox.invoice(customer)["id"] for _ in range(5)][::-1]
    sandbox.invoice()
    query = f"/v1/invoices?customer={customer}"

    def page(more):
        listed = sandbox.get(query + more).json
        assert listed["object"] == "list" and listed["url"] == "/v1/invoices"
        return [invoice["id"] for invoice in listed["data"]], listed["has_more"]

    assert page("") == (made, False)
    assert page("&limit=2") == (made[:2], True)
    assert page(f"&limit=2&starting_after={made[1]}") == (made[2:4], True)
    assert page(f"&limit=2&starting_after={made[3]}") == (made[4:], False)
    assert page(f"&limit=2&ending_before={made[3]}") == (made[1:3], True)
    assert page(f"&ending_before={made[2]}") == (made[:2], False)
    assert len(sandbox.get("/v1/invoices?status=draft").json["data"]) == 6
    assert sandbox.get("/v1/invoices?status=open").json["data"] == []
    created = sandbox.get(f"/v1/invoices/{made[0]}").json["created"]
    assert page(f"&created[gte]={created + 100}")[0] == [] and page(f"&created[lte]={created + 100}")[0] == made
    assert page(f"&created[lt]={created - 100}")[0] == [] and page(f"&created[gt]={created - 100}")[0] == made
    for bad in ("&limit=0", "&limit=101", "&starting_after=in_x", "&nonsense=1"):
        assert sandbox.get(query + bad).status == 400
    assert sandbox.get("/v1/invoices?customer=cus_x").error["code"] == "resource_missing"


# ---- invoice items


def test_pending_items_are_swept_in_on_demand(sandbox):
    customer = sandbox.customer()
    item = sandbox.post("/v1/invoiceitems", {"customer": customer, "pricing[price]": "price_usd_10000"}).json
    assert item["object"] == "invoiceitem" and item["amount"] == 10000 and item["invoice"] is None
    assert sandbox.invoice(customer, pending_invoice_items_behavior="exclude")["total"] == 0
    assert sandbox.invoice(customer)["total"] == 0
    swept = sandbox.invoice(customer, pending_invoice_items_behavior="include")
    assert swept["total"] == 10000 and swept["lines"]["total_count"] == 1
    assert sandbox.get(f"/v1/invoiceitems/{item['id']}").json["invoice"] == swept["id"]
    assert sandbox.invoice(customer, pending_invoice_items_behavior="include")["total"] == 0


def test_an_item_on_a_deleted_draft_lives_on(sandbox):
    customer = sandbox.customer()
    invoice = sandbox.invoice(customer)
    form = {"customer": customer, "invoice": invoice["id"], "price": "price_usd_10000", "quantity": "2"}
    item = sandbox.post("/v1/invoiceitems", form, version=OLD).json
    assert item["price"]["id"] == "price_usd_10000"
    assert sandbox.get(f"/v1/invoices/{invoice['id']}").json["total"] == 20000
    sandbox.delete(f"/v1/invoices/{invoice['id']}")
    assert sandbox.get(f"/v1/invoiceitems/{item['id']}").json["invoice"] is None
    listed = sandbox.get(f"/v1/invoiceitems?customer={customer}&pending=true").json["data"]
    assert [i["id"] for i in listed] == [item["id"]]


def test_deleting_an_item_takes_its_line_away(sandbox):
    customer = sandbox.customer()
    invoice = sandbox.invoice(customer)
    form = {"customer": customer, "invoice": invoice["id"], "amount": "123", "currency": "usd", "description": "x"}
    item = sandbox.post("/v1/invoiceitems", form).json
    gone = sandbox.delete(f"/v1/invoiceitems/{item['id']}").json
    assert gone == {"id": item["id"], "object": "invoiceitem", "deleted": True}
    assert sandbox.get(f"/v1/invoices/{invoice['id']}").json["total"] == 0
    assert sandbox.get(f"/v1/invoiceitems/{item['id']}").status == 404


def test_bad_items(sandbox):
    customer = sandbox.customer()
    invoice = sandbox.invoice(customer, currency="usd")["id"]
    other = sandbox.invoice()["id"]
    base = {"customer": customer}
    bad = [
        base,
        base | {"amount": "1"},
        base | {"amount": "1", "currency": "usd", "pricing[price]": "price_eur"},
        base | {"pricing[price]": "price_x"},
        base | {"pricing[price]": "price_eur", "invoice": invoice},
        base | {"pricing[price]": "price_usd_10000", "invoice": other},
        base | {"pricing[price]": "price_usd_10000", "invoice": "in_x"},
        {"customer": "cus_x", "pricing[price]": "price_eur"},
    ]
    assert [sandbox.post("/v1/invoiceitems", form).status for form in bad] == [400] * len(bad)
    assert sandbox.ledger()["invoiceitems"] == []


# ---- idempotency


def executions(sandbox, key):
    return [(k["executions"], k["times_used"]) for k in sandbox.ledger()["keys"] if k["key"] == key]


def test_a_replay_is_byte_for_byte(sandbox):
    form = {"customer": sandbox.customer(), "description": "once"}
    first = sandbox.post("/v1/invoices", form, key="k")
    sandbox.post(f"/v1/invoices/{first.json['id']}", {"description": "changed"})
    again = sandbox.post("/v1/invoices", form, key="k")
    assert again.body == first.body and again.status == 200
    assert first.headers["Idempotent-Replayed"] is None and again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert again.headers["Request-Id"] != first.headers["Request-Id"]
    assert len(sandbox.ledger()["invoices"]) == 1 and executions(sandbox, "k") == [(1, 2)]


def test_keys_belong_to_an_account_and_a_mode(sandbox):
    form = {"name": "x"}
    ids = {
        sandbox.post("/v1/customers", form, key="k", **scope).json["id"]
        for scope in ({}, {"account": "acct_2"}, {"secret": "sk_live_sandbox"}, {"account": None})
    }
    assert len(ids) == 4


def test_refusals_are_saved(sandbox):
    customer = sandbox.post("/v1/customers", {"name": "No Email"}).json["id"]
    form = {"customer": customer, "collection_method": "send_invoice", "days_until_due": "1"}
    first = sandbox.post("/v1/invoices", form, key="k")
    sandbox.post(f"/v1/customers/{customer}", {"email": "now@example.com"})
    again = sandbox.post("/v1/invoices", form, key="k")
    assert first.status == again.status == 400 and again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert sandbox.post("/v1/invoices", form, key="k2").status == 200


def test_404_is_saved(sandbox):
    for expected in (None, "true"):
        answer = sandbox.post("/v1/invoices/in_x/add_lines", LINE, key="k")
        assert answer.status == 404 and answer.headers["Idempotent-Replayed"] == expected


def test_validation_failures_are_not_saved(sandbox):
    for form in ({"nonsense": "1"}, {}, {"customer": "c", "auto_advance": "x"}):
        for _ in range(2):
            answer = sandbox.post("/v1/invoices", form, key="k")
            assert answer.status == 400 and answer.headers["Idempotent-Replayed"] is None
    assert sandbox.post("/v1/invoices", {"customer": sandbox.customer()}, key="k").status == 200


def test_401_and_403_are_not_saved(sandbox):
    assert sandbox.post("/v1/customers", {"name": "x"}, key="k", secret="sk_test_wrong").status == 401
    assert sandbox.post("/v1/customers", {"name": "x"}, key="k", account="acct_closed").status == 403
    assert sandbox.post("/v1/customers", {"name": "x"}, key="k").headers["Idempotent-Replayed"] is None


def test_the_same_key_with_other_bytes(sandbox):
    sandbox.post("/v1/customers", {"name": "x"}, key="k")
    customer = sandbox.ledger()["customers"][0]["id"]
    others = [("customers", {"name": "y"}), ("products", {"name": "x"}), (f"customers/{customer}", {"name": "x"})]
    for path, form in others:
        answer = sandbox.post(f"/v1/{path}", form, key="k")
        assert answer.status == 400 and answer.error["type"] == "idempotency_error"
    assert sandbox.post("/v1/customers", {"name": "x"}, key="k").headers["Idempotent-Replayed"] == "true"


def test_keys_have_at_most_255_characters(sandbox):
    assert sandbox.post("/v1/customers", {"name": "x"}, key="k" * 255).status == 200
    assert sandbox.post("/v1/customers", {"name": "x"}, key="k" * 256).status == 400


def test_keys_count_on_post_only(sandbox):
    customer = sandbox.customer()
    assert sandbox.get(f"/v1/customers/{customer}", key="k").status == 200
    assert sandbox.delete(f"/v1/customers/{customer}", key="k").status == 200
    assert sandbox.ledger()["keys"] == []


def test_a_key_in_use(start):
    sandbox = start("--latency-ms", "700")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(sandbox.post, "/v1/customers", {"name": "x"}, key="k") for _ in range(2)]
        statuses = sorted(answer.result().status for answer in answers)
    assert statuses == [200, 409]
    again = sandbox.post("/v1/customers", {"name": "x"}, key="k")
    assert again.status == 200 and again.headers["Idempotent-Replayed"] == "true"
    assert executions(sandbox, "k") == [(1, 3)]


def test_forgotten_keys_execute_again(sandbox):
    first = sandbox.post("/v1/customers", {"name": "x"}, key="k").json["id"]
    sandbox.control("POST", "forget_keys")
    second = sandbox.post("/v1/customers", {"name": "x"}, key="k").json["id"]
    assert first != second and executions(sandbox, "k") == [(2, 2)]


def test_keys_expire(start):
    sandbox = start("--idempotency-ttl-s", "0")
    first = sandbox.post("/v1/customers", {"name": "x"}, key="k").json["id"]
    time.sleep(0.05)
    assert sandbox.post("/v1/customers", {"name": "x"}, key="k").json["id"] != first


# ---- faults that keep the call from being processed

NOT_PROCESSED = [
    ("status_409", 409),
    ("status_424", 424),
    ("status_429", 429),
    ("status_500_before", 500),
    ("status_503_html", 503),
    ("redirect", 302),
    ("should_retry_true", 400),
    ("should_retry_false", 500),
    ("status", 500),
    ("unauthorized", 401),
    ("forbidden", 403),
    ("idempotency_error", 400),
]


@pytest.mark.parametrize("fault,status", NOT_PROCESSED)
def test_not_processed_and_not_saved(sandbox, fault, status):
    sandbox.fault(fault, step="customer", count=1)
    answer = sandbox.post("/v1/customers", {"name": "x"}, key="k")
    assert answer.status == status and sandbox.ledger()["customers"] == []
    retried = sandbox.post("/v1/customers", {"name": "x"}, key="k")
    assert retried.status == 200 and retried.headers["Idempotent-Replayed"] is None
    assert sandbox.control("GET", "faults")["data"][0]["fired"] == 1


def test_what_these_answers_say(sandbox):
    def answer(fault, **rule):
        sandbox.control("DELETE", "faults")
        sandbox.fault(fault, **rule)
        return sandbox.get("/v1/account")

    assert answer("status_429", retry_after_s=7).headers["Retry-After"] == "7"
    assert answer("should_retry_true").headers["Stripe-Should-Retry"] == "true"
    assert answer("should_retry_false").headers["Stripe-Should-Retry"] == "false"
    assert answer("status", status=418).status == 418
    assert answer("redirect").headers["Location"]
    assert b"<html>" in answer("status_503_html").body
    assert answer("idempotency_error").error["type"] == "idempotency_error"


def test_reset_before(sandbox):
    sandbox.fault("reset_before", step="customer", count=1)
    with pytest.raises(ConnectionResetError):
        sandbox.post("/v1/customers", {"name": "x"}, key="k")
    assert sandbox.ledger()["customers"] == []
    assert sandbox.post("/v1/customers", {"name": "x"}, key="k").status == 200


def test_hang_before(sandbox):
    sandbox.fault("hang_before", delay_ms=100)
    with pytest.raises(http.client.RemoteDisconnected):
        sandbox.post("/v1/customers", {"name": "x"})
    assert sandbox.ledger()["customers"] == []


def test_refused_connections_come_back(sandbox):
    kept = sandbox.connect()
    kept.request("GET", "/_sandbox/faults")
    kept.getresponse().read()
    sandbox.fault("refuse_connection", step="customer", count=1, delay_ms=1500)
    with pytest.raises(ConnectionResetError):
        sandbox.post("/v1/customers", {"name": "x"})
    with pytest.raises(ConnectionRefusedError):
        sandbox.get("/v1/account")
    kept.request("GET", "/v1/account", headers={"Authorization": "Bearer sk_test_sandbox"})
    with pytest.raises(ConnectionResetError):
        kept.getresponse()
    kept.close()
    for _ in range(PATIENCE_S * 10):
        try:
            assert sandbox.post("/v1/customers", {"name": "x"}).status == 200
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    assert len(sandbox.ledger()["customers"]) == 1


# ---- faults after the call was processed


def replayed(sandbox, form):
    """The same call again, without faults: the answer that was saved."""
    sandbox.control("DELETE", "faults")
    answer = sandbox.post("/v1/invoices", form, key="k")
    assert answer.status == 200 and answer.headers["Idempotent-Replayed"] == "true"
    ledger = sandbox.ledger()
    assert [i["id"] for i in ledger["invoices"]] == [answer.json["id"]]
    return answer


@pytest.fixture
def order(sandbox):
    return {"customer": sandbox.customer(), "description": "a thing"}


def test_reset_after(sandbox, order):
    sandbox.fault("reset_after", step="invoice")
    with pytest.raises(ConnectionResetError):
        sandbox.post("/v1/invoices", order, key="k")
    replayed(sandbox, order)


def test_status_500_after(sandbox, order):
    sandbox.fault("status_500_after", step="invoice")
    answer = sandbox.post("/v1/invoices", order, key="k")
    assert answer.status == 500 and answer.error["type"] == "api_error"
    replayed(sandbox, order)


def test_status_500_saved(sandbox, order):
    sandbox.fault("status_500_saved", step="invoice", count=1)
    first = sandbox.post("/v1/invoices", order, key="k")
    again = sandbox.post("/v1/invoices", order, key="k")
    assert first.status == again.status == 500 and first.body == again.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(sandbox.ledger()["invoices"]) == 1


def test_card_error_is_saved(sandbox, order):
    sandbox.fault("card_error", step="invoice", count=1)
    first = sandbox.post("/v1/invoices", order, key="k")
    again = sandbox.post("/v1/invoices", order, key="k")
    assert first.status == again.status == 402 and first.error["type"] == "card_error"
    assert again.headers["Idempotent-Replayed"] == "true" and sandbox.ledger()["invoices"] == []


def test_garbage(sandbox, order):
    sandbox.fault("garbage", step="invoice")
    answer = sandbox.post("/v1/invoices", order, key="k")
    assert answer.status == 200
    with pytest.raises(ValueError):
        json.loads(answer.body)
    replayed(sandbox, order)


def test_nul_in_string(sandbox, order):
    sandbox.fault("nul_in_string", step="invoice", count=1)
    assert sandbox.post("/v1/invoices", order, key="k").json["description"] == "a\0b"
    sandbox.fault("nul_in_string", step="invoice", raw=True)
    assert b'"description":"a\0b"' in sandbox.post("/v1/invoices", order, key="k").body
    assert replayed(sandbox, order).json["description"] == "a thing"


@pytest.mark.parametrize("size", [None, 10, 0])
def test_cut_body(sandbox, order, size):
    sandbox.fault("cut_body", step="invoice", **({} if size is None else {"bytes": size}))
    with pytest.raises(http.client.IncompleteRead) as raised:
        sandbox.post("/v1/invoices", order, key="k")
    assert size is None or len(raised.value.partial) == size
    replayed(sandbox, order)


def test_endless_body(sandbox, order):
    sandbox.fault("endless_body", step="invoice", count=1)
    connection = sandbox.connect()
    headers = {"Authorization": "Bearer sk_test_sandbox", "Stripe-Account": "acct_1", "Idempotency-Key": "k"}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request("POST", "/v1/invoices", f"customer={order['customer']}&description=a+thing", headers)
    response = connection.getresponse()
    assert response.status == 200 and len(response.read(8 << 20)) == 8 << 20
    connection.close()
    replayed(sandbox, order)


def test_endless_body_has_a_bound(sandbox):
    sandbox.fault("endless_body", bytes=300000)
    assert 300000 <= len(sandbox.get("/v1/account").body) < 500000


def test_slow_drip(sandbox, order):
    sandbox.fault("slow_drip", step="invoice", delay_ms=1, bytes=100)
    answer = sandbox.post("/v1/invoices", order, key="k")
    assert replayed(sandbox, order).body == answer.body


def test_hang(sandbox, order):
    sandbox.fault("hang", step="invoice", delay_ms=200)
    with pytest.raises(http.client.RemoteDisconnected):
        sandbox.post("/v1/invoices", order, key="k")
    replayed(sandbox, order)


def test_a_client_that_leaves_has_made_its_object(sandbox, order):
    sandbox.fault("delay", step="invoice", delay_ms=1500)
    with pytest.raises(TimeoutError):
        sandbox.post("/v1/invoices", order, key="k", timeout_s=0.2)
    replayed(sandbox, order)


def test_wrong_id(sandbox, order):
    sandbox.fault("wrong_id", step="invoice")
    wrong = sandbox.post("/v1/invoices", order, key="k").json["id"]
    assert "../" in wrong and "'" in wrong
    assert replayed(sandbox, order).json["id"] != wrong


def test_no_id(sandbox, order):
    sandbox.fault("no_id", step="invoice")
    answer = sandbox.post("/v1/invoices", order, key="k").json
    assert "id" not in answer and answer["object"] == "invoice"
    replayed(sandbox, order)


def test_not_object(sandbox, order):
    sandbox.fault("not_object", step="invoice")
    assert isinstance(sandbox.post("/v1/invoices", order, key="k").json, list)
    replayed(sandbox, order)


@pytest.mark.parametrize(
    "fault,wrong",
    [("wrong_amount", (10001, "usd", 1)), ("wrong_currency", (10000, "eur", 1)), ("wrong_quantity", (10000, "usd", 2))],
)
def test_wrong_lines_are_stored(sandbox, order, fault, wrong):
    path = f"/v1/invoices/{sandbox.invoice(order['customer'])['id']}"
    sandbox.fault(fault, step="lines", count=1)
    for answer in (
        sandbox.post(f"{path}/add_lines", LINE, key="l"),
        sandbox.post(f"{path}/add_lines", LINE, key="l"),
        sandbox.get(path),
    ):
        line = answer.json["lines"]["data"][0]
        assert (line["amount"], line["currency"], line["quantity"]) == wrong
        assert answer.json["total"] == wrong[0]


def test_wrong_amounts_elsewhere(sandbox, order):
    sandbox.fault("wrong_amount", step="invoice", count=1)
    assert sandbox.invoice(order["customer"])["total"] == 1
    sandbox.fault("wrong_currency", step="invoice", count=1)
    assert sandbox.invoice(order["customer"], currency="usd")["currency"] == "eur"
    sandbox.fault("wrong_amount", step="price", count=1)
    assert sandbox.get("/v1/prices/price_jpy").json["unit_amount"] == 501
    assert sandbox.get("/v1/prices/price_jpy").json["unit_amount"] == 500
    sandbox.fault("wrong_quantity", step="invoiceitem", count=1)
    form = {"customer": order["customer"], "pricing[price]": "price_usd_10000"}
    assert sandbox.post("/v1/invoiceitems", form).json["quantity"] == 2


# ---- fault rules


def test_every_fault_has_a_test(sandbox):
    source = Path(__file__).read_text()
    for name in sandbox.control("GET", "faults")["names"]:
        assert f'"{name}"' in source, name


def test_rules_count_skip_and_choose(sandbox):
    sandbox.fault("status_409", step="customer", account="acct_2", skip=1, count=2)

    def post(account):
        return sandbox.post("/v1/customers", {"name": "x"}, account=account).status

    assert [post("acct_1") for _ in range(4)] == [200] * 4
    assert [post("acct_2") for _ in range(5)] == [200, 409, 409, 200, 200]
    assert sandbox.get("/v1/account", account="acct_2").status == 200
    rule = sandbox.control("GET", "faults")["data"][0]
    assert rule["fired"] == 2 and rule["matched"] == 5 and rule["step"] == "customer"


def test_probability(sandbox):
    sandbox.fault("status_409", probability=0.5)
    statuses = {sandbox.get("/v1/account").status for _ in range(60)}
    assert statuses == {200, 409}
    sandbox.control("DELETE", "faults")
    sandbox.fault("status_409", probability=0)
    assert sandbox.get("/v1/account").status == 200


def test_rules_are_removed(sandbox):
    one, two = sandbox.fault("status_409"), sandbox.fault("status_424")
    assert sandbox.control("DELETE", f"faults/{one}") == {"removed": 1}
    assert [r["id"] for r in sandbox.control("GET", "faults")["data"]] == [two]
    assert sandbox.get("/v1/account").status == 424
    assert sandbox.control("DELETE", "faults") == {"removed": 1}
    assert sandbox.get("/v1/account").status == 200
    assert sandbox.send("DELETE", "/_sandbox/faults/99", None, {}).status == 404


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{", '{"fault":"nonsense"}', '{"fault":"hang","step":"x"}', '{"fault":"hang","count":-1}']
    + ['{"fault":"hang","probability":2}', '{"fault":"hang","typo":1}', '{"fault":"hang","delay_ms":"1"}'],
)
def test_bad_rules(sandbox, body):
    assert sandbox.send("POST", "/_sandbox/faults", body, {}).status == 400


STEPS = [
    ("product", "GET", "/v1/products/prod_eur"),
    ("price", "GET", "/v1/prices?product=prod_eur"),
    ("customer", "POST", "/v1/customers"),
    ("invoice", "POST", "/v1/invoices"),
    ("lines", "POST", "/v1/invoices/in_x/add_lines"),
    ("get_invoice", "GET", "/v1/invoices/in_x"),
    ("list_invoices", "GET", "/v1/invoices"),
    ("delete", "DELETE", "/v1/invoices/in_x"),
    ("advance", "POST", "/v1/invoices/in_x"),
    ("finalize", "POST", "/v1/invoices/in_x/finalize"),
    ("send", "POST", "/v1/invoices/in_x/send"),
    ("void", "POST", "/v1/invoices/in_x/void"),
    ("pay", "POST", "/v1/invoices/in_x/pay"),
    ("invoiceitem", "POST", "/v1/invoiceitems"),
    ("account", "GET", "/v1/account"),
]


def test_steps(sandbox):
    for step, method, path in STEPS:
        sandbox.fault("status_424", step=step)
        assert sandbox.call(method, path).status == 424, step
        for other, other_method, other_path in STEPS:
            assert other == step or sandbox.call(other_method, other_path).status != 424
        sandbox.control("DELETE", "faults")
    assert sandbox.ledger("?summary=true")["calls"]["lines"] == len(STEPS)


# ---- control


def test_calls_show_what_was_sent(sandbox):
    sandbox.post("/v1/customers", {"name": "x y"}, key="k", version="2025-03-31.basil")
    shown = sandbox.control("GET", "calls?limit=1")
    call = shown["data"][0]
    assert shown["total"] == 1
    assert call["method"] == "POST" and call["path"] == "/v1/customers" and call["body"] == "name=x+y"
    assert call["authorization"] == "Bearer" and call["stripe_account"] == "acct_1"
    assert call["traceparent"] is None
    assert call["idempotency_key"] == "k" and call["status"] == 200 and call["fault"] is None
    assert call["step"] == "customer"


def test_only_the_last_calls_are_kept(sandbox):
    connection = sandbox.connect()
    for i in range(10005):
        connection.request("GET", f"/v1/account?n={i}")
        connection.getresponse().read()
    connection.close()
    shown = sandbox.control("GET", "calls")
    assert shown["total"] == 10005 and len(shown["data"]) == 10000 and shown["data"][-1]["path"] == "/v1/account?n=10004"


def test_the_ledger_by_account_and_mode(sandbox):
    sandbox.customer()
    sandbox.post("/v1/customers", {"name": "x"}, account="acct_2", secret="sk_live_sandbox", key="k")
    assert len(sandbox.ledger()["customers"]) == 2
    assert [c["mode"] for c in sandbox.ledger("?account=acct_2")["customers"]] == ["live"]
    assert [c["account"] for c in sandbox.ledger("?mode=test")["customers"]] == ["acct_1"]
    assert sandbox.ledger("?account=acct_2&mode=live")["keys"][0]["key"] == "k"
    assert "customers" not in sandbox.ledger("?summary=true")


def test_latency_changes_at_run_time(sandbox):
    latency = {"latency_ms": 300, "jitter_ms": 5}
    assert sandbox.control("POST", "latency", latency) == latency
    with pytest.raises(TimeoutError):
        sandbox.get("/v1/account", timeout_s=0.1)
    sandbox.control("POST", "latency", {"latency_ms": 0, "jitter_ms": 0})
    assert sandbox.get("/v1/account").status == 200
    assert sandbox.send("POST", "/_sandbox/latency", '{"latency_ms":-1}', {}).status == 400


def test_many_delayed_requests_at_once(sandbox):
    sandbox.control("POST", "latency", {"latency_ms": 500, "jitter_ms": 100})
    connections = [sandbox.connect() for _ in range(300)]
    for i, connection in enumerate(connections):
        headers = {"Authorization": "Bearer sk_test_sandbox", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/v1/customers", f"name={i}", headers)
    names = set()
    for connection in connections:
        names.add(json.loads(connection.getresponse().read())["name"])
        connection.close()
    assert len(names) == 300


def test_reset_forgets_everything(sandbox):
    sandbox.customer()
    sandbox.fault("hang")
    sandbox.control("POST", "reset")
    assert sandbox.ledger()["customers"] == [] and sandbox.control("GET", "faults")["data"] == []


def test_unknown_control_path(sandbox):
    assert sandbox.send("GET", "/_sandbox/nothing", None, {}).status == 404


# ---- state


def test_state_survives_a_kill(start, tmp_path):
    state = tmp_path / "state"
    sandbox = start("--state", str(state))
    customer = sandbox.customer()
    form = {"customer": customer, "description": "caf\u00e9 & more", "metadata[a]": "b"}
    first = sandbox.post("/v1/invoices", form, key="k")
    path = f"/v1/invoices/{first.json['id']}"
    sandbox.post(f"{path}/add_lines", LINE, key="l")
    sandbox.fault("wrong_amount", step="lines", count=1)
    other = sandbox.invoice(customer)["id"]
    sandbox.post(f"/v1/invoices/{other}/add_lines", LINE)
    sandbox.fault("status_500_saved", step="customer", count=1)
    assert sandbox.post("/v1/customers", {"name": "x"}, key="saved").status == 500
    sandbox.delete(f"/v1/invoices/{sandbox.invoice(customer)['id']}")
    before, objects = sandbox.ledger(), sandbox.get(path).body
    assert sandbox.stop(signal.SIGKILL) == -signal.SIGKILL
    sandbox.start()
    after = sandbox.ledger()
    for kind in ("invoices", "customers", "invoiceitems", "keys"):
        assert after[kind] == before[kind]
    assert sandbox.get(path).body == objects
    assert sandbox.post("/v1/invoices", form, key="k").body == first.body
    assert sandbox.post("/v1/customers", {"name": "x"}, key="saved").headers["Idempotent-Replayed"] == "true"
    sandbox.control("POST", "forget_keys")
    assert sandbox.stop() == 0
    sandbox.start()
    assert all(key["forgotten"] for key in sandbox.ledger()["keys"])
    sandbox.control("POST", "reset")
    sandbox.stop()
    sandbox.start()
    assert sandbox.ledger()["customers"] == []


def test_a_torn_record_is_cut_off(start, tmp_path):
    state = tmp_path / "state"
    sandbox = start("--state", str(state))
    sandbox.customer()
    whole = len(state.read_bytes())
    sandbox.customer()
    sandbox.stop(signal.SIGKILL)
    state.write_bytes(state.read_bytes()[:-5])
    sandbox.start()
    assert len(sandbox.ledger()["customers"]) == 1 and len(state.read_bytes()) == whole
    sandbox.customer()
    sandbox.stop()
    sandbox.start()
    assert len(sandbox.ledger()["customers"]) == 2


def test_a_strange_state_file_stops_the_start(tmp_path):
    (tmp_path / "state").write_text("something else")
    arguments = [BINARY, "--listen", "127.0.0.1:0", "--state", tmp_path / "state"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and (tmp_path / "state").read_text() == "something else"


# ---- TLS


@pytest.fixture
def certificate(tmp_path):
    arguments = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    arguments += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    arguments += ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    subprocess.run(arguments, check=True, capture_output=True, timeout=PATIENCE_S)
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_tls(start, certificate):
    cert, key = certificate
    tls = ssl.create_default_context(cafile=str(cert))
    sandbox = start("--tls-cert", str(cert), "--tls-key", str(key), tls=tls)
    assert sandbox.get("/v1/account").status == 200
    sandbox.fault("reset_after", count=1)
    with pytest.raises(OSError):
        sandbox.post("/v1/customers", {"name": "x"}, key="k")
    assert sandbox.post("/v1/customers", {"name": "x"}, key="k").headers["Idempotent-Replayed"] == "true"
    sandbox.fault("cut_body", count=1)
    with pytest.raises((http.client.IncompleteRead, ssl.SSLError)):
        sandbox.get("/v1/account")


# ---- hostile requests

HOSTILE = [
    b"\x00" * 100,
    b"GET\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"GET http:///%00 HTTP/1.1\r\n\r\n",
    b"POST /v1/invoices HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/invoices HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /v1/invoices HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /_sandbox/faults HTTP/1.1\r\nContent-Length: 6\r\n\r\n\xff\x00{[}\"",
    b"GET /v1/invoices?" + b"[" * 5000 + b" HTTP/1.1\r\nAuthorization: Bearer sk_test_sandbox\r\n\r\n",
    b"GET /v1/customers/%00%ff%zz HTTP/1.1\r\nAuthorization: Bearer sk_test_sandbox\r\n\r\n",
    b"GET /v1/account HTTP/1.1\r\nAuthorization: Basic ====\r\n\r\n",
    b"GET /v1/account HTTP/1.1\r\nAuthorization: Basic " + b"QUFB" * 5000 + b"\r\n\r\n",
    b"PATCH /v1/account HTTP/1.1\r\nAuthorization: Bearer sk_test_sandbox\r\n\r\n",
    b"BREW /v1/account HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_bytes(sandbox, number):
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=PATIENCE_S) as connection:
        try:
            connection.sendall(HOSTILE[number])
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(2)
            while connection.recv(65536):
                pass
        except OSError:
            pass
    assert sandbox.get("/v1/account").status == 200


def test_large_bodies_are_refused(sandbox):
    answer = sandbox.send("POST", "/_sandbox/faults", b"x" * (1 << 20), {})
    assert answer.status == 400
    try:
        assert sandbox.send("POST", "/_sandbox/faults", b"x" * ((1 << 20) + 1), {}).status == 413
    except OSError:
        pass  # it may close while we still send
    assert sandbox.get("/v1/account").status == 200


def test_hostile_forms(sandbox):
    customer = sandbox.customer()
    path = f"/v1/invoices/{sandbox.invoice(customer)['id']}/add_lines"
    forms = [
        {f"a{i}": "b" for i in range(3000)},
        {"lines[999999999999999999999][amount]": "1"},
        {"lines[][amount]": "1"},
        {"lines[0][amount]": "9" * 30},
        {"lines[0][pricing][price]": "price_large", "lines[0][quantity]": "999999999999"},
        {f"lines[{i}][amount]": "999999999999" for i in range(100)},
        {"lines[0][metadata]": "x"},
        {"[": "]", "": "x", "=": "&"},
    ]
    for form in forms:
        assert sandbox.post(path, form).status == 400, form
    assert sandbox.ledger()["invoices"][0]["total"] == 0


def test_a_storm_of_faults(sandbox):
    """Every fault at once, many clients: nothing breaks, and no key is executed twice."""
    for name in sandbox.control("GET", "faults")["names"]:
        if name != "refuse_connection":
            sandbox.fault(name, probability=0.04, delay_ms=20, bytes=2000)
    customer_form = {"name": "x", "email": "x@example.com"}

    def client(number: int) -> None:
        for i in range(40):
            try:
                sandbox.post("/v1/customers", customer_form, key=f"{number}-{i % 30}", timeout_s=0.5)
            except (OSError, http.client.HTTPException):
                pass

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(client, number) for number in range(16)]:
            done.result()
    sandbox.control("DELETE", "faults")
    assert sandbox.get("/v1/account").status == 200
    assert all(key["executions"] == 1 for key in sandbox.ledger()["keys"])
