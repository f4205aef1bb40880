"""The application around the blueprint, and the server around the application."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scim_gateway_memory import MemoryBackend
from scim_gateway_sql import SqlBackend

from scim_gateway.app import EXTENSION, create_app, load_backend, will_fork
from scim_gateway.backend import Backend
from scim_gateway.config import ConfigurationError, load
from scim_gateway.errors import Unavailable
from scim_gateway.serve import options, prepare
from scim_gateway.tokens import verify

ROOT = Path(__file__).parent.parent
TOKEN = "0123456789abcdef0123456789abcdef"
HEADERS = {"Authorization": TOKEN}


def gateway(**settings: str) -> Any:
    environ = {"SCIM_GATEWAY_BACKEND": "memory", "SCIM_GATEWAY_TOKEN": TOKEN}
    return create_app(environ | {f"SCIM_GATEWAY_{name.upper()}": value for name, value in settings.items()})


def test_the_base_path_is_a_setting():
    client = gateway(base_path="/a/b").test_client()
    assert client.get("/a/b/Users", headers=HEADERS).status_code == 200
    assert client.get("/scim/v2/Users", headers=HEADERS).status_code == 404


@pytest.mark.parametrize("method", ["get", "post", "delete", "options"])
def test_outside_of_the_base_path_errors_are_scim_errors_too(method):
    answer = getattr(gateway().test_client(), method)("/healthz" if method in ("post", "delete") else "/nothing")
    assert answer.status_code in (404, 405)
    assert answer.json["status"] == str(answer.status_code)
    assert answer.content_type == "application/scim+json"


def test_health_is_open_and_constant():
    answer = gateway().test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_readiness_is_503_while_the_store_is_down(monkeypatch):
    app = gateway()
    client = app.test_client()
    assert client.get("/readyz").json == {"status": "ready"}

    def down(*_: Any, **__: Any) -> None:
        raise Unavailable("The store is down.")

    app = gateway()
    monkeypatch.setattr(app.extensions[EXTENSION].backend, "references", down)
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "unavailable"})


FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "scim.example.com", "X-Forwarded-For": "192.0.2.9"}


@pytest.mark.parametrize(
    ("proxies", "location"), [("0", "http://localhost/scim/v2/"), ("1", "https://scim.example.com/scim/v2/")]
)
def test_forwarded_headers_count_only_where_a_proxy_is_configured(proxies, location):
    client = gateway(trusted_proxies=proxies).test_client()
    answer = client.get("/scim/v2/ServiceProviderConfig", headers=FORWARDED)
    assert answer.json["meta"]["location"].startswith(location)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes in which background work was begun."""
    began: list[int] = []
    monkeypatch.setattr(MemoryBackend, "start", lambda self: began.append(os.getpid()))
    return began


def test_background_work_begins_with_the_application(starts):
    gateway()
    assert starts == [os.getpid()]


def test_in_a_master_that_loads_the_application_before_it_forks_nothing_begins_but_in_each_worker(starts, monkeypatch):
    monkeypatch.setattr("scim_gateway.app._master", None)
    will_fork()
    app = gateway()
    assert starts == [], "gunicorn --preload: threads do not pass a fork, and locks that they hold do"
    worker = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: worker)
    options(load({}))["post_worker_init"](SimpleNamespace(wsgi=app))
    assert starts == [worker]
    gateway()
    assert starts == [worker, worker], "without --preload"


def test_a_backend_is_found_by_module_and_class():
    assert issubclass(load_backend("scim_gateway_memory:MemoryBackend"), Backend)


@pytest.mark.parametrize("written", ["ENGINE", "Engine", "engin", "Engine+Portal"])
def test_a_backend_that_is_written_otherwise_is_guessed(written):
    meant = "engine+portal" if "+" in written else "engine"
    with pytest.raises(ConfigurationError, match=re.escape(f"There is no backend '{written}'; did you mean {meant}?")):
        load_backend(written)


def test_the_first_start_makes_a_token_and_later_ones_do_not_repeat_it(tmp_path):
    settings = load({"SCIM_GATEWAY_DATA_DIR": str(tmp_path / "data")})
    text = re.search(r"^Authorization: (scimgw_\S+)$", "\n".join(prepare(settings).lines), re.MULTILINE)[1]
    backend = load_backend("sql").from_settings(settings, settings.resource_types)
    assert verify(text, backend.tokens, backend.tokens.list()[0].created) is not None
    backend.close()
    later = "\n".join(prepare(settings).lines)
    assert text not in later
    assert "Authorization: the token that was shown when it was made" in later


def test_what_the_start_prints_is_what_oktas_page_asks_for(tmp_path):
    settings = load({"SCIM_GATEWAY_DATA_DIR": str(tmp_path), "SCIM_GATEWAY_TOKEN": TOKEN})
    lines = prepare(settings).lines
    assert lines[2:6] == (
        "SCIM connector base URL: http://127.0.0.1:8000/scim/v2",
        "Unique identifier field for users: userName",
        "Supported provisioning actions: Push New Users, Push Profile Updates, Push Groups",
        "Authentication Mode: HTTP Header",
    )
    assert TOKEN not in "".join(lines), "a token that the operator chose is not printed"


ONE_WORKER = "The backend {} is not for several processes: 1 worker serves it."


@pytest.mark.parametrize("environ", [{}, {"SCIM_GATEWAY_WORKERS": "4"}, {"SCIM_GATEWAY_TOKEN": TOKEN}])
def test_a_backend_that_is_not_for_several_processes_has_one_worker_and_the_operator_is_told(environ):
    prepared = prepare(load({"SCIM_GATEWAY_BACKEND": "memory", **environ}))
    assert prepared.settings["workers"] == 1
    assert ONE_WORKER.format("memory") in prepared.lines


def test_nothing_is_said_of_workers_where_one_was_asked_for():
    prepared = prepare(load({"SCIM_GATEWAY_BACKEND": "memory", "SCIM_GATEWAY_WORKERS": "1"}))
    assert prepared.settings["workers"] == 1
    assert "worker" not in "\n".join(prepared.lines)


class AloneWithKeptTokens(SqlBackend):
    """It keeps tokens, and does not say that several processes may serve it."""

    shared = False


class SharedWithoutTokens(MemoryBackend):
    """Several processes may serve it, and it leaves tokens to the process."""

    shared = True


@pytest.mark.parametrize("token", [{}, {"SCIM_GATEWAY_TOKEN": TOKEN}])
def test_where_tokens_are_kept_does_not_decide_how_many_processes_serve(tmp_path, token):
    environ = {"SCIM_GATEWAY_DATA_DIR": str(tmp_path), "SCIM_GATEWAY_WORKERS": "4", **token}
    alone, shared = f"{__name__}:AloneWithKeptTokens", f"{__name__}:SharedWithoutTokens"
    prepared = prepare(load({"SCIM_GATEWAY_BACKEND": alone, **environ}))
    assert prepared.settings["workers"] == 1
    assert ONE_WORKER.format(alone) in prepared.lines
    prepared = prepare(load({"SCIM_GATEWAY_BACKEND": shared, **environ}))
    assert prepared.settings["workers"] == 4
    assert ONE_WORKER.format(shared) not in prepared.lines
    assert prepared.settings["token"], "the workers are given the same one"


@pytest.mark.parametrize("name", ["sql", "engine", "portal", "engine+portal"])
def test_a_directory_in_a_database_is_for_several_processes(name):
    assert load_backend(name).shared is True


def test_gunicorn_is_told_what_the_project_decided():
    told = options(load({"SCIM_GATEWAY_WORKERS": "3", "SCIM_GATEWAY_THREADS": "5"}))
    assert told["worker_class"] == "scim_gateway.gunicorn_worker.Worker"
    assert (told["workers"], told["threads"], told["timeout"]) == (3, 5, 60)
    assert told["control_socket_disable"] is True
    assert told["forwarder_headers"] == told["forwarded_allow_ips"] == ""
    assert told["secure_scheme_headers"] == {}
    assert told["accesslog"] is None


@contextlib.contextmanager
def procfile(folder: Path, **environ: str) -> Iterator[tuple[int, Path]]:
    """The server as the Procfile starts it, in an environment of its own."""
    command = (ROOT / "Procfile").read_text().removeprefix("web:").strip()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "HOME": str(folder),
        "PORT": str(port),
        **environ,
    }
    output = folder / "output"
    arguments = [sys.executable, "-m", *shlex.split(command)]
    with output.open("wb") as file:
        process = subprocess.Popen(arguments, cwd=folder, env=variables, stdout=file, stderr=subprocess.STDOUT)
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise AssertionError(output.read_text())
            with contextlib.suppress(OSError):  # nobody listens yet
                ask(port, "/healthz")
                break
            time.sleep(0.05)
        yield port, output
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert code == 0, output.read_text()


def ask(port: int, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_the_procfile_serves_with_the_projects_configuration(tmp_path):
    token = TOKEN
    with procfile(tmp_path, SCIM_GATEWAY_BACKEND="memory", SCIM_GATEWAY_TOKEN=token) as (port, output):
        assert ONE_WORKER.format("memory") in output.read_text()
        assert ask(port, "/scim/v2/Users", Authorization=token)[0] == 200
        assert ask(port, "/scim/v2/Users")[0] == 401
        # Nobody is believed because he comes from this machine.
        forged = {"X_Forwarded_Proto": "https", "Script_Name": "/evil", "X_Forwarded_Host": "evil.example"}
        status, body = ask(port, "/scim/v2/ServiceProviderConfig", **forged)
        assert status == 200
        assert f"http://127.0.0.1:{port}/scim/v2/" in body
        assert ask(port, f"/scim/v2/Users?filter={'x' * 9000}", Authorization=token)[0] in (400, 414)
        assert ask(port, "/scim/v2/Users", Authorization=token, X_Long="x" * 9000)[0] in (400, 431)
        assert ask(port, f"/scim/v2/Users?filter={'x' * 5000}", Authorization=token)[0] == 400
        log = [line for line in output.read_text().splitlines() if line.startswith("{")]
        assert len(log) >= 4, output.read_text()
        assert token not in output.read_text()
    assert not list(tmp_path.rglob("*.ctl")), "gunicorn's control socket is off"


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"SCIM_GATEWAY_BACKEND": "sqll"}, "Error: There is no backend 'sqll'"),
        ({"SCIM_GATEWAY_BACKEND": "memory"}, "Error: The backend memory forgets tokens, and the output is no terminal"),
        ({"PORT": "abc"}, "Error: PORT is 'abc'; it has to be a number up to 65535."),
        ({"PORT": "99999"}, "Error: PORT is '99999'; it has to be a number up to 65535."),
        (
            {"SCIM_GATEWAY_WORKER": "1"},
            "Error: There is no setting SCIM_GATEWAY_WORKER; did you mean SCIM_GATEWAY_WORKERS?",
        ),
    ],
)
def test_a_wrong_configuration_stops_the_procfile_with_one_line(tmp_path, environ, line):
    with pytest.raises(AssertionError) as caught, procfile(tmp_path, **environ):
        pytest.fail("it started")
    assert [shown for shown in str(caught.value).splitlines() if " [INFO] " not in shown] == [
        str(caught.value).splitlines()[-1]
    ]
    assert str(caught.value).splitlines()[-1].startswith(line)
    assert "Traceback" not in str(caught.value)


BROKEN = {
    "x = (": "broken.py:1: '(' was never closed.",
    "import os\n\nx = 1 / 0": "broken.py:3: ZeroDivisionError: division by zero.",
    "import there_is_no_such_module": "broken.py:1: ModuleNotFoundError: No module named 'there_is_no_such_module'.",
    "raise RuntimeError('one.\\ntwo')": "broken.py:1: RuntimeError: one.",
    "x = 1": "cannot be loaded: module 'broken' has no attribute 'Store'.",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_backend_that_cannot_be_imported_is_one_line_with_its_place(text, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text(text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    with pytest.raises(ConfigurationError) as raised:
        load_backend("broken:Store")
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    assert str(raised.value).startswith("The backend 'broken:Store' cannot be loaded: ")
    assert str(raised.value).endswith(BROKEN[text])
    assert "\n" not in str(raised.value)


def test_a_module_that_does_not_exist_is_said_to_be_missing():
    with pytest.raises(ConfigurationError, match=r"cannot be loaded: No module named 'there_is_no'\.$"):
        load_backend("there_is_no:Store")


def test_a_backend_in_capitals_is_known_for_what_was_meant():
    with pytest.raises(ConfigurationError, match=r"There is no backend 'ENGINE'; did you mean engine\?"):
        load_backend("ENGINE")
