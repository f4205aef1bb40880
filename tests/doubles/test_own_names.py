"""Tests on a server of others say and read their names without a prefix, and cannot touch what carries none."""

from __future__ import annotations

import pymysql
import pytest
from doubles.singlestore.api import Account
from doubles.singlestore.grammar import parse
from doubles.singlestore.own_names import ForeignName, OwnNames
from doubles.singlestore.statements import GrantGroup
from doubles.singlestore.tokens import literal
from hypothesis import given
from hypothesis import strategies as st

NAMES = OwnNames("t1_")


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("CREATE USER 'ada'@'%' IDENTIFIED BY 'ada'", "CREATE USER 't1_ada'@'%' IDENTIFIED BY 'ada'"),
        (
            """ALTER USER 'ada'@'10.0.0.1' ATTRIBUTE '{"a": "it\\'s"}' COMMENT 'ada'""",
            """ALTER USER 't1_ada'@'10.0.0.1' ATTRIBUTE '{"a": "it\\'s"}' COMMENT 'ada'""",
        ),
        (
            "CREATE USER 'ada'@'%' IDENTIFIED WITH authentication_pam AS 's2' REQUIRE SSL",
            "CREATE USER 't1_ada'@'%' IDENTIFIED WITH authentication_pam AS 's2' REQUIRE SSL",
        ),
        ("DROP USER IF EXISTS 'o''hara'@'%'", "DROP USER IF EXISTS 't1_o''hara'@'%'"),
        ("GRANT GROUP 'eng' TO 'x@%'@'%'", "GRANT GROUP 't1_eng' TO 't1_x@%'@'%'"),
        ("GRANT ROLE 'reader' TO 'eng'", "GRANT ROLE 't1_reader' TO 't1_eng'"),
        ("GRANT SUPER ON *.* TO ROLE 'chief'", "GRANT SUPER ON *.* TO ROLE 't1_chief'"),
        (
            "GRANT INSERT, UPDATE ON `100% mine`.`t` TO 'ada'@'%'",
            "GRANT INSERT, UPDATE ON `t1_100% mine`.`t` TO 't1_ada'@'%'",
        ),
        ("REVOKE SELECT ON shop.* FROM 'ada'@'%'", "REVOKE SELECT ON t1_shop.* FROM 't1_ada'@'%'"),
        ("GRANT SELECT ON `#shop%`.* TO 'ada'@'%'", "GRANT SELECT ON `#t1_shop%`.* TO 't1_ada'@'%'"),
        ("CREATE USER 'root'@'%' IDENTIFIED BY 'x'", "CREATE USER 't1_root'@'%' IDENTIFIED BY 'x'"),
        ("SHOW GRANTS FOR 'root'@'%'", "SHOW GRANTS FOR 'root'@'%'"),
        (
            "SELECT * FROM information_schema.USERS WHERE `USER` = 'ada' OR LOWER(`USER`) = LOWER('ada')",
            "SELECT * FROM information_schema.USERS WHERE `USER` = 't1_ada' OR LOWER(`USER`) = LOWER('t1_ada')",
        ),
        (
            r"SELECT `GROUP` FROM information_schema.USERS_GROUPS WHERE `USER` IN ('\'ada\'@\'%\'', 'ada@%')",
            r"SELECT `GROUP` FROM information_schema.USERS_GROUPS WHERE `USER` IN ('\'t1_ada\'@\'%\'', 't1_ada@%')",
        ),
        ("SELECT @@sync_permissions", "SELECT @@sync_permissions"),
        ("KILL CONNECTION 7 1", "KILL CONNECTION 7 1"),
    ],
)
def test_every_name_gets_the_prefix_and_nothing_else_does(said, sent):
    assert NAMES.on_the_server(said) == sent


@pytest.mark.parametrize(
    "said",
    [
        "DROP USER ada",
        "ALTER USER root ACCOUNT LOCK",
        "GRANT SELECT ON * TO 'ada'@'%'",
        "DROP GROUP eng",
        'DROP USER "ada"@"%"',
        "DROP USER 'ada'@'%'; DROP USER 'bob'@'%'",
        "DROP USER 'ada'@'%', bob",
        "CREATE DATABASE shop",
        "GRANT GROUP 'eng' TO '''bob'@'%'",
        "KILLALL",
        "KILL ALL CONNECTIONS",
        "SET GLOBAL sync_permissions = OFF",
        "INSERT INTO shop.t VALUES (1)",
        "SELECT 1 INTO OUTFILE 'x'",
        "SELECT * FROM shop.t",
        "RESTORE DATABASE shop FROM 'x'",
    ],
)
def test_what_may_concern_others_is_not_sent(said):
    with pytest.raises(ForeignName):
        NAMES.on_the_server(said)


@given(st.text(max_size=20), st.text(max_size=20))
def test_whatever_the_names_it_is_about_them_with_their_prefix_or_is_not_sent(group, user):
    said = f"GRANT GROUP {literal(group)} TO {Account(user)}"
    try:
        sent = NAMES.on_the_server(said)
    except ForeignName:
        return
    assert parse(sent, version="9.1") == GrantGroup(f"t1_{group}", Account(f"t1_{user}"))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00'"), min_size=1, max_size=20))
def test_what_the_driver_writes_is_understood(name):
    said = f"CREATE GROUP {pymysql.converters.escape_item(name, 'utf8mb4')}"
    sent = NAMES.on_the_server(said)
    assert sent == said.replace("'", "'t1_", 1)


def test_a_list_of_everything_holds_what_is_the_tests_and_root():
    rows = (("t1_ada", "%"), ("root", "%"), ("boss", "%"))
    assert NAMES.shown("SELECT `USER`, HOST FROM information_schema.USERS", rows) == (("ada", "%"), ("root", "%"))
    members = (("t1_eng", "'t1_ada'@'%'"), ("eng", "'ada'@'%'"))
    assert NAMES.shown("SELECT `GROUP`, `USER` FROM information_schema.USERS_GROUPS", members) == (
        ("eng", "'ada'@'%'"),
    )
    assert NAMES.shown("SHOW GROUPS", (("t1_eng",), ("eng",))) == (("eng",),)


def test_a_question_whether_there_is_anybody_is_answered_by_whoever_there_is():
    sql = "SELECT `USER` FROM information_schema.USERS WHERE `USER` <> 'scim_gw' LIMIT 1"
    assert NAMES.shown(sql, (("boss",),)) == (("boss",),)


def test_what_an_account_was_given_is_shown_without_the_prefix():
    rows = (("GRANT SELECT ON `t1_shop`.* TO 't1_ada'@'%'", 1),)
    assert NAMES.shown("SHOW GRANTS FOR 'ada'@'%'", rows) == (("GRANT SELECT ON `shop`.* TO 'ada'@'%'", 1),)
