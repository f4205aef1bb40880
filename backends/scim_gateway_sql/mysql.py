"""MariaDB, MySQL and SingleStore over PyMySQL: one protocol, and a server that is asked which of them it is.

READ COMMITTED everywhere, as SingleStore has no other; so what is tested on MariaDB holds there. A connection sets what
it relies on by itself: the server's defaults may be anything.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import logging
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pymysql
import pymysql.connections
from pymysql.constants import CLIENT, COMMAND, CR, ER
from sqlalchemy import Connection, Engine, create_engine

from .driver import Convert, Driver, Row, converted
from .failures import DRIVER_ERRORS
from .mysql_answers import Columns, columns_of
from .mysql_dialect import DRIVER_NAME

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
LOCK_SECONDS = 4
"""How long a statement waits for rows that another transaction has locked."""
POOL_SECONDS = 5.0
MAINTENANCE_SECONDS = 600.0
_RECYCLE_SECONDS = 1800
# A transaction whose client is gone without a word, as in a network that was cut, holds its locks no longer than this.
_IDLE_TRANSACTION_SECONDS = 30
_LAST_WORD_SECONDS = 1.0
# Statements whose columns a connection knows: more than there are, but for those with lists of many lengths.
_STATEMENTS = 256
_AT_ONCE = 65_536


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


class _Received(io.RawIOBase):
    """What arrives on a socket, which is closed by itself; no Python of its own for each read."""

    def __init__(self, sock: Any) -> None:
        super().__init__()
        vars(self)["readinto"] = sock.recv_into

    def readable(self) -> bool:
        return True


class ServerConnection(pymysql.connections.Connection):
    """A connection that never falls back to plain text, and waits for as long as it is told."""

    ssl: bool
    server_capabilities: int
    encoding: str

    def __init__(self, **settings: Any) -> None:
        self._columns: dict[str, Columns | None] = {}
        self._sends = False
        self._reason: pymysql.MySQLError | None = None
        super().__init__(**settings)

    def answer_within(self, seconds: float) -> None:
        """Give up on a server that takes longer to take or send the next bytes."""
        self._read_timeout = seconds
        self._write_timeout = seconds

    @contextlib.contextmanager
    def answering_within(self, seconds: float) -> Iterator[None]:
        """:meth:`answer_within` for a block."""
        self.answer_within(seconds)
        try:
            yield
        finally:
            self.answer_within(ANSWER_SECONDS)

    def escape(self, obj: Any, mapping: Any = None) -> Any:
        # In whatever character set the session is, a literal of digits is a string of bytes and compared as such; older
        # PyMySQL puts the bytes between quotes, where the server takes them for text.
        if isinstance(obj, bytes):
            return f"X'{obj.hex()}'"
        return super().escape(obj, mapping)

    def _write_bytes(self, data: bytes) -> None:
        # A server that will not have a statement, as one that is too long, says why and hangs up while it is sent. The
        # sending fails then, and what the server said is still there to be read.
        self._reason, self._sends = None, True
        try:
            # Private to PyMySQL and without types there, like the others below; tests run on its lowest version, too.
            pymysql_own: Any = super()
            pymysql_own._write_bytes(data)
        except pymysql.MySQLError as error:
            if self._reason is None:
                raise
            raise self._reason from error
        finally:
            self._sends = False

    def _force_close(self) -> None:
        if self._sends:
            self._sends = False
            self._reason = self._last_word()
        pymysql_own: Any = super()
        pymysql_own._force_close()

    def _last_word(self) -> pymysql.MySQLError | None:
        """What the server gave as its reason before it hung up."""
        self._next_seq_id = 1
        self._read_timeout = _LAST_WORD_SECONDS
        pymysql_own: Any = self
        try:
            pymysql_own._read_packet()
        except pymysql.MySQLError as error:
            return error if error.args and 0 < error.args[0] < CR.CR_ERROR_FIRST else None
        return None

    def connect(self, sock: Any = None) -> None:
        super().connect(sock)
        pymysql_own: Any = self
        pymysql_own._rfile = io.BufferedReader(_Received(pymysql_own._sock), _AT_ONCE)

    def select(self, sql: str, parameters: Sequence[Any], values: Sequence[Convert | None] | None) -> Sequence[Row]:
        """All rows that a statement selects.

        :param values: what turns PyMySQL's values of each column into others; ``None`` if nothing has to.
        """
        pymysql_own: Any = self
        # What a cursor would make of it, with less ado for keys, which are bytes.
        text = sql % tuple([f"X'{each.hex()}'" if type(each) is bytes else self.escape(each) for each in parameters])
        pymysql_own._execute_command(COMMAND.COM_QUERY, text)
        columns = self._columns.get(sql)
        rows: list[Row] | None = None
        while True:
            try:
                # What has arrived; it waits until there is something, or the connection has ended.
                data: bytes = pymysql_own._rfile.peek()
            except BaseException as error:
                self._force_close()
                if isinstance(error, OSError):
                    raise pymysql.OperationalError(CR.CR_SERVER_LOST, f"no answer: {error}") from error
                raise
            if columns is None or (rows is None and not data.startswith(columns.head)):
                return self._described(sql, values, data)
            if rows is None:
                rows, at, number = [], len(columns.head), columns.number
            at, number, ended = columns.take(data, at, number, rows)
            pymysql_own._rfile.read(at)
            if ended:
                return rows
            # It waits for the rest of a row, or says what is wrong.
            pymysql_own._next_seq_id = number
            packet = pymysql_own._read_packet()
            if packet.is_eof_packet():
                return rows
            rows.append(columns.row(packet.get_all_data()))
            at, number = 0, pymysql_own._next_seq_id

    def _described(self, sql: str, values: Sequence[Convert | None] | None, data: bytes) -> Sequence[Row]:
        """All rows of an answer as PyMySQL takes them; how it began is kept for the next one."""
        pymysql_own: Any = self
        pymysql_own._read_query_result()
        result = pymysql_own._result
        if len(self._columns) >= _STATEMENTS:
            self._columns.clear()
        self._columns[sql] = columns_of(data, result.converters, values)
        return converted(result.rows, values) if values else result.rows

    def _request_authentication(self) -> None:
        # Older PyMySQL goes on without TLS where the server, or somebody in between, says that there is none.
        if self.ssl and not self.server_capabilities & CLIENT.SSL:
            raise pymysql.OperationalError(CR.CR_SSL_CONNECTION_ERROR, "the server offers no TLS")
        pymysql_own: Any = super()
        pymysql_own._request_authentication()


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
            for statement in _COMMON + (_MARIADB if "MariaDB" in self.version else ()):
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

    def rows(
        self, connection: Any, sql: str, parameters: Sequence[Any], columns: Sequence[Convert | None] | None
    ) -> Sequence[Row]:
        found: Sequence[Row] = connection.select(sql, parameters, columns)
        return found

    def unhurried(self, connection: Connection) -> None:
        driver_connection: Any = connection.connection.driver_connection
        driver_connection.answer_within(MAINTENANCE_SECONDS)
