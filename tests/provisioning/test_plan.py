"""The comparison of a directory with what a target has: one behaviour a test, nothing read or written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from scim_gateway_provisioning.difference import NAME_TAKEN, Side, Survey, Wanted
from scim_gateway_provisioning.plan import compare, hash_of
from scim_gateway_provisioning.target import Inventory, Observed


def wanted(id: str, name: str | None = None, *, noted: str | None = "", **more: Any) -> Wanted:
    """A resource called like its id, noted under its name; ``noted=None``: never made."""
    name = name or id
    under = name if noted == "" else noted
    return Wanted(id, name, name.encode(), noted=None if under is None else under.encode(), **more)


def side(*resources: Wanted, gone: Mapping[str, str | None] = {}) -> Side:
    return Side(
        {resource.id: resource for resource in resources},
        {id: None if name is None else name.encode() for id, name in gone.items()},
    )


def survey(users: Side, groups: Side | None = None, **more: Any) -> Survey:
    return Survey(users, groups or side(), more.pop("members", {}), **more)


def seen(name: str, owner: str | None = None, **more: Any) -> Observed:
    return Observed(name, owner, **more)


def inventory(
    *users: Observed, groups: Iterable[Observed] = (), members: Mapping[str, Iterable[str]] | None = None
) -> Inventory:
    return Inventory(
        {user.name.encode(): user for user in users},
        {group.name.encode(): group for group in groups},
        {group.encode(): frozenset(name.encode() for name in names) for group, names in (members or {}).items()},
    )


def lines(survey: Survey, inventory: Inventory, **more: Any) -> list[str]:
    """The plan in short: action, kind, name, member, reason."""
    found = compare("t", survey, inventory, **more)
    assert all(difference.step.target == "t" for difference in found)
    return [
        " ".join(
            filter(None, (step.action, step.kind, step.name, step.member and f"+ {step.member}", f"({step.reason})"))
        )
        for step in (difference.step for difference in found)
    ]


def test_a_target_that_is_as_the_directory_wants_it_has_an_empty_plan():
    directory = survey(side(wanted("a"), wanted("b", active=False)), side(wanted("g")), members={"g": ["a"]})
    there = inventory(seen("a", "a"), seen("b", "b", active=False), groups=[seen("g")], members={"g": ["a"]})
    assert lines(directory, there) == []


def test_a_user_who_was_dropped_by_hand_is_added():
    assert lines(survey(side(wanted("a"))), inventory()) == ["add User a (missing, dropped by hand)"]


def test_a_user_who_was_never_made_is_added():
    directory = survey(side(wanted("a", noted=None, settled=False)))
    assert lines(directory, inventory()) == ["add User a (missing, not made yet)"]


def test_one_who_is_inactive_and_was_never_made_is_not_missed():
    assert lines(survey(side(wanted("a", noted=None, active=False))), inventory()) == []


def test_one_who_is_inactive_and_was_made_is_missed():
    assert lines(survey(side(wanted("a", active=False))), inventory()) == ["add User a (missing, dropped by hand)"]


def test_a_lock_that_was_taken_off_by_hand_is_put_back_and_is_a_revocation():
    (difference,) = compare("t", survey(side(wanted("a", active=False))), inventory(seen("a", "a")))
    assert difference.step.reason == "active in the target, inactive in the directory, changed by hand"
    assert (difference.step.action, difference.resource, difference.revokes) == ("change", "a", True)


def test_a_lock_that_was_put_on_by_hand_is_taken_off_and_is_no_revocation():
    (difference,) = compare("t", survey(side(wanted("a"))), inventory(seen("a", "a", active=False)))
    assert difference.step.reason == "inactive in the target, active in the directory, changed by hand"
    assert not difference.revokes


def test_a_deactivation_that_is_pending_says_so():
    directory = survey(side(wanted("a", active=False, settled=False)))
    assert lines(directory, inventory(seen("a", "a"))) == [
        "change User a (active in the target, inactive in the directory, pending)"
    ]


def test_a_user_who_stands_under_an_old_name_is_renamed_not_added_and_removed():
    directory = survey(side(wanted("u1", "new", noted="old", settled=False)))
    assert lines(directory, inventory(seen("old", "u1"))) == ["change User old (to be called new, pending)"]
    assert lines(directory, inventory(seen("old"))) == ["change User old (to be called new, pending)"], "without marks"


@pytest.mark.parametrize("noted", [None, "other"])
def test_what_carries_the_mark_and_was_not_noted_is_noted(noted):
    (difference,) = compare("t", survey(side(wanted("a", noted=noted, settled=False))), inventory(seen("a", "a")))
    assert (difference.step.action, difference.step.reason) == ("change", "made, not noted yet")
    assert (difference.resource, difference.stands) == ("a", "a")


def test_what_was_left_over_under_an_earlier_name_is_settled():
    directory = survey(side(wanted("u1", "new")))
    assert lines(directory, inventory(seen("old", "u1"), seen("new", "u1"))) == [
        "change User old (left over under an earlier name)"
    ]


def test_the_mark_decides_where_mark_and_note_disagree():
    """u1 gave the name away and u2 took it: what stands there is u2's, whatever the note of u1 says."""
    directory = survey(side(wanted("u1", "one", noted="two"), wanted("u2", "two")))
    assert lines(directory, inventory(seen("two", "u2"))) == ["add User one (missing, dropped by hand)"]


def test_one_account_does_not_stand_for_two_users():
    directory = survey(side(wanted("u1", "x"), wanted("u2", "y", noted="x")))
    assert lines(directory, inventory(seen("x"))) == ["add User y (missing, dropped by hand)"]


def test_what_the_directory_deleted_is_removed_by_its_mark_or_by_its_note():
    directory = survey(side(gone={"a": None, "b": "b"}))
    assert lines(directory, inventory(seen("a", "a"), seen("b"))) == [
        "remove User a (not wanted in the target any more)",
        "remove User b (not wanted in the target any more)",
    ]


def test_what_carries_the_mark_of_nobody_is_removed_as_left_over():
    (difference,) = compare("t", survey(side()), inventory(seen("a", "lost")))
    assert (difference.step.action, difference.step.id) == ("remove", None)
    assert (difference.left_over, difference.resource) == ("lost", None)


def test_what_the_gateway_did_not_make_is_told_and_not_touched():
    found = compare("t", survey(side()), inventory(seen("dba"), groups=[seen("admins")], members={"admins": ["dba"]}))
    assert [(d.step.action, d.step.name, d.to_do) for d in found] == [
        ("unmanaged", "dba", False),
        ("unmanaged", "admins", False),
    ]


def test_a_foreign_account_of_a_wanted_name_is_told_with_what_can_be_done():
    directory = survey(side(wanted("a", noted=None)), side(wanted("g")), members={"g": ["a"]})
    assert lines(directory, inventory(seen("a"), groups=[seen("g")])) == [
        f"unmanaged User a ({NAME_TAKEN})",
    ]


def test_a_foreign_account_that_is_listed_is_adopted_as_the_directory_wants_it():
    directory = survey(
        side(wanted("a", noted=None, adoptable=True), wanted("b", noted=None, adoptable=True, active=False)),
        side(wanted("g", noted=None, adoptable=True)),
        members={"g": ["a"]},
    )
    there = inventory(seen("a"), seen("b"), groups=[seen("g")], members={"g": ["b", "dba"]})
    assert lines(directory, there) == [
        "remove Membership g + b (a member who is inactive in the directory, not taken away yet)",
        "change User a (exists already, listed for adoption)",
        "change User b (active in the target, inactive in the directory, pending)",
        "change User b (exists already, listed for adoption)",
        "change Group g (exists already, listed for adoption)",
        "add Membership g + a (missing, not given yet)",
        "unmanaged Membership g + dba (a member who is not the gateway's)",
    ]


def test_a_protected_account_is_told_and_not_touched_whoever_made_it():
    directory = survey(
        side(wanted("a", active=False), wanted("b", noted=None, adoptable=True), gone={"c": None}),
        side(wanted("g")),
        members={"g": ["b"]},
    )
    root = {"protected": "holds SUPER"}
    there = inventory(
        seen("a", "a", **root), seen("b", **root), seen("c", "c", **root), seen("d", "lost", **root), seen("e", **root),
        groups=[seen("g")], members={"g": ["a", "e"]},
    )  # fmt: skip
    found = compare("t", directory, there)
    assert {d.step.action for d in found} == {"protected"}
    assert [d.to_do for d in found] == [False] * 7
    reasons = {(d.step.name, d.step.member): d.step.reason for d in found}
    assert reasons["a", None] == "protected: holds SUPER; active in the target, inactive in the directory"
    assert reasons["b", None] == "protected: holds SUPER; the directory has one of this name"
    assert reasons["c", None] == "protected: holds SUPER; not wanted in the target any more"
    assert reasons["g", "a"] == "protected: holds SUPER; a member who is inactive in the directory"
    assert reasons["g", "e"] == "protected: holds SUPER"


def test_members_of_a_protected_group_are_told_and_not_changed():
    directory = survey(side(wanted("a"), wanted("b")), side(wanted("g")), members={"g": ["a"]})
    there = inventory(seen("a"), seen("b"), groups=[seen("g", protected="built in")], members={"g": ["b"]})
    assert lines(directory, there) == [
        "protected Membership g + a (protected: built in; missing)",
        "protected Membership g + b (protected: built in; no member in the directory)",
    ]


@pytest.mark.parametrize("mark", [None, "a"])
def test_what_stands_for_a_resource_that_may_not_be_managed_is_told_and_not_touched(mark):
    people = Side(unfit={"a": (b"a", "names have at most 5 characters")})
    directory = survey(people, side(wanted("g")), members={"g": ["a"]})
    assert lines(directory, inventory(seen("a", mark), groups=[seen("g")], members={"g": ["a"]})) == [
        "unmanaged Membership g + a (a member who is not the gateway's)",
        "protected User a (names have at most 5 characters)",
    ]


@pytest.mark.parametrize("wanted_active", [True, False])
def test_a_user_whose_state_cannot_be_told_is_as_the_directory_wants_it(wanted_active):
    directory = survey(side(wanted("a", active=wanted_active)))
    assert lines(directory, inventory(seen("a", "a", active=None))) == []


def test_memberships_are_compared_both_ways_and_name_their_cause():
    directory = survey(
        side(*(wanted(name) for name in "abcd"), wanted("off", active=False)),
        side(wanted("g")),
        members={"g": ["a", "b"]},
        pending=frozenset({("g", "b"), ("g", "d")}),
    )
    there = inventory(
        *(seen(name) for name in "abcd"),
        seen("off", active=False),
        groups=[seen("g")],
        members={"g": ["c", "d", "off"]},
    )
    assert lines(directory, there) == [
        "remove Membership g + c (no member in the directory, given by hand)",
        "remove Membership g + d (no member in the directory, not taken away yet)",
        "remove Membership g + off (a member who is inactive in the directory, given by hand)",
        "add Membership g + a (missing, taken away by hand)",
        "add Membership g + b (missing, not given yet)",
    ]


def test_the_members_of_what_is_to_be_made_are_listed_too():
    directory = survey(
        side(wanted("a", noted=None, settled=False)), side(wanted("g", noted=None, settled=False)), members={"g": ["a"]}
    )
    assert lines(directory, inventory()) == [
        "add User a (missing, not made yet)",
        "add Group g (missing, not made yet)",
        "add Membership g + a (missing, not given yet)",
    ]


def test_memberships_end_with_the_account_or_the_group_and_are_not_listed_apart():
    directory = survey(side(gone={"a": "a"}), side(wanted("g"), gone={"h": "h"}))
    there = inventory(seen("a"), seen("lost", "lost"), groups=[seen("g"), seen("h")],
                      members={"g": ["a", "lost"], "h": ["a"]})  # fmt: skip
    assert [line.split(" (")[0] for line in lines(directory, there)] == [
        "remove User a", "remove User lost", "remove Group h",
    ]  # fmt: skip


def test_who_waits_for_an_invitation_is_neither_missing_nor_to_be_activated_but_can_be_deactivated():
    directory = survey(
        side(wanted("a", waiting=True), wanted("b", waiting=True), wanted("c", waiting=True, active=False)),
        side(wanted("g")),
        members={"g": ["a", "b"]},
    )
    there = inventory(seen("b", "b", active=False), seen("c", "c"), groups=[seen("g")])
    assert lines(directory, there) == [
        "change User c (active in the target, inactive in the directory, changed by hand)"
    ]


def test_nothing_is_concluded_about_what_is_being_changed():
    directory = survey(
        side(wanted("a"), wanted("b", active=False), wanted("c"), wanted("ok"), gone={"d": "d"}),
        side(wanted("g"), wanted("h")),
        members={"g": ["a", "c", "ok"], "h": ["ok"]},
        moving=frozenset({"a", "b", "d", "e", "h"}),
        moving_edges=frozenset({("g", "c")}),
    )
    there = inventory(seen("b", "b"), seen("c"), seen("d"), seen("e", "e"), seen("ok"), groups=[seen("g"), seen("h")],
                      members={"g": ["b", "ok"]})  # fmt: skip
    assert lines(directory, there) == []


def test_nested_groups_are_members_where_the_target_nests():
    directory = survey(side(wanted("a")), side(wanted("g"), wanted("h"), wanted("i")), members={"g": ["a", "h"]})
    groups = [seen("g"), seen("h"), seen("i"), seen("theirs")]
    there = inventory(seen("a"), groups=groups, members={"g": ["a", "i", "theirs"]})
    assert lines(directory, there, nests=True) == [
        "remove Membership g + i (no member in the directory, given by hand)",
        "add Membership g + h (missing, taken away by hand)",
        "unmanaged Group theirs (not the gateway's)",
        "unmanaged Membership g + theirs (a member who is not the gateway's)",
    ]


def test_removals_come_first_and_what_is_only_told_comes_last():
    directory = survey(side(wanted("a"), wanted("b", active=False), gone={"c": "c"}))
    actions = [d.step.action for d in compare("t", directory, inventory(seen("b"), seen("c"), seen("x")))]
    assert actions == ["remove", "change", "add", "unmanaged"]


def test_the_hash_is_that_of_the_steps_to_take():
    first = compare("t", survey(side(wanted("a"))), inventory())
    same = compare("t", survey(side(wanted("a", settled=False))), inventory(seen("dba")))
    assert hash_of(first) == hash_of(same), "neither the cause nor what is only told changes what is done"
    for other in (
        compare("u", survey(side(wanted("a"))), inventory()),
        compare("t", survey(side(wanted("b"))), inventory()),
        compare("t", survey(side(), side(wanted("a"))), inventory()),
        compare("t", survey(side(wanted("a"), wanted("b"))), inventory()),
        compare("t", survey(side(gone={"a": "a"})), inventory(seen("a"))),
        [],
    ):
        assert hash_of(first) != hash_of(other)


@pytest.mark.parametrize("marks", [True, False])
def test_the_order_in_which_things_are_read_does_not_change_the_plan(marks):
    names = [f"u{number}" for number in range(30)]
    there = [seen(name, name if marks else None, active=number % 3 > 0) for number, name in enumerate(names[5:])]
    forth = compare("t", survey(side(*map(wanted, names))), inventory(*there, seen("x")))
    back = compare("t", survey(side(*map(wanted, reversed(names)))), inventory(seen("x"), *reversed(there)))
    assert forth == back
    assert hash_of(forth) == hash_of(back)
