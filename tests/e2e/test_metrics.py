"""/metrics, /livez and /readyz: what all workers together count, on a listener that clients do not reach."""

from __future__ import annotations

import os
import signal

import pytest

from stack import ROOT, Stack
from waiting import wait_for
from wire import request_bytes

SNIPPETS = ROOT / "nginx"
CREATED = 'invoicegate_requests_total{route="account_invoices",status="200"}'
STANDING = 'invoicegate_invoices_total{state="created",mode="live"}'


@pytest.fixture(scope="module")
def pair() -> Stack:
    """Two workers on one socket: which of them answers is chance."""
    with Stack(workers=2, DEADLINE_MS=3000, CALL_TIMEOUT_MS=1000, LEASE_MS=1500) as stack:
        yield stack


def grown(stack: Stack, before: dict[str, float], name: str) -> float:
    return stack.metrics().get(name, 0) - before.get(name, 0)


def test_the_names_that_others_rely_on(pair: Stack) -> None:
    assert pair.create().status == 200
    metrics = wait_for("PostgreSQL's figures", lambda: (m := pair.metrics()) and "invoicegate_unresolved" in m and m)
    for name in ("inflight", "unresolved", "unresolved_oldest_seconds", "breaker_open", "workers", "workers_ready"):
        assert f"invoicegate_{name}" in metrics
    for name in ("request_seconds", "database_batch_size"):
        assert metrics[f"invoicegate_{name}_count"] > 0 and metrics[f'invoicegate_{name}_bucket{{le="+Inf"}}'] > 0
    for step in ("invoice", "lines"):
        assert metrics[f'invoicegate_upstream_calls_total{{step="{step}",outcome="ok"}}'] >= 1
        assert metrics[f'invoicegate_upstream_seconds_count{{step="{step}"}}'] >= 1
    assert metrics[CREATED] >= 1 and metrics[STANDING] >= 1
    assert metrics["invoicegate_unresolved"] == 0
    assert metrics["invoicegate_workers"] == 2


def test_all_workers_are_told_whichever_answers(pair: Stack) -> None:
    before = pair.metrics()
    answers = pair.burst([pair.create_bytes() for _ in range(40)])
    assert {answer.status for answer in answers} == {200}
    for _ in range(20):
        after = pair.metrics()
        assert after[CREATED] - before.get(CREATED, 0) == 40
        assert after[STANDING] - before.get(STANDING, 0) == 40
        assert after["invoicegate_request_seconds_count"] - before.get("invoicegate_request_seconds_count", 0) == 40


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_goes_back_when_a_worker_ends(pair: Stack, how: signal.Signals) -> None:
    pair.burst([pair.create_bytes() for _ in range(10)])
    before = pair.metrics()
    victim = wait_for("two workers", lambda: len(pair.worker_pids()) == 2 and pair.worker_pids())[0]
    os.kill(victim, how)
    wait_for("another worker", lambda: len(pair.worker_pids()) == 2 and victim not in pair.worker_pids())
    wait_for("its figures", lambda: pair.metrics()["invoicegate_workers"] == 2)
    after = pair.metrics()
    for name, value in before.items():
        if name.split("{")[0].endswith(("_total", "_count", "_bucket", "_sum")):
            assert after[name] >= value, name
    assert after[CREATED] == before[CREATED]


def test_refusals_are_counted_by_route_and_status(pair: Stack) -> None:
    before = pair.metrics()
    pair.post({}, path="/v1/public/nothing")
    pair.post({}, headers=[("Authorization", "igk_live_wrong"), ("Content-Type", "application/json")])
    pair.create(productId="prod_nothing")
    assert grown(pair, before, 'invoicegate_requests_total{route="none",status="404"}') == 1
    assert grown(pair, before, 'invoicegate_requests_total{route="account_invoices",status="401"}') == 1
    assert grown(pair, before, 'invoicegate_requests_total{route="account_invoices",status="404"}') == 1
    assert grown(pair, before, 'invoicegate_invoices_total{state="refused",mode="live"}') == 1


def test_a_client_that_leaves_is_counted(pair: Stack) -> None:
    before = pair.metrics()
    pair.sandbox.latency(500)
    try:
        pair.send(pair.create_bytes(idempotency_key="leaves")).leave()
        left = 'invoicegate_requests_total{route="account_invoices",status="499"}'
        wait_for("the count", lambda: grown(pair, before, left) == 1)
    finally:
        pair.sandbox.latency(0)
    wait_for("its invoice", lambda: grown(pair, before, STANDING) == 1)


def test_what_is_unresolved_is_seen_with_its_age(pair: Stack) -> None:
    with pair.sandbox.faulty("reset_after", step="invoice"):
        assert pair.create(idempotency_key="doubt").status == 504
        wait_for("the doubt", lambda: pair.metrics().get("invoicegate_unresolved", 0) >= 1, 60)
        wait_for("its age", lambda: pair.metrics()["invoicegate_unresolved_oldest_seconds"] >= 1, 60)
        assert 'invoicegate_upstream_calls_total{step="invoice",outcome="unknown"}' in pair.metrics()
    wait_for("its end", lambda: pair.metrics()["invoicegate_unresolved"] == 0, 90)
    assert pair.metrics()["invoicegate_unresolved_oldest_seconds"] == 0


# ---- who may ask


def test_no_client_can_ask_through_the_public_listener(pair: Stack) -> None:
    for path in ("/metrics", "/livez", "/readyz"):
        assert pair.exchange(request_bytes("GET", path, [])).status == 404
    forged = [("INVOICEGATE_ADMIN", "1"), ("Invoicegate-Admin", "1"), ("HTTP_INVOICEGATE_ADMIN", "1"), ("invoicegate_admin", "1")]
    for path in ("/v1/public/metrics", "/v1/invoices", "/v1/public/livez"):
        answer = pair.exchange(request_bytes("GET", path, forged))
        assert answer.status in (401, 404) and b"invoicegate_" not in answer.body and answer.request_id


def test_the_listener_for_monitoring_serves_nothing_else(pair: Stack) -> None:
    with pair.nothing_upstream():
        for path in ("/", pair.invoices_path(), "/v1/invoices", "/metrics/x", "/livezz"):
            assert pair.admin(path).status == 404
        assert pair.admin("/metrics", "POST").status == 405


def test_it_listens_on_this_host_alone() -> None:
    snippet = (SNIPPETS / "invoicegate-admin.conf").read_text()
    assert [line.split()[1] for line in snippet.splitlines() if line.strip().startswith("listen")] == ["127.0.0.1:9188;"]
    assert "INVOICEGATE_ADMIN" not in (SNIPPETS / "invoicegate-server.conf").read_text()


# ---- live and ready


def test_live_and_ready(pair: Stack) -> None:
    live, ready = pair.admin("/livez"), pair.admin("/readyz")
    assert (live.status, live.body) == (200, b"ok\n")
    assert ready.status == 200, ready.body
    fine = dict.fromkeys(("worker", "database", "migrations", "upstream_live", "upstream_test"), "ok")
    assert ready.json == {"ready": True} | fine


def test_not_ready_without_a_database_but_live(pair: Stack) -> None:
    pair.stop_postgres()
    try:
        answer = wait_for("it to notice", lambda: [a for a in [pair.admin("/readyz")] if a.status == 503])[0]
        assert answer.json["ready"] is False and answer.json["database"] == "away"
        assert pair.admin("/livez").status == 200
        assert pair.admin("/metrics").status == 200
        wait_for("the gauge", lambda: pair.metrics()["invoicegate_workers_ready"] == 0)
    finally:
        pair.up()
    wait_for("it to be ready again", lambda: pair.admin("/readyz").status == 200)


def test_not_ready_without_the_upstream(pair: Stack) -> None:
    """Requests find out, or the question itself does."""
    pair.stop_sandbox()
    try:
        pair.create()
        answer = wait_for("it to notice", lambda: [a for a in [pair.admin("/readyz")] if a.status == 503])[0]
        words = {answer.json["upstream_live"], answer.json["upstream_test"]}  # a good answer counts for a minute
        assert answer.json["database"] == "ok" and words & {"away", "shut"}
    finally:
        pair.up()
    wait_for("it to be ready again", lambda: pair.admin("/readyz").status == 200)


def test_not_ready_with_a_key_that_the_upstream_refuses(start_stack, tmp_path) -> None:
    wrong = tmp_path / "key"
    wrong.write_text("sk_test_wrong")
    stack = start_stack(UPSTREAM_TEST_KEY_FILE=wrong)
    answer = stack.admin("/readyz")
    assert answer.status == 503
    assert answer.json["upstream_live"] == "ok" and answer.json["upstream_test"] == "refused"


def test_a_database_that_lost_a_migration(start_stack) -> None:
    """Whoever connects anew is told; the connections that stand know the function by another name."""
    stack = start_stack()
    assert stack.admin("/readyz").status == 200
    stack.sql("alter function gateway.count_unresolved() rename to count_no_more")
    try:
        stack.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'invoicegate_worker'")
        missing = wait_for("it to notice", lambda: [a for a in [stack.admin("/readyz").json] if a["migrations"] == "missing"])[0]
        assert missing["ready"] is False
    finally:
        stack.sql("alter function gateway.count_no_more() rename to count_unresolved")
    wait_for("it to be ready again", lambda: stack.admin("/readyz").status == 200)


@pytest.mark.parametrize("taken", ["revoke execute on function gateway.roll_up from invoicegate_worker", "drop function gateway.roll_up"])
def test_a_database_that_takes_a_function_away(start_stack, taken: str) -> None:
    """From connections that stand: they began with all they need, and meet it at work."""
    stack = start_stack()
    assert stack.admin("/readyz").status == 200
    (row,) = stack.sql("select pg_get_functiondef('gateway.roll_up'::regproc) as definition")
    stack.sql(taken)
    try:
        missing = wait_for("it to notice", lambda: [a for a in [stack.admin("/readyz").json] if a["migrations"] == "missing"])[0]
        assert missing["ready"] is False and missing["database"] == "ok"
        wait_for("the gauge", lambda: stack.metrics()["invoicegate_workers_ready"] == 0)
    finally:
        stack.sql("set role invoicegate_owner; " + row["definition"] + "; revoke execute on function gateway.roll_up from public; "
                  "grant execute on function gateway.roll_up to invoicegate_worker; reset role")
    wait_for("it to be ready again", lambda: stack.admin("/readyz").status == 200)
    wait_for("the gauge", lambda: stack.metrics()["invoicegate_workers_ready"] == 1)


# ---- where the figures are kept


def test_a_worker_without_a_directory_counts_alone(start_stack) -> None:
    stack = start_stack(workers=2, RUNTIME_DIR="/nowhere/at/all")
    assert stack.create().status == 200
    assert stack.metrics()["invoicegate_workers"] == 1
    warnings = [line for line in stack.log("workers").splitlines() if "INVOICEGATE_RUNTIME_DIR cannot be used" in line]
    assert len(warnings) == len(stack.worker_pids()) == 2
