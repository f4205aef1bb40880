"""Rows that only wait: a target that tells of all at once is not asked one by one about those who still wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import scim_gateway_provisioning.retry
from doubles.listed_target import ListTarget
from provisioned import QUICK, World, directory_at, quick
from scim_gateway_provisioning.retry import retry_due
from scim_gateway_provisioning.tables import works
from scim_gateway_provisioning.target import Deadline, Known, Unreachable
from scim_gateway_provisioning.work import Work
from sqlalchemy import update

from scim_gateway.errors import Forbidden

LOST = Unreachable("It is cut.")


class TellingTarget(ListTarget):
    """Tells who still waits."""

    def __init__(self, **more) -> None:
        super().__init__(**more)
        self.invites = True
        self.asked: list[set[str]] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.mute = False

    def still_waiting(self, deadline: Deadline, known: Mapping[str, Known]) -> Collection[str]:
        self.asked.append(set(known))
        self.meanwhile()
        return set() if self.mute else known.keys() & self.invited

    @property
    def put(self) -> list[str]:
        return [argument for call, argument in self.calls if call == "put_user"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, TellingTarget())
    yield world
    world.close()


def invited(world: World, count: int = 4) -> list[dict]:
    users = [world.core.user(f"user{number}") for number in range(count)]
    world.target.calls.clear()
    return users


def look_again(world: World, *alive: Callable[[], bool]) -> None:
    """One round of the retry, when who waits is due, however fast the machine is."""
    with world.context.database.operation(write=True) as session:
        session.execute(update(works).where(works.c.next_ms.is_not(None)).values(next_ms=1))
    retry_due(world.context, *alive)


def cut() -> None:
    raise LOST


def ids(users: list[dict]) -> list[str]:
    return [user["id"] for user in users]


def test_who_still_waits_is_not_asked_about_and_neither_are_their_groups(world):
    users = invited(world)
    world.core.group("staff", *users)
    world.target.calls.clear()
    world.backend.settle_pending()
    look_again(world)
    assert world.target.calls == []
    assert world.target.asked == [set(ids(users))] * 2
    assert world.backend.state_of(users[0]["id"])["list"]["state"] == "waiting"


def test_who_has_joined_is_looked_at_and_is_in_the_group_in_the_same_round(world):
    users = invited(world)
    staff, other = world.core.group("staff", *users[:2]), world.core.group("other", *users[1:])
    world.target.calls.clear()
    world.target.invited.discard(users[0]["id"])
    world.backend.settle_pending()
    assert world.target.put == [users[0]["id"]]
    assert (users[0]["id"], staff["id"]) in world.target.rights()
    assert [argument for call, argument in world.target.calls if call == "put_group"] == [staff["id"]]
    world.target.invited.clear()
    world.backend.settle_pending()
    assert world.backend.state_of(other["id"])["list"]["state"] == "there"
    world.check_equal()


def test_a_few_are_looked_at_one_by_one(world):
    users = invited(world, 2)
    world.backend.settle_pending()
    assert (sorted(world.target.put), world.target.asked) == (sorted(ids(users)), [])


@pytest.mark.parametrize("error", [LOST, Forbidden("No."), ZeroDivisionError()])
def test_when_the_target_cannot_tell_some_are_looked_at_each_round_until_all_are(world, monkeypatch, error):
    monkeypatch.setattr(scim_gateway_provisioning.retry, "LOOKS", 3)
    users = invited(world, 5)

    def fail() -> None:
        raise error

    world.target.meanwhile = fail
    look_again(world)
    assert len(world.target.put) == 3
    retry_due(world.context)
    assert set(world.target.put) == set(ids(users))
    world.target.calls.clear()
    world.backend.settle_pending()
    assert sorted(world.target.put) == sorted(ids(users))


def test_a_round_reads_no_row_twice_although_most_are_not_looked_at(world, monkeypatch):
    monkeypatch.setattr(scim_gateway_provisioning.retry, "LOOKS", 2)
    monkeypatch.setattr(scim_gateway_provisioning.retry, "BATCH", 5)
    users = invited(world, 17)
    world.target.meanwhile = cut
    read: list[str] = []

    def work_of(row: Any) -> Work:
        work = real(row)
        read.append(work.id)
        return work

    real = scim_gateway_provisioning.retry.work_of
    monkeypatch.setattr(scim_gateway_provisioning.retry, "work_of", work_of)
    look_again(world)
    looked_at = world.target.put
    assert len(looked_at) == 2
    assert set(read) == set(ids(users))
    assert all(read.count(id) == 1 for id in ids(users) if id not in looked_at)


def test_who_is_in_trouble_is_looked_at_although_they_wait(world):
    invited(world, 5)
    world.target.mute = True
    world.target.fault("put_user", "before", LOST, times=2)
    world.backend.settle_pending()
    troubled = world.target.put[:2]
    world.target.mute = False
    world.target.calls.clear()
    world.backend.settle_pending()
    assert world.target.put == troubled


def test_what_is_asked_for_meanwhile_is_not_put_off(tmp_path):
    world = World(tmp_path, TellingTarget())
    users = invited(world)
    later = World(tmp_path, world.target, times=quick(waiting=3600.0))

    def deactivate() -> None:
        world.target.meanwhile = lambda: None
        world.target.fault("put_user", "before", LOST, times=1000)
        world.core.patch(users[0], {"op": "replace", "path": "active", "value": False}, expect=503)
        world.target.up()

    world.target.meanwhile = deactivate
    look_again(later)
    assert world.target.listing.users["user0"].active
    end = time.monotonic() + 60
    while world.target.listing.users["user0"].active:
        assert time.monotonic() < end
        retry_due(later.context)
    world.close()
    later.close()


def test_what_a_process_recorded_meanwhile_and_did_not_do_is_not_put_off(tmp_path):
    world = World(tmp_path, TellingTarget())
    users = invited(world)
    later = World(tmp_path, world.target, times=quick(waiting=3600.0))

    def die() -> None:
        raise SystemExit

    def record() -> None:
        world.target.meanwhile = lambda: None
        world.context.failpoints.set("record.committed", die)
        with pytest.raises(SystemExit):
            world.core.patch(users[0], {"op": "replace", "path": "active", "value": False})
        world.context.failpoints.set("record.committed", None)
        world.die_of_age()
        with world.context.database.operation(write=True) as session:
            session.execute(update(works).where(works.c.gen_no > works.c.applied_no).values(next_ms=1))

    world.target.meanwhile = record
    look_again(later)
    assert world.target.listing.users["user0"].active
    retry_due(later.context)
    assert not world.target.listing.users["user0"].active
    world.close()
    later.close()


def test_what_takes_rights_away_does_not_wait_for_what_the_target_tells(world):
    users = invited(world, 5)
    world.target.fault("put_user", "before", LOST, times=1000)
    world.core.patch(users[4], {"op": "replace", "path": "active", "value": False}, expect=503)
    world.target.up()
    world.target.calls.clear()
    out: list[set[str]] = []
    world.target.meanwhile = lambda: out.append(set(world.target.put))
    world.backend.settle_pending()
    assert out == [{users[4]["id"]}]
    assert not world.target.listing.users["user4"].active


def test_another_process_finds_nothing_due_afterwards(tmp_path):
    world = World(tmp_path, TellingTarget())
    invited(world)
    later = World(tmp_path, world.target, times=quick(waiting=3600.0))
    look_again(later)
    retry_due(world.context)
    assert (len(world.target.asked), world.target.calls) == (1, [])
    world.close()
    later.close()


def test_who_has_lost_the_lease_while_asking_puts_nothing_off(tmp_path):
    world = World(tmp_path, TellingTarget())
    invited(world)
    later = World(tmp_path, world.target, times=quick(waiting=3600.0))
    look_again(later, lambda: not world.target.asked)
    assert world.target.calls == []
    retry_due(world.context)
    assert (len(world.target.asked), world.target.calls) == (2, [])
    world.close()
    later.close()


def test_in_a_pause_nothing_is_asked(world):
    invited(world)
    world.backend.pause("We look at something.")
    world.backend.settle_pending()
    assert (world.target.asked, world.target.calls) == ([], [])


@pytest.mark.parametrize("singlestore", [False, True])
def test_a_directory_on_a_server_does_the_same(mariadb, tmp_path, singlestore):
    directory = directory_at(mariadb, singlestore=singlestore)
    world = World(tmp_path, TellingTarget(), directory=directory, times=QUICK)
    users = invited(world)
    staff = world.core.group("staff", *users)
    world.target.calls.clear()
    world.backend.settle_pending()
    assert world.target.calls == []
    world.target.invited.discard(users[3]["id"])
    world.backend.settle_pending()
    assert (users[3]["id"], staff["id"]) in world.target.rights()
    world.close()
