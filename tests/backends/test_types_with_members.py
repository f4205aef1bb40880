"""Resources of several types have members, and may be in one of another type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from core_client import BACKENDS, GROUP, USER, Core, open_backend

from scim_gateway.definitions import standard_resource_types
from scim_gateway.schema import ResourceTypes

TEAM = "urn:example:schemas:Team"


@pytest.fixture(params=BACKENDS)
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    standard = standard_resource_types()
    group = standard.by_name["Group"]
    team = replace(group, name="Team", endpoint="/Teams", schema=replace(group.schema, id=TEAM, name="Team"))
    backend = open_backend(request.param, tmp_path, ResourceTypes((*standard, team)))
    yield Core(backend)
    backend.close()


def made(core: Core, path: str, schema: str, name: str, *members: str) -> str:
    body = {"schemas": [schema], "displayName": name, "members": [{"value": id} for id in members]}
    return str(core.json("POST", path, body, expect=201)["id"])


def groups_of(core: Core, user: str) -> list[tuple[str, str, str]]:
    found = core.json("GET", f"/Users/{user}").get("groups", ())
    return [(each["display"], each["type"], each["$ref"].split("/")[-2]) for each in found]


def test_a_user_is_in_what_holds_a_group_whatever_its_type(core: Core) -> None:
    user = core.json("POST", "/Users", {"schemas": [USER], "userName": "ada"}, expect=201)["id"]
    inner = made(core, "/Groups", GROUP, "inner", user)
    made(core, "/Teams", TEAM, "team", inner)
    assert groups_of(core, user) == [("inner", "direct", "Groups"), ("team", "indirect", "Teams")]


def test_what_holds_a_group_no_longer_holds_its_members(core: Core) -> None:
    user = core.json("POST", "/Users", {"schemas": [USER], "userName": "ada"}, expect=201)["id"]
    inner = made(core, "/Groups", GROUP, "inner", user)
    team = made(core, "/Teams", TEAM, "team", inner)
    core.json("DELETE", f"/Teams/{team}", expect=204)
    assert groups_of(core, user) == [("inner", "direct", "Groups")]
