"""URLs, methods and media types as the core sees them (RFC 7644 §3.2, §3.8, §3.13)."""

from __future__ import annotations

import pytest

from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import InvalidVersion, MethodNotAllowed, NotAcceptable, NotFound, UnsupportedMediaType
from scim_gateway.media import check_content_type, negotiate
from scim_gateway.routing import Router

ROUTER = Router(standard_resource_types())


@pytest.mark.parametrize(
    ("path", "template", "id"),
    [
        ("", "/", ""),
        ("/", "/", ""),
        ("/Users", "/Users", ""),
        ("/Users/", "/Users", ""),
        ("//Users", "/Users", ""),
        ("/Users/2819", "/Users/{id}", "2819"),
        ("/Users/2819/", "/Users/{id}", "2819"),
        ("/Users//2819", "/Users/{id}", "2819"),
        ("/Users/a b%.x", "/Users/{id}", "a b%.x"),
        ("/v2/Groups/9", "/Groups/{id}", "9"),
        ("/Groups/.search", "/Groups/.search", ""),
        ("/.search", "/.search", ""),
        ("/Bulk", "/Bulk", ""),
        ("/Me", "/Me", ""),
        (
            "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
            "/Schemas/{id}",
            "urn:ietf:params:scim:schemas:core:2.0:User",
        ),
        ("/ResourceTypes/User", "/ResourceTypes/{id}", "User"),
        ("/ServiceProviderConfig", "/ServiceProviderConfig", ""),
    ],
)
def test_each_url_has_its_route(path: str, template: str, id: str) -> None:
    match = ROUTER.match(path)
    assert (match.route.template, match.id) == (template, id)


@pytest.mark.parametrize(
    "path",
    [
        "/Nope",
        "/users",
        "/Users/1/2",
        "/Users/../Groups",
        "/Me/1",
        "/Bulk/1",
        "/ServiceProviderConfig/x",
        "/Schemas/x/y",
        "/.search/Users",
        "/Users.scim",
        "/Nope/.search",
    ],
)
def test_there_are_no_other_endpoints(path: str) -> None:
    with pytest.raises(NotFound):
        ROUTER.match(path)


@pytest.mark.parametrize("path", ["/v1/Users", "/v9/Users", "/V3", "/v2.1/Users"])
def test_another_protocol_version_is_refused(path: str) -> None:
    with pytest.raises(InvalidVersion):
        ROUTER.match(path)


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        ("/Users", "PUT", "GET, HEAD, POST, OPTIONS"),
        ("/Users/1", "POST", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
        ("/Users/.search", "GET", "POST, OPTIONS"),
        ("/Schemas", "DELETE", "GET, HEAD, OPTIONS"),
        ("/Bulk", "GET", "POST, OPTIONS"),
        ("/", "POST", "GET, HEAD, OPTIONS"),
        ("/Users", "PROPFIND", "GET, HEAD, POST, OPTIONS"),
    ],
)
def test_a_method_that_does_not_apply_is_told_which_do(path: str, method: str, allow: str) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        ROUTER.match(path).route.operation(method)
    assert caught.value.headers["Allow"] == allow


def test_reading_needs_the_scope_read_and_searching_too() -> None:
    assert ROUTER.match("/Users").route.scope("GET") == "read"
    assert ROUTER.match("/Users/.search").route.scope("POST") == "read"
    assert ROUTER.match("/.search").route.scope("POST") == "read"
    assert ROUTER.match("/Users").route.scope("POST") == "write"
    assert ROUTER.match("/Users/1").route.scope("DELETE") == "write"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/scim+json",
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/scim+json;charset="utf-8"',
        "application/json; profile=x",
    ],
)
def test_json_in_utf_8_is_read(content_type: str) -> None:
    check_content_type(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/xml",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/merge-patch+json",
        "application/json; charset=iso-8859-1",
        "multipart/form-data; boundary=x",
    ],
)
def test_other_bodies_are_not_read(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_content_type(content_type)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/scim+json"),
        ("*/*", "application/scim+json"),
        ("application/*", "application/scim+json"),
        ("application/scim+json", "application/scim+json"),
        ("application/scim+json, application/json", "application/scim+json"),
        ("application/json", "application/json"),
        ("application/json;q=0.5, text/html", "application/json"),
        ("text/html, */*", "application/scim+json"),
        ("*/*, application/scim+json;q=0", "application/json"),
        ("APPLICATION/JSON", "application/json"),
        ("nonsense", "application/scim+json"),
        ("text/html;q=bad, application/json;q=bad", "application/json"),
    ],
)
def test_the_answer_is_scims_own_type_unless_only_json_is_wanted(accept: str, media_type: str) -> None:
    assert negotiate(accept) == media_type


@pytest.mark.parametrize("accept", ["text/html", "text/*, image/png", "*/*;q=0", "application/xml"])
def test_a_client_that_takes_no_json_gets_none(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        negotiate(accept)
