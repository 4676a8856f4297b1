"""What people start from: the Grafana dashboard's queries, the README's, and the same views on a streaming replica."""

from __future__ import annotations

import json
import re
import subprocess
import time
from datetime import datetime, timedelta, timezone

import psycopg2
import pytest
from audit_world import Session, World, world  # noqa: F401 -- a fixture
from ctl_database import ROOT, Server, ctl, new_ctl, server  # noqa: F401 -- fixtures

DASHBOARD = json.loads((ROOT / "sql" / "grafana" / "invoicegate.json").read_text())
QUERIES = [(panel["title"], target["rawSql"], target["format"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
QUERIES += [(variable["name"], variable["query"], "table") for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]
README_QUERIES = re.findall(r"```sql\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
PATIENCE_S = 30


def expanded(query: str, accounts: str) -> str:
    """As Grafana's PostgreSQL data source writes its macros and variables."""
    now = datetime.now(timezone.utc)
    since, until = (f"'{moment:%Y-%m-%dT%H:%M:%SZ}'" for moment in (now - timedelta(days=1), now + timedelta(minutes=1)))
    query = re.sub(r"\$__timeFilter\(([^)]+)\)", rf"\1 BETWEEN {since} AND {until}", query)
    query = query.replace("$__timeFrom()", since).replace("$__timeTo()", until)
    query = query.replace("${mode:sqlstring}", "'live'").replace("${account:sqlstring}", accounts)
    assert "$" not in query
    return query


@pytest.fixture
def busy(world: World) -> World:
    world.made(4)
    world.made(1, agency=2)
    world.finish(world.begin(1), "failed", "upstream_refused")
    world.note(world.begin(1))
    world.worker.rows("select gateway.roll_up()")
    world.owner.rows("insert into gateway.reconciliations (agency_id, account_id, mode, since, until, by, listed, recorded, findings)"
                     "values (1, 'acct_1', 'live', now(), now(), 'x', 1, 1, 1);"
                     "insert into gateway.reconciliation_findings values (1, 1, 'missing_here', 'in_9')")
    return world


@pytest.mark.parametrize("title, query, form", QUERIES, ids=[query[0] for query in QUERIES])
def test_each_query_of_the_dashboard_runs_and_finds(busy: World, title: str, query: str, form: str) -> None:
    for accounts in ("''", "'acct_1','acct_2'"):
        rows = busy.auditor.rows(expanded(query, accounts))
        assert rows, title
    if form == "time_series":
        assert isinstance(rows[0][0], datetime)
    own = busy.auditor.rows(expanded(query, "'nobody'"))
    assert "account:" not in query or own in ([], [(0,)])


def test_the_dashboard_uses_the_views_alone() -> None:
    for _, query, _ in QUERIES:
        assert set(re.findall(r"(?:from|join) ([a-z_.]+)", query)) <= {f"audit.{name}" for name in re.findall(r"audit\.(\w+)", query)}


def test_the_readme_has_ready_queries() -> None:
    assert len(README_QUERIES) >= 5


@pytest.mark.parametrize("query", README_QUERIES, ids=[query.splitlines()[0] for query in README_QUERIES])
def test_each_query_of_the_readme_runs(busy: World, query: str) -> None:
    busy.auditor.rows(query.replace("REQUEST_ID", busy.made(1)[0]))


# ---- a replica


class Replica:
    """A streaming standby in a directory beside its primary's."""

    def __init__(self, primary: Server) -> None:
        self.primary = primary
        self.directory = primary.directory / "replica"
        self.data = str(self.directory / "data")

    def start(self) -> None:
        self.directory.mkdir(mode=0o700)
        primary = self.primary
        primary._program("pg_basebackup", "-h", str(primary.directory), "-U", "postgres", "-D", self.data, "-R", "-c", "fast")
        primary._program("pg_ctl", "-w", "-D", self.data, "-o", f"-k {self.directory} -c listen_addresses= -c fsync=off",
                         "-l", str(self.directory / "server.log"), "start")

    def stop(self) -> None:
        self.primary._program("pg_ctl", "-w", "-m", "immediate", "-D", self.data, "stop")

    def login(self, world: World, user: str) -> Session:
        dsn = world.dsn.replace(str(self.primary.directory), str(self.directory)).replace("user=postgres", f"user={user}")
        return Session(dsn)

    def catch_up(self, world: World) -> None:
        position = world.owner.one("select pg_current_wal_lsn()")
        session = Session(f"host={self.directory} user=postgres dbname=postgres")  # the test's own may not have arrived yet
        end = time.monotonic() + PATIENCE_S
        while session.one("select pg_last_wal_replay_lsn() < %s", position):
            assert time.monotonic() < end, "the replica does not follow"
            time.sleep(0.02)
        session.close()


@pytest.fixture(scope="module")
def replica(server):
    running = Replica(server)
    running.start()
    yield running
    running.stop()


def test_a_replica_answers_the_same(busy: World, replica: Replica) -> None:
    login = f"replica_{busy.ctl.name}"[:60]
    busy.ctl.out("dashboard-login", "add", "1", "--login", login)
    busy.made(2)  # not rolled up
    views = [row[0] for row in busy.owner.rows(
        "select relname from pg_class where relnamespace = 'audit'::regnamespace and relkind = 'v' order by 1")]
    replica.catch_up(busy)
    for user in ("invoicegate_auditor", login):
        here, there = busy.login(user), replica.login(busy, user)
        for view in views:
            text = f"select v::text from audit.{view} v order by 1"
            if view in ("unfinished", "unresolved", "roll_up"):
                text = f"select count(*) from audit.{view}"  # ages go on
            assert there.rows(text) == here.rows(text), view
        for _, query, _ in QUERIES:
            there.rows(expanded(query, "''"))
        there.close()
    busy.ctl.out("dashboard-login", "revoke", login)


def test_the_worker_never_reads_from_a_replica(busy: World, replica: Replica) -> None:
    replica.catch_up(busy)
    session = replica.login(busy, "invoicegate_worker")
    assert "read-only" in session.refused("select gateway.roll_up()")
    assert "read-only" in session.refused("select * from gateway.hello('h', 1, 'b', 1::smallint, 'u', '', true, false, 1000)")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(session.connection.dsn + " target_session_attrs=read-write")  # as the worker asks
    session.close()
