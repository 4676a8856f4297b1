"""Rule 15: durability is verified, not assumed."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Callable, Iterator

import pytest

import rules
from books import Books
from gates import DatabaseGate
from replicas import Replica, primary_directory
from rules import LooseWorker, books, stack, tenant, workers_run  # noqa: F401 (fixtures)
from stack import Stack, Tenant
from waiting import wait_for

REFUSALS = {
    "fsync off": (
        ("alter system set fsync = off", "alter system reset fsync"),
        "the database server runs with fsync = off and may lose confirmed invoices: set it to on",
    ),
    "full_page_writes off": (
        ("alter system set full_page_writes = off", "alter system reset full_page_writes"),
        "the database server runs with full_page_writes = off and may lose confirmed invoices: set it to on",
    ),
}


def reconnect(stack: Stack) -> None:
    """With the settings as they are now."""
    stack.sql("select pg_reload_conf()")
    stack.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'invoicegate_worker'")


@contextlib.contextmanager
def set_to(stack: Stack, change: str, back: str) -> Iterator[None]:
    stack.sql(change)
    reconnect(stack)
    try:
        yield
    finally:
        stack.sql(back)
        reconnect(stack)


@pytest.mark.parametrize("name", REFUSALS)
def test_rule_15_a_database_that_may_lose_commits_is_refused(stack: Stack, tenant: Tenant, books: Books, name: str) -> None:
    """The worker reads what its promise depends on at each connection, says in one line what is wrong, and takes no
    request; it serves again, without a restart, once that is put right."""
    (change, back), complaint = REFUSALS[name]
    assert books.told(stack.create(tenant)).status == 200
    worker = stack.worker_pid()
    before = messages(stack.log("workers")).count(complaint)
    with set_to(stack, change, back):
        both = "both connections to be refused"
        wait_for(both, lambda: messages(stack.log("workers")).count(complaint) >= before + 2)
        answer = books.told(stack.create(tenant))
        assert (answer.status, answer.header("Retry-After")) == (503, "1")
        assert answer.error == "The gateway cannot reach its database. No invoice was made; try again in a moment."
    wait_for("a 200", lambda: books.told(stack.create(tenant)).status == 200, every_s=0.1)
    assert stack.worker_pid() == worker
    assert books.assert_balanced().problems() == {}


def messages(log: str) -> list[str]:
    return [json.loads(line)["message"] for line in log.splitlines() if line.startswith('{"time"')]


@pytest.mark.parametrize("name", REFUSALS)
def test_rule_15_what_changes_under_a_connection_is_noticed(stack: Stack, tenant: Tenant, books: Books, name: str) -> None:
    """Nobody connects anew: the next renewal of the lease tells."""
    (change, back), complaint = REFUSALS[name]
    assert books.told(stack.create(tenant)).status == 200
    worker = stack.worker_pid()
    before = messages(stack.log("workers")).count(complaint)
    stack.sql(change)
    try:
        stack.sql("select pg_reload_conf()")
        wait_for("all connections to be refused", lambda: messages(stack.log("workers")).count(complaint) >= before + 3)
        assert books.told(stack.create(tenant)).status == 503
    finally:
        stack.sql(back)
        stack.sql("select pg_reload_conf()")
    wait_for("a 200", lambda: books.told(stack.create(tenant)).status == 200, every_s=0.1)
    assert stack.worker_pid() == worker
    assert books.assert_balanced().problems() == {}


@pytest.fixture
def commits(stack: Stack) -> Iterator[Callable[[Tenant], set[str]]]:
    """Makes an invoice and answers synchronous_commit of the sessions that wrote it down."""
    stack.sql(
        "create table gateway.seen (value text); grant insert on gateway.seen to public;"
        " create function gateway.see() returns trigger language plpgsql as $$ begin"
        " insert into gateway.seen values (current_setting('synchronous_commit')); return new; end $$;"
        " create trigger see before insert on gateway.events for each row execute function gateway.see()"
    )

    def make(tenant: Tenant) -> set[str]:
        stack.sql("delete from gateway.seen")
        wait_for("a 200", lambda: stack.create(tenant).status == 200, every_s=0.1)
        return {row["value"] for row in stack.sql("select value from gateway.seen")}

    yield make
    stack.sql("drop function gateway.see() cascade; drop table gateway.seen")


ROLE = "alter role invoicegate_worker"


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
def test_rule_15_commits_wait_for_the_disk_whatever_the_role_says(
    stack: Stack, tenant: Tenant, commits: Callable[[Tenant], set[str]], value: str
) -> None:
    with set_to(stack, f"{ROLE} set synchronous_commit = {value}", f"{ROLE} reset synchronous_commit"):
        assert commits(tenant) == {"on"}


def test_rule_15_commits_go_on_waiting_when_the_server_s_setting_changes(
    stack: Stack, tenant: Tenant, commits: Callable[[Tenant], set[str]]
) -> None:
    assert commits(tenant) == {"on"}
    stack.sql("alter system set synchronous_commit = off")
    try:
        stack.sql("select pg_reload_conf()")
        wait_for("the new setting", lambda: stack.sql("show synchronous_commit")[0]["synchronous_commit"] == "off")
        assert commits(tenant) == {"on"}
        reconnect(stack)
        assert commits(tenant) == {"on"}
    finally:
        stack.sql("alter system reset synchronous_commit")
        reconnect(stack)


def test_rule_15_stronger_is_good_enough(stack: Stack, tenant: Tenant, commits: Callable[[Tenant], set[str]]) -> None:
    with set_to(stack, f"{ROLE} set synchronous_commit = remote_apply", f"{ROLE} reset synchronous_commit"):
        wait_for("commits that are applied everywhere", lambda: commits(tenant) == {"remote_apply"})


def complaint_of(stack: Stack, complaint: str, **settings: str) -> None:
    """A worker with these settings says so and does not begin."""
    with LooseWorker(stack, **settings) as worker:
        log = Path(worker.log)
        wait_for("the complaint", lambda: any(complaint in line for line in log.read_text().splitlines()))
        assert "database ready" not in messages(log.read_text())


SEVERAL = "names several hosts, but the server has no synchronous_standby_names"


def test_rule_15_several_hosts_need_synchronous_standbys(stack: Stack) -> None:
    """Whoever names several servers counts on a failover, which loses what was not replicated."""
    host = primary_directory(stack)
    several = f"host={host},{host} port=5432,5432 user=invoicegate_worker dbname=invoicegate"
    complaint_of(stack, SEVERAL, DATABASE=several)
    with LooseWorker(stack, DATABASE=several, UNSAFE_DATABASE="yes") as worker:
        wait_for("it to begin", lambda: "database ready" in messages(worker.log.read_text()))


def test_rule_15_several_addresses_are_several_hosts(stack: Stack) -> None:
    gate = DatabaseGate(stack, tcp=True)
    try:
        where = f"hostaddr=127.0.0.1,127.0.0.1 port={gate.port},{gate.port} sslmode=disable gssencmode=disable"
        complaint_of(stack, SEVERAL, DATABASE=f"{where} user=invoicegate_worker dbname=invoicegate")
    finally:
        gate.close()


def test_rule_15_a_standby_is_refused(stack: Stack) -> None:
    """It can be read, but nothing can be promised there."""
    near = Replica(stack, "near", of=primary_directory(stack))
    try:
        complaint_of(stack, "read-only", DATABASE=f"host={near.directory} port=5432 user=invoicegate_worker dbname=invoicegate")
    finally:
        near.remove()


def lose(stack: Stack, request_id: str) -> None:
    """Everything of a request goes, as after a failover to a server that lagged."""
    for table in ("work", "idempotency_keys"):
        stack.sql(f"delete from gateway.{table} where request_id = %s", request_id)
    for table, name in (("events", "subject_id"), ("upstream_calls", "request_id"), ("invoice_requests", "request_id")):
        stack.sql(f"set role invoicegate_maintenance; delete from gateway.{table} where {name} = %s", request_id)


@pytest.mark.parametrize("key", [None, "a key"], ids=["keyless", "keyed"])
@pytest.mark.parametrize("step", ["invoice", "lines"])
def test_rule_15_what_a_failover_lost_is_written_again(
    stack: Stack, tenant: Tenant, books: Books, step: str, key: str | None
) -> None:
    """The intent is gone from the database while the upstream works: the end of the request carries it, and writes both."""
    twice = stack.log("workers").count('"sqlstate":"23505"')
    with stack.sandbox.faulty("delay", step=step, account=tenant.account, delay_ms=600, count=1):
        pending, request_id = rules.send_and_wait(stack, tenant, step, key=key)
        lose(stack, request_id)
    answer = books.told(pending.answer(), key)
    assert (answer.status, answer.request_id) == (200, request_id)
    assert stack.log("workers").count('"sqlstate":"23505"') == twice  # no call is recorded a second time
    assert rules.events(stack, request_id) == ["restored", "created"]
    row = rules.row_of(stack, request_id)
    assert (row["state"], row["invoice_id"], row["amount_minor"]) == ("created", answer.json["id"], 10000)
    if key:
        assert books.told(stack.create(tenant, idempotency_key=key), key).replayed
    balance = books.assert_balanced()
    assert (balance.created, balance.standing) == (1, 1)


LOST_DECISIONS = {"advance": (True, None), "delete": (False, {"fault": "wrong_amount", "step": "lines"})}


def test_rule_15_a_lost_request_gives_way_to_whom_its_key_serves_now(stack: Stack, tenant: Tenant, books: Books) -> None:
    """The client has asked again meanwhile, and the database knew nothing of the first call: the second one's invoice is the
    key's, and the first one's does not stand."""
    with stack.sandbox.faulty("hang", step="lines", account=tenant.account, count=1):
        pending, request_id = rules.send_and_wait(stack, tenant, "lines", key="a key")
        lose(stack, request_id)
        again = books.told(stack.create(tenant, idempotency_key="a key"), "a key")
    assert again.status == 200 and not again.replayed
    assert books.told(pending.answer(), "a key").status == 504
    assert rules.settle(stack, request_id)["state"] == "failed"
    assert [invoice["id"] for invoice in rules.standing(stack, tenant)] == [again.json["id"]]
    assert books.assert_balanced().created == 1
    assert stack.create(tenant, idempotency_key="a key").json["id"] == again.json["id"]


@pytest.mark.parametrize("name", LOST_DECISIONS)
def test_rule_15_a_lost_request_is_written_again_before_a_decision(stack: Stack, name: str) -> None:
    """The same when the next thing to be written is not the end, but that the draft shall advance, or be deleted: it does
    not stay behind, unknown to the books."""
    auto_advance, fault = LOST_DECISIONS[name]
    tenant = stack.tenant(auto_advance=auto_advance)
    if fault:
        stack.sandbox.fault(**fault, account=tenant.account)
    stack.sandbox.fault("delay", step="invoice", account=tenant.account, delay_ms=600, count=1)
    pending, request_id = rules.send_and_wait(stack, tenant, "invoice", key="a key")
    lose(stack, request_id)
    assert pending.answer().status == (502 if fault else 200)
    assert rules.row_of(stack, request_id)["state"] == ("failed" if fault else "created")
    assert len(rules.standing(stack, tenant)) == (0 if fault else 1)
