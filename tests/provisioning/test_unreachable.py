"""A target that cannot be reached: what gives rights is taken back, what takes them stays until it holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from doubles.listed_target import ListTarget
from provisioned import World, quick
from scim_gateway_provisioning.health import FAILURES
from scim_gateway_provisioning.target import Unreachable
from scim_gateway_provisioning.work import read

LOST = Unreachable("The connection was cut.")


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


def deactivate(world: World, user: dict, expect: int = 200) -> None:
    world.core.patch(user, {"op": "replace", "path": "active", "value": False}, expect=expect)


def activate(world: World, user: dict, expect: int = 200) -> None:
    world.core.patch(user, {"op": "replace", "path": "active", "value": True}, expect=expect)


# One try more


@pytest.mark.parametrize("moment", ["connect", "before", "middle", "after"])
@pytest.mark.parametrize("call", ["put_user", "*"])
def test_a_short_trouble_is_not_noticed(tmp_path, call, moment):
    world = World(tmp_path, times=quick(retry=20.0, request=30.0))
    world.target.fault(call, moment, LOST)
    user = world.core.user("bob")
    assert world.target.rights() == {(user["id"], "log in")}
    assert world.backend.pending() == []
    world.close()


def test_the_answer_tells_when_to_come_again_and_names_the_target(world):
    world.target.down()
    answer = world.core.send(
        "POST", "/Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "bob"}
    )
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert b"list cannot follow: It is down." in answer.body


# Grants fail closed


@pytest.mark.parametrize("moment", ["connect", "before", "middle", "after"])
def test_a_user_that_could_not_be_made_is_not_there(world, moment):
    world.target.fault("put_user" if moment != "connect" else "*", moment, LOST, times=1000)
    assert world.core.refused("POST", "/Users", {"userName": "bob"}) == (503, None)
    assert world.core.json("GET", "/Users")["totalResults"] == 0
    world.target.up()
    world.settle()
    assert world.target.listing.users == {}
    world.core.user("bob")
    world.check_equal()


def test_a_user_that_could_not_be_activated_is_inactive(world):
    user = world.core.user("bob", active=False)
    world.core.group("staff", user)
    world.target.down()
    activate(world, user, expect=503)
    assert world.core.get(user)["active"] is False
    world.target.up()
    world.settle()
    assert world.target.rights() == set()
    activate(world, user)
    world.check_equal()


def test_a_name_that_could_not_be_given_is_the_old_one(world):
    user = world.core.user("bob")
    world.target.fault("put_user", "middle", LOST, times=1000)
    world.core.patch(user, {"op": "replace", "path": "userName", "value": "rob"}, expect=503)
    assert world.core.get(user)["userName"] == "bob"
    assert set(world.target.listing.users) == {"bob", "rob"}
    world.target.up()
    world.settle()
    assert set(world.target.listing.users) == {"bob"}
    world.core.user("rob")
    world.check_equal()


def test_a_member_that_could_not_be_added_is_none(world):
    user, group = world.core.user("bob"), world.core.group("staff")
    world.target.down()
    world.core.patch(group, {"op": "add", "path": "members", "value": members(user)}, expect=503)
    assert world.core.members(group) == set()
    world.target.up()
    world.settle()
    world.check_equal()


def test_a_group_that_could_not_be_made_is_not_there(world):
    user = world.core.user("bob")
    world.target.fault("change_members", "before", LOST, times=1000)
    assert world.core.refused("POST", "/Groups", {"displayName": "staff", "members": members(user)}) == (503, None)
    assert world.core.json("GET", "/Groups")["totalResults"] == 0
    world.target.up()
    world.settle()
    assert world.target.listing.groups == {}
    world.core.group("staff", user)
    world.check_equal()


def test_a_nested_group_that_could_not_be_added_is_no_member(world):
    user = world.core.user("bob")
    inner, outer = world.core.group("inner", user), world.core.group("outer")
    world.target.down()
    world.core.patch(outer, {"op": "add", "path": "members", "value": members(inner)}, expect=503)
    assert world.core.members(outer) == set()
    world.target.up()
    world.settle()
    world.check_equal()


def test_an_empty_group_that_could_not_be_added_is_no_member(world):
    inner, outer = world.core.group("inner"), world.core.group("outer")
    user = world.core.user("bob")
    world.target.down()
    answer = world.core.send(
        "PATCH",
        f"/Groups/{outer['id']}",
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "add", "path": "members", "value": members(inner, user)}],
        },
    )
    assert answer.status == 503
    assert world.core.members(outer) == set()


# Revocations stick


def test_a_deactivation_stays_and_is_tried_until_it_holds(world):
    user = world.core.user("bob")
    world.core.group("staff", user)
    world.target.down()
    deactivate(world, user, expect=503)
    assert world.core.get(user)["active"] is False
    assert [(each.id, each.revoking) for each in world.backend.pending()] == [(user["id"], True)]
    world.target.up()
    world.settle()
    assert world.target.rights() == set()


def test_a_deactivation_that_is_sent_again_is_settled_although_nothing_changes(world):
    user = world.core.user("bob")
    world.target.down()
    deactivate(world, user, expect=503)
    deactivate(world, user, expect=503)
    world.target.up()
    deactivate(world, user)
    assert world.target.rights() == set()
    assert world.backend.pending() == []


def test_a_deleted_user_is_gone_and_said_to_be_gone_when_the_target_has_confirmed_it(world):
    user = world.core.user("bob")
    world.target.down()
    assert world.core.refused("DELETE", f"/Users/{user['id']}")[0] == 503
    assert world.core.refused("GET", f"/Users/{user['id']}")[0] == 404
    assert world.core.refused("DELETE", f"/Users/{user['id']}")[0] == 503
    assert (
        world.core.refused(
            "PATCH", f"/Users/{user['id']}", {"Operations": [{"op": "replace", "value": {"title": "x"}}]}
        )[0]
        == 503
    )
    world.target.up()
    assert world.core.refused("DELETE", f"/Users/{user['id']}")[0] == 404
    assert world.target.listing.users == {}
    assert world.backend.pending() == []


def test_a_removed_member_stays_removed(world):
    user = world.core.user("bob")
    group = world.core.group("staff", user)
    world.target.down()
    world.core.patch(group, {"op": "remove", "path": "members"}, expect=503)
    assert world.core.members(group) == set()
    world.target.up()
    world.settle()
    assert world.target.rights() == {(user["id"], "log in")}


def test_a_member_leaves_at_once_although_something_else_is_pending_for_him(world):
    user = world.core.user("bob")
    group = world.core.group("staff", user)
    world.target.fault("put_user", "before", LOST, times=1000)
    world.core.patch(user, {"op": "replace", "path": "userName", "value": "rob"}, expect=503)
    world.core.patch(group, {"op": "remove", "path": "members"}, expect=503)
    assert world.target.listing.groups["staff"].members == set()
    world.target.up()
    world.settle()
    world.check_equal()


def test_a_deleted_group_stays_deleted(world):
    user = world.core.user("bob")
    group = world.core.group("staff", user)
    world.target.down()
    assert world.core.refused("DELETE", f"/Groups/{group['id']}")[0] == 503
    world.target.up()
    world.settle()
    assert world.target.listing.groups == {}


# Both in one request


def test_of_a_group_that_is_replaced_those_who_left_have_left_and_nobody_came(world):
    bob, eve, kim = (world.core.user(name) for name in ("bob", "eve", "kim"))
    group = world.core.group("staff", bob, eve)
    world.target.down()
    body = {"displayName": "people", "members": members(eve, kim)}
    assert world.core.refused("PUT", f"/Groups/{group['id']}", body)[0] == 503
    assert world.core.get(group)["displayName"] == "staff"
    assert world.core.members(group) == {eve["id"]}
    world.target.up()
    world.settle()
    world.check_equal()


def test_a_user_that_is_renamed_and_deactivated_is_deactivated_alone(world):
    user = world.core.user("bob", title="clerk")
    world.target.down()
    world.core.patch(
        user, {"op": "replace", "value": {"userName": "rob", "active": False, "title": "head"}}, expect=503
    )
    after = world.core.get(user)
    assert (after["userName"], after["active"], after["title"]) == ("bob", False, "clerk")
    world.target.up()
    world.settle()
    assert world.target.rights() == set()
    assert set(world.target.listing.users) == {"bob"}


def test_a_large_group_keeps_those_that_the_target_has_got(tmp_path):
    world = World(tmp_path, most=2)
    users = [world.core.user(f"user{number}") for number in range(5)]
    group = world.core.group("staff")
    calls = iter(range(100))

    def cut() -> None:
        if next(calls) >= 1:
            raise LOST

    world.target.fault("change_members", "before", cut, times=1000)
    world.core.patch(group, {"op": "add", "path": "members", "value": members(*users)}, expect=503)
    assert len(world.core.members(group)) == 2
    world.target.up()
    world.settle()
    world.check_equal()
    world.close()


# Several targets


def test_a_grant_is_taken_back_in_the_target_that_could_be_reached(pair):
    pair.targets[1].down()
    assert pair.core.refused("POST", "/Users", {"userName": "bob"})[0] == 503
    assert pair.targets[0].listing.users == {}
    pair.targets[1].up()
    pair.settle()
    pair.check_equal()


@pytest.mark.parametrize("broken", [0, 1])
def test_a_revocation_reaches_the_target_that_can_be_reached_at_once(pair, broken):
    user = pair.core.user("bob")
    pair.core.group("staff", user)
    pair.targets[broken].down()
    deactivate(pair, user, expect=503)
    assert pair.targets[1 - broken].rights() == set()
    assert pair.targets[broken].rights() != set()
    pair.targets[broken].up()
    pair.settle()
    pair.check_equal()


@pytest.mark.parametrize("broken", [0, 1])
def test_members_that_come_and_go_are_split_in_every_target(pair, broken):
    bob, eve = pair.core.user("bob"), pair.core.user("eve")
    group = pair.core.group("staff", bob)
    pair.targets[broken].down()
    assert (
        pair.core.refused("PUT", f"/Groups/{group['id']}", {"displayName": "staff", "members": members(eve)})[0] == 503
    )
    assert pair.core.members(group) == set()
    assert (eve["id"], group["id"]) not in pair.targets[1 - broken].rights()
    assert (bob["id"], group["id"]) not in pair.targets[1 - broken].rights()
    pair.targets[broken].up()
    pair.settle()
    pair.check_equal()


def test_a_target_that_hangs_leaves_the_other_its_time(tmp_path):
    world = World(tmp_path, ListTarget("first"), ListTarget("second"), times=quick(request=3.0))
    user = world.core.user("bob")

    def hang() -> None:
        while world.targets[0].deadline.left():
            time.sleep(0.01)
        raise LOST

    world.targets[0].fault("put_user", "before", hang)
    deactivate(world, user, expect=503)
    assert world.targets[0].rights() != set()
    assert world.targets[1].rights() == set()
    world.settle()
    world.check_equal()
    world.close()


def test_a_target_that_is_down_for_long_is_asked_once_by_each_request(tmp_path):
    world = World(tmp_path, times=quick(retry=0.01))
    world.target.down()
    asked: list[int] = []
    for _ in range(FAILURES):
        world.core.refused("POST", "/Users", {"userName": "bob"})
    world.backend.context = patient = replace(world.context, times=quick(retry=20.0))
    assert patient.health.is_down("list")
    world.target.up()
    world.target.fault("*", "connect", lambda: asked.append(1) or _raise(LOST), times=1000)
    world.core.refused("POST", "/Users", {"userName": "bob"})
    assert len(asked) == 1
    world.target.up()
    world.core.user("bob")
    world.close()


def _raise(error: Exception) -> None:
    raise error


def test_the_note_of_a_group_is_kept_when_its_members_cannot_be_added(world):
    user = world.core.user("bob")
    group = world.core.group("private-staff", user)
    world.target.fault("change_members", "before", LOST, times=1000)
    world.core.patch(group, {"op": "replace", "path": "displayName", "value": "staff"}, expect=503)
    with world.context.database.operation(write=False) as session:
        work = read(session, world.context.tenant, [group["id"]])[group["id"], "list"]
    assert work.known == {"name": "staff"}
    world.target.up()
    world.settle()
    assert world.target.listing.groups == {}


# Names


def test_a_name_is_free_again_when_the_target_has_confirmed_the_removal(world):
    user = world.core.user("bob")
    world.target.down()
    assert world.core.refused("DELETE", f"/Users/{user['id']}")[0] == 503
    assert world.core.refused("POST", "/Users", {"userName": "bob"})[0] == 503
    world.target.up()
    again = world.core.user("bob")
    assert world.target.listing.users["bob"].owner == again["id"] != user["id"]
    world.check_equal()
