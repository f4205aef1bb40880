"""Audit trail, pause and circuit breaker on a server, where writes run side by side in any number of processes.

Each test runs with the statements for MariaDB, and with those for SingleStore in so far as a MariaDB takes them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guarded import KEY, Guarded, created, deactivated, deleted, memberships, open_guarded
from scim_gateway_provisioning.breaker import BreakerOpen, Limits
from scim_gateway_provisioning.pause import Paused
from scim_gateway_sql.mysql_connection import ServerConnection
from servers.mariadb import MariaDb
from sqlalchemy import Connection

from scim_gateway.actor import Acting, Actor
from scim_gateway.errors import Forbidden

Work = Callable[[int], None]


@pytest.fixture(params=[False, True], ids=["mysql", "singlestore"])
def guarded(request: pytest.FixtureRequest, mariadb: str, tmp_path: Path) -> Iterator[Guarded]:
    limits = Limits(removals=20, share=0, minutes=60)
    opened = open_guarded(tmp_path, url=mariadb, limits=limits, singlestore=request.param)
    yield opened
    opened.close()


@pytest.fixture
def processes(guarded: Guarded) -> list[Guarded]:
    """Three of them, the first one being ``guarded``."""
    return [guarded, guarded.another(), guarded.another()]


def at_once(count: int, work: Work) -> None:
    """Run it in so many threads that start together."""
    ready = threading.Barrier(count)

    def run(number: int) -> None:
        ready.wait()
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def database_of(guarded: Guarded) -> str:
    assert guarded.url is not None
    return guarded.url.rpartition("/")[2]


def test_one_trail_without_a_gap_from_its_very_first_event(processes: list[Guarded]) -> None:
    def work(number: int) -> None:
        for turn in range(10):
            processes[number % 3].change(created(f"u{number}-{turn}"), memberships("g1", added=(f"u{number}-{turn}",)))

    at_once(6, work)
    told = processes[0].events()
    assert [event.sequence for event in told] == list(range(1, 121))
    assert {event.id for event in told if event.kind == "User"} == {
        f"u{number}-{turn}" for number in range(6) for turn in range(10)
    }
    verdict = processes[1].verify()
    assert verdict.problems == ()
    assert len(verdict.notes) == 1, "all processes found the same key"


def test_the_limit_of_removals_is_met_exactly(processes: list[Guarded]) -> None:
    through: list[str] = []

    def work(number: int) -> None:
        for turn in range(8):
            try:
                processes[number % 3].change(deactivated(f"u{number}-{turn}"))
            except BreakerOpen:
                continue
            through.append(f"u{number}-{turn}")

    at_once(6, work)
    assert len(through) == 20
    assert sorted(through) == sorted(event.id or "" for event in processes[0].events())
    assert processes[0].removals()["users and groups"] == 20


def test_the_same_removal_counts_once_on_a_server_too(guarded: Guarded) -> None:
    for _ in range(3):
        guarded.change(deactivated("u1"))
        guarded.change(deleted("User", "u1"))
        guarded.change(memberships("g1", removed=("u1", "u2")))
    assert guarded.removals() == {"users and groups": 1, "memberships": 2}


def test_no_change_is_committed_behind_a_pause(processes: list[Guarded]) -> None:
    def work(number: int) -> None:
        if number == 0:
            processes[0].safeguards.pause("x")
            return
        for turn in range(200):
            try:
                processes[number % 3].change(created(f"u{number}-{turn}"))
            except Paused:
                return

    at_once(5, work)
    assert processes[0].events(limit=1)[0].action == "pause"
    processes[1].safeguards.resume()
    processes[2].change(created("u1"))
    assert processes[0].verify().problems == ()


def test_an_operation_that_comes_to_nothing_leaves_no_gap_beside_others(processes: list[Guarded]) -> None:
    def work(number: int) -> None:
        for turn in range(10):
            if number % 2:
                processes[number % 3].come_to_nothing(created(f"u{number}-{turn}"))
            else:
                processes[number % 3].change(created(f"u{number}-{turn}"))

    at_once(6, work)
    assert [event.sequence for event in processes[0].events()] == list(range(1, 31))
    assert processes[0].verify().problems == ()


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_whose_answer_is_lost_is_neither_lost_nor_recorded_twice(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    guarded.change(created("u1"))
    driver = guarded.backend.database.driver
    commit = driver.commit
    cuts = [committed]

    def cut(connection: Connection, write: bool) -> None:
        """Once: the connection breaks behind the commit, or before it."""
        if cuts:
            if cuts.pop():
                commit(connection, write)
            line = connection.connection.driver_connection
            assert isinstance(line, ServerConnection)
            line._force_close()
        commit(connection, write)

    monkeypatch.setattr(driver, "commit", cut)
    guarded.change(created("u2"))
    assert not cuts
    guarded.change(created("u3"))
    assert [event.id for event in guarded.events()] == ["u1", "u2", "u3"]
    assert guarded.verify().problems == ()


def test_a_refusal_is_recorded_on_a_server(guarded: Guarded) -> None:
    with Acting(Actor("okta", "req-1", "Okta", "patch", "User", "u1")):
        guarded.safeguards.refused([], Forbidden("No."))
    assert [(event.action, event.id, event.outcome) for event in guarded.events()] == [("patch", "u1", "refused")]


def test_tampering_on_a_server_is_found(guarded: Guarded, mariadb_server: MariaDb) -> None:
    for number in range(1, 6):
        guarded.change(created(f"u{number}"))
    head = guarded.verify().head
    name = database_of(guarded)
    mariadb_server.query("DELETE FROM scim_audit WHERE event_no = 5", name)
    assert guarded.verify().problems == ("event 5 is missing at the end",)
    mariadb_server.query("UPDATE scim_guard SET event_no = 4", name)
    assert guarded.verify().problems == ()
    assert "event 5 is cut off" in guarded.verify(head).problems[0]
    mariadb_server.query("UPDATE scim_audit SET event_doc = REPLACE(event_doc, 'u2', 'u9') WHERE event_no = 2", name)
    assert "event 2 was changed, or does not follow event 1" in guarded.verify().problems


def test_events_of_any_script_and_size_are_kept_byte_by_byte(guarded: Guarded) -> None:
    with_key = guarded.another(KEY)
    name = "\N{GRINNING FACE}é\u202e\x00'\"\\ " + "引" * 300
    with Acting(Actor(name, name, name)):
        with_key.change(created("u1", name), memberships("g1", added=tuple(f"u{number}" for number in range(3000))))
    assert with_key.verify().problems == ()
    assert len(with_key.events(user="u2999")) == 1
