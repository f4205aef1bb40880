"""What docs/engine.rst says is what happens: the account's statements, and the table of what Okta does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymysql
import pytest
from core_client import Core
from doubles.singlestore.grammar import parse
from engine_world import EngineWorld, connect, engine_settings
from scim_gateway_singlestore_engine import EngineBackend
from scim_gateway_singlestore_engine.grants import ADMINISTRATIVE
from scim_gateway_singlestore_engine.target import EngineTarget

from scim_gateway.config import load

TEXT = (Path(__file__).parents[2] / "docs" / "engine.rst").read_text("utf-8")


def listing(language: str) -> list[str]:
    block = TEXT.split(f".. code-block:: {language}\n\n", 1)[1]
    lines = []
    for line in block.splitlines():
        if line.strip() and not line.startswith("       "):
            break
        lines.append(line.strip())
    return [line for line in lines if line]


@pytest.mark.parametrize("version", ["8.0", "8.5", "9.1"])
def test_the_statements_for_the_gateways_account_are_enough(make_server, tmp_path, version):
    double = make_server(version)
    password = "a long random password"
    statements = [statement.removesuffix(";") for statement in listing("sql")]
    assert len(statements) == 3
    for statement in statements:
        assert parse(statement, version=version)
    double.execute(*statements)
    double.execute("ALTER USER 'scim_gw'@'%' REQUIRE NONE")
    target = EngineTarget(engine_settings(tmp_path, double.address().port, password=password))
    findings = {finding.subject: finding for finding in target.check()}
    assert findings["engine privileges"].message == "'scim_gw' holds what the gateway needs"
    assert [finding.ok for finding in target.probe()][-1]
    target.close()


def test_the_settings_are_settings(tmp_path):
    (tmp_path / "engine-password").write_text("secret")
    (tmp_path / "engine-password").chmod(0o600)
    file = tmp_path / "gateway.toml"
    file.write_text("\n".join(listing("toml")))
    file.chmod(0o600)
    settings = load({"SCIM_GATEWAY_CONFIG": str(file)})
    target = EngineBackend.targets_from(settings, settings.resource_types)[0]
    assert isinstance(target, EngineTarget)
    assert target.settings.endpoint.tls is not None


def actions() -> dict[str, list[str]]:
    """The statements of each action of the table, by its first words."""
    section = TEXT.split("What Okta does, what SQL runs\n", 1)[1].split("\nWho is shut out\n", 1)[0]
    found: dict[str, list[str]] = {}
    for part in re.split(r"\n(?=\*)", section)[1:]:
        title = re.match(r"\*([^*]+)\*", part)
        assert title is not None
        found[title[1]] = [line.strip() for line in part.splitlines()[1:] if line.startswith("    ")]
    return found


def test_what_okta_does_makes_the_statements_of_the_table(world: EngineWorld, tmp_path):
    world.double.execute("CREATE ROLE 'analyst'", "GRANT SELECT ON shop.* TO ROLE 'analyst'")
    settings = load({
        "SCIM_GATEWAY_DATA_DIR": str(tmp_path),
        "SCIM_GATEWAY_ENGINE_URL": f"singlestore://scim_gw@127.0.0.1:{world.double.address().port}/",
        "SCIM_GATEWAY_ENGINE_PASSWORD": world.target.settings.endpoint.password,
    })  # fmt: skip
    backend = EngineBackend.from_settings(settings, settings.resource_types)
    core, done = Core(backend), {}
    ids: dict[str, str] = {}

    def does(title: str, call: Callable[[], Any]) -> Any:
        before = len(world.sent())
        answer = call()
        sent = "\n".join(world.sent()[before:])
        for id in [answer["id"], *ids] if isinstance(answer, dict) and title.startswith("Assign") else ids:
            ids[id] = "ID"
            sent = sent.replace(id, "ID")
        done[title] = [re.sub(r"KILL CONNECTION \d+", "KILL CONNECTION 7", line) for line in sent.splitlines()]
        return answer

    ada = does("Assign Ada to the application", lambda: core.user("ada@example.com"))
    group = does("Push the group Engineering, Ada is in it", lambda: core.group("Engineering", ada))
    world.double.execute("GRANT ROLE 'analyst' TO 'Engineering'")
    bob = core.user("bob@example.com")
    join = {"op": "add", "path": "members", "value": [{"value": bob["id"]}]}
    does("Add Bob to the group", lambda: core.patch(group, join))
    leave = {"op": "remove", "path": f'members[value eq "{bob["id"]}"]'}
    does("Remove Bob from the group", lambda: core.patch(group, leave))
    change = {"op": "replace", "path": "title", "value": "Countess"}
    does("Change Ada's title", lambda: core.patch(ada, change))
    rename = {"op": "replace", "path": "userName", "value": "lovelace@example.com"}
    does("Rename Ada", lambda: core.patch(ada, rename))
    rename = {"op": "replace", "path": "displayName", "value": "Research"}
    does("Rename the group", lambda: core.patch(group, rename))
    world.double.execute("ALTER USER 'lovelace@example.com'@'%' IDENTIFIED BY 'x'")
    world.double.execute("ALTER USER 'lovelace@example.com'@'%' REQUIRE NONE")
    there = world.double.address()
    session = connect(there, "lovelace@example.com", "x")
    off = {"op": "replace", "path": "active", "value": False}
    does("Deactivate, or unassign, who was Ada and has a session open", lambda: core.patch(ada, off))
    with pytest.raises(pymysql.err.Error):
        session.ping(reconnect=False)
    does("Activate her again", lambda: core.patch(ada, {**off, "value": True}))
    does("Delete her", lambda: core.json("DELETE", f"/Users/{ada['id']}", expect=204))
    does("Delete the group", lambda: core.json("DELETE", f"/Groups/{group['id']}", expect=204))
    backend.close()
    assert done == actions()


def test_every_privilege_that_makes_an_administrator_is_named():
    section = TEXT.split("What the gateway never touches\n", 1)[1].split("\nWhat was checked", 1)[0]
    assert [name for name in sorted(ADMINISTRATIVE) if f"``{name}``" not in section] == []
