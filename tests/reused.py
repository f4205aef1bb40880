"""What a process needs once and tests would pay for ten thousand times: found out and compiled once, used by all.

None of it knows of any gateway's data or settings. A process that a test starts does everything itself.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.util import LRUCache


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """What one engine on SQLite has made SQL of, every other one uses: by its text alone one is as another."""
    import scim_gateway_sql.sqlite

    model = sqlalchemy.create_engine("sqlite://")
    model.connect().close()  # its dialect learns the version of SQLite
    model.dispose()
    compiled = LRUCache(2000)

    def create_engine(url: Any, **options: Any) -> sqlalchemy.Engine:
        engine = sqlalchemy.create_engine(
            url, **options, execution_options={"compiled_cache": compiled}, _initialize=False
        )
        engine.dialect = model.dialect
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scim_gateway_sql.sqlite, "create_engine", create_engine)
        yield


@pytest.fixture(scope="session", autouse=True)
def installed_backends_found_once() -> Iterator[None]:
    """Which entry points there are on the same path does not change while tests run; to look for them takes long."""
    import scim_gateway.app

    find = scim_gateway.app.entry_points
    found = functools.cache(lambda path, group: find(group=group))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scim_gateway.app, "entry_points", lambda *, group: found(tuple(sys.path), group))
        yield
