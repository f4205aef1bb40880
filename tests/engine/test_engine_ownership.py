"""What the gateway did not make it does not touch, unless it is listed for adoption; and a crash does not forget it."""

from __future__ import annotations

import json

import pytest
from doubles.singlestore.api import Behaviour
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import Conflict

MARKS = ((None, True), (None, False), ("8.0", True), ("7.8", True))


@pytest.fixture(params=MARKS, ids=lambda mark: f"{mark[0] or '8.5'}, marks {'shown' if mark[1] else 'hidden'}")
def anywhere(request, make_world):
    """A world with and without a place for marks."""
    version, shown = request.param
    return make_world(version, Behaviour(attribute_shown=shown))


def test_an_account_made_by_hand_is_not_touched_and_the_way_to_adopt_it_is_told(anywhere):
    anywhere.double.seed(["ada"], {"dba_made": ["ada"]})
    before = anywhere.double.state()
    for active in (True, False):
        with pytest.raises(Conflict, match="scim-gateway adopt engine User ada"):
            anywhere.put_user("u1", "ada", active=active)
    assert anywhere.known.get("u1", {}) == {}
    anywhere.remove_user("u1")
    assert anywhere.double.state() == before


def test_a_group_made_by_hand_is_not_touched_and_the_way_to_adopt_it_is_told(anywhere):
    anywhere.double.seed(["ada"], {"eng": ["ada"]})
    before = anywhere.double.state()
    with pytest.raises(Conflict, match="scim-gateway adopt engine Group eng"):
        anywhere.put_group("g1", "eng")
    anywhere.remove_group("g1")
    assert anywhere.double.state() == before


def test_what_is_listed_for_adoption_is_taken_over_as_it_is(anywhere):
    anywhere.double.seed(["ada"], {"eng": ["ada"], "dba_made": ["ada"]})
    anywhere.double.execute("GRANT SELECT ON shop.* TO 'ada'@'%'")
    before, grants = anywhere.double.state(), anywhere.double.grants("ada")
    anywhere.put_user("u1", "ada", adoptable=True)
    anywhere.put_group("g1", "eng", adoptable=True)
    assert anywhere.double.state() == before
    assert anywhere.double.grants("ada") == grants
    anywhere.put_user("u1", "ada")
    anywhere.put_group("g1", "eng")
    if not anywhere.version.startswith("7."):
        anywhere.put_user("u1", "ada", active=False)
        assert anywhere.users == {"ada": True}
    anywhere.remove_user("u1")
    anywhere.remove_group("g1")
    assert anywhere.users == {}
    assert anywhere.groups == {"dba_made": set()}


def test_an_adopted_account_keeps_what_administrators_wrote_into_its_attributes(world):
    world.double.seed(["ada"])
    world.double.execute("""ALTER USER 'ada'@'%' ATTRIBUTE '{"cost centre": 7}' COMMENT 'since 2019'""")
    world.put_user("u1", "ada", adoptable=True)
    found = json.loads(world.account("ada")["ATTRIBUTE"])
    assert found["cost centre"] == 7
    assert found["scim"] == {"id": "u1", "tenant": "default", "locked": False}
    world.put_user("u1", "ada", active=False)
    assert json.loads(world.account("ada")["ATTRIBUTE"])["cost centre"] == 7
    assert world.account("ada")["COMMENT"] == "since 2019"


def test_where_attributes_are_not_shown_none_is_overwritten(make_world):
    world = make_world(behaviour=Behaviour(attribute_shown=False))
    world.double.seed(["ada"])
    world.double.execute("""ALTER USER 'ada'@'%' ATTRIBUTE '{"cost centre": 7}'""")
    world.put_user("u1", "ada", adoptable=True)
    world.put_user("u1", "ada", active=False)
    world.put_user("u1", "ada")
    assert [statement for statement in world.sent() if "ATTRIBUTE" in statement] == []


def test_an_account_that_carries_the_mark_of_another_person_or_directory_is_not_touched(make_world):
    world = make_world()
    world.put_user("u1", "ada")
    with pytest.raises(Conflict, match="mark for another person"):
        world.put_user("u2", "ada", adoptable=True)
    world.target = world.another_target(tenant="elsewhere")
    with pytest.raises(Conflict, match="mark for another directory"):
        world.put_user("u1", "ada", adoptable=True)
    world.remove_user("u1")
    assert world.users == {"ada": False}


def test_a_mark_that_an_administrator_wiped_off_is_put_back(world):
    world.put_user("u1", "ada")
    world.double.execute("""ALTER USER 'ada'@'%' ATTRIBUTE '{"mine": 1}'""")
    world.put_user("u1", "ada")
    found = json.loads(world.account("ada")["ATTRIBUTE"])
    assert (found["mine"], found["scim"]["id"]) == (1, "u1")


def test_an_account_made_again_by_hand_under_a_name_that_was_only_intended_is_not_the_gateways(world):
    world.double.cut_before("CREATE USER")
    with pytest.raises(Unreachable):
        world.put_user("u1", "ada")
    assert world.known["u1"]["making"] == "ada"
    world.double.seed(["ada"])
    with pytest.raises(Conflict, match="did not make"):
        world.put_user("u1", "ada")
    world.remove_user("u1")
    assert world.users == {"ada": False}


def test_an_account_whose_creation_was_not_answered_is_the_gateways(anywhere):
    anywhere.double.cut_after("CREATE USER")
    with pytest.raises(Unreachable):
        anywhere.put_user("u1", "ada")
    assert anywhere.put_user("u1", "ada").known["name"] == "ada"
    assert anywhere.users == {"ada": False}


def test_a_name_with_accounts_for_particular_hosts_is_refused(world):
    world.double.execute("CREATE USER 'ada'@'10.0.0.1' IDENTIFIED BY 'x'")
    before = world.double.state()
    with pytest.raises(Conflict, match=r"particular hosts \(\"10\.0\.0\.1\"\)"):
        world.put_user("u1", "ada")
    assert world.double.state() == before
    world.double.execute("CREATE USER 'bob'@'%' IDENTIFIED BY 'x'", "CREATE USER 'bob'@'localhost' IDENTIFIED BY 'x'")
    before = world.double.state()
    with pytest.raises(Conflict, match="particular hosts"):
        world.put_user("u2", "bob", adoptable=True)
    assert world.double.state() == before


@pytest.mark.parametrize("missing", ["GRANT OPTION", "SHOW METADATA"])
def test_without_the_right_to_see_everything_nothing_is_concluded_from_what_is_not_seen(world, missing):
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    world.double.execute(f"REVOKE {missing} ON *.* FROM 'scim_gw'@'%'")
    before = world.double.state()
    with world.session() as session, pytest.raises(Unreachable, match=f"lacks {missing}"):
        session.observe()
    if missing == "GRANT OPTION":
        for call in (
            lambda: world.put_user("u1", "ada"),
            lambda: world.put_user("u2", "bob"),
            lambda: world.remove_user("u1"),
            lambda: world.members("g1", remove=["u1"]),
            lambda: world.remove_group("g1"),
        ):
            with pytest.raises(Unreachable):
                call()
    assert world.double.state() == before


@pytest.mark.parametrize("spelling", ["GRANT OPTION", "WITH GRANT OPTION"])
def test_a_grant_option_that_opens_no_view_does_not_pass_for_sight(make_world, spelling):
    """SHOW GRANTS writes both spellings alike; which of them counts is not known."""
    world = make_world(behaviour=Behaviour(grant_permission_by=frozenset({spelling})))
    works = spelling == "GRANT OPTION"
    if works:
        world.put_user("u1", "ada")
    else:
        with pytest.raises(Unreachable, match="no account but its own"):
            world.put_user("u1", "ada")
        with world.session() as session, pytest.raises(Unreachable, match="WITH GRANT OPTION"):
            session.observe()
        world.double.execute("GRANT USAGE ON *.* TO 'scim_gw'@'%' WITH GRANT OPTION")
        world.put_user("u1", "ada")
    assert world.users == {"ada": False}


def test_an_account_dropped_by_hand_is_made_again_and_its_memberships_can_be_given(world):
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    world.double.execute("DROP USER 'ada'@'%'")
    with pytest.raises(Unreachable, match="missing in the Engine"):
        world.members("g1", add=["u1"])
    world.members("g1", remove=["u1"])
    world.put_user("u1", "ada")
    world.members("g1", add=["u1"])
    assert world.groups == {"eng": {"ada"}}


def test_a_group_dropped_by_hand_is_made_again(world):
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.double.execute("DROP GROUP 'eng'")
    with pytest.raises(Unreachable, match="has no group"):
        world.members("g1", add=["u1"])
    world.members("g1", remove=["u1"])
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    assert world.groups == {"eng": {"ada"}}


@pytest.mark.parametrize("version", ["7.8", "8.1"])
def test_old_servers_are_kept_from_making_an_account_of_who_is_granted_something(make_world, version):
    world = make_world(version)
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.double.execute("DROP USER 'ada'@'%'")
    with pytest.raises(Unreachable, match="no account"):
        world.members("g1", add=["u1"])
    assert world.users == {}
    assert world.double.log.count("GRANT GROUP") == 0
