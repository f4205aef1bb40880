"""What ``scim-gateway check`` says about the database."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence

from sqlalchemy import func, select

from scim_gateway.backend import Finding
from scim_gateway.errors import ScimError
from scim_gateway.schema import ResourceTypes

from .database import Database, Session
from .ddl import MigrationSet
from .migrations import refuse_newer, versions
from .tables import resources

_READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def findings(
    database: Database, tenant: str, resource_types: ResourceTypes, sets: Sequence[MigrationSet]
) -> Iterator[Finding]:
    """A finding for each thing looked at; what cannot be opened is not looked at further."""
    path = database.path
    try:
        with database.operation(write=True) as session:
            found = versions(session)
            refuse_newer(found, sets)
            rows = list(_looked_at(session))
            known = (
                select(resources.c.kind, func.count()).where(resources.c.tenant == tenant).group_by(resources.c.kind)
            )
            counts: dict[str, int] = {str(kind): int(count) for kind, count in session.execute(known)}
    except ScimError as error:
        yield Finding("database", False, f"{path}: {error.detail}", "Put this right and run the check again.")
        return
    yield Finding("database", True, f"{path} can be read and written")
    for each in sets:
        version = found.get(each.package, 0)
        yield Finding("schema", version == each.current, f"version {version} of {each.current} ({each.package})")
    yield from rows
    mode = stat.S_IMODE(os.stat(path).st_mode)
    private = not mode & _READABLE_BY_OTHERS
    yield Finding("file mode", private, f"{mode:04o}", "" if private else f"Others may read it: chmod 600 {path}")
    for kind in resource_types:
        yield Finding("content", True, f"{counts.get(kind.name, 0)} {kind.name} resources")


def _looked_at(session: Session) -> Iterator[Finding]:
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
