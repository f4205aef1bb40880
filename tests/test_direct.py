"""Our own application answers before Flask is asked (``direct.py``): the same as behind it, if nobody watches."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from wsgiref.validate import validator

import flask
import pytest
from flask.sessions import SecureCookieSessionInterface
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import examples
from scim_http import BULK_REQUEST, PATCH_OP, SCIM_JSON, SEARCH_REQUEST, TOKEN, USER, environ_of
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from scim_gateway import access_log, direct
from scim_gateway.app import EXTENSION, create_app
from scim_gateway.auth import BearerAuthenticator
from scim_gateway.blueprint import create_blueprint
from scim_gateway.direct import Direct
from scim_gateway.tokens import MemoryTokenStore
from scim_gateway.wsgi import Service

BELOW = "/scim/v2"


def gateway(**chosen: str) -> flask.Flask:
    environ = {
        "SCIM_GATEWAY_BACKEND": "memory",
        "SCIM_GATEWAY_TOKEN": TOKEN,
        "SCIM_GATEWAY_AUTH_FAILURES_PER_MINUTE": "0",
    }
    return create_app(
        {"SCIM_GATEWAY_LOG_LEVEL": "error"}
        | environ
        | {f"SCIM_GATEWAY_{name.upper()}": value for name, value in chosen.items()}
    )


class Answer(NamedTuple):
    """What a server is given, as it is given it."""

    status: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    application: Any, method: str = "GET", path: str = "/Users", query: str = "", body: bytes = b"", **more: Any
) -> Answer:
    """One request as a server hands it over: the path below the base URL is decoded, and its bytes are Latin-1."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": SCIM_JSON, "X-Request-ID": "r-1"}
    environ = environ_of(method, f"https://scim.example{BELOW}", body, headers) | {
        "PATH_INFO": f"{BELOW}{path}",
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.multithread": True,
        **more,
    }
    environ = {name: value for name, value in environ.items() if value is not None}
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        begun.append((status, headers))
        return io.BytesIO().write

    parts = application(environ, start_response)
    content = b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    ((status, lines),) = begun
    headers = dict(lines)
    assert len(headers) == len(lines), "a header is repeated"
    return Answer(status, headers, content)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One gateway with a user and a group, whose two ways are compared."""
    app = gateway()
    yield Served(app)
    app.extensions[EXTENSION].backend.close()


class Served:
    """A gateway, and the ids of a user and of the user's group."""

    def __init__(self, app: flask.Flask) -> None:
        direct: Any = app.wsgi_app
        assert isinstance(direct, Direct)
        self.app, self.direct, self.through_flask = app, direct, direct._through_flask
        ann = {"schemas": [USER], "userName": "ann"}
        user = ask(direct, "POST", "/Users", body=json.dumps(ann).encode()).json
        self.user, self.tag = user["id"], user["meta"]["version"]

    def both(self, *asked: Any, **more: Any) -> tuple[Answer, Answer]:
        return ask(self.direct, *asked, **more), ask(self.through_flask, *asked, **more)


@pytest.fixture
def in_flask(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that Flask dispatches from now on."""
    seen: list[str] = []
    dispatch = flask.Flask.full_dispatch_request

    def full_dispatch_request(app: flask.Flask) -> flask.Response:
        seen.append(flask.request.path)
        return dispatch(app)

    monkeypatch.setattr(flask.Flask, "full_dispatch_request", full_dispatch_request)
    return seen


# Which way is taken


@pytest.mark.parametrize(
    "path", ["", "/", "//", "/Users", "/Users/x", "/nothing", "/../healthz", "/Users;x", "/\xff\xfe"]
)
@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", "Bearer wrong", None])
def test_what_is_below_the_base_path_is_answered_before_flask(
    served: Served, in_flask: list[str], path: str, authorization: str | None
) -> None:
    ask(served.app, path=path, HTTP_AUTHORIZATION=authorization)
    assert in_flask == []


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/", "/scim", "/scim/v2x", "//scim/v2/Users", "/SCIM/v2/Users", ""]
)
def test_everything_else_is_flasks(served: Served, in_flask: list[str], path: str) -> None:
    ask(served.app, PATH_INFO=path)
    assert len(in_flask) == 1


@pytest.mark.parametrize("base_path", ["/a", "/a/b/c/", "gateway", "/v2", "/a-b_c.d~e"])
def test_the_base_path_may_be_any(in_flask: list[str], base_path: str) -> None:
    app, prefix = gateway(base_path=base_path), f"/{base_path.strip('/')}"
    answer = ask(app, PATH_INFO=f"{prefix}/ServiceProviderConfig")
    assert answer.json["meta"]["location"] == f"https://scim.example{prefix}/ServiceProviderConfig"
    assert (ask(app, PATH_INFO=prefix).status, in_flask) == ("200 OK", [])
    assert ask(app, PATH_INFO="/scim/v2/Users").status == "404 NOT FOUND"


def deny(*_: Any, **__: Any) -> Any:
    flask.abort(403, "denied")


def denied(response: flask.Response, *_: Any) -> flask.Response:
    return flask.Response("denied", 403)


def before_request(app: flask.Flask) -> None:
    app.before_request(deny)


def before_request_of_another_blueprint(app: flask.Flask) -> None:
    guard = flask.Blueprint("guard", __name__)
    guard.before_app_request(deny)
    app.register_blueprint(guard)


def before_request_of_our_blueprint(app: flask.Flask) -> None:
    app.before_request_funcs["scim"] = [deny]


def after_request(app: flask.Flask) -> None:
    app.after_request(denied)


def url_value_preprocessor(app: flask.Flask) -> None:
    app.url_value_preprocessor(deny)


def view_wrapped(app: flask.Flask) -> None:
    app.view_functions["scim.scim"] = deny


def view_below_the_base_path(app: flask.Flask) -> None:
    app.add_url_rule(f"{BELOW}/Users", "first", deny)


def rule_for_a_view_that_there_was(app: flask.Flask) -> None:
    app.view_functions["healthz"] = deny
    app.add_url_rule(f"{BELOW}/Users", "healthz")


def blueprint_below_the_base_path(app: flask.Flask) -> None:
    inner = flask.Blueprint("inner", __name__)
    inner.add_url_rule("/Users", view_func=deny)
    app.register_blueprint(inner, url_prefix=BELOW)


def trusted_hosts(app: flask.Flask) -> None:
    app.config["TRUSTED_HOSTS"] = ["other.example"]


def trusted_hosts_of_requests(app: flask.Flask) -> None:
    app.request_class = type("Careful", (flask.Request,), {"trusted_hosts": ["other.example"]})


def preprocess_request(app: flask.Flask) -> None:
    replaceable: Any = app
    replaceable.preprocess_request = deny


def dispatch_request(app: flask.Flask) -> None:
    replaceable: Any = app
    replaceable.dispatch_request = deny


def process_response(app: flask.Flask) -> None:
    replaceable: Any = app
    replaceable.process_response = denied


HONOURED = [before_request, before_request_of_another_blueprint, before_request_of_our_blueprint, after_request]
HONOURED += [rule_for_a_view_that_there_was, preprocess_request, dispatch_request, process_response]
HONOURED += [
    url_value_preprocessor,
    view_wrapped,
    view_below_the_base_path,
    blueprint_below_the_base_path,
]
if "TRUSTED_HOSTS" in flask.Flask.default_config:  # Flask 3.1; before, nobody looks at it
    HONOURED += [trusted_hosts, trusted_hosts_of_requests]


@pytest.mark.parametrize("watch", HONOURED, ids=lambda watch: watch.__name__)
def test_whatever_an_application_puts_before_the_blueprint_denies_as_it_does_behind_flask(
    watch: Callable[[flask.Flask], None], in_flask: list[str]
) -> None:
    app = gateway()
    assert isinstance(app.wsgi_app, Direct)
    watch(app)
    answer = ask(app)
    assert in_flask == [f"{BELOW}/Users"]
    assert answer.status in ("403 FORBIDDEN", "400 BAD REQUEST")
    assert b"Resources" not in answer.body


@pytest.mark.parametrize("step", sorted(direct._STEPS - {"request_class", "response_class", "session_interface"}))
def test_a_step_of_flask_that_the_application_has_its_own_of_is_done_for_each_request(
    step: str, in_flask: list[str]
) -> None:
    app = gateway()
    own = getattr(app, step)
    setattr(app, step, lambda *given, **named: own(*given, **named))
    assert ask(app).status == "200 OK"
    delattr(app, step)
    assert len(in_flask) == 1
    assert ask(app).status == "200 OK"
    assert len(in_flask) == 1


def test_a_step_is_heard_of_whatever_else_an_application_gains_and_loses(in_flask: list[str]) -> None:
    app = gateway()
    replaceable: Any = app
    for attribute in ("logger", "jinja_env"):
        getattr(app, attribute)  # Flask keeps it as an attribute of the application
        assert (ask(app).status, in_flask) == ("200 OK", [])
    del replaceable.logger
    replaceable.preprocess_request = deny
    assert ask(app).status == "403 FORBIDDEN"
    assert ask(app).status == "403 FORBIDDEN"
    replaceable.note = "another one"
    assert ask(app).status == "403 FORBIDDEN"
    del replaceable.preprocess_request
    assert (ask(app).status, len(in_flask)) == ("200 OK", 3)


def test_every_step_is_one_of_flasks() -> None:
    assert [step for step in direct._STEPS if not hasattr(flask.Flask, step)] == []


@pytest.mark.parametrize("name", ["request_class", "response_class"])
def test_a_class_of_the_applications_own_is_asked(name: str, in_flask: list[str]) -> None:
    app = gateway()
    setattr(app, name, type("Own", (getattr(app, name),), {}))
    assert ask(app).status == "200 OK"
    assert len(in_flask) == 1


def test_a_session_that_is_refused_is_refused_as_behind_flask() -> None:
    class Closed(SecureCookieSessionInterface):
        def open_session(self, app: flask.Flask, request: flask.Request) -> Any:
            deny()

    app = gateway()
    app.session_interface = Closed()
    through_flask: Any = app.wsgi_app
    answer = ask(app)
    assert answer == ask(through_flask._through_flask)
    assert answer.status == "500 INTERNAL SERVER ERROR"


def test_an_application_of_another_class_than_flasks_is_never_passed_by() -> None:
    class Guarded(flask.Flask):
        def preprocess_request(self) -> Any:
            deny()

    made, app = gateway(), Guarded(__name__)
    authenticate = BearerAuthenticator(MemoryTokenStore(), fixed=TOKEN)
    provider = made.extensions[EXTENSION].provider
    app.register_blueprint(create_blueprint(provider, name="scim", authenticate=authenticate), url_prefix=BELOW)
    replaceable: Any = app
    replaceable.wsgi_app = Direct(app, "scim.scim", Service(provider, authenticate, None), BELOW)
    assert ask(app).status == "403 FORBIDDEN"


def test_hooks_that_come_later_are_honoured_from_then_on(in_flask: list[str]) -> None:
    app = gateway()
    assert (ask(app).status, in_flask) == ("200 OK", [])
    app.before_request_funcs[None] = [deny]
    assert ask(app).status == "403 FORBIDDEN"
    del app.before_request_funcs[None]
    assert (ask(app).status, len(in_flask)) == ("200 OK", 1)


@pytest.mark.parametrize("register", ["teardown_request", "teardown_appcontext"])
def test_what_is_to_be_done_at_the_end_of_each_request_is_done(register: str) -> None:
    app, done = gateway(), []
    getattr(app, register)(done.append)
    assert ask(app).status == "200 OK"
    assert done == [None]


SIGNALS = [
    "appcontext_pushed",
    "request_started",
    "request_finished",
    "request_tearing_down",
    "appcontext_tearing_down",
]


@pytest.mark.parametrize("name", [*SIGNALS, "appcontext_popped"])
def test_who_listens_to_a_signal_hears_of_each_request(name: str, in_flask: list[str]) -> None:
    app, heard = gateway(), []
    with getattr(flask, name).connected_to(lambda sender, **_: heard.append(sender), app):
        assert ask(app).status == "200 OK"
    assert (heard, len(in_flask)) == ([app], 1)
    ask(app)
    assert len(heard) == len(in_flask) == 1


@pytest.mark.parametrize(("name", "value"), [("MAX_CONTENT_LENGTH", 10), ("MAX_CONTENT_LENGTH", 0)])
def test_a_limit_in_flasks_configuration_holds(name: str, value: int, in_flask: list[str]) -> None:
    app = gateway()
    app.config[name] = value
    answer = ask(app, "POST", body=b"x" * 100)
    assert (answer.status, answer.json["status"]) == ("413 REQUEST ENTITY TOO LARGE", "413")
    assert len(in_flask) == 1


def test_a_server_name_is_flasks_affair(in_flask: list[str]) -> None:
    app = gateway()
    app.config["SERVER_NAME"] = "scim.example"
    assert ask(app).status == "200 OK"
    assert len(in_flask) == 1


def test_a_middleware_around_the_application_is_passed_first() -> None:
    app = gateway()
    inner: Any = app.wsgi_app

    def guard(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("403 Forbidden", [])
        return [b"denied"]

    # As Flask documents it: a method that is meant to be replaced, which types cannot say.
    replaceable: Any = app
    replaceable.wsgi_app = guard
    assert ask(app).status == "403 Forbidden"
    assert ask(inner).status == "200 OK"


def test_both_ways_are_one_service(monkeypatch: pytest.MonkeyPatch, in_flask: list[str]) -> None:
    asked: list[Service] = []
    answer = Service.answer
    monkeypatch.setattr(Service, "answer", lambda service, *given: asked.append(service) or answer(service, *given))
    served = Served(gateway())
    served.both()
    assert len(in_flask) == 1
    assert len(asked) == 3
    assert len(set(asked)) == 1


# Both ways say the same

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE", "get", "head", "X" * 30]
PATHS = ["", "/", "//", "/Users", "/Users/", "//Users", "/Users/{user}", "/Users/{user}/", "/v2/Users", "/v3/Users"]
PATHS += ["/Users/.search", "/.search", "/Me", "/Bulk", "/Schemas", "/ServiceProviderConfig", "/ResourceTypes/User"]
PATHS += ["/nothing", "/Users/nobody", "/../healthz", "/Users/../../../healthz", "/Users;x=y", "/Users/a b", "/Users|x"]
PATHS += [
    "/\x00",
    "/Users\n",
    "/Users\r\nX: y",
    "/\xc3\xa9",
    "/\xff\xfe",
    "/Users/\xff",
    "/Users/%2F",
    "/Users/<x>",
    "/?",
]
QUERIES = ["", "filter=userName+eq+%22ann%22", "filter=userName%20eq%20%22nobody%22", "Filter=userName+eq+%22ann%22"]
QUERIES += [
    "filter=userName+eq",
    "filter=password+eq+%22x%22",
    "filter=%FF",
    "filter=\xff",
    "filter=\xc3\xa9",
    "count=0",
]
QUERIES += ["&".join(["a=1"] * 101), "count=1&count=2", "attributes=userName", "x", "&&", "=", "filter=%", "%00=%00"]
BODIES = [b"", b"{}", b"[]", b"{", b"\xff", b'{"schemas": []}', b"x" * 1_200_000]
HEADERS: dict[str, list[str | None]] = {
    "HTTP_AUTHORIZATION": [
        None,
        "",
        "Bearer wrong",
        TOKEN,
        "Basic YTpi",
        f"Bearer {TOKEN}, {TOKEN}",
        "\xff",
        "x" * 5000,
    ],
    "HTTP_ACCEPT": ["application/json", "text/html", "*/*", "\xff"],
    "HTTP_IF_NONE_MATCH": ["*", "{tag}", 'W/"other"'],
    "HTTP_IF_MATCH": ["*", "{tag}", 'W/"other"'],
    "HTTP_HOST": [None, "", "other.example:443", "a:80", "[::1]:8000", 'a"b<', "a\r\nX: y", "\xff", "a, b"],
    "HTTP_X_FORWARDED_HOST": ["evil.example"],
    "HTTP_X_HTTP_METHOD_OVERRIDE": ["DELETE"],
    "HTTP_TRANSFER_ENCODING": ["chunked"],
    "CONTENT_TYPE": [None, "", "application/json", "text/plain", "application/json; charset=latin-1"],
    "CONTENT_LENGTH": [None, "", "0", "5", "x", "-1", "99999999999"],
    "SCRIPT_NAME": ["/", "/mounted", "/mounted/", "//m", "/\xc3\xa9", "/a b\r\nX: y", "/\xff"],
    "SERVER_NAME": ["::1", "/run/socket"],
    "SERVER_PORT": ["", "443", "x"],
    "REMOTE_ADDR": [None, "", "::1", 'x"\n{', "\xff"],
    "wsgi.url_scheme": ["http"],
}


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request as a server hands it over, with a few oddities."""
    odd = draw(st.sets(st.sampled_from(list(HEADERS)), max_size=3))
    return {
        "method": draw(st.sampled_from(["GET", "GET", "HEAD"]) | st.sampled_from(METHODS)),
        "path": draw(st.sampled_from(["/Users", "/Users/{user}"]) | st.sampled_from(PATHS)),
        "query": draw(st.just("") | st.sampled_from(QUERIES)),
        "body": draw(st.just(b"") | st.sampled_from(BODIES)),
        **{name: draw(st.sampled_from(HEADERS[name])) for name in sorted(odd)},
    }


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the access log is told, but for how long it took."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(access_log, "record", lambda **line: told.append({**line, "seconds": None}))
    return told


def test_whatever_is_asked_both_ways_say_the_same_and_log_the_same(
    served: Served, in_flask: list[str], logged: list[dict[str, Any]]
) -> None:
    asked = 0

    @settings(max_examples=examples(800))
    @given(request=requests())
    def compare(request: dict[str, Any]) -> None:
        nonlocal asked
        asked += 1
        logged.clear()
        # What is deleted one way could not be deleted the other.
        user = "nobody" if request["method"] == "DELETE" else served.user
        request = {
            name: value.replace("{user}", user).replace("{tag}", served.tag) if isinstance(value, str) else value
            for name, value in request.items()
        }
        one, other = served.both(**request)
        assert one == other
        assert len(logged) == 2
        assert logged[0] == logged[1]

    compare()
    assert len(in_flask) == asked


def masked(answer: Answer) -> tuple[str, dict[str, str], Any]:
    """An answer without what differs from one gateway to another: ids, times, versions."""
    pattern = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[\d:.]+Z|W/\\?\"[^\"\\]+\\?\"")

    def mask(text: str) -> str:
        return pattern.sub("…", text)

    headers = {name: mask(value) for name, value in answer.headers.items()}
    return answer.status, headers, mask(answer.body.decode())


def test_changes_come_to_the_same_both_ways() -> None:
    one, other = Served(gateway()), Served(gateway())
    rename = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "title", "value": "x"}]}
    search = {"schemas": [SEARCH_REQUEST], "filter": 'title eq "x"'}
    bulk = {
        "schemas": [BULK_REQUEST],
        "Operations": [
            {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"schemas": [USER], "userName": "eve"}}
        ],
    }
    steps: list[tuple[str, str, Any, dict[str, str], str]] = [
        ("POST", "/Users", {"schemas": [USER], "userName": "bob"}, {}, "201 CREATED"),
        ("POST", "/Users", {"schemas": [USER], "userName": "bob"}, {}, "409 CONFLICT"),
        ("PUT", "/Users/{user}", {"schemas": [USER], "userName": "ann"}, {}, "200 OK"),
        ("PATCH", "/Users/{user}", rename, {"HTTP_IF_MATCH": 'W/"stale"'}, "412 PRECONDITION FAILED"),
        ("PATCH", "/Users/{user}", rename, {"HTTP_IF_MATCH": "*"}, "200 OK"),
        ("PATCH", "/Users/nobody", rename, {}, "404 NOT FOUND"),
        ("POST", "/Users/.search", search, {}, "200 OK"),
        ("HEAD", "/Users/.search", search, {}, "405 METHOD NOT ALLOWED"),
        ("POST", "/Bulk", bulk, {}, "200 OK"),
        ("DELETE", "/Users", None, {}, "405 METHOD NOT ALLOWED"),
        ("DELETE", "/Users/{user}", None, {}, "204 NO CONTENT"),
        ("DELETE", "/Users/{user}", None, {}, "404 NOT FOUND"),
        ("GET", "/Users", None, {}, "200 OK"),
    ]
    for method, path, body, more, status in steps:
        content = b"" if body is None else json.dumps(body).encode()
        before = ask(one.direct, method, path.replace("{user}", one.user), body=content, **more)
        behind = ask(other.through_flask, method, path.replace("{user}", other.user), body=content, **more)
        assert masked(before) == masked(behind)
        assert before.status == status


def test_the_line_in_the_log_is_the_same_both_ways_and_nothing_forges_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    served = Served(gateway(log_level="info"))
    capsys.readouterr()
    requests: list[dict[str, Any]] = [
        {"path": f"/Users/{served.user}"},
        {"query": "filter=userName+eq+%22ann%22"},
        {"query": "filter=password+eq+%22ann%22"},
        {"path": "/Users/nobody"},
        {"HTTP_AUTHORIZATION": "Bearer my-wrong-token"},
        {"method": 'GET\n{"level":"forged"}'},
        {"method": '"},{'},
        {"REMOTE_ADDR": '::1"\n{"level":"forged"}'},
        {"HTTP_X_REQUEST_ID": None},
        {"path": '/Users/"\n{"level":"forged"}'},
    ]
    for request in requests:
        served.both(**request)
        before, behind = (json.loads(line) for line in capsys.readouterr().out.splitlines())
        for line in (before, behind):
            assert (line.pop("ts")[-1], line.pop("ms") >= 0, line["event"], line["level"]) == (
                "Z",
                True,
                "request",
                "info",
            )
            assert not any(each in json.dumps(line) for each in (served.user, "ann", "wrong-token", "password"))
            if "HTTP_X_REQUEST_ID" in request:
                assert re.fullmatch("[0-9a-f]{32}", line.pop("request_id"))
        assert before == behind


def test_a_defect_is_a_scim_error_both_ways_and_only_the_log_says_more(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("SELECT secret")

    monkeypatch.setattr(served.app.extensions[EXTENSION].provider, "handle", fail)
    with caplog.at_level(logging.ERROR, "scim_gateway"):
        one, other = served.both()
    assert one == other
    assert (one.status, one.headers["Content-Type"]) == ("500 INTERNAL SERVER ERROR", "application/scim+json")
    assert one.json["detail"] == "Internal error; the gateway's log has it as request r-1."
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


@pytest.mark.parametrize("proxies", ["0", "1"])
def test_a_trusted_proxy_tells_scheme_host_and_client_and_nobody_else_does(
    proxies: str, logged: list[dict[str, Any]]
) -> None:
    app = gateway(trusted_proxies=proxies)
    forwarded = {"HTTP_X_FORWARDED_HOST": "outside.example", "HTTP_X_FORWARDED_FOR": "198.51.100.7, 192.0.2.9"}
    answer = ask(app, path="/ServiceProviderConfig", **forwarded, HTTP_X_FORWARDED_PROTO="http")
    base, client = {
        "0": ("https://scim.example/scim/v2", "192.0.2.1"),
        "1": ("http://outside.example/scim/v2", "192.0.2.9"),
    }[proxies]
    assert answer.json["meta"]["location"] == f"{base}/ServiceProviderConfig"
    assert [line["client"] for line in logged] == [client]


def test_a_host_that_one_client_names_is_not_what_another_is_told(served: Served) -> None:
    for host in ("one.example", "evil.example", "one.example", None, "two.example:8443"):
        answer = ask(served.direct, path=f"/Users/{served.user}", HTTP_HOST=host)
        expected = f"https://{host or '127.0.0.1:8000'}/scim/v2/Users/{served.user}"
        assert answer.headers["Location"] == answer.json["meta"]["location"] == expected


def test_a_public_url_is_told_whatever_the_client_names() -> None:
    served = Served(gateway(public_url="https://scim.example.com/x"))
    for answer in served.both(path=f"/Users/{served.user}", HTTP_HOST="evil.example", SCRIPT_NAME="/y"):
        assert answer.headers["Location"] == f"https://scim.example.com/x/Users/{served.user}"


def test_an_application_that_is_mounted_below_a_path_says_so(served: Served, in_flask: list[str]) -> None:
    mounted = DispatcherMiddleware(flask.Flask("outer"), {"/here": served.app})
    answer = ask(mounted, PATH_INFO="/here/scim/v2/ServiceProviderConfig")
    assert answer.json["meta"]["location"] == "https://scim.example/here/scim/v2/ServiceProviderConfig"
    assert in_flask == []
    assert ask(mounted, PATH_INFO="/scim/v2/ServiceProviderConfig").status == "404 NOT FOUND"


def test_flasks_own_client_is_answered_as_any_other(served: Served, in_flask: list[str]) -> None:
    with served.app.test_client() as client:
        answer = client.get(f"/scim/v2/Users/{served.user}", headers={"Authorization": TOKEN})
        assert (answer.status_code, answer.json["userName"]) == (200, "ann")
    assert in_flask == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/Users", "/Users/nobody", "/ServiceProviderConfig"])
def test_what_a_server_is_given_is_what_wsgi_asks_for(served: Served, method: str, path: str) -> None:
    checked = validator(served.direct)
    answer = ask(checked, method, path)
    length = answer.headers.get("Content-Length")
    assert (
        length is None
        if answer.status[:3] in ("204", "304")
        else method == "HEAD" or int(length or -1) == len(answer.body)
    )
    assert method != "HEAD" or (answer.body == b"" and int(length or 0) > 0)


def test_a_body_is_not_read_before_the_token_is_known_to_be_valid(served: Served) -> None:
    for application in (served.direct, served.through_flask):
        stream = io.BytesIO(b"x" * 1000)
        answer = ask(
            application, "POST", HTTP_AUTHORIZATION="Bearer wrong", CONTENT_LENGTH="1000", **{"wsgi.input": stream}
        )
        assert (answer.status, stream.tell()) == ("401 UNAUTHORIZED", 0)
