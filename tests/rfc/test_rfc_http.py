"""HTTP: media types, encodings, methods, limits: RFC 7644 §3.8, §3.13, RFC 8259, RFC 9110 (chapter T)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from scim_http import USER, ScimClient, new_user, replace

ENDPOINTS = ["/", "/Users", "/Groups", "/Users/{id}", "/Schemas", f"/Schemas/{USER}", "/ResourceTypes"]
ENDPOINTS += ["/ResourceTypes/User", "/ServiceProviderConfig"]


@pytest.mark.rfc("T-01")
@pytest.mark.parametrize(
    "media_type",
    [
        "application/scim+json",
        "application/json",
        "application/scim+json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "APPLICATION/SCIM+JSON",
        "application/json; odata=verbose; x=y",
    ],
)
def test_bodies_are_read_under_both_media_types(scim: ScimClient, media_type: str) -> None:
    user = scim.post("/Users", new_user("ü"), headers={"Content-Type": media_type}).expect(201).body
    assert user["userName"] == "ü"
    path = f"/Users/{user['id']}"
    scim.put(path, new_user("ü", title="t"), headers={"Content-Type": media_type}).expect(200)
    scim.patch(path, [replace("title", "x")], headers={"Content-Type": media_type}).expect(200)


@pytest.mark.rfc("T-01")
def test_a_content_type_on_a_request_without_a_body_is_ignored(scim: ScimClient) -> None:
    user = scim.user()
    for media_type in ("application/json", "text/plain"):
        scim.get("/Users", headers={"Content-Type": media_type}).expect(200)
    scim.delete(f"/Users/{user['id']}", headers={"Content-Type": "text/plain"}).expect(204)


@pytest.mark.rfc("T-02")
@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/scim+json"),
        ("*/*", "application/scim+json"),
        ("application/scim+json", "application/scim+json"),
        ("application/scim+json, application/json;q=0.5", "application/scim+json"),
        ("application/*", "application/scim+json"),
        ("application/json", "application/json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        ("text/html, application/json", "application/json"),
    ],
)
def test_answers_have_the_type_that_is_accepted(scim: ScimClient, accept: str | None, media_type: str) -> None:
    for answer in (
        scim.get("/Users", headers={"Accept": accept}),
        scim.get("/ServiceProviderConfig", headers={"Accept": accept}),
        scim.post("/Users", new_user(), headers={"Accept": accept}),
        scim.get("/Users/nope", headers={"Accept": accept}),
    ):
        assert answer.headers["Content-Type"].split(";")[0] == media_type


@pytest.mark.rfc("T-03")
def test_text_is_utf_8_and_answers_have_no_byte_order_mark(scim: ScimClient) -> None:
    created = scim.post("/Users", new_user(displayName="Zoë 日本 😀")).expect(201)
    assert not created.raw.startswith(b"\xef\xbb\xbf")
    assert json.loads(created.raw.decode("utf-8"))["displayName"] == "Zoë 日本 😀"
    raw = json.dumps(new_user(displayName="Zoë"), ensure_ascii=False).encode()
    assert scim.post("/Users", data=raw).expect(201).body["displayName"] == "Zoë"


@pytest.mark.rfc("T-03")
def test_invalid_utf_8_is_refused_and_a_leading_byte_order_mark_ignored(scim: ScimClient) -> None:
    body = json.dumps(new_user()).encode()
    scim.post("/Users", data=body.replace(b"example", b"ex\xffmple")).expect(400, "invalidSyntax")
    scim.post("/Users", data=json.dumps(new_user()).encode("utf-16")).expect(400, "invalidSyntax")
    scim.post("/Users", data=b"\xef\xbb\xbf" + body).expect(201)


@pytest.mark.rfc("T-04", "S-31", "S-20")
@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "9" * 5000,
        "99999999999999999999",
        '"\\ud800"',
        '"\\u0000"',
        '"a\nb"',
        "{} ,",
        "[1,]",
        "{,}",
        "01",
        "0x10",
        "'x'",
        "undefined",
        "/* c */ 1",
        "[" * 100_000,
        "[" * 200 + "]" * 200,
        '{"a":' * 100_000,
        '{"x": 1, "x": 2}',
    ],
    ids=lambda value: value[:12],
)
def test_what_is_no_strict_json_is_refused(scim: ScimClient, value: str) -> None:
    body = f'{{"schemas": ["{USER}"], "userName": "a", "title": {value}}}'
    scim.post("/Users", data=body).expect(400, "invalidSyntax")
    user = scim.user()
    scim.put(f"/Users/{user['id']}", data=body).expect(400, "invalidSyntax")
    scim.patch(f"/Users/{user['id']}", data=f'{{"schemas": [], "Operations": {value}}}').expect(400, "invalidSyntax")
    scim.post("/Bulk", data=f'{{"schemas": [], "Operations": {value}}}').expect(400, "invalidSyntax")
    assert scim.get("/Users").resources == [user]


@pytest.mark.rfc("T-05", "R-07")
def test_the_version_stands_before_the_endpoint_or_not_at_all(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim()
    user = scim.user()
    assert scim.get("http://localhost/scim/v2/Users").ids == [user["id"]]
    unversioned = make_scim(base_path="/scim")
    created = unversioned.user()
    for path in ("/Users", "/v2/Users", "/V2/Users"):
        assert unversioned.get(path).ids == [created["id"]]
    assert unversioned.get(f"/v2/Users/{created['id']}").expect(200).body["id"] == created["id"]
    unversioned.get("/v3/Users").expect(400, "invalidVers")


@pytest.mark.rfc("T-06")
def test_slashes_at_the_end_or_doubled_are_served_without_a_redirect(scim: ScimClient) -> None:
    user = scim.post("/Users/", new_user("slash")).expect(201).body
    for path in ("/Users/", "//Users", "/Users//", f"/Users/{user['id']}/", f"//Users//{user['id']}"):
        assert scim.get(path).expect(200).body["schemas"]
    scim.post("/Users/.search/", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}).expect(200)
    scim.get("/ServiceProviderConfig/").expect(200)
    assert scim.get("").expect(200).body == scim.get("/").body
    scim.delete(f"/Users/{user['id']}/").expect(204)


@pytest.mark.rfc("T-07")
def test_answers_without_content_have_neither_body_nor_type(scim: ScimClient) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    for answer in (
        scim.get(path, headers={"If-None-Match": user["meta"]["version"]}),
        scim.request("OPTIONS", path),
        scim.delete(path),
    ):
        assert answer.status in (204, 304)
        assert answer.raw == b""
        assert "Content-Type" not in answer.headers
        assert answer.headers.get("Content-Length", "0") == "0"


@pytest.mark.rfc("T-08", "R-09")
@pytest.mark.parametrize("path", [*ENDPOINTS, "/Bulk", "/.search", "/Users/.search"])
def test_options_names_the_methods_and_head_is_where_get_is(scim: ScimClient, path: str) -> None:
    path = path.format(id=scim.user()["id"])
    answer = scim.request("OPTIONS", path)
    assert answer.status in (200, 204)
    allowed = {word.strip() for word in answer.headers["Allow"].split(",")}
    assert "OPTIONS" in allowed
    assert ("GET" in allowed) == ("HEAD" in allowed)
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        # In this order the resource is deleted last.
        assert (scim.request(method, path).status == 405) == (method not in allowed), method


@pytest.mark.rfc("T-09", "R-11")
def test_a_body_over_the_limit_is_413(scim: ScimClient, make_scim: Callable[..., ScimClient]) -> None:
    scim.post("/Users", data=b"x" * 10_000_000).expect(413)
    small = make_scim(max_body=2048)
    assert "2048" in small.post("/Users", new_user(title="x" * 3000)).expect(413).detail
    small.user(title="x" * 1000)
    user = small.get("/Users").resources[0]
    small.patch(f"/Users/{user['id']}", [replace("title", "x" * 3000)]).expect(413)
    small.search("/Users", filter=f'title eq "{"x" * 3000}"').expect(413)


@pytest.mark.rfc("T-09", "B-18")
def test_the_limit_holds_for_a_body_of_unknown_length(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim(max_body=2048, bulk_max_payload=2048)
    assert isinstance(scim.target, Flask)

    class Endless:
        """A body that does not end, and says so nowhere."""

        read_so_far = 0

        def read(self, size: int = -1) -> bytes:
            assert size >= 0
            self.read_so_far += size
            assert self.read_so_far < 1_000_000
            return b"x" * size

    for path in ("/scim/v2/Users", "/scim/v2/Bulk"):
        environ: dict[str, Any] = {"wsgi.input": Endless(), "wsgi.input_terminated": True}
        environ |= {"HTTP_AUTHORIZATION": f"Bearer {scim.token}", "HTTP_TRANSFER_ENCODING": "chunked"}
        environ["CONTENT_TYPE"] = "application/scim+json"
        with scim.target.test_client() as client:
            answer = client.open(path, method="POST", environ_overrides=environ)
            assert answer.status_code == 413
            assert json.loads(answer.get_data())["status"] == "413"


@pytest.mark.rfc("T-10")
@pytest.mark.parametrize("path", [*ENDPOINTS, "/Users/nope", "/Nope"])
def test_nobody_may_keep_an_answer(scim: ScimClient, path: str) -> None:
    answer = scim.get(path.format(id=scim.user()["id"]))
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.rfc("T-10")
def test_errors_outside_the_base_url_are_not_kept_either(scim: ScimClient) -> None:
    assert "no-store" in scim.with_token(None).get("/Users").headers["Cache-Control"]
    assert "no-store" in scim.post("/Users", new_user()).headers["Cache-Control"]


@pytest.mark.rfc("T-11", "G-08")
def test_a_suffix_for_the_format_is_not_supported(scim: ScimClient) -> None:
    user = scim.user()
    scim.get("/Users.scim").expect(404)
    scim.get(f"/Users/{user['id']}.scim").expect(404)
    scim.get("/ServiceProviderConfig.scim").expect(404)
    scim.get("/Users/some.id.with.dots").expect(404)
