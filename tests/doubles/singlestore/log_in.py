"""The first packets of a connection: greeting, TLS, and the proof of who it is (reference §2.1, §5, §9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from ssl import SSLContext

from mysql_mimic import packets
from mysql_mimic.charset import CharacterSet
from mysql_mimic.packets import HandshakeResponse41, SSLRequest
from mysql_mimic.types import Capabilities, ServerStatus

from .catalog import User
from .cluster import Node
from .errors import EngineError, access_denied
from .packets import CAPABILITIES, CLEAR_PASSWORD, NATIVE_PASSWORD, Stream, nonce, proves
from .variables import GREETING


@dataclass(frozen=True)
class LoggedIn:
    """Who has logged in, and what its client can do."""

    user: User
    database: str | None
    capabilities: Capabilities


class LogIn:
    """One client's way through the door of a node."""

    def __init__(self, node: Node, stream: Stream, address: str, tls: SSLContext | None) -> None:
        self._node = node
        self._stream = stream
        self._address = address
        self._tls = tls
        self._secure = False
        self._challenge = nonce()

    async def run(self, connection_id: int) -> LoggedIn:
        """Greet the client and let it prove who it is.

        Raises:
            EngineError: it is refused; the client has not been told yet.
        """
        response = await self._greet(connection_id)
        user = await self._authenticate(response)
        return LoggedIn(user, response.database or None, response.capabilities)

    async def _greet(self, connection_id: int) -> HandshakeResponse41:
        offered = CAPABILITIES | (Capabilities.CLIENT_SSL if self._tls else Capabilities(0))
        await self._stream.write(
            packets.make_handshake_v10(
                capabilities=offered,
                server_charset=CharacterSet.utf8mb4,
                server_version=GREETING,
                connection_id=connection_id,
                auth_data=self._challenge + b"\0",
                status_flags=ServerStatus.SERVER_STATUS_AUTOCOMMIT,
                auth_plugin_name=NATIVE_PASSWORD,
            )
        )
        response = packets.parse_handshake_response(offered, await self._stream.read())
        if isinstance(response, SSLRequest):
            if self._tls is None:
                raise EngineError(1043, "Bad handshake: this server has no TLS")
            await self._stream.writer.start_tls(self._tls)
            self._secure = True
            response = packets.parse_handshake_response_41(offered, await self._stream.read())
        return response

    async def _authenticate(self, response: HandshakeResponse41) -> User:
        """Unknown users take the same way as known ones with a wrong password, and look the same."""
        name = response.username
        if name in ("", "*"):
            return await self._by_token(response)
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

    async def _by_token(self, response: HandshakeResponse41) -> User:
        """A client that names nobody: the token says who it is."""
        refusal = access_denied(response.username, self._address, with_password=True)
        if not self._secure and self._tls is not None:
            raise refusal
        name = self._node.cluster.tokens.get(await self._clear_text())
        user = None if name is None else self._node.account_of(name, self._address)
        if user is None or user.type != "JWT":
            raise refusal
        self._check_transport(user, refusal)
        return self._admit(user, with_password=True)
