"""Rules 10 to 12 of who works on a request: leases and fences, commits whose fate is unknown, batches."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Callable, Iterator

import pytest

import rules
from books import Books
from gates import DatabaseGate, UpstreamGate
from rules import LooseWorker, books, events, row_of, send_and_wait, settle, tenant, workers_run  # noqa: F401 (fixtures)
from stack import Stack, Tenant
from waiting import wait_for


@pytest.fixture(scope="module")
def upstream_gate() -> Iterator[UpstreamGate]:
    gate = UpstreamGate()
    yield gate
    gate.close()


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, upstream_gate: UpstreamGate) -> Iterator[Stack]:
    """Its worker speaks to the sandbox, and (see gate) to PostgreSQL, through gates; newcomers reach PostgreSQL directly."""
    with Stack(**rules.SETTINGS, UPSTREAM_URL=upstream_gate.url) as stack:
        upstream_gate.target = stack.sandbox.port
        yield stack
        stack.keep = request.session.testsfailed > 0


@pytest.fixture(scope="module")
def direct(stack: Stack) -> str:
    return rules.environment(stack)["INVOICEGATE_DATABASE"]


@pytest.fixture(scope="module")
def gate(stack: Stack, direct: str) -> Iterator[DatabaseGate]:
    gate = DatabaseGate(stack)
    stack.settings["INVOICEGATE_DATABASE"] = gate.database
    stack.up()
    yield gate
    del stack.settings["INVOICEGATE_DATABASE"]
    stack.up()
    gate.close()


@pytest.fixture(autouse=True)
def _no_gate_stays_shut(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "gate" in request.fixturenames:
        request.getfixturevalue("gate").open()


# ---- 10. leases and fences


@pytest.mark.parametrize("step", ["invoice", "lines"])
def test_rule_10_a_worker_that_stood_still_does_no_harm(stack: Stack, tenant: Tenant, books: Books, step: str) -> None:
    """It stands still beyond its lease, a successor finishes its request, and it goes on as if nothing had happened:
    nothing is doubled, and its word about the end does not count."""
    with stack.sandbox.faulty("delay", step=step, account=tenant.account, delay_ms=500, count=1):
        pending, request_id = send_and_wait(stack, tenant, step, key="a key")
        with rules.stopped(stack.worker_pid()), LooseWorker(stack):
            row = settle(stack, request_id)
            assert row["state"] == "created"
    answer = books.told(pending.answer(), "a key")
    assert answer.status in (200, 504)
    assert rules.work_of(stack, request_id) is None
    assert row_of(stack, request_id)["invoice_id"] == row["invoice_id"]
    assert "taken_over" in events(stack, request_id)
    assert books.assert_balanced().standing == 1


def test_rule_10_a_successor_raises_the_fence(stack: Stack, books: Books) -> None:
    """Its calls are recorded under a number of their own, and whoever held the request before changes nothing."""
    left = rules.orphan(stack, fault="hang", step="lines")
    stack.up()
    row = settle(stack, left.request_id)
    fences = stack.audit("select distinct fence from audit.upstream_calls where request_id = %s", left.request_id)
    assert max(call["fence"] for call in fences) == 2
    finish = "select verdict, state from gateway.finish_invoices(%s, array[%s::uuid], array[1], array['failed']," + (
        "array['x'], array['x'], array[500], array[%s], array['draft'], array[null]::text[], array[1]::bigint[],"
        "array['usd'], array[1]::bigint[], array[null]::bytea[], array[false], array[null]::bytea[])"
    )
    (before,) = stack.sql("select worker_id from gateway.workers order by worker_id limit 1")
    verdict = stack.sql(finish, before["worker_id"], left.request_id, "in_late")
    assert verdict == [{"verdict": "stale", "state": "created"}]
    assert row_of(stack, left.request_id) == row
    # What an overtaken worker says about the end is refused, but the invoice that it knows of is in the books.
    (late,) = stack.audit("select request_id from audit.invoices where invoice_id = 'in_late'")
    assert late["request_id"] == left.request_id and "late_invoice" in events(stack, left.request_id)
    stack.sql("begin; set local role invoicegate_maintenance; delete from gateway.invoices where invoice_id = 'in_late'; commit")


@pytest.mark.parametrize("key", [None, "a key"], ids=["keyless", "keyed"])
def test_rule_10_a_late_invoice_does_not_stand(
    stack: Stack, upstream_gate: UpstreamGate, tenant: Tenant, books: Books, key: str | None
) -> None:
    """The call of a worker that stands still is on its way for a day. Its successor looks twice, finds nothing, and ends
    the request as failed. Then the call arrives and makes a draft, and the old worker goes on with it: the books know it,
    and it does not stay."""
    held = upstream_gate.hold("POST /v1/invoices ")
    pending = stack.send(stack.create_bytes(tenant, idempotency_key=key))
    assert held.arrived.wait(30)
    request_id = rules.open_request(stack, tenant)
    with rules.stopped(stack.worker_pid()):
        rules.age(stack, request_id, 21)
        with LooseWorker(stack):
            assert settle(stack, request_id)["reason"] == "not_found_upstream"
        held.release()
        assert held.answered.wait(30)
    answer = books.told(pending.answer(), key)
    assert answer.status in (502, 504)
    wait_for("the late draft to go", lambda: rules.standing(stack, tenant) == [])
    assert "late_invoice" in events(stack, request_id)
    assert books.assert_balanced().standing == 0


def test_rule_10_five_take_overs_park_a_request(stack: Stack, tenant: Tenant) -> None:
    """What has cost five workers their lives waits for a person."""
    left = rules.orphan(stack, fault="hang_before", step="invoice")
    stack.sandbox.fault("hang_before", step="invoice", account=left.tenant.account)
    for taken in range(1, 6):
        with LooseWorker(stack, CALL_TIMEOUT_MS=30000, BACKGROUND_MS=60000, LEASE_MS=600) as worker:
            wait_for(f"take-over {taken}", lambda: (rules.work_of(stack, left.request_id) or {})["take_overs"] == taken)
            worker.stop(signal.SIGKILL)
    with LooseWorker(stack, LEASE_MS=600):
        wait_for("it to be parked", lambda: (rules.work_of(stack, left.request_id) or {})["parked_at"])
        stack.sandbox.no_faults()
    assert events(stack, left.request_id)[-1] == "parked"
    assert len(rules.calls(stack, left.tenant, "invoice")) <= 6
    assert rules.standing(stack, left.tenant) == []
    stack.ctl("settle", left.request_id, "--as", "failed", "--by", "Ada King", "--why", "nothing there")


def test_rule_10_what_finds_no_place_is_taken_up_once_there_is_one(start_stack: Callable[..., Stack]) -> None:
    """While a worker takes a request over, new ones fill it up. It has it then, and cannot work on it: it must not wait
    for that worker's end."""
    stack = start_stack(**rules.SETTINGS | {"MAX_INFLIGHT": 2, "DEADLINE_MS": 60000, "CALL_TIMEOUT_MS": 60000})
    tenants = [stack.tenant() for _ in range(2)]
    left = rules.orphan(stack, fault="hang", step="invoice")
    rest = "update gateway.work set worker_id = 0, due_at = {} where request_id = '" + left.request_id + "'"
    stack.sql(rest.format("now() + interval '1 hour'"))
    stack.up()
    wait_for("the worker", lambda: stack.create(tenants[0]).status == 200)
    for tenant in tenants:
        stack.sandbox.fault("hang_before", step="invoice", account=tenant.account)
    with stack.locked("gateway.work", rest.format("null")):
        wait_for("it to wait for what it takes", lambda: waits_for(stack, "take_over"))
        crowd = [stack.send(stack.create_bytes(tenant)) for tenant in tenants]
        wait_for("all places to be taken", lambda: stack.metrics()["invoicegate_inflight"] == 2)
    wait_for("it to have taken it", lambda: (rules.work_of(stack, left.request_id) or {})["worker_id"] != 0)
    for pending, tenant in zip(crowd, tenants):
        rules.wait_for_calls(stack, tenant, "invoice")
        assert not pending.is_answered_within(0)
    assert not rules.calls_since(stack, left) and stack.metrics()["invoicegate_inflight"] == 2
    stack.sandbox.no_faults()
    worker = stack.worker_pid()
    for pending in crowd:
        pending.leave()
    stack.stop_sandbox()
    stack.up()  # which ends the calls that hang
    assert settle(stack, left.request_id)["state"] == "created"
    assert stack.worker_pid() == worker and events(stack, left.request_id).count("taken_over") == 1


def waits_for(stack: Stack, function: str) -> bool:
    """Whether the worker waits for a lock in one of its functions."""
    waiting = "select pid from pg_stat_activity where usename = 'invoicegate_worker' and wait_event_type = 'Lock' and query ~ %s"
    return bool(stack.sql(waiting, function))


def test_rule_10_nobody_takes_over_right_after_a_reconnect(stack: Stack, gate: DatabaseGate, direct: str, books: Books) -> None:
    """The database was away for everybody, longer than a lease: when it is back, every lease looks lapsed, and still
    nobody takes from anybody who lives."""
    tenant = stack.tenant()
    with LooseWorker(stack, DATABASE=gate.database) as other:
        wait_for("the other worker", lambda: stack.sql("select pid from gateway.workers where pid = %s", other.pid))
        with stack.sandbox.faulty("delay", step="lines", account=tenant.account, delay_ms=400):
            pending, request_id = send_and_wait(stack, tenant, "lines", key="a key")
            gate.shut()
            lapsed = "select worker_id from gateway.workers where ended_at is null and lease_until >= now()"
            wait_for("all leases to lapse", lambda: not stack.sql(lapsed))
            gate.open()
        answer = books.told(pending.answer(), "a key")
        assert answer.status in (200, 504)
        assert settle(stack, request_id)["state"] == "created"
        assert "taken_over" not in events(stack, request_id)
    assert books.assert_balanced().created == 1


# ---- 11. commits whose fate is unknown


ACTS = ["lose_question", "lose_answer", "commit_late"]


@pytest.mark.parametrize("key", [None, "a key"], ids=["keyless", "keyed"])
@pytest.mark.parametrize("statement", ["begin", "plan", "finish"])
@pytest.mark.parametrize("act", ACTS)
def test_rule_11_an_unknown_commit_is_asked_by_running_it_again(
    stack: Stack, gate: DatabaseGate, tenant: Tenant, books: Books, statement: str, act: str, key: str | None
) -> None:
    """The connection breaks before the batch arrives, after it was committed, or while it waits to be committed, which it
    is after the worker has asked: in each case the request goes on, once, and its client hears of the invoice."""
    trap = gate.trap(statement, act)
    pending = stack.send(stack.create_bytes(tenant, idempotency_key=key))
    assert trap.sprung.wait(60)
    if act == "commit_late":
        time.sleep(rules.A_WHILE_S)  # the worker asks meanwhile, and nobody can know
        trap.release.set()
        assert trap.done.wait(60)
    answer = books.told(pending.answer(), key)
    assert answer.status == 200, answer
    assert [call["step"] for call in rules.calls(stack, tenant)] == ["product", "customer", "invoice", "lines"]
    assert events(stack, answer.request_id).count("opened") == 1
    balance = books.assert_balanced()
    assert (balance.created, balance.standing) == (1, 1)


@pytest.mark.parametrize("key", [None, "a key"], ids=["keyless", "keyed"])
@pytest.mark.parametrize("act", ["lose_answer", "commit_late"])
def test_rule_11_an_intent_that_stays_unknown_past_the_deadline(
    stack: Stack, gate: DatabaseGate, tenant: Tenant, books: Books, act: str, key: str | None
) -> None:
    """PostgreSQL is away when the client's patience ends: 504. Once it is back, what was promised is kept: with a key the
    request is finished, without one no invoice stands."""
    trap = gate.trap("begin", act, shuts=True, about=tenant.account)
    pending = stack.send(stack.create_bytes(tenant, idempotency_key=key))
    assert trap.sprung.wait(60)
    answer = books.told(pending.answer(), key)
    assert answer.status == 504
    gate.open()
    if act == "commit_late":
        wait_for("the worker's return", lambda: stack.create(stack.demo).status != 503)
        trap.release.set()
        assert trap.done.wait(60)
    state = settle(stack, wait_for("its row", lambda: rows_of(stack, tenant))[0]["request_id"])["state"]
    assert state == ("created" if key else "failed")
    assert books.assert_balanced().problems() == {}


def rows_of(stack: Stack, tenant: Tenant) -> list[dict[str, object]]:
    return stack.audit("select * from audit.requests where account_id = %s", tenant.account)


@pytest.mark.parametrize("statement", ["begin", "finish"])
def test_rule_11_others_may_have_ended_it_meanwhile(
    stack: Stack, gate: DatabaseGate, direct: str, books: Books, statement: str
) -> None:
    """The worker cannot reach the database, which others can: they take its request over and end it. Back again, it asks
    what became of its commit, is told so, and lets go."""
    email = f"{statement}@rule11.example.com"  # stands in the invoice
    tenant = stack.tenant(members=(f"John Doe:{email}:admin",))
    act, about = ("lose_answer", tenant.account) if statement == "begin" else ("lose_question", email)
    trap = gate.trap(statement, act, shuts=True, about=about)
    pending = stack.send(stack.create_bytes(tenant, idempotency_key="a key"))
    assert trap.sprung.wait(60)
    request_id = rules.open_request(stack, tenant)
    with LooseWorker(stack, DATABASE=direct):
        assert settle(stack, request_id)["state"] == "created"
    gate.open()
    assert books.told(pending.answer(), "a key").status in (200, 504)
    worker = stack.worker_pid()
    os.kill(worker, signal.SIGTERM)  # it ends only once it has let go of everything
    wait_for("its successor", lambda: stack.worker_pids() not in ([], [worker]))
    assert books.assert_balanced().standing == 1


# ---- 12. batches


def test_rule_12_one_key_in_one_instant(stack: Stack, books: Books) -> None:
    """Twenty times the same key at once, in one batch and in several: one request, one invoice; whoever came second is
    told that it is being worked on, or the saved answer."""
    tenant = stack.tenant()
    for round_ in range(3):
        key = f"instant {round_}"
        answers = books.told_all(stack.burst([stack.create_bytes(tenant, idempotency_key=key)] * 20), [key] * 20)
        assert {answer.status for answer in answers} <= {200, 409}
        fresh = [answer for answer in answers if answer.status == 200 and not answer.replayed]
        assert len(fresh) == 1
        assert {answer.body for answer in answers if answer.status == 200} == {fresh[0].body}
        assert all(int(answer.header("Retry-After") or 0) >= 1 for answer in answers if answer.status == 409)
    assert books.assert_balanced().created == 3


def test_rule_12_a_poisoned_intent_takes_no_neighbours_down(stack: Stack, books: Books) -> None:
    """One of thirty intents that travel together is refused by PostgreSQL: that one is told so, the others are served."""
    tenant = stack.tenant()
    assert books.told(stack.create(tenant)).status == 200
    requests = [stack.create_bytes(tenant, idempotency_key=str(number)) for number in range(30)]
    requests[17] = stack.create_bytes(tenant, idempotency_key="poisoned", productId="prod_poison")
    with rules.poison(stack, "invoice_requests", "new.product_id = 'prod_poison'"):
        answers = books.told_all(stack.burst(requests), [*map(str, range(17)), "poisoned", *map(str, range(18, 30))])
    assert answers.pop(17).status == 503
    assert [answer.status for answer in answers] == [200] * 29
    assert books.assert_balanced().created == 30


def test_rule_12_a_poisoned_end_takes_no_neighbours_down(stack: Stack, books: Books) -> None:
    """The same at the end: the others end, the poisoned one is tried again until it can be written."""
    tenants = [stack.tenant() for _ in range(2)]
    for tenant in tenants:
        assert books.told(stack.create(tenant)).status == 200
    with rules.poison(stack, "invoices", f"new.account_id = '{tenants[1].account}'"):
        poisoned = stack.send(stack.create_bytes(tenants[1], idempotency_key="poisoned"))
        answers = books.told_all(stack.burst([stack.create_bytes(tenants[0])] * 20))
        assert [answer.status for answer in answers] == [200] * 20
        assert books.told(poisoned.answer(), "poisoned").status == 504
    assert books.assert_balanced().created == 23
    assert books.told(stack.create(tenants[1], idempotency_key="poisoned"), "poisoned").replayed


def test_rule_12_batches_in_any_order_do_not_deadlock(stack: Stack, books: Books) -> None:
    """Several connections carry the same keys, clients and customers in ever other orders."""
    tenants = [stack.tenant(agency=stack.demo.agency) for _ in range(3)]
    keys = [f"key {number}" for number in range(12)]
    order = random.Random(1)
    for _ in range(4):
        wishes = [(tenant, key) for tenant in tenants for key in keys]
        order.shuffle(wishes)
        requests = [stack.create_bytes(t, key=stack.demo.key, idempotency_key=key) for t, key in wishes]
        answers = books.told_all(stack.burst(requests), [f"{t.account} {key}" for t, key in wishes])
        assert {answer.status for answer in answers} <= {200, 409}
    assert "deadlock detected" not in stack.log("postgres")
    assert books.assert_balanced().created == 36
