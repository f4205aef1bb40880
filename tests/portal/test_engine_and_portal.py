"""Both systems at once: what one target cannot give is given in neither, what revokes reaches each that it can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_client import GROUP
from doubles.singlestore.api import SingleStoreDouble
from doubles.singlestore.fixtures import MakeDouble
from pair_world import Both
from portal_world import PortalWorld, new_user
from scim_gateway_singlestore import EngineAndPortalBackend
from scim_gateway_singlestore_engine.settings import EngineSettings
from scim_gateway_singlestore_engine.target import EngineTarget

from scim_gateway.app import load_backend
from scim_gateway.config import load
from scim_gateway.definitions import standard_resource_types

ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"
PASSWORD = "Password-of-the-gateway-1"
PRIVILEGES = "CREATE USER, ALTER USER, PROCESS, SHOW METADATA, GRANT OPTION"


def engine_environ(double: SingleStoreDouble) -> dict[str, str]:
    return {
        "SCIM_GATEWAY_ENGINE_URL": f"singlestore://scim_gw@127.0.0.1:{double.address().port}/",
        "SCIM_GATEWAY_ENGINE_PASSWORD": PASSWORD,
    }


@pytest.fixture
def engine(make_singlestore: MakeDouble) -> SingleStoreDouble:
    double = make_singlestore("8.5").double
    assert double is not None
    double.execute(
        f"CREATE USER 'scim_gw'@'%' IDENTIFIED BY '{PASSWORD}'", f"GRANT {PRIVILEGES} ON *.* TO 'scim_gw'@'%'"
    )
    return double


@pytest.fixture
def make_both(portal, engine: SingleStoreDouble, tmp_path: Path) -> Iterator[Any]:
    made: list[PortalWorld] = []

    def make(engine_more: dict[str, str] | None = None, **portal_more: Any) -> Both:
        settings = load({"SCIM_GATEWAY_DATA_DIR": str(tmp_path), **engine_environ(engine), **(engine_more or {})})
        target = EngineTarget(EngineSettings.of(settings, standard_resource_types()))
        made.append(PortalWorld(portal, tmp_path, kind=EngineAndPortalBackend, others=[target], **portal_more))
        return Both(made[-1], engine)

    yield make
    for world in made:
        world.close()


@pytest.fixture
def both(make_both) -> Both:
    return make_both()


def active(value: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": value}


def test_one_push_makes_an_account_and_an_invitation_a_group_and_a_team(both):
    ada = both.portal.person(ADA)
    both.core.group("Engineering", ada)
    assert both.accounts == {ADA: False}
    assert both.groups == {"Engineering": {ADA}}
    assert both.portal.invited == {ADA}
    both.portal.accept(ADA)
    assert both.portal.teams == {"Engineering": {ADA}}
    state = both.portal.backend.state_of(ada["id"])
    assert {target: one["state"] for target, one in state.items()} == {"engine": "there", "portal": "there"}


def test_what_waits_in_the_portal_is_there_in_the_engine(both):
    ada = both.portal.person(ADA)
    state = both.portal.backend.state_of(ada["id"])
    assert state["engine"]["state"] == "there"
    assert state["portal"]["state"] == "waiting"


def test_a_deactivation_takes_out_of_both_and_an_activation_gives_back(both):
    ada = both.portal.member(ADA)
    both.core.group("Engineering", ada)
    both.core.patch(ada, active(False))
    assert both.accounts == {ADA: True}
    assert both.groups == {"Engineering": set()}
    assert both.portal.members == set()
    both.core.patch(ada, active(True))
    both.portal.accept(ADA)
    assert both.accounts == {ADA: False}
    assert both.groups == both.portal.teams == {"Engineering": {ADA}}


def test_which_groups_go_where_is_configured(make_both):
    both = make_both({"SCIM_GATEWAY_ENGINE_GROUPS": "db-*,all"}, groups=("team-*", "all"))
    ada = both.portal.member(ADA)
    for name in ("db-readers", "team-a", "all", "none"):
        both.core.group(name, ada)
    assert both.groups == {"db-readers": {ADA}, "all": {ADA}}
    assert both.portal.teams == {"team-a": {ADA}, "all": {ADA}}


def test_who_has_no_address_may_be_in_the_engine_alone(make_both):
    both = make_both(without_address="skip")
    robot = both.core.user("etl")
    both.core.group("Engineering", robot)
    assert both.accounts == {"etl": False}
    assert both.groups == {"Engineering": {"etl"}}
    assert both.portal.invited == set()
    assert both.portal.teams == {"Engineering": set()}
    assert both.portal.backend.plan().to_do == []


@pytest.mark.parametrize("failing", ["engine", "portal"])
def test_a_grant_that_one_target_cannot_give_is_given_in_neither(both, failing):
    both.portal.member(ADA)
    both.fail(failing)
    error = both.core.json("POST", "/Users", new_user(BOB), expect=503)
    assert failing in error["detail"]
    both.mend(failing)
    assert BOB not in both.accounts
    assert both.portal.invited == set()
    assert both.core.json("GET", "/Users")["totalResults"] == 1
    assert both.portal.backend.plan().to_do == []


@pytest.mark.parametrize("failing", ["engine", "portal"])
def test_a_revocation_reaches_the_healthy_target_at_once_and_the_other_when_it_is_back(both, failing):
    ada = both.portal.member(ADA)
    both.fail(failing)
    both.core.patch(ada, active(False), expect=503)
    if failing == "portal":
        assert both.accounts == {ADA: True}
    else:
        assert both.portal.members == set()
    pending = both.portal.backend.pending()
    assert [(one.target, one.revoking) for one in pending] == [(failing, True)]
    both.mend(failing)
    assert both.accounts == {ADA: True}
    assert both.portal.members == set()
    assert both.portal.backend.pending() == []


@pytest.mark.parametrize("failing", ["engine", "portal"])
def test_a_membership_is_given_in_both_or_in_neither_and_taken_where_it_can_be(both, failing):
    ada, bob = both.portal.member(ADA), both.portal.member(BOB)
    group = both.core.group("Engineering", ada)
    both.fail(failing)
    both.core.patch(group, {"op": "add", "path": "members", "value": [{"value": bob["id"]}]}, expect=503)
    both.core.patch(group, {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'}, expect=503)
    both.mend(failing)
    assert both.groups == both.portal.teams == {"Engineering": set()}
    assert both.core.members(group) == set()


def test_what_one_target_refuses_for_good_is_taken_back_in_the_other(both, engine, portal):
    error = both.core.json("POST", "/Groups", {"schemas": [GROUP], "displayName": "Organization Owners"}, expect=403)
    assert "not managed" in error["detail"]
    portal.organization.add_member(BOB)
    both.core.json("POST", "/Users", new_user(BOB), expect=409)
    engine.seed([EVE])
    both.core.json("POST", "/Users", new_user(EVE), expect=409)
    assert BOB not in both.accounts
    assert both.portal.invited == set()
    assert both.groups == {}
    assert both.portal.teams == {}


def test_a_plan_tells_the_targets_apart(both, engine, portal):
    both.core.group("Engineering", both.portal.member(ADA))
    engine.execute(f"REVOKE GROUP 'Engineering' FROM '{ADA}'@'%'")
    portal.organization.remove_member(ADA)
    plan = both.portal.backend.plan()
    assert {(step.target, step.kind) for step in plan.to_do} == {
        ("engine", "Membership"),
        ("portal", "User"),
        ("portal", "Membership"),
    }
    both.portal.backend.apply(plan.hash)
    assert both.groups == {"Engineering": {ADA}}
    assert both.portal.invited == {ADA}


@pytest.mark.parametrize("failing", ["engine", "portal"])
def test_the_audit_trail_tells_what_came_of_a_change_in_each(both, failing):
    healthy = "portal" if failing == "engine" else "engine"
    trail = both.portal.backend.audit

    def told(after: int) -> list[tuple[str, str]]:
        return [pair for event in trail(after=after) for pair in event.detail.get("targets", {}).items()]

    ada = both.portal.member(ADA)
    before = list(trail())[-1].sequence
    both.fail(failing)
    both.core.patch(ada, active(False), expect=503)
    results = dict(told(before))
    assert results[healthy] == "done"
    assert results[failing].startswith("pending: ")
    between = list(trail())[-1].sequence
    both.mend(failing)
    assert told(between) == [(failing, "done")]


def test_the_pair_is_found_by_its_name(portal, engine, tmp_path):
    environ = {
        "SCIM_GATEWAY_BACKEND": "engine+portal",
        "SCIM_GATEWAY_DATA_DIR": str(tmp_path),
        "SCIM_GATEWAY_PORTAL_URL": portal.url,
        "SCIM_GATEWAY_PORTAL_API_KEY": portal.key,
        **engine_environ(engine),
    }
    settings = load(environ)
    backend = load_backend(settings["backend"]).from_settings(settings, settings.resource_types)
    assert isinstance(backend, EngineAndPortalBackend)
    assert backend.targets == ("engine", "portal")
    subjects = [finding.subject for finding in backend.check()]
    assert any(subject.startswith("engine") for subject in subjects)
    assert any(subject.startswith("portal") for subject in subjects)
    backend.close()
