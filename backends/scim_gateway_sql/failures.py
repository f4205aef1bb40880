"""What an error of a driver means for a request: the one place where such errors are told apart, by number alone.

PyMySQL raises the same classes for errors that have nothing in common, and texts are the server's to change. A number
that is in no table here is a defect of ours, such as wrong SQL: it comes back as it is, the core answers 500 and logs
it.
"""

from __future__ import annotations

import logging
import sqlite3
from ssl import SSLEOFError, SSLError, SSLZeroReturnError

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from scim_gateway.errors import PayloadTooLarge, StaleResource, Unavailable

_log = logging.getLogger(__name__)


class Duplicate(Exception):
    """A row with this key exists already."""


class Lost(Unavailable):
    """The connection is gone, or none could be made; a transaction that was open is undone by the server."""


class Locked(Unavailable):
    """Another transaction held a row for too long; this one has to be rolled back and done again."""


class Refused(Unavailable):
    """The server knows us and does not let us do it, or does not know us; somebody has to change that."""


class Unknown(Refused):
    """The server does not know the account, or not with this password, or not from here."""


class Unprivileged(Refused):
    """The account lacks a privilege."""


class Untrusted(Refused):
    """The server could not show that it is who it should be."""


class Contended(StaleResource):
    """A write that changed nothing and is to be done again from its start, like one that found its resource stale.

    :param reason: what to answer when it is not done again.
    """

    def __init__(self, reason: Unavailable) -> None:
        super().__init__(reason.detail)
        self.reason = reason


BUSY = "The database is busy with other writes; try again."
_LOST = "The connection to the database was lost; try again."
_DENIED = "The database refuses the gateway's user name or password."
_PRIVILEGE = "The database account of the gateway lacks a privilege; scim-gateway check tells which."
_FULL = "The disk that holds the database is full; free some space."
_READ_ONLY = "The database cannot be written: its server is read-only."

# SQLite, by primary result code (the low byte; extended codes say more about the same, https://sqlite.org/rescode.html).
_SQLITE_TROUBLE = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: "The database cannot be written; check the permissions of its file and folder.",
    sqlite3.SQLITE_PERM: "The database cannot be written; check the permissions of its file and folder.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened; check that its folder exists and may be written.",
    sqlite3.SQLITE_IOERR: "The disk that holds the database reports an error; check the disk.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged; restore it from a backup.",
    sqlite3.SQLITE_NOTADB: "The database file is not a SQLite database; check data_dir, or database_url if set.",
    sqlite3.SQLITE_NOMEM: "The database ran out of memory; try again.",
    sqlite3.SQLITE_INTERRUPT: "The database was interrupted; try again.",
    sqlite3.SQLITE_PROTOCOL: BUSY,
}
_SQLITE_DUPLICATE = frozenset({sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE})
_SQLITE_SOON = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT}
)
_MISSING_FILE = "The tables of the directory are missing; was the database file replaced? Restart the gateway."

# Servers of MySQL's protocol; numbers from 2000 to 2061 are made by the client, as a rule.
_DUPLICATE = frozenset({1062, 1586})
_LOCKED = frozenset({1205, 1213, 1614})
_LOST_NUMBERS = frozenset(
    {
        *(1053, 1218),  # the server shuts down; an aggregator does not reach the master
        *(1158, 1159, 1160, 1161, 1080, 1184),  # the network, as the server sees it
        *(1317, 1927, 3169),  # the statement or the connection was killed
        *(2002, 2003, 2005, 2006, 2012, 2013, 2014, 2027, 2055, 4031),  # not reached, gone, out of step, idle
    }
)
_SERVER_TROUBLE: dict[int, tuple[type[Unavailable], str]] = {
    1040: (Unavailable, "The database server has no connection left for the gateway; try again."),
    1203: (Unavailable, "The database server has no connection left for the gateway; try again."),
    1226: (Unavailable, "The database server has no connection left for the gateway; try again."),
    1129: (Refused, "The database server has blocked this machine; see FLUSH HOSTS there."),
    1130: (Refused, "The database server lets nobody in from this machine; check the account's host."),
    1044: (Unprivileged, _PRIVILEGE),
    1045: (Unknown, _DENIED),
    1698: (Unknown, _DENIED),
    1820: (Refused, "The password of the gateway's database account has expired; set a new one."),
    1862: (Refused, "The password of the gateway's database account has expired; set a new one."),
    3118: (Refused, "The gateway's database account is locked."),
    4151: (Refused, "The gateway's database account is locked."),
    1142: (Unprivileged, _PRIVILEGE),
    1143: (Unprivileged, _PRIVILEGE),
    1227: (Unprivileged, _PRIVILEGE),
    1049: (Refused, "The database that database_url names does not exist; an administrator has to create it."),
    1146: (Unavailable, "The tables of the directory are missing; was the database replaced? Restart the gateway."),
    1114: (Unavailable, "A table of the database is full; free some space or memory."),
    1021: (Unavailable, _FULL),
    1028: (Unavailable, _FULL),
    1037: (Unavailable, "The database server ran out of memory; try again."),
    1038: (Unavailable, "The database server ran out of memory; try again."),
    1041: (Unavailable, "The database server ran out of memory; try again."),
    1290: (Unavailable, _READ_ONLY),
    1792: (Unavailable, _READ_ONLY),
    1836: (Unavailable, _READ_ONLY),
    1180: (Unavailable, "The database server could not commit; see its log."),
    1665: (Refused, "The database server has binlog_format=STATEMENT, which READ COMMITTED excludes; set it to ROW."),
    2026: (Refused, "The database server offers no TLS; set it up there, or set database_tls to off on purpose."),
    2058: (Refused, "The database account uses a way to authenticate that is not supported."),
    2059: (Refused, "The database account uses a way to authenticate that is not supported."),
    2061: (Refused, "The database account uses a way to authenticate that is not supported."),
    3159: (Refused, "The database server insists on TLS; leave database_tls out or set it to required."),
}
_TOO_LARGE = 1153


def meaning_of(error: Exception) -> Exception:
    """The exception to raise instead of what SQLAlchemy or the driver raised; trouble is logged."""
    found = meaning_without_log(error)
    if isinstance(found, Unavailable):
        log(error, logging.INFO if isinstance(found, Locked) else logging.ERROR)
    return found


def log(error: Exception, level: int = logging.ERROR) -> None:
    """Log what the driver said, which is not for clients."""
    _log.log(level, "database: %s", error.orig if isinstance(error, DBAPIError) else error)


def meaning_without_log(error: Exception) -> Exception:
    """:func:`meaning_of` for somebody who tries again."""
    if isinstance(error, PoolTimeoutError):
        return Unavailable("All database connections are in use; try again.", retry_after=1)
    driver_error = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver_error, sqlite3.Error):
        found = _on_sqlite(driver_error)
    elif isinstance(error, DBAPIError) and driver_error is not None:
        found = _on_server(driver_error)
    else:
        found = None
    if found is None and isinstance(error, DBAPIError) and error.connection_invalidated:
        found = Lost(_LOST)
    return error if found is None else found


def _on_sqlite(error: sqlite3.Error) -> Exception | None:
    number = getattr(error, "sqlite_errorcode", 0)
    if number in _SQLITE_DUPLICATE:
        return Duplicate()
    detail = _SQLITE_TROUBLE.get(number & 0xFF)
    if detail is None and "no such table" in str(error):
        return Unavailable(_MISSING_FILE, retry_after=30)
    if detail is None:
        return None
    return Unavailable(detail, retry_after=1 if number & 0xFF in _SQLITE_SOON else 30)


def _on_server(error: BaseException) -> Exception | None:
    number = number_of(error)
    untrusted = getattr(error, "original_exception", None)
    if isinstance(untrusted, SSLError) and not isinstance(untrusted, SSLEOFError | SSLZeroReturnError):
        reason = getattr(untrusted, "verify_message", "") or untrusted.reason or "no common protocol"
        said = reason.rstrip(".")
        return Untrusted(f"The TLS connection to the database server is not to be trusted: {said}.", retry_after=30)
    if number in _DUPLICATE:
        return Duplicate()
    if number in _LOCKED:
        return Locked(BUSY, retry_after=1)
    if number == _TOO_LARGE:
        return too_large()
    if number in _LOST_NUMBERS:
        return Lost(_LOST)
    if number in _SERVER_TROUBLE:
        kind, detail = _SERVER_TROUBLE[number]
        return kind(detail, retry_after=30 if issubclass(kind, Refused) else 5)
    return None


def number_of(error: BaseException | None) -> int | None:
    """The number of an error of MySQL's protocol; ``None`` for one that has none."""
    number = error.args[0] if error is not None and error.args else None
    return number if isinstance(number, int) and number > 0 else None


def too_large() -> PayloadTooLarge:
    """The answer to a resource that does not fit into one statement."""
    return PayloadTooLarge("This resource is larger than the database takes (max_allowed_packet of its server).")


#: What :func:`meaning_of` is asked about.
DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error)
