"""invoicegatectl doctor: a healthy installation passes, and each thing that is wrong is named with what to do."""

from __future__ import annotations

import dataclasses
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

from stack import BUILD, ROOT, Stack
from waiting import wait_for

PATIENCE_S = 120
# What depends on the machine that the tests run on, or is a stand-in here.
MAY_WARN = {"disk", "upstream"}


@dataclasses.dataclass
class Patient:
    """A stack as an installation: a file of settings, and a configuration of nginx that names both."""

    stack: Stack
    dir: Path
    settings: dict[str, str]
    sql: Path

    @property
    def nginx(self) -> Path:
        return self.dir / "nginx.conf"

    def examine(self, code: int, **changes: str | None) -> list[dict[str, Any]]:
        """The findings; changes: settings without INVOICEGATE_, None takes one out."""
        settings = self.settings | {f"INVOICEGATE_{name}": value for name, value in changes.items()}
        file = self.dir / "invoicegate.env"
        file.write_text("# settings\n" + "".join(f'{name}="{value}"\n' for name, value in settings.items() if value is not None))
        words = ("doctor", "--json", "--settings", str(file), "--sql", str(self.sql), "--nginx", str(self.nginx))
        return json.loads(self.stack.ctl(*words, code=code))["data"]

    def complaint(self, check: str, *, too: str = "", **changes: str | None) -> str:
        """What fails, which must be this check alone (or with the one named too); its advice must not be empty."""
        failed = [finding for finding in self.examine(1, **changes) if finding["state"] == "failed"]
        assert {finding["check"] for finding in failed} - {too} == {check}, failed
        assert all(finding["advice"] for finding in failed)
        return next(finding["found"] for finding in failed if finding["check"] == check)

    def warning(self, check: str, **changes: str | None) -> str:
        warned = [finding for finding in self.examine(0, **changes) if finding["state"] == "warning"]
        found = [finding for finding in warned if finding["check"] == check]
        assert found and {finding["check"] for finding in warned} <= MAY_WARN | {check}, warned
        assert found[0]["advice"]
        return found[0]["found"]


def absolute(conf: str, directory: Path) -> str:
    """The stack's own configuration, whose paths are relative to its prefix."""
    return re.sub(r"\b(include|pid|\w+_path|error_log|access_log) (?=[a-z.])", rf"\1 {directory}/", conf)


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


@pytest.fixture
def patient(own_stack: Stack, tmp_path: Path) -> Patient:
    place, sql = own_stack.dir, tmp_path / "sql"
    shutil.copytree(ROOT / "sql", sql)
    run = own_stack.env["INVOICEGATE_AUDIT_DATABASE"].replace("user=invoicegate_auditor", "user=invoicegate_worker")
    sockets = re.search(r"host=(\S+)", run)
    assert sockets
    settings = {
        "INVOICEGATE_DATABASE": run,
        "INVOICEGATE_UPSTREAM_URL": own_stack.env["INVOICEGATE_SANDBOX_URL"],
        "INVOICEGATE_UPSTREAM_KEY_FILE": str(place / "secret/upstream-key"),
        "INVOICEGATE_UPSTREAM_TEST_KEY_FILE": str(place / "secret/upstream-test-key"),
        "INVOICEGATE_DIGEST_KEY_FILE": str(place / "secret/digest-key"),
        "INVOICEGATE_RUNTIME_DIR": sockets[1],
    }
    patient = Patient(own_stack, tmp_path, settings, sql)
    patient.nginx.write_text(absolute((place / "nginx/nginx.conf").read_text(), place / "nginx"))
    return patient


# ---- health


def test_a_healthy_installation_passes(patient: Patient) -> None:
    findings = patient.examine(0)
    states = {}
    for finding in findings:
        states.setdefault(finding["check"], set()).add(finding["state"])
    assert set(states) == {
        *("secrets", "settings", "database", "migrations", "grants", "history", "clock", "workers"),
        *("upstream", "sockets", "counters", "units", "nginx", "monitoring", "disk"),
    }
    for check, found in states.items():
        assert check in MAY_WARN or found <= {"ok", "skipped"}, findings
    assert all(finding["advice"] for finding in findings if finding["state"] == "warning")


def test_people_read_the_same(patient: Patient) -> None:
    patient.examine(0)
    told = patient.stack.ctl("doctor", "--settings", str(patient.dir / "invoicegate.env"), "--sql", str(patient.sql),
                             "--nginx", str(patient.nginx))
    assert re.search(r"^ok +migrations +all are applied", told, re.MULTILINE)
    assert re.search(r"^ok +nginx +it passes requests to \d+ workers?, \d+ at a time", told, re.MULTILINE)
    assert told.splitlines()[-1] in ("all is well", "nothing failed, but there are warnings")


def test_it_knows_the_functions_that_are_granted(own_stack: Stack) -> None:
    source = (ROOT / "src/ctl/doctor_database.c").read_text()
    words = re.search(r'worker_functions\[\] =((?:\s+"[^"]*")+)', source)
    assert words
    known = set(re.findall(r"\w+", re.sub(r'"\s+"', "", words[1])))
    rows = own_stack.sql(
        "select proname from pg_proc where pronamespace = 'gateway'::regnamespace"
        " and exists (select from aclexplode(proacl) where grantee = 'invoicegate_worker'::regrole)"
    )
    assert known == {row["proname"] for row in rows}


# ---- settings and secrets


def test_a_wrong_setting(patient: Patient) -> None:
    assert "DEADLINE_MS must be a whole number" in patient.complaint("settings", DEADLINE_MS="soon")


def test_a_worker_that_cannot_log_in(patient: Patient) -> None:
    found = patient.complaint("settings", DATABASE=patient.settings["INVOICEGATE_DATABASE"].replace("worker", "nobody"))
    assert 'role "invoicegate_nobody" does not exist' in found


def test_a_secret_that_others_may_read(patient: Patient) -> None:
    copy = patient.dir / "digest-key"
    shutil.copy(patient.settings["INVOICEGATE_DIGEST_KEY_FILE"], copy)
    copy.chmod(0o644)
    assert str(copy) in patient.warning("secrets", DIGEST_KEY_FILE=str(copy))


def test_settings_that_cannot_be_read(patient: Patient) -> None:
    told = patient.stack.ctl("doctor", "--settings", "/nowhere/invoicegate.env", code=1)
    assert "/nowhere/invoicegate.env cannot be read" in told


def test_pipes_in_place_of_files(patient: Patient) -> None:
    """Nobody writes into them: whoever waits for that says nothing of what is wrong."""
    pipe = patient.dir / "pipe"
    os.mkfifo(pipe, 0o600)
    found = patient.examine(1, UPSTREAM_KEY_FILE=str(pipe))
    assert any("INVOICEGATE_UPSTREAM_KEY_FILE names what is no file" in finding["found"] for finding in found)
    assert f"{pipe} cannot be read" in patient.stack.ctl("doctor", "--settings", str(pipe), code=1)


# ---- database


def test_no_database(patient: Patient) -> None:
    done = subprocess.run(
        [BUILD / "invoicegatectl", "doctor"], env=os.environ | {"INVOICEGATE_DATABASE": "host=/nowhere password=hunter2"},
        capture_output=True, text=True, timeout=PATIENCE_S,
    )
    assert done.returncode == 1 and "hunter2" not in done.stdout + done.stderr
    assert re.search(r"^FAILED +database .*No such file", done.stdout, re.MULTILINE)


def test_a_migration_to_come(patient: Patient) -> None:
    newest = max(int(file.name[:3]) for file in patient.sql.glob("*.sql"))
    (patient.sql / f"{newest + 1:03d}_more.sql").write_text("select 1;\n")
    assert patient.complaint("migrations").startswith("1 to come")


def test_a_database_that_is_newer(patient: Patient) -> None:
    max(patient.sql.glob("*.sql")).unlink()
    assert "newer than this program" in patient.complaint("migrations")


@pytest.mark.parametrize(
    "wrong, right, said",
    [
        ("revoke execute on function gateway.note_invoices from invoicegate_worker",
         "grant execute on function gateway.note_invoices to invoicegate_worker", "may not execute note_invoices"),
        ("grant select on gateway.clients to invoicegate_worker",
         "revoke select on gateway.clients from invoicegate_worker", "may read or write gateway.clients"),
        ("alter role invoicegate_worker createrole", "alter role invoicegate_worker nocreaterole", "may too much"),
    ],
)
def test_wrong_grants(patient: Patient, wrong: str, right: str, said: str) -> None:
    patient.stack.sql(wrong)
    try:
        assert said in patient.complaint("grants")
    finally:
        patient.stack.sql(right)


@pytest.mark.parametrize("table", ["events", "upstream_calls_default", "invoices", "reconciliation_findings"])
def test_history_that_can_be_changed_unseen(patient: Patient, table: str) -> None:
    patient.stack.sql(f"alter table gateway.{table} disable trigger user")
    try:
        assert f"gateway.{table}" in patient.complaint("history")
    finally:
        patient.stack.sql(f"alter table gateway.{table} enable trigger user")
    assert {finding["state"] for finding in patient.examine(0) if finding["check"] == "history"} == {"ok"}


def test_functions_that_are_open_to_all(patient: Patient) -> None:
    patient.stack.sql("grant execute on function pg_advisory_lock(bigint) to public")
    try:
        assert "1 of the server's functions are open" in patient.warning("grants")
    finally:
        patient.stack.sql("select gateway.close_functions()")
    assert {finding["state"] for finding in patient.examine(0) if finding["check"] == "grants"} == {"ok"}


def test_no_worker(start_stack) -> None:
    stack = start_stack()
    stack.stop_workers()
    look = lambda: re.search(r"^(\w+) +workers +(.*)", stack.ctl("doctor", "--sql", str(ROOT / "sql"), code=1), re.MULTILINE)
    said = wait_for("the leases to lapse", lambda: (found := look()) and found[1] == "FAILED" and found[2])
    assert said == "no worker holds a lease in this database"


# ---- upstream


def test_a_wrong_upstream_key(patient: Patient) -> None:
    key = patient.dir / "key"
    key.write_text("sk_test_wrong")
    key.chmod(0o600)
    assert "refuses the key" in patient.complaint("upstream", too="settings", UPSTREAM_TEST_KEY_FILE=str(key))
    assert "the upstream refuses the test key" in patient.complaint("settings", too="upstream", UPSTREAM_TEST_KEY_FILE=str(key))


@pytest.mark.parametrize("name, key", [("UPSTREAM_KEY_FILE", "sk_test_sandbox"), ("UPSTREAM_TEST_KEY_FILE", "sk_live_sandbox")])
def test_keys_that_were_mixed_up(patient: Patient, name: str, key: str) -> None:
    file = patient.dir / "key"
    file.write_text(key)
    file.chmod(0o600)
    assert "of the other mode" in patient.complaint("upstream", **{name: str(file)})


def test_no_upstream(patient: Patient) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert "no answer" in patient.complaint("upstream", too="settings", UPSTREAM_URL=url)
        found = patient.complaint("settings", too="upstream", UPSTREAM_URL=url)
        assert f"could not start: the upstream at {url} cannot be reached" in found


def test_keys_in_the_clear(patient: Patient) -> None:
    found = patient.examine(1, UPSTREAM_URL="http://upstream.invalid")
    assert any("in the clear" in finding["found"] for finding in found)


def test_another_platform(patient: Patient) -> None:
    class Upstream(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"id": "acct_theirs"}'
            self.send_response_only(200)
            self.send_header("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            found = patient.examine(1, UPSTREAM_URL=url, UPSTREAM_PLATFORM="acct_ours")
        finally:
            server.shutdown()
            thread.join()
    failed = [finding["found"] for finding in found if finding["state"] == "failed"]
    assert any("belongs to acct_theirs" in line for line in failed)
    assert any("the upstream's are" in line for line in failed), "a clock that is months away"


# ---- sockets and nginx


def test_a_socket_that_nobody_answers(patient: Patient) -> None:
    path = Path(patient.settings["INVOICEGATE_RUNTIME_DIR"]) / "9.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    try:
        found = [finding for finding in patient.examine(1) if finding["state"] != "ok"]
        assert any(f["check"] == "sockets" and "nobody answers" in f["found"] and "invoicegate@9" in f["advice"] for f in found)
        assert any(f["check"] == "nginx" and f["found"].endswith("9.sock") for f in found)
    finally:
        path.unlink()


def test_a_socket_for_everybody(patient: Patient) -> None:
    path = next(Path(patient.settings["INVOICEGATE_RUNTIME_DIR"]).glob("*.sock"))
    path.chmod(0o666)
    try:
        assert "others than nginx" in patient.complaint("sockets")
    finally:
        path.chmod(0o600)


def edit_snippet(patient: Patient, name: str, pattern: str, by: str) -> None:
    """Gives nginx's configuration a changed copy of one of the three snippets."""
    source = patient.stack.dir / f"nginx/invoicegate-{name}.conf"
    changed, count = re.subn(pattern, by, source.read_text())
    assert count
    copy = patient.dir / source.name
    copy.write_text(changed)
    patient.nginx.write_text(patient.nginx.read_text().replace(str(source), str(copy)))


@pytest.mark.parametrize(
    "name, pattern, by, said",
    [
        ("server", r"fastcgi_pass invoicegate;", "return 404;", "no server passes requests"),
        ("server", r"fastcgi_read_timeout 60s", "fastcgi_read_timeout 20s", "gives up after 20000 ms"),
        ("server", r"error timeout;", "error timeout non_idempotent;", "two workers"),
        ("workers", r"worker\.sock", "gone.sock", "where no worker is"),
        ("server", r"fastcgi_pass invoicegate;", "fastcgi_pass nobody-knows;", "no port in upstream"),
    ],
)
def test_an_nginx_that_fails(patient: Patient, name: str, pattern: str, by: str, said: str) -> None:
    edit_snippet(patient, name, pattern, by)
    assert said in patient.complaint("nginx")


@pytest.mark.parametrize(
    "pattern, by, said",
    [
        (r" max_fails=0", "", "shuns a worker"),
        (r"keepalive_time 3s;", "", "longer than a worker drains"),
        (r"keepalive_timeout 1s;", "keepalive_timeout 60s;", "longer than a worker drains"),
    ],
)
def test_an_nginx_that_could_do_better(patient: Patient, pattern: str, by: str, said: str) -> None:
    edit_snippet(patient, "workers", pattern, by)
    assert said in patient.warning("nginx")


# ---- what watches


def test_workers_that_count_each_for_itself(patient: Patient) -> None:
    directory = Path(patient.settings["INVOICEGATE_RUNTIME_DIR"])
    counters = list(directory.glob("metrics.[0-9]*"))
    assert len(counters) == 1
    hidden = directory / "hidden"
    counters[0].rename(hidden)
    try:
        assert "one worker alone" in patient.warning("counters")
    finally:
        hidden.rename(counters[0])


def test_an_nginx_without_a_listener_for_monitoring(patient: Patient) -> None:
    """It is no public listener either: without that one nobody is served."""
    conf = patient.nginx.read_text()
    patient.nginx.write_text(re.sub(r"include \S*invoicegate-admin.conf;", "", conf))
    (found,) = [finding for finding in patient.examine(0) if finding["check"] == "monitoring"]
    assert found["state"] == "skipped" and "invoicegate-admin.conf" in found["advice"]
