"""The official client library, two majors of it, used as its documentation says (tests/client/suite.test.cjs)."""

from __future__ import annotations

import json
import os
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
NPM_PATIENCE_S = 180


def without(reason: str) -> None:
    """A machine without node has nothing to test; where everything must be tested, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def modules() -> Path:
    """The libraries, installed when they are not there yet."""
    if not shutil.which("node"):
        without("there is no node")
    wanted = CLIENT / "package-lock.json"
    installed = CLIENT / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        if not shutil.which("npm"):
            without("there is no npm")
        words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(words, cwd=CLIENT, capture_output=True, text=True, timeout=NPM_PATIENCE_S)
        if done.returncode != 0:
            without(f"npm ci: {done.stderr.strip()[-300:]}")
    return CLIENT / "node_modules"


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
