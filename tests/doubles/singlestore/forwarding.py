"""A client's connection to the MariaDB behind the double: its packets come back as they are.

So transactions, locks, affected rows, flags and error numbers of DML and DDL are a real server's.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from mysql_mimic.types import Capabilities, ServerStatus

from .errors import EngineError
from .packets import NATIVE_PASSWORD, ConnectionClosed, Stream, scramble

_COM_QUERY = b"\x03"
_OK, _ERROR, _EOF = 0x00, 0xFF, 0xFE
_CHARSET = 45  # utf8mb4_general_ci
_BASE = (
    Capabilities.CLIENT_PROTOCOL_41
    | Capabilities.CLIENT_LONG_PASSWORD
    | Capabilities.CLIENT_LONG_FLAG
    | Capabilities.CLIENT_TRANSACTIONS
    | Capabilities.CLIENT_PLUGIN_AUTH
    | Capabilities.CLIENT_SECURE_CONNECTION
)
# SingleStore knows READ COMMITTED only, and no deadlock detection: the latter is an option of the server.
_SESSION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"


@dataclass(frozen=True)
class MariaDB:
    """Where DML and DDL go, and how to log in there; the user needs all rights.

    Attributes:
        lock_wait_timeout: of new sessions, in seconds; None leaves the server's.
    """

    host: str
    port: int
    user: str = "root"
    password: str = field(default="", repr=False)
    lock_wait_timeout: int | None = None


class Backend:
    """One connection to it.

    Attributes:
        busy: whether a client's statement is running.
        status: what the last answer says of autocommit and transaction.
    """

    def __init__(self, server: MariaDB, stream: Stream, thread_id: int) -> None:
        self._server = server
        self._stream = stream
        self.thread_id = thread_id
        self.busy = False
        self.status = ServerStatus.SERVER_STATUS_AUTOCOMMIT

    @classmethod
    async def connect(cls, server: MariaDB, client: Capabilities, database: str | None) -> Backend:
        """Log in with the flags of the client that change answers.

        Raises:
            EngineError: the server refuses, or is not there.
        """
        try:
            reader, writer = await asyncio.open_connection(server.host, server.port)
        except OSError as error:
            raise EngineError(2003, f"The MariaDB behind the double is not there: {error}") from error
        stream = Stream(reader, writer)
        thread_id, challenge = _greeting(await stream.read())
        flags = _BASE | (client & Capabilities.CLIENT_FOUND_ROWS)
        if database is not None:
            flags |= Capabilities.CLIENT_CONNECT_WITH_DB
        await stream.write(
            struct.pack("<IIB23x", flags, 0xFFFFFF, _CHARSET)
            + server.user.encode()
            + b"\0"
            + _short(scramble(server.password, challenge))
            + (b"" if database is None else database.encode() + b"\0")
            + NATIVE_PASSWORD.encode()
            + b"\0"
        )
        await _finish_log_in(stream, server)
        backend = cls(server, stream, thread_id)
        await backend.run(_SESSION)
        if server.lock_wait_timeout is not None:
            await backend.run(f"SET SESSION innodb_lock_wait_timeout = {server.lock_wait_timeout}")
        return backend

    @property
    def in_transaction(self) -> bool:
        return bool(self.status & ServerStatus.SERVER_STATUS_IN_TRANS)

    async def run(self, sql: str) -> None:
        """Execute a statement of the double's own, without rows.

        Raises:
            EngineError: as the server says.
        """
        await self._send(sql)
        answer = await self._stream.read()
        if answer[0] == _ERROR:
            raise _error(answer)
        self._note_status(answer)

    async def relay(self, sql: str, client: Stream) -> int | None:
        """Execute a client's statement and pass on the answer; the number if it is an error."""
        self.busy = True
        await self._send(sql)
        first = await self._stream.read()
        client.put(first)
        number = None
        if first[0] == _ERROR:
            number = int.from_bytes(first[1:3], "little")
        elif first[0] == _OK:
            self._note_status(first)
        else:
            number = await self._relay_rows(client)
        # Not so when this was cancelled: the server is still at it then.
        self.busy = False
        return number

    async def _relay_rows(self, client: Stream) -> int | None:
        for _ in range(2):  # the columns, and the rows: each ends with an EOF
            while True:
                packet = await self._stream.read()
                client.put(packet)
                if packet[0] == _ERROR:
                    return int.from_bytes(packet[1:3], "little")
                if packet[0] == _EOF and len(packet) < 9:
                    break
        self.status = ServerStatus(int.from_bytes(packet[3:5], "little"))
        return None

    async def _send(self, sql: str) -> None:
        self._stream.reset_sequence()
        await self._stream.write(_COM_QUERY + sql.encode("utf-8", "surrogateescape"))

    def _note_status(self, ok: bytes) -> None:
        at = _skip_integer(ok, _skip_integer(ok, 1))
        self.status = ServerStatus(int.from_bytes(ok[at : at + 2], "little"))

    async def kill(self, what: Literal["CONNECTION", "QUERY"]) -> None:
        """End from another connection what this one is doing; it may be waiting for a lock."""
        # A server that cannot be reached any more does nothing any more.
        with suppress(EngineError, OSError, ConnectionClosed, asyncio.IncompleteReadError):
            other = await Backend.connect(self._server, Capabilities(0), None)
            with suppress(EngineError):  # it has ended by itself
                await other.run(f"KILL {what} {self.thread_id}")
            await other.close()

    async def close(self) -> None:
        """Leave; what is still running is ended first."""
        if self.busy:
            await self.kill("CONNECTION")
        self._stream.writer.close()


def _short(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _greeting(packet: bytes) -> tuple[int, bytes]:
    """Thread id and challenge of a handshake of version 10."""
    if packet[0] == _ERROR:
        raise _error(packet)
    at = packet.index(b"\0", 1) + 1
    thread_id = int.from_bytes(packet[at : at + 4], "little")
    rest = packet[at + 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10 :]
    return thread_id, packet[at + 4 : at + 12] + rest[:12]


async def _finish_log_in(stream: Stream, server: MariaDB) -> None:
    answer = await stream.read()
    if answer[0] == _EOF:
        plugin, _, data = answer[1:].partition(b"\0")
        if plugin.decode() != NATIVE_PASSWORD:
            raise EngineError(2059, f"The MariaDB behind the double wants {plugin.decode()} of {server.user}")
        await stream.write(scramble(server.password, data.rstrip(b"\0")))
        answer = await stream.read()
    if answer[0] == _ERROR:
        raise _error(answer)


def _error(packet: bytes) -> EngineError:
    number = int.from_bytes(packet[1:3], "little")
    text = packet[9:] if packet[3:4] == b"#" else packet[3:]
    return EngineError(number, text.decode("utf-8", "replace"))


def _skip_integer(packet: bytes, at: int) -> int:
    """Where the length-encoded integer at ``at`` ends."""
    return at + {0xFC: 3, 0xFD: 4, 0xFE: 9}.get(packet[at], 1)


def session_settings(variables: dict[str, Any]) -> list[str]:
    """What a client has set so far, in MariaDB's words."""
    statements = []
    for name, value in variables.items():
        if name == "lock_wait_timeout":
            statements.append(f"SET SESSION innodb_lock_wait_timeout = {int(value)}")
        elif name == "autocommit":
            statements.append(f"SET autocommit = {int(value)}")
        elif name in ("sql_mode", "time_zone"):
            # NO_BACKSLASH_ESCAPES may be on already: a doubled quote is right in both modes.
            escaped = str(value).replace("'", "''")
            statements.append(f"SET SESSION {name} = '{escaped}'")
    return statements
