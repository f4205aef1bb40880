"""Both systems at once, one of them failing alone: each request, from each step on that changes something there.

Right after the answer the healthy system shows that no grant of a failed request is given, and that what takes rights
away is done there. When the other is back, directory, organization and Engine agree, and nothing revoked is open.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True)
class Prepared:
    """What a gateway has done for the people of a scene: its directory, the organization, what it sent to the Engine.

    :param moment: when that was, by the clock of the API.
    """

    folder: Path
    paths: Paths
    organization: bytes
    moment: datetime
    statements: tuple[str, ...]


@contextmanager
def pair_in(folder: Path, portal: PortalDouble) -> Iterator[Both]:
    """A gateway with its directory in this folder, an organization, and an Engine without anybody in it."""
    engine = SingleStoreDouble("8.5")
    add_service_account(engine)
    with engine.running() as address:
        environ = {**environ_of(address.port), "DATA_DIR": str(folder)}
        settings = load({f"SCIM_GATEWAY_{name}": value for name, value in environ.items()})
        target = EngineTarget(EngineSettings.of(settings, standard_resource_types()))
        world = PortalWorld(portal, folder, kind=EngineAndPortalBackend, others=[target])
        yield Both(world, engine)
        world.close()
        assert portal.violations == []
        assert engine.unknown == []


def prepare(folder: Path, portal: PortalDouble) -> Prepared:
    with pair_in(folder, portal) as pair:
        world = pair.portal
        made = {name: world.person(f"{name}@example.com") for name in ("ada", "bob", "eve", "zoe")}
        for email in (ADA, BOB, EVE, ZOE):
            portal.organization.accept(email)
        world.look()
        made["staff"] = world.core.group("staff", made["ada"], made["bob"], made["zoe"])
        world.core.patch(made["zoe"], {"op": "replace", "value": {"active": False}})
        pair.check_equal()
        statements = tuple(
            entry.sql for entry in pair.engine.log if is_of_gateway(entry) and entry.is_account_statement
        )
    paths = {name: path_of(one) for name, one in made.items()}
    return Prepared(folder, paths, portal.organization.copied(), portal.organization.now(), statements)


class Stage:
    """Where each request begins; prepared once, and then gone on from by one gateway after the other."""

    def __init__(self, portal: PortalDouble, folder: Path) -> None:
        self._portal = portal
        self._prepared = prepare(folder, portal)
        self._steps: dict[str, dict[str, list[int]]] = {}

    @contextmanager
    def scene_in(self, folder: Path) -> Iterator[Scene]:
        prepared, organization = self._prepared, self._portal.organization
        self._portal.faults.clear()
        organization.become(prepared.organization)
        organization.clock_ahead += prepared.moment - organization.now()
        shutil.copytree(prepared.folder, folder)
        with pair_in(folder, self._portal) as pair:
            pair.engine.execute(*prepared.statements)
            # Both of them are connected then, as after a request that has just been answered.
            assert pair.portal.backend.plan().to_do == []
            self._portal.forget_calls()
            yield Scene(pair, prepared.paths)

    def steps(self, name: str, folder: Path) -> dict[str, list[int]]:
        """By system the numbers of the steps that change something there when nothing goes wrong."""
        if name not in self._steps:
            with self.scene_in(folder) as scene:
                log = scene.pair.engine.log
                before = len([entry for entry in log if is_effect(entry)])
                assert scene.send(OPERATIONS[name]) < 300
                effects = len([entry for entry in log if is_effect(entry)]) - before
                calls = [number for number, call in enumerate(self._portal.calls) if call.method != "GET"]
            self._steps[name] = {"engine": list(range(effects)), "portal": calls}
        return self._steps[name]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with PortalDouble() as portal:
        yield Stage(portal, tmp_path_factory.mktemp("prepared"))


def is_of_gateway(entry: Entry) -> bool:
    return entry.account.name == ACCOUNT


def is_effect(entry: Entry) -> bool:
    """A statement of the gateway that changes something in the Engine."""
    return is_of_gateway(entry) and (entry.is_account_statement or entry.sql.startswith("KILL"))


def engine_fails(scene: Scene, step: int, *, after: bool) -> None:
    """Nothing arrives from this effect on; or it has happened and is not answered, and nothing arrives any more."""
    engine, seen = scene.pair.engine, 0

    def from_here(entry: Entry) -> bool:
        nonlocal seen
        seen += is_effect(entry)
        return is_of_gateway(entry) and seen > step

    if after:
        first = engine.cut_after(is_effect, skip=step)
        engine.cut_before(lambda entry: bool(first.hits) and is_of_gateway(entry), times=None)
    else:
        engine.cut_before(from_here, times=None)


def portal_fails(scene: Scene, step: int, *, after: bool) -> None:
    """Nothing arrives from this call on; or it has happened, and is not answered."""
    double = scene.pair.portal.double
    if after:
        double.fail("lost", skip=step)
    double.fail("cut", skip=step, times=FOR_GOOD)


FAILING = {"engine": engine_fails, "portal": portal_fails}


@pytest.fixture(scope="module")
def rows() -> Iterator[list[str]]:
    """The rows that were played; their number is printed at the end (``pytest -s``)."""
    played: list[str] = []
    yield played
    print(f"\nfault table of the pair: {len(played)} rows")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("failing", FAILING)
@pytest.mark.parametrize("name", OPERATIONS)
def test_one_of_the_two_fails_alone(
    stage: Stage, tmp_path: Path, rows: list[str], name: str, failing: str, after: bool
) -> None:
    steps = stage.steps(name, tmp_path / "rehearsal")[failing]
    assert steps
    for step in steps:
        with stage.scene_in(tmp_path / str(step)) as scene:
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
