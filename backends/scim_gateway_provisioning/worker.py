"""The thread that does by itself what nobody asks for: in one of all processes at a time, under a lease."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scim_gateway_sql.lease import Held, Lease

from scim_gateway.errors import ScimError

from .context import Context
from .defects import DefectsLogged
from .pauses import between

NAME = "background"
LEASE_SECONDS = 30.0
"""After so long another process takes over from one that was killed."""

STOP_SECONDS = 5.0
"""How long a stop waits for the step that is under way; the thread does not keep the process alive."""

_log = logging.getLogger("scim_gateway.provisioning")

Alive = Callable[[], bool]
"""Whether to go on: not when the process stops, or another one has taken over."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to do from time to time.

    :param every: seconds between two times.
    """

    name: str
    every: float
    run: Callable[[Alive], None]


class Worker:
    """Does the chores of one directory while this process has the lease.

    :param tick: seconds between two looks.
    """

    def __init__(self, context: Context, chores: Sequence[Chore], *, tick: float = 1.0) -> None:
        self._context = context
        self._chores = chores
        self._tick = tick
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: int | None = None

    def start(self) -> None:
        """Begin, unless it has begun in this process; a child of ``fork`` has no thread and begins anew."""
        with self._lock:
            if self._process == os.getpid() and self._thread is not None:
                return
            self._process = os.getpid()
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="scim-background", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop soon."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None or self._process != os.getpid():
                return
            self._stop.set()
        thread.join(STOP_SECONDS)

    def _run(self, stop: threading.Event) -> None:
        lease = Lease(self._context.database, self._context.tenant, NAME, seconds=LEASE_SECONDS)
        turn = _Turn(lease, stop)
        due = {chore.name: 0.0 for chore in self._chores}
        while not stop.is_set():
            pause = 10 * self._tick  # after trouble
            with DefectsLogged(_log, "background work failed unexpectedly"):
                try:
                    pause = self._work(turn, due)
                except ScimError as error:
                    _log.warning("background work is put off: %s", error.detail)
            stop.wait(pause * between(0.75, 1.25))
        turn.give_up()

    def _work(self, turn: _Turn, due: dict[str, float]) -> float:
        """Do what is due, if it is this process's turn; seconds until the next look."""
        if not turn.mine():
            # Somebody else is at it; there is time until that lease could run out.
            return LEASE_SECONDS / 3
        for chore in self._chores:
            if time.monotonic() >= due[chore.name] and turn.alive():
                chore.run(turn.alive)
                due[chore.name] = time.monotonic() + chore.every
        return self._tick


class _Turn:
    """The lease, held and renewed as long as there is work."""

    def __init__(self, lease: Lease, stop: threading.Event) -> None:
        self._lease = lease
        self._stop = stop
        self._held: Held | None = None

    def mine(self) -> bool:
        """Take the lease, or keep it."""
        if self._held is None or self._held.remaining <= 0:
            self._held = self._lease.acquire()
        elif self._held.remaining < 2 * LEASE_SECONDS / 3:
            self._held = self._lease.renew(self._held)
        return self._held is not None

    def alive(self) -> bool:
        return not self._stop.is_set() and self.mine()

    def give_up(self) -> None:
        if self._held is not None:
            try:
                self._lease.release(self._held)
            except ScimError:
                return  # it runs out by itself
