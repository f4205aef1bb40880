"""Searches that have to look through a directory: each for a limited time, and few of them at once.

What is found by an index never comes here: a search is watched from its first :meth:`Scan.step` on, and has to wait
for its turn only after it has kept the processor for a while. As many as may run may wait; what comes then is turned
away at once, so that threads of a process are left for everything else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Self, TypeVar

from scim_gateway.errors import TooMany, Unavailable

T = TypeVar("T")

TURN_AFTER = 0.25
"""Seconds of the processor's time after which a search goes on only when it is its turn."""
_STRIDE = 16
"""Resources between two steps: of groups, each may take as long as thousands of users."""


class Scans:
    """The searches of one process.

    :param seconds: how long one may take from its first step on.
    :param at_once: how many go on at the same time.
    """

    def __init__(self, seconds: int, at_once: int) -> None:
        self.seconds = seconds
        self._here = threading.Semaphore(2 * at_once)
        self._turns = threading.Semaphore(at_once)

    def wait(self, seconds: float) -> None:
        """Wait for a turn, which :meth:`leave` gives back.

        :raises Unavailable: it is not to be had; what to answer, as the search by itself may well be short enough.
        """
        if not self._here.acquire(blocking=False):
            raise _busy()
        if not self._turns.acquire(timeout=max(seconds, 0)):
            self._here.release()
            raise _busy()

    def leave(self) -> None:
        """Give a turn to the next."""
        self._turns.release()
        self._here.release()


class Scan:
    """One search, which may or may not have to look at much. A block, at the end of which its turn is over."""

    __slots__ = ("_processor", "_scans", "_turn", "_until")

    def __init__(self, scans: Scans) -> None:
        self._scans = scans
        self._until: float | None = None
        self._processor = 0.0
        self._turn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._turn:
            self._turn = False
            self._scans.leave()

    def step(self) -> None:
        """Say that some more was looked at.

        :raises TooMany: it takes too long.
        :raises Unavailable: it has to wait, and others do already.
        """
        now = time.monotonic()
        if self._until is None:
            self._until, self._processor = now + self._scans.seconds, time.thread_time()
        elif now > self._until:
            raise TooMany(
                f"The search looked through the directory for {self._scans.seconds} seconds and was not done. Ask with "
                "eq for an id, userName, externalId or displayName, or for less at once; the gateway's administrator "
                "can allow more time (search_seconds)."
            )
        elif not self._turn and time.thread_time() - self._processor > TURN_AFTER:
            self._scans.wait(self._until - now)
            self._turn = True

    def over(self, resources: Iterable[T]) -> Iterator[T]:
        """Look at resources, with a step now and then."""
        for number, resource in enumerate(resources, 1):
            yield resource
            if number % _STRIDE == 0:
                self.step()


def _busy() -> Unavailable:
    return Unavailable("Other searches that look through the directory are going on; try again.", retry_after=5)
