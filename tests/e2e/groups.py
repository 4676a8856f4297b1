"""Groups of tests that are counted at the end of a run, one line each. The counts come from the tests that ran."""

from __future__ import annotations

from collections import Counter

import pytest

# marker: what its line says
GROUPS = {"status_row": "status rows", "fault_step": "faults x steps", "bad_input": "bad inputs"}


class GroupCounter:
    """A plugin: counts by marker the tests whose body passed or failed."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.others: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and not report.failed:
            return
        for group in GROUPS:
            if group in report.keywords:
                (self.passed if report.passed else self.others)[group] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for group, title in GROUPS.items():
            if self.passed[group] or self.others[group]:
                rest = f", {self.others[group]} not passed" if self.others[group] else ""
                terminalreporter.write_line(f"{title}: {self.passed[group]}{rest}")
