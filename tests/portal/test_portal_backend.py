"""The backend portal as the protocol drives it: directory and organization say the same, whatever was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from core_client import GROUP
from portal_world import PortalWorld, new_user, with_address

from scim_gateway.app import load_backend
from scim_gateway.config import ConfigurationError, load
from scim_gateway.definitions import standard_resource_types

ADA, BOB, EVE, NEW = "ada@example.com", "bob@example.com", "eve@example.com", "lovelace@example.com"
MakeWorld = Callable[..., PortalWorld]


@pytest.fixture
def make_world(portal, tmp_path: Path) -> Iterator[MakeWorld]:
    made: list[PortalWorld] = []

    def make(**more) -> PortalWorld:
        made.append(PortalWorld(portal, tmp_path, **more))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world: MakeWorld) -> PortalWorld:
    return make_world()


def active(value: bool) -> dict:
    return {"op": "replace", "path": "active", "value": value}


def test_a_person_is_invited_joins_and_gets_the_teams_and_the_id_stays_the_same(world):
    ada = world.person(ADA)
    group = world.core.group("Engineering", ada)
    assert world.invited == {ADA}
    assert world.teams == {"Engineering": set()}
    assert "waits for the person" in world.waiting(ada)
    assert world.waiting(group) == "members have to be there first"
    world.accept(ADA)
    assert world.members == {ADA}
    assert world.teams == {"Engineering": {ADA}}
    assert world.waiting(ada) is None
    assert world.waiting(group) is None
    assert world.core.get(ada)["id"] == ada["id"]


def test_names_and_titles_live_in_the_directory_and_ask_nothing_of_the_portal(world, portal):
    ada = world.member(ADA, title="Countess", name={"givenName": "Ada"})
    portal.forget_calls()
    world.core.patch(ada, {"op": "replace", "path": "title", "value": "Programmer"})
    assert portal.calls == []
    assert world.core.get(ada)["title"] == "Programmer"
    assert world.core.get(ada)["name"] == {"givenName": "Ada"}


def test_deactivation_takes_out_and_activation_invites_again_and_restores_the_teams(world):
    ada = world.member(ADA)
    world.core.group("Engineering", ada)
    for _ in range(2):
        world.core.patch(ada, active(False))
        assert (world.members, world.invited) == (set(), set())
        assert world.teams == {"Engineering": set()}
        world.core.patch(ada, active(True))
        assert (world.members, world.invited) == (set(), {ADA})
        world.accept(ADA)
        assert world.members == {ADA}
        assert world.teams == {"Engineering": {ADA}}
        assert world.backend.plan().to_do == []


@pytest.mark.parametrize("accepted", [True, False])
def test_what_is_deleted_is_gone(world, accepted):
    ada = world.member(ADA) if accepted else world.person(ADA)
    group = world.core.group("Engineering", ada)
    world.core.json("DELETE", f"/Users/{ada['id']}", expect=204)
    world.core.json("DELETE", f"/Groups/{group['id']}", expect=204)
    assert (world.members, world.invited, world.teams) == (set(), set(), {})


def test_members_come_and_go_by_differences(world, portal):
    people = [world.member(email) for email in (ADA, BOB, EVE)]
    group = world.core.group("Engineering", *people[:2])
    portal.forget_calls()
    world.core.patch(
        group,
        {"op": "add", "path": "members", "value": [{"value": people[2]["id"]}]},
        {"op": "remove", "path": f'members[value eq "{people[0]["id"]}"]'},
    )
    assert world.teams == {"Engineering": {BOB, EVE}}
    assert len(portal.writes()) == 1


@pytest.mark.parametrize("nested", [True, False])
def test_nested_groups_are_nested_teams_or_flattened(make_world, nested):
    world = make_world(nested_groups=nested)
    ada, bob = world.member(ADA), world.member(BOB)
    inner = world.core.group("Inner", ada)
    outer = world.core.group("Outer", bob, inner)
    assert world.teams == {"Inner": {ADA}, "Outer": {BOB, "Inner"} if nested else {ADA, BOB}}
    world.core.patch(outer, {"op": "remove", "path": f'members[value eq "{inner["id"]}"]'})
    assert world.teams == {"Inner": {ADA}, "Outer": {BOB}}
    assert world.backend.plan().to_do == []


def test_a_changed_address_moves_the_person_with_the_teams(world):
    ada = world.member(ADA)
    world.core.group("Engineering", ada)
    world.core.patch(ada, {"op": "replace", "path": "emails", "value": with_address(NEW)["emails"]})
    assert (world.members, world.invited) == ({ADA}, {NEW})
    assert world.teams == {"Engineering": {ADA}}
    world.accept(NEW)
    assert world.members == {NEW}
    assert world.teams == {"Engineering": {NEW}}
    assert world.backend.plan().to_do == []
    assert world.core.get(ada)["userName"] == ADA


def test_a_changed_address_that_is_a_member_already_is_matched_when_it_is_adopted(world, portal):
    ada = world.member(ADA)
    world.core.group("Engineering", ada)
    portal.organization.add_member(NEW)
    change = {"op": "replace", "path": "emails", "value": with_address(NEW)["emails"]}
    world.core.patch(ada, change, expect=409)
    assert world.members == {ADA, NEW}
    assert world.core.get(ada)["emails"][0]["value"] == ADA
    world.backend.adopt("portal", "User", [NEW])
    world.core.patch(ada, change)
    assert world.members == {NEW}
    assert world.teams == {"Engineering": {NEW}}
    assert world.backend.plan().to_do == []


def test_after_an_activation_the_teams_come_with_the_acceptance_itself(world, portal):
    ada = world.member(ADA)
    world.core.group("Engineering", ada)
    world.core.patch(ada, active(False))
    world.core.patch(ada, active(True))
    portal.organization.accept(ADA)
    assert world.teams == {"Engineering": {ADA}}
    world.look()
    assert world.backend.pending() == []


def test_a_team_that_is_left_before_the_acceptance_is_not_joined(world, portal):
    ada = world.member(ADA)
    group = world.core.group("Engineering", ada)
    world.core.patch(ada, active(False))
    world.core.patch(ada, active(True))
    world.core.patch(group, {"op": "remove", "path": "members"})
    assert world.invited == set()  # the one that led into the team is revoked before the answer
    world.look()
    portal.organization.accept(ADA)
    assert world.teams == {"Engineering": set()}
    world.look()
    assert world.teams == {"Engineering": set()}
    assert world.members == {ADA}


def test_while_somebody_moves_the_old_address_is_nobody_elses(world):
    ada = world.member(ADA)
    world.core.patch(ada, {"op": "replace", "path": "emails", "value": with_address(NEW)["emails"]})
    for email in (ADA, NEW):
        world.core.json("POST", "/Users", {**new_user(email), "userName": "other"}, expect=409)
    world.accept(NEW)
    world.core.json("POST", "/Users", {**new_user(ADA), "userName": "other"}, expect=201)
    assert world.invited == {ADA}


def test_two_users_with_one_address_are_refused(world):
    world.person(ADA)
    error = world.core.json("POST", "/Users", {**new_user("ADA@Example.com"), "userName": "other"}, expect=409)
    assert "primary email" in error["detail"]


@pytest.mark.parametrize(("act", "word"), [("refuse", "REFUSED"), ("revoke", "REVOKED")])
def test_a_refused_or_revoked_invitation_is_visible_until_the_user_is_activated_anew(world, portal, act, word):
    ada = world.person(ADA)
    assert world.backend.state_of(ada["id"])["portal"]["state"] == "waiting"
    assert [(one.name, one.stuck) for one in world.backend.waiting()] == [(ADA, False)]
    getattr(portal.organization, act)(ADA)
    world.look()
    state = world.backend.state_of(ada["id"])["portal"]
    assert state.keys() == {"state", "name", "error"}
    assert state["state"] == "error"
    assert word in state["error"]
    assert "another one is sent after" in state["error"]
    assert [(one.name, one.stuck, one.reason) for one in world.backend.waiting()] == [(ADA, True, state["error"])]
    assert world.backend.pending() == []
    assert world.backend.plan().to_do == []
    world.core.patch(ada, active(False))
    assert world.backend.waiting() == []
    world.core.patch(ada, active(True))
    assert world.invited == {ADA}
    assert world.backend.state_of(ada["id"])["portal"]["state"] == "waiting"
    assert [(one.name, one.stuck) for one in world.backend.waiting()] == [(ADA, False)]


def test_an_outage_does_not_hide_that_an_invitation_was_refused(world, portal):
    ada = world.person(ADA)
    portal.organization.refuse(ADA)
    world.look()
    portal.down()
    world.look()
    assert "REFUSED" in world.backend.state_of(ada["id"])["portal"]["error"]
    assert [one.stuck for one in world.backend.waiting()] == [True]


def test_an_invitation_that_expired_is_sent_again_by_itself(world, portal):
    world.person(ADA)
    portal.organization.expire(ADA)
    world.look(minutes=60)
    assert world.invited == {ADA}


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        ({"schemas": [GROUP], "displayName": "Organization Owners"}, "/Groups", 403),
        ({"schemas": [GROUP], "displayName": "example ltd"}, "/Groups", 403),
        (new_user("owner@example.com"), "/Users", 403),
        (new_user("keeper@example.com"), "/Users", 403),
        (new_user("nobody"), "/Users", 400),
    ],
)
def test_what_is_protected_is_refused_and_nothing_is_left(world, portal, body, path, status):
    world.core.json("POST", path, body, expect=status)
    assert world.core.json("GET", path)["totalResults"] == 0
    assert portal.writes() == []


def test_protected_people_cannot_be_adopted_either(world):
    world.backend.adopt("portal", "User", ["owner@example.com"])
    error = world.core.json("POST", "/Users", new_user("owner@example.com"), expect=403)
    assert "decided there, by an owner" in error["detail"]


def test_an_existing_member_and_an_existing_team_are_adopted_where_they_are_listed(world, portal):
    portal.organization.add_member(ADA)
    portal.organization.make_team("Engineering", emails=(ADA,))
    world.core.json("POST", "/Users", new_user(ADA), expect=409)
    world.core.json("POST", "/Groups", {"schemas": [GROUP], "displayName": "Engineering"}, expect=409)
    world.backend.adopt("portal", "User", [ADA])
    world.backend.adopt("portal", "Group", ["Engineering"])
    ada = world.core.json("POST", "/Users", new_user(ADA), expect=201)
    world.core.group("Engineering", ada)
    assert world.teams == {"Engineering": {ADA}}
    assert world.backend.plan().to_do == []
    assert [call.method for call in portal.calls if call.method in ("POST", "DELETE")] == []


def test_an_owner_made_by_hand_cannot_be_deactivated_through_scim_and_stays(world, portal):
    ada = world.member(ADA)
    portal.organization.team("Organization Owners").users.append(portal.organization.member(ADA).id)
    world.core.patch(ada, active(False), expect=403)
    assert world.core.get(ada)["active"]
    assert world.members == {ADA}


def test_an_edition_that_makes_owners_is_noticed_at_the_acceptance_and_nobody_is_invited_any_more(world, portal):
    portal.behaviour.owners_by_default = True
    ada = world.person(ADA)
    portal.organization.accept(ADA)
    world.look()
    assert world.members == set()
    state = world.backend.state_of(ada["id"])["portal"]
    assert state.keys() == {"state", "name", "error"}
    assert state["state"] == "error"
    assert "OWNER" in state["error"]
    assert [(one.name, one.stuck, one.reason) for one in world.backend.waiting()] == [(ADA, True, state["error"])]
    error = world.core.json("POST", "/Users", new_user(BOB), expect=403)
    assert "MAKES EVERYBODY WHO ACCEPTS AN INVITATION AN OWNER" in error["detail"]


def test_who_waited_when_that_was_noticed_and_who_shows_as_an_owner_late_are_errors_too(world, portal):
    ada, bob, eve = world.person(ADA), world.person(BOB), world.person(EVE)
    portal.organization.accept(ADA)
    world.backend.settle_pending()
    portal.organization.expire(EVE)
    portal.organization.team("Organization Owners").users.append(portal.organization.member(ADA).id)
    world.look(minutes=10)
    assert world.members | world.invited == set()
    for one in (ada, bob, eve):
        state = world.backend.state_of(one["id"])["portal"]
        assert (state["state"], "OWNER" in state["error"]) == ("error", True)
    assert all(one.stuck for one in world.backend.waiting())


def test_after_the_operator_chose_what_to_do_about_owners_they_are_invited_again(world, make_world, portal):
    portal.behaviour.owners_by_default = True
    ada = world.person(ADA)
    portal.organization.accept(ADA)
    world.look()
    other = make_world(default_owner="remove")
    other.look()
    assert other.invited == {ADA}
    assert other.backend.state_of(ada["id"])["portal"]["state"] == "waiting"
    other.accept(ADA)
    assert other.backend.state_of(ada["id"])["portal"]["state"] == "there"
    assert portal.organization.emails("Organization Owners") == {"owner@example.com", "keeper@example.com"}


def test_or_they_are_taken_out_of_the_owners_team(make_world, portal):
    portal.behaviour.owners_by_default = True
    world = make_world(default_owner="remove")
    world.core.group("Engineering", world.member(ADA))
    assert world.members == {ADA}
    assert portal.organization.emails("Organization Owners") == {"owner@example.com", "keeper@example.com"}
    assert world.teams == {"Engineering": {ADA}}


def test_an_api_that_is_down_is_answered_503_and_revocations_stick(world, portal):
    ada, bob = world.member(ADA), world.member(BOB)
    group = world.core.group("Engineering", ada, bob)
    portal.down()
    error = world.core.json("POST", "/Users", new_user(EVE), expect=503)
    assert "portal" in error["detail"]
    world.core.patch(ada, active(False), expect=503)
    world.core.patch(group, {"op": "remove", "path": f'members[value eq "{bob["id"]}"]'}, expect=503)
    portal.up()
    world.target.transport._breaker.answered()
    world.look()
    assert world.members == {BOB}
    assert world.teams == {"Engineering": set()}
    assert world.invited == set(), "the grant did not stick"
    assert {user["userName"] for user in world.core.json("GET", "/Users")["Resources"]} == {ADA, BOB}
    assert world.backend.plan().to_do == []


def test_an_expired_key_is_503_to_the_identity_provider_and_one_line_to_the_operator(world, portal):
    ada = world.member(ADA)
    portal.organization.keys[portal.key].expires = portal.organization.now()
    world.core.patch(ada, active(False), expect=503)
    pending = world.backend.pending()
    assert [(one.id, one.revoking) for one in pending] == [(ada["id"], True)]
    assert "wrong, revoked or expired" in pending[0].error
    assert portal.key not in pending[0].error
    portal.organization.keys[portal.key].expires = None
    world.look()
    assert world.members == set()


def test_a_plan_finds_what_was_done_by_hand_and_mends_it(world, portal):
    people = [world.member(f"p{number}@example.com") for number in range(6)]
    world.core.group("Engineering", *people[:3])
    world.core.group("Research", people[3])
    world.core.patch(people[5], active(False))
    organization = portal.organization
    organization.remove_member("p0@example.com")
    engineering = organization.team("Engineering")
    organization.update_team(
        engineering.id,
        {
            "removeMemberUserIDs": [organization.member("p1@example.com").id],
            "addMemberUserIDs": [organization.member("p4@example.com").id],
        },
    )
    organization.delete_team(organization.team("Research").id)
    organization.make_team("By hand", emails=("p4@example.com",))
    plan = world.backend.plan()
    assert sorted((step.action, step.kind, step.member or step.name) for step in plan.to_do) == [
        ("add", "Group", "Research"),
        ("add", "Membership", "p0@example.com"),
        ("add", "Membership", "p1@example.com"),
        ("add", "Membership", "p3@example.com"),
        ("add", "User", "p0@example.com"),
        ("remove", "Membership", "p4@example.com"),
    ]
    world.backend.apply(plan.hash)
    assert world.invited == {"p0@example.com"}
    world.accept("p0@example.com")
    assert world.teams == {
        "Engineering": {f"p{number}@example.com" for number in range(3)},
        "Research": {"p3@example.com"},
        "By hand": {"p4@example.com"},
    }
    assert world.backend.plan().to_do == []


def test_who_came_back_by_hand_after_a_deactivation_is_drift(world, portal):
    ada = world.member(ADA)
    bob = world.person(BOB)
    for user in (ada, bob):
        world.core.patch(user, active(False))
    assert world.backend.plan().to_do == []
    portal.organization.add_member(ADA)
    portal.organization.invite(BOB)
    plan = world.backend.plan()
    assert [(step.action, step.kind, step.name) for step in plan.to_do] == [
        ("remove", "User", ADA),
        ("remove", "User", BOB),
    ]
    world.backend.apply(plan.hash)
    assert (world.members, world.invited) == (set(), set())
    assert world.backend.plan().to_do == []
    world.core.patch(ada, active(True))
    assert world.invited == {ADA}


def test_a_comparison_with_nothing_to_do_is_three_calls_whatever_the_size(world, portal):
    people = [world.member(f"p{number}@example.com") for number in range(12)]
    for number in range(6):
        world.core.group(f"team {number}", *people[number:])
    portal.forget_calls()
    assert world.backend.plan().to_do == []
    assert [call.path for call in portal.calls] == ["/v1/users", "/v1/invitations", "/v1/teams"]


def test_the_states_of_invitations_are_told_by_the_check_of_the_backend(world):
    world.person(ADA)
    messages = {finding.subject: finding.message for finding in world.backend.check()}
    assert "1 pending invitations" in messages["portal members"]


def test_only_chosen_groups_become_teams(make_world):
    world = make_world(groups=("team-*",))
    ada = world.member(ADA)
    world.core.group("team-a", ada)
    world.core.group("Engineering", ada)
    assert world.teams == {"team-a": {ADA}}


def test_the_backend_is_found_by_its_name_and_a_missing_key_is_one_line(portal, tmp_path):
    environ = {"SCIM_GATEWAY_BACKEND": "portal", "SCIM_GATEWAY_DATA_DIR": str(tmp_path)}
    settings = load(environ)
    kind = load_backend("portal")
    with pytest.raises(ConfigurationError, match="PORTAL_API_KEY_FILE"):
        kind.from_settings(settings, settings.resource_types)
    key = tmp_path / "key"
    key.write_text(portal.key)
    key.chmod(0o600)
    environ |= {"SCIM_GATEWAY_PORTAL_URL": portal.url, "SCIM_GATEWAY_PORTAL_API_KEY_FILE": str(key)}
    backend = kind.from_settings(load(environ), standard_resource_types())
    assert backend.targets == ("portal",)
    assert portal.calls == [], "nothing is connected to before something is asked"
    backend.close()
