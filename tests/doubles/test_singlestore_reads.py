"""What SHOW and information_schema tell, and to whom."""

from __future__ import annotations

import pytest
from doubles.asking import Connection, ask, column, error, headers, tell
from doubles.singlestore.api import Behaviour, SingleStoreDouble
from doubles.singlestore.fixtures import MakeDouble, Server

VIEWS = ("USERS", "`GROUPS`", "ROLES", "USERS_GROUPS", "GROUPS_ROLES", "USER_PRIVILEGES")


@pytest.fixture
def people(singlestore_double: SingleStoreDouble) -> SingleStoreDouble:
    """Ada in two groups, Bob in one, Cat in none."""
    singlestore_double.seed(["ada", "bob", "cat"], {"eng": ["ada", "bob"], "ops": ["ada"]})
    singlestore_double.execute("CREATE ROLE 'reader'", "GRANT ROLE 'reader' TO 'eng'")
    return singlestore_double


class Connect:
    def __init__(self, double: SingleStoreDouble) -> None:
        self.server = Server(double.address(), double)

    def __call__(self, user: str | None = None) -> Connection:
        return self.server.connect(user, f"password-of-{user}")


@pytest.fixture
def connect(people: SingleStoreDouble) -> Connect:
    return Connect(people)


def test_columns_of_show_users(connect: Connect) -> None:
    assert headers(connect(), "SHOW USERS") == [
        *("User", "Type", "Connections", "Is deleted", "Default resource pool", "Is local"),
    ]
    rows = {row[0]: row[1:] for row in ask(connect(), "SHOW USERS")}
    assert rows["'ada'@'%'"] == ("Native", 0, 0, None, "SYNC")
    assert rows["'root'@'%'"][4] == "LOCAL"


def test_columns_of_the_views(connect: Connect) -> None:
    root = connect()
    expected = {
        "USERS": "USER HOST TYPE CONNECTIONS IS_DELETED LAST_UPDATED DEFAULT_RESOURCE_POOL IS_LOCAL CREATED"
        " PASSWORD_EXPIRATION PASSWORD_UPDATED EFFECTIVE_FAILED_LOGIN_ATTEMPTS EFFECTIVE_PASSWORD_LOCK_TIME"
        " ACCOUNT_STATUS ATTRIBUTE COMMENT",
        "`GROUPS`": "GROUP_NAME NUM_USERS",
        "ROLES": "ROLE",
        "USERS_GROUPS": "GROUP USER",
        "GROUPS_ROLES": "GROUP ROLE",
        "USER_PRIVILEGES": "GRANTEE TABLE_CATALOG PRIVILEGE_TYPE IS_GRANTABLE",
        "MV_PROCESSLIST": "NODE_ID ID USER HOST DB COMMAND TIME STATE INFO",
    }
    for view, columns in expected.items():
        assert headers(root, f"SELECT * FROM information_schema.{view}") == columns.split()
        fields = column(root, f"SHOW COLUMNS FROM information_schema.{view}")
        assert fields == sorted(columns.split())


def test_attribute_and_comment_may_not_be_shown(make_singlestore: MakeDouble) -> None:
    for server in (make_singlestore(behaviour=Behaviour(attribute_shown=False)), make_singlestore("8.0")):
        shown = headers(server.connect(), "SELECT * FROM information_schema.USERS")
        assert shown[-1] == "ACCOUNT_STATUS"


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("`USER` = 'ada'", ["ada"]),
        ("`USER` = 'ADA'", []),
        ("`USER` IN ('ada', 'cat', 'nobody') AND IS_DELETED = 0", ["ada", "cat"]),
        ("`USER` LIKE '%a%' AND `TYPE` = 'Native'", ["ada", "cat"]),
        ("`USER` LIKE 'A%'", []),
        ("`USER` LIKE '_a_'", ["cat"]),
        ("NOT `USER` = 'root' AND HOST = '%'", ["ada", "bob", "cat"]),
        ("`USER` > 'b' AND `USER` < 'c'", ["bob"]),
    ],
)
def test_conditions(connect: Connect, condition: str, names: list[str]) -> None:
    sql = f"SELECT `USER` FROM information_schema.USERS WHERE {condition} ORDER BY `USER` DESC"
    assert [row[0] for row in ask(connect(), sql)] == sorted(names, reverse=True)


def test_counts_joins_and_limits(connect: Connect) -> None:
    root = connect()
    assert ask(root, "SELECT COUNT(*) FROM information_schema.USERS_GROUPS") == [(3,)]
    grouped = "SELECT `GROUP`, COUNT(*) AS n FROM information_schema.USERS_GROUPS GROUP BY `GROUP` ORDER BY n LIMIT 1"
    assert ask(root, grouped) == [("ops", 1)]
    joined = (
        "SELECT ug.`USER` FROM information_schema.USERS_GROUPS ug JOIN information_schema.GROUPS_ROLES gr"
        " ON ug.`GROUP` = gr.`GROUP` WHERE gr.ROLE = %s"
    )
    assert column(root, joined, "reader") == ["'ada'@'%'", "'bob'@'%'"]
    account = "SELECT CONCAT(`USER`, '@', HOST) FROM information_schema.USERS WHERE `USER` = 'ada'"
    assert ask(root, account) == [("ada@%",)]
    assert ask(root, "SELECT GROUP_NAME, NUM_USERS FROM information_schema.`GROUPS` ORDER BY GROUP_NAME") == [
        ("eng", 2),
        ("ops", 1),
    ]


def test_the_views_follow_every_change(connect: Connect) -> None:
    root = connect()
    members = "SELECT `USER` FROM information_schema.USERS_GROUPS WHERE `GROUP` = 'eng'"
    assert len(column(root, members)) == 2
    tell(root, "REVOKE GROUP 'eng' FROM 'bob'", "GRANT GROUP 'eng' TO 'cat'", "DROP GROUP 'ops'", "DROP USER 'ada'")
    assert column(root, members) == ["'cat'@'%'"]
    assert column(root, "SELECT GROUP_NAME FROM information_schema.`GROUPS`") == ["eng"]
    assert ask(root, "SELECT NUM_USERS FROM information_schema.`GROUPS`") == [(1,)]
    tell(root, "REVOKE ROLE 'reader' FROM 'eng'", "CREATE USER 'ada' IDENTIFIED BY 'x'", "DROP ROLE 'reader'")
    assert ask(root, "SELECT * FROM information_schema.GROUPS_ROLES") == []
    assert ask(root, "SELECT * FROM information_schema.ROLES") == []
    assert column(root, "SELECT `USER` FROM information_schema.USERS") == ["ada", "bob", "cat", "root"]
    assert ask(root, "SELECT * FROM information_schema.USERS_GROUPS WHERE `USER` LIKE '%ada%'") == []


def test_who_may_not_see_all_sees_less_and_no_error(connect: Connect) -> None:
    bob = connect("bob")
    assert column(bob, "SELECT `USER` FROM information_schema.USERS") == ["bob"]
    assert column(bob, "SELECT GROUP_NAME FROM information_schema.`GROUPS`") == ["eng"]
    assert ask(bob, "SELECT * FROM information_schema.USERS_GROUPS") == [("eng", "'bob'@'%'")]
    assert ask(bob, "SELECT * FROM information_schema.GROUPS_ROLES") == [("eng", "reader")]
    assert column(bob, "SELECT `USER` FROM information_schema.MV_PROCESSLIST") == ["bob"]
    assert column(bob, "SHOW USERS") == ["'bob'@'%'"]
    assert column(bob, "SHOW GROUPS") == ["eng"]
    assert column(bob, "SHOW USERS FOR GROUP 'ops'") == []
    assert column(bob, "SHOW USERS FOR GROUP 'eng'") == ["'bob'@'%'"]
    cat = connect("cat")
    for view in ("`GROUPS`", "ROLES", "USERS_GROUPS", "GROUPS_ROLES"):
        assert ask(cat, f"SELECT * FROM information_schema.{view}") == []
    assert ask(cat, "SELECT COUNT(*) FROM information_schema.USERS_GROUPS") == [(0,)]


def test_show_metadata_shows_groups_and_not_users(connect: Connect) -> None:
    tell(connect(), "GRANT SHOW METADATA ON *.* TO 'cat'")
    cat = connect("cat")
    assert column(cat, "SHOW GROUPS") == ["eng", "ops"]
    assert column(cat, "SELECT GROUP_NAME FROM information_schema.`GROUPS`") == ["eng", "ops"]
    assert column(cat, "SELECT `USER` FROM information_schema.USERS") == ["cat"]
    assert ask(cat, "SELECT * FROM information_schema.USERS_GROUPS") == []
    assert error(cat, "SHOW GRANTS FOR 'ada'@'%'") == 1044


def test_the_grant_permission_shows_users(connect: Connect) -> None:
    tell(connect(), "GRANT GRANT OPTION ON *.* TO 'cat'")
    cat = connect("cat")
    assert len(ask(cat, "SELECT * FROM information_schema.USERS")) == 4
    assert len(ask(cat, "SELECT * FROM information_schema.USERS_GROUPS")) == 3
    assert ask(cat, "SHOW GRANTS FOR 'ada'@'%'")
    assert column(cat, "SHOW USERS") == ["'cat'@'%'"]


def test_open_questions_of_sight(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(behaviour=Behaviour(groups_seen_with_grant=False, show_users_needs_all=False))
    assert server.double is not None
    server.double.seed(["cat"], {"eng": []})
    server.double.execute("GRANT GRANT OPTION ON *.* TO 'cat'")
    cat = server.connect("cat", "password-of-cat")
    assert ask(cat, "SELECT * FROM information_schema.`GROUPS`") == []
    assert len(ask(cat, "SHOW USERS")) == 2


def test_forms_that_differ_between_servers(make_singlestore: MakeDouble) -> None:
    behaviour = Behaviour(users_groups_user="bare", type_in_users_for_group=False, user_needs_backquotes=False)
    server = make_singlestore(behaviour=behaviour)
    assert server.double is not None
    server.double.seed(["ada"], {"eng": ["ada"]})
    root = server.connect()
    assert ask(root, "SELECT USER FROM information_schema.USERS_GROUPS") == [("ada@%",)]
    assert headers(root, "SHOW USERS FOR GROUP 'eng'")[1] == "Connections"


def test_views_may_be_blind_to_case(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(behaviour=Behaviour(views_ignore_case=True))
    assert server.double is not None
    server.double.seed(["ada", "Ada"], {"eng": ["ada"], "ENG": ["Ada"]})
    root = server.connect()
    assert column(root, "SELECT `USER` FROM information_schema.USERS WHERE `USER` = 'ADA '") == ["Ada", "ada"]
    assert column(root, "SELECT `USER` FROM information_schema.USERS WHERE `USER` LIKE 'AD%'") == ["Ada", "ada"]
    exact = "SELECT `USER` FROM information_schema.USERS WHERE `USER` COLLATE utf8mb4_bin = 'Ada'"
    assert column(root, exact) == ["Ada"]
    assert len(ask(root, "SELECT * FROM information_schema.USERS_GROUPS WHERE `GROUP` = 'eng'")) == 2


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT USER FROM information_schema.USERS",
        "SELECT * FROM information_schema.USERS_GROUPS WHERE GROUP = 'eng'",
        "SELECT * FROM information_schema.USERS WHERE `USER` = 0",
        "SELECT * FROM information_schema.USERS WHERE `USER` IN (1, 2)",
        "SELECT NO_SUCH_COLUMN FROM information_schema.USERS",
        "SELECT serial FROM information_schema.USERS",
        "SELECT * FROM information_schema.USERS; DROP TABLE x",
        "SELECT * FROM information_schema.USERS -- x",
        "SELECT * FROM information_schema.USERS WHERE `USER` = 'a' 'b'",
        "SELECT * FROM information_schema.USERS WHERE `USER` = 'a",
        "SELECT `USER` || 'x' FROM information_schema.USERS",
        "SELECT * FROM information_schema.USERS, sqlite_master",
        "DELETE FROM information_schema.USERS",
        "SELECT * FROM information_schema.USERS, information_schema.SECRETS",
        "SHOW COLUMNS FROM information_schema.SECRETS",
    ],
)
def test_what_the_views_do_not_know_fails_loudly(connect: Connect, people: SingleStoreDouble, sql: str) -> None:
    assert error(connect(), sql) in (1064, 1109)
    [unknown] = people.take_unknown()
    assert unknown.entry.sql == sql


def test_backslashes_in_conditions_follow_the_mode(connect: Connect, people: SingleStoreDouble) -> None:
    people.seed(["back\\slash", "quo'te"])
    root = connect()
    query = "SELECT `USER` FROM information_schema.USERS WHERE `USER` = %s"
    for mode in ("''", "'NO_BACKSLASH_ESCAPES'"):
        tell(root, f"SET SESSION sql_mode = {mode}")
        for name in ("back\\slash", "quo'te"):
            assert ask(root, query, name) == [(name,)]


def test_privileges_of_the_cluster_are_listed(connect: Connect) -> None:
    root = connect()
    tell(root, "GRANT CREATE USER, PROCESS ON *.* TO 'cat' WITH GRANT OPTION", "GRANT SELECT ON db.* TO 'cat'")
    rows = ask(root, "SELECT * FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = %s", "'cat'@'%'")
    assert sorted(row[2] for row in rows) == ["CREATE USER", "PROCESS"]
    assert {row[3] for row in rows} == {"YES"}


def test_variables(connect: Connect) -> None:
    root = connect()
    assert ask(root, "SELECT @@memsql_version, @@sync_permissions") == [("8.5.1", 1)]
    assert ask(root, "SHOW VARIABLES LIKE 'sync_permissions'") == [("sync_permissions", "ON")]
    assert ask(root, "SHOW VARIABLES WHERE Variable_name = 'memsql_version'") == [("memsql_version", "8.5.1")]
    assert ("password_min_length", "0") in ask(root, "SHOW VARIABLES LIKE 'password%'")
    tell(root, "SET SESSION lock_wait_timeout = 5, @@session.wait_timeout = 60", "SET NAMES utf8mb4")
    assert ask(root, "SELECT @@lock_wait_timeout, @@SESSION.wait_timeout AS w") == [(5, 60)]
    assert ask(root, "SELECT @@global.lock_wait_timeout") == [(60,)]
    assert error(root, "SET sync_permissions = 0") == 1238
    assert error(root, "SET SESSION sql_mode = 7") == 1231
    assert error(connect("ada"), "SET GLOBAL lock_wait_timeout = 5") == 1227


def test_scalars(connect: Connect) -> None:
    ada = connect("ada")
    [(user, session_user, database, one, text, nothing)] = ask(
        ada, "SELECT CURRENT_USER(), USER(), DATABASE(), 1, 'x' AS text, NULL"
    )
    assert (user, session_user, database, one, text, nothing) == ("ada@%", "ada@127.0.0.1", None, 1, "x", None)
    [(now,)] = ask(ada, "SELECT UTC_TIMESTAMP(6)")
    assert len(now) == 26
    tell(ada, "SET time_zone = '+02:00'")
    [(utc, there)] = ask(ada, "SELECT UTC_TIMESTAMP(), NOW()")
    assert (int(there[11:13]) - int(utc[11:13])) % 24 == 2


def test_the_clock_can_be_put_forward(connect: Connect, people: SingleStoreDouble) -> None:
    root = connect()
    [(before,)] = ask(root, "SELECT UNIX_TIMESTAMP()")
    people.advance(3600)
    [(after,)] = ask(root, "SELECT UNIX_TIMESTAMP()")
    assert 3600 <= after - before < 3660


def test_unknown_variables_and_statements_fail_loudly(connect: Connect, people: SingleStoreDouble) -> None:
    root = connect()
    statements = (
        "SELECT @@no_such",
        "SET no_such = 1",
        "SELECT SLEEP(1)",
        "SELECT * FROM t",
        "SHOW TABLES",
        "",
        "FLUSH",
    )
    for sql in statements:
        assert error(root, sql) in (1064, 1193), sql
    assert [unknown.entry.sql for unknown in people.take_unknown()] == list(statements)
