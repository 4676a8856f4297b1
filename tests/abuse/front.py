"""The shipped nginx site as it is, limits and bursts included, in front of a stack's workers."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

from edge import Edge

FILES = 20000


class Site(Edge):
    """Only places are changed, and how many connections nginx may have: its own default is made for a small site."""

    def _workers(self) -> str:
        servers = "".join(f"    server unix:{path} max_fails=0;\n" for path in self.sockets)
        return re.sub(
            r"(?:    server unix:\S+ max_fails=0;\n)+", servers, (ROOT / "nginx/invoicegate-workers.conf").read_text(), count=1
        )

    def _changed(self, text: str) -> str:
        return text

    def _write(self) -> None:
        super()._write()
        path = self.dir / "nginx.conf"
        text = path.read_text().replace("worker_connections 4096", f"worker_connections {FILES // 2}")
        text = text.replace("/error.log warn;", "/error.log error;")  # nginx's own default
        path.write_text(f"worker_rlimit_nofile {FILES};\n{text}")
