"""A plan over a large directory: how long it takes, how many statements it needs, how much memory; then 1,000 drifts.

Run with ``python -m benchmarks.plan_at_scale [USERS] [GROUPS] [MEMBERS]``. The target is a list in memory, so what is
measured is the gateway's own part.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

sys.path.extend(str(Path(__file__).parents[1] / part) for part in ("backends", "tests", "tests/provisioning"))

from doubles.listed_target import Account, Listing
from reconciled import Compared, foreign

DRIFTS = 1000


class Counter:
    """Statements that were sent to the database."""

    def __init__(self) -> None:
        self.statements = 0
        event.listen(Engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.statements += 1


@contextmanager
def measured(what: str, counter: Counter, world: Compared) -> Iterator[None]:
    calls, statements, began = len(world.target.calls), counter.statements, time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    print(
        f"{what:<40} {seconds:8.2f} s  {counter.statements - statements:8} statements  "
        f"{len(world.target.calls) - calls:8} calls of the target"
    )


def fill(world: Compared, users: int, groups: int, members: int) -> None:
    people = [world.core.user(f"u{number:05}") for number in range(users)]
    for number in range(groups):
        chance = random.Random(number)
        world.core.group(f"g{number:03}", *chance.sample(people, min(members, users)))


def drift(listing: Listing, count: int) -> None:
    """Damage by hand: accounts locked and dropped, memberships taken and given, and accounts of somebody else."""
    chance = random.Random(1)
    names, teams = sorted(listing.users), sorted(listing.groups)
    hit = chance.sample(names, count // 2)
    for name in hit[: count // 4]:
        listing.users[name].active = False
    for name in hit[count // 4 :]:
        del listing.users[name]
        for team in listing.groups.values():
            team.members.discard(name)
    for number in range(count // 4):
        members = listing.groups[teams[number % len(teams)]].members
        members.remove(chance.choice(sorted(members)))
        members.add(chance.choice(sorted(listing.users.keys() - members)))
    for number in range(100):
        foreign(listing, f"dba{number}")
    listing.users["root"] = Account("root", None)


def differences(wanted: Listing, found: Listing) -> int:
    """How many steps it takes to make one of the other."""
    users = sum(name not in found.users or found.users[name].active != it.active for name, it in wanted.users.items())
    return users + sum(len(team.members ^ found.groups[name].members) for name, team in wanted.groups.items())


def main(users: int = 10_000, groups: int = 200, members: int = 250) -> None:
    counter = Counter()
    with tempfile.TemporaryDirectory() as folder:
        world = Compared(Path(folder))
        with measured(f"import of {users} users, {groups} groups of {members}", counter, world):
            fill(world, users, groups, members)
        with measured("plan: nothing to do", counter, world):
            assert not world.plan().to_do
        wanted = world.target.listing
        with world.by_hand() as listing:
            drift(listing, DRIFTS)
        steps = differences(wanted, world.target.listing)
        with measured(f"plan: {steps} drifts", counter, world):
            plan = world.plan()
        assert len(plan.to_do) == steps
        print(
            len(plan.to_do), "steps,", len(plan.steps) - len(plan.to_do), "told;", plan.staged or "no approval needed"
        )
        if plan.staged:
            world.reconciler.approve(plan.hash, 60)
        with measured("apply", counter, world):
            repair = world.reconciler.apply(plan.hash)
        assert differences(wanted, world.target.listing) == 0
        print(repair.done, "done,", len(repair.left.to_do), "left", repair.problems)
        tracemalloc.start()
        world.plan()
        print(f"most memory of a plan {tracemalloc.get_traced_memory()[1] / 2**20:.0f} MiB")
        tracemalloc.stop()
        print(f"most memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB")
        world.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
