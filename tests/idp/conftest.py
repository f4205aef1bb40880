"""What identity providers do is played on backends that feed a target, too; some of it on a database server as well."""

from __future__ import annotations

import pytest

BACKENDS = ("memory", "sql", "engine", "portal", "engine+portal")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test runs once on each backend, and on those that its module names in ``ALSO_ON``; or where it says itself."""
    named = any("backend" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "backend" in metafunc.fixturenames and not named:
        also = getattr(metafunc.module, "ALSO_ON", ())
        metafunc.parametrize("backend", (*BACKENDS, *also), indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The name of the backend that the test runs on."""
    return str(request.param)
