"""Authentication and privacy: RFC 7644 §2, §7, RFC 6750 (chapter A of docs/conformance.rst)."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from scim_http import SEARCH_REQUEST, ScimClient, add, new_group, new_user, patch_op, replace

from scim_gateway.access_log import JsonFormatter
from scim_gateway.tokens import digest_of, new_token

ROUTES = [
    ("GET", "/Users"),
    ("POST", "/Users"),
    ("GET", "/Users/nope"),
    ("PUT", "/Users/nope"),
    ("PATCH", "/Users/nope"),
    ("DELETE", "/Users/nope"),
    ("POST", "/.search"),
    ("POST", "/Bulk"),
    ("GET", "/Me"),
    ("GET", "/"),
    ("GET", "/Nope"),
    ("POST", "/Schemas"),
    ("OPTIONS", "/Users"),
    ("HEAD", "/Users"),
    ("PROPFIND", "/Users"),
    ("GET", "//Users"),
    ("GET", "/Users/x/y/z"),
]


@pytest.mark.rfc("A-01", "A-02", "A-06")
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_credentials_everything_is_401_and_names_the_scheme(scim: ScimClient, method: str, path: str) -> None:
    anonymous = scim.with_token(None)
    answer = anonymous.request(method, path, data="{" if method in ("POST", "PUT", "PATCH") else None)
    assert answer.status == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer")
    assert "error=" not in challenge
    if method != "HEAD":
        assert answer.body["status"] == "401"


@pytest.mark.rfc("A-01", "A-02")
@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer scimgw_000000000000_" + "x" * 43,
        "Bearer ",
        "Bearer",
        "Basic dXNlcjpwYXNz",
        "Digest username=x",
        "Token {token}",
        "Bearer {token} {token}",
        "Bearer  {token}",
        "Bearer {token},Bearer {token}",
        "Bearer {token}x",
        "x" * 9000,
        "Bearer \u00e9",
    ],
)
def test_credentials_that_are_none_are_401_invalid_token(scim: ScimClient, header: str) -> None:
    answer = scim.get("/Users", headers={"Authorization": header.format(token=scim.token)}).expect(401)
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert (scim.token or "") not in answer.detail


@pytest.mark.rfc("A-02", "A-05")
def test_an_expired_or_revoked_token_is_invalid(scim: ScimClient, issue_token: Callable[..., str]) -> None:
    valid = issue_token(scim, lifetime=timedelta(hours=1))
    scim.with_token(valid).get("/Users").expect(200)
    expired = issue_token(scim, lifetime=timedelta(seconds=-1))
    answer = scim.with_token(expired).get("/Users").expect(401)
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.rfc("A-03")
def test_a_read_token_reads_and_changes_nothing(scim: ScimClient, issue_token: Callable[..., str]) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    reader = scim.with_token(issue_token(scim, "read"))
    for answer in (reader.get("/Users"), reader.get(path), reader.search(), reader.search("/Users"), reader.get("/")):
        answer.expect(200)
    for answer in (
        reader.post("/Users", new_user()),
        reader.put(path, new_user()),
        reader.patch(path, [replace("title", "x")]),
        reader.delete(path),
        reader.delete("/Users/nope"),
    ):
        answer.expect(403)
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert scim.get("/Users").resources == [user]


@pytest.mark.rfc("A-03")
def test_a_token_without_scope_to_read_reads_nothing(scim: ScimClient, issue_token: Callable[..., str]) -> None:
    writer = scim.with_token(issue_token(scim, "write"))
    created = writer.post("/Users", new_user()).expect(201).body
    writer.get(f"/Users/{created['id']}").expect(403)
    writer.get("/Users").expect(403)
    writer.search().expect(403)
    writer.delete(f"/Users/{created['id']}").expect(204)


@pytest.mark.rfc("A-04")
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", ""])
def test_the_scheme_is_read_in_any_case_and_may_be_missing(scim: ScimClient, scheme: str) -> None:
    # Okta's "HTTP Header" mode sends the field of its form as it was typed, so that the scheme may be missing.
    scim.get("/Users", headers={"Authorization": f"{scheme}{scim.token}"}).expect(200)


@pytest.mark.rfc("A-05")
@pytest.mark.parametrize("name", ["access_token", "token", "authorization", "Authorization"])
def test_a_token_in_the_url_or_body_is_none(scim: ScimClient, name: str) -> None:
    anonymous = scim.with_token(None)
    anonymous.get("/Users", query={name: scim.token}).expect(401)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    anonymous.post("/Users", data=f"{name}={scim.token}", headers=form).expect(401)


@pytest.mark.rfc("A-05")
def test_tokens_have_256_random_bits_and_only_hashes_are_kept(
    scim: ScimClient, issue_token: Callable[..., str], tmp_path: Path
) -> None:
    text = issue_token(scim, "read")
    assert len({new_token("n")[0] for _ in range(100)}) == 100
    assert len(text.split("_", 2)[2]) >= 43
    assert isinstance(scim.target, Flask)
    (kept,) = scim.target.extensions["scim-gateway"].backend.tokens.list()
    assert kept.digest == digest_of(text)
    assert text not in repr(kept)
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert text.split("_", 2)[2].encode() not in file.read_bytes(), file


@pytest.mark.rfc("A-06", "E-09")
def test_credentials_are_asked_for_before_anything_is_looked_at(scim: ScimClient) -> None:
    user = scim.user()
    anonymous = scim.with_token(None)
    for answer in (
        anonymous.get(f"/Users/{user['id']}"),
        anonymous.get("/Users/nope"),
        anonymous.post("/Users", data="{"),
        anonymous.post("/Users", data="x" * 3_000_000),
        anonymous.post("/Users", new_user(), headers={"Content-Type": "text/xml"}),
        anonymous.get("/Users?count=x"),
        anonymous.put(f"/Users/{user['id']}", new_user(), headers={"If-Match": '"x"'}),
        anonymous.get("/Users", headers={"Accept": "text/html"}),
    ):
        answer.expect(401)
    assert anonymous.get(f"/Users/{user['id']}").raw == anonymous.get("/Users/nope").raw


@pytest.fixture
def tenants(make_scim: Callable[..., ScimClient], backend: str, tmp_path: Path) -> tuple[ScimClient, ScimClient]:
    """Two tenants: of one database where the backend has one, else of two stores."""
    if backend == "memory":
        return make_scim(), make_scim()
    url = f"sqlite:///{tmp_path}/shared.db"
    return make_scim(database_url=url, tenant="one"), make_scim(database_url=url, tenant="two")


@pytest.mark.rfc("A-07", "S-10")
def test_tenants_see_nothing_of_each_other(tenants: tuple[ScimClient, ScimClient]) -> None:
    one, two = tenants
    user = one.user("same@x", externalId="E", displayName="One")
    group = one.group("Same", [user["id"]])
    other = two.user("same@x", externalId="E")
    two.group("Same")
    path = f"/Users/{user['id']}"
    two.get(path).expect(404)
    two.put(path, new_user("x")).expect(404)
    two.patch(path, [replace("title", "x")]).expect(404)
    two.delete(path).expect(404)
    assert two.get("/Users").ids == [other["id"]]
    assert two.find('externalId eq "E"').ids == [other["id"]]
    assert two.find(f'id eq "{user["id"]}"').ids == []
    assert two.search(filter='displayName eq "One"').ids == []
    two.post("/Groups", new_group(members=[user["id"]])).expect(400, "invalidValue")
    two.patch(f"/Groups/{group['id']}", [add("members", [{"value": other["id"]}])]).expect(404)
    bulk = two.bulk(
        {"method": "PATCH", "path": path, "data": patch_op(replace("title", "x"))}, {"method": "DELETE", "path": path}
    )
    assert [result["status"] for result in bulk.body["Operations"]] == ["404", "404"]
    assert one.get(path).body == one.find('userName eq "same@x"').resources[0]
    assert one.get(f"/Groups/{group['id']}").body == group


@pytest.mark.rfc("A-07", "N-13")
def test_a_cursor_of_one_tenant_is_none_for_another(tenants: tuple[ScimClient, ScimClient]) -> None:
    one, two = tenants
    for scim in tenants:
        for _ in range(3):
            scim.user()
    cursor = one.get("/Users?cursor&count=1").expect(200).body["nextCursor"]
    two.get("/Users", query={"cursor": cursor, "count": 1}).expect(400, "invalidCursor")
    one.get("/Users", query={"cursor": cursor, "count": 1}).expect(200)


@pytest.mark.rfc("A-07")
def test_a_token_of_one_tenant_opens_no_other(
    tenants: tuple[ScimClient, ScimClient], issue_token: Callable[..., str]
) -> None:
    one, two = tenants
    token = issue_token(one)
    one.with_token(token).get("/Users").expect(200)
    two.with_token(token).get("/Users").expect(401)


@pytest.mark.rfc("A-08")
def test_locations_are_https_where_tls_ends_in_front_of_the_gateway(make_scim: Callable[..., ScimClient]) -> None:
    # TLS itself is the edge's (docs/conformance.rst); the gateway's part is to give the addresses that the edge serves.
    scim = make_scim(public_url="https://scim.example.com/scim/v2")
    user = scim.user()
    scim.group(members=[user["id"]])
    shown = scim.get("/").raw + scim.get("/Schemas").raw + scim.get("/ResourceTypes").raw
    assert b"https://scim.example.com/scim/v2/Users/" in shown
    assert b"http://localhost" not in shown


SECRETS = {
    "token": "scimgw-token-in-a-log-would-be-a-leak-0001",
    "password": "pass phrase 0002",
    "filter": "person-0003@example.com",
    "name": "Surname-0004",
    "external": "payroll-0005",
}


@pytest.mark.rfc("A-09", "S-48", "R-13")
@pytest.mark.parametrize("level", ["info", "debug"])
def test_logs_and_errors_hold_no_credentials_and_no_personal_data(
    make_scim: Callable[..., ScimClient], caplog: pytest.LogCaptureFixture, level: str
) -> None:
    caplog.set_level(logging.DEBUG if level == "debug" else logging.INFO)
    scim = make_scim(token=SECRETS["token"], log_level=level).with_token(SECRETS["token"])
    body = new_user(SECRETS["filter"], password=SECRETS["password"], externalId=SECRETS["external"], hairColour="red")
    user = scim.post("/Users", body | {"name": {"familyName": SECRETS["name"]}}).expect(201).body
    path = f"/Users/{user['id']}"
    errors = [
        scim.post("/Users", body),
        scim.post("/Users", {**body, "active": SECRETS["name"], "userName": None}),
        scim.put(path, data=json.dumps({**body, "emails": SECRETS["name"]})[:-1]),
        scim.patch(path, [replace("active", SECRETS["password"])]),
        scim.patch(path, [replace("nope", SECRETS["password"])]),
        scim.get("/Users", query={"filter": f'active eq "{SECRETS["name"]}"'}),
        scim.get("/Users", query={"filter": f'userName eq "{SECRETS["filter"]}" nope'}),
        scim.with_token("wrong-" + SECRETS["token"]).get("/Users"),
        scim.get(f"/Users/{SECRETS['external']}/x"),
    ]
    scim.find(f'userName eq "{SECRETS["filter"]}"')
    scim.post("/.search", {"schemas": [SEARCH_REQUEST], "filter": f'name.familyName eq "{SECRETS["name"]}"'}).expect(
        200
    )
    scim.bulk({"method": "POST", "path": "/Users", "bulkId": "1", "data": body})
    scim.delete(path).expect(204)
    lines = [JsonFormatter().format(record) for record in caplog.records if record.name.startswith("scim_gateway")]
    assert sum('"event":"request"' in line for line in lines) >= 12
    for line in lines:
        for name, secret in SECRETS.items():
            assert secret not in line, f"{name}: {line}"
        assert user["id"] not in line, line
    for error in errors:
        assert error.status in (400, 401, 404, 409), error
        for name in ("token", "password"):
            assert SECRETS[name] not in error.detail, error


@pytest.mark.rfc("A-09")
def test_a_log_line_tells_route_status_and_who_asked(
    scim: ScimClient, caplog: pytest.LogCaptureFixture, issue_token: Callable[..., str]
) -> None:
    caplog.set_level(logging.INFO, "scim_gateway.access")
    user = scim.user()
    caplog.clear()
    scim.with_token(issue_token(scim, "read")).get(f"/Users/{user['id']}", headers={"X-Request-ID": "r-1"}).expect(200)
    (line,) = (json.loads(JsonFormatter().format(record)) for record in caplog.records)
    assert (line["method"], line["route"], line["status"]) == ("GET", "/Users/{id}", 200)
    assert (line["token"], line["request_id"]) == ("made for a test", "r-1")


def test_a_request_id_comes_back_and_is_made_where_none_fits(scim: ScimClient) -> None:
    assert scim.get("/Users", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    made = scim.get("/Users", headers={"X-Request-ID": "a b<script>"}).headers["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_every_route_of_this_module_exists_for_a_valid_token(scim: ScimClient) -> None:
    answers: dict[str, Any] = {f"{method} {path}": scim.request(method, path, {}).status for method, path in ROUTES}
    assert 401 not in answers.values()
