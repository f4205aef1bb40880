"""Several aggregators, with shared accounts and without; restarts; and a network that fails."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pymysql
import pytest
from doubles.asking import Connection, affected, ask, column, error, tell
from doubles.singlestore.api import Account, Behaviour, SingleStoreDouble
from doubles.singlestore.fixtures import MakeDouble, Server
from hypothesis import given
from hypothesis import strategies as st


def connect(double: SingleStoreDouble, node_id: int, user: str = "root", password: str | None = None) -> Connection:
    address = double.address(node_id, user, password)
    return pymysql.connect(
        host=address.host,
        port=address.port,
        user=user,
        password=address.password,
        autocommit=True,
        read_timeout=30,
        ssl_disabled=True,
    )


def double_of(server: Server) -> SingleStoreDouble:
    assert server.double is not None
    return server.double


def test_with_sync_permissions_all_aggregators_know_all(make_singlestore: MakeDouble) -> None:
    double = double_of(make_singlestore(aggregators=3))
    child, other = connect(double, 2), connect(double, 3)
    tell(child, "CREATE USER 'ada' IDENTIFIED BY 'x'", "CREATE GROUP 'eng'", "GRANT GROUP 'eng' TO 'ada'")
    assert column(other, "SHOW USERS FOR GROUP 'eng'") == ["'ada'@'%'"]
    assert ask(other, "SELECT IS_LOCAL FROM information_schema.USERS WHERE `USER` = 'ada'") == [("SYNC",)]
    connect(double, 1, "ada", "x").close()
    for connection in (child, other):
        connection.close()


def test_without_it_each_has_its_own(make_singlestore: MakeDouble) -> None:
    double = double_of(make_singlestore(aggregators=2, sync_permissions=False))
    master, child = connect(double, 1), connect(double, 2)
    assert ask(master, "SELECT @@sync_permissions") == [(0,)]
    tell(child, "CREATE USER 'ada' IDENTIFIED BY 'x'")
    assert set(double.state(1).users) == set()
    assert set(double.state(2).users) == {Account("ada")}
    assert ask(child, "SELECT IS_LOCAL FROM information_schema.USERS WHERE `USER` = 'ada'") == [("LOCAL",)]
    with pytest.raises(pymysql.err.OperationalError):
        connect(double, 1, "ada", "x")
    for connection in (master, child):
        connection.close()


@pytest.mark.parametrize(("version", "sync"), [("7.8", 0), ("8.0", 1), ("9.1", 1)])
def test_the_default_of_sync_permissions(make_singlestore: MakeDouble, version: str, sync: int) -> None:
    assert ask(make_singlestore(version).connect(), "SELECT @@sync_permissions") == [(sync,)]


def test_root_is_of_each_node(make_singlestore: MakeDouble) -> None:
    double = double_of(make_singlestore(aggregators=2))
    master = connect(double, 1)
    tell(master, "SET PASSWORD FOR 'root' = PASSWORD('new')")
    connect(double, 1, "root", "new").close()
    connect(double, 2).close()
    master.close()


def test_aggregators_are_listed(make_singlestore: MakeDouble) -> None:
    double = double_of(make_singlestore(aggregators=2))
    child = connect(double, 2)
    rows = ask(child, "SHOW AGGREGATORS")
    assert [(row[1], row[5], row[6]) for row in rows] == [
        (double.address(1).port, 1, 1),
        (double.address(2).port, 0, 2),
    ]
    child.close()


def test_a_child_may_learn_late(make_singlestore: MakeDouble) -> None:
    double = double_of(make_singlestore(aggregators=2))
    double.seed(["ada"])
    master, child = connect(double, 1), connect(double, 2)
    names = "SELECT `USER` FROM information_schema.USERS WHERE `USER` <> 'root'"
    with double.held_sync():
        tell(master, "DROP USER 'ada'", "CREATE USER 'bob' IDENTIFIED BY 'x'")
        assert column(master, names) == ["bob"]
        assert column(child, names) == ["ada"]
        late = connect(double, 2, "ada", "password-of-ada")
    assert column(child, names) == ["ada", "bob"]
    assert ask(child, "SELECT IS_DELETED FROM information_schema.USERS WHERE `USER` = 'ada'") == [(1,)]
    late.close()
    for connection in (master, child):
        connection.close()


@pytest.mark.parametrize("reaches", [True, False])
def test_how_far_a_lock_reaches(make_singlestore: MakeDouble, reaches: bool) -> None:
    double = double_of(make_singlestore(behaviour=Behaviour(lock_reaches_all_aggregators=reaches), aggregators=2))
    double.seed(["ada"])
    double.execute("ALTER USER 'ada' ACCOUNT LOCK")
    assert double.state(1).users[Account("ada")]
    assert double.state(2).users[Account("ada")] is reaches


@pytest.mark.parametrize("survives", [True, False])
def test_a_restart_keeps_all_but_perhaps_locks(make_singlestore: MakeDouble, survives: bool) -> None:
    server = make_singlestore(behaviour=Behaviour(lock_survives_restart=survives))
    double = double_of(server)
    double.seed(["ada"], {"eng": ["ada"]})
    double.execute("ALTER USER 'ada' ACCOUNT LOCK", "GRANT SELECT ON db.* TO 'ada'")
    before = server.connect()
    port = server.address.port
    double.restart()
    assert error(before, "SELECT 1") in (2006, 2013)
    assert double.address().port == port
    after = server.connect()
    assert column(after, "SHOW USERS FOR GROUP 'eng'") == ["'ada'@'%'"]
    assert len(double.grants("ada")) == 2
    assert double.state().users == {Account("ada"): survives}
    assert double.sessions("ada") == []


def test_a_node_that_died_refuses_and_comes_back(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(aggregators=2)
    double = double_of(server)
    master, child = server.connect(), connect(double, 2)
    double.stop(2)
    assert error(child, "SELECT 1") in (2006, 2013)
    with pytest.raises(pymysql.err.OperationalError) as refused:
        connect(double, 2)
    assert refused.value.args[0] == 2003
    assert error(master, "SELECT 1") is None
    double.start(2)
    connect(double, 2).close()


def test_connections_can_be_refused_while_others_go_on(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = double_of(server)
    before = server.connect()
    with double.refusing_connections():
        assert error(before, "SELECT 1") is None
        with pytest.raises(pymysql.err.OperationalError) as refused:
            server.connect()
        assert refused.value.args[0] == 2003
    assert server.connect().open


def test_log_ins_can_be_answered_with_an_error(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    with double_of(server).refusing_log_ins(1040, "Too many connections"):
        with pytest.raises(pymysql.err.OperationalError) as refused:
            server.connect()
        assert refused.value.args[0] == 1040
    assert server.connect().open


def test_a_frozen_server_answers_nothing(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = double_of(server)
    before = server.connect(read_timeout=1)
    with double.frozen():
        assert error(before, "CREATE GROUP 'late'") == 2013
        with pytest.raises(pymysql.err.OperationalError):
            server.connect(connect_timeout=1, read_timeout=1)
    assert error(server.connect(), "SELECT 1") is None


def test_a_statement_fails_as_often_as_asked(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = double_of(server)
    fault = double.fail("CREATE GROUP", 1205, "Lock wait timeout exceeded", skip=1, times=2)
    root = server.connect()
    assert [error(root, f"CREATE GROUP 'g{n}'") for n in range(5)] == [None, 1205, 1205, None, None]
    assert fault.hits == 2
    assert set(double.state().groups) == {"g0", "g3", "g4"}


def test_a_fault_may_be_asked_for_by_what_is_known_of_a_statement(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = double_of(server)
    double.fail(lambda entry: entry.is_account_statement and entry.connection_id == 2, 1227, times=None)
    first, second = server.connect(), server.connect()
    assert error(first, "CREATE GROUP 'a'") is None
    assert error(second, "CREATE GROUP 'b'") == 1227
    assert error(second, "SHOW GROUPS") is None


@pytest.mark.parametrize(("cut", "there"), [("cut_before", False), ("cut_after", True)])
def test_a_cut_connection_leaves_the_client_in_the_dark(make_singlestore: MakeDouble, cut: str, there: bool) -> None:
    server = make_singlestore()
    double = double_of(server)
    getattr(double, cut)("CREATE GROUP")
    root = server.connect()
    assert error(root, "CREATE GROUP 'eng'") == 2013
    assert ("eng" in double.state().groups) is there
    [entry] = double.log.matching("CREATE GROUP")
    assert entry.outcome == cut.replace("_", " ")
    assert error(server.connect(), "CREATE GROUP 'eng'") == (1396 if there else None)


def test_a_hanging_statement_takes_effect_when_it_is_released(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = double_of(server)
    fault = double.hang("CREATE GROUP")
    impatient = server.connect(read_timeout=1)
    assert error(impatient, "CREATE GROUP 'eng'") == 2013
    assert "eng" not in double.state().groups
    fault.release()
    other = server.connect()
    while "eng" not in double.state().groups:
        tell(other, "SELECT 1")
    [entry] = double.log.matching("CREATE GROUP")
    assert entry.error is None


def test_a_hanging_statement_can_be_killed(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = double_of(server)
    fault = double.hang("CREATE GROUP")
    victim, root = server.connect(), server.connect()
    numbers: list[int | None] = []
    thread = threading.Thread(target=lambda: numbers.append(error(victim, "CREATE GROUP 'eng'")))
    thread.start()
    fault.wait()
    tell(root, "KILL CONNECTION 1 1")
    thread.join()
    assert numbers == [2013]
    fault.release()
    assert double.state().groups == {}


def test_something_can_happen_around_a_statement(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = double_of(server)
    double.seed(["ada"], {"eng": []})
    double.call_before("GRANT GROUP", lambda _: double.execute("DROP USER 'ada'"))
    double.call_after("CREATE GROUP 'ops'", lambda _: double.execute("DROP GROUP 'ops'"))
    root = server.connect()
    assert error(root, "GRANT GROUP 'eng' TO 'ada'") == 1133
    assert error(root, "CREATE GROUP 'ops'") is None
    assert set(double.state().groups) == {"eng"}


def test_the_log_tells_who_sent_what_in_order(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = double_of(server)
    double.seed(["ada"])
    root, ada = server.connect(), server.connect("ada", "password-of-ada")
    double.log.clear()
    tell(root, "CREATE GROUP 'eng'")
    assert error(ada, "CREATE GROUP 'ops'") == 1227
    tell(root, "SHOW GROUPS")
    first, second, third = double.log
    assert (first.account, first.connection_id, first.outcome) == (Account("root"), 1, "done")
    assert (second.account.name, second.error, second.outcome) == ("ada", 1227, "error")
    assert third.sql == "SHOW GROUPS"
    assert double.log.account_statements() == ["CREATE GROUP 'eng'", "CREATE GROUP 'ops'"]
    assert double.log.count("GROUP '") == 2


def test_the_log_can_be_shown_without_passwords(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    root = server.connect()
    tell(root, r"CREATE USER 'ada' IDENTIFIED BY 'se''cr\'et' COMMENT 'c'")
    tell(root, "SET PASSWORD FOR 'ada' = PASSWORD('secret')")
    shown = [entry.shown for entry in double_of(server).log.matching("'ada'")]
    assert shown == ["CREATE USER 'ada' IDENTIFIED BY '…' COMMENT 'c'", "SET PASSWORD FOR 'ada' = PASSWORD( '…')"]


def test_transactions_without_tables_are_nothing(make_singlestore: MakeDouble) -> None:
    connection = make_singlestore().connect(autocommit=False)
    assert not connection.get_autocommit()
    connection.begin()
    assert ask(connection, "SELECT @@in_transaction") == [(1,)]
    assert affected(connection, "CREATE GROUP 'eng'") == 0
    assert ask(connection, "SELECT @@in_transaction") == [(0,)]
    connection.rollback()
    connection.commit()
    connection.autocommit(True)
    assert connection.get_autocommit()


def test_many_clients_at_once(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    double = double_of(server)
    double.seed([f"u{n}" for n in range(8)], {"eng": []})
    connections = [server.connect() for _ in range(8)]

    def work(number: int) -> None:
        for _ in range(25):
            tell(connections[number], f"GRANT GROUP 'eng' TO 'u{number}'", f"REVOKE GROUP 'eng' FROM 'u{number}'")
        tell(connections[number], f"GRANT GROUP 'eng' TO 'u{number}'")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(double.state().groups["eng"]) == 8
    assert double.log.count("GROUP 'eng'") == 8 * 51


WORDS = (
    *("CREATE", "USER", "GROUP", "GRANT", "TO", "'a'", "@", "'%'", "SELECT", "FROM", "SHOW", "WHERE", "SET"),
    *("information_schema.USERS", "`USER`", "=", ",", "(", ")", "KILL", "1", "@@sql_mode", "'", '"', "`", "\\", "--"),
)
STATEMENTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join))


@given(STATEMENTS)
def test_no_text_makes_the_double_fail(any_server: Server, sql: str) -> None:
    if any_server.opened[0].open:
        error(any_server.opened[0], sql)
    else:  # it was told to kill itself
        any_server.opened[0] = any_server.connect()
    assert not double_of(any_server).crashes
    double_of(any_server).take_unknown()


@pytest.fixture
def any_server(make_singlestore: MakeDouble) -> Server:
    server = make_singlestore()
    server.connect()
    return server


def test_bytes_that_are_no_text_are_refused(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    root = server.connect()
    for statement in (b"CREATE GROUP '\xff'", b"SELECT * FROM information_schema.USERS WHERE `USER` = '\xff'"):
        with pytest.raises(pymysql.err.Error) as refused:
            root.query(statement)
        assert refused.value.args[0] == 1300
    assert len(double_of(server).take_unknown()) == 2


def test_a_client_that_talks_nonsense_is_left_alone(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    for nonsense in (b"\x01\x00\x00\x01x", b"\x20\x00\x00\x01" + b"\xff" * 32, b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection((server.address.host, server.address.port), timeout=10) as client:
            client.recv(200)
            client.sendall(nonsense)
            client.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):  # what was sent may not have been read
                assert client.recv(200) == b""
    assert error(server.connect(), "SELECT 1") is None
