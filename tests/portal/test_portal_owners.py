"""Never an owner: organizations whose edition makes everybody who accepts an owner."""

from __future__ import annotations

import pytest
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import Forbidden

ADA, BOB = "ada@example.com", "bob@example.com"
OWNERS = "Organization Owners"


@pytest.fixture
def shared(portal):
    """An organization in the Shared edition."""
    portal.behaviour.owners_by_default = True
    return portal


def owners(portal) -> set[str]:
    return portal.organization.emails(OWNERS) - {"owner@example.com", "keeper@example.com"}


@pytest.mark.parametrize("through_teams", [True, False])
def test_who_became_an_owner_is_taken_out_of_the_owners_team_where_that_is_chosen(make_desk, shared, through_teams):
    shared.behaviour.roles_through_teams = through_teams
    desk = make_desk(default_owner="remove")
    desk.member("u1", ADA)
    assert owners(shared) == set()
    assert shared.organization.member(ADA)
    desk.member("u2", BOB)
    assert owners(shared) == set()


@pytest.mark.parametrize("through_teams", [True, False])
def test_otherwise_who_became_an_owner_is_out_again_and_the_reason_is_told(desk, shared, through_teams):
    shared.behaviour.roles_through_teams = through_teams
    desk.user("u1", ADA)
    shared.organization.accept(ADA)
    with pytest.raises(Forbidden, match="WAS MADE AN OWNER"):
        desk.user("u1", ADA)
    assert shared.organization.find(ADA) is None
    assert owners(shared) == set()


def test_and_then_nobody_is_invited_any_more(desk, shared):
    desk.user("u1", ADA)
    shared.organization.accept(ADA)
    with pytest.raises(Forbidden):
        desk.user("u1", ADA)
    for id, email in (("u1", ADA), ("u2", BOB)):
        with pytest.raises(Forbidden, match="Nobody is invited: THIS ORGANIZATION MAKES EVERYBODY"):
            desk.user(id, email)
    assert [call.split()[0] for call in shared.writes()] == ["POST", "DELETE"]


def test_invitations_that_are_still_pending_are_revoked_when_that_is_noticed(desk, shared):
    desk.user("u1", ADA)
    desk.user("u2", BOB)
    shared.organization.accept(ADA)
    with pytest.raises(Forbidden):
        desk.user("u1", ADA)
    with pytest.raises(Forbidden, match="Nobody is invited"):
        desk.user("u2", BOB)
    assert [one.state for one in shared.organization.invitations.values()] == ["Accepted", "Revoked"]
    with pytest.raises(Forbidden, match="Nobody is invited"):
        desk.user("u2", BOB)


def test_a_new_process_sees_it_on_whoever_accepted_last_before_it_invites_anybody(make_desk, shared):
    shared.organization.invite(ADA)
    shared.organization.accept(ADA)
    with pytest.raises(Forbidden, match="Nobody is invited"):
        make_desk().user("u2", BOB)
    assert shared.writes() == []


def test_who_was_invited_into_the_owners_team_on_purpose_proves_nothing(desk, portal):
    portal.organization.invite("boss@example.com", teams=(OWNERS,))
    portal.organization.accept("boss@example.com")
    assert "waits for the person" in desk.user("u1", ADA)


def test_in_another_edition_people_are_invited(desk, portal):
    portal.organization.invite(ADA)
    portal.organization.accept(ADA)
    assert "waits for the person" in desk.user("u2", BOB)


def test_who_shows_as_an_owner_late_is_noticed_by_the_second_look(make_desk, shared):
    desk = make_desk(default_owner="remove")
    desk.user("u1", ADA)
    shared.behaviour.owners_by_default = False
    member = shared.organization.accept(ADA)
    assert "looked at once more" in desk.user("u1", ADA)
    shared.organization.team(OWNERS).users.append(member.id)
    desk.later(minutes=2)
    desk.user("u1", ADA)
    assert owners(shared) == set()


def test_who_is_made_an_owner_by_hand_later_is_not_the_gateways_business(make_desk, portal):
    desk = make_desk(default_owner="remove")
    desk.member("u1", ADA)
    portal.organization.team(OWNERS).users.append(portal.organization.member(ADA).id)
    assert desk.user("u1", ADA) is None
    assert owners(portal) == {ADA}
    with pytest.raises(Forbidden, match="not managed"):
        desk.user("u1", ADA, active=False)
    with pytest.raises(Forbidden, match="not managed"):
        desk.remove_user("u1")
    assert portal.organization.find(ADA)


def test_an_owner_by_a_role_of_their_own_cannot_be_helped_by_a_team_and_is_shouted_about(make_desk, portal):
    desk = make_desk(default_owner="remove")
    desk.user("u1", ADA)
    portal.organization.accept(ADA).roles.append(portal.organization.role("Owner"))
    with pytest.raises(Unreachable, match="STILL IS AN OWNER"):
        desk.user("u1", ADA)


def test_who_is_added_at_once_is_looked_at_as_well(make_desk, shared):
    shared.organization.accounts.add(ADA)
    desk = make_desk(add_existing=True, default_owner="remove")
    desk.user("u1", ADA)
    assert shared.organization.find(ADA)
    assert owners(shared) == set()


def test_somebody_who_was_promoted_by_hand_does_not_stop_invitations(make_desk, portal):
    for email in (ADA, BOB):
        portal.organization.invite(email)
        portal.organization.accept(email)
    portal.organization.team(OWNERS).users.append(portal.organization.member(BOB).id)
    assert "waits for the person" in make_desk().user("u1", "eve@example.com")


def test_a_nested_owner_is_an_owner(make_desk, portal):
    portal.organization.invite(ADA)
    portal.organization.accept(ADA)
    for through_teams in (True, False):
        portal.behaviour.roles_through_teams = through_teams
        desk = make_desk()
        inner = portal.organization.make_team(f"deputies {through_teams}")
        portal.organization.team(OWNERS).teams.append(inner.id)
        email = f"{through_teams}@example.com"
        desk.member(email, email)
        portal.organization.team(inner.name).users.append(portal.organization.member(email).id)
        with pytest.raises(Forbidden, match="not managed"):
            desk.user(email, email, active=False)
