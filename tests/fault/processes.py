"""The processes' side of a run: what dies, stops, restarts and loses its connections, one act after another."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from typing import Callable

import paths  # noqa: F401
import psycopg2
from stack import Stack
from upstream_side import Faults, Platform, Recorder
from waiting import wait_for


class Acts(threading.Thread):
    """One act after another with pauses in between, until it is told to end. Every act is counted."""

    # Five workers that a request wore out park it for an operator, and rightly so: within the longest time that requests
    # usually need here, fewer are taken from one.
    LOSSES_MAX, LOSSES_WITHIN_S = 4, 30.0

    def __init__(self, stack: Stack, faults: Faults, platform: Platform, recorder: Recorder, rng: random.Random) -> None:
        super().__init__(name="acts", daemon=True)
        self.stack, self.faults, self.platform, self.recorder, self.rng = stack, faults, platform, recorder, rng
        self.done: Counter[str] = Counter()
        self.kills: list[tuple[float, int]] = []  # moment and pid of each worker that was killed
        self.problem: BaseException | None = None
        self.losses: list[float] = []
        self._ended = threading.Event()
        self._stopped: dict[int, float] = {}  # pid: when it goes on

    # ---- the acts

    def _worker(self) -> int | None:
        pids = [pid for pid in self.stack.worker_pids() if pid not in self._stopped]
        return self.rng.choice(pids) if pids else None

    def _may_lose(self) -> bool:
        now = time.time()
        self.losses = [moment for moment in self.losses if moment > now - self.LOSSES_WITHIN_S]
        return len(self.losses) < self.LOSSES_MAX

    def kill_worker(self) -> bool:
        pid = self._worker()
        if pid is None or not self._may_lose():
            return False
        self.losses.append(time.time())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills.append((time.time(), pid))
        return True

    def drain_worker(self) -> bool:
        """An orderly stop; multiwatch starts another."""
        pid = self._worker()
        if pid is None or not self._may_lose():
            return False
        self.losses.append(time.time())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        return True

    def stop_worker(self) -> bool:
        """It stands still, often longer than its lease, and then goes on as if nothing had happened."""
        pid = self._worker()
        if pid is None or self._stopped or not self._may_lose():
            return False
        self.losses.append(time.time())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._stopped[pid] = time.time() + self.rng.uniform(0.3, 4.5)
        return True

    def _let_go_on(self, all_of_them: bool = False) -> None:
        for pid, until in list(self._stopped.items()):
            if all_of_them or time.time() >= until:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                del self._stopped[pid]

    def end_backends(self) -> bool:
        with contextlib.suppress(psycopg2.Error):
            self.stack.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where usename = 'invoicegate_worker' and random() < %s",
                self.rng.choice([0.3, 1.0]),
            )
            return True
        return False

    def restart_postgres(self) -> bool:
        self.stack.stop_postgres(signal.SIGINT)
        self.up()
        return True

    def crash_postgres(self) -> bool:
        self.stack.stop_postgres(signal.SIGQUIT)
        self.up()
        return True

    def reload_nginx(self) -> bool:
        os.kill(self.stack.pid("nginx"), signal.SIGHUP)
        return True

    def restart_sandbox(self) -> bool:
        self.recorder.read()
        self.stack.stop_sandbox(signal.SIGKILL)
        time.sleep(self.rng.uniform(0, 1.5))
        self.up()
        self.recorder.read()
        return True

    # ---- the run

    def up(self) -> None:
        """Everything that does not run is started. The machine may be too busy for the first try."""
        for tries in range(3):
            with contextlib.suppress(AssertionError):
                self.stack.up()
                return
            self._let_go_on()
        self.stack.up()

    def run(self) -> None:
        try:
            while not self._ended.wait(self.rng.uniform(0.05, 0.6)):
                self._let_go_on()
                act, name = self._choose()
                if act():
                    self.done[name] += 1
        except BaseException as problem:  # the run must not go on without acts, and must say why
            self.problem = problem
        finally:
            self._let_go_on(all_of_them=True)

    def _choose(self) -> tuple[Callable[[], object], str]:
        acts: list[tuple[int, Callable[[], object], str]] = [
            (4, self.kill_worker, "workers killed"),
            (3, self.stop_worker, "workers stopped"),
            (1, self.drain_worker, "workers drained"),
            (3, self.end_backends, "backends ended"),
            (1, self.restart_postgres, "postgres restarted"),
            (1, self.crash_postgres, "postgres crashed"),
            (2, self.reload_nginx, "nginx reloaded"),
            (1, self.restart_sandbox, "sandbox restarted"),
            (2, self.platform.delete_customers, "customers deleted"),
            (2, self.platform.change_price, "prices changed"),
        ]
        _, act, name = self.rng.choices(acts, weights=[weight for weight, *_ in acts])[0]
        return act, name

    def end(self) -> None:
        """No more acts; what was stopped goes on."""
        self._ended.set()
        self.join(400)
        assert not self.is_alive(), "an act does not end"

    def calm(self) -> None:
        """Everything runs and answers, and no fault is left."""
        self._let_go_on(all_of_them=True)
        self.up()
        wait_for("the sandbox to drop its faults", self._faults_off, 30.0, 0.1)
        wait_for("both workers", lambda: len(self.stack.worker_pids()) == self.stack.workers, 30.0, 0.1)

    def _faults_off(self) -> bool:
        with contextlib.suppress(OSError, AssertionError):
            self.faults.off()
            return True
        return False
