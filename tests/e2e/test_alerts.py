"""The alert rules: Prometheus takes them, they fire when they should, each has its paragraph in the README, and each
metric that they name is one that workers tell. promtool is Debian's; where it cannot be had, what needs it is skipped."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from stack import BUILD, ROOT, Stack

RULES = ROOT / "systemd/prometheus-alerts.yml"
TESTS = ROOT / "tests/alerts/alerts-test.yml"
README = (ROOT / "README.md").read_text()
ALERTS = re.findall(r"- alert: (\w+)", RULES.read_text())
PATIENCE_S = 300


@pytest.fixture(scope="module")
def promtool() -> Path:
    """Kept beside the build for the next time."""
    found = subprocess.run(
        [ROOT / "tests/alerts/promtool.sh", BUILD / "promtool"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    if found.returncode != 0:
        assert os.environ.get("CI") != "true", found.stderr
        pytest.skip("promtool cannot be had: " + found.stderr.strip().splitlines()[-1])
    return Path(found.stdout.strip())


def run(promtool: Path, *words: str | Path, given: str | None = None) -> str:
    done = subprocess.run([promtool, *words], input=given, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_prometheus_takes_the_rules(promtool: Path) -> None:
    assert f"{len(ALERTS)} rules found" in run(promtool, "check", "rules", RULES)


def test_alerts_fire_when_they_should(promtool: Path, tmp_path: Path) -> None:
    tests = tmp_path / "tests.yml"
    tests.write_text(TESTS.read_text().replace("- RULES", f"- {RULES}"))
    assert "SUCCESS" in run(promtool, "test", "rules", tests)


def test_every_alert_is_tested_and_explained() -> None:
    assert len(ALERTS) >= 10 and len(set(ALERTS)) == len(ALERTS)
    fired = re.findall(r"alertname: (\w+)\n +exp_alerts", TESTS.read_text())
    assert set(fired) == set(ALERTS)
    anchors = re.findall(r"runbook_url: \S+/README\.md#(\w+)", RULES.read_text())
    assert anchors == [alert.lower() for alert in ALERTS]
    headings = re.findall(r"^#### (\w+)\n\n\S", README, re.MULTILINE)
    assert headings == ALERTS, "each has a paragraph in the README, in the same order"


def test_prometheus_takes_what_workers_tell(stack: Stack, promtool: Path) -> None:
    assert stack.create().status == 200
    text = stack.admin("/metrics").body.decode()
    run(promtool, "check", "metrics", given=text)
    named = set(re.findall(r"invoicegate_[a-z_]+", RULES.read_text()))
    told = set(re.findall(r"^(?:# TYPE )?(invoicegate_[a-z_]+)", text, re.MULTILINE))
    assert named <= told | {"invoicegate_unresolved", "invoicegate_unresolved_oldest_seconds"}, named - told
