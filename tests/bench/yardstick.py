"""The yardstick: another program for the same job, in a folder with package.json, server.mjs and schema.sql.

It gets a copy of the folder, a database of its own in the stack's PostgreSQL, and a server of its own in the stack's nginx;
its upstream is the stack's sandbox.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from stack import Stack, free_port
from wrk import say

UPSTREAM_KEY = "sk_test_12345"  # that it has built in
KEY, ACCOUNT, PRODUCT = "agency_test_key", "acct_bench", "prod_usd_10000"
WORKERS = 2

NGINX = """
upstream yardstick {{
    server 127.0.0.1:{port};
    keepalive 4096;
    keepalive_requests 100000;
}}
server {{
    listen 127.0.0.1:{front} backlog=4096;
    access_log {log} invoicegate;
    client_max_body_size 64k;
    client_body_buffer_size 64k;
    location / {{
        proxy_pass http://yardstick;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_read_timeout 60s;
    }}
}}
"""


class Yardstick:
    name = "yardstick"

    def __init__(self, folder: Path, stack: Stack) -> None:
        self.stack = stack
        self.port, self.front = free_port(), free_port()
        self.directory = stack.directory / "yardstick"
        self.process: subprocess.Popen | None = None
        # npm's files are read-only where the folder is.
        shutil.copytree(folder, self.directory, ignore=shutil.ignore_patterns("node_modules"))
        subprocess.run(["chmod", "-R", "u+w", self.directory], check=True)
        stack.nginx_servers.append(
            NGINX.format(port=self.port, front=self.front, log=stack.directory / "log/yardstick-access.log")
        )

    def install(self) -> None:
        missing = [name for name in ("node", "npm") if not shutil.which(name)]
        if missing:
            raise SystemExit(f"bench: PEER needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed")
        say("yardstick: npm ci")
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=self.directory, capture_output=True, text=True, timeout=300, check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm ci failed in a copy of the yardstick: {done.stderr.strip()[-500:]}")

    def start(self) -> None:
        """With the stack up. Node ends when its parent's group does; the primary forks the workers."""
        socket_dir = self.stack.socket_dir
        self.stack.query("create database yardstick")
        subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", socket_dir, "-U", "postgres", "-d", "yardstick",
             "-f", self.directory / "schema.sql"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
        )
        environment = {
            **os.environ,
            "PORT": str(self.port),
            "WORKERS": str(WORKERS),
            "DATABASE_URL": f"postgres://postgres@/yardstick?host={socket_dir}&port=5432",
            "UPSTREAM": self.stack.facts["INVOICEGATE_SANDBOX_URL"],
            "NODE_ENV": "production",
        }
        log = (self.stack.directory / "log/yardstick.log").open("w")
        self.process = subprocess.Popen(
            ["node", "server.mjs"], cwd=self.directory, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        self._wait()

    def _wait(self) -> None:
        give_up = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/ready", timeout=5)
            except urllib.error.HTTPError as answer:
                if answer.code == 404:
                    return
            except OSError:
                pass
            if time.monotonic() > give_up or self.process.poll() is not None:
                raise RuntimeError(f"the yardstick does not start: {(self.stack.directory / 'log/yardstick.log').read_text()[-500:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(30)

    # ---- as a subject

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.front}"

    def load_environment(self) -> dict[str, str]:
        return {
            "BENCH_KEY": f"Bearer {KEY}",
            "BENCH_ACCOUNT": ACCOUNT,
            "BENCH_PRODUCT": PRODUCT,
            "BENCH_CLIENT_FORMAT": "%024x",
        }

    def parts(self) -> dict[str, list[int]]:
        return {**self.stack.parts(), "gateway": [self.process.pid]}
