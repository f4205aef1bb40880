"""The floor: bare Flask routes that answer bytes of the size a gateway would answer; nothing can be cheaper."""

from __future__ import annotations

import orjson
from flask import Flask, Response, request

USER = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "id": "00000000-0000-4000-8000-000000000000",
    "externalId": "00u0000000000",
    "userName": "person00000@example.com",
    "name": {"givenName": "Person", "familyName": "Number 00000"},
    "displayName": "Person Number 00000",
    "emails": [{"value": "person00000@example.com", "type": "work", "primary": True}],
    "active": True,
    "meta": {
        "resourceType": "User",
        "created": "2026-01-01T00:00:00.000Z",
        "lastModified": "2026-01-01T00:00:00.000Z",
        "version": 'W/"1-00000000"',
        "location": "http://127.0.0.1:8000/scim/v2/Users/00000000-0000-4000-8000-000000000000",
    },
}


def listing(count: int) -> bytes:
    """A ListResponse of so many users."""
    return orjson.dumps(
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": count,
            "startIndex": 1,
            "itemsPerPage": count,
            "Resources": [USER] * count,
        }
    )


ONE, FOUND, PAGE = orjson.dumps(USER), listing(1), listing(100)


def create_app() -> Flask:
    """Routes with the gateway's paths; bodies are parsed, nothing is stored."""
    app = Flask("floor", static_folder=None)

    def answer(status: int, body: bytes) -> Response:
        return Response(body, status, content_type="application/scim+json")

    @app.get("/scim/v2/Users")
    def find() -> Response:
        return answer(200, FOUND if "filter" in request.args else PAGE)

    @app.post("/scim/v2/Users")
    def create() -> Response:
        orjson.loads(request.get_data())
        return answer(201, ONE)

    @app.get("/scim/v2/Users/<id>")
    def get(id: str) -> Response:
        return answer(200, ONE)

    @app.patch("/scim/v2/Users/<id>")
    def patch(id: str) -> Response:
        orjson.loads(request.get_data())
        return answer(200, ONE)

    return app
