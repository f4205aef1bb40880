"""Connections between gunicorn's poller and its threads, without either."""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.workers.gthread import ThreadWorker

from scim_gateway.client_socket import ClientSocket
from scim_gateway.gunicorn_worker import Worker
from scim_gateway.threads import Threads

HEAD = b"GET /scim/v2/Users HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Half(Worker):
    """The half of a worker that looks after connections; what goes to a thread is kept."""

    def __init__(self) -> None:
        self.poller = selectors.DefaultSelector()
        self.keepalived_conns, self.pending_conns = deque[Any](), deque[Any]()
        self.handed: list[Any] = []
        self.alive, self.nr_conns, self._ending = True, 1, {}
        self._notified = self._looked = 0.0
        self.tpool = SimpleNamespace(submit=self._submit)

    def _submit(self, _handle: object, conn: Any) -> Future[bool]:
        self.handed.append(conn)
        return Future()

    def step(self) -> int:
        """Do what the poller has found; how much that was."""
        found = self.poller.select(0)
        for key, _ in found:
            key.data(key.fileobj)
        return len(found)

    def answered(self, conn: Any, *, another: bool) -> None:
        done: Future[bool] = Future()
        done.set_result(another)
        self.finish_request(conn, done)


class Connection(SimpleNamespace):
    """What gunicorn keeps of one."""

    __hash__ = object.__hash__


@pytest.fixture
def worker() -> Iterator[Half]:
    worker = Half()
    with worker.poller:
        yield worker


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end, and the one that was accepted."""
    client, accepted = socket.socketpair()
    client.settimeout(60)
    with client, accepted:
        yield client, accepted


@pytest.fixture
def client(pair: tuple[socket.socket, socket.socket]) -> socket.socket:
    return pair[0]


@pytest.fixture
def conn(worker: Half, pair: tuple[socket.socket, socket.socket]) -> Iterator[Any]:
    """A connection whose first request is answered."""
    unreader = SimpleNamespace(buf=SimpleNamespace(getvalue=lambda: b""))
    with ClientSocket(pair[1], 600) as sock:
        conn = Connection(sock=sock, parser=SimpleNamespace(unreader=unreader), initialized=True, timeout=0.0)
        conn.set_timeout = lambda: setattr(conn, "timeout", 1e9)
        conn.close = sock.close
        worker.answered(conn, another=True)
        yield conn


def test_a_connection_stays_with_the_poller_from_one_request_to_the_next(worker: Half, client: Any, conn: Any) -> None:
    for number in range(1, 4):
        client.sendall(HEAD)
        assert worker.step() == 1
        assert worker.handed == [conn] * number
        assert not worker.keepalived_conns
        assert worker.step() == 0, "nothing is left for the poller to find"
        conn.sock.ahead = b""
        worker.answered(conn, another=True)
        assert list(worker.keepalived_conns) == [conn]


@pytest.mark.parametrize("gone", [False, True], ids=["more", "gone"])
def test_what_comes_while_a_request_is_answered_is_found_once_and_looked_at_afterwards(
    worker: Half, client: Any, conn: Any, gone: bool
) -> None:
    client.sendall(HEAD)
    worker.step()
    conn.sock.ahead = b""
    if gone:
        client.close()
    else:
        client.sendall(HEAD)
    assert [worker.step() for _ in range(3)] == [1, 0, 0], "it would keep the processor busy until the answer is sent"
    assert worker.handed == [conn]
    worker.answered(conn, another=True)
    assert worker.step() == 1
    assert worker.handed == [conn] * 2


def test_a_second_head_in_pieces_is_waited_for_and_so_is_a_third(worker: Half, client: Any, conn: Any) -> None:
    for number in range(1, 3):
        client.sendall(HEAD[:9])
        worker.step()
        assert list(worker.pending_conns) == [conn]
        client.sendall(HEAD[9:])
        worker.step()
        assert worker.handed == [conn] * number
        conn.sock.ahead = b""
        worker.answered(conn, another=True)


def test_a_last_answer_is_left_to_the_client_to_take(worker: Half, client: Any, conn: Any) -> None:
    client.sendall(HEAD)
    worker.step()
    conn.sock.ahead = b""
    worker.answered(conn, another=False)
    assert client.recv(1) == b"", "no more comes"
    assert conn.sock.fileno() >= 0, "and nothing was reset"
    client.close()
    worker.step()
    assert conn.sock.fileno() < 0
    assert worker.nr_conns == 0


def test_who_asks_on_without_taking_answers_is_not_reset_either(
    worker: Half, client: Any, conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClientSocket, "lags", lambda _: True)
    client.sendall(HEAD)
    worker.step()
    assert not worker.handed
    assert client.recv(1) == b""
    assert conn.sock.fileno() >= 0


def test_threads_that_rest_do_not_keep_a_process_whose_loop_has_failed(
    worker: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(ThreadWorker, "run", fail)
    worker.tpool = threads = Threads(1)
    threads.submit(int)
    with pytest.raises(OSError, match="too many"):
        worker.run()
    [thread] = threads._all
    thread.join(60)
    assert not thread.is_alive()


def test_signs_of_life_are_given_now_and_then_and_the_parent_is_looked_for_as_often(
    worker: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, done = 1000.0, list[str]()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(ThreadWorker, "notify", lambda _: done.append("notify"))
    monkeypatch.setattr(ThreadWorker, "is_parent_alive", lambda _: done.append("look") or now < 1001)
    seen = []
    for eighth in range(9):
        now = 1000 + eighth / 8
        worker.notify()
        seen.append(worker.is_parent_alive())
    assert done == ["notify", "look"] * 5
    assert seen == [True] * 8 + [False]


def test_a_request_whose_handling_has_failed_is_logged_and_ends_its_connection_alone(
    worker: Half, client: Any, conn: Any
) -> None:
    said: list[str] = []
    worker.log = SimpleNamespace(exception=said.append)
    client.sendall(HEAD)
    worker.step()
    failed: Future[bool] = Future()
    failed.set_exception(RuntimeError("a defect"))
    worker.finish_request(conn, failed)
    assert said == ["A request could not be handled; its connection is closed"]
    assert client.recv(1) == b""
