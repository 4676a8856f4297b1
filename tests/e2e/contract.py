"""What src/front/openapi.json promises, held against what clients are really told.

    contract.check(request, answer)     # request: the bytes that were sent; fails where the document says otherwise

wire.py and edge.py call it for every answer that a test receives. What is not about a documented address passes: raw bytes
that are no HTTP, and addresses that do not exist.
"""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
from pathlib import Path
from typing import Any, Iterator

from jsonschema import Draft202012Validator

DOCUMENT = Path(__file__).resolve().parents[2] / "src/front/openapi.json"
DOC: dict[str, Any] = json.loads(DOCUMENT.read_text())
METHODS = ("get", "post")
FORM = "application/x-www-form-urlencoded"
# Headers of HTTP itself and of the web server; all others are the gateway's own and must be documented.
TRANSPORT = {"server", "date", "content-type", "content-length", "connection", "transfer-encoding", "keep-alive"}
REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/[0-9.]+\r\n")


def resolved(value: Any) -> Any:
    """A copy with what it refers to in its place; nothing refers to itself."""
    if isinstance(value, dict):
        if "$ref" in value:
            return resolved(functools.reduce(lambda at, name: at[name], value["$ref"].split("/")[1:], DOC))
        return {name: resolved(member) for name, member in value.items()}
    return [resolved(member) for member in value] if isinstance(value, list) else value


def pattern_of(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[A-Za-z0-9_-]{1,255}", re.escape(template)))


PATTERNS = [(pattern_of(template), template) for template in DOC["paths"]]


@functools.cache
def template_of(path: str) -> str | None:
    """The documented address that a path belongs to."""
    return next((template for pattern, template in PATTERNS if pattern.fullmatch(path)), None)


def rows() -> Iterator[tuple[str, str, str]]:
    """Each documented template, method and status."""
    for template, item in DOC["paths"].items():
        for method in METHODS:
            for status in item.get(method, {}).get("responses", {}):
                yield template, method, status


class Response:
    """One documented answer, ready to be compared."""

    def __init__(self, described: dict[str, Any]):
        self.headers = described.get("headers", {})
        self.validators = {kind: Draft202012Validator(media["schema"]) for kind, media in described["content"].items()}
        self.header_validators = {name: Draft202012Validator(header["schema"]) for name, header in self.headers.items()}

    def check_headers(self, headers: Any) -> None:
        known = {name.lower(): name for name in self.headers}
        for name in headers:
            assert name.lower() in known or name.lower() in TRANSPORT, f"the header {name} is not documented here"
        for name, described in self.headers.items():
            values = headers.get_all(name) or []
            assert len(values) <= 1, f"{name} stands there {len(values)} times"
            assert values or not described.get("required"), f"there is no {name}"
            for value in values:
                is_number = described["schema"].get("type") == "integer"
                complain(self.header_validators[name], int(value) if is_number else value, name)

    def check_body(self, kind: str, body: bytes) -> None:
        assert kind in self.validators, f"a body of type {kind}"
        complain(self.validators[kind], json.loads(body), "the body")


def complain(validator: Draft202012Validator, value: Any, what: str) -> None:
    problem = next(validator.iter_errors(value), None)
    if problem is not None:
        raise AssertionError(f"{what} at {list(problem.absolute_path)}: {problem.message[:500]}")


@functools.cache
def response_of(template: str, method: str, status: int) -> Response | None:
    item = DOC["paths"][template]
    described = item[method]["responses"] if method in item else item["x-other-methods"]
    return Response(resolved(described[str(status)])) if str(status) in described else None


# ---- requests that were answered 200 must be documented ones


@functools.cache
def request_validator(template: str, kind: str) -> Draft202012Validator | None:
    content = DOC["paths"][template].get("post", {}).get("requestBody", {}).get("content", {})
    return Draft202012Validator(resolved(content[kind]["schema"])) if kind in content else None


def form_value(name: str, text: str) -> Any:
    """What a parameter of the top level stands for, by its documented type."""
    if name == "auto_advance":
        return {"true": True, "false": False}.get(text, text)
    return int(text) if name == "days_until_due" and text.isdigit() else text


def form_tree(body: bytes) -> dict[str, Any]:
    """Nested as the brackets say."""
    tree: dict[str, Any] = {}
    for name, text in urllib.parse.parse_qsl(body.decode(), keep_blank_values=True):
        first, *rest = re.split(r"\]?\[", name.removesuffix("]"))
        at = tree
        for part, following in zip([first, *rest], rest):
            at = at.setdefault(part, {})
        if rest:
            at[rest[-1]] = text
        elif (name, text) != ("metadata", ""):  # the upstream's way to say: none
            at[first] = form_value(name, text)
    return tree


def check_request(template: str, request: bytes) -> None:
    head, _, body = request.partition(b"\r\n\r\n")
    if b"transfer-encoding" in head.lower():
        return
    if validator := request_validator(template, "application/json"):
        complain(validator, json.loads(body), "the request, which was served,")
    elif validator := request_validator(template, FORM):
        complain(validator, form_tree(body), "the request, which was served,")


# ---- the whole


def check(request: bytes, answer: Any) -> None:
    """answer: a wire.Answer."""
    line = REQUEST_LINE.match(request)
    if not line:
        return
    method, path = line[1].decode().lower(), line[2].decode().partition("?")[0]
    template = template_of(path)
    if template is None:
        return
    try:
        response = response_of(template, method, answer.status)
        assert response, "the status is not documented"
        response.check_headers(answer.headers)
        if method != "head":
            response.check_body(answer.headers.get_content_type(), answer.body)
        if method == "post" and answer.status == 200:
            check_request(template, request)
    except (AssertionError, ValueError) as problem:
        raise AssertionError(
            f"not what openapi.json says of {method.upper()} {template}: {problem}\n"
            f"{answer.status} {answer.headers.items()}\n{answer.body[:2000]!r}\nasked by {request[:2000]!r}"
        ) from None
