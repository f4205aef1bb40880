"""Which targets did not answer lately: while one is down, requests ask it once, and do not wait for it to come back.

Waiting is right for a short trouble. In a long one it would only keep all threads busy, and with them the requests that
need no target.
"""

from __future__ import annotations

import threading
import time

FAILURES = 5
"""After so many failures in a row a target is taken for down, ..."""

SECONDS = 10.0
"""... for so long after the last of them."""


class Health:
    """What this process has seen of its targets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[int, float]] = {}

    def failed(self, target: str) -> None:
        """A target could not be reached."""
        with self._lock:
            count, _ = self._failures.get(target, (0, 0.0))
            self._failures[target] = count + 1, time.monotonic()

    def answered(self, target: str) -> None:
        """A target has done what it was asked for, or refused it."""
        if target in self._failures:
            with self._lock:
                self._failures.pop(target, None)

    def is_down(self, target: str) -> bool:
        """Whether there is no use in waiting."""
        count, last = self._failures.get(target, (0, 0.0))
        return count >= FAILURES and time.monotonic() - last < SECONDS
