"""Data that is right but odd: names of the world, amounts of all sizes, every product that the sandbox has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from books import Books
from stack import Stack, Tenant

# name and e-mail of a client's admin
PEOPLE: dict[str, tuple[str, str]] = {
    "plus": ("John + Doe", "john+invoices@example.com"),
    "ampersand": ("Smith & Sons = 100% ?", "a&b=c@example.com"),
    "form letters": ("name=x&email=y", "x%26y@example.com"),
    "brackets": ("metadata[invoicegate_client]=x", "a[0]@example.com"),
    "quotes": ('The "Best" \'One\' \\ `ever`', "\"o'neil\"@example.com"),
    "braces": ('{"name":"x"}', "{}@example.com"),
    "markup": ("<b>Bold</b> &amp;", "b@example.com"),
    "accents": ("Zoë Çelik-Łukasz Ğ", "zoë@exämple.com"),
    "decomposed": ("Zoe\u0308", "zoe\u0308@example.com"),
    "sharp s": ("Weiß GmbH & Co. KG", "weiß@example.com"),
    "Greek": ("Νίκος Παπαδόπουλος", "νίκος@παράδειγμα.ελ"),
    "Cyrillic": ("Ольга Ивановна", "ольга@пример.рф"),
    "Arabic": ("محمد بن عبد الله", "محمد@مثال.إختبار"),
    "Hebrew": ("דוד כהן", "דוד@דוגמה.קום"),
    "Hindi": ("राजेश कुमार", "राजेश@उदाहरण.भारत"),
    "Thai": ("สมชาย ใจดี", "somchai@example.co.th"),
    "Chinese": ("李小龙有限公司", "小龙@例子.中国"),
    "Japanese": ("株式会社ヤマダ・太郎", "太郎@例え.jp"),
    "Korean": ("김철수", "철수@예시.kr"),
    "emoji": ("Team 🚀 👩‍👩‍👧‍👦", "🚀@example.com"),
    "beyond the basic plane": ("𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠜎", "u@example.com"),
    "direction marks": ("A\u202eB\u202cC", "d@example.com"),
    "no-break space": ("John\u00a0Doe", "n@example.com"),
    "spaces inside": ("John   Q.   Doe", "s@example.com"),
    "line end": ("John\nDoe\tInc.", "l@example.com"),
    "one letter": ("X", "x@y.z"),
    "long": ("Ñ" * 120, "l" * 60 + "@" + "example." * 20 + "com"),
    "the word null": ("null", "null@example.com"),
    "a number": ("007", "7@example.com"),
    "SQL": ("Robert'); drop table gateway.clients;--", "bobby@example.com"),
}


@pytest.mark.parametrize("person", PEOPLE)
def test_names_and_addresses(stack: Stack, person: str) -> None:
    name, email = PEOPLE[person]
    tenant = stack.tenant()
    # Past the operator's tool, which may be pickier than data of long ago.
    stack.sql("update gateway.members set name = %s, email = %s where client_id = %s", name, email, tenant.client)
    books = Books(stack)
    answer = books.told(stack.create(tenant))
    assert answer.status == 200, answer
    customer = answer.json["customer"]
    assert (customer["name"], customer["email"]) == (name, email)
    (real,) = stack.sandbox.ledger(tenant.account)["customers"]
    assert (real["id"], real["name"], real["email"]) == (customer["id"], name, email)
    (row,) = stack.audit("select object from audit.invoices where invoice_id = %s", answer.json["id"])
    assert (row["object"]["customer_name"], row["object"]["customer_email"]) == (name, email)
    books.assert_balanced()


def test_replay_of_odd_names_is_byte_for_byte(stack: Stack) -> None:
    tenant = stack.tenant(members=["Zoë \"Ž\" 🚀\u2028:zoë+1@exämple.com:admin"])
    first = stack.create(tenant, idempotency_key="odd")
    second = stack.create(tenant, idempotency_key="odd")
    assert (first.status, second.body, second.replayed) == (200, first.body, True)
    assert json.loads(first.body)["customer"]["email"] == "zoë+1@exämple.com"


def test_admin_without_address_is_charged_automatically(stack: Stack, books: Books) -> None:
    tenant = stack.tenant(members=["Jane::admin"])
    answer = books.told(stack.create(tenant, collection_method="charge_automatically", days_until_due=...))
    assert answer.status == 200
    assert (answer.json["customer"]["name"], answer.json["customer"]["email"]) == ("Jane", None)
    books.assert_balanced()


def test_admin_who_got_an_address_later(stack: Stack, books: Books) -> None:
    tenant = stack.tenant(members=["Jane::admin"])
    assert books.told(stack.create(tenant, collection_method="charge_automatically", days_until_due=...)).status == 200
    refused = books.told(stack.create(tenant))
    assert (refused.status, "no e-mail address" in refused.error) == (400, True)
    stack.sql("update gateway.members set email = 'jane@example.com' where client_id = %s", tenant.client)
    answer = books.told(stack.create(tenant))
    assert answer.status == 200
    assert answer.json["customer"]["email"] == "jane@example.com"
    assert books.assert_balanced().created == 2


def test_admin_is_who_is_billed(stack: Stack) -> None:
    tenant = stack.tenant(members=["Amy:amy@example.com", "Bob::admin", "Cid:cid@example.com:admin", "Dan:dan@example.com:admin"])
    assert stack.create(tenant).json["customer"] | {"id": ""} == {"id": "", "name": "Cid", "email": "cid@example.com"}


# product: amount and currency, or status and words of the refusal
VERDICTS: dict[str, tuple[int, str]] = {
    "prod_usd_10000": (10000, "usd"),
    "prod_two_default": (2200, "usd"),
    "prod_no_default": (4200, "usd"),
    "prod_jpy": (500, "jpy"),
    "prod_kwd": (12345, "kwd"),
    "prod_large": (99999999, "usd"),
    "prod_no_description": (700, "usd"),
    "prod_default_recurring": (1900, "usd"),
    "prod_eur": (2500, "eur"),
    "prod_recurring": (400, "has no active one-time price"),
    "prod_inactive_price": (400, "has no active one-time price"),
    "prod_priceless": (400, "has no active one-time price"),
    "prod_archived": (400, "is archived"),
    "prod_two_prices": (400, "has several one-time prices and no default"),
    "prod_no_amount": (400, "has no fixed amount"),
}
GOOD = {product for product, (_, word) in VERDICTS.items() if len(word) == 3}


@pytest.mark.parametrize("product", VERDICTS)
def test_verdict_on_a_product(stack: Stack, tenant: Tenant, books: Books, product: str) -> None:
    number, word = VERDICTS[product]
    for _ in range(2):  # cold and warm
        answer = books.told(stack.create(tenant, productId=product))
        if product in GOOD:
            assert (answer.status, answer.json["amount"], answer.json["currency"]) == (200, number, word)
            assert answer.json["description"] == ""
        else:
            assert answer.status == number
            assert word in answer.error
    balance = books.assert_balanced()
    assert (balance.created, balance.standing) == ((2, 2) if product in GOOD else (0, 0))
    for row in books.requests().values():
        assert (row["amount_minor"], row["currency"]) == ((number, word) if product in GOOD else (None, None))


def test_every_product_of_the_sandbox_has_a_verdict(stack: Stack, tenant: Tenant) -> None:
    listed = stack.sandbox.api("GET", "products?limit=100&active=true", account=tenant.account)["data"]
    listed += stack.sandbox.api("GET", "products?limit=100&active=false", account=tenant.account)["data"]
    assert {product["id"] for product in listed} == set(VERDICTS)


PRICES: list[dict[str, Any]] = [
    {"unit_amount": 1, "currency": "usd"},
    {"unit_amount": 99999999, "currency": "jpy"},
    {"unit_amount": 0, "currency": "usd"},
]


@pytest.mark.parametrize("price", PRICES, ids=lambda price: f"{price['unit_amount']} {price['currency']}")
def test_amounts(stack: Stack, tenant: Tenant, books: Books, price: dict[str, Any]) -> None:
    product = stack.sandbox.api("POST", "products", {"name": "Odd"}, account=tenant.account)["id"]
    stack.sandbox.api("POST", "prices", price | {"product": product}, account=tenant.account)
    answer = books.told(stack.create(tenant, productId=product))
    assert (answer.status, answer.json["amount"], answer.json["currency"]) == (200, price["unit_amount"], price["currency"])
    books.assert_balanced()


@pytest.mark.parametrize("days", [0, 1, 365, 3650])
def test_days_until_due(stack: Stack, tenant: Tenant, days: int) -> None:
    answer = stack.create(tenant, days_until_due=days)
    assert answer.status == 200
    assert f"days_until_due={days}&" in stack.sandbox.calls(account=tenant.account)[-2]["body"]


@pytest.mark.parametrize("client", ["64abc123def456789012345a", "a", "c" * 255, "a-b_c.d~e!f$g&h'i(j)k*l+m,n;o=p:q@r"], ids=len)
def test_client_ids(stack: Stack, client: str) -> None:
    tenant = stack.tenant()
    stack.ctl("client", "add", "--agency", str(tenant.agency), client, "--name", "Odd", "--member", "J:j@example.com:admin")
    answer = stack.create(tenant, clientId=client)
    assert answer.status == 200
    (real,) = stack.sandbox.ledger(tenant.account)["customers"]
    assert real["metadata"]["invoicegate_client"] == client
