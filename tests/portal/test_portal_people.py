"""People in the organization: invited, joined, refused, removed, back again; the id of the directory never changes."""

from __future__ import annotations

import pytest
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import Conflict, Forbidden, InvalidValue

ADA = "ada@example.com"


def emails(portal) -> set[str]:
    return {member.email for member in portal.organization.members.values()}


def invited(portal, state: str = "Pending") -> list[str]:
    return [one.email for one in portal.organization.invitations.values() if one.state == state]


def test_a_new_user_is_invited_and_waited_for(desk, portal):
    waiting = desk.user("u1", ADA)
    assert waiting.startswith("invited on 20")
    assert "waits for the person to accept" in waiting
    assert invited(portal) == [ADA]
    assert portal.writes() == ['POST /v1/invitations {"email": "ada@example.com"}']


def test_looking_again_sends_no_second_invitation(desk, portal):
    for _ in range(3):
        desk.user("u1", ADA)
    assert len(portal.writes()) == 1


def test_who_accepts_is_the_same_user_and_a_member(desk, portal):
    desk.user("u1", ADA)
    member = portal.organization.accept(ADA)
    assert "has joined" in desk.user("u1", ADA)
    assert desk.notes["u1"]["user"] == member.id
    desk.later(minutes=2)
    assert desk.user("u1", ADA) is None
    assert len(portal.writes()) == 1


def test_an_accepted_invitation_that_shows_no_member_yet_is_waited_for(desk, portal):
    desk.user("u1", ADA)
    portal.behaviour.lag = 1
    portal.organization.accept(ADA)
    portal.organization.catch_up("invitations")
    assert "accepted the invitation, but is not shown" in desk.user("u1", ADA)
    assert "has joined" in desk.user("u1", ADA)
    assert len(portal.writes()) == 1


@pytest.mark.parametrize(("act", "word"), [("refuse", "REFUSED"), ("revoke", "REVOKED")])
def test_a_refused_or_revoked_invitation_is_an_error_that_says_what_to_do(desk, portal, act, word):
    desk.user("u1", ADA)
    getattr(portal.organization, act)(ADA)
    waiting = desk.user("u1", ADA)
    assert word in waiting
    assert "deactivated and activated again" in waiting
    assert len(portal.writes()) == 1


def test_after_a_refusal_a_deactivation_and_an_activation_invite_again(desk, portal):
    desk.user("u1", ADA)
    portal.organization.refuse(ADA)
    desk.user("u1", ADA, active=False)
    assert "waits for the person" in desk.user("u1", ADA)
    assert invited(portal) == [ADA]


def test_another_invitation_by_hand_after_a_refusal_is_waited_for(desk, portal):
    desk.user("u1", ADA)
    portal.organization.refuse(ADA)
    portal.organization.invite(ADA)
    assert "waits for the person" in desk.user("u1", ADA)
    portal.organization.accept(ADA)
    desk.settled("u1", ADA)


def test_an_invitation_that_expired_is_sent_again(desk, portal):
    desk.user("u1", ADA)
    portal.organization.expire(ADA)
    assert "a moment ago" in desk.user("u1", ADA)
    desk.later(minutes=60)
    assert "waits for the person" in desk.user("u1", ADA)
    assert invited(portal) == [ADA]
    assert len(portal.writes()) == 2


def test_an_expired_invitation_that_shows_as_revoked_is_told(desk, portal):
    portal.behaviour.expired = "revoked"
    desk.user("u1", ADA)
    portal.organization.expire(ADA)
    desk.later(minutes=60)
    assert "REVOKED" in desk.user("u1", ADA)


def test_deactivation_revokes_an_invitation(desk, portal):
    desk.user("u1", ADA)
    desk.user("u1", ADA, active=False)
    assert invited(portal) == []
    assert invited(portal, "Revoked") == [ADA]
    assert desk.notes["u1"] == {"left": ADA}


def test_deactivation_removes_a_member_and_sees_that_they_are_gone(desk, portal):
    desk.member("u1", ADA)
    portal.forget_calls()
    desk.user("u1", ADA, active=False)
    assert ADA not in emails(portal)
    after = [str(call.method) for call in portal.calls]
    assert "GET" in after[after.index("DELETE") :]
    assert desk.notes["u1"] == {"left": ADA}


def test_deletion_does_the_same(desk, portal):
    desk.member("u1", ADA)
    desk.user("u2", "bob@example.com")
    desk.remove_user("u1")
    desk.remove_user("u2")
    assert emails(portal) == {"owner@example.com", "keeper@example.com"}
    assert invited(portal) == []


def test_deactivation_and_deletion_of_somebody_who_is_gone_already_are_fine(desk, portal):
    desk.member("u1", ADA)
    portal.organization.remove_member(ADA)
    desk.user("u1", ADA, active=False)
    desk.user("u1", ADA, active=False)
    desk.remove_user("u1")
    assert [call for call in portal.writes() if "DELETE" in call] == []


def test_deactivation_also_reaches_who_accepted_since_the_last_look(desk, portal):
    desk.user("u1", ADA)
    portal.organization.accept(ADA)
    desk.user("u1", ADA, active=False)
    assert ADA not in emails(portal)


def test_deactivation_also_reaches_who_was_invited_again_by_hand(desk, portal):
    desk.member("u1", ADA)
    portal.organization.remove_member(ADA)
    portal.organization.invite(ADA)
    desk.user("u1", ADA, active=False)
    assert invited(portal) == []


def test_who_comes_back_by_hand_after_a_deactivation_is_taken_out_again(desk, portal):
    desk.member("u1", ADA)
    desk.user("u1", ADA, active=False)
    portal.organization.add_member(ADA)
    portal.organization.invite(ADA)
    desk.user("u1", ADA, active=False)
    assert ADA not in emails(portal)
    assert invited(portal) == []


def test_but_not_if_they_came_back_as_an_owner(desk, portal):
    desk.member("u1", ADA)
    desk.user("u1", ADA, active=False)
    portal.organization.add_member(ADA, teams=["Organization Owners"])
    with pytest.raises(Forbidden, match="holds the role"):
        desk.user("u1", ADA, active=False)
    assert ADA in emails(portal)


def test_a_deactivation_right_after_the_acceptance_reaches_also_who_was_made_an_owner_by_it(desk, portal):
    portal.behaviour.owners_by_default = True
    desk.user("u1", ADA)
    portal.organization.accept(ADA)
    desk.user("u1", ADA, active=False)
    assert ADA not in emails(portal)


def test_a_removal_that_is_not_seen_is_not_confirmed(desk, portal, one_look):
    desk.member("u1", ADA)
    portal.behaviour.lag, portal.behaviour.items_lag = 1000, True
    with one_look(), pytest.raises(Unreachable, match="still shown as a member"):
        desk.user("u1", ADA, active=False)
    portal.organization.catch_up()
    desk.user("u1", ADA, active=False)
    assert ADA not in emails(portal)


def test_a_list_that_is_a_little_behind_is_waited_for(desk, portal):
    desk.member("u1", ADA)
    portal.behaviour.lag, portal.behaviour.items_lag = 3, True
    desk.user("u1", ADA, active=False)
    assert ADA not in emails(portal)


def test_who_accepted_a_moment_ago_and_is_hidden_is_not_taken_for_gone(desk, portal):
    desk.user("u1", ADA)
    portal.behaviour.lag = 50
    portal.organization.accept(ADA)
    portal.organization.catch_up("invitations")
    with pytest.raises(Unreachable, match="accepted the invitation a moment ago"):
        desk.user("u1", ADA, active=False)
    portal.organization.catch_up()
    desk.user("u1", ADA, active=False)
    assert ADA not in emails(portal)


def test_nor_is_one_whose_invitation_was_found_by_the_address_alone(desk, portal):
    portal.organization.invite("other@example.com")
    portal.behaviour.sparse = True
    desk.user("u1", ADA)
    portal.behaviour.lag = 50
    portal.organization.accept(ADA)
    portal.organization.catch_up("invitations", after=1)
    with pytest.raises(Unreachable, match="accepted the invitation a moment ago"):
        desk.user("u1", ADA, active=False)
    portal.organization.catch_up()
    desk.user("u1", ADA, active=False)
    assert ADA not in emails(portal)


def test_reactivation_invites_again_and_the_person_joins_again(desk, portal):
    desk.member("u1", ADA)
    desk.user("u1", ADA, active=False)
    assert "waits for the person" in desk.user("u1", ADA)
    portal.organization.accept(ADA)
    desk.settled("u1", ADA)
    assert ADA in emails(portal)


def test_an_inactive_user_who_never_was_there_is_not_invited(desk, portal):
    assert desk.user("u1", ADA, active=False) is None
    assert portal.writes() == []
    assert desk.notes["u1"] == {}


def test_a_member_who_was_removed_by_hand_is_invited_again(desk, portal):
    desk.member("u1", ADA)
    portal.organization.remove_member(ADA)
    assert "waits for the person" in desk.user("u1", ADA)
    assert invited(portal) == [ADA]


def test_a_member_whom_the_gateway_did_not_invite_is_not_taken_over(desk, portal):
    portal.organization.add_member(ADA)
    with pytest.raises(Conflict, match="scim-gateway adopt"):
        desk.user("u1", ADA)
    desk.user("u1", ADA, active=False)
    assert ADA in emails(portal)
    assert portal.writes() == []


def test_a_member_who_is_listed_for_adoption_is_taken_over_without_an_invitation(desk, portal):
    portal.organization.add_member("Ada@Example.com")
    assert desk.user("u1", ADA, adoptable=True) is None
    assert portal.writes() == []
    desk.user("u1", ADA, active=False)
    assert "Ada@Example.com" not in emails(portal)


def test_every_member_is_taken_over_where_that_is_configured(make_desk, portal):
    portal.organization.add_member(ADA)
    assert make_desk(match_members=True).user("u1", ADA) is None


def test_an_invitation_by_somebody_else_is_not_taken_over_unless_adopted(desk, portal):
    portal.organization.invite(ADA)
    with pytest.raises(Conflict, match=r"invited .* already, not by the gateway"):
        desk.user("u1", ADA)
    assert "waits for the person" in desk.user("u1", ADA, adoptable=True)
    assert portal.writes() == []
    portal.organization.accept(ADA)
    desk.settled("u1", ADA)


def test_an_invitation_into_a_team_of_owners_is_not_taken_over(desk, portal):
    portal.organization.invite(ADA, teams=("Organization Owners",))
    with pytest.raises(Forbidden, match=r"has been invited into a team .* holds the role"):
        desk.user("u1", ADA, adoptable=True)


def test_two_members_with_one_address_are_nobodys(desk, portal):
    portal.organization.add_member(ADA)
    portal.organization.add_member("ADA@example.com")
    with pytest.raises(Conflict, match="two members"):
        desk.user("u1", ADA, adoptable=True)


@pytest.mark.parametrize("answer", [409, 400, 500, "old", "another"])
@pytest.mark.parametrize("sparse", [False, True])
def test_an_invitation_whose_answer_was_lost_is_found_and_not_repeated(make_desk, portal, answer, sparse):
    portal.behaviour.invite_pending, portal.behaviour.sparse = answer, sparse
    desk = make_desk()
    portal.fail("lost", "POST", "/v1/invitations")
    assert "waits for the person" in desk.user("u1", ADA)
    assert len(portal.writes()) == 1
    portal.organization.accept(ADA)
    desk.settled("u1", ADA)


@pytest.mark.parametrize("answer", [409, 400, 500, "old", "another"])
def test_an_invitation_whose_answer_was_lost_and_that_is_not_shown_yet_ends_well(desk, portal, answer):
    portal.behaviour.invite_pending = answer
    portal.organization.invite("other@example.com")
    portal.behaviour.lag = 2
    portal.fail("lost", "POST", "/v1/invitations")
    with pytest.raises(Unreachable):
        desk.user("u1", ADA)
    for _ in range(3):
        try:
            desk.user("u1", ADA)
        except Unreachable:
            continue
    assert "waits for the person" in desk.user("u1", ADA)
    desk.user("u1", ADA, active=False)
    portal.organization.catch_up()
    assert ADA not in invited(portal)


def test_an_invitation_without_an_id_in_the_answer_is_looked_up(desk, portal):
    portal.behaviour.sparse = True
    desk.user("u1", ADA)
    desk.user("u1", ADA)
    assert desk.notes["u1"]["invitation"] == portal.organization.pending(ADA).id
    assert len(portal.writes()) == 1


def test_an_invitation_that_is_refused_for_good_leaves_nothing_behind(desk, portal):
    portal.fail("status", "POST", "/v1/invitations", status=400, text="the domain is blocked\nby policy")
    with pytest.raises(InvalidValue, match=r"does not invite .*the domain is blocked by policy"):
        desk.user("u1", ADA)
    assert desk.notes["u1"] == {}
    assert invited(portal) == []


def test_somebody_with_an_account_is_added_at_once_where_that_is_configured(make_desk, portal):
    portal.organization.accounts.add(ADA)
    desk = make_desk(add_existing=True)
    assert "has joined" in desk.user("u1", ADA)
    assert portal.writes() == ['POST /v1/users {"email": "ada@example.com"}']
    desk.settled("u1", ADA)


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500])
def test_somebody_without_an_account_is_invited_all_the_same(make_desk, portal, status):
    portal.behaviour.add_unknown = status
    desk = make_desk(add_existing=True)
    assert "waits for the person" in desk.user("u1", ADA)
    assert invited(portal) == [ADA]


def test_somebody_who_was_added_without_an_answer_is_found(make_desk, portal):
    portal.organization.accounts.add(ADA)
    portal.fail("lost", "POST", "/v1/users")
    desk = make_desk(add_existing=True)
    assert "has joined" in desk.user("u1", ADA)
    assert len(portal.writes()) == 1


@pytest.mark.parametrize(
    ("mode", "folds"), [("whole", False), ("anywhere", True), ("value", False), ("ignored", False)]
)
def test_people_are_found_whatever_filters_mean(make_desk, portal, mode, folds):
    portal.behaviour.filters, portal.behaviour.filters_fold_case = mode, folds
    desk = make_desk()
    email = "Mary.O'Neil+x@example.com"
    portal.organization.add_member("maryxoxneilxx@example.com")
    desk.member("u1", email)
    desk.user("u1", email, active=False)
    assert emails(portal) == {"owner@example.com", "keeper@example.com", "maryxoxneilxx@example.com"}


def test_a_member_whose_address_changed_in_the_portal_is_told_and_not_touched(desk, portal):
    desk.member("u1", ADA)
    portal.organization.member(ADA).email = "new@example.com"
    writes = len(portal.writes())
    assert 'is "new@example.com" in the Portal by now' in desk.user("u1", ADA)
    assert len(portal.writes()) == writes
    desk.user("u1", ADA, active=False)
    assert "new@example.com" not in emails(portal)


def test_the_organization_is_the_one_that_is_meant(make_desk, portal):
    make_desk(organization="Example Ltd").user("u1", ADA)
    make_desk(organization=portal.organization.id).user("u2", "bob@example.com")
    with pytest.raises(Unreachable, match='belongs to the organization "Example Ltd"'):
        make_desk(organization="Another Ltd").user("u3", "eve@example.com")
