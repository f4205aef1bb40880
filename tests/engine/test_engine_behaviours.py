"""The same life of people and groups under every answer to what the vendor's documents leave open."""

from __future__ import annotations

from dataclasses import fields

import pytest
from doubles.singlestore.api import Behaviour
from engine_world import EngineWorld
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import Conflict, InvalidValue

pytestmark = pytest.mark.usefixtures("looks_at_once")

# Every switch that the gateway can meet, the other way round; the rest is covered where it is looked at by itself.
OTHER = {
    "user_exists_error": 9001,
    "group_exists_error": 9002,
    "missing_user_error": 9003,
    "missing_grantee_error": 9004,
    "repeat_grant_group": "error",
    "repeat_revoke_group": "error",
    "membership_affects_rows": 1,
    "locked_login_error": 1045,
    "lock_shown": "OPEN",
    "lock_survives_restart": True,
    "recreated_user_takes_old_sessions": False,
    "dropped_user_keeps_memberships": True,
    "revoke_feels": "next login",
    "case_sensitive_names": False,
    "trailing_space": "stripped",
    "jwt_requires_ssl": False,
    "host_choice": "widest",
    "attribute": "merge",
    "attribute_shown": False,
    "group_privilege": "CREATE USER",
    "grant_option_grants_anything": False,
    "alter_user_reaches_stronger": False,
    "root_can_be_altered": True,
    "denied_error": 1142,
    "show_grants_denied_error": 1227,
    "show_users_needs_all": False,
    "groups_seen_with_grant": False,
    "type_in_users_for_group": False,
    "users_groups_user": "bare",
    "user_needs_backquotes": False,
    "views_ignore_case": True,
    "kill_unknown_error": 9005,
    "kill_denied_error": 1227,
    "killed_listed_for": 3,
    "killed_session_error": 1317,
    "failed_statement_commits": False,
}
APART = {
    "role_exists_error",  # the gateway makes no roles
    "missing_user_shown_error",  # it does not use SHOW … FOR USER
    "drop_list_with_missing",  # nor DROP USER of several
    "repeat_error",
    "if_not_exists_sets_password",  # nor IF NOT EXISTS
    "if_not_exists_warns",
    "lock_reaches_all_aggregators",
    "lock_holds_for_plugins",
    "long_name",
    "long_name_error",
    "group_name_limit",
    "jwt_requires_ssl_error",
    "grant_permission_by",
    "per_privilege_allows_groups",
    "shard_key_update_error",
    "weak_password_error",
    "auto_create_denied_error",
}


def test_every_switch_of_the_double_is_turned_here_or_looked_at_by_itself():
    assert OTHER.keys() | APART == {field.name for field in fields(Behaviour)}
    assert not OTHER.keys() & APART


def life(world: EngineWorld) -> None:
    """All that can be asked for, one thing after the other, some of it twice."""
    for _ in range(2):
        world.put_user("u1", "ada@example.com")
        world.put_user("u2", "bob")
        world.put_group("g1", "eng")
        world.members("g1", add=["u1", "u2"])
        assert world.users == {"ada@example.com": False, "bob": False}
        assert world.groups["eng"] == {"ada@example.com", "bob"}
    for _ in range(2):
        world.members("g1", remove=["u2"])
        assert world.groups["eng"] == {"ada@example.com"}
    for _ in range(2):
        world.put_user("u1", "ada@example.com", active=False)
        assert world.users == {"ada@example.com": True, "bob": False}
        assert world.groups["eng"] == set()
    for _ in range(2):
        world.put_user("u1", "ada@example.com")
        world.members("g1", add=["u1"])
        assert world.users == {"ada@example.com": False, "bob": False}
    for _ in range(2):
        world.put_user("u1", "lovelace")
        world.put_group("g1", "engineering")
        assert world.groups == {"engineering": {"lovelace"}}
        assert world.users == {"lovelace": False, "bob": False}
    for _ in range(2):
        world.remove_user("u1")
        world.remove_group("g1")
        assert world.users == {"bob": False}
        assert world.groups == {}


@pytest.mark.parametrize("switch", OTHER)
def test_a_life_goes_the_same_way_whatever_the_server_answers(make_world, switch):
    life(make_world(behaviour=Behaviour(**{switch: OTHER[switch]})))


@pytest.mark.parametrize("version", ["8.0", "8.1", "8.5", "9.1"])
def test_a_life_goes_the_same_way_on_every_version(make_world, version):
    life(make_world(version))


def test_a_life_goes_the_same_way_when_everything_is_answered_the_other_way(make_world):
    life(make_world(behaviour=Behaviour(**OTHER)))


@pytest.mark.parametrize("spelling", ["quoted", "bare"])
@pytest.mark.parametrize("name", ["o'hara@example.com", "Ada Lovelace", "a%b_c", "x@%", "Zo\u00eb", "-- x", "a,b;c"])
def test_a_name_of_every_kind_that_is_let_through_lives_the_same_life(make_world, name, spelling):
    world = make_world(behaviour=Behaviour(users_groups_user=spelling))
    world.put_user("u1", name)
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    assert world.groups == {"eng": {name}}
    with world.session() as session:
        assert len(session.observe().members[b"eng"]) == 1
    world.put_user("u1", f"{name} 2")
    assert world.groups == {"eng": {f"{name} 2"}}
    world.put_user("u1", name)
    world.members("g1", remove=["u1"])
    assert world.groups == {"eng": set()}
    world.members("g1", add=["u1"])
    world.put_user("u1", name, active=False)
    assert world.groups == {"eng": set()}
    assert world.users == {name: True}
    world.remove_user("u1")
    assert world.users == {}


@pytest.mark.parametrize("number", [1396, 1918, 9999])
def test_a_repeated_membership_may_be_answered_by_any_error(make_world, number):
    behaviour = Behaviour(repeat_grant_group="error", repeat_revoke_group="error", repeat_error=number)
    life(make_world(behaviour=behaviour))


@pytest.mark.parametrize("version", ["7.8", "8.5"])
def test_a_race_for_a_membership_is_settled_by_reading_again(make_world, version):
    world = make_world(version, Behaviour(repeat_grant_group="error", repeat_revoke_group="error", repeat_error=9999))
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.double.call_before("GRANT GROUP", lambda _: world.double.execute("GRANT GROUP 'eng' TO 'ada'@'%'"))
    world.members("g1", add=["u1"])
    assert world.groups == {"eng": {"ada"}}
    world.double.call_before("REVOKE GROUP", lambda _: world.double.execute("REVOKE GROUP 'eng' FROM 'ada'@'%'"))
    world.members("g1", remove=["u1"])
    assert world.groups == {"eng": set()}


@pytest.mark.parametrize("number", [1396, 1062, 9001])
def test_an_account_that_somebody_makes_in_the_same_moment_is_not_taken_over(make_world, number):
    for version in ("7.8", "8.5"):
        world = make_world(version, Behaviour(user_exists_error=number))
        world.double.call_before("CREATE USER", lambda _, world=world: world.double.seed(["ada"]))
        with pytest.raises(Conflict, match="did not make"):
            world.put_user("u1", "ada")
        world.remove_user("u1")
        assert world.users == {"ada": False}, "still somebody else's"


@pytest.mark.parametrize("number", [1396, 1062, 9002])
def test_a_group_that_somebody_makes_in_the_same_moment_is_not_taken_over(make_world, number):
    world = make_world(behaviour=Behaviour(group_exists_error=number))
    world.double.call_before("CREATE GROUP", lambda _: world.double.execute("CREATE GROUP 'eng'"))
    with pytest.raises(Conflict, match="did not make"):
        world.put_group("g1", "eng")
    world.remove_group("g1")
    assert world.groups == {"eng": set()}, "still somebody else's"


def test_an_account_that_exists_in_another_letter_case_is_in_the_way(make_world):
    for case_sensitive in (True, False):
        world = make_world(behaviour=Behaviour(case_sensitive_names=case_sensitive))
        world.double.seed(["Ada"])
        with pytest.raises(Conflict, match="letter case"):
            world.put_user("u1", "ada")
        assert world.users == {"Ada": False}


def test_a_group_that_exists_in_another_letter_case_is_in_the_way(make_world):
    for case_sensitive in (True, False):
        world = make_world(behaviour=Behaviour(case_sensitive_names=case_sensitive))
        world.double.execute("CREATE GROUP 'Eng'")
        with pytest.raises(Conflict, match=r"letter case|did not make"):
            world.put_group("g1", "eng")
        assert world.groups == {"Eng": set()}


def test_a_name_that_changes_in_letter_case_only_stays_as_it_was_spelled(make_world):
    for case_sensitive in (True, False):
        world = make_world(behaviour=Behaviour(case_sensitive_names=case_sensitive))
        world.put_user("u1", "ada")
        world.put_group("g1", "eng")
        assert world.put_user("u1", "Ada").known["name"] == "ada"
        assert world.put_group("g1", "Eng").known["name"] == "eng"
        assert world.users == {"ada": False}
        assert world.groups == {"eng": set()}


@pytest.mark.parametrize("behaviour", ["refused", "truncated"])
def test_a_name_that_the_server_does_not_take_whole_is_refused_and_leaves_nothing(make_world, behaviour):
    world = make_world(behaviour=Behaviour(long_name=behaviour, group_name_limit=40), user_name_limit=60)
    with pytest.raises(InvalidValue, match="engine_user_name_limit"):
        world.put_user("u1", "a" * 50)
    assert world.users == {}
    assert "making" not in world.known.get("u1", {})


@pytest.mark.parametrize("behaviour", ["refused", "truncated"])
def test_a_group_name_that_the_server_does_not_take_whole_is_refused(make_world, behaviour):
    world = make_world(behaviour=Behaviour(long_name=behaviour, group_name_limit=40), group_name_limit=60)
    with pytest.raises(InvalidValue, match="engine_group_name_limit"):
        world.put_group("g1", "a" * 50)
    assert "making" not in world.known.get("g1", {})


def test_long_names_of_jwt_users_are_taken_where_the_server_takes_them(make_world):
    long = f"{'a' * 300}@example.com"
    world = make_world("8.5", authentication="jwt", require="ssl")
    world.put_user("u1", long)
    assert world.users == {long: False}
    world = make_world("8.1", authentication="jwt", require="ssl")
    with pytest.raises(InvalidValue, match="engine_user_name_limit"):
        world.put_user("u1", long)


def test_a_password_policy_is_met_or_named(make_world):
    world = make_world()
    strict = {"length": 40, "uppercase_chars": 4, "lowercase_chars": 4, "numeric_chars": 4, "special_chars": 4}
    world.double.cluster.variables.defaults |= {f"password_min_{name}": value for name, value in strict.items()}
    world.put_user("u1", "ada")
    world.double.cluster.variables.defaults["password_min_length"] = 90
    with pytest.raises(Unreachable, match="password policy"):
        world.put_user("u2", "bob")
    assert world.users == {"ada": False}
