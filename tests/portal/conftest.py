"""What the tests of the Portal share: the double, and a target on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from doubles.portal.server import PortalDouble
from portal_desk import Desk

MakeDesk = Callable[..., Desk]


@pytest.fixture
def portal() -> Iterator[PortalDouble]:
    """An organization on loopback; neither a request nor an answer may be one that the document does not allow."""
    with PortalDouble() as double:
        yield double
    assert double.violations == []


@pytest.fixture
def make_desk(portal: PortalDouble) -> Iterator[MakeDesk]:
    """A function that makes targets with these settings, by their names without ``portal_``."""
    made: list[Desk] = []

    def make(**settings: Any) -> Desk:
        made.append(Desk(portal, **settings))
        return made[-1]

    yield make
    for desk in made:
        desk.target.close()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    """A target with the settings as they are delivered."""
    return make_desk()
