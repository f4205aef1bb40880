"""What the tests of provisioning share: one directory, opened as several processes do, on each kind of database."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from provisioned import Open, directory_at, directory_in
from servers.mariadb import MariaDb

_tenants = itertools.count(1)


@pytest.fixture(scope="session")
def databases(mariadb_server: MariaDb) -> dict[str, str]:
    """URLs of databases that tests share, by kind; in each a test has a tenant of its own."""
    return {kind: mariadb_server.url(mariadb_server.new_database()) for kind in ("mariadb", "singlestore")}


@pytest.fixture(params=["sqlite", "mariadb", "singlestore"])
def open_directory(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """A function that opens one directory, empty at first, each time as another process does."""
    if request.param == "sqlite":
        return lambda: directory_in(tmp_path)
    url = request.getfixturevalue("databases")[request.param]
    tenant = f"t{next(_tenants)}"
    return lambda: directory_at(url, singlestore=request.param == "singlestore", tenant=tenant)
