"""Both systems at once, one of them failing alone: each request, from each step on that changes something there.

Right after the answer the healthy system shows that no grant of a failed request is given, and that what takes rights
away is done there. When the other is back, directory, organization and Engine agree, and nothing revoked is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from core_client import GROUP, PATCH_OP, path_of
from doubles.portal.server import PortalDouble
from doubles.singlestore.api import Entry, SingleStoreDouble
from doubles.singlestore.serving import ACCOUNT, add_service_account, environ_of
from pair_world import Both
from portal_world import PortalWorld, new_user
from scim_gateway_singlestore import EngineAndPortalBackend
from scim_gateway_singlestore_engine.settings import EngineSettings
from scim_gateway_singlestore_engine.target import EngineTarget

from scim_gateway.config import load
from scim_gateway.definitions import standard_resource_types

pytestmark = pytest.mark.usefixtures("quick")

ADA, BOB, EVE, ZOE, KIM = (f"{name}@example.com" for name in ("ada", "bob", "eve", "zoe", "kim"))
FOR_GOOD = 10**6
Paths = dict[str, str]
Rights = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Operation:
    """A request, and what it changes of the rights in each system.

    :param gives: rights that are there afterwards; a failure takes them back, whichever system fails.
    :param takes: rights that are gone afterwards; a failure does not bring them back.
    """

    request: Callable[[Paths], tuple[str, str, Any]]
    gives: dict[str, Rights]
    takes: dict[str, Rights]


def both(*rights: tuple[str, str]) -> dict[str, Rights]:
    return apart(rights, rights)


def apart(engine: Any = (), portal: Any = ()) -> dict[str, Rights]:
    return {"engine": frozenset(engine), "portal": frozenset(portal)}


def patch(name: str, *operations: Callable[[Paths], dict[str, Any]]) -> Callable[[Paths], tuple[str, str, Any]]:
    def request(paths: Paths) -> tuple[str, str, Any]:
        return "PATCH", paths[name], {"schemas": [PATCH_OP], "Operations": [make(paths) for make in operations]}

    return request


def replace(**values: Any) -> Callable[[Paths], dict[str, Any]]:
    return lambda paths: {"op": "replace", "value": values}


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def members(op: str, *names: str) -> Callable[[Paths], dict[str, Any]]:
    return lambda paths: {"op": op, "path": "members", "value": [{"value": id_of(paths[name])} for name in names]}


def without(name: str) -> Callable[[Paths], dict[str, Any]]:
    return lambda paths: {"op": "remove", "path": f'members[value eq "{id_of(paths[name])}"]'}


OPERATIONS = {
    "create a user": Operation(
        lambda paths: ("POST", "/Users", new_user(KIM)), apart([(KIM, "log in")], [(KIM, "invited")]), both()
    ),
    "deactivate": Operation(
        patch("ada", replace(active=False)),
        both(),
        apart([(ADA, "log in"), (ADA, "staff")], [(ADA, "member"), (ADA, "staff")]),
    ),
    "activate": Operation(
        patch("zoe", replace(active=True)),
        apart([(ZOE, "log in"), (ZOE, "staff")], [(ZOE, "invited")]),
        both(),
    ),
    "create a group": Operation(
        lambda paths: (
            "POST",
            "/Groups",
            {"schemas": [GROUP], "displayName": "new", "members": [{"value": id_of(paths["bob"])}]},
        ),
        both((BOB, "new")),
        both(),
    ),
    "rename a group": Operation(
        patch("staff", replace(displayName="crew")),
        both((ADA, "crew"), (BOB, "crew")),
        both((ADA, "staff"), (BOB, "staff")),
    ),
    "add a member": Operation(patch("staff", members("add", "eve")), both((EVE, "staff")), both()),
    "remove a member": Operation(patch("staff", without("ada")), both(), both((ADA, "staff"))),
    "replace members": Operation(
        patch("staff", members("replace", "eve")), both((EVE, "staff")), both((ADA, "staff"), (BOB, "staff"))
    ),
    "delete a user": Operation(
        lambda paths: ("DELETE", paths["ada"], None),
        both(),
        apart([(ADA, "log in"), (ADA, "staff")], [(ADA, "member"), (ADA, "staff")]),
    ),
    "delete a group": Operation(
        lambda paths: ("DELETE", paths["staff"], None), both(), both((ADA, "staff"), (BOB, "staff"))
    ),
}
RENAMES = {"rename a group"}
"""What takes a name and gives another: a failure leaves the old one, the rights are the same."""


@dataclass
class Scene:
    """Ada and Bob are in staff, Zoe too but inactive; Eve is in no group."""

    pair: Both
    paths: Paths

    def send(self, operation: Operation) -> int:
        method, path, body = operation.request(self.paths)
        status: int = self.pair.core.send(method, path, body).status
        return status

    def rights(self) -> dict[str, set[tuple[str, str]]]:
        return {target: self.pair.rights(target) for target in ("engine", "portal")}


@contextmanager
def scene_in(folder: Path) -> Iterator[Scene]:
    folder.mkdir()
    engine = SingleStoreDouble("8.5")
    add_service_account(engine)
    with PortalDouble() as portal, engine.running() as address:
        environ = {**environ_of(address.port), "DATA_DIR": str(folder)}
        settings = load({f"SCIM_GATEWAY_{name}": value for name, value in environ.items()})
        target = EngineTarget(EngineSettings.of(settings, standard_resource_types()))
        world = PortalWorld(portal, folder, kind=EngineAndPortalBackend, others=[target])
        pair = Both(world, engine)
        made = {name: world.person(f"{name}@example.com") for name in ("ada", "bob", "eve", "zoe")}
        for email in (ADA, BOB, EVE, ZOE):
            portal.organization.accept(email)
        world.look()
        made["staff"] = world.core.group("staff", made["ada"], made["bob"], made["zoe"])
        world.core.patch(made["zoe"], {"op": "replace", "value": {"active": False}})
        portal.forget_calls()
        yield Scene(pair, {name: path_of(one) for name, one in made.items()})
        world.close()
        assert portal.violations == []
        assert engine.unknown == []


def is_effect(entry: Entry) -> bool:
    """A statement of the gateway that changes something in the Engine."""
    return entry.account.name == ACCOUNT and (entry.is_account_statement or entry.sql.startswith("KILL"))


def engine_fails(scene: Scene, step: int, *, after: bool) -> None:
    """Nothing arrives from this effect on; or it has happened and is not answered, and nothing arrives any more."""
    engine, seen = scene.pair.engine, 0

    def from_here(entry: Entry) -> bool:
        nonlocal seen
        seen += is_effect(entry)
        return entry.account.name == ACCOUNT and seen > step

    if after:
        first = engine.cut_after(is_effect, skip=step)
        engine.cut_before(lambda entry: bool(first.hits) and entry.account.name == ACCOUNT, times=None)
    else:
        engine.cut_before(from_here, times=None)


def portal_fails(scene: Scene, step: int, *, after: bool) -> None:
    """Nothing arrives from this call on; or it has happened, and is not answered."""
    double = scene.pair.portal.double
    if after:
        double.fail("lost", skip=step)
    double.fail("cut", skip=step, times=FOR_GOOD)


FAILING = {"engine": engine_fails, "portal": portal_fails}


def steps(folder: Path, operation: Operation, failing: str) -> list[int]:
    """The numbers of the steps that change something in a system when nothing goes wrong."""
    with scene_in(folder) as scene:
        before = len([entry for entry in scene.pair.engine.log if is_effect(entry)])
        assert scene.send(operation) < 300
        if failing == "engine":
            return list(range(len([entry for entry in scene.pair.engine.log if is_effect(entry)]) - before))
        return [number for number, call in enumerate(scene.pair.portal.double.calls) if call.method != "GET"]


@pytest.fixture(scope="module")
def rows() -> Iterator[list[str]]:
    """The rows that were played; their number is printed at the end (``pytest -s``)."""
    played: list[str] = []
    yield played
    print(f"\nfault table of the pair: {len(played)} rows")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("failing", FAILING)
@pytest.mark.parametrize("name", OPERATIONS)
def test_one_of_the_two_fails_alone(tmp_path: Path, rows: list[str], name: str, failing: str, after: bool) -> None:
    operation = OPERATIONS[name]
    found = steps(tmp_path / "rehearsal", operation, failing)
    assert found
    for step in found:
        with scene_in(tmp_path / str(step)) as scene:
            play(scene, name, failing, step, after=after)
        rows.append(f"{name}, {failing}, {step}, {after}")


def play(scene: Scene, name: str, failing: str, step: int, *, after: bool) -> None:
    operation, pair = OPERATIONS[name], scene.pair
    healthy = "portal" if failing == "engine" else "engine"
    before = scene.rights()
    FAILING[failing](scene, step, after=after)
    assert scene.send(operation) == 503
    at_once = pair.rights(healthy)
    keeps = {target: before[target] - operation.takes[target] for target in before}
    if name in RENAMES:
        keeps = before
    assert at_once == keeps[healthy], "given by a failed request, or not taken at once"
    assert {one.target for one in pair.portal.backend.pending()} <= {failing}
    pair.engine.faults_clear()
    pair.portal.double.faults.clear()
    pair.mend_both()
    pair.check_equal()
    assert scene.rights() == keeps
    again = scene.send(operation)
    assert again < 300 or (again == 404 and operation.request(scene.paths)[0] == "DELETE")
    pair.portal.look()
    pair.check_equal()
    assert scene.rights() == {
        target: before[target] - operation.takes[target] | operation.gives[target] for target in before
    }
