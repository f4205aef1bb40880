"""The address is the identity: how it is read, and how a person moves to another without more rights meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from portal_desk import person
from scim_gateway_provisioning.target import Unreachable
from scim_gateway_singlestore_portal.addresses import address_of, same
from scim_gateway_singlestore_portal.settings import PortalSettings

from scim_gateway.errors import Conflict, Forbidden, InvalidValue

OLD, NEW = "ada@example.com", "ada.lovelace@example.com"


def emails(portal) -> set[str]:
    return {member.email for member in portal.organization.members.values()} - {
        "owner@example.com",
        "keeper@example.com",
    }


def pending(portal) -> set[str]:
    return {one.email for one in portal.organization.invitations.values() if one.state == "Pending"}


@pytest.mark.parametrize(
    ("resource", "settings", "address"),
    [
        (person("Ada@Example.COM"), {}, "Ada@example.com"),
        ({"emails": [{"value": "h@a.com", "type": "home"}, {"value": "w@a.com", "type": "work"}]}, {}, "w@a.com"),
        ({"emails": [{"value": "w@a.com", "type": "work"}, {"value": "p@a.com", "primary": True}]}, {}, "p@a.com"),
        ({"userName": "x", "emails": [{"value": " a@a.com "}, {"value": "b@a.com"}]}, {}, "a@a.com"),
        ({"userName": "ada@a.com"}, {}, "ada@a.com"),
        ({"userName": "ada"}, {"email_domain": "a.com"}, "ada@a.com"),
        ({"userName": "ada@a.com", "emails": [{"value": "other@a.com"}]}, {"address": "username"}, "ada@a.com"),
    ],
)  # fmt: skip
def test_the_address_is_the_primary_email_or_made_of_the_user_name(resource: Any, settings: Any, address: str):
    assert address_of(resource, PortalSettings(**settings)) == address


@pytest.mark.parametrize(
    "email",
    [
        *("ada", "ada@localhost", "@example.com", "ada@", "ada@@example.com", "a da@example.com", "ada@-a.com"),
        *("ada@example.com\n", "ada\x00@example.com", "ada@exämple.com", "ada\u200b@example.com"),
        *('"a"@example.com', ".ada@example.com", "a..b@example.com", "a" * 65 + "@example.com"),
        *("a@" + "b" * 64 + ".com", "a@" + ".".join(["b" * 60] * 5)),
        *("ada@example.com,eve@example.com", "<ada@example.com>"),
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(email):
    if email == email.strip():
        with pytest.raises(InvalidValue, match="cannot be invited"):
            address_of(person(email), PortalSettings())
    else:
        assert address_of(person(email), PortalSettings()) == email.strip()


def test_a_user_without_an_address_is_told_which_setting_helps():
    with pytest.raises(InvalidValue, match="portal_email_domain"):
        address_of({"userName": "ada"}, PortalSettings())


def test_letter_case_does_not_make_another_person(desk):
    assert same("Ada@Example.com", "ada@example.com")
    name_key = desk.target.name_key
    assert name_key("User", "Ada@Example.com") == name_key("User", "ada@example.com")


def test_another_letter_case_is_no_other_address(desk, portal):
    desk.member("u1", OLD)
    writes = portal.writes()
    assert desk.user("u1", "Ada@EXAMPLE.com") is None
    assert portal.writes() == writes


def test_a_new_address_is_invited_and_the_old_member_stays_until_it_stands(desk, portal):
    desk.member("u1", OLD)
    assert "waits for the person" in desk.user("u1", NEW)
    assert emails(portal) == {OLD}
    assert pending(portal) == {NEW}
    portal.organization.accept(NEW)
    desk.settled("u1", NEW)
    assert emails(portal) == {NEW}
    assert "former" not in desk.notes["u1"]


def test_teams_of_the_gateway_move_with_the_person_each_in_one_call(desk, portal):
    desk.member("u1", OLD)
    for number in range(3):
        desk.group(f"g{number}", f"team {number}")
        desk.members(f"g{number}", add=["u1"])
    desk.user("u1", NEW, managed=["team 0", "team 1", "team 2"])
    new = portal.organization.accept(NEW)
    portal.forget_calls()
    desk.user("u1", NEW, managed=["team 0", "team 1", "team 2"])
    patches = [call for call in portal.calls if call.method == "PATCH"]
    assert len(patches) == 3
    assert all(
        call.body["addMemberUserIDs"] == [new.id] and len(call.body["removeMemberUserIDs"]) == 1 for call in patches
    )
    assert [portal.organization.emails(f"team {number}") for number in range(3)] == [{NEW}] * 3


def test_a_team_of_somebody_else_is_left_alone(desk, portal):
    desk.member("u1", OLD)
    portal.organization.make_team("by hand", emails=(OLD,))
    desk.user("u1", NEW, managed=[])
    portal.organization.accept(NEW)
    desk.settled("u1", NEW)
    assert portal.organization.emails("by hand") == set()
    assert [call for call in portal.calls if call.method == "PATCH"] == []


def test_at_no_time_is_the_pair_in_more_teams_than_before(desk, portal):
    desk.member("u1", OLD)
    desk.group("g1", "readers")
    desk.members("g1", add=["u1"])
    seen: list[set[str]] = []
    update = portal.organization.update_team

    def watched(id, change):
        update(id, change)
        seen.append(portal.organization.emails("readers"))

    portal.organization.update_team = watched
    desk.user("u1", NEW, managed=["readers"])
    desk.members("g1", add=["u1"])
    portal.organization.accept(NEW)
    desk.settled("u1", NEW, managed=["readers"])
    desk.members("g1", add=["u1"])
    assert seen == [{NEW}, {NEW}]


def test_while_the_new_address_waits_a_removal_reaches_the_old_member(desk, portal):
    desk.member("u1", OLD)
    desk.group("g1", "readers")
    desk.members("g1", add=["u1"])
    desk.user("u1", NEW, managed=["readers"])
    desk.members("g1", remove=["u1"])
    assert portal.organization.emails("readers") == set()


def test_while_the_new_address_waits_a_deactivation_takes_both_out(desk, portal):
    desk.member("u1", OLD)
    desk.user("u1", NEW)
    desk.user("u1", NEW, active=False)
    assert emails(portal) == set()
    assert pending(portal) == set()


def test_an_address_that_was_only_invited_is_revoked_when_the_new_one_is_invited(desk, portal):
    desk.user("u1", OLD)
    desk.user("u1", NEW)
    assert pending(portal) == {NEW}
    assert [call.split()[0] for call in portal.writes()] == ["POST", "POST", "DELETE"]


def test_back_to_the_old_address_revokes_the_new_invitation_and_changes_nothing_else(desk, portal):
    desk.member("u1", OLD)
    desk.user("u1", NEW)
    assert desk.user("u1", OLD) is None
    assert (emails(portal), pending(portal)) == ({OLD}, set())
    assert "former" not in desk.notes["u1"]


def test_a_chain_of_addresses_keeps_the_member_who_has_the_rights(desk, portal):
    desk.member("u1", OLD)
    desk.group("g1", "readers")
    desk.members("g1", add=["u1"])
    desk.user("u1", NEW, managed=["readers"])
    desk.user("u1", "third@example.com", managed=["readers"])
    assert (emails(portal), pending(portal)) == ({OLD}, {"third@example.com"})
    portal.organization.accept("third@example.com")
    desk.settled("u1", "third@example.com", managed=["readers"])
    assert emails(portal) == {"third@example.com"}
    assert portal.organization.emails("readers") == {"third@example.com"}


def test_an_address_that_was_accepted_unseen_in_a_chain_is_taken_out(desk, portal):
    desk.member("u1", OLD)
    desk.user("u1", NEW)
    portal.organization.accept(NEW)
    desk.user("u1", "third@example.com")
    assert emails(portal) == {OLD}


def test_a_person_who_changed_the_address_of_the_account_is_matched_without_an_invitation(desk, portal):
    desk.member("u1", OLD)
    portal.organization.member(OLD).email = NEW
    writes = portal.writes()
    assert desk.user("u1", NEW) is None
    assert portal.writes() == writes
    assert desk.notes["u1"]["name"] == NEW


@pytest.mark.parametrize("configured", [False, True])
def test_a_new_address_that_is_a_member_already_is_matched_where_that_is_allowed(make_desk, portal, configured):
    desk = make_desk(match_members=configured)
    desk.member("u1", OLD)
    desk.group("g1", "readers")
    desk.members("g1", add=["u1"])
    portal.organization.add_member(NEW)
    assert desk.user("u1", NEW, adoptable=not configured, managed=["readers"]) is None
    assert emails(portal) == {NEW}
    assert portal.organization.emails("readers") == {NEW}


def test_a_new_address_that_is_somebody_elses_is_refused_and_nothing_changes(desk, portal):
    desk.member("u1", OLD)
    portal.organization.add_member(NEW)
    with pytest.raises(Conflict):
        desk.user("u1", NEW)
    assert emails(portal) == {OLD, NEW}
    assert desk.user("u1", OLD) is None
    assert emails(portal) == {OLD, NEW}


def test_somebody_elses_address_that_was_asked_for_in_vain_is_not_touched_by_a_deactivation(desk, portal):
    desk.member("u1", OLD)
    portal.organization.add_member(NEW)
    with pytest.raises(Conflict):
        desk.user("u1", NEW)
    desk.user("u1", NEW, active=False)
    assert emails(portal) == {NEW}
    desk.remove_user("u1")
    assert emails(portal) == {NEW}


def test_an_owner_is_not_moved(desk, portal):
    desk.member("u1", OLD)
    portal.organization.team("Organization Owners").users.append(portal.organization.member(OLD).id)
    with pytest.raises(Forbidden, match="holds the role"):
        desk.user("u1", NEW)
    assert pending(portal) == set()


@pytest.mark.parametrize("step", range(1, 14))
@pytest.mark.parametrize("how", ["cut", "lost"])
def test_a_move_that_is_cut_at_any_step_is_finished_by_the_next_try(desk, portal, step, how):
    desk.member("u1", OLD)
    desk.group("g1", "readers")
    desk.members("g1", add=["u1"])
    for email, accepted in ((NEW, False), (NEW, True)):
        if accepted:
            portal.organization.accept(NEW)
        portal.fail(how, skip=step, times=20)
        try:
            desk.user("u1", email, managed=["readers"])
        except Unreachable:
            assert len(portal.organization.emails("readers")) <= 1
        portal.faults.clear()
        desk.target.transport._breaker.answered()
        desk.user("u1", email, managed=["readers"])
    desk.settled("u1", NEW, managed=["readers"])
    desk.members("g1", add=["u1"])
    assert emails(portal) == {NEW}
    assert portal.organization.emails("readers") == {NEW}
    assert len([one for one in portal.organization.invitations.values() if one.email == NEW]) == 1
