"""Fixtures of the tests of the Engine target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles.singlestore.api import Behaviour
from doubles.singlestore.fixtures import MakeServer
from engine_world import EngineWorld
from scim_gateway_singlestore_engine import sessions

MakeWorld = Callable[..., EngineWorld]


@pytest.fixture
def make_world(make_server: MakeServer, tmp_path: Path) -> Iterator[MakeWorld]:
    """A function that makes a world: version and behaviour of the server, and settings of the target.

    Without a version the world is one of 8.5, or of whatever SINGLESTORE_URL names.
    """
    worlds: list[EngineWorld] = []

    def make(
        version: str | None = None,
        behaviour: Behaviour | None = None,
        *,
        aggregators: int = 1,
        sync_permissions: bool | None = None,
        **chosen: Any,
    ) -> EngineWorld:
        server = make_server(version, behaviour, aggregators=aggregators, sync_permissions=sync_permissions)
        world = EngineWorld(server, tmp_path, **chosen)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.target.close()


@pytest.fixture
def world(make_world: MakeWorld) -> EngineWorld:
    """A world with default behaviour."""
    return make_world()


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to wait for between two looks at somebody's sessions, where nobody logs in meanwhile."""
    monkeypatch.setattr(sessions, "_FIRST_PAUSE", 0.001)
