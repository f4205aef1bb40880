"""What the vendor's documents leave open, each switch both ways; and who may do what."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest
from doubles.asking import ask, error, tell
from doubles.singlestore.api import Account, Behaviour, SingleStoreDouble
from doubles.singlestore.fixtures import MakeDouble, Server


@pytest.fixture
def make(make_singlestore: MakeDouble) -> Any:
    """A server with Ada, the group eng, and a service account that holds what is asked for."""

    def make_with(*grants: str, version: str = "8.5", **switches: Any) -> Server:
        server = make_singlestore(version, Behaviour(**switches))
        assert server.double is not None
        server.double.seed(["ada", "gw"], {"eng": []})
        for grant in grants:
            server.double.execute(grant)
        return server

    return make_with


def gateway(server: Server) -> Any:
    return server.connect("gw", "password-of-gw")


def test_each_switch_says_which_probe_settles_it() -> None:
    described = re.findall(r"^ {8}(\w+): .*\(10\.\d+\)\.$", Behaviour.__doc__ or "", re.MULTILINE)
    assert described == [*dict.fromkeys(described)]
    assert set(described) == {field.name for field in fields(Behaviour)}


@pytest.mark.parametrize(
    ("switch", "sql"),
    [
        ("user_exists_error", "CREATE USER 'ada' IDENTIFIED BY 'x'"),
        ("group_exists_error", "CREATE GROUP 'eng'"),
        ("role_exists_error", "CREATE ROLE 'reader'"),
        ("missing_user_error", "DROP USER 'nobody'"),
        ("missing_user_error", "ALTER USER 'nobody' ACCOUNT LOCK"),
        ("missing_user_error", "SET PASSWORD FOR 'nobody' = PASSWORD('x')"),
        ("missing_grantee_error", "GRANT GROUP 'eng' TO 'nobody'"),
        ("missing_grantee_error", "REVOKE GROUP 'eng' FROM 'nobody'"),
        ("auto_create_denied_error", "GRANT SELECT ON *.* TO 'nobody'"),
        ("missing_user_shown_error", "SHOW GROUPS FOR USER 'nobody'"),
        ("long_name_error", f"CREATE USER '{'x' * 33}' IDENTIFIED BY 'x'"),
        ("long_name_error", f"CREATE GROUP '{'x' * 65}'"),
        ("jwt_requires_ssl_error", "CREATE USER 'j' IDENTIFIED WITH authentication_jwt"),
    ],
)
def test_numbers_that_are_not_known(make: Any, switch: str, sql: str) -> None:
    server = make("CREATE ROLE 'reader'", **{switch: 1777})
    assert error(server.connect(), sql) == 1777


def test_a_missing_user_may_have_no_groups_instead_of_an_error(make: Any) -> None:
    assert ask(make(missing_user_shown_error=None).connect(), "SHOW GROUPS FOR USER 'nobody'") == []


@pytest.mark.parametrize("answer", ["error", "silent"])
def test_repeated_membership_statements(make: Any, answer: str) -> None:
    server = make(repeat_grant_group=answer, repeat_revoke_group=answer, repeat_error=1777)
    root = server.connect()
    expected = 1777 if answer == "error" else None
    assert error(root, "REVOKE GROUP 'eng' FROM 'ada'") == expected
    tell(root, "GRANT GROUP 'eng' TO 'ada'")
    assert error(root, "GRANT GROUP 'eng' TO 'ada'") == expected
    assert server.double.state().groups == {"eng": frozenset({Account("ada")})}


@pytest.mark.parametrize(("sets", "password"), [(False, "password-of-ada"), (True, "other")])
def test_if_not_exists_and_the_password(make: Any, sets: bool, password: str) -> None:
    server = make(if_not_exists_sets_password=sets, if_not_exists_warns=sets)
    root = server.connect()
    tell(root, "CREATE USER IF NOT EXISTS 'ada' IDENTIFIED BY 'other'")
    assert len(ask(root, "SHOW WARNINGS")) == int(sets)
    assert server.connect("ada", password).open


@pytest.mark.parametrize(("rule", "left"), [("nothing", {"ada", "gw"}), ("others", {"gw"})])
def test_a_list_with_a_missing_user(make: Any, rule: str, left: set[str]) -> None:
    server = make(drop_list_with_missing=rule)
    assert error(server.connect(), "DROP USER 'ada', 'nobody'") == 1396
    assert {account.name for account in server.double.state().users} == left


@pytest.mark.parametrize("sensitive", [True, False])
def test_case_of_names(make: Any, sensitive: bool) -> None:
    server = make(case_sensitive_names=sensitive)
    root = server.connect()
    assert (error(root, "CREATE USER 'ADA' IDENTIFIED BY 'x'") is None) is sensitive
    assert (error(root, "CREATE GROUP 'ENG'") is None) is sensitive
    assert error(root, "GRANT GROUP 'ENG' TO 'Ada'") == (1133 if sensitive else None)
    assert (error(root, "DROP USER 'Ada'") is None) is not sensitive


@pytest.mark.parametrize("kept", [True, False])
def test_trailing_space_of_names(make: Any, kept: bool) -> None:
    server = make(trailing_space="kept" if kept else "stripped")
    root = server.connect()
    assert (error(root, "DROP USER 'ada '") is None) is not kept
    tell(root, "CREATE USER 'bob ' IDENTIFIED BY 'x'")
    assert Account("bob " if kept else "bob") in server.double.state().users


def test_long_names_may_be_truncated(make: Any) -> None:
    server = make(long_name="truncated")
    tell(server.connect(), f"CREATE USER '{'x' * 40}' IDENTIFIED BY 'x'")
    assert Account("x" * 32) in server.double.state().users


@pytest.mark.parametrize(("rule", "attribute"), [("replace", '{"b": 2}'), ("merge", '{"a": 1, "b": 2}')])
def test_a_second_attribute(make: Any, rule: str, attribute: str) -> None:
    root = make(attribute=rule).connect()
    tell(root, "ALTER USER 'ada' ATTRIBUTE '{\"a\": 1}' COMMENT 'c'", "ALTER USER 'ada' ATTRIBUTE '{\"b\": 2}'")
    shown = "SELECT ATTRIBUTE, COMMENT FROM information_schema.USERS WHERE `USER` = 'ada'"
    assert ask(root, shown) == [(attribute, "c")]


@pytest.mark.parametrize("shown", ["LOCKED", "OPEN"])
def test_what_a_lock_looks_like(make: Any, shown: str) -> None:
    root = make(lock_shown=shown).connect()
    tell(root, "ALTER USER 'ada' ACCOUNT LOCK")
    assert ask(root, "SELECT ACCOUNT_STATUS FROM information_schema.USERS WHERE `USER` = 'ada'") == [(shown,)]


# Who may do what

MANAGES_USERS = ["CREATE USER 'x' IDENTIFIED BY 'x'", "DROP USER 'x'"]
MANAGES_GROUPS = [
    *("CREATE GROUP 'x'", "GRANT GROUP 'x' TO 'ada'", "REVOKE GROUP 'x' FROM 'ada'", "DROP GROUP 'x'"),
]
MANAGES_ROLES = ["CREATE ROLE 'x'", "GRANT ROLE 'x' TO 'eng'", "REVOKE ROLE 'x' FROM 'eng'", "DROP ROLE 'x'"]
ALTERS = ["ALTER USER 'ada' ACCOUNT LOCK", "ALTER USER 'ada' ACCOUNT UNLOCK", "ALTER USER 'ada' COMMENT 'x'"]
GRANTS = ["GRANT SELECT ON db.* TO 'ada'", "REVOKE SELECT ON db.* FROM 'ada'"]
EVERYTHING = MANAGES_USERS + MANAGES_GROUPS + MANAGES_ROLES + ALTERS + GRANTS


def allowed(server: Server, statements: list[str]) -> list[str]:
    """Those that are carried out; the others must be denied, and leave no trace."""
    connection = gateway(server)
    numbers = {sql: error(connection, sql) for sql in statements}
    assert set(numbers.values()) <= {None, 1227, 1918, 1919, 1396}, numbers
    return [sql for sql, number in numbers.items() if number is None]


def test_without_privileges_nothing(make: Any) -> None:
    assert allowed(make(), EVERYTHING) == []


def test_create_user_is_for_users_only(make: Any) -> None:
    assert allowed(make("GRANT CREATE USER ON *.* TO 'gw'"), EVERYTHING) == MANAGES_USERS


def test_alter_user_is_for_altering_only(make: Any) -> None:
    assert allowed(make("GRANT ALTER USER ON *.* TO 'gw'"), EVERYTHING) == ALTERS


def test_the_grant_permission_is_for_groups_roles_altering_and_granting(make: Any) -> None:
    expected = MANAGES_GROUPS + MANAGES_ROLES + ALTERS + GRANTS
    assert allowed(make("GRANT GRANT OPTION ON *.* TO 'gw'"), EVERYTHING) == expected
    assert allowed(make("GRANT USAGE ON *.* TO 'gw' WITH GRANT OPTION"), EVERYTHING) == expected


def test_before_8_0_altering_takes_the_grant_permission(make: Any) -> None:
    server = make("GRANT CREATE USER ON *.* TO 'gw'", version="7.8")
    connection = gateway(server)
    assert error(connection, "ALTER USER 'ada' IDENTIFIED BY 'x'") == 1227
    server.double.execute("GRANT GRANT OPTION ON *.* TO 'gw'")
    assert error(connection, "ALTER USER 'ada' IDENTIFIED BY 'x'") is None


@pytest.mark.parametrize("spelling", ["GRANT OPTION", "WITH GRANT OPTION"])
def test_only_one_spelling_may_give_the_grant_permission(make: Any, spelling: str) -> None:
    grants = {
        "GRANT OPTION": "GRANT GRANT OPTION ON *.* TO 'gw'",
        "WITH GRANT OPTION": "GRANT USAGE ON *.* TO 'gw' WITH GRANT OPTION",
    }
    for other, grant in grants.items():
        server = make(grant, grant_permission_by=frozenset({spelling}))
        assert (error(gateway(server), "CREATE GROUP 'x'") is None) is (other == spelling)


def test_create_user_may_be_enough_for_groups(make: Any) -> None:
    server = make("GRANT CREATE USER ON *.* TO 'gw'", group_privilege="CREATE USER")
    assert allowed(server, EVERYTHING) == MANAGES_USERS + MANAGES_GROUPS


@pytest.mark.parametrize("anything", [True, False])
def test_what_the_grant_option_can_hand_out(make: Any, anything: bool) -> None:
    server = make("GRANT CREATE USER ON *.* TO 'gw' WITH GRANT OPTION", grant_option_grants_anything=anything)
    connection = gateway(server)
    assert error(connection, "GRANT CREATE USER ON *.* TO 'ada'") is None
    assert error(connection, "GRANT SUPER ON *.* TO 'gw'") == (None if anything else 1227)


def test_the_mode_per_privilege(make: Any) -> None:
    for groups in (True, False):
        server = make(
            "GRANT GRANT OPTION ON *.* TO 'gw'",
            "GRANT TRANSFERABLE SELECT ON db.* TO 'gw'",
            per_privilege_allows_groups=groups,
        )
        tell(server.connect(), "SET GLOBAL privilege_transfer_mode = 'per_privilege'")
        connection = gateway(server)
        assert error(connection, "GRANT SELECT ON db.* TO 'ada'") is None
        assert error(connection, "GRANT SUPER ON *.* TO 'ada'") == 1227
        assert error(connection, "CREATE GROUP 'x'") == (None if groups else 1227)


@pytest.mark.parametrize("reaches", [True, False])
def test_altering_somebody_stronger(make: Any, reaches: bool) -> None:
    server = make("GRANT ALTER USER ON *.* TO 'gw'", "GRANT SUPER ON *.* TO 'ada'", alter_user_reaches_stronger=reaches)
    assert error(gateway(server), "ALTER USER 'ada' IDENTIFIED BY 'x'") == (None if reaches else 1227)


@pytest.mark.parametrize("can", [True, False])
def test_altering_root(make: Any, can: bool) -> None:
    server = make("GRANT ALTER USER, CREATE USER ON *.* TO 'gw'", root_can_be_altered=can)
    connection = gateway(server)
    assert error(connection, "ALTER USER 'root' ACCOUNT UNLOCK") == (None if can else 1227)
    assert error(connection, "DROP USER 'root'") == 1227
    assert error(connection, "CREATE USER 'root' IDENTIFIED BY 'x'") == 1396


def test_one_may_set_ones_own_password(make: Any) -> None:
    server = make()
    own = server.connect("ada", "password-of-ada")
    tell(own, "SET PASSWORD FOR 'ada' = PASSWORD('new')")
    assert server.connect("ada", "new").open
    assert error(own, "SET PASSWORD FOR 'gw' = PASSWORD('new')") == 1227


def test_the_number_of_a_denial(make: Any) -> None:
    server = make(denied_error=1142, show_grants_denied_error=1142)
    connection = gateway(server)
    assert error(connection, "CREATE GROUP 'x'") == 1142
    assert error(connection, "SHOW GRANTS FOR 'ada'") == 1142


def test_a_denied_statement_changes_nothing(make: Any, make_singlestore: MakeDouble) -> None:
    server = make("GRANT SHOW METADATA, PROCESS ON *.* TO 'gw'")
    double: SingleStoreDouble = server.double
    before = double.state()
    assert allowed(server, EVERYTHING) == []
    assert double.state() == before
