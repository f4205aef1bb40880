"""Memberships by difference, and the inventory: how many statements, and what of."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
from doubles.singlestore.api import Behaviour
from engine_world import EngineWorld
from scim_gateway_provisioning.target import Inventory, MemberChanges, Unreachable
from scim_gateway_singlestore_engine.connection import Line


def reads(world: EngineWorld) -> list[str]:
    """Statements of the gateway that change nothing."""
    return [entry.sql for entry in world.double.log if entry.account.name == "scim_gw"]


def observe(world: EngineWorld) -> Inventory:
    with world.session() as session:
        return session.observe()


@pytest.fixture
def crowd(world) -> EngineWorld:
    """Fifty people and a group of half of them."""
    names = [f"p{number:02}" for number in range(50)]
    world.double.seed(names)
    world.put_group("g1", "eng")
    world.known.update({name: {"name": name} for name in names})
    world.members("g1", add=names[:25])
    return world


def test_of_many_only_the_difference_is_sent_one_statement_for_each(crowd):
    before = len(crowd.sent())
    crowd.members("g1", add=["p00", "p01", "p03", "p04", "p30"], remove=["p02", "p40", "p41", "p42", "p43"])
    assert crowd.sent()[before:] == ["REVOKE GROUP 'eng' FROM 'p02'@'%'", "GRANT GROUP 'eng' TO 'p30'@'%'"]


def test_few_are_sent_without_asking_who_is_a_member_already(crowd):
    crowd.double.log.clear()
    crowd.members("g1", add=["p00", "p30"], remove=["p02", "p40"])
    assert reads(crowd) == [
        "SHOW ROLES FOR GROUP 'eng'",
        "REVOKE GROUP 'eng' FROM 'p02'@'%'",
        "REVOKE GROUP 'eng' FROM 'p40'@'%'",
        "GRANT GROUP 'eng' TO 'p00'@'%'",
        "GRANT GROUP 'eng' TO 'p30'@'%'",
    ]
    assert crowd.groups["eng"] == {f"p{number:02}" for number in range(25)} - {"p02"} | {"p30"}


@pytest.mark.parametrize(("number", "expected"), [(4, []), (5, ["large"])])
def test_many_wait_for_others_who_change_many_before_anything_is_read(crowd, monkeypatch, number, expected):
    turns: list[str] = []
    large = Line.large

    def noted(line: Line) -> AbstractContextManager[None]:
        assert not [sql for sql in reads(crowd) if "ROLES" in sql]
        turns.append("large")
        return large(line)

    monkeypatch.setattr(Line, "large", noted)
    crowd.double.log.clear()
    crowd.members("g1", add=[f"p{n}" for n in range(30, 32)], remove=[f"p{n:02}" for n in range(number - 2)])
    assert turns == expected
    assert len(crowd.groups["eng"]) == 25 + 2 - (number - 2)


def test_what_is_read_is_limited_to_the_people_in_question(crowd):
    crowd.double.log.clear()
    crowd.members("g1", add=["p30", "p31", "p32", "p33", "p34"])
    asked = [sql for sql in reads(crowd) if "USERS_GROUPS" in sql]
    assert len(asked) == 1
    assert "p30" in asked[0]
    assert "p00" not in asked[0]


def test_one_more_member_costs_the_same_in_a_group_of_any_size(crowd):
    crowd.double.log.clear()
    crowd.members("g1", add=["p30"])
    small = len(reads(crowd))
    more = [f"q{number:03}" for number in range(300)]
    crowd.double.seed(more)
    crowd.double.execute(*(f"GRANT GROUP 'eng' TO '{name}'@'%'" for name in more))
    crowd.double.log.clear()
    crowd.members("g1", add=["p31"])
    assert len(reads(crowd)) == small == 2


def test_many_people_are_read_in_portions(crowd):
    names = [f"q{number:03}" for number in range(450)]
    crowd.double.seed(names)
    crowd.known.update({name: {"name": name} for name in names})
    crowd.double.log.clear()
    crowd.members("g1", add=names)
    assert len(crowd.groups["eng"]) == 475
    assert sum("USERS_GROUPS" in sql for sql in reads(crowd)) == 3


def test_a_removal_that_is_not_seen_counts_only_when_everything_can_be_seen(crowd):
    absent = ["p40", "p41", "p42", "p43", "p44"]
    crowd.double.fail("SHOW GRANTS", 1227)
    with pytest.raises(Unreachable):
        crowd.members("g1", remove=absent)
    crowd.members("g1", remove=absent)


def test_a_removal_that_is_refused_counts_only_when_everything_can_be_seen(make_world):
    world = make_world(behaviour=Behaviour(repeat_revoke_group="error"))
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.double.fail("SHOW GRANTS", 1227)
    with pytest.raises(Unreachable):
        world.members("g1", remove=["u1"])
    world.members("g1", remove=["u1"])


def test_members_of_particular_hosts_are_not_taken_for_the_gateways(crowd):
    crowd.double.execute("CREATE USER 'p40'@'10.0.0.1' IDENTIFIED BY 'x'", "GRANT GROUP 'eng' TO 'p40'@'10.0.0.1'")
    crowd.members("g1", remove=["p40"])
    assert ("p40", "10.0.0.1") in {(account.name, account.host) for account in crowd.state.groups["eng"]}
    crowd.members("g1", add=["p40"])
    assert ("p40", "%") in {(account.name, account.host) for account in crowd.state.groups["eng"]}


@pytest.mark.parametrize("number", [3, 8])
def test_trouble_with_one_who_leaves_keeps_no_other_in_the_group(world, number):
    names = [f"m{n}" for n in range(number)]
    for name in names:
        world.put_user(name, name)
    world.put_group("g1", "eng")
    world.members("g1", add=names)
    armed = world.double.fail("REVOKE GROUP .eng. FROM .m0.", 9999, times=None)
    with pytest.raises(Unreachable, match="9999"):
        world.members("g1", remove=names)
    assert armed.hits
    assert world.groups["eng"] == {"m0"}
    world.double.faults_clear()
    world.members("g1", remove=names)
    assert world.groups["eng"] == set()


def test_nobody_joins_who_has_no_account_yet(crowd):
    changes = MemberChanges({"name": "eng"}, {"u9": {}}, {})
    with crowd.session() as session, pytest.raises(Unreachable, match="no account in the Engine yet"):
        session.change_members(changes)
    assert len(crowd.groups["eng"]) == 25


def test_roles_that_rules_name_are_given_and_never_taken_away(make_world):
    world = make_world(roles={"data-*": ["analyst"], "data-science": ["notebooks"]})
    world.double.execute("CREATE ROLE 'analyst'", "CREATE ROLE 'notebooks'", "CREATE ROLE 'by_hand'")
    world.put_group("g1", "data-science")
    world.put_group("g2", "sales")
    assert world.roles_of("data-science") == {"analyst", "notebooks"}
    assert world.roles_of("sales") == set()
    world.double.execute("GRANT ROLE 'by_hand' TO 'data-science'")
    world.put_group("g1", "data-science")
    world.put_group("g1", "other")
    assert world.roles_of("other") == {"analyst", "notebooks", "by_hand"}


def test_a_role_of_a_rule_that_is_not_there_is_a_fault_of_the_set_up(make_world):
    world = make_world(roles={"*": ["nowhere"]})
    with pytest.raises(Unreachable, match='engine_roles names the role "nowhere"'):
        world.put_group("g1", "eng")
    world.double.execute("CREATE ROLE 'nowhere'")
    world.put_group("g1", "eng")
    assert world.roles_of("eng") == {"nowhere"}


def test_only_groups_in_scope_are_wanted(make_world):
    target = make_world(groups=("eng-*", "Data Team")).target
    assert [target.wants("Group", {"displayName": name}) for name in ("ENG-a", "data team", "sales")] == [
        True,
        True,
        False,
    ]
    assert target.wants("User", {"userName": "ada", "active": False})


def test_what_concerns_the_engine_and_what_does_not(make_world):
    target = make_world(user_name_steps=("local-part",), roles={"a*": ["r"]}).target
    ada = {"userName": "ada@example.com", "active": True, "title": "x"}
    assert not target.concerns("User", ada, {**ada, "title": "y"})
    assert not target.concerns("User", ada, {**ada, "userName": "ada@other.example"})
    assert not target.concerns("User", {"userName": "ada"}, {"userName": "ada", "active": True})
    assert target.concerns("User", ada, {**ada, "userName": "eve@example.com"})
    assert target.concerns("User", ada, {**ada, "active": False})
    assert target.concerns("Group", {"displayName": "a"}, {"displayName": "b"})
    assert not target.concerns("Group", {"displayName": "a"}, {"displayName": "a", "externalId": "1"})


def test_the_inventory_takes_the_same_few_statements_whatever_there_is(crowd):
    crowd.double.log.clear()
    observe(crowd)
    few = len(reads(crowd))
    names = [f"q{number:03}" for number in range(400)]
    crowd.double.seed(names, {f"group {number}": names[number::20] for number in range(20)})
    crowd.double.log.clear()
    seen = observe(crowd)
    assert len(reads(crowd)) == few <= 10
    assert len(seen.users) == 452
    assert len(seen.groups) == 21
    assert sum(map(len, seen.members.values())) == 425


def test_the_inventory_says_what_is_whose_and_in_which_state(make_world):
    world = make_world(tenant="acme")
    world.put_user("u1", "Ada")
    world.put_user("u2", "bob")
    world.put_user("u2", "bob", active=False)
    world.put_group("g1", "Eng")
    world.members("g1", add=["u1"])
    world.double.seed(["hand"], {"dba": ["hand"]})
    seen = observe(world)
    ada, bob, hand = seen.users[b"ada"], seen.users[b"bob"], seen.users[b"hand"]
    assert (ada.name, ada.owner, ada.active, ada.protected) == ("Ada", "u1", True, None)
    assert (bob.owner, bob.active) == ("u2", False)
    assert (hand.owner, hand.active, hand.protected) == (None, True, None)
    assert seen.members == {b"eng": frozenset({b"ada"}), b"dba": frozenset({b"hand"})}
    world.target = world.another_target(tenant="other")
    foreign = observe(world).users[b"ada"]
    assert foreign.owner is None
    assert foreign.protected == "it is another directory's"


@pytest.mark.parametrize("behaviour", [Behaviour(lock_shown="OPEN"), Behaviour(attribute_shown=False)])
def test_a_state_that_cannot_be_told_is_no_difference(make_world, behaviour):
    world = make_world(behaviour=behaviour)
    world.put_user("u1", "ada")
    world.put_user("u1", "ada", active=False)
    expected = True if behaviour.lock_shown == "OPEN" else None
    assert observe(world).users[b"ada"].active is expected


def test_on_servers_without_a_lock_no_state_can_be_told(make_world):
    world = make_world("7.8")
    world.put_user("u1", "ada")
    world.put_user("u1", "ada", active=False)
    assert observe(world).users[b"ada"].active is None


def test_a_lock_out_for_failed_log_ins_is_no_difference(world):
    world.put_user("u1", "ada")
    world.double.execute("ALTER USER 'ada'@'%' ACCOUNT LOCK")
    assert observe(world).users[b"ada"].active is None


def test_names_of_several_accounts_or_spellings_are_told_and_left_alone(world):
    world.put_user("u1", "ada")
    world.double.execute(
        "CREATE USER 'ada'@'10.0.0.1' IDENTIFIED BY 'x'",
        "CREATE USER 'only'@'10.0.0.2' IDENTIFIED BY 'x'",
        "CREATE USER 'Eve'@'%' IDENTIFIED BY 'x'",
        "CREATE USER 'eve'@'%' IDENTIFIED BY 'x'",
        "CREATE GROUP 'Ops'",
        "CREATE GROUP 'ops'",
    )
    seen = observe(world)
    assert seen.users[b"ada"].protected == "there are several accounts of this name"
    assert "host" in str(seen.users[b"only"].protected)
    assert seen.users[b"eve"].protected is not None
    assert seen.groups[b"ops"].protected is not None
    assert len(seen.warnings) == 2


@pytest.mark.parametrize("view", ["USERS", "`GROUPS`", "USERS_GROUPS", "GROUPS_ROLES", "USER_PRIVILEGES"])
@pytest.mark.parametrize("right", ["GRANT OPTION", "SHOW METADATA"])
def test_a_right_that_is_lost_while_everything_is_read_does_not_make_a_short_inventory(world, view, right):
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    whole = observe(world)
    world.double.call_before(
        lambda entry: entry.sql.endswith(f"FROM information_schema.{view}"),
        lambda _: world.double.execute(f"REVOKE {right} ON *.* FROM 'scim_gw'@'%'"),
    )
    with pytest.raises(Unreachable, match=r"lacks|shows the gateway none of them"):
        observe(world)
    world.double.execute(f"GRANT {right} ON *.* TO 'scim_gw'@'%'")
    assert observe(world) == whole


def test_a_right_that_was_gone_for_a_moment_only_does_not_make_one_either(world):
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    moments = {"USERS_GROUPS": "REVOKE GRANT OPTION ON *.* FROM", "GROUPS_ROLES": "GRANT GRANT OPTION ON *.* TO"}
    for view, change in moments.items():
        world.double.call_before(
            lambda entry, view=view: entry.sql.endswith(f"FROM information_schema.{view}"),
            lambda _, change=change: world.double.execute(f"{change} 'scim_gw'@'%'"),
        )
    with pytest.raises(Unreachable, match="shows the gateway none of them"):
        observe(world)


@pytest.mark.parametrize("two_names", [True, False])
@pytest.mark.parametrize("blind", [True, False])
def test_who_leaves_a_group_that_the_views_spell_otherwise_leaves_it(make_world, two_names, blind):
    world = make_world(behaviour=Behaviour(case_sensitive_names=two_names, views_ignore_case=blind))
    world.put_user("u1", "ada")
    world.put_user("u2", "bob")
    spelled = "eng" if two_names else "Eng"
    world.double.execute(
        f"CREATE GROUP '{spelled}'", *(f"GRANT GROUP '{spelled}' TO '{u}'@'%'" for u in ("ada", "bob"))
    )
    world.put_group("g1", "eng", adoptable=True)
    world.members("g1", remove=["u1"])
    assert world.groups == {spelled: {"bob"}}
    world.put_group("g1", "engineering")
    assert world.groups == {"engineering": {"bob"}}


@pytest.mark.parametrize("blind", [True, False])
def test_a_group_of_the_same_name_in_other_letters_lends_no_members(make_world, blind):
    world = make_world(behaviour=Behaviour(case_sensitive_names=True, views_ignore_case=blind))
    world.put_user("u1", "ada")
    world.put_user("u2", "bob")
    world.put_group("g1", "eng")
    world.double.execute("CREATE GROUP 'ENG'", "GRANT GROUP 'ENG' TO 'ada'@'%'", "GRANT GROUP 'ENG' TO 'bob'@'%'")
    world.members("g1", add=["u1"])
    assert world.groups == {"eng": {"ada"}, "ENG": {"ada", "bob"}}
    world.members("g1", remove=["u1", "u2"])
    assert world.groups == {"eng": set(), "ENG": {"ada", "bob"}}
    world.members("g1", add=["u1"])
    world.put_group("g1", "engineering")
    assert world.groups == {"engineering": {"ada"}, "ENG": {"ada", "bob"}}
