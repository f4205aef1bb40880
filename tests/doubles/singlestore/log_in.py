"""The first packets of a connection: greeting, TLS, and the proof of who it is."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

from mysql_mimic import packets
from mysql_mimic.charset import CharacterSet
from mysql_mimic.packets import HandshakeResponse41, SSLRequest
from mysql_mimic.types import Capabilities, ServerStatus

from .catalog import User
from .cluster import Node
from .errors import EngineError, access_denied
from .packets import (
    CAPABILITIES,
    CLEAR_PASSWORD,
    NATIVE_PASSWORD,
    ConnectionClosed,
    Stream,
    nonce,
    open_stream,
    proves,
    send_and_read_one,
)
from .variables import GREETING


@dataclass(frozen=True)
class Greeted:
    """A client that has answered the greeting: what it says of itself, and whether under TLS."""

    stream: Stream
    response: HandshakeResponse41
    secure: bool
    challenge: bytes


async def greet(client: socket.socket, connection_id: int, tls: SSLContext | None) -> Greeted:
    """Greet a client, and begin TLS if it asks for it.

    Raises:
        ConnectionClosed: it has left.
        OSError: the connection is broken, or TLS was not agreed upon.
    """
    offered = CAPABILITIES | (Capabilities.CLIENT_SSL if tls else Capabilities(0))
    challenge = nonce()
    answer = await send_and_read_one(
        client,
        packets.make_handshake_v10(
            capabilities=offered,
            server_charset=CharacterSet.utf8mb4,
            server_version=GREETING,
            connection_id=connection_id,
            auth_data=challenge + b"\0",
            status_flags=ServerStatus.SERVER_STATUS_AUTOCOMMIT,
            auth_plugin_name=NATIVE_PASSWORD,
        ),
    )
    response = _parsed(packets.parse_handshake_response, offered, answer)
    secure = isinstance(response, SSLRequest)
    if secure and tls is None:
        raise ConnectionClosed
    stream = await open_stream(client, tls if secure else None, sequence=2)
    if secure:
        response = _parsed(packets.parse_handshake_response_41, offered, await stream.read())
    return Greeted(stream, response, secure, challenge)


def _parsed(parse: Callable[[Capabilities, bytes], Any], offered: Capabilities, answer: bytes) -> Any:
    """What the client says of itself; one that says nonsense is left alone."""
    try:
        return parse(offered, answer)
    except (ValueError, LookupError, TypeError, struct.error) as error:
        raise ConnectionClosed from error


class LogIn:
    """One client's proof of who it is."""

    def __init__(self, node: Node, client: Greeted, address: str) -> None:
        self._node = node
        self._stream = client.stream
        self._response = client.response
        self._secure = client.secure
        self._challenge = client.challenge
        self._address = address

    async def authenticate(self) -> User:
        """Let the client prove who it is. Unknown users look like known ones with a wrong password.

        Raises:
            EngineError: it is refused; the client has not been told yet.
        """
        response = self._response
        name = response.username
        if name in ("", "*"):
            return await self._by_token(name)
        user = self._node.account_of(name, self._address)
        if user is not None and user.type != "Native":
            return await self._outside(user)
        answer = response.auth_response
        if response.client_plugin not in (None, NATIVE_PASSWORD):
            answer = await self._switch(NATIVE_PASSWORD, self._challenge + b"\0")
        refusal = access_denied(name, self._address, with_password=bool(answer))
        if user is None:
            raise refusal
        self._check_transport(user, refusal)
        if not proves(user.password_hash, answer, self._challenge):
            self._node.log_in_failed(user)
            raise refusal
        return self._admit(user, bool(answer))

    def _check_transport(self, user: User, refusal: EngineError) -> None:
        """A user of REQUIRE SSL needs TLS, one of X509 or SUBJECT a certificate of the client as well."""
        certificate = self._stream.writer.get_extra_info("peercert")
        if user.require != "NONE" and not self._secure:
            raise refusal
        if user.require in ("X509", "SUBJECT") and not certificate:
            raise refusal

    def _admit(self, user: User, with_password: bool) -> User:
        self._node.refuse_if_locked(user, with_password=with_password, address=self._address)
        self._node.log_in_succeeded(user)
        return user

    async def _switch(self, plugin: str, data: bytes) -> bytes:
        await self._stream.write(packets.make_auth_switch_request(CharacterSet.utf8mb4, plugin, data))
        return await self._stream.read()

    async def _clear_text(self) -> str:
        answer = await self._switch(CLEAR_PASSWORD, b"")
        return answer.rstrip(b"\0").decode("utf-8", "replace")

    async def _outside(self, user: User) -> User:
        """JWT users send a token; PAM, SAML and GSSAPI are played by a table of passwords."""
        name = user.account.name
        refusal = access_denied(name, self._address, with_password=True)
        self._check_transport(user, refusal)
        secret = await self._clear_text()
        cluster = self._node.cluster
        if user.type == "JWT":
            proven = cluster.tokens.get(secret) == name
        else:
            proven = bool(secret) and cluster.outside_passwords.get(name) == secret
        if not proven:
            self._node.log_in_failed(user)
            raise refusal
        return self._admit(user, with_password=True)

    async def _by_token(self, given_name: str) -> User:
        """A client that names nobody: the token says who it is."""
        refusal = access_denied(given_name, self._address, with_password=True)
        name = self._node.cluster.tokens.get(await self._clear_text())
        user = None if name is None else self._node.account_of(name, self._address)
        if user is None or user.type != "JWT":
            raise refusal
        self._check_transport(user, refusal)
        return self._admit(user, with_password=True)
