"""Connections and transactions: one engine per process, one session per operation and thread."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, Executable, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from scim_gateway.errors import Unavailable

from .failures import DRIVER_ERRORS, meaning_of
from .portable import NOW, instant

BUSY_SECONDS = 5.0
"""How long a write waits for its turn before it is answered 503."""


class Session:
    """The statements of one operation on one connection, in one transaction."""

    __slots__ = ("connection", "dialect", "write")

    def __init__(self, connection: Connection, dialect: str, write: bool) -> None:
        self.connection = connection
        self.dialect = dialect
        self.write = write

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement.

        :raises Duplicate: a unique key is taken.
        :raises Unavailable: the database cannot do it now.
        """
        try:
            return self.connection.execute(statement, parameters)
        except DRIVER_ERRORS as error:
            raise meaning_of(error) from error


class Database:
    """A SQL database as the backend uses it.

    Nothing is opened before the first operation, and a child of ``fork`` opens its own: SQLite connections and
    locks must not cross a fork.

    :param prepare: called once per process in a write transaction before the first operation, to migrate.
    """

    def __init__(self, url: URL, prepare: Callable[[Session], None]) -> None:
        self.url = url
        self._prepare = prepare
        self._inherited: Engine | None = None
        self._engine: Engine | None = None
        self._start_over()

    def _start_over(self) -> None:
        # Held, not closed: closing a connection of the parent here would release the parent's file locks.
        self._inherited = self._engine
        self._process = os.getpid()
        self._engine = None
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._here = threading.local()

    @property
    def path(self) -> Path:
        """The database file."""
        return Path(self.url.database or "")

    @contextlib.contextmanager
    def operation(self, *, write: bool) -> Iterator[Session]:
        """A transaction: committed at the end of the block, rolled back by any exception.

        A read inside another operation of the same thread joins it.

        :raises Unavailable: the database cannot be reached, or other writes took too long.
        """
        if self._process != os.getpid():
            self._start_over()
        current: Session | None = getattr(self._here, "session", None)
        if current is not None:
            if write:
                raise RuntimeError("a write operation cannot begin inside another operation")
            yield current
            return
        engine = self._engine or self._start()
        # Threads of this process queue here, in turn; only processes meet in SQLite's polling.
        if write and not self._writing.acquire(timeout=BUSY_SECONDS):
            raise Unavailable("The database is busy with other writes; try again.", retry_after=1)
        try:
            with self._transaction(engine, write) as session:
                self._here.session = session
                try:
                    yield session
                finally:
                    self._here.session = None
        finally:
            if write:
                self._writing.release()

    @contextlib.contextmanager
    def session(self, *, write: bool = False) -> Iterator[Session]:
        """The session of the operation around this call, or an operation for this call alone."""
        current: Session | None = getattr(self._here, "session", None)
        if current is None or self._process != os.getpid():
            with self.operation(write=write) as session:
                yield session
        elif write and not current.write:
            raise RuntimeError("a write needs operation(write=True)")
        else:
            yield current

    @staticmethod
    def now(session: Session) -> datetime:
        """The time by the database's own clock, to the millisecond."""
        return instant(int(session.execute(NOW).scalar_one()))

    @staticmethod
    @contextlib.contextmanager
    def _transaction(engine: Engine, write: bool) -> Iterator[Session]:
        try:
            connection = engine.connect()
        except DRIVER_ERRORS as error:
            raise meaning_of(error) from error
        try:
            try:
                # A deferred transaction that reads first and writes later fails at once where another writes
                # (SQLITE_BUSY_SNAPSHOT); one that is to write takes the write lock before it reads.
                begin = "BEGIN IMMEDIATE" if write else "BEGIN"
                driver_connection: Any = connection.connection.driver_connection
                driver_connection.execute(begin)
            except DRIVER_ERRORS as error:
                raise meaning_of(error) from error
            try:
                yield Session(connection, "sqlite", write)
                try:
                    driver_connection.commit()
                except DRIVER_ERRORS as error:
                    raise meaning_of(error) from error
            except BaseException:
                with contextlib.suppress(*DRIVER_ERRORS):
                    driver_connection.rollback()
                raise
        finally:
            connection.close()

    def _start(self) -> Engine:
        with self._starting:
            if self._engine is None:
                _create_privately(self.path)
                # Connections are opened when a thread needs one, so the size is a limit and costs nothing.
                engine = create_engine(
                    self.url, pool_size=32, max_overflow=96, pool_timeout=BUSY_SECONDS, pool_use_lifo=True
                )
                event.listen(engine, "connect", _configure)
                try:
                    with self._transaction(engine, True) as session:
                        self._prepare(session)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def close(self) -> None:
        """Close the pooled connections of this process."""
        if self._engine is not None and self._process == os.getpid():
            self._engine.dispose()
        self._engine = None


def _create_privately(path: Path) -> None:
    """Make the file readable by its owner alone; SQLite gives its -wal and -shm files the same mode."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        if not path.exists():
            raise Unavailable(f"The database file {path} cannot be made: {error.strerror}.", retry_after=30) from error


def _configure(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where this module says so
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    _write_ahead(connection)
    # In WAL mode NORMAL may lose the last commits on power failure; an answered request must not be lost.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA trusted_schema = OFF")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging, which is kept in the file.

    The switch does not wait for its turn by the busy timeout, so processes that start at once have to try again.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
                return  # reading still works; the first write says what is wrong
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
