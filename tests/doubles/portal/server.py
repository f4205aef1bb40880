"""The double as an HTTP server on loopback, in a thread, with what a test needs to steer and to look at."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from doubles.portal.api import Api
from doubles.portal.behaviour import Behaviour
from doubles.portal.faults import Fault, Faults
from doubles.portal.judge import Judge, Request
from doubles.portal.organization import Organization, Refused

Moment = Literal["before", "after"]

_JUDGE = Judge()
_BEARER = re.compile(r"Bearer (\S+)")


@dataclass(frozen=True)
class Call:
    """One request that came in."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int | None

    def __str__(self) -> str:
        query = "".join(f" {name}={value}" for name, value in self.query.items())
        body = "" if self.body is None else f" {json.dumps(self.body)}"
        return f"{self.method} {self.path}{query}{body}"


class PortalDouble:
    """The double: ``organization`` is its state, ``faults`` what goes wrong, ``calls`` what came in.

    :param key: the API key of ``keeper@example.com``, an owner of the organization.
    :param context: serve TLS with it.
    """

    def __init__(
        self,
        *,
        key: str = "an-api-key-of-the-double",
        name: str = "Example Ltd",
        behaviour: Behaviour | None = None,
        context: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.key = key
        self.organization = Organization(name, behaviour)
        self.organization.add_member("keeper@example.com", teams=["Organization Owners"])
        self.organization.add_key(key, "keeper@example.com")
        self.faults = Faults()
        self.calls: list[Call] = []
        self.violations: list[str] = []
        """Requests and answers that the document does not allow; a test fails when there are any."""
        self.api = Api(self.organization)
        self.watch: Callable[[Moment, str, str], None] = lambda moment, method, path: None
        """Called with method and path of each call, before it has its effect and after."""
        self.silent = threading.Semaphore(0)
        """Released each time that a call gets no answer: it is here, and has had its effect if it is to have one."""
        self.stopping = threading.Event()
        self._context = context
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._port = port
        self.up()

    @property
    def behaviour(self) -> Behaviour:
        return self.organization.behaviour

    @property
    def url(self) -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self._port}"

    def fail(self, how: Any, method: str | None = None, path: str = "", **more: Any) -> None:
        """Let a coming call fail; see :class:`Fault`."""
        self.faults.add(Fault(how, method, path, **more))

    def up(self) -> None:
        """Listen (again, on the same port)."""
        if self._server is None:
            self._server = _Server(("127.0.0.1", self._port), self, self._context)
            self._port = self._server.server_address[1]
            self._server.start()

    def down(self) -> None:
        """Stop listening and cut every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        self.cut_all()

    def cut_all(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):  # the client has closed it
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.stopping.set()
        self.down()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def forget_calls(self) -> None:
        self.calls.clear()

    def connected(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def disconnected(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)

    def writes(self) -> list[str]:
        """What was asked to change something, in words."""
        return [str(call) for call in self.calls if call.method != "GET"]


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], double: PortalDouble, context: ssl.SSLContext | None) -> None:
        self.double = double
        self._context = context
        self._ending = False
        self._accepting = threading.Thread(target=self._accept, name="portal-double", daemon=True)
        super().__init__(address, _Handler)

    def start(self) -> None:
        self._accepting.start()

    def stop(self) -> None:
        """Take no more connections; a last one wakes up whoever waits for it."""
        self._ending = True
        with suppress(OSError):  # when many wait for their turn it needs no waking
            socket.create_connection(self.server_address[:2], timeout=1).close()
        self._accepting.join()
        self.server_close()

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self.get_request()
            except OSError:  # the client has gone before its turn came
                continue
            if self._ending:
                self.shutdown_request(connection)
                return
            self.process_request(connection, address)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.double.connected(connection)
        return connection, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake belongs to the connection's own thread: a client that does not finish it holds nobody up.
        if self._context is None:
            super().finish_request(request, client_address)
            return
        with self._context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.double.disconnected(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what the tests do all the time."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """The call log is the log."""

    def parse_request(self) -> bool:
        """Read the head of a request; of the thousands a run has, none is anything but plain HTTP/1.1."""
        self.command, self.path, self.request_version = self.raw_requestline.decode("latin-1").split()
        self.fields: dict[str, str] = {}
        while line := self.rfile.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            self.fields[name.lower()] = value.strip()
        self.close_connection = self.fields.get("connection", "").lower() == "close"
        return True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        double = self.server.double
        target = urlsplit(self.path)
        path, query = unquote(target.path), dict(parse_qsl(target.query, keep_blank_values=True))
        raw = self.rfile.read(int(self.fields.get("content-length", 0)))
        request = Request(self.command, path, list(query.items()), self.fields, raw)
        fault = double.faults.strike(self.command, path)
        body = _json_or_none(raw)
        if fault is not None and not fault.acts:
            double.calls.append(Call(self.command, path, query, body, fault.status if fault.how == "status" else None))
            self._strike(fault, None)
            return
        double.watch("before", self.command, path)
        status, media_type, answer = self._answer(request, path, query, raw)
        double.watch("after", self.command, path)
        double.calls.append(Call(self.command, path, query, body, status))
        if fault is not None:
            self._strike(fault, answer)
            return
        self._send(status, media_type, answer)

    def _answer(self, request: Request, path: str, query: dict[str, str], raw: bytes) -> tuple[int, str, bytes]:
        double = self.server.double
        against = _JUDGE.request(request)
        if against is not None:
            double.violations.append(against)
            return 400, "text/plain", against.encode()
        bearer = _BEARER.fullmatch(self.fields.get("authorization", ""))
        try:
            value = double.api.answer(self.command, path, query, _json_or_none(raw), bearer[1] if bearer else None)
            status, media_type, answer = 200, "application/json", json.dumps(value).encode()
        except Refused as refused:
            status = refused.status
            media_type, answer = "text/plain", refused.text.encode()
            if double.behaviour.json_errors:
                media_type, answer = "application/json", json.dumps({"error": refused.text}).encode()
        against = _JUDGE.response(request, status, media_type, answer)
        if against is not None:
            double.violations.append(against)
        return status, media_type, answer

    def _strike(self, fault: Fault, answer: bytes | None) -> None:
        double = self.server.double
        match fault.how:
            case "down":
                self.close_connection = True
                double.down()
            case "cut" | "lost":
                self.close_connection = True
            case "hang" | "hang-after":
                self.close_connection = True
                self._wait_until_the_client_is_gone()
            case "drip":
                self.close_connection = True
                self._send(200, "application/json", b"[", length=10**9)
                while not self._client_is_gone():
                    self.wfile.write(b" ")
            case "half-body":
                whole = answer or b"{}"
                self._send(200, "application/json", whole[: len(whole) // 2], length=len(whole))
                self.close_connection = True
            case "no-json":
                self._send(200, "application/json", b'{"teamID": ')
            case "wrong-json":
                self._send(200, "text/html", b"<html>Sign in to the Wi-Fi</html>")
            case "wrong-shape":
                self._send(200, "application/json", b'{"unexpected": [1, 2]}')
            case "redirect":
                self._send(302, "text/plain", b"moved", ("Location", "http://127.0.0.1:9/elsewhere"))
            case "status":
                extra = () if fault.retry_after is None else (("Retry-After", fault.retry_after),)
                self._send(fault.status, "text/plain", fault.text.encode(), *extra)

    def _wait_until_the_client_is_gone(self) -> None:
        self.server.double.silent.release()
        while not self._client_is_gone():
            continue

    def _client_is_gone(self) -> bool:
        """Whether the client has closed, or the double is to stop; waits a moment for it."""
        self.connection.settimeout(0.05)
        try:
            return self.server.double.stopping.is_set() or not self.connection.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True

    def _send(
        self, status: int, media_type: str, body: bytes, *extra: tuple[str, str], length: int | None = None
    ) -> None:
        told = [
            ("Date", _date(self.server.double.organization.now())),
            ("Content-Type", media_type),
            ("Content-Length", str(len(body) if length is None else length)),
            *extra,
        ]
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in told)]
        # One write of head and body: two would wait for each other (Nagle's algorithm against delayed ACKs).
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


@lru_cache(1)
def _date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def _json_or_none(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None
