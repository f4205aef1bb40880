"""Pytest fixtures: a SingleStore to talk to, and the double with its controls.

``singlestore``
    A server to connect to and a prefix for names. It is the double; with ``SINGLESTORE_URL`` set
    (``mysql://user:password@host:port``) it is that server, and what begins with the prefix is dropped afterwards.
``singlestore_double``, ``make_singlestore``
    The double with its controls, and a function that makes one as a test wants it; skipped on a real server.
``make_server``
    A function that gives a double, or the real server in its place (``real_server.py``): a test that needs what only
    the double has is skipped when it asks for it.
"""

from __future__ import annotations

import os
import secrets
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql
import pytest

from .behaviour import Behaviour
from .double import Address, SingleStoreDouble
from .real_server import RealServer, drop_what_begins_with
from .results import Rows
from .versions import Version

if TYPE_CHECKING:
    # Generic for the type checker only.
    PymysqlConnection = pymysql.connections.Connection[Any]


def new_prefix() -> str:
    """What names of one test begin with on a real server."""
    return f"t{secrets.token_hex(3)}_"


@dataclass
class Server:
    """A SingleStore to connect to, as a user who may do everything.

    Attributes:
        double: its controls, or None when it is a real one.
        prefix: what names of users, groups and roles begin with.
    """

    address: Address
    double: SingleStoreDouble | None
    prefix: str = field(default_factory=new_prefix)
    opened: list[PymysqlConnection] = field(default_factory=list)

    def name(self, name: str) -> str:
        """A name that no other test run uses."""
        return self.prefix + name

    def connect(self, user: str | None = None, password: str | None = None, **options: Any) -> PymysqlConnection:
        """A connection with autocommit, as the administrator unless told otherwise; closed after the test."""
        credentials = (self.address.user, self.address.password) if user is None else (user, password or "")
        if self.double is None:
            options = {"ssl": _tls()} | options
        elif not self.double.offers_tls:
            # Without this the client would first read all authorities that the system trusts.
            options = {"ssl_disabled": True} | options
        options = {"autocommit": True, "connect_timeout": 10, "read_timeout": 30} | options
        connection = pymysql.connect(
            host=self.address.host, port=self.address.port, user=credentials[0], password=credentials[1], **options
        )
        self.opened.append(connection)
        return connection

    def close(self) -> None:
        for connection in self.opened:
            with suppress(pymysql.err.Error):  # the server has ended it
                connection.close()

    def clean(self) -> None:
        """Drop what the test has made on a real server."""
        with self.connect() as connection, connection.cursor() as cursor:

            def ask(sql: str, *parameters: str) -> Rows:
                cursor.execute(sql, parameters)
                return Rows([column[0] for column in cursor.description or ()], cursor.fetchall())

            drop_what_begins_with(self.prefix, ask)


def check_faithful(double: SingleStoreDouble) -> None:
    """Fail if the double was sent something that it can't answer faithfully, or has failed itself."""
    assert not double.unknown, f"statements that the double does not know: {double.unknown}"
    assert not double.crashes, double.crashes


def real_server() -> Address | None:
    """The server that SINGLESTORE_URL names, and its administrator."""
    url = os.environ.get("SINGLESTORE_URL")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.hostname is None:
        raise pytest.UsageError("SINGLESTORE_URL has no host; write mysql://user:password@host:port")
    user, password = unquote(parts.username or "root"), unquote(parts.password or "")
    return Address(parts.hostname, parts.port or 3306, user, password)


def authorities() -> str | None:
    """A file of authorities, one of which has signed that server's certificate: ?ssl_ca=FILE of SINGLESTORE_URL."""
    found = parse_qs(urlsplit(os.environ.get("SINGLESTORE_URL", "")).query).get("ssl_ca")
    return found[0] if found else None


def _tls() -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=file) if (file := authorities()) else None


MakeDouble = Callable[..., Server]


@pytest.fixture
def make_singlestore() -> Iterator[MakeDouble]:
    """A function that starts a double, with the arguments of ``SingleStoreDouble``; checked and stopped afterwards."""
    if real_server() is not None:
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
    address = real_server()
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


#: Versions that tests are about; a server counts as the newest that is not newer than itself.
VERSIONS = ("7.8", "8.0", "8.1", "8.5", "9.1")
MakeServer = Callable[..., SingleStoreDouble | RealServer]


@pytest.fixture
def make_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeServer]:
    """A function that gives a double with the arguments of ``SingleStoreDouble``, or the real server in its place.

    The real server has no account, group or role that the test knows of, as a double that has just started. It takes
    the place of a double of its version, or of any version when the test names none.
    """
    address = real_server()
    if address is None:
        make_double: MakeDouble = request.getfixturevalue("make_singlestore")

        def make(version: str | None = None, *args: Any, **options: Any) -> SingleStoreDouble:
            double = make_double(version or "8.5", *args, **options).double
            assert double is not None
            return double

        yield make
        return
    given: list[RealServer] = []
    connect = pymysql.connect

    def connect_by_prefix(*args: Any, **options: Any) -> PymysqlConnection:
        if given and given[-1].is_meant_by(options):
            return given[-1].connect(**options)
        return connect(*args, **options)

    def give(
        version: str | None = None,
        behaviour: Behaviour | None = None,
        *,
        aggregators: int = 1,
        sync_permissions: bool | None = None,
        **others: Any,
    ) -> RealServer:
        server = RealServer(address, new_prefix(), _tls())
        given.append(server)
        _skip_unless(server, version)
        if (behaviour or Behaviour()) != Behaviour() or (aggregators, sync_permissions) != (1, None) or others:
            pytest.skip("needs a double made for it, and SINGLESTORE_URL names a real server")
        return server

    monkeypatch.setattr(pymysql, "connect", connect_by_prefix)
    with ExitStack() as stack:
        yield give
        for server in given:
            stack.callback(server.clean)


def _skip_unless(server: RealServer, version: str | None) -> None:
    if version is None:
        return
    own = Version.of(server.version)
    counts_as = max((Version.of(each) for each in VERSIONS if Version.of(each) <= own), default=own)
    if counts_as != Version.of(version):
        pytest.skip(f"is about SingleStore {version}, and SINGLESTORE_URL names a {own}")
