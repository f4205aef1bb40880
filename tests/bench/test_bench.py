"""The measuring client: what it sends, what it understands, and the workloads against a gateway over HTTP."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from click.testing import CliRunner
from werkzeug.serving import make_server as make_threaded_server

from scim_gateway.app import create_app
from scim_gateway.bench import deployment
from scim_gateway.bench.deployment import Row, check_url, measure
from scim_gateway.bench.directory import TEAMS, Directory, Traits, fill
from scim_gateway.bench.measuring import Client, percentile
from scim_gateway.bench.throwaway import Size, clean_up
from scim_gateway.bench.wire import BenchmarkError, Connection, Target
from scim_gateway.bench.workloads import NotApplicable, all_workloads
from scim_gateway.cli import main

TOKEN = "a-token-of-the-tests-0123456789-abcdef"
MEMORY = {"SCIM_GATEWAY_BACKEND": "memory", "SCIM_GATEWAY_TOKEN": TOKEN, "SCIM_GATEWAY_LOG_LEVEL": "error"}


@contextmanager
def answering(*pieces: bytes) -> Iterator[Target]:
    """A service that sends these pieces, whatever it is asked, and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Target("127.0.0.1", listener.getsockname()[1])
        thread.join()


@contextmanager
def serving(app: Any) -> Iterator[Target]:
    server = make_threaded_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Target("127.0.0.1", server.port, "/scim/v2", TOKEN)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def gateway() -> Iterator[Target]:
    app = create_app(MEMORY)
    with serving(app) as target:
        yield target


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 2), (99, 4), (1, 1), (100, 4)], ids=["median", "almost all", "least", "all"]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(percent: float, expected: float) -> None:
    assert percentile([1, 2, 3, 4], percent) == expected


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 50) == 0.0


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",),
        (b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 5\r\n\r\nhe", b"llo"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nAge: 10\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"),
    ],
    ids=["whole", "in pieces", "chunked behind its head", "chunked"],
)
def test_an_answer_is_read_however_it_arrives(pieces: tuple[bytes, ...]) -> None:
    with answering(*pieces) as target, closing(Connection(target)) as connection:
        reply = connection.exchange(target.request("GET", "/"))
    assert (reply.status, reply.body) == (200, b"hello")
    assert reply.headers()[0][0] in ("Content-Length", "Transfer-Encoding")


def test_an_answer_that_breaks_off_is_an_error() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"
    with (
        answering(cut) as target,
        closing(Connection(target)) as connection,
        pytest.raises(BenchmarkError, match="brok"),
    ):
        connection.exchange(target.request("GET", "/"))


def test_a_service_that_is_not_there_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(BenchmarkError, match=f"127.0.0.1:{port} cannot be reached"):
        Connection(Target("127.0.0.1", port))


@pytest.mark.parametrize("url", ["ftp://host/scim", "scim/v2", "", "http://[host/", "http://u:se/kret@host/scim"])
def test_only_urls_of_http_are_measured(url: str) -> None:
    with pytest.raises(ValueError, match="SCIM base URL"):
        Target.of_url(url, None)


def test_a_url_of_https_is_verified_unless_that_is_declined() -> None:
    verified, unverified = (Target.of_url("https://host/scim/v2/", "t", verify=verify) for verify in (True, False))
    assert (verified.port, verified.base) == (443, "/scim/v2")
    assert verified.tls is not None
    assert verified.tls.check_hostname
    assert unverified.tls is not None
    assert not unverified.tls.check_hostname


def test_a_wrong_status_ends_the_measurement_with_what_was_answered(gateway: Target) -> None:
    client = Client(gateway)
    with closing(client), pytest.raises(BenchmarkError, match="expected 200, but was answered 404"):
        client.measure(itertools.repeat(gateway.request("GET", "/Nothing")), (200,), seconds=0.05)


def test_each_connection_sends_at_least_one_request(gateway: Target) -> None:
    client = Client(gateway, connections=3)
    with closing(client):
        timing = client.measure(itertools.repeat(gateway.request("GET", "/Users")), (200,), seconds=0.0, keep=True)
    assert timing.count == len(timing.latencies) == len(timing.replies) == 3
    assert timing.rate > 0


def test_requests_that_run_out_end_the_measurement(gateway: Target) -> None:
    client = Client(gateway, connections=2)
    with closing(client):
        replies = client.send_all(gateway.request("GET", "/Users") for _ in range(5))
    assert [reply.status for reply in replies] == [200] * 5


def test_every_workload_does_what_it_says_and_leaves_the_directory_as_it_was(gateway: Target) -> None:
    client = Client(gateway, connections=2)
    with closing(client):
        directory = Directory(client, Traits(), "person")
        fill(directory, 120, (20,), committee=4)
        total = client.call("GET", "/Users?count=0").json()["totalResults"]
        measured = set()
        workloads = all_workloads((20,))
        for workload in workloads:
            plan = workload.plan(directory)
            requests = itertools.islice(plan.requests, 3)
            timing = client.measure(requests, plan.statuses, seconds=float("inf"), keep=True)
            if plan.again:
                plan.again(timing.replies)
            measured.add(workload.name)
        assert measured == {workload.name for workload in workloads}
        assert len(directory.committee) == 1
        assert client.call("GET", "/Users?count=0").json()["totalResults"] == total - 3
        teams = client.call("GET", f"/Users/{directory.committee[0]}").json()["groups"]
        assert len(teams) == TEAMS
        assert clean_up(client, "person") is None
        assert client.call("GET", "/Users?count=0").json()["totalResults"] == 0


def test_a_group_that_there_is_not_cannot_be_measured(gateway: Target) -> None:
    with closing(Client(gateway)) as client:
        directory = Directory(client, Traits(), "person")
        (workload,) = (each for each in all_workloads() if each.name == "GET group 10000")
        with pytest.raises(NotApplicable, match="more members than people"):
            workload.plan(directory)


@pytest.mark.parametrize("users", [10, 100])
def test_a_deployment_is_measured_and_left_as_it_was(users: int) -> None:
    app, rows, made = create_app(MEMORY), list[Row](), list[str]()

    def counting(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "POST":
            made.append(environ["PATH_INFO"])
        return app(environ, start_response)

    size = Size(users)
    with serving(counting) as target:
        assert measure(target, rows.append, size=size, seconds=0.01, connections=2)
        assert [row.workload for row in rows] == [workload.name for workload in all_workloads((size.group,))]
        assert all(row.count and row.rate > 0 for row in rows if row.reason is None)
        assert len(made) == size.removals  # each of them is removed, and that was told beforehand
        with closing(Client(target)) as client:
            for path in ("/Users", "/Groups"):
                assert client.call("GET", f"{path}?count=0").json()["totalResults"] == 0


def test_a_deployment_that_refuses_groups_is_left_without_a_trace() -> None:
    """Whatever goes wrong while people are made, none of them stays."""
    app = create_app(MEMORY)

    def without_groups(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith("/Groups"):
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            start_response("500 Internal Server Error", [("Content-Length", "2")])
            return [b"{}"]
        return app(environ, start_response)

    with serving(without_groups) as target:
        with pytest.raises(BenchmarkError, match="500"):
            measure(target, lambda row: None, size=Size(10), seconds=0.01, connections=2)
        with closing(Client(target)) as client:
            assert client.call("GET", "/Users?count=0").json()["totalResults"] == 0


@pytest.mark.parametrize(
    ("url", "token", "insecure", "good"),
    [
        ("http://127.0.0.1:8000/scim/v2", "t" * 40, False, True),
        ("https://scim.example.com/scim/v2", "t" * 40, False, True),
        ("http://scim.example.com/scim/v2", "t" * 40, False, False),
        ("http://scim.example.com/scim/v2", "t" * 40, True, True),
        ("https://scim.example.com/scim/v2", "", False, False),
        ("https://scim.example.com/scim/v2", "a\r\nb", False, False),
    ],
)
def test_a_token_is_sent_where_it_is_safe(url: str, token: str, insecure: bool, good: bool) -> None:
    if good:
        assert check_url(url, token, insecure=insecure).token == token
    else:
        with pytest.raises(ValueError, match="token"):
            check_url(url, token, insecure=insecure)


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    for url in ("http://a:sekret@127.0.0.1:8000/scim/v2", "https://sekret@scim.example.com/scim/v2"):
        with pytest.raises(ValueError, match="the URL holds credentials") as raised:
            check_url(url, "t" * 40, insecure=False)
        assert "sekret" not in str(raised.value)


def test_the_command_asks_before_it_creates_anybody(gateway: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each takes the least time that may be asked for.
    monkeypatch.setattr(deployment, "all_workloads", lambda groups: all_workloads(groups)[:2])
    url = f"http://127.0.0.1:{gateway.port}/scim/v2"
    arguments = ["bench", "--url", url, "--seconds", "0.1"]
    environ = {"SCIM_GATEWAY_TOKEN": TOKEN}
    refused = CliRunner().invoke(main, arguments, obj=environ, input="n\n")
    assert refused.exit_code == 1
    assert "Go on?" in refused.stderr
    done = CliRunner().invoke(main, [*arguments, "--yes", "--json"], obj=environ)
    assert done.exit_code == 0
    answer = json.loads(done.stdout)
    assert answer["ok"]
    assert [row["workload"] for row in answer["workloads"]] == ["create", "get by id"]


def test_a_wrong_answer_is_told_by_its_detail(gateway: Target) -> None:
    """Administrators read sentences, not JSON; and no table is begun that has no lines."""
    arguments = ["bench", "--url", f"{gateway.url}/wrong", "--yes"]
    result = CliRunner().invoke(main, arguments, obj={"SCIM_GATEWAY_TOKEN": TOKEN})
    assert result.exit_code == 1
    assert result.stdout == ""
    error = result.stderr
    assert error.count("\n") == 1
    assert error.startswith("Error: expected 200, but was answered 404: ")
    assert "{" not in error


def test_the_command_says_in_one_line_what_is_wrong() -> None:
    arguments = ["bench", "--url", "http://scim.example.com/scim/v2", "--yes"]
    result = CliRunner().invoke(main, arguments, obj={"SCIM_GATEWAY_TOKEN": TOKEN})
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "https" in result.stderr
