"""Pauses of random length, so that those who wait for the same thing do not come back all at once."""

from __future__ import annotations

import random
from collections.abc import Callable

# Of the system's own chance: threads draw from it without disturbing anybody's seeded numbers, and so does a child of
# fork, which would otherwise pause exactly like its parent.
_CHANCE = random.SystemRandom()


def between(shortest: float, longest: float) -> float:
    """A number of seconds between two."""
    return _CHANCE.uniform(shortest, longest)


def growing(first: float, longest: float) -> Callable[[], float]:
    """A function that gives the next pause: a random part of a length that doubles (full jitter)."""
    length = first

    def following() -> float:
        nonlocal length
        pause = between(0, length)
        length = min(length * 2, longest)
        return pause

    return following
