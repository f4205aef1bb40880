"""A target that waits for somebody: the request succeeds, and the target is asked again from time to time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from provisioned import World
from scim_gateway_provisioning.retry import retry_due
from scim_gateway_provisioning.target import Unreachable


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.target.invites = True
    yield world
    world.close()


def add(user):
    return {"op": "add", "path": "members", "value": [{"value": user["id"]}]}


def test_who_has_not_accepted_is_waited_for_without_failing_the_request(world):
    user = world.core.user("bob")
    group = world.core.group("staff", user)
    assert world.backend.state_of(user["id"])["list"]["state"] == "waiting"
    assert world.backend.state_of(group["id"])["list"]["waiting"] == "members have to be there first"
    assert world.backend.pending() == []
    assert world.target.listing.groups["staff"].members == set()


def test_when_the_invitation_is_accepted_memberships_follow_by_themselves(world):
    user = world.core.user("bob")
    group = world.core.group("staff", user)
    retry_due(world.context)
    assert world.backend.state_of(user["id"])["list"]["state"] == "waiting"
    world.target.invited = set()
    world.backend.settle_pending()
    assert world.backend.state_of(user["id"])["list"]["state"] == "there"
    assert world.backend.state_of(group["id"])["list"]["state"] == "there"
    world.check_equal()


def test_those_who_are_waited_for_do_not_slow_down_changes_of_others(world):
    user = world.core.user("bob")
    group = world.core.group("staff", user)
    world.target.invites = False
    eve = world.core.user("eve")
    world.target.calls.clear()
    world.core.patch(group, {"op": "add", "path": "members", "value": [{"value": eve["id"]}]})
    [(call, changes)] = world.target.calls
    assert (call, set(changes.add)) == ("change_members", {eve["id"]})
    assert world.backend.state_of(group["id"])["list"]["state"] == "waiting"
    world.target.invited = set()
    world.backend.settle_pending()
    world.check_equal()


def test_who_is_waited_for_is_not_forgotten_when_the_group_changes_on_the_way(world):
    world.target.invites = False
    eve = world.core.user("eve")
    world.target.invites = True
    bob = world.core.user("bob")
    group = world.core.group("staff")
    recorded = threading.Event()
    other = threading.Thread(target=lambda: world.core.patch(group, add(eve)))

    def meanwhile():
        world.context.failpoints.set("mark.before", None)
        world.context.failpoints.set("record.committed", recorded.set)
        other.start()
        assert recorded.wait(60)
        world.context.failpoints.set("record.committed", None)

    world.context.failpoints.set("mark.before", meanwhile)
    world.core.patch(group, add(bob))
    other.join()
    assert world.backend.state_of(group["id"])["list"]["waiting"] == "members have to be there first"
    world.target.invited = set()
    world.backend.settle_pending()
    world.check_equal()


def test_who_is_removed_while_waited_for_does_not_become_a_member(world):
    user = world.core.user("bob")
    group = world.core.group("staff", user)
    world.core.patch(group, {"op": "remove", "path": "members"})
    world.target.invited = set()
    world.backend.settle_pending()
    world.check_equal()
    assert world.backend.state_of(group["id"])["list"]["state"] == "there"


def test_who_is_waited_for_can_be_deactivated_and_deleted(world):
    user = world.core.user("bob")
    world.core.patch(user, {"op": "replace", "path": "active", "value": False})
    assert not world.target.listing.users["bob"].active
    assert world.core.send("DELETE", f"/Users/{user['id']}").status == 204
    world.backend.settle_pending()
    assert world.target.listing.users == {}


def test_a_target_that_is_out_of_reach_is_not_asked_about_everybody(world):
    for number in range(10):
        world.core.user(f"user{number}")
    tries: list[int] = []

    def lost() -> None:
        tries.append(1)
        raise Unreachable("It is down.")

    world.target.fault("*", "connect", lost, times=1000)
    tried = world.backend.settle_pending()
    assert (tried.done, tried.failed, len(tries)) == (0, 3, 3)


def test_of_a_large_group_all_are_asked_about(tmp_path):
    world = World(tmp_path, most=2)
    world.target.invites = True
    users = [world.core.user(f"user{number}") for number in range(7)]
    group = world.core.group("staff", *users)
    for user in reversed(users):
        assert world.backend.state_of(group["id"])["list"]["state"] == "waiting"
        world.target.invited.discard(user["id"])
        world.backend.settle_pending()
        assert (user["id"], group["id"]) in world.target.rights()
    world.check_equal()
    assert world.backend.state_of(group["id"])["list"]["state"] == "there"
    world.close()


def test_what_is_pending_in_a_large_group_is_not_kept_by_those_who_are_waited_for(tmp_path):
    world = World(tmp_path, most=2)
    world.target.invites = True
    waited_for = [world.core.user(f"guest{number}") for number in range(5)]
    group = world.core.group("staff", *waited_for)
    world.target.invites = False
    others = [world.core.user(f"user{number}") for number in range(5)]
    world.core.patch(group, {"op": "add", "path": "members", "value": [{"value": each["id"]} for each in others]})
    world.target.fault("change_members", "before", Unreachable("It is down."), times=1000)
    world.core.patch(group, {"op": "remove", "path": "members"}, expect=503)
    world.target.up()
    world.backend.settle_pending()
    assert world.target.listing.groups["staff"].members == set()
    assert world.backend.pending() == []
    world.close()
