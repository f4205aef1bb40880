"""The circuit breaker: how removals are counted, when they are refused, and how they are let through."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from guarded import Guarded, created, deactivated, deleted, group, memberships, open_guarded, user
from scim_gateway_provisioning import guard
from scim_gateway_provisioning.breaker import BreakerOpen, Limits
from scim_gateway_provisioning.journal import Change
from scim_gateway_sql.tables import members, resources
from sqlalchemy import delete, insert, update

from scim_gateway.errors import Forbidden

FIVE = Limits(removals=5, share=10, minutes=60)
HOUR = 3_600_000
Open = Callable[[Limits], Guarded]


@pytest.fixture
def open_with(tmp_path: Path) -> Iterator[Open]:
    opened: list[Guarded] = []

    def open_(limits: Limits) -> Guarded:
        opened.append(open_guarded(tmp_path, limits=limits))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.fixture
def guarded(open_with: Open) -> Guarded:
    return open_with(FIVE)


def pass_time(guarded: Guarded, milliseconds: int) -> None:
    """What was counted is that much older now."""
    with guarded.write() as session:
        session.execute(update(guard.removals).values(recorded_ms=guard.removals.c.recorded_ms - milliseconds))
        session.execute(
            update(guard.guards).values(
                recorded_ms=guard.guards.c.recorded_ms - milliseconds,
                approved_until_ms=guard.guards.c.approved_until_ms - milliseconds,
            )
        )


def fill(guarded: Guarded, users: int, memberships: int = 0) -> None:
    """So many users in the directory, and so many memberships."""
    row = {"tenant": guarded.tenant, "kind": "User", "revision": "1", "created": "", "doc": b"{}"}
    with guarded.write() as session:
        if users:
            session.execute(insert(resources), [{**row, "id": f"x{number:06}"} for number in range(users)])
        if memberships:
            member = {"tenant": guarded.tenant, "group_id": "big"}
            session.execute(insert(members), [{**member, "member_id": f"x{each:06}"} for each in range(memberships)])


def delete_user(guarded: Guarded, id: str) -> None:
    """As the directory does it: the row goes first, and the breaker is asked at the end."""
    with guarded.write() as session:
        session.execute(delete(resources).where(resources.c.id == id))
        guarded.safeguards.recorded(session, [deleted("User", id)])


def leave(guarded: Guarded, first: int, last: int) -> None:
    """Some of the members of the group leave it."""
    ids = tuple(f"x{number:06}" for number in range(first, last))
    with guarded.write() as session:
        session.execute(delete(members).where(members.c.member_id.in_(ids)))
        guarded.safeguards.recorded(session, [memberships("big", removed=ids)])


def removed(guarded: Guarded, change: Callable[[int], Change], most: int = 1000) -> int:
    """How many changes went through until one was refused."""
    for number in range(most):
        try:
            guarded.change(change(number))
        except BreakerOpen:
            return number
    return most


KINDS: dict[str, Callable[[int], Change]] = {
    "deactivations": lambda number: deactivated(f"u{number}"),
    "deletions of users": lambda number: deleted("User", f"u{number}"),
    "deletions of groups": lambda number: deleted("Group", f"g{number}"),
    "memberships": lambda number: memberships("g", removed=(f"u{number}",)),
}


@pytest.mark.parametrize("change", KINDS.values(), ids=KINDS.keys())
def test_so_many_removals_go_through_and_no_more(guarded: Guarded, change: Callable[[int], Change]) -> None:
    assert removed(guarded, change) == 5
    assert removed(guarded, lambda number: change(number + 100)) == 0


def test_a_refusal_is_a_403_that_says_how_many_why_and_what_to_do(guarded: Guarded) -> None:
    removed(guarded, KINDS["deactivations"])
    with pytest.raises(BreakerOpen) as caught:
        guarded.change(deactivated("u9"))
    assert isinstance(caught.value, Forbidden)
    assert caught.value.status == 403
    detail = caught.value.detail
    assert "6 users and groups would have been removed within 60 minutes, and the limit is 5" in detail
    assert "nothing was changed" in detail
    assert "scim-gateway approve" in detail


def test_a_refusal_is_a_security_event(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    removed(guarded, KINDS["deactivations"])
    assert [record.levelno for record in caplog.records if record.name == "scim_gateway.security"] == [logging.WARNING]
    assert "circuit breaker: removal of 1 users and groups refused after 5 within 60 minutes, limit 5" in caplog.text


def test_nothing_of_a_refused_change_is_left(guarded: Guarded) -> None:
    removed(guarded, KINDS["deactivations"])
    before = len(guarded.events())
    for _ in range(3):
        with pytest.raises(BreakerOpen):
            guarded.change(memberships("g", removed=("u1",)), deactivated("u9"))
    assert len(guarded.events()) == before
    assert guarded.removals() == {"users and groups": 5, "memberships": 0}


def test_users_and_groups_are_counted_together_and_memberships_apart(guarded: Guarded) -> None:
    assert removed(guarded, KINDS["deactivations"], 3) == 3
    assert removed(guarded, KINDS["memberships"]) == 5
    assert removed(guarded, KINDS["deletions of groups"]) == 2


def test_one_request_that_takes_away_too_much_is_refused_as_a_whole(guarded: Guarded) -> None:
    ids = tuple(f"u{number}" for number in range(6))
    with pytest.raises(BreakerOpen) as caught:
        guarded.change(memberships("g", removed=ids))
    assert "6 memberships would have been removed" in caught.value.detail
    guarded.change(memberships("g", removed=ids[:5]))


@pytest.mark.parametrize(
    "change",
    [
        created("u1"),
        Change("User", "u1", user("u1", active=False), user("u1")),
        Change("User", "u1", user("u1"), user("u1", title="Boss")),
        Change("User", "u1", user("u1", active=False), user("u1", active=False, title="Boss")),
        Change("Group", "g1", group("g1", "a"), group("g1", "b")),
        memberships("g1", added=tuple(f"u{number}" for number in range(100))),
    ],
)
def test_what_takes_nothing_away_is_never_counted(guarded: Guarded, change: Change) -> None:
    for _ in range(20):
        guarded.change(change)
    assert guarded.removals() == {"users and groups": 0, "memberships": 0}


def test_a_user_who_was_active_without_a_word_counts_when_deactivated(guarded: Guarded) -> None:
    before = {name: value for name, value in user("u1").items() if name != "active"}
    guarded.change(Change("User", "u1", before, user("u1", active=False)))
    assert guarded.removals()["users and groups"] == 1


def test_the_same_removal_counts_once_however_often_and_in_whatever_way_it_is_asked_for(guarded: Guarded) -> None:
    for _ in range(10):
        guarded.change(deactivated("u1"))
        guarded.change(deleted("User", "u1"))
        guarded.change(memberships("g1", removed=("u1", "u2")))
    assert guarded.removals() == {"users and groups": 1, "memberships": 2}


def test_the_memberships_of_a_deleted_user_are_not_counted_besides(guarded: Guarded) -> None:
    groups = [memberships(f"g{number}", removed=("u1",)) for number in range(50)]
    guarded.change(*groups, deleted("User", "u1"))
    assert guarded.removals() == {"users and groups": 1, "memberships": 0}


def test_what_a_target_could_not_do_and_is_taken_back_is_not_counted(guarded: Guarded) -> None:
    for number in range(20):
        guarded.change(deleted("User", f"u{number}"), undone=True)
    assert guarded.removals()["users and groups"] == 0


def test_a_resource_that_no_target_knows_is_not_counted(guarded: Guarded) -> None:
    for number in range(20):
        guarded.change(deleted("Device", f"d{number}"))
    assert guarded.removals()["users and groups"] == 0


def test_an_operation_that_comes_to_nothing_is_not_counted(guarded: Guarded) -> None:
    for number in range(20):
        guarded.come_to_nothing(deactivated(f"u{number}"))
    assert removed(guarded, KINDS["deactivations"]) == 5


# The share


@pytest.mark.parametrize(("users", "limit"), [(30, 5), (50, 5), (60, 6), (1000, 100)])
def test_of_a_large_directory_a_share_may_go(guarded: Guarded, users: int, limit: int) -> None:
    fill(guarded, users)
    assert removed(guarded, KINDS["deactivations"]) == limit


def test_those_who_are_gone_belong_to_what_the_share_is_of(guarded: Guarded) -> None:
    fill(guarded, 100, 200)
    for number in range(10):
        delete_user(guarded, f"x{number:06}")
    with pytest.raises(BreakerOpen) as caught:
        delete_user(guarded, "x000010")
    assert "the limit is 10 (10 % of 100 users and groups)" in caught.value.detail


def test_the_share_of_memberships_is_one_of_all_memberships(guarded: Guarded) -> None:
    fill(guarded, 10, 200)
    with pytest.raises(BreakerOpen) as caught:
        leave(guarded, 0, 21)
    assert "the limit is 20 (10 % of 200 memberships)" in caught.value.detail
    leave(guarded, 0, 15)
    leave(guarded, 15, 20)
    with pytest.raises(BreakerOpen) as caught:
        leave(guarded, 20, 21)
    assert "21 memberships would have been removed" in caught.value.detail
    assert "the limit is 20 (10 % of 200 memberships)" in caught.value.detail


def test_a_directory_that_has_shrunk_is_counted_anew_before_anything_is_refused(open_with: Open) -> None:
    guarded = open_with(Limits(removals=2, share=50, minutes=60))
    with pytest.raises(BreakerOpen):
        guarded.change(deactivated("a"), deactivated("b"), deactivated("c"))
    fill(guarded, 20)
    guarded.change(deactivated("a"), deactivated("b"), deactivated("c"))


def test_a_share_of_nothing_leaves_the_number_alone(open_with: Open) -> None:
    guarded = open_with(Limits(removals=5, share=0, minutes=60))
    fill(guarded, 1000)
    assert removed(guarded, KINDS["deactivations"]) == 5


def test_switched_off_it_counts_nothing(open_with: Open) -> None:
    guarded = open_with(Limits(removals=0, share=10, minutes=60))
    assert removed(guarded, KINDS["deactivations"], 30) == 30
    assert guarded.removals()["users and groups"] == 0


# The window


def test_what_is_older_than_the_window_counts_no_more(guarded: Guarded) -> None:
    assert removed(guarded, KINDS["deactivations"], 3) == 3
    pass_time(guarded, HOUR // 2)
    assert removed(guarded, lambda number: deactivated(f"v{number}")) == 2
    pass_time(guarded, HOUR // 2 + 1000)
    assert removed(guarded, lambda number: deactivated(f"w{number}")) == 3


def test_the_same_removal_counts_again_in_another_window(guarded: Guarded) -> None:
    guarded.change(deactivated("u1"))
    pass_time(guarded, HOUR + 1000)
    guarded.change(deactivated("u1"))
    assert guarded.removals()["users and groups"] == 1


def test_what_counts_no_more_is_deleted_in_the_end(guarded: Guarded) -> None:
    removed(guarded, KINDS["deactivations"])
    pass_time(guarded, HOUR + 1000)
    guarded.change(deactivated("new"))
    with guarded.stolen() as database:
        assert database.execute("SELECT removal_key FROM scim_removal").fetchall() == [("User:new",)]


# Approval


def test_an_approval_lets_everything_through_for_a_while_and_is_recorded(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    removed(guarded, KINDS["deactivations"])
    assert "30 minutes" in guarded.safeguards.approve(30)
    assert removed(guarded, lambda number: deactivated(f"v{number}"), 50) == 50
    [event] = [event for event in guarded.events() if event.action == "approve"]
    assert (event.outcome, event.detail) == ("done", {"minutes": 30})
    assert "removals beyond the limit are approved for 30 minutes" in caplog.text


def test_after_an_approval_counting_begins_again(guarded: Guarded) -> None:
    removed(guarded, KINDS["deactivations"])
    guarded.safeguards.approve(10)
    removed(guarded, lambda number: deactivated(f"v{number}"), 50)
    pass_time(guarded, 11 * 60_000)
    assert removed(guarded, lambda number: deactivated(f"w{number}")) == 5


def test_an_approval_counts_in_every_process(guarded: Guarded) -> None:
    removed(guarded, KINDS["deactivations"])
    other = guarded.another()
    other.safeguards.approve(60)
    assert removed(guarded, lambda number: deactivated(f"v{number}"), 10) == 10


# What an operator is told


@pytest.mark.parametrize("change", KINDS.values(), ids=KINDS.keys())
def test_it_tells_that_it_holds_exactly_when_the_next_removal_would_be_refused(
    guarded: Guarded, change: Callable[[int], Change]
) -> None:
    assert removed(guarded, change, 4) == 4
    assert guarded.safeguards.removals_refused() is None
    guarded.change(change(4))
    told = guarded.safeguards.removals_refused()
    assert told is not None
    assert "5 " in told
    assert "within 60 minutes" in told
    assert "breaker_removals" in told
    assert removed(guarded, lambda number: change(number + 100)) == 0
    guarded.safeguards.approve(10)
    assert guarded.safeguards.removals_refused() is None
    pass_time(guarded, 11 * 60_000)
    assert guarded.safeguards.removals_refused() is None


def test_it_holds_by_the_share_of_a_large_directory(guarded: Guarded) -> None:
    fill(guarded, 100, 200)
    for number in range(10):
        assert guarded.safeguards.removals_refused() is None
        delete_user(guarded, f"x{number:06}")
    told = guarded.safeguards.removals_refused()
    assert told is not None
    assert "10 % of 100 users and groups" in told
    assert "memberships" not in told
    leave(guarded, 20, 40)
    assert "10 % of 200 memberships" in str(guarded.safeguards.removals_refused())


def test_what_is_switched_off_never_holds(open_with: Open) -> None:
    guarded = open_with(Limits(removals=0))
    removed(guarded, KINDS["deactivations"], 30)
    assert guarded.safeguards.removals_refused() is None


# A clock that is wrong


def test_a_clock_that_was_wrong_for_a_while_leaves_neither_an_open_breaker_nor_one_that_never_counts_down(
    guarded: Guarded,
) -> None:
    year = 365 * 24 * HOUR
    pass_time(guarded, -year)  # All that follows is recorded with a time in the future, until the clock is put right.
    guarded.change(created("u0"))
    with guarded.write() as session:
        row = {"tenant": guarded.tenant, "removal_kind": "inactive", "recorded_ms": int(time.time() * 1000) + year}
        session.execute(insert(guard.removals), [{**row, "removal_key": f"User:x{number}"} for number in range(50)])
        guard.set_approval(session, guarded.tenant, int(time.time() * 1000) + year)
    assert removed(guarded, KINDS["deactivations"]) == 5
    pass_time(guarded, HOUR + 1000)
    assert removed(guarded, lambda number: deactivated(f"v{number}")) == 5
    assert guarded.events()[-1].at < datetime.now(UTC) + timedelta(minutes=1)


# Exactly


def test_threads_and_processes_together_get_through_exactly_what_the_limit_is(open_with: Open) -> None:
    guarded = open_with(Limits(removals=20, share=0, minutes=60))
    processes = [guarded, guarded.another(), guarded.another()]
    through: list[int] = []

    def work(number: int) -> None:
        for turn in range(15):
            try:
                processes[number % 3].change(deactivated(f"u{number}-{turn}"))
            except BreakerOpen:
                continue
            through.append(turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(through) == 20
    assert guarded.removals()["users and groups"] == 20


def statements_of(guarded: Guarded, change: Change) -> list[str]:
    """The statements that a change costs beside the writing of the directory."""
    seen: list[str] = []
    with guarded.write() as session:
        connection: Any = session.connection.connection.driver_connection
        connection.set_trace_callback(seen.append)
        guarded.safeguards.recorded(session, [change])
        connection.set_trace_callback(None)
    return seen


def test_a_change_that_takes_nothing_away_costs_three_statements_for_audit_pause_and_breaker(guarded: Guarded) -> None:
    guarded.change(created("u0"))
    guarded.change(created("u1"))
    assert [statement.split()[0] for statement in statements_of(guarded, created("u2"))] == [
        "UPDATE",
        "SELECT",
        "INSERT",
    ]


def test_a_removal_does_not_count_the_directory_while_the_number_is_not_reached(guarded: Guarded) -> None:
    guarded.change(created("u0"))
    assert not [statement for statement in statements_of(guarded, deactivated("u1")) if "scim_resource" in statement]


# Plans


def test_a_plan_that_removes_much_needs_an_approval_and_says_why(guarded: Guarded) -> None:
    breaker = guarded.safeguards.breaker
    assert breaker.staged(5, 10) is None
    assert breaker.staged(100, 1000) is None
    assert breaker.staged(101, 1000) == (
        "The plan removes 101 of 1000 users, groups and memberships; without an approval it may remove 100 "
        "(10 % of 1000 users, groups and memberships)."
    )
    assert breaker.staged(6, 10, "users") == (
        "The plan removes 6 of 10 users; without an approval it may remove 5 (breaker_removals)."
    )


def test_switched_off_it_stages_no_plan(open_with: Open) -> None:
    assert open_with(Limits(removals=0)).safeguards.breaker.staged(10_000, 10_000) is None
