"""Nobody whose access the identity provider took away can log in or goes on working in a session that was open."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pymysql
import pytest
from doubles.singlestore.api import Behaviour
from engine_world import SECRET, EngineWorld, connect, log_in
from scim_gateway_provisioning.target import Unreachable, User
from scim_gateway_singlestore_engine import people
from scim_gateway_singlestore_engine.accounts import look
from scim_gateway_singlestore_engine.facts import Facts, Probe, write_probe
from scim_gateway_singlestore_engine.failures import Denied, SetupFault


def is_open(connection: pymysql.Connection[Any]) -> bool:
    try:
        connection.ping(reconnect=False)
    except pymysql.err.Error:
        return False
    return True


def can_log_in(world: EngineWorld, name: str, node: int = 1) -> bool:
    there = world.double.address(node)
    try:
        connect(there, name, SECRET).close()
    except pymysql.err.OperationalError:
        return False
    return True


@pytest.fixture
def ada(world) -> EngineWorld:
    """Ada has an account, and is in a group of the gateway's and one of the administrators'."""
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    world.double.execute("CREATE GROUP 'dba_made'", "GRANT GROUP 'dba_made' TO 'ada'@'%'")
    return world


@pytest.mark.parametrize(
    "behaviour", [Behaviour(), Behaviour(killed_listed_for=2), Behaviour(killed_session_error=1317)]
)
def test_when_a_deactivation_is_confirmed_nobody_gets_in_and_no_session_is_open_on_any_node(make_world, behaviour):
    world = make_world(behaviour=behaviour, aggregators=3)
    world.put_user("u1", "ada")
    sessions = [log_in(world, "ada", node) for node in (1, 2, 3, 3)]
    world.put_user("u1", "ada", active=False)
    assert [is_open(session) for session in sessions] == [False] * 4
    assert world.double.sessions("ada") == []
    assert not any(can_log_in(world, "ada", node) for node in (1, 2, 3))
    world.put_user("u1", "ada")
    assert can_log_in(world, "ada")


def test_sessions_of_others_are_left_alone(ada):
    ada.put_user("u2", "ada2")
    other = log_in(ada, "ada2")
    ada.put_user("u1", "ada", active=False)
    ada.remove_user("u1")
    assert is_open(other)


def test_who_is_deactivated_leaves_the_gateways_groups_and_keeps_those_of_the_administrators(ada):
    ada.put_user("u1", "ada", active=False)
    assert ada.groups == {"eng": set(), "dba_made": {"ada"}}


@pytest.mark.parametrize("group", ["eng", "ops"])
def test_trouble_with_one_group_keeps_nobody_in_another_and_no_session_open(ada, group):
    ada.put_group("g2", "ops")
    ada.members("g2", add=["u1"])
    session = log_in(ada, "ada")
    armed = ada.double.fail(f"REVOKE GROUP '{group}'", 9999, times=None)
    with pytest.raises(Unreachable, match="9999"):
        ada.put_user("u1", "ada", active=False)
    assert armed.hits
    assert ada.users == {"ada": True}
    assert not is_open(session)
    assert {name for name, members in ada.groups.items() if members} == {"dba_made", group}
    ada.double.faults_clear()
    ada.put_user("u1", "ada", active=False)
    assert {name for name, members in ada.groups.items() if members} == {"dba_made"}


def test_sessions_of_somebody_whose_name_differs_in_letter_case_only_are_left_alone(make_world):
    for blind in (True, False):
        world = make_world(behaviour=Behaviour(views_ignore_case=blind))
        world.put_user("u1", "ada")
        world.double.execute(f"CREATE USER 'Ada'@'%' IDENTIFIED BY '{SECRET}'")
        other = log_in(world, "Ada")
        own = log_in(world, "ada")
        world.put_user("u1", "ada", active=False)
        assert (is_open(other), is_open(own)) == (True, False)


def test_the_lock_comes_before_anything_else_is_taken(ada):
    session = log_in(ada, "ada")
    ada.double.log.clear()
    ada.put_user("u1", "ada", active=False)
    assert not is_open(session)
    verbs = [statement.split("'")[0].strip() for statement in ada.sent()]
    assert verbs[0] == "ALTER USER"
    assert verbs[1:2] == ["REVOKE GROUP"]
    assert verbs[2].startswith("KILL CONNECTION")


def test_a_session_that_opens_in_the_last_moment_is_ended_too(ada):
    late: list[Any] = []

    def slip_in(_: object) -> None:
        # A log-in that was under way when the lock came: the double lets it in as the server might.
        ada.double.execute("ALTER USER 'ada'@'%' ACCOUNT UNLOCK")
        late.append(log_in(ada, "ada"))
        ada.double.execute("ALTER USER 'ada'@'%' ACCOUNT LOCK")

    ada.double.call_after("SELECT NODE_ID", slip_in)
    ada.put_user("u1", "ada", active=False)
    assert [is_open(session) for session in late] == [False]


def test_a_session_that_does_not_go_is_not_called_ended(make_world):
    world = make_world(behaviour=Behaviour(killed_listed_for=10_000))
    world.put_user("u1", "ada")
    opened = log_in(world, "ada")
    user = User("u1", {"userName": "ada"}, False)
    with world.session(0.5) as session, pytest.raises(Unreachable, match="time for this request is over"):
        session.put_user(user, world.known["u1"], lambda known: None)
    assert world.users == {"ada": True}, "but nobody gets in any more"
    opened.close()


@pytest.mark.parametrize("behaviour", [Behaviour(), Behaviour(kill_denied_error=1227), Behaviour(denied_error=1142)])
def test_without_the_right_to_see_sessions_nothing_is_called_ended(make_world, behaviour):
    world = make_world(behaviour=behaviour)
    world.put_user("u1", "ada")
    session = log_in(world, "ada")
    world.double.execute("REVOKE PROCESS ON *.* FROM 'scim_gw'@'%'")
    with pytest.raises(Denied, match=r"lacks PROCESS .* run: GRANT PROCESS ON \*\.\* TO 'scim_gw'@'%'"):
        world.put_user("u1", "ada", active=False)
    assert world.users == {"ada": True}
    assert is_open(session)
    world.double.execute("GRANT PROCESS ON *.* TO 'scim_gw'@'%'")
    world.put_user("u1", "ada", active=False)
    assert not is_open(session)


def test_the_right_may_come_from_a_role(make_world):
    world = make_world()
    world.double.execute(
        "REVOKE PROCESS ON *.* FROM 'scim_gw'@'%'",
        "CREATE ROLE 'watcher'",
        "GRANT PROCESS ON *.* TO ROLE 'watcher'",
        "CREATE GROUP 'machines'",
        "GRANT ROLE 'watcher' TO 'machines'",
        "GRANT GROUP 'machines' TO 'scim_gw'@'%'",
    )
    world.put_user("u1", "ada")
    session = log_in(world, "ada")
    world.put_user("u1", "ada", active=False)
    assert not is_open(session)


def test_an_operator_may_choose_to_let_sessions_live(make_world):
    world = make_world(kill_sessions=False)
    world.double.execute("REVOKE PROCESS ON *.* FROM 'scim_gw'@'%'")
    world.put_user("u1", "ada")
    session = log_in(world, "ada")
    world.put_user("u1", "ada", active=False)
    assert world.users == {"ada": True}
    assert is_open(session)


def test_a_deleted_person_is_put_out_before_and_after_the_account_goes(ada):
    session = log_in(ada, "ada")
    late: list[Any] = []
    ada.double.call_before("DROP USER", lambda _: late.append(sneak_in(ada)))
    ada.remove_user("u1")
    assert ada.users == {}
    assert not is_open(session)
    assert [is_open(late_session) for late_session in late] == [False]


def sneak_in(world: EngineWorld) -> pymysql.Connection[Any]:
    world.double.execute("ALTER USER 'ada'@'%' ACCOUNT UNLOCK")
    return log_in(world, "ada")


def test_sessions_of_an_account_that_was_dropped_by_hand_are_ended_when_it_is_deleted(ada):
    session = log_in(ada, "ada")
    ada.double.execute("DROP USER 'ada'@'%'")
    assert is_open(session)
    ada.remove_user("u1")
    assert not is_open(session)


@pytest.mark.parametrize("takes", [True, False])
def test_sessions_of_a_dropped_account_do_not_wake_up_with_a_new_one_of_its_name(make_world, takes):
    world = make_world(
        behaviour=Behaviour(recreated_user_takes_old_sessions=takes, dropped_user_keeps_memberships=True)
    )
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    session = log_in(world, "ada")
    world.double.execute("DROP USER 'ada'@'%'")
    world.known.pop("u1")
    world.put_user("u9", "ada")
    assert not is_open(session)
    assert world.groups == {"eng": set()}
    assert world.users == {"ada": False}


def test_nobody_gets_an_account_before_being_active(world):
    for _ in range(2):
        assert world.put_user("u1", "ada", active=False).known == {}
    assert world.users == {}
    assert world.sent() == []
    world.put_user("u1", "ada")
    assert world.users == {"ada": False}


def test_an_account_that_was_dropped_by_hand_is_not_made_to_be_locked(ada):
    session = log_in(ada, "ada")
    ada.double.execute("DROP USER 'ada'@'%'", f"CREATE USER 'ada'@'localhost' IDENTIFIED BY '{SECRET}'")
    with pytest.raises(Unreachable, match="localhost"):
        ada.put_user("u1", "ada", active=False)
    ada.double.execute("DROP USER 'ada'@'localhost'")
    assert ada.put_user("u1", "ada", active=False).known == {}
    assert not is_open(session)
    assert ada.users == {}


def test_sessions_of_an_account_that_was_dropped_and_is_not_listed_any_more_are_ended_too(ada, monkeypatch):
    session = log_in(ada, "ada")
    ada.double.execute("DROP USER 'ada'@'%'")
    monkeypatch.setattr(people, "look", lambda work, name: replace(look(work, name), dropped=()))
    assert ada.put_user("u1", "ada", active=False).known == {}
    assert not is_open(session)


def test_a_lock_that_a_restart_lost_is_put_back(ada):
    ada.put_user("u1", "ada", active=False)
    ada.double.restart()
    assert ada.users == {"ada": False}, "the server has forgotten the lock"
    with ada.session() as session:
        assert session.observe().users[b"ada"].active is True
    ada.put_user("u1", "ada", active=False)
    assert ada.users == {"ada": True}


def test_a_lock_that_is_not_shown_is_set_again_rather_than_trusted(make_world):
    world = make_world(behaviour=Behaviour(lock_shown="OPEN"))
    world.put_user("u1", "ada")
    world.put_user("u1", "ada", active=False)
    world.double.restart()
    assert world.users == {"ada": False}
    world.put_user("u1", "ada", active=False)
    assert world.users == {"ada": True}


def test_a_lock_of_an_administrator_stays_whatever_the_directory_says_of_somebody_active(ada):
    ada.double.execute("ALTER USER 'ada'@'%' ACCOUNT LOCK")
    ada.put_user("u1", "ada")
    ada.members("g1", add=["u1"])
    assert ada.users == {"ada": True}
    ada.put_user("u1", "lovelace")
    assert ada.users == {"lovelace": True}
    with ada.session() as session:
        assert session.observe().users[b"lovelace"].active is None, "nothing that a plan would change"


def test_a_lock_of_the_gateways_is_taken_off_by_another_process(ada):
    ada.put_user("u1", "ada", active=False)
    assert json.loads(ada.account("ada")["ATTRIBUTE"])["scim"]["locked"] is True
    ada.known["u1"] = {"name": "ada"}
    ada.put_user("u1", "ada")
    assert ada.users == {"ada": False}


@pytest.mark.parametrize("version", ["8.0", "8.1", "8.5"])
def test_a_lock_is_remembered_where_no_mark_is_shown(make_world, version):
    world = make_world(version, Behaviour(attribute_shown=False))
    world.put_user("u1", "ada")
    world.put_user("u1", "ada", active=False)
    assert world.known["u1"]["locked"] is True
    world.put_user("u1", "ada")
    assert world.users == {"ada": False}
    assert "locked" not in world.known["u1"]


def test_before_8_0_who_logs_in_by_password_gets_one_that_nobody_knows(make_world):
    world = make_world("7.8")
    world.put_user("u1", "ada")
    session = log_in(world, "ada")
    assert can_log_in(world, "ada")
    world.put_user("u1", "ada", active=False)
    assert not is_open(session)
    assert not can_log_in(world, "ada")
    assert "LOCK" not in " ".join(world.sent())


def test_before_8_0_who_logs_in_otherwise_can_only_be_dropped(make_world):
    world = make_world("7.8", authentication="pam:s2")
    world.put_user("u1", "ada")
    with pytest.raises(SetupFault, match="engine_on_deactivate=drop"):
        world.put_user("u1", "ada", active=False)
    world.target = world.another_target(on_deactivate="drop")
    assert world.put_user("u1", "ada", active=False).known == {}
    assert world.users == {}
    world.put_user("u1", "ada")
    assert world.users == {"ada": False}


def test_dropping_who_is_deactivated_ends_sessions_and_makes_a_new_account_later(make_world):
    world = make_world(on_deactivate="drop")
    world.put_user("u1", "ada")
    session = log_in(world, "ada")
    for _ in range(2):
        assert world.put_user("u1", "ada", active=False).known == {}
        assert world.users == {}
    assert not is_open(session)
    world.put_user("u1", "ada")
    assert world.users == {"ada": False}


def test_a_server_whose_lock_does_not_hold_for_plugins_is_not_trusted_with_it(make_world, tmp_path):
    behaviour = Behaviour(lock_holds_for_plugins=False)
    write_probe(tmp_path, Probe("8.5.1", Facts(lock_holds_for_plugins=False), "2026-01-01", {}))
    world = make_world("8.5", behaviour, authentication="jwt", require="ssl")
    world.put_user("u1", "ada")
    with pytest.raises(SetupFault, match="does not keep out accounts that log in by JWT"):
        world.put_user("u1", "ada", active=False)
    told = {finding.subject: finding for finding in world.target.check()}["engine version"]
    assert not told.ok
    assert "does not keep out people who log in by jwt" in told.message
    world.remove_user("u1")
    assert world.users == {}


def test_a_server_whose_lock_keeps_nobody_out_is_not_trusted_with_it(make_world):
    world = make_world()
    write_probe(world.folder, Probe(world.version, Facts(lock_keeps_out=False), "2026-01-01", {}))
    world.target = world.another_target()
    world.put_user("u1", "ada")
    with pytest.raises(SetupFault, match="engine_on_deactivate=drop"):
        world.put_user("u1", "ada", active=False)
    findings = {finding.subject: finding for finding in world.target.check()}
    assert not findings["engine version"].ok
    assert findings["engine version"].remedy == "set engine_on_deactivate=drop"
    world.target = world.another_target(on_deactivate="drop")
    session = log_in(world, "ada")
    world.put_user("u1", "ada", active=False)
    assert world.users == {}
    assert not is_open(session)
    assert {finding.subject: finding for finding in world.target.check()}["engine version"].ok


def test_who_cannot_be_kept_out_has_no_group_and_no_session_any_more(ada):
    write_probe(ada.folder, Probe(ada.version, Facts(lock_keeps_out=False), "2026-01-01", {}))
    ada.target = ada.another_target()
    session = log_in(ada, "ada")
    with pytest.raises(SetupFault, match="engine_on_deactivate=drop"):
        ada.put_user("u1", "ada", active=False)
    assert ada.groups == {"eng": set(), "dba_made": {"ada"}}
    assert not is_open(session)


def test_another_account_of_the_name_made_by_hand_keeps_a_deactivation_from_being_confirmed(ada):
    ada.double.execute(f"CREATE USER 'ada'@'localhost' IDENTIFIED BY '{SECRET}'")
    with pytest.raises(Unreachable, match=r"shut out, but accounts .*localhost.* drop them"):
        ada.put_user("u1", "ada", active=False)
    assert ada.users == {"ada": True}
    with pytest.raises(Unreachable, match="localhost"):
        ada.remove_user("u1")
    assert ada.users == {}
    ada.known["u1"] = {"making": "ada"}
    ada.remove_user("u1")
    ada.known["u1"] = {"name": "ada"}
    ada.double.execute("DROP USER 'ada'@'localhost'")
    ada.remove_user("u1")
    assert ada.double.state().users.keys() == {account for account in ada.state.users if account.name == "scim_gw"}
