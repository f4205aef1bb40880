"""A change that goes well: it is in the directory and in the target when it is answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from provisioned import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_created_user_has_an_account(world):
    user = world.core.user("bob")
    account = world.target.listing.users["bob"]
    assert (account.owner, account.active) == (user["id"], True)


def test_a_deactivated_user_cannot_log_in_and_is_in_no_group(world):
    user = world.core.user("bob")
    world.core.group("staff", user)
    world.target.connect_as("bob")
    world.core.patch(user, {"op": "replace", "path": "active", "value": False})
    account = world.target.listing.users["bob"]
    assert (account.active, account.sessions) == (False, 0)
    assert world.target.listing.groups["staff"].members == set()


def test_a_reactivated_user_is_in_the_groups_again(world):
    user = world.core.user("bob")
    world.core.group("staff", user)
    world.core.patch(user, {"op": "replace", "path": "active", "value": False})
    world.core.patch(user, {"op": "replace", "path": "active", "value": True})
    assert world.target.listing.users["bob"].active
    assert world.target.listing.groups["staff"].members == {"bob"}


def test_members_come_and_go(world):
    bob, eve = world.core.user("bob"), world.core.user("eve")
    group = world.core.group("staff", bob)
    assert world.target.listing.groups["staff"].members == {"bob"}
    world.core.patch(group, {"op": "add", "path": "members", "value": [{"value": eve["id"]}]})
    assert world.target.listing.groups["staff"].members == {"bob", "eve"}
    world.core.patch(group, {"op": "remove", "path": f'members[value eq "{bob["id"]}"]'})
    assert world.target.listing.groups["staff"].members == {"eve"}


def test_a_renamed_user_keeps_its_groups(world):
    user = world.core.user("bob")
    world.core.group("staff", user)
    world.core.patch(user, {"op": "replace", "path": "userName", "value": "rob"})
    assert set(world.target.listing.users) == {"rob"}
    assert world.target.listing.groups["staff"].members == {"rob"}
    world.core.user("bob")


def test_what_is_deleted_is_gone(world):
    user = world.core.user("bob")
    group = world.core.group("staff", user)
    world.core.json("DELETE", f"/Users/{user['id']}", expect=204)
    assert world.target.listing.users == {}
    assert world.target.listing.groups["staff"].members == set()
    world.core.json("DELETE", f"/Groups/{group['id']}", expect=204)
    assert world.target.listing.groups == {}
    world.core.user("bob")


def test_groups_in_groups_are_flattened(world):
    bob = world.core.user("bob")
    inner = world.core.group("inner", bob)
    outer = world.core.group("outer", inner)
    assert world.target.listing.groups["outer"].members == {"bob"}
    world.core.patch(inner, {"op": "remove", "path": "members"})
    assert world.target.listing.groups["outer"].members == set()
    world.core.patch(inner, {"op": "add", "path": "members", "value": [{"value": bob["id"]}]})
    assert world.target.listing.groups["outer"].members == {"bob"}
    world.core.json("DELETE", f"/Groups/{inner['id']}", expect=204)
    assert world.target.listing.groups["outer"].members == set()
    assert world.core.members(outer) == set()
