"""The audit's views: their columns stand still, their counts are exact, and nobody sees what is not theirs."""

from __future__ import annotations

import json
import random
import threading
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import psycopg2
import pytest
from audit_world import SECRET, World, world  # noqa: F401 -- a fixture
from ctl_database import ROOT, ctl, new_ctl, server  # noqa: F401 -- fixtures

COLUMNS = Path(__file__).with_name("audit_columns.txt")
EVERYTHING = """
select format('%s.%s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod))
  from pg_class c join pg_attribute a on a.attrelid = c.oid
 where c.relnamespace = 'audit'::regnamespace and a.attnum > 0 order by c.relname, a.attnum
"""
VIEWS = "select relname from pg_class where relnamespace = 'audit'::regnamespace and relkind = 'v' order by 1"


# ---- what dashboards rely on


def test_columns_and_types_stand_still(world: World) -> None:
    """A new column gets a line at the end of its view's in the file; no line is ever changed or taken out."""
    assert [row[0] for row in world.owner.rows(EVERYTHING)] == COLUMNS.read_text().splitlines()


def test_every_view_and_column_is_explained(world: World) -> None:
    rows = world.ctl.json("audit", "describe")["data"]
    assert all(row["about"] for row in rows), [row for row in rows if not row["about"]]
    told = [f"{row['view']}.{row['column']} {row['type']}" for row in rows if row["column"]]
    assert told == COLUMNS.read_text().splitlines()


def test_describe_shows_single_views(world: World) -> None:
    text = world.ctl.out("audit", "describe", "audit.daily")
    assert text.startswith("audit.daily\n") and "created_minor" in text and "audit.requests\n" not in text
    assert "no such view" in world.ctl.refusal(3, "audit", "describe", "nonsense")


# ---- counts

DIRECT = """
select (r.created_at at time zone 'UTC')::date, r.agency_id, r.account_id, r.mode, r.currency,
       count(*) filter (where state = 'created'), count(*) filter (where state = 'failed'),
       count(*) filter (where state = 'refused'), count(*) filter (where state = 'unresolved'),
       count(*) filter (where state = 'open'), coalesce(sum(amount_minor) filter (where state = 'created'), 0)::bigint,
       coalesce(sum(amount_minor) filter (where state = 'failed'), 0)::bigint
  from audit.requests r group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
"""
DAILY = """
select day, agency_id, account_id, mode, currency, created, failed, refused, unresolved, open, created_minor, failed_minor
  from audit.daily where created + failed + refused + unresolved + open > 0 order by 1, 2, 3, 4, 5
"""
HOURLY = """
select (hour at time zone 'UTC')::date, agency_id, account_id, mode, currency, sum(created)::bigint, sum(failed)::bigint,
       sum(refused)::bigint, sum(unresolved)::bigint, sum(open)::bigint, sum(created_minor)::bigint, sum(failed_minor)::bigint
  from audit.hourly group by 1, 2, 3, 4, 5
having sum(created + failed + refused + unresolved + open) > 0 order by 1, 2, 3, 4, 5
"""
ENDS = """
select sum(case what when 'withdrawn' then -1 else 1 end)::bigint from gateway.events
 where about = 'request' and what in ('created', 'failed', 'refused', 'withdrawn', 'settled_created', 'settled_failed')
"""
ROLLED = "select sum(requests)::bigint from gateway.%s"


def assert_exact(world: World) -> None:
    """Rolled up or not, the aggregates say what the requests say: in one snapshot."""
    world.owner.connection.autocommit = False
    world.owner.rows("set transaction isolation level repeatable read")
    direct, daily, hourly = (world.owner.rows(text) for text in (DIRECT, DAILY, HOURLY))
    world.owner.connection.rollback()
    world.owner.connection.autocommit = True
    assert daily == direct
    assert hourly == direct


def test_counts_are_exact_before_and_after_a_roll_up(world: World) -> None:
    world.made(3)
    world.made(2, account="acct_1b")
    world.made(1, agency=2)
    world.finish(world.begin(2), "failed", "upstream_refused")
    world.begin(2, refusal="field_invalid")
    world.note(world.begin(2))
    world.begin(1)
    assert_exact(world)
    assert world.worker.one("select gateway.roll_up()") == 10
    assert_exact(world)
    assert world.worker.one("select gateway.roll_up()") == 0
    world.made(1)
    assert_exact(world)
    reasons = world.auditor.rows("select state, reason, sum(requests)::bigint from audit.failure_reasons group by 1, 2 order by 1")
    assert reasons == [("failed", "upstream_refused", 2), ("refused", "field_invalid", 2)]


def test_an_end_that_is_taken_back_is_taken_back_from_the_counts(world: World) -> None:
    for rolled_between in (False, True):
        (request,) = world.made()
        if rolled_between:
            world.worker.rows("select gateway.roll_up()")
        assert world.worker.one("select verdict from gateway.withdraw_invoice(1, %s, 1)", request) == "go"
        assert_exact(world)
        world.worker.rows("select gateway.roll_up()")
        assert_exact(world)


def test_a_settled_request_is_counted(world: World) -> None:
    first, second = world.begin(2)
    world.owner.rows("select gateway.settle_request(%s, 'failed', null, 'Ada', 'looked')", first)
    world.owner.rows("select gateway.settle_request(%s, 'created', 'in_9', 'Ada', 'looked')", second)
    assert_exact(world)
    assert world.worker.one("select gateway.roll_up()") == 2
    assert_exact(world)


def test_what_commits_after_its_successors_is_not_lost(world: World) -> None:
    """A transaction that began before a roll-up and ends after it."""
    slow = world.login("invoicegate_worker")
    slow.connection.autocommit = False
    late = world.begin(1, session=slow)
    world.finish(late, session=slow)
    world.made(5)
    assert world.worker.one("select gateway.roll_up()") == 5
    assert_exact(world)
    slow.connection.commit()
    assert_exact(world)
    assert world.worker.one("select gateway.roll_up()") == 1
    assert_exact(world)


def test_counts_stay_exact_under_concurrent_writers(world: World) -> None:
    """Writers that commit out of order and roll back, two that roll up, and a reader that compares all the time."""
    faults: list[BaseException] = []
    done = threading.Event()

    def write(seed: int) -> None:
        dice = random.Random(seed)
        session = world.login("invoicegate_worker")
        session.connection.autocommit = False
        for _ in range(25):
            ids = world.begin(dice.randint(1, 4), agency=dice.choice((1, 2)), session=session)
            if dice.random() < 0.5:
                session.connection.commit()
            state = dice.choice(("created", "failed"))
            world.finish(ids, state, None if state == "created" else dice.choice(("a", "b")), session=session)
            session.connection.rollback() if dice.random() < 0.2 else session.connection.commit()

    def roll() -> None:
        session = world.login("invoicegate_worker")
        while not done.is_set():
            session.rows("select gateway.roll_up()")

    def guarded(body, *arguments):
        try:
            body(*arguments)
        except BaseException as fault:  # noqa: BLE001 -- told by the test itself
            faults.append(fault)

    writers = [threading.Thread(target=guarded, args=(write, seed)) for seed in range(4)]
    rollers = [threading.Thread(target=guarded, args=(roll,)) for _ in range(2)]
    for thread in writers + rollers:
        thread.start()
    while any(thread.is_alive() for thread in writers):
        assert_exact(world)
    done.set()
    for thread in writers + rollers:
        thread.join(30)
    assert not faults
    world.worker.rows("select gateway.roll_up()")
    assert_exact(world)
    assert world.auditor.one("select count(*) from audit.ended_lately") == 0
    assert world.owner.one(ENDS) == world.owner.one(ROLLED % "daily") == world.owner.one(ROLLED % "hourly")


def test_latencies_are_told_with_their_shares(world: World) -> None:
    world.made(20)
    world.owner.rows("select pg_sleep(0.01)")
    world.worker.rows("select gateway.roll_up()")
    for view in ("latency_daily", "latency_hourly"):
        (row,) = world.auditor.rows(f"select requests, whole_p50_ms, upstream_p50_ms, rest_p99_ms from audit.{view}")
        assert row[0] == 20 and row[1] >= 1 and 1 <= row[2] <= row[1] and row[3] >= 1
    assert world.auditor.one("select sum(whole)::int from audit.latency_histogram") == 20


def test_a_rebuild_counts_the_same(world: World) -> None:
    world.made(3)
    world.finish(world.begin(2), "failed", "no")
    world.worker.rows("select gateway.roll_up()")
    world.made(2)
    before = world.auditor.rows("select * from audit.daily")
    assert "7 ends" in world.ctl.out("audit", "rebuild")
    assert world.auditor.rows("select * from audit.daily") == before
    assert_exact(world)
    world.made(1)
    assert_exact(world)


def test_what_is_unresolved_is_told_with_its_age(world: World) -> None:
    (request,) = world.begin(1)
    world.begin(1)
    world.note([request])
    (row,) = world.auditor.rows("select request_id::text, state, reason, worker, doing, age_s >= 0 from audit.unresolved")
    assert row == (request, "unresolved", "deadline", "1", "create", True)
    assert world.auditor.one("select count(*) from audit.unfinished") == 2


# ---- who may see what


@pytest.fixture
def harbor(world: World):
    """A dashboard login of agency 1, in a world in which both agencies have everything."""
    for agency in (1, 2):
        world.made(3, agency=agency)
        world.finish(world.begin(1, agency=agency), "failed", SECRET if agency == 2 else "no")
        world.note(world.begin(1, agency=agency))
        world.begin(1, agency=agency, refusal=SECRET if agency == 2 else "no")
    world.worker.rows("select gateway.roll_up()")
    for agency in (1, 2):
        world.made(1, agency=agency)
    world.owner.rows("insert into gateway.reconciliations (agency_id, account_id, mode, since, until, by, listed, recorded, findings)"
                     f"values (2, '{SECRET}', 'live', now(), now(), 'x', 1, 1, 1)")
    login = f"harbor_{world.ctl.name}"[:60]
    made = world.ctl.json("dashboard-login", "add", "1", "--login", login)
    assert made["login"] == login and len(made["password"]) == 48
    yield world.login(login)
    world.ctl.out("dashboard-login", "revoke", login)


def views_of(world: World) -> list[str]:
    return [row[0] for row in world.owner.rows(VIEWS)]


def test_a_dashboard_login_sees_its_own_agency_in_every_view(world: World, harbor) -> None:
    for view in views_of(world):
        own = harbor.rows(f"select v::text from audit.{view} v")
        everything = world.auditor.rows(f"select v::text from audit.{view} v")
        assert not [row for row in own if SECRET in row[0]], view
        if view not in ("workers", "reconciliations", "reconciliation_findings", "dropped_months"):
            assert own, view
        if view not in ("roll_up", "reconciliation_findings", "dropped_months"):
            assert len(own) < len(everything), view
    assert harbor.rows("select distinct agency_id from audit.requests") == [(1,)]
    assert harbor.one("select sum(created)::int from audit.daily") == 4
    calls = harbor.one("select count(*) from audit.upstream_calls")
    world.owner.rows("insert into gateway.events (subject_id, what) select request_id, 'taken_over' from gateway.invoice_requests")
    assert harbor.one("select count(*) from audit.events where what = 'taken_over'") == harbor.one("select count(*) from audit.requests")
    assert calls == harbor.one("select count(*) from audit.upstream_calls c join audit.requests r using (request_id)") > 0


def test_auditors_read_the_views_and_nothing_else(world: World, harbor) -> None:
    tables = [row[0] for row in world.owner.rows(
        "select relname from pg_class where relnamespace = 'gateway'::regnamespace and relkind in ('r', 'p', 'v', 'S')")]
    assert "invoice_requests" in tables
    for session in (world.auditor, harbor):
        for table in tables:
            assert "permission denied" in session.refused(f"select * from gateway.{table}")
        for view in views_of(world):
            assert session.refused(f"delete from audit.{view}") and session.refused(f"create rule r as on insert to audit.{view} do nothing")
        functions = session.rows("select p.oid::regprocedure::text, has_function_privilege(p.oid, 'execute') from pg_proc p "
                                 "where pronamespace in ('gateway'::regnamespace, 'audit'::regnamespace)")
        assert sorted(name for name, may in functions if may) == ["audit.id_at(timestamp with time zone)", "gateway.try_json(bytea)"]


BREAK_OUTS = [
    "set role invoicegate_auditor",
    "set role invoicegate_owner",
    "set role invoicegate_reader",
    "set role invoicegate_maintenance",
    "set session authorization invoicegate_auditor",
    "set row_security = off; select * from audit.requests",
    "create temporary table t (x int)",
    "create function pg_temp.f(text) returns boolean language plpgsql cost 0.0001 as $$begin raise notice '%', $1; return true; end$$",
    "create schema s",
    "create table public.t (x int)",
    "create view audit.v as select 1",
    "alter view audit.requests set (security_invoker = on)",
    "copy gateway.api_keys to stdout",
    "copy (select 1) to program 'true'",
    "select pg_read_file('/etc/passwd')",
    "select lo_import('/etc/passwd')",
    "select * from pg_largeobject",
    "set default_transaction_read_only = off; select lo_create(0)",
    "select pg_advisory_lock(1)",
    "select pg_logical_emit_message(false, '', '')",
    "select * from pg_statistic",
    "select * from pg_authid",
    "select query_to_xml('select * from gateway.api_keys', true, true, '')",
    "select * from dblink('', 'select 1') as t (x int)",
    "alter table gateway.events disable trigger all",
    "drop policy own_agency on gateway.invoice_requests",
    "insert into gateway.dashboard_logins values (current_user, 2)",
    "select gateway.roll_up()",
    "select * from gateway.begin_invoices(1, false, '', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
]


@pytest.mark.parametrize("statement", BREAK_OUTS)
def test_a_dashboard_login_does_not_break_out(harbor, statement: str) -> None:
    said = harbor.refused(statement)
    assert SECRET not in said


PROBES = [
    # what is computed on the way must not see other agencies' rows, whatever it costs
    "select * from audit.requests where 1 / (amount_minor - 777) > 1000000",
    "select * from audit.clients where name::int > 0",
    "select * from audit.requests where coalesce(detail, 'x')::xml is null and reason = 'x'",
    "select * from audit.requests where case when account_id = 'acct_2' then 1 / (amount_minor - 777) = 1 else false end",
    "select * from audit.daily where 1 / (created_minor - 3108) > 1000000",
]


@pytest.mark.parametrize("statement", PROBES)
def test_errors_and_operators_leak_nothing(harbor, statement: str) -> None:
    try:
        rows = harbor.rows(statement)
    except psycopg2.Error as error:
        assert SECRET not in str(error) and "division by zero" not in str(error)
        return
    assert SECRET not in str(rows)


def test_statistics_and_activity_tell_nothing_of_others(world: World, harbor) -> None:
    world.owner.rows("analyze")
    assert SECRET not in str(harbor.rows("select * from pg_stats"))
    world.auditor.rows(f"select '{SECRET}-query'")
    assert SECRET not in str(harbor.rows("select query from pg_stat_activity"))


def test_a_search_path_or_a_group_changes_nothing(harbor) -> None:
    harbor.rows("set search_path = gateway, audit, public")
    assert harbor.rows("select distinct agency_id from audit.requests") == [(1,)]
    harbor.rows("reset search_path; set role invoicegate_dashboard")
    assert harbor.rows("select * from audit.requests") == [] and harbor.rows("select * from audit.daily") == []


def test_a_revoked_login_is_gone_and_was_written_down(world: World, new_ctl) -> None:
    login = f"gone_{world.ctl.name}"[:60]
    world.ctl.out("dashboard-login", "add", "2", "--login", login)
    session = world.login(login)
    # Logins once could make large objects; none must keep the role from going.
    world.owner.rows(f"do $$ begin execute format('alter large object %s owner to {login}', lo_create(0)); end $$")
    assert [row["login"] for row in world.ctl.json("dashboard-login", "list")["data"]] == [login]
    assert "already" in world.ctl.refusal(1, "dashboard-login", "add", "2", "--login", login)
    world.ctl.out("dashboard-login", "revoke", login)
    assert session.refused("select 1")
    with pytest.raises(psycopg2.OperationalError):
        world.login(login)
    assert world.auditor.rows("select what from audit.events where about = 'login' order by at") == [
        ("dashboard login added",), ("dashboard login revoked",)]
    assert "no dashboard login" in world.ctl.refusal(3, "dashboard-login", "revoke", login)
    assert "no agency 9" in world.ctl.refusal(3, "dashboard-login", "add", "9")


# ---- pages and the dashboard


def test_lists_use_their_indexes(world: World) -> None:
    """Newest first by account, client, agency or time: from an index, without a sort."""
    world.made(5)
    session = world.login("invoicegate_auditor")
    session.rows("set enable_seqscan = off; set enable_sort = off; set enable_bitmapscan = off")
    for view in ("requests", "invoices"):
        for condition in ("account_id = 'acct_1'", "client_id = 'c1'", "agency_id = 1", "created_at > now() - interval '1 day'"):
            plan = "\n".join(row[0] for row in session.rows(
                f"explain select * from audit.{view} where {condition} order by created_at desc limit 50"))
            assert "Sort  (" not in plan and "Index Scan Backward" in plan, plan
    for query in ("audit.invoices where invoice_id = 'in_1'", f"audit.requests where request_id = '{world.made()[0]}'",
                  f"audit.invoices where request_id = '{world.made()[0]}'"):
        plan = "\n".join(row[0] for row in session.rows(f"explain select * from {query}"))
        assert "Seq Scan on invoice" not in plan, plan
