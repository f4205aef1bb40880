"""What a target will not do, however often it is asked: everything goes back, and the client is told why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.listed_target import Account, ListTarget, Team
from provisioned import World

from scim_gateway.errors import Forbidden, InternalError, InvalidValue


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, ListTarget("first"), ListTarget("second"))
    yield world
    world.close()


def members(*users: dict) -> list[dict]:
    return [{"value": user["id"]} for user in users]


def content(resource: dict) -> dict:
    return {name: value for name, value in resource.items() if name != "meta"}


# By the target, when it is asked


def test_a_refused_user_is_not_there(world):
    assert world.core.refused("POST", "/Users", {"userName": "refused"}) == (400, "invalidValue")
    assert world.core.json("GET", "/Users")["totalResults"] == 0
    world.settle()
    assert world.target.listing.users == {}


def test_a_refused_change_leaves_the_user_as_it_was(world):
    user = world.core.user("bob", title="clerk")
    group = world.core.group("staff", user)
    before = world.core.get(user)
    change = {"op": "replace", "value": {"userName": "refused", "title": "head", "active": False}}
    world.core.patch(user, change, expect=400)
    after = world.core.get(user)
    assert content(after) == content(before)
    assert after["meta"]["version"] != before["meta"]["version"]
    assert world.target.rights() == {(user["id"], "log in"), (user["id"], group["id"])}
    assert world.backend.pending() == []


def test_a_refused_change_of_a_group_leaves_its_members_as_they_were(world):
    bob, eve = world.core.user("bob"), world.core.user("eve")
    group = world.core.group("staff", bob)
    before = world.core.get(group)
    body = {"displayName": "refused", "members": members(eve)}
    assert world.core.refused("PUT", f"/Groups/{group['id']}", body)[0] == 400
    assert content(world.core.get(group)) == content(before)
    world.check_equal()
    assert world.backend.pending() == []


def test_members_that_are_refused_do_not_come(world):
    bob, eve = world.core.user("bob"), world.core.user("eve")
    group = world.core.group("staff", bob)
    world.target.fault("change_members", "middle", Forbidden("Eve must not be a member."))
    world.core.patch(group, {"op": "replace", "path": "members", "value": members(eve)}, expect=403)
    assert world.core.members(group) == {bob["id"]}
    world.check_equal()


def test_of_a_large_group_nothing_is_left_when_one_member_is_refused(tmp_path):
    world = World(tmp_path, most=2)
    users = [world.core.user(f"user{number}") for number in range(5)]
    group = world.core.group("staff", users[0])
    calls = iter(range(100))

    def refuse() -> None:
        if next(calls) == 1:
            raise InvalidValue("Not this one.")

    world.target.fault("change_members", "before", refuse, times=3)
    world.core.patch(group, {"op": "add", "path": "members", "value": members(*users)}, expect=400)
    assert world.core.members(group) == {users[0]["id"]}
    world.target.up()
    world.settle()
    world.check_equal()
    world.close()


@pytest.mark.parametrize("moment", ["before", "middle"])
def test_a_user_whose_removal_is_refused_is_there_again_with_its_groups(world, moment):
    user = world.core.user("bob", title="clerk")
    group = world.core.group("staff", user)
    before = world.core.get(user)
    world.target.fault("remove_user", moment, Forbidden("Bob stays."))
    assert world.core.refused("DELETE", f"/Users/{user['id']}")[0] == 403
    assert content(world.core.get(user)) == content(before)
    assert world.core.members(group) == {user["id"]}
    assert world.target.rights() == {(user["id"], "log in"), (user["id"], group["id"])}
    assert world.backend.pending() == []


def test_a_group_whose_removal_is_refused_is_there_again_with_its_members(world):
    bob = world.core.user("bob")
    inner = world.core.group("inner", bob)
    outer = world.core.group("outer", inner)
    world.target.fault("remove_group", "middle", Forbidden("It stays."))
    assert world.core.refused("DELETE", f"/Groups/{inner['id']}")[0] == 403
    assert world.core.members(inner) == {bob["id"]}
    assert world.core.members(outer) == {inner["id"]}
    world.check_equal()


def test_what_one_target_refuses_is_taken_back_in_the_other(pair):
    pair.targets[1].refused = "bob"
    assert pair.core.refused("POST", "/Users", {"userName": "bob"})[0] == 400
    assert pair.targets[0].listing.users == pair.targets[1].listing.users == {}
    user = pair.core.user("eve")
    pair.core.patch(user, {"op": "replace", "value": {"userName": "bob"}}, expect=400)
    assert set(pair.targets[0].listing.users) == set(pair.targets[1].listing.users) == {"eve"}
    pair.check_equal()
    assert pair.backend.pending() == []


def test_an_account_that_is_not_the_gateways_is_not_taken(world):
    with world.target.store.open() as listing:
        listing.users["bob"] = Account("bob", None)
        listing.groups["staff"] = Team("staff", None)
    assert world.core.refused("POST", "/Users", {"userName": "bob"})[0] == 409
    assert world.core.refused("POST", "/Groups", {"displayName": "staff"})[0] == 409
    listing = world.target.listing
    assert (listing.users["bob"], listing.groups["staff"]) == (Account("bob", None), Team("staff", None))
    world.settle()
    assert world.target.listing.users["bob"] == Account("bob", None)


def test_an_account_that_is_listed_for_adoption_is_taken(world):
    with world.target.store.open() as listing:
        listing.users["bob"] = Account("bob", None)
    world.backend.adopt("list", "User", ["bob"])
    user = world.core.user("bob")
    assert world.target.listing.users["bob"].owner == user["id"]


def test_a_target_that_fails_in_an_unexpected_way_is_treated_as_out_of_reach(world):
    world.target.fault("put_user", "middle", ZeroDivisionError("a defect"), times=100)
    assert world.core.refused("POST", "/Users", {"userName": "bob"})[0] == 503
    assert world.core.json("GET", "/Users")["totalResults"] == 0
    world.target.up()
    world.settle()
    assert world.target.listing.users == {}


def test_an_error_of_the_5xx_kind_is_no_refusal(world):
    user = world.core.user("bob")
    world.target.fault("put_user", "before", InternalError("Out of order."), times=100)
    world.core.patch(user, {"op": "replace", "path": "active", "value": False}, expect=503)
    assert world.core.get(user)["active"] is False


# Before it is asked


@pytest.mark.parametrize("name", ["root", "ROOT", " root "])
def test_a_protected_name_is_refused_and_nothing_has_happened(world, name):
    user = world.core.user("bob")
    world.target.calls.clear()
    assert world.core.refused("POST", "/Users", {"userName": name})[0] == 403
    world.core.patch(user, {"op": "replace", "path": "userName", "value": name}, expect=403)
    assert world.core.get(user) == user
    assert world.target.calls == []


def test_what_became_protected_is_neither_changed_nor_filled_nor_dropped(world):
    user = world.core.user("bob")
    group = world.core.group("staff")
    world.target._protected = ("bob", "staff")
    world.core.patch(user, {"op": "replace", "path": "active", "value": False}, expect=403)
    world.core.patch(group, {"op": "add", "path": "members", "value": members(user)}, expect=403)
    assert world.core.refused("DELETE", f"/Users/{user['id']}")[0] == 403
    assert world.core.refused("DELETE", f"/Groups/{group['id']}")[0] == 403
    assert world.core.get(user) == user


def test_a_group_that_became_protected_keeps_nobody_from_being_deactivated_or_deleted(world):
    bob, eve, zoe = (world.core.user(name) for name in ("bob", "eve", "zoe"))
    inner = world.core.group("inner", zoe)
    group = world.core.group("staff", bob, eve, inner)
    world.target._protected = ("staff",)
    leave = {"op": "remove", "path": f'members[value eq "{bob["id"]}"]'}
    world.core.patch(group, leave, expect=403)
    assert world.core.refused("DELETE", f"/Groups/{inner['id']}")[0] == 403
    world.core.patch(eve, {"op": "replace", "path": "active", "value": False})
    assert world.core.send("DELETE", f"/Users/{bob['id']}").status == 204
    assert set(world.target.listing.users) == {"eve", "zoe"}
    assert not world.target.listing.users["eve"].active
    assert world.target.rights() == {(zoe["id"], "log in"), (zoe["id"], inner["id"]), (zoe["id"], group["id"])}


def test_a_name_that_does_not_fit_is_refused(world):
    assert world.core.refused("POST", "/Users", {"userName": "x" * 41}) == (400, "invalidValue")
    assert world.core.json("GET", "/Users")["totalResults"] == 0


def test_a_user_whose_name_does_not_fit_any_more_can_be_deactivated_and_deleted(world):
    user = world.core.user("bob")
    world.target._limit = 2
    world.core.patch(user, {"op": "replace", "path": "title", "value": "x"}, expect=400)
    assert world.core.send("DELETE", f"/Users/{user['id']}").status == 204
    assert world.target.listing.users == {}


def test_two_people_never_share_an_account(tmp_path):
    world = World(tmp_path, ListTarget(attribute="nickName"))
    ada = world.core.user("ada@one.example", nickName="ada")
    world.core.user("bob@one.example", nickName="bob")
    answer = world.core.send("POST", "/Users", {"userName": "ada@two.example", "nickName": "ADA"})
    assert answer.status == 409
    assert answer.scim_type == "uniqueness"
    for told in (b"ada@one.example", ada["id"].encode(), b"list_attribute", b"list"):
        assert told in answer.body
    other = world.core.user("ada@two.example", nickName="ada2")
    world.core.patch(other, {"op": "replace", "path": "nickName", "value": "Ada"}, expect=409)
    world.core.patch(ada, {"op": "replace", "path": "nickName", "value": "countess"})
    world.core.patch(other, {"op": "replace", "path": "nickName", "value": "Ada"})
    assert world.target.listing.users["Ada"].owner == other["id"]
    world.close()


# What a target does not want


def test_a_group_that_the_target_does_not_want_is_the_directorys_alone(world):
    user = world.core.user("bob")
    group = world.core.group("private-notes", user)
    world.core.patch(group, {"op": "remove", "path": "members"})
    assert world.target.listing.groups == {}
    assert world.core.send("DELETE", f"/Groups/{group['id']}").status == 204


def test_a_group_that_becomes_wanted_is_made_with_its_members_and_removed_when_it_is_not(world):
    bob, eve = world.core.user("bob"), world.core.user("eve")
    inner = world.core.group("private-inner", eve)
    group = world.core.group("private-notes", bob, inner)
    world.core.patch(group, {"op": "replace", "path": "displayName", "value": "notes"})
    assert world.target.listing.groups["notes"].members == {"bob", "eve"}
    world.core.patch(group, {"op": "replace", "path": "displayName", "value": "private-notes"})
    assert world.target.listing.groups == {}
    world.check_equal()


def test_a_user_that_the_target_does_not_want_any_more_loses_the_account_and_gets_it_back_with_the_groups(world):
    bob = world.core.user("bob")
    inner = world.core.group("inner", bob)
    world.core.group("outer", inner)
    for name in ("private-bob", "bob"):
        world.core.patch(bob, {"op": "replace", "path": "userName", "value": name})
        world.check_equal()
    assert len(world.target.rights()) == 3
    world.core.patch(bob, {"op": "replace", "value": {"userName": "private-bob", "active": False}})
    world.core.patch(bob, {"op": "replace", "path": "active", "value": True})
    assert world.target.listing.users == {}
    assert world.core.send("DELETE", f"/Users/{bob['id']}").status == 204
