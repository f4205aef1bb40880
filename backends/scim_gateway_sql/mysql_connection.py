"""A connection to a server of MySQL's protocol: PyMySQL's, but one that knows a statement which it has sent before.

It knows how the answers begin (:mod:`.mysql_answers`), and on MariaDB the name under which the server keeps the
statement, where to read a text and to find what is meant takes the server a fifth of its time for a look-up.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pymysql
import pymysql.connections
from pymysql.constants import CLIENT, COMMAND, CR, ER

from .driver import Columns, Row, converted
from .mysql_answers import Description, description_of

ANSWER_SECONDS = 10.0
_LAST_WORD_SECONDS = 1.0
_AT_ONCE = 65_536
"""Bytes: a user who is in many groups arrives as a whole."""
KNOWN = 256
"""Statements that a connection knows: more than there are, but for those with lists of many lengths."""
OFTEN = 16
"""How often a connection sends a statement before the server is to keep it."""
PREPARED = 32
"""The most statements that the server keeps for a connection."""
# The server has lost a statement that it kept, or cannot carry it out in this way.
_NOT_PREPARED = frozenset({ER.PARSE_ERROR, ER.WRONG_ARGUMENTS, ER.UNKNOWN_STMT_HANDLER, 1615})


_QUERY = struct.Struct("<IB")
# A short statement is not refused while it is sent.
_send: Callable[[Any, bytes], None] = vars(pymysql.connections.Connection)["_write_bytes"]


class _Known:
    """A statement that was sent before.

    :ivar description: how its answers begin.
    :ivar text: what is sent for it, with a mark for each parameter.
    :ivar times: how often it was sent.
    """

    __slots__ = ("description", "text", "times")

    def __init__(self, sql: str) -> None:
        self.text = sql
        self.description: Description | None = None
        self.times = 0


class _Received(io.RawIOBase):
    """What arrives on a socket, which is closed by itself; no Python of its own for each read."""

    def __init__(self, sock: Any) -> None:
        super().__init__()
        vars(self)["readinto"] = sock.recv_into

    def readable(self) -> bool:
        return True


class ServerConnection(pymysql.connections.Connection):
    """A connection that never falls back to plain text, and waits for as long as it is told.

    :ivar prepares: whether the server takes values, not variables alone, for a statement that it keeps.
    """

    ssl: bool
    server_capabilities: int
    encoding: str
    prepares = False

    def __init__(self, **settings: Any) -> None:
        self._known: dict[str, _Known] = {}
        self._prepared = 0
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
        self._known.clear()
        self._prepared = 0
        pymysql_own: Any = self
        pymysql_own._rfile = io.BufferedReader(_Received(pymysql_own._sock), _AT_ONCE)

    def select(self, sql: str, parameters: Sequence[Any], values: Columns) -> Sequence[Row]:
        """All rows that a statement selects.

        :param values: what turns PyMySQL's values of each column into others; ``None`` if nothing has to.
        """
        known = self._known.get(sql) or self._get_to_know(sql)
        known.times += 1
        if known.times == OFTEN and self.prepares and parameters:
            self._prepare(known, len(parameters))
        pymysql_own: Any = self
        # What a cursor would make of it, with less ado for keys, which are bytes.
        literals = [f"X'{each.hex()}'" if type(each) is bytes else self.escape(each) for each in parameters]
        try:
            text = (known.text % tuple(literals)).encode(self.encoding)
            if len(text) < _AT_ONCE and pymysql_own._sock is not None and pymysql_own._result is None:
                pymysql_own._next_seq_id = 1
                _send(self, _QUERY.pack(len(text) + 1, COMMAND.COM_QUERY) + text)
            else:
                pymysql_own._execute_command(COMMAND.COM_QUERY, text)
            return self._answer(known, values)
        except pymysql.MySQLError as error:
            if known.text is sql or _NOT_PREPARED.isdisjoint(error.args[:1]):
                raise
        except BaseException:
            # What was not read would be taken for the answer to the next statement.
            self._force_close()
            raise
        # The next one may be another server, behind something that stands in between: nothing is kept there any more.
        self._known.clear()
        self._prepared = PREPARED
        return self.select(sql, parameters, values)

    def _answer(self, known: _Known, values: Columns) -> Sequence[Row]:
        pymysql_own: Any = self
        description = known.description
        rows: list[Row] | None = None
        while True:
            try:
                # What has arrived; it waits until there is something, or the connection has ended.
                data: bytes = pymysql_own._rfile.peek()
            except OSError as error:
                self._force_close()
                raise pymysql.OperationalError(CR.CR_SERVER_LOST, f"no answer: {error}") from error
            if description is None or (rows is None and not data.startswith(description.head)):
                return self._described(known, values, data)
            if rows is None:
                rows, at, number = [], description.start, description.number
            at, number, ended = description.take(data, at, number, rows)
            pymysql_own._rfile.read(at)
            if ended:
                return rows
            # It waits for the rest of a row, or says what is wrong.
            pymysql_own._next_seq_id = number
            packet = pymysql_own._read_packet()
            if packet.is_eof_packet():
                return rows
            rows.append(description.row(packet.get_all_data()))
            at, number = 0, pymysql_own._next_seq_id

    def _described(self, known: _Known, values: Columns, data: bytes) -> Sequence[Row]:
        """All rows of an answer as PyMySQL takes them; how it began is kept for the next one."""
        pymysql_own: Any = self
        pymysql_own._read_query_result()
        result = pymysql_own._result
        known.description = description_of(data, result.converters, values)
        return converted(result.rows, values) if values else result.rows

    def _get_to_know(self, sql: str) -> _Known:
        if len(self._known) >= KNOWN:
            # But for those that the server keeps: it would keep them again.
            self._known = {text: known for text, known in self._known.items() if known.text is not text}
        known = self._known[sql] = _Known(sql)
        return known

    def _prepare(self, known: _Known, marks: int) -> None:
        """Have the server keep a statement, if it will have one more."""
        if self._prepared >= PREPARED:
            return
        text = known.text % (("?",) * marks)
        # By what it says: behind something that stands in between, a session may be that of another gateway, too, and a
        # number would stand for another statement there.
        name = f"scim_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        try:
            self.query(f"PREPARE {name} FROM {self.escape(text)}")
        except pymysql.MySQLError:
            if not self.open:
                raise
            self._prepared = PREPARED
            return
        self._prepared += 1
        known.text = f"EXECUTE {name} USING {', '.join(['%s'] * marks)}"

    def _request_authentication(self) -> None:
        # Older PyMySQL goes on without TLS where the server, or somebody in between, says that there is none.
        if self.ssl and not self.server_capabilities & CLIENT.SSL:
            raise pymysql.OperationalError(CR.CR_SSL_CONNECTION_ERROR, "the server offers no TLS")
        pymysql_own: Any = super()
        pymysql_own._request_authentication()
