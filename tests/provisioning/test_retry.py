"""The background thread: what is pending is tried again, in one process, in the order of what matters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import scim_gateway_provisioning.retry
from doubles.listed_target import ListTarget
from provisioned import World, provisioned, quick
from scim_gateway_provisioning.retry import retry_due
from scim_gateway_provisioning.tables import works
from scim_gateway_provisioning.target import Unreachable
from scim_gateway_provisioning.worker import Chore, Worker
from sqlalchemy import update

from scim_gateway.errors import InvalidValue

LOST = Unreachable("It is cut.")
NEVER = 2**53


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def deactivate(world: World, user: dict, expect: int = 200) -> None:
    world.core.patch(user, {"op": "replace", "path": "active", "value": False}, expect=expect)


# What is tried


def test_what_takes_rights_away_is_tried_first(world):
    users = [world.core.user(f"user{number}") for number in range(4)]
    world.target.fault("put_user", "before", LOST, times=1000)
    world.core.patch(users[0], {"op": "replace", "path": "title", "value": "x"}, expect=503)
    world.core.patch(users[1], {"op": "replace", "path": "active", "value": False}, expect=503)
    world.target.up()
    time.sleep(0.02)
    world.target.calls.clear()
    retry_due(world.context)
    assert [id for _, id in world.target.calls] == [users[1]["id"], users[0]["id"]]


def test_what_takes_rights_away_and_becomes_due_in_mid_round_comes_next(world, monkeypatch):
    monkeypatch.setattr(scim_gateway_provisioning.retry, "URGENT_SECONDS", 0.0)
    users = [world.core.user(f"user{number}") for number in range(5)]
    world.target.down()
    for user in users[:4]:
        world.core.patch(user, {"op": "replace", "path": "title", "value": "x"}, expect=503)
    deactivate(world, users[4], expect=503)
    world.target.up()
    become_due(world, {user["id"] for user in users[:4]})
    world.target.calls.clear()
    # The second one that is tried finds the target working, and one more to be worked on.
    world.target.fault("put_user", "before", lambda: become_due(world, {users[4]["id"]}), times=1)
    assert retry_due(world.context).done == 5
    assert [id for _, id in world.target.calls].index(users[4]["id"]) == 1
    assert not world.target.listing.users["user4"].active


def become_due(world: World, ids: set[str]) -> None:
    """Make these rows due, and no others."""
    with world.context.database.operation(write=True) as session:
        session.execute(update(works).where(works.c.next_ms.is_not(None)).values(next_ms=NEVER))
        session.execute(update(works).where(works.c.resource_id.in_(ids)).values(next_ms=1))


def test_what_fails_is_told_and_tried_later_and_later_without_holding_up_the_rest(tmp_path):
    world = World(tmp_path, times=quick(backoff=10.0, backoff_limit=25.0))
    stuck, other = world.core.user("stuck"), world.core.user("other")

    world.target.fault("put_user", "before", LOST, times=1000)
    deactivate(world, stuck, expect=503)
    deactivate(world, other, expect=503)
    world.target.up()

    def only_stuck() -> None:
        if world.target.calls[-1][1] == stuck["id"]:
            raise InvalidValue("Not this one.")

    world.target.fault("put_user", "before", only_stuck, times=1000)
    pauses = []
    for _ in range(4):
        world.backend.settle_pending()
        [pending] = world.backend.pending()
        assert (pending.id, pending.error, pending.revoking) == (stuck["id"], "Not this one.", True)
        assert pending.next_try is not None
        pauses.append((pending.next_try.timestamp() - time.time(), pending.attempts))
    assert [attempts for _, attempts in pauses] == sorted({attempts for _, attempts in pauses})
    assert all(4 < pause <= 26 for pause, _ in pauses)
    assert pauses[-1][0] > 10
    assert not world.target.listing.users["other"].active
    assert world.backend.state_of(stuck["id"])["list"]["error"] == "Not this one."
    assert retry_due(world.context).done == 0, "it is not due yet"
    world.close()


def test_the_tries_of_a_request_are_one_attempt_and_the_first_retry_does_not_wait_for_each(tmp_path):
    world = World(tmp_path, times=quick(request=2.0, backoff=10.0, backoff_limit=1000.0))
    user = world.core.user("bob")
    world.target.fault("put_user", "before", LOST, times=1000)
    world.target.calls.clear()
    deactivate(world, user, expect=503)
    assert len(world.target.calls) > 2, "the request has tried again"
    [pending] = world.backend.pending()
    assert pending.attempts == 1
    assert pending.next_try.timestamp() - time.time() <= 10
    world.backend.settle_pending()
    [pending] = world.backend.pending()
    assert pending.attempts == 2
    assert 5 < pending.next_try.timestamp() - time.time() <= 20
    world.close()


def test_a_row_of_a_target_that_is_not_configured_any_more_is_left_alone(tmp_path):
    world = World(tmp_path, ListTarget("first"), ListTarget("second"))
    user = world.core.user("bob")
    world.targets[1].down()
    deactivate(world, user, expect=503)
    world.close()
    alone = World(tmp_path, ListTarget("third"))
    for name in ("first", "second"):
        alone.backend.drop(name)
    assert alone.backend.settle_pending().failed == 0
    assert alone.backend.pending() == []
    alone.close()


def test_it_stops_when_somebody_else_takes_over(world):
    users = [world.core.user(f"user{number}") for number in range(3)]
    world.target.down()
    for user in users:
        deactivate(world, user, expect=503)
    world.target.up()
    time.sleep(0.02)
    turns = iter([True, True, False])
    assert retry_due(world.context, lambda: next(turns)).done < 3


# The thread


def test_the_thread_settles_what_is_pending_and_ends_when_the_backend_is_closed(tmp_path):
    world = World(tmp_path)
    user = world.core.user("bob")
    world.target.down()
    deactivate(world, user, expect=503)
    world.backend.start()
    world.backend.start()
    threads = [thread for thread in threading.enumerate() if thread.name == "scim-background"]
    assert len(threads) == 1
    assert threads[0].daemon
    world.target.up()
    until(lambda: world.target.rights() == set())
    world.close()
    threads[0].join(10)
    assert not threads[0].is_alive()


def test_of_two_gateways_one_works_and_the_other_takes_over_when_it_stops(tmp_path):
    target = ListTarget()
    backends = [provisioned(tmp_path, target) for _ in range(2)]
    done: list[int] = []
    workers = [
        Worker(backend.context, [Chore("count", 0.0, lambda _alive, n=number: done.append(n))], tick=0.01)
        for number, backend in enumerate(backends)
    ]
    workers[0].start()
    until(lambda: len(done) > 2)
    workers[1].start()
    time.sleep(0.1)
    workers[0].stop()
    count = len(done)
    assert set(done) == {0}
    workers[1].stop()
    workers[1].start()
    until(lambda: len(done) > count)
    assert set(done[count:]) == {1}
    workers[1].stop()
    for backend in backends:
        backend.close()


def test_trouble_does_not_end_the_thread(tmp_path):
    backend = provisioned(tmp_path, ListTarget())
    done: list[int] = []

    def run(_alive: Callable[[], bool]) -> None:
        done.append(1)
        if len(done) == 1:
            raise ZeroDivisionError
        if len(done) == 2:
            raise InvalidValue("Put off.")

    worker = Worker(backend.context, [Chore("trouble", 0.0, run)], tick=0.005)
    worker.start()
    until(lambda: len(done) > 3)
    worker.stop()
    backend.close()


def test_a_child_of_fork_begins_anew(tmp_path):
    backend = provisioned(tmp_path, ListTarget())
    worker = Worker(backend.context, [], tick=0.01)
    worker.start()
    worker._process = -1  # as a child sees it
    worker.stop()
    worker.start()
    assert sum(thread.name == "scim-background" for thread in threading.enumerate()) >= 1
    worker.stop()
    backend.close()
