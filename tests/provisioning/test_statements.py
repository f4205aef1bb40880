"""What a change costs: transactions and statements on the tables of provisioning, and calls of the target."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from provisioned import World
from scim_gateway_provisioning.failpoints import NAMES
from scim_gateway_provisioning.target import Unreachable
from sqlalchemy import Engine, event

OURS = re.compile(r"\b(scim_work|scim_edge|scim_target_name|scim_nesting|scim_promise)\b")


@dataclass
class Cost:
    """What was sent to the database: statements on the tables of provisioning, and how many transactions wrote."""

    ours: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    @property
    def summary(self) -> list[str]:
        """The first word and the first table of each statement."""
        found = []
        for text in self.ours:
            table = OURS.search(text)
            assert table
            found.append(f"{text.split()[0]} {table[0]}")
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@contextmanager
def measured(world: World) -> Iterator[Cost]:
    """The cost of the block."""
    cost = Cost()
    world.target.calls.clear()

    def note(_connection, _cursor, statement, _parameters, _context, _many) -> None:
        if OURS.search(statement):
            cost.ours.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield cost
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        cost.calls = [call for call, _ in world.target.calls]


def test_reading_costs_nothing(world):
    user = world.core.user("bob")
    with measured(world) as cost:
        world.core.get(user)
        world.core.json("GET", "/Users", filter='userName eq "bob"')
    assert cost == Cost()


def test_a_change_that_means_nothing_to_the_target_costs_two_looks(world):
    user = world.core.user("bob")
    with measured(world) as cost:
        world.core.patch(user, {"op": "replace", "path": "nickName", "value": "Bobby"})
    assert cost.summary == ["SELECT scim_work", "SELECT scim_promise"]
    assert cost.calls == []


def test_a_request_that_changes_nothing_costs_two_looks(world):
    user = world.core.user("bob")
    with measured(world) as cost:
        world.core.patch(user, {"op": "replace", "path": "active", "value": True})
    assert cost.summary == ["SELECT scim_work", "SELECT scim_promise"]


def test_a_deactivation_is_four_statements_and_one_call_however_many_groups_there_are(world):
    user = world.core.user("bob")
    for number in range(5):
        world.core.group(f"group{number}", user)
    with measured(world) as cost:
        world.core.patch(user, {"op": "replace", "path": "active", "value": False})
    assert cost.summary == ["SELECT scim_work", "SELECT scim_promise", "UPDATE scim_work", "UPDATE scim_work"]
    assert cost.calls == ["put_user"]


def test_a_new_user_is_six_statements_besides_the_notes_that_the_target_asks_for(world):
    world.core.user("eve")
    with measured(world) as cost:
        world.core.user("bob")
    note = ["UPDATE scim_work"]
    recorded = ["SELECT scim_work", "INSERT scim_work", "INSERT scim_target_name", "INSERT scim_promise"]
    assert cost.summary == [*recorded, *note, "UPDATE scim_work", "DELETE scim_promise"]
    assert cost.calls == ["put_user"]


@pytest.mark.parametrize("others", [0, 300])
def test_a_membership_costs_the_same_in_a_group_of_any_size(world, others):
    world.target._limit = 100
    users = [world.core.user(f"user{number}") for number in range(others)]
    user, group = world.core.user("bob"), world.core.group("staff", *users)
    with measured(world) as cost:
        world.core.patch(group, {"op": "add", "path": "members", "value": [{"value": user["id"]}]})
    assert cost.summary == [
        # recorded
        "SELECT scim_work",
        "SELECT scim_promise",
        "UPDATE scim_work",
        "INSERT scim_edge",
        "INSERT scim_promise",
        "SELECT scim_edge",
        "SELECT scim_work",
        # marked
        "SELECT scim_work",
        "UPDATE scim_work",
        "DELETE scim_edge",
        "DELETE scim_promise",
    ]
    assert cost.calls == ["change_members"]


def test_a_deleted_user_is_one_call_however_many_groups_held_it(world):
    user = world.core.user("bob")
    for number in range(5):
        world.core.group(f"group{number}", user)
    with measured(world) as cost:
        world.core.send("DELETE", f"/Users/{user['id']}")
    assert cost.calls == ["remove_user"]
    assert len(cost.ours) == 6
    world.check_equal()


def test_every_failpoint_lies_on_the_way_of_something(world):
    seen: set[str] = set()
    for name in NAMES:
        world.context.failpoints.set(name, _noting(seen, name))
    user = world.core.user("bob")
    group = world.core.group("staff", user)
    world.core.send("DELETE", f"/Groups/{group['id']}")
    world.target.fault("remove_user", "before", Unreachable("It is cut."), times=1000)
    world.core.send("DELETE", f"/Users/{user['id']}")
    world.target.up()
    world.target.down()
    world.core.send("POST", "/Users", {"userName": "eve"})
    world.target.up()
    world.settle()
    assert seen == set(NAMES)


def _noting(seen: set[str], name: str) -> Callable[[], None]:
    return lambda: seen.add(name)
