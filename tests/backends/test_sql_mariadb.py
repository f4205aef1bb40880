"""The SQL backend on a server passes the suite for backends, by its statements for MariaDB and for SingleStore."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
import scim_gateway_sql.connections
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.filter_statements import _BY_IDENTIFIER_WITH_HOLDERS
from scim_gateway_sql.reading import _GET_WITH_HOLDERS
from servers.fault_proxy import FaultProxy
from servers.mariadb import MariaDb
from servers.singlestore_on_mariadb import SingleStoreOnMariaDb

from scim_gateway.testing import BackendTests, create, exchange_names, get, group, user
from scim_gateway.testing.changes import ChangeTests
from scim_gateway.testing.memberships import MembershipTests
from scim_gateway.testing.processes import ProcessTests
from scim_gateway.testing.surroundings import SurroundingsTests
from scim_gateway.testing.uniqueness import UniquenessTests


@pytest.fixture
def proxy(mariadb_server: MariaDb) -> Iterator[FaultProxy]:
    proxy = FaultProxy(mariadb_server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def url(mariadb_server: MariaDb, mariadb: str, proxy: FaultProxy) -> str:
    return mariadb.replace(f":{mariadb_server.port}/", f":{proxy.port}/")


@pytest.fixture
def make_unreachable(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    monkeypatch.setattr(scim_gateway_sql.connections, "CONNECT_SECONDS", 0.1)
    return proxy.refuse


class TestSqlBackendOnMariaDb(BackendTests):
    @pytest.fixture
    def opened(self, url: str) -> Iterator[Callable[[], SqlBackend]]:
        with ExitStack() as stack:
            yield lambda: stack.enter_context(
                closing(SqlBackend.from_settings({"database_url": url}, self.resource_types))
            )

    @pytest.fixture
    def backend(self, opened: Callable[[], SqlBackend]) -> SqlBackend:
        return opened()

    @pytest.fixture
    def another(self, opened: Callable[[], SqlBackend]) -> SqlBackend:
        return opened()

    @pytest.fixture
    def make_unreachable(self, make_unreachable: Callable[[], None]) -> Callable[[], None]:
        return make_unreachable

    def test_it_knows_what_it_speaks_to(self, backend: SqlBackend) -> None:
        create(backend, user("ada"))
        assert backend.database.driver.dialect == "mysql"

    def test_names_exchanged_in_one_operation_are_exchanged(self, backend: SqlBackend) -> None:
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)
        exchange_names(backend, ada, bob)
        assert [get(backend, each)["userName"] for each in (ada, bob)] == ["bob", "ada"]

    def test_what_a_group_is_in_is_found_by_its_key_before_the_server_has_counted_a_row(
        self, backend: SqlBackend
    ) -> None:
        ada = user("ada")
        create(backend, ada, group("staff", ada))
        at = {"tenant_": backend.tenant, "kind_": "User"}
        by_id, by_name = {"id_": ada["id"]}, {"attr_": "userName", "name_key_": b"ada"}
        with backend.database.session() as session:
            for statement, found_by in ((_GET_WITH_HOLDERS, by_id), (_BY_IDENTIFIER_WITH_HOLDERS, by_name)):
                text = statement._text(session.sql, 0)
                plan = session.run(f"EXPLAIN {text.sql}", text.values({**at, **found_by})).fetchall()
                keys = {table: (kind, key) for _, _, table, kind, _, key, *_ in plan}
                assert keys["r"] == ("const", "PRIMARY")
                assert keys["m"] == keys["a"] == ("ref", "scim_member_by_member")
                assert keys["g"] == ("eq_ref", "PRIMARY")


class TestSqlBackendWithItsStatementsForSingleStore(
    UniquenessTests, ChangeTests, MembershipTests, ProcessTests, SurroundingsTests
):
    """What writes; reads are the same statements on both (test_sql_statements.py)."""

    @pytest.fixture
    def opened(self, url: str) -> Iterator[Callable[[], SqlBackend]]:
        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(SqlBackend(SingleStoreOnMariaDb.at(url), self.resource_types)))

    @pytest.fixture
    def backend(self, opened: Callable[[], SqlBackend]) -> SqlBackend:
        return opened()

    @pytest.fixture
    def another(self, opened: Callable[[], SqlBackend]) -> SqlBackend:
        return opened()

    def test_it_knows_what_it_speaks_to(self, backend: SqlBackend) -> None:
        create(backend, user("ada"))
        assert backend.database.driver.dialect == "singlestore"
