"""The gateway as a Flask application: settings in, service provider and probes out."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from traceback import extract_tb
from typing import Any

import flask
import orjson
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from scim_gateway import access_log, config
from scim_gateway.auth import BearerAuthenticator
from scim_gateway.backend import Backend
from scim_gateway.blueprint import ScimResponse, blueprint_of
from scim_gateway.config import ConfigurationError, Settings
from scim_gateway.direct import Direct
from scim_gateway.errors import ScimError
from scim_gateway.exchange import SCIM_JSON, SECURITY_HEADERS
from scim_gateway.messages import ERROR
from scim_gateway.provider import ServiceProvider
from scim_gateway.wsgi import Service

ENTRY_POINTS = "scim_gateway.backends"
EXTENSION = "scim-gateway"
_master: int | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """What an application is made of; found in ``app.extensions["scim-gateway"]``."""

    settings: Settings
    backend: Backend
    provider: ServiceProvider


def create_app(environ: Mapping[str, str] | None = None) -> flask.Flask:
    """The application that gunicorn serves.

    :param environ: the environment to read the settings from; by default the process's own.
    :raises ConfigurationError: the settings make no sense.
    """
    return serving(config.load(os.environ if environ is None else environ))


def serving(settings: Settings) -> flask.Flask:
    """The application in a process that serves: with its log, and with what the backend does by itself."""
    access_log.configure(settings["log_level"])
    app = application(settings)
    if os.getpid() != _master:
        app.extensions[EXTENSION].backend.start()
    return app


def will_fork() -> None:
    """Say that this process serves nothing itself, but forks those that do, as gunicorn's master does.

    What loads the application here (``--preload``) begins no threads: they would not pass the fork, and a lock that one
    of them holds at that moment would be held for ever in the child.
    """
    global _master  # noqa: PLW0603 - it is about the process
    _master = os.getpid()


def application(settings: Settings) -> flask.Flask:
    """The application for settings that are known already; nothing is done by itself before the first request."""
    gateway = open_gateway(settings)
    app = flask.Flask("scim_gateway", static_folder=None, template_folder=None)
    app.extensions[EXTENSION] = gateway
    authenticate = BearerAuthenticator(
        gateway.backend.tokens,
        fixed=settings["token"],
        failures_per_minute=settings["auth_failures_per_minute"],
    )
    service = Service(gateway.provider, authenticate, settings["public_url"])
    app.register_blueprint(blueprint_of(service, "scim"), url_prefix=settings["base_path"])
    readiness = Readiness(gateway.backend)

    @app.get("/healthz")
    def healthz() -> flask.Response:
        return _json(200, {"status": "ok"})

    @app.get("/readyz")
    def readyz() -> flask.Response:
        return _json(200, {"status": "ready"}) if readiness.check() else _json(503, {"status": "unavailable"})

    @app.errorhandler(HTTPException)
    def outside(error: HTTPException) -> flask.Response:
        # Outside the SCIM base URL too, errors are SCIM errors: a client that lost its prefix understands the answer.
        status = error.code or 500
        detail = error.name
        if status == 404:
            detail = f"Nothing is served here; the SCIM base URL is {settings.base_url}."
        return _json(status, {"schemas": [ERROR], "status": str(status), "detail": detail}, SCIM_JSON)

    # As Flask documents it: a method that is meant to be replaced, which types cannot say.
    replaceable: Any = app
    replaceable.wsgi_app = Direct(app, "scim.scim", service, settings["base_path"])
    proxies = settings["trusted_proxies"]
    if proxies:
        replaceable.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)
    return app


def open_gateway(settings: Settings) -> Gateway:
    """The backend that the settings name, and a service provider over it; connects to nothing yet.

    :raises ConfigurationError: there is no such backend, or it cannot do with its settings.
    """
    backend = load_backend(settings["backend"]).from_settings(settings, settings.resource_types)
    return Gateway(settings, backend, ServiceProvider(backend, settings.provider()))


def load_backend(spec: str) -> type[Backend]:
    """The class of a backend: by the name of its entry point, or as ``module:Class``.

    :raises ConfigurationError: there is none, it cannot be imported, or it is no backend.
    """
    try:
        if ":" in spec:
            module, _, attribute = spec.partition(":")
            found = getattr(import_module(module), attribute)
        else:
            known = entry_points(group=ENTRY_POINTS)
            if spec not in known.names:
                near = get_close_matches(spec.lower(), known.names, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known.names)) or 'none'}."
                raise ConfigurationError(f"There is no backend {spec!r}; {hint} Your own is named as module:Class.")
            found = known[spec].load()
    except ConfigurationError:
        raise
    except Exception as error:  # whatever a module of somebody else raises when it is imported
        raise ConfigurationError(f"The backend {spec!r} cannot be loaded: {_trouble(error)}.") from None
    if not (isinstance(found, type) and issubclass(found, Backend)):
        raise ConfigurationError(f"The backend {spec!r} is no class that inherits scim_gateway.backend.Backend.")
    return found


def _trouble(error: Exception) -> str:
    """What went wrong in one line, with the place in the code of the backend, if it got so far."""
    said = str(error).strip().partition("\n")[0].rstrip(".")
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}"
    *_, last = extract_tb(error.__traceback__)
    if last.filename == __file__ or last.filename.startswith("<frozen importlib"):
        return said
    return f"{last.filename}:{last.lineno}: {type(error).__name__}{f': {said}' if said else ''}"


class Readiness:
    """Whether the store answers, asked at most every other second."""

    _SECONDS = 2.0

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._known: tuple[float, bool] | None = None

    def check(self) -> bool:
        """Whether requests can be served."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > self._SECONDS:
                self._known = (time.monotonic(), self._ask())
            return self._known[1]

    def _ask(self) -> bool:
        try:
            with self._backend.operation(write=False):
                self._backend.references({"readyz"})
        except ScimError:
            return False
        return True


def _json(status: int, document: Mapping[str, object], media_type: str = "application/json") -> flask.Response:
    return ScimResponse(orjson.dumps(document), status, {"Content-Type": media_type, **SECURITY_HEADERS})
