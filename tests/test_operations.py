"""How the core calls a backend (``Backend.operation``): in one operation at a time, for texts where it only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask import Flask
from scim_http import ENTERPRISE, GROUP, TOKEN, USER, ScimClient, add, replace

from scim_gateway.app import EXTENSION, create_app
from scim_gateway.backend import Backend
from scim_gateway.definitions import standard_resource_types
from scim_gateway.schema import ResourceTypes


@pytest.fixture
def app() -> Iterator[Flask]:
    app = create_app({"SCIM_GATEWAY_BACKEND": "in_operations:InOperations", "SCIM_GATEWAY_TOKEN": TOKEN})
    yield app
    app.extensions[EXTENSION].backend.close()


def test_the_core_calls_a_backend_in_one_operation_at_a_time(app: Flask) -> None:
    scim = ScimClient(app, token=TOKEN)
    ada, bob = scim.user("ada"), scim.user("bob")
    inner = scim.group("inner", [ada["id"]])
    outer = scim.group("outer", [inner["id"], bob["id"]])
    managed = {"schemas": [USER, ENTERPRISE], "userName": "bob", ENTERPRISE: {"manager": {"value": ada["id"]}}}
    scim.put(f"/Users/{bob['id']}", managed).expect(200)
    for path in (f"/Users/{ada['id']}", f"/Groups/{outer['id']}"):
        for query in ("", "?attributes=groups,members,displayName", "?excludedAttributes=members"):
            for _ in range(2):
                scim.get(path + query).expect(200)
    for path in ("/Users", "/Groups", "/"):
        for query in ({}, {"cursor": "", "count": "1"}, {"sortBy": "id"}, {"filter": 'id sw "0"', "attributes": "id"}):
            scim.get(path, query=query).expect(200)
    for filter in ('userName eq "ada"', f'groups eq "{outer["id"]}"', f'{ENTERPRISE}:manager eq "{ada["id"]}"'):
        for _ in range(2):
            scim.get("/Users", query={"filter": filter}).expect(200)
    scim.patch(f"/Users/{ada['id']}", [replace("title", "x")]).expect(200)
    scim.patch(f"/Groups/{inner['id']}", [add("members", [{"value": bob["id"]}])]).expect(200)
    scim.put(f"/Groups/{inner['id']}", {"schemas": [GROUP], "displayName": "in"}).expect(200)
    scim.bulk(
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"schemas": [USER], "userName": "eve"}},
        {"method": "PATCH", "path": f"/Groups/{inner['id']}", "data": _joining("bulkId:b")},
        {"method": "DELETE", "path": f"/Users/{bob['id']}"},
    ).expect(200)
    scim.delete(f"/Groups/{outer['id']}").expect(204)
    assert app.test_client().get("/readyz").status_code == 200
    calls = app.extensions[EXTENSION].backend.calls
    assert calls > {"text in look-up", "texts in look-up", "get in write", "query in read", "references in read"}
    assert calls > {"create in write", "modify in write", "delete in write", "containing in look-up"}


def _joining(id: str) -> dict[str, Any]:
    operation = {"op": "add", "path": "members", "value": [{"value": id}]}
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}


def test_a_backend_without_operations_of_its_own_is_none() -> None:
    class Forgetful(Backend):
        @classmethod
        def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Forgetful:
            return cls()  # type: ignore[abstract]

    with pytest.raises(TypeError, match="operation"):
        Forgetful.from_settings({}, standard_resource_types())
