"""Connections: few, checked, thrown away when in doubt; and what an error of the driver means."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pymysql
import pytest
from click.testing import CliRunner
from engine_world import engine_settings
from scim_gateway_provisioning.target import Deadline, Unreachable
from scim_gateway_singlestore_engine import connection, failures
from scim_gateway_singlestore_engine.connection import ANSWER_SECONDS, CONNECT_SECONDS, LINES, Connections, Line
from scim_gateway_singlestore_engine.failures import Denied, Lost, Refused, meaning_of
from scim_gateway_singlestore_engine.statements import (
    Identified,
    Statement,
    create_group,
    create_user,
    drop_group,
)

from scim_gateway.cli import main

ASK = Statement("SELECT 1", "SELECT 1")
WHICH = Statement("SELECT", "SELECT CONNECTION_ID()")


@pytest.fixture
def connections(world):
    return world.target.connections


def test_one_connection_serves_one_call_after_the_other(world, connections):
    for _ in range(3):
        with connections.line(Deadline(5)) as line:
            assert line.rows(ASK) == [(1,)]
    assert len(world.double.sessions("scim_gw")) == 1


def test_a_connection_says_what_mode_and_characters_it_wants_and_commits_by_itself(world, connections):
    with connections.line(Deadline(5)) as line:
        mode = line.rows(Statement("SELECT", "SELECT @@sql_mode"))[0][0]
        assert set(mode.split(",")) == {"STRICT_ALL_TABLES", "NO_AUTO_CREATE_USER"}
        assert line.rows(Statement("SELECT", "SELECT @@character_set_client, @@autocommit")) == [("utf8mb4", 1)]


def test_a_server_that_does_not_know_a_mode_is_asked_for_the_others(world, connections):
    world.double.fail("SET sql_mode=.*NO_AUTO_CREATE_USER", 1231, times=None)
    with connections.line(Deadline(5)) as line:
        assert line.rows(Statement("SELECT", "SELECT @@sql_mode")) == [("STRICT_ALL_TABLES",)]
    world.double.fail("SET sql_mode", 1231, times=None)
    connections.close()
    refusal = pytest.raises(Lost, match="error 1231")
    with refusal, Connections(world.target.settings.endpoint, 1).line(Deadline(5)):
        raise AssertionError("connected")


def test_no_more_connections_than_the_operator_allows(world):
    connections = Connections(world.target.settings.endpoint, 2)
    with ExitStack() as stack:
        for _ in range(2 * LINES):
            stack.enter_context(connections.line(Deadline(30)))
        assert len(world.double.sessions("scim_gw")) == 2 * LINES
        busy = pytest.raises(Unreachable, match="busy with other changes of this gateway")
        with busy, connections.line(Deadline(0.05)):
            raise AssertionError("one more")
    connections.close()


def test_one_change_is_sent_after_the_other_and_nothing_else_waits_for_it(world, connections, monkeypatch):
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 60)
    hanging = world.double.hang("CREATE GROUP 'first'")

    def change() -> None:
        with connections.line(Deadline(60)) as line:
            line.run(create_group("first"))

    thread = threading.Thread(target=change)
    thread.start()
    assert hanging.reached.wait(60)
    with connections.line(Deadline(60)) as line:
        assert line.rows(ASK) == [(1,)]
        line.deadline = Deadline(0.05)
        with pytest.raises(Unreachable, match="busy with other changes of this gateway"):
            line.run(create_group("second"))
        hanging.release()
        line.deadline = Deadline(60)
        line.run(create_group("third"))
    thread.join(60)
    assert set(world.groups) == {"first", "third"}


def test_large_changes_come_one_after_the_other_and_small_ones_go_on_meanwhile(world, connections):
    with connections.line(Deadline(60)) as one, connections.line(Deadline(60)) as other:
        with one.large():
            other.run(create_group("small"))
            other.deadline = Deadline(0.05)
            with pytest.raises(Unreachable, match="busy with other changes of this gateway"), other.large():
                raise AssertionError("two at a time")
        other.deadline = Deadline(60)
        with other.large():
            other.run(create_group("large"))
    assert set(world.groups) == {"small", "large"}


def test_large_changes_that_wait_keep_no_small_one_from_a_connection(world, connections):
    def large(number: int) -> None:
        with connections.line(Deadline(60)) as line, line.large():
            line.run(create_group(f"large{number}"))

    threads = [threading.Thread(target=large, args=(number,)) for number in range(LINES - 1)]
    with connections.line(Deadline(60)) as first, first.large():
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while len(world.double.sessions("scim_gw")) < LINES:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        with connections.line(Deadline(60)) as line:
            line.run(create_group("small"))
            assert set(world.groups) == {"small"}
    for thread in threads:
        thread.join(60)
    assert set(world.groups) == {"small", *(f"large{number}" for number in range(LINES - 1))}


def test_a_claim_is_renewed_while_its_holder_waits(connections, monkeypatch):
    monkeypatch.setattr(connection, "_LOOK_SECONDS", 0.01)
    held = ExitStack()

    class Watched(Deadline):
        """Lets the one who is waited for go when it is asked, which is what renews a claim."""

        def check(self) -> None:
            super().check()
            held.close()

    with connections.line(Deadline(60)) as one, connections.line(Deadline(60)) as other:
        held.enter_context(one.large())
        other.deadline = Watched(60)
        with other.large():
            assert other.rows(ASK) == [(1,)]


def test_who_waits_gets_the_connection_that_is_given_back(world, connections):
    got: list[Any] = []

    def wait() -> None:
        with connections.line(Deadline(10)) as line:
            got.append(line.rows(ASK))

    with ExitStack() as stack:
        for _ in range(LINES):
            stack.enter_context(connections.line(Deadline(30)))
        thread = threading.Thread(target=wait)
        thread.start()
        assert not got
    thread.join(10)
    assert got == [[(1,)]]


def test_a_connection_that_died_in_the_pool_is_replaced(world, connections):
    with connections.line(Deadline(5)) as line:
        line.rows(ASK)
    world.double.stop()
    world.double.start()
    with connections.line(Deadline(5)) as line:
        assert line.rows(ASK) == [(1,)]


def test_a_connection_that_broke_in_use_is_not_used_again(world, connections):
    world.double.cut_before("SELECT 1")
    with pytest.raises(Lost, match=r"broke during SELECT 1 \(error 2013\)"), connections.line(Deadline(5)) as line:
        line.rows(ASK)
    with connections.line(Deadline(5)) as line:
        assert line.rows(ASK) == [(1,)]


def test_a_server_that_is_not_there_is_named(world, connections):
    world.double.stop()
    refusal = pytest.raises(Lost, match=r"127\.0\.0\.1:\d+ cannot be reached \(error 2003\)")
    with refusal, connections.line(Deadline(5)):
        raise AssertionError("connected")


def test_a_server_that_refuses_the_account_is_a_fault_of_the_set_up_and_the_password_is_not_told(world, caplog):
    world.double.execute("ALTER USER 'scim_gw'@'%' IDENTIFIED BY 'changed'")
    failures._said.clear()
    with caplog.at_level(logging.ERROR, "scim_gateway.engine"):
        for _ in range(3):
            refusal = pytest.raises(Denied, match=r"refuses the account 'scim_gw' \(error 1045\)")
            with refusal, world.session():
                raise AssertionError("logged in")
    assert len(caplog.records) == 1, "logged when it is seen first"
    assert world.target.settings.endpoint.password not in caplog.text


def test_too_many_connections_is_no_fault_of_the_set_up(world, connections):
    with world.double.refusing_log_ins(1040), pytest.raises(Lost), connections.line(Deadline(5)):
        raise AssertionError("connected")


def test_nothing_is_sent_when_the_time_is_over(world, connections):
    with connections.line(Deadline(5)) as line:
        line.rows(ASK)
        count = len(world.double.log)
        line.deadline = Deadline(0)
        with pytest.raises(Unreachable, match="time for this request is over"):
            line.run(create_group("eng"))
    assert len(world.double.log) == count


def test_a_server_that_hangs_is_waited_for_no_longer_than_one_answer_may_take(world, connections, monkeypatch):
    assert (CONNECT_SECONDS, ANSWER_SECONDS) == (3, 8)
    monkeypatch.setattr("scim_gateway_singlestore_engine.connection.ANSWER_SECONDS", 1)
    world.double.hang("CREATE GROUP")
    with pytest.raises(Lost, match="broke during CREATE GROUP"), connections.line(Deadline(5)) as line:
        line.run(create_group("eng"))


@contextmanager
def given_up(connections: Connections) -> Iterator[Line]:
    """A connection whose next answer is not waited for."""
    with connections.line(Deadline(60)) as line:
        driver: Any = line._connection
        driver._read_timeout = 0.05
        yield line


def test_a_statement_that_was_given_up_does_not_take_effect_later(world, connections, monkeypatch):
    monkeypatch.setattr(connection, "LAST_WORD_SECONDS", 60)
    hanging = world.double.hang("CREATE GROUP 'eng'")
    with pytest.raises(Lost), given_up(connections) as line:
        line.run(create_group("eng"))
    hanging.release()
    with connections.line(Deadline(60)) as line:
        line.run(create_group("other"))
    assert set(world.groups) == {"other"}
    assert [entry.outcome for entry in world.double.log if "'eng'" in entry.sql] == ["killed"]


def test_of_other_connections_none_is_ended(world, connections, monkeypatch):
    monkeypatch.setattr(connection, "LAST_WORD_SECONDS", 60)
    world.double.hang("CREATE GROUP")
    with connections.line(Deadline(60)) as other:
        others = set(world.double.sessions())
        with given_up(connections) as line:
            [(node, id)] = set(world.double.sessions()) - others
            with pytest.raises(Lost):
                line.run(create_group("eng"))
        assert other.rows(ASK) == [(1,)]
    killed = [entry.sql for entry in world.double.log if entry.sql.startswith("KILL")]
    assert killed == [f"KILL CONNECTION {id} {node}"]


def test_a_connection_that_ended_by_itself_is_nothing_to_tell_of(world, connections, monkeypatch, caplog):
    monkeypatch.setattr(connection, "LAST_WORD_SECONDS", 60)
    world.double.hang("CREATE GROUP")
    world.double.fail("KILL CONNECTION", 1094)
    with pytest.raises(Lost), given_up(connections) as line:
        line.run(create_group("eng"))
    assert not [record for record in caplog.records if record.name == "scim_gateway.engine"]


def test_what_is_only_read_is_not_ended(world, connections):
    world.double.hang("SELECT 1")
    with pytest.raises(Lost), given_up(connections) as line:
        line.rows(ASK)
    assert not [entry for entry in world.double.log if entry.sql.startswith("KILL")]


def test_a_connection_that_cannot_be_ended_is_told_and_the_answer_is_the_same(world, connections, monkeypatch, caplog):
    monkeypatch.setattr(connection, "LAST_WORD_SECONDS", 60)
    world.double.hang("CREATE GROUP")
    world.double.fail("KILL CONNECTION", 1095)
    with pytest.raises(Lost, match="broke during CREATE GROUP"), given_up(connections) as line:
        line.run(create_group("eng"))
    [record] = [record for record in caplog.records if record.name == "scim_gateway.engine"]
    assert "CREATE GROUP was not answered in time" in record.getMessage()
    assert "error 1095" in record.getMessage()
    assert "eng'" not in record.getMessage()


def test_only_texts_are_parameters(world, connections):
    with connections.line(Deadline(5)) as line:
        others: list[Any] = [0, True, None, ["a"], {"a": 1}, b"a"]
        for value in others:
            with pytest.raises(TypeError):
                line.run(Statement("CREATE GROUP", "CREATE GROUP %s", (value,)))
    assert world.groups == {}


def test_a_refusal_of_the_server_leaves_the_connection_as_it_was(world, connections):
    with connections.line(Deadline(5)) as line:
        line.run(create_group("eng"))
        with pytest.raises(Refused) as caught:
            line.run(create_group("eng"))
        assert (caught.value.number, caught.value.meaning, caught.value.verb) == (1396, "either", "CREATE GROUP")
        line.run(drop_group("eng"))
    assert len(world.double.sessions("scim_gw")) == 1


def test_an_error_repeats_neither_a_name_nor_a_password(world, connections):
    world.double.fail("CREATE USER", 1064, "near 'secret-of-ada'")
    with connections.line(Deadline(5)) as line, pytest.raises(Refused) as caught:
        line.run(create_user("ada", Identified(None, "secret-of-ada")))
    assert "ada" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "meaning"),
    [
        (1040, "lost"),
        (1044, "denied"),
        (1045, "denied"),
        (1053, "lost"),
        (1062, "exists"),
        (1064, "syntax"),
        (1094, "gone"),
        (1141, "gone"),
        (1142, "denied"),
        (1205, "busy"),
        (1213, "busy"),
        (1227, "denied"),
        (1317, "lost"),
        (1396, "either"),
        (1470, "long"),
        (1918, "gone"),
        (1919, "gone"),
        (1927, "lost"),
        (2318, "unclear"),
        (9999, "unclear"),
    ],
)
def test_the_number_says_what_an_error_means(number, meaning):
    for kind in (pymysql.err.OperationalError, pymysql.err.ProgrammingError, pymysql.err.InternalError):
        assert meaning_of(kind(number, "any text"), connection_open=True) == meaning


@pytest.mark.parametrize("number", [2003, 2006, 2013, 2055])
def test_a_number_of_the_clients_own_is_the_servers_only_while_the_connection_is_open(number):
    error = pymysql.err.OperationalError(number, "any text")
    assert meaning_of(error, connection_open=False) == "lost"
    assert meaning_of(error, connection_open=True) == "unclear"


def test_an_error_without_a_number_says_that_the_connection_is_lost():
    assert meaning_of(pymysql.err.InterfaceError("(0, '')"), connection_open=True) == "lost"
    assert meaning_of(ConnectionResetError(104, "reset"), connection_open=True) == "lost"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_opens_its_own_connections_and_leaves_those_of_its_parent_alone(world, connections):
    with connections.line(Deadline(5)) as line:
        own = line.rows(WHICH)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with connections.line(Deadline(5)) as line:
                os.write(write, str(line.rows(WHICH)).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100).decode() not in ("", str(own))
    os.close(read)
    os.close(write)
    with connections.line(Deadline(5)) as line:
        assert line.rows(WHICH) == own


def test_what_is_given_back_after_the_end_is_closed(world, connections):
    with connections.line(Deadline(5)) as line:
        line.rows(ASK)
        connections.close()
    deadline = time.monotonic() + 5
    while world.double.sessions("scim_gw") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert world.double.sessions("scim_gw") == []


def test_settings_of_tests_are_settings(tmp_path):
    assert engine_settings(tmp_path, 3306).endpoint.user == "scim_gw"


def test_a_log_in_that_is_refused_is_told_once_by_check_with_the_settings_to_compare(world, tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("scim_gateway"), "handlers", [])
    world.double.execute("ALTER USER 'scim_gw'@'%' IDENTIFIED BY 'changed'")
    environ = {
        "SCIM_GATEWAY_BACKEND": "engine",
        "SCIM_GATEWAY_DATA_DIR": str(tmp_path / "data"),
        "SCIM_GATEWAY_ENGINE_URL": f"singlestore://scim_gw@127.0.0.1:{world.double.address().port}/",
        "SCIM_GATEWAY_ENGINE_PASSWORD": world.target.settings.endpoint.password,
    }
    for _ in range(2):
        failures._said.clear()
        result = CliRunner().invoke(main, ["check"], obj=environ)
        assert result.exit_code == 1
        assert result.output.count("refuses the account 'scim_gw'") == 1
        (line,) = [line for line in result.output.splitlines() if "refuses the account" in line]
        assert "FAIL engine: " in line
        assert "compare engine_url and engine_password (SCIM_GATEWAY_ENGINE_PASSWORD_FILE)" in line
    assert logging.getLogger("scim_gateway").handlers == [], "a command leaves nothing behind"
