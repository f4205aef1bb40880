"""Connections to clients that are slow: how long they are waited for, and what is read of them before a thread is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from scim_gateway.client_socket import SLOWEST, ClientSocket, Patience, TooSlow

HEAD = b"GET /scim/v2/Users HTTP/1.1\r\nHost: localhost\r\n\r\n"
NEVER = 0.001
"""Seconds: whoever is waited for in these tests does nothing at all, so that any time is long enough."""
LONG = 600.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end, and the one that was accepted."""
    client, accepted = socket.socketpair()
    client.settimeout(60)
    with client, accepted:
        yield client, accepted


Pair = tuple[socket.socket, socket.socket]


def after(patience: Patience, rate: int, seconds: int) -> Iterator[float]:
    """What is left of it after each second in which a client moves so many bytes."""
    for _ in range(seconds):
        patience.waited(1.0)
        patience.moved(rate)
        yield patience.left


def test_a_large_body_over_a_slow_line_is_waited_for() -> None:
    assert min(after(Patience(10.0), 64 * 1024, 16 * 1024 // 64)) > 0


@pytest.mark.parametrize("rate", [1, 100, 1024])
def test_who_is_slower_than_the_slowest_is_given_up_soon_after_the_time_for_nothing_at_all(rate: int) -> None:
    left = list(after(Patience(10.0), rate, 12))
    assert [seconds > 0 for seconds in left[:9]] == [True] * 9
    assert left[-1] <= 0


def test_nobody_lays_up_time_by_being_fast() -> None:
    patience = Patience(10.0)
    patience.moved(16 * 1024 * 1024)
    assert patience.left == 10.0


def test_each_request_has_patience_of_its_own() -> None:
    patience = Patience(10.0)
    patience.waited(30.0)
    patience.moved(SLOWEST)
    assert patience.left == -19.0
    patience.renew(5.0)
    assert patience.left == 5.0


def test_a_client_that_sends_nothing_is_too_slow(pair: Pair) -> None:
    with ClientSocket(pair[1], NEVER) as client, pytest.raises(TooSlow):
        client.recv(1)


def test_a_client_that_takes_nothing_is_too_slow(pair: Pair) -> None:
    with ClientSocket(pair[1], NEVER) as client, pytest.raises(TooSlow):
        client.sendall(b"x" * 64 * 1024 * 1024)


def test_a_timeout_is_shorter_than_the_patience_and_none_is_not_longer(pair: Pair) -> None:
    with ClientSocket(pair[1], LONG) as client:
        client.settimeout(NEVER)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.patience.renew(NEVER)
        client.settimeout(None)
        with pytest.raises(TooSlow):
            client.recv(1)


def test_what_has_come_is_read_late_as_it_is_and_buys_time(pair: Pair) -> None:
    other, accepted = pair
    with ClientSocket(accepted, LONG) as client:
        client.patience.waited(LONG + 1.0)
        with pytest.raises(TooSlow):
            client.recv(1)
        other.sendall(b"x" * 2 * SLOWEST)
        received = 0
        while received < 2 * SLOWEST:
            received += len(client.recv(1024))
        assert client.patience.left == pytest.approx(1.0)


def fill_up(client: ClientSocket) -> int:
    """Send until the kernel takes no more, without waiting; how many bytes it took."""
    sent = 0
    with suppress(TooSlow):
        while True:
            sent += client.send(b"x" * 4096)
    return sent


def test_what_the_kernel_holds_for_a_client_buys_no_time_until_the_client_takes_it(pair: Pair) -> None:
    other, accepted = pair
    with ClientSocket(accepted, LONG) as client:
        client.settimeout(0)
        sent = fill_up(client)
        client.patience.waited(LONG)
        assert fill_up(client) == 0
        assert client.patience.left == pytest.approx(0.0)
        while sent:
            sent -= len(other.recv(65536))
        assert fill_up(client) > 0
        assert client.patience.left > 0


def test_a_large_answer_arrives_whole_at_a_client_that_takes_it_bit_by_bit(pair: Pair) -> None:
    other, accepted = pair
    answer = bytes(range(256)) * 16 * 1024
    with ClientSocket(accepted, LONG) as client:
        accepted.close()
        received = bytearray()

        def take() -> None:
            while part := other.recv(10_000):
                received.extend(part)

        taking = threading.Thread(target=take)
        taking.start()
        client.sendall(answer)
        client.shutdown(socket.SHUT_WR)
        taking.join(60)
    assert received == answer


def test_a_head_is_ready_when_its_last_byte_has_come(pair: Pair) -> None:
    other, accepted = pair
    with ClientSocket(accepted, LONG) as client:
        for number in range(len(HEAD)):
            assert not client.fill()
            other.sendall(HEAD[number : number + 1])
        other.sendall(b"body")
        assert client.fill()
        assert client.recv(len(HEAD)) + client.recv(100) == HEAD + b"body"
        other.sendall(b"more")
        assert client.recv(100) == b"more"


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\nHost: localhost\n\n", b"\n", b"x" * 16 * 1024],
    ids=["bare line feeds", "a line feed", "longer than any"],
)
def test_what_can_be_no_head_is_ready_for_whoever_refuses_it(pair: Pair, sent: bytes) -> None:
    with ClientSocket(pair[1], LONG) as client:
        pair[0].sendall(sent)
        assert client.fill()


def test_a_client_that_has_gone_is_ready_and_at_its_end(pair: Pair) -> None:
    other, accepted = pair
    with ClientSocket(accepted, LONG) as client:
        other.sendall(b"GET")
        assert not client.fill()
        other.close()
        assert client.fill()
        assert client.recv(100) == b"GET"
        assert client.recv(100) == b""


def test_what_follows_a_head_stays_with_the_kernel_until_the_head_is_read(pair: Pair) -> None:
    other, accepted = pair
    with ClientSocket(accepted, LONG) as client:
        other.sendall(HEAD)
        assert client.fill()
        other.sendall(HEAD)
        assert client.fill()
        assert client.ahead == HEAD
