"""A gateway that is killed while it talks to the API, before any call has its effect and after it.

What is there then is no more than was or will be allowed; directory and organization agree again, by the retry alone as
well as by the client's sending the request again.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from core_client import PATCH_OP, path_of
from doubles.portal.server import PortalDouble
from portal_world import QUICK, PortalWorld, new_user, with_address

ADA, BOB, EVE, ZOE, NEW = (f"{name}@example.com" for name in ("ada", "bob", "eve", "zoe", "bob.new"))
CLAIM = 0.05
"""Seconds: so soon the claim of a dead process is over."""

Request = tuple[str, str, Any]
Rights = set[tuple[str, str]]


@dataclass(frozen=True)
class Scene:
    """Bob (in staff) and Eve are members, Ada (in staff) is invited, Zoe (in staff) is inactive; Sub is a group."""

    paths: dict[str, str]

    def patch(self, name: str, *operations: dict[str, Any]) -> Request:
        return "PATCH", self.paths[name], {"schemas": [PATCH_OP], "Operations": list(operations)}

    def member(self, name: str) -> list[dict[str, str]]:
        return [{"value": self.paths[name].rpartition("/")[2]}]


def active(value: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": value}


REQUESTS: dict[str, Callable[[Scene], Request]] = {
    "create a user": lambda scene: ("POST", "/Users", new_user("kim@example.com")),
    "create a group": lambda scene: ("POST", "/Groups", {"displayName": "new", "members": scene.member("bob")}),
    "deactivate a member": lambda scene: scene.patch("bob", active(False)),
    "deactivate an invited person": lambda scene: scene.patch("ada", active(False)),
    "activate": lambda scene: scene.patch("zoe", active(True)),
    "change an address": lambda scene: scene.patch(
        "bob", {"op": "replace", "path": "emails", "value": with_address(NEW)["emails"]}
    ),
    "rename a group": lambda scene: scene.patch("staff", {"op": "replace", "path": "displayName", "value": "people"}),
    "add a member": lambda scene: scene.patch("staff", {"op": "add", "path": "members", "value": scene.member("eve")}),
    "remove a member": lambda scene: scene.patch(
        "staff", {"op": "remove", "path": f'members[value eq "{scene.member("bob")[0]["value"]}"]'}
    ),
    "replace members": lambda scene: scene.patch(
        "staff", {"op": "replace", "path": "members", "value": scene.member("eve")}
    ),
    "nest a group": lambda scene: scene.patch(
        "staff", {"op": "add", "path": "members", "value": scene.member("sub")}
    ),
    "delete a user": lambda scene: ("DELETE", scene.paths["bob"], None),
    "delete a group": lambda scene: ("DELETE", scene.paths["staff"], None),
}  # fmt: skip


@dataclass
class Stage:
    """Where each request begins: a directory, and an organization."""

    double: PortalDouble
    folder: Path
    scene: Scene
    organization: Any

    def open(self, folder: Path) -> PortalWorld:
        return PortalWorld(self.double, folder, times=replace(QUICK, claim=CLAIM))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("prepared")
    with PortalDouble() as double:
        world = PortalWorld(double, folder)
        made = {name: world.member(f"{name}@example.com") for name in ("bob", "eve", "zoe")}
        made["ada"] = world.person(ADA)
        made["staff"] = world.core.group("staff", made["bob"], made["zoe"], made["ada"])
        made["sub"] = world.core.group("sub", made["eve"])
        world.core.patch(made["zoe"], active(False))
        world.check_equal()
        world.close()
        scene = Scene({name: path_of(resource) for name, resource in made.items()})
        yield Stage(double, folder, scene, double.organization.copied())
    assert double.violations == []


@pytest.fixture(scope="module")
def deaths() -> Iterator[list[int]]:
    """How often a process was killed in each request; the sum is printed at the end (``pytest -s``)."""
    counted: list[int] = []
    yield counted
    print(f"\nkilled at a call of the Portal: {sum(counted)} times")


@pytest.mark.parametrize("what", REQUESTS)
def test_whatever_call_a_process_dies_at_directory_and_organization_agree_again(stage, tmp_path, what, deaths):
    request = REQUESTS[what](stage.scene)
    died = 0
    for moment in ("before", "after"):
        for number in range(40):
            stage.double.organization.become(stage.organization)
            folder = shutil.copytree(stage.folder, tmp_path / f"{moment}{number}")
            if not dies(stage, folder, request, moment, number):
                break
            died += 1
            check(stage, folder, request, again=(number % 2 == 0) is (moment == "before"))
    assert died >= 4, "the request makes calls"
    deaths.append(died)


def dies(stage: Stage, folder: Path, request: Request, moment: str, number: int) -> bool:
    """Run the request in a child that is killed at one of its calls; whether it came there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that the child does not use
        child = os.fork()
    if child == 0:
        try:
            stage.open(folder).core.send(*request)
            os._exit(0)
        except BaseException:
            # A child must not go on with the tests of its parent.
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    calls = {"before": 0, "after": 0}

    def watch(when: str, method: str, path: str) -> None:
        if when == moment and calls[when] == number:
            os.kill(child, signal.SIGKILL)
        calls[when] += 1

    stage.double.watch = watch
    _, status = os.waitpid(child, 0)
    stage.double.watch = lambda when, method, path: None
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def rights(world: PortalWorld) -> Rights:
    """Who is a member of what; an invitation that is pending grants nothing."""
    teams = {(email, name) for name, inside in world.teams.items() for email in inside}
    return {(email, "organization") for email in world.members} | teams


def check(stage: Stage, folder: Path, request: Request, *, again: bool) -> None:
    world = stage.open(folder)
    people, groups = world.wanted()
    wanted = {(email, "organization") for email in people}
    wanted |= {(email, name) for name, inside in groups.items() for email in inside}
    organization = stage.double.organization
    now = organization.copied()
    organization.become(stage.organization)
    before = rights(world)
    organization.become(now)
    assert rights(world) <= before | wanted, "more than was, and more than will be allowed"
    time.sleep(CLAIM)
    if again:
        answer = world.core.send(*request)
        assert answer.status in (200, 201, 204, 404, 409), answer
        assert answer.status != 409 or request[0] == "POST"
        assert answer.status != 404 or request[0] == "DELETE"
    world.look()
    if NEW in world.invited:
        assert BOB in world.members, "the old address stays until the new one stands"
        world.accept(NEW)
        world.look()
    world.check_equal()
    assert world.backend.pending() == []
    assert not world.backend.verify_audit().problems
    world.close()
