"""A process that is killed at any step of any change: what is there then is no more than was or will be allowed, and
directory and target agree again, by the retry alone as well as by the client's sending the request again. The retry
gives nothing that the process did not come to note as given; who sends the request again gets it.

What a killed process leaves is what lies in its files at that moment: one process, whose files are copied at each step
that it comes by, dies at all of them. At each step one is really killed, and has to leave the same."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from doubles.listed_target import CALLS, ListTarget
from killed import killed
from provisioned import World, quick
from scim_gateway_provisioning.failpoints import NAMES, Failpoints
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import InvalidValue

TIMES = quick(request=60.0, claim=600.0, retry=0.0)
"""Nothing gets old by itself, however slow the machine is."""
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

KILLED = {
    "record.before": ("activate", "none"),
    "record.committed": ("activate", "none"),
    "claim.committed": ("activate", "refused"),
    "put_user.before": ("activate", "none"),
    "put_user.after": ("activate", "none"),
    "remove_user.before": ("delete a user", "none"),
    "remove_user.after": ("delete a user", "none"),
    "put_group.before": ("create a group", "none"),
    "put_group.after": ("create a group", "none"),
    "remove_group.before": ("delete a group", "none"),
    "remove_group.after": ("delete a group", "none"),
    "change_members.before": ("replace members", "none"),
    "change_members.after": ("replace members", "none"),
    "save.before": ("create a user", "none"),
    "save.committed": ("rename a user", "none"),
    "mark.before": ("deactivate", "none"),
    "mark.committed": ("deactivate", "none"),
    "compensate.before": ("add a member", "unreachable"),
    "compensate.committed": ("add a member", "unreachable"),
    "retry.before": ("rename a user", "unreachable"),
    "retry.after": ("rename a user", "unreachable"),
}
"""For each failpoint a request, and a fault, of which a process is really killed there."""

Rights = AbstractSet[tuple[str, str]]


def open_world(folder: Path, failpoints: Failpoints | None = None, fault: str = "none") -> World:
    target = ListTarget(path=folder / "target.json")
    for call in CALLS if fault != "none" else ():
        if fault == "unreachable":
            target.fault(call, "middle", Unreachable("It is cut."))
        else:
            target.fault(call, "before", InvalidValue("It is not taken."))
    return World(folder, target, times=TIMES, failpoints=failpoints or Failpoints())


def prepare(folder: Path) -> Scene:
    world = open_world(folder)
    users = {name: world.core.user(name, active=name != "zoe") for name in ("bob", "eve", "zoe")}
    users["staff"] = world.core.group("staff", users["bob"], users["zoe"])
    users["outer"] = world.core.group("outer")
    world.close()
    return Scene({name: resource["id"] for name, resource in users.items()})


def left_behind(folder: Path, fault: str, request: Request, copies: Path) -> dict[str, Path]:
    """What a process leaves when it is killed at the failpoints that it comes by: copies of its folder, by failpoint.

    The failpoints are those of the request, and those of the retry where a retry comes after it.
    """
    found: dict[str, Path] = {}
    failpoints = Failpoints()
    retrying = False

    def pass_by(name: str) -> None:
        if name not in found and is_of_the_retry(name) >= retrying:
            found[name] = shutil.copytree(folder, copies / name)

    for name in NAMES:
        failpoints.set(name, functools.partial(pass_by, name))
    world = open_world(folder, failpoints, fault)
    world.core.send(*request)
    retrying = True
    world.backend.settle_pending()
    world.close()
    return found


def is_of_the_retry(failpoint: str) -> bool:
    return failpoint.startswith("retry")


def die(folder: Path, failpoint: str, fault: str, request: Request) -> None:
    """A process with the request is killed at the failpoint."""
    world = open_world(folder, Failpoints(f"{failpoint}:kill"), fault)
    world.core.send(*request)
    if is_of_the_retry(failpoint):
        world.backend.settle_pending()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scene]:
    """Where directory and target are as they are before each request."""
    folder = tmp_path_factory.mktemp("prepared")
    return folder, prepare(folder)


@pytest.fixture(scope="module")
def asked_for(prepared: tuple[Path, Scene], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Rights]:
    """Who may do what after a request when nothing goes wrong; found out once."""
    before, scene = prepared

    @functools.cache
    def rights(what: str) -> Rights:
        folder = shutil.copytree(before, tmp_path_factory.mktemp("undisturbed") / "here")
        return frozenset(rights_after(folder, REQUESTS[what](scene)))

    return rights


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("what", REQUESTS)
def test_whatever_step_a_process_dies_at_directory_and_target_agree_again(prepared, asked_for, tmp_path, what, fault):
    before, scene = prepared
    request = REQUESTS[what](scene)
    left = left_behind(shutil.copytree(before, tmp_path / "dying"), fault, request, tmp_path)
    assert left.keys() >= {"record.before", "record.committed", "mark.before", "mark.committed"}
    assert len(left) >= 6, "failpoints lie on the way"
    checked: set[object] = set()
    for failpoint, there in left.items():
        given = fault == "none" and failpoint in GIVEN
        # Where something fails besides, one of the two ways to agreement is enough for each step.
        for again in (False, True) if fault == "none" else (NAMES.index(failpoint) % 2 == 0,):
            # Between some steps nothing is written: whoever comes then finds the same to the byte, and does the same.
            found = contents(there), again, given
            if found in checked:
                continue
            checked.add(found)
            folder = shutil.copytree(there, tmp_path / f"{failpoint} {again}")
            check(folder, before, request, again=again, given=given, asked=asked_for(what), scene=scene)
    assert len(checked) >= 4, "at most steps something was written"


@pytest.mark.parametrize("failpoint", NAMES)
def test_a_process_that_is_killed_leaves_what_lay_in_its_files(prepared, asked_for, tmp_path, failpoint):
    before, scene = prepared
    what, fault = KILLED[failpoint]
    request = REQUESTS[what](scene)
    expected = left_behind(shutil.copytree(before, tmp_path / "dying"), fault, request, tmp_path)[failpoint]
    left = shutil.copytree(before, tmp_path / "killed")
    killed(functools.partial(die, left, failpoint, fault, request))
    assert {each.name for each in left.iterdir()} == {each.name for each in expected.iterdir()}
    assert there_is(left, scene) == there_is(expected, scene)
    for again in (False, True):
        folder = shutil.copytree(left, tmp_path / f"{again}")
        given = fault == "none" and failpoint in GIVEN
        check(folder, before, request, again=again, given=given, asked=asked_for(what), scene=scene)


def contents(folder: Path) -> frozenset[tuple[str, bytes]]:
    """All files but what SQLite's processes share while they live, which the next one makes anew."""
    return frozenset((file.name, file.read_bytes()) for file in folder.iterdir() if not file.name.endswith("-shm"))


def there_is(folder: Path, scene: Scene) -> tuple[Rights, Rights, int]:
    """What somebody finds who comes after a process that died: rights by target and directory, and what is pending."""
    world = open_world(shutil.copytree(folder, folder.with_name(f"{folder.name} seen")))
    found = alike(world.target.rights(), scene), alike(world.wanted(), scene), len(world.backend.pending())
    world.close()
    return found


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
    world.die_of_age()
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
