"""What identity providers do is played on backends that feed a target, too; some of it on a database server as well."""

from __future__ import annotations

import pytest
from rows import EVERY_ROW

BACKENDS = ("memory", "sql", "engine", "portal", "engine+portal")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test runs once on each backend, and on those that its module names in ``ALSO_ON``.

    Or on those alone that it names itself, or its module in ``ONLY_ON``: ``engine+portal`` has the targets of the two
    others, as they are, so it stands for them where what is shown is hardly a target's (:mod:`rows`).
    """
    named = any("backend" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "backend" in metafunc.fixturenames and not named:
        only, also = (getattr(metafunc.module, name, ()) for name in ("ONLY_ON", "ALSO_ON"))
        only = () if EVERY_ROW else only
        metafunc.parametrize("backend", (*(only or BACKENDS), *also), indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The name of the backend that the test runs on."""
    return str(request.param)
