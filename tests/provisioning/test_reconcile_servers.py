"""Plans, repairs and adoption with the directory on a server: by its statements for MariaDB and for SingleStore."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from reconciled import Compared, foreign, short
from scim_gateway_provisioning import turn
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_sql import SqlBackend
from servers.singlestore_on_mariadb import SingleStoreOnMariaDb
from sqlalchemy import Connection, event

from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import Conflict


def directory(dialect: str, url: str) -> SqlBackend:
    types = standard_resource_types()
    if dialect == "singlestore":
        return SqlBackend(SingleStoreOnMariaDb.at(url), types, migrations=(PROVISIONING,))
    return SqlBackend.from_settings({"database_url": url}, types, migrations=(PROVISIONING,))


@pytest.fixture(params=["mysql", "singlestore"])
def world(request: pytest.FixtureRequest, mariadb: str, tmp_path: Path) -> Iterator[Compared]:
    world = Compared(tmp_path, directory=directory(request.param, mariadb), limits=Limits(removals=2, share=1))
    world.another = lambda: directory(request.param, mariadb)
    yield world
    world.close()


def test_drift_is_listed_mended_and_gone(world):
    people = [world.core.user(f"ü{number}") for number in range(6)]
    world.core.group("staff", *people[:4])
    with world.by_hand() as listing:
        del listing.users["ü0"]
        listing.users["ü1"].active = False
        listing.groups["staff"].members -= {"ü0", "ü2"}
        listing.groups["staff"].members |= {"ü4"}
        foreign(listing, "dba")
    plan = world.plan()
    assert [short(step) for step in plan.to_do] == [
        "remove Membership staff ü4", "change User ü1", "add User ü0",
        "add Membership staff ü0", "add Membership staff ü2",
    ]  # fmt: skip
    repair = world.reconciler.apply(plan.hash)
    assert (repair.done, list(repair.left.to_do), list(repair.problems)) == (5, [], [])
    assert world.nothing_to_do()
    (latest,) = world.reconciler.latest()
    assert (latest.counts["left"], latest.counts["unmanaged"], latest.problem) == (0, 1, None)
    assert world.reconciler.age() < 60


def test_a_plan_beyond_the_limit_is_approved_for_a_while(world):
    for number in range(5):
        user = world.core.user(f"u{number}")
        world.core.patch(user, {"op": "replace", "path": "active", "value": False})
    with world.by_hand() as listing:
        for name in ("u0", "u1", "u2"):
            listing.users[name].active = True
    plan = world.plan()
    with pytest.raises(Conflict, match="approve"):
        world.reconciler.apply(plan.hash)
    world.reconciler.approve(plan.hash, 0)
    with pytest.raises(Conflict, match="approve"):
        world.reconciler.apply(plan.hash)
    world.reconciler.approve(plan.hash, 60)
    assert world.reconciler.apply(plan.hash).done == 3


def test_adoption_is_listed_used_and_struck_off(world):
    with world.by_hand() as listing:
        for name in ("ann", "bob"):
            foreign(listing, name)
    for _ in range(2):
        answers = world.backend.adopt("list", "User", ["ann", "bob"])
        assert [answer.state for answer in answers] == ["listed", "listed"]
    world.core.user("ann")
    world.reconciler.reconcile()
    assert [answer.name for answer in world.backend.adoptions()] == ["bob"]
    assert world.backend.withdraw("list", "User", ["bob"]) == 1
    assert world.backend.adoptions() == []


def test_a_connection_that_is_lost_ends_nothing_that_an_operator_does(world):
    for number in range(2):
        world.core.user(f"u{number}")
    with world.by_hand() as listing:
        del listing.users["u0"]
        foreign(listing, "ann")
    lost: list[str] = []

    def lose(connection: Connection, _cursor: object, text: str, *_: object) -> None:
        """Once for each kind of change of these tables."""
        change = re.match(r"(INSERT INTO|UPDATE|DELETE FROM) (scim_plan|scim_adoption|scim_setting)\b", text)
        if change and change[0] not in lost:
            lost.append(change[0])
            connection.connection.driver_connection._force_close()

    event.listen(world.context.database.connections.engine, "before_cursor_execute", lose)
    plan = world.plan()
    world.reconciler.approve(plan.hash, 1)
    repair = world.reconciler.apply(plan.hash)
    assert (repair.done, list(repair.left.to_do), list(repair.problems)) == (1, [], [])
    assert [answer.state for answer in world.backend.adopt("list", "User", ["ann"])] == ["listed"]
    assert world.backend.withdraw("list", "User", ["ann"]) == 1
    assert sorted(lost) == [
        "DELETE FROM scim_adoption", "DELETE FROM scim_plan", "INSERT INTO scim_adoption", "INSERT INTO scim_plan",
        "INSERT INTO scim_setting", "UPDATE scim_plan", "UPDATE scim_setting",
    ]  # fmt: skip


def test_only_the_newest_plans_are_remembered(world, monkeypatch):
    monkeypatch.setattr("scim_gateway_provisioning.plan_store.KEPT", 2)
    hashes = []
    for number in range(4):
        world.core.user(f"u{number}")
        with world.by_hand() as listing:
            del listing.users[f"u{number}"]
        hashes.append(world.plan().hash)
    with pytest.raises(Conflict, match="it was not shown lately"):
        world.reconciler.apply(hashes[0])
    with pytest.raises(Conflict, match="new steps: 1, not needed any more: 0") as caught:
        world.reconciler.apply(hashes[2])
    assert caught.value.plan.hash == hashes[3]


def test_one_of_two_processes_has_the_turn(world, tmp_path):
    other = Compared(tmp_path, directory=world.another())
    results: list[str] = []

    def go(each: Compared, over: threading.Event) -> None:
        try:
            with turn.turn(each.context):
                results.append("in")
                over.wait(10)
        except Conflict:
            results.append("out")

    over = threading.Event()
    first = threading.Thread(target=go, args=(world, over))
    first.start()
    while not results:
        first.join(0.01)
    go(other, over)
    over.set()
    first.join()
    assert results == ["in", "out"]
    other.close()


def test_a_large_directory_is_read_in_batches(world, monkeypatch):
    monkeypatch.setattr("scim_gateway_provisioning.survey.BATCH", 7)
    monkeypatch.setattr("scim_gateway_provisioning.survey.PAIRS", 5)
    people = [world.core.user(f"u{number}") for number in range(20)]
    for number in range(4):
        world.core.group(f"g{number}", *people[number : number + 9])
    assert world.steps() == []
    with world.by_hand() as listing:
        for team in listing.groups.values():
            team.members.clear()
    assert len(world.plan().to_do) == 36
