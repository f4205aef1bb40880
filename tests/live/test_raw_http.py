"""What no HTTP client would let through or show: bytes on the socket, over gunicorn (RFC 9110, RFC 9112)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gateway_process import TOKEN, GatewayProcess
from scim_http import ScimClient

pytest_plugins = ["live_fixtures"]


class Connection:
    """One connection, and the bytes that came over it."""

    def __init__(self, opened: socket.socket, port: int) -> None:
        self._socket = opened
        self._port = port
        self._unread = b""

    def send(self, method: str, path: str, *headers: str, body: bytes = b"") -> None:
        lines = [f"{method} /scim/v2{path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", f"Authorization: Bearer {TOKEN}"]
        self._socket.sendall("\r\n".join([*lines, *headers, "", ""]).encode() + body)

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next answer; what comes behind them stays unread."""
        while b"\r\n\r\n" not in self._unread:
            received = self._socket.recv(65536)
            assert received, "the connection was closed"
            self._unread += received
        head, self._unread = self._unread.split(b"\r\n\r\n", 1)
        status, *fields = head.decode("ascii").split("\r\n")
        assert status.startswith("HTTP/1.1 "), status
        pairs = (field.split(": ", 1) for field in fields)
        return int(status.split(" ")[1]), {name.lower(): value for name, value in pairs}

    def body(self, size: int) -> bytes:
        while len(self._unread) < size:
            received = self._socket.recv(65536)
            assert received, "the connection was closed"
            self._unread += received
        body, self._unread = self._unread[:size], self._unread[size:]
        return body

    def send_until_refused(self, chunk: bytes, count: int) -> None:
        try:
            for _ in range(count):
                self._socket.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            return


@contextmanager
def connected(gateway: GatewayProcess) -> Iterator[Connection]:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as opened:
        yield Connection(opened, gateway.port)


@pytest.mark.rfc("T-07", "X-01", "G-05")
def test_nothing_follows_the_headers_of_an_answer_without_a_body(gateway: GatewayProcess, live: ScimClient) -> None:
    user = live.user()
    path = f"/Users/{user['id']}"
    with connected(gateway) as connection:
        for method, condition, expected in (
            ("GET", f"If-None-Match: {user['meta']['version']}", 304),
            ("OPTIONS", "Accept: */*", 204),
            ("HEAD", "Accept: */*", 200),
            ("DELETE", "Accept: */*", 204),
            ("HEAD", "Accept: */*", 404),
        ):
            connection.send(method, path, condition)
            status, headers = connection.head()
            assert status == expected
            assert "transfer-encoding" not in headers
            if status in (204, 304):
                assert not {"content-type", "content-length"} & set(headers), headers
            # Were there a body, the next answer would not begin here.
            connection.send("GET", "/ServiceProviderConfig")
            status, headers = connection.head()
            assert status == 200
            assert connection.body(int(headers["content-length"])).endswith(b"}")


@pytest.mark.rfc("B-18", "T-09")
@pytest.mark.parametrize("path", ["/Bulk", "/Users"])
def test_a_chunked_body_over_the_limit_is_refused_while_it_comes(gateway: GatewayProcess, path: str) -> None:
    with connected(gateway) as connection:
        connection.send("POST", path, "Content-Type: application/scim+json", "Transfer-Encoding: chunked")
        connection.send_until_refused(b"10000\r\n" + b"[" * 65536 + b"\r\n", 64)
        status, _ = connection.head()
        assert status == 413


@pytest.mark.rfc("B-18")
def test_a_body_longer_than_it_says_is_read_to_the_length_it_says(gateway: GatewayProcess, live: ScimClient) -> None:
    before = live.get("/Users?count=0").body["totalResults"]
    body = b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"longer than it says"}'
    with connected(gateway) as connection:
        connection.send("POST", "/Users", "Content-Type: application/json", "Content-Length: 20", body=body)
        status, headers = connection.head()
        assert status == 400
        assert b"invalidSyntax" in connection.body(int(headers["content-length"]))
    assert live.get("/Users?count=0").body["totalResults"] == before


@pytest.mark.rfc("R-01")
@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (b"GET /scim/v2/Users?filter=%s HTTP/1.1" % (b"a" * 200_000), 414, "/.search"),
        (b"GET /scim/v2/Users HTTP/1.1\r\nX-Long: %s" % (b"a" * 200_000), 431, "8190"),
        (b"GET /scim/v2/Users HTTP/1.1" + b"".join(b"\r\nX-%d: a" % number for number in range(80)), 431, "64"),
        (b"GET /scim/v2/Users HTTP/1.1\r\nAuthorization Bearer %s" % TOKEN.encode(), 400, "HTTP/1.1"),
        (b"Authorization: Bearer %s" % TOKEN.encode(), 400, "HTTP/1.1"),
        (b"POST /scim/v2/Users HTTP/1.1\r\nTransfer-Encoding: mystery, chunked", 501, "chunked"),
        (b"POST /scim/v2/Users HTTP/1.1\r\nExpect: more", 417, "100-continue"),
    ],
    ids=["long-url", "long-header", "many-headers", "no-colon", "no-request", "coding", "expect"],
)
def test_what_is_no_request_gets_a_scim_error_and_is_not_repeated(
    gateway: GatewayProcess, sent: bytes, status: int, said: str
) -> None:
    with connected(gateway) as connection:
        connection.send_until_refused(sent + b"\r\n\r\n", 1)
        answered, headers = connection.head()
        body = json.loads(connection.body(int(headers["content-length"])))
    assert (answered, body["status"]) == (status, str(status))
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert headers["content-type"] == "application/scim+json"
    assert headers["x-request-id"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert said in body["detail"]
    assert TOKEN not in str(body)
    assert TOKEN not in gateway.output


@pytest.mark.rfc("R-01")
@pytest.mark.parametrize(
    "sent",
    [
        b"0x5\r\nabcde\r\n0\r\n\r\n",
        b"-5\r\nabcde\r\n0\r\n\r\n",
        b"5;name=%s" % (b"x" * 20_000),
        b"5\r\nabcdefg\r\n0\r\n\r\n",
        b"5\r\nabcde\r\n0\r\nAuthorization: %s\r\n\r\n" % TOKEN.encode(),
    ],
    ids=["hexadecimal", "negative", "long-extension", "longer-chunk", "trailer"],
)
def test_a_body_that_is_not_chunked_as_it_should_be_is_refused_and_the_connection_ended(
    gateway: GatewayProcess, sent: bytes
) -> None:
    with connected(gateway) as connection:
        connection.send(
            *("POST", "/Users/.search", "Content-Type: application/scim+json", "Transfer-Encoding: chunked"), body=sent
        )
        status, headers = connection.head()
        body = json.loads(connection.body(int(headers["content-length"])))
    assert (status, body["status"], body["scimType"]) == (400, "400", "invalidSyntax")
    assert "chunked" in body["detail"]
    assert headers["connection"] == "close"
    assert TOKEN not in gateway.output
    assert "Traceback" not in gateway.output


@pytest.mark.rfc("R-01")
@pytest.mark.parametrize(
    "codings",
    [
        ["gzip, chunked"],
        ["gzip", "chunked"],
        ["deflate,chunked"],
        ["identity, chunked"],
    ],
    ids=", then ".join,
)
def test_a_body_in_another_coding_is_not_taken_for_one_that_is_only_chunked(
    gateway: GatewayProcess, codings: list[str]
) -> None:
    search = b'{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}'
    with connected(gateway) as connection:
        headers = [f"Transfer-Encoding: {coding}" for coding in codings]
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(search), search)
        connection.send("POST", "/Users/.search", "Content-Type: application/scim+json", *headers, body=body)
        status, answered = connection.head()
        assert json.loads(connection.body(int(answered["content-length"])))["status"] == "501"
    assert (status, answered["connection"]) == (501, "close")


def test_chunked_is_chunked_in_any_letters_with_an_extension_and_a_trailer(gateway: GatewayProcess) -> None:
    search = b'{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"count":0}'
    with connected(gateway) as connection:
        body = b'%x ; name="value"\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n' % (len(search), search)
        coding = "Transfer-Encoding: Chunked"
        for _ in range(2):
            connection.send("POST", "/Users/.search", "Content-Type: application/scim+json", coding, body=body)
            status, headers = connection.head()
            assert (status, headers["connection"]) == (200, "keep-alive")
            assert b"totalResults" in connection.body(int(headers["content-length"]))
