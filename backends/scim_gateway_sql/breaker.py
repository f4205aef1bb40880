"""A server that does not answer is not asked by everybody: after a few failures, one try in a while."""

from __future__ import annotations

import threading
import time

from scim_gateway.errors import Unavailable

FAILURES = 3
"""After how many failures in a row the others are answered at once."""
SECONDS = 2.0
"""How long until the next one may try."""
UNREACHABLE = "The database server cannot be reached."


class Breaker:
    """What is known of a server by the threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_until = 0.0

    def check(self) -> None:
        """Return if it makes sense to try; while it does not, one caller after the other is let through.

        :raises Unavailable: the server did not answer just now.
        """
        if self._failures < FAILURES:
            return
        with self._lock:
            now = time.monotonic()
            if now < self._closed_until:
                raise Unavailable(UNREACHABLE)
            self._closed_until = now + SECONDS

    def failed(self) -> None:
        """The server was not reached."""
        with self._lock:
            self._failures += 1
            self._closed_until = time.monotonic() + SECONDS

    def succeeded(self) -> None:
        """The server was reached."""
        if self._failures:
            with self._lock:
                self._failures = 0
