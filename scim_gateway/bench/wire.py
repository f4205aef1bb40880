"""HTTP as cheap as a client can have it: requests prepared as bytes, over connections that are kept (RFC 9112)."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from scim_gateway.text import printable

SECONDS = 180.0
"""How long an answer may take."""
FINISH_SECONDS = 10.0
"""How long an answer is waited for when something else has gone wrong."""
_PIECE = 1 << 18


class BenchmarkError(Exception):
    """A service did not answer as it should; in words for whoever measures it."""


class Refused(BenchmarkError):
    """The service let the request be done by nobody (403): a circuit breaker that holds, a token without the scope."""


class UsedUp(BenchmarkError):
    """The workload uses up what it asks for, as deletions do, and nothing is left of it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service provider that is measured.

    :param base: path of the SCIM base URL, without a slash at its end.
    :param token: bearer token, or ``None``.
    """

    host: str
    port: int
    base: str = "/scim/v2"
    token: str | None = None
    tls: ssl.SSLContext | None = None

    @classmethod
    def of_url(cls, url: str, token: str | None, *, verify: bool = True) -> Target:
        """The target behind a SCIM base URL.

        :raises ValueError: it is no URL of HTTP, or holds a password, which is not repeated.
        """
        no_url = ValueError("expected a SCIM base URL such as https://scim.example.com/scim/v2")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:  # its text would show a part of the URL
            raise no_url from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise no_url
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise ValueError("the URL holds credentials or a fragment; enter the SCIM base URL alone")
        tls = None
        if parts.scheme == "https":
            tls = ssl.create_default_context()
            if not verify:
                tls.check_hostname = False
                tls.verify_mode = ssl.CERT_NONE
        return cls(parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"), token, tls)

    @property
    def url(self) -> str:
        """The SCIM base URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.tls is None else 'https'}://{host}:{self.port}{self.base}"

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        """A request as it goes over the wire."""
        payload = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {self.base}{path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        if self.token is not None:
            lines.append(f"Authorization: Bearer {self.token}")
        lines.append("Accept: application/scim+json")
        if body is not None:
            lines += ["Content-Type: application/scim+json", f"Content-Length: {len(payload)}"]
        return "\r\n".join([*lines, "", ""]).encode() + payload


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    :param head: status line and headers as they arrived.
    """

    status: int
    body: bytes
    head: bytes = b""

    def headers(self) -> list[tuple[str, str]]:
        """Names and values of the headers, in their order."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]

    def json(self) -> Any:
        """The document in it."""
        return json.loads(self.body)

    def expect(self, statuses: Sequence[int]) -> Reply:
        """Itself.

        :raises Refused: its status is 403, and that is none of these.
        :raises BenchmarkError: another status that is none of these.
        """
        if self.status not in statuses:
            kind = Refused if self.status == 403 else BenchmarkError
            raise kind(f"expected {' or '.join(map(str, statuses))}, but was answered {self.status}: {self.detail}")
        return self

    @property
    def detail(self) -> str:
        """What a SCIM error says (RFC 7644 §3.12); of anything else how it begins."""
        try:
            found = self.json()
        except ValueError:
            found = None
        detail = found.get("detail") if isinstance(found, dict) else None
        return printable(detail if isinstance(detail, str) else self.body[:500].decode("utf-8", "replace"), 1000)


class Connection:
    """One connection; it is made again when the service has closed it between two requests."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._sent = b""
        self._received = bytearray()
        self._awaits = False
        self.socket = self._connect()

    def close(self) -> None:
        """End it."""
        self.socket.close()

    def finish(self) -> None:
        """Wait for an answer that is under way, for a while, and end it."""
        with suppress(BenchmarkError, OSError):
            self.socket.settimeout(FINISH_SECONDS)
            while self._awaits and self.read() is None:
                pass
        self.close()

    def exchange(self, request: bytes) -> Reply:
        """Send a request and wait for its answer."""
        self.send(request)
        while (reply := self.read()) is None:
            pass
        return reply

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._sent = request
        self._awaits = True
        try:
            self.socket.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            self._again()

    def read(self) -> Reply | None:
        """Take what has arrived; the answer, when it is whole."""
        try:
            piece = self.socket.recv(_PIECE)
            while isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
                piece += self.socket.recv(_PIECE)
        except ConnectionResetError:
            piece = b""
        except TimeoutError:
            raise BenchmarkError(f"{self._target.host}:{self._target.port} did not answer in time") from None
        if piece:
            self._received += piece
        elif self._received:
            raise BenchmarkError("the connection broke in the middle of an answer")
        else:
            self._again()
        return self._whole()

    def _whole(self) -> Reply | None:
        received = self._received
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(received[:end]).lower()
        status = int(head[9:12])
        if b"transfer-encoding: chunked" in head:
            sent = bytes(received[end + 4 :])
            if not (sent == b"0\r\n\r\n" or sent.endswith(b"\r\n0\r\n\r\n")):
                return None
            body = _unchunked(sent)
        else:
            length = 0 if status in (204, 304) else int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(received) < end + 4 + length:
                return None
            body = bytes(received[end + 4 : end + 4 + length])
        sent_head = bytes(received[:end])
        received.clear()
        self._awaits = False
        if b"connection: close" in head:
            self.socket.close()
            self.socket = self._connect()
        return Reply(status, body, sent_head)

    def _again(self) -> None:
        # The service may close a kept connection at any time; what was not answered is sent once more.
        self.socket.close()
        self.socket = self._connect()
        self.socket.sendall(self._sent)

    def _connect(self) -> socket.socket:
        target = self._target
        try:
            connection = socket.create_connection((target.host, target.port), timeout=SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if target.tls is not None:
                connection = target.tls.wrap_socket(connection, server_hostname=target.host)
        except OSError as error:
            raise BenchmarkError(f"{target.host}:{target.port} cannot be reached: {error}") from None
        return connection


def _unchunked(body: bytes) -> bytes:
    whole = bytearray()
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        whole += rest[:length]
        body = rest[length + 2 :] if length else b""
    return bytes(whole)
