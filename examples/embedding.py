"""The gateway inside an ordinary Flask application: twice, with different backends and different tokens.

Run it with ``python examples/embedding.py``, then ask it what it serves::

    curl http://127.0.0.1:5000/
    curl -H "Authorization: Bearer $STAFF_TOKEN" http://127.0.0.1:5000/scim/staff/Users
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from flask import Flask

from scim_gateway.app import load_backend
from scim_gateway.auth import BearerAuthenticator
from scim_gateway.blueprint import create_blueprint
from scim_gateway.definitions import standard_resource_types
from scim_gateway.provider import ServiceProvider
from scim_gateway.provider_settings import ProviderSettings


def create_app(folder: Path, staff_token: str, partner_token: str) -> Flask:
    """An application with pages of its own, and a directory for staff next to one for partners."""
    app = Flask("intranet")

    @app.get("/")
    def home() -> str:
        return "The intranet. SCIM is served at /scim/staff and /scim/partners."

    resource_types = standard_resource_types()

    # Staff: kept in an SQLite file, provisioned by Okta.
    staff = load_backend("sql").from_settings({"data_dir": str(folder)}, resource_types)
    app.register_blueprint(
        create_blueprint(
            ServiceProvider(staff, ProviderSettings(profile="okta")),
            name="staff",
            authenticate=BearerAuthenticator(staff.tokens, fixed=staff_token),
        ),
        url_prefix="/scim/staff",
    )

    # Partners: forgotten with the process, and whoever writes to it has to keep to the letter of the RFC.
    partners = load_backend("memory").from_settings({}, resource_types)
    app.register_blueprint(
        create_blueprint(
            ServiceProvider(partners, ProviderSettings(profile="strict", public_discovery=False)),
            name="partners",
            authenticate=BearerAuthenticator(partners.tokens, fixed=partner_token),
        ),
        url_prefix="/scim/partners",
    )
    return app


if __name__ == "__main__":
    data = Path(os.environ.get("DATA_DIR", "data"))
    staff, partner = (os.environ.get(name) or secrets.token_urlsafe(32) for name in ("STAFF_TOKEN", "PARTNER_TOKEN"))
    print(f"staff token: {staff}\npartner token: {partner}")
    create_app(data, staff, partner).run()
