"""The grammar of account statements: what the vendor documents is read, everything else is refused."""

from __future__ import annotations

import pymysql.converters
import pytest
from doubles.singlestore.grammar import SyntaxRefused, parse
from doubles.singlestore.statements import (
    Account,
    AlterUser,
    CreateGroup,
    CreateRole,
    CreateUser,
    DropGroup,
    DropRole,
    DropUser,
    Grant,
    GrantGroup,
    GrantRole,
    Kill,
    KillAll,
    Options,
    Password,
    Plugin,
    Revoke,
    RevokeAll,
    RevokeGroup,
    RevokeRole,
    Role,
    Scope,
    SetPassword,
    Show,
    ShowColumns,
    ShowFor,
    ShowGrants,
    ShowVariables,
    Statement,
)
from doubles.singlestore.tokens import literal, tokenize
from doubles.singlestore.versions import Version
from hypothesis import given
from hypothesis import strategies as st

ADA = Account("ada")
NEWEST = "10.0"

DOCUMENTED: dict[str, Statement] = {
    "CREATE USER 'ada'@'%' IDENTIFIED BY 'secret'": CreateUser(ADA, Password("secret")),
    "create user ada identified by 'secret';": CreateUser(ADA, Password("secret")),
    "CREATE USER 'ada'@'10.0.0.1'": CreateUser(Account("ada", "10.0.0.1")),
    "CREATE USER `a-b`@localhost": CreateUser(Account("a-b", "localhost")),
    'CREATE USER "a b"': CreateUser(Account("a b")),
    "CREATE USER IF NOT EXISTS 'ada' IDENTIFIED BY ''": CreateUser(ADA, Password(""), True),
    "CREATE USER 'ada' IDENTIFIED BY 'x' WITH DEFAULT RESOURCE POOL = p1": CreateUser(
        ADA, Password("x"), options=Options("p1")
    ),
    "CREATE USER 'ada' WITH FAILED_LOGIN_ATTEMPTS = 3 PASSWORD_LOCK_TIME = 60": CreateUser(
        ADA, options=Options(None, 3, 60)
    ),
    "CREATE USER 'ada' WITH DEFAULT RESOURCE POOL = p1 FAILED_LOGIN_ATTEMPTS = 3 PASSWORD_LOCK_TIME = 60": CreateUser(
        ADA, options=Options("p1", 3, 60)
    ),
    "CREATE USER 'ada' IDENTIFIED BY 'x' REQUIRE SSL ATTRIBUTE '{\"scim\": \"1\"}' COMMENT 'it''s'": CreateUser(
        ADA, Password("x"), require="SSL", attribute='{"scim": "1"}', comment="it's"
    ),
    "CREATE USER 'ada' IDENTIFIED WITH authentication_jwt REQUIRE SSL": CreateUser(
        ADA, Plugin("authentication_jwt"), require="SSL"
    ),
    "CREATE USER 'ada' IDENTIFIED WITH authentication_pam AS 'sshd'": CreateUser(
        ADA, Plugin("authentication_pam", "sshd")
    ),
    "CREATE USER 'ada' IDENTIFIED WITH authentication_gss AS 'ada@REALM'": CreateUser(
        ADA, Plugin("authentication_gss", "ada@REALM")
    ),
    "CREATE USER 'ada' IDENTIFIED WITH authentication_saml": CreateUser(ADA, Plugin("authentication_saml")),
    "ALTER USER 'ada'@'%' ACCOUNT LOCK": AlterUser(ADA, lock=True),
    "ALTER USER 'ada'@'%' ACCOUNT UNLOCK": AlterUser(ADA, lock=False),
    "ALTER USER 'ada' IDENTIFIED BY 'x'": AlterUser(ADA, Password("x")),
    "ALTER USER 'ada' SET DEFAULT RESOURCE POOL = p1 FAILED_LOGIN_ATTEMPTS = 0": AlterUser(
        ADA, options=Options("p1", 0)
    ),
    "ALTER USER 'ada' SET AUDITLOG_LEVEL = 'NULL'": AlterUser(ADA, options=Options(auditlog_level="NULL")),
    "ALTER USER 'ada' REQUIRE NONE ATTRIBUTE '{}' COMMENT ''": AlterUser(
        ADA, require="NONE", attribute="{}", comment=""
    ),
    "SET PASSWORD FOR 'ada'@'%' = PASSWORD('x')": SetPassword(ADA, Password("x")),
    "DROP USER 'ada'": DropUser((ADA,)),
    "DROP USER IF EXISTS 'ada'@'%', 'bob'@'localhost'": DropUser((ADA, Account("bob", "localhost")), True),
    "CREATE GROUP 'eng'": CreateGroup("eng"),
    "CREATE GROUP eng": CreateGroup("eng"),
    "DROP GROUP 'eng'": DropGroup("eng"),
    "DROP GROUP IF EXISTS 'eng'": DropGroup("eng", True),
    "GRANT GROUP 'eng' TO 'ada'@'%'": GrantGroup("eng", ADA),
    "REVOKE GROUP 'eng' FROM 'ada'": RevokeGroup("eng", ADA),
    "CREATE ROLE 'reader'": CreateRole("reader"),
    "CREATE ROLE 'reader' WITH FAILED_LOGIN_ATTEMPTS = 3 PASSWORD_LOCK_TIME = 60": CreateRole(
        "reader", Options(None, 3, 60)
    ),
    "DROP ROLE IF EXISTS 'reader'": DropRole("reader", True),
    "GRANT ROLE 'reader' TO 'eng'": GrantRole("reader", "eng"),
    "REVOKE ROLE 'reader' FROM 'eng'": RevokeRole("reader", "eng"),
    "GRANT SELECT, INSERT ON `db`.* TO ROLE 'reader'": Grant(("SELECT", "INSERT"), Scope("db"), (Role("reader"),)),
    "GRANT ALL ON *.* TO 'ada', 'bob'@'%' WITH GRANT OPTION": Grant(
        ("ALL PRIVILEGES",), Scope(), (ADA, Account("bob")), with_grant_option=True
    ),
    "GRANT GRANT OPTION ON *.* TO 'ada'": Grant(("GRANT OPTION",), Scope(), (ADA,)),
    "GRANT SELECT ON * TO 'ada'": Grant(("SELECT",), Scope(current_database=True), (ADA,)),
    "GRANT SELECT ON db.users TO 'ada' REQUIRE SSL": Grant(("SELECT",), Scope("db", "users"), (ADA,), require="SSL"),
    "GRANT TRANSFERABLE SHOW METADATA ON *.* TO 'ada'": Grant(("SHOW METADATA",), Scope(), (ADA,), True),
    "REVOKE CREATE USER, ALTER USER ON *.* FROM 'ada'": Revoke(("CREATE USER", "ALTER USER"), Scope(), (ADA,)),
    "REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'ada'": RevokeAll(ADA),
    "KILL CONNECTION 12 3": Kill(12, 3),
    "KILL 12": Kill(12),
    "KILL QUERY 12 3": Kill(12, 3, True),
    "KILLALL QUERIES LIKE '%x%'": KillAll(True, "%x%"),
    "SHOW USERS": Show("USERS"),
    "SHOW AGGREGATORS": Show("AGGREGATORS"),
    "SHOW USERS FOR GROUP 'eng'": ShowFor("USERS", "GROUP", "eng"),
    "SHOW USERS FOR ROLE 'reader'": ShowFor("USERS", "ROLE", "reader"),
    "SHOW GROUPS FOR USER 'ada'@'%'": ShowFor("GROUPS", "USER", ADA),
    "SHOW GROUPS FOR ROLE 'reader'": ShowFor("GROUPS", "ROLE", "reader"),
    "SHOW ROLES FOR GROUP eng": ShowFor("ROLES", "GROUP", "eng"),
    "SHOW ROLES FOR USER 'ada'@'%'": ShowFor("ROLES", "USER", ADA),
    "SHOW GRANTS": ShowGrants(),
    "SHOW GRANTS FOR 'ada'@'%'": ShowGrants(ADA),
    "SHOW GRANTS FOR ROLE 'reader'": ShowGrants(Role("reader")),
    "SHOW VARIABLES LIKE '%version%'": ShowVariables("%version%"),
    "SHOW VARIABLES WHERE Variable_name = 'a_b'": ShowVariables(r"a\_b"),
    "SHOW COLUMNS FROM information_schema.USERS": ShowColumns("information_schema", "USERS"),
}


@pytest.mark.parametrize("sql", DOCUMENTED)
def test_a_documented_statement_is_read(sql: str) -> None:
    assert parse(sql, version=NEWEST) == DOCUMENTED[sql]


@pytest.mark.parametrize(
    "sql",
    [
        "",
        ";",
        "GRANT SELEC ON x.* TO 'a'",
        "GRANT SELECT ON x.* TOO 'a'",
        "GRANT GROUP eng ON 'ada'",
        "GRANT GROUP 'eng' TO 'ada', 'bob'",
        "GRANT GROUP 'eng', 'ops' TO 'ada'",
        "CREATE GROOP 'x'",
        "CREATE GROUP IF NOT EXISTS 'x'",
        "CREATE ROLE IF NOT EXISTS 'x'",
        "CREATE GROUP 'a' 'b'",
        "CREATE GROUP 'a' -- comment",
        "CREATE GROUP /* comment */ 'a'",
        "CREATE GROUP 'a'; DROP GROUP 'b'",
        "CREATE GROUP 'a",
        "CREATE GROUP group",
        "CREATE GROUP ''a''",
        "CREATE GROUP 1",
        "CREATE GROUP ünïcode",
        "CREATE USER 'a' 'b'",
        "CREATE USER 'a'@ 'b'",
        "CREATE USER 'a' @'b'",
        "CREATE USER 'a'@10.0.0.1",
        "CREATE USER 'a', 'b'",
        "CREATE USER 'a' ACCOUNT LOCK",
        "CREATE USER 'a' IDENTIFIED BY x",
        "CREATE USER 'a' IDENTIFIED BY PASSWORD '*ABC'",
        "CREATE USER 'a' IDENTIFIED WITH mysql_native_password",
        "CREATE USER 'a' IDENTIFIED WITH authentication_jwt AS 'x'",
        "CREATE USER 'a' WITH FAILED_LOGIN_ATTEMPTS = 3",
        "CREATE USER 'a' WITH PASSWORD_LOCK_TIME = 3 FAILED_LOGIN_ATTEMPTS = 3",
        "CREATE USER 'a' ATTRIBUTE '{'",
        "CREATE USER 'a' COMMENT 'c' ATTRIBUTE '{}'",
        "CREATE OR REPLACE USER 'a'",
        "ALTER USER 'a'",
        "ALTER USER 'a' SET",
        "ALTER USER IF EXISTS 'a' ACCOUNT LOCK",
        "ALTER USER 'a' IDENTIFIED BY 'x' ACCOUNT LOCK",
        "ALTER USER 'a' IDENTIFIED BY 'x' ACCOUNT UNLOCK",
        "ALTER USER 'a' IDENTIFIED WITH authentication_jwt",
        "ALTER GROUP 'a' RENAME TO 'b'",
        "RENAME USER 'a' TO 'b'",
        "SET PASSWORD FOR 'a' = 'x'",
        "SET PASSWORD FOR 'a' = PASSWORD(1)",
        "DROP GROUP 'a', 'b'",
        "DROP USER",
        "GRANT SELECT ON db TO 'a'",
        "GRANT SELECT ON *.t TO 'a'",
        "GRANT SELECT ON db.* TO ROLE 'a', ROLE 'b'",
        "GRANT SELECT ON db.* TO 'a' REQUIRE SUBJECT",
        "REVOKE ALL PRIVILEGES FROM 'a'",
        "KILL CONNECTION '12'",
        "KILL CONNECTION 12, 3",
        "KILL 12 3 4",
        "KILL 12abc",
        "SHOW USRES",
        "SHOW USERS FOR USER 'a'",
        "SHOW GROUPS FOR GROUP 'a'",
        "SHOW DATABASES",
        "SELECT 1",
        "CREATE USER 'a' REQUIRE TLS",
    ],
)
def test_what_is_not_documented_is_refused(sql: str) -> None:
    with pytest.raises(SyntaxRefused) as refused:
        parse(sql, version=NEWEST)
    assert refused.value.since is None


@pytest.mark.parametrize(
    ("sql", "since"),
    [
        ("CREATE USER IF NOT EXISTS 'a' IDENTIFIED BY 'x'", "8.5"),
        ("CREATE USER 'a' IDENTIFIED WITH authentication_jwt", "8.0"),
        ("CREATE USER 'a' ATTRIBUTE '{}'", "8.1"),
        ("CREATE USER 'a' COMMENT 'x'", "8.1"),
        ("CREATE USER 'a' REQUIRE X509", "8.9"),
        ("CREATE USER 'a' REQUIRE SUBJECT", "9.0"),
        ("CREATE USER 'a' WITH AUDITLOG_LEVEL = 'x'", "10.0"),
        ("ALTER USER 'a' ACCOUNT LOCK", "8.0"),
        ("ALTER USER 'a' ATTRIBUTE '{}'", "8.1"),
        ("ALTER USER 'a' SET AUDITLOG_LEVEL = 'x'", "10.0"),
        ("GRANT ALTER USER ON *.* TO 'a'", "8.0"),
        ("GRANT TRANSFERABLE SELECT ON *.* TO 'a'", "7.8"),
        ("GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO 'a'", "7.8"),
    ],
)
def test_a_clause_is_refused_before_the_version_that_brought_it(sql: str, since: str) -> None:
    older = [
        version
        for version in ("7.5", "7.8", "8.0", "8.1", "8.5", "8.9", "9.0")
        if Version.of(version) < Version.of(since)
    ]
    parse(sql, version=since)
    for version in older:
        with pytest.raises(SyntaxRefused) as refused:
            parse(sql, version=version)
        assert refused.value.since == Version.of(since)


def test_unlock_is_older_than_lock() -> None:
    assert parse("ALTER USER 'a' ACCOUNT UNLOCK", version="7.8") == AlterUser(Account("a"), lock=False)


def test_a_backslash_escapes_unless_the_mode_says_otherwise() -> None:
    assert parse(r"CREATE GROUP 'a\'b'", version=NEWEST) == CreateGroup("a'b")
    assert parse(r"CREATE GROUP 'a\\b\n\Z\%'", version=NEWEST) == CreateGroup("a\\b\n\x1a\\%")
    assert parse(r"CREATE GROUP 'a\'", version=NEWEST, backslash_escapes=False) == CreateGroup("a\\")
    with pytest.raises(SyntaxRefused):
        parse(r"CREATE GROUP 'a\'", version=NEWEST)
    with pytest.raises(SyntaxRefused):
        parse(r"CREATE GROUP 'a\'b'", version=NEWEST, backslash_escapes=False)


def test_double_quotes_hold_a_name_under_ansi_quotes_and_no_password() -> None:
    assert parse('CREATE GROUP "a""b"', version=NEWEST, ansi_quotes=True) == CreateGroup('a"b')
    with pytest.raises(SyntaxRefused):
        parse("CREATE USER 'a' IDENTIFIED BY \"x\"", version=NEWEST, ansi_quotes=True)


def test_a_password_does_not_show_in_what_was_read() -> None:
    assert "secret" not in repr(parse("CREATE USER 'a' IDENTIFIED BY 'secret'", version=NEWEST))


HOSTILE = st.text(
    st.one_of(
        st.sampled_from("'\"\\`@%_;#-/* \t\r\n\0\x1a.,()"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)


def pymysql_literal(text: str, backslash_escapes: bool) -> str:
    """As PyMySQL writes a parameter: ``escape_string`` or, without backslashes, doubled quotes."""
    if backslash_escapes:
        return f"'{pymysql.converters.escape_string(text)}'"
    return "'" + text.replace("'", "''") + "'"


@given(name=HOSTILE, host=HOSTILE, group=HOSTILE, backslash_escapes=st.booleans())
def test_any_name_that_the_driver_escapes_is_read_back_unchanged(
    name: str, host: str, group: str, backslash_escapes: bool
) -> None:
    quote = [pymysql_literal(text, backslash_escapes) for text in (group, name, host)]
    sql = "GRANT GROUP {} TO {}@{}".format(*quote)
    assert parse(sql, version="8.5", backslash_escapes=backslash_escapes) == GrantGroup(group, Account(name, host))


@given(name=HOSTILE, backslash_escapes=st.booleans())
def test_a_literal_of_ours_is_read_back_unchanged(name: str, backslash_escapes: bool) -> None:
    token, _end = tokenize(literal(name, backslash_escapes=backslash_escapes), backslash_escapes=backslash_escapes)
    assert token.value == name


@given(HOSTILE, st.booleans())
def test_any_text_is_read_or_refused(text: str, backslash_escapes: bool) -> None:
    for sql in (text, f"CREATE USER {text}", f"GRANT GROUP '{text}' TO 'a'"):
        try:
            statement = parse(sql, version="8.5", backslash_escapes=backslash_escapes)
        except SyntaxRefused:
            continue
        assert statement is not None
