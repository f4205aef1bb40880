"""Serving with gunicorn: what is set up before the workers start, and the project's own server configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import flask
from gunicorn.app.base import BaseApplication

from scim_gateway import __version__
from scim_gateway.app import EXTENSION, Gateway, load_backend, serving
from scim_gateway.config import Settings
from scim_gateway.guides import connection_lines
from scim_gateway.malloc import share_one_arena
from scim_gateway.tokens import MemoryTokenStore, new_token

NAME_OF_THE_FIRST = "first token"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - Gunicorn makes its heartbeat file there by mkstemp: no name to guess, no content
KEPT = "the token that was shown when it was made (another one: scim-gateway token create NAME)"
FIXED = "the token in SCIM_GATEWAY_TOKEN"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known before the first worker starts.

    :param settings: those that the workers get.
    :param lines: what the operator is told.
    """

    settings: Settings
    lines: tuple[str, ...]


def prepare(settings: Settings) -> Prepared:
    """Open the store once, make the first token if there is none, and give all connections back before any fork.

    :raises ConfigurationError: the settings make no sense.
    :raises Unavailable: the store cannot be reached.
    """
    # The directory is personal data: what is created from here on is for this account alone.
    os.umask(0o077)
    notes: list[str] = []
    backend = load_backend(settings["backend"]).from_settings(settings, settings.resource_types)
    try:
        store = backend.tokens
        in_process = isinstance(store, MemoryTokenStore)
        if settings["token"]:
            shown = FIXED
        elif in_process:
            shown, _ = new_token(NAME_OF_THE_FIRST)
            # Workers inherit it; a store of their own would each know another one.
            settings = changed(settings, token=shown)
            notes.append(
                f"The backend {settings['backend']} forgets tokens: this one is valid until the gateway stops."
            )
        elif store.list():
            shown = KEPT
        else:
            shown, token = new_token(NAME_OF_THE_FIRST)
            store.add(token)
            notes.append("The token is shown this once; only its hash is kept.")
    finally:
        backend.close()
    if in_process and settings["workers"] > 1:
        if settings.origins["workers"] != "default":
            notes.append(f"The backend {settings['backend']} keeps its state in one process: 1 worker serves it.")
        settings = changed(settings, workers=1)
    lines = (
        f"scim-gateway {__version__}, backend {settings['backend']}, listening on {settings['bind']}",
        "",
        *connection_lines(settings.base_url, shown),
        *(("", *notes) if notes else ()),
    )
    return Prepared(settings, lines)


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
        "post_worker_init": lambda worker: setattr(worker, "client_timeout", float(settings["client_timeout"])),
        "worker_exit": close_store,
    }


def close_store(_server: object, worker: Any) -> None:
    """Give a worker's connections back when it stops."""
    app = getattr(worker, "wsgi", None)
    gateway: Gateway | None = app.extensions.get(EXTENSION) if isinstance(app, flask.Flask) else None
    if gateway is not None:
        gateway.backend.close()


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


def serve(settings: Settings) -> None:
    """Serve until stopped; does not return.

    :raises ConfigurationError: the settings make no sense.
    :raises Unavailable: the store cannot be reached.
    """
    prepared = prepare(settings)
    announce(prepared)
    _Server(prepared.settings, options(prepared.settings)).run()
