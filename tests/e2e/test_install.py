"""make install and make uninstall, and what is installed: exactly a list of files, configuration left alone, units that
systemd finds nothing wrong with, an nginx site that nginx takes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("INVOICEGATE_BUILD", ROOT / "build"))
PATIENCE_S = 120
UNIT = ROOT / "systemd/invoicegate@.service"
CONFIGURATION = {"etc/invoicegate/invoicegate.env", "etc/invoicegate/nginx-workers.conf"}


def run_install(what: str, destination: Path, prefix: str = "/usr/local") -> str:
    """What make does, with programs that are built already."""
    env = {"PATH": os.environ["PATH"], "PREFIX": prefix, "SYSCONFDIR": "/etc", "DESTDIR": str(destination), "BUILD": str(BUILD)}
    done = subprocess.run([ROOT / "systemd/install.sh", what], env=env, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()}


def expected(prefix: str) -> set[str]:
    below = {
        *("bin/invoicegate", "bin/invoicegatectl"),
        *("share/man/man5/invoicegate.conf.5", "share/man/man8/invoicegate.8", "share/man/man8/invoicegatectl.8"),
        *("lib/systemd/system/invoicegate@.service", "lib/sysusers.d/invoicegate.conf", "lib/tmpfiles.d/invoicegate.conf"),
        *("share/invoicegate/nginx/invoicegate-http.conf", "share/invoicegate/nginx/invoicegate-server.conf"),
        *("share/invoicegate/nginx/invoicegate-admin.conf", "share/invoicegate/prometheus-alerts.yml"),
        "share/invoicegate/grafana/invoicegate.json",
        *("share/invoicegate/manifest", "share/bash-completion/completions/invoicegatectl"),
        *("share/doc/invoicegate/README.md", "share/doc/invoicegate/LICENSE"),
        *(f"share/doc/invoicegate/examples/{name}" for name in ("invoicegate.env", "nginx-workers.conf", "nginx-site.conf")),
        *(f"share/invoicegate/sql/{path.name}" for path in (ROOT / "sql").glob("*.sql")),
    }
    return {f"{prefix.strip('/')}/{name}" for name in below} | CONFIGURATION


@pytest.mark.parametrize("prefix", ["/usr/local", "/usr", "/opt/invoice gate", "/opt/a,b&c"])
def test_exactly_these_files_are_put_and_taken(tmp_path: Path, prefix: str) -> None:
    run_install("install", tmp_path, prefix)
    assert files(tmp_path) == expected(prefix)
    unit = tmp_path / prefix.strip("/") / "lib/systemd/system/invoicegate@.service"
    assert f"{prefix}/bin/invoicegate" in unit.read_text()
    run_install("uninstall", tmp_path, prefix)
    assert files(tmp_path) == CONFIGURATION
    left = {path.name for path in tmp_path.rglob("*") if path.is_dir()}
    assert not (tmp_path / prefix.strip("/") / "share/doc/invoicegate").exists() and "sql" not in left


def test_modes_are_for_everybody_to_read(tmp_path: Path) -> None:
    os.umask(0o077)
    try:
        run_install("install", tmp_path)
    finally:
        os.umask(0o022)
    for path in tmp_path.rglob("*"):
        program = path.parent.name == "bin" or path.is_dir()
        assert path.stat().st_mode & 0o777 == (0o755 if program else 0o644), path


def test_configuration_is_never_changed(tmp_path: Path) -> None:
    run_install("install", tmp_path)
    for name in CONFIGURATION:
        (tmp_path / name).write_text("mine\n")
    assert run_install("install", tmp_path).count("kept") == len(CONFIGURATION)
    run_install("uninstall", tmp_path)
    assert {name: (tmp_path / name).read_text() for name in CONFIGURATION} == dict.fromkeys(CONFIGURATION, "mine\n")


def test_what_a_newer_version_no_longer_has_goes(tmp_path: Path) -> None:
    run_install("install", tmp_path)
    manifest = tmp_path / "usr/local/share/invoicegate/manifest"
    old, strange = tmp_path / "usr/local/share/invoicegate/sql/099_old.sql", tmp_path / "usr/local/bin/strange"
    for path in (old, strange):
        path.write_text("")
    manifest.write_text(manifest.read_text() + "share/invoicegate/sql/099_old.sql\n")
    run_install("install", tmp_path)
    assert files(tmp_path) == expected("/usr/local") | {"usr/local/bin/strange"}
    run_install("uninstall", tmp_path)
    assert files(tmp_path) == CONFIGURATION | {"usr/local/bin/strange"}


def test_nothing_to_uninstall_is_said(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="nothing is installed"):
        run_install("uninstall", tmp_path)


def test_migrations_are_put_byte_by_byte_and_the_rest_knows_its_place(tmp_path: Path) -> None:
    run_install("install", tmp_path, "/opt/ig")
    for path in (ROOT / "sql").glob("*.sql"):
        assert (tmp_path / "opt/ig/share/invoicegate/sql" / path.name).read_bytes() == path.read_bytes()
    texts = {name: (tmp_path / name).read_text() for name in files(tmp_path) if not re.search(r"/bin/|\.sql$|\.md$", name)}
    assert [name for name, text in texts.items() if "/usr/local" in text] == []
    assert " -- /opt/ig/bin/invoicegate\n" in texts["opt/ig/lib/systemd/system/invoicegate@.service"]


def test_make_installs_programs_that_know_their_prefix(tmp_path: Path) -> None:
    """In a build folder of its own: make compiles what knows the prefix anew."""
    for folder in ("src", "sql", "nginx", "systemd", "Makefile", "README.md", "LICENSE"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "INVOICEGATE_"))}
    words = ["make", "-s", "-C", str(tmp_path), "CFLAGS=-O0", "OPTIMIZE=-O0", "PREFIX=/opt/ig", f"DESTDIR={tmp_path}/to"]
    done = subprocess.run([*words, "install"], env=env, capture_output=True, text=True, timeout=PATIENCE_S * 3)
    assert done.returncode == 0, done.stderr
    told = subprocess.run([tmp_path / "to/opt/ig/bin/invoicegatectl", "migrate", "--help"], capture_output=True, text=True)
    assert "default /opt/ig/share/invoicegate/sql" in told.stdout
    subprocess.run([*words, "uninstall"], env=env, check=True, capture_output=True, timeout=PATIENCE_S)
    assert files(tmp_path / "to") == CONFIGURATION


# ---- what systemd says


def systemd(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S)


def test_the_unit_is_locked_up() -> None:
    done = systemd("systemd-analyze", "security", "--offline=true", "--threshold=11", "--no-pager", str(UNIT))
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


def test_the_unit_is_valid(tmp_path: Path) -> None:
    """Programs that are not installed here are no fault of the unit: links stand in for them."""
    text = UNIT.read_text().replace("/usr/local/bin/invoicegate", str(BUILD / "invoicegate"))
    copy = tmp_path / "invoicegate@1.service"
    copy.write_text(text)
    done = systemd("systemd-analyze", "verify", "--man=no", str(copy))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_user_and_directories_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("root:x:0:\nwww-data:x:33:\n")
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    run_install("install", tmp_path, "/usr")
    done = systemd("systemd-sysusers", f"--root={tmp_path}")
    assert done.returncode == 0, done.stderr
    user = next(line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("invoicegate:"))
    assert user.endswith(":/:/usr/sbin/nologin")
    if os.geteuid() == 0:
        done = systemd("systemd-tmpfiles", "--create", f"--root={tmp_path}", str(tmp_path / "usr/lib/tmpfiles.d/invoicegate.conf"))
        assert done.returncode == 0, done.stderr
        sockets, secrets = (tmp_path / "run/invoicegate").stat(), (tmp_path / "etc/credstore").stat()
        assert (sockets.st_mode & 0o7777, sockets.st_gid) == (0o750, 33)
        assert (secrets.st_mode & 0o7777, secrets.st_uid) == (0o700, 0)


def number(pattern: str, text: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    assert found, pattern
    return int(found[1])


def test_time_limits_follow_each_other() -> None:
    """Deadline and kept connections < drain < systemd's patience; deadline < nginx's patience."""
    helped = systemd(str(BUILD / "invoicegate"), "--help").stdout
    deadline_ms = number(r"INVOICEGATE_DEADLINE_MS\n.*\n +default: (\d+)", helped)
    drain_ms = number(r"INVOICEGATE_DRAIN_MS\n.*\n +default: (\d+)", helped)
    in_flight = number(r"INVOICEGATE_MAX_INFLIGHT\n.*\n +default: (\d+)", helped)
    workers, server = ((ROOT / f"nginx/invoicegate-{name}.conf").read_text() for name in ("workers", "server"))
    kept_s = number(r"^ +keepalive_time (\d+)s;", workers) + number(r"^ +keepalive_timeout (\d+)s;", workers)
    unit = UNIT.read_text()
    assert deadline_ms + 1000 * kept_s < drain_ms < 1000 * number(r"^TimeoutStopSec=(\d+)$", unit)
    assert deadline_ms < 1000 * number(r"fastcgi_read_timeout (\d+)s", server)
    assert number(r"^LimitNOFILE=(\d+)$", unit) >= 3 * in_flight
    assert number(r"^TasksMax=(\d+)$", unit) > in_flight
    assert "Environment=INVOICEGATE_OWN_SOCKET=yes\n" in unit


# ---- what nginx says


def test_the_site_is_taken_by_nginx(tmp_path: Path) -> None:
    run_install("install", tmp_path)
    site = (tmp_path / "usr/local/share/doc/invoicegate/examples/nginx-site.conf").read_text()
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x"]
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=PATIENCE_S)
    site = re.sub(r"(include) /", rf"\1 {tmp_path}/", site)
    site = re.sub(r"ssl_certificate +\S+;", f"ssl_certificate {certificate};", site)
    site = re.sub(r"ssl_certificate_key +\S+;", f"ssl_certificate_key {key};", site)
    site = re.sub(r"access_log \S+", f"access_log {tmp_path}/access.log", site)
    paths = "".join(f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\nhttp {{\n{paths}{site}\n}}\n")
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    assert nginx
    done = systemd(nginx, "-t", "-q", "-c", str(conf), "-e", str(tmp_path / "error.log"))
    complaints = [line for line in done.stderr.splitlines() if '"user" directive' not in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


def test_completion_is_bash(tmp_path: Path) -> None:
    done = subprocess.run(["bash", "-n", ROOT / "src/ctl/invoicegatectl.bash"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
