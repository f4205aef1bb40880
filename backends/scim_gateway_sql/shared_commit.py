"""Writes that wait for each other share a transaction, and with it the one flush that makes them last.

Where there is one writer at a time, as in SQLite, most of a short write is the wait for the disk at its commit. So a
write that is done, while others wait for their turn, does not commit: the next goes on in its transaction, and all of
them are answered after the commit of the last. Each is undone alone if it fails (a savepoint); if the commit fails,
none of them has happened, and all of them hear of it: also who failed, perhaps by what the others had done.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection

from scim_gateway.errors import Unavailable

from .driver import Driver
from .failures import DRIVER_ERRORS, log, meaning_of
from .session import Session
from .turns import Turns

WAIT_SECONDS = 5.0
"""How long a write waits for its turn among the threads of this process before it is answered 503."""
MOST = 16
"""The most writes of one transaction: what the first of them has to wait for."""

_STOPPING = Unavailable("The gateway is stopping; try again.")


class _Transaction:
    """A transaction that one write after the other goes on with."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.writes = 0
        self.raw: Any = connection.connection.driver_connection
        self.trouble: Exception | None = None
        self._ended = False
        # Held until the end; an Event would be made of three such objects, for each write.
        self._under_way = threading.Lock()
        self._under_way.acquire()

    def begin_part(self) -> None:
        """Begin one write, which can be undone alone where others were done before it."""
        if self.writes:
            self.raw.execute("SAVEPOINT part")

    def end_part(self, error: BaseException | None) -> None:
        """End it: done, or undone because of an error."""
        if error is None and self.writes:
            try:
                self.raw.execute("RELEASE part")
            except BaseException as failed:
                self._undo_part(failed)
                raise
        if error is None:
            self.writes += 1
        elif self.writes:
            self._undo_part(error)

    def _undo_part(self, error: BaseException) -> None:
        if not _undone(self.raw):
            self.trouble = error if isinstance(error, Exception) else _STOPPING

    def end(self, trouble: Exception | None) -> None:
        """Let all of its writes know what became of it."""
        self.trouble = trouble
        self._ended = True
        self._under_way.release()

    def outcome(self) -> None:
        """Wait for its end.

        :raises Unavailable: it was undone.
        """
        if not self._ended:  # whoever ends it has nothing to wait for, and is not to stand in line with those who do
            self._under_way.acquire()
            self._under_way.release()  # for others who wait, too
        if isinstance(self.trouble, Unavailable):
            raise copy.copy(self.trouble) from self.trouble  # One of their own for each thread.
        if self.trouble is not None:
            raise Unavailable("The database undid the change together with another; try again.") from self.trouble


def _undone(raw: Any) -> bool:
    """Undo a part, and tell whether the transaction is there still, with the parts before it.

    Of some errors SQLite undoes all of it (https://sqlite.org/lang_transaction.html).
    """
    if not raw.in_transaction:
        return False
    try:
        raw.execute("ROLLBACK TO part")
        raw.execute("RELEASE part")
    except DRIVER_ERRORS as error:
        log(error)
        return False
    return True


class SharedCommit:
    """The writes of a process.

    :param keep: takes the connection of a session that may be used again.
    """

    def __init__(self, driver: Driver, keep: Callable[[Session], None]) -> None:
        self._driver = driver
        self._keep = keep
        self._turns = Turns(self._give_back)
        self._open: _Transaction | None = None

    def write(self, connect: Callable[[], Connection]) -> AbstractContextManager[Session]:
        """A write: done for good at the end of the block, undone by any exception.

        :param connect: gives a connection.
        :raises Unavailable: other writes took too long, or the database cannot do it now.
        """
        return _Write(self, connect)

    def enter(self, connect: Callable[[], Connection]) -> tuple[_Transaction, Session]:
        """Wait for the turn, and go on with the transaction of the write before, or begin one."""
        if not self._turns.take(WAIT_SECONDS):
            raise Unavailable("The database is busy with other writes; try again.", retry_after=1)
        try:
            transaction = self._open or self._begin(connect())
            return transaction, self._session(transaction)
        except BaseException:
            self._give_back()
            raise

    def _session(self, transaction: _Transaction) -> Session:
        return Session(transaction.connection, self._driver, True, transaction.raw)

    def _begin(self, connection: Connection) -> _Transaction:
        try:
            self._driver.begin(connection, True)
        except BaseException as error:
            connection.close()
            if isinstance(error, DRIVER_ERRORS):
                raise meaning_of(error) from error
            raise
        self._open = _Transaction(connection)
        return self._open

    def _give_back(self) -> None:
        """End a turn in which nothing was done; those before it may have left it to this one to commit."""
        if self._open is None:
            self._turns.end()
        else:
            self.leave(self._open, self._session(self._open))

    def leave(self, transaction: _Transaction, session: Session) -> None:
        """Let the next write go on with the transaction; where there is none, or nothing to go on with, end it."""
        worth_it = transaction.trouble is None and 0 < transaction.writes < MOST
        if worth_it and self._turns.hand_over():
            return
        self._open = None
        trouble: Exception | None = transaction.trouble or _STOPPING
        try:
            if transaction.trouble is None:
                trouble = self._commit(transaction.connection) if transaction.writes else None
        finally:
            # Whatever happens here, nobody waits for ever, neither for the outcome nor for a turn.
            transaction.end(trouble)
            try:
                self._put_away(session, usable=trouble is None and transaction.writes > 0)
            finally:
                self._turns.end()

    def _put_away(self, session: Session, *, usable: bool) -> None:
        if usable:
            self._keep(session)
            return
        with contextlib.suppress(*DRIVER_ERRORS):  # closing undoes it, too
            self._driver.rollback(session.connection, True)
        session.close()

    def _commit(self, connection: Connection) -> Exception | None:
        try:
            self._driver.commit(connection, True)
        except DRIVER_ERRORS as error:
            trouble = meaning_of(error)
            if not isinstance(trouble, Unavailable):
                log(error)  # a defect of ours, of which those who wait are not told more than that it is undone
            return trouble
        return None


class _Write:
    """The block of one write. No generators one inside the other, which would take as long as a statement."""

    __slots__ = ("_connect", "_sees_others", "_session", "_shared", "_transaction")

    def __init__(self, shared: SharedCommit, connect: Callable[[], Connection]) -> None:
        self._shared = shared
        self._connect = connect

    def __enter__(self) -> Session:
        self._transaction, self._session = self._shared.enter(self._connect)
        self._sees_others = self._transaction.writes > 0
        try:
            self._transaction.begin_part()
        except BaseException as error:
            self._shared.leave(self._transaction, self._session)
            self._hear(error)
            raise
        return self._session

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        try:
            try:
                self._transaction.end_part(error)
            finally:
                self._shared.leave(self._transaction, self._session)
        except Exception as failed:  # raised again below, once it is known whether the others, too, were undone
            self._hear(failed)
            raise
        self._hear(error)

    def _hear(self, error: BaseException | None) -> None:
        """Wait until the transaction is done for good; who failed does so for what may have been due to the others.

        Where that is undone itself, as a name that was taken, this is what is raised instead.
        """
        if error is None or (self._sees_others and isinstance(error, Exception)):
            self._transaction.outcome()
