"""The rows of the benchmark's table: what is measured, against what, and how it is shown and written down."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from processes import machine


@dataclass
class Row:
    """One line. against: yardstick, floor, ideal, mark or nothing yet. The ratio is how many times better than the yardstick
    we are, or ours divided by whatever else is the reference."""

    key: str
    title: str
    against: str
    wanted: str = ""
    less_is_better: bool = True
    limit: float | None = None  # of the ratio: at least with a yardstick or an ideal, at most otherwise
    digits: int = 0
    runs: list[dict[str, float | None]] = field(default_factory=list)
    remark: str = ""
    excuse: str = ""  # why a missed limit is none

    def add(self, ours: float, reference: float | None = None) -> None:
        self.runs.append({"ours": ours, "reference": reference})

    def median(self, side: str) -> float | None:
        values = [run[side] for run in self.runs if run[side] is not None]
        return statistics.median(values) if values else None

    @property
    def ratio(self) -> float | None:
        ours, reference = self.median("ours"), self.median("reference")
        if not ours or not reference:
            return None
        return reference / ours if self.against == "yardstick" and self.less_is_better else ours / reference

    @property
    def is_met(self) -> bool | None:
        if self.ratio is None or self.limit is None:
            return None
        return self.ratio >= self.limit if self.against in ("yardstick", "ideal", "one worker") else self.ratio <= self.limit


def rows() -> dict[str, Row]:
    """All that make bench shows, in this order."""
    table = [
        Row("worker_cpu_us_per_invoice", "worker CPU, us an invoice (64 clients)", "yardstick", "7 times less", limit=7),
        Row("postgres_cpu_us_per_invoice", "PostgreSQL CPU, us an invoice (64 clients)", "yardstick", "5 times less", limit=5),
        Row("invoices_per_second_64", "invoices/s, 64 clients", "yardstick", "5 times more", less_is_better=False, limit=5),
        Row("invoices_per_second_512", "invoices/s, 512 clients", "yardstick", "5 times more", less_is_better=False, limit=5),
        Row("floor_cpu_us_per_invoice", "worker + nginx + PostgreSQL CPU, us an invoice", "floor", "at most 1.25 times", limit=1.25),
        Row("bytes_per_waiting_request", "bytes of a waiting request (4,000 wait 500 ms)", "mark", "at most 40,000", limit=1),
        Row("ideal_throughput_share_2000", "invoices/s, 2,000 clients, upstream 100 ms", "ideal", "90 % or all of the CPU", limit=0.9),
        Row("added_ms_p50", "added ms at 200 requests/s, p50", "mark", "at most 1.5", limit=1, digits=2),
        Row("added_ms_p99", "added ms at 200 requests/s, p99", "mark", "at most 6", limit=1, digits=2),
        Row("cost_with_10m_rows", "CPU, us an invoice, with a long past", "empty tables", "at most 1.15 times", limit=1.15),
        Row("two_workers", "invoices/s, two workers (64 clients)", "one worker", "no fewer (give or take 5 %)", limit=0.95),
        Row("sandbox_cpu_us_per_call", "sandbox CPU, us a call", "mark", "at most 25", limit=1, digits=1),
    ]
    return {row.key: row for row in table}


def shown(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def cells(row: Row, with_yardstick: bool) -> list[str]:
    ours, reference = shown(row.median("ours"), row.digits), shown(row.median("reference"), row.digits)
    yardstick = row.against == "yardstick"
    line = [row.title, ours]
    if with_yardstick:
        line.append(reference if yardstick else "")
    line.append("" if yardstick or reference == "-" else f"{row.against} {reference}")
    line.append("" if row.ratio is None else f"{row.ratio:.2f}")
    verdict = {None: "", True: "  yes", False: f"  {row.excuse}" if row.excuse else "  MISSED"}[row.is_met]
    line.append((row.wanted if with_yardstick or not yardstick else "") + verdict)
    return line


def table(measured: dict[str, Row], with_yardstick: bool) -> str:
    heads = ["median of alternating runs", "ours", *(["yardstick"] if with_yardstick else []), "reference", "ratio", "wanted"]
    lines = [heads] + [cells(row, with_yardstick) for row in measured.values() if row.runs]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    text = []
    for line in lines:
        numbers = [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1])]
        text.append("  ".join([line[0].ljust(widths[0]), *numbers, line[-1]]).rstrip())
    remarks = [f"  {row.title}: {row.remark}" for row in measured.values() if row.remark]
    return "\n".join(text + ([""] + remarks if remarks else []))


def write(path: Path, measured: dict[str, Row], more: dict[str, object]) -> None:
    """Each row under its key; what else there is to know under keys of its own."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    found: dict[str, object] = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine(), **more}
    for row in measured.values():
        found[row.key] = {
            "ours": row.median("ours"),
            "reference": row.median("reference"),
            "ratio": row.ratio,
            "runs": row.runs,
            "against": row.against,
            "remark": row.remark,
            "is_met": row.is_met,
            "excuse": row.excuse,
        }
    path.write_text(json.dumps(found, indent=1) + "\n")
