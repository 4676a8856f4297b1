"""invoicegatectl on what workers leave behind: lists, stories, imports, products."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ctl_database import PROGRAM, Ctl
from ctl_database import books, ctl, new_ctl, server  # noqa: F401 -- fixtures

REQUEST_COLUMNS = {
    "request_id", "created_at", "finished_at", "agency_id", "account_id", "client_id", "product_id", "route", "mode",
    "state", "reason", "http_status", "invoice_id", "amount_minor", "currency",
}
INVOICE_COLUMNS = {
    "invoice_id", "request_id", "agency_id", "account_id", "client_id", "customer_id", "status", "number", "amount_minor",
    "currency", "mode", "created_at",
}


@pytest.fixture
def filled(books):
    """Five requests, two invoices."""
    books.request("created", told=200, invoice="in_1")
    books.request("refused", "client_unknown", 404)
    books.request("created", told=200, invoice="in_2", status="paid", mode="live", currency="jpy")
    books.request("failed", "upstream_refused", 400)
    books.request("failed", "amount_mismatch", 502, invoice="in_3", status="deleted")
    return books


# ---- lists


def test_requests_are_listed_newest_first_with_the_views_columns(filled):
    answer = filled.ctl.json("requests")
    assert [row["state"] for row in answer["data"]] == ["failed", "failed", "created", "refused", "created"]
    assert REQUEST_COLUMNS <= set(answer["data"][0])
    assert (answer["has_more"], answer["next_cursor"]) == (False, None)
    assert answer["data"][0]["created_at"] == "2026-01-31T12:00:05Z"


def test_invoices_leave_out_deleted_drafts(filled):
    answer = filled.ctl.json("invoices")
    assert [row["invoice_id"] for row in answer["data"]] == ["in_2", "in_1"]
    assert INVOICE_COLUMNS <= set(answer["data"][0])
    assert answer["totals"] == [
        {"mode": "live", "currency": "jpy", "status": "paid", "count": 1, "amount_minor": 10000},
        {"mode": "test", "currency": "usd", "status": "draft", "count": 1, "amount_minor": 10000},
    ]
    text = filled.ctl.out("invoices")
    assert "10000 JPY" in text and "100.00 USD" in text


@pytest.mark.parametrize(
    "options, count",
    [
        (["--state", "failed"], 2),
        (["--mode", "live"], 1),
        (["--agency", "1"], 5),
        (["--agency", "2"], 0),
        (["--account", "acct_2"], 0),
        (["--client", "c1", "--state", "created"], 2),
        (["--since", "2026-01-31T12:00:03Z"], 3),
        (["--since", "2026-01-31T13:00:03+01:00", "--until", "2026-01-31T12:00:05Z"], 2),
        (["--until", "2026-01-31"], 0),
        (["--client", "c1' or true --"], 0),
    ],
)
def test_filters_choose(filled, options, count):
    answer = filled.ctl.json("requests", *options)
    assert len(answer["data"]) == count
    assert sum(total["count"] for total in answer["totals"]) == count


def test_pages_meet_without_gap_or_overlap(filled):
    everything = [row["request_id"] for row in filled.ctl.json("requests")["data"]]
    seen: list[str] = []
    after: list[str] = []
    for _ in range(10):
        page = filled.ctl.json("requests", "--limit", "2", "--no-totals", *after)
        assert "totals" not in page and len(page["data"]) <= 2
        seen += [row["request_id"] for row in page["data"]]
        if not page["has_more"]:
            break
        after = ["--after", page["next_cursor"]]
    assert seen == everything


def test_a_page_ends_with_the_command_for_the_next(filled):
    done = filled.ctl.run("requests", "--limit", "2", "--client", "c1")
    command = re.search(r"more: invoicegatectl (.*)", done.stderr)
    assert command and command[1].startswith("requests --limit 2 --client c1 --after ")
    assert len(filled.ctl.json(*command[1].split())["data"]) == 2


def test_two_invoices_of_one_request_stay_on_one_page(filled):
    filled.ctl.sql("insert into gateway.invoices select agency_id, account_id, mode, upstream_id, 'in_1b', request_id, client_id, "
                   "customer_id, status, number, amount_minor, currency, created_at, refreshed_at, object "
                   "from gateway.invoices where invoice_id = 'in_2'")
    assert [row["invoice_id"] for row in filled.ctl.json("invoices", "--limit", "1")["data"]] == ["in_2", "in_1b"] or \
        sorted(row["invoice_id"] for row in filled.ctl.json("invoices", "--limit", "1")["data"]) == ["in_1b", "in_2"]


def test_amounts_beyond_64_bits_are_added_up_exactly(filled):
    filled.ctl.sql(f"update gateway.invoices set amount_minor = {2**63 - 1}, mode = 'live', currency = 'usd', status = 'open' "
                   "where status <> 'deleted'")
    text = filled.ctl.run("invoices", "--json").stdout
    assert f'"amount_minor":{2 * (2**63 - 1)}' in text
    assert "184467440737095516.14 USD" in filled.ctl.out("invoices")


# ---- unresolved


def test_unresolved_lists_what_should_have_ended(books):
    waits = books.request("unresolved", "unresolved", 504, work="2, 'create', null")
    parked = books.request("unresolved", "unresolved", 504, work="1, 'create', now()")
    undone = books.request("open", work="1, 'delete', null")
    given_back = books.request("unresolved", "upstream_away", 504, work="0, 'create', null")
    books.call(waits, "invoice", 10, 500, "unknown", None)
    rows = {row["request_id"]: row for row in books.ctl.json("unresolved")["data"]}
    assert list(rows) == [waits, parked, undone, given_back]
    assert rows[given_back]["standing"] == "waits for a worker"
    assert "worker is gone" in rows[waits]["standing"] and rows[waits]["last_call"] == "invoice: unknown"
    assert "parked" in rows[parked]["standing"]
    assert "worker 1 has it" in rows[undone]["standing"]


def test_unresolved_leaves_out_what_is_simply_being_worked_on(books):
    young = books.request("open", work="1, 'create', null")
    books.ctl.sql("update gateway.invoice_requests set created_at = now()")
    assert books.ctl.json("unresolved")["data"] == []
    assert [row["request_id"] for row in books.ctl.json("unresolved", "--all")["data"]] == [young]
    assert "nothing is unresolved" in books.ctl.run("unresolved").stderr


# ---- settle


def test_a_parked_request_is_settled_as_failed(books):
    request_id = books.request("unresolved", "unresolved", 504, work="1, 'create', now()")
    books.ctl.sql(f"insert into gateway.idempotency_keys select agency_id, account_id, mode, route, idempotency_key, '\\x00', request_id from gateway.invoice_requests")
    settled = books.ctl.json("settle", request_id, "--as", "failed", "--by", "Ada King", "--why", "nothing there")
    assert (settled["state"], settled["reason"], settled["detail"]) == ("failed", "settled", "nothing there")
    assert books.ctl.json("unresolved", "--all")["data"] == []
    assert books.ctl.sql("select count(*) from gateway.idempotency_keys") == "0"
    event = books.ctl.json("show", request_id)["events"][-1]
    assert event["what"] == "settled_failed" and re.fullmatch(r"Ada King \(as .+\): nothing there", event["why"])
    assert "at its end already: failed" in books.ctl.refusal(1, "settle", request_id, "--as", "failed", "--by", "A", "--why", "b")


def test_an_abandoned_request_is_settled_as_created(books):
    request_id = books.request("unresolved", "unresolved", 504, work="0, 'create', null")
    settle = ["settle", request_id, "--as", "created", "--by", "Ada", "--why", "found", "--invoice"]
    books.request("created", told=200, invoice="in_other")
    assert "was made by request" in books.ctl.refusal(1, *settle, "in_other")
    assert "is settled as created" in books.ctl.out(*settle, "in_9")
    assert books.ctl.json("show", "in_9")["request_id"] == request_id


def test_what_is_settled_as_created_says_what_stands(books):
    request_id = books.request("unresolved", "unresolved", 504, work="0, 'create', null")
    settle = ["settle", request_id, "--as", "created", "--by", "Ada", "--why", "found"]
    assert "was to make an invoice: name the one that stands with --invoice" in books.ctl.refusal(1, *settle)
    assert books.ctl.sql("select count(*) from gateway.work") == "1"


def act(books, route: str) -> str:
    """A parked act on an invoice that another request has made, as a worker leaves it."""
    books.request("created", told=200, invoice="in_1")
    request_id = books.request("unresolved", "unresolved", 504, work="1, 'create', now()")
    books.ctl.sql(
        f"update gateway.invoice_requests set route = '{route}', invoice_id = 'in_1' where request_id = '{request_id}'; "
        "insert into gateway.idempotency_keys select agency_id, account_id, mode, route, idempotency_key, '\\x00', request_id "
        f"from gateway.invoice_requests where request_id = '{request_id}'"
    )
    return request_id


@pytest.mark.parametrize("route", ["invoice_finalize", "invoice_update", "invoiceitems"])
def test_an_act_is_settled_without_its_invoice(books, route):
    request_id = act(books, route)
    settle = ["settle", request_id, "--by", "Ada", "--why", "seen", "--as", "created"]
    assert f"makes no invoice ({route}): leave --invoice out" in books.ctl.refusal(1, *settle, "--invoice", "in_1")
    settled = books.ctl.json(*settle)
    assert (settled["state"], settled["reason"], settled["invoice_id"]) == ("created", "settled", "in_1")
    assert books.ctl.json("show", request_id)["events"][-1]["what"] == "settled_created"
    assert books.ctl.sql("select http_status, convert_from(answer, 'UTF8')::json -> 'error' ->> 'message' from gateway.idempotency_keys") == (
        "504|The outcome of this request was settled by an operator: it was done."
    )
    # It is nobody's second invoice, and is looked at before it is told again.
    assert books.ctl.sql("select count(*) from gateway.invoices") == "1"
    assert books.ctl.sql("select refreshed_at < '1970-01-02' from gateway.invoices") == "t"
    assert books.ctl.sql("select count(*) from gateway.tallies") == "0"


def test_an_act_is_settled_as_failed(books):
    request_id = act(books, "invoice_void")
    settled = books.ctl.json("settle", request_id, "--by", "Ada", "--why", "seen", "--as", "failed")
    assert (settled["state"], settled["invoice_id"]) == ("failed", "in_1")
    assert books.ctl.sql("select count(*) from gateway.idempotency_keys") == "0"
    assert books.ctl.sql("select status from gateway.invoices") == "draft"


def test_a_request_that_a_worker_has_is_not_settled(books):
    request_id = books.request("unresolved", "unresolved", 504, work="1, 'create', null")
    assert "worker 1 is working on" in books.ctl.refusal(1, "settle", request_id, "--as", "failed", "--by", "A", "--why", "b")
    assert books.ctl.sql("select count(*) from gateway.work") == "1"


# ---- show

STORIES = [
    (dict(state="created", told=200, invoice="in_9"), "Created: invoice in_9 over 100.00 USD stands upstream, draft; the client was told 200; it took 412 ms."),
    (dict(state="created", told=200, invoice="in_9", work="1, 'advance', null"), "advances automatically is not confirmed yet"),
    (dict(state="created", told=200, invoice="in_9", status="none"), "the invoice's own row is missing: in_9"),
    (dict(state="refused", reason="client_unknown", told=404), "Refused (client_unknown): nothing was sent upstream; the client was told 404"),
    (dict(state="failed", reason="upstream_refused", told=400), "Failed (upstream_refused): no invoice stands or will; the client was told 400"),
    (dict(state="failed", reason="amount_mismatch", told=502, invoice="in_9", status="deleted"), "the draft in_9 was deleted again"),
    (dict(state="failed", reason="stood_already", told=502, invoice="in_9", status="paid"), "and yet invoice in_9 over 100.00 USD stands upstream, paid"),
    (dict(state="open", work="1, 'create', null"), "worker 1 (alpha, process 11) has it"),
    (dict(state="open"), "nobody has it, which must not be"),
    (dict(state="unresolved", reason="unresolved", told=504, work="2, 'create', null"), "an invoice may stand upstream; its worker is gone"),
    (dict(state="unresolved", reason="unresolved", told=504, work="1, 'create', now()"), "it is parked for an operator"),
    (dict(state="unresolved", reason="upstream_away", told=504, work="0, 'create', null"), "it was given back and waits for a worker"),
    (dict(state="unresolved", reason="compensated", told=504, work="1, 'delete', null"), "what was made of it is deleted"),
]


@pytest.mark.parametrize("story, said", STORIES)
def test_a_verdict_says_in_one_sentence_what_came_of_it(books, story, said):
    request_id = books.request(**story)
    first = books.ctl.out("show", request_id).splitlines()[0]
    assert said in first and first.endswith(".")
    shown = books.ctl.json("show", request_id)
    assert REQUEST_COLUMNS <= set(shown) and said in shown["verdict"]
    assert (shown["work"] is None) == ("work" not in story)


def test_two_standing_invoices_are_an_alarm(filled):
    filled.ctl.sql("update gateway.invoices set request_id = (select request_id from gateway.invoices where invoice_id = 'in_1')")
    assert "2 invoices stand upstream for this one request" in filled.ctl.out("show", "in_1")


def test_show_draws_calls_on_a_line_of_time(books):
    request_id = books.request("created", told=200, invoice="in_9")
    books.call(request_id, "product", 0, 100)
    books.call(request_id, "invoice", 100, 200, "unknown", None)
    books.call(request_id, "invoice", 300, 100, attempt=2, fence=2)
    text = books.ctl.out("show", "in_9")
    rows = {line.split("  ")[1].strip(): line for line in text.splitlines() if "\u2588" in line}
    assert list(rows) == ["product", "invoice", "invoice #2 fence 2"]
    assert rows["product"].endswith("\u2588" * 10 + "\u00b7" * 30)
    assert rows["invoice"].endswith("\u00b7" * 10 + "\u2588" * 20 + "\u00b7" * 10) and "--- unknown" in rows["invoice"]
    assert rows["invoice #2 fence 2"].endswith("\u00b7" * 30 + "\u2588" * 10) and "req_invoice" in rows["invoice #2 fence 2"]
    assert "+0 ms  opened, worker 1" in text and "+412 ms  created" in text
    plain = books.ctl.out("show", request_id, LC_ALL="C")
    assert "##########...." in plain and "\u2588" not in plain


def test_show_json_has_the_views_columns(books):
    request_id = books.request("created", told=200, invoice="in_9")
    books.call(request_id, "invoice", 0, 5)
    shown = books.ctl.json("show", "in_9")
    assert shown["request_id"] == request_id and shown["plan"]["upstream_url"] == "https://api.example.com"
    assert INVOICE_COLUMNS | {"object"} <= set(shown["invoices"][0]) and shown["invoices"][0]["object"]["id"] == "in_9"
    assert {"request_id", "step", "attempt", "started_at", "duration_ms", "http_status", "outcome", "upstream_request_id"} <= set(shown["upstream_calls"][0])
    assert {"event_id", "at", "request_id", "worker", "what", "why"} <= set(shown["events"][0])


# ---- the terminal


def on_terminal(ctl: Ctl, columns: int, *arguments: str, **changes: str) -> str:
    """What it writes to a terminal of so many columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([PROGRAM, *arguments], env={**ctl.environment, "TERM": "xterm", **changes}, stdout=follower,
                               stderr=subprocess.DEVNULL)
    os.close(follower)
    written = b""
    for _ in range(10000):
        try:
            some = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        written += some
        if not some:
            break
    os.close(leader)
    assert process.wait(timeout=60) == 0
    return written.decode().replace("\r\n", "\n")


def test_colours_are_for_terminals_only(filled):
    assert "\x1b[32mcreated\x1b[0m" in on_terminal(filled.ctl, 120, "requests")
    assert "\x1b" not in on_terminal(filled.ctl, 120, "requests", NO_COLOR="1")
    assert "\x1b" not in on_terminal(filled.ctl, 120, "requests", TERM="dumb")
    assert "\x1b" not in filled.ctl.out("requests")


def test_tables_and_bars_fit_the_terminal(filled):
    filled.ctl.sql("update gateway.clients set name = repeat('Northwind ', 15)")
    request_id = filled.request("created", told=200, invoice="in_9")
    filled.call(request_id, "invoice", 0, 5)
    for columns in (80, 100):
        lines = on_terminal(filled.ctl, columns, "client", "list", "--agency", "1", NO_COLOR="1").splitlines()
        assert max(map(len, lines)) <= columns and any("\u2026" in line for line in lines)
        bars = [line for line in on_terminal(filled.ctl, columns, "show", request_id, NO_COLOR="1").splitlines() if "\u2588" in line]
        assert [len(bar) for bar in bars] == [columns]


def test_control_characters_never_reach_the_terminal(books):
    books.ctl.sql("insert into gateway.clients values (1, 'evil', E'a\\x1b[31mb\\u009bc\\u202ed\\ne')")
    text = on_terminal(books.ctl, 200, "client", "list", "--agency", "1", NO_COLOR="1")
    assert "a\\x1b[31mb\\x9bc\\u202ed\\x0ae" in text and "\x1b" not in text and "\u202e" not in text
    raw = books.ctl.run("client", "show", "evil", "--agency", "1", "--json").stdout
    assert "\\u001b[31mb\\u009bc\\u202ed" in raw and json.loads(raw)["name"] == "a\x1b[31mb\x9bc\u202ed\ne"
    assert "\x1b" not in books.ctl.run("client", "show", "c\x1b[31m", "--agency", "1", code=3).stderr


# ---- clients and members


def test_a_client_is_added_with_its_members(books):
    ctl = books.ctl
    added = ctl.json("client", "add", "c3", "--agency", "1", "--name", "Café Noé", "--member", "Noé:noe@example.com:admin",
                     "--member", "A:b c:", "--member", "Plain:")
    assert (added["client_id"], added["name"], added["added"]) == ("c3", "Café Noé", True)
    assert ctl.sql("select name, email, is_admin from gateway.members where client_id = 'c3' order by member_id").splitlines() == [
        "Noé|noe@example.com|t", "A:b c||f", "Plain||f",
    ]
    assert "already" in ctl.refusal(1, "client", "add", "c3", "--agency", "1", "--name", "X")
    assert ctl.out("client", "add", "c3", "--agency", "1", "--name", "X", "--member", "Y:", "--if-missing") == "c3"
    assert ctl.sql("select count(*) from gateway.members where client_id = 'c3'") == "3"
    assert ctl.sql("select why like 'c3 with 3 members; by %' from audit.events where about = 'client'") == "t"


def test_a_client_and_its_members_stand_or_fall_together(books):
    books.ctl.sql("alter table gateway.members add constraint no_eve check (name <> 'Eve')")
    books.ctl.refusal(4, "client", "add", "c3", "--agency", "1", "--name", "X", "--member", "Ada:", "--member", "Eve:")
    assert books.ctl.sql("select count(*) from gateway.clients where client_id = 'c3'") == "0"


def test_client_show_tells_whom_the_worker_would_address(filled):
    shown = filled.ctl.json("client", "show", "c1", "--agency", "1")
    assert {member["name"]: member["chosen"] for member in shown["members"]} == {"Bo": False, "Ada": True, "Cy": False}
    assert shown["customers"][0]["customer_id"] == "cus_1"
    assert sum(row["count"] for row in shown["requests"]) == 5
    assert "Northwind" in filled.ctl.out("client", "show", "c1", "--agency", "1")


def test_a_member_is_replaced_by_address_then_by_name_else_added(books):
    ctl = books.ctl
    assert ctl.out("member", "set", "c1", "--agency", "1", "--member", "Ada King:ada@example.com:admin") == "member 2 replaced"
    assert ctl.out("member", "set", "c1", "--agency", "1", "--member", "Bo:bo@example.com:admin") == "member 1 replaced"
    assert ctl.json("member", "set", "c1", "--agency", "1", "--member", "Di:")["added"]
    assert ctl.sql("select string_agg(concat_ws('/', name, email, is_admin), ' ' order by member_id) from gateway.members") == (
        "Bo/bo@example.com/t Ada King/ada@example.com/t Cy/f Di/f"
    )
    assert ctl.sql("select string_agg(what, ' ' order by at) from audit.events where about = 'client'") == "member replaced member replaced member added"


def test_a_client_left_without_an_admin_is_warned_about(books):
    books.ctl.run("client", "add", "c3", "--agency", "1", "--name", "X", "--member", "Ada:ada@example.com:admin")
    done = books.ctl.run("member", "set", "c3", "--agency", "1", "--member", "Ada::admin")
    assert "send_invoice is refused" in done.stderr
    done = books.ctl.run("member", "set", "c3", "--agency", "1", "--member", "Ada:")
    assert "no admin member" in done.stderr


def test_an_erasure_is_previewed_without_touching_anything(filled):
    ctl = filled.ctl
    before = ctl.sql("select md5(string_agg(m::text, '')) from gateway.members m")
    fates = {row["place"]: (row["rows"], row["fate"]) for row in ctl.json("client", "erase-preview", "c1", "--agency", "1")["data"]}
    assert fates["members"] == (3, "erased") and fates["customers"] == (1, "erased")
    assert fates["invoices"] == (2, "stays") and fates["deleted drafts"] == (1, "erased")
    filled.request("open", work="1, 'create', null")
    fates = {row["place"]: row["fate"] for row in ctl.json("client", "erase-preview", "c1", "--agency", "1")["data"]}
    assert fates["customers"] == "waits"
    assert ctl.sql("select md5(string_agg(m::text, '')) from gateway.members m") == before


# ---- import


def lines(*objects: object) -> str:
    return "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in objects)


def test_thousands_of_clients_are_imported_at_once(books, tmp_path):
    clients = [
        {"client_id": f"m{i}", "name": f"Çlient \\ \"{i}\"\u200d", "members": [{"name": "A", "email": f"a{i}@example.com", "admin": True}, {"name": "B", "email": ""}]}
        for i in range(3000)
    ]
    (tmp_path / "clients.jsonl").write_text(lines(*clients))
    told = books.ctl.json("client", "import", str(tmp_path / "clients.jsonl"), "--agency", "1")
    assert told == {"agency_id": 1, "clients": 3000, "members": 6000, "lines": 3000, "bad_lines": 0}
    assert books.ctl.sql("select name from gateway.clients where client_id = 'm7'") == clients[7]["name"]
    assert books.ctl.sql("select string_agg(concat_ws('/', name, email, is_admin), ' ' order by member_id) from gateway.members where client_id = 'm7'") == "A/a7@example.com/t B/f"
    assert books.ctl.sql("select count(*) from audit.events where what = 'client added'") == "3000"


BAD_LINES = [
    ("{", "ends before its JSON does"),
    ("[]", "no JSON object"),
    ("nonsense", "no JSON"),
    ('{"client_id":"x","name":"y"} {}', "no JSON"),
    ("{'client_id':'x','name':'y'}", "no JSON"),
    ('{"name":"y"}', "client_id is missing"),
    ('{"client_id":7,"name":"y"}', "client_id is missing"),
    ('{"client_id":"","name":"y"}', "client_id is missing"),
    ('{"client_id":"x"}', "name is missing"),
    ('{"client_id":"x","name":"a\\u0000b"}', "name is missing"),
    ('{"client_id":"x","name":"a\\u001bb"}', "name is missing"),
    ('{"client_id":"x","name":"y","name":"z"}', "names a member twice"),
    ('{"client_id":"x","name":"y","nmae":"z"}', "something else than"),
    ('{"client_id":"x","name":"y","members":{}}', "members is no list"),
    ('{"client_id":"x","name":"y","members":["Ada"]}', "a member is no JSON object"),
    ('{"client_id":"x","name":"y","members":[{"name":"A","email":"b"}]}', "e-mail address"),
    ('{"client_id":"x","name":"y","members":[{"name":"A","admin":1}]}', "neither true nor false"),
    ('{"client_id":"x","name":"y","members":[{"name":"A","phone":"1"}]}', "something else than"),
    ('{"client_id":"x","name":"y","members":[{"email":"a@b.c"}]}', "name is empty"),
    ('{"client_id":"c1","name":"y"}', "there already"),
    ('{"client_id":"good","name":"y"}', "is on line 1 already"),
    ('{"client_id":"x","name":"' + "y" * 300 + '"}', "name is missing or no text of at most 200 bytes"),
    ("[" * 100, "no JSON"),
]


@pytest.mark.parametrize("line, fault", BAD_LINES)
def test_a_bad_line_is_named_and_nothing_is_stored(books, line, fault):
    text = lines({"client_id": "good", "name": "Good"}, "", line)
    done = books.ctl.run("client", "import", "-", "--agency", "1", stdin=text, code=1)
    complaints = [told for told in done.stderr.splitlines() if told.startswith("line ")]
    assert len(complaints) == 1 and complaints[0].startswith("line 3: ") and fault in complaints[0]
    assert "nothing was stored: 1 of 3 lines" in done.stderr
    assert books.ctl.sql("select count(*) from gateway.clients") == "2"
    told = books.ctl.json("client", "import", "-", "--agency", "1", "--skip-bad", stdin=text)
    assert (told["clients"], told["bad_lines"]) == (1, 1)


def test_bytes_that_are_no_utf8_are_a_bad_line(books):
    for name in [b"\xff", b"\xed\xa0\x80", b"\xc0\x80"]:
        done = books.ctl.run("client", "import", "-", "--agency", "1", stdin=b'{"client_id":"x","name":"' + name + b'"}\n', code=1)
        assert "line 1: it is not UTF-8" in done.stderr


def test_known_clients_are_left_as_they_are_with_if_missing(books):
    told = books.ctl.json("client", "import", "-", "--agency", "1", "--if-missing",
                          stdin=lines({"client_id": "c1", "name": "Other"}, {"client_id": "new", "name": "New"}))
    assert (told["clients"], told["bad_lines"]) == (1, 0)
    assert books.ctl.sql("select name from gateway.clients where client_id = 'c1'") == "Northwind"


def test_a_file_that_cannot_be_read_stores_nothing(books, tmp_path):
    assert "cannot be read" in books.ctl.refusal(1, "client", "import", str(tmp_path / "none"), "--agency", "1")
    assert "cannot be read" in books.ctl.refusal(1, "client", "import", str(tmp_path), "--agency", "1")


def test_a_last_line_without_newline_counts(books):
    assert books.ctl.json("client", "import", "-", "--agency", "1", stdin='{"client_id":"x","name":"y"}')["clients"] == 1


# ---- products


def price(price_id: str, amount: int | None = 100, kind: str = "one_time", active: bool = True) -> dict:
    return {"id": price_id, "type": kind, "active": active, "unit_amount": amount, "currency": "USD"}


def product(product_id: str, default: dict | None = None, active: bool = True) -> dict:
    return {"id": product_id, "name": product_id.title(), "active": active, "default_price": default}


class Upstream(ThreadingHTTPServer):
    """Products and prices of one account; first answers with the failures that are left."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.products = {
            "p_default": product("p_default", price("price_default")),
            "p_only": product("p_only"),
            "p_two": product("p_two"),
            "p_none": product("p_none", price("price_monthly", kind="recurring")),
            "p_free": product("p_free", price("price_free", None)),
            "p_gone": product("p_gone", price("price_gone"), active=False),
        }
        self.prices = {"p_only": [price("price_only", 4200)], "p_two": [price("a"), price("b")]}
        self.failures: list[int] = []
        self.calls: list[tuple[str, dict]] = []


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.calls.append((self.path, dict(self.headers)))
        status, body = self.answer()
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def answer(self) -> tuple[int, object]:
        if self.server.failures:
            return self.server.failures.pop(0), {"error": {"message": "not now"}}
        path, _, query = self.path.partition("?")
        if path == "/v1/prices":
            found = re.search(r"product=(\w+)", query)
            return 200, {"data": self.server.prices.get(found[1], [])}
        if path == "/v1/products":
            names = [name for name, item in self.server.products.items() if item["active"]]
            start = re.search(r"starting_after=(\w+)", query)
            rest = names[names.index(start[1]) + 1 :] if start else names
            return 200, {"data": [{"id": name} for name in rest[:2]], "has_more": len(rest) > 2}
        item = self.server.products.get(path.removeprefix("/v1/products/"))
        return (200, item) if item else (404, {"error": {"message": "No such product"}})


@pytest.fixture
def upstream():
    with Upstream() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def sync(books, upstream, tmp_path):
    """Runs product sync of acct_1; answers as Ctl.run does."""
    (tmp_path / "key").write_text("sk_test_secret\n")
    settings = {
        "INVOICEGATE_UPSTREAM_URL": f"http://127.0.0.1:{upstream.server_address[1]}/",
        "INVOICEGATE_UPSTREAM_TEST_KEY_FILE": str(tmp_path / "key"),
        "INVOICEGATE_UPSTREAM_VERSION": "2025-03-31.basil",
        "no_proxy": "127.0.0.1",
    }

    def run(*arguments: str, code: int = 0, **changes: str | None):
        return books.ctl.run("product", "sync", "--agency", "1", "--account", "acct_1", "--mode", "test", *arguments, code=code,
                             **{**settings, **changes})

    run.sql = books.ctl.sql
    return run


def test_products_are_stored_with_the_price_that_an_invoice_would_use(sync, upstream):
    rows = {row["product_id"]: row for row in json.loads(sync("--json").stdout)["data"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "p_default": "billable", "p_only": "billable", "p_two": "ambiguous_price", "p_none": "no_one_time_price",
        "p_free": "price_without_amount",
    }
    assert (rows["p_only"]["price_id"], rows["p_only"]["unit_amount_minor"], rows["p_only"]["currency"]) == ("price_only", 4200, "usd")
    assert "42.00 USD" in sync().stdout
    url, platform, mode = sync.sql("select url, platform, mode from gateway.upstreams where upstream_id = (select max(upstream_id) from gateway.products)").split("|")
    assert (url, platform, mode) == (f"http://127.0.0.1:{upstream.server_address[1]}", "", "test")
    stored = sync.sql("select convert_from(object, 'UTF8') from gateway.products where product_id = 'p_only'")
    assert stored == json.dumps(upstream.products["p_only"])
    _, headers = upstream.calls[0]
    assert headers["Stripe-Account"] == "acct_1" and headers["Stripe-Version"] == "2025-03-31.basil"
    assert headers["Authorization"] == "Basic c2tfdGVzdF9zZWNyZXQ6"


def test_a_product_that_lost_its_price_loses_it_here_too(sync, upstream):
    sync("p_default")
    upstream.products["p_default"]["default_price"] = None
    assert "no_one_time_price" in sync("p_default").stdout
    assert sync.sql("select price_id is null from gateway.products") == "t"


def test_archived_and_missing_products(sync):
    done = sync("p_gone", "p_nowhere", "p_default", code=3)
    assert "no product p_nowhere upstream" in done.stderr
    assert "product_archived" in done.stdout and "billable" in done.stdout


def test_a_busy_upstream_is_asked_again(sync, upstream):
    upstream.failures = [429, 503]
    assert "billable" in sync("p_default").stdout
    assert len(upstream.calls) == 3


@pytest.mark.parametrize("status, said", [(401, "refuses the key"), (403, "closes this account"), (400, "not now")])
def test_an_upstream_that_refuses_exits_5(sync, upstream, status, said):
    upstream.failures = [status]
    done = sync("p_default", code=5)
    assert said in done.stderr and "sk_test_secret" not in done.stderr + done.stdout
    assert sync.sql("select count(*) from gateway.products") == "0"


def test_an_upstream_that_is_not_there_exits_5(sync):
    done = sync("p_default", code=5, INVOICEGATE_UPSTREAM_URL="http://127.0.0.1:1")
    assert "gives no answer" in done.stderr


def test_a_redirect_is_not_followed(sync, upstream):
    upstream.failures = [302]
    sync("p_default", code=5)
    assert len(upstream.calls) == 1


def test_without_a_key_file_nothing_is_asked(sync, upstream):
    assert "INVOICEGATE_UPSTREAM_TEST_KEY_FILE is not set" in sync(code=1, INVOICEGATE_UPSTREAM_TEST_KEY_FILE=None).stderr
    assert upstream.calls == []
