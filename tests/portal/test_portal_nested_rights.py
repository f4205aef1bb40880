"""Never an owner through a team in a team: who is in a team inside the owners' team is an owner as well."""

from __future__ import annotations

import pytest
import scim_gateway_singlestore_portal.sight
from doubles.portal.server import PortalDouble
from portal_desk import Desk

from scim_gateway.errors import Forbidden

ADA, BOB = "ada@example.com", "bob@example.com"
OWNERS = "Organization Owners"


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which team is inside which is read each time."""
    monkeypatch.setattr(scim_gateway_singlestore_portal.sight, "NESTING_SECONDS", 0.0)


@pytest.fixture(params=[True, False])
def staff(request: pytest.FixtureRequest, desk: Desk, portal: PortalDouble) -> Desk:
    """Ada and Bob are members, Ada of staff; roles are told with those of the teams, or are not."""
    portal.behaviour.roles_through_teams = request.param
    desk.member("u1", ADA)
    desk.member("u2", BOB)
    desk.group("g1", "staff")
    desk.members("g1", add=["u1"])
    return desk


def put_inside(portal: PortalDouble, inner: str, outer: str) -> None:
    """What an owner does in the Portal."""
    organization = portal.organization
    organization.team(outer).teams.append(organization.team(inner).id)


def test_a_team_inside_the_owners_team_gets_nobody(staff, portal):
    put_inside(portal, "staff", OWNERS)
    with pytest.raises(Forbidden, match=f'it is inside the team "{OWNERS}", which holds the role "Owner"'):
        staff.members("g1", add=["u2"])
    assert portal.organization.emails("staff") == {ADA}


def test_however_many_teams_are_between_them_and_whatever_gives_the_role(staff, portal):
    portal.organization.make_team("Friends", roles=("User Administrator",))
    portal.organization.make_team("between")
    put_inside(portal, "staff", "between")
    staff.members("g1", add=["u2"])
    put_inside(portal, "between", "Friends")
    for act in (
        lambda: staff.members("g1", remove=["u2"]),
        lambda: staff.group("g1", "crew"),
        lambda: staff.remove_group("g1"),
    ):
        with pytest.raises(Forbidden, match='inside the team "Friends", which holds the role "User Administrator"'):
            act()
    assert portal.organization.emails("staff") == {ADA, BOB}


def test_it_is_not_adopted_either(desk, portal):
    portal.organization.make_team("staff")
    put_inside(portal, "staff", OWNERS)
    with pytest.raises(Forbidden, match="inside the team"):
        desk.group("g1", "staff", adoptable=True)


def test_nobody_is_invited_into_it(staff, portal):
    put_inside(portal, "staff", OWNERS)
    staff.user("u3", "eve@example.com", groups=["g1"])
    assert portal.organization.pending("eve@example.com").teams == []


def test_a_team_inside_another_that_gives_no_rights_over_the_organization_is_managed(staff, portal):
    portal.organization.make_team("everybody")
    put_inside(portal, "staff", "everybody")
    put_inside(portal, "staff", "Organization Readers")
    staff.members("g1", add=["u2"])
    assert portal.organization.emails("staff") == {ADA, BOB}


def test_a_plan_shows_the_team_and_those_in_it_as_protected(staff, portal):
    put_inside(portal, "staff", OWNERS)
    inventory = staff.observe()
    protected = {one.name: one.protected for one in (*inventory.users.values(), *inventory.groups.values())}
    assert protected["staff"] == f"it is inside the team {OWNERS}"
    assert protected[ADA] == f"is in the team {OWNERS}"
    assert protected[BOB] is None


def test_what_is_inside_what_is_read_once_in_a_while(staff, portal, monkeypatch):
    monkeypatch.setattr(scim_gateway_singlestore_portal.sight, "NESTING_SECONDS", 3600.0)
    portal.forget_calls()
    for change in ({"add": ["u2"]}, {"remove": ["u2"]}, {"add": ["u2"]}):
        staff.members("g1", **change)
    assert [call.path for call in portal.calls].count("/v1/teams") <= 1


def test_a_team_that_was_deleted_meanwhile_holds_nothing(staff, portal, monkeypatch):
    portal.organization.make_team("everybody")
    put_inside(portal, "staff", "everybody")
    staff.members("g1", add=["u2"])
    monkeypatch.setattr(scim_gateway_singlestore_portal.sight, "NESTING_SECONDS", 3600.0)
    portal.organization.delete_team(portal.organization.team("everybody").id)
    assert staff.members("g1", remove=["u2"]) == frozenset()
    assert portal.organization.emails("staff") == {ADA}
