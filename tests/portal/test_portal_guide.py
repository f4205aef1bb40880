"""docs/portal.rst is true: what Okta does makes exactly the calls that the page shows."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from portal_world import PortalWorld, with_address

GUIDE = Path(__file__).parent.parent.parent / "docs" / "portal.rst"


def shown(title: str) -> list[str]:
    """The calls below a line of the page that begins with this."""
    match = re.search(rf"\n\*{re.escape(title)}[^\n]*::\n\n((?:    .*\n)+)", GUIDE.read_text("utf-8"))
    assert match, title
    return [ordered(line) for line in textwrap.dedent(match[1]).splitlines()]


def ordered(line: str) -> str:
    """A call whose body is written in one way."""
    call, brace, body = line.partition(" {")
    return f"{call} {json.dumps(json.loads(brace + body), sort_keys=True, ensure_ascii=False)}" if brace else call


@pytest.fixture
def world(portal, tmp_path) -> Iterator[PortalWorld]:
    world = PortalWorld(portal, tmp_path)
    yield world
    world.close()


def test_the_calls_are_those_of_the_page(world, portal):
    names: dict[str, str] = {}

    def sent() -> list[str]:
        calls = [ordered(call) for call in portal.writes()]
        portal.forget_calls()
        for id, name in names.items():
            calls = [call.replace(id, name) for call in calls]
        return [re.sub(r'"description": "[^"]*"', '"description": "… [scim ID]"', call) for call in calls]

    def member(email: str) -> str:
        return portal.organization.member(email).id

    ada = world.person("ada@example.com")
    assert sent() == shown("Assign Ada to the application")
    world.accept("ada@example.com")
    bob = world.member("bob@example.com")
    names |= {member("ada@example.com"): "ADA", member("bob@example.com"): "BOB"}
    sent()
    group = world.core.group("Engineering", ada)
    names[portal.organization.team("Engineering").id] = "TEAM"
    assert sent() == shown("Push the group Engineering")
    world.core.patch(
        group,
        {"op": "add", "path": "members", "value": [{"value": bob["id"]}]},
        {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'},
    )
    assert sent() == shown("Add Bob to the group and remove Ada")
    world.core.patch(group, {"op": "replace", "path": "displayName", "value": "Research"})
    assert sent() == shown("Rename the group")
    world.core.patch(bob, {"op": "replace", "path": "title", "value": "Clerk"})
    assert sent() == []
    world.core.patch(bob, {"op": "replace", "path": "emails", "value": with_address("robert@example.com")["emails"]})
    assert sent() == shown("Give Bob another primary email")
    world.accept("robert@example.com")
    names[member("robert@example.com")] = "ROBERT"
    assert sent() == shown("and when Robert has accepted")
    eve = world.person("eve@example.com")
    names[portal.organization.pending("eve@example.com").id] = "INVITATION"
    sent()
    world.core.patch(eve, {"op": "replace", "path": "active", "value": False})
    assert sent() == shown("Deactivate, or unassign, somebody who has not accepted")
    world.core.patch(bob, {"op": "replace", "path": "active", "value": False})
    assert sent() == shown("Deactivate, or unassign, Robert")
    world.core.patch(bob, {"op": "replace", "path": "active", "value": True})
    assert sent() == shown("Activate him again")
    world.core.json("DELETE", group["meta"]["location"].split("/v2")[1], expect=204)
    assert sent() == shown("Delete the group")


def test_every_setting_of_the_page_exists():
    from scim_gateway.config import BY_NAME

    named = set(re.findall(r"\b((?:portal|engine|reconcile)_[a-z]+(?:_[a-z]+)*)\b", GUIDE.read_text("utf-8")))
    assert {name.removesuffix("_file") for name in named} <= set(BY_NAME)
    assert len(named) > 10
