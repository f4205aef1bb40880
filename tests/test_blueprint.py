"""HTTP in and out: nothing below the prefix escapes authentication, and every answer is the service provider's."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import flask
import pytest
from scim_gateway_memory import MemoryBackend
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from scim_gateway.access_log import JsonFormatter
from scim_gateway.auth import Authenticator, BearerAuthenticator
from scim_gateway.blueprint import create_blueprint
from scim_gateway.definitions import standard_resource_types
from scim_gateway.direct import Direct
from scim_gateway.errors import Forbidden, Unauthorized, Unavailable
from scim_gateway.exchange import Principal, Request, Response
from scim_gateway.provider import ServiceProvider
from scim_gateway.provider_settings import ProviderSettings
from scim_gateway.tokens import MemoryTokenStore, new_token
from scim_gateway.wsgi import Headers, Service

TOKEN = "0123456789abcdef0123456789abcdef"
VALID = {"Authorization": f"Bearer {TOKEN}"}
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


class Begun:
    """Stands for a backend with background work."""

    def __init__(self) -> None:
        self.starts = 0
        self.error: Exception | None = None

    def start(self) -> None:
        self.starts += 1
        if self.error:
            raise self.error


class Echo:
    """Stands for a service provider: remembers what it was asked; ``/Schemas`` is public."""

    settings = ProviderSettings(max_body=2000, bulk_max_payload=4000)

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.error: Exception | None = None
        self.backend = Begun()

    def handle(self, request: Request) -> Response:
        if self.error:
            raise self.error
        if request.principal is None and request.path != "/Schemas":
            return Response(401)
        self.asked.append(request)
        if request.method == "DELETE":
            return Response(204, route="DELETE /Users/{id}")
        return Response(200, {"Content-Type": "application/scim+json", "ETag": 'W/"1"'}, b"{}", "GET /Users", None)

    @property
    def last(self) -> Request:
        return self.asked[-1]


@pytest.fixture
def echo() -> Echo:
    return Echo()


MakeApp = Callable[[Authenticator], flask.Flask]


@pytest.fixture(params=["through Flask", "before Flask"])
def make_app(echo: Echo, request: pytest.FixtureRequest) -> MakeApp:
    """Both ways to the service provider: as a blueprint, and as our own application takes it."""

    def make(authenticate: Authenticator) -> flask.Flask:
        app = flask.Flask("host")
        app.register_blueprint(create_blueprint(echo, name="scim", authenticate=authenticate), url_prefix="/scim/v2")

        @app.get("/host")
        def host() -> str:
            return "the host's own"

        if request.param == "before Flask":
            app.wsgi_app = Direct(app, "scim.scim", Service(echo, authenticate, None), "/scim/v2")
        return app

    return make


@pytest.fixture
def app(make_app: MakeApp) -> flask.Flask:
    return make_app(BearerAuthenticator(MemoryTokenStore(), fixed=TOKEN))


@pytest.fixture
def client(app: flask.Flask) -> Client:
    return app.test_client()


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """What the access log writes, parsed line by line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("scim_gateway")
    before, logger.handlers, level = logger.handlers, [handler], logger.level
    logger.setLevel(logging.INFO)
    entries: list[Any] = []
    yield _Lines(stream, entries)
    logger.handlers = before
    logger.setLevel(level)


class _Lines(list[Any]):
    def __init__(self, stream: io.StringIO, _: list[Any]) -> None:
        self._stream = stream

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


PATHS = [
    "",
    "/",
    "//",
    "/Users",
    "/Users/",
    "//Users",
    "/Users//1",
    "/Users/1",
    "/nothing/is/here",
    "/../host",
    "/Users/../../../host",
    "/Users/%2e%2e/%2e%2e/host",
    "/Users/a%2Fb",
    "/Users;x=y",
    "/%00",
    "/Users%0AX",
    "/%FF%FE",
    "/healthz",
    "/static/x",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "CONNECT", "BREW", "get"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", PATHS)
def test_no_path_and_no_method_below_the_prefix_escapes_authentication(client, echo, path, method):
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = client.open(f"/scim/v2{path}", method=method, headers=headers)
        assert answer.status_code in (401, 429)
        assert answer.headers["Content-Type"] == "application/scim+json"
        assert method == "HEAD" or answer.json["schemas"] == [ERROR]
    assert echo.asked == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", PATHS)
def test_every_path_and_method_below_the_prefix_reaches_the_provider_and_nothing_is_redirected(
    client, echo, path, method
):
    answer = client.open(f"/scim/v2{path}", method=method, headers=VALID)
    assert answer.status_code == (204 if method == "DELETE" else 200)
    assert (echo.last.method, echo.last.principal.name) == (method.upper(), "fixed token")
    assert echo.last.path.startswith("/")
    assert echo.last.base_url == "http://localhost/scim/v2"


def test_what_is_beside_the_prefix_stays_the_hosts(client, echo):
    assert client.get("/host").text == "the host's own"
    assert client.get("/scim/v2x", headers=VALID).status_code == 404
    assert client.get("/scim", headers=VALID).status_code == 404
    assert echo.asked == []


@pytest.mark.parametrize("nobody", [None, "token", False])
def test_a_blueprint_without_an_authenticator_refuses_to_be_made(echo, nobody):
    with pytest.raises(TypeError, match="needs an authenticator"):
        create_blueprint(echo, name="scim", authenticate=nobody)
    with pytest.raises(TypeError):
        create_blueprint(echo, name="scim")


def test_discovery_answers_without_a_token_but_not_with_a_wrong_one(client, echo):
    assert client.get("/scim/v2/Schemas").status_code == 200
    assert echo.last.principal is None
    assert client.get("/scim/v2/Schemas", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.post("/scim/v2/Schemas").status_code == 401


def test_a_host_application_brings_its_own_authenticator(echo):
    def by_session(request: Request) -> Principal:
        if request.headers.get("x-user") != "ann":
            raise Forbidden("Ann only.")
        return Principal("ann", resource_id="1")

    app = flask.Flask("host")
    app.register_blueprint(create_blueprint(echo, name="scim", authenticate=by_session), url_prefix="/")
    client = app.test_client()
    assert client.get("/Me", headers={"X-User": "ann"}).status_code == 200
    assert (echo.last.path, echo.last.base_url, echo.last.principal.resource_id) == ("/Me", "http://localhost", "1")
    assert client.get("/Me").status_code == 403
    assert client.get("/", headers={"X-User": "ann"}).status_code == 200


def test_background_work_begins_by_itself_with_the_first_request_of_a_process(client, echo, monkeypatch):
    assert echo.backend.starts == 0, "what is only imported may still be forked"
    client.get("/host")
    assert echo.backend.starts == 0
    for _ in range(3):
        client.get("/scim/v2/Users", headers=VALID)
    assert echo.backend.starts == 1
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    for _ in range(3):
        client.get("/scim/v2/Users", headers=VALID)
    assert echo.backend.starts == 2, "threads do not pass a fork"


@pytest.mark.parametrize(
    ("error", "told", "has_traceback"),
    [
        (RuntimeError("can't start new thread"), "that waits", True),
        (Unavailable("This directory feeds engine."), "that waits: This directory feeds engine.", False),
    ],
    ids=["defect", "operator"],
)
def test_background_work_that_cannot_begin_is_logged_and_tried_again_and_the_request_is_answered(
    client, echo, log, error, told, has_traceback
):
    echo.backend.error = error
    assert client.get("/scim/v2/Users", headers=VALID).status_code == 200
    [line] = [line for line in log.read() if line["level"] == "error"]
    assert line["message"] == f"The background work cannot begin, so nothing is retried {told}"
    assert ("exception" in line) is has_traceback
    echo.backend.error = None
    for _ in range(2):
        assert client.get("/scim/v2/Users", headers=VALID).status_code == 200
    assert echo.backend.starts == 2


def test_two_registrations_in_one_application_share_nothing():
    one, two = Echo(), Echo()
    app = flask.Flask("host")
    for name, echo, token in (("one", one, "1" * 32), ("two", two, "2" * 32)):
        authenticate = BearerAuthenticator(MemoryTokenStore(), fixed=token)
        app.register_blueprint(create_blueprint(echo, name=name, authenticate=authenticate), url_prefix=f"/{name}/scim")
    client = app.test_client()
    assert client.get("/one/scim/Users", headers={"Authorization": "1" * 32}).status_code == 200
    assert client.get("/two/scim/Users", headers={"Authorization": "1" * 32}).status_code == 401
    assert client.get("/two/scim/Users", headers={"Authorization": "2" * 32}).status_code == 200
    assert [len(one.asked), len(two.asked)] == [1, 1]
    assert two.last.base_url == "http://localhost/two/scim"


def test_one_blueprint_may_be_registered_below_another_and_with_a_variable_in_the_prefix(echo):
    scim = create_blueprint(echo, name="scim", authenticate=BearerAuthenticator(MemoryTokenStore(), fixed=TOKEN))
    outer = flask.Blueprint("outer", __name__, url_prefix="/api")
    outer.register_blueprint(scim, url_prefix="/<tenant>/scim")
    app = flask.Flask("host")
    app.register_blueprint(outer)
    assert app.test_client().get("/api/acme/scim/Users/1", headers=VALID).status_code == 200
    assert (echo.last.path, echo.last.base_url) == ("/Users/1", "http://localhost/api/acme/scim")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ()),
        ("a=1&b=2&a=3", (("a", "1"), ("b", "2"), ("a", "3"))),
        ("filter=userName+eq+%22a%2Bb%22", (("filter", 'userName eq "a+b"'),)),
        ("filter=userName%20eq%20%22%C3%A9%22", (("filter", 'userName eq "é"'),)),
        ("filter=", (("filter", ""),)),
        ("aadOptscim062020", (("aadOptscim062020", ""),)),
        ("count=1&", (("count", "1"),)),
        ("filter=a;b", (("filter", "a;b"),)),
    ],
)
def test_query_parameters_keep_order_repetition_and_blanks(client, echo, query, expected):
    client.get(f"/scim/v2/Users?{query}", headers=VALID)
    assert echo.last.query == expected


def test_a_query_in_bare_utf8_is_read_as_such(app, echo):
    environ = EnvironBuilder("/scim/v2/Users", headers=VALID).get_environ()
    environ["QUERY_STRING"] = "filter=é".encode().decode("latin-1")
    app.test_client().open(environ)
    assert echo.last.query == (("filter", "é"),)


@pytest.mark.parametrize("query", ["filter=%FF", "&".join(["a=1"] * 101)])
def test_a_query_that_cannot_be_read_is_400(client, echo, query):
    answer = client.get(f"/scim/v2/Users?{query}", headers=VALID)
    assert (answer.status_code, answer.json["scimType"]) == (400, "invalidValue")


def test_a_token_in_the_query_is_no_token(client):
    assert client.get(f"/scim/v2/Users?access_token={TOKEN}").status_code == 401


def test_headers_reach_the_provider_by_lower_case_name(client, echo):
    client.post(
        "/scim/v2/Users", data=b"{}", headers={**VALID, "If-Match": 'W/"1"', "Content-Type": "application/json"}
    )
    assert echo.last.headers["if-match"] == 'W/"1"'
    assert echo.last.headers["content-type"] == "application/json"
    assert echo.last.body == b"{}"


def test_a_body_over_the_limit_is_413_before_it_is_read(client, echo):
    answer = client.post("/scim/v2/Users", data=b"x" * 4001, headers=VALID)
    assert (answer.status_code, answer.json["schemas"]) == (413, [ERROR])
    assert "4000 bytes" in answer.json["detail"]
    assert client.post("/scim/v2/Users", data=b"x" * 4000, headers=VALID).status_code == 200
    assert len(echo.last.body) == 4000


def sent(app: flask.Flask, stream: io.BytesIO, **changes: Any) -> Any:
    environ = EnvironBuilder("/scim/v2/Users", method="POST", headers=VALID).get_environ()
    environ.update({"wsgi.input": stream, **changes})
    for name in [name for name, value in changes.items() if value is None]:
        del environ[name]
    # Straight to the application: the test client would correct the length.
    return flask.Response(*_run(app, environ))


def _run(app: flask.Flask, environ: dict[str, Any]) -> tuple[Any, str, Any]:
    body, status, headers = run_wsgi_app(app, environ)
    return b"".join(body), status, headers


def test_a_chunked_body_over_the_limit_is_413_without_reading_it_all(app, echo):
    stream = io.BytesIO(b"x" * 1_000_000)
    answer = sent(app, stream, **{"CONTENT_LENGTH": None, "wsgi.input_terminated": True})
    assert answer.status_code == 413
    assert stream.tell() <= 5000
    short = sent(app, io.BytesIO(b"{}"), **{"CONTENT_LENGTH": None, "wsgi.input_terminated": True})
    assert (short.status_code, echo.last.body) == (200, b"{}")


def test_a_body_that_ends_before_its_announced_length_is_400(app):
    answer = sent(app, io.BytesIO(b"{}"), CONTENT_LENGTH="100")
    assert (answer.status_code, answer.json["scimType"]) == (400, "invalidSyntax")


@pytest.mark.parametrize("app", ["through Flask"], indirect=True)
def test_a_limit_of_the_host_application_is_a_scim_error_too(app):
    app.config["MAX_CONTENT_LENGTH"] = 10
    answer = app.test_client().post("/scim/v2/Users", data=b"x" * 100, headers=VALID)
    assert (answer.status_code, answer.json["status"]) == (413, "413")


def test_a_body_is_not_read_before_the_token_is_known_to_be_valid(app):
    stream = io.BytesIO(b"x" * 1000)
    environ = EnvironBuilder("/scim/v2/Users", method="POST").get_environ()
    environ.update({"wsgi.input": stream, "CONTENT_LENGTH": "1000"})
    assert app.test_client().open(environ).status_code == 401
    assert stream.tell() == 0


@pytest.mark.parametrize("sent_id", ["abc-123", "A.b_c-1", "x" * 64])
def test_a_request_id_is_taken_over_and_given_back(client, echo, sent_id):
    answer = client.get("/scim/v2/Users", headers={**VALID, "X-Request-ID": sent_id})
    assert answer.headers["X-Request-ID"] == echo.last.headers["x-request-id"] == sent_id


@pytest.mark.parametrize("sent_id", [None, "", "x" * 65, "a b", "a,b", '"', "é", "a\u2028b"])
def test_a_request_id_that_is_missing_or_odd_is_replaced(client, echo, sent_id):
    headers = {} if sent_id is None else {"X-Request-ID": sent_id.encode().decode("latin-1")}
    answer = client.get("/scim/v2/Users", headers={**VALID, **headers})
    assert len(answer.headers["X-Request-ID"]) == 32
    assert echo.last.headers["x-request-id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(("headers", "status"), [(VALID, 200), ({}, 401)])
def test_every_answer_forbids_to_keep_or_to_guess_it(client, headers, status):
    answer = client.get("/scim/v2/Users", headers=headers)
    assert answer.status_code == status
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"


def test_an_empty_answer_has_no_media_type_and_no_body(client):
    answer = client.delete("/scim/v2/Users/1", headers=VALID)
    assert (answer.status_code, answer.data) == (204, b"")
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize(
    ("environ", "base_url"),
    [
        ({"base_url": "https://scim.example.com/"}, "https://scim.example.com/scim/v2"),
        ({"base_url": "http://[::1]:8000/"}, "http://[::1]:8000/scim/v2"),
        ({"base_url": "http://localhost/mounted/here/"}, "http://localhost/mounted/here/scim/v2"),
        ({"headers": {**VALID, "Host": 'a"b<'}}, "http://localhost/scim/v2"),
        ({"headers": {**VALID, "Host": ""}, "environ_overrides": {"SERVER_NAME": "::1"}}, "http://[::1]/scim/v2"),
        (
            {"headers": {**VALID, "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}},
            "http://localhost/scim/v2",
        ),
    ],
)
def test_the_base_url_is_what_the_client_used(client, echo, environ, base_url):
    client.get("/scim/v2/Users", **{"headers": VALID, **environ})
    assert echo.last.base_url == base_url


def test_an_authenticator_may_go_through_the_headers(echo):
    seen: dict[str, str] = {}

    def by_header(request: Request) -> Principal:
        seen.update(request.headers)
        assert len(request.headers) == len(seen)
        return Principal("ann")

    app = flask.Flask("host")
    app.register_blueprint(create_blueprint(echo, name="scim", authenticate=by_header), url_prefix="/")
    overrides = {"HTTP_CONTENT_TYPE": "text/plain", "HTTP_X_USER": "ann", "HTTP_X_REQUEST_ID": "r1"}
    app.test_client().get("/Users", environ_overrides=overrides)
    assert seen == {"host": "localhost", "user-agent": seen["user-agent"], "x-user": "ann", "x-request-id": "r1"}


def test_an_authenticator_that_names_somebody_and_then_refuses_lets_nobody_in(echo):
    def undecided(request: Request) -> Principal:
        request.principal = Principal("ann")
        raise Unauthorized("Not ann.")

    app = flask.Flask("host")
    app.register_blueprint(create_blueprint(echo, name="scim", authenticate=undecided), url_prefix="/")
    assert app.test_client().get("/Users").status_code == 401
    assert app.test_client().get("/Schemas").status_code == 200
    assert [request.principal for request in echo.asked] == [None]


def test_a_header_of_an_answer_that_has_more_than_one_line_is_a_defect_and_not_sent(client, echo, log, monkeypatch):
    monkeypatch.setattr(echo, "handle", lambda _: Response(200, {"Location": "x\r\nSet-Cookie: y=1"}, b"{}"))
    answer = client.get("/scim/v2/Users", headers=VALID)
    assert (answer.status_code, answer.json["schemas"]) == (500, [ERROR])
    assert "Location" not in answer.headers
    assert {entry["status"] for entry in log.read() if "status" in entry} == {500}


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (Forbidden("Later.", headers={"Retry-After": 5}), 403, {"Retry-After": "5"}),
        (Forbidden("Later.", headers={"Location": "x\r\nSet-Cookie: y=1"}), 500, {}),
        (Forbidden(object()), 500, {}),
        (KeyError("secret"), 500, {}),
    ],
)
def test_whatever_an_authenticator_raises_is_a_scim_error_and_a_line_in_the_log(
    make_app: MakeApp, log, error: Exception, status: int, headers: dict[str, str]
) -> None:
    def fail(_: Request) -> Principal:
        raise error

    answer = make_app(fail).test_client().get("/scim/v2/Users")
    assert (answer.status_code, answer.content_type, answer.json["schemas"]) == (
        status,
        "application/scim+json",
        [ERROR],
    )
    assert headers.items() <= dict(answer.headers).items()
    assert not {"Location", "Set-Cookie"} & set(answer.headers.keys())
    assert "secret" not in answer.text
    assert [entry["status"] for entry in log.read() if entry["event"] == "request"] == [status]


@pytest.mark.parametrize(("somebody", "status"), [(None, 401), (True, 500), ("ann", 500)])
def test_an_authenticator_that_gives_no_principal_lets_nobody_in(
    make_app: MakeApp, log, monkeypatch, somebody: Any, status: int
) -> None:
    app = make_app(lambda _: somebody)
    provider = ServiceProvider(MemoryBackend(standard_resource_types()))
    monkeypatch.setattr(Echo, "handle", lambda _, request: provider.handle(request))
    answer = app.test_client().get("/scim/v2/Users")
    assert (answer.status_code, answer.json["schemas"]) == (status, [ERROR])
    assert [entry["status"] for entry in log.read() if entry["event"] == "request"] == [status]


QUERIES = ["filter=%FF", "&".join(["a=1"] * 101), "x=1", ""]


@pytest.mark.parametrize("query", QUERIES, ids=["no UTF-8", "too many", "usual", "none"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_whoever_is_not_let_in_learns_nothing_about_the_query(client, method: str, query: str) -> None:
    answer = client.open(f"/scim/v2/Users?{query}", method=method)
    expected = client.open("/scim/v2/Users", method=method)
    assert (answer.status_code, answer.data) == (401, expected.data)
    assert answer.headers["WWW-Authenticate"] == expected.headers["WWW-Authenticate"]


@pytest.mark.parametrize("query", QUERIES[:2])
def test_of_what_is_public_anybody_is_told_what_is_wrong_with_the_query(client, query: str) -> None:
    answer = client.get(f"/scim/v2/Schemas?{query}")
    assert (answer.status_code, answer.json["scimType"]) == (400, "invalidValue")
    assert client.get("/scim/v2/Schemas?x=1").status_code == 200


class TestHeaders:
    """The headers of a request, which an authenticator of an application may look at in any way."""

    def test_are_found_by_their_lower_case_names_and_by_no_others(self) -> None:
        headers = Headers({"HTTP_X_REQUEST_ID": "evil\n", "HTTP_X_USER": "ann"}, "safe")
        assert dict(headers) == {"x-request-id": "safe", "x-user": "ann"}
        for name in ("X-Request-ID", "x_request_id", "X-REQUEST-ID", "x-request_id", "X-User", "x_user", ""):
            assert headers.get(name) is None
            assert headers.get(name, "other") == "other"
            assert name not in headers

    @pytest.mark.parametrize("environ", [{}, {"CONTENT_TYPE": ""}, {"HTTP_CONTENT_TYPE": "text/plain"}])
    def test_have_no_content_type_where_it_is_missing_or_empty(self, environ: dict[str, str]) -> None:
        headers = Headers(environ, "r1")
        assert dict(headers) == {"x-request-id": "r1"}
        assert ("content-type" in headers, headers.get("content-type", "none"), len(headers)) == (False, "none", 1)

    def test_tell_an_empty_header_from_one_that_was_not_sent(self) -> None:
        headers = Headers({"HTTP_ACCEPT": "", "CONTENT_TYPE": "text/plain"}, "r1")
        assert dict(headers) == {"x-request-id": "r1", "accept": "", "content-type": "text/plain"}
        assert headers.get("if-match") is None


def test_a_public_url_is_the_base_url_whatever_the_client_used(echo):
    app = flask.Flask("host")
    blueprint = create_blueprint(
        echo,
        name="scim",
        authenticate=BearerAuthenticator(MemoryTokenStore(), fixed=TOKEN),
        public_url="https://scim.example.com/x/",
    )
    app.register_blueprint(blueprint, url_prefix="/scim/v2")
    app.test_client().get("/scim/v2/Users", headers=VALID)
    assert echo.last.base_url == "https://scim.example.com/x"


def test_a_store_of_tokens_that_is_down_is_503_with_retry_after(echo):
    class Down(MemoryTokenStore):
        def find(self, id):
            raise Unavailable("The database is down.")

    app = flask.Flask("host")
    blueprint = create_blueprint(echo, name="scim", authenticate=BearerAuthenticator(Down()))
    app.register_blueprint(blueprint, url_prefix="/scim")
    answer = app.test_client().get("/scim/Users", headers={"Authorization": "scimgw_abc_def"})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_defect_is_500_without_internals_and_the_log_has_it(client, echo, log):
    echo.error = RuntimeError("SELECT secret FROM table")
    answer = client.get("/scim/v2/Users", headers={**VALID, "X-Request-ID": "find-me"})
    assert (answer.status_code, answer.json["schemas"]) == (500, [ERROR])
    assert "SELECT" not in answer.text
    assert "find-me" in answer.json["detail"]
    entry = next(entry for entry in log.read() if "exception" in entry)
    assert entry["request_id"] == "find-me"
    assert "RuntimeError" in entry["exception"]


def test_a_request_is_one_line_of_json_without_ids_queries_and_tokens(client, log):
    client.get("/scim/v2/Users/4711?filter=userName+eq+%22ann%22", headers={**VALID, "X-Request-ID": "r1"})
    (entry,) = log.read()
    assert {key: entry[key] for key in ("request_id", "token", "method", "route", "status", "bytes", "client")} == {
        "request_id": "r1",
        "token": "fixed token",
        "method": "GET",
        "route": "/Users",
        "status": 200,
        "bytes": 2,
        "client": "127.0.0.1",
    }
    assert entry["ms"] >= 0
    assert entry["ts"].endswith("Z")
    assert not any(secret in json.dumps(entry) for secret in ("4711", "ann", TOKEN))


def test_a_refused_request_is_logged_without_its_token(client, log):
    client.get("/scim/v2/Users", headers={"Authorization": "Bearer my-wrong-token"})
    (entry,) = log.read()
    assert (entry["status"], entry["token"], entry["route"]) == (401, None, None)
    assert "my-wrong-token" not in json.dumps(entry)


@pytest.mark.parametrize(
    "text", ['x\n{"level": "info"}', "\r\n", "\u2028", "\x1b[2J", "a lone surrogate \ud800"], ids=ascii
)
def test_a_name_from_outside_does_not_forge_a_line(text):
    record = logging.LogRecord("scim_gateway.test", logging.WARNING, "", 0, "unknown attribute %s", (text,), None)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["message"] == f"unknown attribute {text}"


def test_the_log_names_a_token_that_has_expired(make_app, log):
    store = MemoryTokenStore()
    text, token = new_token("okta", expires=datetime(2020, 1, 1, tzinfo=UTC))
    store.add(token)
    client = make_app(BearerAuthenticator(store)).test_client()
    assert client.get("/scim/v2/Users", headers={"Authorization": text}).status_code == 401
    assert client.get("/scim/v2/Users", headers={"Authorization": text[:-1]}).status_code == 401
    assert [line["token"] for line in log.read()] == ["okta", None]
