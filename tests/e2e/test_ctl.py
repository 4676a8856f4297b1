"""invoicegatectl against a private PostgreSQL: what operators and scripts rely on."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from ctl_database import BUILD, DIGEST_KEY, PROGRAM, ROOT, Ctl
from ctl_database import books, ctl, new_ctl, server  # noqa: F401 -- fixtures

COMMANDS = [
    "migrate", "agency add", "agency list", "key create", "key list", "key revoke", "key rotate", "account add", "account list",
    "account set", "client add", "client list", "client show", "client erase-preview", "client import", "member set",
    "product sync", "requests", "invoices", "unresolved", "settle", "show", "doctor",
    "audit describe", "audit rebuild", "dashboard-login add", "dashboard-login list", "dashboard-login revoke", "retention",
    "reconcile",
]
NO_ID = "01951d3e-7c1a-7000-8000-0242ac120002"


# ---- help and usage


def test_every_command_explains_itself_with_an_example(ctl):
    overview = ctl.out("--help")
    for command in COMMANDS:
        assert f"\n  {command}" in overview
        text = ctl.out(*command.split(), "--help")
        assert "examples:\n  " in text and "--json" in text and f"invoicegatectl {command}" in text
        assert ctl.out("help", *command.split()) == text
        assert max(len(line) for line in text.splitlines()) <= 120


def test_help_of_a_noun_lists_its_verbs(ctl):
    assert "client import" in ctl.out("client", "--help")


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["nonsense"], "no command 'nonsense'"),
        (["client", "nonsense"], "no command 'client nonsense'"),
        (["agency", "add"], "it needs NAME"),
        (["agency", "add", "a", "b"], "one argument too many"),
        (["agency", "add", ""], "is empty"),
        (["agency", "add", "a\nb"], "not plain UTF-8"),
        (["agency", "add", "a", "--force"], "no option --force"),
        (["agency", "add", "a", "-x"], "no option -x"),
        (["agency", "add", "a", "--if-missing=yes"], "takes no value"),
        (["key", "create", "--mode", "live"], "--agency ID is missing"),
        (["key", "create", "--agency", "1", "--mode", "both"], "--mode takes one of: live test"),
        (["key", "create", "--agency", "--mode", "live"], "--agency needs a value"),
        (["key", "list", "--agency", "1", "--agency", "2"], "--agency is given twice"),
        (["key", "list", "--agency", "one"], "takes a positive number"),
        (["key", "list", "--agency", "-1"], "takes a positive number"),
        (["key", "create", "--agency", "1", "--mode", "live", "--expires", "tomorrow"], "takes a moment"),
        (["requests", "--since", "2026-01-31 12:00"], "takes a moment"),
        (["requests", "--since", "2027-02-30"], "takes a moment"),
        (["requests", "--since", "1900-02-29"], "takes a moment"),
        (["requests", "--since", "2027-13-01"], "takes a moment"),
        (["requests", "--since", "2027-00-10"], "takes a moment"),
        (["requests", "--since", "2027-01-00"], "takes a moment"),
        (["requests", "--since", "0000-01-01"], "takes a moment"),
        (["requests", "--until", "2027-01-01T25:00"], "takes a moment"),
        (["requests", "--until", "2027-01-01T24:00:01"], "takes a moment"),
        (["requests", "--until", "2027-01-01T12:60:00Z"], "takes a moment"),
        (["requests", "--until", "2027-01-01T12:00:61Z"], "takes a moment"),
        (["requests", "--until", "2027-01-01T12:00+16:00"], "takes a moment"),
        (["agency", "add", "   "], "the name is empty"),
        (["requests", "--limit", "0"], "takes a positive number"),
        (["requests", "--state", "draft"], "--state takes one of"),
        (["requests", "--after", "x"], "--after takes"),
        (["account", "add", "--agency", "1", "acct/1"], "is no account"),
        (["account", "set", "--agency", "1", "acct_1"], "it needs --default or --auto-advance"),
        (["client", "add", "c", "--agency", "1", "--name", "C", "--member", "Ada"], "NAME:EMAIL"),
        (["client", "add", "c", "--agency", "1", "--name", "C", "--member", "Ada:x:admin"], "e-mail address"),
        (["client", "add", "c", "--agency", "1", "--name", "C", "--member", ":a@b.c"], "name is empty"),
        (["settle", "x", "--as", "failed", "--by", "a", "--why", "b"], "is no request id"),
        (["settle", NO_ID, "--as", "failed", "--invoice", "in_1", "--by", "a", "--why", "b"], "--invoice belongs to"),
        (["settle", NO_ID, "--as", "failed", "--by", "a"], "--why TEXT is missing"),
        (["settle", NO_ID, "--as", "failed", "--by", "", "--why", "b"], "--by is empty"),
        (["key", "revoke", "--agency", "1", "igk_live_x"], "never the key itself"),
        (["key", "rotate", "--agency", "1", "igk_live_x"], "never the key itself"),
        (["key", "rotate", "--agency", "1", "1", "--overlap", "soon"], "takes a time such as 30m"),
        (["key", "rotate", "--agency", "1", "1", "--overlap", "h"], "takes a time such as 30m"),
        (["key", "rotate", "--agency", "1", "1", "--overlap", "24"], "takes a time such as 30m"),
        (["key", "rotate", "--agency", "1", "1", "--overlap", "-1h"], "takes a time such as 30m"),
        (["key", "rotate", "--agency", "1", "1", "--overlap", "999999999d"], "takes a time such as 30m"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(ctl, arguments, said):
    assert said in ctl.refusal(2, *arguments)


@pytest.mark.parametrize("moment", ["2024-02-29", "2000-02-29T24:00", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00.5-15:59"])
def test_odd_moments_that_are_some(ctl, moment):
    assert ctl.json("requests", "--since", moment)["data"] == []


def test_no_command_prints_the_help_and_exits_2(ctl):
    assert "usage: invoicegatectl" in ctl.run(code=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["key", "list", "--agency", "7"],
        ["account", "add", "acct_1", "--agency", "7"],
        ["client", "show", "c9", "--agency", "1"],
        ["key", "revoke", "9", "--agency", "1"],
        ["key", "rotate", "9", "--agency", "1"],
        ["key", "create", "--agency", "1", "--mode", "live", "--account", "acct_9"],
        ["account", "set", "acct_9", "--agency", "1", "--default"],
        ["member", "set", "c9", "--agency", "1", "--member", "A:"],
        ["show", NO_ID],
        ["settle", NO_ID, "--as", "failed", "--by", "a", "--why", "b"],
        ["settle", NO_ID, "--as", "created", "--by", "a", "--why", "b"],
        ["show", "in_9"],
    ],
)
def test_what_is_not_there_exits_3(books, arguments):
    assert "invoicegatectl" in books.ctl.refusal(3, *arguments)


# ---- the database's errors


def test_errors_never_tell_the_password(ctl):
    for string in ["host=/nowhere password=hunter2 dbname=x", "postgresql://u:hunter2@127.0.0.1:1/x", "password=hunter2 x"]:
        line = ctl.refusal(4, "agency", "list", INVOICEGATE_DATABASE=string)
        assert "hunter2" not in line and "INVOICEGATE_DATABASE" in line


def test_a_database_without_schema_says_migrate(new_ctl):
    line = new_ctl("template1").refusal(4, "agency", "list")
    assert "invoicegatectl migrate" in line


def test_a_role_without_rights_is_told_which_it_needs(ctl):
    string = ctl.environment["INVOICEGATE_DATABASE"].replace("user=postgres", "user=invoicegate_auditor")
    assert "invoicegate_owner" in ctl.refusal(4, "agency", "list", INVOICEGATE_DATABASE=string)


# ---- migrate


@pytest.fixture
def sql(server) -> Path:
    """The migrations that the template was made of."""
    return server.migrations


def copied(sql: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sql, tmp_path / "sql"))


def applied(ctl: Ctl) -> list[str]:
    return ctl.sql("select version from gateway.migrations order by 1").splitlines()


def test_migrating_again_does_nothing(ctl, sql):
    before = ctl.sql("select array_agg(m order by version) from gateway.migrations m")
    assert "nothing to do" in ctl.out("migrate", "--sql", str(sql))
    assert ctl.sql("select array_agg(m order by version) from gateway.migrations m") == before


def test_migrations_are_recorded_with_digest_event_and_owner(ctl, sql):
    files = sorted(sql.glob("[0-9]*.sql"))
    assert applied(ctl) == [str(int(file.name[:3])) for file in files]
    assert ctl.sql("select digest from gateway.migrations where version = 1") == hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert ctl.sql("select tableowner from pg_tables where tablename = 'migrations'") == "invoicegate_owner"
    assert ctl.sql("select count(*) from audit.events where what = 'migration applied'") == str(len(files))
    states = ctl.json("migrate", "--status", "--sql", str(sql))["data"]
    assert [step["state"] for step in states] == ["applied"] * len(files)
    assert all(step["applied_at"].endswith("Z") for step in states)


def test_dry_run_changes_nothing(new_ctl, sql):
    ctl = new_ctl("template1")
    assert "001  roles" in ctl.out("migrate", "--dry-run", "--sql", str(sql))
    assert "pending" in ctl.out("migrate", "--status", "--sql", str(sql))
    assert ctl.sql("select count(*) from pg_namespace where nspname in ('gateway', 'audit')") == "0"


def test_two_migrates_at_once_apply_each_file_once(new_ctl, sql):
    ctl = new_ctl("template1")
    both = [
        subprocess.Popen([PROGRAM, "migrate", "--sql", str(sql)], env=ctl.environment, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    files = len(list(sql.glob("[0-9]*.sql")))
    assert len(applied(ctl)) == files
    assert sum(out.count(b"applied") for out, _ in told) == files


def test_an_applied_file_that_changed_is_an_error(ctl, tmp_path, sql):
    directory = copied(sql, tmp_path)
    file = next(directory.glob("002_*.sql"))
    file.write_text(file.read_text() + "-- later\n")
    line = ctl.refusal(1, "migrate", "--sql", str(directory))
    assert file.name in line and "has changed" in line
    assert "changed" in ctl.run("migrate", "--status", "--sql", str(directory), code=1).stdout


def test_a_database_newer_than_the_directory_is_an_error(ctl, tmp_path, sql):
    directory = copied(sql, tmp_path)
    newest = max(directory.glob("[0-9]*.sql"))
    newest.unlink()
    assert f"migration {newest.name[:3]}" in ctl.refusal(1, "migrate", "--sql", str(directory))


def test_a_number_squeezed_in_before_applied_ones_is_an_error(ctl, tmp_path, sql):
    directory = copied(sql, tmp_path)
    (directory / "000_early.sql").write_text("select 1;\n")
    assert "000_early.sql is not applied" in ctl.refusal(1, "migrate", "--sql", str(directory))


def test_two_files_of_one_number_are_an_error(ctl, tmp_path, sql):
    directory = copied(sql, tmp_path)
    (directory / "001_also.sql").write_text("select 1;\n")
    assert "two files of number 001" in ctl.refusal(1, "migrate", "--sql", str(directory))


@pytest.mark.parametrize(
    "text, said",
    [
        ("create table gateway.half (id int); select 1 / 0;", "division by zero"),
        ("create table gateway.half (id int); commit;", "ends the transaction"),
        ("create table gateway.half (id int); commit; begin;", "ends the transaction"),
    ],
)
def test_a_migration_that_fails_can_be_mended_and_run_again(ctl, tmp_path, text, said, sql):
    directory = copied(sql, tmp_path)
    (directory / "900_bad.sql").write_text(text)
    (directory / "901_next.sql").write_text("create table gateway.next (id int);")
    told = ctl.run("migrate", "--sql", str(directory), code=4).stderr
    assert said in told and "900_bad.sql was not applied" in told
    assert "900" not in applied(ctl) and ctl.sql("select to_regclass('gateway.next')") == ""
    ctl.sql("drop table if exists gateway.half")
    (directory / "900_bad.sql").write_text("create table gateway.half (id int);")
    ctl.run("migrate", "--sql", str(directory))
    assert applied(ctl)[-2:] == ["900", "901"]


def test_a_mistake_in_a_migration_is_named_by_its_line(ctl, tmp_path, sql):
    directory = copied(sql, tmp_path)
    (directory / "900_bad.sql").write_text("-- é\nselect 1;\nselect nothing\n  from nowhere;\n")
    told = ctl.run("migrate", "--sql", str(directory), code=4).stderr
    assert "900_bad.sql was not applied because of its line 4" in told


def test_a_role_left_set_by_a_file_does_not_reach_the_next(ctl, tmp_path, sql):
    directory = copied(sql, tmp_path)
    (directory / "900_role.sql").write_text("set role invoicegate_worker;")
    (directory / "901_next.sql").write_text("create table gateway.next (id int);")
    ctl.run("migrate", "--sql", str(directory))


def test_a_directory_without_migrations_is_an_error(ctl, tmp_path):
    assert "no migrations" in ctl.refusal(1, "migrate", "--sql", str(tmp_path))
    assert "cannot be read" in ctl.refusal(1, "migrate", "--sql", str(tmp_path / "none"))


def test_migrating_needs_no_superuser(server, new_ctl, sql):
    ctl = new_ctl("template1")
    server.sql("postgres", "create role deployer login createrole; grant invoicegate_owner to deployer;")
    server.sql("postgres", f"grant create on database {ctl.name} to deployer")
    string = server.database(ctl.name).replace("user=postgres", "user=deployer")
    ctl.run("migrate", "--sql", str(sql), INVOICEGATE_DATABASE=string)
    assert ctl.out("agency", "add", "x", INVOICEGATE_DATABASE=string) == "1"


# ---- agencies, accounts, keys


def test_an_agency_is_added_once(ctl):
    assert ctl.out("agency", "add", "Café 株式会社") == "1"
    assert "exists already" in ctl.refusal(1, "agency", "add", "Café 株式会社")
    assert ctl.out("agency", "add", "Café 株式会社", "--if-missing") == "1"
    added = ctl.json("agency", "add", "two")
    assert (added["agency_id"], added["name"], added["added"]) == (int(ctl.sql("select max(agency_id) from gateway.agencies")), "two", True)
    assert ctl.sql("select what, why like '1; by %' from audit.events where about = 'agency' and agency_id = 1") == "agency added|t"
    assert [row["name"] for row in ctl.json("agency", "list")["data"]] == ["Café 株式会社", "two"]


def test_tables_line_up_whatever_the_script(ctl):
    for name in ["abc", "株式会社", "Noe\u0301"]:
        ctl.run("agency", "add", name)
    lines = ctl.run("agency", "list").stdout.splitlines()
    assert lines[1].endswith("Z") or len(lines) == 4
    # 株式会社 takes eight columns in four characters, the accent none.
    assert [len(line) for line in lines[1:]] == [len(lines[1]), len(lines[1]) - 4, len(lines[1]) + 1]


def test_one_account_is_the_default(books):
    ctl = books.ctl
    added = ctl.json("account", "add", "acct_3", "--agency", "1", "--default", "--auto-advance")
    assert (added["account_id"], added["is_default"], added["auto_advance"]) == ("acct_3", True, True)
    assert "already" in ctl.refusal(1, "account", "add", "acct_3", "--agency", "1")
    assert ctl.out("account", "add", "acct_3", "--agency", "1", "--if-missing") == "acct_3"
    ctl.run("account", "set", "acct_1", "--agency", "1", "--default", "--auto-advance", "on")
    ctl.run("account", "set", "acct_3", "--agency", "1", "--auto-advance", "off")
    rows = {row["account_id"]: row for row in ctl.json("account", "list", "--agency", "1")["data"]}
    assert [name for name, row in rows.items() if row["is_default"]] == ["acct_1"]
    assert rows["acct_1"]["auto_advance"] and not rows["acct_3"]["auto_advance"]
    assert ctl.sql("select count(*) from audit.events where about = 'account'") == "3"


def test_a_key_is_shown_once_and_kept_as_a_digest(books):
    ctl = books.ctl
    done = ctl.run("key", "create", "--agency", "1", "--mode", "test", "--name", "laptop")
    key = done.stdout.strip()
    assert re.fullmatch(r"igk_test_[0-9A-Za-z]{36}", key) and done.stdout == key + "\n"
    assert "shown once" in done.stderr and key not in done.stderr
    digest = hmac.new(DIGEST_KEY.encode(), key.encode(), "sha256").hexdigest()
    assert ctl.sql("select encode(digest, 'hex'), mode, name, hint from gateway.api_keys") == f"{digest}|test|laptop|{key[-4:]}"
    assert key not in ctl.sql("select string_agg(e::text, '') from audit.events e")
    listed = ctl.json("key", "list", "--agency", "1")["data"]
    assert [(row["key_id"], row["state"], row["hint"]) for row in listed] == [(1, "active", key[-4:])]
    assert key not in ctl.out("key", "list", "--agency", "1") and "digest" not in listed[0]


def test_a_key_can_be_scoped_and_expire(books):
    made = books.ctl.json("key", "create", "--agency", "1", "--mode", "live", "--account", "acct_1", "--account", "acct_2",
                          "--route", "account_invoices", "--expires", "2099-01-31")
    assert made["key"].startswith("igk_live_") and made["expires_at"] == "2099-01-31T00:00:00Z"
    assert (made["accounts"], made["routes"]) == (["acct_1", "acct_2"], ["account_invoices"])
    assert "in the past" in books.ctl.refusal(2, "key", "create", "--agency", "1", "--mode", "live", "--expires", "2020-01-31")
    assert "2099-02-31" in books.ctl.refusal(2, "key", "create", "--agency", "1", "--mode", "live", "--expires", "2099-02-31")


def test_a_key_is_revoked_once(books):
    ctl = books.ctl
    ctl.run("key", "create", "--agency", "1", "--mode", "test")
    assert "is revoked" in ctl.out("key", "revoke", "1", "--agency", "1", "--why", "laptop lost")
    moment = ctl.sql("select revoked_at from gateway.api_keys")
    assert "was revoked already" in ctl.out("key", "revoke", "1", "--agency", "1")
    assert ctl.sql("select revoked_at from gateway.api_keys") == moment
    assert ctl.sql("select why like '1: laptop lost; by %' from audit.events where what = 'key revoked'") == "t"


def test_a_rotated_key_has_one_successor(books):
    ctl = books.ctl
    ctl.run("key", "create", "--agency", "1", "--mode", "test", "--name", "laptop", "--account", "acct_1")
    done = ctl.run("key", "rotate", "1", "--agency", "1", "--overlap", "7d")
    key = done.stdout.strip()
    assert re.fullmatch(r"igk_test_[0-9A-Za-z]{36}", key) and done.stdout == key + "\n"
    assert "key 1 stays open until" in done.stderr and key not in done.stderr
    assert ctl.sql("select follows, name, accounts, expires_at is null from gateway.api_keys where key_id = 2") == "1|laptop|{acct_1}|t"
    assert ctl.sql("select expires_at > now() + interval '167 hours' from gateway.api_keys where key_id = 1") == "t"
    assert ctl.sql("select why like '1 is followed by 2; open until %; by %' from audit.events where what = 'key rotated'") == "t"
    assert "followed by key 2 already" in ctl.refusal(1, "key", "rotate", "1", "--agency", "1")
    assert [row["follows"] for row in ctl.json("key", "list", "--agency", "1")["data"]] == [None, 1]
    made = ctl.json("key", "rotate", "2", "--agency", "1", "--overlap", "0", "--name", "desk", "--expires", "2099-01-31")
    assert (made["key_id"], made["follows"], made["name"], made["expires_at"]) == (3, 2, "desk", "2099-01-31T00:00:00Z")
    assert "has expired" in ctl.refusal(1, "key", "rotate", "2", "--agency", "1")
    ctl.run("key", "revoke", "3", "--agency", "1")
    assert "is revoked" in ctl.refusal(1, "key", "rotate", "3", "--agency", "1")
    assert ctl.sql("select count(*) from gateway.api_keys") == "3"


def test_a_successor_lives_as_long_as_the_key_was_to(books):
    ctl = books.ctl
    ctl.run("key", "create", "--agency", "1", "--mode", "test", "--expires", "2099-01-31")
    ctl.sql("update gateway.api_keys set created_at = now() - interval '10 days', expires_at = now() + interval '1 hour'")
    ctl.run("key", "rotate", "1", "--agency", "1")
    assert ctl.sql("select expires_at - now() between interval '9 days 23 hours' and interval '10 days 2 hours' "
                   "from gateway.api_keys where key_id = 2") == "t"
    assert ctl.sql("select expires_at < now() + interval '2 hours' from gateway.api_keys where key_id = 1") == "t", "not later"


@pytest.mark.parametrize("content", [b"short", b"x" * 31 + b"\n", b"x" * 5000])
def test_a_digest_key_of_the_wrong_size_is_refused(books, tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    books.ctl.refusal(1, "key", "create", "--agency", "1", "--mode", "test", INVOICEGATE_DIGEST_KEY_FILE=str(tmp_path / "key"))
    assert books.ctl.sql("select count(*) from gateway.api_keys") == "0"


def test_the_digest_key_is_also_found_among_credentials(books, tmp_path):
    (tmp_path / "digest-key").write_text(DIGEST_KEY)
    key = books.ctl.out("key", "create", "--agency", "1", "--mode", "test", INVOICEGATE_DIGEST_KEY_FILE=None,
                        CREDENTIALS_DIRECTORY=str(tmp_path))
    digest = hmac.new(DIGEST_KEY.encode(), key.encode(), "sha256").hexdigest()
    assert books.ctl.sql("select encode(digest, 'hex') from gateway.api_keys") == digest
    assert "is not set" in books.ctl.refusal(1, "key", "create", "--agency", "1", "--mode", "test", INVOICEGATE_DIGEST_KEY_FILE=None)


def test_a_key_that_could_not_be_shown_says_how_to_revoke_it(books):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "key", "create", "--agency", "1", "--mode", "test"], env=books.ctl.environment,
                              stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    assert done.returncode == 1 and b"key revoke --agency 1 1" in done.stderr


# ---- completion


def completions(ctl: Ctl, *words: str) -> set[str]:
    """What bash offers for the last word, through the completion file."""
    script = f"""
        source {ROOT / "src/ctl/invoicegatectl.bash"}
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _invoicegatectl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script, "bash", str(PROGRAM), *words], env=ctl.environment, capture_output=True,
                          text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_bash_completes_nouns_verbs_options_and_choices(ctl):
    assert completions(ctl, "") >= {command.split()[0] for command in COMMANDS}
    assert completions(ctl, "cl") == {"client"}
    assert completions(ctl, "client", "") == {"add", "list", "show", "erase-preview", "import"}
    assert completions(ctl, "key", "create", "--agency", "1", "--mode", "") == {"live", "test"}
    assert completions(ctl, "requests", "--st") == {"--state"}
    assert "refused" in completions(ctl, "requests", "--state", "")
    assert completions(ctl, "migrate", "--sql", "") == set()


def test_the_program_is_where_the_tests_think(ctl):
    assert PROGRAM.parent == BUILD and os.stat(PROGRAM).st_mode & stat.S_IXUSR
    assert json.loads(ctl.run("agency", "list", "--json").stdout) == {"data": []}
