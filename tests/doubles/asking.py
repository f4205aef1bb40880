"""Short ways to ask a database server in a test: the rows of a statement, or the number of its error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymysql

if TYPE_CHECKING:
    Connection = pymysql.connections.Connection[Any]
else:  # generic for the type checker only
    Connection = pymysql.connections.Connection


def ask(connection: Connection, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
    """The rows; without arguments a percent sign is one."""
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments or None)
        return list(cursor.fetchall())


def tell(connection: Connection, *statements: str) -> None:
    """Execute statements without arguments."""
    for statement in statements:
        ask(connection, statement)


def column(connection: Connection, sql: str, *arguments: object) -> list[Any]:
    """The first column, sorted."""
    return sorted(row[0] for row in ask(connection, sql, *arguments))


def headers(connection: Connection, sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [part[0] for part in cursor.description or ()]


def error(connection: Connection, sql: str, *arguments: object) -> int | None:
    """The number of the error, or None when there is none."""
    try:
        ask(connection, sql, *arguments)
    except pymysql.err.Error as raised:
        number: int = raised.args[0]
        return number
    return None


def affected(connection: Connection, sql: str, *arguments: object) -> int:
    with connection.cursor() as cursor:
        return int(cursor.execute(sql, arguments or None))
