"""Lines of SHOW GRANTS: what they give, and which of it makes an administrator."""

from __future__ import annotations

import pytest
from doubles.singlestore.grammar_parts import PRIVILEGES as GRAMMAR
from scim_gateway_singlestore_engine.grants import (
    ADMINISTRATIVE,
    PRIVILEGES,
    Grant,
    UnreadableGrant,
    administrative_in,
    parse_grant,
    privileges_of_cluster,
)


def test_the_privileges_that_are_known_are_those_of_the_vendors_list():
    assert PRIVILEGES == GRAMMAR
    assert ADMINISTRATIVE < PRIVILEGES


@pytest.mark.parametrize(
    ("line", "grant"),
    [
        ("GRANT USAGE ON *.* TO 'ada'@'%'", Grant(("USAGE",), "*.*")),
        ("GRANT SELECT, INSERT ON `db`.* TO ROLE 'r'", Grant(("SELECT", "INSERT"), "`db`.*")),
        ("grant select on db.t to 'ada'@'%'", Grant(("SELECT",), "`db`.`t`")),
        ("GRANT ALL ON `a``b`.`c.d` TO 'ada'@'%'", Grant(("ALL PRIVILEGES",), "`a``b`.`c.d`")),
        ("GRANT SHOW METADATA ON *.* TO 'a'@'%' WITH GRANT OPTION", Grant(("SHOW METADATA",), "*.*", True)),
        ("GRANT TRANSFERABLE SELECT ON `#db%`.* TO 'a'@'%'", Grant(("SELECT",), "`#db%`.*", True)),
        ("GRANT SELECT ON *.* TO 'a'@'%' WITH GRANT OPTION REQUIRE SSL", Grant(("SELECT",), "*.*", True)),
    ],
)
def test_a_line_is_privileges_on_a_scope(line, grant):
    assert parse_grant(line) == grant


@pytest.mark.parametrize("line", ["GRANT ROLE 'r' TO 'ada'@'%'", "GRANT GROUP 'g' TO 'ada'@'%'"])
def test_a_line_that_names_a_role_or_group_says_nothing_that_the_views_do_not(line):
    assert parse_grant(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "REVOKE ALL ON *.* FROM 'a'@'%'",
        "GRANT FLY ON *.* TO 'a'@'%'",
        "GRANT SELECT ON * TO 'a'@'%'",
        "GRANT SELECT",
    ],
)
def test_a_line_that_is_not_understood_makes_an_administrator(line):
    with pytest.raises(UnreadableGrant):
        parse_grant(line)
    assert administrative_in(["GRANT USAGE ON *.* TO 'a'@'%'", line]) is not None


@pytest.mark.parametrize(
    ("line", "privilege"),
    [
        ("GRANT ALL PRIVILEGES ON *.* TO 'a'@'%'", "ALL PRIVILEGES"),
        ("GRANT ALL PRIVILEGES ON `db`.* TO 'a'@'%'", None),
        ("GRANT SELECT, INSERT, CREATE ON *.* TO 'a'@'%'", None),
        ("GRANT SELECT, SUPER ON *.* TO 'a'@'%'", "SUPER"),
        ("GRANT CLUSTER ON *.* TO 'a'@'%'", "CLUSTER"),
        ("GRANT PROCESS ON *.* TO 'a'@'%'", "PROCESS"),
        ("GRANT CREATE USER ON *.* TO 'a'@'%'", "CREATE USER"),
        ("GRANT ALTER USER ON *.* TO 'a'@'%'", "ALTER USER"),
        ("GRANT GRANT OPTION ON *.* TO 'a'@'%'", "GRANT OPTION"),
        ("GRANT USAGE ON *.* TO 'a'@'%' WITH GRANT OPTION", "GRANT OPTION"),
        ("GRANT SELECT ON `db`.* TO 'a'@'%' WITH GRANT OPTION", "GRANT OPTION"),
        ("GRANT TRANSFERABLE SELECT ON `db`.* TO 'a'@'%'", "GRANT OPTION"),
        ("GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO 'a'@'%'", "SYSTEM_VARIABLES_ADMIN"),
        ("GRANT FILE READ ON *.* TO 'a'@'%'", "FILE READ"),
    ],
)
def test_what_makes_an_administrator(line, privilege):
    assert administrative_in([line]) == privilege


def test_privileges_of_the_cluster_do_not_come_from_one_database():
    lines = ["GRANT PROCESS ON *.* TO 'a'@'%' WITH GRANT OPTION", "GRANT SUPER ON `db`.* TO 'a'@'%'", "nonsense"]
    assert set(privileges_of_cluster(lines)) == {"PROCESS", "GRANT OPTION"}
