"""Every statement of every operation is cut off before and after its effect; the operation is then asked for again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from doubles.singlestore.api import Entry, Fault
from engine_world import EngineWorld
from scim_gateway_provisioning.target import Unreachable

pytestmark = pytest.mark.usefixtures("looks_at_once")

Step = Callable[[EngineWorld], object]


def people(world: EngineWorld) -> None:
    """Ada and Bob in a group with a role, Ada also in one of the administrators' making, and with a grant by hand."""
    world.put_user("u1", "ada")
    world.put_user("u2", "bob")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1", "u2"])
    world.double.execute(
        "CREATE ROLE 'reader'",
        "GRANT SELECT ON shop.* TO ROLE 'reader'",
        "GRANT ROLE 'reader' TO 'eng'",
        "CREATE GROUP 'dba_made'",
        "GRANT GROUP 'dba_made' TO 'ada'@'%'",
        "GRANT SELECT, INSERT ON `own 100%`.* TO 'ada'@'%'",
    )


def nobody(world: EngineWorld) -> None:
    world.put_user("u2", "bob")


def deactivated(world: EngineWorld) -> None:
    people(world)
    world.put_user("u1", "ada", active=False)


@dataclass(frozen=True)
class Operation:
    """What is asked for, from what, and what has to come of it."""

    before: Step
    call: Step
    users: dict[str, bool]
    groups: dict[str, set[str]]
    versions: tuple[str | None, ...] = (None, "7.8")


ALL_GROUPS = {"eng": {"ada", "bob"}, "dba_made": {"ada"}}
OPERATIONS = {
    "create": Operation(nobody, lambda w: w.put_user("u1", "ada"), {"bob": False, "ada": False}, {}),
    "deactivate": Operation(
        people,
        lambda w: w.put_user("u1", "ada", active=False),
        {"ada": True, "bob": False},
        {"eng": {"bob"}, "dba_made": {"ada"}},
        (None, "8.0"),
    ),
    "reactivate": Operation(
        deactivated,
        lambda w: (w.put_user("u1", "ada"), w.members("g1", add=["u1"])),
        {"ada": False, "bob": False},
        ALL_GROUPS,
        (None, "8.0"),
    ),
    "rename": Operation(
        people,
        lambda w: w.put_user("u1", "lovelace"),
        {"lovelace": False, "bob": False},
        {"eng": {"lovelace", "bob"}, "dba_made": {"lovelace"}},
    ),
    "rename and deactivate": Operation(
        people,
        lambda w: w.put_user("u1", "lovelace", active=False),
        {"lovelace": True, "bob": False},
        {"eng": {"bob"}, "dba_made": {"lovelace"}},
        (None, "8.0"),
    ),
    "delete": Operation(people, lambda w: w.remove_user("u1"), {"bob": False}, {"eng": {"bob"}, "dba_made": set()}),
    "group create": Operation(
        people, lambda w: w.put_group("g2", "new"), {"ada": False, "bob": False}, {**ALL_GROUPS, "new": set()}
    ),
    "group rename": Operation(
        people,
        lambda w: w.put_group("g1", "engineering"),
        {"ada": False, "bob": False},
        {"engineering": {"ada", "bob"}, "dba_made": {"ada"}},
    ),
    "group delete": Operation(
        people, lambda w: w.remove_group("g1"), {"ada": False, "bob": False}, {"dba_made": {"ada"}}
    ),
    "member add": Operation(
        people,
        lambda w: (w.put_user("u3", "eve"), w.members("g1", add=["u3"])),
        {"ada": False, "bob": False, "eve": False},
        {"eng": {"ada", "bob", "eve"}, "dba_made": {"ada"}},
    ),
    "member remove": Operation(
        people,
        lambda w: w.members("g1", remove=["u1"]),
        {"ada": False, "bob": False},
        {"eng": {"bob"}, "dba_made": {"ada"}},
    ),
}
CASES = [
    pytest.param(name, version, id=f"{name}, {version or '8.5'}")
    for name, op in OPERATIONS.items()
    for version in op.versions
]
FAULTS = ("cut before", "cut after", "busy")


def effects(world: EngineWorld, call: Step) -> int:
    """How many statements with an effect an operation sends."""
    before = len(world.sent())
    call(world)
    return len(world.sent()) - before


def check(world: EngineWorld, operation: Operation) -> None:
    assert world.users == operation.users
    assert world.groups == operation.groups
    for group in ("eng", "engineering"):
        if group in operation.groups:
            assert operation.before is nobody or world.roles_of(group) == {"reader"}
    for name in ("ada", "lovelace"):
        if name in world.users and operation.before is not nobody:
            assert "GRANT INSERT, SELECT ON `own 100%`.* TO " in "\n".join(world.double.grants(name))


def is_effect(entry: Entry) -> bool:
    """A statement of the gateway that changes something."""
    return entry.account.name == "scim_gw" and (entry.is_account_statement or entry.sql.startswith("KILL"))


def arm(world: EngineWorld, fault: str, step: int) -> Fault:
    if fault == "busy":
        return world.double.fail(is_effect, 1205, skip=step)
    return getattr(world.double, fault.replace(" ", "_"))(is_effect, skip=step)


@pytest.mark.parametrize(("name", "version"), CASES)
def test_an_operation_that_is_cut_at_any_statement_is_finished_by_asking_again(make_world, name, version):
    operation = OPERATIONS[name]
    world = make_world(version)
    operation.before(world)
    steps = effects(world, operation.call)
    check(world, operation)
    assert steps > 0
    for step in range(steps):
        for fault in FAULTS:
            world = make_world(version)
            operation.before(world)
            armed = arm(world, fault, step)
            with pytest.raises(Unreachable):
                operation.call(world)
            assert armed.hits == 1
            operation.call(world)
            check(world, operation)
            operation.call(world)
            check(world, operation)


PEOPLE = {"ada": False, "bob": False}
BACK = {
    "create": (nobody, OPERATIONS["create"].call, lambda w: w.remove_user("u1"), {"bob": False}, {}),
    "rename": (people, OPERATIONS["rename"].call, lambda w: w.put_user("u1", "ada"), PEOPLE, ALL_GROUPS),
    "group create": (people, OPERATIONS["group create"].call, lambda w: w.remove_group("g2"), PEOPLE, ALL_GROUPS),
    "group rename": (people, OPERATIONS["group rename"].call, lambda w: w.put_group("g1", "eng"), PEOPLE, ALL_GROUPS),
    "reactivate": (
        deactivated,
        OPERATIONS["reactivate"].call,
        lambda w: w.put_user("u1", "ada", active=False),
        {"ada": True, "bob": False},
        {"eng": {"bob"}, "dba_made": {"ada"}},
    ),
}
BACK_CASES = [
    pytest.param(name, version, id=f"{name}-{version or '8.5'}")
    for name in BACK
    for version in (None, "7.8")
    if (name, version) != ("reactivate", "7.8")
]


@pytest.mark.parametrize(("name", "version"), BACK_CASES)
def test_an_operation_that_is_cut_at_any_statement_can_be_taken_back(make_world, name, version):
    before, call, back, users, groups = BACK[name]
    world = make_world(version)
    before(world)
    for step in range(effects(world, call)):
        for fault in ("cut before", "cut after"):
            world = make_world(version)
            before(world)
            roles = world.roles_of("eng")
            arm(world, fault, step)
            with pytest.raises(Unreachable):
                call(world)
            back(world)
            assert world.users == users
            assert world.groups == groups
            assert world.roles_of("eng") == roles
