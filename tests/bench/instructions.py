#!/usr/bin/python3
"""make bench-instructions: how many instructions each micro-step takes on a fixed input, counted by callgrind.

Each case runs in two lengths; the difference counts, so start-up does not. Everything is counted twice and must repeat
exactly. The table goes to standard output, the numbers to .run/instructions.json; earlier ones are shown beside them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAM = Path(os.environ.get("INVOICEGATE_BENCH", ROOT / "build/bench")) / "instructions/instructions"
RESULTS = ROOT / ".run/instructions.json"
CASES = {
    "parse": "the body of a request, as JSON",
    "validate": "a whole request: key, path, body, fingerprint",
    "outcome": "100 decisions on answers of the upstream",
    "object": "an invoice of the upstream, read and looked into",
    "response": "the body of a 200",
    "arena": "memory for a request",
}
FEW, MANY = 50, 150


def counted(case: str, count: int) -> int:
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", PROGRAM, case, str(count), HERE / "instructions/invoice.json"],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=300, check=False,
    )
    found = re.search(r"Collected *: *(\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise RuntimeError(f"callgrind failed with {case}: {done.stderr[-400:]}")
    return int(found[1])


def each(case: str) -> float:
    return (counted(case, MANY) - counted(case, FEW)) / (MANY - FEW)


def main() -> int:
    earlier = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results, differs = {}, []
    print(f"{'instructions':14}{'each':>10}{'before':>10}")
    for case, what in CASES.items():
        results[case] = each(case)
        before = earlier.get(case)
        print(f"{case:14}{results[case]:10,.0f}{'' if before is None else format(before, ',.0f'):>10}  {what}", flush=True)
        if each(case) != results[case]:
            differs.append(case)
    RESULTS.parent.mkdir(mode=0o700, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if differs:
        print(f"bench-instructions: counts do not repeat: {', '.join(differs)}", file=sys.stderr)
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
