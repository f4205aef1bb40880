"""Attempts of those who may not write: recorded one by one up to a number a minute, beyond it counted.

A token that may only read could otherwise fill the database of the directory, at the pace of its requests.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
RECORDED = 20
"""Attempts with one token that are recorded one by one within a window."""


@dataclass(slots=True)
class _Window:
    begun: float
    recorded: int = 0
    left_out: int = 0


class Unscoped:
    """The attempts of one process, by the label of the token; there are as many as tokens were made.

    :param clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}

    def recorded(self, name: str) -> int | None:
        """``None`` for an attempt that is counted only; otherwise how many were, before this one that is recorded."""
        with self._lock:
            now = self._clock()
            window = self._windows.setdefault(name, _Window(now))
            if now - window.begun >= WINDOW_SECONDS:
                window.begun, window.recorded = now, 0
            if window.recorded == RECORDED:
                window.left_out += 1
                return None
            window.recorded += 1
            counted, window.left_out = window.left_out, 0
            return counted

    def left_out(self) -> dict[str, int]:
        """How many attempts were counted only and are told nowhere yet; forgets them."""
        with self._lock:
            found = {name: window.left_out for name, window in self._windows.items() if window.left_out}
            self._windows.clear()
            return found
