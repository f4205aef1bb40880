"""One process at a time compares and carries out: a lease that is kept while the work goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scim_gateway_sql.lease import Held, Lease

from scim_gateway.errors import Conflict, Unavailable

from .context import Context

NAME = "reconcile"
SECONDS = 30.0
"""How long the turn of a process that was killed lasts."""

_POLL = 0.5

Alive = Callable[[], None]
"""Raises :class:`~scim_gateway.errors.Conflict` when somebody else has the turn by now."""


@contextmanager
def turn(context: Context, *, patience: float = 0.0) -> Iterator[Alive]:
    """Have the turn for the block.

    :param patience: seconds to wait for whoever has it; one who was killed lets go after :data:`SECONDS`.
    :raises Conflict: somebody else has it.
    """
    lease = Lease(context.database, context.tenant, NAME, seconds=SECONDS)
    keeper = _Keeper(lease, _acquired(lease, patience))
    keeper.start()
    try:
        yield keeper.check
    finally:
        keeper.stop()


def _acquired(lease: Lease, patience: float) -> Held:
    end = time.monotonic() + patience
    while True:
        held = lease.acquire()
        if held is not None:
            return held
        if time.monotonic() >= end:
            raise Conflict("Another process is comparing or carrying out a plan; wait until it has finished.")
        time.sleep(_POLL)


class _Keeper:
    """Renews the lease from a thread of its own: a target may take long to show what it has."""

    def __init__(self, lease: Lease, held: Held) -> None:
        self._lease = lease
        self._held = held
        self._lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scim-reconcile-lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let somebody else have the turn."""
        self._over.set()
        self._thread.join()
        if not self._lost:
            try:
                self._lease.release(self._held)
            except Unavailable:
                return  # it runs out by itself

    def check(self) -> None:
        if self._lost or self._held.remaining <= 0:
            raise Conflict(
                "Another process has taken over: this one could not reach the directory's database for long."
            )

    def _run(self) -> None:
        while not self._over.wait(SECONDS / 6):
            try:
                renewed = self._lease.renew(self._held)
            except Unavailable:
                continue
            if renewed is None:
                self._lost = True
                return
            self._held = renewed
