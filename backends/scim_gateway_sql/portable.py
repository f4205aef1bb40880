"""What each database writes in its own way: its clock, and a row that is added unless it is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Insert, Table, insert, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .failures import Duplicate
from .prepared import Prepared

if TYPE_CHECKING:
    from .database import Session

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(FunctionElement[int]):
    """Milliseconds since 1970 by the database's clock, the only one that all processes share; in no time zone."""

    name = "clock"
    type = BigInteger()
    inherit_cache = True


@compiles(Clock, "sqlite")
def _on_sqlite(_element: Clock, _compiler: SQLCompiler, **_options: object) -> str:
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(Clock, "mysql")
def _on_mysql(_element: Clock, _compiler: SQLCompiler, **_options: object) -> str:
    return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6)) DIV 1000)"


NOW = select(Clock())


def instant(milliseconds: int) -> datetime:
    """What the clock shows, as a time in UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def insert_if_absent(session: Session, table: Table, row: Mapping[str, Any]) -> bool:
    """Add a row unless its key is taken, also when others add it at the same moment; whether it was added.

    ``INSERT IGNORE`` is of no use here: it lets through what was cut to fit, and null where there may be none.

    :raises Unavailable: the database cannot do it now.
    """
    try:
        return _adding(table, session.dialect).changed(session, row) == 1
    except Duplicate:
        return False


@cache
def _adding(table: Table, dialect: str) -> Prepared:
    return Prepared(_insert(table, dialect))


def _insert(table: Table, dialect: str) -> Insert:
    match dialect:
        case "sqlite":
            return sqlite.insert(table).on_conflict_do_nothing()
        case "mysql" if other := [column for column in table.columns if not column.primary_key]:
            # A plain INSERT of a taken key keeps a shared lock on it, and two who wait to take a key that a third gives
            # up would wait for each other ever after. This form locks the key for itself alone, and changes nothing.
            return mysql.insert(table).on_duplicate_key_update({other[0].name: other[0]})
    # SingleStore has no shared locks, and what it counts for an update that changes nothing is not documented.
    return insert(table)
