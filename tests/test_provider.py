"""The service provider as a whole: who may ask what, and what an answer looks like (RFC 7644 §2, §3.8, §3.12)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from core_client import ANYONE, BASE, BULK, ENTERPRISE, GROUP, LIST, SEARCH, USER, Core, path_of
from scim_gateway_memory import MemoryBackend

from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import StaleResource, Unavailable
from scim_gateway.exchange import Principal
from scim_gateway.profile import PROFILES
from scim_gateway.provider import ServiceProvider
from scim_gateway.provider_settings import ProviderSettings

READER = Principal("reader", frozenset({"read"}))
WRITER = Principal("writer", frozenset({"write"}))


def memory() -> MemoryBackend:
    return MemoryBackend(standard_resource_types())


@pytest.fixture
def core() -> Core:
    return Core(memory())


# Who may ask what


@pytest.mark.parametrize(
    "path", ["/ServiceProviderConfig", "/ResourceTypes", "/ResourceTypes/User", "/Schemas", f"/Schemas/{USER}"]
)
def test_discovery_needs_no_credentials(path: str) -> None:
    core = Core(memory(), principal=None)
    assert core.send("GET", path).status == 200
    assert core.send("HEAD", path).status == 200
    assert core.send("OPTIONS", path).status == 204


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/Users"), ("GET", "/Nope"), ("GET", "/v9/Users"), ("POST", "/Users"), ("POST", "/Schemas"), ("GET", "/")],
)
def test_everything_else_does_before_anything_is_looked_at(method: str, path: str) -> None:
    core = Core(memory(), principal=None)
    response = core.send(method, path, raw=b"{")
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_discovery_can_be_closed() -> None:
    core = Core(memory(), ProviderSettings(public_discovery=False), principal=None)
    assert core.refused("GET", "/Schemas") == (401, None)


def test_a_reader_reads_and_searches_and_nothing_else(core: Core) -> None:
    user = core.user("a")
    core.principal = READER
    assert core.send("GET", path_of(user)).status == 200
    assert core.send("POST", "/Users/.search", {"schemas": [SEARCH]}).status == 200
    assert core.send("OPTIONS", "/Users").status == 204
    for method, path in (
        ("POST", "/Users"),
        ("PUT", path_of(user)),
        ("PATCH", path_of(user)),
        ("DELETE", path_of(user)),
    ):
        response = core.send(method, path, {"schemas": [USER], "userName": "b"})
        assert response.status == 403
        assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
    assert core.json("GET", "/Users")["totalResults"] == 1


def test_a_writer_does_not_read(core: Core) -> None:
    core.principal = WRITER
    assert core.refused("GET", "/Users") == (403, None)
    assert core.refused("POST", "/.search", {"schemas": [SEARCH]}) == (403, None)
    assert core.send("POST", "/Users", {"schemas": [USER], "userName": "a"}).status == 201


def test_a_bulk_request_is_asked_operation_by_operation(core: Core) -> None:
    core.principal = READER
    data = {"schemas": [USER], "userName": "a"}
    operation = {"method": "POST", "path": "/Users", "bulkId": "1", "data": data}
    results = core.json("POST", "/Bulk", {"schemas": [BULK], "Operations": [operation]})["Operations"]
    assert [result["status"] for result in results] == ["403"]


# /Me


def test_me_means_nothing_to_credentials_of_nobody(core: Core) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE", "POST"):
        assert core.refused(method, "/Me", {}) == (501, None)


def test_me_is_the_user_behind_the_credentials(core: Core) -> None:
    user = core.user("a")
    core.principal = replace(ANYONE, resource_id=user["id"])
    response = core.send("GET", "/Me")
    assert response.headers["Location"] == user["meta"]["location"]
    assert json.loads(response.body) == user
    assert response.route == "GET /Me"
    changed = core.json("PATCH", "/Me", {"schemas": [], "Operations": [{"op": "add", "path": "title", "value": "x"}]})
    assert changed["title"] == "x"
    assert core.send("DELETE", "/Me").status == 204
    assert core.refused("GET", "/Me") == (404, None)


# Media types and bodies


def test_the_answer_has_the_media_type_that_is_wanted(core: Core) -> None:
    assert core.send("GET", "/Users").headers["Content-Type"] == "application/scim+json"
    only_json = {"accept": "application/json"}
    assert core.send("GET", "/Users", headers=only_json).headers["Content-Type"] == "application/json"
    assert core.send("GET", "/Users/x", headers=only_json).headers["Content-Type"] == "application/json"


def test_nothing_is_done_for_a_client_that_takes_no_json(core: Core) -> None:
    body = {"schemas": [USER], "userName": "a"}
    assert core.refused("POST", "/Users", body, headers={"accept": "text/html"}) == (406, None)
    assert core.json("GET", "/Users")["totalResults"] == 0


def test_a_body_that_is_not_json_is_refused_by_its_type(core: Core) -> None:
    assert core.refused("POST", "/Users", raw=b"<a/>", headers={"content-type": "text/xml"}) == (415, None)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b'{"userName":"a","username":"b"}', b"[" * 100_000]
)
def test_a_body_that_is_no_json_object_is_refused(core: Core, raw: bytes) -> None:
    for method, path in (("POST", "/Users"), ("POST", "/Users/.search"), ("POST", "/Bulk")):
        assert core.refused(method, path, raw=raw) == (400, "invalidSyntax")


def test_a_body_over_the_limit_is_not_parsed() -> None:
    core = Core(memory(), ProviderSettings(max_body=100, bulk_max_payload=200))
    assert core.refused("POST", "/Users", raw=b"x" * 101) == (413, None)
    assert core.refused("POST", "/Users", raw=b"x" * 100) == (400, "invalidSyntax")
    assert core.refused("POST", "/Bulk", raw=b"x" * 200) == (400, "invalidSyntax")
    response = core.send("POST", "/Bulk", raw=b"x" * 201)
    assert response.status == 413
    assert "200" in json.loads(response.body)["detail"]


def test_head_is_get_without_the_body(core: Core) -> None:
    user = core.user("a")
    got, head = core.send("GET", path_of(user)), core.send("HEAD", path_of(user))
    assert head.status == got.status
    assert head.body == b""
    assert head.headers == {**got.headers, "Content-Length": str(len(got.body))}


def test_options_tells_the_methods(core: Core) -> None:
    response = core.send("OPTIONS", "/Users/1")
    assert (response.status, response.body) == (204, b"")
    assert response.headers == {"Allow": "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"}


@pytest.mark.parametrize(
    ("method", "path", "status", "scim_type"),
    [
        ("GET", "/Nope", 404, None),
        ("GET", "/Users/nope", 404, None),
        ("GET", "/v9/Users", 400, "invalidVers"),
        ("PUT", "/Users", 405, None),
        ("POST", "/Users/1", 405, None),
        ("GET", "/Users/.search", 405, None),
        ("DELETE", "/Schemas", 405, None),
        ("PROPFIND", "/Users", 405, None),
        ("GET", "/Schemas/urn:x", 404, None),
        ("GET", "/ResourceTypes/x", 404, None),
    ],
)
def test_errors_are_scims(core: Core, method: str, path: str, status: int, scim_type: str | None) -> None:
    assert core.refused(method, path) == (status, scim_type)


def test_a_method_that_does_not_apply_is_told_which_do(core: Core) -> None:
    assert core.send("PUT", "/Users").headers["Allow"] == "GET, HEAD, POST, OPTIONS"


# Discovery


def test_discovery_cannot_be_filtered_and_ignores_everything_else(core: Core) -> None:
    for path in ("/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Schemas/x"):
        assert core.refused("GET", path, filter='name eq "User"') == (403, None)
    everything = core.json("GET", "/Schemas")
    assert everything["schemas"] == [LIST]
    assert core.json("GET", "/Schemas", count=1, startIndex=2, sortBy="id", attributes="name") == everything


def test_each_discovery_document_is_at_its_location(core: Core) -> None:
    for path in ("/Schemas", "/ResourceTypes"):
        for document in core.json("GET", path)["Resources"]:
            assert core.json("GET", document["meta"]["location"].removeprefix(BASE)) == document
    config = core.json("GET", "/ServiceProviderConfig")
    assert config["meta"]["location"] == f"{BASE}/ServiceProviderConfig"
    assert core.json("GET", f"/Schemas/{USER.upper()}")["id"] == USER


# Profiles


def test_the_profile_is_that_of_the_credentials_else_that_of_the_gateway() -> None:
    core = Core(memory(), ProviderSettings(profile="strict"))
    body = {"userName": "a", "active": "True"}
    assert core.refused("POST", "/Users", body) == (400, "invalidSyntax")
    core.principal = replace(ANYONE, profile="entra")
    assert core.json("POST", "/Users", body, expect=201)["active"] is True


def test_a_profile_that_does_not_exist_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ValueError, match=r"lenient"):
        ServiceProvider(memory(), ProviderSettings(profile="okat"))
    assert "lenient" in PROFILES


# What the log gets


def test_the_answer_tells_the_log_what_was_asked_without_ids(core: Core) -> None:
    user = core.user("a")
    assert core.send("GET", path_of(user)).route == "GET /Users/{id}"
    assert core.send("GET", "/Users", filter='userName eq "a"').route == "GET /Users"
    assert core.send("GET", "/Users/x").route == "GET /Users/{id}"
    assert core.send("GET", "/Nope/x").route == ""
    conflict = core.send("POST", "/Users", {"schemas": [USER], "userName": "A"})
    assert (conflict.route, conflict.scim_type) == ("POST /Users", "uniqueness")


def test_ignored_attributes_are_logged_by_name_only(core: Core, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "scim_gateway")
    user = core.user("a", shoeSize="forty-two")
    assert "shoeSize" in caplog.text
    core.patch(user, {"op": "add", "value": {"hatSize": "fifty-five"}})
    assert "hatSize" in caplog.text
    assert "forty-two" not in caplog.text
    assert "fifty-five" not in caplog.text


class Broken(MemoryBackend):
    """Fails as no backend should."""

    error: Exception | None = None

    @contextmanager
    def operation(self, *, write: bool) -> Iterator[None]:
        if self.error is not None:
            raise self.error
        with super().operation(write=write):
            yield


def test_a_defect_is_logged_with_its_traceback_and_answered_without(caplog: pytest.LogCaptureFixture) -> None:
    backend = Broken(standard_resource_types())
    core = Core(backend)
    backend.error = RuntimeError("SELECT secret FROM table")
    response = core.send("POST", "/Users", {"schemas": [USER], "userName": "a", "password": "correct horse"})
    assert response.status == 500
    assert b"SELECT" not in response.body
    assert b"Traceback" not in response.body
    assert "Traceback" in caplog.text
    assert "correct horse" not in caplog.text
    assert core.refused("GET", "/Users") == (500, None)


def test_a_store_that_is_away_is_503_with_the_time_to_come_back() -> None:
    backend = Broken(standard_resource_types())
    core = Core(backend)
    backend.error = Unavailable("The database cannot be reached.", retry_after=7)
    for method, path in (("GET", "/Users"), ("GET", "/Users/1"), ("POST", "/Users"), ("DELETE", "/Users/1")):
        response = core.send(method, path, {"schemas": [USER], "userName": "a"})
        assert (response.status, response.headers["Retry-After"]) == (503, "7")


# Operations that get in each other's way


class Busy(MemoryBackend):
    """Refuses to store, so many times, because another request came first."""

    interruptions: int | None = None
    attempts = 0

    @contextmanager
    def operation(self, *, write: bool) -> Iterator[None]:
        with super().operation(write=write):
            yield
            if write and self.interruptions is not None:
                self.attempts += 1
                if self.attempts <= self.interruptions:
                    raise StaleResource("x")


@pytest.fixture
def busy() -> tuple[Core, Busy, dict[str, Any]]:
    backend = Busy(standard_resource_types())
    core = Core(backend, ProviderSettings(stale_retries=3))
    return core, backend, core.user("a")


def test_an_operation_that_was_overtaken_runs_again(busy: tuple[Core, Busy, dict[str, Any]]) -> None:
    core, backend, user = busy
    backend.interruptions = 2
    changed = core.patch(user, {"op": "replace", "path": "title", "value": "x"})
    assert backend.attempts == 3
    assert changed["title"] == "x"
    assert changed["meta"]["version"] == 'W/"2"'


def test_but_not_for_ever(busy: tuple[Core, Busy, dict[str, Any]]) -> None:
    core, backend, user = busy
    backend.interruptions = 99
    response = core.send("DELETE", path_of(user))
    assert response.status == 503
    assert response.headers["Retry-After"]
    assert backend.attempts == 4
    backend.interruptions = None
    assert core.get(user) == user


def test_with_if_match_the_second_run_finds_the_new_version(
    busy: tuple[Core, Busy, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    core, backend, user = busy

    def someone_else(_: float) -> None:
        core.patch(user, {"op": "replace", "path": "title", "value": "theirs"})

    monkeypatch.setattr("scim_gateway.stale.time.sleep", someone_else)
    backend.interruptions = 1
    body = {"schemas": [USER], "userName": "a", "title": "ours"}
    headers = {"if-match": user["meta"]["version"]}
    assert core.refused("PUT", path_of(user), body, headers=headers) == (412, None)
    assert core.get(user)["title"] == "theirs"


def test_names_of_groups_and_extensions_are_what_the_schemas_say(core: Core) -> None:
    kinds = {kind["name"]: kind for kind in core.json("GET", "/ResourceTypes")["Resources"]}
    assert kinds["User"]["schemaExtensions"] == [{"schema": ENTERPRISE, "required": False}]
    assert kinds["Group"]["schema"] == GROUP
