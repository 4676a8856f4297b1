"""Standby servers of a stack's PostgreSQL, each in a directory of its own, on a unix socket there and nowhere else.

    near = Replica(stack, "near", of=primary_directory(stack))
    stack.sql("alter system set synchronous_standby_names = 'near'")
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from ctl_database import postgres_programs
from stack import Stack

PATIENCE_S = 60


def primary_directory(stack: Stack) -> str:
    """Where the stack's server has its socket."""
    found = re.search(r"host='?([^ ']+)", stack.env["INVOICEGATE_AUDIT_DATABASE"])
    assert found
    return found[1]


class Replica:
    def __init__(self, stack: Stack, name: str, of: str, follows: str | None = None) -> None:
        """A copy of the server at one directory, which then follows that one or another."""
        self.directory = Path(tempfile.mkdtemp(prefix="igr.", dir="/tmp"))
        self.data = self.directory / "data"
        self.programs = postgres_programs()
        # The server refuses to run as root: inside a user namespace it runs as nobody.
        self.prefix = ["unshare", "--map-user=65534", "--map-group=65534", "--"] if os.geteuid() == 0 else []
        self._program("pg_basebackup", "-h", of, "-p", "5432", "-U", "postgres", "-D", str(self.data), "-c", "fast", "-X", "stream")
        self.set("primary_conninfo", f"host={follows or of} port=5432 user=postgres application_name={name}")
        (self.data / "standby.signal").touch()
        self.start()

    def _program(self, name: str, *arguments: str) -> None:
        # Not pipes: the server would inherit and hold them.
        with open(self.directory / "log", "ab") as log:
            subprocess.run(
                [*self.prefix, self.programs / name, *arguments],
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, timeout=PATIENCE_S,
            )

    def set(self, name: str, value: str) -> None:
        """A setting from the next start on."""
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"{name} = '{value}'\n")

    def start(self) -> None:
        options = f"-k {self.directory} -p 5432 -c listen_addresses="
        self._program("pg_ctl", "-w", "-D", str(self.data), "-o", options, "-l", str(self.directory / "server.log"), "start")

    def stop(self, mode: str = "fast") -> None:
        if (self.data / "postmaster.pid").exists():
            self._program("pg_ctl", "-w", "-m", mode, "-D", str(self.data), "stop")

    def promote(self) -> None:
        self._program("pg_ctl", "-w", "-D", str(self.data), "promote")

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.directory)
