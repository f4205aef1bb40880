"""A gateway on each backend, driven over HTTP in this process, and what holds for each of its answers."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from scim_http import ERROR, TOKEN, Answer, MakeScim, ScimClient

BACKENDS = ("memory", "sql")

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_SCIM_TYPES = {
    400: {
        *("invalidFilter", "tooMany", "mutability", "invalidSyntax", "invalidPath", "noTarget", "invalidValue"),
        *("invalidVers", "invalidCursor", "expiredCursor", "invalidCount"),
    },
    403: {"sensitive"},
    409: {"uniqueness"},
}


def check_always(answer: Answer) -> None:
    """What holds for every answer of the gateway, whatever was asked (S-14, S-16, S-22, R-01, R-02, R-12, T-07)."""
    media_type = answer.headers.get("Content-Type", "").split(";")[0]
    assert answer.status != 500, answer
    assert answer.status not in (301, 302, 303, 307), answer
    if answer.status in (204, 304):
        assert answer.raw == b"", answer
        assert not media_type, answer.headers
        return
    if answer.method in ("HEAD", "OPTIONS") and answer.raw == b"":
        return
    assert media_type in ("application/scim+json", "application/json"), f"{answer} {answer.headers}"
    assert isinstance(answer.body, dict), answer
    assert answer.body["schemas"], answer
    if answer.status >= 400:
        _check_error(answer.body, answer.status)
    elif "ETag" in answer.headers and "meta" in answer.body and "version" in answer.body["meta"]:
        assert answer.headers["ETag"] == answer.body["meta"]["version"], answer
    _check_values(answer.body, answer)


def _check_error(body: Mapping[str, Any], status: int) -> None:
    assert body["schemas"] == [ERROR], body
    assert body["status"] == str(status), body
    assert set(body) <= {"schemas", "status", "scimType", "detail"}, body
    assert body.get("scimType") is None or body["scimType"] in _SCIM_TYPES.get(status, ()), body
    for leak in ("Traceback", "sqlite", "sqlalchemy", "SELECT ", "INSERT ", '.py"'):
        assert leak not in body.get("detail", ""), body


def _check_values(value: Any, answer: Answer, name: str = "") -> None:
    """No unassigned attribute is shown, no password is, and dates of ``meta`` are UTC date-times."""
    assert value is not None, f"{name} is null in {answer}"
    if isinstance(value, Mapping):
        assert value or not name, f"{name} is an empty object in {answer}"
        assert "password" not in {key.lower() for key in value}, answer
        if "schemas" in value:
            assert len(set(value["schemas"])) == len(value["schemas"]) > 0, answer
        for key, inner in value.items():
            _check_values(inner, answer, key)
    elif isinstance(value, list):
        # RFC 7644 §3.4.2: an empty page may show its empty list; RFC 7643 §6 does for a type without extensions.
        assert value or name in ("Resources", "schemaExtensions", "Operations"), f"{name} is an empty list in {answer}"
        for inner in value:
            _check_values(inner, answer, name)
    elif name in ("created", "lastModified"):
        assert _DATE_TIME.fullmatch(value), answer


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of the backend that the test runs on; it runs once on each."""
    return str(request.param)


ConnectTargets = Callable[[], Mapping[str, str]]


@pytest.fixture
def connect_targets(backend: str, request: pytest.FixtureRequest) -> Iterator[ConnectTargets]:
    """A function that starts an empty double for each target of the backend, and gives the settings that lead there."""
    with ExitStack() as stack:

        def connect() -> Mapping[str, str]:
            environ: dict[str, str] = {}
            if backend == "mariadb":
                server = request.getfixturevalue("mariadb_server")
                environ |= {"BACKEND": "sql", "DATABASE_URL": server.url(server.new_database())}
            if "portal" in backend.split("+"):
                from doubles.portal.fixtures import portal_environ

                environ |= stack.enter_context(portal_environ())
            if "engine" in backend.split("+"):
                from doubles.singlestore.serving import engine_environ

                environ |= stack.enter_context(engine_environ())
            return environ

        yield connect


@pytest.fixture
def make_scim(backend: str, tmp_path: Path, connect_targets: ConnectTargets) -> Iterator[MakeScim]:
    """A function that makes a gateway with an empty store, and a client for it.

    Keyword arguments are settings by the names of their environment variables without the prefix, in any letter
    case (``profile="strict"``); ``schemas``, ``extensions`` and ``resource_types`` are declarations as in the
    configuration file.
    """
    from scim_gateway.app import create_app

    numbers = itertools.count(1)
    made: list[Flask] = []

    def make(
        *,
        schemas: Sequence[Mapping[str, Any]] = (),
        extensions: Sequence[Mapping[str, Any]] = (),
        resource_types: Sequence[Mapping[str, Any]] = (),
        **environ: Any,
    ) -> ScimClient:
        folder = tmp_path / f"gateway{next(numbers)}"
        folder.mkdir()
        settings = {"BACKEND": backend, "DATA_DIR": str(folder), "TOKEN": TOKEN, **connect_targets()}
        settings |= {name.upper(): str(value) for name, value in environ.items()}
        declared = {"SCHEMAS": schemas, "EXTENSIONS": extensions, "RESOURCE_TYPES": resource_types}
        settings |= {name: json.dumps(tables) for name, tables in declared.items() if tables}
        app = create_app({f"SCIM_GATEWAY_{name}": value for name, value in settings.items()})
        made.append(app)
        return ScimClient(
            app, token=settings.get("TOKEN"), base=settings.get("BASE_PATH", "/scim/v2"), watch=check_always
        )

    yield make
    for app in made:
        app.extensions["scim-gateway"].backend.close()


@pytest.fixture
def scim(make_scim: MakeScim) -> ScimClient:
    """A gateway as it is delivered (profile ``lenient``), with an empty store."""
    return make_scim()


@pytest.fixture
def strict_scim(make_scim: MakeScim) -> ScimClient:
    """A gateway that takes the RFC at its word (profile ``strict``)."""
    return make_scim(profile="strict")
