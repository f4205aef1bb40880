"""Old databases become new ones, and other packages bring tables of their own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.ddl import DIRECTORY, Migration, MigrationSet
from scim_gateway_sql.migrations import FIRST_SQLITE_SCHEMA

from scim_gateway.errors import Unavailable
from scim_gateway.testing import create, get, suite_resource_types, user
from scim_gateway.tokens import new_token

TYPES = suite_resource_types()


def open_backend(folder: Path, *sets: MigrationSet) -> SqlBackend:
    return SqlBackend.from_settings({"data_dir": str(folder)}, TYPES, migrations=sets)


def rows(folder: Path, statement: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(folder / "scim-gateway.db")
    found = database.execute(statement).fetchall()
    database.close()
    return found


def notes(*numbers: int, package: str = "notes") -> MigrationSet:
    statements = {1: "CREATE TABLE note (tenant TEXT, text TEXT)", 2: "ALTER TABLE note ADD COLUMN author TEXT"}
    return MigrationSet(
        package, tuple(Migration(number, f"step {number}", {"sqlite": (statements[number],)}) for number in numbers)
    )


def test_a_database_of_the_first_schema_is_brought_up_to_date_with_what_it_holds(tmp_path: Path) -> None:
    first = DIRECTORY.migrations[0]
    database = sqlite3.connect(tmp_path / "scim-gateway.db", isolation_level=None)
    for statement in (FIRST_SQLITE_SCHEMA, *first.statements["sqlite"]):
        database.execute(statement)
    database.execute("INSERT INTO scim_schema VALUES (1, ?, '2026-01-01T00:00:00+00:00')", (first.title,))
    database.execute(
        "INSERT INTO scim_token VALUES ('default', 'abc', 'okta', x'00', 'read write', '2026-01-01T00:00:00+00:00',"
        " NULL, 'okta', NULL)"
    )
    database.execute("INSERT INTO scim_setting VALUES ('default', 'cursor key', zeroblob(32))")
    database.close()
    backend = open_backend(tmp_path)
    token = backend.tokens.find("abc")
    assert token is not None
    assert (token.name, token.profile) == ("okta", "okta")
    assert backend.cursor_key == bytes(32)
    backend.close()
    assert rows(tmp_path, "SELECT package, number FROM scim_schema ORDER BY number") == [
        ("directory", number) for number in range(1, DIRECTORY.current + 1)
    ]
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]


def test_an_old_and_a_new_database_have_the_same_tables(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    first = DIRECTORY.migrations[0]
    database = sqlite3.connect(tmp_path / "old" / "scim-gateway.db", isolation_level=None)
    for statement in (FIRST_SQLITE_SCHEMA, *first.statements["sqlite"]):
        database.execute(statement)
    database.execute("INSERT INTO scim_schema VALUES (1, 'first', 'then')")
    database.close()
    for folder in ("old", "new"):
        backend = open_backend(tmp_path / folder)
        ada = user("ada")
        create(backend, ada)
        assert get(backend, ada) == ada
        backend.close()
    tables = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
    assert rows(tmp_path / "old", tables) == rows(tmp_path / "new", tables)


def test_another_package_brings_its_own_tables(tmp_path: Path) -> None:
    backend = open_backend(tmp_path, notes(1))
    backend.references([])
    backend.close()
    assert rows(tmp_path, "SELECT number, title FROM scim_schema WHERE package = 'notes'") == [(1, "step 1")]
    backend = open_backend(tmp_path, notes(1, 2))
    backend.references([])
    assert [each.message for each in backend.check() if each.subject == "schema"] == [
        f"version {DIRECTORY.current} of {DIRECTORY.current} (directory)",
        "version 2 of 2 (notes)",
    ]
    backend.close()
    assert [row[1] for row in rows(tmp_path, "PRAGMA table_info(note)")] == ["tenant", "text", "author"]


def test_a_newer_schema_of_another_package_is_refused(tmp_path: Path) -> None:
    newer = open_backend(tmp_path, notes(1, 2))
    newer.references([])
    newer.close()
    older = open_backend(tmp_path, notes(1))
    with pytest.raises(Unavailable, match="newer release"):
        older.references([])
    without = open_backend(tmp_path)
    _, token = new_token("of a gateway without that package")
    without.tokens.add(token)
    without.close()


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    broken = MigrationSet("notes", (*notes(1).migrations, Migration(2, "broken", {"sqlite": ("CREATE NONSENSE",)})))
    backend = open_backend(tmp_path, broken)
    with pytest.raises(Exception, match="NONSENSE"):
        backend.references([])
    backend.close()
    assert rows(tmp_path, "SELECT name FROM sqlite_schema") == []
