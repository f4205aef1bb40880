"""Many who are invited: two lists tell who still waits, and only those of whom something is new are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.portal.server import PortalDouble
from portal_desk import Desk
from portal_world import PortalWorld
from scim_gateway_provisioning.target import Deadline, Unreachable
from scim_gateway_singlestore_portal.client import Client

from scim_gateway.errors import Forbidden

ADA, BOB, EVE, KAY = (f"{name}@example.com" for name in ("ada", "bob", "eve", "kay"))
OWNERS = "Organization Owners"


@pytest.fixture
def world(portal: PortalDouble, tmp_path: Path) -> Iterator[PortalWorld]:
    world = PortalWorld(portal, tmp_path)
    yield world
    world.close()


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """Ada, Bob and Eve are invited."""
    for id, email in (("u1", ADA), ("u2", BOB), ("u3", EVE)):
        desk.user(id, email)
    return desk


def still(desk: Desk) -> set[str]:
    return set(desk.target.still_waiting(Deadline(10), desk.notes))


def calls(world: PortalWorld) -> list[str]:
    """The calls of a round."""
    world.double.forget_calls()
    world.backend.settle_pending()
    return [f"{call.method} {call.path}" for call in world.double.calls]


def crowd(world: PortalWorld, people: int, groups: int) -> None:
    users = [world.person(f"p{number}@example.com") for number in range(people)]
    for number in range(groups):
        world.core.group(f"team {number}", *users[number::groups])
    world.backend.settle_pending()


# A round


def test_a_round_without_news_is_two_lists_whatever_the_size(world):
    crowd(world, 100, 10)
    assert calls(world) == ["GET /v1/invitations", "GET /v1/users"]
    world.double.organization.accept("p7@example.com")
    seen = calls(world)
    assert len(seen) <= 12, seen
    assert world.teams["team 7"] == {"p7@example.com"}
    world.double.organization.refuse("p8@example.com")
    seen = calls(world)
    assert len(seen) <= 15, seen
    # One more list each for those that ended: refused, revoked.
    world.look()
    assert sorted(calls(world)) == ["GET /v1/invitations"] * 3 + ["GET /v1/users"]


@pytest.mark.parametrize("number", [0, 3, 5])
def test_acceptance_is_noticed_in_the_next_round_and_the_team_given(world, number):
    crowd(world, 6, 2)
    email = f"p{number}@example.com"
    world.double.organization.accept(email)
    world.backend.settle_pending()
    assert email in world.teams[f"team {number % 2}"]
    world.check_equal()


def test_a_list_that_is_behind_costs_time_and_nothing_else(world, portal):
    crowd(world, 5, 1)
    portal.behaviour.lag = 3
    portal.organization.accept("p1@example.com")
    for _ in range(8):
        world.backend.settle_pending()
    portal.behaviour.lag = 0
    world.look()
    world.check_equal()
    assert world.teams["team 0"] == {"p1@example.com"}


@pytest.mark.parametrize("path", ["/v1/invitations$", "/v1/users$"])
def test_where_a_list_is_refused_all_are_looked_at_one_by_one_in_the_same_round(world, portal, path):
    crowd(world, 5, 1)
    portal.organization.accept("p1@example.com")
    portal.fail("status", "GET", path, status=400)
    seen = calls(world)
    assert len([call for call in seen if call.startswith("GET /v1/invitations/")]) == 4
    assert world.teams["team 0"] == {"p1@example.com"}


def test_who_becomes_an_owner_by_accepting_is_out_and_all_other_invitations_are_revoked(world, portal):
    portal.behaviour.owners_by_default = True
    crowd(world, 5, 1)
    portal.organization.accept("p3@example.com")
    world.backend.settle_pending()
    assert portal.organization.find("p3@example.com") is None
    world.backend.settle_pending()
    assert world.invited == set()
    assert portal.organization.emails(OWNERS) <= {"owner@example.com", "keeper@example.com"}


def test_where_that_is_chosen_a_new_owner_is_taken_out_of_the_team_in_the_next_round(portal, tmp_path):
    portal.behaviour.owners_by_default = True
    world = PortalWorld(portal, tmp_path, default_owner="remove")
    crowd(world, 5, 1)
    portal.organization.accept("p3@example.com")
    world.backend.settle_pending()
    assert "p3@example.com" not in portal.organization.emails(OWNERS)
    assert world.teams["team 0"] == {"p3@example.com"}
    assert len(world.invited) == 4
    world.close()


# What the lists tell


def test_who_is_invited_as_before_is_named(desk):
    assert still(desk) == {"u1", "u2", "u3"}


@pytest.mark.parametrize("what", ["accept", "refuse", "revoke", "expire"])
def test_who_is_not_invited_any_more_is_not_named(desk, portal, what):
    getattr(portal.organization, what)(BOB)
    assert still(desk) == {"u1", "u3"}


def test_who_is_a_member_as_well_as_invited_is_not_named(desk, portal):
    portal.organization.add_member(BOB.upper())
    assert still(desk) == {"u1", "u3"}


@pytest.mark.parametrize("what", ["refuse", "revoke"])
def test_who_refused_or_was_revoked_is_named_once_that_is_told_and_until_invited_again(desk, portal, what):
    getattr(portal.organization, what)(BOB)
    assert ("REFUSED" if what == "refuse" else "REVOKED") in str(desk.user("u2", BOB))
    assert still(desk) == {"u1", "u2", "u3"}
    portal.organization.invite(BOB)
    assert still(desk) == {"u1", "u3"}
    portal.organization.accept(BOB)
    assert still(desk) == {"u1", "u3"}


def test_who_refused_and_was_revoked_afterwards_is_not_named(desk, portal):
    invitation = portal.organization.pending(BOB)
    portal.organization.refuse(BOB)
    desk.user("u2", BOB)
    invitation.state = "Revoked"
    assert still(desk) == {"u1", "u3"}


def test_a_new_member_is_not_named_while_rights_may_come_late(desk, portal):
    portal.organization.accept(BOB)
    assert "looked at once more" in str(desk.user("u2", BOB))
    assert still(desk) == {"u1", "u3"}


def test_who_has_a_former_address_is_not_named(desk, portal):
    portal.organization.accept(BOB)
    desk.user("u2", BOB)
    desk.user("u2", KAY)
    assert portal.organization.pending(KAY)
    assert still(desk) == {"u1", "u3"}


def test_nobody_is_named_where_the_invitations_would_make_owners(desk, portal):
    portal.behaviour.owners_by_default = True
    portal.organization.accept(BOB)
    with pytest.raises(Forbidden):
        desk.user("u2", BOB)
    assert still(desk) == set()


def test_a_list_of_members_that_is_not_whole_is_not_believed(desk, monkeypatch):
    monkeypatch.setattr(Client, "members", lambda _self, _pattern=None: [])
    with pytest.raises(Unreachable, match="does not hold the owner"):
        still(desk)


def test_nothing_is_asked_about_members(desk, portal):
    for email in (ADA, BOB, EVE):
        portal.organization.accept(email)
    for id, email in (("u1", ADA), ("u2", BOB), ("u3", EVE)):
        desk.user(id, email)
    portal.forget_calls()
    assert still(desk) == set()
    assert portal.calls == []
