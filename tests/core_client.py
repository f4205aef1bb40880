"""Drives a service provider directly, without HTTP: what the core does is seen apart from how it is served.

The fixture ``core`` is one on each backend.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from scim_gateway_memory import MemoryBackend
from scim_gateway_sql import SqlBackend

from scim_gateway.backend import Backend
from scim_gateway.definitions import standard_resource_types
from scim_gateway.exchange import Principal, Request, Response
from scim_gateway.provider import ServiceProvider
from scim_gateway.provider_settings import ProviderSettings
from scim_gateway.schema import ResourceTypes

BASE = "https://scim.example/scim/v2"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

ANYONE = Principal("test")

BACKENDS = ("memory", "sql")


def open_backend(name: str, folder: Path, resource_types: ResourceTypes | None = None) -> Backend:
    """An empty backend; one keeps groups whole, the other keeps each membership apart."""
    resource_types = resource_types or standard_resource_types()
    if name == "memory":
        return MemoryBackend(resource_types)
    return SqlBackend(f"sqlite:///{folder / 'directory.db'}", resource_types)


@dataclass
class Core:
    """A service provider and the principal in whose name it is asked."""

    backend: Backend
    settings: ProviderSettings = field(default_factory=ProviderSettings)
    principal: Principal | None = ANYONE

    def __post_init__(self) -> None:
        self.provider = ServiceProvider(self.backend, self.settings)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        **query: str | int,
    ) -> Response:
        """One request; keyword arguments are query parameters."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        pairs = tuple((name, str(value)) for name, value in query.items())
        return self.provider.handle(Request(method, path, BASE, pairs, headers or {}, content, self.principal))

    def json(self, method: str, path: str, body: object = None, *, expect: int = 200, **more: Any) -> Any:
        """The body of an answer that has to have a certain status."""
        response = self.send(method, path, body, **more)
        assert response.status == expect, response
        return json.loads(response.body) if response.body else None

    def refused(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, str | None]:
        """Status and scimType of an error, whose body is checked to be SCIM's."""
        response = self.send(method, path, body, **more)
        error = json.loads(response.body)
        assert response.status >= 400, response
        assert error["schemas"] == [ERROR]
        assert error["status"] == str(response.status)
        assert error["detail"]
        assert response.headers["Content-Type"] == "application/scim+json"
        assert response.scim_type == error.get("scimType")
        return response.status, error.get("scimType")

    def user(self, name: str, **attributes: Any) -> dict[str, Any]:
        """A new user."""
        body = {"schemas": [USER], "userName": name, **attributes}
        user: dict[str, Any] = self.json("POST", "/Users", body, expect=201)
        return user

    def group(self, name: str, *members: Mapping[str, Any], **attributes: Any) -> dict[str, Any]:
        """A new group of the users and groups given."""
        elements = [{"value": member["id"]} for member in members]
        body = {"schemas": [GROUP], "displayName": name, "members": elements, **attributes}
        group: dict[str, Any] = self.json("POST", "/Groups", body, expect=201)
        return group

    def get(self, resource: Mapping[str, Any], **query: str | int) -> dict[str, Any]:
        """A resource as it is now."""
        found: dict[str, Any] = self.json("GET", path_of(resource), **query)
        return found

    def patch(self, resource: Mapping[str, Any], *operations: Mapping[str, Any], expect: int = 200, **more: Any) -> Any:
        """Change a resource."""
        body = {"schemas": [PATCH_OP], "Operations": list(operations)}
        return self.json("PATCH", path_of(resource), body, expect=expect, **more)

    def members(self, group: Mapping[str, Any]) -> set[str]:
        """Ids of the members of a group now."""
        return {element["value"] for element in self.get(group).get("members", ())}


def path_of(resource: Mapping[str, Any]) -> str:
    """The path of a resource below the base URL."""
    location: str = resource["meta"]["location"]
    return location.removeprefix(BASE)


@contextmanager
def opened(name: str, folder: Path, resource_types: ResourceTypes | None = None) -> Iterator[Core]:
    """A service provider over an empty backend, which is closed at the end."""
    backend = open_backend(name, folder, resource_types)
    try:
        yield Core(backend)
    finally:
        backend.close()


@pytest.fixture
def core(backend: str, tmp_path: Path) -> Iterator[Core]:
    """A service provider over an empty backend."""
    with opened(backend, tmp_path) as made:
        yield made
