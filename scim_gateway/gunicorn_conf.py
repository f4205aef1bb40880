"""Gunicorn's configuration for the Procfile: ``gunicorn -c python:scim_gateway.gunicorn_conf …``.

Gunicorn takes every name of this module that is the name of a setting of its own, so nothing else may be public here.
"""

from __future__ import annotations

import os as _os
import sys as _sys

from scim_gateway import config as _config
from scim_gateway import serve as _serve
from scim_gateway.errors import Unavailable as _Unavailable

try:
    # Platforms that read a Procfile say by PORT where they expect the service, from outside of its container.
    _port = _os.environ.get("PORT", "")
    _settings = _config.load(_os.environ, {"bind": f"0.0.0.0:{_port}"} if _port else None)
    _prepared = _serve.prepare(_settings)
except (_config.ConfigurationError, _Unavailable) as _error:
    print(f"Error: {_error}", file=_sys.stderr)
    _sys.exit(2 if isinstance(_error, _config.ConfigurationError) else 1)

globals().update(_serve.options(_prepared.settings))


def on_starting(_server: object) -> None:
    """Tell the operator once, before the workers start."""
    _serve.announce(_prepared)
    if _prepared.settings["token"]:
        # create_app() in the workers reads the environment again and finds the token that was made here.
        _os.environ.pop("SCIM_GATEWAY_TOKEN_FILE", None)
        _os.environ["SCIM_GATEWAY_TOKEN"] = _prepared.settings["token"]
