"""SQLite: one file, many readers, one writer at a time."""

from __future__ import annotations

import os
import pwd
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from scim_gateway.errors import Unavailable

from .driver import Convert, Driver, Row, converted
from .failures import BUSY
from .process_turns import ProcessTurns

BUSY_SECONDS = 5.0
"""How long a write waits for the writes of other processes."""
_BUSY_TIMEOUT = f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}"
_CACHE_KIB = (40_000, 10_000, 2_000)
"""Memory for pages of the file, by the rank of a connection: what is used most has most, the last is for all others."""


class SqliteDriver(Driver):
    """A file.

    :param url: SQLAlchemy URL with the path of the file.
    """

    concurrent = False

    def __init__(self, url: URL) -> None:
        self._url = url
        self._turns: ProcessTurns | None = None

    @property
    def dialect(self) -> str:
        return "sqlite"

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self._url.database or "")

    @property
    def place(self) -> str:
        return str(self.path)

    def unmade(self) -> str | None:
        try:
            os.lstat(self.path)
        except FileNotFoundError:
            return str(self.path.absolute())
        except OSError:
            return None  # it is for open() to say why nobody can look there
        return None

    def open(self) -> Engine:
        _create_privately(self.path)
        # Connections are opened when a thread needs one, so the size is a limit and costs nothing.
        engine = create_engine(
            self._url,
            pool_size=32,
            max_overflow=96,
            pool_timeout=BUSY_SECONDS,
            pool_use_lifo=True,
            hide_parameters=True,
        )
        event.listen(engine, "connect", _configure)
        turns = self._turns = ProcessTurns(self.path)
        event.listen(engine, "engine_disposed", lambda _: turns.close())
        return engine

    def ranked(self, connection: Connection, rank: int) -> None:
        size = _CACHE_KIB[min(rank, len(_CACHE_KIB) - 1)]
        _driver_connection(connection).execute(f"PRAGMA cache_size = -{size}")

    def begin(self, connection: Connection, write: bool) -> None:
        raw = _driver_connection(connection)
        if not write:
            raw.execute("BEGIN")
            return
        assert self._turns is not None  # opened with the engine of this connection
        raw.execute("PRAGMA busy_timeout = 0")  # SQLite would wait by itself, and does not know whose turn it is
        try:
            if not self._turns.take(lambda: _begun(raw), BUSY_SECONDS):
                raise Unavailable(BUSY, retry_after=1)
        finally:
            raw.execute(_BUSY_TIMEOUT)

    def commit(self, connection: Connection, write: bool) -> None:
        _driver_connection(connection).commit()

    def rollback(self, connection: Connection, write: bool) -> None:
        _driver_connection(connection).rollback()

    def rows(
        self, connection: Any, sql: str, parameters: Sequence[Any], columns: Sequence[Convert | None] | None
    ) -> Sequence[Row]:
        found: Sequence[Row] = connection.execute(sql, parameters).fetchall()
        return found if columns is None else converted(found, columns)

    def state(self, connection: Any) -> object | None:
        # What others have committed, and what this connection has changed itself.
        (others,) = connection.execute("PRAGMA data_version").fetchone()
        return others, connection.total_changes


def _begun(connection: sqlite3.Connection) -> bool:
    """Begin a write, if no other goes on."""
    try:
        # A deferred transaction that reads first and writes later fails at once where another writes
        # (SQLITE_BUSY_SNAPSHOT); one that is to write takes the write lock before it reads.
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _driver_connection(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _create_privately(path: Path) -> None:
    """Make the file readable by its owner alone; SQLite gives its -wal and -shm files the same mode."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        # One that may be read only is opened all the same; the first write says what is wrong.
        if not os.access(path, os.R_OK):
            done = "opened" if os.path.lexists(path) else "made"
            raise Unavailable(
                f"The database file {path} cannot be {done}: {error.strerror}{owner_of(path)}; "
                "SCIM_GATEWAY_DATA_DIR or SCIM_GATEWAY_DATABASE_URL names its place.",
                retry_after=30,
            ) from error


def owner_of(path: Path) -> str:
    """Whose a file is, or the nearest folder that there is, to follow a message; nothing if it is one's own."""
    for there in (path, *path.parents):
        try:
            owner = os.stat(there).st_uid
        except OSError:
            continue
        if owner == os.geteuid():
            break
        return f" ({there} belongs to {_account(owner)}, and this is {_account(os.geteuid())})"
    return ""


def _account(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _configure(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where this module says so
    connection.execute(_BUSY_TIMEOUT)
    _write_ahead(connection)
    # In WAL mode NORMAL may lose the last commits on power failure; an answered request must not be lost.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    # What a savepoint may have to undo is kept in memory: it is a copy of every page that a write touches, and goes to
    # a file otherwise (https://sqlite.org/tempfiles.html, "Statement Journal Files").
    connection.execute("PRAGMA temp_store = MEMORY")


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
