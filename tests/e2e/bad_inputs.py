"""Requests that are wrong, each in one way: tables for test_bad_input.

HOSTILE stands in every input where it can: it must not be found anywhere afterwards.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Callable, Iterable, Iterator

from stack import Stack, Tenant
from wire import Header, chunked, request_bytes

HOSTILE = "hostile7f3a"
NOTE = f'"note":"{HOSTILE}"'.encode()


@dataclasses.dataclass(frozen=True)
class BadInput:
    name: str
    status: int
    make: Callable[[Stack, Tenant], bytes]


def _member(value: bytes, member: str) -> Callable[[Stack, Tenant], bytes]:
    """The documented example with the raw bytes of one member's value replaced."""

    def make(stack: Stack, tenant: Tenant) -> bytes:
        members = {name: json.dumps(given).encode() for name, given in stack.data(tenant).items()} | {member: value}
        inside = b",".join(b'"%s":%s' % (name.encode(), given) for name, given in members.items())
        return b'{"data":{%s,%s}}' % (inside, NOTE)

    return make


def _request(
    body: Callable[[Stack, Tenant], bytes],
    *,
    headers: list[Header] | None = None,
    more: Iterable[Header] = (),
    path: str | bytes | None = None,
    content_length: Any = True,
) -> Callable[[Stack, Tenant], bytes]:
    def make(stack: Stack, tenant: Tenant) -> bytes:
        given = [("Authorization", tenant.key), ("Content-Type", "application/json")] if headers is None else headers
        target = stack.invoices_path(tenant) if path is None else path
        return request_bytes("POST", target, [*given, *more], body(stack, tenant), content_length=content_length)

    return make


def _good(stack: Stack, tenant: Tenant) -> bytes:
    return json.dumps({"data": stack.data(tenant), "note": HOSTILE}).encode()


def _bytes(body: bytes) -> Callable[[Stack, Tenant], bytes]:
    return lambda stack, tenant: body


def member(name: str, member_name: str, value: bytes) -> BadInput:
    return BadInput(f"{member_name} {name}", 400, _request(_member(value, member_name)))


def body(name: str, content: bytes) -> BadInput:
    return BadInput(f"body {name}", 400, _request(_bytes(content)))


def spoiled(name: str, spoil: Callable[[bytes], bytes]) -> BadInput:
    """A good body that something was done to."""
    return BadInput(f"body {name}", 400, _request(lambda stack, tenant: spoil(_good(stack, tenant))))


def header(name: str, status: int, *more: Header) -> BadInput:
    return BadInput(f"header {name}", status, _request(_good, more=more))


def content_type(value: str) -> BadInput:
    def make(stack: Stack, tenant: Tenant) -> bytes:
        headers: list[Header] = [("Authorization", tenant.key), ("Content-Type", value)]
        return _request(_good, headers=headers)(stack, tenant)

    return BadInput(f"type {value}", 415, make)


def path(name: str, status: int, spoil: Callable[[str], str | bytes]) -> BadInput:
    def make(stack: Stack, tenant: Tenant) -> bytes:
        return _request(_good, path=spoil(stack.invoices_path(tenant)))(stack, tenant)

    return BadInput(f"path {name}", status, make)


# ---- values

WRONG_STRINGS: dict[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "number": b"7",
    "fraction": b"1.5",
    "array": b'["%s"]' % HOSTILE.encode(),
    "object": b'{"$ne":"%s"}' % HOSTILE.encode(),
    "empty": b'""',
}

HOSTILE_IDS: dict[str, str] = {
    "slash": f"{HOSTILE}/../../v1/customers",
    "query": f"{HOSTILE}?expand[]=x",
    "fragment": f"{HOSTILE}#x",
    "percent": f"{HOSTILE}%2F..",
    "space": f"{HOSTILE} x",
    "line end": f"{HOSTILE}\r\nX-Injected: 1",
    "markup": f"<script>{HOSTILE}</script>",
    "quote": f'{HOSTILE}" or "1"="1',
    "backslash": f"{HOSTILE}\\",
    "template": f"${{jndi:ldap://{HOSTILE}}}",
    "not ASCII": f"{HOSTILE}é",
    "emoji": f"{HOSTILE}💥",
    "right to left": f"\u202e{HOSTILE}",
    "zero width": f"\u200b{HOSTILE}",
    "delete": f"{HOSTILE}\x7f",
    "NUL": f"{HOSTILE}\x00",
    "NUL inside": f"a\x00{HOSTILE}",
    "too long": HOSTILE + "x" * 245,
    "huge": HOSTILE * 5000,
    "dot": ".",
    "two dots": "..",
}

WRONG_NUMBERS: dict[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "string": b'"30"',
    "array": b"[30]",
    "object": b'{"30":30}',
    "fraction": b"30.5",
    "whole fraction": b"30.0",
    "exponent": b"3e1",
    "1e400": b"1e400",
    "-1e400": b"-1e400",
    "tiny": b"1e-400",
    "negative": b"-1",
    "large": b"3651",
    "32 bits": b"4294967326",
    "64 bits": b"9223372036854775808",
    "below 64 bits": b"-9223372036854775809",
    "unsigned 64 bits": b"18446744073709551646",
    "thousand digits": b"3" * 1000,
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "hexadecimal": b"0x1e",
    "leading zero": b"030",
    "plus": b"+30",
    "bare point": b".5",
    "open point": b"30.",
    "open exponent": b"3e",
    "minus alone": b"-",
    "underscore": b"3_0",
    "letters behind": b"30days",
    "other digits": "٣٠".encode(),
    "nothing": b"",
}


def values() -> Iterator[BadInput]:
    for name, value in WRONG_STRINGS.items():
        for member_name in ("clientId", "productId", "collection_method"):
            yield member(name, member_name, value)
    for name, text in HOSTILE_IDS.items():
        yield member(name, "clientId", json.dumps(text).encode())
        yield member(name, "productId", json.dumps(text, ensure_ascii=False).encode())
    for name, value in WRONG_NUMBERS.items():
        yield member(name, "days_until_due", value)
    for text in ("SEND_INVOICE", "send_invoice ", " send_invoice", "send_invoice\0", "send-invoice", HOSTILE):
        yield member(repr(text), "collection_method", json.dumps(text).encode())
    for name, value in {"null": b"null", "true": b"true", "number": b"0", "string": b'"{}"', "array": b"[{}]"}.items():
        yield body(f"data is {name}", b'{"data":%s,%s}' % (value, NOTE))
    for name, value in {"null": b"null", "true": b"true", "number": b"-1", "string": b'"data"', "array": b'[{"data":{}}]'}.items():
        yield body(f"is {name}", value)


# ---- spellings

BROKEN_UTF8: dict[str, bytes] = {
    "overlong slash": b"\xc0\xaf",
    "overlong in three": b"\xe0\x80\xaf",
    "overlong in four": b"\xf0\x80\x80\xaf",
    "overlong NUL": b"\xc0\x80",
    "surrogate": b"\xed\xa0\x80",
    "surrogate pair": b"\xed\xa0\xbd\xed\xb2\xa5",
    "beyond the last": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "lone continuation": b"\x80",
    "cut": b"\xe2\x82",
    "latin 1": b"caf\xe9",
    "FE FF": b"\xfe\xff",
}

ESCAPES: dict[str, bytes] = {
    "NUL": rb"\u0000",
    "high surrogate": rb"\ud800",
    "low surrogate": rb"\udc00",
    "pair upside down": rb"\udc00\ud800",
    "high and letter": rb"\ud800\u0041",
    "short": rb"\u12",
    "no digits": rb"\u12G4",
    "hexadecimal": rb"\x41",
    "unknown": rb"\q",
    "at the end": b"\\",
    "raw line end": b"\n",
    "raw tab": b"\t",
    "raw NUL": b"\0",
}

SHAPES: dict[str, bytes] = {
    "empty": b"",
    "only spaces": b" \r\n\t ",
    "comma at the end": b'{"data":{},}',
    "comma at the start": b'{,"data":{}}',
    "no colon": b'{"data" {}}',
    "no comma": b'{"data":{} "x":1}',
    "no value": b'{"data":}',
    "undefined": b'{"data":undefined}',
    "capital True": b'{"data":True}',
    "single quotes": b"{'data':{}}",
    "name without quotes": b"{data:{}}",
    "line comment": b'{"data":{}} // ' + HOSTILE.encode(),
    "block comment": b'/* %s */ {"data":{}}' % HOSTILE.encode(),
    "hash comment": b'# x\n{"data":{}}',
    "two values": b'{"data":{}}{"data":{}}',
    "lines": b'{"data":{}}\n{"data":{}}\n',
    "unclosed": b'{"data":{"clientId":"' + HOSTILE.encode(),
    "closed twice": b'{"data":{}}}',
    "wrong bracket": b'{"data":[}]',
    "guarded": b')]}\',\n{"data":{}}',
    "callback": b'callback({"data":{}})',
    "form": b"data[clientId]=" + HOSTILE.encode(),
    "markup": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>",
    "binary": bytes(range(256)),
    "zeros": b"\0" * 1000,
    "no-break space": '{"data":\u00a0{}}'.encode(),
    "form feed": b'{"data":\f{}}',
    "16 levels and one": b'{"data":' * 17 + b"1" + b"}" * 17,
    "1000 levels": b"[" * 1000 + b"]" * 1000,
    "60000 levels": b"[" * 60000,
    "10000 objects": b'{"a":' * 10000,
    "huge name": b'{"%s":1}' % (HOSTILE.encode() * 5000),
    "huge string": b'"%s"' % (HOSTILE.encode() * 5000),
    "10000 members": b"{" + b",".join(b'"%d":1' % number for number in range(7000)) + b"}",
    "10000 elements": b"[" + b"1," * 30000 + b"1]",
}


def in_string(spelling: bytes) -> Callable[[bytes], bytes]:
    return lambda good: good.replace(HOSTILE.encode(), HOSTILE.encode() + spelling)


def spellings() -> Iterator[BadInput]:
    for name, spelling in BROKEN_UTF8.items():
        yield spoiled(f"UTF-8 {name}", in_string(spelling))
    for name, spelling in ESCAPES.items():
        yield spoiled(f"escape {name}", in_string(spelling))
    for name, content in SHAPES.items():
        yield body(name, content)
    yield spoiled("byte order mark", lambda good: b"\xef\xbb\xbf" + good)
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7"):
        yield spoiled(encoding, lambda good, encoding=encoding: (good.decode() + "é").encode(encoding))
    yield spoiled("garbage behind", lambda good: good + HOSTILE.encode())
    yield spoiled("NUL behind", lambda good: good + b"\0")
    yield spoiled("NUL in front", lambda good: b"\0" + good)
    yield spoiled("cut", lambda good: good[:-1])
    yield spoiled("data twice", lambda good: good[:-1] + b',"data":{}}')
    yield spoiled("data twice, escaped", lambda good: good[:-1] + rb',"d\u0061ta":{}}')
    yield spoiled("member twice", lambda good: good.replace(b'{"clientId"', b'{"clientId":"x","clientId"'))
    yield spoiled("unknown member twice", lambda good: good.replace(b'{"clientId"', b'{"a":{"b":1,"b":2},"clientId"'))
    yield spoiled("name with NUL", lambda good: good.replace(b'{"clientId"', rb'{"clientId\u0000x":"x","clientId"'))
    yield spoiled("name is only NUL alike", lambda good: good.replace(b'"clientId"', rb'"clientId\u0000"'))
    yield spoiled("name with other letters", lambda good: good.replace(b"clientId", "сlientId".encode()))


# ---- the envelope

CHUNKED: Header = ("Transfer-Encoding", "chunked")


def chunks(name: str, raw: bytes, *more: Header) -> BadInput:
    return BadInput(f"chunks {name}", 400, _request(_bytes(raw), more=[CHUNKED, *more], content_length=None))


def length(name: str, status: int, value: str | bytes, *more: Header) -> BadInput:
    return BadInput(f"length {name}", status, _request(_bytes(b'{"data":{}}'), content_length=value, more=more))


def envelopes() -> Iterator[BadInput]:
    yield chunks("with no JSON", chunked(HOSTILE.encode()))
    yield chunks("with nothing", b"0\r\n\r\n")
    yield chunks("with a byte each", chunked(*(b"%c" % byte for byte in b'{"data":7}')))
    yield chunks("with a bad size", b"zz\r\n{}\r\n0\r\n\r\n")
    yield chunks("with a negative size", b"-2\r\n{}\r\n0\r\n\r\n")
    yield chunks("with an endless size", b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n")
    yield chunks("longer than they say", b"1\r\n{}\r\n0\r\n\r\n")
    yield chunks("and a length", chunked(b"{}"), ("Content-Length", "2"))
    yield chunks("twice", chunked(b"{}"), CHUNKED)
    yield length("short", 400, "5")
    yield length("zero", 400, "0")
    yield length("none", 400, b"")
    yield length("negative", 400, "-11")
    yield length("text", 400, "eleven")
    yield length("plus", 400, "+11")
    yield length("hexadecimal", 400, "0xb")
    yield length("fraction", 400, "11.0")
    yield length("list", 400, "11, 11")
    yield length("beyond 64 bits", 400, "99999999999999999999999")
    yield length("huge", 413, "99999999999")
    yield length("twice", 400, "11", ("Content-Length", "11"))
    yield length("twice, different", 400, "11", ("Content-Length", "12"))
    for value in (
        "text/json",
        "text/plain; charset=utf-8",
        "application/json-patch+json",
        "application/vnd.api+json",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=latin1",
        'application/json; charset="utf-7"',
        "application/json; charset=",
        "application/jsonx",
        "application/ json",
        "application",
        "json",
        ";",
        "*/*",
        f"multipart/form-data; boundary={HOSTILE}",
        "application/json\u00e9",
    ):
        yield content_type(value)


def headers() -> Iterator[BadInput]:
    yield header("Authorization twice", 400, ("Authorization", "igk_live_x"))
    yield header("Idempotency-Key twice", 400, ("Idempotency-Key", HOSTILE), ("Idempotency-Key", HOSTILE))
    yield header("Idempotency-Key in two cases", 400, ("idempotency-key", "a"), ("IDEMPOTENCY-KEY", "b"))
    yield header("Host twice", 400, ("Host", HOSTILE))
    yield header("Transfer-Encoding unknown", 501, ("Transfer-Encoding", "deflate"))
    yield header("key empty", 400, ("Idempotency-Key", ""))
    yield header("key long", 400, ("Idempotency-Key", HOSTILE * 30))
    yield header("key list", 400, ("Idempotency-Key", f"{HOSTILE}, b"))
    yield header("key with tab", 400, ("Idempotency-Key", f"{HOSTILE}\tb"))
    yield header("key not ASCII", 400, ("Idempotency-Key", f"{HOSTILE}é"))
    yield header("key with escape", 400, ("Idempotency-Key", f"{HOSTILE}\x1b[31m"))
    yield header("key with delete", 400, ("Idempotency-Key", f"{HOSTILE}\x7f"))
    yield header("key open", 400, ("Idempotency-Key", f'"{HOSTILE}'))
    yield header("key with NUL", 400, ("Idempotency-Key", f"{HOSTILE}\0b"))
    yield header("key with carriage return", 400, ("Idempotency-Key", f"{HOSTILE}\rX-Injected: 1"))
    yield header("with a NUL", 400, ("X-Any", "a\0b"))
    yield header("with a space in its name", 400, ("X Any", "b"))
    yield header("long", 400, ("X-Any", "x" * 9000))
    for number, key in enumerate(
        (
            HOSTILE,
            f"igk_live_{HOSTILE}",
            f"igk_live_{'x' * 36}",
            f"Bearer {HOSTILE}",
            f"Basic {HOSTILE}",
            "igk_live_" + "é" * 36,
            f"' or '1'='1' -- {HOSTILE}",
            "igk_live_" + "0" * 5000,
            "\x01\x02",
        )
    ):
        given: list[Header] = [("Authorization", key), ("Content-Type", "application/json")]
        yield BadInput(f"api key {number}", 401, _request(_good, headers=given))


def paths() -> Iterator[BadInput]:
    yield path("with %2F", 404, lambda good: good.replace("/invoices", "%2Finvoices"))
    yield path("with %2f in front", 404, lambda good: good.replace("/v1/public/", "/v1/public%2f"))
    yield path("with dots", 404, lambda good: good.replace("/public/", "/x/../public/"))
    yield path("with encoded dots", 404, lambda good: good.replace("/public/", "/x/%2e%2e/public/"))
    yield path("with dots for the account", 404, lambda good: "/v1/public/stripe/connect/accounts/../invoices")
    yield path("with a dot", 404, lambda good: good.replace("/public/", "/./public/"))
    yield path("with two slashes", 404, lambda good: good.replace("/accounts/", "/accounts//"))
    yield path("with two slashes in front", 404, lambda good: "/" + good)
    yield path("with a slash behind", 404, lambda good: good + "/")
    yield path("with more behind", 405, lambda good: f"{good}/{HOSTILE}")  # one invoice is there to be read
    yield path("in capitals", 404, str.upper)
    yield path("with encoded letters", 404, lambda good: good.replace("acct_", "%61cct_"))
    yield path("with encoded NUL", 400, lambda good: good + "%00")
    yield path("with NUL", 400, lambda good: good + "\0")
    yield path("with a space", 400, lambda good: good + " x")
    yield path("with a bad escape", 400, lambda good: good + "%zz")
    yield path("with half an escape", 400, lambda good: good + "%2")
    yield path("with encoded line ends", 404, lambda good: good.replace("acct_", "acct%0d%0aX-Injected:%201"))
    yield path("with a semicolon", 404, lambda good: good + ";x=1")
    yield path("with a backslash", 404, lambda good: good.replace("/accounts/", "\\accounts\\"))
    yield path("not ASCII", 404, lambda good: good.replace("acct_", "acct\u00e9"))
    yield path("with broken UTF-8", 404, lambda good: good.encode().replace(b"acct_", b"acct\xc0\xaf"))
    yield path("without an account", 404, lambda good: "/v1/public/stripe/connect/accounts/invoices")
    yield path("with a long account", 404, lambda good: good.replace("acct_", "acct_" + "x" * 300))
    yield path("too long", 414, lambda good: good + "?" + "x" * 9000)
    yield path("above the root", 400, lambda good: "/../../../../etc/passwd")
    yield path("of another scheme", 400, lambda good: f"file:///{HOSTILE}")
    yield path("that is a star", 400, lambda good: "*")
    yield path("of an error page", 404, lambda good: "/_invoicegate/error/500-unsent")


BAD_INPUTS = [*values(), *spellings(), *envelopes(), *headers(), *paths()]
