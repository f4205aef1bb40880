"""The simulation itself: what it says about gateways that are not as they should be, and what it never does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from scim_gateway import simulate
from scim_gateway.simulate import SimulationError, Step
from scim_gateway.simulate.transport import Connection

TOKEN = "a-token-that-must-not-be-shown-0123456789"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

Reply = tuple[int, Mapping[str, str], bytes] | None


class Stub:
    """A gateway that answers what a test wants, and remembers what it was asked."""

    def __init__(self, answer: Callable[[str, str, Any, Mapping[str, str]], Reply]) -> None:
        self.answer = answer
        self.requests: list[tuple[str, str]] = []
        self.headers: list[Mapping[str, str]] = []

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        self.requests.append((handler.command, handler.path))
        self.headers.append(dict(handler.headers.items()))
        reply = self.answer(handler.command, handler.path, body, handler.headers)
        if reply is None:
            handler.close_connection = True
            return
        status, headers, data = reply
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


@contextmanager
def listening(answer: Callable[[str, str, Any, Mapping[str, str]], Reply]) -> Iterator[tuple[Stub, str]]:
    stub = Stub(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", lambda self: stub.handle(self))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield stub, f"http://127.0.0.1:{server.server_address[1]}/scim/v2"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def scim(status: int, body: Mapping[str, Any]) -> Reply:
    return status, {"Content-Type": "application/scim+json"}, json.dumps(body).encode()


def problem(status: int, detail: str) -> Reply:
    return scim(status, {"schemas": [ERROR], "status": str(status), "detail": detail})


def listing(*resources: Mapping[str, Any]) -> Reply:
    body = {
        "schemas": [LIST],
        "totalResults": len(resources),
        "startIndex": 1,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }
    return scim(200, body)


def authorized(headers: Mapping[str, str]) -> bool:
    return headers.get("Authorization", "").endswith(TOKEN)


def play(idp: str, url: str, **options: Any) -> tuple[bool, list[Step]]:
    steps: list[Step] = []
    good = simulate.run(idp, url, TOKEN, steps.append, **options)
    assert TOKEN not in "".join(f"{step} {step!r}" for step in steps)
    assert good == all(step.ok for step in steps)
    return good, steps


# -- what it refuses to start with ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://scim.example.com/scim/v2",
        "http://10.0.0.1/scim/v2",
        "http://127.0.0.1.example.com/",
        "http://[fe80::1]/",
    ],
)
def test_the_token_is_not_sent_in_the_clear_to_another_machine(url: str) -> None:
    with pytest.raises(SimulationError, match="https"):
        simulate.run("okta", url, TOKEN, lambda _: None)


@pytest.mark.parametrize(
    "url", ["http://localhost:1/scim/v2", "http://127.8.9.1:1/", "http://[::1]:1/", "https://a.example/"]
)
def test_loopback_and_https_are_fine(url: str) -> None:
    Connection(url, TOKEN).close()


def test_http_to_another_machine_is_possible_when_asked_for() -> None:
    Connection("http://scim.example.com/scim/v2", TOKEN, insecure=True).close()


@pytest.mark.parametrize(
    "url", ["", "scim.example.com", "ftp://a.example/", "https://user:pw@a.example/", "https://a.example/#x"]
)
def test_what_is_no_base_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(SimulationError):
        simulate.run("okta", url, TOKEN, lambda _: None)


@pytest.mark.parametrize("token", ["", "with blank", "new\nline", "ümlaut"])
def test_a_token_that_no_header_can_carry_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(SimulationError) as caught:
        simulate.run("okta", "https://a.example/", token, lambda _: None)
    assert not token or token not in str(caught.value)


def test_an_unknown_identity_provider_is_named_with_the_known_ones() -> None:
    with pytest.raises(SimulationError, match="entra, okta"):
        simulate.run("onelogin", "https://a.example/", TOKEN, lambda _: None)


# -- what it says about gateways that are ill -------------------------------------------------------------------------


def test_a_gateway_that_does_not_run_is_one_line_with_its_remedy() -> None:
    with listening(lambda *_: None) as (_, url):
        pass
    good, steps = play("okta", url)
    assert not good
    assert [step.ok for step in steps] == [False]
    assert "scim-gateway serve" in steps[0].detail


def test_a_wrong_token_is_said_once_and_the_scenario_stops() -> None:
    def answer(method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
        return problem(401, f"The token {headers.get('Authorization')} is not valid.")

    with listening(answer) as (stub, url):
        good, steps = play("okta", url)
    assert not good
    failed = [step for step in steps if not step.ok]
    assert all("scim-gateway token create" in step.detail for step in failed)
    assert {method for method, _ in stub.requests} == {"GET"}


@pytest.mark.parametrize("idp", sorted(simulate.SCENARIOS))
def test_a_gateway_that_accepts_any_token_is_found_out(idp: str) -> None:
    with listening(lambda *_: listing()) as (_, url):
        _, steps = play(idp, url)
    assert not steps[0].ok
    assert "anybody" in steps[0].detail


def test_a_redirect_is_not_followed() -> None:
    def answer(*_: object) -> Reply:
        return 301, {"Location": "/elsewhere"}, b""

    with listening(answer) as (stub, url):
        good, steps = play("entra", url)
    assert not good
    assert "redirect" in steps[0].detail
    assert all(path.startswith("/scim/v2/") for _, path in stub.requests)


def test_a_page_of_a_proxy_is_not_taken_for_the_gateway() -> None:
    html = b"<html>\x1b[31mBad gateway</html>"
    with listening(lambda *_: (502, {"Content-Type": "text/html"}, html)) as (_, url):
        good, steps = play("okta", url)
    assert not good
    assert "proxy" in steps[0].detail
    assert "\x1b" not in steps[0].detail


def test_an_answer_that_never_comes_is_a_time_out() -> None:
    released = threading.Event()

    def answer(*_: object) -> Reply:
        released.wait(10)
        return None

    with listening(answer) as (_, url):
        good, steps = play("okta", url, timeout=0.2)
        released.set()
    assert not good
    assert "in time" in steps[0].detail


def test_numbers_as_strings_are_found_as_okta_would_find_them() -> None:
    def answer(method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
        if not authorized(headers):
            return problem(401, "no")
        return scim(200, {"schemas": [LIST], "totalResults": 0, "startIndex": "1", "itemsPerPage": 0, "Resources": []})

    with listening(answer) as (_, url):
        _, steps = play("okta", url)
    assert steps[0].ok
    assert "JSON integer" in steps[1].detail


# -- what it leaves behind --------------------------------------------------------------------------------------------


def test_a_stranger_whom_a_broken_filter_answers_is_neither_changed_nor_deleted() -> None:
    stranger = {"id": "stranger", "userName": "boss@example.com", "displayName": "Boss"}

    def answer(method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
        return listing(stranger) if authorized(headers) else problem(401, "no")

    for idp in simulate.SCENARIOS:
        with listening(answer) as (stub, url):
            good, _ = play(idp, url)
        assert not good
        assert {method for method, _ in stub.requests} == {"GET"}


@pytest.mark.parametrize(
    "lost", [False, True], ids=["the gateway fails afterwards", "the answer to the create is lost"]
)
@pytest.mark.parametrize("idp", sorted(simulate.SCENARIOS))
def test_what_was_made_is_removed_also_after_a_failure(idp: str, lost: bool) -> None:
    users: dict[str, Mapping[str, Any]] = {}

    def answer(method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
        parts = urlsplit(path)
        if not authorized(headers):
            return problem(401, "no")
        if method == "GET" and parts.path.endswith("s"):
            wanted = parse_qs(parts.query).get("filter", [""])[0].casefold()
            return listing(*(user for user in users.values() if str(user["userName"]).casefold() in wanted))
        if method == "POST" and parts.path.endswith("/Users"):
            users["u1"] = {**body, "id": "u1"}
            return None if lost else scim(201, users["u1"])
        if method == "DELETE" and users.pop(parts.path.rsplit("/", 1)[1], None):
            return 204, {}, b""
        return problem(404 if method == "DELETE" else 500, "no")

    with listening(answer) as (stub, url):
        good, steps = play(idp, url)
    assert not good
    assert users == {}
    assert ("DELETE", "/scim/v2/Users/u1") in {(method, urlsplit(path).path) for method, path in stub.requests}
    assert any(step.name == "clean up" and step.ok for step in steps)


def test_what_cannot_be_removed_is_named_so_that_somebody_can() -> None:
    def answer(method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
        if not authorized(headers):
            return problem(401, "no")
        if method == "GET":
            return listing()
        return scim(201, {**body, "id": "u1"}) if method == "POST" else problem(500, "no")

    with listening(answer) as (_, url):
        _, steps = play("okta", url)
    assert [step.ok for step in steps if step.name == "clean up"] == [False]
    left = steps[-1]
    assert left.name == "left"
    assert not left.ok
    assert "scim-gateway-simulation.invalid" in left.detail
    assert f"scim-gateway simulate okta --url {url} --clean-up " in left.detail
    assert "approve" not in left.detail  # it was no circuit breaker that refused


# -- what goes over the wire ------------------------------------------------------------------------------------------


def test_okta_sends_its_headers_and_entra_sends_no_user_agent() -> None:
    with listening(lambda *_: listing()) as (okta, url):
        play("okta", url)
    assert okta.headers[1]["User-Agent"] == "Okta SCIM Client 1.0.0"
    assert okta.headers[1]["Accept"] == "application/scim+json"
    assert okta.headers[1]["Authorization"] == f"Bearer {TOKEN}"
    assert "Content-Type" not in okta.headers[1]
    assert okta.requests[1] == ("GET", "/scim/v2/Users?startIndex=1&count=2")

    with listening(lambda *_: listing()) as (entra, url):
        play("entra", url)
    assert "User-Agent" not in entra.headers[0]


def test_a_query_in_the_base_url_goes_with_every_request() -> None:
    with listening(lambda *_: problem(401, "no")) as (stub, url):
        play("entra", url + "/?tenant=7")
    assert all(path.startswith("/scim/v2/") and "tenant=7" in path for _, path in stub.requests)
