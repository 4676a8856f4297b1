"""The disk under PostgreSQL is full for a while: nobody is told of an invoice that is not in the books, and it all goes on
once there is room. Needs root: the cluster moves to a small file system of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest
from books import Books
from stack import Stack
from waiting import wait_for

ROOM_BYTES = 40 * 1024 * 1024
FILL_BYTES = 1024 * 1024


def _cluster(stack: Stack) -> Path:
    """As tests/stack/parts.sh chooses it."""
    elsewhere = stack.dir / "pg-dir"
    return Path(elsewhere.read_text().strip()) / "pg" if elsewhere.exists() else stack.dir / "pg"


def _mount(place: Path, room_bytes: int) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={room_bytes}", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")


@pytest.fixture
def small_disk(start_stack: Callable[..., Stack]) -> Iterator[tuple[Stack, Path]]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    stack = start_stack()
    stack.stop_postgres()
    cluster, aside = _cluster(stack), stack.dir / "aside"
    subprocess.run(["cp", "-a", cluster, aside], check=True)
    used = int(subprocess.run(["du", "-sb", aside], check=True, capture_output=True, text=True).stdout.split()[0])
    _mount(cluster, used + used // 4 + ROOM_BYTES)
    try:
        owner = aside.stat()
        os.chown(cluster, owner.st_uid, owner.st_gid)
        os.chmod(cluster, 0o700)
        subprocess.run(["cp", "-a", f"{aside}/.", cluster], check=True)
        shutil.rmtree(aside)
        stack.up()
        yield stack, cluster
    finally:
        stack.keep = True
        try:
            stack.stop()
        finally:
            stack.stop = lambda: None  # type: ignore[method-assign]
            subprocess.run(["umount", "-l", cluster], check=False)
            shutil.rmtree(stack.dir, ignore_errors=True)


def _fill(file: Path) -> None:
    """To the last byte."""
    size = FILL_BYTES
    with file.open("wb", buffering=0) as out:
        while size >= 1:
            try:
                out.write(bytes(size))
            except OSError:
                size //= 2


def test_disk_full(small_disk: tuple[Stack, Path]) -> None:
    stack, disk = small_disk
    tenant, books = stack.tenant(), Books(stack)
    wait_for("an invoice", lambda: books.told(stack.create(tenant)).status == 200, 60, 0.5)
    filler = disk / "filler"
    _fill(filler)
    told = []
    for number in range(300):
        answers = stack.burst(stack.create_bytes(tenant, idempotency_key=f"full-{number}-{one}") for one in range(4))
        told += books.told_all(answers, [f"full-{number}-{one}" for one in range(4)])
        if sum(answer.status != 200 for answer in told) >= 8:
            break
    assert {answer.status for answer in told} <= {200, 500, 503, 504}
    assert any(answer.status != 200 for answer in told), "the disk was not full"
    filler.unlink()
    if not (disk / "postmaster.pid").exists():
        stack.up()
    wait_for("an invoice", lambda: books.told(stack.create(tenant)).status == 200, 60, 0.5)
    books.assert_balanced(90)
