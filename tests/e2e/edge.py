"""What stands around the workers in production, for tests: the shipped nginx site with TLS, and workers on sockets of their own.

    with Edge([path, path]) as edge:            # nginx with the complete site in front of these sockets
        answer = edge.exchange(bytes)           # over TLS; edge.plain_port is the same without
    with Instance(stack, path) as worker:       # spawn-fcgi -n, as invoicegate@.service starts it
        worker.restart()
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Iterable

import wire
from stack import BUILD, REPORTS, ROOT, Stack, free_port
from waiting import wait_for
from wire import Answer

PATIENCE_S = 60
TEMP_PATHS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def worker_socket(stack: Stack) -> Path:
    """Where the stack's own workers listen."""
    return next(Path(re.search(r"host=(\S+)", stack.env["INVOICEGATE_AUDIT_DATABASE"])[1]).glob("worker.sock"))


class Edge:
    def __init__(self, sockets: Iterable[Path], **changes: str):
        """changes: directives and their new values, wherever they stand, such as client_body_timeout="1s"; limit_req
        and limit_conn are off unless rates are given: caller_rate, client_rate (5 above them pass), waiting (a number)."""
        self.sockets = list(sockets)
        self.rates = {name: changes.pop(name, "") for name in ("caller_rate", "client_rate", "waiting")}
        self.changes = changes
        self.dir = Path(tempfile.mkdtemp(prefix="igedge.", dir="/tmp"))
        self.port, self.plain_port = free_port(), free_port()

    # ---- the configuration: the shipped files, with other places

    def _workers(self) -> str:
        text = (ROOT / "nginx/invoicegate-workers.conf").read_text()
        servers = "".join(f"    server unix:{path} max_fails=0;\n" for path in self.sockets)
        text = re.sub(r"(?:    server unix:\S+ max_fails=0;\n)+", servers, text, count=1)
        for zone in ("caller", "client"):
            rate = self.rates[f"{zone}_rate"]
            if rate:
                text = re.sub(rf"(zone=invoicegate_{zone}:10m) rate=\S+;", rf"\1 rate={rate};", text)
            else:
                text = re.sub(rf"limit_req_zone \S+ (zone=invoicegate_{zone}:)", r'limit_req_zone "" \1', text)
        if not self.rates["waiting"]:
            text = re.sub(r"limit_conn_zone \S+", 'limit_conn_zone ""', text)
        return text

    def _changed(self, text: str) -> str:
        for name, value in self.changes.items():
            text = re.sub(rf"\b{name} [^;]+;", f"{name} {value};", text)
        text = re.sub(r"burst=\d+", "burst=5", text)
        waiting = self.rates["waiting"] or 1000
        return re.sub(r"limit_conn invoicegate_waiting \d+", f"limit_conn invoicegate_waiting {waiting}", text)

    def _site(self) -> str:
        text = (ROOT / "nginx/invoicegate.conf").read_text()
        text = re.sub(r"include \S+/(?:nginx|invoicegate)-(\w+)\.conf;", rf"include {self.dir}/\1.conf;", text)
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{self.port} ").replace(
            "listen [::]:443 ssl http2", f"listen 127.0.0.1:{self.plain_port} backlog=4096"
        )
        text = re.sub(r"(ssl_certificate) +\S+;", rf"\1 {self.dir}/certificate.pem;", text)
        text = re.sub(r"(ssl_certificate_key) +\S+;", rf"\1 {self.dir}/key.pem;", text)
        return re.sub(r"access_log \S+", f"access_log {self.dir}/access.log", text)

    def _write(self) -> None:
        for name in ("http", "server"):
            (self.dir / f"{name}.conf").write_text(self._changed((ROOT / f"nginx/invoicegate-{name}.conf").read_text()))
        (self.dir / "workers.conf").write_text(self._changed(self._workers()))
        paths = "".join(f"{name}_temp_path {self.dir}/{name};\n" for name in TEMP_PATHS)
        (self.dir / "nginx.conf").write_text(
            f"{'user root;' if os.geteuid() == 0 else ''}\ndaemon off;\npid {self.dir}/pid;\n"
            f"error_log {self.dir}/error.log warn;\nworker_processes 2;\n"
            f"events {{ worker_connections 4096; }}\nhttp {{\n{paths}{self._changed(self._site())}\n}}\n"
        )
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        words += ["-keyout", "key.pem", "-out", "certificate.pem"]
        subprocess.run(words, cwd=self.dir, check=True, capture_output=True, timeout=PATIENCE_S)

    # ---- start and stop

    def __enter__(self) -> Edge:
        self._write()
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        assert program, "nginx is not installed"
        words = [program, "-p", f"{self.dir}/", "-c", f"{self.dir}/nginx.conf", "-e", f"{self.dir}/error.log"]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("nginx to listen", self._listens)
        return self

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log("error")
        with contextlib.suppress(OSError):
            for port in (self.port, self.plain_port):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return True
        return False

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        alarms = [line for line in self.log("error").splitlines() if "[emerg]" in line or "[alert]" in line]
        shutil.rmtree(self.dir)
        assert not alarms, alarms

    def log(self, name: str) -> str:
        """access or error."""
        with contextlib.suppress(FileNotFoundError):
            return (self.dir / f"{name}.log").read_text(errors="replace")
        return ""

    # ---- clients

    def context(self, *protocols: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.dir / "certificate.pem"))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def connect(self, context: ssl.SSLContext | None = None, timeout_s: float = wire.PATIENCE_S) -> ssl.SSLSocket:
        sock = wire.connect(self.port, timeout_s)
        return (context or self.context()).wrap_socket(sock, server_hostname="localhost")

    def exchange(self, data: bytes) -> Answer:
        """Raw bytes on a TLS connection of their own, one answer."""
        with self.connect() as sock:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(data)
            return wire.answer_to(sock, data)

    def answers(self, data: bytes) -> list[int]:
        """The statuses of all answers to these bytes, until nginx closes or nothing more comes."""
        received = b""
        with self.connect(timeout_s=3) as sock, contextlib.suppress(OSError):
            sock.sendall(data)
            sock.settimeout(3)
            while more := sock.recv(65536):
                received += more
        return [int(status) for status in re.findall(rb"(?:^|(?<=[\r\n}]))HTTP/1\.[01] (\d{3}) ", received)]


# ---- a worker as a unit starts it


def worker_settings(stack: Stack) -> dict[str, str]:
    secret = stack.dir / "secret"
    database = stack.env["INVOICEGATE_AUDIT_DATABASE"].replace("user=invoicegate_auditor", "user=invoicegate_worker")
    return {
        "INVOICEGATE_DATABASE": database,
        "INVOICEGATE_UPSTREAM_URL": stack.env["INVOICEGATE_SANDBOX_URL"],
        "INVOICEGATE_UPSTREAM_KEY_FILE": str(secret / "upstream-key"),
        "INVOICEGATE_UPSTREAM_TEST_KEY_FILE": str(secret / "upstream-test-key"),
        "INVOICEGATE_DIGEST_KEY_FILE": str(secret / "digest-key"),
        "INVOICEGATE_ACCOUNT_POSTS_PER_S": "0",
        "INVOICEGATE_OWN_SOCKET": "yes",
    }


class Instance:
    """One worker on a socket of its own, started and stopped as systemd does it with Type=notify."""

    def __init__(self, stack: Stack, path: Path, **settings: Any):
        self.path = path
        self.log = path.with_suffix(".log")
        self.manager = path.with_suffix(".notify")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("INVOICEGATE_", "PG"))}
        self.env |= worker_settings(stack) | {"INVOICEGATE_RUNTIME_DIR": str(path.parent), "NOTIFY_SOCKET": str(self.manager)}
        self.env |= {f"INVOICEGATE_{name}": str(value) for name, value in settings.items()}

    def __enter__(self) -> Instance:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        reports = [line for line in self.log.read_text(errors="replace").splitlines() if REPORTS.search(line)]
        assert not reports, reports

    def start(self) -> None:
        """Returns when the worker says that it takes requests."""
        words = ["spawn-fcgi", "-n", "-s", str(self.path), "-M", "0660", "-b", "4096", "--", str(BUILD / "invoicegate")]
        self.manager.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, open(self.log, "ab") as log:
            manager.bind(str(self.manager))
            manager.settimeout(PATIENCE_S)
            self.process = subprocess.Popen(words, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            told = manager.recv(4096)
        assert told == b"READY=1", told

    def stop(self) -> None:
        """Returns when it has drained and ended."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.log.read_text(errors="replace")[-2000:]

    def restart(self) -> None:
        self.stop()
        self.start()
