"""What is said to a server of MySQL's protocol, as the driver is given it and as it is sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pymysql.cursors
from scim_gateway_sql.mysql_connection import ServerConnection


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    :param text: with a mark for each parameter.
    :param sent: with the parameters in their places.
    """

    text: str
    sent: str


@contextlib.contextmanager
def statements_sent() -> Iterator[list[Statement]]:
    """All statements of this process, on any connection, from here on."""
    found: list[Statement] = []
    execute, execute_many = pymysql.cursors.Cursor.execute, pymysql.cursors.Cursor.executemany
    select = ServerConnection.select

    def watched(self: Any, query: Any, args: Any = None) -> int:
        # Several rows become one INSERT, which comes here as bytes without marks; it was noted before.
        if isinstance(query, str):
            found.append(Statement(query, self.mogrify(query, args)))
        return execute(self, query, args)

    def watched_many(self: Any, query: str, args: Any) -> int | None:
        if args:
            found.append(Statement(query, self.mogrify(query, args[0])))
        return execute_many(self, query, args)

    def watched_select(self: Any, sql: str, parameters: Any, values: Any) -> Any:
        found.append(Statement(sql, self.cursor().mogrify(sql, parameters)))
        return select(self, sql, parameters, values)

    cursors: Any = pymysql.cursors.Cursor
    connections: Any = ServerConnection
    cursors.execute, cursors.executemany, connections.select = watched, watched_many, watched_select
    try:
        yield found
    finally:
        cursors.execute, cursors.executemany, connections.select = execute, execute_many, select
