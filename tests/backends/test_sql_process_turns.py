"""Processes that write to one SQLite file take turns: none of them waits while another has it again and again."""

from __future__ import annotations

import contextlib
import errno
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
from scim_gateway_sql.process_turns import ProcessTurns
from sql_directory import PATIENCE, TYPES, opened

from scim_gateway.backend import Query
from scim_gateway.errors import Unavailable
from scim_gateway.testing import create, user

USER = TYPES.by_name["User"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "scim-gateway.db"


@pytest.fixture
def one(backend: SqlBackend) -> SqlBackend:
    create(backend, user("one"))
    return backend


@pytest.fixture
def other(one: SqlBackend, other: SqlBackend) -> SqlBackend:
    """What another process has: its own connections, and its own queue of writes."""
    create(other, user("other"))
    return other


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
    one: SqlBackend, other: SqlBackend, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim_gateway_sql.sqlite, "BUSY_SECONDS", PATIENCE)  # however slow the machine is
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


def test_a_process_that_is_killed_while_it_is_next_holds_nobody_up(
    one: SqlBackend, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim_gateway_sql.sqlite, "BUSY_SECONDS", 10 * PATIENCE)  # nobody passes by before
    hold = (
        "import fcntl, sys, time; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); "
        "print(flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", hold, str(door_of(file))], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child, child.stdout:
        child.stdout.readline()
        assert somebody_stands_at(door_of(file))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(create, one, user("waits"))
            child.send_signal(signal.SIGKILL)
            waiting.result(PATIENCE)


def test_who_waits_in_vain_is_told_to_come_again(
    one: SqlBackend, other: SqlBackend, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim_gateway_sql.sqlite, "BUSY_SECONDS", 0.05)
    with other.operation(write=True), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(create, one, user("waits"))
        with pytest.raises(Unavailable, match="busy with other writes") as busy:
            waiting.result(PATIENCE)
    assert busy.value.headers["Retry-After"] == "1"
    assert not somebody_stands_at(door_of(file))
    create(one, user("again"))


def test_a_process_that_was_stopped_while_it_is_next_keeps_nobody_from_writing(
    one: SqlBackend, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim_gateway_sql.sqlite, "BUSY_SECONDS", 0.05)
    with standing_at(door_of(file)):
        create(one, user("passes by"))
    assert names(one) == {"one", "passes by"}


def test_reads_wait_for_nobodys_turn(one: SqlBackend, file: Path) -> None:
    with standing_at(door_of(file)):
        assert names(one) == {"one"}


def test_without_a_file_for_the_turns_writing_goes_on_and_the_operator_is_told(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    door_of(file).mkdir()  # nobody can open that to write
    backend = opened(file.parent)
    create(backend, user("ada"))
    backend.close()
    assert f"{door_of(file)}: Is a directory; processes that write may keep each other waiting" in caplog.messages


def test_on_a_file_system_without_such_locks_writing_goes_on(one: SqlBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(_file: int, _operation: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    create(one, user("ada"))
    assert names(one) == {"one", "ada"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that the service cannot open")
def test_the_file_belongs_to_the_owner_of_the_database_also_where_root_makes_it(file: Path) -> None:
    file.touch()
    os.chown(file, 65534, 65534)
    backend = opened(file.parent)
    create(backend, user("ada"))
    backend.close()
    assert (door_of(file).stat().st_uid, door_of(file).stat().st_gid) == (65534, 65534)


def test_a_forked_process_does_not_hold_what_its_parent_holds(file: Path) -> None:
    turns = ProcessTurns(file)
    inherited = turns._file
    ready, stay = os.pipe(), os.pipe()

    def fork() -> bool:
        child = os.fork()
        if child == 0:
            os.write(ready[1], b"closed" if turns._file == -1 else b"open")
            os.read(stay[0], 1)
            os._exit(0)
        children.append(child)
        return True

    children: list[int] = []
    assert turns.take(fork, PATIENCE)  # forks while it is at the door
    try:
        assert os.read(ready[0], 10) == b"closed"
        assert turns._file == inherited
        assert not somebody_stands_at(door_of(file))
    finally:
        os.write(stay[1], b"x")
        os.waitpid(children[0], 0)
        for end in (*ready, *stay):
            os.close(end)
    turns.close()


def test_the_file_for_the_turns_is_its_owners_alone_and_closed_with_the_directory(file: Path) -> None:
    backend = opened(file.parent)
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
