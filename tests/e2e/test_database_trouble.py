"""PostgreSQL restarts, crashes, drops connections, cancels, waits, has no room, fails over: no worker is restarted for it,
and the three books agree."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
from typing import Callable, Iterator

import pytest

import rules
from books import Books
from load import Load
from replicas import Replica, primary_directory
from stack import Stack
from waiting import wait_for
from wire import Pending


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with Stack(workers=2, **rules.SETTINGS) as stack:
        yield stack
        stack.keep = request.session.testsfailed > 0


@contextlib.contextmanager
def same_workers(stack: Stack) -> Iterator[None]:
    before = stack.worker_pids()
    assert len(before) == stack.workers
    yield
    assert stack.worker_pids() == before


def backends(stack: Stack, act: str) -> None:
    stack.sql(f"select {act}(pid) from pg_stat_activity where usename = 'invoicegate_worker'")


# ---- under load


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_restart_under_load(stack: Stack, how: signal.Signals) -> None:
    books = Books(stack)
    with same_workers(stack), Load(stack, books) as load:
        for _ in range(2):
            stack.stop_postgres(how)
            stack.up()
            load.wait_for_more(10)
    books.assert_balanced(60.0)


@pytest.mark.parametrize("act", ["pg_terminate_backend", "pg_cancel_backend"])
def test_backends_are_interrupted_under_load(stack: Stack, act: str) -> None:
    """Connections end, or statements do (as by a timeout), again and again, wherever they are."""
    books = Books(stack)
    with same_workers(stack), Load(stack, books) as load:
        for _ in range(15):
            backends(stack, act)
            load.wait_for_more(2)
    assert "terminating connection" in stack.log("postgres") if act == "pg_terminate_backend" else True
    books.assert_balanced(60.0)


def test_no_room_left_under_load(stack: Stack) -> None:
    """Every statement that writes history is refused as on a full disk, for a while: nobody is told of an invoice then,
    new requests are refused, and what was under way is finished afterwards."""
    books = Books(stack)
    # Made while nobody writes: what changes under load is a row, which cannot deadlock with the workers.
    stack.sql(
        "create table gateway.taken_room (what text); grant select on gateway.taken_room to public;"
        " create function gateway.full() returns trigger language plpgsql as $$ begin"
        " if exists (select from gateway.taken_room) then"
        " raise exception 'could not extend file: No space left on device' using errcode = '53100'; end if;"
        " return new; end $$;"
        " create trigger full_disk before insert on gateway.events for each row execute function gateway.full()"
    )
    with same_workers(stack), Load(stack, books) as load:
        for _ in range(2):
            stack.sql("insert into gateway.taken_room values ('all of it')")
            assert books.told(stack.create()).status == 503
            made = load.created
            time.sleep(rules.A_WHILE_S)
            assert load.created == made
            stack.sql("delete from gateway.taken_room")
            load.wait_for_more(10)
    stack.sql("drop function gateway.full() cascade; drop table gateway.taken_room")
    books.assert_balanced(60.0)


@pytest.mark.parametrize("table", ["gateway.work", "gateway.invoices"])
def test_locks_that_are_not_given_in_time(stack: Stack, table: str) -> None:
    """Somebody holds a table for longer than a statement of the worker waits (5 s): it gives up, waits and tries again."""
    books = Books(stack)
    before = stack.log("postgres").count("canceling statement due to lock timeout")
    with same_workers(stack), Load(stack, books, clients=4) as load:
        with stack.locked(table):
            wait_for(
                "a lock timeout",
                lambda: stack.log("postgres").count("canceling statement due to lock timeout") > before,
                every_s=0.1,
            )
        load.wait_for_more(5)
    books.assert_balanced(60.0)


# ---- standbys


@dataclasses.dataclass
class Cluster:
    """A stack whose workers know two servers: the primary and its synchronous standby, which has a standby itself."""

    stack: Stack
    primary: str
    near: Replica
    far: Replica

    @property
    def hosts(self) -> str:
        return f"host={self.primary},{self.near.directory} port=5432,5432 user=invoicegate_worker dbname=invoicegate"


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    failed = request.session.testsfailed
    with Stack(workers=2, **rules.SETTINGS) as stack, contextlib.ExitStack() as replicas:
        primary = primary_directory(stack)
        near = Replica(stack, "near", of=primary)
        replicas.callback(near.remove)
        far = Replica(stack, "far", of=primary, follows=str(near.directory))
        replicas.callback(far.remove)
        stack.sql("alter system set synchronous_standby_names = 'near'")
        stack.sql("select pg_reload_conf()")
        near.set("synchronous_standby_names", "far")
        near.stop()
        near.start()
        synchronous = "select application_name from pg_stat_replication where sync_state = 'sync'"
        wait_for("the standby", lambda: stack.sql(synchronous) == [{"application_name": "near"}])
        cluster = Cluster(stack, primary, near, far)
        stack.settings["INVOICEGATE_DATABASE"] = cluster.hosts
        stack.up()
        yield cluster
        stack.keep = request.session.testsfailed > failed


def test_failover_under_load(cluster: Cluster) -> None:
    """The primary dies while clients ask; its standby becomes primary. The workers find it by themselves, and whoever was
    told of an invoice before finds it in the books."""
    stack = cluster.stack
    books = Books(stack)
    with same_workers(stack):
        with Load(stack, books) as load:
            load.wait_for_more(20)
            stack.stop_postgres(signal.SIGKILL)
            cluster.near.promote()
            stack.env["INVOICEGATE_AUDIT_DATABASE"] = stack.env["INVOICEGATE_AUDIT_DATABASE"].replace(
                cluster.primary, str(cluster.near.directory)
            )
            load.wait_for_more(20)
        books.assert_balanced(60.0)


def waits_for_standby(stack: Stack) -> list[int]:
    rows = stack.sql("select pid from pg_stat_activity where usename = 'invoicegate_worker' and wait_event = 'SyncRep'")
    return [row["pid"] for row in rows]


@contextlib.contextmanager
def without_standby(cluster: Cluster) -> Iterator[None]:
    cluster.near.stop()
    yield
    cluster.near.start()


INTERRUPTIONS: dict[str, Callable[[Stack, int], object]] = {
    "cancelled": lambda stack, pid: stack.sql("select pg_cancel_backend(%s)", pid),
    "terminated": lambda stack, pid: stack.sql("select pg_terminate_backend(%s)", pid),
}


def test_a_commit_counts_once_the_standby_has_it(cluster: Cluster) -> None:
    """The standby is away, so commits wait. When somebody interrupts that wait, the primary has committed, but the standby
    has not: a failover would lose it. Nobody is told of it before the standby has it, too."""
    stack = cluster.stack
    books = Books(stack)
    assert books.told(stack.create()).status == 200
    for name, interrupt in INTERRUPTIONS.items():
        with same_workers(stack):
            with stack.sandbox.faulty("delay", step="lines", delay_ms=1000, count=1):
                before = stack.sandbox.counts()["lines"]
                pending = stack.send(stack.create_bytes(idempotency_key=name))
                wait_for("the line", lambda: stack.sandbox.counts()["lines"] > before)
                with without_standby(cluster):
                    interrupt_for_a_while(stack, pending, interrupt)
            assert books.told(pending.answer(), name).status in (200, 504)
            books.settle(60.0)
            assert books.told(stack.create(idempotency_key=name), name).status == 200
    books.assert_balanced(60.0)


def interrupt_for_a_while(stack: Stack, pending: Pending, interrupt: Callable[[Stack, int], object]) -> None:
    """Each wait that begins, until the request's own is over for sure; its client hears of no success."""
    end = time.monotonic() + 3.0
    while time.monotonic() < end:
        for pid in waits_for_standby(stack):
            interrupt(stack, pid)
        if pending.is_answered_within(0.1):
            break
    if pending.is_answered_within(0):
        assert pending.sock.recv(64, 2).split(b" ")[1] == b"504"  # 2: MSG_PEEK
