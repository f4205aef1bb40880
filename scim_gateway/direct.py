"""Our own application's short way to the service provider: what nobody else looks at, Flask is not asked about."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import flask
from flask.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)
from werkzeug.http import HTTP_STATUS_CODES

from scim_gateway.wsgi import WITHOUT_CONTENT, Service

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# What Flask does with each request: whoever puts something of his own in the place of one of these wants it done.
_STEPS = frozenset(
    {
        "app_context",
        "create_url_adapter",
        "dispatch_request",
        "do_teardown_appcontext",
        "do_teardown_request",
        "ensure_sync",
        "finalize_request",
        "full_dispatch_request",
        "handle_exception",
        "handle_http_exception",
        "handle_user_exception",
        "log_exception",
        "make_default_options_response",
        "make_response",
        "preprocess_request",
        "process_response",
        "raise_routing_exception",
        "request_class",
        "request_context",
        "response_class",
        "session_interface",
        "should_ignore_error",
        "trap_http_exception",
    }
)


class Direct:
    """The ``wsgi_app`` of an application whose blueprint answers below a prefix, and nobody else does.

    Flask looks at a request several times before it knows that it is ours, which takes longer than a look-up. Where
    the application asks for nothing in between, the blueprint's service is asked at once; it lets in, answers and logs
    as it does behind Flask. As soon as somebody has hooks, listens to signals, limits requests by Flask's
    configuration, replaces one of Flask's steps, wraps the view or adds another, everything goes through Flask:
    nothing that was put before the blueprint is passed by.

    :param app: the application, complete with the blueprint.
    :param endpoint: the blueprint's, in the application.
    :param prefix: path of the SCIM base URL; it has to be of ASCII and not empty.
    """

    def __init__(self, app: flask.Flask, endpoint: str, service: Service, prefix: str) -> None:
        self._app = app
        self._through_flask = app.wsgi_app
        self._service = service
        self._prefix = prefix.rstrip("/")
        self._below = f"{self._prefix}/"
        self._endpoint = endpoint
        self._view = app.view_functions[endpoint]
        self._rules = len([*app.url_map.iter_rules()])
        self._attributes = 0, ""
        kind = type(app)
        self._is_of_another_class = any(
            getattr(kind, step, None) is not getattr(flask.Flask, step, None) for step in _STEPS
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not (path.startswith(self._below) or path == self._prefix) or self._is_watched():
            return self._through_flask(environ, start_response)
        rest = path[len(self._below) :]
        if not rest.isascii():
            # WSGI hands over bytes as Latin-1.
            rest = rest.encode("latin-1").decode("utf-8", "replace")
        prefix = self._prefix
        if root := environ.get("SCRIPT_NAME"):
            prefix = root.encode("latin-1").decode("utf-8", "replace").rstrip("/") + prefix
        response, headers = self._service.answer(environ, rest, prefix, lambda: self._app.request_class(environ))
        body = response.body
        if response.status not in WITHOUT_CONTENT:
            headers.setdefault("Content-Length", str(len(body)))
        start_response(_status_line(response.status), list(headers.items()))
        return [body] if body and environ["REQUEST_METHOD"] != "HEAD" else []

    def _is_watched(self) -> bool:
        """Whether anybody but the blueprint may have something to do with a request below the prefix."""
        app = self._app
        setting = app.config.get
        return bool(
            app.before_request_funcs
            or app.after_request_funcs
            or app.teardown_request_funcs
            or app.teardown_appcontext_funcs
            or app.url_value_preprocessors
            or self._is_of_another_class
            or (self._attributes != (len(own := app.__dict__), next(reversed(own))) and self._has_own_steps())
            or app.view_functions.get(self._endpoint) is not self._view
            or len([*app.url_map.iter_rules()]) != self._rules
            or appcontext_pushed.receivers
            or request_started.receivers
            or request_finished.receivers
            or request_tearing_down.receivers
            or appcontext_tearing_down.receivers
            or appcontext_popped.receivers
            or setting("MAX_CONTENT_LENGTH") is not None
            or setting("TRUSTED_HOSTS") is not None
            or setting("SERVER_NAME") is not None
        )

    def _has_own_steps(self) -> bool:
        """Whether the application has something of its own in the place of one of Flask's steps.

        To look takes as long as all else that is asked, so it is done when there are other attributes than at the last
        look: one that is new comes last.
        """
        own = self._app.__dict__
        attributes = len(own), next(reversed(own))
        if not _STEPS.isdisjoint(own):
            return True
        self._attributes = attributes
        return False


@lru_cache(maxsize=64)
def _status_line(status: int) -> str:
    return f"{status} {HTTP_STATUS_CODES.get(status, 'Unknown').upper()}"
