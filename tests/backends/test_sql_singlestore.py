"""The directory in a SingleStore: the whole suite with SINGLESTORE_URL, else a part of it on the double with a MariaDB.

The double checks every statement by SingleStore's rules for tables before it passes it on; what SingleStore makes of it
only a SingleStore can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import quote

import pytest
import scim_gateway_sql.connections
from doubles.singlestore.api import Address, MariaDB
from doubles.singlestore.fixtures import MakeDouble, Server, authorities, real_server
from scim_gateway_sql import SqlBackend
from servers.fault_proxy import FaultProxy
from servers.mariadb import ADMIN, PASSWORD, MariaDb

from scim_gateway.testing import BackendTests, create, user
from scim_gateway.testing.changes import ChangeTests

IN_SUITE: Any = ChangeTests if real_server() is None else BackendTests
LOOPBACK = "127.0.0.1"


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """A SingleStore with room for tables."""
    address = real_server()
    if address is not None:
        return Server(address, None)
    behind: MariaDb = request.getfixturevalue("mariadb_server")
    make: MakeDouble = request.getfixturevalue("make_singlestore")
    return make(mariadb=MariaDB(LOOPBACK, behind.port, ADMIN, PASSWORD))


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The name of a database that is made for one test."""
    name = server.name("scim")
    with server.connect() as administrator, administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        with server.connect() as administrator, administrator.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        server.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy | None]:
    """A network that fails on command; only to this machine, another one has to prove who it is."""
    if server.address.host != LOOPBACK:
        yield None
        return
    proxy = FaultProxy(server.address.port)
    yield proxy
    proxy.close()


@pytest.fixture
def settings(server: Server, database: str, proxy: FaultProxy | None) -> dict[str, Any]:
    """Settings of a gateway with this database."""
    there: Address = server.address
    port = there.port if proxy is None else proxy.port
    account = f"{quote(there.user, safe='')}:{quote(there.password, safe='')}"
    # Whether it has to prove who it is says SINGLESTORE_URL.
    tls = {"database_tls_ca": authorities()} if authorities() else {"database_tls": "off"}
    return {"database_url": f"singlestore://{account}@{there.host}:{port}/{database}", **tls}


class TestSqlBackendOnSingleStore(IN_SUITE):
    @pytest.fixture
    def opened(self, settings: dict[str, Any]) -> Iterator[Callable[[], SqlBackend]]:
        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(SqlBackend.from_settings(settings, self.resource_types)))

    @pytest.fixture
    def backend(self, opened: Callable[[], SqlBackend]) -> SqlBackend:
        return opened()

    @pytest.fixture
    def another(self, opened: Callable[[], SqlBackend]) -> SqlBackend:
        return opened()

    @pytest.fixture
    def make_unreachable(self, proxy: FaultProxy | None, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        if proxy is None:
            pytest.skip("needs a network that fails, and SINGLESTORE_URL names another machine")
        monkeypatch.setattr(scim_gateway_sql.connections, "CONNECT_SECONDS", 0.1)
        return proxy.refuse

    def test_the_check_finds_a_sound_store_sound_and_sends_nothing_that_is_not_documented(
        self, backend: SqlBackend
    ) -> None:
        create(backend, user("ada"))
        findings = list(backend.check())
        assert {"tls", "schema", "clock"} <= {finding.subject for finding in findings}
        assert [finding for finding in findings if not finding.ok] == []

    def test_it_knows_what_it_speaks_to(self, backend: SqlBackend) -> None:
        create(backend, user("ada"))
        assert backend.database.driver.dialect == "singlestore"
        assert backend.database.driver.version.startswith("SingleStore ")
