"""The SQL backend and a database server: which one the settings name, how it is spoken to, what is kept there."""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest
import scim_gateway_sql.database
import scim_gateway_sql.startup
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.address import driver_for
from scim_gateway_sql.ddl import DIRECTORY, FOUNDATIONS, Migration, MigrationSet
from scim_gateway_sql.lease import Lease
from scim_gateway_sql.mysql import MysqlDriver
from scim_gateway_sql.mysql_connection import ServerConnection
from scim_gateway_sql.tables import metadata
from servers.certificates import make_certificates
from servers.mariadb import PASSWORD, MariaDb
from servers.side_by_side import processes, together
from servers.statements import statements_sent

from scim_gateway.backend import Query
from scim_gateway.config import ConfigurationError
from scim_gateway.errors import NotFound, PayloadTooLarge, Unavailable, Uniqueness
from scim_gateway.ordering import Sort
from scim_gateway.schema import Attribute, AttributePath, ResourceType, ResourceTypes, Schema
from scim_gateway.testing import (
    DEVICE,
    assert_page,
    create,
    devices,
    get,
    group,
    people,
    resolved,
    sort,
    suite_resource_types,
    user,
)

TYPES = suite_resource_types()
USER = TYPES.by_name["User"]


@pytest.fixture
def backend(mariadb: str) -> Iterator[SqlBackend]:
    backend = SqlBackend.from_settings({"database_url": mariadb}, TYPES)
    yield backend
    backend.close()


def database_of(url: str) -> str:
    return url.rpartition("/")[2]


# Settings


@pytest.mark.parametrize(
    "url",
    [
        "mysql://gateway@db.example/scim",
        "mysql+pymysql://gateway@db.example/scim",
        "mariadb://gateway@db.example/scim",
        "singlestore://gateway@db.example/scim",
        "singlestoredb://gateway@db.example:3306/scim?charset=utf8mb4",
    ],
)
def test_a_server_is_named_by_any_of_its_schemes(url: str) -> None:
    driver = driver_for({"database_url": url, "database_password": "secret"})
    assert isinstance(driver, MysqlDriver)
    assert (driver.address.host, driver.address.port, driver.address.user) == ("db.example", 3306, "gateway")
    assert (driver.address.database, driver.address.password) == ("scim", "secret")
    assert driver.place == "scim at db.example:3306"
    assert "secret" not in repr(driver.address)


def test_a_password_in_the_url_may_hold_any_character() -> None:
    driver = driver_for({"database_url": "mysql://gateway:p%40ss%2Fword%3A@db.example/scim"})
    assert isinstance(driver, MysqlDriver)
    assert driver.address.password == "p@ss/word:"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"database_url": "mysql://:secret@host/db"}, "names no user"),
        ({"database_url": "mysql://user:secret@/db"}, "names no host"),
        ({"database_url": "mysql://user:secret@host"}, "names no database"),
        ({"database_url": "mysql://user:secret@host:port/db"}, "no database URL"),
        ({"database_url": "mysql://user:x@secret@host/db"}, "as %40"),
        ({"database_url": "mysql://user:x@secret/cret@host/db"}, "database_password_file"),
        ({"database_url": "mysql://user:x@secret/y?secret@host/db"}, "as %40"),
        ({"database_url": "mysql://secret@user@host/db"}, "as %40"),
        ({"database_url": "mysql+mysqldb://user:secret@host/db"}, "mysql+mysqldb is not supported"),
        ({"database_url": "mysql://user:secret@host/db?ssl_disabled=1"}, "only parameter is unix_socket"),
        ({"database_url": "mysql://user:secret@host/db?charset=latin1"}, "always utf8mb4"),
        ({"database_url": "mysql://user:secret@host/db", "database_password": "secret"}, "keep one"),
        ({"database_url": "mysql://user@host/db", "database_tls_ca": "/no/such/file"}, "No such file"),
        ({"database_url": "mysql://user@host/db", "database_tls_ca": __file__}, "no certificate in PEM"),
        (
            {"database_url": "mysql://user@host/db", "database_tls_ca": __file__, "database_tls": "off"},
            "database_tls is off; keep one",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line_without_the_url(
    settings: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        driver_for(settings)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_names_that_do_not_fit_into_a_key_are_refused() -> None:
    settings = {"database_url": "mysql://user@host/db", "tenant": "t" * 65}
    with pytest.raises(ConfigurationError, match="tenant has at most 64 bytes"):
        SqlBackend.from_settings(settings, TYPES)
    kind = ResourceType("T" * 129, "/Things", Schema("urn:example:thing", "Thing"))
    with pytest.raises(ConfigurationError, match="name of a resource type"):
        SqlBackend.from_settings({"database_url": "mysql://user@host/db"}, ResourceTypes((kind,)))


# TLS


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("mysql://user@db.example/scim", True),
        ("mysql://user@10.0.0.7/scim", True),
        ("mysql://user@127.0.0.1/scim", False),
        ("mysql://user@[::1]/scim", False),
        ("mysql://user@localhost/scim", False),
        ("mysql://user@/scim?unix_socket=/run/mysqld/mysqld.sock", False),
    ],
)
def test_tls_is_required_outside_of_this_machine(url: str, wanted: bool) -> None:
    driver = driver_for({"database_url": url})
    assert isinstance(driver, MysqlDriver)
    assert (driver.address.tls is not None) == wanted
    required = driver_for({"database_url": url, "database_tls": "required"})
    off = driver_for({"database_url": url, "database_tls": "off"})
    assert isinstance(required, MysqlDriver)
    assert isinstance(off, MysqlDriver)
    assert required.address.tls is not None
    assert required.address.tls.check_hostname
    assert required.address.tls.verify_mode is ssl.CERT_REQUIRED
    assert off.address.tls is None


def reached(settings: dict[str, str]) -> str:
    """The version of TLS by which a user is stored."""
    backend = SqlBackend.from_settings(settings, TYPES)
    try:
        create(backend, user("ada"))
        with backend.database.session() as session:
            row = session.connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Ssl_version'").one()
        return str(row[1])
    finally:
        backend.close()


def test_a_certificate_of_the_named_authority_is_taken(mariadb_server: MariaDb, mariadb: str) -> None:
    authority = str(mariadb_server.certificates.authority)
    assert reached({"database_url": mariadb, "database_tls_ca": authority}).startswith("TLSv1.")


def test_without_tls_nothing_is_encrypted(mariadb: str) -> None:
    assert reached({"database_url": mariadb}) == ""


def test_a_certificate_of_another_authority_is_refused(mariadb: str, tmp_path: Path) -> None:
    other = make_certificates(tmp_path / "tls")
    for settings in ({"database_tls_ca": str(other.authority)}, {"database_tls": "required"}):
        with pytest.raises(Unavailable, match=r"not to be trusted: .*certificate"):
            reached({"database_url": mariadb, **settings})


def test_a_certificate_for_another_host_is_refused(mariadb_server: MariaDb, mariadb: str) -> None:
    socket_file = mariadb_server.folder / "socket"
    url = f"mysql://admin:{PASSWORD}@db.example/{database_of(mariadb)}?unix_socket={socket_file}"
    settings = {"database_url": url, "database_tls_ca": str(mariadb_server.certificates.authority)}
    with pytest.raises(Unavailable, match=r"not to be trusted: .*db\.example"):
        reached(settings)


def greeting(capabilities: int) -> bytes:
    """The first packet of a server of MySQL's protocol (handshake 10)."""
    body = (
        b"\x0a10.11.0-MariaDB\0" + (7).to_bytes(4, "little") + b"saltsalt\0"
        + (capabilities & 0xFFFF).to_bytes(2, "little") + b"\x2d" + (2).to_bytes(2, "little")
        + (capabilities >> 16).to_bytes(2, "little") + bytes([21]) + bytes(10) + b"saltsaltsalt\0"
        + b"mysql_native_password\0"
    )  # fmt: skip
    return len(body).to_bytes(3, "little") + b"\0" + body


def test_a_server_that_offers_no_tls_is_told_nothing() -> None:
    """Somebody in between could say so to get at the password; older PyMySQL would go on."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(greeting(0x000FF7FF & ~0x0800))
                client.settimeout(5)
                heard.append(client.recv(4096))

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"mysql://user:{PASSWORD}@127.0.0.1:{listener.getsockname()[1]}/scim"
        with pytest.raises(Unavailable, match="offers no TLS"):
            reached({"database_url": url, "database_tls": "required"})
        thread.join(timeout=10)
    assert heard == [b""]


# What a session relies on


def test_every_connection_sets_what_it_relies_on(backend: SqlBackend) -> None:
    """The server of the tests has latin1, and could have anything else."""
    with backend.database.session() as session:
        found = {
            name: session.connection.exec_driver_sql(f"SELECT @@SESSION.{name}").scalar()
            for name in (
                "tx_isolation",
                "autocommit",
                "character_set_client",
                "character_set_connection",
                "sql_mode",
                "innodb_lock_wait_timeout",
                "lock_wait_timeout",
                "wait_timeout",
                "idle_write_transaction_timeout",
            )
        }
    assert found == {
        "tx_isolation": "READ-COMMITTED",
        "autocommit": 1,
        "character_set_client": "utf8mb4",
        "character_set_connection": "utf8mb4",
        "sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",
        "innodb_lock_wait_timeout": 4,
        "lock_wait_timeout": 4,
        "wait_timeout": 2100,
        "idle_write_transaction_timeout": 30,
    }


def test_bytes_are_sent_as_digits_and_are_no_text(backend: SqlBackend) -> None:
    """Or the server compares them by a collation, and sorts where it could follow the key."""
    with backend.database.operation(write=False), statements_sent() as sent:
        backend.references(["abc"])
    assert any("X'616263'" in each.sent for each in sent)


def test_rows_are_counted_that_were_changed(backend: SqlBackend) -> None:
    """As on SingleStore; SQLAlchemy would have the server count those that were found."""
    create(backend, user("ada"))
    with backend.database.operation(write=True) as session:
        assert session.connection.exec_driver_sql("UPDATE scim_resource SET revision = revision").rowcount == 0


def test_a_forked_child_opens_its_own_connections(backend: SqlBackend) -> None:
    create(backend, user("parent"))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            create(backend, user("child"))
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    create(backend, user("after"))
    with backend.operation(write=False):
        assert backend.handlers["User"].query(Query(USER, count=0)).total_results == 3


def test_no_connection_stays_in_a_transaction(backend: SqlBackend, mariadb_server: MariaDb, mariadb: str) -> None:
    create(backend, user("ada"))

    def fail() -> None:
        with backend.operation(write=True):
            backend.handlers["User"].create(user("bob"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(Uniqueness):
        create(backend, user("ada"))
    threads = f"SELECT id FROM information_schema.processlist WHERE db = '{database_of(mariadb)}'"
    open_now = f"SELECT count(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id IN ({threads})"
    assert mariadb_server.query(open_now) == [(0,)]


# What is stored


TEXTS = (
    "a",
    "a ",
    "a\0",
    "A",
    "\u00e4",
    "a\u0308",
    "\N{GRINNING FACE}",
    "\N{GRINNING FACE} ",
    "z",
    "\uffff",
    "\U0010ffff",
)


def test_texts_are_equal_and_in_order_by_their_bytes_as_on_sqlite(backend: SqlBackend, tmp_path: Path) -> None:
    lite = SqlBackend.from_settings({"data_dir": str(tmp_path)}, TYPES)
    device = TYPES.by_name["Device"]
    stored = [devices()[0] | {"serial": f"s{n}", "label": f"l{n}", "code": text} for n, text in enumerate(TEXTS)]
    stored = [each | {"id": f"id-{n}"} for n, each in enumerate(stored)]
    for each in stored:
        create(backend, each)
        create(lite, each)
    path = AttributePath(None, "code")
    for descending in (False, True):
        order: Sort = sort(device, path, descending)
        assert_page(backend, Query(device, None, order), stored)
        pages = [store.handlers["Device"].query(Query(device, None, order)) for store in (backend, lite)]
        assert [each["code"] for each in pages[0].resources] == [each["code"] for each in pages[1].resources]
    for text in TEXTS:
        for operator in ("eq", "gt", "le", "co", "sw", "ew"):
            assert_page(backend, Query(device, resolved(device, f"code {operator} {json.dumps(text)}")), stored)
    lite.close()


def test_an_id_with_a_blank_behind_it_is_another_id(backend: SqlBackend) -> None:
    """MySQL's collations, the binary ones as well, pad with blanks."""
    ada = user("ada")
    create(backend, ada)
    with backend.operation(write=False), pytest.raises(NotFound):
        backend.handlers["User"].get(f"{ada['id']} ")
    assert_page(backend, Query(USER, resolved(USER, f'id eq "{ada["id"]} "')), [ada])
    assert backend.references([f"{ada['id']} "]) == {}


@pytest.mark.parametrize("size", [70_000, 700_000])
def test_documents_are_as_long_as_they_are(backend: SqlBackend, size: int) -> None:
    ada = user("ada", displayName="\N{GRINNING FACE}'\"\\" * (size // 7), title="x" * size)
    create(backend, ada)
    assert get(backend, ada) == ada


def test_a_document_that_does_not_fit_into_a_packet_is_413_and_leaves_nothing(
    mariadb_server: MariaDb, mariadb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mariadb_server.query("SET GLOBAL max_allowed_packet = 1048576")
    try:
        backend = SqlBackend.from_settings({"database_url": mariadb}, TYPES)
        for large in (user("ada", title="x" * 530_000), user("ada", displayName="x" * 270_000)):
            with pytest.raises(PayloadTooLarge, match="max_allowed_packet"):
                create(backend, large)
        fits = user("ada", title="x" * 500_000)
        create(backend, fits)
        assert get(backend, fits) == fits
        # Even where the server has to say it.
        monkeypatch.setattr(backend.database.driver, "largest", lambda: None)
        with pytest.raises(PayloadTooLarge, match="max_allowed_packet"):
            create(backend, user("bob", title="x" * 530_000))
        assert_page(backend, Query(USER), [fits])
        backend.close()
    finally:
        mariadb_server.query("SET GLOBAL max_allowed_packet = DEFAULT")


def test_what_a_server_says_before_it_hangs_up_is_heard_though_the_statement_could_not_be_sent() -> None:
    """A server answers a statement that is too long while it is being sent, and takes no more of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    answer = b"\xff" + (1153).to_bytes(2, "little") + b"#08S01too large"
    server.sendall(len(answer).to_bytes(3, "little") + b"\x01" + answer)
    select.select([client], [], [], 10)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an orderly end
    server.close()
    connection: Any = ServerConnection(defer_connect=True)
    connection._sock, connection._rfile, connection._closed = client, client.makefile("rb"), False
    connection._current_timeout = None
    with pytest.raises(pymysql.MySQLError) as caught:
        connection._write_bytes(b"x" * 8_000_000)
    assert caught.value.args == (1153, "too large")
    assert not connection.open


def test_tenants_in_one_database_do_not_see_each_other(mariadb: str) -> None:
    red, blue = (SqlBackend.from_settings({"database_url": mariadb, "tenant": name}, TYPES) for name in ("red", "blue"))
    ada = user("ada")
    create(red, ada)
    assert_page(blue, Query(USER), [])
    assert blue.references([ada["id"]]) == {}
    assert red.cursor_key != blue.cursor_key
    create(blue, user("ada"))
    red.close()
    blue.close()


def test_nothing_of_a_deleted_resource_stays_in_any_table(
    backend: SqlBackend, mariadb_server: MariaDb, mariadb: str
) -> None:
    everyone = [*people(), *devices()]
    staff = group("staff", *everyone[:3])
    create(backend, *everyone, staff)
    for each in (staff, *everyone):
        with backend.operation(write=True):
            backend.handlers[each["meta"]["resourceType"]].delete(each)
    for table in ("scim_resource", "scim_identifier", "scim_member", "scim_value"):
        assert mariadb_server.query(f"SELECT count(*) FROM {table}", database_of(mariadb)) == [(0,)]


# Tables


def test_the_tables_made_are_the_tables_used(backend: SqlBackend, mariadb_server: MariaDb, mariadb: str) -> None:
    backend.references([])
    for name, table in metadata.tables.items():
        if not name.startswith("scim_"):
            continue
        columns = mariadb_server.query(f"SHOW COLUMNS FROM {name}", database_of(mariadb))
        assert [(column[0], column[2] == "NO") for column in columns] == [
            (column.name, not column.nullable) for column in table.columns
        ]
        keys = mariadb_server.query(f"SHOW INDEX FROM {name} WHERE Key_name = 'PRIMARY'", database_of(mariadb))
        assert [key[4] for key in keys] == [column.name for column in table.primary_key]


def _start_and_create(url: str, number: int) -> bytes:
    backend = SqlBackend.from_settings({"database_url": url}, TYPES)
    together()
    create(backend, user(f"user{number}"))
    key = backend.cursor_key
    backend.close()
    return key


def test_processes_that_start_at_once_on_an_empty_database_agree(mariadb: str) -> None:
    with processes(4) as pool:
        keys = set(pool.map(_start_and_create, [mariadb] * 4, range(4), timeout=60))
    assert len(keys) == 1
    backend = SqlBackend.from_settings({"database_url": mariadb}, TYPES)
    with backend.operation(write=False):
        assert backend.handlers["User"].query(Query(USER, count=0)).total_results == 4
    backend.close()


@pytest.mark.parametrize("done", range(len(DIRECTORY.migrations[0].statements["mysql"]) + 1))
def test_what_a_process_left_half_made_when_it_died_is_finished_by_the_next(
    mariadb_server: MariaDb, mariadb: str, done: int
) -> None:
    statements = [*FOUNDATIONS["mysql"], *DIRECTORY.migrations[0].statements["mysql"]]
    for statement in statements[: len(FOUNDATIONS["mysql"]) + done]:
        mariadb_server.query(statement, database_of(mariadb))
    backend = SqlBackend.from_settings({"database_url": mariadb}, TYPES)
    create(backend, user("ada"))
    versions = mariadb_server.query("SELECT package, number FROM scim_schema ORDER BY number", database_of(mariadb))
    assert versions == [(b"directory", number) for number in range(1, DIRECTORY.current + 1)]
    backend.close()


def test_a_process_waits_for_the_one_that_prepares_and_then_says_so(
    mariadb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = SqlBackend.from_settings({"database_url": mariadb}, TYPES)
    first.references([])
    lease = Lease(first.database, "", "schema", seconds=60)
    held = lease.acquire()
    assert held is not None
    second = SqlBackend.from_settings({"database_url": mariadb}, TYPES)
    create(second, user("there is nothing to prepare"))
    monkeypatch.setattr(scim_gateway_sql.startup, "WAIT_SECONDS", 0.3)
    newer = MigrationSet("notes", (Migration(1, "notes", {"mysql": ("CREATE TABLE note (a INT PRIMARY KEY)",)}),))
    third = SqlBackend.from_settings({"database_url": mariadb}, TYPES, migrations=(newer,))
    with pytest.raises(Unavailable, match="preparing the database"):
        create(third, user("ada"))
    assert lease.release(held)
    create(third, user("ada"))
    for backend in (first, second, third):
        backend.close()


def test_another_package_brings_its_own_tables_step_by_step(mariadb_server: MariaDb, mariadb: str) -> None:
    steps = {1: "CREATE TABLE IF NOT EXISTS note (a INT PRIMARY KEY)", 2: "ALTER TABLE note ADD COLUMN b INT"}
    sets = [
        MigrationSet("notes", tuple(Migration(n, f"step {n}", {"mysql": (steps[n],)}) for n in range(1, last + 1)))
        for last in (1, 2)
    ]
    for each in (sets[0], sets[1], sets[1]):
        backend = SqlBackend.from_settings({"database_url": mariadb}, TYPES, migrations=(each,))
        backend.references([])
        backend.close()
    columns = mariadb_server.query("SHOW COLUMNS FROM note", database_of(mariadb))
    assert [column[0] for column in columns] == ["a", "b"]
    # The process that added the column died before it could note it.
    mariadb_server.query("DELETE FROM scim_schema WHERE package = 'notes' AND number = 2", database_of(mariadb))
    backend = SqlBackend.from_settings({"database_url": mariadb}, TYPES, migrations=(sets[1],))
    backend.references([])
    older = SqlBackend.from_settings({"database_url": mariadb}, TYPES, migrations=(sets[0],))
    with pytest.raises(Unavailable, match="newer release"):
        older.references([])
    backend.close()
    older.close()


def test_a_new_schema_is_indexed_for_resources_that_were_there(mariadb: str) -> None:
    def of(note: Attribute) -> ResourceTypes:
        others = tuple(each for each in DEVICE.schema.attributes if each.name != "note")
        return ResourceTypes((replace(DEVICE, schema=Schema(DEVICE.schema.id, "Device", attributes=(*others, note))),))

    stored = devices()
    before = SqlBackend.from_settings({"database_url": mariadb}, of(Attribute("note", case_exact=True)))
    create(before, *stored)
    before.close()
    types = of(Attribute("note", uniqueness="server"))
    backend = SqlBackend.from_settings({"database_url": mariadb}, types)
    for text in ('note eq "x"', 'note ne "x"', "note pr", 'tags eq "b"', 'serial eq "S1"'):
        kind = types.by_name["Device"]
        assert_page(backend, Query(kind, resolved(kind, text)), stored)
    with pytest.raises(Uniqueness, match="note"):
        create(backend, devices()[2] | {"serial": "another"})
    backend.close()
