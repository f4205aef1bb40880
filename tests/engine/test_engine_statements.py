"""What goes over the wire: documented for the version, and about exactly the account that is meant."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pymysql
import pytest
import scim_gateway_singlestore_engine
from doubles.singlestore import statements as read
from doubles.singlestore.api import SingleStoreDouble
from doubles.singlestore.grammar import SyntaxRefused, parse
from doubles.singlestore.statements import Account, Options, Password, Plugin
from hypothesis import given
from hypothesis import strategies as st
from scim_gateway_singlestore_engine import statements
from scim_gateway_singlestore_engine.grants import Grant, parse_grant
from scim_gateway_singlestore_engine.statements import Identified, Statement

PACKAGE = Path(scim_gateway_singlestore_engine.__file__).parent
VERSIONS = ("7.8", "8.0", "8.1", "8.5", "9.1")
SQL_MODES = ("", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES", "STRICT_ALL_TABLES")
HOSTILE = (
    *("ada", "o'neil", "a''b", 'a"b', "a\\", "a\\'", "\\'; DROP USER 'root'@'%'; --", "a`b", "a%b", "%s", "%(x)s"),
    *("a@b", "a'@'%", "'", "\\", "''", "\\\\", "a\x00b", "a\nb", "a\rb", "a\x1ab", "Zoë", "a\u202eb", "😀", " a "),
    *("-- ", "/*", "#", "{name}", "a;b", "a' OR '1'='1", "\u02bc", "\uff07"),
)


@pytest.fixture(scope="module")
def wires() -> Iterator[dict[str, pymysql.Connection[Any]]]:
    """A real connection for each sql_mode."""
    with ExitStack() as stack:
        server = stack.enter_context(SingleStoreDouble("9.1").running())
        opened = {
            mode: stack.enter_context(
                pymysql.connect(
                    host=server.host,
                    port=server.port,
                    user=server.user,
                    password=server.password,
                    charset="utf8mb4",
                    sql_mode=mode,
                    autocommit=True,
                    ssl_disabled=True,
                )
            )
            for mode in SQL_MODES
        }
        yield opened


def as_sent(connection: pymysql.Connection[Any], statement: Statement, mode: str, version: str = "9.1") -> Any:
    """What a server of a version and sql_mode reads in a statement."""
    text = connection.cursor().mogrify(statement.sql, statement.parameters)
    return parse(
        text,
        version=version,
        backslash_escapes="NO_BACKSLASH_ESCAPES" not in mode,
        ansi_quotes="ANSI_QUOTES" in mode,
    )


Expected = Callable[[str], Any]
PAM = Identified("authentication_pam", "service")
BY_NAME: dict[str, tuple[Callable[[str], Statement], Expected]] = {
    "create with password": (
        lambda name: statements.create_user(name, Identified(None, name or "x")),
        lambda name: read.CreateUser(Account(name), Password(name or "x")),
    ),
    "create with all": (
        lambda name: statements.create_user(
            name, PAM, require="ssl", pool="p1", attribute=f'{{"a": {ascii_json(name)}}}', comment=name
        ),
        lambda name: read.CreateUser(
            Account(name),
            Plugin("authentication_pam", "service"),
            options=Options("p1"),
            require="SSL",
            attribute=f'{{"a": {ascii_json(name)}}}',
            comment=name,
        ),
    ),
    "lock": (
        lambda name: statements.change_user(name, lock=True),
        lambda name: read.AlterUser(Account(name), lock=True),
    ),
    "unlock": (
        lambda name: statements.change_user(name, lock=False),
        lambda name: read.AlterUser(Account(name), lock=False),
    ),
    "pool": (
        lambda name: statements.change_user(name, pool="p1"),
        lambda name: read.AlterUser(Account(name), options=Options("p1")),
    ),
    "password": (
        lambda name: statements.change_password(name, "p'w\\"),
        lambda name: read.AlterUser(Account(name), Password("p'w\\")),
    ),
    "drop": (lambda name: statements.drop_user(name), lambda name: read.DropUser((Account(name),), True)),
    "create group": (lambda name: statements.create_group(name), read.CreateGroup),
    "drop group": (lambda name: statements.drop_group(name), lambda name: read.DropGroup(name, True)),
    "grant group": (lambda name: statements.grant_group(name, name), lambda name: read.GrantGroup(name, Account(name))),
    "revoke group": (
        lambda name: statements.revoke_group(name, name),
        lambda name: read.RevokeGroup(name, Account(name)),
    ),
    "grant role": (lambda name: statements.grant_role(name, name), lambda name: read.GrantRole(name, name)),
    "create role": (lambda name: statements.create_role(name), read.CreateRole),
    "drop role": (lambda name: statements.drop_role(name), lambda name: read.DropRole(name, True)),
    "grant to a role": (
        lambda name: statements.grant_sight(name),
        lambda name: read.Grant(("SHOW METADATA",), read.Scope(), (read.Role(name),)),
    ),
    "grant": (
        lambda name: statements.grant_privileges(Grant(("SELECT", "SHOW VIEW"), "`100%`.*"), name),
        lambda name: read.Grant(("SELECT", "SHOW VIEW"), read.Scope("100%"), (Account(name),)),
    ),
    "show grants": (lambda name: statements.grants_of(name), lambda name: read.ShowGrants(Account(name))),
    "show grants of role": (
        lambda name: statements.grants_of_role(name),
        lambda name: read.ShowGrants(read.Role(name)),
    ),
    "show roles": (lambda name: statements.roles_of(name), lambda name: read.ShowFor("ROLES", "GROUP", name)),
}


def ascii_json(text: str) -> str:
    return json.dumps(text)


@pytest.mark.parametrize("mode", SQL_MODES)
@pytest.mark.parametrize("what", BY_NAME)
def test_a_hostile_name_is_the_name_and_nothing_else(wires, what, mode):
    make, expected = BY_NAME[what]
    for name in HOSTILE:
        assert as_sent(wires[mode], make(name), mode) == expected(name), name


@pytest.mark.parametrize("mode", SQL_MODES)
@given(st.text(max_size=40), st.sampled_from(sorted(BY_NAME)))
def test_any_text_is_the_name_and_nothing_else(wires, mode, name, what):
    name = name.encode("utf-8", "ignore").decode()  # halves of characters never get as far as a statement
    make, expected = BY_NAME[what]
    assert as_sent(wires[mode], make(name), mode) == expected(name)


@pytest.mark.parametrize("mode", SQL_MODES)
def test_what_the_server_reads_is_what_was_meant_over_the_wire(wires, mode):
    connection = wires[mode]
    for number, name in enumerate(name for name in HOSTILE if name.isprintable() and name.strip()):
        group = f"{name[:20]}{number}"
        with connection.cursor() as cursor:
            for statement in (statements.create_group(group), statements.drop_group(group)):
                if statement.verb == "DROP GROUP":
                    cursor.execute("SELECT GROUP_NAME FROM information_schema.`GROUPS`")
                    assert group in {row[0] for row in cursor.fetchall()}
                cursor.execute(statement.sql, statement.parameters)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_statement_is_documented_for_the_versions_that_it_is_meant_for(wires, version):
    number = tuple(int(part) for part in version.split("."))
    since = {"ATTRIBUTE": (8, 1), "COMMENT": (8, 1), "ACCOUNT LOCK": (8, 0), "authentication_jwt": (8, 0)}
    for make, expected in BY_NAME.values():
        statement = make("ada")
        if number >= max((least for word, least in since.items() if word in statement.sql), default=(0, 0)):
            assert as_sent(wires[""], statement, "", version) == expected("ada")
        else:
            with pytest.raises(SyntaxRefused):
                as_sent(wires[""], statement, "", version)


@pytest.mark.parametrize(
    ("identified", "plugin"),
    [
        (Identified("authentication_jwt"), Plugin("authentication_jwt")),
        (Identified("authentication_saml"), Plugin("authentication_saml")),
        (Identified("authentication_pam", "s"), Plugin("authentication_pam", "s")),
        (Identified("authentication_gss", "ada@EXAMPLE"), Plugin("authentication_gss", "ada@EXAMPLE")),
    ],
)
def test_each_way_of_log_in_is_said_in_the_statement_that_makes_the_account(wires, identified, plugin):
    statement = statements.create_user("ada", identified, require="ssl")
    assert as_sent(wires[""], statement, "") == read.CreateUser(Account("ada"), plugin, require="SSL")


def test_a_session_is_killed_with_the_node_that_it_is_on(wires):
    assert as_sent(wires[""], statements.kill_connection(17, 65537), "") == read.Kill(17, 65537)


@pytest.mark.parametrize(
    "make",
    [
        lambda: statements.create_user("ada", Identified(None, "")),
        lambda: statements.create_user("ada", Identified(None)),
        lambda: statements.change_password("ada", ""),
    ],
)
def test_no_account_gets_an_empty_password(make):
    with pytest.raises(ValueError, match="without a password"):
        make()


@pytest.mark.parametrize("pool", ["a b", "p;", "`p`", "", "1p", "p" * 65])
def test_a_resource_pool_that_is_no_word_is_not_written(pool):
    with pytest.raises(ValueError, match="resource pool"):
        statements.change_user("ada", pool=pool)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_a_scope_that_was_read_is_written_again_as_it_was(database, table):
    database, table = (text.encode("utf-8", "ignore").decode() or "x" for text in (database, table))
    scope = read.Scope(database, table)
    grant = parse_grant(f"GRANT SELECT ON {scope} TO 'ada'@'%'")
    assert grant is not None
    statement = statements.grant_privileges(grant, "bob")
    text = (statement.sql % ("'bob'", "'%'")) if statement.parameters else statement.sql
    assert parse(text, version="9.1") == read.Grant(("SELECT",), scope, (Account("bob"),))


def test_no_other_module_holds_sql():
    verbs = ("SELECT ", "CREATE ", "ALTER ", "DROP ", "GRANT ", "REVOKE ", "SHOW ", "KILL ", "SET ")
    allowed = {"statements.py", "probe.py"}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "execute":
                assert path.name == "connection.py"
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and path.name not in allowed:
                assert not (node.value.startswith(verbs) and "%s" in node.value), (path.name, node.value)
