"""The backend engine as the protocol drives it: directory and Engine say the same, whatever was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from core_client import GROUP, USER, Core
from engine_world import PASSWORD, EngineWorld
from scim_gateway_provisioning.context import Times
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_singlestore_engine import EngineBackend, groups
from scim_gateway_sql import SqlBackend

from scim_gateway.app import load_backend
from scim_gateway.config import ConfigurationError, load
from scim_gateway.definitions import standard_resource_types

Start = Callable[..., Core]


def person(name: str) -> dict[str, Any]:
    """A new User as an identity provider sends it."""
    return {"schemas": [USER], "userName": name}


@pytest.fixture
def start(world: EngineWorld, tmp_path: Path) -> Iterator[Start]:
    """A function that starts a gateway over the double, with more settings."""
    opened: list[EngineBackend] = []

    def gateway(**chosen: Any) -> Core:
        environ = {
            "SCIM_GATEWAY_BACKEND": "engine",
            "SCIM_GATEWAY_DATA_DIR": str(tmp_path),
            "SCIM_GATEWAY_ENGINE_URL": f"singlestore://scim_gw@127.0.0.1:{world.double.address().port}/",
            "SCIM_GATEWAY_ENGINE_PASSWORD": PASSWORD,
            "SCIM_GATEWAY_RECONCILE_MINUTES": "0",
            **{f"SCIM_GATEWAY_{name.upper()}": value for name, value in chosen.items()},
        }
        settings = load(environ)
        backend = load_backend(settings["backend"]).from_settings(settings, settings.resource_types)
        assert isinstance(backend, EngineBackend)
        opened.append(backend)
        return Core(backend)

    yield gateway
    for backend in opened:
        backend.close()


@pytest.fixture
def core(start: Start) -> Core:
    return start()


def test_okta_pushes_people_and_groups_and_the_engine_has_them(core, world):
    ada, bob = core.user("ada@example.com"), core.user("bob@example.com")
    group = core.group("Engineering", ada)
    core.patch(group, {"op": "add", "path": "members", "value": [{"value": bob["id"]}]})
    assert world.users == {"ada@example.com": False, "bob@example.com": False}
    assert world.groups == {"Engineering": {"ada@example.com", "bob@example.com"}}
    assert world.account("ada@example.com")["TYPE"] == "JWT"
    mark = json.loads(world.account("ada@example.com")["ATTRIBUTE"])["scim"]
    assert mark == {"id": ada["id"], "tenant": "default", "locked": False}


def test_who_is_deactivated_is_locked_out_and_leaves_the_gateways_groups_only(core, world):
    ada = core.user("ada")
    core.group("Engineering", ada)
    world.double.execute("CREATE GROUP 'dba_made'", "GRANT GROUP 'dba_made' TO 'ada'@'%'")
    core.patch(ada, {"op": "replace", "path": "active", "value": False})
    assert world.users == {"ada": True}
    assert world.groups == {"Engineering": set(), "dba_made": {"ada"}}
    core.patch(ada, {"op": "replace", "path": "active", "value": True})
    assert world.users == {"ada": False}
    assert world.groups == {"Engineering": {"ada"}, "dba_made": {"ada"}}


def test_new_names_take_everything_along(core, world):
    ada = core.user("ada")
    group = core.group("Engineering", ada)
    core.patch(ada, {"op": "replace", "path": "userName", "value": "lovelace"})
    core.patch(group, {"op": "replace", "path": "displayName", "value": "Research"})
    assert world.users == {"lovelace": False}
    assert world.groups == {"Research": {"lovelace"}}
    core.user("ada")
    assert world.users == {"lovelace": False, "ada": False}


def test_a_large_group_is_answered_and_gets_its_new_name_afterwards(core, world, monkeypatch):
    people = [core.user(f"p{number}") for number in range(4)]
    group = core.group("Engineering", *people)
    monkeypatch.setattr(groups, "_RESERVE_SECONDS", 1000.0)
    core.patch(group, {"op": "replace", "path": "displayName", "value": "Research"})
    assert world.groups["Engineering"] == {"p0", "p1", "p2", "p3"}
    assert "4 members" in core.backend.state_of(group["id"])["engine"]["waiting"]
    core.patch(group, {"op": "remove", "path": f'members[value eq "{people[0]["id"]}"]'})
    assert world.groups["Engineering"] == {"p1", "p2", "p3"}
    for name in ("Engineering", "Research"):
        core.json("POST", "/Groups", {"schemas": [GROUP], "displayName": name}, expect=409)
    monkeypatch.setattr(groups, "_RESERVE_SECONDS", 3.0)
    core.backend.settle_pending()
    assert world.groups == {"Research": {"p1", "p2", "p3"}}
    core.group("Engineering")
    assert world.groups == {"Research": {"p1", "p2", "p3"}, "Engineering": set()}


def test_what_is_deleted_is_gone(core, world):
    ada = core.user("ada")
    group = core.group("Engineering", ada)
    core.json("DELETE", f"/Users/{ada['id']}", expect=204)
    core.json("DELETE", f"/Groups/{group['id']}", expect=204)
    assert world.users == {}
    assert world.groups == {}


@pytest.mark.parametrize("on_deactivate", ["lock", "drop"])
def test_a_life_under_both_ways_to_deactivate(start, world, on_deactivate):
    core = start(engine_on_deactivate=on_deactivate)
    ada = core.user("ada")
    core.group("Engineering", ada)
    for _ in range(2):
        core.patch(ada, {"op": "replace", "path": "active", "value": False})
        assert world.users == ({"ada": True} if on_deactivate == "lock" else {})
        assert world.groups == {"Engineering": set()}
        core.patch(ada, {"op": "replace", "path": "active", "value": True})
        assert world.users == {"ada": False}
        assert world.groups == {"Engineering": {"ada"}}
    assert core.backend.plan().to_do == []


def test_a_protected_name_is_answered_403_and_nothing_is_left(core, world):
    for name in ("root", "Admin", "scim_gw"):
        error = core.json(
            "POST", "/Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name}, expect=403
        )
        assert "database administrators" in error["detail"]
    assert world.users == {}
    assert core.json("GET", "/Users")["totalResults"] == 0


def test_what_was_refused_of_a_protected_group_is_in_the_way_of_nobodys_deactivation_or_deletion(start, world):
    core = start(engine_protected_roles='["payroll"]')
    ada, bob, eve, zoe = (core.user(name) for name in ("ada", "bob", "eve", "zoe"))
    group = core.group("late", ada, bob, eve)
    world.double.execute("CREATE ROLE 'payroll'", "GRANT ROLE 'payroll' TO 'late'")
    core.patch(group, {"op": "add", "path": "members", "value": [{"value": zoe["id"]}]}, expect=403)
    core.patch(group, {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'}, expect=403)
    core.patch(group, {"op": "replace", "path": "displayName", "value": "later"}, expect=403)
    core.json("DELETE", f"/Groups/{group['id']}", expect=403)
    assert core.backend.pending() == []
    off, on = ({"op": "replace", "path": "active", "value": value} for value in (False, True))
    core.patch(ada, off)
    core.patch(ada, on, expect=403)
    core.patch(ada, off)
    core.json("DELETE", f"/Users/{ada['id']}", expect=204)
    core.json("DELETE", f"/Users/{bob['id']}", expect=204)
    core.json("DELETE", f"/Users/{zoe['id']}", expect=204)
    assert world.users == {"eve": False}
    assert world.groups == {"late": {"eve"}}
    assert core.backend.pending() == []


@pytest.mark.parametrize("asked", ["deactivate", "rename", "delete"])
def test_what_was_refused_of_an_administrator_is_in_the_way_of_nobody_in_the_same_group(core, world, asked):
    ada, bob, eve, zoe = (core.user(name) for name in ("ada", "bob", "eve", "zoe"))
    group = core.group("staff", ada, bob, eve)
    world.double.execute("GRANT SUPER ON *.* TO 'ada'@'%'")
    if asked == "delete":
        core.json("DELETE", f"/Users/{ada['id']}", expect=403)
    else:
        values = {"active": False} if asked == "deactivate" else {"userName": "lovelace"}
        core.patch(ada, {"op": "replace", "value": values}, expect=403)
    assert core.backend.pending() == []
    core.patch(group, {"op": "remove", "path": f'members[value eq "{eve["id"]}"]'})
    core.json("DELETE", f"/Users/{bob['id']}", expect=204)
    core.patch(group, {"op": "add", "path": "members", "value": [{"value": zoe["id"]}]})
    assert world.users == {"ada": False, "eve": False, "zoe": False}
    assert world.groups == {"staff": {"ada", "zoe"}}
    assert core.backend.pending() == []


def test_an_account_made_by_hand_is_answered_409_and_can_be_adopted(core, world):
    world.double.seed(["ada"])
    assert "adopt engine User ada" in core.json("POST", "/Users", person("ada"), expect=409)["detail"]
    assert core.json("GET", "/Users")["totalResults"] == 0
    core.backend.adopt("engine", "User", ["ada"])
    core.json("POST", "/Users", person("ada"), expect=201)
    assert core.backend.plan().to_do == []


def test_an_engine_that_is_down_is_answered_503_and_nothing_is_left_when_it_is_back(world, tmp_path):
    types = standard_resource_types()
    directory = SqlBackend.from_settings({"data_dir": str(tmp_path)}, types, migrations=(PROVISIONING,))
    quick = Times(retry=0.05, first_pause=0.01, pause=0.01, backoff=0.001, backoff_limit=0.01)
    core = Core(EngineBackend(directory, [world.target], times=quick))
    ada = core.user("ada")
    world.double.stop()
    error = core.json("POST", "/Users", person("bob"), expect=503)
    assert "engine" in error["detail"]
    core.patch(ada, {"op": "replace", "path": "active", "value": False}, expect=503)
    world.double.start()
    core.backend.settle_pending()
    assert world.users == {"ada": True}, "the revocation stuck, the grant did not"
    assert [user["userName"] for user in core.json("GET", "/Users")["Resources"]] == ["ada"]
    core.backend.close()


def test_a_plan_finds_what_was_done_by_hand_and_mends_it(core, world):
    people = [core.user(f"p{number}") for number in range(6)]
    core.group("Engineering", *people[:3])
    core.patch(people[5], {"op": "replace", "path": "active", "value": False})
    world.double.execute(
        "DROP USER 'p0'@'%'",
        "REVOKE GROUP 'Engineering' FROM 'p1'@'%'",
        "GRANT GROUP 'Engineering' TO 'p4'@'%'",
        "ALTER USER 'p5'@'%' ACCOUNT UNLOCK",
        "ALTER USER 'p3'@'%' ACCOUNT LOCK",
    )
    plan = core.backend.plan()
    assert sorted((step.action, step.kind, step.member or step.name) for step in plan.to_do) == [
        ("add", "Membership", "p0"),
        ("add", "Membership", "p1"),
        ("add", "User", "p0"),
        ("change", "User", "p5"),
        ("remove", "Membership", "p4"),
    ]
    core.backend.apply(plan.hash)
    assert world.groups == {"Engineering": {"p0", "p1", "p2"}}
    assert world.users == {"p0": False, "p1": False, "p2": False, "p3": True, "p4": False, "p5": True}
    assert core.backend.plan().to_do == []


def test_a_setting_that_is_missing_is_one_line(tmp_path):
    with pytest.raises(ConfigurationError, match="needs engine_url"):
        EngineBackend.from_settings(load({"SCIM_GATEWAY_DATA_DIR": str(tmp_path)}), standard_resource_types())


def test_nothing_is_connected_to_before_something_is_asked(start, world):
    world.double.log.clear()
    start()
    assert len(world.double.log) == 0
