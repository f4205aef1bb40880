"""A company that has accounts and groups in the target already: it begins without losing or changing any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.listed_target import Account, ListTarget, Team
from reconciled import Compared, foreign, short
from scim_gateway_provisioning import survey
from scim_gateway_provisioning.adoption import ListedAdoption
from scim_gateway_provisioning.context import SLICE

from scim_gateway.errors import InvalidValue, NotFound


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Compared]:
    world = Compared(tmp_path)
    with world.by_hand() as listing:
        for name in ("ann", "bob", "root"):
            foreign(listing, name)
        foreign(listing, "staff", group=True)
        listing.groups["staff"].members |= {"ann", "bob", "root"}
    yield world
    world.close()


def adopt(world: Compared, kind: str, *names: str, patterns: tuple[str, ...] = (), **more: bool) -> dict[str, str]:
    answers = world.backend.adopt(world.target.name, kind, names, patterns, **more)
    return {answer.name: answer.state for answer in answers}


def test_what_is_not_listed_is_not_taken_over(world):
    status, _ = world.core.refused("POST", "/Users", {"schemas": [], "userName": "ann"})
    assert status == 409
    assert world.target.listing.users["ann"].owner is None
    assert world.core.json("GET", "/Users")["totalResults"] == 0


def test_what_is_listed_is_taken_over_when_the_identity_provider_sends_it(world):
    assert adopt(world, "User", "ann", "root", "nobody") == {"ann": "listed", "root": "protected", "nobody": "absent"}
    with world.by_hand() as listing:
        listing.users["ann"].sessions = 1
    user = world.core.user("ann")
    account = world.target.listing.users["ann"]
    assert (account.owner, account.active, account.sessions) == (user["id"], True, 1)
    assert "ann" in world.target.listing.groups["staff"].members, "a group that is not the gateway's is left alone"
    assert world.core.refused("POST", "/Users", {"schemas": [], "userName": "bob"})[0] == 409
    assert world.core.refused("POST", "/Users", {"schemas": [], "userName": "root"})[0] == 403


def test_what_is_listed_and_never_sent_stays_as_it_is(world):
    before = world.target.listing.users["ann"]
    adopt(world, "User", "ann")
    assert [short(step) for step in world.plan().steps if step.name == "ann"] == ["unmanaged User ann"]
    assert world.reconciler.reconcile().done == 0
    assert world.target.listing.users["ann"] == before


def test_a_group_keeps_the_members_who_are_not_the_gateways_and_gets_those_of_the_directory(world):
    adopt(world, "User", "ann")
    adopt(world, "Group", "staff")
    ann, cid = world.core.user("ann"), world.core.user("cid")
    world.core.group("staff", cid)
    assert world.target.listing.groups["staff"].members == {"ann", "bob", "root", "cid"}
    steps = [(short(step), step.reason) for step in world.plan().steps if step.kind == "Membership"]
    assert steps == [
        ("remove Membership staff ann", "no member in the directory, given by hand"),
        ("unmanaged Membership staff bob", "a member who is not the gateway's"),
        ("protected Membership staff root", "protected: it is protected"),
    ]
    assert world.apply().left.to_do == []
    assert world.target.listing.groups["staff"].members == {"bob", "root", "cid"}
    assert world.core.get(ann)["active"]


def test_names_are_chosen_by_pattern_and_what_is_the_gateways_is_passed_over(world):
    world.core.user("alf")
    with world.by_hand() as listing:
        foreign(listing, "a[1]")
    assert adopt(world, "User", patterns=("a*", "r??t")) == {"a[1]": "listed", "ann": "listed", "root": "protected"}
    assert adopt(world, "User", "alf") == {"alf": "managed"}
    assert adopt(world, "User", patterns=("a[1]",)) == {"a[1]": "listed"}, "brackets are nothing special"


def test_a_dry_run_lists_nothing(world):
    assert adopt(world, "User", "ann", dry_run=True) == {"ann": "listed"}
    assert world.backend.adoptions() == []


def test_the_list_is_kept_by_target_and_kind_and_names_are_withdrawn(world):
    adopt(world, "User", "ann", "bob")
    adopt(world, "Group", "staff")
    adopt(world, "User", "ann")
    found = [(answer.kind, answer.name) for answer in world.backend.adoptions("list")]
    assert found == [("Group", "staff"), ("User", "ann"), ("User", "bob")]
    assert world.backend.withdraw("list", "User", ["ann", "nobody"]) == 1
    assert world.core.refused("POST", "/Users", {"schemas": [], "userName": "ann"})[0] == 409
    world.core.user("bob")


def test_names_are_told_apart_as_the_target_does(world):
    assert adopt(world, "User", "ANN") == {"ann": "listed"}
    world.core.user("ann")


def test_the_permission_ends_when_it_was_used(world):
    adopt(world, "User", "ann", "bob")
    user = world.core.user("ann")
    world.reconciler.reconcile()
    assert [answer.name for answer in world.backend.adoptions()] == ["bob"]
    world.core.json("DELETE", f"/Users/{user['id']}", expect=204)
    with world.by_hand() as listing:
        foreign(listing, "ann")
    assert world.core.refused("POST", "/Users", {"schemas": [], "userName": "ann"})[0] == 409


def test_a_directory_that_has_the_people_already_adopts_them_by_a_plan(tmp_path):
    old = Compared(tmp_path, ListTarget("old"))
    people = [old.core.user(name) for name in ("ann", "bob", "cid")]
    old.core.group("staff", *people[:2])
    old.core.patch(people[2], {"op": "replace", "path": "active", "value": False})
    world = Compared(tmp_path, ListTarget("new"))
    world.backend.drop("old")
    with world.by_hand() as listing:
        listing.users |= {name: Account(name, None) for name in ("ann", "cid", "dba")}
        listing.groups["staff"] = Team("staff", None, {"ann", "cid", "dba"})
    assert [step for step in world.steps() if step.startswith("unmanaged")] == [
        "unmanaged User ann", "unmanaged User cid", "unmanaged User dba", "unmanaged Group staff",
    ]  # fmt: skip
    assert adopt(world, "User", patterns=("*",)) == {"ann": "ready", "cid": "ready", "dba": "listed"}
    assert adopt(world, "Group", "staff") == {"staff": "ready"}
    plan = world.plan()
    assert [(short(step), step.reason) for step in plan.to_do] == [
        ("remove Membership staff cid", "a member who is inactive in the directory, not taken away yet"),
        ("change User ann", "exists already, listed for adoption"),
        ("change User cid", "active in the target, inactive in the directory, pending"),
        ("change User cid", "exists already, listed for adoption"),
        ("change Group staff", "exists already, listed for adoption"),
        ("add User bob", "missing, not made yet"),
        ("add Membership staff bob", "missing, not given yet"),
    ]
    assert world.reconciler.apply(plan.hash).left.to_do == []
    listing = world.target.listing
    assert (listing.users["ann"].owner, listing.users["cid"].active) == (people[0]["id"], False)
    assert listing.groups["staff"].members == {"ann", "bob", "dba"}
    assert listing.users["dba"].owner is None


def test_adoption_is_in_the_audit_trail(world):
    adopt(world, "User", "ann")
    world.backend.withdraw("list", "User", ["ann"])
    actions = [(event.action, event.detail["names"]) for event in world.backend.audit()]
    assert actions == [("allow adoption", ["ann"]), ("withdraw adoption", ["ann"])]


def test_an_unknown_target_or_kind_is_refused(world):
    with pytest.raises(NotFound, match="There is no target 'nowhere'"):
        world.backend.adopt("nowhere", "User", ["ann"])
    with pytest.raises(InvalidValue, match="neither User nor Group"):
        world.backend.adopt("list", "Robot", ["ann"])


def test_a_company_with_more_accounts_than_are_read_at_once_starts_without_losing_any(tmp_path):
    world = Compared(tmp_path)
    count, teams = 1100, 5
    assert count > survey.BATCH
    assert count / teams > SLICE
    with world.by_hand() as listing:
        for number in range(count):
            foreign(listing, f"u{number:04}")
        foreign(listing, "dba")
        for team in range(teams):
            foreign(listing, f"team{team}", group=True)
            listing.groups[f"team{team}"].members |= {f"u{number:04}" for number in range(team, count, teams)}
            listing.groups[f"team{team}"].members.add("dba")
    before = world.target.listing
    answers = world.backend.adopt("list", "User", [], ["u*"])
    assert [answer.state for answer in answers] == ["listed"] * count
    assert [answer.state for answer in world.backend.adopt("list", "Group", [], ["team*"])] == ["listed"] * teams
    assert world.nothing_to_do()
    people = [world.core.user(f"u{number:04}") for number in range(count)]
    assert world.nothing_to_do(), "people without groups lose none: those groups are not the gateway's yet"
    for team in range(teams):
        world.core.group(f"team{team}", *people[team::teams])
    plan = world.plan()
    assert plan.to_do == []
    assert [step.action for step in plan.steps] == ["unmanaged"] * (1 + teams), "the dba, and the dba in each group"
    assert world.reconciler.reconcile().done == 0
    after = world.target.listing
    assert {name for name, account in after.users.items() if account.owner} == before.users.keys() - {"dba"}
    assert all(account.active for account in after.users.values())
    assert {name: team.members for name, team in after.groups.items()} == {
        name: team.members for name, team in before.groups.items()
    }
    assert world.backend.adoptions() == []
    world.close()


def test_a_long_list_is_looked_up_in_batches(world):
    with world.by_hand() as listing:
        for number in range(1200):
            foreign(listing, f"x{number}")
    adopt(world, "User", patterns=("x*",))
    keys = {world.target.name_key("User", f"x{number}") for number in range(1300)}
    with world.context.database.session() as session:
        allowed = ListedAdoption("default").allowed(session, "list", "User", keys)
        other_tenant = ListedAdoption("other").allowed(session, "list", "User", keys)
    assert (len(allowed), len(other_tenant)) == (1200, 0)
