"""How much of what is much is played: a part, in turns, or all of it with ``EVERY_ROW=1``, as CI does once.

The tables of faults are products: what is asked for, what goes wrong, and where. Rows that are alike to the code that
they run take turns, so that everything that can go wrong is met by everything that is asked for, and at each place
something goes wrong. Of random examples half as many are drawn.
"""

from __future__ import annotations

import os

EVERY_ROW = os.environ.get("EVERY_ROW") == "1"


def examples(number: int) -> int:
    """How many random examples are drawn, where all of them are so many."""
    return number if EVERY_ROW else number // 2
