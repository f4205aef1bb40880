"""What ``scim-gateway check`` says about the database."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import bindparam, func, select

from scim_gateway.backend import Finding
from scim_gateway.errors import ScimError, Unavailable
from scim_gateway.schema import ResourceTypes

from .database import Database, Session
from .ddl import MigrationSet
from .migrations import refuse_newer, versions
from .sqlite import SqliteDriver, owner_of
from .tables import resources

_READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_COUNTS = (
    select(resources.c.kind, func.count()).where(resources.c.tenant == bindparam("tenant_")).group_by(resources.c.kind)
)


def findings(
    database: Database, tenant: str, resource_types: ResourceTypes, sets: Sequence[MigrationSet]
) -> Iterator[Finding]:
    """A finding for each thing looked at; what cannot be opened is not looked at further."""
    of_kind = _file if isinstance(database.driver, SqliteDriver) else _server
    yield from of_kind(database, tenant, resource_types, sets)


def _file(
    database: Database, tenant: str, resource_types: ResourceTypes, sets: Sequence[MigrationSet]
) -> Iterator[Finding]:
    path = Path(database.driver.place)
    made = "was not there and was made; it " if database.driver.unmade() else ""
    try:
        with database.operation(write=True) as session:
            tables = list(_tables(session, sets))
            rows = list(_pragmas(session))
            contents = list(_contents(session, tenant, resource_types))
    except ScimError as error:
        said, _, remedy = error.detail.partition("; ")
        said = said if str(path) in said else f"{path}{owner_of(path)}: {said}"
        yield Finding("database", False, said, remedy)
        return
    yield Finding("database", True, f"{path} {made}can be read and written")
    yield from (*tables, *rows)
    mode = stat.S_IMODE(os.stat(path).st_mode)
    private = not mode & _READABLE_BY_OTHERS
    yield Finding("file mode", private, f"{mode:04o}", "" if private else f"Others may read it: chmod 600 {path}")
    yield from contents


def _server(
    database: Database, tenant: str, resource_types: ResourceTypes, sets: Sequence[MigrationSet]
) -> Iterator[Finding]:
    from .check_server import looked_at, privileges, trouble
    from .mysql import MysqlDriver

    driver = database.driver
    assert isinstance(driver, MysqlDriver)
    try:
        with database.operation(write=False) as session:
            found = [*looked_at(database, driver, session), *_tables(session, sets)]
            contents = list(_contents(session, tenant, resource_types))
        found.append(privileges(database, driver, tenant))
    except Unavailable as error:
        yield trouble(driver, error)
        return
    yield Finding("database", True, f"{driver.place} as {driver.address.user}")
    yield from (*found, *contents)


def _tables(session: Session, sets: Sequence[MigrationSet]) -> Iterator[Finding]:
    found = versions(session)
    refuse_newer(found, sets)
    for each in sets:
        version = found.get(each.package, 0)
        yield Finding("schema", version == each.current, f"version {version} of {each.current} ({each.package})")


def _contents(session: Session, tenant: str, resource_types: ResourceTypes) -> Iterator[Finding]:
    counts = {str(kind): int(count) for kind, count in session.execute(_COUNTS, {"tenant_": tenant})}
    for kind in resource_types:
        yield Finding("content", True, f"{counts.get(kind.name, 0)} {kind.name} resources")


def _pragmas(session: Session) -> Iterator[Finding]:
    def pragma(name: str) -> str:
        return str(session.connection.exec_driver_sql(f"PRAGMA {name}").scalar())

    journal = pragma("journal_mode")
    yield Finding(
        "durability",
        journal == "wal" and pragma("synchronous") == "2",
        f"journal {journal}, synchronous {pragma('synchronous')}",
        "" if journal == "wal" else "Put the database on a local disk: write-ahead logging does not work elsewhere.",
    )
    state = pragma("quick_check")
    remedy = "" if state == "ok" else "Stop the gateway, keep a copy of the file, and restore a backup."
    yield Finding("integrity", state == "ok", state, remedy)
