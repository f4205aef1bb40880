"""Statements that MariaDB keeps for a connection: they find what the whole text finds, and nothing depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.address import driver_for
from scim_gateway_sql.filter_statements import _BY_IDENTIFIER_WITH_HOLDERS
from scim_gateway_sql.mysql import MysqlDriver
from scim_gateway_sql.mysql_connection import KNOWN, OFTEN, PREPARED, ServerConnection
from scim_gateway_sql.prepared import Prepared
from scim_gateway_sql.reading import _GET_WITH_HOLDERS
from servers.mariadb import MariaDb

from scim_gateway.testing import create, group, suite_resource_types, user

ROWS = "SELECT id, text FROM kept WHERE id > %s AND text <> %s ORDER BY id LIMIT %s"


def another(url: str) -> ServerConnection:
    driver = driver_for({"database_url": url, "database_tls": "off"})
    assert isinstance(driver, MysqlDriver)
    return driver.connect()


@pytest.fixture
def connection(mariadb: str) -> Iterator[ServerConnection]:
    connection = another(mariadb)
    connection.query("CREATE TABLE kept (id INT PRIMARY KEY, text VARCHAR(20))")
    connection.query("INSERT INTO kept VALUES (1, 'a'), (2, 'o''b\\\\'), (3, 'ä'), (4, NULL)")
    yield connection
    if connection.open:
        connection.close()


def count(connection: ServerConnection, name: str) -> int:
    """A counter of the server's for this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE %s", (name,))
        return sum(int(value) for _, value in cursor.fetchall())


def select(connection: ServerConnection, *parameters: Any, sql: str = ROWS, times: int = 1) -> list[tuple[Any, ...]]:
    for _ in range(times):
        found = list(connection.select(sql, parameters, None))
    return found


def name_of(connection: ServerConnection, sql: str) -> str:
    """The name under which the server keeps a statement."""
    word, name = connection._known[sql].text.split()[:2]
    assert word == "EXECUTE"
    return name


def test_a_statement_that_is_sent_often_is_kept_and_finds_the_same(connection: ServerConnection) -> None:
    for number in range(3 * OFTEN):
        after, without = number % 4, ("o'b\\", "ä", "%s", "?")[number % 3]
        with connection.cursor() as cursor:
            cursor.execute(ROWS, (after, without, 3))
            assert select(connection, after, without, 3) == list(cursor.fetchall())
    assert count(connection, "Com_prepare_sql") == 1
    assert count(connection, "Com_execute_sql") == 2 * OFTEN + 1


def test_values_of_every_kind_are_told_to_a_kept_statement(connection: ServerConnection) -> None:
    sql = "SELECT %s, %s, %s, %s, HEX(%s)"
    values = (7, "o'ä\\", None, b"\0'\xff", b"\0'\xff")
    found = [select(connection, *values, sql=sql) for _ in range(OFTEN + 1)]
    assert count(connection, "Com_execute_sql") == 2
    assert [row for (row,) in found] == [(7, "o'ä\\", None, b"\0'\xff", "0027FF")] * len(found)


def test_a_statement_that_the_server_has_forgotten_is_sent_as_a_whole(connection: ServerConnection) -> None:
    expected = select(connection, 0, "a", 9, times=OFTEN)
    connection.query(f"DEALLOCATE PREPARE {name_of(connection, ROWS)}")
    assert select(connection, 0, "a", 9, times=2 * OFTEN) == expected
    assert count(connection, "Com_prepare_sql") == 1


def test_what_another_gateway_keeps_in_the_same_session_is_not_taken_for_our_own(
    connection: ServerConnection, mariadb: str
) -> None:
    """Something that stands in between may give both the same session."""
    ours, theirs = "SELECT id FROM kept WHERE id = %s", "SELECT id FROM kept WHERE id <> %s"
    assert select(connection, 1, sql=ours, times=OFTEN) == [(1,)]
    other = another(mariadb)
    for sql in (theirs, ours):
        select(other, 1, sql=sql, times=OFTEN)
        connection.query(f"PREPARE {name_of(other, sql)} FROM '{sql.replace('%s', '?')}'")
    other.close()
    assert select(connection, 1, sql=ours) == [(1,)]
    assert count(connection, "Com_execute_sql") == 2


def test_nothing_is_kept_beyond_a_connection(connection: ServerConnection) -> None:
    expected = select(connection, 0, "a", 9, times=OFTEN)
    connection.close()
    connection.connect()
    assert select(connection, 0, "a", 9, times=OFTEN) == expected
    assert count(connection, "Com_prepare_sql") == count(connection, "Com_execute_sql") == 1


def test_a_table_may_change_under_a_kept_statement(connection: ServerConnection) -> None:
    sql = "SELECT * FROM kept WHERE id = %s"
    assert select(connection, 3, sql=sql, times=OFTEN) == [(3, "ä")]
    connection.query("ALTER TABLE kept ADD COLUMN more INT DEFAULT 5")
    assert select(connection, 3, sql=sql, times=2) == [(3, "ä", 5)]
    connection.query("DROP TABLE kept")
    with pytest.raises(pymysql.ProgrammingError) as caught:
        select(connection, 3, sql=sql)
    assert caught.value.args[0] == 1146
    assert select(connection, sql="SELECT 1") == [(1,)]


def test_a_server_that_keeps_no_more_statements_is_sent_them_as_a_whole(
    connection: ServerConnection, mariadb_server: MariaDb
) -> None:
    mariadb_server.query("SET GLOBAL max_prepared_stmt_count = 0")
    try:
        expected = select(connection, 0, "a", 9)
        assert select(connection, 0, "a", 9, times=2 * OFTEN) == expected
        assert count(connection, "Com_execute_sql") == 0
    finally:
        mariadb_server.query("SET GLOBAL max_prepared_stmt_count = DEFAULT")


def test_a_connection_keeps_so_many_statements_and_no_more(connection: ServerConnection) -> None:
    for number in range(PREPARED + 5):
        assert select(connection, number, sql=f"SELECT %s + {number}", times=OFTEN + 1) == [(2 * number,)]
    assert count(connection, "Com_prepare_sql") == PREPARED


def test_what_is_sent_often_stays_kept_however_many_others_are_sent_between(connection: ServerConnection) -> None:
    expected = select(connection, 0, "a", 9, times=OFTEN)
    kept = name_of(connection, ROWS)
    for number in range(2 * KNOWN):
        select(connection, sql=f"SELECT {number}")
    assert len(connection._known) <= KNOWN
    assert select(connection, 0, "a", 9) == expected
    assert name_of(connection, ROWS) == kept
    assert count(connection, "Com_prepare_sql") == 1


def test_a_server_that_takes_variables_alone_keeps_nothing(connection: ServerConnection) -> None:
    """As MySQL does, and SingleStore, of which nobody has tried it."""
    connection.prepares = False
    select(connection, 0, "a", 9, times=2 * OFTEN)
    assert count(connection, "Com_prepare_sql") == 0


def test_a_connection_that_is_lost_while_a_statement_is_to_be_kept_is_told_as_lost(
    connection: ServerConnection, mariadb_server: MariaDb
) -> None:
    select(connection, 0, "a", 9, times=OFTEN - 1)
    mariadb_server.query(f"KILL {connection.thread_id()}")
    with pytest.raises(pymysql.OperationalError):
        select(connection, 0, "a", 9)
    assert not connection.open


@pytest.mark.parametrize(
    ("statement", "found_by"),
    [(_GET_WITH_HOLDERS, {}), (_BY_IDENTIFIER_WITH_HOLDERS, {"attr_": "userName", "name_key_": b"user 7"})],
)
def test_a_kept_look_up_reads_no_more_rows_than_one_sent_as_a_whole(
    mariadb: str, statement: Prepared, found_by: dict[str, Any]
) -> None:
    backend = SqlBackend.from_settings({"database_url": mariadb}, suite_resource_types())
    everybody = [user(f"user {number}") for number in range(60)]
    create(backend, *everybody, group("one", *everybody), group("two", *everybody[:30]))
    at = {"tenant_": backend.tenant, "kind_": "User", "id_": everybody[7]["id"], **found_by}
    with backend.database.session() as session:
        raw = session._driver_connection()
        read = []
        for _ in range(OFTEN + 3):
            before = count(raw, "Handler_read%")
            assert [row[1] for row in statement.rows(session, at)] == [everybody[7]["id"]] * 2
            read.append(count(raw, "Handler_read%") - before)
        assert count(raw, "Com_execute_sql") == 4
    assert len(set(read)) == 1
    backend.close()
