"""Numbered migrations: the hand-written statements that bring a database to the schema of this code.

A migration is never edited once it was released; a change is a new number. On SQLite all missing ones run in a single
``BEGIN IMMEDIATE`` transaction, so any number of processes may start on a new file at once: one of them does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, inspect, select

from scim_gateway.errors import Unavailable

from .tables import schema_versions


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: its number, what it is for, and its statements by the name of the dialect."""

    number: int
    title: str
    statements: Mapping[str, tuple[str, ...]]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        1,
        "resources, identifiers, memberships, values, tokens, settings",
        {
            "sqlite": (
                """
                CREATE TABLE scim_resource (
                    tenant TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, revision TEXT NOT NULL,
                    created TEXT NOT NULL, display TEXT, doc BLOB NOT NULL,
                    PRIMARY KEY (tenant, id)
                )
                """,
                "CREATE INDEX scim_resource_in_order ON scim_resource (tenant, kind, created, id)",
                """
                CREATE TABLE scim_identifier (
                    tenant TEXT NOT NULL, kind TEXT NOT NULL, attr TEXT NOT NULL, name_key BLOB NOT NULL,
                    resource_id TEXT NOT NULL,
                    PRIMARY KEY (tenant, kind, attr, name_key)
                ) WITHOUT ROWID
                """,
                "CREATE INDEX scim_identifier_of_resource ON scim_identifier (tenant, resource_id)",
                """
                CREATE TABLE scim_member (
                    tenant TEXT NOT NULL, group_id TEXT NOT NULL, member_id TEXT NOT NULL,
                    PRIMARY KEY (tenant, group_id, member_id)
                ) WITHOUT ROWID
                """,
                "CREATE INDEX scim_member_by_member ON scim_member (tenant, member_id, group_id)",
                """
                CREATE TABLE scim_value (
                    tenant TEXT NOT NULL, attr INTEGER NOT NULL, sortable BLOB NOT NULL, resource_id TEXT NOT NULL,
                    elem INTEGER NOT NULL,
                    PRIMARY KEY (tenant, attr, sortable, resource_id, elem)
                ) WITHOUT ROWID
                """,
                """
                CREATE TABLE scim_token (
                    tenant TEXT NOT NULL, id TEXT NOT NULL, label TEXT NOT NULL, digest BLOB NOT NULL,
                    scopes TEXT NOT NULL, created TEXT NOT NULL, expires TEXT, profile TEXT, last_used TEXT,
                    PRIMARY KEY (tenant, id)
                ) WITHOUT ROWID
                """,
                """
                CREATE TABLE scim_setting (
                    tenant TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL,
                    PRIMARY KEY (tenant, name)
                ) WITHOUT ROWID
                """,
                # The planner takes the sizes of a large directory for granted, instead of guessing without statistics
                # or changing its mind when they are gathered. Rows per distinct value of each leading column
                # (https://sqlite.org/fileformat2.html#stat1tab); ANALYZE makes the table and, at the end, reads it.
                "ANALYZE",
                """
                INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
                    ('scim_resource', 'sqlite_autoindex_scim_resource_1', '100000 100000 1'),
                    ('scim_resource', 'scim_resource_in_order', '100000 100000 50000 2 1'),
                    ('scim_identifier', 'scim_identifier', '100000 100000 50000 50000 1'),
                    ('scim_identifier', 'scim_identifier_of_resource', '100000 100000 1'),
                    ('scim_member', 'scim_member', '1000000 1000000 100 1'),
                    ('scim_member', 'scim_member_by_member', '1000000 1000000 10 1'),
                    ('scim_value', 'scim_value', '3000000 3000000 100000 10 1 1')
                """,
                "ANALYZE sqlite_schema",
            )
        },
    ),
)

CURRENT = MIGRATIONS[-1].number

_CREATE_VERSIONS = {
    "sqlite": "CREATE TABLE scim_schema (number INTEGER PRIMARY KEY, title TEXT NOT NULL, applied TEXT NOT NULL)",
}


def version_of(connection: Connection) -> int:
    """Number of the newest migration applied; 0 for a database without our tables."""
    if not inspect(connection).has_table(schema_versions.name):
        return 0
    return connection.execute(select(func.max(schema_versions.c.number))).scalar() or 0


def refuse_newer(version: int) -> None:
    """Stop before this code writes into a schema that it does not know.

    :raises Unavailable: the database was made by a newer release.
    """
    if version > CURRENT:
        raise Unavailable(
            f"The database has schema {version}, but this scim-gateway knows schemas up to {CURRENT}: "
            "start the newer release of scim-gateway that wrote it, or restore a backup from before the upgrade.",
            retry_after=60,
        )


def migrate(connection: Connection) -> None:
    """Apply what is missing, inside the caller's write transaction: another process may have been first."""
    version = version_of(connection)
    refuse_newer(version)
    dialect = connection.dialect.name
    if version == 0:
        connection.exec_driver_sql(_CREATE_VERSIONS[dialect])
    for migration in MIGRATIONS[version:]:
        for statement in migration.statements[dialect]:
            connection.exec_driver_sql(statement)
        row = {"number": migration.number, "title": migration.title, "applied": datetime.now(UTC).isoformat()}
        connection.execute(insert(schema_versions), row)
