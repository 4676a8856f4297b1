"""Lets the files of this folder use the helpers of the end-to-end tests: import paths comes first in each."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
