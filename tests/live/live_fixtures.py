"""Fixtures of the tests over a real socket: a gateway per backend and module, shared by its tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway_process import GatewayProcess, serving
from scim_http import ScimClient

# Memory is the memory of one process; SQLite serves several.
LIVE = {"memory": {"workers": 1, "threads": 8}, "sql": {"workers": 4, "threads": 4}}


@pytest.fixture(scope="module", params=list(LIVE))
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A running gateway on each backend."""
    with serving(tmp_path_factory.mktemp("gateway"), request.param, **LIVE[request.param]) as running:
        yield running


@pytest.fixture
def live(gateway: GatewayProcess) -> Iterator[ScimClient]:
    """A client of the running gateway; other tests of the module have left their resources there."""
    client = gateway.client()
    yield client
    client.close()
