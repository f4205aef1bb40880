"""A client that costs little: prepared requests over a few kept connections, the next sent while others are served."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from benchmarks.servers import TOKEN, Server

CONNECTIONS = 4

Prepared = Callable[[], bytes]


def prepare(method: str, target: str, body: Any = None) -> bytes:
    """A request as it goes over the wire."""
    payload = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} /scim/v2{target} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {TOKEN}",
        "Accept: application/scim+json",
    ]
    if body is not None:
        lines += ["Content-Type: application/scim+json", f"Content-Length: {len(payload)}"]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def new_user(number: int) -> dict[str, Any]:
    """A user as an identity provider creates it."""
    name = f"person{number:05}@example.com"
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "externalId": f"00u{number:010}",
        "userName": name,
        "name": {"givenName": "Person", "familyName": f"Number {number:05}"},
        "displayName": f"Person Number {number:05}",
        "emails": [{"value": name, "type": "work", "primary": True}],
        "active": True,
    }


class Client:
    """Connections to one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._address = ("127.0.0.1", server.port)
        self._sockets: list[socket.socket] = []

    def close(self) -> None:
        """Give the sockets back."""
        for connection in self._sockets:
            connection.close()
        self._sockets = []

    def call(self, request: bytes, status: int) -> bytes:
        """One request; the body of its answer."""
        with self._connect() as connection:
            connection.sendall(request)
            return _read(connection, status)

    def measure(self, prepared: Prepared, status: int, seconds: float) -> tuple[float, float]:
        """Requests a second over all connections, and the server's CPU seconds for each."""
        while len(self._sockets) < CONNECTIONS:
            self._sockets.append(self._connect())
        turn = itertools.cycle(self._sockets)
        for connection in self._sockets:
            connection.sendall(prepared())
        count, cpu, start = 0, self.server.cpu_seconds(), time.perf_counter()
        while time.perf_counter() - start < seconds:
            connection = next(turn)
            _read(connection, status)
            connection.sendall(prepared())
            count += 1
        elapsed, cpu = time.perf_counter() - start, self.server.cpu_seconds() - cpu
        for _ in self._sockets:
            _read(next(turn), status)
        return count / elapsed, cpu / count

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address, timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def _read(connection: socket.socket, status: int) -> bytes:
    received = connection.recv(65536)
    while (end := received.find(b"\r\n\r\n")) < 0:
        received = _more(connection, received)
    head = received[:end].lower()
    if int(head[9:12]) != status:
        raise RuntimeError(received[:1000].decode("utf-8", "replace"))
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(received) < end + 4 + length:
        received = _more(connection, received)
    return received[end + 4 :]


def _more(connection: socket.socket, received: bytes) -> bytes:
    piece = connection.recv(262144)
    if not piece:
        raise RuntimeError(f"the connection broke after {received[:200]!r}")
    return received + piece


def operations(ids: list[str], numbers: Iterator[int]) -> dict[str, tuple[Prepared, int]]:
    """The hot path: name, request, right status."""
    users = len(ids)
    turns = itertools.count(1)
    reads = [prepare("GET", f"/Users/{id}") for id in ids]
    filters = [quote(f'userName eq "person{number:05}@example.com"') for number in range(users)]
    finds = [prepare("GET", f"/Users?filter={filter}&startIndex=1&count=100") for filter in filters]
    patches = [
        prepare(
            "PATCH",
            f"/Users/{id}",
            {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "replace", "path": "active", "value": active}],
            },
        )
        for active in (False, True)
        for id in ids
    ]
    page = prepare("GET", "/Users?startIndex=1&count=100")
    return {
        "GET by id": (lambda: reads[next(turns) * 7 % users], 200),
        "userName eq": (lambda: finds[next(turns) * 7 % users], 200),
        "POST user": (lambda: prepare("POST", "/Users", new_user(next(numbers))), 201),
        "PATCH active": (lambda: patches[next(turns) % len(patches)], 200),
        "page of 100": (lambda: page, 200),
    }
