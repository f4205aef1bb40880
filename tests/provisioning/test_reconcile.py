"""Whole against whole: what was changed by hand is listed with its cause and mended, and nothing else is touched."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from core_client import USER
from doubles.listed_target import Account, ListTarget
from reconciled import Compared, foreign, short
from scim_gateway_provisioning import carry_out, turn
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.target import Unreachable
from scim_gateway_sql.lease import Held, Lease
from sqlalchemy import event
from sqlalchemy.engine import Engine

from scim_gateway.errors import Conflict, NotFound, Unavailable
from scim_gateway.provisioned import PlanMoved


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Compared]:
    world = Compared(tmp_path)
    yield world
    world.close()


@pytest.fixture
def open_another(tmp_path: Path) -> Iterator[Callable[..., Compared]]:
    """A function that opens the same directory once more, with another target or other settings."""
    with ExitStack() as stack:

        def another(*targets: ListTarget, **more: Any) -> Compared:
            opened = Compared(tmp_path, *targets, **more)
            stack.callback(opened.close)
            return opened

        yield another


def user_named(number: int) -> dict[str, object]:
    return {"schemas": [USER], "userName": f"u{number}", "displayName": f"d{number}"}


def active(value: bool) -> dict[str, object]:
    return {"op": "replace", "path": "active", "value": value}


def test_after_requests_there_is_nothing_to_do(world):
    people = [world.core.user(f"u{number}") for number in range(5)]
    world.core.group("staff", *people)
    world.core.patch(people[0], active(False))
    world.core.json("DELETE", f"/Users/{people[1]['id']}", expect=204)
    assert world.steps() == []


def test_what_was_changed_by_hand_is_listed_mended_and_gone_from_the_second_plan(world):
    people = [world.core.user(f"u{number}") for number in range(6)]
    world.core.group("staff", *people[:4])
    world.core.patch(people[5], active(False))
    with world.by_hand() as listing:
        del listing.users["u0"]
        listing.users["u1"].active = False
        listing.users["u5"].active = True
        listing.groups["staff"].members -= {"u0", "u2"}
        listing.groups["staff"].members |= {"u4", "u5"}
        foreign(listing, "dba")
        listing.groups["staff"].members.add("dba")
    plan = world.plan()
    assert [(short(step), step.reason) for step in plan.steps] == [
        ("remove Membership staff u4", "no member in the directory, given by hand"),
        ("remove Membership staff u5", "a member who is inactive in the directory, given by hand"),
        ("change User u1", "inactive in the target, active in the directory, changed by hand"),
        ("change User u5", "active in the target, inactive in the directory, changed by hand"),
        ("add User u0", "missing, dropped by hand"),
        ("add Membership staff u0", "missing, taken away by hand"),
        ("add Membership staff u2", "missing, taken away by hand"),
        ("unmanaged User dba", "not the gateway's"),
        ("unmanaged Membership staff dba", "a member who is not the gateway's"),
    ]
    told: list[tuple[int, int]] = []
    repair = world.reconciler.apply(plan.hash, lambda done, of: told.append((done, of)))
    assert (repair.done, repair.left.to_do, repair.problems) == (7, [], [])
    assert told[-1] == (7, 7)
    assert [short(step) for step in world.plan().steps] == ["unmanaged User dba", "unmanaged Membership staff dba"]
    listing = world.target.listing
    assert listing.groups["staff"].members == {"u0", "u1", "u2", "u3", "dba"}
    assert listing.users["u0"].active
    assert not listing.users["u5"].active
    assert listing.users["dba"].owner is None


def test_a_group_that_was_dropped_by_hand_comes_back_with_its_members(world):
    people = [world.core.user(f"u{number}") for number in range(3)]
    world.core.group("staff", *people)
    with world.by_hand() as listing:
        del listing.groups["staff"]
    assert world.steps() == ["add Group staff", *(f"add Membership staff u{number}" for number in range(3))]
    assert world.apply().left.to_do == []
    assert world.target.listing.groups["staff"].members == {"u0", "u1", "u2"}


def test_users_reached_through_nested_groups_are_members(world):
    ann, bob = world.core.user("ann"), world.core.user("bob")
    inner = world.core.group("inner", ann)
    outer = world.core.group("outer", inner, bob)
    world.core.patch(inner, {"op": "add", "path": "members", "value": [{"value": outer["id"]}]})
    assert world.steps() == []
    with world.by_hand() as listing:
        listing.groups["outer"].members.remove("ann")
        listing.groups["inner"].members.remove("bob")
    assert world.steps() == ["add Membership inner bob", "add Membership outer ann"]
    assert world.apply().left.to_do == []


def test_a_directory_that_never_had_a_target_is_brought_there(world, open_another):
    people = [world.core.user(f"u{number}") for number in range(3)]
    world.core.group("staff", *people)
    world.core.patch(people[2], active(False))
    other = open_another(ListTarget("new"))
    other.backend.drop("list")
    assert other.steps() == [
        "add User u0", "add User u1", "add User u2", "add Group staff",
        "add Membership staff u0", "add Membership staff u1",
    ]  # fmt: skip
    repair = other.apply()
    assert (repair.done, repair.left.to_do) == (6, [])
    assert other.steps() == []
    assert other.target.listing.groups["staff"].members == {"u0", "u1"}
    assert other.core.refused("POST", "/Users", {"schemas": people[0]["schemas"], "userName": "u0"})[0] == 409


def test_groups_that_a_setting_does_not_want_any_more_are_removed(world, open_another):
    world.core.group("staff", world.core.user("ann"))
    other = open_another(ListTarget(unwanted="sta"))
    other.target.store = world.target.store
    assert other.steps() == ["remove Group staff"]
    assert other.apply().left.to_do == []
    assert other.target.listing.groups == {}
    again = open_another()
    again.target.store = world.target.store
    assert again.steps() == ["add Group staff", "add Membership staff ann"]
    assert again.apply().left.to_do == []


def test_names_that_a_setting_makes_in_another_way_are_renames(world, open_another):
    world.core.group("staff", world.core.user("ann", displayName="Ann A."))
    other = open_another(ListTarget(attribute="displayName"))
    other.target.store = world.target.store
    (step,) = other.plan().steps
    assert (short(step), step.reason) == ("change User ann", "to be called Ann A., changed by hand")
    assert other.apply().left.to_do == []
    assert other.target.listing.groups["staff"].members == {"Ann A."}
    other.core.json("POST", "/Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "bob",
                                       "displayName": "ann"}, expect=201)  # fmt: skip


def test_a_setting_that_gives_many_people_other_names_waits_for_a_person(world, open_another):
    for number in range(3):
        world.core.json("POST", "/Users", user_named(number), expect=201)
    other = open_another(ListTarget(attribute="displayName"), limits=Limits(removals=2, share=0))
    other.target.store = world.target.store
    plan = other.plan()
    assert (plan.staged or "").startswith(
        "list: The plan removes or renames 3 of 3 users and groups; without an approv"
    )
    assert other.reconciler.reconcile().done == 0
    assert sorted(world.target.listing.users) == ["u0", "u1", "u2"]
    other.reconciler.approve(plan.hash, 60)
    assert other.reconciler.apply(plan.hash).left.to_do == []
    assert sorted(world.target.listing.users) == ["d0", "d1", "d2"]


def test_a_target_that_does_not_rename_keeps_the_names_that_stand_there(world, open_another):
    world.core.group("staff", world.core.user("ann", displayName="Ann A."))
    other = open_another(ListTarget(attribute="displayName"))
    other.target.store = world.target.store
    other.target.renames = False
    assert other.steps() == []


def test_a_directory_that_was_restored_finds_who_has_been_renamed_and_what_its_notes_do_not_know(world, tmp_path):
    ann, bob = world.core.user("ann"), world.core.user("bob")
    group = world.core.group("staff", ann)
    backup = (tmp_path / "backup.db", tmp_path / "scim-gateway.db")
    with closing(sqlite3.connect(backup[1])) as source, closing(sqlite3.connect(backup[0])) as copy:
        source.backup(copy)
    world.core.patch(ann, {"op": "replace", "path": "userName", "value": "anna"})
    world.core.json("DELETE", f"/Users/{bob['id']}", expect=204)
    world.core.patch(group, {"op": "add", "path": "members", "value": [{"value": world.core.user("cid")["id"]}]})
    (tmp_path / "restored").mkdir()
    shutil.copy(backup[0], tmp_path / "restored" / "scim-gateway.db")
    restored = Compared(tmp_path / "restored")
    restored.target.store = world.target.store
    plan = restored.plan()
    assert [(short(step), step.reason) for step in plan.to_do] == [
        ("remove User cid", "carries the gateway's mark, unknown to the directory"),
        ("change User anna", "to be called ann, changed by hand"),
        ("add User bob", "missing, dropped by hand"),
    ]
    assert restored.reconciler.reconcile().done == 0, "only a person may trust an old directory"
    assert restored.reconciler.apply(plan.hash).left.to_do == []
    assert sorted(restored.target.listing.users) == ["ann", "bob"]
    assert restored.target.listing.groups["staff"].members == {"ann"}
    restored.close()


def test_what_a_cut_rename_left_under_two_names_becomes_one_although_the_note_was_lost(world, tmp_path):
    ann = world.core.user("ann")
    world.core.group("staff", ann)
    with world.by_hand() as listing:
        listing.users["old"] = Account("old", ann["id"])
        listing.groups["staff"].members = {"old"}
    assert world.steps() == ["change User old", "add Membership staff ann"]
    assert world.apply().left.to_do == []
    assert sorted(world.target.listing.users) == ["ann"]
    assert world.target.listing.groups["staff"].members == {"ann"}


def test_a_resource_without_a_name_that_fits_is_told_and_what_stands_for_it_is_not_touched(world, open_another):
    world.core.user("a-rather-long-name")
    other = open_another(ListTarget(limit=5))
    other.target.store = world.target.store
    plan = other.plan()
    assert [short(step) for step in plan.steps] == ["protected User a-rather-long-name"]
    assert "at most 5 characters" in plan.warnings[0]
    assert plan.to_do == []


def test_an_account_that_became_protected_is_told_and_not_touched(world, open_another):
    ann = world.core.user("ann")
    world.core.group("staff", ann)
    other = open_another(ListTarget(protected=("ann",)))
    other.target.store = world.target.store
    with other.by_hand() as listing:
        listing.users["ann"].active = False
        listing.groups["staff"].members.clear()
    assert other.steps() == ["protected User ann"]
    assert other.plan().warnings[-1].startswith("list: User ")
    assert other.reconciler.reconcile().done == 0
    assert not other.target.listing.users["ann"].active


def test_somebody_inactive_who_came_to_be_an_administrator_by_hand_is_an_alarm(world, monkeypatch):
    ann = world.core.user("ann")
    world.core.patch(ann, active(False))
    with world.by_hand() as listing:
        listing.users["ann"].active = True
    monkeypatch.setattr(world.target, "_protected", ("root", "ann"))
    monkeypatch.setattr(world.target, "admit", lambda kind, name: None)
    alarm = "list: inactive in the directory and active in the target, but protected: ann. Lock them there by hand."
    for compare in (world.plan, world.reconciler.reconcile):
        compare()
        assert world.reconciler.latest()[0].problem == alarm
    assert world.plan().to_do == []
    assert world.plan().warnings == [alarm]


def test_the_progress_of_a_plan_is_that_of_reading(tmp_path, monkeypatch):
    monkeypatch.setattr("scim_gateway_provisioning.survey.BATCH", 5)
    world = Compared(tmp_path, ListTarget("one"), ListTarget("two"))
    for number in range(12):
        world.core.user(f"u{number}")
    told: list[tuple[int, int]] = []
    world.reconciler.plan(lambda done, of: told.append((done, of)))
    assert told == [(5, 24), (10, 24), (12, 24), (17, 24), (22, 24), (24, 24)]
    world.close()


def test_what_is_pending_is_part_of_the_plan_and_done_by_it(world):
    ann = world.core.user("ann")
    world.core.group("staff", ann)
    world.target.down()
    world.core.patch(ann, active(False), expect=503)
    with pytest.raises(Unavailable, match="list cannot be compared: It is down"):
        world.plan()
    world.target.up()
    plan = world.plan()
    assert ("change User ann", "active in the target, inactive in the directory, pending") in [
        (short(step), step.reason) for step in plan.steps
    ]
    assert world.apply().left.to_do == []
    assert not world.target.listing.users["ann"].active


def test_what_a_target_refuses_does_not_stop_the_rest(world, open_another):
    for name in ("ann", "bob", "cid"):
        world.core.user(name)
    other = open_another(ListTarget("new", refused="bob"))
    other.backend.drop("list")
    repair = other.apply()
    assert sorted(other.target.listing.users) == ["ann", "cid"]
    assert [short(step) for step in repair.left.to_do] == ["add User bob"]
    assert (repair.done, len(repair.problems)) == (2, 1)
    assert "new: User bob: new does not take the name bob" in repair.problems[0]


def test_a_target_that_goes_away_in_the_middle_is_a_problem_and_the_rest_follows_later(world, monkeypatch):
    monkeypatch.setattr(carry_out, "PORTION", 1)
    for number in range(4):
        world.core.user(f"u{number}")
    with world.by_hand() as listing:
        for name in ("u0", "u1", "u2"):
            del listing.users[name]
    plan = world.plan()
    world.target.fault("put_user", "before", lambda: None)
    world.target.fault("put_user", "before", Unreachable("The line was cut."))
    repair = world.reconciler.apply(plan.hash)
    assert repair.done == 1
    assert "The line was cut." in repair.problems[0]
    assert [short(step) for step in repair.left.to_do] == ["add User u1", "add User u2"]
    assert world.reconciler.apply(plan.hash).left.to_do == [], "the plan that was begun goes on"


def test_a_plan_that_moved_is_refused_and_says_what_moved(world):
    for name in ("ann", "bob", "cid"):
        world.core.user(name)
    with world.by_hand() as listing:
        del listing.users["ann"]
        del listing.users["bob"]
    plan = world.plan()
    with world.by_hand() as listing:
        listing.users["cid"].active = False
        listing.users["bob"] = Account("bob", next(s.id for s in plan.steps if s.name == "bob"))
    with pytest.raises(PlanMoved) as caught:
        world.reconciler.apply(plan.hash)
    assert [short(step) for step in caught.value.appeared] == ["change User cid"]
    assert [short(step) for step in caught.value.vanished or ()] == ["add User bob"]
    assert "ann" not in world.target.listing.users, "nothing was done"
    assert world.reconciler.apply(caught.value.plan.hash).left.to_do == []


def test_a_hash_that_nobody_was_shown_is_refused(world):
    world.core.user("ann")
    with world.by_hand() as listing:
        del listing.users["ann"]
    with pytest.raises(PlanMoved, match="it was not shown lately"):
        world.reconciler.apply("0123456789abcdef")
    assert world.target.listing.users == {}


def test_an_account_made_by_a_dba_between_plan_and_apply_is_no_other_plan(world):
    world.core.user("ann")
    with world.by_hand() as listing:
        del listing.users["ann"]
    plan = world.plan()
    with world.by_hand() as listing:
        foreign(listing, "dba")
    assert world.reconciler.apply(plan.hash).left.to_do == []


def test_a_plan_of_one_target_is_applied_to_that_target(tmp_path):
    world = Compared(tmp_path, ListTarget("one"), ListTarget("two"))
    world.core.user("ann")
    for target in world.targets:
        with world.by_hand(target) as listing:
            del listing.users["ann"]
    plan = world.reconciler.plan(target="two")
    assert [step.target for step in plan.steps] == ["two"]
    assert world.reconciler.apply(plan.hash).left.to_do == []
    assert [list(target.listing.users) for target in world.targets] == [[], ["ann"]]
    with pytest.raises(NotFound, match="There is no target 'three'; there are: one, two"):
        world.reconciler.plan(target="three")
    world.close()


def test_removals_beyond_the_limit_need_an_approval(tmp_path):
    world = Compared(tmp_path, limits=Limits(removals=2, share=10))
    people = [world.core.user(f"u{number}") for number in range(9)]
    for user in people:
        world.core.patch(user, active(False))
    with world.by_hand() as listing:
        for name in ("u0", "u1", "u2"):
            listing.users[name].active = True
    plan = world.plan()
    assert "removes 3 of 9" in (plan.staged or "")
    with pytest.raises(Conflict, match=f"scim-gateway approve {plan.hash}"):
        world.reconciler.apply(plan.hash)
    repair = world.reconciler.reconcile()
    assert (repair.done, repair.left.staged) == (0, plan.staged)
    assert "Nothing was changed in list" in repair.problems[0]
    assert world.target.listing.users["u0"].active
    with pytest.raises(NotFound, match="No plan abc was shown"):
        world.reconciler.approve("abc", 60)
    assert plan.hash in world.reconciler.approve(plan.hash, 60)
    assert world.reconciler.apply(plan.hash).left.to_do == []
    assert not any(account.active for account in world.target.listing.users.values())
    world.close()


def test_an_approval_ends_after_its_time_and_is_for_that_plan_alone(tmp_path):
    world = Compared(tmp_path, limits=Limits(removals=1, share=1))
    for number in range(6):
        world.core.patch(world.core.user(f"u{number}"), active(False))

    def unlock(*names: str) -> None:
        with world.by_hand() as listing:
            for name in names:
                listing.users[name].active = True

    unlock("u0", "u1")
    first = world.plan()
    world.reconciler.approve(first.hash, 0)
    with pytest.raises(Conflict, match="approve"):
        world.reconciler.apply(first.hash)
    world.reconciler.approve(first.hash, 60)
    unlock("u2")
    with pytest.raises(PlanMoved):
        world.reconciler.apply(first.hash)
    with pytest.raises(Conflict, match="approve"):
        world.reconciler.apply(world.plan().hash)
    world.close()


def test_a_target_that_suddenly_shows_much_less_is_not_believed_without_an_approval(world):
    for number in range(5):
        world.core.user(f"u{number}")
    with world.by_hand() as listing:
        listing.users.clear()
    plan = world.plan()
    assert "None of 5 users and groups that were there is to be seen any more" in (plan.staged or "")
    repair = world.reconciler.reconcile()
    assert (repair.done, world.target.listing.users) == (0, {})
    world.reconciler.approve(plan.hash, 60)
    assert world.reconciler.apply(plan.hash).done == 5


@pytest.mark.parametrize("kind", ["users", "memberships"])
def test_many_that_are_missing_are_not_believed(world, kind):
    people = [world.core.user(f"u{number:02}") for number in range(30)]
    world.core.group("staff", *people)
    with world.by_hand() as listing:
        for number in range(11):
            if kind == "users":
                del listing.users[f"u{number:02}"]
            listing.groups["staff"].members.discard(f"u{number:02}")
    assert f"11 of 30 {kind} that were there are not to be seen any more" in (world.plan().staged or "")


def test_a_target_that_does_not_show_everything_is_an_error_and_no_plan(world):
    world.core.user("ann")
    world.target.fault("observe", "before", Unreachable("The canary is not to be seen."))
    with pytest.raises(Unavailable, match="The canary is not to be seen"):
        world.plan()


def test_what_a_lost_row_left_over_is_removed_by_a_person_not_by_the_gateway_itself(world):
    world.core.user("ann")
    with world.by_hand() as listing:
        listing.users["lost"] = Account("lost", "00000000-0000-0000-0000-000000000000")
        del listing.users["ann"]
    repair = world.reconciler.reconcile()
    assert (repair.done, sorted(world.target.listing.users)) == (0, ["lost"])
    assert "restored from a backup" in repair.problems[0]
    assert world.steps() == ["remove User lost", "add User ann"]
    assert world.apply().left.to_do == []
    assert sorted(world.target.listing.users) == ["ann"]


def test_what_came_to_be_known_between_comparison_and_removal_stays(world, monkeypatch):
    with world.by_hand() as listing:
        listing.users["lost"] = Account("lost", "some-id")
    plan = world.plan()
    real = carry_out.carry_out

    def known_meanwhile(context, comparison, alive, progress):
        world.core.user("lost2")
        id = world.core.json("GET", "/Users")["Resources"][0]["id"]
        with world.by_hand() as listing:
            listing.users["lost"].owner = id
        comparison.differences[0] = type(comparison.differences[0])(
            comparison.differences[0].step, comparison.differences[0].effect, left_over=id
        )
        return real(context, comparison, alive, progress)

    monkeypatch.setattr("scim_gateway_provisioning.reconcile.carry_out", known_meanwhile)
    world.reconciler.apply(plan.hash)
    assert "lost" in world.target.listing.users


def test_two_do_not_carry_out_at_once(world):
    world.core.user("ann")
    with turn.turn(world.context), pytest.raises(Conflict, match="Another process"):
        world.reconciler.reconcile(patience=0)
    assert world.reconciler.reconcile(patience=0).problems == []


def test_the_turn_is_kept_while_the_work_goes_on_and_given_up_afterwards(world, monkeypatch):
    monkeypatch.setattr(turn, "SECONDS", 6.0)
    renew, renewed, held = Lease.renew, threading.Event(), threading.Event()
    times: list[float] = []

    def timed(lease: Lease, before: Held) -> Held | None:
        after = renew(lease, before)
        times.append(after.until - before.until if after else 0.0)
        renewed.set()
        return after

    monkeypatch.setattr(Lease, "renew", timed)
    with turn.turn(world.context) as alive:
        assert renewed.wait(60)
        assert times[0] > 0
        alive()
        with pytest.raises(Conflict), turn.turn(world.context):
            held.set()
    assert not held.is_set()
    with turn.turn(world.context):
        held.set()
    assert held.is_set()


def test_who_lost_the_turn_stops_before_the_next_portion(world, monkeypatch):
    monkeypatch.setattr(carry_out, "PORTION", 1)
    for number in range(3):
        world.core.user(f"u{number}")
    with world.by_hand() as listing:
        for name in ("u0", "u1"):
            del listing.users[name]
    comparison = world.reconciler._compare(list(world.targets), None)[0]
    calls = iter([None, Conflict("Another process has taken over.")])

    def alive() -> None:
        if error := next(calls):
            raise error

    with pytest.raises(Conflict):
        carry_out.carry_out(world.context, comparison, alive, None)
    assert sorted(world.target.listing.users) == ["u0", "u2"]


def test_one_target_that_is_down_does_not_keep_the_gateway_from_mending_the_other(tmp_path):
    world = Compared(tmp_path, ListTarget("one"), ListTarget("two"))
    world.core.user("ann")
    with world.by_hand(world.targets[1]) as listing:
        del listing.users["ann"]
    world.targets[0].down()
    repair = world.reconciler.reconcile()
    assert (repair.done, repair.problems) == (1, ["one cannot be compared: It is down."])
    assert repair.unseen == ["one"]
    assert list(world.targets[1].listing.users) == ["ann"]
    one, two = world.reconciler.latest()
    assert (one.problem, two.problem) == ("one cannot be compared: It is down.", None)
    assert (two.counts["add"], two.counts["left"]) == (1, 0)
    world.close()


def test_a_plan_of_one_target_that_needs_an_approval_does_not_hold_up_the_other(tmp_path):
    world = Compared(tmp_path, ListTarget("one"), ListTarget("two"), limits=Limits(removals=2, share=10))
    for number in range(9):
        world.core.patch(world.core.user(f"u{number}"), active(False))
    for target, names in zip(world.targets, (("u0", "u1", "u2"), ("u3", "u4")), strict=True):
        with world.by_hand(target) as listing:
            for name in names:
                listing.users[name].active = True
    repair = world.reconciler.reconcile()
    assert repair.done == 2
    [problem] = repair.problems
    assert problem.startswith("Nothing was changed in one: one: The plan removes 3 of 9")
    assert [sum(account.active for account in target.listing.users.values()) for target in world.targets] == [3, 0]
    world.close()


def test_who_waits_for_an_invitation_is_no_difference(world):
    user = world.core.user("ann")
    world.target.invited.add(user["id"])
    world.core.group("staff", user)
    with world.by_hand() as listing:
        assert listing.groups["staff"].members == set()
    assert world.steps() == []


def test_a_plan_takes_as_many_statements_for_many_people_as_for_few(world):
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    def cost() -> int:
        statements.clear()
        calls = len(world.target.calls)
        world.plan()
        assert len(world.target.calls) == calls, "the target is only observed"
        return len(statements)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        people = [world.core.user("u0")]
        world.core.group("g0", *people)
        cost()  # the first one makes the row that the others change
        few = cost()
        people += [world.core.user(f"u{number}") for number in range(1, 80)]
        for number in range(1, 8):
            world.core.group(f"g{number}", *people)
        assert cost() == few
        assert few < 20
    finally:
        event.remove(Engine, "before_cursor_execute", count)
