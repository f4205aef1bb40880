"""The few packets of the MySQL protocol that mysql-mimic does not make as the double needs them."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import string
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from ssl import SSLContext
from typing import Any

from mysql_mimic import packets
from mysql_mimic.charset import CharacterSet
from mysql_mimic.types import Capabilities, ColumnType, ServerStatus

CAPABILITIES = (
    Capabilities.CLIENT_PROTOCOL_41
    | Capabilities.CLIENT_LONG_PASSWORD
    | Capabilities.CLIENT_LONG_FLAG
    | Capabilities.CLIENT_FOUND_ROWS
    | Capabilities.CLIENT_CONNECT_WITH_DB
    | Capabilities.CLIENT_TRANSACTIONS
    | Capabilities.CLIENT_CONNECT_ATTRS
    | Capabilities.CLIENT_PLUGIN_AUTH
    | Capabilities.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
    | Capabilities.CLIENT_SECURE_CONNECTION
)
NO_BACKSLASH_ESCAPES = ServerStatus(0x200)
NATIVE_PASSWORD = "mysql_native_password"
CLEAR_PASSWORD = "mysql_clear_password"
_LARGEST = 0xFFFFFF
_CHUNK = 1 << 16
_NONCE = string.ascii_letters + string.digits


class ConnectionClosed(Exception):
    """The other side has left between two packets."""


class Stream:
    """Packets of the protocol over a connection; what is written waits for ``drain``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sequence: int = 0) -> None:
        self.reader = reader
        self.writer = writer
        self._sequence = sequence
        self._buffer = bytearray()
        self._come = b""
        self._taken = 0

    def reset_sequence(self) -> None:
        """A command begins."""
        self._sequence = 0

    async def read(self) -> bytes:
        """The next packet, put together if it comes in parts.

        Raises:
            ConnectionClosed: there is none, or it does not follow the one before.
        """
        data = b""
        while True:
            header = await self._take(4)
            if header[3] != self._sequence:
                raise ConnectionClosed
            self._sequence = (self._sequence + 1) & 0xFF
            length = int.from_bytes(header[:3], "little")
            data += await self._take(length)
            if length < _LARGEST:
                return data

    async def _take(self, count: int) -> bytes:
        """The next bytes, from what has come already if that will do."""
        while len(self._come) - self._taken < count:
            more = await self.reader.read(_CHUNK)
            if not more:
                raise ConnectionClosed
            self._come = self._come[self._taken :] + more
            self._taken = 0
        part = self._come[self._taken : self._taken + count]
        self._taken += count
        return part

    def put(self, payload: bytes) -> None:
        """Append a packet to what waits."""
        at = 0
        while True:
            part = payload[at : at + _LARGEST]
            self._buffer += (len(part) | self._sequence << 24).to_bytes(4, "little")
            self._buffer += part
            self._sequence = (self._sequence + 1) & 0xFF
            at += _LARGEST
            if len(part) < _LARGEST:
                return

    async def drain(self) -> None:
        """Send what waits."""
        if self._buffer:
            self.writer.write(self._buffer)
            self._buffer = bytearray()
            await self.writer.drain()

    def discard(self) -> None:
        """Forget what waits: an answer that is never sent."""
        self._buffer = bytearray()

    async def write(self, payload: bytes) -> None:
        """Send a packet, and what waits before it."""
        self.put(payload)
        await self.drain()


async def open_stream(client: socket.socket, tls: SSLContext | None = None, sequence: int = 0) -> Stream:
    """Packets over a socket that was accepted, under TLS if so wanted, from this sequence number on."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=tls)
    return Stream(reader, asyncio.StreamWriter(transport, protocol, reader, loop), sequence)


async def send_and_read_one(client: socket.socket, payload: bytes) -> bytes:
    """Send the first packet of a connection and read the answer, and not a byte more: TLS may begin behind it.

    Raises:
        ConnectionClosed: the client has left.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, len(payload).to_bytes(4, "little") + payload)
    header = await _read_exactly(client, 4)
    return await _read_exactly(client, int.from_bytes(header[:3], "little"))


async def _read_exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = await asyncio.get_running_loop().sock_recv(client, count - len(data))
        if not part:
            raise ConnectionClosed
        data += part
    return data


def nonce() -> bytes:
    """What the client mixes with its password: 20 characters that are never NUL."""
    return "".join(secrets.choice(_NONCE) for _ in range(20)).encode()


def scramble(password: str, challenge: bytes) -> bytes:
    """The answer of mysql_native_password to ``challenge``."""
    if not password:
        return b""
    once = hashlib.sha1(password.encode()).digest()
    mixed = hashlib.sha1(challenge + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mixed, strict=True))


def proves(password_hash: str, answer: bytes, challenge: bytes) -> bool:
    """Whether ``answer`` was made with the password of this hash; an empty password answers nothing."""
    if not password_hash or len(answer) != 20:
        return not password_hash and not answer
    twice = bytes.fromhex(password_hash)
    mixed = hashlib.sha1(challenge + twice).digest()
    once = bytes(a ^ b for a, b in zip(answer, mixed, strict=True))
    return secrets.compare_digest(hashlib.sha1(once).digest(), twice)


def _type_of(values: Sequence[Any]) -> ColumnType:
    first = next((value for value in values if value is not None), "")
    if isinstance(first, int):
        return ColumnType.LONGLONG
    if isinstance(first, Decimal):
        return ColumnType.NEWDECIMAL
    return ColumnType.VAR_STRING


@lru_cache(maxsize=512)
def _definition(name: str, type_: ColumnType) -> bytes:
    charset = CharacterSet.binary if type_ is not ColumnType.VAR_STRING else CharacterSet.utf8mb4
    definition: bytes = packets.make_column_definition_41(
        server_charset=CharacterSet.utf8mb4, name=name, column_type=type_, character_set=charset
    )
    return definition


def put_result_set(stream: Stream, columns: Sequence[str], rows: Sequence[Sequence[Any]], status: ServerStatus) -> None:
    """Put a result set behind what waits in ``stream``."""
    types = [_type_of([row[index] for row in rows]) for index in range(len(columns))]
    eof = packets.make_eof(CAPABILITIES, status)
    stream.put(packets.make_column_count(capabilities=CAPABILITIES, column_count=len(columns)))
    for name, type_ in zip(columns, types, strict=True):
        stream.put(_definition(name, type_))
    stream.put(eof)
    for row in rows:
        stream.put(b"".join(map(_cell, row)))
    stream.put(eof)


def _cell(value: Any) -> bytes:
    if value is None:
        return b"\xfb"
    text = str(value).encode("utf-8", "surrogateescape")
    length = len(text)
    if length < 0xFB:
        return bytes((length,)) + text
    if length <= 0xFFFF:
        return b"\xfc" + length.to_bytes(2, "little") + text
    return b"\xfd" + length.to_bytes(3, "little") + text
