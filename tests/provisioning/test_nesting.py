"""Groups in groups: flattened for a target that knows none, handed on to one that does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.listed_target import ListTarget
from provisioned import World
from scim_gateway_provisioning.target import Unreachable


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One target that flattens and one that nests."""
    world = World(tmp_path, ListTarget("flat"), ListTarget("deep", nests=True))
    yield world
    world.close()


def add(world: World, group: dict, *members: dict, expect: int = 200) -> None:
    value = [{"value": member["id"]} for member in members]
    world.core.patch(group, {"op": "add", "path": "members", "value": value}, expect=expect)


def remove(world: World, group: dict, member: dict, expect: int = 200) -> None:
    world.core.patch(group, {"op": "remove", "path": f'members[value eq "{member["id"]}"]'}, expect=expect)


def test_a_target_that_nests_gets_the_groups_themselves(world):
    bob = world.core.user("bob")
    inner = world.core.group("inner", bob)
    world.core.group("outer", inner)
    flat, deep = (target.listing.groups["outer"] for target in world.targets)
    assert (flat.members, flat.teams) == ({"bob"}, set())
    assert (deep.members, deep.teams) == (set(), {"inner"})
    world.check_equal()


def test_who_comes_and_goes_far_below_has_what_the_groups_above_give(world):
    bob = world.core.user("bob")
    groups = [world.core.group(f"level{number}") for number in range(4)]
    for upper, lower in itertools.pairwise(groups):
        add(world, upper, lower)
    add(world, groups[-1], bob)
    world.check_equal()
    assert len(world.targets[0].rights()) == 5
    remove(world, groups[1], groups[2])
    world.check_equal()
    add(world, groups[1], groups[2])
    remove(world, groups[-1], bob)
    world.check_equal()


def test_who_is_in_a_group_by_two_ways_stays_while_one_is_left(world):
    bob = world.core.user("bob")
    left, right = world.core.group("left", bob), world.core.group("right", bob)
    top = world.core.group("top", left, right, bob)
    for step in (lambda: remove(world, top, bob), lambda: remove(world, left, bob)):
        step()
        assert (bob["id"], top["id"]) in world.targets[0].rights()
        world.check_equal()
    world.core.send("DELETE", f"/Groups/{right['id']}")
    assert (bob["id"], top["id"]) not in world.targets[0].rights()
    world.check_equal()


def test_groups_in_a_circle_give_the_same_to_all(world):
    ada, bob = world.core.user("ada"), world.core.user("bob")
    one, two, three = (world.core.group(name) for name in ("one", "two", "three"))
    add(world, one, two, ada)
    add(world, two, three)
    add(world, three, one, bob)
    assert len(world.targets[0].rights()) == 2 + 6
    world.check_equal()
    remove(world, two, three)
    world.check_equal()
    add(world, one, one)
    world.check_equal()
    world.core.send("DELETE", f"/Groups/{one['id']}")
    world.check_equal()


def test_a_group_renamed_or_deleted_keeps_or_takes_its_place(world):
    bob = world.core.user("bob")
    inner = world.core.group("inner", bob)
    outer = world.core.group("outer", inner)
    world.core.patch(inner, {"op": "replace", "path": "displayName", "value": "core"})
    world.check_equal()
    assert world.targets[1].listing.groups["outer"].teams == {"core"}
    world.core.send("DELETE", f"/Groups/{inner['id']}")
    world.check_equal()
    assert world.core.members(outer) == set()


def test_who_becomes_active_gets_what_all_groups_above_give(world):
    bob = world.core.user("bob", active=False)
    inner = world.core.group("inner", bob)
    world.core.group("outer", inner)
    world.core.patch(bob, {"op": "replace", "path": "active", "value": True})
    assert len(world.targets[0].rights()) == 3
    world.check_equal()


@pytest.mark.parametrize("broken", [0, 1])
def test_a_nesting_that_cannot_be_brought_about_is_taken_back_everywhere(world, broken):
    bob = world.core.user("bob")
    inner, outer = world.core.group("inner", bob), world.core.group("outer")
    top = world.core.group("top", outer)
    world.targets[broken].fault("change_members", "middle", Unreachable("It is cut."), times=1000)
    add(world, outer, inner, expect=503)
    assert world.core.members(outer) == set()
    world.targets[broken].up()
    world.settle()
    world.check_equal()
    add(world, outer, inner)
    assert (bob["id"], top["id"]) in world.targets[0].rights()
    world.check_equal()


@pytest.mark.parametrize("broken", [0, 1])
def test_a_nesting_that_is_taken_away_stays_so_until_every_target_has_it(world, broken):
    bob = world.core.user("bob")
    inner = world.core.group("inner", bob)
    outer = world.core.group("outer", inner)
    top = world.core.group("top", outer)
    world.targets[broken].down()
    remove(world, outer, inner, expect=503)
    assert (bob["id"], top["id"]) not in world.targets[1 - broken].rights()
    remove(world, outer, inner, expect=503)
    world.targets[broken].up()
    remove(world, outer, inner)
    world.check_equal()
    assert world.backend.pending() == []
