"""Serving with gunicorn: what is set up before the workers start, and the project's own server configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import flask
from gunicorn import util
from gunicorn.app.base import BaseApplication

from scim_gateway import __version__
from scim_gateway.app import EXTENSION, Gateway, load_backend, serving
from scim_gateway.backend import Backend
from scim_gateway.config import ConfigurationError, Settings
from scim_gateway.errors import Unavailable
from scim_gateway.first_token import authorization
from scim_gateway.guides import connection_lines
from scim_gateway.listening import refuse_what_cannot_be_bound
from scim_gateway.malloc import share_one_arena
from scim_gateway.unused import unused

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - Gunicorn makes its heartbeat file there by mkstemp: no name to guess, no content


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known before the first worker starts.

    :param settings: those that the workers get.
    :param lines: what the operator is told.
    """

    settings: Settings
    lines: tuple[str, ...]


def with_workers(settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The settings with as many workers as may serve the backend, and what the operator is told of it.

    There is one unless the backend says that several processes may serve its store (``Backend.shared``). Nothing is
    connected to yet: gunicorn wants to know their number before it listens anywhere.

    :raises ConfigurationError: the settings make no sense.
    """
    backend = load_backend(settings["backend"]).from_settings(settings, settings.resource_types)
    backend.close()
    if backend.shared or settings["workers"] == 1:
        return settings, ()
    told = f"The backend {settings['backend']} is not for several processes: 1 worker serves it."
    return changed(settings, workers=1), (told,)


def prepare(settings: Settings, *, where: str | None = None, terminal: bool = True) -> Prepared:
    """Open the store once, make the first token if there is none, and give all connections back before any fork.

    :param where: where the gateway listens, if gunicorn was told something else than the settings say.
    :param terminal: whether what the operator is told is seen on a terminal, and kept nowhere.
    :raises ConfigurationError: the settings make no sense.
    :raises Unavailable: the store cannot be reached.
    """
    # The directory is personal data: what is created from here on is for this account alone.
    os.umask(0o077)
    settings, about_workers = with_workers(settings)
    backend = load_backend(settings["backend"]).from_settings(settings, settings.resource_types)
    in_vain = [f"Note: {found.message}; {found.remedy}." for found in unused(settings, backend)]
    try:
        if settings["token"]:
            refuse_unfit(backend)
        told = authorization(settings, backend.tokens, terminal=terminal)
    finally:
        backend.close()
    notes = (*in_vain, *told.notes, *about_workers)
    if told.inherited:
        # Workers inherit it; a store of their own would each know another one.
        settings = changed(settings, token=told.inherited)
    lines = (
        f"scim-gateway {__version__}, backend {settings['backend']}, listening on {where or settings['bind']}",
        "",
        *connection_lines(settings.base_url, told.shown),
        *(("", *notes) if notes else ()),
    )
    return Prepared(settings, lines)


def refuse_unfit(backend: Backend) -> None:
    """Open the store where nothing else does: what keeps this gateway from it is said before anybody connects.

    A store that cannot be reached now is waited for, as long as a token is known: requests are answered 503 until then.

    :raises ConfigurationError: the store is not one for this gateway.
    """
    try:
        with backend.operation(write=False):
            backend.references(())
    except Unavailable as error:
        if isinstance(error, ConfigurationError):
            raise


def changed(settings: Settings, **values: Any) -> Settings:
    """Settings with some values replaced."""
    return replace(settings, in_force={**settings.in_force, **values})


def announce(prepared: Prepared) -> None:
    """Tell the operator, on standard output and at once."""
    click.echo("\n".join(prepared.lines) + "\n")


def options(settings: Settings) -> dict[str, Any]:
    """The configuration of gunicorn."""
    shared = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK)
    return {
        "bind": settings["bind"],
        # Threads: a long request does not hold up the others, and a stop loses no request. A slow client has none while
        # it sends a head, and then one for as long as client_timeout allows: bodies that many are slow to send or to
        # take are for a proxy in front to buffer.
        "worker_class": "scim_gateway.gunicorn_worker.Worker",
        "workers": settings["workers"],
        "threads": settings["threads"],
        # Half of the 1024 files that a process may have open where nobody has raised that.
        "worker_connections": 512,
        "timeout": settings["timeout"],
        "graceful_timeout": settings["graceful_timeout"],
        # Longer than load balancers keep a connection idle, so that they close it and never we while they send.
        "keepalive": 75,
        # The heartbeat of a worker must not wait for a disk.
        "worker_tmp_dir": str(_SHARED_MEMORY) if shared else None,
        # A filter of 4096 characters, percent-encoded, is the longest line that means anything.
        "limit_request_line": 8190,
        "limit_request_fields": 64,
        "limit_request_field_size": 8190,
        # Nobody is believed by his address: X-Forwarded-… counts through trusted_proxies only (ProxyFix in app.py).
        "forwarded_allow_ips": "",
        "secure_scheme_headers": {},
        "forwarder_headers": "",
        "header_map": "drop",
        "control_socket_disable": True,
        # One line for each request is written by access_log.py, without query strings.
        "accesslog": None,
        "errorlog": "-",
        "loglevel": settings["log_level"],
        "proc_name": "scim-gateway",
        "post_fork": lambda _server, _worker: share_one_arena(),
        "post_worker_init": partial(begin, settings),
        "worker_exit": close_store,
    }


def begin(settings: Settings, worker: Any) -> None:
    """Tell a worker its patience; begin what the backend does by itself, where it was loaded before the fork."""
    worker.client_timeout = float(settings["client_timeout"])
    gateway = _gateway_of(worker)
    if gateway is not None:
        gateway.backend.start()


def close_store(_server: object, worker: Any) -> None:
    """Give a worker's connections back when it stops."""
    gateway = _gateway_of(worker)
    if gateway is not None:
        gateway.backend.close()


def _gateway_of(worker: Any) -> Gateway | None:
    """The gateway of a worker of gunicorn, if its application was loaded and is ours."""
    app = getattr(worker, "wsgi", None)
    return app.extensions.get(EXTENSION) if isinstance(app, flask.Flask) else None


class _Server(BaseApplication):
    """Gunicorn with this configuration and no other."""

    def __init__(self, settings: Settings, configuration: Mapping[str, Any]) -> None:
        self._settings = settings
        self._configuration = configuration
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._configuration.items():
            self.cfg.set(name, value)

    def load(self) -> flask.Flask:
        return serving(self._settings)


def serve(settings: Settings, *, inherited: bool = False) -> None:
    """Serve until stopped; does not return.

    :param inherited: whether a gunicorn that is replaced hands its sockets over (``GUNICORN_FD``).
    :raises ConfigurationError: the settings make no sense.
    :raises Failure: the address is in use, or not ours.
    :raises Unavailable: the store cannot be reached.
    """
    refuse_what_cannot_be_bound([util.parse_address(settings["bind"])], inherited=inherited)
    prepared = prepare(settings, terminal=sys.stdout.isatty())
    configuration = {**options(prepared.settings), "when_ready": lambda _server: announce(prepared)}
    _Server(prepared.settings, configuration).run()
