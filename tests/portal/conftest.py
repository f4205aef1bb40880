"""What the tests of the Portal share: the double, and a target on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import scim_gateway_singlestore_portal.context
import scim_gateway_singlestore_portal.transport
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


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between tries: nothing that is shown here depends on how long they are."""
    monkeypatch.setattr(scim_gateway_singlestore_portal.transport, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(scim_gateway_singlestore_portal.transport, "LONGEST_PAUSE", 0.002)
    monkeypatch.setattr(scim_gateway_singlestore_portal.context, "_FIRST_PAUSE", 0.001)


@pytest.fixture
def one_look(monkeypatch: pytest.MonkeyPatch) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """A block in which what is not shown at the first look is out of time, however fast or slow the machine is."""

    @contextlib.contextmanager
    def block() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(scim_gateway_singlestore_portal.context, "_FIRST_PAUSE", 3600.0)
            yield

    return block
