"""A backend is told of every change that was refused, and whose it was: what an audit trail records."""

from __future__ import annotations

from typing import Any

import pytest
from core_client import BULK, PATCH_OP, USER, Core
from scim_gateway_memory import MemoryBackend

from scim_gateway.actor import Actor, current
from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import ScimError
from scim_gateway.exchange import Principal


class Attentive(MemoryBackend):
    """Remembers what it is told."""

    def __init__(self) -> None:
        super().__init__(standard_resource_types())
        self.told: list[tuple[Actor, int]] = []

    def refused(self, error: ScimError) -> None:
        self.told.append((current(), error.status))


@pytest.fixture
def backend() -> Attentive:
    return Attentive()


@pytest.fixture
def core(backend: Attentive) -> Core:
    return Core(backend)


def user(name: str) -> dict[str, Any]:
    return {"schemas": [USER], "userName": name}


def test_a_change_that_is_refused_is_told_with_what_was_asked_for(backend: Attentive, core: Core) -> None:
    patch = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    assert core.send("PATCH", "/Users/nobody", patch).status == 404
    [(actor, status)] = backend.told
    assert (actor.name, actor.action, actor.kind, actor.id, status) == ("test", "patch", "User", "nobody", 404)


def test_a_body_that_makes_no_sense_is_a_refusal_too(backend: Attentive, core: Core) -> None:
    assert core.send("POST", "/Users", {"schemas": [USER]}).status == 400
    [(actor, status)] = backend.told
    assert (actor.action, actor.kind, actor.id, status) == ("create", "User", None, 400)


def test_a_token_that_may_only_read_is_told_when_it_tries_to_write(backend: Attentive) -> None:
    core = Core(backend, principal=Principal("reader", frozenset({"read"})))
    assert core.send("POST", "/Users", user("alice")).status == 403
    assert [(actor.name, status) for actor, status in backend.told] == [("reader", 403)]


def test_each_refused_operation_of_a_bulk_request_is_told_by_itself(backend: Attentive, core: Core) -> None:
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": user("alice")},
        {"method": "POST", "path": "/Users", "bulkId": "2", "data": user("ALICE")},
        {"method": "DELETE", "path": "/Groups/none"},
    ]
    assert core.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations}).status == 200
    assert [(actor.action, actor.kind, actor.id, status) for actor, status in backend.told] == [
        ("create", "User", None, 409),
        ("delete", "Group", "none", 404),
    ]


def test_what_succeeds_and_what_only_reads_is_not_told(backend: Attentive, core: Core) -> None:
    assert core.send("POST", "/Users", user("alice")).status == 201
    assert core.send("GET", "/Users/nobody").status == 404
    assert core.send("GET", "/Users", filter="nonsense").status == 400
    assert backend.told == []


def test_the_actor_is_gone_after_the_request(core: Core) -> None:
    before = current()
    core.send("POST", "/Users", user("alice"))
    assert current() is before
