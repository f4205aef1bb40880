"""What a process needs once and tests would pay for ten thousand times: found out and compiled once, used by all.

None of it knows of any gateway's data or settings. A process that a test starts does everything itself.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule


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


@pytest.fixture(scope="session", autouse=True)
def routes_compiled_once() -> Iterator[None]:
    """What makes a URL of a route depends on its text; Werkzeug compiles it for each application, and we never ask."""
    compile_builder = Rule._compile_builder
    made: dict[object, Any] = {}

    def compile_once(rule: Rule, append_unknown: bool = True) -> Any:
        if rule.defaults:
            return compile_builder(rule, append_unknown)
        text = rule.rule, tuple(rule._trace), append_unknown
        if text not in made:
            made[text] = compile_builder(rule, append_unknown)
        return made[text]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def standard_types_read_by_one() -> Iterator[None]:
    """What reads users and groups is made once: it depends on their definition alone, of which a process has one."""
    import scim_gateway.resources
    from scim_gateway.definitions import standard_resource_types
    from scim_gateway.reader import ResourceReader
    from scim_gateway.schema import ResourceType

    readers = [ResourceReader(kind) for kind in standard_resource_types()]

    def reader(kind: ResourceType) -> ResourceReader:
        return next((each for each in readers if each.resource_type is kind), None) or ResourceReader(kind)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scim_gateway.resources, "ResourceReader", reader)
        yield


@pytest.fixture(scope="session", autouse=True)
def tables_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new file of SQLite begins as a copy of one that was made for the same tables and resource types.

    Then it is prepared as every file is: what is there is looked at, and it gets a key of its own. The first two of
    each sort are made from nothing, and so is one that is begun twice, and any that another process begins.
    """
    from scim_gateway_sql.database import Database, Transactions
    from scim_gateway_sql.sqlite import SqliteDriver
    from scim_gateway_sql.startup import CURSOR_KEY, Startup
    from scim_gateway_sql.tables import settings

    prepare = Startup.prepare
    folder = tmp_path_factory.mktemp("tables")
    here = os.getpid()
    lock = threading.Lock()
    begun: set[Path] = set()
    seen: Counter[object] = Counter()
    made: dict[object, bytes] = {}

    def make(startup: Startup) -> bytes:
        path = folder / f"{len(made)}.db"
        url = sqlalchemy.URL.create("sqlite", database=str(path))
        database = Database(SqliteDriver(url), lambda begin: prepare(startup, database, begin))
        with database.operation(write=True) as session:
            session.execute(settings.delete().where(settings.c.name == CURSOR_KEY))
        database.close()  # SQLite moves into the file what was written ahead
        return path.read_bytes()

    def fill(startup: Startup, path: Path) -> None:
        sort = (
            startup._tenant,
            tuple((each.package, each.current) for each in startup._sets),
            tuple((index.resource_type.name, index.fingerprint) for index in startup._indexes),
        )
        with lock:
            if path in begun or path.stat().st_size:
                return
            begun.add(path)
            seen[sort] += 1
            if seen[sort] > 2:
                if sort not in made:
                    made[sort] = make(startup)
                path.write_bytes(made[sort])

    def prepare_copy(startup: Startup, database: Database, begin: Transactions) -> None:
        if isinstance(database.driver, SqliteDriver) and os.getpid() == here:
            fill(startup, database.driver.path)
        prepare(startup, database, begin)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Startup, "prepare", prepare_copy)
        yield
