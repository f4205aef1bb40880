"""Fixtures of the tests over a real socket: a gateway per backend and module, shared by its tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from doubles.singlestore.api import SingleStoreDouble
from gateway_process import GatewayProcess, serving
from scim_http import ScimClient
from servers.mariadb import MariaDb

# Memory is the memory of one process; SQLite serves several, and so does a server.
LIVE = {
    "memory": {"workers": 1, "threads": 8},
    "sql": {"workers": 4, "threads": 4},
    "mariadb": {"workers": 4, "threads": 4},
    "engine": {"workers": 2, "threads": 4},
}
PASSWORD = "Password-of-the-gateway-1"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test runs on each backend, and on those that its module names in ``ALSO_ON``."""
    if "gateway" in metafunc.fixturenames:
        also = getattr(metafunc.module, "ALSO_ON", ())
        metafunc.parametrize("gateway", ("memory", "sql", *also), indirect=True, scope="module")


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A running gateway on each backend."""
    settings: dict[str, str] = {}
    kind = "sql" if request.param == "mariadb" else request.param
    with ExitStack() as stack:
        if request.param == "mariadb":
            server: MariaDb = request.getfixturevalue("mariadb_server")
            settings = {"SCIM_GATEWAY_DATABASE_URL": server.url(server.new_database())}
        elif request.param == "engine":
            settings = stack.enter_context(_engine())
        folder = tmp_path_factory.mktemp("gateway")
        yield stack.enter_context(serving(folder, kind, **LIVE[request.param], **settings))


@contextmanager
def _engine() -> Iterator[dict[str, str]]:
    """Settings of a gateway over a double of SingleStore, which has to know every statement that it is sent."""
    double = SingleStoreDouble()
    with double.running() as there:
        double.execute(
            f"CREATE USER 'scim_gw'@'%' IDENTIFIED BY '{PASSWORD}'",
            "GRANT CREATE USER, ALTER USER, PROCESS, SHOW METADATA, GRANT OPTION ON *.* TO 'scim_gw'@'%'",
        )
        yield {
            "SCIM_GATEWAY_ENGINE_URL": f"singlestore://scim_gw@{there.host}:{there.port}/",
            "SCIM_GATEWAY_ENGINE_PASSWORD": PASSWORD,
            "SCIM_GATEWAY_BREAKER_REMOVALS": "0",  # the tests of a module delete more than a day's people
        }
        assert double.unknown == []


@pytest.fixture
def live(gateway: GatewayProcess) -> Iterator[ScimClient]:
    """A client of the running gateway; other tests of the module have left their resources there."""
    client = gateway.client()
    yield client
    client.close()
