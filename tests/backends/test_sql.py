"""The SQL backend passes the suite for backends, and keeps promises of its own."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import scim_gateway_sql.reading
import scim_gateway_sql.shared_commit
import scim_gateway_sql.sqlite
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.database import Session
from scim_gateway_sql.ddl import DIRECTORY
from scim_gateway_sql.tables import metadata
from servers.side_by_side import processes, together
from sql_directory import heard_from

from scim_gateway.abilities import ContainingHandler
from scim_gateway.backend import Query
from scim_gateway.config import ConfigurationError
from scim_gateway.errors import Unavailable, Uniqueness
from scim_gateway.ordering import position_of
from scim_gateway.schema import CORE_USER, Attribute, AttributePath, ResourceType, ResourceTypes, Schema
from scim_gateway.testing import (
    DEVICE,
    DEVICE_FILTERS,
    USER_FILTERS,
    BackendTests,
    assert_page,
    change_members,
    create,
    delete,
    devices,
    exchange_names,
    get,
    group,
    in_parallel,
    member_ids,
    people,
    resolved,
    sort,
    suite_resource_types,
    user,
)
from scim_gateway.tokens import new_token

TYPES = suite_resource_types()
USER = TYPES.by_name["User"]
GROUP = TYPES.by_name["Group"]


def open_backend(folder: Path, resource_types: ResourceTypes = TYPES, **settings: str) -> SqlBackend:
    return SqlBackend.from_settings({"data_dir": str(folder), **settings}, resource_types)


def file_of(folder: Path) -> Path:
    return folder / "scim-gateway.db"


def ruin(backend: SqlBackend, folder: Path) -> None:
    """Put something else where the database was."""
    backend.close()
    for file in folder.glob("scim-gateway.db-*"):
        file.unlink()
    file_of(folder).write_bytes(b"This is not a database. " * 400)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[SqlBackend]:
    backend = open_backend(tmp_path)
    yield backend
    backend.close()


class TestSqlBackend(BackendTests):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Callable[[], SqlBackend]]:
        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(open_backend(tmp_path, self.resource_types)))

    @pytest.fixture
    def backend(self, opened: Callable[[], SqlBackend]) -> SqlBackend:
        return opened()

    @pytest.fixture
    def another(self, opened: Callable[[], SqlBackend]) -> SqlBackend:
        return opened()

    @pytest.fixture
    def make_unreachable(self, backend: SqlBackend, tmp_path: Path) -> Callable[[], None]:
        return lambda: ruin(backend, tmp_path)

    def test_names_exchanged_in_one_operation_are_exchanged(self, backend: SqlBackend) -> None:
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)
        exchange_names(backend, ada, bob)
        assert [get(backend, each)["userName"] for each in (ada, bob)] == ["bob", "ada"]


# Settings and files


def test_nothing_is_opened_before_the_first_operation(tmp_path: Path) -> None:
    open_backend(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_only_the_owner_reads_the_files(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        backend = open_backend(tmp_path / "new")
        create(backend, user("ada"))
    finally:
        os.umask(old)
    files = list((tmp_path / "new").iterdir())
    assert {file.name for file in files} >= {"scim-gateway.db", "scim-gateway.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    backend.close()


def test_the_url_names_the_file(tmp_path: Path) -> None:
    backend = open_backend(tmp_path / "unused", database_url=f"sqlite:///{tmp_path}/other.db")
    create(backend, user("ada"))
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "unused").exists()
    backend.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no url", "sqlite:////path/to/file.db"),
        ("postgresql://user:secret@host/db", "postgresql is not supported"),
        ("sqlite://", "backend 'memory'"),
        ("sqlite:///:memory:", "backend 'memory'"),
    ],
)
def test_a_url_that_does_not_serve_is_refused_in_one_line(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        SqlBackend.from_settings({"database_url": url}, TYPES)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    first = open_backend(tmp_path)
    ada, staff = user("ada", displayName="Ada"), group("staff")
    create(first, ada, staff)
    change_members(first, staff["id"], add=[ada])
    _, token = new_token("okta")
    first.tokens.add(token)
    key = first.cursor_key
    first.close()
    second = open_backend(tmp_path)
    assert get(second, ada) == ada
    assert member_ids(second, staff["id"]) == {ada["id"]}
    assert second.tokens.find(token.id) == token
    assert second.cursor_key == key
    second.close()


def test_an_answered_write_is_on_the_disk(backend: SqlBackend) -> None:
    create(backend, user("ada"))
    with backend._database.operation(write=False) as session:
        pragmas = {
            name: session.connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000}


def test_what_is_kept_to_undo_one_write_among_others_is_written_to_no_file(backend: SqlBackend) -> None:
    with backend._database.operation(write=True) as session:
        assert session.connection.exec_driver_sql("PRAGMA temp_store").scalar() == 2


@pytest.mark.rfc("A-07")
def test_tenants_in_one_database_do_not_see_each_other(tmp_path: Path) -> None:
    red, blue = (open_backend(tmp_path, tenant=name) for name in ("red", "blue"))
    ada = user("ada", emails=[{"value": "ada@example.com"}])
    staff = group("staff", ada)
    create(red, ada, staff)
    _, token = new_token("red")
    red.tokens.add(token)
    for text in (None, 'userName eq "ada"', 'emails.value eq "ada@example.com"', "emails pr", "id pr"):
        assert_page(blue, Query(USER, None if text is None else resolved(USER, text)), [])
    assert_page(blue, Query(USER, None, sort(USER, AttributePath(None, "userName"))), [])
    assert blue.references([ada["id"]]) == {}
    groups = blue.handlers["Group"]
    assert isinstance(groups, ContainingHandler)
    assert groups.containing([ada["id"]]) == {}
    assert blue.tokens.find(token.id) is None
    assert not blue.tokens.revoke(token.id)
    assert red.cursor_key != blue.cursor_key
    create(blue, user("ada"))
    red.close()
    blue.close()


# Tables


def test_every_unique_key_begins_with_the_tenant(backend: SqlBackend, tmp_path: Path) -> None:
    """So that the tenant can be the shard key on SingleStore (every unique key has to contain it)."""
    backend.references([])
    with closing(sqlite3.connect(file_of(tmp_path))) as database:
        for table in metadata.tables:
            if table == "scim_schema":
                continue
            for _, index, unique, *_ in database.execute(f"PRAGMA index_list({table})").fetchall():
                if unique:
                    assert database.execute(f"PRAGMA index_info({index})").fetchone()[2] == "tenant"
            assert not database.execute(f"PRAGMA foreign_key_list({table})").fetchall()


def test_the_tables_made_are_the_tables_used(backend: SqlBackend, tmp_path: Path) -> None:
    backend.references([])
    with closing(sqlite3.connect(file_of(tmp_path))) as database:
        for name, table in metadata.tables.items():
            columns = database.execute(f"PRAGMA table_info({name})").fetchall()
            assert [(column[1], bool(column[3]) or bool(column[5])) for column in columns] == [
                (column.name, not column.nullable) for column in table.columns
            ]


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [each.number for each in DIRECTORY.migrations] == list(range(1, DIRECTORY.current + 1))


def test_a_newer_schema_is_refused_in_one_line(backend: SqlBackend, tmp_path: Path) -> None:
    create(backend, user("ada"))
    backend.close()
    with closing(sqlite3.connect(file_of(tmp_path), isolation_level=None)) as database:
        database.execute(
            "INSERT INTO scim_schema VALUES ('directory', ?, 'of the future', 'now')", (DIRECTORY.current + 1,)
        )
    newer = open_backend(tmp_path)
    with pytest.raises(Unavailable) as raised:
        create(newer, user("bob"))
    assert f"has schema {DIRECTORY.current + 1}" in raised.value.detail
    assert "newer release" in raised.value.detail
    assert "\n" not in raised.value.detail
    (finding,) = newer.check()
    assert not finding.ok
    assert "newer release" in finding.message


# Processes


def _start_and_create(folder: Path, number: int) -> bytes:
    backend = open_backend(folder)
    together()
    create(backend, user(f"user{number}"))
    key = backend.cursor_key
    backend.close()
    return key


def test_processes_that_start_at_once_on_a_new_file_agree(tmp_path: Path) -> None:
    with processes(4) as pool:
        keys = set(pool.map(_start_and_create, [tmp_path] * 4, range(4), timeout=60))
    assert len(keys) == 1
    backend = open_backend(tmp_path)
    with backend.operation(write=False):
        assert backend.handlers["User"].query(Query(USER, count=0)).total_results == 4
    backend.close()


def test_a_forked_child_opens_its_own_connections(backend: SqlBackend) -> None:
    create(backend, user("parent"))
    inherited = backend._database.connections.engine
    child = os.fork()
    if child == 0:
        status = 1
        try:
            create(backend, user("child"))
            status = 0 if backend._database.connections.engine is not inherited else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    create(backend, user("after"))
    with backend.operation(write=False):
        assert backend.handlers["User"].query(Query(USER, count=0)).total_results == 3


def test_another_process_sees_a_write_at_once(backend: SqlBackend, tmp_path: Path) -> None:
    other = open_backend(tmp_path)
    ada = user("ada")
    assert_page(other, Query(USER), [])
    create(backend, ada)
    assert_page(other, Query(USER), [ada])
    with pytest.raises(Uniqueness):
        create(other, user("ADA"))
    other.close()


# Operations


def test_readers_do_not_wait_for_a_writer(backend: SqlBackend) -> None:
    ada = user("ada")
    create(backend, ada)
    with backend.operation(write=True):
        backend.handlers["User"].create(user("bob"))
        assert in_parallel([lambda: get(backend, ada)]) == [ada]


def test_an_operation_reads_one_state_from_begin_to_end(backend: SqlBackend) -> None:
    with backend.operation(write=False):
        users = backend.handlers["User"]
        assert users.query(Query(USER, count=0)).total_results == 0
        assert in_parallel([lambda: create(backend, user("ada"))]) == [None]
        assert users.query(Query(USER, count=0)).total_results == 0
    assert users.query(Query(USER, count=0)).total_results == 1


def test_a_read_joins_the_operation_around_it_and_a_write_does_not(backend: SqlBackend) -> None:
    with backend.operation(write=True):
        backend.handlers["User"].create(user("ada"))
        with backend.operation(write=False):
            assert backend.handlers["User"].query(Query(USER, count=0)).total_results == 1
        with pytest.raises(RuntimeError, match="inside another operation"), backend.operation(write=True):
            pass
    with backend.operation(write=False), pytest.raises(RuntimeError, match="write=True"):
        backend.handlers["User"].create(user("bob"))


# A database in trouble


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scim_gateway_sql.shared_commit, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(scim_gateway_sql.sqlite, "BUSY_SECONDS", 0.1)


def test_a_database_that_stays_locked_is_unavailable(impatient: None, tmp_path: Path) -> None:
    backend = open_backend(tmp_path)
    ada = user("ada")
    create(backend, ada)
    blocker = sqlite3.connect(file_of(tmp_path), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="busy") as raised:
        create(backend, user("bob"))
    assert raised.value.headers["Retry-After"] == "1"
    assert get(backend, ada) == ada
    blocker.execute("ROLLBACK")
    blocker.close()
    create(backend, user("bob"))
    backend.close()


def test_a_writer_that_waits_too_long_for_other_threads_is_unavailable(impatient: None, tmp_path: Path) -> None:
    backend = open_backend(tmp_path)
    create(backend, user("ada"))
    with backend.operation(write=True):
        (result,) = in_parallel([lambda: create(backend, user("bob"))])
    assert isinstance(result, Unavailable)
    create(backend, user("bob"))
    backend.close()


@pytest.mark.parametrize(
    ("pragma", "undo", "said"),
    [
        ("max_page_count = 1", "max_page_count = 1073741823", "disk that holds the database is full"),
        ("query_only = 1", "query_only = 0", "cannot be written"),
    ],
)
def test_a_full_or_read_only_database_takes_nothing_and_recovers(
    backend: SqlBackend, pragma: str, undo: str, said: str
) -> None:
    ada = user("ada")
    create(backend, ada)

    def on_connection(text: str) -> None:
        with backend._database.operation(write=False) as session:
            session.connection.exec_driver_sql(f"PRAGMA {text}")

    on_connection(pragma)
    many = [user(f"u{number}", displayName="x" * 3000) for number in range(20)]

    def write() -> None:
        with backend.operation(write=True):
            for each in many:
                backend.handlers["User"].create(each)

    with pytest.raises(Unavailable, match=said):
        write()
    assert_page(backend, Query(USER), [ada])
    on_connection(undo)
    write()
    with backend.operation(write=False):
        assert backend.handlers["User"].query(Query(USER, count=0)).total_results == 21


def test_a_folder_that_cannot_be_made_is_unavailable_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    backend = open_backend(tmp_path / "file" / "below")
    with pytest.raises(Unavailable, match="cannot be made"):
        create(backend, user("ada"))
    (finding,) = backend.check()
    assert not finding.ok
    assert finding.remedy


def test_errors_carry_no_sql_and_no_values(backend: SqlBackend, tmp_path: Path) -> None:
    create(backend, user("ada"))
    ruin(backend, tmp_path)
    with pytest.raises(Unavailable) as raised:
        create(backend, user("secret-name"))
    for leak in ("secret-name", "INSERT", "sqlalchemy", "Background"):
        assert leak not in raised.value.detail


def test_the_check_names_what_is_wrong_and_the_remedy(backend: SqlBackend, tmp_path: Path) -> None:
    create(backend, user("ada"))
    assert {finding.subject for finding in backend.check()} >= {"database", "schema", "durability", "integrity"}
    file_of(tmp_path).chmod(0o644)
    wrong = [finding for finding in backend.check() if not finding.ok]
    assert [finding.subject for finding in wrong] == ["file mode"]
    assert "chmod 600" in wrong[0].remedy
    ruin(backend, tmp_path)
    (finding,) = backend.check()
    assert not finding.ok
    assert "not a SQLite database" in finding.message


# The index


def test_a_new_schema_is_indexed_for_resources_that_were_there(tmp_path: Path) -> None:
    def of(note: Attribute) -> ResourceTypes:
        others = tuple(each for each in DEVICE.schema.attributes if each.name != "note")
        schema = Schema(DEVICE.schema.id, "Device", attributes=(*others, note))
        return ResourceTypes((replace(DEVICE, schema=schema, display=("note",)),))

    before = open_backend(tmp_path)
    stored = devices()
    create(before, *stored)
    before.close()
    for note in (Attribute("note", case_exact=True), Attribute("note"), Attribute("note", uniqueness="server")):
        types = of(note)
        kind: ResourceType = types.by_name["Device"]
        backend = open_backend(tmp_path, types)
        for text in ('note eq "x"', 'note eq "X"', 'note ne "x"', "note pr", 'tags eq "b"', 'serial eq "S1"'):
            assert_page(backend, Query(kind, resolved(kind, text)), stored)
        assert backend.references([stored[2]["id"]])[stored[2]["id"]].display == "X"
        backend.close()
    other = devices()[2] | {"serial": "another"}
    backend = open_backend(tmp_path, of(Attribute("note", uniqueness="server")))
    with pytest.raises(Uniqueness, match="note"):
        create(backend, other)
    backend.close()


@pytest.fixture
def documents(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The documents that handlers read."""
    read: list[bytes] = []
    loads = scim_gateway_sql.reading.orjson.loads

    class Spy:
        @staticmethod
        def loads(doc: bytes) -> Any:
            read.append(doc)
            return loads(doc)

    monkeypatch.setattr(scim_gateway_sql.reading, "orjson", Spy)
    return read


LEFT_TO_THE_CORE = {
    # A virtual or unindexed attribute, an element by what it lacks, a number that integers or doubles cannot hold.
    "emails[primary eq false]",
    "emails.primary eq false",
    'meta.resourceType eq "User"',
    'photo eq "AAEC"',
    'photo sw "AA"',
    "photo pr",
    "weight eq 1000000000000000000",
    "weight gt 1000000000000000000",
    "weight lt 1000000000000000001",
    "slots gt 1.5",
    # Beside the value that the search starts from, only whole values are looked up.
    'ports[value eq "eth0" and (type eq "wan" or speed lt 1000)]',
}


# Operands that are too long for the index are compared in test_sql_oracle.py.
PUSHED_DOWN = [
    text for text in (*USER_FILTERS, *DEVICE_FILTERS) if text not in LEFT_TO_THE_CORE and "x" * 1000 not in text.lower()
]


def answered(backend: SqlBackend, text: str, count: int) -> int:
    """How many resources the page of a filter holds, of people without texts that the index cuts, and of devices."""
    create(backend, *(each for each in people() if len(str(each)) < 1500), *devices())
    kind = USER if text in USER_FILTERS else DEVICE
    with backend.operation(write=False):
        return len(backend.handlers[kind.name].query(Query(kind, resolved(kind, text), count=count)).resources)


@pytest.mark.parametrize("text", PUSHED_DOWN)
def test_sql_reads_no_document_that_is_not_on_the_page(backend: SqlBackend, documents: list[bytes], text: str) -> None:
    assert answered(backend, text, 100) == len(documents)


@pytest.mark.parametrize("text", sorted(LEFT_TO_THE_CORE))
def test_what_sql_cannot_tell_is_left_to_the_core(backend: SqlBackend, documents: list[bytes], text: str) -> None:
    assert answered(backend, text, 1) < len(documents)


@pytest.mark.parametrize("descending", [False, True])
def test_sql_cuts_sorted_pages_and_follows_positions(
    backend: SqlBackend, documents: list[bytes], descending: bool
) -> None:
    create(backend, *(each for each in people() if len(str(each)) < 1500))
    order = sort(USER, AttributePath(None, "displayName"), descending)
    with backend.operation(write=False):
        users = backend.handlers["User"]
        first = users.query(Query(USER, None, order, count=3)).resources
        users.query(Query(USER, resolved(USER, "displayName pr"), order, count=2, after=position_of(first[-1], order)))
    assert len(documents) == 5


def test_memberships_are_read_only_where_they_are_needed(backend: SqlBackend) -> None:
    ada = user("ada")
    staff = group("staff", ada)
    create(backend, ada, staff)
    statements = heard_from(backend)
    hidden = frozenset({"members"})
    groups = backend.handlers["Group"]
    with backend.operation(write=False):
        groups.get(staff["id"], without=hidden)
        groups.query(Query(GROUP, without=hidden))
        groups.query(Query(GROUP, resolved(GROUP, 'displayName eq "staff"'), without=hidden))
        groups.query(Query(GROUP, resolved(GROUP, 'meta.resourceType co "r"'), without=hidden))
    assert not any("scim_member" in statement for statement in statements)
    with backend.operation(write=False):
        assert groups.query(Query(GROUP)).resources[0]["members"]
    assert any("scim_member" in statement for statement in statements)


@pytest.mark.rfc("X-03", "O-23")
def test_nothing_of_a_deleted_resource_stays_in_any_table(backend: SqlBackend, tmp_path: Path) -> None:
    everyone = [*people(), *devices()]
    staff = group("staff", everyone[0])
    create(backend, *everyone, staff)
    for each in (staff, *everyone):
        delete(backend, each)
    with closing(sqlite3.connect(file_of(tmp_path))) as database:
        for table in ("scim_resource", "scim_identifier", "scim_member", "scim_value"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_refused_create_says_which_of_several_unique_values_is_taken(backend: SqlBackend) -> None:
    create(backend, {**devices()[0], "label": "One"})
    with pytest.raises(Uniqueness, match="label"):
        create(backend, {**devices()[2], "serial": "other", "label": "ONE"})
    assert CORE_USER in user("ada")["schemas"]


# Connections


def cache_of(session: Session) -> int:
    """KiB of its cache of pages."""
    return -int(session.run("PRAGMA cache_size", ()).fetchone()[0])


def in_use_at_once(backend: SqlBackend, *more: Callable[[], None]) -> None:
    """Each of the functions while the operation of the one before goes on in another thread."""
    first, *others = more
    with backend.operation(write=False):
        first()
        if others:
            in_parallel([lambda: in_use_at_once(backend, *others)])


def test_the_connection_with_the_large_cache_is_used_before_all_others(backend: SqlBackend) -> None:
    caches: list[int] = []

    def note() -> None:
        with backend.database.session() as session:
            caches.append(cache_of(session))

    for _ in range(2):
        in_use_at_once(backend, note, note, note)
    assert caches[0] > caches[1] > caches[2]
    assert caches[3:] == caches[:3]
    # Whichever was given back last: three are idle now, and each time the same one is taken.
    for _ in range(3):
        note()
    assert caches[6:] == [caches[0]] * 3


def test_a_connection_is_ranked_anew_after_the_database_was_closed(backend: SqlBackend) -> None:
    caches: list[int] = []
    for _ in range(2):
        with backend.database.operation(write=False) as session:
            caches.append(cache_of(session))
        backend.close()
    assert caches[0] == caches[1] > 4_000


def test_a_connection_that_is_given_back_after_the_database_was_closed_is_one_of_several(backend: SqlBackend) -> None:
    with backend.operation(write=False):
        backend.close()
        in_parallel([lambda: create(backend, user("ada"))])
    create(backend, user("bob"))
    with backend.operation(write=False):
        assert backend.handlers["User"].query(Query(USER, count=0)).total_results == 2
