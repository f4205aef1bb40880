"""Open sessions: they outlive locks and drops, and end when they are killed by id and node."""

from __future__ import annotations

import threading
from typing import Literal

import pymysql
import pytest
from doubles.asking import Connection, ask, column, error, tell
from doubles.singlestore.api import Behaviour, SingleStoreDouble
from doubles.singlestore.fixtures import MakeDouble, Server

LISTED = "SELECT NODE_ID, ID FROM information_schema.MV_PROCESSLIST WHERE `USER` = %s"


def is_alive(connection: Connection) -> bool:
    return error(connection, "SELECT 1") is None


def with_ada(server: Server) -> SingleStoreDouble:
    assert server.double is not None
    server.double.seed(["ada"], {"eng": ["ada"]})
    return server.double


@pytest.mark.parametrize(
    "statement", ["ALTER USER %s ACCOUNT LOCK", "DROP USER %s", "ALTER USER %s IDENTIFIED BY 'Other-1'"]
)
def test_an_open_session_lives_on(singlestore: Server, statement: str) -> None:
    ada = singlestore.name("ada")
    root = singlestore.connect()
    ask(root, "CREATE USER %s IDENTIFIED BY 'Right-1-right'", ada)
    own = singlestore.connect(ada, "Right-1-right")
    ask(root, statement, ada)
    assert is_alive(own)
    with pytest.raises(pymysql.err.OperationalError):
        singlestore.connect(ada, "Right-1-right")


def test_a_killed_session_is_gone_for_both_sides(singlestore: Server) -> None:
    ada = singlestore.name("ada")
    root = singlestore.connect()
    ask(root, "CREATE USER %s IDENTIFIED BY 'Right-1-right'", ada)
    own, other = (singlestore.connect(ada, "Right-1-right") for _ in range(2))
    sessions = ask(root, LISTED, ada)
    assert len(sessions) == 2
    for node, number in sessions:
        ask(root, f"KILL CONNECTION {number} {node}")
    assert error(own, "SELECT 1") in (2006, 2013)
    assert error(other, "SELECT 1") in (2006, 2013)
    assert ask(root, LISTED, ada) == []


def test_a_dropped_user_is_listed_while_it_has_sessions(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    with_ada(server)
    root, own = server.connect(), server.connect("ada", "password-of-ada")
    row = "SELECT CONNECTIONS, IS_DELETED FROM information_schema.USERS WHERE `USER` = 'ada'"
    assert ask(root, row) == [(1, 0)]
    tell(root, "DROP USER 'ada'")
    assert ask(root, row) == [(1, 1)]
    assert [line[3] for line in ask(root, "SHOW USERS") if line[0] == "'ada'@'%'"] == [1]
    assert ask(root, "SELECT * FROM information_schema.USERS_GROUPS") == []
    tell(root, "CREATE USER 'ada' IDENTIFIED BY 'x'")
    assert sorted(ask(root, row)) == [(0, 0), (1, 1)]
    own.close()
    tell(root, "SELECT 1")
    assert ask(root, row) == [(0, 0)]


def test_a_dropped_user_may_keep_its_memberships_for_so_long(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(behaviour=Behaviour(dropped_user_keeps_memberships=True))
    double = with_ada(server)
    root, _own = server.connect(), server.connect("ada", "password-of-ada")
    tell(root, "DROP USER 'ada'")
    members = "SELECT `USER` FROM information_schema.USERS_GROUPS"
    assert column(root, members) == ["'ada'@'%'"]
    [(node, number)] = double.sessions("ada")
    tell(root, f"KILL {number} {node}")
    assert column(root, members) == []


def test_ids_repeat_across_nodes_so_a_kill_needs_both(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(aggregators=2)
    double = with_ada(server)
    second = double.address(2, "ada", "password-of-ada")
    root = server.connect()
    there = pymysql.connect(
        host=second.host, port=second.port, user=second.user, password=second.password, ssl_disabled=True
    )
    [(here_id,)] = ask(root, "SELECT CONNECTION_ID()")
    [(there_id,)] = ask(there, "SELECT CONNECTION_ID()")
    assert here_id == there_id
    assert ask(root, LISTED, "ada") == [(2, there_id)]
    assert error(root, f"KILL CONNECTION {there_id + 1}") == 1094
    assert is_alive(there)
    tell(root, f"KILL CONNECTION {there_id} 2")
    assert not is_alive(there)
    assert is_alive(root)
    there.close()


def test_killing_an_id_that_is_not_there(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(behaviour=Behaviour(kill_unknown_error=1094))
    root = server.connect()
    assert error(root, "KILL CONNECTION 4711 1") == 1094
    assert error(root, "KILL CONNECTION 1 99") == 1094


def test_killing_others_needs_process(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = with_ada(server)
    double.seed(["bob"])
    own, other = server.connect("ada", "password-of-ada"), server.connect("bob", "password-of-bob")
    [(node, number)] = double.sessions("bob")
    assert error(own, f"KILL CONNECTION {number} {node}") == 1095
    double.execute("GRANT PROCESS ON *.* TO 'ada'")
    assert error(own, f"KILL CONNECTION {number} {node}") is None
    assert not is_alive(other)


def test_killing_oneself_ends_the_connection(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    own = server.connect()
    [(number,)] = ask(own, "SELECT CONNECTION_ID()")
    assert error(own, f"KILL {number}") in (2006, 2013, None)
    assert not is_alive(own)
    assert is_alive(server.connect())


def test_a_killed_query_leaves_the_connection(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = with_ada(server)
    own = server.connect("ada", "password-of-ada")
    [(node, number)] = double.sessions("ada")
    root = server.connect()
    hanging = double.hang("SELECT 'slow'")

    def kill() -> None:
        hanging.wait()
        tell(root, f"KILL QUERY {number} {node}")

    killer = threading.Thread(target=kill)
    killer.start()
    assert error(own, "SELECT 'slow'") == 1317
    killer.join()
    assert is_alive(own)


def test_the_number_that_a_killed_client_reads(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(behaviour=Behaviour(killed_session_error=1927))
    double = with_ada(server)
    own = server.connect("ada", "password-of-ada")
    [(node, number)] = double.sessions("ada")
    tell(server.connect(), f"KILL CONNECTION {number} {node}")
    assert error(own, "SELECT 1") in (2006, 2013, 1927)
    assert not own.open or not is_alive(own)


def test_a_killed_session_may_be_listed_a_while(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(behaviour=Behaviour(killed_listed_for=2))
    double = with_ada(server)
    server.connect("ada", "password-of-ada")
    root = server.connect()
    [(node, number)] = double.sessions("ada")
    tell(root, f"KILL CONNECTION {number} {node}")
    assert [len(ask(root, LISTED, "ada")) for _ in range(3)] == [1, 1, 0]
    assert error(root, f"KILL CONNECTION {number} {node}") == 1094


def test_killall_is_for_nobody(singlestore_double: SingleStoreDouble) -> None:
    root = Server(singlestore_double.address(), None).connect()
    assert error(root, "KILLALL CONNECTIONS") == 1064
    assert singlestore_double.take_unknown()
    root.close()


@pytest.mark.parametrize(("feels", "denied"), [("next statement", True), ("next login", False)])
def test_when_a_revoked_right_is_felt(
    make_singlestore: MakeDouble, feels: Literal["next statement", "next login"], denied: bool
) -> None:
    server = make_singlestore(behaviour=Behaviour(revoke_feels=feels))
    double = with_ada(server)
    double.execute("CREATE ROLE 'admin'", "GRANT CREATE USER ON *.* TO ROLE 'admin'", "GRANT ROLE 'admin' TO 'eng'")
    own = server.connect("ada", "password-of-ada")
    tell(own, "DROP USER IF EXISTS 'nobody'")
    tell(server.connect(), "REVOKE GROUP 'eng' FROM 'ada'@'%'")
    assert (error(own, "DROP USER IF EXISTS 'nobody'") is not None) is denied
    later = server.connect("ada", "password-of-ada")
    assert error(later, "DROP USER IF EXISTS 'nobody'") == 1227


@pytest.mark.parametrize("takes", [True, False])
def test_whose_rights_an_old_session_of_a_new_user_has(make_singlestore: MakeDouble, takes: bool) -> None:
    server = make_singlestore(behaviour=Behaviour(recreated_user_takes_old_sessions=takes))
    double = with_ada(server)
    own = server.connect("ada", "password-of-ada")
    double.execute("DROP USER 'ada'", "CREATE USER 'ada' IDENTIFIED BY 'x'", "GRANT CREATE USER ON *.* TO 'ada'")
    assert (error(own, "DROP USER IF EXISTS 'nobody'") is None) is takes


def test_sessions_of_the_double_are_counted(singlestore: Server) -> None:
    ada = singlestore.name("ada")
    root = singlestore.connect()
    ask(root, "CREATE USER %s IDENTIFIED BY 'Right-1-right'", ada)
    connections = [singlestore.connect(ada, "Right-1-right") for _ in range(3)]
    count = "SELECT COUNT(*) FROM information_schema.MV_PROCESSLIST WHERE `USER` = %s"
    assert ask(root, count, ada) == [(3,)]
    assert len(connections) == 3
