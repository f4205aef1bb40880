"""What the tests of provisioning share: one directory, opened as several processes do, on each kind of database."""

from __future__ import annotations

from pathlib import Path

import pytest
from provisioned import Open, directory_at, directory_in


@pytest.fixture(params=["sqlite", "mariadb", "singlestore"])
def open_directory(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """A function that opens one directory, each time as another process does."""
    if request.param == "sqlite":
        return lambda: directory_in(tmp_path)
    url = request.getfixturevalue("mariadb")
    return lambda: directory_at(url, singlestore=request.param == "singlestore")
