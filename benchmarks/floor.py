"""The floor: bare Flask routes that answer the very bytes of a gateway: what Flask itself costs."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path

import orjson
from flask import Flask, Response, request

from scim_gateway.bench.wire import Reply

BYTES = "SCIM_BENCHMARK_BYTES"
"""Names the file with the answers."""


# What gunicorn and Werkzeug add themselves.
_ADDED = frozenset({"server", "date", "connection", "content-length", "transfer-encoding"})


def write_answers(path: Path, answers: Mapping[str, tuple[str, Reply]]) -> None:
    """Keep what the routes are to answer, by the name of the route: the method, and an answer to it."""
    rows = {
        name: (
            method,
            reply.status,
            [header for header in reply.headers() if header[0].lower() not in _ADDED],
            b64encode(reply.body).decode(),
        )
        for name, (method, reply) in answers.items()
    }
    path.write_text(json.dumps(rows), encoding="utf-8")


def create_app() -> Flask:
    """A route for each answer; what is sent is parsed, nothing is stored."""
    app = Flask("floor", static_folder=None)
    for name, (method, status, headers, body) in json.loads(Path(os.environ[BYTES]).read_text("utf-8")).items():
        _add(app, name, method, status, dict(headers), b64decode(body))
    return app


def _add(app: Flask, name: str, method: str, status: int, headers: dict[str, str], body: bytes) -> None:
    def read() -> Response:
        return Response(body, status, headers)

    def write() -> Response:
        orjson.loads(request.get_data())
        return Response(body, status, headers)

    view = write if method in ("POST", "PUT", "PATCH") else read
    app.add_url_rule(f"/{name}", name, view, methods=[method])
