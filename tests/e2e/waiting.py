"""Waiting for something that will be so in a moment, with an end."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

T = TypeVar("T")


def wait_for(what: str, look: Callable[[], T], timeout_s: float = 60.0, every_s: float = 0.02) -> T:
    """Calls look until it answers something true, and answers that. What is not there in time is a failure."""
    end = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"waited {timeout_s:.0f} s in vain for {what}; last seen: {found!r}"
        time.sleep(every_s)
