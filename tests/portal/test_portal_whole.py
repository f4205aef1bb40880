"""The whole organization: what is observed in three calls, who is protected there, and what ``check`` finds."""

from __future__ import annotations

import pytest
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.actor import Acting, Actor
from scim_gateway.errors import Forbidden

ADA, BOB = "ada@example.com", "bob@example.com"


def key(name: str) -> bytes:
    return name.encode()


def test_members_invitations_and_teams_are_three_calls_whatever_the_size(desk, portal):
    for number in range(40):
        portal.organization.add_member(f"user{number}@example.com")
    for number in range(10):
        portal.organization.make_team(f"team {number}", emails=tuple(f"user{n}@example.com" for n in range(number)))
    desk.observe()
    portal.forget_calls()
    seen = desk.observe()
    assert [call.path for call in portal.calls] == ["/v1/users", "/v1/invitations", "/v1/teams"]
    assert len(seen.users) == 42
    assert seen.members[key("team 9")] == {key(f"user{number}@example.com") for number in range(9)}


def test_who_is_invited_counts_as_being_there_in_the_teams_of_the_invitation(desk, portal):
    portal.organization.make_team("readers")
    portal.organization.invite(ADA, teams=("readers",))
    portal.organization.invite(BOB)
    portal.organization.refuse(BOB)
    seen = desk.observe()
    assert seen.users[key(ADA)].active
    assert key(BOB) not in seen.users
    assert seen.members[key("readers")] == {key(ADA)}


def test_protected_people_and_teams_are_marked_with_the_reason(make_desk, portal):
    portal.organization.add_member(ADA)
    portal.organization.add_member("robot@example.com", kind="ServiceAccount")
    portal.organization.add_member("ci@example.com", kind="CloudPrincipal")
    portal.organization.add_member("biller@example.com", teams=["Organization Billing Administrators"])
    portal.organization.add_member("reader@example.com", teams=["Organization Readers"])
    portal.organization.make_team("Readers")
    seen = make_desk(protected_users=("ada@*",)).observe()
    reasons = {observed.name: observed.protected for observed in seen.users.values()}
    assert reasons == {
        "owner@example.com": "is in the team Organization Owners",
        "keeper@example.com": "the gateway's API key is theirs",
        ADA: "portal_protected_users names them",
        "robot@example.com": "is no person (ServiceAccount)",
        "ci@example.com": "is no person (CloudPrincipal)",
        "biller@example.com": "is in the team Organization Billing Administrators",
        "reader@example.com": None,
    }
    assert seen.groups[key("readers")].protected is None
    assert seen.groups[key("organization owners")].protected == "it makes owners"
    assert seen.groups[key("example ltd")].protected == "it is named like the organization"


def test_a_privileged_team_of_another_name_is_known_once_its_roles_were_looked_at(desk, portal):
    portal.organization.add_member(ADA)
    portal.organization.make_team("Friends", emails=(ADA,), roles=("Owner",))
    assert desk.observe().groups[key("friends")].protected is None
    list(desk.target.check())
    seen = desk.observe()
    assert seen.groups[key("friends")].protected == "it holds the role Owner"
    assert seen.users[key(ADA)].protected == "is in the team Friends"


def test_two_with_one_name_are_told_and_left_alone(desk, portal):
    for email in (ADA, "ADA@example.com"):
        portal.organization.add_member(email)
    for name in ("readers", "Readers"):
        portal.organization.make_team(name)
    seen = desk.observe()
    assert seen.users[key(ADA)].protected == "two members have this address"
    assert seen.groups[key("readers")].protected == "two teams have this name"
    assert len(seen.warnings) == 2


def test_a_team_inside_a_team_is_a_member_where_the_gateway_nests(make_desk, portal):
    inner = portal.organization.make_team("inner")
    portal.organization.make_team("outer").teams.append(inner.id)
    assert make_desk().observe().members[key("outer")] == {key("inner")}
    assert make_desk(nested_groups=False).observe().members[key("outer")] == frozenset()


def test_a_list_without_the_owner_of_the_key_is_not_believed(desk, portal):
    desk.observe()
    portal.organization.shown = lambda kind, item=False: {}
    with pytest.raises(Unreachable, match="does not hold the owner of the API key"):
        desk.observe()


PROTECTED_PEOPLE = {
    "owner@example.com": "holds the role",
    "keeper@example.com": "the gateway's API key is theirs",
    "robot@example.com": "is no person",
    "friend@example.com": "holds the role",
    "direct@example.com": "holds the role",
}


@pytest.mark.parametrize("through_teams", [True, False])
@pytest.mark.parametrize(("email", "reason"), PROTECTED_PEOPLE.items())
def test_protected_people_are_neither_adopted_nor_removed(desk, portal, email, reason, through_teams):
    portal.behaviour.roles_through_teams = through_teams
    portal.organization.add_member("robot@example.com", kind="ServiceAccount")
    portal.organization.add_member("friend@example.com")
    portal.organization.make_team("Friends", emails=("friend@example.com",), roles=("Owner",))
    portal.organization.add_member("direct@example.com").roles.append(portal.organization.role("Owner"))
    with pytest.raises(Forbidden, match=reason):
        desk.user("u1", email, adoptable=True)
    desk.notes["u1"] = {"name": email, "user": portal.organization.member(email).id}
    with pytest.raises(Forbidden, match=reason):
        desk.user("u1", email, active=False)
    with pytest.raises(Forbidden, match=reason):
        desk.user("u1", "new@example.com")
    with pytest.raises(Forbidden, match=reason):
        desk.remove_user("u1")
    assert portal.organization.find(email)
    assert portal.writes() == []


def test_a_refusal_is_a_security_event_with_the_one_who_asked(desk, caplog):
    with Acting(Actor("okta", "request-7")), pytest.raises(Forbidden):
        desk.user("u1", "owner@example.com")
    (record,) = [record for record in caplog.records if record.name == "scim_gateway.security"]
    assert '"owner@example.com" is not managed' in record.getMessage()
    assert record.getMessage().endswith('Asked for by "okta", request "request-7"')


def found(desk) -> dict[str, tuple[bool, str]]:
    return {finding.subject: (finding.ok, finding.message) for finding in desk.target.check()}


def test_check_finds_an_organization_in_order(desk, portal):
    portal.organization.invite(ADA)
    portal.organization.accept(ADA)
    before = portal.organization.copied()
    findings = found(desk)
    assert portal.organization.copied() == before
    assert all(ok for ok, _ in findings.values())
    assert 'organization "Example Ltd"' in findings["portal"][1]
    assert '"keeper@example.com"' in findings["portal key"][1]
    assert findings["portal members"][1] == "3 members, 0 pending invitations, 8 teams"
    assert "becomes an ordinary member" in findings["portal default rights"][1]
    changing = [call for call in portal.calls if call.method != "GET"]
    assert {(call.method, call.status) for call in changing} == {("DELETE", 404)}, "what is not there is not removed"


@pytest.mark.parametrize("level", ["teams", "read"])
def test_check_says_that_the_key_may_not_do_everything(desk, portal, level):
    portal.organization.keys[portal.key].level = level
    findings = found(desk)
    ok, message = findings.pop("portal rights")
    assert not ok
    assert "does not permit DELETE /v1/invitations/" in message
    assert "an organization owner with full access" in message
    assert all(ok for ok, _ in findings.values())


def test_check_takes_an_api_that_fails_over_what_is_not_there_for_permitting_it(desk, portal):
    portal.fail("status", "DELETE", status=500, times=99)
    assert all(ok for ok, _ in found(desk).values())


def test_check_says_that_the_default_rights_are_not_known_where_nobody_has_accepted(desk):
    assert "not known" in found(desk)["portal default rights"][1]


def test_check_shouts_where_invited_people_become_owners(make_desk, portal):
    portal.behaviour.owners_by_default = True
    portal.organization.invite(ADA)
    portal.organization.accept(ADA)
    ok, message = found(make_desk())["portal default rights"]
    assert not ok
    assert "WHOEVER ACCEPTS AN INVITATION BECOMES AN OWNER" in message
    ok, message = found(make_desk(default_owner="remove"))["portal default rights"]
    assert ok
    assert "WHOEVER ACCEPTS AN INVITATION BECOMES AN OWNER" in message


def test_check_says_that_the_key_is_not_accepted_and_nothing_else(desk, portal):
    portal.organization.keys[portal.key].expires = portal.organization.now()
    findings = list(desk.target.check())
    assert [finding.ok for finding in findings] == [False]
    assert "wrong, revoked or expired" in findings[0].message
    assert portal.key not in findings[0].message


def test_check_says_that_the_owner_of_the_key_is_no_owner_of_the_organization(desk, portal):
    portal.organization.team("Organization Owners").users.remove(portal.organization.member("keeper@example.com").id)
    ok, message = found(desk)["portal key"]
    assert not ok
    assert "who is no owner" in message


def test_check_sees_clocks_that_differ(desk, portal):
    from datetime import timedelta

    portal.organization.clock_ahead = timedelta(minutes=-10)
    ok, message = found(desk)["portal clock"]
    assert not ok
    assert "behind ours" in message


def test_check_names_the_teams_that_are_privileged_by_their_roles(desk, portal):
    portal.organization.make_team("Friends", roles=("Owner",))
    assert '"Friends"' in found(desk)["portal protection"][1]
