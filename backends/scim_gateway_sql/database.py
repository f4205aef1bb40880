"""Operations and their transactions: one session for each operation and thread, on a connection of the process."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Engine

from scim_gateway import stale
from scim_gateway.errors import StaleResource, Unavailable

from . import connections
from .connections import Connections
from .driver import Driver
from .failures import DRIVER_ERRORS, Contended, Locked, Lost, meaning_of
from .glance import Glance, GlancingSession
from .operation import Operation
from .portable import NOW, instant
from .session import Proof, Session
from .shared_commit import SharedCommit
from .this_thread import ThisThread

__all__ = ("Database", "Session", "Transactions")

T = TypeVar("T")

START_SECONDS = 5.0
"""How long an operation waits for another thread that prepares the database."""
PROOF_SECONDS = 8.0
"""How long a commit without an answer is looked into."""
_TRIES = 20

_UNKNOWN = (
    "The database did not confirm the change, which may have been made or not; read the resource before you try again."
)

Transactions = Callable[[bool], AbstractContextManager[Session]]
"""Makes a transaction that writes (``True``), or one that does not."""


class _NotConfirmed(Exception):
    """The commit was sent, and its answer was lost."""

    def __init__(self, session: Session) -> None:
        super().__init__(_UNKNOWN)
        self.session = session


class Database:
    """A SQL database as the backend uses it.

    Nothing is opened before the first operation, and a child of ``fork`` opens its own: connections and locks of SQLite
    must not cross a fork, nor may two processes speak on one connection to a server.

    :param prepare: called once per process before the first operation, to migrate; with what makes transactions.
    """

    def __init__(self, driver: Driver, prepare: Callable[[Transactions], None]) -> None:
        self.driver = driver
        self._prepare = prepare
        self.connections = Connections(driver)
        self._start_over()

    def _start_over(self) -> None:
        # Held, not closed: closing a connection of the parent here would release the parent's file locks.
        self._inherited = self.connections
        self._process = os.getpid()
        self.connections = Connections(self.driver)
        self._starting = threading.Lock()
        self._shared = None if self.driver.concurrent else SharedCommit(self.driver, self.connections.keep)
        self._here = ThisThread()

    def operation(self, *, write: bool) -> AbstractContextManager[Session]:
        """A transaction: committed at the end of the block, rolled back by any exception.

        A read inside another operation of the same thread joins it. Where writes run side by side, one that comes upon
        what another has changed or locked raises ``StaleResource``: nothing was changed, do it again (:meth:`run`).

        :raises Unavailable: the database cannot be reached, or other writes took too long.
        """
        if self._process != os.getpid():
            self._start_over()
        current = self._here.session
        if current is None:
            return self._alone(write)
        if write:
            raise RuntimeError("a write operation cannot begin inside another operation")
        return current

    def glance(self) -> AbstractContextManager[Session]:
        """Like an operation that reads, without a transaction as long as it is a single statement.

        :raises StaleResource: it was more than one, and there was a change in between: do it again as an operation.
        """
        if self._process != os.getpid():
            self._start_over()
        current = self._here.session
        return Glance(self) if current is None else current

    def session(self, *, write: bool = False) -> AbstractContextManager[Session]:
        """The session of the operation around this call, or an operation for this call alone."""
        current = self._here.session
        if current is None or self._process != os.getpid():
            return self._of_one_call(write)
        if write and not current.write:
            raise RuntimeError("a write needs operation(write=True)")
        return current

    def _alone(self, write: bool) -> AbstractContextManager[Session]:
        engine = self.connections.engine or self._start()
        return Operation(self._here, self._write(engine) if write else self._transaction(engine, False))

    @contextlib.contextmanager
    def _of_one_call(self, write: bool) -> Iterator[Session]:
        try:
            with self.operation(write=write) as session:
                yield session
        except Contended as contended:
            # There is nobody around this call who would do it again.
            raise contended.reason from contended

    def run(self, work: Callable[[Session], T]) -> T:
        """Do a write in an operation of its own, again from its start while others get in between.

        :raises Unavailable: the database cannot do it now.
        """
        for attempt in range(_TRIES):
            try:
                with self.operation(write=True) as session:
                    return work(session)
            except StaleResource:
                stale.pause(attempt)
        raise Unavailable("The database is busy with other writes; try again.", retry_after=1)

    @staticmethod
    def now(session: Session) -> datetime:
        """The time by the database's own clock, to the millisecond."""
        return instant(int(session.execute(NOW).scalar_one()))

    # Glances

    def begin_glance(self) -> Session:
        """The session of a glance, which is this thread's from now on."""
        ours = self.connections
        engine = ours.engine or self._start()
        connection = ours.take(engine, False)
        if self.driver.concurrent:
            session = self._here.session = Session(connection, self.driver, False)
            session.renew = lambda: self.connections.renewed(engine)
        else:
            session = self._here.session = GlancingSession(connection, self.driver)
        return session

    def end_glance(self, session: Session, *, failed: bool) -> None:
        """Give its connection back."""
        self._here.session = None
        # A connection that is still inside a transaction would show the next one what was, for as long as it is kept.
        ended = not isinstance(session, GlancingSession) or session.end()
        if ended and not failed:
            self.connections.keep(session)
            return
        if session.lost:
            self.connections.forget_idle()
        session.close()

    # Writes

    def _write(self, engine: Engine) -> AbstractContextManager[Session]:
        if self._shared is None:
            return self._beside_others(engine)
        return self._shared.write(lambda: self.connections.take(engine, True))

    @contextlib.contextmanager
    def _beside_others(self, engine: Engine) -> Iterator[Session]:
        """A write that may be undone by others, or by a server that goes away, and then is to be done again."""
        here, session = self._here, None
        try:
            with self._transaction(engine, True) as session:
                assert session.locks is not None
                if rows := here.rows():
                    session.locks.take(rows)
                yield session
        except _NotConfirmed as unclear:
            committed = not unclear.session.changed or self._outcome(engine, unclear.session.proofs)
            if committed is None:
                raise Unavailable(_UNKNOWN) from unclear
            if not committed:
                here.undone(session)
                raise here.again(Lost(_UNKNOWN)) from unclear
        except (Lost, Locked) as trouble:
            here.undone(session)
            raise here.again(trouble) from trouble
        except StaleResource:
            here.undone(session)
            raise
        here.done()

    def _outcome(self, engine: Engine, proofs: Sequence[Proof]) -> bool | None:
        """Whether a transaction was committed whose answer was lost, by what is stored now; ``None`` if nobody knows.

        A transaction is all or nothing, so a single proof tells. A proof reads with a lock: it waits for the lost
        transaction to end, if the server is still at it. Where later writes have covered up what it left, it is done
        again, as the client would have to: a repetition reads what is there, and changes what is not as it should be.
        """
        deadline = time.monotonic() + PROOF_SECONDS
        found: list[bool] = []
        while proofs and not found and time.monotonic() < deadline:
            # Once it is known, it does not matter how the transaction ends in which it was read.
            with contextlib.suppress(Unavailable, _NotConfirmed), self._transaction(engine, True) as session:
                found.append(next((told for proof in proofs if (told := proof(session)) is not None), False))
            if not found:
                time.sleep(0.1)
        return found[0] if found else None

    # Transactions

    @contextlib.contextmanager
    def _transaction(self, engine: Engine, write: bool) -> Iterator[Session]:
        driver = self.driver
        connection = self.connections.take(engine, write)
        session = Session(connection, driver, write)
        if driver.concurrent and not write:
            session.renew = lambda: self.connections.renewed(engine)
        try:
            try:
                driver.begin(connection, write)
            except DRIVER_ERRORS as error:
                raise meaning_of(error) from error
            try:
                yield session
                try:
                    driver.commit(connection, write)
                except DRIVER_ERRORS as error:
                    meaning = meaning_of(error)
                    if write and driver.concurrent and not isinstance(meaning, Locked):
                        raise _NotConfirmed(session) from error
                    raise meaning from error
            except BaseException:
                with contextlib.suppress(*DRIVER_ERRORS):  # lost: the server undoes it
                    driver.rollback(connection, write)
                raise
        except BaseException:
            if session.lost:
                self.connections.forget_idle()
            session.close()
            raise
        self.connections.keep(session)

    def _start(self) -> Engine:
        if not self._starting.acquire(timeout=START_SECONDS):
            raise Unavailable("The database is being prepared; try again.", retry_after=2)
        try:
            if self.connections.engine is None:
                engine = self.connections.open()
                try:
                    self._prepare_by(engine)
                except BaseException:
                    self.connections.forget_idle()
                    engine.dispose()
                    raise
                self.connections.engine = engine
            return self.connections.engine
        finally:
            self._starting.release()

    def _prepare_by(self, engine: Engine) -> None:
        """See that the tables are there; from the start again when a connection is lost, as that does no harm."""
        deadline = time.monotonic() + connections.CONNECT_SECONDS
        while True:
            try:
                self._prepare(lambda write: self._transaction(engine, write))
            except _NotConfirmed as unclear:
                trouble: Exception = Lost(_UNKNOWN)
                cause: Exception = unclear
            except Lost as lost:
                trouble = cause = lost
            except DRIVER_ERRORS as error:
                trouble, cause = meaning_of(error), error
            else:
                return
            if not isinstance(trouble, Lost) or time.monotonic() > deadline:
                raise trouble from cause
            time.sleep(0.1)

    def close(self) -> None:
        """Close the pooled connections of this process."""
        if self._process == os.getpid():
            self.connections.close()
        self.connections.engine = None
