"""Memberships: the difference in one call, whoever is pending later, nested groups, teams of invitations."""

from __future__ import annotations

import pytest
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import Forbidden, InvalidValue

ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"


@pytest.fixture
def team(desk, portal):
    """Ada, Bob and Eve are members of the organization, Ada and Bob of the team ``readers``."""
    for id, email in (("u1", ADA), ("u2", BOB), ("u3", EVE)):
        desk.member(id, email)
    desk.group("g1", "readers")
    desk.members("g1", add=["u1", "u2"])
    portal.forget_calls()
    return desk


def inside(portal, name: str = "readers") -> set[str]:
    return portal.organization.emails(name)


def test_a_difference_is_one_call(team, portal):
    assert team.members("g1", add=["u3"], remove=["u1"]) == frozenset()
    assert inside(portal) == {BOB, EVE}
    assert len(portal.writes()) == 1


def test_no_member_is_read_to_change_one(team, portal):
    team.members("g1", add=["u3"])
    id = portal.organization.team("readers").id
    asked = [(call.method, call.path) for call in portal.calls]
    assert asked == [("GET", f"/v1/teams/{id}/identityRoles"), ("PATCH", f"/v1/teams/{id}")]


@pytest.mark.parametrize("accepted", [True, False])
def test_what_holds_already_is_fine(team, portal, accepted):
    portal.behaviour.repeated_members = accepted
    for _ in range(2):
        team.members("g1", add=["u1", "u3"], remove=["u2"])
        assert inside(portal) == {ADA, EVE}


def test_nothing_to_do_is_no_call(team, portal):
    team.members("g1")
    assert portal.writes() == []


def test_who_has_not_accepted_waits_and_the_others_do_not(team, portal):
    team.user("u4", "new@example.com")
    assert team.members("g1", add=["u3", "u4"]) == {"u4"}
    assert inside(portal) == {ADA, BOB, EVE}
    portal.organization.accept("new@example.com")
    team.user("u4", "new@example.com")
    assert team.members("g1", add=["u4"]) == frozenset()
    assert "new@example.com" in inside(portal)


def test_an_invitation_that_is_pending_grants_nothing(team, portal):
    team.user("u4", "new@example.com")
    team.members("g1", add=["u4"])
    assert portal.organization.pending("new@example.com").teams == []


def test_teams_that_are_known_go_with_the_invitation_and_are_joined_with_the_acceptance(desk, portal):
    desk.group("g1", "readers")
    desk.group("g2", "writers")
    desk.user("u1", ADA, groups=["g1", "g2"])
    assert portal.organization.emails("readers") == set()
    portal.organization.accept(ADA)
    assert inside(portal) == inside(portal, "writers") == {ADA}


def test_none_goes_with_it_where_that_is_configured(make_desk, portal):
    desk = make_desk(pending_teams="wait")
    desk.group("g1", "readers")
    desk.user("u1", ADA, groups=["g1"])
    assert portal.organization.pending(ADA).teams == []


def test_no_team_goes_with_it_that_has_become_privileged_or_was_deleted(desk, portal):
    for number, name in enumerate(("owners of everything", "deleted", "readers")):
        desk.group(f"g{number}", name)
    portal.organization.team("owners of everything").roles.append(portal.organization.role("Owner"))
    portal.organization.delete_team(portal.organization.team("deleted").id)
    desk.notes["g3"] = {"name": "not made yet", "making": True}
    desk.user("u1", ADA, groups=["g0", "g1", "g2", "g3"])
    assert portal.organization.pending(ADA).teams == [portal.organization.team("readers").id]


def test_an_invitation_that_is_refused_for_its_teams_is_sent_without_them(desk, portal):
    desk.group("g1", "readers")
    portal.fail("status", "POST", "/v1/invitations", status=400)
    desk.user("u1", ADA, groups=["g1"])
    assert portal.organization.pending(ADA).teams == []


def test_nobody_who_moves_is_invited_into_teams_where_the_old_address_is(desk, portal):
    desk.member("u1", ADA)
    desk.group("g1", "readers")
    desk.members("g1", add=["u1"])
    desk.user("u1", "new@example.com", groups=["g1"], managed=["readers"])
    assert portal.organization.pending("new@example.com").teams == []


def test_a_team_that_is_taken_away_before_the_acceptance_is_not_joined(desk, portal):
    desk.group("g1", "readers")
    desk.user("u1", ADA, groups=["g1"])
    desk.members("g1", remove=["u1"])
    desk.user("u1", ADA)
    portal.organization.accept(ADA)
    assert inside(portal) == set()
    desk.settled("u1", ADA)


@pytest.mark.parametrize("switch", ["apply", "ignore", "refuse"])
def test_teams_are_asked_for_by_address_where_that_is_configured_and_still_looked_after(make_desk, portal, switch):
    portal.behaviour.pending_by_email = switch
    desk = make_desk(pending_teams="email")
    desk.user("u1", ADA)
    desk.group("g1", "readers")
    assert desk.members("g1", add=["u1"]) == {"u1"}
    portal.organization.accept(ADA)
    assert inside(portal) == ({ADA} if switch == "apply" else set())
    desk.user("u1", ADA)
    assert desk.members("g1", add=["u1"]) == frozenset()
    assert inside(portal) == {ADA}


@pytest.mark.parametrize("switch", ["apply", "ignore", "refuse"])
def test_a_removal_also_reaches_the_teams_of_an_invitation(make_desk, portal, switch):
    desk = make_desk()
    desk.group("g1", "readers")
    desk.group("g2", "writers")
    portal.organization.invite(ADA, teams=("readers", "writers"))
    desk.user("u1", ADA, adoptable=True)
    portal.behaviour.pending_by_email = switch
    desk.members("g1", remove=["u1"])
    # Where the team cannot be taken from it, the invitation goes, and another one comes when the person is looked at.
    assert [one.state for one in portal.organization.invitations.values()] == [
        "Pending" if switch == "apply" else "Revoked"
    ]
    desk.user("u1", ADA, groups=["g2"])
    portal.organization.accept(ADA)
    assert (inside(portal), inside(portal, "writers")) == (set(), {ADA})
    desk.settled("u1", ADA, groups=["g2"])


def test_nobody_is_invited_by_being_taken_out_of_a_team(desk, portal):
    """Whether somebody is to be invited at all is decided where the person is worked on, and there alone."""
    for name in ("readers", "writers"):
        desk.group(name, name)
    desk.user("u1", ADA, groups=["readers", "writers"])
    desk.members("readers", remove=["u1"])
    assert [one.state for one in portal.organization.invitations.values()] == ["Revoked"]


def test_a_removal_reaches_an_invitation_that_no_note_knows_yet(desk, portal):
    for name in ("readers", "writers"):
        desk.group(name, name)
    desk.user("u1", ADA, groups=["readers", "writers"])
    desk.members("readers", remove=["u1"])
    old = desk.notes["u1"]
    desk.user("u1", ADA, groups=["writers"])
    new, desk.notes["u1"] = desk.notes["u1"], old  # a change of the team that read it before
    desk.members("writers", remove=["u1"])
    assert [one.state for one in portal.organization.invitations.values()] == ["Revoked", "Revoked"]
    desk.notes["u1"] = new
    desk.user("u1", ADA)
    portal.organization.accept(ADA)
    assert (inside(portal), inside(portal, "writers")) == (set(), set())


def test_who_is_taken_out_of_a_team_while_being_invited_is_invited_without_it(desk, portal):
    desk.group("g1", "readers")
    invite, groups = portal.organization._invite, ["g1"]

    def raced(*given):
        groups.clear()
        return invite(*given)

    portal.organization._invite = raced
    desk.user("u1", ADA, groups=groups)
    assert [(one.state, len(one.teams)) for one in portal.organization.invitations.values()] == [
        ("Revoked", 1),
        ("Pending", 0),
    ]
    portal.organization.accept(ADA)
    assert inside(portal) == set()


def test_a_team_that_an_unseen_invitation_led_into_is_left_when_the_person_joins(desk, portal):
    desk.group("g1", "readers")
    desk.user("u1", ADA, groups=["g1"])
    portal.organization.accept(ADA)
    assert inside(portal) == {ADA}
    desk.user("u1", ADA, managed=["readers"])
    assert inside(portal) == set()


def test_somebody_who_joins_while_the_team_is_taken_from_the_invitation_is_looked_at_again(desk, portal):
    desk.group("g1", "readers")
    portal.organization.invite(ADA, teams=("readers",))
    desk.user("u1", ADA, adoptable=True)
    revoke = portal.organization.revoke_invitation

    def raced(id):
        portal.organization.accept(ADA)
        revoke(id)

    portal.organization.revoke_invitation = raced
    with pytest.raises(Unreachable, match="joined in the meantime"):
        desk.members("g1", remove=["u1"])
    desk.user("u1", ADA, adoptable=True)
    desk.members("g1", remove=["u1"])
    assert inside(portal) == set()


def test_a_nested_group_is_a_team_in_a_team(desk, portal):
    desk.group("g1", "outer")
    desk.group("g2", "inner")
    desk.members("g1", add=["g2"])
    assert portal.organization.team("outer").teams == [portal.organization.team("inner").id]
    desk.members("g1", remove=["g2"])
    assert portal.organization.team("outer").teams == []
    assert desk.target.nests


def test_where_nesting_is_off_the_gateway_flattens(make_desk):
    assert not make_desk(nested_groups=False).target.nests


def test_a_circle_of_teams_is_refused_in_words_and_the_rest_is_done(desk, portal):
    desk.member("u1", ADA)
    for id, name in (("g1", "outer"), ("g2", "inner")):
        desk.group(id, name)
    desk.members("g1", add=["g2"])
    with pytest.raises(InvalidValue, match="a team cannot be in itself"):
        desk.members("g2", add=["g1", "u1"])
    assert inside(portal, "inner") == {ADA}


def test_a_member_who_was_removed_by_hand_stops_nobody_else(team, portal):
    portal.organization.remove_member(EVE)
    team.member("u4", "new@example.com")
    with pytest.raises(Unreachable, match="not a member of the organization any more"):
        team.members("g1", add=["u3", "u4"], remove=["u1"])
    assert ADA not in inside(portal)
    assert team.members("g1", add=["u4"]) == frozenset()
    assert inside(portal) == {BOB, "new@example.com"}


def test_a_removal_that_the_api_refuses_is_never_given_up(team, portal):
    portal.fail("status", "PATCH", status=400, times=2)
    with pytest.raises(Unreachable, match="does not take members out"):
        team.members("g1", remove=["u1"])
    team.members("g1", remove=["u1"])
    assert inside(portal) == {BOB}


def test_a_team_that_was_deleted_by_hand_has_nobody_in_it(team, portal):
    portal.organization.delete_team(portal.organization.team("readers").id)
    assert team.members("g1", add=["u3"], remove=["u1"]) == {"u3"}


def test_a_team_that_is_not_there_yet_is_waited_for(desk):
    desk.notes["g1"] = {"name": "readers", "making": True}
    with pytest.raises(Unreachable, match="not there yet"):
        desk.members("g1")


@pytest.mark.parametrize(
    "fault",
    [
        {"how": "lost"},
        {"how": "half-body"},
        {"how": "no-json"},
        {"how": "wrong-json"},
        {"how": "status", "status": 500, "effect": True},
        {"how": "status", "status": 503, "effect": True},
    ],
)
def test_a_change_whose_answer_was_lost_is_seen_to_hold(team, portal, fault):
    portal.fail(method="PATCH", **fault)
    team.members("g1", add=["u3"], remove=["u1"])
    assert inside(portal) == {BOB, EVE}
    assert len(portal.writes()) == 1


@pytest.mark.parametrize("fault", [{"how": "cut"}, {"how": "status", "status": 500}, {"how": "status", "status": 503}])
def test_a_change_that_did_not_arrive_is_unreachable_and_done_by_the_next_call(team, portal, fault):
    portal.fail(method="PATCH", **fault)
    with pytest.raises(Unreachable):
        team.members("g1", add=["u3"], remove=["u1"])
    assert inside(portal) == {ADA, BOB}
    team.members("g1", add=["u3"], remove=["u1"])
    assert inside(portal) == {BOB, EVE}


def test_a_team_that_holds_rights_over_the_organization_gets_nobody(team, portal):
    portal.organization.team("readers").roles.append(portal.organization.role("Owner"))
    with pytest.raises(Forbidden):
        team.members("g1", add=["u3"])
    assert inside(portal) == {ADA, BOB}


def test_members_are_told_apart_by_id_where_names_are_alike(team, portal):
    portal.organization.add_member("xada@example.com")
    team.members("g1", remove=["u1"])
    assert inside(portal) == {BOB}


@pytest.mark.parametrize("status", [400, 404])
def test_a_removal_is_done_although_whoever_comes_at_the_same_time_is_not_there_any_more(team, portal, status):
    portal.behaviour.missing_member = status
    portal.organization.remove_member(EVE)
    with pytest.raises(Unreachable, match="not a member of the organization any more"):
        team.members("g1", add=["u3"], remove=["u1"])
    assert inside(portal) == {BOB}


@pytest.mark.parametrize("status", [400, 404])
def test_a_removal_of_somebody_who_is_out_already_does_not_stop_the_others(team, portal, status):
    portal.behaviour.missing_member, portal.behaviour.repeated_members = status, False
    portal.organization.update_team(
        portal.organization.team("readers").id, {"removeMemberUserIDs": [portal.organization.member(ADA).id]}
    )
    assert team.members("g1", add=["u3"], remove=["u1", "u2"]) == frozenset()
    assert inside(portal) == {EVE}


def test_a_team_is_taken_for_deleted_only_when_it_is_not_there(team, portal):
    portal.fail("status", "GET", "identityRoles", status=404)
    with pytest.raises(Unreachable, match="does not find something of the team"):
        team.members("g1", remove=["u1"])
    team.members("g1", remove=["u1"])
    assert inside(portal) == {BOB}
