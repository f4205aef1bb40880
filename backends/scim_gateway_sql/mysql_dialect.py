"""SQLAlchemy's dialect for PyMySQL, without transactions and questions of its own."""

from __future__ import annotations

from typing import Any, Literal

import pymysql
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

DRIVER_NAME = "mysql+scim_gateway"
PING_SECONDS = 3.0
"""How long a pooled connection may take to say that it is alive."""

# The server ends the connection after it has said this, or it leads nowhere any more.
_GOING_DOWN = frozenset({1053, 1218})


class GatewayDialect(MySQLDialect_pymysql):
    """Connections are in autocommit: a read needs no transaction, a write begins and ends one by a statement."""

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        pass  # :class:`.mysql.MysqlDriver` begins

    def do_commit(self, dbapi_connection: Any) -> None:
        pass  # and commits

    def do_rollback(self, dbapi_connection: Any) -> None:
        pass  # and rolls back: one round trip less for each connection that goes back to the pool

    def do_ping(self, dbapi_connection: Any) -> Literal[True]:
        with dbapi_connection.answering_within(PING_SECONDS):
            return super().do_ping(dbapi_connection)

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        # It is set on each connection; on SingleStore there is no other, and perhaps no variable of that name.
        return "READ COMMITTED"

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        number = e.args[0] if e.args else None
        # Out of step: packets that do not follow each other have no number, and lead to no good.
        lost = not isinstance(number, int) and isinstance(e, pymysql.InternalError)
        return lost or number in _GOING_DOWN or super().is_disconnect(e, connection, cursor)


registry.register(DRIVER_NAME.replace("+", "."), __name__, GatewayDialect.__name__)
