"""Turns: one thread at a time, in the order in which they came; whoever ends hands over to the next."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class Turns:
    """A lock that is handed over, so that a thread which ends and comes again at once is behind those who wait.

    :param give_back: what is done, in place of :meth:`end`, for whoever is interrupted in the moment in which the turn
        comes.
    """

    def __init__(self, give_back: Callable[[], None] | None = None) -> None:
        self._give_back = give_back or self.end
        self._guard = threading.Lock()
        self._queue: deque[threading.Lock] = deque()
        self._taken = False

    def take(self, seconds: float) -> bool:
        """Wait for the turn; False if it did not come within that time."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._queue.append(mine)
        try:
            came = mine.acquire(timeout=seconds)
        except BaseException:
            # Interrupted, as by a signal: a turn that is handed to nobody would never end.
            if not self._gave_up(mine):
                self._give_back()
            raise
        return came or not self._gave_up(mine)

    def _gave_up(self, mine: threading.Lock) -> bool:
        """Leave the queue; False if the turn came after all."""
        with self._guard:
            if mine not in self._queue:
                return False
            self._queue.remove(mine)
            return True

    def hand_over(self) -> bool:
        """Let the next have the turn; False, and the turn is kept, where nobody waits."""
        with self._guard:
            if not self._queue:
                return False
            self._queue.popleft().release()
            return True

    def end(self) -> None:
        """Let the next have the turn, if there is one, or whoever comes."""
        with self._guard:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._taken = False
