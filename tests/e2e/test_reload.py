"""SIGHUP: settings and upstream keys are read anew while requests go on; what is wrong stays out."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, Iterator

import pytest

from books import Books
from load import Load
from stack import Stack
from waiting import wait_for


class Reloading:
    """A stack whose workers have a settings file and a live key's file that tests may write."""

    def __init__(self, place: Path, **settings: Any):
        self.file, self.key = place / "settings", place / "live-key"
        self.file.write_text("")
        self.key.write_text("sk_live_sandbox")
        more = {"DEADLINE_MS": 3000, "CALL_TIMEOUT_MS": 1000, "LEASE_MS": 1500} | settings
        self.stack = Stack(SETTINGS_FILE=self.file, UPSTREAM_KEY_FILE=self.key, **more)

    def write(self, **settings: Any) -> None:
        self.file.write_text("# of a test\n\n" + "".join(f'INVOICEGATE_{name}="{value}"\n' for name, value in settings.items()))

    def lines(self) -> list[dict[str, Any]]:
        found = (json.loads(line) for line in self.stack.log("workers").splitlines() if line.startswith("{"))
        return [line for line in found if line["message"].startswith("settings were")]

    def reload(self) -> dict[str, Any]:
        """Tells the worker, and answers what it said."""
        before = len(self.lines())
        os.kill(self.stack.worker_pid(), signal.SIGHUP)
        wait_for("the worker to have read", lambda: len(self.lines()) > before)
        assert len(self.lines()) == before + 1
        return self.lines()[-1]


def strays(stack: Stack) -> list[str]:
    """The names of no setting that a worker has told of."""
    found = (json.loads(line) for line in stack.log("workers").splitlines() if line.startswith("{"))
    return [line["name"] for line in found if line["message"] == "this is no setting and has no effect"]


@pytest.fixture(scope="module")
def reloading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reloading]:
    reloading = Reloading(tmp_path_factory.mktemp("reload"))
    with reloading.stack:
        yield reloading


@pytest.fixture(autouse=True)
def _as_it_was(reloading: Reloading) -> Iterator[None]:
    yield
    reloading.write()
    assert reloading.reload()["message"] == "settings were read anew"


def test_nothing_is_lost_under_load(reloading: Reloading) -> None:
    worker = reloading.stack.worker_pid()
    books = Books(reloading.stack)
    with Load(reloading.stack, books) as load:
        for number in range(12):
            reloading.write(LOG_LEVEL=("debug", "info")[number % 2], MAX_INFLIGHT=200 + number, DEADLINE_MS=3000 + number)
            assert reloading.reload()["message"] == "settings were read anew"
            load.wait_for_more(3)
        assert load.statuses == {200}
    books.assert_balanced()
    assert reloading.stack.worker_pid() == worker


def test_the_new_credential_is_used(reloading: Reloading) -> None:
    stack = reloading.stack
    worker = stack.worker_pid()
    assert stack.create().status == 200
    stack.stop_sandbox()
    stack.sandbox_args = "--live-key sk_live_second"  # the first one is refused from now on
    stack.up()
    try:
        wait_for("a refusal", lambda: stack.create().status == 502)
        reloading.key.write_text("sk_live_second\n")
        assert "UPSTREAM_KEY_FILE" in reloading.reload()["changed"].split()
        wait_for("an invoice", lambda: stack.create().status == 200)
        assert stack.worker_pid() == worker
        assert "sk_live_second" not in stack.log("workers")
    finally:
        stack.stop_sandbox()
        stack.sandbox_args = ""
        reloading.key.write_text("sk_live_sandbox")
        stack.up()
        reloading.reload()
        wait_for("an invoice", lambda: stack.create().status == 200)


def test_a_new_log_level_is_in_force(reloading: Reloading) -> None:
    def calls() -> int:
        return reloading.stack.log("workers").count('"severity":"debug","message":"upstream call"')

    before = calls()
    assert reloading.stack.create().status == 200 and calls() == before
    reloading.write(LOG_LEVEL="debug")
    assert reloading.reload()["changed"] == "LOG_LEVEL"
    assert reloading.stack.create().status == 200
    wait_for("debug lines", lambda: calls() > before)


def test_a_limit_goes_down_and_beyond_where_it_began(reloading: Reloading) -> None:
    stack = reloading.stack
    stack.sandbox.latency(300)
    try:
        reloading.write(MAX_INFLIGHT=2)
        reloading.reload()
        statuses = [answer.status for answer in stack.burst([stack.create_bytes() for _ in range(12)])]
        assert statuses.count(503) >= 8 and 200 in statuses
        reloading.write(MAX_INFLIGHT=6000)
        reloading.reload()
        assert stack.metrics()["invoicegate_inflight_limit"] == 6000
        assert {answer.status for answer in stack.burst([stack.create_bytes() for _ in range(100)])} == {200}
    finally:
        stack.sandbox.latency(0)


def test_a_budget_is_in_force(reloading: Reloading) -> None:
    reloading.write(ACCOUNT_POSTS_PER_S=1, DEADLINE_MS=3000)
    assert reloading.reload()["changed"] == "ACCOUNT_POSTS_PER_S"
    tenant = reloading.stack.tenant()
    answers = reloading.stack.burst([reloading.stack.create_bytes(tenant) for _ in range(12)])
    assert 503 in {answer.status for answer in answers}


@pytest.mark.parametrize(
    "wrong, why",
    [
        ("INVOICEGATE_LOG_LEVEL=debug\nINVOICEGATE_MAX_INFLIGHT=0\n", "INVOICEGATE_MAX_INFLIGHT must be a whole number"),
        ("INVOICEGATE_LOG_LEVEL=debug\nINVOICEGATE_DEADLINE_MS=soon\n", "INVOICEGATE_DEADLINE_MS must be a whole number"),
        ("INVOICEGATE_LOG_LEVEL=loud\n", "INVOICEGATE_LOG_LEVEL must be"),
        ("INVOICEGATE_LOG_LEVEL=debug\nwhat is this\n", "line 2: is not NAME=VALUE"),
        ("INVOICEGATE_LOG_LEVEL=debug\nINVOICEGATE_UPSTREAM_URL=nowhere\n", "INVOICEGATE_UPSTREAM_URL must be like"),
        ("INVOICEGATE_LOG_LEVEL=debug\nINVOICEGATE_UPSTREAM_KEY_FILE=/nowhere\n", "INVOICEGATE_UPSTREAM_KEY_FILE names a file"),
        ("INVOICEGATE_LOG_LEVEL=debug\n\0\n", "is no text"),
    ],
)
def test_what_is_wrong_stays_out(reloading: Reloading, wrong: str, why: str) -> None:
    """All of it: what is right in the same file waits until the whole is."""
    reloading.file.write_text(wrong)
    said = reloading.reload()
    assert said["message"] == "settings were not read anew: the old ones stay" and said["severity"] == "error"
    assert why in said["why"] and "\n" not in said["why"]
    before = reloading.stack.log("workers").count('"severity":"debug"')
    assert reloading.stack.create().status == 200
    assert reloading.stack.log("workers").count('"severity":"debug"') == before


def test_a_key_file_that_is_wrong_stays_out(reloading: Reloading) -> None:
    reloading.key.write_text("two words\n")
    try:
        assert "one key, printable" in reloading.reload()["why"]
        assert reloading.stack.create().status == 200
    finally:
        reloading.key.write_text("sk_live_sandbox")


def test_a_file_that_is_gone_changes_nothing(reloading: Reloading) -> None:
    reloading.file.rename(reloading.file.with_suffix(".away"))
    try:
        assert "cannot be read" in reloading.reload()["why"]
        assert reloading.stack.create().status == 200
    finally:
        reloading.file.with_suffix(".away").rename(reloading.file)


def test_a_pipe_instead_of_a_file_changes_nothing(reloading: Reloading) -> None:
    """Whoever opens it waits for somebody who writes: the worker must not."""
    for file, said in ((reloading.file, "is no file"), (reloading.key, "INVOICEGATE_UPSTREAM_KEY_FILE names what is no file")):
        file.rename(file.with_suffix(".away"))
        os.mkfifo(file)
        try:
            assert said in reloading.reload()["why"]
            assert reloading.stack.create().status == 200
        finally:
            file.with_suffix(".away").rename(file)


def test_a_misspelled_name_is_told(reloading: Reloading) -> None:
    reloading.file.write_text("INVOICEGATE_DEADLIN_MS=zq7719\nINVOICEGATE_PARK_MS=2000\nDEADLINE_MS=zq7719\n")
    before = len(strays(reloading.stack))
    assert reloading.reload()["message"] == "settings were read anew"
    assert strays(reloading.stack)[before:] == ["INVOICEGATE_DEADLIN_MS"]
    assert "zq7719" not in reloading.stack.log("workers")


def test_a_misspelled_name_is_told_from_the_start(start_stack) -> None:
    stack = start_stack(MAX_INFLIHGT=7719)
    assert strays(stack) == ["INVOICEGATE_MAX_INFLIHGT"]
    said = [line for line in stack.log("workers").splitlines() if line.startswith("invoicegate: warning: ")]
    assert set(said) <= {"invoicegate: warning: INVOICEGATE_MAX_INFLIHGT is no setting and has no effect"}


def test_what_needs_a_restart_is_named(reloading: Reloading) -> None:
    reloading.write(LEASE_MS=2000, UPSTREAM_URL="http://127.0.0.1:1", PARK_MS=1000)
    said = reloading.reload()
    assert said["changed"] == "PARK_MS" and set(said["needs_restart"].split()) == {"LEASE_MS", "UPSTREAM_URL"}
    assert reloading.stack.create().status == 200


def test_the_file_wins_over_the_environment_from_the_start(start_stack, tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("INVOICEGATE_MAX_INFLIGHT = '77'\n; a comment\nOTHER=1\n")
    stack = start_stack(SETTINGS_FILE=file, MAX_INFLIGHT=100)
    assert stack.metrics()["invoicegate_inflight_limit"] == 77


def test_the_unit_reloads_the_worker_itself() -> None:
    """spawn-fcgi becomes the worker, so systemd's main process is the worker."""
    unit = (Path(__file__).resolve().parents[2] / "systemd/invoicegate@.service").read_text()
    assert "ExecReload=/bin/kill -HUP $MAINPID" in unit
    assert "Environment=INVOICEGATE_SETTINGS_FILE=/etc/invoicegate/invoicegate.env" in unit
