"""The whole story of a problem: audit rows, events, calls, what clients were told, what the sandbox saw."""

from __future__ import annotations

import re
from typing import Any

import paths  # noqa: F401
from comparison import Books, Problem
from stack import Stack

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _row(row: dict[str, Any]) -> str:
    shown = {name: value for name, value in row.items() if value is not None and not isinstance(value, (bytes, memoryview))}
    return " ".join(f"{name}={value}" for name, value in shown.items())


def _request_ids(books: Books, problem: Problem) -> list[str]:
    ids = UUID.findall(problem.request_id + problem.sentence)
    if problem.wish:
        ids += [attempt.request_id for attempt in problem.wish.attempts if attempt.by_worker]
        if key := problem.wish.idempotency_key:
            ids += [i for i, request in books.requests.items() if request["idempotency_key"] == key]
    return list(dict.fromkeys(i for i in ids if i))


def _of_request(stack: Stack, books: Books, request_id: str) -> list[str]:
    lines = [f"request {request_id}"]
    request = books.requests.get(request_id)
    lines += ["  audit: " + (_row(request) if request else "no row")]
    for row in stack.sql("select * from gateway.invoices where request_id = %s", request_id):
        lines.append("  invoice: " + _row(row))
    happened = stack.sql("select at, worker_id, what, why from gateway.events where subject_id = %s", request_id)
    happened += stack.sql(
        "select started_at as at, fence, step, attempt, duration_ms, http_status, outcome"
        " from gateway.upstream_calls where request_id = %s",
        request_id,
    )
    lines += ["  " + _row(row) for row in sorted(happened, key=lambda row: row["at"])]
    stands = books.standing.get(request_id, [])
    lines += [f"  stands upstream: {_row(invoice)}" for invoice in stands]
    ids = [invoice["id"] for invoice in stands] + ([request["invoice_id"]] if request else [])
    lines += [f"  sandbox: {call.tell()}" for call in books.recorder.about(request_id, *ids)]
    lines += [f"  told: {attempt.tell()}" for _, attempt in books.told.get(request_id, [])]
    log = [line for line in stack.log("workers").splitlines() if request_id in line]
    return lines + [f"  log: {line}" for line in log]


def tell(stack: Stack, books: Books, problem: Problem) -> str:
    lines = [f"{problem.kind}: {problem.sentence}"]
    if problem.wish:
        lines += problem.wish.tell()
    for request_id in _request_ids(books, problem)[:6]:
        lines += _of_request(stack, books, request_id)
    return "\n".join(lines)
