"""SQL on tables: checked by SingleStore's rules and carried out by a real MariaDB."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pymysql
import pytest
from doubles.asking import Connection, affected, ask, column, error, tell
from doubles.singlestore.api import Behaviour, MariaDB, SingleStoreDouble
from doubles.singlestore.fixtures import MakeDouble, Server
from pymysql.constants import CLIENT
from servers.mariadb import ADMIN, PASSWORD, MariaDb

RESOURCE = """
CREATE ROWSTORE TABLE scim_resource (
  tenant   VARCHAR(64)  COLLATE utf8mb4_bin NOT NULL,
  kind     VARCHAR(16)  COLLATE utf8mb4_bin NOT NULL,
  ukey     VARCHAR(320) COLLATE utf8mb4_bin NOT NULL,
  id       CHAR(36)     COLLATE utf8mb4_bin NOT NULL,
  rev      BIGINT NOT NULL,
  doc      JSON NOT NULL,
  changed  DATETIME(6) NOT NULL DEFAULT NOW(6),
  PRIMARY KEY (tenant, kind, id),
  UNIQUE KEY by_name (tenant, kind, ukey),
  SHARD KEY (tenant),
  KEY (tenant, id))
"""
AUDIT = """
CREATE TABLE scim_audit (
  id CHAR(36) COLLATE utf8mb4_bin NOT NULL, logged DATETIME(6) NOT NULL, detail JSON,
  SORT KEY (logged), SHARD KEY (id))
"""
INSERT = "INSERT INTO scim_resource (tenant, kind, ukey, id, rev, doc) VALUES ('t', 'User', %s, %s, 1, '{}')"
UPDATE = "UPDATE scim_resource SET rev = rev + 1 WHERE tenant = 't' AND kind = 'User' AND id = %s"


@pytest.fixture
def database(mariadb_server: MariaDb) -> Iterator[str]:
    name = mariadb_server.new_database()
    yield name
    mariadb_server.drop_database(name)


@pytest.fixture
def tables(make_singlestore: MakeDouble, mariadb_server: MariaDb) -> Server:
    return make_singlestore(mariadb=behind(mariadb_server))


def behind(server: MariaDb) -> MariaDB:
    return MariaDB("127.0.0.1", server.port, ADMIN, PASSWORD, lock_wait_timeout=1)


def double_of(server: Server) -> SingleStoreDouble:
    assert server.double is not None
    return server.double


@pytest.fixture
def root(tables: Server, database: str) -> Connection:
    connection = tables.connect(database=database)
    tell(connection, RESOURCE)
    return connection


def test_rows_come_back_as_they_are(root: Connection) -> None:
    assert affected(root, INSERT, "ada", "1") == 1
    [row] = ask(root, "SELECT ukey, rev, doc, changed, NULL FROM scim_resource")
    assert row[:3] == ("ada", 1, "{}")
    assert row[3].year >= 2024
    assert row[4] is None
    assert error(root, INSERT, "ada", "2") == 1062
    assert affected(root, INSERT.replace("INSERT", "INSERT IGNORE"), "ada", "2") == 0


def test_affected_rows_are_those_that_changed(root: Connection, tables: Server, database: str) -> None:
    ask(root, INSERT, "ada", "1")
    update = "UPDATE scim_resource SET rev = %s WHERE tenant = 't' AND kind = 'User' AND id = '1'"
    assert affected(root, update, 2) == 1
    assert affected(root, update, 2) == 0
    matched = tables.connect(database=database, client_flag=CLIENT.FOUND_ROWS)
    assert affected(matched, update, 2) == 1


def test_a_transaction_is_one(root: Connection, tables: Server, database: str) -> None:
    other = tables.connect(database=database)
    root.begin()
    ask(root, INSERT, "ada", "1")
    assert ask(root, "SELECT @@in_transaction") == [(1,)]
    assert ask(other, "SELECT COUNT(*) FROM scim_resource") == [(0,)]
    root.rollback()
    assert ask(root, "SELECT COUNT(*) FROM scim_resource") == [(0,)]
    root.begin()
    ask(root, INSERT, "ada", "1")
    root.commit()
    assert ask(other, "SELECT COUNT(*) FROM scim_resource") == [(1,)]


def test_without_autocommit_the_first_statement_begins(tables: Server, root: Connection, database: str) -> None:
    own = tables.connect(database=database, autocommit=False)
    ask(own, INSERT, "ada", "1")
    assert ask(root, "SELECT COUNT(*) FROM scim_resource") == [(0,)]
    own.commit()
    assert ask(root, "SELECT COUNT(*) FROM scim_resource") == [(1,)]


@pytest.mark.parametrize("statement", ["CREATE GROUP 'eng'", "GRANT SELECT ON db.* TO 'ada'", "DROP USER 'ada'"])
def test_an_account_statement_commits(root: Connection, tables: Server, statement: str) -> None:
    double_of(tables).seed(["ada"])
    root.begin()
    ask(root, INSERT, "ada", "1")
    tell(root, statement)
    root.rollback()
    assert ask(root, "SELECT COUNT(*) FROM scim_resource") == [(1,)]


@pytest.mark.parametrize("commits", [True, False])
def test_whether_a_failed_one_commits(
    make_singlestore: MakeDouble, mariadb_server: MariaDb, database: str, commits: bool
) -> None:
    server = make_singlestore(behaviour=Behaviour(failed_statement_commits=commits), mariadb=behind(mariadb_server))
    double_of(server).seed(groups={"eng": []})
    root = server.connect(database=database)
    tell(root, RESOURCE)
    root.begin()
    ask(root, INSERT, "ada", "1")
    assert error(root, "CREATE GROUP 'eng'") == 1396
    root.rollback()
    assert ask(root, "SELECT COUNT(*) FROM scim_resource") == [(int(commits),)]


def test_reading_accounts_commits_nothing(root: Connection) -> None:
    root.begin()
    ask(root, INSERT, "ada", "1")
    tell(root, "SHOW USERS", "SELECT * FROM information_schema.USERS", "SELECT CURRENT_USER()")
    root.rollback()
    assert ask(root, "SELECT COUNT(*) FROM scim_resource") == [(0,)]


def test_a_lock_is_waited_for_and_the_transaction_stays(root: Connection, tables: Server, database: str) -> None:
    ask(root, INSERT, "ada", "1")
    ask(root, INSERT, "bob", "2")
    other = tables.connect(database=database)
    root.begin()
    ask(root, UPDATE, "1")
    other.begin()
    ask(other, UPDATE, "2")
    assert error(other, UPDATE, "1") == 1205
    other.commit()
    root.rollback()
    assert ask(root, "SELECT id, rev FROM scim_resource ORDER BY id") == [("1", 1), ("2", 2)]


def test_the_wait_for_a_lock_can_be_set(root: Connection, tables: Server, database: str) -> None:
    ask(root, INSERT, "ada", "1")
    other = tables.connect(database=database)
    tell(other, "SET SESSION lock_wait_timeout = 2")
    ask(other, "SELECT COUNT(*) FROM scim_resource")
    assert ask(other, "SELECT @@lock_wait_timeout") == [(2,)]
    root.begin()
    ask(root, "UPDATE scim_resource SET rev = 9 WHERE tenant = 't' AND kind = 'User' AND id = '1'")
    assert error(other, "DELETE FROM scim_resource WHERE tenant = 't' AND kind = 'User' AND id = '1'") == 1205
    root.rollback()


@pytest.fixture
def waiting(
    root: Connection, make_singlestore: MakeDouble, mariadb_server: MariaDb, database: str
) -> Iterator[Waiting]:
    """Somebody who has changed row 2 in a transaction and waits for row 1, which another holds."""
    patient = MariaDB("127.0.0.1", mariadb_server.port, ADMIN, PASSWORD, lock_wait_timeout=50)
    server = make_singlestore(mariadb=patient)
    holder, victim, third = (server.connect(database=database) for _ in range(3))
    ask(root, INSERT, "ada", "1")
    ask(root, INSERT, "bob", "2")
    holder.begin()
    ask(holder, UPDATE, "1")
    victim.begin()
    ask(victim, UPDATE, "2")
    numbers: list[int | None] = []
    thread = threading.Thread(target=lambda: numbers.append(error(victim, UPDATE, "1")), daemon=True)
    thread.start()
    running = "SELECT ID FROM information_schema.MV_PROCESSLIST WHERE COMMAND = 'Query' AND INFO LIKE 'UPDATE%'"
    while not (found := ask(third, running)):
        pass
    yield Waiting(holder, victim, third, int(found[0][0]), thread, numbers)
    holder.rollback()


@dataclass
class Waiting:
    holder: Connection
    victim: Connection
    third: Connection
    victim_id: int
    thread: threading.Thread
    numbers: list[int | None]


def test_a_killed_connection_rolls_back_even_while_it_waits(waiting: Waiting) -> None:
    third = waiting.third
    tell(third, f"KILL CONNECTION {waiting.victim_id} 1")
    waiting.thread.join()
    assert waiting.numbers == [2013]
    tell(third, "SET SESSION lock_wait_timeout = 20")
    assert affected(third, UPDATE, "2") == 1
    assert ask(third, "SELECT id, rev FROM scim_resource ORDER BY id") == [("1", 1), ("2", 2)]


def test_a_killed_query_leaves_the_transaction(waiting: Waiting) -> None:
    tell(waiting.third, f"KILL QUERY {waiting.victim_id} 1")
    waiting.thread.join()
    assert waiting.numbers == [1317]
    waiting.victim.commit()
    assert ask(waiting.third, "SELECT id, rev FROM scim_resource ORDER BY id") == [("1", 1), ("2", 2)]


@pytest.mark.parametrize(("cut", "rows"), [("cut_before", 0), ("cut_after", 1)])
def test_a_commit_whose_answer_is_lost(root: Connection, tables: Server, database: str, cut: str, rows: int) -> None:
    own = tables.connect(database=database)
    own.begin()
    ask(own, INSERT, "ada", "1")
    getattr(double_of(tables), cut)("^COMMIT")
    with pytest.raises(pymysql.err.OperationalError) as lost:
        own.commit()
    assert lost.value.args[0] == 2013
    assert ask(root, "SELECT COUNT(*) FROM scim_resource") == [(rows,)]


def test_names_are_the_same_under_both_ways_to_escape(root: Connection) -> None:
    for number, mode in enumerate(("''", "'NO_BACKSLASH_ESCAPES'")):
        tell(root, f"SET SESSION sql_mode = {mode}")
        name = f"it's a back\\slash {number}"
        ask(root, INSERT, name, str(number))
        assert ask(root, "SELECT ukey FROM scim_resource WHERE ukey = %s", name) == [(name,)]
    assert ask(root, "SELECT COUNT(*) FROM scim_resource") == [(2,)]


def test_use_and_set_count_before_and_after_the_first_table(tables: Server, database: str) -> None:
    own = tables.connect()
    tell(own, "SET time_zone = '+05:00'", f"USE `{database}`", RESOURCE)
    tell(own, "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
    [(there, here)] = ask(own, "SELECT MAX(NOW()), MAX(UTC_TIMESTAMP()) FROM (SELECT 1 AS n) AS one")
    assert (there - here).total_seconds() == 5 * 3600
    own.select_db("information_schema")
    own.select_db(database)
    assert ask(own, "SELECT DATABASE()") == [(database,)]
    assert ask(own, "SELECT COUNT(*) FROM scim_resource") == [(0,)]


@pytest.mark.parametrize(
    ("ddl", "number"),
    [
        ("CREATE ROWSTORE TABLE t (a INT, b INT, PRIMARY KEY (a), SHARD KEY (a))", None),
        (
            "CREATE ROWSTORE TABLE IF NOT EXISTS t (a INT, b INT, UNIQUE KEY (a, b), PRIMARY KEY (a), SHARD KEY (a))",
            None,
        ),
        ("CREATE ROWSTORE TABLE t (a INT PRIMARY KEY, b INT, UNIQUE (b))", 1706),
        ("CREATE ROWSTORE TABLE t (a INT, b INT UNIQUE, PRIMARY KEY (a))", 1706),
        ("CREATE ROWSTORE TABLE t (a INT, b INT, PRIMARY KEY (a), SHARD KEY (b))", 1706),
        ("CREATE ROWSTORE TABLE t (a INT, PRIMARY KEY (a), SHARD KEY ())", 1896),
        ("CREATE ROWSTORE TABLE t (a INT, b INT REFERENCES u (a))", 1706),
        ("CREATE ROWSTORE TABLE t (a INT, FOREIGN KEY (a) REFERENCES u (a))", 1706),
        ("CREATE ROWSTORE TABLE t (a INT, CONSTRAINT c FOREIGN KEY (a) REFERENCES u (a))", 1706),
        ("CREATE ROWSTORE TABLE t (a INT AUTO_INCREMENT, PRIMARY KEY (a))", 1706),
        ("CREATE ROWSTORE TABLE t (a BIGINT AUTO_INCREMENT, PRIMARY KEY (a))", None),
        ("CREATE ROWSTORE TABLE t (a INT, PRIMARY KEY (nope))", 1072),
        ("CREATE TABLE t (a INT, b INT, UNIQUE KEY (a), UNIQUE KEY (a, b), SHARD KEY (a))", 1706),
        ("CREATE TABLE t (a INT, b INT, SORT KEY (b), SHARD KEY (a))", None),
        ("CREATE ROWSTORE REFERENCE TABLE t (a INT PRIMARY KEY, b INT UNIQUE)", None),
        ("CREATE ROWSTORE REFERENCE TABLE t (a INT)", 1706),
        ("CREATE ROWSTORE TABLE t (a INT) ENGINE=MyISAM", 1064),
        ("CREATE ROWSTORE TABLE t (status INT)", 1064),
        ("CREATE ROWSTORE TABLE t (`status` INT)", None),
        ("CREATE ROWSTORE TABLE t (a INT, SORT KEY (a))", 1064),
        ("CREATE ROWSTORE TABLE t (a INT, CHECK (a > 0))", 1064),
        ("CREATE ROWSTORE TABLE t (a DECIMAL(10, 2), b VARCHAR(9) DEFAULT 'x(,', SHARD KEY (b)) COMMENT 'c'", None),
        ("CREATE TABLE t LIKE u", 1064),
        ("CREATE VIEW v AS SELECT 1", 1064),
        ("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a = 1", 1064),
        ("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", 1064),
    ],
)
def test_tables_by_the_rules(tables: Server, database: str, ddl: str, number: int | None) -> None:
    own = tables.connect(database=database)
    assert error(own, ddl) == number
    assert len(double_of(tables).take_unknown()) == (number == 1064)
    assert (column(own, "SHOW TABLES") == ["t"]) is (number is None)


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("UPDATE scim_resource SET tenant = 'u' WHERE id = '1'", 1706),
        ("UPDATE scim_resource SET `TENANT` = 'u' WHERE id = '1'", 1706),
        (INSERT.replace("%s", "'x'") + " ON DUPLICATE KEY UPDATE tenant = 'u'", 1706),
        ("UPDATE scim_resource SET rev = 2 LIMIT 1", 1706),
        ("UPDATE scim_resource SET rev = 2 WHERE tenant = 't' AND kind = 'User' AND id = '1'", None),
        ("SELECT rev FROM scim_resource WHERE id = '1' FOR UPDATE", None),
        ("SELECT rev FROM scim_resource FOR UPDATE SKIP LOCKED", 1064),
        ("SELECT rev FROM scim_resource FOR UPDATE NOWAIT", 1064),
        ("SELECT rev FROM scim_resource LOCK IN SHARE MODE", 1064),
        ("SELECT GET_LOCK('x', 1)", 1064),
        ("DELETE FROM scim_resource WHERE id = '1' RETURNING id", 1064),
        ("SAVEPOINT x", 1064),
        ("ROLLBACK TO SAVEPOINT x", 1064),
        ("LOCK TABLES scim_resource WRITE", 1064),
        ("SELECT 1 FROM scim_resource; SELECT 2", 1064),
        ("CALL p()", 1064),
        ("ALTER TABLE scim_resource ADD COLUMN more INT", None),
        ("ALTER TABLE scim_resource ADD UNIQUE KEY (id)", 1706),
        ("ALTER TABLE scim_resource ADD UNIQUE KEY (tenant, id)", None),
        ("ALTER TABLE scim_resource ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES u (id)", 1064),
        ("CREATE UNIQUE INDEX i ON scim_resource (id)", 1706),
        ("CREATE INDEX i ON scim_resource (rev)", None),
        ("DROP INDEX by_name ON scim_resource", None),
        ("TRUNCATE TABLE scim_resource", None),
        ("DROP TABLE IF EXISTS scim_resource", None),
        ("DESCRIBE scim_resource", None),
        ("SHOW CREATE TABLE scim_resource", None),
        ("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'x'", None),
    ],
)
def test_statements_by_the_rules(root: Connection, tables: Server, sql: str, number: int | None) -> None:
    assert error(root, sql) == number
    assert len(double_of(tables).take_unknown()) == (number == 1064)


def test_a_columnstore_takes_no_unique_key_and_no_new_type_later(tables: Server, database: str) -> None:
    own = tables.connect(database=database)
    tell(own, AUDIT)
    assert error(own, "ALTER TABLE scim_audit ADD UNIQUE KEY (id)") == 1706
    assert error(own, "ALTER TABLE scim_audit MODIFY detail LONGTEXT") == 1706


def test_a_reference_table_is_not_written_in_a_transaction_from_a_child(
    make_singlestore: MakeDouble, mariadb_server: MariaDb, database: str
) -> None:
    server = make_singlestore(mariadb=behind(mariadb_server), aggregators=2)
    double = double_of(server)
    tell(server.connect(database=database), "CREATE ROWSTORE REFERENCE TABLE r (a INT PRIMARY KEY)")
    address = double.address(2)
    child = pymysql.connect(
        host=address.host,
        port=address.port,
        user="root",
        password=address.password,
        database=database,
        autocommit=True,
        ssl_disabled=True,
    )
    assert error(child, "INSERT INTO r VALUES (1)") is None
    child.begin()
    assert error(child, "INSERT INTO r VALUES (2)") == 1706
    child.close()


def test_tables_need_privileges_of_their_database(tables: Server, root: Connection, database: str) -> None:
    double = double_of(tables)
    double.seed(["gw"])
    double.execute(f"GRANT SELECT, INSERT ON {database}.* TO 'gw'")
    own = tables.connect("gw", "password-of-gw", database=database)
    assert error(own, INSERT, "ada", "1") is None
    assert error(own, "SELECT * FROM scim_resource") is None
    assert error(own, "UPDATE scim_resource SET rev = 2 WHERE id = '1'") == 1142
    assert error(own, "DELETE FROM scim_resource WHERE id = '1'") == 1142
    assert error(own, "DROP TABLE scim_resource") == 1142
    assert error(own, "CREATE TABLE t (a INT, SHARD KEY (a))") == 1142
    assert error(own, "SELECT * FROM elsewhere.t") == 1142
    assert error(own, "CREATE DATABASE elsewhere") == 1142
    assert error(own, "USE elsewhere") == 1044
    assert error(own, INSERT.replace("'{}')", "'{}') ON DUPLICATE KEY UPDATE rev = 1"), "ada", "1") == 1142
    assert ask(root, "SELECT COUNT(*) FROM scim_resource") == [(1,)]


def test_databases_are_made_and_dropped(tables: Server, database: str) -> None:
    own = tables.connect()
    name = f"{database}_more"
    tell(own, f"CREATE DATABASE IF NOT EXISTS {name} PARTITIONS 4 WITH SYNC DURABILITY")
    assert name in column(own, "SHOW DATABASES")
    tell(own, f"USE {name}", AUDIT, f"DROP DATABASE {name}")
    assert error(own, f"CREATE DATABASE {name} ENCRYPTED") == 1064
    assert double_of(tables).take_unknown()


def test_large_answers_pass(root: Connection) -> None:
    text = "x" * 70_000
    with root.cursor() as cursor:
        rows = [(f"user{number}", str(number)) for number in range(500)]
        cursor.executemany(INSERT, rows)
    ask(root, "UPDATE scim_resource SET doc = %s WHERE tenant = 't' AND kind = 'User' AND id = '7'", f'"{text}"')
    assert len(ask(root, "SELECT * FROM scim_resource")) == 500
    [(doc,)] = ask(root, "SELECT doc FROM scim_resource WHERE id = '7'")
    assert doc == f'"{text}"'


def test_a_mariadb_that_is_gone_is_an_error(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(mariadb=MariaDB("127.0.0.1", 1))
    assert error(server.connect(), "SELECT * FROM db.t") == 2003
    assert error(server.connect(), "SHOW USERS") is None
