"""The README says what is so: its commands run, its answers and its table of settings are those of the programs.

A comment before each block of the README tells what happens to it here:

<!-- test: run -->        runs, in order, on a private stack; `run NAME` keeps the output
<!-- test: answer NAME --> has the members and kinds of values that the output of `run NAME` has
<!-- test: part NAME -->   has some of them
<!-- test: install -->    runs on a machine of its own (tests/bare, INSTALL=1); here it is parsed
<!-- test: syntax -->     is parsed: it takes too long, or needs what only you have
<!-- test: text -->       is no command
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BUILD = Path(os.environ.get("INVOICEGATE_BUILD", ROOT / "build"))
COMMAND_S = 300


@dataclass
class Block:
    kind: str
    name: str
    language: str
    text: str
    line: int


def read_blocks() -> list[Block]:
    pattern = re.compile(r"(?:<!-- test: (\w+) ?(\w*) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [
        Block(found[1] or "", found[2] or "", found[3], found[4], README.count("\n", 0, found.start()) + 1)
        for found in pattern.finditer(README)
    ]


BLOCKS = read_blocks()


def of_kind(*kinds: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind in kinds]


def test_every_command_says_how_it_is_tested() -> None:
    kinds = {"run", "answer", "part", "install", "syntax", "text"}
    unmarked = [block.line for block in BLOCKS if block.language and block.kind not in kinds]
    assert not unmarked, f"blocks without a mark begin at README.md lines {unmarked}"
    assert len(of_kind("run")) >= 4 and of_kind("install")


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "sh"], ids=lambda b: f"line{b.line}")
def test_commands_are_well_formed(block: Block) -> None:
    parsed = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, timeout=20, check=False)
    assert parsed.returncode == 0, parsed.stderr


# ---- the commands


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Looks like a clone, has a .run of its own, and is built already."""
    place = tmp_path_factory.mktemp("readme")
    for entry in ("Makefile", "src", "sql", "nginx", "systemd", "tests"):
        (place / entry).symlink_to(ROOT / entry)
    (place / "build").symlink_to(BUILD)
    yield place
    down = run_shell(place, "make down")
    assert down.returncode == 0, down.stderr


PORT, ADMIN_PORT = str(free_port()), str(free_port())


def run_shell(place: Path, text: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INVOICEGATE_", "MAKE", "MFLAGS"))}
    for name in ("RUN_DIR", "WORKERS", "UPSTREAM_URL", "UPSTREAM_KEY", "BUILD", "SANITIZE"):
        kept.pop(name, None)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=place,
        env={**kept, "PORT": PORT, "ADMIN_PORT": ADMIN_PORT, "BUILD_DIR": str(BUILD)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )


def shape(value: Any) -> Any:
    """Members and kinds of values: what differs between two answers is left out."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    return type(value).__name__


def json_lines(output: str) -> list[str]:
    """Answers follow each other without a line's end."""
    return output.replace("}{", "}\n{").splitlines()


def test_commands_do_what_they_should(clone: Path) -> None:
    outputs: dict[str, str] = {}
    for block in of_kind("run"):
        done = run_shell(clone, block.text)
        assert done.returncode == 0, f"README.md line {block.line}:\n{block.text}\n{done.stdout}\n{done.stderr}"
        outputs[block.name] = done.stdout
        if block.text.strip() == "make demo":
            assert "What the audit knows" in done.stdout
    assert of_kind("answer")
    for block in of_kind("answer"):
        told, true = json.loads(block.text), json.loads(outputs[block.name])
        assert shape(told) == shape(true), f"README.md line {block.line}"
        assert list(told) == list(true)
        same = ("amount", "currency", "status", "number", "description")
        assert {name: told[name] for name in same} == {name: true[name] for name in same}
    for block in of_kind("part"):
        told, true = json.loads(block.text), json.loads(outputs[block.name])
        assert shape(told) == shape({name: true[name] for name in told}), f"README.md line {block.line}"
        same = ("object", "amount_due", "auto_advance", "currency", "description", "status")
        assert {name: told[name] for name in same} == {name: true[name] for name in same}
    acts = [json.loads(line) for line in json_lines(outputs["acts"])]
    assert acts[-1]["status"] == "void" and next(told for told in acts if told["object"] == "list")["data"]


def test_statuses_are_those_of_the_program() -> None:
    """The statuses that the worker's table of reasons knows all stand in the README."""
    reasons = (ROOT / "src/flow/reasons.c").read_text()
    statuses = set(re.findall(r'^    \{"\w+", (\d{3}),', reasons, re.MULTILINE))
    told = set(re.findall(r"\b(\d{3})\b", "\n".join(re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE))))
    assert statuses and statuses <= told, sorted(statuses - told)


# ---- the table of settings


def settings_of_help() -> list[list[str]]:
    """Name, meaning, default and range of every setting that --help lists, as cells of the README's table."""
    helped = subprocess.run([BUILD / "invoicegate", "--help"], capture_output=True, text=True, timeout=30, check=True)
    rows = []
    pattern = r"^  INVOICEGATE_(\w+)\n      (.+)\n      default: (.+)$(\n      read anew at SIGHUP$)?"
    for found in re.finditer(pattern, helped.stdout, re.MULTILINE):
        name, meaning, default, reloads = found.groups()
        limits = re.fullmatch(r"(\S+), from (\S+) to (\S+)", default)
        credential = re.fullmatch(r"(\S+) (in systemd's credentials directory)", default)
        if limits:
            cells = [f"`{limits[1]}`", f"{limits[2]} to {limits[3]}"]
        elif credential:
            cells = [f"`{credential[1]}` {credential[2]}", ""]
        else:
            cells = ["" if default == "none" else f"`{default}`", ""]
        rows.append([f"`{name}`", meaning, *cells, "yes" if reloads else ""])
    assert len(rows) == helped.stdout.count("\n  INVOICEGATE_"), "a setting of --help was not understood"
    return rows


BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->"


def table_of_settings() -> str:
    rows = [["`INVOICEGATE_...`", "meaning", "default", "range", "SIGHUP"], *settings_of_help()]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---|---|---|---|---|", *lines[1:]]) + "\n"


def test_settings_are_those_of_the_program() -> None:
    told = README.partition(BEGIN)[2].partition(END)[0]
    assert told == table_of_settings(), "write it anew: /usr/bin/python3 tests/e2e/test_readme.py"


if __name__ == "__main__":
    before, begin, rest = README.partition(BEGIN)
    (ROOT / "README.md").write_text(before + begin + table_of_settings() + END + rest.partition(END)[2])
