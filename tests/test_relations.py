"""Groups of a user, direct and indirect, and groups in circles (RFC 7643 §4.1.2, §4.2)."""

from __future__ import annotations

from typing import Any

import pytest
from core_client import Core, path_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import examples
from scim_gateway_memory import MemoryBackend

from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import StaleResource
from scim_gateway.relations import Relations


def groups_of(core: Core, user: dict[str, Any]) -> dict[str, str]:
    return {group["display"]: group["type"] for group in core.get(user).get("groups", ())}


def test_a_user_shows_the_groups_it_is_in_and_how(core: Core) -> None:
    user = core.user("a")
    inner = core.group("inner", user)
    middle = core.group("middle", inner)
    core.group("outer", middle)
    core.group("other")
    assert groups_of(core, user) == {"inner": "direct", "middle": "indirect", "outer": "indirect"}
    assert core.get(user)["groups"][0] == {
        "value": inner["id"],
        "$ref": inner["meta"]["location"],
        "display": "inner",
        "type": "direct",
    }


def test_a_group_that_is_both_is_direct(core: Core) -> None:
    user = core.user("a")
    inner = core.group("inner", user)
    core.group("outer", inner, user)
    assert groups_of(core, user) == {"inner": "direct", "outer": "direct"}


def test_groups_in_a_circle_are_each_shown_once(core: Core) -> None:
    user = core.user("a")
    one = core.group("one", user)
    two = core.group("two", one)
    core.patch(one, {"op": "add", "path": "members", "value": [{"value": two["id"]}, {"value": one["id"]}]})
    assert groups_of(core, user) == {"one": "direct", "two": "indirect"}
    assert core.members(two) == {one["id"]}
    assert core.send("DELETE", path_of(two)).status == 204
    assert groups_of(core, user) == {"one": "direct"}


def test_what_a_user_shows_follows_every_change_of_its_groups(core: Core) -> None:
    user = core.user("a")
    group = core.group("g")
    assert groups_of(core, user) == {}
    core.patch(group, {"op": "add", "path": "members", "value": [{"value": user["id"]}]})
    assert groups_of(core, user) == {"g": "direct"}
    core.patch(group, {"op": "replace", "path": "displayName", "value": "h"})
    assert groups_of(core, user) == {"h": "direct"}
    core.patch(group, {"op": "remove", "path": f'members[value eq "{user["id"]}"]'})
    assert groups_of(core, user) == {}


def test_a_page_shows_the_groups_of_each(core: Core) -> None:
    users = [core.user(f"u{index}") for index in range(60)]
    even, all_of_them = core.group("even", *users[::2]), core.group("all", *users)
    core.group("outer", even)
    page = {user["id"]: user for user in core.json("GET", "/Users")["Resources"]}
    assert page == {user["id"]: core.get(user) for user in users}
    names = [{group["display"] for group in page[user["id"]]["groups"]} for user in users]
    assert names == [{"even", "all", "outer"} if index % 2 == 0 else {"all"} for index in range(60)]
    assert len(core.members(all_of_them)) == 60


def test_what_joins_while_a_resource_is_deleted_is_noticed() -> None:
    backend = MemoryBackend(standard_resource_types())
    core = Core(backend)
    user = core.user("a")
    core.group("one", user)
    relations = Relations(backend)
    held = relations.lock_containing(user["id"])
    core.group("two", user)
    with pytest.raises(StaleResource):
        relations.detach(user["id"], held)


nesting = st.lists(st.sets(st.integers(0, 5)), min_size=6, max_size=6)


@settings(max_examples=examples(40))
@given(nesting, st.sets(st.integers(0, 5)))
def test_groups_are_those_that_reach_the_user(nested: list[set[int]], holding: set[int]) -> None:
    """``nested[n]`` are the groups in group n, ``holding`` those that hold the user."""
    core = Core(MemoryBackend(standard_resource_types()))
    user = core.user("a")
    groups = [core.group(f"g{index}") for index in range(6)]
    for index, group in enumerate(groups):
        elements = [{"value": groups[inner]["id"]} for inner in sorted(nested[index])]
        if index in holding:
            elements.append({"value": user["id"]})
        core.patch(group, {"op": "replace", "path": "members", "value": elements})
    reached = set(holding)
    while grown := {index for index in range(6) if nested[index] & reached} - reached:
        reached |= grown
    expected = {f"g{index}": "direct" if index in holding else "indirect" for index in reached}
    assert groups_of(core, user) == expected
    for index in range(6):
        found = core.json("GET", "/Users", filter=f'groups.value eq "{groups[index]["id"]}"')
        assert found["totalResults"] == int(index in reached)
