"""Calls of the upstream's own interface, as its clients make them: forms, Basic or Bearer, errors with a type.

    caller = Caller(stack, tenant)
    customer = caller.customer()                                     # made by the account's owner, not by the gateway
    invoice = caller.post("invoices", customer=customer, key="a").json
    caller.post(f"invoices/{invoice['id']}/finalize").json["status"]
    caller.refused(caller.post("invoices"), 400, "invalid_request_error", param="customer")
"""

from __future__ import annotations

import base64
import dataclasses
import urllib.parse
from typing import Any

import wire
from stack import Stack, Tenant
from wire import Answer, Header

FORM = "application/x-www-form-urlencoded"


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


@dataclasses.dataclass
class Caller:
    stack: Stack
    tenant: Tenant
    mode: str = "live"

    @property
    def secret(self) -> str:
        return self.tenant.key if self.mode == "live" else self.tenant.test_key

    def customer(self, **fields: Any) -> str:
        given = {"name": "Jenny Rosen", "email": "jenny@example.com"} | fields
        return self.stack.sandbox.api("POST", "customers", given, account=self.tenant.account, mode=self.mode)["id"]

    def request_bytes(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        key: str | None = None,
        account: str | None = "",
        headers: list[Header] | None = None,
        more_headers: list[Header] | None = None,
        **how: Any,
    ) -> bytes:
        """account: another one than the tenant's, or None for no Stripe-Account header. headers replace all of ours."""
        given: list[Header] = [("Authorization", f"Bearer {self.secret}")]
        if method == "POST":
            given.append(("Content-Type", FORM))
        if account is not None:
            given.append(("Stripe-Account", account or self.tenant.account))
        if key is not None:
            given.append(("Idempotency-Key", key))
        given = (given if headers is None else headers) + (more_headers or [])
        return wire.request_bytes(method, f"/v1/{path}", given, body, **how)

    def post_bytes(self, path: str, body: bytes | None = None, *, key: str | None = None, how: dict[str, Any] | None = None, **fields: Any) -> bytes:
        encoded = urllib.parse.urlencode(fields).encode() if body is None else body
        return self.request_bytes("POST", path, encoded, key=key, **(how or {}))

    def post(self, path: str, body: bytes | None = None, *, key: str | None = None, how: dict[str, Any] | None = None, **fields: Any) -> Answer:
        """fields become the form, unless body has its bytes; how: keywords of request_bytes."""
        return self.stack.exchange(self.post_bytes(path, body, key=key, how=how, **fields))

    def get(self, path: str, **how: Any) -> Answer:
        return self.stack.exchange(self.request_bytes("GET", path, **how))

    def create(self, **fields: Any) -> dict[str, Any]:
        """An invoice for a new customer unless one is given."""
        answer = self.post("invoices", **({"customer": fields.pop("customer", None) or self.customer()} | fields))
        assert answer.status == 200, answer
        return answer.json


def refused(answer: Answer, status: int, type_: str, *, code: str | None = None, param: str | None = None) -> str:
    """Checks an error in the upstream's shape, and answers its message."""
    assert answer.status == status, answer
    assert answer.headers.get_content_type() == "application/json"
    assert answer.request_id
    assert list(answer.json) == ["error"], answer.body
    error = answer.json["error"]
    assert set(error) <= {"type", "code", "decline_code", "doc_url", "message", "param"}, error
    assert error["type"] == type_, error
    assert error.get("code") == code or code is None, error
    assert error.get("param") == param or param is None, error
    assert isinstance(error["message"], str) and error["message"].strip()
    return error["message"]
