"""Allocations of the workers that fail when a test wants it: tests/survival/scarce.c, preloaded."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("scarce.c")
FIELDS = ("good", "bad", "failed", "live", "spared")


class Scarcity:
    """Memory that is shared with the worker. env is what a stack's programs need."""

    def __init__(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="ig-scarce."))
        library, shared = self.dir / "scarce.so", self.dir / "shared"
        flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared"]
        subprocess.run(["gcc", *flags, "-o", library, SOURCE], check=True)
        shared.write_bytes(bytes(mmap.PAGESIZE))
        self._file = shared.open("r+b")
        self._memory = mmap.mmap(self._file.fileno(), mmap.PAGESIZE)
        self.enough()
        self.env = {"LD_PRELOAD": str(library), "INVOICEGATE_SCARCE": str(shared)}

    def _get(self, field: str) -> int:
        return struct.unpack_from("=q", self._memory, 8 * FIELDS.index(field))[0]

    def _set(self, field: str, value: int) -> None:
        struct.pack_into("=q", self._memory, 8 * FIELDS.index(field), value)

    def fail(self, after: int, count: int = 1, spare: bool = True) -> None:
        """So many allocations go well, then count of them fail. Those of libfcgi are spared: it aborts without memory."""
        self.enough()
        self._set("spared", int(spare))
        self._set("failed", 0)
        self._set("bad", count)
        self._set("good", after)

    def enough(self) -> None:
        self._set("good", -1)

    @property
    def failed(self) -> int:
        return self._get("failed")

    @property
    def live(self) -> int:
        """What is allocated now; of a worker that was started again, what it has allocated more than its predecessor."""
        return self._get("live")

    def close(self) -> None:
        self._memory.close()
        self._file.close()
        shutil.rmtree(self.dir)
