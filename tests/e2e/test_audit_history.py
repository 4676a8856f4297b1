"""History: it only grows, its months are made in time whatever the clock does, and old months leave in order."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from audit_world import World, id_at, world  # noqa: F401 -- a fixture
from ctl_database import ctl, new_ctl, server  # noqa: F401 -- fixtures

HISTORY = ["events", "upstream_calls"]
BOOKS = ["invoice_requests", "invoices"]  # they change while they are worked on, and never go


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


# ---- append-only


def partition_of(world: World, table: str) -> str:
    return world.owner.one(f"select tableoid::regclass::text from gateway.{table} limit 1")


@pytest.mark.parametrize("role", ["postgres", "invoicegate_owner"])
@pytest.mark.parametrize("table", HISTORY + BOOKS)
def test_history_is_refused_to_everyone(world: World, table: str, role: str) -> None:
    world.made(2)
    session = world.login("postgres")
    session.rows(f"set role {role}")
    before = session.rows(f"select t::text from gateway.{table} t order by 1")
    for place in {f"gateway.{table}", partition_of(world, table)}:
        statements = [f"delete from {place}", f"truncate {place} cascade"]
        if table in HISTORY:
            column = "what" if table == "events" else "outcome"
            statements += [f"update {place} set {column} = 'x'", f"update {place} set {column} = {column} where false or true",
                           f"insert into {place} select * from {place} on conflict ({'subject_id, event_id' if table == 'events' else 'request_id, fence, step, attempt'}) "
                           f"do update set {column} = 'x'"]
        for statement in statements:
            assert "append-only" in session.refused(statement), statement
    assert session.rows(f"select t::text from gateway.{table} t order by 1") == before


def test_the_worker_cannot_even_ask(world: World) -> None:
    for table in HISTORY + BOOKS:
        for statement in (f"delete from gateway.{table}", f"truncate gateway.{table}", f"select * from gateway.{table}"):
            assert "permission denied" in world.worker.refused(statement)


def test_the_maintenance_role_may_and_is_written_down(world: World) -> None:
    (request,) = world.made(1)
    session = world.login("postgres")
    session.rows("set role invoicegate_maintenance")
    session.rows("update gateway.upstream_calls set outcome = 'ok' where request_id = %s", request)
    session.rows("delete from gateway.events where subject_id = %s and what = 'opened'", request)
    session.rows("truncate gateway.upstream_calls")
    assert session.refused("select * from gateway.api_keys")
    acts = world.auditor.rows("select what, why from audit.events where about = 'maintenance' order by at, event_id")
    assert [what for what, _ in acts] == ["history updated", "history deleted"] + ["history truncated"] * (len(acts) - 2)
    assert all("by postgres" in why for _, why in acts) and request in acts[0][1] and request in acts[1][1] and len(acts) > 2


def test_a_batch_reads_each_of_its_requests_not_all_that_lie_between(world: World) -> None:
    """On tables that nobody has analyzed, where the planner takes any span of ids for one row."""
    count = 100
    session = world.login("invoicegate_worker")
    session.connection.autocommit = False
    read = "select sum(idx_tup_fetch)::integer from pg_stat_xact_user_tables where relname like 'invoice_requests%'"
    requests = world.begin(count, session=session)
    for step in (
        lambda: session.rows("select * from gateway.plan_invoices(1, %s::uuid[], %s, %s::text[], %s::text[], %s::text[], %s::bigint[], "
                             "%s::text[], %s::bytea[])", requests, [1] * count, *[[None] * count] * 6),
        lambda: world.note(requests, session=session),
        lambda: world.finish(requests, session=session),
    ):
        before = session.one(read)
        step()
        assert session.one(read) - before < 10 * count
    session.connection.rollback()


def test_every_change_of_state_is_an_event_of_its_transaction(world: World) -> None:
    session = world.login("invoicegate_worker")
    session.connection.autocommit = False
    (request,) = world.begin(1, session=session)
    world.note([request], session=session)
    world.finish([request], session=session)
    session.connection.rollback()
    assert world.auditor.rows("select * from audit.requests") == world.auditor.rows("select * from audit.events where request_id is not null") == []
    (request,) = world.begin(1)
    world.note([request])
    world.finish([request])
    story = world.auditor.rows("select what, why, worker from audit.events where request_id = %s order by at", request)
    assert story == [("opened", None, "1"), ("unresolved", "deadline", "1"), ("created", None, "1")]


# ---- months


def place_of(world: World, table: str, request: str) -> str:
    column = "subject_id" if table == "events" else "request_id"
    return world.owner.one(f"select tableoid::regclass::text from gateway.{table} where {column} = %s limit 1", request)


def make(world: World, at: str, ahead: int = 1) -> int:
    return world.owner.one("select gateway.make_partitions_from(%s, %s)", moment(at), ahead)


def test_months_are_made_across_a_year_s_end(world: World) -> None:
    assert make(world, "2031-11-30 23:59:59", 3) == 12
    assert make(world, "2031-11-30 23:59:59", 3) == 0
    for at, month in (("2031-12-31 23:59:59.999", "2031_12"), ("2032-01-01 00:00:00", "2032_01"), ("2032-02-29 23:00:00", "2032_02")):
        (request,) = world.made(1, at=moment(at))
        for table in ("invoice_requests", "upstream_calls", "events"):
            assert place_of(world, table, request) == f"gateway.{table}_{month}"


@pytest.mark.parametrize("at", ["1999-01-01", "2027-12-31 23:59:59.999", "2028-01-01", "2048-02-29", "2150-06-01"])
def test_no_insert_fails_for_want_of_a_month(world: World, at: str) -> None:
    (request,) = world.made(1, at=moment(at))
    assert place_of(world, "invoice_requests", request) == "gateway.invoice_requests_default"
    assert world.auditor.one("select count(*) from audit.requests") == 1


def test_a_clock_that_jumped_is_put_right(world: World) -> None:
    """Rows that had to go into the default partition move to their months, and history says nothing was lost."""
    jumped = world.made(2, at=moment("2033-12-31 23:59:59.500")) + world.made(1, at=moment("2034-03-01"))
    (open_one,) = world.begin(1, at=moment("2034-01-15"))
    odd = world.made(1, at=moment("2150-01-01"))
    before = world.auditor.rows("select e::text from audit.events e order by 1")
    assert world.worker.one("select gateway.make_partitions(3)") == 3 * 3 - 1  # no call was made in January
    assert [place_of(world, "events", request)[-7:] for request in jumped] == ["2033_12", "2033_12", "2034_03"]
    assert place_of(world, "events", odd[0]) == "gateway.events_default"
    assert world.auditor.rows("select e::text from audit.events e order by 1") == before
    assert world.worker.one("select gateway.make_partitions(3)") == 0
    world.finish([open_one])
    world.made(1)
    assert "append-only" in world.owner.refused("delete from gateway.events_default")
    assert "append-only" in world.owner.refused("truncate gateway.events_2034_03")


def test_making_months_gives_way(world: World) -> None:
    """A reader that holds a table keeps months from being made, and nobody else from working."""
    world.made(1, at=moment("2040-05-05"))
    reader = world.login("invoicegate_auditor")
    reader.connection.autocommit = False
    reader.rows("select count(*) from audit.events")
    assert world.worker.one("select gateway.make_partitions(3)") == 1  # of calls: the reader holds events and requests
    world.made(1, at=moment("2040-05-06"))
    reader.connection.rollback()
    assert world.worker.one("select gateway.make_partitions(3)") == 2


def test_writers_go_on_while_months_are_made(world: World) -> None:
    other = world.login("invoicegate_worker")
    other.connection.autocommit = False
    ids = world.begin(2, session=other)
    make(world, "2036-01-01")
    world.finish(ids, session=other)
    other.connection.commit()
    assert world.auditor.one("select count(*) from audit.requests where state = 'created'") == 2


# ---- retention


@pytest.fixture
def old(world: World):
    """A month that is over, with requests of both agencies."""
    make(world, "2024-01-01", 1)
    world.made(3, at=moment("2024-01-31 12:00"))
    world.finish(world.begin(1, agency=2, at=moment("2024-01-01")), "failed", 'with "quotes", a \\ and a\nnewline')
    world.made(1, at=moment("2024-02-01"))
    world.made(1)
    world.worker.rows("select gateway.roll_up()")
    return world


def retire(world: World, directory: Path, **more) -> list[dict]:
    return world.ctl.json("retention", "--keep-months", "12", "--to", str(directory), **more)["data"]


def test_old_months_are_exported_checked_and_dropped(old: World, tmp_path: Path) -> None:
    listed = old.ctl.json("retention", "--keep-months", "12", "--dry-run")["data"]
    assert [row["month"] for row in listed] == ["2024-01", "2024-02"]
    kept = old.owner.rows("select row_to_json(e)::text from gateway.events e where at is not null order by 1")
    january = old.owner.rows("select row_to_json(e)::text from gateway.events_2024_01 e order by 1")
    counts = old.auditor.rows("select * from audit.daily order by day, agency_id, account_id")
    done = retire(old, tmp_path)
    assert [row["month"] for row in done] == ["2024-01", "2024-02"] and len(kept) > len(january)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{table}_2024_0{month}.jsonl" for table in ("events", "invoice_requests", "upstream_calls") for month in (1, 2))
    lines = (tmp_path / "events_2024_01.jsonl").read_text().splitlines()
    assert sorted(lines) == [row[0] for row in january]
    assert any(json.loads(line)["why"] == 'with "quotes", a \\ and a\nnewline' for line in lines)
    assert old.owner.one("select to_regclass('gateway.events_2024_01') is null")
    assert old.auditor.one("select count(*) from audit.requests") == 1
    assert old.auditor.rows("select * from audit.daily order by day, agency_id, account_id") == counts
    assert old.auditor.one("select count(*) from audit.invoices") == 5
    assert old.auditor.one("select count(*) from audit.events where what = 'month dropped'") == 2
    assert old.auditor.one("select count(*) from audit.dropped_months") == 2
    assert old.ctl.json("retention", "--keep-months", "12", "--dry-run")["data"] == []
    old.ctl.out("audit", "rebuild")
    assert old.auditor.rows("select * from audit.daily order by day, agency_id, account_id") == counts
    old.made(1, at=moment("2024-01-15"))  # a late one still has a place


def test_unfinished_or_uncounted_months_stay(old: World, tmp_path: Path) -> None:
    (late,) = old.begin(1, at=moment("2024-01-20"))
    assert "unfinished" in old.ctl.refusal(1, "retention", "--keep-months", "12", "--to", str(tmp_path))
    old.finish([late])
    rolling = old.login("invoicegate_worker")
    rolling.connection.autocommit = False
    assert rolling.one("select gateway.roll_up()") == 1
    assert "not counted yet" in old.ctl.refusal(1, "retention", "--keep-months", "12", "--to", str(tmp_path))
    rolling.connection.rollback()
    assert list(tmp_path.iterdir()) == []  # what stays is not exported
    assert len(retire(old, tmp_path)) == 2
    assert old.auditor.one("select sum(created + failed)::int from audit.daily") == 7


def test_a_month_that_comes_back_replaces_nothing(old: World, tmp_path: Path) -> None:
    """A late row makes a dropped month anew: what was exported before is all that is left of its other rows."""
    name = "invoice_requests_2024_01"
    retire(old, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for late in (2, 3):
        (request,) = old.made(1, at=moment(f"2024-01-1{late}"))
        old.worker.rows("select gateway.roll_up()")
        old.worker.rows("select gateway.make_partitions(1)")
        (done,) = retire(old, tmp_path)
        file = tmp_path / f"{name}.{late}.jsonl"
        assert [json.loads(line)["request_id"] for line in file.read_text().splitlines()] == [request]
        assert done["tables"][name]["file"] == str(file)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name in before} == before
    assert len(list(tmp_path.iterdir())) == 3 * len(before) - 6  # February did not come back
    tables = old.auditor.one("select tables from audit.dropped_months where month = '2024-01-01Z'")
    assert [tables[key]["rows"] for key in (name, f"{name}.2", f"{name}.3")] == [4, 1, 1]
    assert {Path(facts["file"]).name for facts in tables.values()} == {p.name for p in tmp_path.iterdir() if "2024_01" in p.name}


def test_what_changed_since_its_export_is_not_dropped(old: World) -> None:
    tables = {name: {"state": old.owner.one("select gateway.state_of_table(%s)", name)}
              for name in ("events_2024_01", "invoice_requests_2024_01", "upstream_calls_2024_01")}
    drop = "select gateway.drop_month('2024-01-01Z', %s::jsonb, 'test')"
    assert "not the partitions" in old.owner.refused(drop, json.dumps({"events_2024_01": {}}))
    old.owner.rows("update gateway.invoice_requests set detail = 'x' where request_id < gateway.uuid_at('2024-01-30')")
    assert "has changed since" in old.owner.refused(drop, json.dumps(tables))
    tables["invoice_requests_2024_01"]["state"] = old.owner.one("select gateway.state_of_table('invoice_requests_2024_01')")
    old.owner.rows(drop, json.dumps(tables))
    for session in (old.worker, old.auditor):
        assert "permission denied" in session.refused("select gateway.drop_month('2024-02-01Z', '{}', 'x')")


def test_a_file_that_cannot_be_written_drops_nothing(old: World, tmp_path: Path) -> None:
    (tmp_path / "events_2024_01.jsonl.part").symlink_to("/dev/full")
    assert "cannot be written" in old.ctl.refusal(1, "retention", "--keep-months", "12", "--to", str(tmp_path))
    assert "--to" in old.ctl.refusal(1, "retention", "--keep-months", "12", "--to", str(tmp_path / "nowhere"))
    assert "--dry-run" in old.ctl.refusal(2, "retention", "--keep-months", "12")
    assert old.auditor.one("select count(*) from audit.requests") == 6
