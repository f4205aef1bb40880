"""Errors: RFC 7644 §3.12 (chapter R of docs/conformance.rst)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import examples
from scim_http import ERROR, GROUP, USER, Answer, ScimClient, new_user, patch_op, remove, replace

from scim_gateway.errors import Unavailable

SCIM_TYPES = {
    400: {
        *("invalidFilter", "tooMany", "mutability", "invalidSyntax", "invalidPath", "noTarget", "invalidValue"),
        *("invalidVers", "invalidCursor", "expiredCursor", "invalidCount"),
    },
    403: {"sensitive"},
    409: {"uniqueness"},
}


def provoked(scim: ScimClient) -> list[Answer]:
    """One error of every kind that a client can provoke."""
    user = scim.user("taken")
    path = f"/Users/{user['id']}"
    return [
        scim.with_token(None).get("/Users"),
        scim.with_token("wrong").get("/Users"),
        scim.get("/Schemas?filter=x"),
        scim.get("/Users/nope"),
        scim.get("/Nope"),
        scim.get("/Users/x/y/z"),
        scim.get("http://localhost/"),
        scim.get("http://localhost/elsewhere"),
        scim.get("http://localhost/scim/v9/Users"),
        scim.delete("/Users"),
        scim.request("PROPFIND", "/Users"),
        scim.request("BREW", "/Nope"),
        scim.post("/Users", new_user(), headers={"Accept": "text/html"}),
        scim.post("/Users", new_user("taken")),
        scim.put(path, new_user("taken"), headers={"If-Match": '"x"'}),
        scim.post("/Users", data="x" * 2_000_000),
        scim.post("/Users", new_user(), headers={"Content-Type": "text/xml"}),
        scim.get("/Me"),
        scim.post("/Users", data="{"),
        scim.post("/Users", {"schemas": [USER]}),
        scim.get("/Users?filter=x"),
        scim.get("/Users?cursor=x"),
        scim.get("/Users?count=x"),
        scim.patch(path, [remove("id")]),
        scim.patch(path, [{"op": "remove"}]),
        scim.patch(path, [remove("nope")]),
        scim.bulk(),
    ]


@pytest.mark.rfc("R-01", "R-02", "R-08", "R-11", "EID-6893")
def test_every_error_has_a_scim_body_with_its_status_as_a_text(scim: ScimClient) -> None:
    answers = provoked(scim)
    assert {answer.status for answer in answers} >= {400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 501}
    for answer in answers:
        assert answer.status >= 400, answer
        assert answer.headers["Content-Type"].split(";")[0] == "application/scim+json", answer
        assert answer.body["schemas"] == [ERROR], answer
        assert answer.body["status"] == str(answer.status), answer
        assert answer.body["detail"], answer
        assert set(answer.body) <= {"schemas", "status", "scimType", "detail"}, answer
        if "scimType" in answer.body:
            assert answer.body["scimType"] in SCIM_TYPES[answer.status], answer


@pytest.mark.rfc("R-02")
def test_each_fault_of_a_client_has_a_scim_type(scim: ScimClient) -> None:
    for answer in provoked(scim):
        if answer.status in (400, 409):
            assert answer.body["scimType"] in SCIM_TYPES[answer.status], answer


@pytest.mark.rfc("R-05")
def test_only_patch_and_put_answer_with_the_types_of_patch(scim: ScimClient) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    scim.patch(path, [{"op": "remove"}]).expect(400, "noTarget")
    scim.patch(path, [remove("nope")]).expect(400, "invalidPath")
    scim.patch(path, [remove("id")]).expect(400, "mutability")
    for answer in (
        scim.post("/Users", new_user(id="x", groups=[{"value": "x"}])),
        scim.put(path, new_user(user["userName"], id="x", meta={"created": "x"})),
        scim.get("/Users?filter=nope pr"),
        scim.get("/Users?sortBy=nope"),
    ):
        assert (answer.body.get("scimType") or "") not in ("noTarget", "invalidPath", "mutability")


@pytest.mark.rfc("R-06")
def test_a_conflict_is_409_for_every_method(scim: ScimClient) -> None:
    scim.user("taken")
    user = scim.user()
    path = f"/Users/{user['id']}"
    for answer in (
        scim.post("/Users", new_user("taken")),
        scim.put(path, new_user("taken")),
        scim.patch(path, [replace("userName", "taken")]),
    ):
        answer.expect(409, "uniqueness")
        assert "userName" in answer.detail


@pytest.mark.rfc("R-07", "T-05")
def test_an_unknown_protocol_version_is_refused(scim: ScimClient) -> None:
    for path in ("/v9/Users", "/v1/Users", "/v9", "/V3/Groups/x"):
        scim.get(path).expect(400, "invalidVers")
    scim.get("http://localhost/scim/v9/Users").expect(404)


@pytest.mark.rfc("R-08", "R-01")
@pytest.mark.parametrize(
    "path",
    ["/Foo", "/Users/x/y", "/users", "/Schemas/x/y", "/Bulk/x", "/.search/x", "/Me/x", "/%00", "/Users/x/.search"],
)
def test_what_does_not_exist_is_404_in_json(scim: ScimClient, path: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = scim.request(method, path, {}).expect(404)
        assert answer.headers["Content-Type"].split(";")[0] == "application/scim+json"
    assert b"<" not in scim.get(path).raw


@pytest.mark.rfc("R-09", "T-08")
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/Users", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/Groups", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/Users/{id}", {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}),
        ("/Bulk", {"POST", "OPTIONS"}),
        ("/.search", {"POST", "OPTIONS"}),
        ("/Users/.search", {"POST", "OPTIONS"}),
        ("/", {"GET", "HEAD", "OPTIONS"}),
        ("/Schemas", {"GET", "HEAD", "OPTIONS"}),
        ("/ServiceProviderConfig", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_405_with_those_that_apply(scim: ScimClient, path: str, allowed: set[str]) -> None:
    path = path.format(id=scim.user()["id"])
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - allowed:
        answer = scim.request(method, path).expect(405)
        assert {word.strip() for word in answer.headers["Allow"].split(",")} == allowed, method


@pytest.mark.rfc("R-10", "T-01", "O-24")
@pytest.mark.parametrize(
    "media_type",
    ["text/xml", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"],
)
def test_a_body_that_is_not_json_by_its_type_is_415(scim: ScimClient, media_type: str) -> None:
    user = scim.user()
    for method, path in (("POST", "/Users"), ("PUT", f"/Users/{user['id']}"), ("PATCH", f"/Users/{user['id']}")):
        scim.request(method, path, new_user(), headers={"Content-Type": media_type}).expect(415)
    scim.post("/Users", new_user(), headers={"Content-Type": "application/scim+json; charset=iso-8859-1"}).expect(415)


@pytest.mark.rfc("R-10", "O-24")
def test_a_body_without_a_type_is_read_as_json(scim: ScimClient) -> None:
    scim.post("/Users", new_user(), headers={"Content-Type": None}).expect(201)
    scim.post("/Users", new_user(), headers={"Content-Type": ""}).expect(201)


@pytest.mark.rfc("R-10", "T-02", "O-24")
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (None, 200),
        ("", 200),
        ("*/*", 200),
        ("text/html, */*", 200),
        ("text/html, application/*;q=0.1", 200),
        ("application/scim+json;q=0, application/json", 200),
        ("nonsense", 200),
        ("text/html", 406),
        ("application/xml;q=0.9, image/png", 406),
        ("application/scim+json;q=0, application/json;q=0, */*;q=0", 406),
    ],
)
def test_only_an_accept_that_excludes_all_json_is_406(scim: ScimClient, accept: str | None, status: int) -> None:
    scim.get("/Users", headers={"Accept": accept}).expect(status)
    answer = scim.get("/Users/nope", headers={"Accept": accept})
    assert answer.status == (404 if status == 200 else 406)


@pytest.mark.rfc("R-12", "R-01", "R-11")
def test_an_internal_error_says_nothing_of_the_inside(
    scim: ScimClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(scim.target, Flask)
    handler = scim.target.extensions["scim-gateway"].backend.handlers["User"]

    def explode(*_: Any, **__: Any) -> Any:
        raise RuntimeError("SELECT secret FROM table")

    for reads in ("query", "get", "texts", "text"):
        monkeypatch.setattr(type(handler), reads, explode)
    scim.watch = None
    for answer in (scim.get("/Users"), scim.get("/Users/x"), scim.delete("/Users/x"), scim.search()):
        answer.expect(500)
        assert b"SELECT" not in answer.raw
        assert b"RuntimeError" not in answer.raw
        assert b"Traceback" not in answer.raw
    assert "SELECT secret FROM table" in caplog.text


@pytest.mark.rfc("R-13", "S-48")
@pytest.mark.parametrize(
    "body",
    [
        {"schemas": [USER], "password": "correct horse"},
        new_user(password="short7!"),
        new_user(password=["correct horse"]),
        new_user(password={"value": "correct horse"}),
        new_user(password="correct horse", emails=7),
        {"schemas": [GROUP], "password": "correct horse"},
    ],
    ids=["no name", "short", "list", "object", "other fault", "group"],
)
def test_no_error_repeats_a_password(strict_scim: ScimClient, body: dict[str, Any]) -> None:
    user = strict_scim.user()
    path = f"/Users/{user['id']}"
    for answer in (
        strict_scim.post("/Users", body),
        strict_scim.put(path, body),
        strict_scim.patch(path, [replace(None, {"password": body["password"], "nope": 1})]),
        strict_scim.patch(path, [replace("password", body["password"]), remove("nope")]),
    ):
        assert answer.status == 400, answer
        assert "correct horse" not in answer.detail
        assert "short7!" not in answer.detail


@pytest.mark.rfc("R-13")
def test_a_detail_names_the_attribute_and_what_to_do(scim: ScimClient) -> None:
    for body, named in (
        (new_user(emails=[{"value": "a@b"}, {"value": 5}]), "emails"),
        (new_user(name={"familyName": 5}), "name.familyName"),
        (new_user(active="perhaps"), "active"),
    ):
        assert named in scim.post("/Users", body).expect(400).detail


@pytest.mark.rfc("R-14")
def test_a_store_that_cannot_be_reached_is_503_with_retry_after(
    scim: ScimClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(scim.target, Flask)
    backend = scim.target.extensions["scim-gateway"].backend

    def unreachable(*_: Any, **__: Any) -> Any:
        raise Unavailable("The directory cannot be reached; try again.", retry_after=7)

    for access in ("operation", "look_up"):
        monkeypatch.setattr(type(backend), access, unreachable)
    for answer in (
        scim.get("/Users"),
        scim.get("/Users/x"),
        scim.get("/Users", query={"filter": 'userName eq "x"'}),
        scim.get("/Users", query={"filter": "title pr"}),
        scim.post("/Users", new_user()),
        scim.put("/Users/x", new_user()),
        scim.delete("/Users/x"),
    ):
        answer.expect(503)
        assert answer.headers["Retry-After"] == "7"


@pytest.mark.rfc("R-14")
def test_guessing_tokens_is_throttled_with_retry_after(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim(auth_failures_per_minute=5)
    guesser = scim.with_token("guess")
    statuses = [guesser.get("/Users").status for _ in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    assert int(guesser.get("/Users").expect(429).headers["Retry-After"]) > 0
    scim.get("/Users").expect(200)


# Whatever is sent, it is answered as a SCIM error and never with 500.

_KEYS = st.sampled_from(
    [
        *(
            "schemas",
            "userName",
            "name",
            "familyName",
            "emails",
            "value",
            "type",
            "primary",
            "active",
            "members",
            "$ref",
        ),
        *("Operations", "op", "path", "manager", "filter", "count", "startIndex", "attributes", "bulkId", "method"),
        *("data", "password", "id", "meta", "x509Certificates", "displayName", "sortBy", "cursor", USER),
    ]
) | st.text(max_size=6)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_PIECES = st.sampled_from(
    [
        *("userName", "emails", "[", "]", "(", ")", " eq ", " pr", " and ", " or ", "not ", '"a"', ".", ":", "value"),
        *(
            "5",
            "true",
            "null",
            "meta.created",
            "groups",
            "members",
            "$ref",
            "\\",
            "'",
            "%",
            "é",
            "\u200b",
            " ",
            '"',
            "urn:a:b",
        ),
    ]
)
_EXAMPLES = settings(max_examples=examples(60))


@pytest.mark.rfc("R-12")
@_EXAMPLES
@given(body=_JSON, method_path=st.sampled_from(["POST /Users", "PUT /Users/{id}", "PATCH /Users/{id}", "POST /Groups"]))
def test_no_body_is_answered_with_500(scim: ScimClient, known_user: str, body: Any, method_path: str) -> None:
    method, _, path = method_path.partition(" ")
    answer = scim.request(method, path.format(id=known_user), body)
    assert answer.status < 500, answer


@pytest.mark.rfc("R-12")
@pytest.mark.usefixtures("known_user")
@_EXAMPLES
@given(
    body=st.fixed_dictionaries({}, optional=dict.fromkeys(("schemas", "Operations", "filter", "count"), _JSON)),
    path=st.sampled_from(["/Bulk", "/.search", "/Users/.search"]),
)
def test_no_message_is_answered_with_500(scim: ScimClient, body: dict[str, Any], path: str) -> None:
    body.setdefault(
        "schemas", [f"urn:ietf:params:scim:api:messages:2.0:{'Bulk' if path == '/Bulk' else 'Search'}Request"]
    )
    answer = scim.post(path, body)
    assert answer.status < 500, answer


@pytest.mark.rfc("R-12", "F-09")
@_EXAMPLES
@given(text=st.lists(_PIECES, max_size=9).map("".join) | st.text(max_size=12))
def test_no_filter_sort_or_path_is_answered_with_500(scim: ScimClient, known_user: str, text: str) -> None:
    for answer in (
        scim.get("/Users", query={"filter": text}),
        scim.get("/", query={"filter": text, "sortBy": text}),
        scim.get("/Groups", query={"attributes": text, "sortBy": text}),
        scim.patch(f"/Users/{known_user}", [replace(text, "x")]),
        scim.patch(f"/Users/{known_user}", [replace(None, {text: "x"})]),
        scim.patch(f"/Users/{known_user}", patch_op(remove(text))),
    ):
        assert answer.status < 500, answer
    assert scim.get(f"/Users/{known_user}").status == 200


@pytest.mark.rfc("R-12", "T-04")
@pytest.mark.usefixtures("known_user")
@_EXAMPLES
@given(body=st.binary(max_size=40) | st.text(max_size=30).map(lambda text: json.dumps({text: text}).encode()))
def test_no_bytes_are_answered_with_500(scim: ScimClient, body: bytes) -> None:
    for path in ("/Users", "/Bulk", "/.search"):
        assert 400 <= scim.post(path, data=body).status < 500


@pytest.fixture
def known_user(scim: ScimClient) -> str:
    """The id of a user that is there."""
    return str(scim.user("fuzzed", emails=[{"value": "a@b", "type": "work"}])["id"])
