"""Fixtures of the tests over a real socket: a gateway per backend and module, shared by its tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from doubles.singlestore.serving import engine_environ
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
            environ = stack.enter_context(engine_environ())
            settings = {f"SCIM_GATEWAY_{name}": value for name, value in environ.items()}
            # The tests of a module delete more than a day's people.
            settings["SCIM_GATEWAY_BREAKER_REMOVALS"] = "0"
        folder = tmp_path_factory.mktemp("gateway")
        yield stack.enter_context(serving(folder, kind, **LIVE[request.param], **settings))


@pytest.fixture
def live(gateway: GatewayProcess) -> Iterator[ScimClient]:
    """A client of the running gateway; other tests of the module have left their resources there."""
    client = gateway.client()
    yield client
    client.close()
