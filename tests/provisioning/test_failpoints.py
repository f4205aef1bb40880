"""A process that is killed at any step of any change: what is there then is no more than was or will be allowed, and
directory and target agree again, by the retry alone as well as by the client's sending the request again. The retry
gives nothing that the process did not come to note as given; who sends the request again gets it."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from doubles.listed_target import CALLS, ListTarget
from provisioned import World, quick
from scim_gateway_provisioning.failpoints import NAMES, Failpoints
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import InvalidValue

CLAIM = 0.02
"""Seconds: so soon the claim of a dead process is over."""
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

Request = tuple[str, str, Any]


@dataclass(frozen=True)
class Scene:
    """Who there is before, and what is asked for."""

    ids: dict[str, str]

    def path(self, name: str) -> str:
        return f"/{'Groups' if name in ('staff', 'outer') else 'Users'}/{self.ids[name]}"

    def patch(self, name: str, *operations: dict[str, Any]) -> Request:
        return "PATCH", self.path(name), {"schemas": [PATCH], "Operations": list(operations)}

    def member(self, name: str) -> list[dict[str, str]]:
        return [{"value": self.ids[name]}]


REQUESTS: dict[str, Callable[[Scene], Request]] = {
    "create a user": lambda scene: ("POST", "/Users", {"userName": "kim", "title": "clerk"}),
    "create an inactive user": lambda scene: ("POST", "/Users", {"userName": "kim", "active": False}),
    "create a group": lambda scene: ("POST", "/Groups", {"displayName": "new", "members": scene.member("bob")}),
    "deactivate": lambda scene: scene.patch("bob", {"op": "replace", "path": "active", "value": False}),
    "activate": lambda scene: scene.patch("zoe", {"op": "replace", "path": "active", "value": True}),
    "rename a user": lambda scene: scene.patch("bob", {"op": "replace", "path": "userName", "value": "rob"}),
    "rename and deactivate": lambda scene: scene.patch(
        "bob", {"op": "replace", "value": {"userName": "rob", "active": False}}
    ),
    "rename a group": lambda scene: scene.patch("staff", {"op": "replace", "path": "displayName", "value": "people"}),
    "add a member": lambda scene: scene.patch("staff", {"op": "add", "path": "members", "value": scene.member("eve")}),
    "remove a member": lambda scene: scene.patch(
        "staff", {"op": "remove", "path": f'members[value eq "{scene.ids["bob"]}"]'}
    ),
    "replace members": lambda scene: scene.patch(
        "staff", {"op": "replace", "path": "members", "value": scene.member("eve")}
    ),
    "nest a group": lambda scene: scene.patch(
        "outer", {"op": "add", "path": "members", "value": scene.member("staff")}
    ),
    "delete a user": lambda scene: ("DELETE", scene.path("bob"), None),
    "delete a group": lambda scene: ("DELETE", scene.path("staff"), None),
}

FAULTS = ("none", "unreachable", "refused")
GIVEN = ("mark.committed", "retry.before", "retry.after")
"""Who dies there may have noted that the target has everything; all others have not answered, and never will."""

Rights = set[tuple[str, str]]


def open_world(folder: Path, failpoints: Failpoints | None = None, fault: str = "none") -> World:
    target = ListTarget(path=folder / "target.json")
    for call in CALLS if fault != "none" else ():
        if fault == "unreachable":
            target.fault(call, "middle", Unreachable("It is cut."))
        else:
            target.fault(call, "before", InvalidValue("It is not taken."))
    return World(folder, target, times=quick(claim=CLAIM, retry=0.0), failpoints=failpoints or Failpoints())


def prepare(folder: Path) -> Scene:
    world = open_world(folder)
    users = {name: world.core.user(name, active=name != "zoe") for name in ("bob", "eve", "zoe")}
    users["staff"] = world.core.group("staff", users["bob"], users["zoe"])
    users["outer"] = world.core.group("outer")
    world.close()
    return Scene({name: resource["id"] for name, resource in users.items()})


def passed(folder: Path, fault: str, request: Request) -> list[str]:
    """The failpoints that a process comes by: with the request alone, and those of the retry with a retry after it."""
    came_by: list[str] = []
    failpoints = Failpoints()
    for name in NAMES:
        failpoints.set(name, functools.partial(came_by.append, name))
    world = open_world(folder, failpoints, fault)
    world.core.send(*request)
    by_request = set(came_by)
    world.backend.settle_pending()
    world.close()
    return [name for name in NAMES if name in by_request or (is_of_the_retry(name) and name in came_by)]


def is_of_the_retry(failpoint: str) -> bool:
    return failpoint.startswith("retry")


def die(folder: Path, failpoint: str, fault: str, request: Request) -> bool:
    """Run the request in a child that is killed at the failpoint; whether it came there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that the child does not use
        child = os.fork()
    if child == 0:
        try:
            world = open_world(folder, Failpoints(f"{failpoint}:kill"), fault)
            world.core.send(*request)
            if is_of_the_retry(failpoint):
                world.backend.settle_pending()
            os._exit(0)
        except BaseException:
            # A child must not go on with the tests of its parent.
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scene]:
    """Where directory and target are as they are before each request."""
    folder = tmp_path_factory.mktemp("prepared")
    return folder, prepare(folder)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("what", REQUESTS)
def test_whatever_step_a_process_dies_at_directory_and_target_agree_again(prepared, tmp_path, what, fault):
    before, scene = prepared
    request = REQUESTS[what](scene)
    asked = rights_after(shutil.copytree(before, tmp_path / "undisturbed"), request)
    on_the_way = passed(shutil.copytree(before, tmp_path / "passed"), fault, request)
    died = 0
    for number, failpoint in enumerate(NAMES):
        if failpoint not in on_the_way:
            continue
        # Where something fails besides, one of the two ways to agreement is enough for each step.
        for again in (False, True) if fault == "none" else (number % 2 == 0,):
            folder = shutil.copytree(before, tmp_path / f"{number}{again}")
            if not die(folder, failpoint, fault, request):
                break
            died += 1
            given = fault == "none" and failpoint in GIVEN
            check(folder, before, request, again=again, given=given, asked=asked, scene=scene)
    assert died >= 7, "failpoints lie on the way"


def rights_after(folder: Path, request: Request) -> Rights:
    """Who may do what when nothing goes wrong."""
    world = open_world(folder)
    assert world.core.send(*request).status in (200, 201, 204)
    rights = world.target.rights()
    world.close()
    return rights


def alike(rights: Rights, scene: Scene) -> Rights:
    """Rights with one name for whatever was made: it has another id each time."""
    known = {"log in", *scene.ids.values()}
    return {(who if who in known else "new", what if what in known else "new") for who, what in rights}


def check(
    folder: Path, prepared: Path, request: Request, *, again: bool, given: bool, asked: Rights, scene: Scene
) -> None:
    before = ListTarget(path=prepared / "target.json").rights()
    world = open_world(folder)
    seen, wanted = world.target.rights(), world.wanted()
    assert seen <= before | wanted, "more than was, and more than will be allowed"
    assert before & wanted <= seen, "something is gone that stays allowed"
    time.sleep(CLAIM)
    if again:
        answer = world.core.send(*request)
        assert answer.status in (200, 201, 204, 404, 409), answer
        assert answer.status != 409 or request[0] == "POST"
        assert answer.status != 404 or request[0] == "DELETE"
        world.check_equal()
    world.settle()
    world.check_equal()
    if again:
        assert alike(world.target.rights(), scene) == alike(asked, scene), "what was sent again holds"
    elif not given:
        assert world.target.rights() <= before, "nobody was told that it is given, and it is"
    assert world.backend.pending() == []
    assert not world.backend.verify_audit().problems
    world.close()
