"""What is taken back is one's own change: what others did to the same resources in the meantime stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from core_client import Core
from doubles.listed_target import ListTarget
from provisioned import World, provisioned
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import InvalidValue, Unavailable

LOST = Unreachable("It is cut.")
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def other(world: World) -> Iterator[Core]:
    """Another gateway with the same directory and the same target."""
    backend = provisioned(world.folder, world.target)
    yield Core(backend)
    backend.close()


def meanwhile(world: World, action: Callable[[], Any]) -> None:
    """Do something between the failure of the next change and its compensation."""

    def once() -> None:
        world.context.failpoints.set("compensate.before", None)
        action()

    world.context.failpoints.set("compensate.before", once)


def send(core: Core, resource: dict, *operations: dict) -> int:
    kind = resource["meta"]["resourceType"] + "s"
    return core.send("PATCH", f"/{kind}/{resource['id']}", {"schemas": [PATCH], "Operations": list(operations)}).status


def set_active(core: Core, user: dict, value: bool) -> int:
    return send(core, user, {"op": "replace", "path": "active", "value": value})


def replace(core: Core, resource: dict, **values: Any) -> int:
    return send(core, resource, {"op": "replace", "value": values})


def add(core: Core, group: dict, member: dict) -> int:
    return send(core, group, {"op": "add", "path": "members", "value": [{"value": member["id"]}]})


def remove(core: Core, group: dict, member: dict) -> int:
    return send(core, group, {"op": "remove", "path": f'members[value eq "{member["id"]}"]'})


def down(world: World) -> None:
    for call in ("put_user", "put_group", "change_members", "remove_user"):
        world.target.fault(call, "before", LOST, times=1000)


def agree(world: World) -> None:
    world.target.up()
    world.settle()
    world.check_equal()


def test_another_attribute_that_was_changed_meanwhile_stays(world, other):
    user = world.core.user("bob", active=False)
    down(world)

    def act() -> None:
        world.target.up()
        assert replace(other, user, nickName="Bobby") == 200

    meanwhile(world, act)
    assert set_active(world.core, user, True) == 503
    after = world.core.get(user)
    assert (after["active"], after["nickName"]) == (False, "Bobby")
    agree(world)


@pytest.mark.parametrize("reachable", [False, True])
def test_two_changes_of_one_user_that_fail_at_once_give_nothing(world, other, reachable):
    user = world.core.user("bob", active=False, title="clerk")
    down(world)

    def act() -> None:
        if reachable:
            world.target.up()
        assert replace(other, user, title="head") == (200 if reachable else 503)

    meanwhile(world, act)
    assert set_active(world.core, user, True) == 503
    assert world.core.get(user)["active"] is False
    agree(world)
    assert world.target.rights() == set()


def test_what_somebody_else_gave_again_and_was_told_so_stays(world, other):
    user = world.core.user("bob", active=False)
    down(world)

    def act() -> None:
        world.target.up()
        assert [set_active(other, user, value) for value in (False, True)] == [200, 200]

    meanwhile(world, act)
    assert set_active(world.core, user, True) == 503
    assert world.core.get(user)["active"] is True
    agree(world)
    assert world.target.rights() == {(user["id"], "log in")}


def test_a_deactivation_in_the_meantime_stays(world, other):
    user = world.core.user("bob", active=False)
    down(world)
    meanwhile(world, lambda: set_active(other, user, False))
    assert set_active(world.core, user, True) == 503
    assert world.core.get(user)["active"] is False
    agree(world)


def test_a_name_that_was_given_after_ours_stays(world, other):
    user = world.core.user("bob")
    down(world)

    def act() -> None:
        world.target.up()
        assert replace(other, user, userName="robert") == 200

    meanwhile(world, act)
    assert replace(world.core, user, userName="rob") == 503
    assert world.core.get(user)["userName"] == "robert"
    agree(world)
    assert set(world.target.listing.users) == {"robert"}


def test_an_old_name_that_somebody_else_has_by_now_is_not_taken_back(world, other):
    user = world.core.user("bob")
    down(world)
    meanwhile(world, lambda: other.send("POST", "/Users", {"userName": "bob"}))
    assert replace(world.core, user, userName="rob") == 503
    agree(world)
    names = {each["userName"] for each in world.core.json("GET", "/Users")["Resources"]}
    assert set(world.target.listing.users) == names


def test_a_user_that_somebody_uses_already_is_not_taken_away(world, other):
    down(world)

    def act() -> None:
        world.target.up()
        [found] = other.json("GET", "/Users", filter='userName eq "bob"')["Resources"]
        assert replace(other, found, title="clerk") == 200

    meanwhile(world, act)
    assert world.core.refused("POST", "/Users", {"userName": "bob"})[0] == 503
    agree(world)
    assert set(world.target.listing.users) == {"bob"}


def test_a_user_that_joined_a_group_in_the_meantime_is_not_taken_away(world, other):
    group = world.core.group("staff")
    down(world)

    def act() -> None:
        world.target.up()
        [found] = other.json("GET", "/Users", filter='userName eq "bob"')["Resources"]
        assert add(other, group, found) == 200

    meanwhile(world, act)
    assert world.core.refused("POST", "/Users", {"userName": "bob"})[0] == 503
    agree(world)
    assert world.target.listing.groups["staff"].members == {"bob"}


def test_of_two_who_add_members_to_one_group_in_vain_both_are_taken_back(world, other):
    bob, eve, group = world.core.user("bob"), world.core.user("eve"), world.core.group("staff")
    down(world)
    meanwhile(world, lambda: add(other, group, eve))
    assert add(world.core, group, bob) == 503
    assert world.core.members(group) == set()
    agree(world)


def test_a_membership_that_somebody_else_was_told_of_stays(world, other):
    bob, group = world.core.user("bob"), world.core.group("staff")
    down(world)

    def act() -> None:
        world.target.up()
        assert [remove(other, group, bob), add(other, group, bob)] == [200, 200]

    meanwhile(world, act)
    assert add(world.core, group, bob) == 503
    assert world.core.members(group) == {bob["id"]}
    agree(world)


def test_a_refused_member_goes_and_the_one_who_came_meanwhile_stays(world, other):
    bob, eve, group = world.core.user("bob"), world.core.user("eve"), world.core.group("staff")
    world.target.fault("change_members", "before", InvalidValue("Not Bob."))
    meanwhile(world, lambda: add(other, group, eve))
    assert add(world.core, group, bob) == 400
    agree(world)
    assert eve["id"] in world.core.members(group)


def test_a_member_that_was_removed_meanwhile_does_not_come_again(world, other):
    bob, eve, group = world.core.user("bob"), world.core.user("eve"), world.core.group("staff")
    down(world)
    meanwhile(world, lambda: remove(other, group, bob))
    assert add(world.core, group, bob) == 503
    assert add(world.core, group, eve) == 503
    assert world.core.members(group) == set()
    agree(world)


def test_what_was_deleted_meanwhile_stays_deleted(world, other):
    user = world.core.user("bob", active=False)
    group = world.core.group("staff", user)
    down(world)
    meanwhile(world, lambda: other.send("DELETE", f"/Users/{user['id']}"))
    assert set_active(world.core, user, True) == 503
    assert world.core.refused("GET", f"/Users/{user['id']}")[0] == 404
    assert world.core.members(group) == set()
    agree(world)
    assert world.target.listing.users == {}


def test_a_user_whose_removal_is_refused_does_not_come_back_under_a_name_that_is_taken(world, other):
    user = world.core.user("bob")
    world.target.fault("remove_user", "before", InvalidValue("He stays."))
    meanwhile(world, lambda: other.send("POST", "/Users", {"userName": "bob"}))
    assert world.core.refused("DELETE", f"/Users/{user['id']}")[0] == 400
    agree(world)


def test_what_a_directory_out_of_reach_could_not_take_back_is_taken_back_later(tmp_path):

    target = ListTarget()
    world = World(tmp_path, target)
    user = world.core.user("bob", active=False)
    down(world)

    def gone() -> None:
        raise Unavailable("The database is away.")

    world.context.failpoints.set("compensate.before", gone)
    assert set_active(world.core, user, True) == 503
    world.context.failpoints.set("compensate.before", None)
    assert world.core.get(user)["active"] is True
    world.die_of_age()
    agree(world)
    assert world.core.get(user)["active"] is False
    world.close()
