"""Old databases become new ones, and other packages bring tables of their own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from core_client import Core
from scim_gateway_sql import SqlBackend, pages
from scim_gateway_sql.ddl import DIRECTORY, Migration, MigrationSet
from scim_gateway_sql.migrations import FIRST_SQLITE_SCHEMA

from scim_gateway.bench import people
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


def as_of(version: int, old: Path, new: Path) -> None:
    """A directory as a release with an earlier schema has left it, with what is in one of today."""
    database = sqlite3.connect(old / "scim-gateway.db", isolation_level=None)
    for statement in (
        FIRST_SQLITE_SCHEMA,
        *(each for m in DIRECTORY.migrations[:version] for each in m.statements["sqlite"]),
    ):
        database.execute(statement)
    database.execute("ATTACH ? AS new", (str(new / "scim-gateway.db"),))
    for table in ("scim_resource", "scim_identifier", "scim_member", "scim_value", "scim_setting"):
        database.execute(f"DELETE FROM main.{table}")
        database.execute(f"INSERT INTO main.{table} SELECT * FROM new.{table}")
    database.execute("INSERT INTO main.scim_schema SELECT * FROM new.scim_schema WHERE number <= ?", (version,))
    database.close()


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("stranger", [False, True], ids=["ids tell when", "an id does not tell when"])
def test_resources_of_an_earlier_schema_are_found_and_changed_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, stranger: bool
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    backend = open_backend(new)
    core = Core(backend)
    everybody = [core.json("POST", "/Users", {**people.user(n), "title": f"Count {n}"}, expect=201) for n in range(5)]
    core.json("POST", "/Groups", people.group("staff", [each["id"] for each in everybody]), expect=201)
    if stranger:
        first = user("stranger", title="Count of old")
        first["meta"]["created"] = "2001-01-01T00:00:00.000Z"
        create(backend, first)
        everybody.insert(0, first)
    backend.close()
    as_of(version, old, new)

    monkeypatch.setattr(pages, "FEW", 2)
    backend = open_backend(old)
    core = Core(backend)

    def found(text: str) -> list[str]:
        page = core.json("GET", "/Users", filter=text)
        assert len(page["Resources"]) == page["totalResults"]
        return [each["userName"] for each in page["Resources"]]

    names = [each["userName"] for each in everybody]
    assert found('title co "count"') == found('title co "count" and userName pr') == names
    assert [each["userName"] for each in core.json("GET", "/Users", startIndex=2)["Resources"]] == names[1:]
    *_, ada = everybody
    assert core.json("GET", f"/Users/{ada['id']}")["groups"][0]["display"] == "staff"
    core.json("PUT", f"/Users/{ada['id']}", {**people.user(4), "title": "Programmer"})
    assert found('title co "count"') == names[:-1]
    assert found('title co "gram"') == names[-1:]
    backend.close()
    assert rows(old, "PRAGMA integrity_check") == [("ok",)]


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
