"""What an error of the driver means for a request: the one place where driver errors are told apart."""

from __future__ import annotations

import logging
import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from scim_gateway.errors import Unavailable

_log = logging.getLogger(__name__)

#: What to tell an administrator, by primary SQLite result code; nothing was changed in any of these cases.
_SQLITE_TROUBLE = {
    sqlite3.SQLITE_BUSY: "The database is busy with other writes; try again.",
    sqlite3.SQLITE_LOCKED: "The database is busy with other writes; try again.",
    sqlite3.SQLITE_FULL: "The disk that holds the database is full; free some space.",
    sqlite3.SQLITE_READONLY: "The database cannot be written; check the permissions of its file and folder.",
    sqlite3.SQLITE_PERM: "The database cannot be written; check the permissions of its file and folder.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened; check that its folder exists and may be written.",
    sqlite3.SQLITE_IOERR: "The disk that holds the database reports an error; check the disk.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged; restore it from a backup.",
    sqlite3.SQLITE_NOTADB: "The database file is not a SQLite database; check the database URL.",
    sqlite3.SQLITE_NOMEM: "The database ran out of memory; try again.",
    sqlite3.SQLITE_INTERRUPT: "The database was interrupted; try again.",
    sqlite3.SQLITE_PROTOCOL: "The database is busy with other writes; try again.",
}
_MISSING_TABLE = "The tables of the directory are missing; was the database file replaced? Restart the gateway."
_SQLITE_DUPLICATE = frozenset({sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE})
_SOON = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT})


class Duplicate(Exception):
    """A row with this key exists already."""


def meaning_of(error: Exception) -> Exception:
    """The exception to raise instead of what SQLAlchemy or the driver raised.

    A defect of ours, such as wrong SQL, comes back as it is: the core answers 500 and logs it.
    """
    if isinstance(error, PoolTimeoutError):
        return Unavailable("All database connections are in use; try again.", retry_after=1)
    driver_error = error.orig if isinstance(error, DBAPIError) else error
    if getattr(driver_error, "sqlite_errorcode", None) in _SQLITE_DUPLICATE:
        return Duplicate()
    if isinstance(driver_error, sqlite3.Error):
        # The primary code is the low byte; extended codes say more about the same (https://sqlite.org/rescode.html).
        code = getattr(driver_error, "sqlite_errorcode", 0) & 0xFF
        detail = _SQLITE_TROUBLE.get(code)
        if detail is None and "no such table" in str(driver_error):
            detail = _MISSING_TABLE
        if detail is not None:
            _log.error("database unavailable: %s", driver_error)
            return Unavailable(detail, retry_after=1 if code in _SOON else 30)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        _log.error("database connection lost: %s", driver_error)
        return Unavailable("The connection to the database was lost; try again.")
    return error


#: What :func:`meaning_of` is asked about.
DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error)
