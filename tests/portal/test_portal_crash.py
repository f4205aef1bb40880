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
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from core_client import PATCH_OP, path_of
from doubles.portal.server import PortalDouble
from portal_world import QUICK, PortalWorld, new_user, with_address
from rows import EVERY_ROW

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
    organization: bytes
    moment: datetime

    def begin(self, folder: Path) -> Path:
        """Be where requests begin, by the clock of the API too; the folder is the directory's."""
        organization = self.double.organization
        organization.become(self.organization)
        organization.clock_ahead += self.moment - organization.now()
        return shutil.copytree(self.folder, folder)

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
        yield Stage(double, folder, scene, double.organization.copied(), double.organization.now())
    assert double.violations == []


@pytest.fixture(scope="module")
def deaths() -> Iterator[list[str]]:
    """When a process was killed; how often is printed at the end (``pytest -s``)."""
    counted: list[str] = []
    yield counted
    print(f"\nkilled at a call of the Portal: {len(counted)} times")


@pytest.mark.parametrize("what", REQUESTS)
def test_whatever_call_a_process_dies_at_directory_and_organization_agree_again(stage, tmp_path, what, deaths):
    request = REQUESTS[what](stage.scene)
    methods = calls_of(stage, stage.begin(tmp_path / "rehearsal"), request)
    for when, number, again in ends(methods):
        folder = stage.begin(tmp_path / f"{when} {number} {again}")
        dies(stage, folder, request, when, number)
        check(stage, folder, request, again=again)
        deaths.append(f"{what}, {when}, {number}")
    assert {"GET"} < set(methods), "the request makes calls, and not only to look"


def ends(methods: list[str]) -> Iterator[tuple[str, int, bool]]:
    """Before or after which call a process ends, and whether its request is sent again then.

    A GET does nothing: the process waits for its answer before it and after it, and the same is there. One is enough
    (:mod:`rows`).
    """
    for number, method in enumerate(methods):
        even = number % 2 == 0
        if method == "GET" and not EVERY_ROW:
            yield "after" if even else "before", number, number % 4 < 2
        else:
            yield "before", number, even
            yield "after", number, not even
            if EVERY_ROW:
                yield "after", number, even


def calls_of(stage: Stage, folder: Path, request: Request) -> list[str]:
    """Run the request in a child, to its end; the methods of its calls."""
    stage.double.forget_calls()
    assert waited_for(child_with(stage, folder, request)) == 0
    return [call.method for call in stage.double.calls]


def dies(stage: Stage, folder: Path, request: Request, moment: str, number: int) -> None:
    """Run the request in a child that is killed at one of its calls; before it has its effect it will not have it."""
    calls = {"before": 0, "after": 0}
    born: Future[int] = Future()

    def watch(when: str, method: str, path: str) -> None:
        if when == moment and calls[when] == number:
            os.kill(born.result(), signal.SIGKILL)
            raise ConnectionAbortedError
        calls[when] += 1

    stage.double.watch = watch
    born.set_result(child_with(stage, folder, request))
    assert waited_for(born.result()) == -signal.SIGKILL
    stage.double.watch = lambda when, method, path: None


def child_with(stage: Stage, folder: Path, request: Request) -> int:
    """The id of a child that carries out the request."""
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
    return child


def waited_for(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


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
