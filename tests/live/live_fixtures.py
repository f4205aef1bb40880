"""Fixtures of the tests over a real socket: a gateway per backend and module, shared by its tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway_process import GatewayProcess, serving
from scim_http import ScimClient
from servers.mariadb import MariaDb

# Memory is the memory of one process; SQLite serves several, and so does a server.
LIVE = {
    "memory": {"workers": 1, "threads": 8},
    "sql": {"workers": 4, "threads": 4},
    "mariadb": {"workers": 4, "threads": 4},
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test runs on each backend, and on those that its module names in ``ALSO_ON``."""
    if "gateway" in metafunc.fixturenames:
        also = getattr(metafunc.module, "ALSO_ON", ())
        metafunc.parametrize("gateway", ("memory", "sql", *also), indirect=True, scope="module")


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A running gateway on each backend."""
    settings: dict[str, str] = {}
    if request.param == "mariadb":
        server: MariaDb = request.getfixturevalue("mariadb_server")
        settings = {"SCIM_GATEWAY_DATABASE_URL": server.url(server.new_database())}
    kind = "memory" if request.param == "memory" else "sql"
    with serving(tmp_path_factory.mktemp("gateway"), kind, **LIVE[request.param], **settings) as running:
        yield running


@pytest.fixture
def live(gateway: GatewayProcess) -> Iterator[ScimClient]:
    """A client of the running gateway; other tests of the module have left their resources there."""
    client = gateway.client()
    yield client
    client.close()
