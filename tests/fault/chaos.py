#!/usr/bin/python3
"""make chaos: clients, and everything that can go wrong at once; afterwards three books must agree.

  SEED       what is done is drawn from it: the same seed does the same again, as far as clocks allow (1)
  DURATION   seconds of disorder (60)
  INVOICES   it goes on until so many were told at least, for at most ten times DURATION (0)
  CLIENTS    how many ask at once (32)
  RUN_DIR    where chaos.json goes (.run)
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import paths
from clients import Client, Population
from comparison import KINDS, Books, Comparison
from processes import Acts
from stack import Stack
from story import tell
from upstream_side import Faults, FaultsAtRandom, Platform, Recorder
from wishes import Wishes

SHORT = {"LEASE_MS": 1500, "DEADLINE_MS": 3000, "CALL_TIMEOUT_MS": 800, "CONNECT_TIMEOUT_MS": 800, "DRAIN_MS": 6000, "LOOKUP_PAUSE_MS": 10000}
SETTLE_S = 120.0
LOOKUP_PAUSE_S = 10.0  # between the two looks that end a doubt
PAUSE_EVERY_S = 60.0
STORIES_OF_A_KIND = 4
OPEN = "select request_id, reason from audit.requests where state in ('open', 'unresolved')"


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S ") + text, flush=True)


@dataclasses.dataclass
class Settings:
    seed: int
    duration_s: float
    invoices: int
    clients: int

    @staticmethod
    def read() -> Settings:
        def number(name: str, default: int) -> int:
            text = os.environ.get(name) or str(default)
            if not text.isdigit():
                sys.exit(f"chaos: {name} must be a number: {text}")
            return int(text)

        return Settings(number("SEED", 1), number("DURATION", 60), number("INVOICES", 0), max(1, number("CLIENTS", 32)))


class Run:
    def __init__(self, settings: Settings, stack: Stack) -> None:
        self.settings, self.stack = settings, stack
        self.wishes = Wishes()
        self.population = Population(stack)
        self.recorder = Recorder(stack.sandbox)
        self.faults = Faults(stack.sandbox, self._rng("faults"))
        self.platform = Platform(stack, self.population.tenants, self._rng("platform"))
        self.rng = self._rng("acts")
        self.done: dict[str, int] = {}
        self.forgotten = 0
        self.kills: list[tuple[float, int]] = []
        self.longest_s = 0.0
        self.began = time.time()

    def _rng(self, name: str) -> random.Random:
        return random.Random(f"{self.settings.seed} {name}")

    # ---- disorder

    def disorder(self) -> None:
        """Until the time is over and enough was made; now and then everything settles and the upstream forgets its keys."""
        self.recorder.start()
        clients = [
            Client(self.stack, self.population, self.wishes, f"{self.settings.seed} client {number}")
            for number in range(self.settings.clients)
        ]
        for client in clients:
            client.start()
        left_s, longest_s = self.settings.duration_s, 10 * self.settings.duration_s
        while left_s > 0 or (self.wishes.told_200 < self.settings.invoices and longest_s > 0):
            stretch_s = min(PAUSE_EVERY_S, left_s if left_s > 0 else 10.0)
            self._stretch(stretch_s)
            left_s, longest_s = left_s - stretch_s, longest_s - stretch_s
            if left_s > 0:
                self._pause()
        self.wishes.end()
        for client in clients:
            client.join(120)
            assert not client.is_alive(), f"{client.name} does not end"

    def _stretch(self, seconds: float) -> None:
        acts = Acts(self.stack, self.faults, self.platform, self.recorder, self.rng)
        faults = FaultsAtRandom(self.faults, self._rng("moments"))
        acts.start()
        faults.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and acts.is_alive():
            time.sleep(0.2)
        faults.end()
        acts.end()
        if acts.problem:
            raise acts.problem
        self.kills += acts.kills
        acts.calm()
        for name, count in acts.done.items():
            self.done[name] = self.done.get(name, 0) + count
        say(f"{len(self.wishes.all)} wishes, {self.wishes.told_200} invoices told, {sum(self.done.values())} acts")

    def _pause(self) -> None:
        """A key may only be forgotten when nobody can need it any more: upstreams keep them for a day."""
        if self.wishes.hold(60.0) and self.settle():
            self.stack.sandbox.control("POST", "forget_keys")
            self.forgotten += 1
        self.wishes.release()

    # ---- afterwards

    def settle(self) -> bool:
        """Waits until nothing is open. Two minutes, and the minute between two looks where a look-up was needed."""
        begun = time.monotonic()
        while True:
            waited_s = time.monotonic() - begun
            rows = self.stack.audit(OPEN)
            if not rows:
                self.longest_s = max(self.longest_s, waited_s)
                return True
            looking = any(row["reason"] == "looking_up" for row in rows)
            if waited_s > SETTLE_S + (LOOKUP_PAUSE_S if looking else 0):
                self.longest_s = max(self.longest_s, waited_s)
                return False
            time.sleep(0.25)

    def ask_again(self) -> None:
        """Keys that were told an invoice are told the same one, also when the upstream has forgotten everything."""
        self.stack.sandbox.control("POST", "forget_keys")
        rng = self._rng("again")
        client = Client(self.stack, self.population, self.wishes, f"{self.settings.seed} again")
        told = [w for w in self.wishes.all if w.idempotency_key and any(a.status == 200 for a in w.attempts)]
        for wish in rng.sample(told, min(50, len(told))):
            self.wishes.told(wish, client.attempt(wish, 30.0))

    def compare(self) -> tuple[Books, Comparison]:
        self.recorder.ended.set()
        self.recorder.read()
        books = Books(self.stack, self.recorder, self.wishes.all, self.platform.invoices(), self.kills)
        return books, Comparison(books)

    def figures(self, books: Books, comparison: Comparison) -> dict[str, Any]:
        attempts = [attempt for wish in self.wishes.all for attempt in wish.attempts]
        created = sum(request["state"] == "created" for request in books.requests.values())
        figures: dict[str, Any] = {
            "requests": len(attempts),
            "wishes": len(self.wishes.all),
            "told 200": sum(attempt.status == 200 for attempt in attempts),
            "told 504": sum(attempt.status == 504 for attempt in attempts),
            "no answer": sum(attempt.status is None for attempt in attempts),
            "made upstream": books.made_upstream,
            "invoices upstream": len(books.ledger),
            "invoices in the audit": len(books.invoices),
            "requests created": created,
        }
        figures |= {kind: comparison.count(kind) for kind in KINDS}
        return figures | {"unheard": len(comparison.unheard), "longest to settle, s": round(self.longest_s, 1)}

    def counts(self) -> dict[str, int]:
        counts = dict(sorted(self.done.items()))
        counts["faults shuffled"] = self.faults.shuffled
        return counts | {"keys forgotten": self.forgotten, "faults fired": sum(self.faults.fired.values())}


def print_table(settings: Settings, figures: dict[str, Any], counts: dict[str, int], fired: dict[str, int]) -> None:
    print(f"\nchaos, seed {settings.seed}, {settings.duration_s:.0f} s, {settings.clients} clients")
    for name, value in (figures | counts).items():
        print(f"  {name:24}{value:>10}")
    print("  by fault: " + ", ".join(f"{name} {count}" for name, count in sorted(fired.items()) if count))


def write_json(settings: Settings, run: Run, figures: dict[str, Any], comparison: Comparison) -> None:
    where = Path(os.environ.get("RUN_DIR") or paths.ROOT / ".run")
    where.mkdir(parents=True, exist_ok=True)
    problems = [f"{problem.kind}: {problem.sentence} {problem.request_id}" for problem in comparison.problems]
    result = {
        "settings": dataclasses.asdict(settings),
        "figures": figures,
        "counts": run.counts(),
        "faults": dict(sorted(run.faults.fired.items())),
        "problems": problems,
        "unheard": comparison.unheard,
        "passed": not problems,
    }
    (where / "chaos.json").write_text(json.dumps(result, indent=1) + "\n")


def main() -> int:
    settings = Settings.read()
    with Stack(workers=2, **SHORT) as stack:
        stack.keep = True  # until it has gone well
        run = Run(settings, stack)
        say(f"seed {settings.seed}: {settings.duration_s:.0f} s of disorder in {stack.dir}")
        run.disorder()
        say("calm again: waiting until everything has settled")
        if run.settle():
            run.ask_again()
        books, comparison = run.compare()
        figures = run.figures(books, comparison)
        print_table(settings, figures, run.counts(), run.faults.fired)
        write_json(settings, run, figures, comparison)
        for problem in comparison.of_each_kind(STORIES_OF_A_KIND):
            print("\n" + tell(stack, books, problem))
        enough = run.wishes.told_200 >= settings.invoices
        if comparison.problems or not enough:
            print(f"\nFAILED: {len(comparison.problems)} problems, {run.wishes.told_200} invoices; logs are in {stack.dir}/log")
            return 1
        stack.keep = False
    return 0


if __name__ == "__main__":
    sys.exit(main())
