"""Searches that look through a directory: a bound on their time, and on how many there are at once (tooMany)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pymysql
import pytest
import scim_gateway_sql.watching
from core_client import Core
from scim_gateway_sql import SqlBackend
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

import scim_gateway.derived
from scim_gateway import scanning
from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import TooMany, Unavailable
from scim_gateway.scanning import Scan, Scans

PATIENCE = 60.0
"""Seconds after which a test that waits for a thread fails."""
DERIVED = 'meta.location co "nowhere"'
INEXACT = 'emails[type ne "work"]'


class Clocks:
    """The time of day and of the processor, as a test lets them pass."""

    def __init__(self) -> None:
        self.now = self.processor = 100.0
        self.per_look = 0.0

    def monotonic(self) -> float:
        self.now += self.per_look
        return self.now

    def thread_time(self) -> float:
        return self.processor


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(scanning, "time", clocks)
    monkeypatch.setattr(scim_gateway.derived, "RESOURCES", 16)
    return clocks


@pytest.fixture
def crowd(core: Core) -> Core:
    for number in range(60):
        core.user(f"user{number}", emails=[{"value": f"u{number}@example.org", "type": "home"}])
    return core


# One search


def test_a_search_that_takes_too_long_is_refused(clocks: Clocks) -> None:
    with Scan(Scans(10, 1)) as scan:
        scan.step()
        clocks.now += 10
        scan.step()
        clocks.now += 0.01
        with pytest.raises(TooMany, match="search_seconds"):
            scan.step()


def test_time_counts_from_the_first_look(clocks: Clocks) -> None:
    with Scan(Scans(10, 1)) as scan:
        clocks.now += 1000
        scan.step()


@pytest.mark.parametrize("filter", [DERIVED, INEXACT, f"{DERIVED} or title pr"])
@pytest.mark.parametrize("path", ["/Users", "/"])
def test_a_long_search_is_answered_with_what_to_do(crowd: Core, clocks: Clocks, filter: str, path: str) -> None:
    clocks.per_look = 6
    for _ in range(3):  # each with a time of its own
        answer = crowd.send("GET", path, filter=filter)
        error = json.loads(answer.body)
        assert (answer.status, error["scimType"]) == (400, "tooMany")
        assert "search_seconds" in error["detail"]
    clocks.per_look = 0
    assert crowd.json("GET", path, filter=filter)["totalResults"] in (0, 60)


@pytest.mark.parametrize("backend", ["sql"])
def test_a_long_statement_of_sqlite_is_ended(
    crowd: Core, clocks: Clocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scim_gateway_sql.watching, "STEPS", 50)
    query = {"filter": 'userName gt "a" and not (displayName pr)', "sortBy": "userName"}
    expected = crowd.json("GET", "/Users", **query)
    assert expected["totalResults"] == 60
    clocks.per_look = 6
    assert crowd.refused("GET", "/Users", **query) == (400, "tooMany")
    assert crowd.refused("GET", "/Users", filter=f"{DERIVED} and {query['filter']}") == (400, "tooMany")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    # Nothing of it is left on the connection.
    assert crowd.json("GET", "/Users", count=1)["totalResults"] == 60
    assert crowd.json("GET", "/Users", filter='userName eq "user7"')["totalResults"] == 1
    clocks.per_look = 0
    assert crowd.json("GET", "/Users", **query) == expected


def test_a_statement_that_a_server_did_not_answer_in_time_is_not_sent_again(mariadb: str, clocks: Clocks) -> None:
    backend = SqlBackend.from_settings({"database_url": mariadb, "database_tls": "off"}, standard_resource_types())
    core = Core(backend)
    core.user("somebody", emails=[{"value": "s@example.org", "type": "home"}])
    lost = pymysql.err.OperationalError(2013, "Lost connection to server during query (timed out)")
    sent: list[str] = []

    def time_out(_connection: object, _cursor: object, text: str, *_: object) -> None:
        sent.append(text)
        clocks.now += 10.5
        raise DBAPIError(None, None, lost)

    assert backend.database.connections.engine is not None
    event.listen(backend.database.connections.engine, "before_cursor_execute", time_out)
    assert core.refused("GET", "/Users", filter=INEXACT) == (400, "tooMany")
    assert len(sent) == 1
    event.remove(backend.database.connections.engine, "before_cursor_execute", time_out)
    assert core.json("GET", "/Users", filter=INEXACT)["totalResults"] == 1
    backend.close()


def test_look_ups_and_pages_look_at_no_clock(crowd: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    first = crowd.json("GET", "/Users", count=1)["Resources"][0]
    monkeypatch.delattr(scanning, "time")
    monkeypatch.setattr(Scans, "wait", None)
    assert crowd.get(first) == first
    for filter in ('userName eq "user3"', f'id eq "{first["id"]}"', 'emails.value eq "u4@example.org"'):
        assert crowd.json("GET", "/Users", filter=filter)["totalResults"] == 1
    page = crowd.json("GET", "/Users", count=50, cursor="")
    assert len(crowd.json("GET", "/Users", cursor=page["nextCursor"], count=50)["Resources"]) == 10
    assert len(crowd.json("GET", "/Users", startIndex=20, count=30)["Resources"]) == 30


# Several


def long_scan(scans: Scans, clocks: Clocks) -> Scan:
    """A search that has to wait for its turn with its next step."""
    scan = Scan(scans)
    scan.step()
    clocks.processor += 1
    return scan


@pytest.fixture
def waiting() -> Iterator[list[threading.Thread]]:
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_short_searches_need_no_turn(clocks: Clocks) -> None:
    scans = Scans(10, 1)
    running = long_scan(scans, clocks)
    running.step()
    for _ in range(10):
        with Scan(scans) as short:
            short.step()
            clocks.processor += scanning.TURN_AFTER / 2
            short.step()
    running.__exit__()


def test_as_many_wait_as_may_run_and_the_rest_is_turned_away(
    clocks: Clocks, waiting: list[threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = Scans(1000, 1)
    running, second, third = (long_scan(scans, clocks) for _ in range(3))
    running.step()
    asked, done = threading.Event(), threading.Event()
    turns = scans._turns

    class Announced:
        def acquire(self, timeout: float) -> bool:
            asked.set()
            return turns.acquire(timeout=PATIENCE)

        def release(self) -> None:
            turns.release()

    monkeypatch.setattr(scans, "_turns", Announced())

    def wait() -> None:
        with second:
            second.step()
            done.set()

    waiting.append(threading.Thread(target=wait))
    waiting[0].start()
    assert asked.wait(PATIENCE)
    with pytest.raises(Unavailable) as refusal, third:
        third.step()
    assert refusal.value.headers["Retry-After"]
    assert not done.is_set()
    running.__exit__()
    assert done.wait(PATIENCE)
    waiting[0].join(PATIENCE)
    with long_scan(scans, clocks) as another:
        another.step()
        another.step()


def test_who_waits_to_the_end_of_its_time_is_turned_away(clocks: Clocks) -> None:
    scans = Scans(10, 1)
    running, second = long_scan(scans, clocks), long_scan(scans, clocks)
    running.step()
    clocks.now += 10
    with pytest.raises(Unavailable), second:
        second.step()
    running.__exit__()
    with long_scan(scans, clocks) as another:
        another.step()
    assert [scans._here.acquire(blocking=False) for _ in range(3)] == [True, True, False]


def test_a_search_that_fails_gives_its_turn_back(crowd: Core, clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> None:
    core = Core(crowd.backend, replace(crowd.settings, searches_at_once=1))
    monkeypatch.setattr(scanning, "TURN_AFTER", -1.0)
    for _ in range(3):
        clocks.per_look = 5.5  # a step, one that takes the turn, one too late
        assert core.refused("GET", "/Users", filter=INEXACT) == (400, "tooMany")
        clocks.per_look = 0
        assert core.json("GET", "/Users", filter=INEXACT)["totalResults"] == 60


def test_a_search_that_gets_no_turn_is_to_be_sent_again(
    crowd: Core, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = Core(crowd.backend, replace(crowd.settings, searches_at_once=1))
    monkeypatch.setattr(scanning, "TURN_AFTER", -1.0)
    scans: Any = core.provider._searches._scans
    for _ in range(2):
        assert scans._here.acquire(blocking=False)
    answer = core.send("GET", "/Users", filter=INEXACT)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert core.json("GET", "/Users", filter='userName eq "user3"')["totalResults"] == 1
