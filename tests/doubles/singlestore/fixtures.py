"""Pytest fixtures: a SingleStore to talk to, and the double with its controls.

``singlestore``
    A server to connect to and a prefix for names. It is the double; with ``SINGLESTORE_URL`` set
    (``mysql://user:password@host:port``) it is that server, and what begins with the prefix is dropped afterwards.
``singlestore_double``, ``make_singlestore``
    The double with its controls, and a function that makes one as a test wants it; skipped on a real server.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pymysql
import pytest

from .double import Address, SingleStoreDouble

if TYPE_CHECKING:
    # Generic for the type checker only.
    PymysqlConnection = pymysql.connections.Connection[Any]


@dataclass
class Server:
    """A SingleStore to connect to, as a user who may do everything.

    Attributes:
        double: its controls, or None when it is a real one.
        prefix: what names of users, groups and roles begin with.
    """

    address: Address
    double: SingleStoreDouble | None
    prefix: str = field(default_factory=lambda: f"t{secrets.token_hex(3)}_")
    opened: list[PymysqlConnection] = field(default_factory=list)

    def name(self, name: str) -> str:
        """A name that no other test run uses."""
        return self.prefix + name

    def connect(self, user: str | None = None, password: str | None = None, **options: Any) -> PymysqlConnection:
        """A connection with autocommit, as the administrator unless told otherwise; closed after the test."""
        credentials = (self.address.user, self.address.password) if user is None else (user, password or "")
        options = {"autocommit": True, "connect_timeout": 10, "read_timeout": 30} | options
        connection = pymysql.connect(
            host=self.address.host, port=self.address.port, user=credentials[0], password=credentials[1], **options
        )
        self.opened.append(connection)
        return connection

    def close(self) -> None:
        for connection in self.opened:
            with suppress(pymysql.err.Error):
                connection.close()

    def clean(self) -> None:
        """Drop what the test has made on a real server."""
        pattern = self.prefix.replace("_", "\\_") + "%"
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT `USER`, HOST FROM information_schema.USERS WHERE `USER` LIKE %s", (pattern,))
            for account in cursor.fetchall():
                cursor.execute("DROP USER IF EXISTS %s@%s", account)
            for kind, query in (
                ("GROUP", "SELECT GROUP_NAME FROM information_schema.`GROUPS` WHERE GROUP_NAME LIKE %s"),
                ("ROLE", "SELECT ROLE FROM information_schema.ROLES WHERE ROLE LIKE %s"),
            ):
                cursor.execute(query, (pattern,))
                for name in cursor.fetchall():
                    cursor.execute(f"DROP {kind} IF EXISTS %s", name)


def check_faithful(double: SingleStoreDouble) -> None:
    """Fail if the double was sent something that it can't answer faithfully, or has failed itself."""
    assert not double.unknown, f"statements that the double does not know: {double.unknown}"
    assert not double.crashes, double.crashes


def _real_server() -> Address | None:
    url = os.environ.get("SINGLESTORE_URL")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.hostname is None:
        raise pytest.UsageError("SINGLESTORE_URL has no host; write mysql://user:password@host:port")
    user, password = unquote(parts.username or "root"), unquote(parts.password or "")
    return Address(parts.hostname, parts.port or 3306, user, password)


MakeDouble = Callable[..., Server]


@pytest.fixture
def make_singlestore() -> Iterator[MakeDouble]:
    """A function that starts a double, with the arguments of ``SingleStoreDouble``; checked and stopped afterwards."""
    if _real_server() is not None:
        pytest.skip("needs the controls of the double, and SINGLESTORE_URL names a real server")
    servers: list[Server] = []
    with ExitStack() as stack:

        def make(*args: Any, **options: Any) -> Server:
            double = SingleStoreDouble(*args, **options)
            server = Server(stack.enter_context(double.running()), double)
            servers.append(server)
            stack.callback(server.close)
            return server

        yield make
    for server in servers:
        assert server.double is not None
        check_faithful(server.double)


@pytest.fixture
def singlestore(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server to talk to: the double, or the one that SINGLESTORE_URL names."""
    address = _real_server()
    if address is None:
        make: MakeDouble = request.getfixturevalue("make_singlestore")
        yield make()
        return
    server = Server(address, None)
    try:
        yield server
    finally:
        server.clean()
        server.close()


@pytest.fixture
def singlestore_double(make_singlestore: MakeDouble) -> SingleStoreDouble:
    """A double of version 8.5 with default behaviour, running."""
    double = make_singlestore().double
    assert double is not None
    return double
