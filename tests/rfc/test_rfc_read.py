"""Reading one resource: RFC 7644 §3.4.1, §3.11 (chapter G of docs/conformance.rst)."""

from __future__ import annotations

import pytest
from flask import Flask
from scim_http import ScimClient, new_user, replace

from scim_gateway.blueprint import create_blueprint
from scim_gateway.exchange import Principal, Request


@pytest.mark.rfc("G-01", "T-02")
def test_get_answers_the_whole_resource_with_its_etag(scim: ScimClient) -> None:
    user = scim.user(title="t", emails=[{"value": "a@b"}])
    answer = scim.get(f"/Users/{user['id']}").expect(200)
    assert answer.body == user
    assert answer.etag == user["meta"]["version"]
    assert answer.headers["Content-Type"].split(";")[0] == "application/scim+json"


@pytest.mark.rfc("G-02", "R-08")
def test_an_unknown_id_and_that_of_another_type_are_404(scim: ScimClient) -> None:
    user, group = scim.user(), scim.group()
    for path in ("/Users/nope", f"/Users/{group['id']}", f"/Groups/{user['id']}", f"/Users/{user['id']}x"):
        for method in ("GET", "HEAD", "DELETE"):
            assert scim.request(method, path).status == 404
        scim.put(path, new_user()).expect(404)
        scim.patch(path, [replace("displayName", "x")]).expect(404)
    assert scim.get("/").body["totalResults"] == 2


@pytest.mark.rfc("G-03", "Q-24", "Q-25")
def test_projection_applies_to_one_resource(scim: ScimClient) -> None:
    path = f"/Users/{scim.user(title='t')['id']}"
    assert set(scim.get(f"{path}?attributes=userName").body) == {"schemas", "id", "userName"}
    assert set(scim.get(f"{path}?excludedAttributes=userName,meta").body) == {"schemas", "id", "title", "active"}
    scim.get(f"{path}?attributes=userName&excludedAttributes=title").expect(400, "invalidValue")


@pytest.mark.rfc("G-04", "E-04", "T-07")
def test_a_current_tag_in_if_none_match_is_304_without_a_body(scim: ScimClient) -> None:
    user = scim.user()
    answer = scim.get(f"/Users/{user['id']}", headers={"If-None-Match": user["meta"]["version"]}).expect(304)
    assert answer.raw == b""
    assert answer.etag == user["meta"]["version"]


@pytest.mark.rfc("G-05", "T-08")
@pytest.mark.parametrize("path", ["/Users/{id}", "/Users", "/Users/nope", "/Nope", "/"])
def test_head_is_get_without_the_body(scim: ScimClient, path: str) -> None:
    path = path.format(id=scim.user()["id"])
    get, head = scim.get(path), scim.request("HEAD", path)
    assert head.status == get.status
    assert head.raw == b""
    for name in ("Content-Type", "ETag", "Location", "Cache-Control"):
        assert head.headers.get(name) == get.headers.get(name)
    if get.status == 200:
        assert head.headers["Content-Length"] == str(len(get.raw))


@pytest.mark.rfc("G-06", "Q-05")
@pytest.mark.parametrize(
    "query",
    ['filter=userName eq "nobody"', "sortBy=userName", "startIndex=7", "count=0", "cursor=x", "foo=bar", "filter=((("],
)
def test_query_parameters_of_lists_mean_nothing_for_one_resource(scim: ScimClient, query: str) -> None:
    user = scim.user()
    name, _, value = query.partition("=")
    assert scim.get(f"/Users/{user['id']}", query={name: value}).expect(200).body == user


@pytest.mark.rfc("G-07", "O-20")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_me_is_501_for_a_token_that_stands_for_no_user(scim: ScimClient, method: str) -> None:
    scim.user()
    body = {} if method in ("PUT", "PATCH") else None
    answer = scim.request(method, "/Me", **({"json": body} if body is not None else {}))
    assert answer.status == 501
    assert scim.get("/Users").body["totalResults"] == 1


@pytest.mark.rfc("G-07", "O-20")
def test_me_is_the_user_that_the_host_application_names(scim: ScimClient) -> None:
    user, other = scim.user(displayName="Me"), scim.user()
    assert isinstance(scim.target, Flask)

    def authenticate(request: Request) -> Principal:
        return Principal("somebody", resource_id=user["id"])

    host = Flask("host")
    provider = scim.target.extensions["scim-gateway"].provider
    host.register_blueprint(create_blueprint(provider, name="scim", authenticate=authenticate), url_prefix="/id/scim")
    me = ScimClient(host, base="/id/scim")
    answer = me.get("/Me").expect(200)
    permanent = f"http://localhost/id/scim/Users/{user['id']}"
    assert answer.body["id"] == user["id"]
    assert answer.headers["Location"] == answer.body["meta"]["location"] == permanent
    assert me.patch("/Me", [replace("title", "x")]).expect(200).body["title"] == "x"
    assert me.put("/Me", new_user(user["userName"])).expect(200).headers["Location"] == permanent
    me.delete("/Me").expect(204)
    me.get("/Me").expect(404)
    assert scim.get("/Users").ids == [other["id"]]


@pytest.mark.rfc("G-08")
@pytest.mark.parametrize(
    "path",
    [
        "/Users/..%2FGroups",
        "/Users/..%2f..%2f..%2fhealthz",
        "/Users/%2e%2e/Groups",
        "/Users/%252e%252e",
        "/Users/100%25",
        "/Users/%C3%A9",
        "/Users/%FF",
        "/Users/a%00b",
        "/Users/%27%20or%201%3D1",
        "/Users/" + "x" * 3000,
    ],
)
def test_odd_ids_are_decoded_once_and_found_nowhere(scim: ScimClient, path: str) -> None:
    scim.group()
    answer = scim.get(path)
    assert answer.status in (400, 404), answer
    assert answer.body["status"] == str(answer.status)
    assert scim.delete(path).status in (400, 404)


@pytest.mark.rfc("G-08")
def test_the_id_of_a_resource_may_be_percent_encoded(scim: ScimClient) -> None:
    id = scim.user()["id"]
    encoded = "".join(f"%{ord(char):02X}" for char in id)
    assert scim.get(f"/Users/{encoded}").expect(200).body["id"] == id
    twice = encoded.replace("%", "%25")
    scim.get(f"/Users/{twice}").expect(404)
