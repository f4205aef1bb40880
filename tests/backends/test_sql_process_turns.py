"""Processes that write to one SQLite file take turns: none of them waits while another has it again and again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import scim_gateway_sql.sqlite
from scim_gateway_sql import SqlBackend

from scim_gateway.backend import Query
from scim_gateway.errors import Unavailable
from scim_gateway.testing import create, suite_resource_types, user

TYPES = suite_resource_types()
USER = TYPES.by_name["User"]
PATIENCE = 30.0
"""Seconds after which a test that waits for a thread fails."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "directory.db"


def opened(file: Path) -> SqlBackend:
    return SqlBackend.from_settings({"database_url": f"sqlite:///{file}"}, TYPES)


@pytest.fixture
def one(file: Path) -> Iterator[SqlBackend]:
    backend = opened(file)
    create(backend, user("one"))
    yield backend
    backend.close()


@pytest.fixture
def other(file: Path, one: SqlBackend) -> Iterator[SqlBackend]:
    """What another process has: its own connections, and its own queue of writes."""
    backend = opened(file)
    create(backend, user("other"))
    yield backend
    backend.close()


def names(backend: SqlBackend) -> set[str]:
    with backend.operation(write=False):
        return {each["userName"] for each in backend.handlers["User"].query(Query(USER, count=100)).resources}


def door_of(file: Path) -> Path:
    return file.with_name(file.name + "-turns")


@contextlib.contextmanager
def standing_at(door: Path) -> Iterator[None]:
    """Somebody else is the next one."""
    with door.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def somebody_stands_at(door: Path) -> bool:
    try:
        with door.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def test_who_waits_writes_before_the_process_that_writes_has_another_turn(
    one: SqlBackend, other: SqlBackend, file: Path
) -> None:
    order: list[str] = []

    def write(backend: SqlBackend, name: str) -> None:
        with backend.operation(write=True):
            order.append(name)
            backend.handlers["User"].create(user(name))

    with ThreadPoolExecutor() as pool:
        for turn in range(20):
            with one.operation(write=True):
                waiting = pool.submit(write, other, f"waited{turn}")
                deadline = time.monotonic() + PATIENCE
                while not somebody_stands_at(door_of(file)):
                    assert time.monotonic() < deadline
            write(one, f"again{turn}")
            waiting.result(PATIENCE)
    assert order == [name for turn in range(20) for name in (f"waited{turn}", f"again{turn}")]


def test_a_process_that_writes_without_a_pause_keeps_no_other_from_writing(one: SqlBackend, other: SqlBackend) -> None:
    enough = threading.Event()
    turns = 0

    def write_on() -> None:
        nonlocal turns
        while not enough.is_set():
            with one.operation(write=True):
                turns += 1

    with ThreadPoolExecutor() as pool:
        writing = [pool.submit(write_on) for _ in range(4)]
        try:
            for number in range(10):
                create(other, user(f"between{number}"))
        finally:
            enough.set()
        for each in writing:
            each.result(PATIENCE)
    assert turns > 0
    assert names(one) == {"one", "other", *(f"between{number}" for number in range(10))}


def test_a_process_that_is_killed_while_it_is_next_holds_nobody_up(one: SqlBackend, file: Path) -> None:
    hold = "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", hold, str(door_of(file))], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child, child.stdout:
        child.stdout.readline()
        assert somebody_stands_at(door_of(file))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(create, one, user("waits"))
            child.send_signal(signal.SIGKILL)
            waiting.result(PATIENCE)


@pytest.mark.parametrize("held", ["the turn", "the lock"])
def test_who_waits_in_vain_is_told_to_come_again(
    one: SqlBackend, other: SqlBackend, file: Path, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim_gateway_sql.sqlite, "BUSY_SECONDS", 0.05)
    holding = standing_at(door_of(file)) if held == "the turn" else other.operation(write=True)
    with holding, ThreadPoolExecutor(1) as pool, pytest.raises(Unavailable, match="busy with other writes") as busy:
        pool.submit(create, one, user("waits")).result(PATIENCE)
    assert busy.value.headers["Retry-After"] == "1"
    assert not somebody_stands_at(door_of(file))
    create(one, user("again"))


def test_reads_wait_for_nobodys_turn(one: SqlBackend, file: Path) -> None:
    with standing_at(door_of(file)):
        assert names(one) == {"one"}


def test_without_a_file_for_the_turns_writing_goes_on(file: Path) -> None:
    door_of(file).mkdir()  # nobody can open that to write
    backend = opened(file)
    create(backend, user("ada"))
    backend.close()


def test_the_file_for_the_turns_is_its_owners_alone_and_closed_with_the_directory(file: Path) -> None:
    backend = opened(file)
    create(backend, user("ada"))
    assert door_of(file).stat().st_mode & 0o777 == 0o600
    assert door_of(file).stat().st_size == 0
    assert str(door_of(file)) in open_files()
    backend.close()
    assert str(door_of(file)) not in open_files()


def open_files() -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return found
