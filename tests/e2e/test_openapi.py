"""The document at /openapi.json: it is a sound one, it is what the worker serves, and it names what the sources know."""

from __future__ import annotations

import json
import re
import types
from email.message import Message
from typing import Any, Iterator

import pytest
from jsonschema import Draft202012Validator

import contract
from bad_forms import BAD_FORMS, GOOD
from contract import DOC, METHODS
from openapi_rules import DOCUMENT as RULES
from stack import ROOT, Stack
from wire import Answer, request_bytes

OPERATIONS = [(template, method) for template, item in DOC["paths"].items() for method in METHODS if method in item]


def walk(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield place, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in items:
        yield from walk(member, (*place, str(name)))


def schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema object that is no part of another."""
    for name, schema in DOC["components"]["schemas"].items():
        yield f"schema {name}", schema
    for place, value in walk(DOC):
        if "schemas" not in place and "example" not in place and place[-1:] == ("schema",):
            yield " ".join(place), value


# ---- the document itself


def test_it_follows_the_rules_of_openapi() -> None:
    Draft202012Validator.check_schema(RULES)
    problems = [f"{list(p.absolute_path)}: {p.message[:300]}" for p in Draft202012Validator(RULES).iter_errors(DOC)]
    assert not problems, "\n".join(problems)


def test_no_member_stands_there_twice() -> None:
    def only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names), names
        return dict(pairs)

    json.loads(contract.DOCUMENT.read_text(), object_pairs_hook=only_once)


def test_every_schema_is_one() -> None:
    """By the dialect that OpenAPI 3.1 uses, and without a keyword that is none."""
    keywords = set(
        "type properties required additionalProperties propertyNames maxProperties items minItems maxItems enum const pattern "
        "format minLength maxLength minimum maximum default description example if then else not allOf oneOf $ref".split()
    )
    for name, schema in schemas():
        Draft202012Validator.check_schema(schema)
        for place, value in walk(schema):
            if isinstance(value, dict) and place[-1:] != ("properties",) and "example" not in place:
                assert set(value) <= keywords, (name, place, set(value) - keywords)
            if place[-1:] == ("pattern",) and isinstance(value, str):
                re.compile(value)


def test_references_lead_somewhere_and_nothing_is_left_over() -> None:
    named = {value for place, value in walk(DOC) if place[-1:] == ("$ref",)}
    there = {f"#/components/{kind}/{name}" for kind, members in DOC["components"].items() for name in members}
    used = {f"#/components/securitySchemes/{name}" for t, m in OPERATIONS for way in DOC["paths"][t][m]["security"] for name in way}
    assert named | used == there


def test_operations_and_tags_have_names_of_their_own() -> None:
    names = [DOC["paths"][template][method]["operationId"] for template, method in OPERATIONS]
    assert len(set(names)) == len(names)
    assert {tag for t, m in OPERATIONS for tag in DOC["paths"][t][m]["tags"]} == {tag["name"] for tag in DOC["tags"]}


@pytest.mark.parametrize(("template", "method"), OPERATIONS)
def test_parameters(template: str, method: str) -> None:
    item = contract.resolved(DOC["paths"][template])
    given = item.get("parameters", []) + item[method].get("parameters", [])
    places = [(parameter["in"], parameter["name"]) for parameter in given]
    assert len(set(places)) == len(places)
    assert [name for place, name in places if place == "path"] == re.findall(r"\{(\w+)\}", template)
    for parameter in given:
        if "example" in parameter:
            contract.complain(Draft202012Validator(parameter["schema"]), parameter["example"], parameter["name"])
    assert method == "post" or "requestBody" not in item[method]


def test_examples_are_valid() -> None:
    count = 0
    for place, value in walk(contract.resolved(DOC)):
        if not isinstance(value, dict) or "schema" not in value and "example" not in value or "properties" in place:
            continue
        schema = value.get("schema", value)
        examples = [member["value"] for member in value.get("examples", {}).values()]
        examples += [value["example"]] if "example" in value else []
        for example in examples:
            contract.complain(Draft202012Validator(schema), example, f"the example at {place}")
            count += 1
    assert count > 20


# ---- what it says against the sources


def test_it_names_the_worker_s_addresses() -> None:
    """The table of routes in the sources, and nothing else."""
    source = (ROOT / "src/front/route.c").read_text()
    public = re.search(r'#define PUBLIC "(.*)"', source)[1]
    found = re.findall(r'\] = \{"\w+", TEXT\((PUBLIC )?"([^"]+)"\), (true|false)\}', source)
    served = {(re.sub(r"\{\w+\}", "{}", (public if prefix else "") + path), "post" if post == "true" else "get") for prefix, path, post in found}
    told = {(re.sub(r"\{\w+\}", "{}", template), method) for template, method in OPERATIONS}
    assert served == told and len(told) == 12


def test_it_names_the_worker_s_statuses() -> None:
    reasons = set(re.findall(r'^    \{"\w+", (\d{3}),', (ROOT / "src/flow/reasons.c").read_text(), re.MULTILINE))
    told = {status for _, _, status in contract.rows()}
    assert reasons <= told, reasons - told
    for template, method in OPERATIONS:
        item = DOC["paths"][template]
        missing = {"429", "500", "502", "504", *({"503"} if item[method]["security"] else ())} - set(item[method]["responses"])
        assert not missing and "405" in item["x-other-methods"], (template, method, missing)


def test_it_names_the_worker_s_parameters() -> None:
    """The tables of fields and of query parameters in the sources."""
    fields = re.findall(r'^    \{"(\w+)", "\w+", ([A-Z| ]+),', (ROOT / "src/front/request_fields.c").read_text(), re.MULTILINE)
    schemas_ = DOC["components"]["schemas"]
    assert {name for name, doors in fields if "PLAIN" in doors} == set(schemas_["CreateInvoice"]["properties"]["data"]["properties"])
    assert {name for name, doors in fields if "STRIPE" in doors} == set(schemas_["StripeCreateInvoice"]["properties"])
    queries = re.findall(r'^    \{"([\w\[\]]+)", (LISTS|\{[A-Z_]+\}), take', (ROOT / "src/front/request_query.c").read_text(), re.MULTILINE)
    for template, stripe in (("/v1/invoices", True), (next(iter(DOC["paths"])), False)):
        given = contract.resolved(DOC["paths"][template]["get"]["parameters"])
        route = "{ROUTE_INVOICES_LIST}" if stripe else "{ROUTE_ACCOUNT_INVOICES_LIST}"
        assert {p["name"] for p in given if p["in"] == "query"} == {name for name, where in queries if where in ("LISTS", route)}


def test_an_invoice_s_members_have_types() -> None:
    from test_route_b import ATTRIBUTES

    assert set(DOC["components"]["schemas"]["Invoice"]["properties"]) == set(ATTRIBUTES)


# ---- requests


def request_errors(template: str, value: Any, kind: str = contract.FORM) -> list[str]:
    validator = contract.request_validator(template, kind)
    assert validator
    return [error.message for error in validator.iter_errors(value)]


DATA = {"clientId": "c", "productId": "p", "collection_method": "charge_automatically"}
BAD_DATA = [
    *({name: value for name, value in DATA.items() if name != missing} for missing in DATA),
    *(DATA | {"clientId": value} for value in ("", None, 7, "a/b", "..", "c" * 256)),
    DATA | {"collection_method": "x"},
    DATA | {"days_until_due": 30},
    DATA | {"collection_method": "send_invoice"},
    *(DATA | {"collection_method": "send_invoice", "days_until_due": days} for days in ("30", -1, 3651, None, 1.5)),
]


@pytest.mark.parametrize("data", BAD_DATA, ids=str)
def test_a_bad_body_is_none_by_the_document_either(data: dict[str, Any]) -> None:
    template = next(iter(DOC["paths"]))
    assert not request_errors(template, {"data": DATA | {"more": 1}, "more": 2}, "application/json")
    assert request_errors(template, {"data": data}, "application/json")


# What a schema cannot say: the spelling on the wire, and what depends on the operator.
NOT_IN_A_SCHEMA = ("twice", "escape", "percent", "UTF-8", "NUL", "surrogate", "money", "bracket", "name", "levels", "deep", "keys", "parameters", "and a dictionary")


@pytest.mark.parametrize("case", [c for c in BAD_FORMS if c.path == "invoices" and c.status == 400 and c.param], ids=lambda case: case.name)
def test_a_bad_form_is_none_by_the_document_either(case: Any) -> None:
    assert not request_errors("/v1/invoices", contract.form_tree(GOOD))
    if case.length or any(word in case.name for word in NOT_IN_A_SCHEMA):
        return
    try:
        tree = contract.form_tree(case.body)
    except (TypeError, AttributeError):  # a value and a dictionary of one name
        return
    assert request_errors("/v1/invoices", tree), tree


# ---- the comparison itself complains


def answer(status: int, body: Any, *more: tuple[str, str], kind: str = "application/json") -> Any:
    headers = Message()
    for name, value in [("Content-Type", kind), ("Request-Id", "0" * 32), *more]:
        headers[name] = value
    return types.SimpleNamespace(status=status, headers=headers, body=body if isinstance(body, bytes) else json.dumps(body).encode())


PLAIN, STRIPE = "/v1/public/stripe/connect/accounts/acct_1/invoices", "/v1/invoices"
ERROR = {"error": "No."}
OTHER_ERROR = {"error": {"type": "api_error", "message": "No."}}
WRONG = {
    "a status": (PLAIN, answer(418, ERROR)),
    "a member too many": (PLAIN, answer(401, ERROR | {"code": 1})),
    "the other shape": (STRIPE, answer(401, ERROR)),
    "a type that is none": (STRIPE, answer(401, {"error": {"type": "error", "message": "No."}})),
    "a log address": (STRIPE, answer(400, {"error": {"type": "api_error", "message": "No.", "request_log_url": "https://x"}})),
    "two Request-Ids": (PLAIN, answer(401, ERROR, ("Request-Id", "1" * 32))),
    "a header that nobody knows": (PLAIN, answer(401, ERROR, ("X-Request-Id", "1"))),
    "no Retry-After": (STRIPE, answer(503, OTHER_ERROR)),
    "a Retry-After that is no number": (STRIPE, answer(503, OTHER_ERROR, ("Retry-After", "soon"))),
    "HTML": (STRIPE, answer(503, b"<html>", ("Retry-After", "1"), kind="text/html")),
    "no JSON": (STRIPE, answer(503, b"{", ("Retry-After", "1"))),
    "our own metadata": (STRIPE, answer(200, {"id": "in_1", "object": "invoice", "metadata": {"invoicegate_request": "x"}})),
    "a number as text": (STRIPE, answer(200, {"id": "in_1", "object": "invoice", "total": "7"})),
    "another object": (STRIPE, answer(200, {"id": "in_1", "object": "customer"})),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_comparison_complains(name: str) -> None:
    path, wrong = WRONG[name]
    request = request_bytes("POST", path, [], b'{"data":{}}' if path == PLAIN else GOOD)
    with pytest.raises(AssertionError, match="not what openapi.json says"):
        contract.check(request, wrong)


def test_the_comparison_lets_good_answers_pass() -> None:
    contract.check(request_bytes("POST", STRIPE, [], GOOD), answer(503, OTHER_ERROR, ("Retry-After", "1")))
    contract.check(request_bytes("POST", STRIPE, [], GOOD), answer(200, {"id": "in_1", "object": "invoice", "metadata": {"a": "b"}}))
    contract.check(request_bytes("DELETE", STRIPE, []), answer(405, OTHER_ERROR, ("Allow", "GET, POST")))
    contract.check(b"HELLO\r\n\r\n", answer(418, b""))


# ---- who serves it


def ask(stack: Stack, method: str = "GET", target: str = "/openapi.json", **how: Any) -> Answer:
    return stack.exchange(request_bytes(method, target, [], **how))


@pytest.mark.parametrize("target", ["/openapi.json", "/openapi.json?pretty=1"])
def test_it_is_served_to_everybody(stack: Stack, target: str) -> None:
    told = ask(stack, target=target)
    assert told.status == 200 and told.headers.get_content_type() == "application/json"
    assert told.body == contract.DOCUMENT.read_bytes() and told.request_id


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_it_can_only_be_read(stack: Stack, method: str) -> None:
    told = ask(stack, method)
    assert (told.status, told.header("Allow")) == (405, "GET")


@pytest.mark.parametrize("target", ["/openapi.json/", "/openapi.jsonx", "/openapi", "/v1/openapi.json", "//openapi.json"])
def test_it_has_one_address(stack: Stack, target: str) -> None:
    assert ask(stack, target=target).status == 404


def test_large_bodies_do_not_belong_there(stack: Stack) -> None:
    assert ask(stack, content_length=str(2**20)).status == 413
    told = ask(stack, "POST", content_length=str(2**20))
    assert (told.status, told.header("Allow")) == (405, "GET")


def test_it_needs_no_database(start_stack: Any) -> None:
    stack = start_stack()
    stack.stop_postgres()
    assert ask(stack).body == contract.DOCUMENT.read_bytes()
    stack.up()
