"""Brings a database to the schema of this code: the migrations of :mod:`.ddl` that it lacks, and those of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, inspect, select
from sqlalchemy.exc import DBAPIError

from scim_gateway.errors import Unavailable

from .database import Session
from .ddl import DIRECTORY, FOUNDATIONS, Migration, MigrationSet
from .failures import DRIVER_ERRORS, meaning_of, number_of
from .portable import insert_if_absent
from .tables import schema_versions

_VERSIONS = select(schema_versions.c.package, func.max(schema_versions.c.number)).group_by(schema_versions.c.package)
FIRST_SQLITE_SCHEMA = (
    "CREATE TABLE scim_schema (number INTEGER PRIMARY KEY, title TEXT NOT NULL, applied TEXT NOT NULL)"
)
# A table, a column or a key that is there already, or gone already: the statement was run by one that did not get to
# note it.
_DONE_BEFORE = frozenset({1050, 1060, 1061, 1091})


def versions(session: Session) -> Mapping[str, int]:
    """The newest migration that was applied, by package; empty for a database without our tables."""
    inspector = inspect(session.connection)
    if not inspector.has_table(schema_versions.name):
        return {}
    if session.dialect == "sqlite" and "package" not in {
        column["name"] for column in inspector.get_columns(schema_versions.name)
    }:
        number = session.connection.exec_driver_sql("SELECT max(number) FROM scim_schema").scalar()
        return {DIRECTORY.package: int(number or 0)}
    return {str(package): int(number) for package, number in session.execute(_VERSIONS)}


def refuse_newer(found: Mapping[str, int], sets: Sequence[MigrationSet]) -> None:
    """Stop before this code writes into a schema that it does not know.

    :raises Unavailable: the database was made by a newer release.
    """
    for each in sets:
        version = found.get(each.package, 0)
        if version > each.current:
            raise Unavailable(
                f"The database has schema {version}, but this scim-gateway knows schemas up to {each.current}: "
                "start the newer release of scim-gateway that wrote it, or restore a backup from before the upgrade.",
                retry_after=60,
            )


def migrate(session: Session, sets: Sequence[MigrationSet]) -> None:
    """Apply what is missing, inside the caller's write transaction on SQLite: another process may have been first."""
    found = versions(session)
    refuse_newer(found, sets)
    if not found:
        session.connection.exec_driver_sql(FIRST_SQLITE_SCHEMA)
    applied = []
    for each in sets:
        for migration in each.migrations[found.get(each.package, 0) :]:
            for statement in migration.statements[session.dialect]:
                session.connection.exec_driver_sql(statement)
            applied.append(_row(each, migration))
    # Noted at the end, as the table of the versions has changed in between.
    if applied:
        session.execute(insert(schema_versions), applied)


def lay_foundations(session: Session) -> None:
    """Make the tables of a server by which processes take turns."""
    for statement in FOUNDATIONS[session.dialect]:
        _define(session, statement)


def migrate_step_by_step(session: Session, sets: Sequence[MigrationSet]) -> None:
    """Apply what is missing on a server, outside of any transaction, by the one process whose turn it is."""
    found = versions(session)
    refuse_newer(found, sets)
    for each in sets:
        for migration in each.migrations[found.get(each.package, 0) :]:
            for statement in migration.statements[session.dialect]:
                _define(session, statement)
            insert_if_absent(session, schema_versions, _row(each, migration))


def _define(session: Session, statement: str) -> None:
    try:
        session.connection.exec_driver_sql(statement)
    except DRIVER_ERRORS as error:
        if isinstance(error, DBAPIError) and number_of(error.orig) in _DONE_BEFORE:
            return
        raise meaning_of(error) from error


def _row(each: MigrationSet, migration: Migration) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"package": each.package, "number": migration.number, "title": migration.title, "applied": now}
