"""make engine-double: what a newcomer reads, types and sees."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from doubles.asking import tell

TESTS = Path(__file__).parents[1]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "doubles.singlestore", "--port", "0", "--behaviour", "repeat_grant_group=error"]
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    # A shell that runs the tests in the background has them ignore Ctrl-C, and what they start inherits that.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
    signal.signal(signal.SIGINT, handler)
    with started:
        yield started
        started.kill()


def read_until(process: subprocess.Popen[str], wanted: str) -> str:
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if wanted in line:
            return read
    raise AssertionError(f"{wanted!r} was not printed:\n{read}")


def write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def connect(introduction: str) -> pymysql.connections.Connection[pymysql.cursors.Cursor]:
    url = re.search(r"ENGINE_URL=singlestore://(\w+)@([\d.]+):(\d+)", introduction)
    password = re.search(r"ENGINE_PASSWORD=(\S+)", introduction)
    assert url
    assert password
    return pymysql.connect(host=url[2], port=int(url[3]), user=url[1], password=password[1], autocommit=True)


def test_it_says_how_to_use_it_and_prints_what_it_does(process: subprocess.Popen[str]) -> None:
    with connect(read_until(process, "What the gateway sends")) as gateway:
        tell(gateway, "CREATE USER 'ada' IDENTIFIED BY 'secret'", "CREATE GROUP 'eng'", "GRANT GROUP 'eng' TO 'ada'")
        printed = read_until(process, "GRANT GROUP")
        assert "scim_gw on 1: CREATE USER 'ada' IDENTIFIED BY '…'\n" in printed
        assert "secret" not in printed
        tell(gateway, "SHOW GROUPS")
        write(process, "SHOW USERS FOR GROUP 'eng'")
        assert "'ada'@'%' | Native" in read_until(process, "'ada'")
        write(process, "GRANT GROUP 'eng' TO 'ada'")
        assert "error 1396" in read_until(process, "error")
        write(process, "ALTER USER 'ada' ACCOUNT LOCK")
        read_until(process, "done")
        write(process, "restart")
        read_until(process, "restarted")
    write(process, "quit")
    assert process.wait(timeout=30) == 0


def test_it_ends_by_ctrl_c_without_a_trace(process: subprocess.Popen[str]) -> None:
    read_until(process, "What the gateway sends")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
