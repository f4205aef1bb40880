"""Clients that are slow on purpose, over gunicorn: threads are for requests, and nobody has one for ever."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
from gateway_process import TOKEN, GatewayProcess, serving
from scim_http import new_user

PATIENT = 120.0
"""Seconds after which a client of these tests takes the gateway for dead."""
AUTHORIZATION = f"Authorization: Bearer {TOKEN}\r\n"
THREADS = 2
ATTEMPTS = 20


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One that gives up nobody while these tests run."""
    with one_worker(tmp_path_factory.mktemp("patient"), client_timeout=600) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One that gives up whoever rests for a second."""
    with one_worker(tmp_path_factory.mktemp("impatient"), client_timeout=1) as gateway:
        yield gateway


@contextmanager
def one_worker(folder: Path, **settings: int) -> Iterator[GatewayProcess]:
    environ = {f"SCIM_GATEWAY_{name.upper()}": str(value) for name, value in settings.items()}
    with serving(folder, "memory", workers=1, threads=THREADS, **environ) as gateway:
        yield gateway


def connect(gateway: GatewayProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENT)


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def answers(gateway: GatewayProcess) -> bool:
    """Whether somebody else is served."""
    with closing(HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENT)) as client:
        client.request("GET", "/scim/v2/ServiceProviderConfig")
        return client.getresponse().status == 200


def answers_at_last(gateway: GatewayProcess) -> bool:
    """The same of one that gives up whoever rests for a second, as any process does that the machine lets wait."""
    for _ in range(ATTEMPTS):
        with suppress(ConnectionError):
            return answers(gateway)
    return False


def given_up(gateway: GatewayProcess, sent: bytes) -> bytes:
    """Send this and no more; all that comes until the gateway ends the connection."""
    with connect(gateway) as client:
        with suppress(ConnectionError):
            client.sendall(sent)
        return rest_of(client)


def rest_of(client: socket.socket) -> bytes:
    """All that comes until the connection ends, by whichever end."""
    received = b""
    with suppress(ConnectionResetError):
        while part := client.recv(65536):
            received += part
    return received


def drip(gateway: GatewayProcess, begun: bytes) -> bytes:
    """Go on a byte at a time until the connection ends; what the gateway had to say."""
    with connect(gateway) as client, suppress(ConnectionError):
        client.sendall(begun)
        client.settimeout(0.1)
        for _ in range(int(10 * PATIENT)):
            client.sendall(b"a")
            with suppress(TimeoutError):
                received = client.recv(65536)
                client.settimeout(PATIENT)
                return received + rest_of(client)
        raise AssertionError("a byte at a time kept the connection")
    return b""


@pytest.mark.parametrize("sent", [b"", b"G", get("/healthz")[:-2], get("/healthz") + b"GET /"])
def test_who_has_not_sent_a_whole_head_has_no_thread(patient: GatewayProcess, sent: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(4 * THREADS):
            stack.enter_context(connect(patient)).sendall(sent)
            assert answers(patient)


def test_a_head_that_comes_in_pieces_is_read_on_a_new_connection_and_on_one_that_was_used(
    patient: GatewayProcess,
) -> None:
    with connect(patient) as client, client.makefile("rb") as received:
        for _ in range(3):
            for piece in get("/healthz").splitlines(keepends=True):
                client.sendall(piece[:3])
                assert answers(patient)
                client.sendall(piece[3:])
            assert received.readline() == b"HTTP/1.1 200 OK\r\n"
            while received.readline() != b"\r\n":
                continue
            assert json.loads(received.read(15)) == {"status": "ok"}


def test_requests_that_come_at_once_are_answered_in_turn_whatever_their_length(patient: GatewayProcess) -> None:
    lengths = (0, 5_000, 8_000, 100, 0, 7_000, 8_100, 8_100, 20)
    requests = b"".join(get("/healthz", f"X-Filler: {'x' * length}") for length in lengths)
    with connect(patient) as client:
        client.sendall(requests + get("/healthz")[:30])
        assert answers(patient)
        client.sendall(get("/healthz", "Connection: close")[30:])
        assert rest_of(client).count(b'{"status":"ok"}') == len(lengths) + 1


def test_who_stays_after_the_last_answer_keeps_nobody_waiting(patient: GatewayProcess) -> None:
    with ExitStack() as stack:
        # Were each of them waited for, for 2 seconds, the next one would have been given up.
        for _ in range(600):
            client = stack.enter_context(connect(patient))
            client.sendall(get("/healthz", "Connection: close"))
        assert answers(patient)


@pytest.mark.parametrize("sent", [b"", b"G", get("/healthz")])
def test_who_holds_all_places_does_not_hold_the_door(patient: GatewayProcess, sent: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(600):
            client = stack.enter_context(connect(patient))
            client.sendall(sent)
            if sent.endswith(b"\r\n\r\n"):
                assert client.recv(12) == b"HTTP/1.1 200"
        assert answers(patient)


@pytest.mark.parametrize("sent", [b"", b"G", get("/healthz")[:-2]])
def test_a_head_that_does_not_come_to_its_end_is_given_up(impatient: GatewayProcess, sent: bytes) -> None:
    assert given_up(impatient, sent) == b""


def test_a_second_head_that_does_not_come_to_its_end_is_given_up_after_the_first_is_answered(
    impatient: GatewayProcess,
) -> None:
    sent = get("/healthz") + b"GET /"
    assert any(given_up(impatient, sent).endswith(b'{"status":"ok"}') for _ in range(ATTEMPTS))


def test_a_head_that_comes_a_byte_at_a_time_is_given_up(impatient: GatewayProcess) -> None:
    assert drip(impatient, b"GET /healthz HTTP/1.1\r\nX-Endless: ") == b""


@pytest.mark.parametrize("framing", ["Content-Length: 100000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n186a0\r\n"])
def test_a_body_that_comes_a_byte_at_a_time_is_refused(impatient: GatewayProcess, framing: str) -> None:
    head = f"POST /scim/v2/Users HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}Content-Type: application/json\r\n"
    attempts = (drip(impatient, (head + framing).encode()) for _ in range(ATTEMPTS))
    received = next(filter(None, attempts))
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nConnection: close\r\n" in received
    assert b"invalidSyntax" in received


def unread(gateway: GatewayProcess, path: str, *headers: str) -> socket.socket:
    """A client that asks and asks and reads nothing, until the gateway reads no further or ends the connection."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENT)
    client.connect(("127.0.0.1", gateway.port))
    client.settimeout(1)
    with suppress(OSError):
        for _ in range(3000):
            client.sendall(get(path, *headers))
    return client


def test_who_asks_on_without_taking_answers_has_no_thread(patient: GatewayProcess) -> None:
    with ExitStack() as stack:
        for _ in range(2 * THREADS):
            stack.enter_context(unread(patient, "/scim/v2/Schemas"))
        assert answers(patient)


def created(gateway: GatewayProcess, number: int) -> bool:
    """Whether there is a user of a megabyte, now or since an attempt of which the answer was lost."""
    body = json.dumps(new_user(f"large{number}", displayName="x" * 1_000_000))
    with closing(HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENT)) as client, suppress(ConnectionError):
        client.request("POST", "/scim/v2/Users", body, {"Authorization": f"Bearer {TOKEN}"})
        return client.getresponse().status in (201, 409)
    return False


def test_who_does_not_take_an_answer_has_a_thread_for_a_bounded_time(impatient: GatewayProcess) -> None:
    for number in range(12):  # the kernel holds a part of an answer, and megabytes are too much for it
        assert any(created(impatient, number) for _ in range(ATTEMPTS))
    with ExitStack() as stack:
        for _ in range(2 * THREADS):
            stack.enter_context(unread(impatient, "/scim/v2/Users", AUTHORIZATION.strip()))
        assert answers_at_last(impatient)


def test_the_gateway_says_nothing_of_slow_clients_that_would_alarm_an_operator(impatient: GatewayProcess) -> None:
    assert answers_at_last(impatient)
    assert "Traceback" not in impatient.output


def test_a_stop_does_not_wait_for_those_who_have_sent_no_head(tmp_path: Path) -> None:
    with ExitStack() as stack:
        gateway = stack.enter_context(one_worker(tmp_path, client_timeout=600, graceful_timeout=600))
        for sent in (b"", b"G"):
            stack.enter_context(connect(gateway)).sendall(sent)
        assert answers(gateway)
        assert gateway.stop(PATIENT) == 0
