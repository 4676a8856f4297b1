"""Reading back, on both interfaces: what went through the gateway, and nothing else."""

from __future__ import annotations

import pytest

from passed_on import Caller, refused
from stack import Stack, Tenant
from wire import Answer, Header, request_bytes

PLAIN_MEMBERS = {"id", "amount", "currency", "status", "number", "customer", "description", "created"}


@pytest.fixture
def caller(stack: Stack, tenant: Tenant) -> Caller:
    return Caller(stack, tenant)


def plain_get(stack: Stack, tenant: Tenant, rest: str = "", key: str | None = None) -> Answer:
    target = stack.invoices_path(tenant) + rest
    return stack.exchange(request_bytes("GET", target, [("Authorization", key or tenant.key)]))


def make_old(stack: Stack, invoice_id: str) -> None:
    """As if it had been seen two minutes ago."""
    stack.sql("update gateway.invoices set refreshed_at = refreshed_at - interval '2 min' where invoice_id = %s", invoice_id)


# ---- one invoice


def test_retrieve_is_what_create_told(stack: Stack, caller: Caller) -> None:
    made = caller.post("invoices", customer=caller.customer(), description="x", **{"metadata[a]": "b"})
    with stack.nothing_upstream():
        answer = caller.get(f"invoices/{made.json['id']}")
    assert answer.status == 200 and answer.body == made.body and answer.request_id != made.request_id


def test_the_plain_interface_tells_the_same_members(stack: Stack, caller: Caller) -> None:
    made = stack.create(caller.tenant)
    with stack.nothing_upstream():
        answer = plain_get(stack, caller.tenant, f"/{made.json['id']}")
    assert answer.status == 200 and answer.json == made.json


def test_either_door_tells_of_the_other(stack: Stack, caller: Caller) -> None:
    a, b = stack.create(caller.tenant).json, caller.create()
    theirs = caller.get(f"invoices/{a['id']}").json
    assert theirs["object"] == "invoice" and theirs["total"] == 10000 and "invoicegate_client" not in theirs["metadata"]
    ours = plain_get(stack, caller.tenant, f"/{b['id']}").json
    assert set(ours) == PLAIN_MEMBERS and ours["customer"]["id"] == b["customer"] and ours["description"] == ""


@pytest.mark.parametrize("door", ["a", "b"])
def test_an_old_snapshot_is_refreshed_and_kept(stack: Stack, caller: Caller, door: str) -> None:
    made = caller.create()
    stack.sandbox.api("POST", f"invoices/{made['id']}", {"description": "new"}, account=caller.tenant.account)
    read = (lambda: plain_get(stack, caller.tenant, f"/{made['id']}")) if door == "a" else (lambda: caller.get(f"invoices/{made['id']}"))
    assert not read().json["description"]
    make_old(stack, made["id"])
    assert read().json["description"] == "new"
    row = stack.audit("select object, now() - refreshed_at < '60 s' as fresh from audit.invoices where invoice_id = %s", made["id"])[0]
    assert row["object"]["description"] == "new" and row["fresh"]
    with stack.nothing_upstream():
        assert read().json["description"] == "new"


def test_what_stays_is_not_looked_at_again(stack: Stack, caller: Caller) -> None:
    made = caller.create()
    assert caller.post(f"invoices/{made['id']}/finalize").json["status"] == "paid"
    make_old(stack, made["id"])
    with stack.nothing_upstream():
        assert caller.get(f"invoices/{made['id']}").json["status"] == "paid"


def test_an_item_makes_its_invoice_old(caller: Caller) -> None:
    customer = caller.customer()
    made = caller.create(customer=customer)
    caller.post("invoiceitems", customer=customer, invoice=made["id"], amount=700, currency="usd")
    assert caller.get(f"invoices/{made['id']}").json["total"] == 700


def test_a_look_between_two_items_does_not_count(stack: Stack, caller: Caller) -> None:
    """It began when the first one was done, and ends when the second one is: what it saw is old by then."""
    customer = caller.customer()
    made = caller.create(customer=customer)
    seen = "select (extract(epoch from refreshed_at) * 1000000)::bigint as us, object from gateway.invoices where invoice_id = %s"
    begins = []
    for _ in range(2):
        caller.post("invoiceitems", customer=customer, invoice=made["id"], amount=700, currency="usd")
        begins += stack.sql(seen, made["id"])
    look = "select from gateway.refresh_invoice((select max(worker_id) from gateway.workers), %s, %s, 'live', %s, %s, 'draft', null, 700, 'usd', %s)"
    where = (caller.tenant.agency, caller.tenant.account, made["id"])
    stack.sql(look, *where, begins[0]["us"], b'{"id": "old"}')
    assert stack.sql(seen, made["id"]) == [begins[1]]
    assert caller.get(f"invoices/{made['id']}").json["total"] == 1400


@pytest.mark.parametrize("fault", ["status_503_html", "reset_before", "garbage", "wrong_id", "unauthorized", "status_429", "hang_before"])
def test_the_upstream_is_away(stack: Stack, caller: Caller, fault: str) -> None:
    made = caller.create()
    make_old(stack, made["id"])
    with stack.sandbox.faulty(fault, step="get_invoice", account=caller.tenant.account):
        answer = caller.get(f"invoices/{made['id']}")
    assert answer.status == 200 and answer.json == made


def test_what_is_known_to_be_wrong_is_not_told(stack: Stack, caller: Caller) -> None:
    """An item was added since it was seen: without a look its total would be wrong."""
    customer = caller.customer()
    path = f"invoices/{caller.create(customer=customer)['id']}"
    caller.post("invoiceitems", customer=customer, invoice=path.split("/")[1], amount=700, currency="usd")
    with stack.sandbox.faulty("status_503_html", step="get_invoice", account=caller.tenant.account):
        refused(caller.get(path), 503, "api_error")
    assert caller.get(path).json["total"] == 700


def test_a_draft_that_somebody_deleted(stack: Stack, caller: Caller) -> None:
    made = caller.create()
    make_old(stack, made["id"])
    stack.sandbox.api("DELETE", f"invoices/{made['id']}", account=caller.tenant.account)
    refused(caller.get(f"invoices/{made['id']}"), 404, "invalid_request_error", code="resource_missing")
    assert stack.audit("select from audit.invoices where invoice_id = %s", made["id"]) == []  # deleted
    assert made["id"] not in [invoice["id"] for invoice in caller.get("invoices").json["data"]]


def test_only_a_draft_can_be_gone(stack: Stack, caller: Caller) -> None:
    """An upstream that has lost its memory does not make the books forget what was sent."""
    made = caller.create()
    stack.sql("update gateway.invoices set status = 'open', refreshed_at = 'epoch' where invoice_id = %s", made["id"])
    stack.sandbox.api("DELETE", f"invoices/{made['id']}", account=caller.tenant.account)
    refused(caller.get(f"invoices/{made['id']}"), 404, "invalid_request_error")
    assert stack.audit("select status from audit.invoices where invoice_id = %s", made["id"]) == [{"status": "open"}]


def test_everybody_reads_in_their_own_version(stack: Stack, caller: Caller) -> None:
    old: list[Header] = [("Stripe-Version", "2024-06-20")]
    made = caller.post("invoices", customer=caller.customer(), how={"more_headers": old}).json
    before = stack.sandbox.counts()["get_invoice"]
    for headers, looks in ((old, 0), ([], 1), ([], 1), (old, 2), (old, 2)):
        assert caller.get(f"invoices/{made['id']}", more_headers=headers).status == 200
        assert stack.sandbox.counts()["get_invoice"] == before + looks


def test_what_one_caller_expands_the_next_does_not_see(stack: Stack, caller: Caller) -> None:
    customer = caller.customer()
    made = caller.create(customer=customer, **{"expand[]": "customer"})
    before = stack.sandbox.counts()["get_invoice"]
    for _ in range(2):
        assert caller.get(f"invoices/{made['id']}").json["customer"] == customer
        assert stack.sandbox.counts()["get_invoice"] == before + 1


def test_expand_asks_the_upstream(stack: Stack, caller: Caller) -> None:
    made = caller.create()
    before = stack.sandbox.counts()["get_invoice"]
    assert caller.get(f"invoices/{made['id']}?expand[]=customer").status == 200
    assert stack.sandbox.counts()["get_invoice"] == before + 1


def test_what_cannot_be_expanded_is_the_callers_to_hear(stack: Stack, caller: Caller) -> None:
    made = caller.create()
    refused(caller.get(f"invoices/{made['id']}?expand=customer"), 400, "invalid_request_error", param="expand")


def test_somebodys_404_is_no_word_of_the_upstream(stack: Stack, caller: Caller) -> None:
    made = caller.create()
    make_old(stack, made["id"])
    with stack.sandbox.faulty("status", step="get_invoice", account=caller.tenant.account, status=404):
        assert caller.get(f"invoices/{made['id']}").json["id"] == made["id"]


def test_nobody_elses(stack: Stack, caller: Caller) -> None:
    other = Caller(stack, stack.tenant())
    theirs, mine = other.create()["id"], caller.create()["id"]
    tester = Caller(stack, caller.tenant, mode="test")
    around = stack.sandbox.api("POST", "invoices", {"customer": caller.customer()}, account=caller.tenant.account)["id"]
    for invoice in (theirs, around, "in_nobody"):
        refused(caller.get(f"invoices/{invoice}"), 404, "invalid_request_error", code="resource_missing")
        assert plain_get(stack, caller.tenant, f"/{invoice}").status == 404
    refused(tester.get(f"invoices/{mine}"), 404, "invalid_request_error")
    refused(caller.get(f"invoices/{mine}", account=other.tenant.account), 404, "invalid_request_error")
    assert plain_get(stack, other.tenant, f"/{mine}", key=caller.tenant.key).status == 404


def test_who_may_read(stack: Stack, caller: Caller) -> None:
    made = caller.create()["id"]
    refused(caller.get(f"invoices/{made}", headers=[]), 401, "invalid_request_error")
    refused(caller.get("invoices?limit=x", headers=[("Authorization", "Bearer igk_live_" + "0" * 36)]), 401, "invalid_request_error")
    assert plain_get(stack, caller.tenant, key="x").status == 401
    stack.sql("update gateway.api_keys set routes = '{invoices}' where agency_id = %s", caller.tenant.agency)
    refused(caller.get(f"invoices/{made}"), 403, "invalid_request_error")
    refused(caller.get("invoices"), 403, "invalid_request_error")


# ---- lists


@pytest.fixture
def many(caller: Caller) -> list[str]:
    """The ids of 25 invoices, newest first by creation and id."""
    customer = caller.customer()
    made = [caller.create(customer=customer, description=str(n)) for n in range(25)]
    return [i["id"] for i in sorted(made, key=lambda i: (i["created"], i["id"]), reverse=True)]


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [invoice["id"] for invoice in answer.json["data"]]


def test_a_list(stack: Stack, caller: Caller, many: list[str]) -> None:
    with stack.nothing_upstream():
        answer = caller.get("invoices")
    assert list(answer.json) == ["object", "data", "has_more", "url"]
    assert (answer.json["object"], answer.json["url"], answer.json["has_more"]) == ("list", "/v1/invoices", True)
    assert ids(answer) == many[:10]
    assert all(invoice["object"] == "invoice" and invoice["metadata"] == {} for invoice in answer.json["data"])
    whole = caller.get("invoices?limit=100")
    assert ids(whole) == many and whole.json["has_more"] is False


def test_pages_forward_and_back(caller: Caller, many: list[str]) -> None:
    pages, mark = [], ""
    for _ in range(10):
        answer = caller.get(f"invoices?limit=7{mark}")
        pages += ids(answer)
        mark = f"&starting_after={pages[-1]}"
        if not answer.json["has_more"]:
            break
    assert pages == many
    back = caller.get(f"invoices?limit=7&ending_before={many[20]}")
    assert ids(back) == many[13:20] and back.json["has_more"] is True
    first = caller.get(f"invoices?limit=7&ending_before={many[3]}")
    assert ids(first) == many[:3] and first.json["has_more"] is False
    assert ids(caller.get(f"invoices?starting_after={many[-1]}")) == []


def test_filters(caller: Caller, many: list[str]) -> None:
    other = caller.create(description="other")
    caller.post(f"invoices/{other['id']}/finalize")
    assert ids(caller.get(f"invoices?customer={other['customer']}")) == [other["id"]]
    assert ids(caller.get("invoices?status=paid")) == [other["id"]]
    assert ids(caller.get("invoices?status=void")) == []
    assert len(ids(caller.get("invoices?status=draft&limit=100"))) == 25
    created = other["created"]
    assert other["id"] in ids(caller.get(f"invoices?limit=100&created[gte]={created}"))
    assert other["id"] in ids(caller.get(f"invoices?limit=100&created={created}"))
    assert other["id"] not in ids(caller.get(f"invoices?limit=100&created[gt]={created}"))
    assert other["id"] not in ids(caller.get(f"invoices?limit=100&created%5Blt%5D={created}"))
    assert set(ids(caller.get(f"invoices?limit=100&created[lte]={created}"))) == {*many, other["id"]}


def test_lists_of_others(stack: Stack, caller: Caller, many: list[str]) -> None:
    other = Caller(stack, stack.tenant())
    assert ids(other.get("invoices")) == []
    assert ids(Caller(stack, caller.tenant, mode="test").get("invoices")) == []
    for cursor in ("starting_after", "ending_before"):
        refused(other.get(f"invoices?{cursor}={many[0]}"), 400, "invalid_request_error", param=cursor, code="resource_missing")
    refused(other.get("invoices", account=caller.tenant.account), 404, "invalid_request_error")


def test_the_plain_list(stack: Stack, caller: Caller, many: list[str]) -> None:
    answer = plain_get(stack, caller.tenant, "?limit=20")
    assert list(answer.json) == ["data", "has_more", "next_cursor"]
    assert ids(answer) == many[:20] and answer.json["has_more"] and answer.json["next_cursor"] == many[19]
    assert all(set(invoice) == PLAIN_MEMBERS for invoice in answer.json["data"])
    rest = plain_get(stack, caller.tenant, f"?limit=20&starting_after={many[19]}")
    assert ids(rest) == many[20:] and rest.json["has_more"] is False and rest.json["next_cursor"] is None
    created = answer.json["data"][0]["created"]
    assert ids(plain_get(stack, caller.tenant, f"?created_start={created + 1}")) == []
    assert len(ids(plain_get(stack, caller.tenant, f"?limit=100&created_end={created}&frobnicate=1"))) == 25


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("query", "param"),
    [
        *((f"limit={v}", "limit") for v in ("", "0", "101", "x", "1.5", "-1", "99999999999999999999")),
        *((f"starting_after={v}", "starting_after") for v in ("", "a/b", "%00")),
        ("ending_before=a%20b", "ending_before"),
        ("starting_after=in_1&ending_before=in_2", "ending_before"),
        ("customer=", "customer"),
        ("status=sent", "status"),
        ("created[gte]=x", "created[gte]"),
        ("created[gte]=-1", "created[gte]"),
        ("created[lt]=99999999999999", "created[lt]"),
        ("created[foo]=1", "created[foo]"),
        ("limit=1&limit=2", "limit"),
        ("limit[]=1", "limit[]"),
        ("frobnicate=1", "frobnicate"),
        ("expand[]=data.customer", "expand[]"),
        ("customer=%zz", "customer"),
    ],
)
def test_bad_queries(stack: Stack, caller: Caller, query: str, param: str) -> None:
    with stack.nothing_upstream():
        answer = caller.get(f"invoices?{query}")
    refused(answer, 400, "invalid_request_error", param=param)


# ---- the database


def test_reads_do_not_stand_in_front_of_intents(stack: Stack, caller: Caller) -> None:
    """A read that waits for a lock holds up reads, and nothing else."""
    import psycopg2

    made = caller.create()["id"]
    connection = psycopg2.connect(stack._superuser())
    try:
        connection.cursor().execute("lock table gateway.workers, gateway.accounts in access share mode")
        reads = [stack.send(caller.request_bytes("GET", f"invoices/{made}")) for _ in range(20)]
        assert caller.post("invoices", customer=caller.customer()).status == 200
        assert {read.answer().status for read in reads} == {200}
    finally:
        connection.close()


def test_without_the_database(start_stack) -> None:
    stack = start_stack()
    caller = Caller(stack, stack.demo)
    made = caller.create()["id"]
    stack.stop_postgres()
    answer = caller.get(f"invoices/{made}")
    refused(answer, 503, "api_error")
    assert answer.header("Retry-After")
    stack.up()
    from waiting import wait_for

    wait_for("the reads", lambda: caller.get(f"invoices/{made}").status == 200)


@pytest.mark.parametrize("stored", [b'{"a":' * 70 + b"1" + b"}" * 70, b'{"id":"\xff"}'], ids=["too deep", "no text"])
def test_an_object_that_cannot_be_told_is_told_by_its_id(stack: Stack, caller: Caller, stored: bytes) -> None:
    made = caller.create()["id"]
    stack.sql("update gateway.invoices set object = %s where invoice_id = %s", stored, made)
    alone, listed = caller.get(f"invoices/{made}"), caller.get("invoices")
    assert alone.status == listed.status == 200, (alone, listed)
    assert listed.json["data"] == [alone.json]
    assert (alone.json["id"], alone.json["object"]) == (made, "invoice")
    assert plain_get(stack, caller.tenant, f"/{made}").json["id"] == made
