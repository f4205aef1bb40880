"""MariaDB, MySQL and SingleStore over PyMySQL: one protocol, and a server that is asked which of them it is.

READ COMMITTED everywhere, as SingleStore has no other; so what is tested on MariaDB holds there. A connection sets what
it relies on by itself: the server's defaults may be anything.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pymysql
from pymysql.constants import ER
from sqlalchemy import Connection, Engine, create_engine

from .driver import Columns, Driver, Row
from .failures import DRIVER_ERRORS
from .mysql_connection import ANSWER_SECONDS, ServerConnection
from .mysql_dialect import DRIVER_NAME

CONNECT_SECONDS = 3.0
LOCK_SECONDS = 4
"""How long a statement waits for rows that another transaction has locked."""
POOL_SECONDS = 5.0
MAINTENANCE_SECONDS = 600.0
_RECYCLE_SECONDS = 1800
# A transaction whose client is gone without a word, as in a network that was cut, holds its locks no longer than this.
_IDLE_TRANSACTION_SECONDS = 30

_COMMON = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}, lock_wait_timeout = {LOCK_SECONDS}",
    f"SET SESSION wait_timeout = {_RECYCLE_SECONDS + 300}",
)
_MARIADB = (f"SET SESSION idle_write_transaction_timeout = {_IDLE_TRANSACTION_SECONDS}",)
# Which of these a session may set is not the same in all versions; one that it may not is left as the cluster has it.
_SINGLESTORE = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES'",
    f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}",
    f"SET SESSION multi_statement_xact_idle_timeout = {_IDLE_TRANSACTION_SECONDS}",
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is, and as whom to log in."""

    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    unix_socket: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether nothing that is said leaves this machine."""
        if self.unix_socket:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        return f"{self.database} at {self.unix_socket or f'{self.host}:{self.port}'}"


class MysqlDriver(Driver):
    """A database of a server.

    :param connections: the most connections of this process.
    """

    concurrent = True

    def __init__(self, address: ServerAddress, connections: int = 16) -> None:
        self.address = address
        self._connections = connections
        self._dialect: str | None = None
        self._largest: int | None = None
        self.version = ""

    @property
    def dialect(self) -> str:
        return self._dialect or "mysql"

    @property
    def place(self) -> str:
        return str(self.address)

    def largest(self) -> int | None:
        return self._largest

    def open(self) -> Engine:
        small = min(self._connections, 8)
        return create_engine(
            f"{DRIVER_NAME}://",
            creator=self.connect,
            paramstyle="format",
            pool_size=small,
            max_overflow=self._connections - small,
            pool_timeout=POOL_SECONDS,
            pool_recycle=_RECYCLE_SECONDS,
            pool_pre_ping=True,
            pool_use_lifo=True,
            pool_reset_on_return=None,
            hide_parameters=True,
        )

    def connect(self) -> ServerConnection:
        """A new connection, ready for use.

        :raises pymysql.MySQLError: the server cannot be reached, or does not let us in.
        """
        address = self.address
        # No FOUND_ROWS, which SQLAlchemy would set: rows are counted that were changed, as SingleStore counts them.
        connection = ServerConnection(
            host=address.host,
            port=address.port,
            unix_socket=address.unix_socket,
            user=address.user,
            password=address.password,
            database=address.database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=CONNECT_SECONDS,
            write_timeout=CONNECT_SECONDS,
            ssl=address.tls,
            ssl_disabled=address.tls is None,
            program_name="scim-gateway",
        )
        try:
            connection.answer_within(ANSWER_SECONDS)
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: ServerConnection) -> None:
        with connection.cursor() as cursor:
            if self._dialect is None:
                self._recognise(cursor)
            if self._dialect == "singlestore":
                for statement in _SINGLESTORE:
                    try:
                        cursor.execute(statement)
                    except pymysql.MySQLError as error:
                        if not connection.open:
                            raise
                        _log.debug("%s: %s", statement, error)
                return
            connection.prepares = "MariaDB" in self.version
            for statement in _COMMON + (_MARIADB if connection.prepares else ()):
                cursor.execute(statement)

    def _recognise(self, cursor: Any) -> None:
        """Ask the server what it is: the scheme of a URL may say anything."""
        try:
            cursor.execute("SELECT @@memsql_version")
            (version,) = cursor.fetchone()
            dialect, version = "singlestore", f"SingleStore {version}"
        except pymysql.MySQLError as error:
            if error.args[0] != ER.UNKNOWN_SYSTEM_VARIABLE:
                raise
            cursor.execute("SELECT VERSION()")
            (version,) = cursor.fetchone()
            dialect, version = "mysql", version if "MariaDB" in version else f"MySQL {version}"
        cursor.execute("SELECT @@max_allowed_packet")
        (packet,) = cursor.fetchone()
        self._largest = int(packet)
        self.version = str(version)
        self._dialect = dialect

    # Transactions

    def begin(self, connection: Connection, write: bool) -> None:
        if write:
            connection.exec_driver_sql("BEGIN")

    def commit(self, connection: Connection, write: bool) -> None:
        if write:
            connection.exec_driver_sql("COMMIT")

    def rollback(self, connection: Connection, write: bool) -> None:
        if not write or connection.invalidated:
            return
        try:
            connection.exec_driver_sql("ROLLBACK")
        except DRIVER_ERRORS as error:
            # A connection that may be inside a transaction is of no use to anybody else.
            connection.invalidate(error)

    def rows(self, connection: Any, sql: str, parameters: Sequence[Any], columns: Columns) -> Sequence[Row]:
        found: Sequence[Row] = connection.select(sql, parameters, columns)
        return found

    def unhurried(self, connection: Connection) -> None:
        driver_connection: Any = connection.connection.driver_connection
        driver_connection.answer_within(MAINTENANCE_SECONDS)
