"""The comparison that the serving processes make by themselves: every some minutes, one of them at a time."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from scim_gateway.errors import Conflict, ScimError

from .defects import DefectsLogged
from .pauses import between
from .reconcile import Reconciler

_log = logging.getLogger("scim_gateway.provisioning")

FIRST_SECONDS = 30.0
"""The first look comes so soon after the start, at most: something may have happened while nobody served."""


@dataclass(frozen=True, slots=True)
class Periodic:
    """When whole is compared against whole.

    :param minutes: between two comparisons, by whichever process; 0: never by itself.
    :param repair: whether what needs nobody's approval is mended; otherwise it is only told.
    """

    minutes: int = 0
    repair: bool = True


NEVER_BY_ITSELF = Periodic()


class Watch:
    """A thread that compares when no process did for a while; the retry goes on beside it.

    :param paused: the reason of a pause, if there is one: nothing is mended then but locks that were lost.
    """

    def __init__(
        self, reconciler: Reconciler, periodic: Periodic, *, paused: Callable[[], str | None] = lambda: None
    ) -> None:
        self._reconciler = reconciler
        self._seconds = periodic.minutes * 60.0
        self._repair = periodic.repair
        self._paused = paused
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._process: int | None = None

    def start(self) -> None:
        """Begin, unless it has begun in this process; nothing of it keeps the process alive."""
        with self._lock:
            if not self._seconds or self._process == os.getpid():
                return
            self._process, self._over = os.getpid(), threading.Event()
            threading.Thread(target=self._run, args=(self._over,), name="scim-reconcile", daemon=True).start()

    def stop(self) -> None:
        """End after the comparison that is under way, without waiting for it."""
        self._over.set()

    def _run(self, over: threading.Event) -> None:
        # Each process waits another while, so that they do not all look at the same moment.
        wait = between(0.2, 1.0) * min(FIRST_SECONDS, self._seconds)
        while not over.wait(wait):
            self.look()
            wait = between(0.8, 1.2) * self._seconds

    def look(self) -> None:
        """Compare, unless another process has just done so; whatever goes wrong, the next look comes."""
        with DefectsLogged(_log, "comparing failed"):
            try:
                if self._reconciler.age() >= self._seconds / 2:
                    self._compare()
            except Conflict:
                _log.debug("another process is comparing")
            except ScimError as error:
                _log.warning("comparing failed: %s", error.detail)

    def _compare(self) -> None:
        if not self._repair:
            plan = self._reconciler.report()
            if plan.to_do:
                _log.warning("%d differences between directory and targets: scim-gateway plan", len(plan.to_do))
            return
        repair = self._reconciler.reconcile(patience=0.0, paused=self._paused())
        if repair.done:
            _log.info("%d differences of directory and targets mended, %d left", repair.done, len(repair.left.to_do))
        for problem in repair.problems:
            _log.warning("comparing: %s", problem)
