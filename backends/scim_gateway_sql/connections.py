"""The connections of one process: those that lie idle, of which the same few are used again, and the pool behind."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
import time

from sqlalchemy import Connection, Engine
from sqlalchemy.pool import QueuePool

from scim_gateway.errors import Unavailable

from .breaker import UNREACHABLE, Breaker
from .driver import Driver
from .failures import DRIVER_ERRORS, Lost, log, meaning_without_log
from .session import Session

CONNECT_SECONDS = 5.0
"""How long a server that refuses connections is tried again, as when it restarts."""
FRESH_SECONDS = 1.0
"""How long after its last use a connection to a server is taken to be one still."""
_RANK = "scim_gateway.rank"


class Connections:
    """The connections of one process.

    :ivar engine: the pool that operations take them from; ``None`` until the database is prepared.
    """

    def __init__(self, driver: Driver) -> None:
        self.engine: Engine | None = None
        self._driver = driver
        self._breaker = Breaker()
        self._idle: list[tuple[int, float, Connection]] = []
        self._ranks = itertools.count()
        # One for each thread that waits for a connection: unlike a count, it is safe to change without a lock.
        self._waiting: list[None] = []

    def open(self) -> Engine:
        """A pool, which is not that of operations yet."""
        self._ranks = itertools.count()
        return self._driver.open()

    def keep(self, session: Session) -> None:
        """Keep its connection for whoever comes next."""
        connection = session.keep()
        # A heap: to push and to pop are steps of the interpreter, between which no other thread comes.
        heapq.heappush(self._idle, (connection.info[_RANK], time.monotonic(), connection))
        if self._waiting:
            self.forget_idle()

    def take(self, engine: Engine, write: bool) -> Connection:
        """A connection that was just used, which needs no look whether it still is one, or another.

        To a server only for what reads, which can go on with another one.
        """
        trusted = not (write and self._driver.concurrent)
        while self._idle:
            try:
                _, since, connection = heapq.heappop(self._idle)
            except IndexError:
                break  # another thread was faster
            if trusted and (not self._driver.concurrent or time.monotonic() - since < FRESH_SECONDS):
                return connection
            # Back to the pool, which has a look at it before it is used again.
            connection.close()
            if not trusted:
                break
        return self._connect(engine)

    def renewed(self, engine: Engine) -> Connection:
        """A connection instead of one that was lost."""
        self.forget_idle()
        return self._connect(engine)

    def forget_idle(self) -> None:
        """Have a look at all connections before they are used again: what became of one may be true of the others."""
        while self._idle:
            with contextlib.suppress(IndexError):  # another thread was faster
                connection = self._idle.pop()[-1]
                if connection.engine is not self.engine:
                    connection.detach()  # its pool was disposed of while it was in use: nobody would close it there
                connection.close()

    def _connect(self, engine: Engine) -> Connection:
        """A connection; a server that does not answer gets some time, as it may be restarting.

        :raises Unavailable: there is none.
        """
        self._breaker.check()
        deadline, pause = time.monotonic() + CONNECT_SECONDS, 0.05
        while True:
            try:
                connection = self._from_pool(engine)
            except DRIVER_ERRORS as error:
                meaning = meaning_without_log(error)
                if not isinstance(meaning, Lost):
                    log(error)
                    raise meaning from error
                if time.monotonic() + pause > deadline:
                    log(error)
                    self._breaker.failed()
                    raise Unavailable(UNREACHABLE) from error
            else:
                self._breaker.succeeded()
                return self._ranked(connection)
            time.sleep(random.SystemRandom().uniform(pause / 2, pause))
            pause = min(2 * pause, 0.5)

    def _ranked(self, connection: Connection) -> Connection:
        """The connection with its rank: of those that are idle, the one of the lowest is used first."""
        if _RANK not in connection.info:
            rank = connection.info[_RANK] = next(self._ranks)
            self._driver.ranked(connection, rank)
        return connection

    def _from_pool(self, engine: Engine) -> Connection:
        """A connection of the pool; whoever waits there for one gets those that lie idle."""
        self._waiting.append(None)
        try:
            if isinstance(engine.pool, QueuePool) and not engine.pool.checkedin():
                self.forget_idle()
            return engine.connect()
        finally:
            self._waiting.pop()

    def close(self) -> None:
        """Close them."""
        if self.engine is not None:
            self.forget_idle()
            self.engine.dispose()
        self.engine = None
