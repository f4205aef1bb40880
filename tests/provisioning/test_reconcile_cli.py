"""An administrator's day with the command line, on a real directory and a real target."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from core_client import Core
from listed_backend import ListedBackend, target_in
from reconciled import foreign

from scim_gateway import config
from scim_gateway.cli import main

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def unlogged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command logs nothing to standard output; an application that another test made in this process may."""
    monkeypatch.setattr(logging.getLogger("scim_gateway"), "handlers", [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def environ(folder: Path) -> dict[str, str]:
    return {"SCIM_GATEWAY_DATA_DIR": str(folder), "SCIM_GATEWAY_BACKEND": "listed_backend:ListedBackend"}


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, arguments, obj=environ)
        assert result.exit_code == code, f"{result.output}\n{result.stderr}\n{result.exception!r}"
        return result

    return run


@pytest.fixture
def core(environ: dict[str, str]) -> Core:
    settings = config.load(environ)
    return Core(ListedBackend.from_settings(settings, settings.resource_types))


def test_drift_is_planned_refused_when_it_moved_applied_and_gone(run, core, folder):
    ann, bob = core.user("ann"), core.user("bob")
    core.group("staff", ann, bob)
    assert run("plan").stdout == "nothing to do\n"
    with target_in(folder).store.open() as listing:
        listing.users["ann"].active = False
        listing.groups["staff"].members.remove("bob")
        foreign(listing, "dba")
    output = run("plan", code=2).stdout
    assert "~ list: change user ann (inactive in the target, active in the directory, changed by hand)" in output
    assert "+ list: add member bob of staff (missing, taken away by hand)" in output
    assert "1 to change, 1 to add; 1 unmanaged" in output
    hash = json.loads(run("plan", "--json", code=2).stdout)["plan"]
    assert f"scim-gateway apply --plan {hash}" in output
    with target_in(folder).store.open() as listing:
        listing.groups["staff"].members.add("bob")
    moved = run("apply", "--plan", hash, code=1)
    assert "not any more: + list: add member bob of staff" in moved.stdout
    assert f"Error: The plan {hash} is not what there is to do now" in moved.stderr
    assert not target_in(folder).listing.users["ann"].active
    hash = json.loads(run("plan", "--json", code=2).stdout)["plan"]
    assert run("apply", "--plan", hash).stdout == "1 step done; nothing to do; 1 unmanaged\n"
    assert run("reconcile").stdout == "0 steps done; nothing to do; 1 unmanaged\n"
    assert "list: 0 pending\n  compared" in run("status").stdout
    assert run("pending").stdout == "nothing is pending\n"


def test_a_person_is_shown_as_the_directory_and_the_target_have_it(run, core):
    core.user("ann")
    document = json.loads(run("users", "show", "ann").stdout)
    assert (document["userName"], document["targets"]) == ("ann", {"list": {"state": "there", "name": "ann"}})


def test_existing_accounts_are_adopted(run, core, folder):
    with target_in(folder).store.open() as listing:
        for name in ("ann", "bob", "root"):
            foreign(listing, name)
    core.backend.pending()
    output = run("adopt", "list", "user", "--pattern", "*", code=1).stdout
    assert "root  is protected and not adopted: it is protected" in output
    assert output.splitlines()[-1] == "2 listed, 1 protected"
    core.user("ann")
    assert run("adopt", "list", "user", "bob", "--withdraw").stdout == "1 of 1 taken off the list\n"
    assert core.refused("POST", "/Users", {"schemas": [], "userName": "bob"})[0] == 409
    assert "There is no target 'nowhere'" in run("adopt", "nowhere", "user", "ann", code=1).stderr


def test_many_removals_wait_for_an_approval(run, core, folder, environ):
    environ["SCIM_GATEWAY_BREAKER_REMOVALS"] = "2"
    for number in range(4):
        core.patch(core.user(f"u{number}"), {"op": "replace", "path": "active", "value": False})
    with target_in(folder).store.open() as listing:
        for account in listing.users.values():
            account.active = True
    output = run("plan", code=2).stdout
    hash = json.loads(run("plan", "--json", code=2).stdout)["plan"]
    assert f"scim-gateway approve {hash}" in output
    assert "may remove 2" in run("apply", "--plan", hash, code=1).stderr
    assert "Nothing was changed in list" in run("reconcile", code=1).stderr
    assert hash in run("approve", hash).stdout
    assert run("apply", "--plan", hash).stdout == "4 steps done; nothing to do\n"
    actions = [
        json.loads(line)["action"] for line in run("audit", "--json").stdout.splitlines() if line.startswith("{")
    ]
    assert "approve plan" in actions
    assert "apply plan" in actions


def test_a_target_that_is_gone_is_one_line(run, core, folder, monkeypatch):
    core.user("ann")
    monkeypatch.setattr("doubles.listed_target.ListTarget.reach", _down)
    result = run("plan", code=1)
    assert result.stderr == "Error: list cannot be compared: It is down.\n"


def _down(*_: object) -> None:
    from scim_gateway_provisioning.target import Unreachable

    raise Unreachable("It is down.")
