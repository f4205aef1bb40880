"""Comparing and mending next to live requests, by processes that are killed, and by themselves."""

from __future__ import annotations

import functools
import logging
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from doubles.listed_target import Listing, ListTarget
from killed import killed
from reconciled import Compared
from scim_gateway_provisioning import turn
from scim_gateway_provisioning.failpoints import Failpoints
from scim_gateway_provisioning.reconcile import Reconciler
from scim_gateway_provisioning.watch import Periodic, Watch

from scim_gateway.errors import Conflict, Unavailable
from scim_gateway.provisioned import Plan, Repair, Step


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Compared]:
    world = Compared(tmp_path)
    yield world
    world.close()


def wanted(world: Compared) -> tuple[dict[str, bool], dict[str, set[str]]]:
    """What the directory says, read through the protocol."""
    users = world.core.json("GET", "/Users", count=1000)["Resources"]
    names = {user["id"]: user["userName"] for user in users if user["active"]}
    groups = world.core.json("GET", "/Groups", count=1000)["Resources"]
    members = {
        group["displayName"]: {names[each["value"]] for each in group.get("members", ()) if each["value"] in names}
        for group in groups
    }
    return {user["userName"]: user["active"] for user in users}, members


def there(listing: Listing) -> tuple[dict[str, bool], dict[str, set[str]]]:
    users = {name: account.active for name, account in listing.users.items()}
    return users, {name: team.members for name, team in listing.groups.items()}


def damage(listing: Listing, chance: random.Random) -> None:
    """Somebody without a plan."""
    for name in chance.sample(sorted(listing.users), 3):
        listing.users[name].active = not listing.users[name].active
    for team in listing.groups.values():
        team.members ^= set(chance.sample(sorted(listing.users), 3))
    gone = chance.choice(sorted(listing.users))
    del listing.users[gone]
    for team in listing.groups.values():
        team.members.discard(gone)


class Traffic(threading.Thread):
    """An identity provider that goes on meanwhile."""

    def __init__(self, world: Compared, seed: int) -> None:
        super().__init__()
        self._core = world.core
        self._chance = random.Random(seed)
        self._users = [self._core.user(f"u{seed}-{number}", active=True) for number in range(12)]
        self._groups = [self._core.group(f"g{seed}-{number}") for number in range(2)]
        self._over = threading.Event()
        self.statuses: list[int] = []

    def run(self) -> None:
        while not self._over.is_set():
            self._step()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def _step(self) -> None:
        user, group = self._chance.choice(self._users), self._chance.choice(self._groups)
        match self._chance.randrange(5):
            case 0 | 1:
                op = {"op": "replace", "path": "active", "value": self._chance.random() < 0.5}
                path = f"/Users/{user['id']}"
            case 2:
                op = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
                path = f"/Groups/{group['id']}"
            case 3:
                op = {"op": "remove", "path": f'members[value eq "{user["id"]}"]'}
                path = f"/Groups/{group['id']}"
            case _:
                self.statuses.append(self._core.send("DELETE", f"/Users/{user['id']}").status)
                if self.statuses[-1] == 204:
                    self._users.remove(user)
                    self._users.append(self._core.user(user["userName"]))
                return
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [op]}
        self.statuses.append(self._core.send("PATCH", path, body).status)


def test_next_to_live_requests_the_target_ends_as_the_directory_wants_it(world):
    chance = random.Random(4)
    traffic = [Traffic(world, seed) for seed in range(2)]
    for thread in traffic:
        thread.start()
    left_over: list[Step] = []
    for _ in range(6):
        with world.by_hand() as listing:
            damage(listing, chance)
        plan = world.plan()
        left_over += [step for step in plan.to_do if step.id is None]
        world.reconciler.reconcile()
    for thread in traffic:
        thread.stop()
    assert left_over == [], "nothing of a live request is taken for a left-over"
    world.reconciler.reconcile()
    assert world.plan().to_do == []
    assert there(world.target.listing) == wanted(world)
    # 503: who was dropped by hand cannot be made a member until the account is there again.
    assert {status for thread in traffic for status in thread.statuses} <= {200, 204, 503}
    assert sum(len(thread.statuses) for thread in traffic) > 20


def repair_and_die(folder: Path, failpoint: str, hash: str) -> None:
    """A process that carries out a plan is killed at the failpoint."""
    target = ListTarget(path=folder / "target.json")
    Compared(folder, target, failpoints=Failpoints(f"{failpoint}:kill")).reconciler.apply(hash)


@pytest.mark.parametrize(
    "failpoint",
    ["put_user.before", "put_user.after", "change_members.after", "mark.before", "mark.committed", "save.committed"],
)
def test_a_plan_goes_on_after_the_process_was_killed_and_the_second_plan_is_empty(tmp_path, monkeypatch, failpoint):
    world = Compared(tmp_path, ListTarget(path=tmp_path / "target.json"))
    people = [world.core.user(f"u{number}") for number in range(5)]
    world.core.group("staff", *people)
    with world.by_hand() as listing:
        del listing.users["u0"]
        listing.users["u1"].active = False
        listing.groups["staff"].members -= {"u0", "u2"}
    plan = world.plan()
    killed(functools.partial(repair_and_die, tmp_path, failpoint, plan.hash))
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        world.die_of_age()

    monkeypatch.setattr(turn, "time", SimpleNamespace(monotonic=time.monotonic, sleep=wait))
    repair = world.reconciler.apply(plan.hash)
    assert len(waited) == 1, "it is the turn of the one who is dead, until that is known"
    assert (list(repair.left.to_do), list(repair.problems)) == ([], [])
    assert world.nothing_to_do()
    world.die_of_age()
    world.settle()  # what is done, but not marked as done
    assert world.backend.pending() == []
    assert world.nothing_to_do()
    assert there(world.target.listing) == wanted(world)
    world.close()


class Compares(Reconciler):
    """Says what it is told to, and counts."""

    def __init__(self, age: float = 1e9, answer: Exception | None = None) -> None:
        self.calls: list[str] = []
        self.looked = threading.Event()
        self._age = age
        self._answer = answer
        self._plan = Plan((Step("list", "add", "User", "ann"),), "x")

    def age(self) -> float:
        self.looked.set()
        return self._age

    def report(self) -> Plan:
        self.calls.append("report")
        return self._plan

    def reconcile(
        self,
        progress: object = None,
        *,
        target: str | None = None,
        patience: float = 35.0,
        paused: str | None = None,
    ) -> Repair:
        assert patience == 0
        self.calls.append("reconcile" if paused is None else f"only lost locks: {paused}")
        if self._answer:
            raise self._answer
        return Repair(self._plan, Plan((), "y"), 1, ["engine is down"])


def test_by_itself_the_gateway_mends_or_tells_as_it_was_set(caplog):
    caplog.set_level(logging.INFO)
    mending, telling, pausing, young = Compares(), Compares(), Compares(), Compares(age=400)
    Watch(mending, Periodic(15, repair=True)).look()
    Watch(telling, Periodic(15, repair=False)).look()
    Watch(pausing, Periodic(15, repair=True), paused=lambda: "an audit").look()
    Watch(young, Periodic(15, repair=True)).look()
    assert [each.calls for each in (mending, telling, pausing, young)] == [
        ["reconcile"],
        ["report"],
        ["only lost locks: an audit"],
        [],
    ]
    assert "1 differences of directory and targets mended, 0 left" in caplog.text
    assert "comparing: engine is down" in caplog.text
    assert "1 differences between directory and targets: scim-gateway plan" in caplog.text


@pytest.mark.parametrize(
    ("error", "line"),
    [(Unavailable("The database is busy."), "The database is busy."), (RuntimeError("bug"), "bug"), (Conflict(""), "")],
)
def test_whatever_goes_wrong_the_next_look_comes(caplog, error, line):
    Watch(Compares(answer=error), Periodic(15, repair=True)).look()
    assert line in caplog.text


def test_the_first_look_comes_soon_after_the_start_and_not_at_all_with_0_minutes(monkeypatch):
    monkeypatch.setattr("scim_gateway_provisioning.watch.FIRST_SECONDS", 0.01)
    compares, never = Compares(), Compares()
    watch = Watch(compares, Periodic(15, repair=True))
    watch.start()
    Watch(never, Periodic(0, repair=True)).start()
    assert compares.looked.wait(10)
    watch.stop()
    assert not never.looked.is_set()


def test_of_several_processes_one_compares(tmp_path):
    world = Compared(tmp_path)
    world.core.user("ann")
    assert world.reconciler.age() == float("inf")
    Watch(world.reconciler, Periodic(15, repair=True)).look()
    other = Compared(tmp_path)
    assert other.reconciler.age() < 60
    with turn.turn(world.context):
        Watch(other.reconciler, Periodic(0, repair=True)).look()  # somebody else is at it: no error
    other.close()
    world.close()
