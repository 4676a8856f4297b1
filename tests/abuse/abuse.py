#!/usr/bin/python3
"""make abuse: what hostile and thoughtless clients do, and what well-behaved tenants feel of it.

Eight tenants ask all the time, through the shipped nginx site with its limits. Each attack lasts a while, with quiet times around
it. The table shows the tenants' 99th percentile in both, and the ratio. The run fails when a tenant is told anything
but 200 or nothing at all, when an attacker is told what it should not be, when the books do not agree with what was told, when
a program dies, or when a ratio is out of all bounds.

  SECONDS_EACH   of each attack and of each quiet time between two (8)
  ATTACKS        names of the rows to run, with commas between them (all)
  RUN_DIR        where abuse.json goes (.run)
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from front import ROOT, Site

from edge import worker_socket
from stack import Stack, Tenant
from waiting import wait_for

HERE = Path(__file__).resolve().parent
TENANTS, CONNECTIONS, THINK_S = 8, 2, 0.05
LATENCY_MS, JITTER_MS = 100, 20  # of the upstream; an invoice takes two calls
WITHIN = 2.0  # what the ratio is to be
BOUND = 12.0  # beyond that no noise explains it
SLACK_MS = 250.0  # nor below that
NICE = int(os.environ.get("NICE") or 19)  # attackers come from elsewhere: they must not take the processor away from what is measured here


@dataclasses.dataclass
class Row:
    name: str
    title: str
    attack: str
    task: dict[str, Any]
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)


def rows(keys: list[str]) -> list[Row]:
    many = {"keys": keys, "addresses": 200, "at_once": 400, "think_s": 0.0}
    return [
        Row("idle", "10,000 idle and slow connections", "idle", {"count": 10000}),
        Row("headers", "headers of 1 MB", "headers", {"at_once": 16}),
        Row("bodies", "bodies that never end", "bodies", {"at_once": 16}),
        Row("wrong_keys", "100,000 wrong keys from 2,000 addresses", "wrong_keys", {"count": 100000, "each": 50, "at_once": 100, "seconds": 120}),
        Row("one_address", "wrong keys from one address", "one_address", {"at_once": 300, "think_s": 0.05}),
        Row("one_key", "one tenant flooding with one key", "flood", many | {"keys": keys[:1], "addresses": 1, "think_s": 0.05}),
        Row("many_keys", "one tenant flooding: 20 keys, 200 addresses", "flood", many),
    ]


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


class Attack:
    """A process of attacks.py, which ends after its time, or when it is told to."""

    def __init__(self, name: str, task: dict[str, Any]):
        self.output = tempfile.TemporaryFile()
        words = ["/usr/bin/python3", str(HERE / "attacks.py"), name]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=self.output)
        self._stdin().write(json.dumps(task).encode() + b"\n")
        self._stdin().flush()

    def _stdin(self) -> IO[bytes]:
        assert self.process.stdin
        return self.process.stdin

    def tell_to_end(self) -> None:
        self._stdin().close()

    def result(self, patience_s: float) -> dict[str, Any]:
        assert self.process.wait(patience_s) == 0, "the clients themselves failed"
        self._stdin().close()
        with self.output as output:
            output.seek(0)
            return json.load(output)


class Run:
    def __init__(self, stack: Stack, site: Site, seconds: float):
        self.stack, self.site, self.seconds = stack, site, seconds
        self.tenants = [stack.tenant() for _ in range(TENANTS)]
        self.greedy = stack.tenant()
        more = ["key", "create", "--agency", str(self.greedy.agency), "--mode", "live"]
        self.greedy_keys = [self.greedy.key, *(stack.ctl(*more) for _ in range(19))]
        self.ids: list[str] = []

    def _task(self, tenant: Tenant) -> dict[str, Any]:
        body = json.dumps({"data": self.stack.data(tenant)})
        return {"port": self.site.plain_port, "path": self.stack.invoices_path(tenant), "body": body, "key": tenant.key}

    def _well_behaved(self, seconds: float) -> Attack:
        named = [self._task(tenant) for tenant in self.tenants]
        task = self._task(self.greedy) | {"tenants": named, "each": CONNECTIONS, "think_s": THINK_S, "seconds": seconds}
        return Attack("tenants", task)

    def _heard(self, row: Row, when: str, found: dict[str, Any]) -> list[float]:
        self.ids += found["ids"]
        if found["wrong"] or found["lost"] or not found["ms"]:
            row.problems.append(f"tenants, {when}: {found['statuses']}, {found['lost']} without an answer")
        return found["ms"]

    def quiet(self, row: Row) -> list[float]:
        return self._heard(row, "in the quiet", self._well_behaved(self.seconds).result(self.seconds + 120))

    def measure(self, row: Row) -> list[float]:
        """What the tenants felt under attack."""
        pids = self.stack.worker_pids()
        attack = Attack(row.attack, self._task(self.greedy) | {"seconds": self.seconds, "nice": NICE} | row.task)
        time.sleep(1)  # it takes its run-up
        tenants = self._well_behaved(self.seconds + 240)
        try:
            done = attack.result(self.seconds + 240)
        finally:
            tenants.tell_to_end()
        busy = self._heard(row, "under attack", tenants.result(120))
        self.ids += done.get("ids", [])
        if done.get("lost") or done.get("wrong"):
            row.problems.append(f"the attack: {done.get('statuses')}, {done.get('lost', 0)} without an answer")
        if self.stack.worker_pids() != pids:
            row.problems.append("a worker has died")
        row.figures = {
            "requests": done["requests"],
            "told": done.get("note") or ", ".join(f"{count:,} {word}" for word, count in sorted(done["statuses"].items())),
        }
        wait_for("the requests of this row to end", lambda: not self._open(), 120, 0.2)
        return busy

    def _open(self) -> int:
        return self.stack.audit("select count(*) as n from audit.requests where state in ('open', 'unresolved')")[0]["n"]

    def timing(self) -> tuple[str, list[str]]:
        """Whether a 401 tells how wrong the key was."""
        kinds = {"unknown": ""}
        for kind in ("revoked", "expired"):
            kinds[kind] = self.stack.ctl("key", "create", "--agency", str(self.greedy.agency), "--mode", "live", "--name", kind)
            column = "revoked_at" if kind == "revoked" else "expires_at"
            self.stack.sql(f"update gateway.api_keys set {column} = now() where name = %s", kind)
        done = Attack("timing", self._task(self.greedy) | {"seconds": self.seconds, "kinds": kinds, "each": 15}).result(120)
        told = ", ".join(f"{kind} {percentile(ms, 0.5):.1f} (p90 {percentile(ms, 0.9):.1f})" for kind, ms in done["ms"].items())
        count = sum(len(ms) for ms in done["ms"].values())
        problems = ["wrong keys were told something else than 401"] if done["wrong"] or done["lost"] else []
        return f"401 after ms, median of {count:,}: {told}", problems

    def warm_up(self) -> None:
        """Customers and products are known from here on, and every program has its memory."""
        self.stack.sandbox.latency(0)
        for key in self.greedy_keys:
            assert self.stack.create(self.greedy, key=key).status == 200
        row = Row("", "", "", {})
        self._heard(row, "warming up", self._well_behaved(3).result(120))
        assert not row.problems, row.problems
        self.ids.clear()
        self.since = self.stack.sql("select clock_timestamp() as now")[0]["now"]
        self.stack.sandbox.latency(LATENCY_MS, JITTER_MS)

    def books(self) -> list[str]:
        """Everything that was told 200 is in the audit and upstream, once, and nothing else is."""
        made = self.stack.audit("select invoice_id from audit.requests where state = 'created' and created_at >= %s", self.since)
        audit = {row["invoice_id"] for row in made}
        standing = {invoice["id"] for invoice in self.stack.sandbox.ledger()["invoices"]}
        found = []
        if len(set(self.ids)) != len(self.ids):
            found.append(f"{len(self.ids) - len(set(self.ids))} invoices were told twice")
        if set(self.ids) != audit:
            found.append(f"told {len(self.ids)} invoices, the audit has {len(audit)}")
        if not audit <= standing:
            found.append(f"{len(audit - standing)} invoices of the audit do not stand upstream")
        return found


def compare(row: Row, quiet: list[float], busy: list[float]) -> None:
    for name, values in (("quiet", quiet), ("busy", busy)):
        for part in (50, 99):
            row.figures[f"{name}_p{part}_ms"] = percentile(values, part / 100)
    row.figures["samples"] = [len(quiet), len(busy)]
    more_ms = row.figures["busy_p99_ms"] - row.figures["quiet_p99_ms"]
    row.figures["ratio"] = row.figures["busy_p99_ms"] / row.figures["quiet_p99_ms"]
    if row.figures["ratio"] > BOUND and more_ms > SLACK_MS:
        row.problems.append(f"the ratio {row.figures['ratio']:.1f} is out of all bounds")


def run_rows(run: Run, rows: list[Row]) -> None:
    """Quiet, attack, quiet, attack, ..., quiet: each attack is compared with the quiet times on both its sides."""
    before = run.quiet(rows[0])
    for row in rows:
        print(f"{row.title} ...", file=sys.stderr, flush=True)
        busy = run.measure(row)
        after = run.quiet(row)
        compare(row, before + after, busy)
        before = after


def table(rows: list[Row]) -> str:
    heads = ["attack", "requests", "told", "p50 quiet", "p50", "p99 quiet", "p99 ms", "ratio", f"within {WITHIN:.0f}"]
    lines = [heads]
    for row in rows:
        figures = row.figures
        numbers = [f"{figures[name]:.0f}" for name in ("quiet_p50_ms", "busy_p50_ms", "quiet_p99_ms", "busy_p99_ms")]
        ratio = figures["ratio"]
        lines.append([row.title, f"{figures['requests']:,}", figures["told"], *numbers, f"{ratio:.2f}", "yes" if ratio <= WITHIN else "NO"])
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def main() -> int:
    seconds = float(os.environ.get("SECONDS_EACH") or 8)
    wanted = (os.environ.get("ATTACKS") or "").split(",")
    with Stack(WRONG_KEYS_PER_MIN=60) as stack, Site([worker_socket(stack)]) as site:
        run = Run(stack, site, seconds)
        run.warm_up()
        done = [row for row in rows(run.greedy_keys) if wanted == [""] or row.name in wanted]
        timing, problems = run.timing()
        run_rows(run, done)
        problems += [f"{row.title}: {problem}" for row in done for problem in row.problems] + run.books()
        stack.keep = bool(problems)
    print(f"{table(done)}\n{timing}")
    where = Path(os.environ.get("RUN_DIR") or ROOT / ".run")
    where.mkdir(parents=True, exist_ok=True)
    facts = {"rows": [dataclasses.asdict(row) | {"task": None} for row in done], "timing": timing, "problems": problems, "passed": not problems}
    (where / "abuse.json").write_text(json.dumps(facts, indent=1) + "\n")
    for problem in problems:
        print(f"FAILED: {problem}")
    print(f"tenants' 99th percentile within {WITHIN:.0f} times its quiet value: "
          f"{sum(row.figures['ratio'] <= WITHIN for row in done)} of {len(done)}; {len(run.ids):,} invoices told, books agree: "
          f"{'no' if problems else 'yes'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
