"""Two agencies whose requests a worker's functions write, for the tests that begin with test_audit."""

from __future__ import annotations

import os
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any, Sequence

import psycopg2
import psycopg2.extensions
import pytest
from ctl_database import Ctl

AGENCIES = {1: ("Blue Harbor", b"1" * 32), 2: ("Red Quarry", b"2" * 32)}
SECRET = "red-quarry-secret"  # stands in every row of agency 2 that holds free text

SETUP = f"""
insert into gateway.agencies (name) values ('Blue Harbor'), ('Red Quarry');
insert into gateway.api_keys (agency_id, digest, mode, hint) values (1, '{'1' * 32}', 'live', '1111'), (2, '{'2' * 32}', 'live', '2222');
insert into gateway.accounts (agency_id, account_id, is_default)
values (1, 'acct_1', true), (1, 'acct_1b', false), (2, 'acct_2', true);
insert into gateway.clients (agency_id, client_id, name) values (1, 'c1', 'Northwind'), (2, 'c2', '{SECRET}');
insert into gateway.members (agency_id, client_id, name, email, is_admin)
values (1, 'c1', 'Ada', 'ada@example.com', true), (2, 'c2', '{SECRET}', '{SECRET}@example.com', true);
insert into gateway.upstreams (url, platform, mode) values ('https://api.example.com', '', 'live');
insert into gateway.workers (host, pid, build, lease_until, recipe, live_upstream)
values ('alpha', 11, 'test', now() + interval '1 hour', 1, 1);
insert into gateway.customers (agency_id, client_id, account_id, upstream_id, generation, recipe, name, email, customer_id)
values (1, 'c1', 'acct_1', 1, 1, 1, 'Ada', 'ada@example.com', 'cus_1'), (1, 'c1', 'acct_1b', 1, 1, 1, 'Ada', null, 'cus_1b'),
       (2, 'c2', 'acct_2', 1, 1, 1, '{SECRET}', '{SECRET}@example.com', 'cus_2');
insert into gateway.products (agency_id, account_id, upstream_id, product_id, name, active, price_id, fetched_at)
values (1, 'acct_1', 1, 'prod', 'P', true, 'price', now() + interval '1 day'),
       (1, 'acct_1b', 1, 'prod', 'P', true, 'price', now() + interval '1 day'),
       (2, 'acct_2', 1, 'prod', '{SECRET}', true, 'price', now() + interval '1 day');
insert into gateway.prices values (1, 'acct_1', 1, 'price', 'prod', 10000, 'usd', now()), (1, 'acct_1b', 1, 'price', 'prod', 500, 'eur', now()),
       (2, 'acct_2', 1, 'price', 'prod', 777, 'usd', now());
"""


def id_at(moment: datetime) -> str:
    raw = bytearray(int(moment.timestamp() * 1000).to_bytes(6, "big") + os.urandom(10))
    raw[6], raw[8] = 0x70 | raw[6] & 15, 0x80 | raw[8] & 63
    return str(uuid.UUID(bytes=bytes(raw)))


class Session:
    """A connection of one role. Statements outside of begin() and commit() are transactions of their own."""

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg2.connect(dsn)
        self.connection.autocommit = True

    def rows(self, statement: str, *values: Any) -> list[tuple]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *values: Any) -> Any:
        return self.rows(statement, *values)[0][0]

    def refused(self, statement: str, *values: Any) -> str:
        """What the server says; the statement must fail."""
        with pytest.raises(psycopg2.Error) as refusal:
            self.rows(statement, *values)
        return str(refusal.value)

    def close(self) -> None:
        self.connection.close()


class World:
    """A database with the two agencies. worker, auditor and owner are sessions; login() makes more."""

    def __init__(self, ctl: Ctl) -> None:
        self.ctl = ctl
        self.dsn = ctl.environment["INVOICEGATE_DATABASE"]
        self.sessions: list[Session] = []
        self.free_text: dict[str, str] = {}  # what stands in a request's rows, by its id
        self.owner = self.login("postgres")
        self.owner.rows(SETUP)
        self.worker = self.login("invoicegate_worker")
        self.auditor = self.login("invoicegate_auditor")

    def login(self, user: str) -> Session:
        self.sessions.append(Session(self.dsn.replace("user=postgres", f"user={user}")))
        return self.sessions[-1]

    def close(self) -> None:
        for session in self.sessions:
            session.close()

    def begin(self, count: int = 1, agency: int = 1, account: str | None = None, at: datetime | None = None,
              session: Session | None = None, refusal: str | None = None) -> list[str]:
        """Records intents and answers their ids, in order."""
        at = at or datetime.now(timezone.utc)
        ids = sorted(id_at(at + timedelta(milliseconds=i)) for i in range(count))
        rows = (session or self.worker).rows(
            "select verdict from gateway.begin_invoices(1, false, 'v', %s::uuid[], %s::bytea[], %s, %s, %s, %s, %s, "
            "%s::integer[], %s::text[], %s::bytea[], %s::integer[], %s::text[], %s::text[])",
            ids, [AGENCIES[agency][1]] * count, ["account_invoices"] * count, [account or f"acct_{agency}"] * count,
            [f"c{agency}"] * count, ["prod"] * count, ["charge_automatically"] * count, [None] * count, [None] * count,
            [b"f" * 32] * count, [400 if refusal else 0] * count, [refusal] * count, [SECRET if agency == 2 else None] * count,
        )
        assert {row[0] for row in rows} == {"refused" if refusal else "go"}
        self.free_text.update(dict.fromkeys(ids, SECRET if agency == 2 else "text"))
        return ids

    def note(self, ids: Sequence[str], state: str = "unresolved", session: Session | None = None) -> None:
        count = len(ids)
        (session or self.worker).rows(
            "select * from gateway.note_invoices(1, %s::uuid[], %s, %s, %s, %s::text[], %s, %s::integer[])",
            list(ids), [1] * count, [state] * count, ["create"] * count, [None] * count, ["deadline"] * count, [504] * count,
        )

    def finish(self, ids: Sequence[str], state: str = "created", reason: str | None = None, session: Session | None = None,
               calls: bool = True) -> None:
        count = len(ids)
        made = state == "created"
        session = session or self.worker
        rows = session.rows(
            "select verdict from gateway.finish_invoices(1, %s::uuid[], %s, %s, %s::text[], %s::text[], %s, %s::text[], %s::text[], "
            "%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bytea[], %s, %s::bytea[])",
            list(ids), [1] * count, [state] * count, [reason] * count, [None] * count, [200 if made else 502] * count,
            [f"in_{i[-12:]}" if made else None for i in ids], ["draft" if made else None] * count, [None] * count,
            [10000 if made else None] * count, ["usd"] * count, [None] * count,
            [f'{{"id": "x", "description": "{self.free_text[i]}"}}'.encode() if made else None for i in ids], [made] * count, [b"{}"] * count,
        )
        assert {row[0] for row in rows} == {"done"}
        if calls:
            session.rows(
                "select gateway.record_calls(%s::uuid[], %s, %s, %s, %s::bigint[], %s, %s, %s, %s)",
                list(ids), [1] * count, ["invoice"] * count, [1] * count, [1_767_225_600_000_000] * count, [300] * count,
                [200] * count, ["ok"] * count, [self.free_text[i] for i in ids],
            )

    def made(self, count: int = 1, **more: Any) -> list[str]:
        ids = self.begin(count, **more)
        self.finish(ids)
        return ids


@pytest.fixture
def world(ctl):
    made = World(ctl)
    yield made
    made.close()
