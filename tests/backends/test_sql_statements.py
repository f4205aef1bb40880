"""Every statement that the code can send, held to the rules of SingleStore, which no other database would catch."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pytest
from core_client import GROUP, PATCH_OP, USER, Core
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.ddl import FOUNDATIONS, MigrationSet
from scim_gateway_sql.lease import Lease
from scim_gateway_sql.mysql_dialect import DRIVER_NAME
from scim_gateway_sql.portable import _insert
from scim_gateway_sql.prepared import Prepared
from scim_gateway_sql.tables import metadata
from servers.mariadb import MariaDb
from servers.singlestore_on_mariadb import SingleStoreOnMariaDb, in_mariadb
from servers.sql_rules import RESERVED, broken_rules, broken_table_rules, parsed
from servers.statements import statements_sent
from sqlalchemy import MetaData, create_engine
from sqlalchemy.exc import SAWarning
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.selectable import SelectBase
from sqlglot import exp

from scim_gateway.backend import Query
from scim_gateway.ordering import Sort, position_of
from scim_gateway.schema import AttributePath
from scim_gateway.testing import (
    DEVICE_FILTERS,
    USER_FILTERS,
    create,
    devices,
    group,
    people,
    resolved,
    suite_resource_types,
    user,
)
from scim_gateway.tokens import new_token

PACKAGES = ("scim_gateway_sql", "scim_gateway_provisioning")
TYPES = suite_resource_types()

#: Writes of several rows at once, by the first columns of a key, and why no other write waits for them.
BY_LESS_THAN_THE_KEY: tuple[tuple[str, frozenset[str]], ...] = (
    # The memberships of a group that is deleted: whoever writes one has locked the group's row before.
    ("scim_member", frozenset({"tenant", "group_id"})),
    # An index that is built anew when a process starts, under a lease.
    ("scim_identifier", frozenset({"tenant", "kind"})),
    ("scim_value", frozenset({"tenant"})),
)


def modules() -> Iterator[Any]:
    for name in PACKAGES:
        package = importlib.import_module(name)
        yield package
        for found in pkgutil.iter_modules(package.__path__):
            yield importlib.import_module(f"{name}.{found.name}")


def keys() -> dict[str, list[str]]:
    """The primary key of each table that a module defines."""
    tables = dict(metadata.tables)
    for module in modules():
        for value in vars(module).values():
            if isinstance(value, MetaData):
                tables |= value.tables
    return {name: [column.name for column in table.primary_key] for name, table in tables.items()}


KEYS = keys()


def made_by_modules() -> Iterator[tuple[str, str]]:
    """The statements that modules make when they are imported, in the words of the dialect."""
    dialect = create_engine(f"{DRIVER_NAME}://", paramstyle="format").dialect
    for module in modules():
        for name, value in vars(module).items():
            statement = value._statement if isinstance(value, Prepared) else value
            if not isinstance(statement, SelectBase | Insert | Update | Delete):
                continue
            # What an UPDATE without values will set is not known yet; it is seen where it is sent.
            if not isinstance(statement, Update) or statement._values or statement._ordered_values:
                with warnings.catch_warnings():
                    # An INSERT is made without its rows, and so without the keys that it has to have.
                    warnings.simplefilter("ignore", SAWarning)
                    text = str(statement.compile(dialect=dialect))
                yield f"{module.__name__}.{name}", text


MADE = dict(made_by_modules())


def wrong(text: str, exceptions: Collection[tuple[str, frozenset[str]]] = BY_LESS_THAN_THE_KEY) -> list[str]:
    return broken_rules(text, KEYS, exceptions)


@pytest.mark.parametrize("name", MADE)
def test_a_statement_of_a_module_keeps_the_rules(name: str) -> None:
    assert wrong(MADE[name]) == [], MADE[name]


def test_the_statements_of_the_modules_are_found() -> None:
    kinds = [type(parsed(text, "mysql")) for text in MADE.values()]
    assert len(MADE) > 40
    assert {exp.Select, exp.Insert, exp.Update, exp.Delete} <= set(kinds)


def work(backend: SqlBackend) -> None:
    """Use all that the backend can do, as the core does and as the suite does."""
    core = Core(backend)
    everyone = [*people(), *devices()]
    create(backend, *everyone, group("staff", *everyone[:3]))
    _search(backend)
    ada, bob = (
        core.json("POST", "/Users", {"schemas": [USER], "userName": name}, expect=201)["id"] for name in ("a1", "b1")
    )
    members = [{"value": ada}, {"value": bob}]
    body = {"schemas": [GROUP], "displayName": "crew", "members": members}
    crew = core.json("POST", "/Groups", body, expect=201)["id"]
    core.json("PUT", f"/Groups/{crew}", body | {"members": members[:1]})
    for operation in (
        {"op": "add", "path": "members", "value": members[1:]},
        {"op": "remove", "path": f'members[value eq "{ada}"]'},
        {"op": "replace", "value": {"displayName": "Crew"}},
    ):
        core.json("PATCH", f"/Groups/{crew}", {"schemas": [PATCH_OP], "Operations": [operation]})
    core.json("PUT", f"/Users/{ada}", {"schemas": [USER], "userName": "a2", "active": False})
    assert core.send("POST", "/Users", {"schemas": [USER], "userName": "B1"}).status == 409
    for path in ("/Users", "/Groups", f"/Users/{ada}", f"/Groups/{crew}", "/"):
        core.json("GET", path)
    core.json("GET", "/Users", count=2, cursor="")
    core.json("GET", "/Users", sortBy="name.familyName", startIndex=3)
    core.json("GET", "/Users", count=0)
    for path in (f"/Users/{bob}", f"/Groups/{crew}"):
        assert core.send("DELETE", path).status == 204
    _, token = new_token("okta")
    backend.tokens.add(token)
    assert backend.tokens.find(token.id) == token
    backend.tokens.touch(token.id, token.created)
    assert [found.id for found in backend.tokens.list()] == [token.id]
    assert backend.tokens.revoke(token.id)
    lease = Lease(backend.database, backend.tenant, "statements")
    held = lease.acquire()
    assert held is not None
    renewed = lease.renew(held)
    assert renewed is not None
    with backend.database.operation(write=True) as session:
        assert lease.holds(session, renewed)
    assert lease.release(renewed)
    assert all(finding.ok for finding in backend.check())
    assert len(backend.cursor_key) == 32


def _search(backend: SqlBackend) -> None:
    for name, filters, paths in (
        ("User", USER_FILTERS, ("userName", "name.familyName", "active")),
        ("Device", DEVICE_FILTERS, ("slots", "weight", "bought")),
    ):
        kind = TYPES.by_name[name]
        targets = [kind.resolve(AttributePath(None, *path.split("."))) for path in paths]
        sorts = [None, *(Sort(target, down) for target in targets if target for down in (False, True))]
        with backend.operation(write=False):
            handler = backend.handlers[name]
            first = handler.query(Query(kind, count=1)).resources[0]
            for order in sorts:
                handler.query(Query(kind, None, order, start_index=2, count=2))
            for number, text in enumerate(filters):
                tree, order = resolved(kind, text), sorts[number % len(sorts)]
                handler.query(Query(kind, tree, order, start_index=1 + number % 2, count=1))
                handler.query(Query(kind, tree, order, count=1, after=position_of(first, order)))


def sent_to(backend: SqlBackend) -> set[str]:
    """What is sent, but for definitions of tables, with a mark for each parameter."""
    with statements_sent() as sent:
        work(backend)
        backend.close()
    return {each.text for each in sent if not each.text.lstrip().startswith("CREATE")}


def test_what_is_sent_keeps_the_rules_and_reads_alike_on_both_servers(mariadb_server: MariaDb) -> None:
    urls = [mariadb_server.url(mariadb_server.new_database()) for _ in range(2)]
    to_mariadb = sent_to(SqlBackend.from_settings({"database_url": urls[0]}, TYPES))
    to_singlestore = sent_to(SqlBackend(SingleStoreOnMariaDb.at(urls[1]), TYPES))
    assert len(to_mariadb) > 150
    texts = sorted(to_mariadb | to_singlestore)
    assert {text: found for text in texts if (found := wrong(text))} == {}
    assert not any(" LIKE " in text for text in texts if text.startswith("SELECT"))
    # What differs: the session, the look at the server, and how a row is added unless it is there.
    differing = to_mariadb ^ to_singlestore
    assert {text.split()[0] for text in differing} == {"INSERT", "SET", "SHOW", "DESCRIBE"}
    assert any("ON DUPLICATE KEY" in text for text in to_mariadb)
    assert not any("ON DUPLICATE KEY" in text for text in to_singlestore)


def test_what_is_sent_takes_no_value_into_its_text(mariadb: str) -> None:
    """What a person typed is a parameter of a statement, never a part of it."""
    backend = SqlBackend.from_settings({"database_url": mariadb}, TYPES)
    backend.references([])
    hostile = "x' OR '1'='1"
    with statements_sent() as sent:
        create(backend, user(hostile, displayName=hostile, title=hostile), group(hostile))
        with backend.operation(write=False):
            for text in ('userName eq "{}"', 'title co "{}"', 'title sw "{}"', 'externalId eq "{}"', 'title gt "{}"'):
                kind = TYPES.by_name["User"]
                backend.handlers["User"].query(Query(kind, resolved(kind, text.format(hostile))))
    assert any(hostile.replace("'", "\\'") in each.sent for each in sent)
    assert not any("OR '1'" in each.text for each in sent)
    backend.close()


# Tables


def migration_sets() -> dict[str, MigrationSet]:
    found = [value for module in modules() for value in vars(module).values() if isinstance(value, MigrationSet)]
    return {each.package: each for each in found}


def definitions(dialect: str) -> list[str]:
    """The statements that make tables on a server."""
    found = list(FOUNDATIONS[dialect])
    for each in migration_sets().values():
        for migration in each.migrations:
            found += migration.statements[dialect]
    return found


@pytest.mark.parametrize("dialect", ["mysql", "singlestore"])
def test_every_table_keeps_the_rules(dialect: str) -> None:
    statements = definitions(dialect)
    assert len(statements) >= 8
    assert {statement: found for statement in statements if (found := broken_table_rules(statement, dialect))} == {}


def test_the_tables_of_both_servers_are_the_same() -> None:
    def columns(statement: str) -> str:
        return " ".join(in_mariadb(statement).split()).rpartition(")")[0].replace(" )", ")").strip()

    assert [columns(each) for each in definitions("mysql")] == [columns(each) for each in definitions("singlestore")]


def test_no_column_has_a_reserved_name() -> None:
    assert not {name.lower() for names in KEYS.values() for name in names} & RESERVED
    assert not {column.name for table in metadata.tables.values() for column in table.columns} & RESERVED


# The rules themselves

A: Mapping[str, list[str]] = {"t": ["tenant", "id"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("UPDATE t SET a = %s WHERE tenant = %s", "not by its whole key"),
        ("UPDATE t SET a = %s WHERE tenant = %s AND id > %s", "not by its whole key"),
        ("UPDATE t SET a = %s WHERE tenant = %s OR id = %s", "not by its whole key"),
        ("UPDATE t SET a = %s", "not by its whole key"),
        ("DELETE FROM t WHERE tenant = %s AND id IN (SELECT id FROM t WHERE a = %s)", "not by its whole key"),
        ("DELETE FROM t WHERE tenant = %s AND id = %s LIMIT 1", "LIMIT"),
        ("UPDATE t SET tenant = %s WHERE tenant = %s AND id = %s", "tenant of the key is updated"),
        ("INSERT IGNORE INTO t (tenant, id) VALUES (%s, %s)", "INSERT IGNORE"),
        (
            "INSERT INTO t (tenant, id) VALUES (%s, %s) ON DUPLICATE KEY UPDATE id = %s",
            "ON DUPLICATE KEY UPDATE of a key",
        ),
        ("SELECT id FROM t WHERE tenant = %s FOR UPDATE SKIP LOCKED", "NOWAIT"),
        ("SELECT label FROM t WHERE tenant = %s", "label is reserved"),
        ("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id)", "looks at t without its tenant"),
        ("GRANT GROUP 'a' TO 'b'", "command"),
        ("SELEC 1", "parse"),
    ],
)
def test_a_statement_that_breaks_a_rule_is_found(text: str, said: str) -> None:
    assert any(said in problem for problem in broken_rules(text, A)), broken_rules(text, A)


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE t SET a = %s WHERE t.tenant = %s AND t.id = %s AND t.a = %s",
        "DELETE FROM t WHERE t.tenant = %s AND t.id IN (%s, %s)",
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.tenant = t.tenant AND u.id = t.id)",
        "SELECT `label` FROM t WHERE tenant = %s AND id = %s FOR UPDATE",
    ],
)
def test_a_statement_that_keeps_the_rules_is_let_through(text: str) -> None:
    assert broken_rules(text, A) == []


KEYED = "PRIMARY KEY (tenant), SHARD KEY (tenant)"


@pytest.mark.parametrize(
    ("start", "columns", "said"),
    [
        ("CREATE TABLE IF NOT EXISTS t", f"tenant INT, {KEYED}", "no ROWSTORE"),
        ("CREATE ROWSTORE TABLE t", f"tenant INT, {KEYED}", "IF NOT EXISTS"),
        (None, "tenant INT, id INT, PRIMARY KEY (id), SHARD KEY (id)", "another SHARD KEY"),
        (None, f"tenant INT, id INT, UNIQUE KEY u (id), {KEYED}", "UNIQUE KEY u without the shard key"),
        (None, f"tenant INT, a VARCHAR(9), {KEYED}", "a has no collation"),
        (None, f"tenant INT, a MEDIUMTEXT COLLATE utf8mb4_general_ci, {KEYED}", "a has no collation"),
        (None, f"tenant INT, role INT, {KEYED}", "role is reserved"),
        (None, f"tenant INT, a INT REFERENCES u, {KEYED}", "REFERENCES is not there"),
        (None, f"tenant INT, a VARBINARY(3080), KEY k (tenant, a), {KEYED}", "KEY k has more than 3072 bytes"),
        (None, "tenant INT, SHARD KEY (tenant)", "no primary key"),
    ],
)
def test_a_table_that_breaks_a_rule_is_found(start: str | None, columns: str, said: str) -> None:
    found = broken_table_rules(f"{start or 'CREATE ROWSTORE TABLE IF NOT EXISTS t'} ({columns})", "singlestore")
    assert any(said in problem for problem in found), found


def test_newer_mysql_is_asked_in_its_own_words_to_add_a_row_unless_it_is_there() -> None:
    """From 8.0.20 on SQLAlchemy names the new row; nothing here runs on MySQL, so at least the grammar is checked."""
    dialect: Any = create_engine(f"{DRIVER_NAME}://", paramstyle="format").dialect
    dialect._requires_alias_for_on_duplicate_key = True
    text = str(_insert(metadata.tables["scim_identifier"], "mysql").compile(dialect=dialect))
    assert " AS new ON DUPLICATE KEY UPDATE resource_id = scim_identifier.resource_id" in text
    assert wrong(text.replace(" AS new ", " ")) == []
