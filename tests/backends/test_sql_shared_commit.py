"""Writes that wait for each other share a transaction and its commit, and are otherwise as if each were alone."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import scim_gateway_sql.shared_commit
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.sqlite import SqliteDriver
from scim_gateway_sql.turns import Turns
from sql_directory import PATIENCE, TYPES
from sqlalchemy import Connection

from scim_gateway.errors import Conflict, Unavailable
from scim_gateway.testing import create, user


class Company:
    """A backend, and writes that are begun in an order of their own."""

    def __init__(self, file: Path) -> None:
        self.backend = SqlBackend.from_settings({"database_url": f"sqlite:///{file}"}, TYPES)
        self.file = file
        self.pool = ThreadPoolExecutor(32)
        create(self.backend, user("first"))  # what the first operation prepares is done

    @property
    def turns(self) -> Turns:
        shared = self.backend.database._shared
        assert shared is not None
        return shared._turns

    def names(self) -> set[str]:
        """Who was committed, as others see it."""
        with contextlib.closing(sqlite3.connect(self.file)) as other:
            docs = other.execute("SELECT doc FROM scim_resource").fetchall()
        return {json.loads(doc)["userName"] for (doc,) in docs} - {"first"}

    def together(self, *works: Callable[[], object]) -> list[Future[object]]:
        """Do the first, and the others in this order while it is not done yet; all wait for their turn by then."""
        entered, go = threading.Event(), threading.Event()

        def first() -> None:
            with self.backend.operation(write=True):
                entered.set()
                assert go.wait(PATIENCE)
                works[0]()

        futures: list[Future[object]] = [self.pool.submit(first)]
        assert entered.wait(PATIENCE)
        for number, work in enumerate(works[1:], start=1):
            futures.append(self.pool.submit(self._write, work))
            wait_for_queue(self.turns, number)
        go.set()
        return futures

    def _write(self, work: Callable[[], object]) -> None:
        with self.backend.operation(write=True):
            work()

    def add(self, name: str) -> Callable[[], object]:
        """Make a user, inside an operation."""
        return lambda: self.backend.handlers["User"].create(user(name))


def wait_for_queue(turns: Turns, length: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(turns._queue) != length:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def trouble_of(future: Future[object]) -> BaseException | None:
    return future.exception(timeout=PATIENCE)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    made = Company(tmp_path / "directory.db")
    yield made
    made.pool.shutdown()
    made.backend.close()


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by one with each commit of a write."""
    made: list[int] = []
    commit = SqliteDriver.commit

    def counted(self: SqliteDriver, connection: Connection, write: bool) -> None:
        commit(self, connection, write)
        if write:
            made.append(1)

    monkeypatch.setattr(SqliteDriver, "commit", counted)
    return made


def test_writes_that_wait_are_committed_with_the_one_that_they_wait_for(company: Company, commits: list[int]) -> None:
    futures = company.together(*(company.add(f"u{number}") for number in range(6)))
    assert [trouble_of(future) for future in futures] == [None] * 6
    assert len(commits) == 1
    assert company.names() == {f"u{number}" for number in range(6)}


def test_a_write_that_nobody_waits_for_is_committed_at_once(company: Company, commits: list[int]) -> None:
    for number in range(3):
        create(company.backend, user(f"u{number}"))
    assert len(commits) == 3


def test_nobody_is_answered_before_the_commit(company: Company) -> None:
    inside, go = threading.Event(), threading.Event()

    def slow() -> None:
        company.add("late")()
        inside.set()
        assert go.wait(PATIENCE)

    early, late = company.together(company.add("early"), slow)
    assert inside.wait(PATIENCE)
    assert not early.done()
    assert company.names() == set()
    go.set()
    assert [trouble_of(early), trouble_of(late)] == [None, None]
    assert company.names() == {"early", "late"}


@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_write_that_fails_is_undone_alone(company: Company, at: int) -> None:
    def fails() -> None:
        company.add("half")()
        raise Conflict("no")

    works: list[Callable[[], object]] = [company.add(f"u{number}") for number in range(3)]
    works.insert(at, fails)
    futures = company.together(*works)
    assert [isinstance(trouble_of(future), Conflict) for future in futures] == [
        number == at for number in range(len(works))
    ]
    assert company.names() == {"u0", "u1", "u2"}


def test_a_name_that_a_write_before_has_taken_is_refused(company: Company) -> None:
    first, second = company.together(company.add("same"), company.add("SAME"))
    assert trouble_of(first) is None
    assert trouble_of(second) is not None
    assert company.names() == {"same"}


def _fail_with(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("a disk in trouble")
    error.sqlite_errorcode = code
    return error


def test_a_commit_that_fails_undoes_all_and_all_hear_of_it(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: SqliteDriver, connection: Connection, write: bool) -> None:
        raise _fail_with(sqlite3.SQLITE_FULL)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteDriver, "commit", full)
        futures = company.together(*(company.add(f"u{number}") for number in range(3)))
        troubles = [trouble_of(future) for future in futures]
    assert [str(trouble) for trouble in troubles] == ["The disk that holds the database is full; free some space."] * 3
    assert all(isinstance(trouble, Unavailable) and trouble.headers["Retry-After"] == "30" for trouble in troubles)
    assert len({id(trouble) for trouble in troubles}) == 3
    assert company.names() == set()
    create(company.backend, user("later"))
    assert company.names() == {"later"}


def test_why_a_commit_failed_is_logged_where_nobody_knows_what_it_means(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(self: SqliteDriver, connection: Connection, write: bool) -> None:
        raise _fail_with(sqlite3.SQLITE_MISUSE)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteDriver, "commit", refused)
        (trouble,) = [trouble_of(future) for future in company.together(company.add("u0"))]
    assert isinstance(trouble, Unavailable)
    assert caplog.messages == ["database: a disk in trouble"]
    assert company.names() == set()


def test_nobody_is_refused_because_of_what_was_undone(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: SqliteDriver, connection: Connection, write: bool) -> None:
        raise _fail_with(sqlite3.SQLITE_FULL)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteDriver, "commit", full)
        troubles = [trouble_of(future) for future in company.together(company.add("same"), company.add("SAME"))]
    assert [type(trouble) for trouble in troubles] == [Unavailable, Unavailable]
    assert company.names() == set()


def test_of_an_error_that_undoes_the_whole_transaction_all_hear(company: Company) -> None:
    def undone() -> None:
        with company.backend.database.session(write=True) as session:
            session.connection.connection.driver_connection.execute("ROLLBACK")
        raise Unavailable("The disk that holds the database is full; free some space.", retry_after=30)

    first, second, third = company.together(company.add("u0"), undone, company.add("u2"))
    assert isinstance(trouble_of(first), Unavailable)
    assert isinstance(trouble_of(second), Unavailable)
    assert trouble_of(third) is None
    assert company.names() == {"u2"}


def test_a_transaction_has_a_most_of_writes(
    company: Company, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim_gateway_sql.shared_commit, "MOST", 2)
    futures = company.together(*(company.add(f"u{number}") for number in range(5)))
    assert [trouble_of(future) for future in futures] == [None] * 5
    assert len(commits) == 3


def test_whoever_gave_up_waiting_leaves_nothing_open(
    company: Company, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim_gateway_sql.shared_commit, "WAIT_SECONDS", 0.01)
    entered, go = threading.Event(), threading.Event()

    def first() -> None:
        with company.backend.operation(write=True):
            company.add("first-in")()
            entered.set()
            assert go.wait(PATIENCE)

    running = company.pool.submit(first)
    assert entered.wait(PATIENCE)
    with pytest.raises(Unavailable, match="busy with other writes"):
        create(company.backend, user("impatient"))
    go.set()
    assert trouble_of(running) is None
    assert len(commits) == 1
    assert company.names() == {"first-in"}


def test_many_writers_at_once_lose_nothing(company: Company) -> None:
    def some(writer: int) -> None:
        for number in range(20):
            create(company.backend, user(f"w{writer}-{number}"))

    list(company.pool.map(some, range(12)))
    assert company.names() == {f"w{writer}-{number}" for writer in range(12) for number in range(20)}


# Turns


def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    turns, came = Turns(), []
    assert turns.take(0)

    def take(number: int) -> None:
        assert turns.take(PATIENCE)
        came.append(number)
        turns.end()

    with ThreadPoolExecutor(8) as pool:
        for number in range(8):
            pool.submit(take, number)
            wait_for_queue(turns, number + 1)
        turns.end()
    assert came == list(range(8))


def test_a_turn_is_kept_where_nobody_waits_and_free_after_its_end() -> None:
    turns = Turns()
    assert turns.take(0)
    assert not turns.hand_over()
    assert not turns.take(0.001)
    assert not turns.hand_over()
    turns.end()
    assert turns.take(0)


class CutShort:
    """A lock whose wait ends before anybody lets go of it.

    :param meanwhile: what others do in that moment.
    :param interrupted: by a signal; else the time is over.
    """

    def __init__(self, meanwhile: Callable[[], object], *, interrupted: bool) -> None:
        self._meanwhile = meanwhile
        self._interrupted = interrupted
        self._lock = threading.Lock()
        self.release = self._lock.release

    def acquire(self, timeout: float | None = None) -> bool:
        if timeout is None:
            return self._lock.acquire()
        self._meanwhile()
        if self._interrupted:
            raise KeyboardInterrupt
        return False


@contextlib.contextmanager
def cut_short(meanwhile: Callable[[], object], *, interrupted: bool) -> Iterator[pytest.MonkeyPatch]:
    """Whoever waits for a turn waits in vain, until this is undone."""
    locks = SimpleNamespace(Lock=lambda: CutShort(meanwhile, interrupted=interrupted))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scim_gateway_sql.turns.threading", locks)
        yield patch


@pytest.mark.parametrize("at", ["before its turn", "in its turn"])
def test_no_turn_is_lost_to_whoever_is_interrupted(at: str) -> None:
    turns = Turns()
    assert turns.take(0)
    meanwhile = turns.end if at == "in its turn" else lambda: None
    with cut_short(meanwhile, interrupted=True), pytest.raises(KeyboardInterrupt):
        turns.take(PATIENCE)
    if at == "before its turn":
        assert not turns.hand_over()
        turns.end()
    assert turns.take(0)


@pytest.mark.parametrize("behind", [0, 1], ids=["nobody behind", "another behind"])
def test_what_whoever_is_interrupted_was_to_commit_is_committed(
    company: Company, commits: list[int], behind: int
) -> None:
    """The turn comes together with the signal, and with it the transaction of the write before."""
    entered, go = threading.Event(), threading.Event()

    def first() -> None:
        with company.backend.operation(write=True):
            company.add("before")()
            entered.set()
            assert go.wait(PATIENCE)

    def meanwhile() -> None:
        patch.undo()
        for number in range(behind):
            writes.append(company.pool.submit(create, company.backend, user("behind")))
            wait_for_queue(company.turns, number + 2)
        go.set()
        wait_for_queue(company.turns, behind)

    writes: list[Future[object]] = [company.pool.submit(first)]
    assert entered.wait(PATIENCE)
    with cut_short(meanwhile, interrupted=True) as patch, pytest.raises(KeyboardInterrupt):
        create(company.backend, user("interrupted"))
    by_whoever_was_interrupted = len(commits)
    create(company.backend, user("later"))
    assert by_whoever_was_interrupted == 1 or behind
    assert [trouble_of(each) for each in writes] == [None] * (1 + behind)
    assert company.names() == {"before", "later", *(["behind"] if behind else [])}


def test_no_turn_is_lost_to_whoever_gives_up_in_the_moment_in_which_it_comes() -> None:
    turns = Turns()
    assert turns.take(0)
    with cut_short(turns.end, interrupted=False):
        assert turns.take(PATIENCE)
    assert not turns.hand_over()
    turns.end()
    assert turns.take(0)


def test_one_at_a_time_has_the_turn_however_impatient_they_are() -> None:
    turns, inside, most = Turns(), [], []

    def impatient(_: int) -> None:
        for _ in range(200):
            if turns.take(0.0002):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                turns.end()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(impatient, range(8)))
    assert max(most) == 1
    assert turns.take(0)
