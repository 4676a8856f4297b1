"""invoicegatectl reconcile: the audit against what the sandbox lists."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from audit_world import World, world  # noqa: F401 -- a fixture
from ctl_database import ROOT, ctl, new_ctl, server  # noqa: F401 -- fixtures

sys.path.insert(0, str(ROOT / "tests" / "sandbox"))
from sandbox_process import Sandbox  # noqa: E402

ACCOUNT = "acct_1"
LIVE = {"secret": "sk_live_sandbox"}


class Books:
    """One account here and there."""

    def __init__(self, world: World, sandbox: Sandbox, directory: Path) -> None:
        self.world, self.sandbox = world, sandbox
        key = directory / "key"
        key.write_text("sk_live_sandbox\n")
        self.settings = {"INVOICEGATE_UPSTREAM_URL": f"http://127.0.0.1:{sandbox.port}", "INVOICEGATE_UPSTREAM_KEY_FILE": str(key)}
        self.customer = sandbox.post("/v1/customers", {"name": "Ada"}, **LIVE).json["id"]

    def there(self, request: str | None, amount: int = 10000) -> str:
        """An invoice upstream; None: somebody else's."""
        form = {"customer": self.customer, "pending_invoice_items_behavior": "exclude"}
        if request:
            form["metadata[invoicegate_request]"] = request
        made = self.sandbox.post("/v1/invoices", form, **LIVE).json
        lines = {"lines[0][amount]": str(amount), "lines[0][description]": "x"}
        answer = self.sandbox.post(f"/v1/invoices/{made['id']}/add_lines", lines, **LIVE)
        assert answer.status == 200 and answer.json["total"] == amount, answer.body
        return made["id"]

    def here(self, request: str, invoice: str, amount: int | None = 10000, at: datetime | None = None, agency: int = 1) -> None:
        self.world.owner.rows(
            "insert into gateway.invoices (agency_id, account_id, mode, upstream_id, invoice_id, request_id, status, amount_minor, "
            "currency, created_at, refreshed_at) values (%s, %s, 'live', 1, %s, %s, 'draft', %s, 'usd', %s, now())",
            agency, ACCOUNT, invoice, request, amount, at or datetime.now(timezone.utc))

    def agreeing(self, count: int) -> list[str]:
        ids = self.world.begin(count)
        self.world.finish(ids, "failed", "x", calls=False)  # out of work; what stands is written by here()
        for request in ids:
            self.here(request, self.there(request))
        return ids

    def ended(self, agency: int = 1) -> str:
        (request,) = self.world.begin(1, agency=agency)
        self.world.finish([request], "failed", "x", calls=False)
        return request

    def reconcile(self, code: int, *more: str) -> dict:
        done = self.world.ctl.run("reconcile", "--agency", "1", "--account", ACCOUNT, "--per-second", "100", "--json", *more,
                                  code=code, **self.settings)
        return json.loads(done.stdout)


@pytest.fixture
def both(world: World, tmp_path: Path):
    sandbox = Sandbox(tmp_path, "--live-key", "sk_live_sandbox", "--test-key", "sk_test_sandbox")
    yield Books(world, sandbox, tmp_path)
    sandbox.stop()


def kinds(found: dict) -> list[tuple[str, str]]:
    return sorted((row["kind"], row["invoice_id"]) for row in found["data"])


def test_books_that_agree(both: Books) -> None:
    both.agreeing(3)
    both.there(None)  # made by hand in the same account
    found = both.reconcile(0)
    assert (found["listed"], found["recorded"], found["findings"], found["others"], found["data"]) == (3, 3, 0, 1, [])
    assert both.world.auditor.one("select findings from audit.reconciliations") == 0
    assert both.world.auditor.one("select what from audit.events where about = 'reconciliation'") == "reconciled"


def test_what_does_not_agree_is_found_and_written_down(both: Books) -> None:
    both.agreeing(1)
    lost, gone, other, unknown = both.ended(), both.ended(), both.ended(), both.ended()
    missing_here = both.there(lost)
    both.here(gone, "in_gone")
    different = both.there(other, 12345)
    both.here(other, different)
    unpriced = both.there(unknown, 777)
    both.here(unknown, unpriced, None)
    found = both.reconcile(1)
    assert kinds(found) == sorted([("missing_here", missing_here), ("missing_there", "in_gone"), ("different", different)])
    row = next(row for row in found["data"] if row["kind"] == "different")
    assert (row["amount_minor"], row["upstream_minor"], row["request_id"]) == (10000, 12345, other)
    written = both.world.auditor.rows("select kind, invoice_id from audit.reconciliation_findings order by 1, 2")
    assert written == kinds(found)
    text = both.world.ctl.run("reconcile", "--agency", "1", "--account", ACCOUNT, code=1, **both.settings).stdout
    assert "3 do not agree" in text and missing_here in text


def test_requests_under_way_are_not_judged(both: Books) -> None:
    first, second = both.world.begin(2)
    both.there(first)
    both.here(second, "in_not_yet")
    assert both.reconcile(0)["data"] == []


def test_a_recorded_time_that_differs_is_no_finding(both: Books) -> None:
    """What an operator settled has our time of creation: the invoice is asked for by its id."""
    request = both.ended()
    invoice = both.there(request)
    yesterday = datetime.now(timezone.utc) - timedelta(days=2)
    both.here(request, invoice, at=yesterday)
    day = f"{yesterday:%Y-%m-%d}"
    following = f"{yesterday + timedelta(days=1):%Y-%m-%d}"
    assert both.reconcile(0, "--since", day, "--until", following)["recorded"] == 1
    assert both.reconcile(0)["listed"] == 1


def test_what_another_agency_made_in_a_shared_account_is_not_told(both: Books) -> None:
    """Neither what stands in its books, nor what carries a mark of its requests and stands nowhere."""
    both.world.owner.rows("insert into gateway.accounts (agency_id, account_id) values (2, %s)", ACCOUNT)
    both.agreeing(1)
    lost = both.there(both.ended())
    booked, marked = both.ended(agency=2), both.ended(agency=2)
    both.here(booked, both.there(booked, 777), 777, agency=2)
    both.here("00000000-0000-7000-8000-000000000001", both.there("no-request-at-all", 778), 778, agency=2)
    stray = both.there(marked, 779)
    found = both.reconcile(1)
    assert kinds(found) == [("missing_here", lost)]
    assert (found["listed"], found["recorded"], found["findings"], found["others"], found["other_agencies"]) == (2, 1, 1, 0, 3)
    assert both.world.auditor.rows("select agency_id, invoice_id from audit.reconciliation_findings") == [(1, lost)]
    text = both.world.ctl.run("reconcile", "--agency", "1", "--account", ACCOUNT, code=1, **both.settings).stdout
    assert "3 are another agency's" in text and booked not in text and stray not in text and "779" not in text
    theirs = json.loads(both.world.ctl.run("reconcile", "--agency", "2", "--account", ACCOUNT, "--json", code=1, **both.settings).stdout)
    assert kinds(theirs) == [("missing_here", stray)] and theirs["other_agencies"] == 2


def test_many_pages_and_deleted_drafts(both: Books) -> None:
    ids = both.agreeing(1)
    for _ in range(120):
        both.sandbox.post("/v1/invoices", {"customer": both.customer}, **LIVE)
    both.world.owner.rows("update gateway.invoices set status = 'deleted'")
    found = both.reconcile(1)
    assert found["others"] == 120 and [row["request_id"] for row in found["data"]] == ids


def test_an_upstream_that_fails_is_told(both: Books) -> None:
    complain = both.world.ctl.refusal
    arguments = ("reconcile", "--agency", "1", "--account", ACCOUNT)
    wrong = dict(both.settings, INVOICEGATE_UPSTREAM_URL=both.settings["INVOICEGATE_UPSTREAM_URL"] + "/nowhere")
    assert "no list of invoices" in complain(5, *arguments, **wrong)
    assert "not before" in complain(2, *arguments, "--since", "2026-01-02", "--until", "2026-01-01", **both.settings)
    assert "no account" in complain(3, "reconcile", "--agency", "1", "--account", "acct_9", **both.settings)
    assert both.world.auditor.one("select count(*) from audit.reconciliations") == 0
