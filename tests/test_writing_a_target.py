"""docs/writing-a-target.rst is true: its listing follows a directory, survives cuts, is served, goes with others."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from core_client import GROUP, USER, Core
from doubles.listed_target import ListTarget
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.context import Times
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_sql import SqlBackend
from scim_http import TOKEN, ScimClient

from scim_gateway.app import create_app
from scim_gateway.definitions import standard_resource_types
from scim_gateway.schema import ResourceTypes
from scim_gateway.testing import BackendTests

GUIDE = Path(__file__).parent.parent / "docs" / "writing-a-target.rst"
QUICK = Times(retry=0.05, first_pause=0.001, pause=0.01, poll=0.005, backoff=0.001, backoff_limit=0.01)


def listing() -> str:
    match = re.search(r"\.\. code:: python\n\n((?:    .*\n|\n)+)", GUIDE.read_text("utf-8"))
    assert match
    return textwrap.dedent(match[1]).strip() + "\n"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The listing as a module."""
    folder = tmp_path_factory.mktemp("listing")
    (folder / "roster.py").write_text(listing())
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("roster")
    del sys.modules["roster"]


class World:
    """A gateway with the target of the guide, perhaps beside others."""

    def __init__(self, module: ModuleType, folder: Path, *others: Any, types: ResourceTypes | None = None) -> None:
        self.path = folder / "roster.json"
        self.module = module
        directory = SqlBackend.from_settings(
            {"data_dir": str(folder)}, types or standard_resource_types(), migrations=(PROVISIONING,)
        )
        safeguards = Safeguards(directory.database, directory.tenant, (), Limits(0))
        targets = [module.RosterTarget(self.path), *others]
        self.backend = module.RosterBackend(directory, targets, times=QUICK, safeguards=safeguards)
        self.core = Core(self.backend)

    @property
    def roster(self) -> dict[str, Any]:
        roster: dict[str, Any] = json.loads(self.path.read_text())
        return roster

    @property
    def accounts(self) -> dict[str, bool]:
        return {name: entry["active"] for name, entry in self.roster["User"].items()}

    @property
    def teams(self) -> dict[str, list[str]]:
        return {name: entry.get("members", []) for name, entry in self.roster["Group"].items()}

    def write(self, roster: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(roster))


@pytest.fixture
def world(module: ModuleType, tmp_path: Path) -> Iterator[World]:
    world = World(module, tmp_path)
    yield world
    world.backend.close()


def active(value: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": value}


def test_it_is_short():
    lines = [line for line in listing().splitlines() if line.strip()]
    assert len(lines) < 100


def test_it_follows_what_the_identity_provider_asks_for(world):
    ada, bob = world.core.user("ada"), world.core.user("bob")
    group = world.core.group("Staff", ada, bob)
    assert world.teams == {"Staff": ["ada", "bob"]}
    world.core.patch(ada, {"op": "replace", "path": "userName", "value": "lovelace"})
    world.core.patch(group, {"op": "replace", "path": "displayName", "value": "People"})
    assert world.teams == {"People": ["lovelace", "bob"]}
    world.core.patch(ada, active(False))
    assert world.accounts == {"lovelace": False, "bob": True}
    assert world.teams == {"People": ["bob"]}
    world.core.patch(ada, active(True))
    assert world.teams == {"People": ["bob", "lovelace"]}
    world.core.json("DELETE", f"/Users/{bob['id']}", expect=204)
    assert world.teams == {"People": ["lovelace"]}
    assert world.backend.plan().to_do == []


def test_nested_groups_are_flattened(world):
    inner = world.core.group("Inner", world.core.user("ada"))
    world.core.group("Outer", world.core.user("bob"), inner)
    assert world.teams == {"Inner": ["ada"], "Outer": ["ada", "bob"]}


def test_it_touches_nothing_that_is_not_its_own(world):
    world.write({"User": {"eve": {"active": True}}, "Group": {"ops": {"members": ["eve"]}}})
    before = world.roster
    world.core.json("POST", "/Users", {"schemas": [USER], "userName": "eve"}, expect=409)
    world.core.json("POST", "/Groups", {"schemas": [GROUP], "displayName": "ops"}, expect=409)
    world.core.json("POST", "/Users", {"schemas": [USER], "userName": "Root"}, expect=403)
    assert world.roster == before
    world.backend.adopt("roster", "User", ["eve"])
    eve = world.core.user("eve")
    assert world.roster["User"]["eve"]["scim"] == eve["id"]


def test_what_was_done_by_hand_is_found_and_mended(world):
    ada, bob = world.core.user("ada"), world.core.user("bob")
    world.core.group("Staff", ada)
    roster = world.roster
    roster["User"]["ada"]["active"] = False
    roster["Group"]["Staff"]["members"] = ["bob"]
    roster["User"]["eve"] = {"active": True}
    world.write(roster)
    plan = world.backend.plan()
    assert sorted((step.action, step.kind) for step in plan.to_do) == [
        ("add", "Membership"),
        ("change", "User"),
        ("remove", "Membership"),
    ]
    world.backend.apply(plan.hash)
    assert world.accounts == {"ada": True, "bob": True, "eve": True}
    assert world.teams == {"Staff": ["ada"]}
    assert bob["id"]
    assert world.backend.plan().to_do == []


def test_a_disk_that_fails_takes_grants_back_and_keeps_revocations(world, monkeypatch):
    ada = world.core.user("ada")
    before = world.roster

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(world.module.os, "replace", full)
        error = world.core.json("POST", "/Users", {"schemas": [USER], "userName": "bob"}, expect=503)
        assert "roster" in error["detail"]
        world.core.patch(ada, active(False), expect=503)
    assert world.roster == before
    world.backend.settle_pending()
    assert world.accounts == {"ada": False}
    assert world.core.json("GET", "/Users")["totalResults"] == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_cut_before_or_after_the_effect_is_no_difference_in_the_end(world, monkeypatch, moment):
    replace, cuts = os.replace, iter([True])

    def cut(source: str, goal: Path) -> None:
        if moment == "after":
            replace(source, goal)
        if next(cuts, False):
            raise OSError(5, "Input/output error")
        if moment == "before":
            replace(source, goal)

    monkeypatch.setattr(world.module.os, "replace", cut)
    ada = world.core.user("ada")
    world.core.group("Staff", ada)
    assert world.accounts == {"ada": True}
    assert world.teams == {"Staff": ["ada"]}


def test_beside_another_target_each_has_what_it_can_and_grants_are_given_in_both_or_neither(module, tmp_path):
    other = ListTarget()
    world = World(module, tmp_path, other)
    ada = world.core.user("ada")
    other.down()
    world.core.json("POST", "/Users", {"schemas": [USER], "userName": "bob"}, expect=503)
    world.core.patch(ada, active(False), expect=503)
    assert world.accounts == {"ada": False}
    other.up()
    world.backend.settle_pending()
    assert {name: account.active for name, account in other.listing.users.items()} == {"ada": False}
    world.backend.close()


def test_it_is_served_by_module_and_class(module, tmp_path):
    text = GUIDE.read_text("utf-8")
    (named,) = re.findall(r"SCIM_GATEWAY_BACKEND=(\S+:\S+)", text)
    (options,) = re.findall(r"SCIM_GATEWAY_BACKEND_OPTIONS='(.*)'", text)
    path = tmp_path / "app.json"
    environ = {
        "SCIM_GATEWAY_BACKEND": named,
        "SCIM_GATEWAY_BACKEND_OPTIONS": options.replace("/var/lib/app/roster.json", str(path)),
        "SCIM_GATEWAY_DATA_DIR": str(tmp_path / "data"),
        "SCIM_GATEWAY_TOKEN": TOKEN,
    }
    app = create_app(environ)
    scim = ScimClient(app, token=TOKEN)
    scim.user("ada@example.com")
    assert list(json.loads(path.read_text())["User"]) == ["ada@example.com"]
    app.extensions["scim-gateway"].backend.close()


class TestRoster(BackendTests):
    @pytest.fixture
    def opened(self, module: ModuleType, tmp_path: Path) -> Iterator[Callable[[], Any]]:
        def open_one() -> Any:
            backend = World(module, tmp_path, types=self.resource_types).backend
            # The suite has names without a printable character, which this target refuses.
            backend.context.targets["roster"].name_of = lambda kind, resource: str(
                resource["displayName" if kind == "Group" else "userName"]
            )
            return backend

        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(open_one()))

    @pytest.fixture
    def backend(self, opened: Callable[[], Any]) -> Any:
        return opened()

    @pytest.fixture
    def another(self, opened: Callable[[], Any]) -> Any:
        return opened()

    @pytest.fixture
    def make_unreachable(self, backend: Any, tmp_path: Path) -> Any:
        def make() -> None:
            backend.directory.close()
            for file in tmp_path.glob("scim-gateway.db*"):
                file.unlink()
            (tmp_path / "scim-gateway.db").mkdir()

        return make
