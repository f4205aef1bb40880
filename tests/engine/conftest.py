"""Fixtures of the tests of the Engine target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles.singlestore.api import Behaviour
from doubles.singlestore.fixtures import MakeDouble
from engine_world import EngineWorld

MakeWorld = Callable[..., EngineWorld]


@pytest.fixture
def make_world(make_singlestore: MakeDouble, tmp_path: Path) -> Iterator[MakeWorld]:
    """A function that makes a world: version and behaviour of the server, and settings of the target."""
    worlds: list[EngineWorld] = []

    def make(
        version: str = "8.5",
        behaviour: Behaviour | None = None,
        *,
        aggregators: int = 1,
        sync_permissions: bool | None = None,
        **chosen: Any,
    ) -> EngineWorld:
        double = make_singlestore(version, behaviour, aggregators=aggregators, sync_permissions=sync_permissions).double
        assert double is not None
        world = EngineWorld(double, tmp_path, **chosen)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.target.close()


@pytest.fixture
def world(make_world: MakeWorld) -> EngineWorld:
    """A world of version 8.5 with default behaviour."""
    return make_world()
