"""Creating resources: RFC 7644 §3.3 (chapter C of docs/conformance.rst)."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from scim_http import ENTERPRISE, GROUP, USER, ScimClient, new_group, new_user

FULL: dict[str, Any] = {
    "externalId": "701984",
    "userName": "bjensen@example.com",
    "name": {"formatted": "Ms. Barbara J Jensen, III", "familyName": "Jensen", "givenName": "Barbara"},
    "displayName": "Babs Jensen",
    "profileUrl": "https://login.example.com/bjensen",
    "emails": [{"value": "bjensen@example.com", "type": "work", "primary": True}, {"value": "babs@jensen.org"}],
    "addresses": [{"type": "work", "streetAddress": "100 Universal City Plaza", "country": "US"}],
    "userType": "Employee",
    "title": "Tour Guide",
    "preferredLanguage": "en-US",
    "locale": "en-US",
    "timezone": "America/Los_Angeles",
    "active": True,
}


@pytest.mark.rfc("C-01", "C-02")
@pytest.mark.parametrize("extra", [{}, FULL], ids=["minimal", "full"])
def test_post_answers_201_with_location_etag_and_the_whole_resource(strict_scim: ScimClient, extra: Any) -> None:
    answer = strict_scim.post("/Users", new_user("bjensen@example.com") | extra).expect(201)
    assert answer.headers["Location"] == answer.body["meta"]["location"]
    assert answer.etag == answer.body["meta"]["version"]
    assert answer.body["id"]
    assert answer.body["meta"]["created"]
    assert answer.body["active"] is True
    for name, value in extra.items():
        assert answer.body[name] == value
    assert strict_scim.get(answer.headers["Location"]).expect(200).body == answer.body


@pytest.mark.rfc("C-03")
def test_read_only_values_in_the_body_are_the_servers(scim: ScimClient) -> None:
    sent = {"id": "mine", "meta": {"created": "1999-01-01T00:00:00Z"}, "groups": [{"value": "g"}]}
    user = scim.user(**sent)
    assert user["id"] != "mine"
    assert not user["meta"]["created"].startswith("1999")
    assert "groups" not in user


@pytest.mark.rfc("C-04", "R-06")
def test_a_conflict_is_409_uniqueness_and_creates_nothing(scim: ScimClient) -> None:
    scim.user("taken@x")
    answer = scim.post("/Users", new_user("TAKEN@X")).expect(409, "uniqueness")
    assert "userName" in answer.detail
    assert scim.get("/Users").body["totalResults"] == 1


@pytest.mark.rfc("C-05", "R-04")
@pytest.mark.parametrize(
    ("endpoint", "body", "named"),
    [
        ("/Users", {"schemas": [USER]}, "userName"),
        ("/Users", {"schemas": [USER], "userName": "a", "emails": 7}, "emails"),
        ("/Users", {"schemas": [USER], "userName": "a", "active": "maybe"}, "active"),
        ("/Groups", {"schemas": [GROUP], "displayName": 5}, "displayName"),
        ("/Groups", {"schemas": [GROUP], "displayName": "g", "members": [{}, {"display": "x"}]}, "members"),
    ],
    ids=["missing", "number", "word", "group", "member without value"],
)
def test_a_bad_value_is_400_invalid_value_and_named(
    scim: ScimClient, endpoint: str, body: dict[str, Any], named: str
) -> None:
    assert named in scim.post(endpoint, body).expect(400, "invalidValue").detail
    assert scim.get("/").body["totalResults"] == 0


@pytest.mark.rfc("C-06", "R-03", "U-13")
@pytest.mark.parametrize("body", ["{", "[]", '"x"', "null", "", "5", "{]", "schemas=x", '{"a":1} {"b":2}', "{'a':1}"])
def test_a_body_that_is_no_json_object_is_invalid_syntax(scim: ScimClient, body: str) -> None:
    user = scim.user()
    for method, path in (("POST", "/Users"), ("PUT", f"/Users/{user['id']}"), ("PATCH", f"/Users/{user['id']}")):
        scim.request(method, path, data=body).expect(400, "invalidSyntax")
    for path in ("/Groups", "/Bulk", "/.search", "/Users/.search"):
        scim.post(path, data=body).expect(400, "invalidSyntax")
    assert scim.get("/Users").resources == [user]


@pytest.mark.rfc("C-08", "Q-32")
def test_projection_shapes_the_answer_and_not_the_resource(scim: ScimClient) -> None:
    body = new_user(title="t", displayName="d", enterprise={"department": "x"})
    answer = scim.post("/Users?attributes=userName", body).expect(201)
    assert set(answer.body) == {"schemas", "id", "userName"}
    stored = scim.get(answer.headers["Location"]).body
    assert stored["title"] == "t"
    assert stored[ENTERPRISE] == {"department": "x"}
    answer = scim.post("/Users?excludedAttributes=title,meta", new_user(title="t")).expect(201)
    assert {"title", "meta"}.isdisjoint(answer.body)
    assert answer.headers["ETag"]


@pytest.mark.rfc("C-08", "Q-26")
def test_a_projection_that_cannot_be_creates_nothing(scim: ScimClient) -> None:
    scim.post("/Users?attributes=title&excludedAttributes=name", new_user()).expect(400, "invalidValue")
    assert scim.get("/Users").body["totalResults"] == 0


@pytest.mark.rfc("C-09")
def test_null_and_empty_lists_are_as_if_not_given(scim: ScimClient) -> None:
    user = scim.user(title=None, emails=[], name={"familyName": None}, **{ENTERPRISE: {"department": None}})
    assert set(user) == {"schemas", "id", "userName", "active", "meta"}
    assert user["schemas"] == [USER]


@pytest.mark.rfc("C-11")
def test_what_was_created_is_there_at_once_for_every_kind_of_request(scim: ScimClient) -> None:
    user = scim.user("new@x")
    scim.get(user["meta"]["location"]).expect(200)
    assert scim.find('userName eq "new@x"').ids == [user["id"]]
    assert scim.search("/Users").ids == [user["id"]]
    scim.group(members=[user["id"]])
    results = scim.bulk({"method": "DELETE", "path": f"/Users/{user['id']}"}).body["Operations"]
    assert results[0]["status"] == "204"


@pytest.mark.rfc("C-12")
@pytest.mark.parametrize("endpoint", ["/Users", "/Groups"])
def test_of_equal_posts_at_the_same_time_one_wins(scim: ScimClient, endpoint: str) -> None:
    body = new_user("race@x") if endpoint == "/Users" else new_group("race")
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: scim.post(endpoint, body), range(20)))
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 19}
    assert {answer.body["scimType"] for answer in answers if answer.status == 409} == {"uniqueness"}
    assert scim.get(endpoint).body["totalResults"] == 1


@pytest.mark.rfc("C-13", "R-08", "R-09")
def test_post_to_a_resource_is_405_and_to_nowhere_404(scim: ScimClient) -> None:
    user = scim.user()
    answer = scim.post(f"/Users/{user['id']}", new_user()).expect(405)
    allowed = {word.strip() for word in answer.headers["Allow"].split(",")}
    assert allowed == {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}
    scim.post("/Nope", new_user()).expect(404)
    assert scim.get("/Users").body["totalResults"] == 1
