"""Gunicorn's configuration for the Procfile: ``gunicorn -c python:scim_gateway.gunicorn_conf …``.

Gunicorn takes every name of this module that is the name of a setting of its own, so nothing else may be public here.
"""

from __future__ import annotations

import os as _os
import sys as _sys
from collections.abc import Iterator as _Iterator
from contextlib import contextmanager as _contextmanager
from typing import Any as _Any

from scim_gateway import app as _app
from scim_gateway import config as _config
from scim_gateway import listening as _listening
from scim_gateway import serve as _serve
from scim_gateway.cli_common import Failure as _Failure
from scim_gateway.errors import Unavailable as _Unavailable


@_contextmanager
def _errors_in_one_line() -> _Iterator[None]:
    try:
        yield
    except (_config.ConfigurationError, _Failure, _Unavailable) as error:
        print(f"Error: {error}", file=_sys.stderr)
        _sys.exit(2 if isinstance(error, _config.ConfigurationError) else 1)


def _load() -> _config.Settings:
    # Platforms that read a Procfile say by PORT where they expect the service, from outside of its container.
    port = _os.environ.get("PORT", "")
    if port and not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise _config.ConfigurationError(f"PORT is {port!r}; it has to be a number up to 65535.")
    return _config.load(_os.environ, {"bind": f"0.0.0.0:{port}"} if port else None)


_app.will_fork()
with _errors_in_one_line():
    _settings = _load()
    _fitted, _ = _serve.with_workers(_settings)

_prepared: _serve.Prepared
globals().update(_serve.options(_fitted))


def on_starting(server: _Any) -> None:
    """Make ready what the workers need; gunicorn knows by now where it will listen, also if its own options say so."""
    global _prepared  # noqa: PLW0603 - what one hook of gunicorn leaves to another
    addresses = server.address
    with _errors_in_one_line():
        _listening.refuse_what_cannot_be_bound(
            addresses, inherited=server.master_pid != 0, reuse_port=server.cfg.reuse_port
        )
        where = " and ".join(map(_listening.shown, addresses))
        settings = _serve.changed(_settings, bind=where) if _is_one_port(addresses) else _settings
        _prepared = _serve.prepare(settings, where=where, terminal=_sys.stdout.isatty())
    if _prepared.settings["token"]:
        # create_app() in the workers reads the environment again and finds the token that was made here.
        _os.environ.pop("SCIM_GATEWAY_TOKEN_FILE", None)
        _os.environ["SCIM_GATEWAY_TOKEN"] = _prepared.settings["token"]


def when_ready(_server: object) -> None:
    """Tell the operator once, before the workers start."""
    _serve.announce(_prepared)


def _is_one_port(addresses: list[_listening.Address]) -> bool:
    return len(addresses) == 1 and isinstance(addresses[0], tuple)
