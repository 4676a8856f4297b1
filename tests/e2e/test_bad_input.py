"""Hostile and broken requests: each gets a clear refusal, and nothing of it stays: not in the worker, not in the books."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from bad_inputs import BAD_INPUTS, HOSTILE, BadInput
from stack import SANITIZED, Stack, Tenant
from wire import Answer, NoAnswer, request_bytes

ROUNDS = 10
# Freed memory that the sanitizer holds back would look like a leak: it is told to hold back little.
HELD_BACK_MB = 4
GROWTH_BYTES = (8 if SANITIZED else 1) * 2**20


@pytest.fixture(scope="module")
def target() -> Iterator[Stack]:
    options = os.environ.get("ASAN_OPTIONS", "detect_leaks=1")
    with Stack(env={"ASAN_OPTIONS": f"{options}:quarantine_size_mb={HELD_BACK_MB}:thread_local_quarantine_size_kb=64"}) as stack:
        yield stack


@pytest.fixture(scope="module")
def victim(target: Stack) -> Tenant:
    return target.tenant()


@pytest.fixture(scope="module")
def processes(target: Stack) -> list[int]:
    """Of the time before."""
    return [target.worker_pid(), target.pid("nginx"), target.pid("postgres"), target.pid("sandbox")]


def refuse(stack: Stack, tenant: Tenant, case: BadInput) -> Answer:
    answer = stack.exchange(case.make(stack, tenant))
    assert answer.status == case.status, (case.name, answer)
    error = answer.json["error"]
    if isinstance(error, dict):  # an address beside /v1/public/ is the other interface's
        assert error["type"] == "invalid_request_error" and error["message"]
    else:
        assert answer.error
    assert answer.request_id
    return answer


def test_there_are_many_of_them() -> None:
    names = [case.name for case in BAD_INPUTS]
    assert len(names) >= 120
    assert len(set(names)) == len(names)


@pytest.mark.bad_input
@pytest.mark.parametrize("case", BAD_INPUTS, ids=lambda case: case.name.encode("ascii", "backslashreplace").decode())
def test_bad_input(target: Stack, victim: Tenant, processes: list[int], case: BadInput) -> None:
    answer = refuse(target, victim, case)
    assert HOSTILE not in answer.body.decode()
    assert "X-Injected" not in answer.headers
    assert set(answer.headers) <= {
        *("Server", "Date", "Content-Type", "Content-Length", "Connection"),
        *("Request-Id", "Server-Timing", "Allow", "Retry-After"),
    }


# ---- what is left, after the first round


def test_a_client_that_promises_more_and_goes(target: Stack, victim: Tenant) -> None:
    headers = [("Authorization", victim.key), ("Content-Type", "application/json")]
    data = request_bytes("POST", target.invoices_path(victim), headers, b'{"data":', content_length="500")
    with pytest.raises(NoAnswer):
        target.exchange(data, half_close=True)


def test_a_header_cannot_be_smuggled_through_the_path(target: Stack, victim: Tenant) -> None:
    path = target.invoices_path(victim).replace("acct_", "acct\r\nX-Injected: 1\r\n")
    with pytest.raises(NoAnswer) as told:  # without a version the request line asks for HTTP/0.9: a body alone
        target.post({"data": {}}, tenant=victim, path=path)
    assert "The request is not valid HTTP." in str(told.value)


def test_processes_are_the_same(target: Stack, processes: list[int]) -> None:
    assert [target.worker_pid(), target.pid("nginx"), target.pid("postgres"), target.pid("sandbox")] == processes
    assert target.reports() == []


def test_nothing_was_sent_upstream(target: Stack) -> None:
    counts = target.sandbox.counts()
    counts.pop("total")
    asked = counts.pop("account", 0)  # by the check of the credentials at the start, one for each mode
    assert asked <= 2 and not any(counts.values()), counts


def test_books_hold_refusals_only(target: Stack, victim: Tenant) -> None:
    rows = target.audit("select * from audit.requests where agency_id = %s", victim.agency)
    assert rows
    for row in rows:
        assert (row["state"], row["http_status"], row["invoice_id"], row["customer_id"]) == ("refused", 400, None, None)
        # What was good about it may be kept.
        assert row["client_id"] in (None, victim.client)
        assert row["product_id"] in (None, "prod_usd_10000")
        assert row["collection_method"] is None
        assert row["days_until_due"] in (None, 30)
    for table in ("invoices", "customers", "idempotency_keys", "upstream_calls", "work"):
        assert target.sql(f"select * from gateway.{table}") == []


def test_database_and_log_hold_nothing_of_it(target: Stack) -> None:
    pg_dump = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))[-1]
    database = target.env["INVOICEGATE_AUDIT_DATABASE"].replace("user=invoicegate_auditor", "user=postgres")
    dump = subprocess.run([pg_dump, "--inserts", database], capture_output=True, check=True, timeout=60).stdout
    assert b"refused" in dump
    assert HOSTILE.encode() not in dump
    assert HOSTILE.encode().hex().encode() not in dump
    assert HOSTILE not in target.log("workers")
    assert HOSTILE not in target.log("postgres")


def test_memory_does_not_grow(target: Stack, victim: Tenant, processes: list[int]) -> None:
    """The first round was the warm-up."""
    before = target.rss_bytes(processes[0])
    for _ in range(ROUNDS):
        for case in BAD_INPUTS:
            refuse(target, victim, case)
    assert target.worker_pid() == processes[0]
    growth = target.rss_bytes(processes[0]) - before
    print("grown by", growth, "bytes")
    assert growth < GROWTH_BYTES


def test_a_good_request_afterwards(target: Stack, victim: Tenant) -> None:
    assert target.create(victim).status == 200
