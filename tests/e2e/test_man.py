"""The manual pages: they are well formed, and what they say of settings and commands is what the programs say.

Their generated parts are written anew with: /usr/bin/python3 tests/e2e/test_man.py
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("INVOICEGATE_BUILD", ROOT / "build"))
MAN = ROOT / "src/man"
PAGES = sorted(MAN.glob("*.[58]"))
PATIENCE_S = 60


def output(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout


def ctl(*words: str) -> str:
    """The pages name the usual places, wherever the programs were built for."""
    return re.sub(r"default \S*/share/invoicegate", "default /usr/local/share/invoicegate", output(BUILD / "invoicegatectl", *words))


def roff(text: str) -> str:
    """Words as a line of text: nothing in them is a request."""
    text = text.replace("\\", "\\e")
    return "\\&" + text if text.startswith((".", "'")) else text


def literal(lines: list[str]) -> list[str]:
    return [".Bd -literal -offset indent", *(roff(line) for line in lines), ".Ed"]


# ---- settings


def settings_part() -> str:
    lines = [".Bl -tag -width Ds"]
    for name, about, default, reloads in re.findall(
        r"^  (INVOICEGATE_\w+)\n      (.+)\n      default: (.+)$(\n      read anew at SIGHUP$)?", output(BUILD / "invoicegate", "--help"), re.MULTILINE
    ):
        lines += [f".It Ev {name}", roff(about[0].upper() + about[1:]) + ".", f"Default: {default}.", *["Read anew at SIGHUP."] * bool(reloads)]
    return "\n".join([*lines, ".El", ""])


# ---- commands


def commands() -> list[str]:
    """As typed: agency add, migrate, ..."""
    nouns = ctl("complete", "").split()
    found = []
    for noun in (word for word in nouns if word not in ("help", "--help")):
        verbs = [] if "usage:" in ctl(noun, "--help") else ctl("complete", noun, "").split()
        found += [f"{noun} {verb}" for verb in verbs] or [noun]
    return found


def option_lines(help_text: str) -> list[str]:
    lines: list[str] = []
    for line in help_text.splitlines():
        found = re.fullmatch(r"  --(\S+)((?: [^a-z\s]\S*| live\|test| failed\|created| \.\.\.)*)\s+(\S.*)", line)
        assert found, line
        name, values, about = found.groups()
        if name not in ("json", "help"):
            lines += [f".It Fl -{name}" + (f" Ar {values.strip()}" if values else ""), roff(about)]
    return [".Bl -tag -width Ds", *lines, ".El"] if lines else []


def command_part(command: str) -> list[str]:
    head, _, rest = ctl(*command.split(), "--help").partition("\n\noptions:\n")
    options, _, examples = rest.partition("\n\nexamples:\n")
    usage, _, about = head.partition("\n\n")
    arguments = usage.removeprefix(f"usage: invoicegatectl {command}").removesuffix(" [OPTION...]").strip()
    lines = [f".Ss {command}{' ' + arguments if arguments else ''}"]
    for number, paragraph in enumerate(about.split("\n\n")):
        if number:
            lines.append(".Pp")
        words = [roff(line) for line in paragraph.splitlines()]
        words[0] = words[0][0].upper() + words[0][1:]
        lines += [*words[:-1], words[-1].rstrip(".") + "."]
    shown = [line.removeprefix("  ") for line in examples.splitlines()]
    return [*lines, *option_lines(options), ".Pp", "For example:", *literal(shown)]


def commands_part() -> str:
    return "\n".join(line for command in commands() for line in command_part(command)) + "\n"


# ---- the pages

GENERATED = [("invoicegate.conf.5", "settings", settings_part), ("invoicegatectl.8", "commands", commands_part)]


def marks(what: str) -> tuple[str, str]:
    return f'.\\" {what}: begin\n', f'.\\" {what}: end\n'


@pytest.mark.parametrize("page, what, part", GENERATED)
def test_generated_parts_are_what_the_programs_say(page, what, part) -> None:
    begin, end = marks(what)
    told = (MAN / page).read_text().partition(begin)[2].partition(end)[0]
    assert told == part(), "write it anew: /usr/bin/python3 tests/e2e/test_man.py"


def shown(page: Path) -> str:
    """As a reader sees it. -Z would only format; here nothing may be complained about."""
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(page)],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": "200", "MANPAGER": "cat", "MAN_KEEP_FORMATTING": ""},
        capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )
    assert done.stderr == "", done.stderr
    return re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)


def test_there_are_three_pages() -> None:
    assert [page.name for page in PAGES] == ["invoicegate.8", "invoicegate.conf.5", "invoicegatectl.8"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_is_well_formed(page: Path) -> None:
    text = shown(page)
    for heading in ("NAME", "DESCRIPTION", "SEE ALSO"):
        assert f"\n{heading}\n" in text
    assert page.stem in text.partition("DESCRIPTION")[0]
    assert max(len(line) for line in page.read_text().splitlines()) <= 132


def test_every_setting_is_in_the_page() -> None:
    text = shown(MAN / "invoicegate.conf.5")
    names = re.findall(r"^  (INVOICEGATE_\w+)$", output(BUILD / "invoicegate", "--help"), re.MULTILINE)
    assert len(names) > 20
    assert [name for name in names if not re.search(rf"^ +{name}\b", text, re.MULTILINE)] == []


def test_every_command_and_option_is_in_the_page() -> None:
    text = shown(MAN / "invoicegatectl.8")
    assert len(commands()) > 20
    for command in commands():
        section = re.search(rf"^   {command}\b.*?(?=^   ?\S|\Z)", text, re.MULTILINE | re.DOTALL)
        assert section, command
        for option in re.findall(r"^  --(\S+)", ctl(*command.split(), "--help"), re.MULTILINE):
            assert option in ("json", "help") or f"--{option}" in section[0], (command, option)


def test_exit_codes_are_those_of_the_help() -> None:
    told = dict(re.findall(r"(\d) (\w+)", ctl("--help").partition("exit codes:")[2]))
    text = shown(MAN / "invoicegatectl.8").partition("EXIT STATUS")[2].partition("SEE ALSO")[0]
    assert set(re.findall(r"^ +(\d) ", text, re.MULTILINE)) == set(told)


if __name__ == "__main__":
    for page, what, part in GENERATED:
        begin, end = marks(what)
        before, _, rest = (MAN / page).read_text().partition(begin)
        (MAN / page).write_text(before + begin + part() + end + rest.partition(end)[2])
