r"""The gateway inside an ordinary Flask application, with people and groups brought to a SingleStore Engine.

The settings are those of the gateway (docs/configuration.rst). With the double of ``make engine-double``::

    SCIM_GATEWAY_BACKEND=engine SCIM_GATEWAY_ENGINE_URL=singlestore://scim_gw@127.0.0.1:3307/ \
    SCIM_GATEWAY_ENGINE_PASSWORD=trying-it-out python examples/embedding_engine.py

What the Engine could not take is retried in the background. A process begins that with its first request below
``/scim``; with ``start()`` it does not wait for one, which matters after a restart. Call it in the process that serves,
never in one that is forked afterwards. For ``gunicorn "embedding_engine:create_app()"`` that is, in the file named by
``--config``::

    def post_worker_init(worker):
        worker.wsgi.extensions["scim"].start()

    def worker_exit(server, worker):
        worker.wsgi.extensions["scim"].close()
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from flask import Flask

from scim_gateway import config
from scim_gateway.app import open_gateway
from scim_gateway.auth import BearerAuthenticator
from scim_gateway.blueprint import create_blueprint


def create_app(environ: Mapping[str, str] = os.environ) -> Flask:
    """An application with a page of its own; its backend is in ``app.extensions["scim"]``.

    :raises scim_gateway.config.ConfigurationError: the settings make no sense.
    """
    app = Flask("intranet")

    @app.get("/")
    def home() -> str:
        return "The intranet. SCIM is served at /scim."

    # load() checks what an operator wrote and knows the defaults; backends want to be given all settings.
    settings = config.load(environ)
    gateway = open_gateway(settings)
    app.register_blueprint(
        create_blueprint(
            gateway.provider,
            name="scim",
            authenticate=BearerAuthenticator(gateway.backend.tokens, fixed=settings["token"]),
            public_url=settings["public_url"],
        ),
        url_prefix="/scim",
    )
    app.extensions["scim"] = gateway.backend
    return app


if __name__ == "__main__":
    intranet = create_app()
    backend = intranet.extensions["scim"]
    backend.start()
    try:
        # A token for it: scim-gateway token create NAME, with the same settings.
        intranet.run()
    finally:
        backend.close()
