"""Statements that every change runs: on SQLite straight by the driver, as there the way to it costs more than they do.

They are written once, with SQLAlchemy; for SQLite its text is made once, and for servers, where the network is what
costs, nothing is different. Only for columns that need no conversion on SQLite, and for no lists of parameters.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, cast

from scim_gateway_sql.database import Session
from scim_gateway_sql.failures import meaning_of
from sqlalchemy import ClauseElement, Executable
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler

Parameters = Mapping[str, Any]


class Quick:
    """One statement."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        compiled = cast(SQLCompiler, cast(ClauseElement, statement).compile(dialect=sqlite.dialect()))
        self._text = str(compiled)
        self._names = tuple(compiled.positiontup or ())
        # What the statement brings along by itself, such as OFFSET 0 beside a LIMIT.
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def first(self, session: Session, parameters: Parameters) -> Sequence[Any] | None:
        """The first row, if there is one.

        :raises Unavailable: the database cannot do it now.
        """
        if session.dialect != "sqlite":
            return session.execute(self._statement, parameters).first()
        row: Sequence[Any] | None = self._run(session, parameters).fetchone()
        return row

    def all(self, session: Session, parameters: Parameters) -> Sequence[Sequence[Any]]:
        """All rows.

        :raises Unavailable: the database cannot do it now.
        """
        if session.dialect != "sqlite":
            return session.execute(self._statement, parameters).all()
        return self._run(session, parameters).fetchall()

    def change(self, session: Session, parameters: Parameters) -> int:
        """Run a change; how many rows it changed.

        :raises Duplicate: a unique key is taken.
        :raises Unavailable: the database cannot do it now.
        """
        if session.dialect != "sqlite":
            return session.execute(self._statement, parameters).rowcount
        return self._run(session, parameters).rowcount

    def change_each(self, session: Session, rows: Sequence[Parameters]) -> None:
        """Run a change with each of several parameters; at least one.

        :raises Duplicate: a unique key is taken.
        :raises Unavailable: the database cannot do it now.
        """
        if session.dialect != "sqlite":
            session.execute(self._statement, rows)
            return
        for row in rows:
            self._run(session, row)

    def _run(self, session: Session, parameters: Parameters) -> sqlite3.Cursor:
        values = {**self._fixed, **parameters} if self._fixed else parameters
        connection = cast(sqlite3.Connection, session.connection.connection.driver_connection)
        try:
            return connection.execute(self._text, [values[name] for name in self._names])
        except sqlite3.Error as error:
            raise meaning_of(error) from error
