"""The threads of a worker: whoever was busy last is asked first, as its memory is still in the processor's caches.

``concurrent.futures`` lets them take turns, and makes locks and conditions for each request that nobody waits at.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any


class Done:
    """What became of a call; of a future there is what gunicorn asks for."""

    __slots__ = ("_callbacks", "_error", "_is_done", "_value")

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Done], object]] = []
        self._is_done = False
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Make the call, and tell of it."""
        try:
            self._value = function(*arguments)
        except BaseException as error:  # whoever asks for the result has to know
            self._error = error
        self._is_done = True
        self._tell()

    def add_done_callback(self, callback: Callable[[Done], object]) -> None:
        """Call this with the outcome, as soon as there is one, in whichever thread finds out."""
        self._callbacks.append(callback)
        if self._is_done:
            self._tell()

    def _tell(self) -> None:
        # Both threads may be here: to pop is one step of the interpreter, so each callback is called once.
        while self._callbacks:
            try:
                callback = self._callbacks.pop()
            except IndexError:
                return
            callback(self)

    def cancelled(self) -> bool:
        """No: what was submitted is done."""
        return False

    def result(self) -> Any:
        """What the call gave, once it is done.

        :raises BaseException: what the call raised.
        """
        if self._error is not None:
            raise self._error
        return self._value


_Work = tuple[Done, Callable[..., Any], tuple[Any, ...]]


class _Thread(threading.Thread):
    """One of them; it rests at a lock of its own until it is given something."""

    def __init__(self, threads: Threads, number: int) -> None:
        super().__init__(name=f"scim-request-{number}")
        self.given: _Work | None = None
        self.wake = threading.Lock()
        self.wake.acquire()
        self._threads = threads

    def run(self) -> None:
        while True:
            work = self._threads.next_for(self)
            if work is None:
                self.wake.acquire()
                work, self.given = self.given, None
                if work is None:
                    return
            done, function, arguments = work
            done.run(function, arguments)
            del work, done, function, arguments  # nothing of a request stays alive while its thread rests


class Threads:
    """Calls functions, as many at a time as there are threads; the others in their turn.

    :param number: of threads, each started when it is needed for the first time.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._lock = threading.Lock()
        self._idle: list[_Thread] = []
        self._waiting: deque[_Work] = deque()
        self._all: list[_Thread] = []
        self._over = False

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Done:
        """Have a function called.

        :raises RuntimeError: they have been shut down.
        """
        done = Done()
        with self._lock:
            if self._over:
                raise RuntimeError("the threads have been shut down")
            if self._idle:
                thread = self._idle.pop()
                thread.given = done, function, arguments
                thread.wake.release()
                return done
            self._waiting.append((done, function, arguments))
            if len(self._all) < self._number:
                thread = _Thread(self, len(self._all) + 1)
                self._all.append(thread)
                thread.start()
            return done

    def next_for(self, thread: _Thread) -> _Work | None:
        """What has waited longest; if nothing does, the thread is to rest."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._over:
                thread.wake.release()
            else:
                self._idle.append(thread)
            return None

    def shutdown(self, wait: bool = True) -> None:
        """Let them end, after what was submitted.

        :param wait: until they have; the process waits for them in any case.
        """
        with self._lock:
            self._over = True
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.wake.release()
        if wait:
            for thread in self._all:
                thread.join()
