"""What the tests of the Portal share: the double, which fails a test that asks for what the document does not allow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from doubles.portal.server import PortalDouble


@pytest.fixture
def portal() -> Iterator[PortalDouble]:
    """An organization on loopback; neither a request nor an answer may be one that the document does not allow."""
    with PortalDouble() as double:
        yield double
    assert double.violations == []
