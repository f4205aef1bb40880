"""What identity providers do is played on backends that feed a target, too."""

from __future__ import annotations

import pytest


@pytest.fixture(params=("memory", "sql", "portal"))
def backend(request: pytest.FixtureRequest) -> str:
    """The name of the backend that the test runs on; it runs once on each."""
    return str(request.param)
