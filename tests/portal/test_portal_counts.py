"""What each SCIM operation costs at the Portal: every call of the Management API that is made for it, counted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import scim_gateway_singlestore_portal.owners
import scim_gateway_singlestore_portal.sight
from core_client import GROUP, PATCH_OP
from doubles.portal.server import PortalDouble
from portal_world import PortalWorld, new_user
from scim_gateway_singlestore_portal import PortalTarget

Ids = dict[str, str]
Request = tuple[str, str, Any]
Make = Callable[[Ids], Request]


def address(name: str) -> str:
    return f"{name}@example.com"


def person(method: str, name: str, as_name: str | None = None, **attributes: Any) -> Make:
    """A whole user, sent under a name or a new one."""
    body = {**new_user(address(as_name or name)), **attributes}
    return lambda ids: (method, "/Users" if method == "POST" else f"/Users/{ids[name]}", body)


def team(name: str, *members: str) -> Make:
    def request(ids: Ids) -> Request:
        return "POST", "/Groups", whole(name, *(ids[one] for one in members))

    return request


def whole(name: str, *ids: str) -> dict[str, Any]:
    return {"schemas": [GROUP], "displayName": name, "members": [{"value": id} for id in ids]}


def patch(path: str, name: str, *operations: dict[str, Any]) -> Make:
    return lambda ids: ("PATCH", f"{path}/{ids[name]}", {"schemas": [PATCH_OP], "Operations": list(operations)})


def members(group: str, *, add: str | None = None, remove: str | None = None) -> Make:
    def request(ids: Ids) -> Request:
        operations: list[dict[str, Any]] = []
        if add is not None:
            operations.append({"op": "add", "path": "members", "value": [{"value": ids[add]}]})
        if remove is not None:
            operations.append({"op": "remove", "path": f'members[value eq "{ids[remove]}"]'})
        return patch("/Groups", group, *operations)(ids)

    return request


def plain(method: str, path: str, name: str | None = None) -> Make:
    return lambda ids: (method, path if name is None else f"{path}/{ids[name]}", None)


def replacing(**values: Any) -> dict[str, Any]:
    return {"op": "replace", "value": values}


@dataclass(frozen=True)
class Row:
    """An operation and its price.

    :param reads: calls of the method GET.
    :param calls: those that change something, in their order.
    """

    request: Make
    reads: int
    calls: tuple[str, ...] = ()


# A membership is one call after one read, however many come and go at once. What is read, and why none of it can go:
#
# * a team that is touched gives no rights over the organization (its roles; which team is inside which is read once a
#   minute, and not again in here);
# * who is removed is no owner (the member, their roles, the predefined teams);
# * nobody is invited who is a member or invited already, and no team is made that is there;
# * what was taken away is not shown any more: invitations first, so that nobody joins behind our back.
TABLE = {
    "GET a user": Row(plain("GET", "/Users", "ada"), 0),
    "GET a group": Row(plain("GET", "/Groups", "eng"), 0),
    "list users": Row(plain("GET", "/Users"), 0),
    "list groups": Row(plain("GET", "/Groups"), 0),
    "create a user": Row(person("POST", "kim"), 2, ("POST invitations",)),
    "create an inactive user": Row(person("POST", "kim", active=False), 0),
    "PUT a user without a change": Row(person("PUT", "ada"), 0),
    "PUT a user with a new title": Row(person("PUT", "ada", title="Countess"), 0),
    "PUT a user with a new userName": Row(person("PUT", "ada", userName="lovelace"), 0),
    "PATCH a title": Row(patch("/Users", "ada", replacing(title="Countess")), 0),
    "PUT a user with a new address": Row(person("PUT", "ada", "lovelace"), 7, ("POST invitations",)),
    "PATCH active false, in no group": Row(patch("/Users", "eve", replacing(active=False)), 7, ("DELETE users",)),
    "PATCH active false, in three groups": Row(patch("/Users", "ada", replacing(active=False)), 7, ("DELETE users",)),
    "PATCH active true, in no group": Row(patch("/Users", "zoe", replacing(active=True)), 2, ("POST invitations",)),
    "create a group": Row(team("new"), 1, ("POST teams",)),
    "create a group of two": Row(team("new", "ada", "eve"), 2, ("POST teams", "PATCH teams")),
    "a member in": Row(members("eng", add="eve"), 1, ("PATCH teams",)),
    "a member out": Row(members("eng", remove="ada"), 1, ("PATCH teams",)),
    "a member in and one out": Row(members("eng", add="eve", remove="ada"), 1, ("PATCH teams",)),
    "a member in who is in": Row(members("eng", add="ada"), 0),
    "PUT a group of 100 with one other member": Row(
        lambda ids: ("PUT", f"/Groups/{ids['crowd']}", whole("crowd", *(ids[f"p{n}"] for n in range(1, 101)))),
        1,
        ("PATCH teams",),
    ),
    "a group gets a new name": Row(patch("/Groups", "eng", replacing(displayName="trade")), 3, ("PATCH teams",)),
    "a member into a nested group": Row(members("inner", add="eve"), 1, ("PATCH teams",)),
    "a nested group into another": Row(members("eng", add="inner"), 1, ("PATCH teams",)),
    "a nested group out of another": Row(members("outer", remove="inner"), 1, ("PATCH teams",)),
    "DELETE a user in no group": Row(plain("DELETE", "/Users", "eve"), 7, ("DELETE users",)),
    "DELETE a user in three groups": Row(plain("DELETE", "/Users", "ada"), 7, ("DELETE users",)),
    "DELETE a group": Row(plain("DELETE", "/Groups", "eng"), 3, ("DELETE teams",)),
}


@dataclass
class Scene:
    world: PortalWorld
    ids: Ids

    def cost(self, make: Make) -> tuple[int, tuple[str, ...]]:
        """Reads and other calls of a request that succeeds."""
        method, path, body = make(self.ids)
        self.world.double.forget_calls()
        answer = self.world.core.send(method, path, body)
        calls = [(call.method, call.path.split("/")[2]) for call in self.world.double.calls]
        assert answer.status in (200, 201, 204), answer
        changing = tuple(f"{how} {what}" for how, what in calls if how != "GET")
        return len(calls) - len(changing), changing

    def people(self, *names: str) -> None:
        """People who have accepted their invitation and were looked at once more."""
        for name in names:
            self.ids[name] = self.world.person(address(name))["id"]
            self.world.double.organization.accept(address(name))
        self.world.look()

    def group(self, name: str, *members: str) -> None:
        group = self.world.core.group(name, *({"id": self.ids[one]} for one in members))
        self.ids[name] = group["id"]


@dataclass(frozen=True)
class Prepared:
    """A scene as it was left: the directory, the organization with its time, and what the process has learned."""

    folder: Path
    ids: Ids
    double: PortalDouble
    organization: bytes
    moment: datetime
    target: PortalTarget


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """Ada and Bob in eng, ops and sales; Eve in none; Zoe inactive."""
    with pytest.MonkeyPatch.context() as patch, PortalDouble() as double:
        # What is remembered for a while is remembered for all operations.
        patch.setattr(scim_gateway_singlestore_portal.sight, "NESTING_SECONDS", 1e9)
        patch.setattr(scim_gateway_singlestore_portal.owners, "REMEMBERED_SECONDS", 1e9)
        folder = tmp_path_factory.mktemp("prepared")
        world = PortalWorld(double, folder)
        scene = Scene(world, {})
        # How the API's filters answer is learned once by a process.
        scene.people("ada", "bob", "eve", "zoe", "kay")
        for name in ("eng", "ops", "sales"):
            scene.group(name, "ada", "bob")
        world.core.patch(
            {"meta": {"location": f"/Users/{scene.ids['zoe']}"}}, {"op": "replace", "value": {"active": False}}
        )
        world.close()
        organization = double.organization
        yield Prepared(folder, scene.ids, double, organization.copied(), organization.now(), world.target)
    assert double.violations == []


@pytest.fixture
def scene(prepared: Prepared, tmp_path: Path) -> Iterator[Scene]:
    """The same process goes on from where it was."""
    organization = prepared.double.organization
    organization.become(prepared.organization)
    organization.clock_ahead += prepared.moment - organization.now()
    folder = shutil.copytree(prepared.folder, tmp_path / "directory")
    world = PortalWorld(prepared.double, folder, target=prepared.target)
    assert world.backend.plan().to_do == []  # it knows the time of the API then
    yield Scene(world, dict(prepared.ids))
    world.close()


@pytest.mark.parametrize("operation", TABLE)
def test_an_operation_costs_these_calls_and_no_others(scene: Scene, operation: str) -> None:
    if "100" in operation:
        names = [f"p{number}" for number in range(101)]
        scene.people(*names)
        scene.group("crowd", *names[:100])
    if "nested" in operation:
        scene.group("inner", "kay")
        scene.group("outer", "inner")
    row = TABLE[operation]
    assert scene.cost(row.request) == (row.reads, row.calls)


def test_many_members_come_in_one_call(scene: Scene) -> None:
    names = [f"p{number}" for number in range(30)]
    scene.people(*names)
    assert scene.cost(team("crowd", *names)) == (2, ("POST teams", "PATCH teams"))
