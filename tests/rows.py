"""How much of the large tables is played: rows that are alike to the code they run take turns, or every one is (CI)."""

from __future__ import annotations

import os

EVERY_ROW = os.environ.get("EVERY_ROW") == "1"
