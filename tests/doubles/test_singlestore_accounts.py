"""Account statements over the wire: what they do, what they answer, and how names are taken."""

from __future__ import annotations

import pymysql
import pytest
from doubles.asking import affected, ask, column, error, headers, tell
from doubles.singlestore.api import Account, Behaviour, SingleStoreDouble
from doubles.singlestore.fixtures import MakeDouble, Server
from hypothesis import given
from hypothesis import strategies as st

PASSWORD = "Secret-1-secret"


def test_a_new_user_can_connect_and_do_nothing_else(singlestore: Server) -> None:
    ada = singlestore.name("ada")
    root = singlestore.connect()
    ask(root, "CREATE USER %s@'%%' IDENTIFIED BY %s", ada, PASSWORD)
    own = singlestore.connect(ada, PASSWORD)
    assert ask(own, "SELECT CURRENT_USER()") == [(f"{ada}@%",)]
    assert ask(own, "SHOW GRANTS") == [(f"GRANT USAGE ON *.* TO '{ada}'@'%'",)]
    assert error(own, "CREATE GROUP 'x'") is not None


def test_membership_is_listed_from_both_sides(singlestore: Server) -> None:
    ada, bob, eng = map(singlestore.name, ("ada", "bob", "eng"))
    root = singlestore.connect()
    for name in (ada, bob):
        ask(root, "CREATE USER %s@'%%' IDENTIFIED BY %s", name, PASSWORD)
    ask(root, "CREATE GROUP %s", eng)
    for name in (ada, bob):
        ask(root, "GRANT GROUP %s TO %s@'%%'", eng, name)
    ask(root, "REVOKE GROUP %s FROM %s@'%%'", eng, bob)
    assert column(root, "SHOW USERS FOR GROUP %s", eng) == [f"'{ada}'@'%'"]
    assert column(root, "SHOW GROUPS FOR USER %s@'%%'", ada) == [eng]
    assert column(root, "SHOW GROUPS FOR USER %s@'%%'", bob) == []
    users_groups = "SELECT `USER` FROM information_schema.USERS_GROUPS WHERE `GROUP` = %s"
    assert ask(root, users_groups, eng) == [(f"'{ada}'@'%'",)]


def test_headers_hold_the_name_of_the_object(singlestore: Server) -> None:
    ada, eng, reader = map(singlestore.name, ("ada", "eng", "reader"))
    root = singlestore.connect()
    tell(root, f"CREATE USER '{ada}' IDENTIFIED BY '{PASSWORD}'", f"CREATE GROUP '{eng}'", f"CREATE ROLE '{reader}'")
    tell(root, f"GRANT ROLE '{reader}' TO '{eng}'", f"GRANT GROUP '{eng}' TO '{ada}'")
    assert headers(root, f"SHOW USERS FOR GROUP '{eng}'")[0] == f"Users in group {eng}"
    assert headers(root, f"SHOW USERS FOR ROLE '{reader}'")[0] == f"Users with role {reader}"
    assert headers(root, f"SHOW GROUPS FOR USER '{ada}'@'%'") == [f"Groups of user {ada}@%"]
    assert headers(root, f"SHOW GROUPS FOR ROLE '{reader}'") == [f"Groups with role {reader}"]
    assert headers(root, f"SHOW ROLES FOR GROUP '{eng}'") == [f"Roles of group {eng}"]
    assert headers(root, f"SHOW GRANTS FOR '{ada}'@'%'") == [f"Grants for {ada}@%"]


def test_a_role_of_a_group_reaches_its_members(singlestore: Server) -> None:
    ada, eng, reader = map(singlestore.name, ("ada", "eng", "reader"))
    root = singlestore.connect()
    tell(root, f"CREATE USER '{ada}' IDENTIFIED BY '{PASSWORD}'", f"CREATE GROUP '{eng}'", f"CREATE ROLE '{reader}'")
    tell(root, f"GRANT CREATE USER ON *.* TO ROLE '{reader}'", f"GRANT ROLE '{reader}' TO '{eng}'")
    assert column(root, f"SHOW ROLES FOR GROUP '{eng}'") == [reader]
    assert column(root, f"SHOW GRANTS FOR ROLE '{reader}'") == [f"GRANT CREATE USER ON *.* TO ROLE '{reader}'"]
    tell(root, f"GRANT GROUP '{eng}' TO '{ada}'@'%'")
    assert column(root, f"SHOW ROLES FOR USER '{ada}'@'%'") == [reader]
    member = singlestore.connect(ada, PASSWORD)
    tell(member, f"DROP USER IF EXISTS '{singlestore.name('nobody')}'")


def test_a_dropped_group_leaves_no_membership(singlestore: Server) -> None:
    ada, eng = map(singlestore.name, ("ada", "eng"))
    root = singlestore.connect()
    tell(root, f"CREATE USER '{ada}' IDENTIFIED BY '{PASSWORD}'", f"CREATE GROUP '{eng}'")
    tell(root, f"GRANT GROUP '{eng}' TO '{ada}'", f"DROP GROUP '{eng}'", f"CREATE GROUP '{eng}'")
    assert ask(root, f"SHOW USERS FOR GROUP '{eng}'") == []


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("GRANT GROUP 'no-such-group' TO 'ada'", 1918),
        ("REVOKE GROUP 'no-such-group' FROM 'ada'", 1918),
        ("DROP GROUP 'no-such-group'", 1918),
        ("SHOW USERS FOR GROUP 'no-such-group'", 1918),
        ("SHOW ROLES FOR GROUP 'no-such-group'", 1918),
        ("GRANT ROLE 'no-such-role' TO 'eng'", 1919),
        ("DROP ROLE 'no-such-role'", 1919),
        ("SHOW GRANTS FOR ROLE 'no-such-role'", 1919),
        ("GRANT SELECT ON *.* TO ROLE 'no-such-role'", 1919),
        ("SHOW GRANTS FOR 'no-such-user'@'%'", 1141),
        ("DROP USER 'no-such-user'", 1396),
        ("ALTER USER 'no-such-user' ACCOUNT LOCK", 1396),
        ("CREATE USER 'ada' IDENTIFIED BY 'x'", 1396),
        ("GRANT GROUP 'eng' TO 'no-such-user'", 1133),
        ("GRANT SELECT ON *.* TO 'no-such-user'", 1133),
        ("CREATE USER 'a23456789012345678901234567890123' IDENTIFIED BY 'x'", 1470),
        ("DROP USER IF EXISTS 'no-such-user'", None),
        ("DROP GROUP IF EXISTS 'no-such-group'", None),
        ("CREATE USER 'a2345678901234567890123456789012' IDENTIFIED BY 'x'", None),
    ],
)
def test_error_numbers(singlestore_double: SingleStoreDouble, sql: str, number: int | None) -> None:
    singlestore_double.seed(["ada"], {"eng": []})
    server = singlestore_double.address()
    root = pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, ssl_disabled=True
    )
    assert error(root, sql) == number
    root.close()


def test_a_jwt_user_may_have_320_characters_from_8_5_on(make_singlestore: MakeDouble) -> None:
    create = "CREATE USER %s IDENTIFIED WITH authentication_jwt REQUIRE SSL"
    new, old = make_singlestore("8.5").connect(), make_singlestore("8.1").connect()
    assert error(new, create, "j" * 320) is None
    assert error(new, create, "j" * 321) == 1470
    assert error(old, create, "j" * 33) == 1470


def test_drop_user_of_several(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    assert server.double is not None
    server.double.seed(["ada", "bob", "cat"])
    root = server.connect()
    tell(root, "DROP USER IF EXISTS 'ada'@'%', 'nobody', 'bob'")
    assert set(server.double.state().users) == {Account("cat")}


def test_two_hosts_of_one_name_are_two_users(singlestore: Server) -> None:
    ada, eng = map(singlestore.name, ("ada", "eng"))
    root = singlestore.connect()
    tell(root, f"CREATE USER '{ada}'@'%' IDENTIFIED BY 'a'", f"CREATE USER '{ada}'@'10.1.2.3' IDENTIFIED BY 'b'")
    tell(root, f"CREATE GROUP '{eng}'", f"GRANT GROUP '{eng}' TO '{ada}'@'10.1.2.3'")
    assert ask(root, f"SHOW GROUPS FOR USER '{ada}'") == []
    hosts = "SELECT HOST FROM information_schema.USERS WHERE `USER` = %s AND IS_DELETED = 0"
    assert column(root, hosts, ada) == ["%", "10.1.2.3"]


def test_affected_rows_of_account_statements_are_none(
    singlestore_double: SingleStoreDouble, make_singlestore: MakeDouble
) -> None:
    root = make_singlestore(behaviour=Behaviour(membership_affects_rows=1)).connect()
    assert affected(root, "CREATE USER 'ada' IDENTIFIED BY 'x'") == 0
    tell(root, "CREATE GROUP 'eng'")
    assert affected(root, "GRANT GROUP 'eng' TO 'ada'") == 1
    assert affected(root, "GRANT GROUP 'eng' TO 'ada'") == 0


def test_grant_makes_users_on_old_servers_only(make_singlestore: MakeDouble) -> None:
    old, new = make_singlestore("8.1"), make_singlestore("8.5")
    root = old.connect()
    tell(root, "GRANT SELECT ON *.* TO 'typo'")
    assert [row[0] for row in ask(root, "SHOW WARNINGS")] == ["Warning"]
    assert old.connect("typo", "").open
    assert error(new.connect(), "GRANT SELECT ON *.* TO 'typo'") == 1133
    tell(root, "SET GLOBAL sql_mode = 'NO_AUTO_CREATE_USER'")
    assert error(old.connect(), "GRANT SELECT ON *.* TO 'other'") == 1133


def test_a_refused_syntax_is_recorded_as_unknown(make_singlestore: MakeDouble) -> None:
    server = make_singlestore("7.8")
    assert server.double is not None
    root = server.connect()
    assert error(root, "ALTER USER 'ada' ACCOUNT LOCK") == 1064
    assert error(root, "RENAME USER 'ada' TO 'bob'") == 1064
    too_new, never = server.double.take_unknown()
    assert str(too_new.known_since) == "8.0"
    assert never.known_since is None
    assert not server.double.unknown


def test_grants_are_shown_line_by_line(singlestore: Server) -> None:
    ada = singlestore.name("ada")
    root = singlestore.connect()
    tell(root, f"CREATE USER '{ada}' IDENTIFIED BY '{PASSWORD}'")
    tell(root, f"GRANT SELECT, INSERT ON shop.* TO '{ada}'", f"GRANT SHOW METADATA ON *.* TO '{ada}' WITH GRANT OPTION")
    lines = column(root, f"SHOW GRANTS FOR '{ada}'@'%'")
    assert f"GRANT INSERT, SELECT ON `shop`.* TO '{ada}'@'%'" in lines
    assert f"GRANT SHOW METADATA ON *.* TO '{ada}'@'%' WITH GRANT OPTION" in lines
    tell(root, f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{ada}'")
    assert column(root, f"SHOW GRANTS FOR '{ada}'@'%'") == [f"GRANT USAGE ON *.* TO '{ada}'@'%'"]


def test_the_grant_option_is_revoked_by_itself(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    assert server.double is not None
    server.double.seed(["ada"])
    root = server.connect()
    tell(root, "GRANT ALL ON *.* TO 'ada' WITH GRANT OPTION", "REVOKE ALL PRIVILEGES ON *.* FROM 'ada'")
    assert server.double.grants("ada") == ["GRANT USAGE ON *.* TO 'ada'@'%' WITH GRANT OPTION"]
    tell(root, "REVOKE GRANT OPTION ON *.* FROM 'ada'")
    assert server.double.grants("ada") == ["GRANT USAGE ON *.* TO 'ada'@'%'"]


def test_an_attribute_and_a_comment_are_shown(singlestore: Server) -> None:
    ada = singlestore.name("ada")
    root = singlestore.connect()
    mark = '{"scim": "1"}'
    ask(root, "CREATE USER %s IDENTIFIED BY %s ATTRIBUTE %s COMMENT %s", ada, PASSWORD, mark, "it's")
    shown = "SELECT ATTRIBUTE, COMMENT FROM information_schema.USERS WHERE `USER` = %s"
    assert ask(root, shown, ada) == [(mark, "it's")]


NAMES = st.text(
    st.one_of(st.sampled_from("'\"\\`@%_;#-/* \t\r\n\0"), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=32,
)


@given(name=NAMES, group=NAMES, no_backslash=st.booleans())
def test_the_user_made_is_byte_for_byte_the_one_that_was_meant(
    hostile_server: Server, name: str, group: str, no_backslash: bool
) -> None:
    assert hostile_server.double is not None
    double = hostile_server.double
    connection = hostile_server.opened[0]
    mode = "'NO_BACKSLASH_ESCAPES'" if no_backslash else "''"
    ask(connection, f"SET SESSION sql_mode = {mode}")
    ask(connection, "DROP USER IF EXISTS %s@'%%'", name)
    ask(connection, "DROP GROUP IF EXISTS %s", group)
    ask(connection, "CREATE USER %s@'%%' IDENTIFIED BY %s", name, name)
    ask(connection, "CREATE GROUP %s", group)
    ask(connection, "GRANT GROUP %s TO %s@'%%'", group, name)
    assert double.state().groups[group] == frozenset({Account(name)})
    found = ask(connection, "SELECT `USER` FROM information_schema.USERS WHERE `USER` = %s", name)
    assert found in ([(name,)], [(name,), (name,)])
    assert column(connection, "SHOW GROUPS FOR USER %s@'%%'", name) == [group]
    ask(connection, "REVOKE GROUP %s FROM %s@'%%'", group, name)
    ask(connection, "DROP USER %s@'%%'", name)
    ask(connection, "DROP GROUP %s", group)
    assert not double.state().users
    assert not double.unknown


@pytest.fixture
def hostile_server(make_singlestore: MakeDouble) -> Server:
    server = make_singlestore()
    server.connect()
    return server
