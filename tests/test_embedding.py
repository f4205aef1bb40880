"""The example of an embedding application works as it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from scim_gateway.provider import ServiceProvider

STAFF, PARTNER = "staff-token-0123456789-0123456789", "partner-token-0123456789-01234567"
USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann"}


@pytest.fixture
def app(tmp_path, monkeypatch):
    path = Path(__file__).parent.parent / "examples" / "embedding.py"
    spec = importlib.util.spec_from_file_location("embedding", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    served = []

    def provider(backend, settings):
        served.append(backend)
        return ServiceProvider(backend, settings)

    monkeypatch.setattr(example, "ServiceProvider", provider)
    yield example.create_app(tmp_path, STAFF, PARTNER)
    for backend in served:
        backend.close()


def test_the_hosts_own_pages_stay_its_own(app):
    assert "intranet" in app.test_client().get("/").text
    assert app.test_client().get("/nothing").content_type.startswith("text/html")


def test_each_directory_has_its_own_people_tokens_and_addresses(app):
    client = app.test_client()
    made = client.post("/scim/staff/Users", json=USER, headers={"Authorization": f"Bearer {STAFF}"})
    assert made.status_code == 201
    assert made.headers["Location"].startswith("http://localhost/scim/staff/Users/")
    listed = client.get("/scim/partners/Users", headers={"Authorization": f"Bearer {PARTNER}"})
    assert listed.json["totalResults"] == 0
    for path, token in (("/scim/partners/Users", STAFF), ("/scim/staff/Users", PARTNER)):
        assert client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_each_directory_has_its_own_choices(app):
    client = app.test_client()
    assert client.get("/scim/staff/Schemas").status_code == 200
    assert client.get("/scim/partners/Schemas").status_code == 401
    body = {"userName": "bob"}  # without schemas
    okta = client.post("/scim/staff/Users", json=body, headers={"Authorization": STAFF})
    strict = client.post("/scim/partners/Users", json=body, headers={"Authorization": PARTNER})
    assert (okta.status_code, strict.status_code) == (201, 400)
