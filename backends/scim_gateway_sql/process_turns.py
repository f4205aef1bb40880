"""Turns among processes: who waits for the write lock of a SQLite file gets it before those who come later.

SQLite gives its lock to whoever asks at the right moment, and who finds it taken asks again after growing pauses. A
process with many writes asks again at once, and so others wait for seconds, or in vain. Therefore whoever wants the
lock waits for it at a door with room for one, and leaves the door when the lock is had: whoever comes next finds
somebody there. The door is for fairness alone; where it does not work, or does not open, the lock decides as before.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger(__name__)

_SHORTEST = 0.00005
_LONGEST = 0.005
"""Seconds between two tries to take the lock: a small part of what was waited already, so little is for nothing."""
_AT_THE_DOOR = 0.0005
"""The most seconds between two tries there: who waits longer must not come more seldom than who has just begun."""
_STUCK = 0.2
"""The part of the time to wait after which the door is passed by: its holder may have been stopped by somebody."""


class ProcessTurns:
    """The door: a lock on an empty file beside the database, which the system opens again when its holder ends.

    For one thread of this process at a time, and for this process alone: one that is forked has no door.

    :param database: the file whose write lock it is about.
    """

    def __init__(self, database: Path) -> None:
        self._file = -1
        path = database.with_name(f"{database.name}-turns")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _give_to_owner_of(database, self._file)
        except OSError as error:
            _log.warning("%s: %s; processes that write may keep each other waiting", path, error.strerror)
        _opened.add(self)

    def take(self, lock: Callable[[], bool], seconds: float) -> bool:
        """Wait for the turn, and then for the lock.

        :param lock: takes it, if it is free; tells whether it did.
        :return: False if it could not be taken for so long.
        """
        until = time.monotonic() + seconds
        came = _tried(self._come, until - (1 - _STUCK) * seconds, _AT_THE_DOOR)
        try:
            return _tried(lock, until, _LONGEST)
        finally:
            if came:
                self._leave()

    def _come(self) -> bool:
        if self._file >= 0:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:  # a file system without such locks
                self.close()
        return True

    def _leave(self) -> None:
        if self._file >= 0:
            with suppress(OSError):  # another thread has closed the directory meanwhile
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Do without the door from now on."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


_opened: weakref.WeakSet[ProcessTurns] = weakref.WeakSet()


def _close_inherited() -> None:
    # A lock lasts as long as any process has the file open that took it.
    for turns in list(_opened):
        turns.close()


os.register_at_fork(after_in_child=_close_inherited)


def _give_to_owner_of(database: Path, file: int) -> None:
    """See that the service can open the file, too, if a command of root's has made it; as SQLite does with its own."""
    with suppress(OSError):  # not root
        owner = database.stat()
        if os.fstat(file).st_uid != owner.st_uid:
            os.fchown(file, owner.st_uid, owner.st_gid)


def _tried(step: Callable[[], bool], until: float, longest: float) -> bool:
    """Try until it is done; False if it is not by then."""
    if step():
        return True
    since = now = time.monotonic()
    while now < until:
        time.sleep(min(max(_SHORTEST, (now - since) / 16), longest))
        if step():
            return True
        now = time.monotonic()
    return False
