"""Rules 1 to 3 and 20 of how an invoice is made: ids come first, everything is frozen before it is sent, keys follow from it."""

from __future__ import annotations

import dataclasses
import time
import uuid

import pytest

import rules
from books import Books
from rules import A_WHILE_S, LooseWorker, books, send_and_wait, settle, stack, steps, tenant, workers_run  # noqa: F401 (fixtures)
from stack import Stack, Tenant
from waiting import wait_for


def moment_of(request_id: str) -> float:
    """The unix time inside a UUID version 7."""
    return (uuid.UUID(request_id).int >> 80) / 1000


# ---- 1. ids first


def test_rule_01_ids_are_time_ordered_and_ours(stack: Stack, tenant: Tenant) -> None:
    """Each answer names a UUID version 7 of this moment, whatever came of the request; it is the row's key, and the
    upstream's idempotency keys carry it."""
    before = time.time() - 1
    answers = [stack.create(tenant), stack.create(tenant, clientId="nobody"), stack.create(tenant, productId="prod_archived")]
    assert [answer.status for answer in answers] == [200, 404, 400]
    ids = [answer.request_id for answer in answers]
    assert [uuid.UUID(request_id).version for request_id in ids] == [7, 7, 7]
    assert ids == sorted(ids)
    assert all(before <= moment_of(request_id) <= time.time() + 1 for request_id in ids)
    assert [rules.row_of(stack, request_id)["state"] for request_id in ids] == ["created", "refused", "refused"]
    assert rules.calls(stack, tenant, "invoice")[0]["idempotency_key"] == f"invoicegate-{ids[0]}-invoice-1"


def test_rule_01_the_id_is_made_before_anything_is_sent(stack: Stack, tenant: Tenant) -> None:
    """While the intent cannot be written, nobody upstream hears of the request."""
    with stack.locked("gateway.work"):
        pending = stack.send(stack.create_bytes(tenant))
        assert not pending.is_answered_within(A_WHILE_S)
        assert steps(stack, tenant) == []
    assert pending.answer().status == 200


def test_rule_01_tables_are_partitioned_by_the_id(stack: Stack) -> None:
    """What grows with requests is cut into months of its id, which is the whole primary key of a request, and what fits
    nowhere has a place all the same. Idempotency keys and invoices are whole."""
    parts = stack.sql(
        "select c.relname as name, pg_get_partkeydef(c.oid) as key, p.partdefid::regclass::text as rest"
        "  from pg_partitioned_table p join pg_class c on c.oid = p.partrelid order by 1"
    )
    assert [(row["name"], row["key"]) for row in parts] == [
        ("events", "RANGE (subject_id)"),
        ("invoice_requests", "RANGE (request_id)"),
        ("upstream_calls", "RANGE (request_id)"),
    ]
    assert [row["rest"] for row in parts] == [f"gateway.{row['name']}_default" for row in parts]
    keys = stack.sql(
        "select conrelid::regclass::text as name, pg_get_constraintdef(oid) as key from pg_constraint where contype = 'p'"
        " and conrelid in ('gateway.invoice_requests'::regclass, 'gateway.invoices'::regclass)"
    )
    told = {row["name"]: set(row["key"].removeprefix("PRIMARY KEY (").rstrip(")").split(", ")) for row in keys}
    assert told["gateway.invoice_requests"] == {"request_id"}
    assert {"account_id", "mode", "invoice_id"} <= told["gateway.invoices"]
    whole = "select relkind::text from pg_class where oid in ('gateway.invoices'::regclass, 'gateway.idempotency_keys'::regclass)"
    assert [row["relkind"] for row in stack.sql(whole)] == ["r", "r"]


def test_rule_01_a_missing_month_does_not_stop_requests(stack: Stack, tenant: Tenant, books: Books) -> None:
    """With no partition for now, a request and its calls go to the default one; once its month is made, it is in there."""
    month = stack.sql("select to_char(now() at time zone 'UTC', 'YYYY_MM') as name")[0]["name"]
    where = "select tableoid::regclass::text as name from gateway.invoice_requests where request_id = %s"
    tables = ("invoice_requests", "upstream_calls", "events")
    for table in tables:
        stack.sql(f"alter table gateway.{table} detach partition gateway.{table}_{month}")
        stack.sql(f"alter table gateway.{table}_{month} rename to {table}_apart")
    try:
        answer = books.told(stack.create(tenant))
        assert answer.status == 200
        assert stack.sql(where, answer.request_id)[0]["name"] == "gateway.invoice_requests_default"
        stack.sql("select gateway.make_partitions(3)")
        assert stack.sql(where, answer.request_id)[0]["name"] == f"gateway.invoice_requests_{month}"
        assert books.assert_balanced().created == 1
    finally:
        for table in tables:
            stack.sql(f"drop table gateway.{table}_apart")


# ---- 2. freeze before acting


def change_everything(stack: Stack, tenant: Tenant) -> None:
    """The operator of the account and the agency change all that the request was about."""
    other = stack.sandbox.api(
        "POST", "prices", {"product": "prod_usd_10000", "currency": "usd", "unit_amount": 777}, account=tenant.account
    )
    stack.sandbox.api("POST", "products/prod_usd_10000", {"default_price": other["id"]}, account=tenant.account)
    for customer in stack.sandbox.ledger(tenant.account)["customers"]:
        change = {"name": "Another", "email": "another@example.com", "metadata[x]": "y"}
        stack.sandbox.api("POST", f"customers/{customer['id']}", change, account=tenant.account)
    stack.sql("update gateway.members set name = 'Changed', email = 'changed@example.com' where client_id = %s", tenant.client)
    stack.sql("update gateway.accounts set auto_advance = not auto_advance where account_id = %s", tenant.account)


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_rule_02_changes_between_attempts_change_nothing(stack: Stack, tenant: Tenant, warm: bool) -> None:
    """The product gets another price, the customer, the member and the account change while the invoice is in doubt: the
    next attempt sends the same bytes, and the invoice bills what was frozen."""
    if warm:
        assert stack.create(tenant, productId="prod_eur").status == 200  # customer
        assert stack.create(tenant).status == 200  # product and price
    books = Books(stack)
    known = len(rules.calls(stack, tenant, "invoice"))
    fault = stack.sandbox.fault("hang", step="invoice", account=tenant.account, count=1)
    pending = stack.send(stack.create_bytes(tenant, idempotency_key="frozen"))
    rules.wait_for_calls(stack, tenant, "invoice", known + 1)
    change_everything(stack, tenant)
    answer = books.told(pending.answer(), "frozen")
    assert stack.sandbox.fired(fault) == 1
    assert answer.status == 200, answer
    assert (answer.json["amount"], answer.json["status"]) == (10000, "draft")
    rules.assert_same_bytes(stack, tenant)
    assert len(rules.calls(stack, tenant, "invoice")) >= known + 2
    assert "advance" not in steps(stack, tenant)
    assert books.assert_balanced().created == 1


def test_rule_02_a_customer_is_made_of_what_was_frozen(stack: Stack, tenant: Tenant) -> None:
    """The member changes between two attempts to make the customer: the second sends the first one's bytes."""
    fault = stack.sandbox.fault("hang", step="customer", account=tenant.account, count=1)
    pending = stack.send(stack.create_bytes(tenant))
    rules.wait_for_calls(stack, tenant, "customer")
    stack.sql("update gateway.members set name = 'Changed', email = 'changed@example.com' where client_id = %s", tenant.client)
    assert pending.answer().json["customer"]["name"] == "John Doe"
    assert stack.sandbox.fired(fault) == 1
    assert len(rules.calls(stack, tenant, "customer")) >= 2
    rules.assert_same_bytes(stack, tenant)


def test_rule_02_a_warm_plan_is_frozen_with_the_intent(stack: Stack, tenant: Tenant) -> None:
    """When product, price and customer are known, one commit holds the whole plan; a cold request needs a further one."""
    cold, warm = stack.create(tenant), stack.create(tenant)
    assert rules.events(stack, cold.request_id) == ["opened", "planned", "created"]
    assert rules.events(stack, warm.request_id) == ["opened", "created"]


@dataclasses.dataclass(frozen=True)
class Foreign:
    """What became of requests while workers were there that ought not to touch them."""

    fences: dict[str, set[int]]
    others: rules.Orphan
    newer: rules.Orphan
    older: rules.Orphan


@pytest.fixture(scope="module")
def foreign(stack: Stack) -> Foreign:
    """Three requests lose their worker. Workers of another address and of another platform come first, then one with
    another version of the upstream's interface, for which an operator at last mends the recipe of one request."""
    others, newer, older = rules.leave_orphans(stack, *[("hang", "invoice")] * 3)
    recipe = "update gateway.invoice_requests set recipe = %s where request_id = %s"
    stack.sql(recipe, 99, newer.request_id)
    stack.sql(recipe, 0, older.request_id)
    fences: dict[str, set[int]] = {}

    def look(who: str) -> None:
        fences[who] = {row["fence"] for left in (others, newer) if (row := rules.work_of(stack, left.request_id))}

    address = {"UPSTREAM_URL": f"http://localhost:{stack.sandbox.port}"}
    with LooseWorker(stack, **address) as a, LooseWorker(stack, UPSTREAM_PLATFORM="acct_other") as b:
        wait_until_they_would_take_over(stack, a, b)
        look("others")
    with LooseWorker(stack, UPSTREAM_VERSION="2099-01-01.later"):
        settle(stack, others.request_id)
        settle(stack, older.request_id)
        look("older program")
        stack.sql(recipe, 1, newer.request_id)
        settle(stack, newer.request_id)
    return Foreign(fences, others, newer, older)


def wait_until_they_would_take_over(stack: Stack, *workers: LooseWorker) -> None:
    """Beyond the dead worker's lease and the newcomers' own first one."""
    second = "select pid from gateway.workers where pid = any(%s) and lease_until > started_at + interval '4 s'"
    pids = [worker.pid for worker in workers]
    wait_for("the workers' second leases", lambda: len(stack.sql(second, pids)) == len(workers))


def test_rule_02_workers_of_another_upstream_leave_requests_alone(foreign: Foreign) -> None:
    """A request belongs to the address and the platform that it was frozen with. Whoever serves others does not touch it,
    however long nobody else does."""
    assert foreign.fences["others"] == {1}


def test_rule_02_an_unknown_recipe_is_left_alone(stack: Stack, foreign: Foreign) -> None:
    """After a downgrade: what a newer program has frozen, an older one does not touch."""
    assert foreign.fences["older program"] == {1}
    assert rules.row_of(stack, foreign.newer.request_id)["state"] == "created"


def test_rule_02_an_older_recipe_is_finished_as_it_is(stack: Stack, foreign: Foreign) -> None:
    """After an upgrade: an open request keeps the recipe that its first bytes were made by."""
    recipe = "select recipe, state from gateway.invoice_requests where request_id = %s"
    assert stack.sql(recipe, foreign.older.request_id) == [{"recipe": 0, "state": "created"}]


def test_rule_02_the_upstreams_version_is_frozen(stack: Stack, foreign: Foreign) -> None:
    """The operator sets another version of the upstream's interface while a request is half-way: its next attempt names
    the version of its first one."""
    for left in (foreign.others, foreign.older, foreign.newer):
        assert [call["step"] for call in rules.calls_since(stack, left)] == ["invoice", "lines"]
        assert {call["stripe_version"] for call in rules.calls(stack, left.tenant)} == {"2025-03-31.basil"}
        rules.assert_same_bytes(stack, left.tenant)
        assert len(rules.standing(stack, left.tenant)) == 1


# ---- 3. keys


def test_rule_03_keys_follow_from_request_step_and_generation(stack: Stack, tenant: Tenant) -> None:
    """The customer is gone upstream: a next generation of the customer and of the request's own keys; every other call
    keeps its key."""
    first = stack.create(tenant)
    (customer,) = stack.sandbox.ledger(tenant.account)["customers"]
    stack.sandbox.api("DELETE", f"customers/{customer['id']}", account=tenant.account)
    second = stack.create(tenant)
    assert second.status == 200
    keys = [call["idempotency_key"] for call in rules.calls(stack, tenant, method="POST")]
    whose = keys[0].rpartition("-")[0]
    assert keys == [
        f"{whose}-1",
        f"invoicegate-{first.request_id}-invoice-1",
        f"invoicegate-{first.request_id}-lines-1",
        f"invoicegate-{second.request_id}-invoice-1",
        f"{whose}-2",
        f"invoicegate-{second.request_id}-invoice-2",
        f"invoicegate-{second.request_id}-lines-2",
    ]


def test_rule_03_the_first_customer_that_is_stored_wins(stack: Stack, tenant: Tenant, books: Books) -> None:
    """Two requests make the client's customer, and the upstream has forgotten the key in between: whichever id is stored
    first is used by both."""
    with stack.sandbox.faulty("delay", step="customer", account=tenant.account, count=1, delay_ms=600):
        slow = stack.send(stack.create_bytes(tenant))
        rules.wait_for_calls(stack, tenant, "customer")
        stack.sandbox.control("POST", "forget_keys", {})
        quick = books.told(stack.create(tenant))
    late = books.told(slow.answer())
    assert (quick.status, late.status) == (200, 200)
    assert len(stack.sandbox.ledger(tenant.account)["customers"]) == 2
    assert quick.json["customer"]["id"] == late.json["customer"]["id"]
    (row,) = stack.sql("select customer_id from gateway.customers where account_id = %s", tenant.account)
    assert row["customer_id"] == quick.json["customer"]["id"]
    assert books.assert_balanced().created == 2


# ---- 20. memory of the past stays short


def test_rule_20_a_key_revoked_midway_does_not_stop_a_request(stack: Stack, tenant: Tenant, books: Books) -> None:
    """Who was let in is served to the end; who comes next is not."""
    (key,) = stack.sql("select key_id from gateway.api_keys where agency_id = %s and mode = 'live'", tenant.agency)
    with stack.sandbox.faulty("delay", step="invoice", account=tenant.account, delay_ms=600):
        pending, _ = send_and_wait(stack, tenant, "invoice")
        stack.ctl("key", "revoke", str(key["key_id"]), "--agency", str(tenant.agency))
        assert stack.create(tenant).status == 401
    assert books.told(pending.answer()).status == 200
    assert books.assert_balanced().created == 1


def test_rule_20_a_key_revoked_midway_does_not_stop_recovery(stack: Stack, books: Books) -> None:
    """Nor does it matter to whoever takes the request over, nor that client and product have gone meanwhile."""
    left = rules.orphan(stack, fault="hang", step="lines")
    tenant = left.tenant
    stack.sql("update gateway.api_keys set revoked_at = now() where agency_id = %s", tenant.agency)
    stack.sql("delete from gateway.members where client_id = %s", tenant.client)
    stack.sandbox.api("POST", "products/prod_usd_10000", {"active": "false"}, account=tenant.account)
    stack.up()
    assert settle(stack, left.request_id)["state"] == "created"
    rules.assert_same_bytes(stack, tenant)
    assert books.assert_balanced().created == 1
