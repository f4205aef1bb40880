"""A new name: everything comes along, nothing more is allowed on the way, and the old name is gone at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pymysql
import pytest
from doubles.singlestore.api import Behaviour, Entry
from engine_world import SECRET, EngineWorld, connect, log_in
from scim_gateway_provisioning.target import Unreachable
from scim_gateway_singlestore_engine import groups
from scim_gateway_singlestore_engine.memberships import join
from scim_gateway_singlestore_engine.work import Work

from scim_gateway.errors import Conflict


@dataclass
class Watch:
    """What could be seen after each statement of the gateway."""

    rights: list[dict[str, frozenset[str]]] = field(default_factory=list)


@contextmanager
def watching(world: EngineWorld) -> Iterator[Watch]:
    """Look after every statement at who can log in, and what they may do: groups with roles, and direct grants."""
    watch, cluster = Watch(), world.double.cluster

    def look(entry: Entry) -> None:
        if entry.account.name == "scim_gw":
            node = cluster.nodes[0]
            watch.rights.append(
                {
                    user.account.name: frozenset(
                        privilege
                        for grants in node.rights_of(user).grants
                        for privileges in grants.held.values()
                        for privilege in privileges
                    )
                    for user in node.catalog.users.values()
                    if node.id not in user.locked_on and user.account.name != "scim_gw"
                }
            )

    world.double.log.listeners.append(look)
    try:
        yield watch
    finally:
        world.double.log.listeners.remove(look)


@pytest.fixture
def ada(world) -> EngineWorld:
    """Ada: in two groups of which one has a role, with grants, a pool, attributes and a comment of her own."""
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    world.double.execute(
        "CREATE ROLE 'reader'",
        "GRANT SELECT ON shop.* TO ROLE 'reader'",
        "GRANT ROLE 'reader' TO 'eng'",
        "CREATE GROUP 'dba_made'",
        "GRANT GROUP 'dba_made' TO 'ada'@'%'",
        "GRANT INSERT, UPDATE ON `100% mine`.`t` TO 'ada'@'%'",
        "GRANT SHOW METADATA ON *.* TO 'ada'@'%'",
        """ALTER USER 'ada'@'%' SET DEFAULT RESOURCE POOL = slow""",
        """ALTER USER 'ada'@'%' ATTRIBUTE '{"cost": 7, "scim": {"id": "u1", "tenant": "default"}}' COMMENT 'c'""",
    )
    return world


def test_everything_comes_along(ada):
    grants = [line.replace("'ada'", "'lovelace'") for line in ada.double.grants("ada")]
    assert ada.put_user("u1", "lovelace").known == {"name": "lovelace", "method": "password"}
    assert ada.users == {"lovelace": False}
    assert ada.groups == {"eng": {"lovelace"}, "dba_made": {"lovelace"}}
    assert ada.double.grants("lovelace") == grants
    row = ada.account("lovelace")
    assert (row["DEFAULT_RESOURCE_POOL"], row["COMMENT"]) == ("slow", "c")
    assert json.loads(row["ATTRIBUTE"]) == {"cost": 7, "scim": {"id": "u1", "tenant": "default", "locked": False}}


def test_sessions_of_the_old_name_are_ended_and_it_cannot_be_used_any_more(ada):
    session = log_in(ada, "ada")
    ada.put_user("u1", "lovelace")
    with pytest.raises(pymysql.err.Error):
        session.ping(reconnect=False)
    there = ada.double.address()
    with pytest.raises(pymysql.err.OperationalError):
        connect(there, "ada", SECRET)


def test_at_no_moment_is_more_allowed_than_before_and_after(ada):
    with watching(ada) as watch:
        ada.put_user("u1", "lovelace")
    before = watch.rights[0]["ada"]
    assert before >= {"SELECT", "INSERT", "UPDATE", "SHOW METADATA"}
    for rights in watch.rights:
        for name, held in rights.items():
            assert held <= before, name
    assert watch.rights[-1] == {"lovelace": before}


@pytest.mark.parametrize("was_active", [True, False])
def test_somebody_inactive_never_gets_in_by_the_new_name(ada, was_active):
    if not was_active:
        ada.put_user("u1", "ada", active=False)
    with watching(ada) as watch:
        ada.put_user("u1", "lovelace", active=False)
    for rights in watch.rights:
        # For the time of one statement the new account is there and not locked; then it holds nothing at all.
        assert rights.get("lovelace", frozenset()) <= {"USAGE"}
    assert ada.users == {"lovelace": True}
    assert ada.groups == {"eng": set(), "dba_made": {"lovelace"}}
    ada.put_user("u1", "lovelace")
    assert ada.users == {"lovelace": False}


def test_a_new_name_and_activation_together(ada):
    ada.put_user("u1", "ada", active=False)
    ada.put_user("u1", "lovelace")
    ada.members("g1", add=["u1"])
    assert ada.users == {"lovelace": False}
    assert ada.groups == {"eng": {"lovelace"}, "dba_made": {"lovelace"}}


def test_a_membership_that_is_taken_away_meanwhile_does_not_come_along(ada):
    ada.double.call_after(
        lambda entry: entry.sql.startswith("GRANT GROUP"),
        lambda _: ada.double.execute("REVOKE GROUP 'eng' FROM 'ada'@'%'"),
        times=1,
        skip=1,
    )
    ada.put_user("u1", "lovelace")
    assert ada.groups == {"eng": set(), "dba_made": {"lovelace"}}


def test_a_membership_that_is_given_meanwhile_comes_along(ada):
    ada.double.execute("CREATE GROUP 'late'")
    ada.double.call_after(
        lambda entry: entry.sql.startswith("GRANT GROUP"),
        lambda _: ada.double.execute("GRANT GROUP 'late' TO 'ada'@'%'"),
        times=1,
        skip=1,
    )
    ada.put_user("u1", "lovelace")
    assert ada.groups["late"] == {"lovelace"}


def test_groups_that_change_all_the_time_keep_the_renaming_pending(ada):
    ada.double.execute(*(f"CREATE GROUP 'g{number}'" for number in range(10)))
    numbers = iter(range(10))
    ada.double.call_after(
        lambda entry: entry.sql.startswith("GRANT GROUP"),
        lambda _: ada.double.execute(f"GRANT GROUP 'g{next(numbers)}' TO 'ada'@'%'"),
        times=None,
    )
    with pytest.raises(Unreachable, match="change while it gets another name"):
        ada.put_user("u1", "lovelace")
    ada.double.faults_clear()
    ada.put_user("u1", "lovelace")
    assert ada.users == {"lovelace": False}
    assert {group for group, members in ada.groups.items() if "lovelace" in members} >= {"eng", "dba_made", "g0"}


def test_a_privilege_that_was_taken_away_between_two_tries_does_not_come_along(ada):
    ada.double.cut_before("GRANT GROUP")
    with pytest.raises(Unreachable):
        ada.put_user("u1", "lovelace")
    ada.double.execute("REVOKE SHOW METADATA ON *.* FROM 'ada'@'%'")
    ada.put_user("u1", "lovelace")
    assert "SHOW METADATA" not in "\n".join(ada.double.grants("lovelace"))
    assert ada.groups == {"eng": {"lovelace"}, "dba_made": {"lovelace"}}


def test_a_name_that_somebody_else_has_is_refused_and_nothing_changed(ada):
    ada.put_user("u2", "bob")
    ada.double.seed(["hand"])
    before = ada.double.state()
    for name in ("bob", "hand"):
        with pytest.raises(Conflict):
            ada.put_user("u1", name)
    assert ada.double.state() == before
    assert ada.known["u1"]["name"] == "ada"


def test_what_cannot_be_carried_over_is_refused_before_anything_is_made(ada):
    real = ada.double.grants("ada")
    assert real
    ada.target = ada.another_target(authentication="jwt", require="ssl")
    before = ada.double.state()
    with pytest.raises(Conflict, match="engine_on_rename=keep"):
        ada.put_user("u1", "lovelace")
    assert ada.double.state() == before


def test_rights_that_the_gateway_may_not_hand_on_are_told_and_nothing_is_left(make_world):
    world = make_world(behaviour=Behaviour(grant_option_grants_anything=False))
    world.put_user("u1", "ada")
    world.double.execute("GRANT SELECT ON shop.* TO 'ada'@'%'")
    before = world.double.state()
    with pytest.raises(Conflict, match="may not hand on"):
        world.put_user("u1", "lovelace")
    assert world.double.state() == before
    assert world.known["u1"]["name"] == "ada"
    assert "making" not in world.known["u1"]
    world.put_user("u1", "ada", active=False)
    assert world.users == {"ada": True}


@pytest.mark.parametrize(
    ("authentication", "type"), [("pam:s2", "PAM"), ("saml", "SAML"), ("gssapi:{name}@X", "GSSAPI"), ("jwt", "JWT")]
)
def test_the_way_to_log_in_comes_along(make_world, authentication, type):
    world = make_world(authentication=authentication, require="ssl")
    world.put_user("u1", "ada")
    world.put_user("u1", "lovelace")
    assert world.account("lovelace")["TYPE"] == type


def test_a_name_may_be_kept_for_scripts_that_know_it(make_world):
    world = make_world(on_rename="keep")
    assert world.target.renames is False
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    world.put_user("u1", "lovelace")
    world.put_group("g1", "engineering")
    assert world.groups == {"eng": {"ada"}}
    world.put_user("u1", "lovelace", active=False)
    assert world.users == {"ada": True}
    assert world.double.log.count("CREATE USER") == 1


def test_two_people_may_swap_names_in_three_steps(world):
    world.put_user("u1", "ada")
    world.put_user("u2", "bob")
    world.put_user("u1", "tmp")
    world.put_user("u2", "ada")
    world.put_user("u1", "bob")
    assert {name: json.loads(world.account(name)["ATTRIBUTE"])["scim"]["id"] for name in world.users} == {
        "ada": "u2",
        "bob": "u1",
    }


def test_an_account_dropped_by_hand_is_made_under_its_new_name(world):
    world.put_user("u1", "ada")
    world.double.execute("DROP USER 'ada'@'%'")
    world.put_user("u1", "lovelace")
    assert world.users == {"lovelace": False}


def test_a_group_takes_members_and_roles_along(ada):
    ada.double.seed([f"p{number}" for number in range(20)])
    ada.double.execute(*(f"GRANT GROUP 'eng' TO 'p{number}'@'%'" for number in range(20)))
    members = ada.groups["eng"]
    assert ada.put_group("g1", "engineering").known == {"name": "engineering"}
    assert ada.groups == {"engineering": members, "dba_made": {"ada"}}
    assert ada.roles_of("engineering") == {"reader"}


def test_a_group_gives_nothing_under_its_new_name_before_everybody_is_in_it(ada):
    ada.put_user("u2", "bob")
    ada.members("g1", add=["u2"])
    with watching(ada) as watch:
        ada.put_group("g1", "engineering")
    before = watch.rights[0]
    for rights in watch.rights:
        assert rights == before, "nobody has more, and nobody less, at any moment"


def test_a_large_group_gets_its_new_name_in_several_calls(ada, monkeypatch):
    people = [f"p{number}" for number in range(30)]
    ada.double.seed(people)
    ada.double.execute(*(f"GRANT GROUP 'eng' TO '{name}'@'%'" for name in people))
    members = ada.groups["eng"]
    joined: list[str] = []

    def join_ten(work: Work, name: str, group: str) -> None:
        join(work, name, group)
        joined.append(name)
        # As if the time of the request were nearly over.
        monkeypatch.setattr(groups, "_RESERVE_SECONDS", 1000.0 if len(joined) % 10 == 0 else 3.0)

    monkeypatch.setattr(groups, "join", join_ten)
    waiting: list[str] = []
    while (outcome := ada.put_group("g1", "engineering")).waiting is not None:
        waiting.append(outcome.waiting)
        assert outcome.known["name"] == "eng"
        assert ada.groups["eng"] == members, "works on under its old name"
        assert ada.roles_of("engineering") == set()
        monkeypatch.setattr(groups, "_RESERVE_SECONDS", 3.0)
    assert [text.split()[0] for text in waiting] == ["21", "11", "1"]
    assert ada.groups["engineering"] == members
    assert "eng" not in ada.groups
    assert ada.roles_of("engineering") == {"reader"}


def test_members_who_leave_a_group_that_is_being_renamed_leave_both_names(ada):
    ada.put_user("u2", "bob")
    ada.members("g1", add=["u2"])
    ada.double.cut_before("GRANT ROLE")
    with pytest.raises(Unreachable):
        ada.put_group("g1", "engineering")
    assert ada.groups["engineering"] == {"ada", "bob"}
    ada.members("g1", remove=["u2"])
    assert ada.groups["eng"] == ada.groups["engineering"] == {"ada"}
    ada.put_group("g1", "engineering")
    assert ada.groups["engineering"] == {"ada"}


def test_a_dropped_account_that_is_listed_on_does_not_keep_a_group_from_its_new_name(make_world):
    world = make_world(behaviour=Behaviour(dropped_user_keeps_memberships=True))
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.double.seed(["gone"])
    world.double.execute("GRANT GROUP 'eng' TO 'gone'@'%'")
    there = world.double.address()
    session = connect(there, "gone", "password-of-gone")
    world.double.execute("DROP USER 'gone'@'%'")
    assert world.groups == {"eng": {"gone"}}
    world.put_group("g1", "engineering")
    assert world.groups == {"engineering": set()}
    session.close()
