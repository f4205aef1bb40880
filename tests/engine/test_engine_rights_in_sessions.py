"""Where an open session keeps rights that were taken away, who leaves a group leaves its sessions, too."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest
from doubles.singlestore.api import Behaviour
from engine_world import EngineWorld, log_in
from scim_gateway_provisioning.target import Unreachable
from scim_gateway_singlestore_engine.facts import Facts, Probe, write_probe
from scim_gateway_singlestore_engine.failures import Denied

MANY = [f"m{number}" for number in range(6)]
"""More than are taken out of a group without asking who is in it."""


@pytest.fixture
def world(make_world) -> EngineWorld:
    """Ada, Bob and many others are in a group whose role shows what there is; a session keeps what it began with."""
    world: EngineWorld = make_world(behaviour=Behaviour(revoke_feels="next login", killed_listed_for=1), aggregators=2)
    write_probe(world.folder, Probe(world.version, Facts(revoke_reaches_sessions=False), "2026-01-01", {}))
    world.target = world.another_target()
    world.double.execute("CREATE GROUP 'seen'", "CREATE ROLE 'seer'", "GRANT SHOW METADATA ON *.* TO ROLE 'seer'")
    for name in ("ada", "bob", *MANY):
        world.put_user(name, name)
    world.put_group("g1", "eng")
    world.members("g1", add=["ada", "bob", *MANY])
    world.double.execute("GRANT ROLE 'seer' TO 'eng'")
    return world


def sees(session: pymysql.Connection[Any]) -> bool:
    """Whether a session has the right that the role gives; one that was ended has none."""
    try:
        with session.cursor() as cursor:
            return bool(cursor.execute("SELECT 1 FROM information_schema.`GROUPS` WHERE GROUP_NAME = 'seen'"))
    except pymysql.err.Error:
        return False


@pytest.mark.parametrize("leaving", [["ada"], ["ada", *MANY]], ids=["few", "many"])
def test_who_leaves_a_group_works_on_with_its_rights_in_no_session(world, leaving):
    sessions = [log_in(world, "ada"), log_in(world, "ada", node=2)]
    other = log_in(world, "bob")
    assert all(sees(session) for session in (*sessions, other))
    world.members("g1", remove=leaving)
    assert not any(sees(session) for session in sessions)
    assert not sees(log_in(world, "ada"))
    assert sees(other)


def test_who_is_in_a_group_that_is_deleted_works_on_with_its_rights_in_no_session(world):
    sessions = [log_in(world, name) for name in ("ada", "bob")]
    world.remove_group("g1")
    assert set(world.groups) == {"seen"}
    assert not any(sees(session) for session in sessions)


def test_without_the_right_to_see_sessions_a_group_keeps_its_members_until_all_can_be_put_out(world):
    sessions = [log_in(world, name) for name in ("ada", "bob")]
    world.double.execute("REVOKE PROCESS ON *.* FROM 'scim_gw'@'%'")
    for _ in range(2):
        with pytest.raises(Denied, match="PROCESS"):
            world.remove_group("g1")
        assert world.groups["eng"] == {"ada", "bob", *MANY}
    world.double.execute("GRANT PROCESS ON *.* TO 'scim_gw'@'%'")
    world.remove_group("g1")
    assert set(world.groups) == {"seen"}
    assert not any(sees(session) for session in sessions)


def test_a_group_that_gets_another_name_leaves_its_members_their_sessions(world):
    session = log_in(world, "ada")
    world.put_group("g1", "engineering")
    assert set(world.groups) == {"seen", "engineering"}
    assert sees(session)


@pytest.mark.parametrize("leaving", [["ada"], ["ada", *MANY]], ids=["few", "many"])
def test_a_call_that_was_cut_between_membership_and_sessions_ends_them_when_it_is_repeated(world, leaving):
    session = log_in(world, "ada")
    world.double.cut_after("REVOKE GROUP 'eng' FROM 'ada'")
    with pytest.raises(Unreachable):
        world.members("g1", remove=leaving)
    assert sees(session)
    world.members("g1", remove=leaving)
    assert not sees(session)


@pytest.mark.parametrize("leaving", [["ada", "bob"], ["ada", "bob", *MANY]], ids=["few", "many"])
def test_without_the_right_to_see_sessions_nobody_is_said_to_have_left_and_everybody_has(world, leaving):
    session = log_in(world, "bob")
    world.double.execute("REVOKE PROCESS ON *.* FROM 'scim_gw'@'%'")
    for _ in range(2):
        with pytest.raises(Denied, match="PROCESS"):
            world.members("g1", remove=leaving)
        assert world.groups["eng"] == {"ada", "bob", *MANY} - set(leaving)
    world.double.execute("GRANT PROCESS ON *.* TO 'scim_gw'@'%'")
    world.members("g1", remove=leaving)
    assert not sees(session)


def test_who_cannot_be_taken_out_of_a_group_keeps_nobody_else_in_a_session(world):
    session = log_in(world, "bob")
    world.double.fail("REVOKE GROUP 'eng' FROM 'ada'", 9005)
    with pytest.raises(Unreachable, match="9005"):
        world.members("g1", remove=["ada", "bob"])
    assert "bob" not in world.groups["eng"]
    assert not sees(session)


def test_an_operator_may_choose_to_let_sessions_live(world):
    world.target = world.another_target(kill_sessions=False)
    session = log_in(world, "ada")
    world.members("g1", remove=["ada"])
    assert world.groups["eng"] == {"bob", *MANY}
    assert sees(session)


def test_where_sessions_feel_what_was_taken_away_none_is_ended(make_world):
    world = make_world()
    world.put_user("ada", "ada")
    world.put_group("g1", "eng")
    world.members("g1", add=["ada"])
    session = log_in(world, "ada")
    world.members("g1", remove=["ada"])
    session.ping(reconnect=False)
    assert not any(statement.startswith("KILL") for statement in world.sent())
