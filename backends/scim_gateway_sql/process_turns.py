"""Turns among processes: who waits for the write lock of a SQLite file gets it before those who come later.

SQLite gives its lock to whoever asks at the right moment, and who finds it taken asks again after growing pauses. A
process with many writes asks again at once, and so others wait for seconds, or in vain. Therefore whoever wants the
lock waits for it at a door with room for one, and leaves the door when the lock is had: who had it before comes next.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

_SHORTEST = 0.00005
_LONGEST = 0.005
"""Seconds between two tries to take the lock: a small part of what was waited already, so little is for nothing."""
_AT_THE_DOOR = 0.0005
"""The most seconds between two tries there: who waits longer must not come more seldom than who has just begun."""


class ProcessTurns:
    """The door: a lock on a file of its own, which the system opens again when its holder is killed.

    For one thread of this process at a time. Without a file, as in a folder that cannot be written, there is no door.

    :param path: of the file, which stays empty.
    """

    def __init__(self, path: Path) -> None:
        self._file = -1
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return  # the first write says what is wrong

    def take(self, lock: Callable[[], bool], seconds: float) -> bool:
        """Wait for the turn, and then for the lock.

        :param lock: takes it, if it is free; tells whether it did.
        :return: False if others had the lock for so long.
        """
        if not _tried(self._come, seconds, _AT_THE_DOOR):
            return False
        try:
            return _tried(lock, seconds, _LONGEST)
        finally:
            self._leave()

    def _come(self) -> bool:
        if self._file >= 0:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def _leave(self) -> None:
        if self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Do without the door from now on."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _tried(step: Callable[[], bool], seconds: float, longest: float) -> bool:
    """Try until it is done; False if it is not for so long."""
    if step():
        return True
    since = time.monotonic()
    while (waited := time.monotonic() - since) < seconds:
        time.sleep(min(max(_SHORTEST, waited / 16), longest))
        if step():
            return True
    return False
