"""Forms that are wrong, each in one way: tables for test_bad_forms. A case names the parameter that the refusal must name."""

from __future__ import annotations

import dataclasses

GOOD = b"customer=cus_1"


@dataclasses.dataclass(frozen=True)
class BadForm:
    name: str
    body: bytes
    param: str | None = None  # None: it has no name that could be told
    status: int = 400
    path: str = "invoices"
    headers: tuple[tuple[str, str], ...] = ()  # beside ours
    type: str | None = None  # another Content-Type
    length: str | None = None  # another Content-Length


def with_(more: bytes) -> bytes:
    return GOOD + b"&" + more


MANY = b"&".join(b"metadata[k%d]=v" % i for i in range(48))
TEN_THOUSAND = b"&".join(b"a%x" % i for i in range(10000))  # in fewer than 64 KB

SCALARS = ("customer", "description", "auto_advance", "collection_method", "days_until_due")
OTHER_CALLS = ("invoiceitems", "invoices/in_1", "invoices/in_1/finalize", "invoices/in_1/send")

BAD_FORMS = [
    # ---- what must be there, and what it may be
    BadForm("empty", b"", "customer"),
    BadForm("nothing but separators", b"&&&", "customer"),
    BadForm("no customer", b"description=x", "customer"),
    BadForm("customer empty", b"customer=", "customer"),
    BadForm("customer without equals", b"customer", "customer"),
    BadForm("customer too long", b"customer=" + b"c" * 256, "customer"),
    BadForm("customer with a slash", b"customer=a/b", "customer"),
    BadForm("customer of dots", b"customer=..", "customer"),
    BadForm("customer with a space", b"customer=a+b", "customer"),
    BadForm("customer with a line break", b"customer=a%0d%0aX-Injected:1", "customer"),
    BadForm("customer not ASCII", "customer=kunde\u00e4".encode(), "customer"),
    BadForm("customer as a list", b"customer[]=cus_1", "customer[]"),
    BadForm("customer as a dictionary", b"customer[id]=cus_1", "customer[id]"),
    BadForm("customer twice", b"customer=cus_1&customer=cus_1", "customer"),
    BadForm("customer twice, differently", b"customer=cus_1&customer=cus_2", "customer"),
    BadForm("customer as value and dictionary", b"customer=cus_1&customer[a]=1", "customer[a]"),
    BadForm("description too long", with_(b"description=" + b"d" * 1501), "description"),
    BadForm("description as a list", with_(b"description[]=a"), "description[]"),
    *(BadForm(f"auto_advance {v}", with_(b"auto_advance=" + v.encode()), "auto_advance") for v in ("", "1", "0", "yes", "True", "TRUE", "null")),
    BadForm("auto_advance as a list", with_(b"auto_advance[]=true"), "auto_advance[]"),
    *(
        BadForm(f"collection_method {v}", with_(b"collection_method=" + v.encode()), "collection_method")
        for v in ("", "x", "SEND_INVOICE", "charge", "send_invoice%20", "1")
    ),
    *(
        BadForm(f"days_until_due {v}", with_(b"collection_method=send_invoice&days_until_due=" + v.encode()), "days_until_due")
        for v in ("", "x", "-1", "3651", "1.5", "1e1", "0x10", "%2B5", "+5", "99999999999999999999", "5+5", "NaN")
    ),
    BadForm("days_until_due missing", with_(b"collection_method=send_invoice"), "days_until_due"),
    BadForm("days_until_due with charge", with_(b"days_until_due=5"), "days_until_due"),
    BadForm("days_until_due as a list", with_(b"collection_method=send_invoice&days_until_due[]=5"), "days_until_due[]"),
    # ---- metadata
    BadForm("metadata as a value", with_(b"metadata=x"), "metadata"),
    BadForm("metadata as a list", with_(b"metadata[]=x"), "metadata[]"),
    BadForm("metadata two levels deep", with_(b"metadata[a][b]=x"), "metadata[a][b]"),
    BadForm("metadata key too long", with_(b"metadata[" + b"k" * 41 + b"]=x"), "metadata[" + "k" * 41 + "]"),
    BadForm("metadata value too long", with_(b"metadata[k]=" + b"v" * 501), "metadata[k]"),
    BadForm("48 keys of metadata", with_(MANY), "metadata"),
    BadForm("a key of metadata twice", with_(b"metadata[a]=1&metadata[a]=2"), "metadata[a]"),
    BadForm("the gateway's own mark", with_(b"metadata[invoicegate_request]=x"), "metadata[invoicegate_request]"),
    BadForm("the gateway's own client", with_(b"metadata[invoicegate_client]=x"), "metadata[invoicegate_client]"),
    BadForm("the gateway's own prefix", with_(b"metadata[invoicegate_x]=x"), "metadata[invoicegate_x]"),
    BadForm("the gateway's own prefix, encoded", with_(b"metadata%5B%69nvoicegate_x%5D=x"), "metadata[invoicegate_x]"),
    BadForm("the gateway's own name", with_(b"invoicegate_x=x"), "invoicegate_x"),
    # ---- parameters that are not for callers
    *(
        BadForm(f"money: {name}", with_(name.encode() + b"=1"), name)
        for name in ("application_fee_amount", "transfer_data[destination]", "on_behalf_of", "issuer[type]", "automatic_tax[liability][type]")
    ),
    BadForm("a strange name", with_(b"A-b=1"), "A-b"),
    # ---- the grammar
    BadForm("broken escape", with_(b"description=%zz"), "description"),
    BadForm("half an escape", with_(b"description=%4"), "description"),
    BadForm("half an escape before the next", b"description=%4&customer=cus_1", "description"),
    BadForm("an escape of Unicode", with_(b"description=%u0041"), "description"),
    BadForm("an escape with a sign", with_(b"description=%+1"), "description"),
    BadForm("broken escape in the customer", b"customer=cus_%g1", "customer"),
    BadForm("broken escape in metadata", with_(b"metadata[a]=%"), "metadata[a]"),
    BadForm("broken escape in what is passed on", with_(b"footer=100%"), "footer"),
    BadForm("NUL in the customer", b"customer=cus_1%00", "customer"),
    BadForm("NUL in metadata", with_(b"metadata[a]=%00"), "metadata[a]"),
    BadForm("NUL in what is passed on", with_(b"footer=%00"), "footer"),
    BadForm("a lone percent sign", with_(b"description=%"), "description"),
    BadForm("broken escape in a name", with_(b"des%zz=1")),
    BadForm("NUL", with_(b"description=a%00b"), "description"),
    BadForm("raw NUL", with_(b"description=a\0b"), "description"),
    BadForm("NUL in a name", with_(b"metadata[a%00b]=1")),
    BadForm("invalid UTF-8", with_(b"description=%ff"), "description"),
    BadForm("raw invalid UTF-8", with_(b"description=\xc3("), "description"),
    BadForm("overlong UTF-8", with_(b"description=%c0%80"), "description"),
    BadForm("half a surrogate pair", with_(b"description=%ed%a0%80"), "description"),
    BadForm("invalid UTF-8 in a name", with_(b"metadata[%ff]=1")),
    BadForm("no name", with_(b"=1")),
    BadForm("a name of brackets", with_(b"[a]=1"), "[a]"),
    BadForm("an open bracket", with_(b"metadata[a=1"), "metadata[a"),
    BadForm("a closing bracket", with_(b"metadata]=1"), "metadata]"),
    BadForm("text behind a bracket", with_(b"metadata[a]b=1"), "metadata[a]b"),
    BadForm("brackets in brackets", with_(b"metadata[a[b]]=1"), "metadata[a[b]]"),
    BadForm("too deep", with_(b"a[b][c][d][e][f][g]=1"), "a[b][c][d][e][f][g]"),
    BadForm("too deep, encoded", with_(b"a%5Bb%5D%5Bc%5D%5Bd%5D%5Be%5D%5Bf%5D%5Bg%5D=1"), "a[b][c][d][e][f][g]"),
    BadForm("too deep, of lists", with_(b"a" + b"[]" * 6 + b"="), "a" + "[]" * 6),
    BadForm("sixty levels", with_(b"a" + b"[b]" * 60 + b"=1"), "a" + "[b]" * 60),
    *(BadForm(f"{name} four levels deep", with_(f"{name}[a][b][c][d]=1".encode()), f"{name}[a][b][c][d]") for name in (*SCALARS, "metadata")),
    # ---- duplicates, and one name for two kinds of things
    *(BadForm(f"{name} twice", with_(f"{name}=a&{name}=b".encode()), name) for name in (*SCALARS[1:], "footer")),
    *(BadForm(f"{name} as an empty list", with_(f"{name}[]=".encode()), f"{name}[]") for name in (*SCALARS, "metadata")),
    BadForm("customer twice, once encoded", b"customer=cus_1&%63ustomer=cus_2", "customer"),
    BadForm("an unknown dictionary's key twice", with_(b"a[b]=1&a[b]=2"), "a[b]"),
    BadForm("a list and a value", with_(b"a=1&a[]=2"), "a[]"),
    BadForm("a list and a dictionary", with_(b"a[]=1&a[b]=2"), "a[b]"),
    BadForm("a list of values and of dictionaries", with_(b"a[]=1&a[][b]=2"), "a[][b]"),
    BadForm("a value and what is below it", with_(b"a[b]=1&a[b][c]=2"), "a[b][c]"),
    BadForm("a name too long", with_(b"a" * 201 + b"=1")),
    BadForm("10,000 keys", with_(TEN_THOUSAND)),
    BadForm("501 parameters", with_(b"&".join(b"a%d=" % i for i in range(501)))),
    # ---- the envelope
    BadForm("JSON", b'{"customer":"cus_1"}', None, 415, type="application/json"),
    BadForm("JSON with a charset", b'{"customer":"cus_1"}', None, 415, type="application/json; charset=utf-8"),
    BadForm("JSON as a form", b'{"customer":"cus_1"}'),
    BadForm("a list of JSON as a form", b'["customer"]'),
    BadForm("escaped JSON as a form", b"%7B%22customer%22%3A%22cus_1%22%7D", '{"customer":"cus_1"}'),
    BadForm("text", GOOD, None, 415, type="text/plain"),
    BadForm("multipart", b"--x\r\n\r\n--x--", None, 415, type="multipart/form-data; boundary=x"),
    BadForm("no type", GOOD, None, 415, type=""),
    BadForm("Latin-1", GOOD, None, 415, type="application/x-www-form-urlencoded; charset=iso-8859-1"),
    BadForm("too large", with_(b"description=" + b"d" * 70000), None, 413),
    BadForm("a length that is no number", GOOD, None, 400, length="x"),
    *(BadForm(f"length {length}", GOOD, None, 400, length=length) for length in ("-1", "+14", "0x0e", "14, 14", "14.0", "99999999999999999999999")),
    BadForm("length 0", GOOD, "customer", length="0"),
    BadForm("a length that ends in a name", GOOD, "customer", length="5"),
    BadForm("a length that ends before the value", GOOD, "customer", length="9"),
    BadForm("a length that ends in an escape", with_(b"description=%41"), "description", length="28"),
    BadForm("two lengths", GOOD, headers=(("Content-Length", "3"),)),
    BadForm("two idempotency keys", GOOD, headers=(("Idempotency-Key", "a"), ("Idempotency-Key", "b"))),
    BadForm("a long idempotency key", GOOD, headers=(("Idempotency-Key", "k" * 256),)),
    BadForm("two accounts", GOOD, headers=(("Stripe-Account", "acct_2"),)),
    BadForm("a strange version", GOOD, headers=(("Stripe-Version", "latest"),)),
    # ---- the other calls
    BadForm("item: the gateway's own mark", b"customer=cus_1&metadata[invoicegate_x]=1", "metadata[invoicegate_x]", path="invoiceitems"),
    BadForm("item: strange invoice", b"customer=cus_1&invoice=a/b", "invoice", path="invoiceitems"),
    BadForm("item: twice", b"customer=cus_1&customer=cus_2", "customer", path="invoiceitems"),
    BadForm("update: all metadata away", b"metadata=", "metadata", path="invoices/in_1"),
    BadForm("update: the gateway's own mark", b"metadata[invoicegate_request]=", "metadata[invoicegate_request]", path="invoices/in_1"),
    BadForm("update: money", b"application_fee_amount=5", "application_fee_amount", path="invoices/in_1"),
    BadForm("finalize: broken escape", b"auto_advance=%", "auto_advance", path="invoices/in_1/finalize"),
    BadForm("void: JSON", b"{}", None, 415, path="invoices/in_1/void", type="application/json"),
    *(BadForm(f"{path}: JSON", b"{}", None, 415, path=path, type="application/json") for path in OTHER_CALLS),
    *(BadForm(f"{path}: JSON as a form", b'{"a":"b"}', path=path) for path in OTHER_CALLS),
    *(BadForm(f"{path}: 10,000 keys", TEN_THOUSAND, path=path) for path in OTHER_CALLS),
    *(BadForm(f"{path}: NUL", b"footer=%00", "footer", path=path) for path in OTHER_CALLS),
    *(BadForm(f"{path}: twice", b"footer=a&footer=b", "footer", path=path) for path in OTHER_CALLS),
    *(BadForm(f"{path}: too deep", b"a[b][c][d][e][f][g]=1", "a[b][c][d][e][f][g]", path=path) for path in OTHER_CALLS),
]
