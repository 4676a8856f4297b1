"""What PostgreSQL leaves open to every login is closed: shared locks, large objects, the log, conditions that look too early."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timezone
from pathlib import Path

import psycopg2
import pytest
from audit_world import World, world  # noqa: F401 -- a fixture
from ctl_database import ctl, new_ctl, server  # noqa: F401 -- fixtures

USERS = ["harbor", "invoicegate_auditor", "invoicegate_worker"]
OPEN = "select count(*) from gateway.shared_functions() s where has_function_privilege(%s, s.function, 'execute')"
SETTINGS = """
select unnest(setconfig) from pg_db_role_setting
 where setrole = %s::regrole and setdatabase = (select oid from pg_database where datname = current_database()) order by 1
"""


@pytest.fixture
def harbor(world: World):
    """A dashboard login of agency 1."""
    login = f"closed_{world.ctl.name}"[:60]
    world.ctl.out("dashboard-login", "add", "1", "--login", login)
    yield world.login(login)
    world.ctl.out("dashboard-login", "revoke", login)


# ---- functions of the server


@pytest.mark.parametrize("user", USERS)
def test_logins_may_not_use_what_all_share(world: World, harbor, user: str) -> None:
    session = harbor if user == "harbor" else world.login(user)
    session.rows("set default_transaction_read_only = off")
    functions = world.owner.rows("select function::text from gateway.shared_functions()")
    names = {function.split("(")[0] for (function,) in functions}
    assert {"pg_advisory_lock", "pg_try_advisory_xact_lock_shared", "pg_advisory_unlock_all", "lo_create", "lo_creat", "lo_put",
            "lo_from_bytea", "lowrite", "loread", "lo_open", "lo_truncate64", "lo_unlink", "pg_logical_emit_message"} <= names
    assert world.owner.one(OPEN, session.one("select current_user::text")) == 0
    for statement in ("pg_advisory_lock(hashtextextended('invoicegate.roll_up', 0))", "pg_try_advisory_xact_lock(1, 2)",
                      "lo_create(0)", "lo_from_bytea(0, 'x')", "pg_logical_emit_message(false, 'x', 'y')"):
        assert "permission denied for function" in session.refused(f"select {statement}")


def test_the_owner_s_side_still_locks(world: World) -> None:
    assert world.owner.one(OPEN, "public") == 0
    locks = world.owner.one("select count(*) from gateway.shared_functions() where locks")
    assert world.owner.one(OPEN, "invoicegate_owner") == locks > 10
    world.made(1)
    assert world.worker.one("select gateway.roll_up()") == 1
    assert world.worker.one("select gateway.make_partitions(3)") == 0
    world.ctl.out("audit", "rebuild")


def test_they_can_be_closed_again(world: World) -> None:
    world.owner.rows("grant execute on function pg_advisory_lock(bigint), lo_create(oid) to public")
    assert world.owner.one(OPEN, "public") == 2
    assert world.owner.one("select gateway.close_functions()") == 0
    assert world.owner.one(OPEN, "public") == 0


@pytest.fixture
def deployer(server):
    """Who migrates where nobody is a superuser."""
    name = "closed_deployer"
    server.sql("postgres", f"create role {name} login createrole; grant invoicegate_owner to {name}")
    return name


def test_whoever_may_not_close_them_is_warned(server, new_ctl, deployer: str) -> None:
    ctl = new_ctl("template1")
    server.sql("postgres", f"grant create on database {ctl.name} to {deployer}")
    string = {"INVOICEGATE_DATABASE": server.database(ctl.name).replace("user=postgres", f"user={deployer}")}
    warned = ctl.run("migrate", "--sql", str(server.migrations), **string).stderr.splitlines()
    assert all(line.startswith("warning: ") for line in warned)
    assert len([line for line in warned if "stay open to every login" in line]) == 1
    done = ctl.run("doctor", "--json", "--sql", str(server.migrations), code=1, **string)
    (grants,) = [finding for finding in json.loads(done.stdout)["data"] if finding["check"] == "grants"]
    assert grants["state"] == "warning" and "gateway.close_functions()" in grants["advice"]
    # A superuser mends it; whoever migrates still can.
    assert ctl.sql("select gateway.close_functions()") == "0"
    assert "nothing to do" in ctl.out("migrate", "--sql", str(server.migrations), **string)
    # Nor may they limit a login's files.
    ctl.out("agency", "add", "x", **string)
    added = ctl.run("dashboard-login", "add", "1", "--login", "closed_unlimited", **string)
    assert "temporary files have no limit" in added.stderr and len(added.stdout.splitlines()) == 2
    assert "statement_timeout" in ctl.sql(SETTINGS.replace("%s", "'closed_unlimited'"))
    ctl.run("dashboard-login", "revoke", "closed_unlimited")


def test_a_dashboard_login_is_limited(world: World, harbor) -> None:
    settings = [row[0] for row in world.owner.rows(SETTINGS, harbor.one("select current_user::text"))]
    assert settings == ["default_transaction_read_only=on", "idle_in_transaction_session_timeout=10min", "jit=off",
                        "statement_timeout=60s", "temp_file_limit=1GB"]
    assert harbor.one("select current_setting('temp_file_limit')") == "1GB"
    assert "permission denied to set parameter" in harbor.refused("set temp_file_limit = -1")


def test_logins_that_are_there_already_are_limited_too(server, new_ctl, tmp_path: Path) -> None:
    ctl = new_ctl("template1")
    for file in server.migrations.glob("*.sql"):
        if file.name < "018":
            shutil.copy(file, tmp_path)
    ctl.run("migrate", "--sql", str(tmp_path))
    ctl.out("agency", "add", "x")
    ctl.sql("create role closed_before login in role invoicegate_dashboard;"
            "insert into gateway.dashboard_logins values ('closed_before', 1), ('closed_dropped_by_hand', 1)")
    done = ctl.run("migrate", "--sql", str(server.migrations))
    assert done.stderr == ""
    settings = ctl.sql(SETTINGS.replace("%s", "'closed_before'")).splitlines()
    assert settings == ["idle_in_transaction_session_timeout=10min", "temp_file_limit=1GB"]


# ---- views


def test_conditions_on_what_is_unfinished_see_one_agency_s_rows(world: World, harbor) -> None:
    world.note(world.begin(1))
    theirs = world.begin(2, agency=2)
    world.note(theirs)
    world.owner.rows("update gateway.work set doing = 'advance', due_at = '2099-12-31', parked_at = '2098-12-31', take_overs = 77"
                     " where request_id = any (%s::uuid[])", theirs)
    for view in ("unfinished", "unresolved"):
        assert harbor.one(f"select count(*) from audit.{view}") == 1
        for condition in ("doing::int = 1", "due_at::text::int = 1", "parked_at::text::int = 1", "1 / (take_overs - 77) > 9"):
            try:
                assert harbor.rows(f"select * from audit.{view} where {condition}") == []
            except psycopg2.Error as error:  # about the own row
                said = str(error)
                assert not any(word in said for word in ("advance", "2099", "2098", "division by zero")), said


def test_every_view_on_a_table_without_a_policy_judges_first(world: World) -> None:
    """gateway.upstreams gives mode alone, which is no secret; the roll-up's state is of no agency."""
    rows = world.owner.rows("""
select distinct v.relname
  from pg_class v
  join pg_rewrite w on w.ev_class = v.oid
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
  join pg_class t on t.oid = d.refobjid
 where v.relnamespace = 'audit'::regnamespace and v.relkind = 'v' and t.relnamespace = 'gateway'::regnamespace
   and t.relkind in ('r', 'p') and not t.relrowsecurity and t.relname not in ('upstreams', 'roll_up_state')
   and not coalesce(v.reloptions @> '{security_barrier=true}', false)
""")
    assert rows == []
    barriers = ("select relname from pg_class where relnamespace = 'audit'::regnamespace"
                " and reloptions @> '{security_barrier=true}' order by 1")
    assert [row[0] for row in world.owner.rows(barriers)] == ["dropped_months", "unfinished", "unresolved", "workers"]


# ---- maintenance


def test_what_maintenance_changes_is_an_event(world: World) -> None:
    (request,) = world.made(1)
    acts = "select what, why from audit.events where about = 'maintenance' order by at, event_id"
    assert world.auditor.rows(acts) == []  # the worker's own updates are none
    session = world.login("postgres")
    session.rows("update gateway.invoice_requests set detail = 'x'")
    assert world.auditor.rows(acts) == []
    session.rows("set role invoicegate_maintenance")
    session.rows("update gateway.invoice_requests set detail = 'y' where request_id = %s", request)
    session.rows("update gateway.invoices set status = 'void' where request_id = %s", request)
    first, second = world.auditor.rows(acts)
    assert first[0] == second[0] == "history updated"
    for (_, why), table in ((first, "invoice_requests"), (second, "invoices")):
        assert why.startswith(table) and request in why and why.endswith("; by postgres")
    assert world.owner.one("select status from gateway.invoices") == "void"


def test_months_to_come_tell_of_maintenance_too(world: World) -> None:
    (request,) = world.made(1, at=datetime(2041, 5, 5, tzinfo=timezone.utc))
    assert world.worker.one("select gateway.make_partitions(3)") > 0
    session = world.login("postgres")
    session.rows("set role invoicegate_maintenance")
    session.rows("update gateway.invoice_requests set detail = 'y' where request_id = %s", request)
    assert world.auditor.one("select why from audit.events where about = 'maintenance'").startswith("invoice_requests_2041_05 ")
