"""The official client library, two majors of it, used as its documentation says (tests/client/suite.test.cjs).

npm fetches them from the registry that it is configured for; the lock file names versions and digests, and no address.
Without node, npm or a registry there is nothing to test, and the reason is told.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from edge import Edge, worker_socket
from passed_on import Caller
from stack import ROOT, Stack, Tenant

CLIENT = ROOT / "tests/client"
CLIENTS = list(json.loads((CLIENT / "package.json").read_text())["dependencies"])
NPM_PATIENCE_S = 300
# What npm says when the registry cannot be reached, rather than when it has something else than was locked.
AWAY = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|EHOSTUNREACH|ENETUNREACH|ENOTCACHED"
    r"|E5\d\d|E407|CERT|network"
)


def without(reason: str) -> None:
    """A machine without node has nothing to test; where everything must be tested, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def fetch() -> None:
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    words += ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000", "--fetch-timeout=60000"]
    try:
        done = subprocess.run(words, cwd=CLIENT, capture_output=True, text=True, timeout=NPM_PATIENCE_S)
    except subprocess.TimeoutExpired:
        without(f"npm's registry cannot be reached: npm ci was not done after {NPM_PATIENCE_S} s")
        return
    if done.returncode != 0 and AWAY.search(done.stderr):
        without(f"npm's registry cannot be reached, and the client libraries are not here: {done.stderr.strip()[-600:]}")
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def modules() -> Path:
    """The libraries, installed when they are not there yet."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            without(f"there is no {program}: make deps installs it")
    wanted = CLIENT / "package-lock.json"
    installed = CLIENT / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        fetch()
    return CLIENT / "node_modules"


def test_the_lock_file_names_no_address() -> None:
    """Versions and digests alone, so that any registry will do; two majors, two apart."""
    lock = json.loads((CLIENT / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert all("resolved" not in package and package["integrity"].startswith("sha512-") for package in packages.values())
    assert "://" not in (CLIENT / "package-lock.json").read_text() + (CLIENT / "package.json").read_text()
    majors = [int(packages[f"node_modules/{name}"]["version"].split(".")[0]) for name in CLIENTS]
    assert majors[0] - majors[1] == 2 and len(packages) == len(CLIENTS) == 2


@pytest.fixture
def limited_port(stack: Stack) -> Iterator[int]:
    """The shipped nginx in front of the same workers, with a limit that is soon reached."""
    with Edge([worker_socket(stack)], caller_rate="1r/s") as edge:
        yield edge.plain_port


@pytest.mark.parametrize("library", CLIENTS)
def test_official_client(stack: Stack, tenant: Tenant, modules: Path, limited_port: int, library: str) -> None:
    caller, tester = Caller(stack, tenant), Caller(stack, tenant, mode="test")
    narrow = stack.ctl("key", "create", "--agency", str(tenant.agency), "--mode", "live", "--name", "narrow", "--route", "invoices")
    env = {
        **{"PATH": os.environ["PATH"], "HOME": str(stack.dir), "NODE_PATH": str(modules), "CLIENT": library},
        **{"PORT": str(stack.port), "KEY": tenant.key, "TEST_KEY": tenant.test_key, "NARROW_KEY": narrow.split()[-1]},
        **{"ACCOUNT": tenant.account, "CUSTOMER": caller.customer(), "TEST_CUSTOMER": tester.customer()},
        **{"SANDBOX": stack.env["INVOICEGATE_SANDBOX_URL"], "LIMITED_PORT": str(limited_port)},
    }
    done = subprocess.run(["node", "--test", "suite.test.cjs"], cwd=CLIENT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
