"""Bulk: RFC 7644 §3.7 (chapter B of docs/conformance.rst)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scim_http import (
    BULK_REQUEST,
    BULK_RESPONSE,
    ENTERPRISE,
    ERROR,
    USER,
    Answer,
    ScimClient,
    add,
    new_group,
    new_user,
    patch_op,
    remove,
    replace,
)


def post(bulk_id: str, data: dict[str, Any], path: str = "/Users") -> dict[str, Any]:
    return {"method": "POST", "path": path, "bulkId": bulk_id, "data": data}


def results(answer: Answer) -> list[dict[str, Any]]:
    answer.expect(200)
    assert answer.body["schemas"] == [BULK_RESPONSE]
    return list(answer.body["Operations"])


def statuses(answer: Answer) -> list[str]:
    return [result["status"] for result in results(answer)]


@pytest.mark.rfc("B-01", "B-04", "B-06", "B-08", "EID-7916")
def test_a_job_is_200_and_each_operation_has_its_own_result(scim: ScimClient) -> None:
    scim.user("taken")
    answer = scim.bulk(post("a", new_user("new")), post("b", new_user("taken")))
    good, bad = results(answer)
    user = scim.find('userName eq "new"').resources[0]
    assert good == {
        "method": "POST",
        "bulkId": "a",
        "location": user["meta"]["location"],
        "version": user["meta"]["version"],
        "status": "201",
    }
    assert bad["status"] == "409"
    assert (bad["method"], bad["bulkId"]) == ("POST", "b")
    assert bad["response"]["schemas"] == [ERROR]
    assert bad["response"]["status"] == "409"
    assert bad["response"]["scimType"] == "uniqueness"
    assert "location" not in bad


@pytest.mark.rfc("B-02", "B-08")
def test_a_malformed_operation_fails_alone(scim: ScimClient) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    answer = scim.bulk(
        {"method": "POST", "path": "/Users", "data": new_user()},
        {"method": "POST", "path": "/Users", "bulkId": "1"},
        {"method": "PUT", "path": path},
        {"method": "PATCH", "path": path},
        {"method": "GET", "path": path},
        {"method": "POST", "bulkId": "2", "data": new_user()},
        {"path": "/Users", "bulkId": "3", "data": new_user()},
        {"method": "BREW", "path": "/Users"},
        {"method": "PUT", "path": path, "data": [1]},
        {"method": "PUT", "path": path, "data": new_user(user["userName"], title="done")},
    )
    assert statuses(answer) == ["400", "400", "400", "400", "405", "400", "400", "405", "400", "200"]
    assert scim.get(path).body["title"] == "done"
    assert scim.get("/Users").body["totalResults"] == 1


@pytest.mark.rfc("B-03")
@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"method": "POST", "path": "/Nope", "bulkId": "1", "data": {}}, "404"),
        ({"method": "DELETE", "path": "/Nope/1"}, "404"),
        ({"method": "POST", "path": "/Users/1", "bulkId": "1", "data": {}}, "405"),
        ({"method": "DELETE", "path": "/Users"}, "405"),
        ({"method": "PUT", "path": "/Users", "data": {}}, "405"),
        ({"method": "DELETE", "path": "/Users/nope"}, "404"),
    ],
)
def test_a_path_that_leads_nowhere_has_the_status_of_the_single_request(
    scim: ScimClient, operation: dict[str, Any], status: str
) -> None:
    assert statuses(scim.bulk(operation)) == [status]
    single = scim.request(operation["method"], operation["path"], operation.get("data", {}))
    assert str(single.status) == status


@pytest.mark.rfc("B-03")
@pytest.mark.parametrize(
    "path",
    [
        "/Bulk",
        "/Me",
        "/.search",
        "/Users/.search",
        "http://localhost/scim/v2/Users",
        "//localhost/Users",
        "/Schemas",
        "/",
    ],
)
def test_only_resources_can_be_changed_by_bulk(scim: ScimClient, path: str) -> None:
    result = results(scim.bulk(post("1", new_user(), path)))[0]
    assert result["status"].startswith("4") or result["status"] == "501"
    assert result["response"]["status"] == result["status"]
    assert scim.get("/Users").body["totalResults"] == 0


@pytest.mark.rfc("B-04", "B-05")
def test_every_result_but_a_failed_post_has_a_location(scim: ScimClient) -> None:
    user, goes = scim.user("u"), scim.user()
    scim.user("taken")
    path = f"/Users/{user['id']}"
    answer = scim.bulk(
        {"method": "PUT", "path": path, "data": new_user("taken")},
        {"method": "PATCH", "path": path, "data": patch_op(replace("nope", 1))},
        {"method": "DELETE", "path": "/Users/unknown"},
        {"method": "DELETE", "path": f"/Users/{goes['id']}"},
        {"method": "PUT", "path": path, "data": new_user("u", title="t")},
        post("p", {}),
    )
    assert statuses(answer) == ["409", "400", "404", "204", "200", "400"]
    locations = [result.get("location") for result in results(answer)]
    assert locations[0] == locations[1] == locations[4] == user["meta"]["location"]
    assert locations[2] == f"{scim.base_url}/Users/unknown"
    assert locations[3] == goes["meta"]["location"]
    assert locations[5] is None
    assert results(answer)[4]["version"] == scim.get(path).etag


@pytest.mark.rfc("B-06", "B-07", "EID-7916")
def test_each_status_and_error_is_that_of_the_single_request(scim: ScimClient) -> None:
    user = scim.user()
    scim.user("taken")
    path = f"/Users/{user['id']}"
    singles = [
        ("POST", "/Users", {"schemas": [USER]}),
        ("POST", "/Users", new_user("taken")),
        ("POST", "/Users", {"schemas": [USER], "userName": 5}),
        ("PUT", "/Users/nope", new_user()),
        ("PUT", path, {"schemas": [USER]}),
        ("PATCH", path, patch_op(remove("userName"))),
        ("PATCH", path, {"schemas": [USER]}),
        ("PATCH", path, patch_op(replace('emails[type eq "x"', 1))),
        ("DELETE", "/Groups/nope", None),
    ]
    operations = []
    expected = []
    for number, (method, where, data) in enumerate(singles):
        operations.append({"method": method, "path": where, "bulkId": f"b{number}", "data": data})
        expected.append(scim.request(method, where, data).body)
    answer = scim.bulk(*operations)
    assert [result["response"] for result in results(answer)] == expected
    assert statuses(answer) == [error["status"] for error in expected]


@pytest.mark.rfc("B-08", "B-10")
def test_without_fail_on_errors_everything_is_tried_and_told_in_order(scim: ScimClient) -> None:
    operations = [post(f"b{number}", new_user(f"u{number}") if number % 2 else {}) for number in range(6)]
    answer = scim.bulk(*operations)
    assert statuses(answer) == ["400", "201", "400", "201", "400", "201"]
    assert [result["bulkId"] for result in results(answer)] == [f"b{number}" for number in range(6)]


@pytest.mark.rfc("B-09", "O-25")
def test_fail_on_errors_stops_after_so_many(scim: ScimClient) -> None:
    operations = [post("1", new_user("u1")), post("2", {}), post("3", new_user("u3")), post("4", {})]
    assert statuses(scim.bulk(*operations, failOnErrors=1)) == ["201", "400"]
    assert scim.get("/Users").names() == ["u1"]
    assert statuses(scim.bulk(*operations[1:], failOnErrors=2)) == ["400", "201", "400"]
    assert sorted(scim.get("/Users").names()) == ["u1", "u3"]


@pytest.mark.rfc("B-09")
@pytest.mark.parametrize("wrong", [0, -1, "1", 1.5, True])
def test_fail_on_errors_is_a_positive_integer(scim: ScimClient, wrong: Any) -> None:
    scim.bulk(post("1", new_user()), failOnErrors=wrong).expect(400)
    assert scim.get("/Users").body["totalResults"] == 0


@pytest.mark.rfc("B-11")
def test_a_bulk_id_occurs_once(scim: ScimClient) -> None:
    answer = scim.bulk(post("same", new_user()), post("same", new_user())).expect(400)
    assert answer.body["scimType"] in ("invalidSyntax", "invalidValue")
    assert "same" in answer.detail
    assert scim.get("/Users").body["totalResults"] == 0


@pytest.mark.rfc("B-12")
def test_a_bulk_id_in_data_becomes_the_id(scim: ScimClient) -> None:
    group = new_group("g") | {"members": [{"value": "bulkId:u1", "$ref": "/Users/bulkId:u1"}, {"value": "bulkId:u2"}]}
    answer = scim.bulk(
        post("u1", new_user("u1")),
        post("u2", new_user("u2", enterprise={"manager": {"value": "bulkId:u1"}})),
        post("g", group, "/Groups"),
    )
    assert statuses(answer) == ["201", "201", "201"]
    first, second = scim.get("/Users?sortBy=userName").resources
    assert second[ENTERPRISE]["manager"] == {
        "value": first["id"],
        "$ref": first["meta"]["location"],
        "displayName": "u1",
    }
    members = {member["value"]: member["$ref"] for member in scim.get("/Groups").resources[0]["members"]}
    assert members == {user["id"]: user["meta"]["location"] for user in (first, second)}


@pytest.mark.rfc("B-13")
def test_a_bulk_id_in_a_path_a_patch_value_and_a_filter_becomes_the_id(scim: ScimClient) -> None:
    stays = scim.user("stays")
    answer = scim.bulk(
        post("u", new_user("u")),
        post("g", new_group("g", [stays["id"]]), "/Groups"),
        {"method": "PATCH", "path": "/Groups/bulkId:g", "data": patch_op(add("members", [{"value": "bulkId:u"}]))},
        {"method": "PATCH", "path": "/Users/bulkId:u", "data": patch_op(replace("title", "t"))},
    )
    assert statuses(answer) == ["201", "201", "200", "200"]
    group = scim.get("/Groups").resources[0]
    assert {member["display"] for member in group["members"]} == {"stays", "u"}
    assert results(answer)[2]["location"] == group["meta"]["location"]
    assert scim.find('title eq "t"').names() == ["u"]
    answer = scim.bulk(
        post("v", new_user("v")),
        {"method": "PATCH", "path": f"/Groups/{group['id']}", "data": patch_op(add("members", {"value": "bulkId:v"}))},
        {
            "method": "PATCH",
            "path": f"/Groups/{group['id']}",
            "data": patch_op(remove('members[value eq "bulkId:v"]')),
        },
    )
    assert statuses(answer) == ["201", "200", "200"]
    assert {member["display"] for member in scim.get("/Groups").resources[0]["members"]} == {"stays", "u"}


@pytest.mark.rfc("B-14", "B-10")
def test_a_reference_to_a_later_operation_works(scim: ScimClient) -> None:
    answer = scim.bulk(
        {"method": "PATCH", "path": "/Groups/bulkId:g", "data": patch_op(replace("displayName", "renamed"))},
        post("g", new_group("g") | {"members": [{"value": "bulkId:u"}]}, "/Groups"),
        post("u", new_user("u")),
    )
    assert statuses(answer) == ["200", "201", "201"]
    assert [result.get("bulkId") for result in results(answer)] == [None, "g", "u"]
    group = scim.get("/Groups").resources[0]
    assert group["displayName"] == "renamed"
    assert [member["value"] for member in group["members"]] == scim.get("/Users").ids


@pytest.mark.rfc("B-15")
def test_groups_may_refer_to_each_other_in_a_circle(scim: ScimClient) -> None:
    answer = scim.bulk(
        post("a", new_group("A") | {"members": [{"value": "bulkId:b"}]}, "/Groups"),
        post("b", new_group("B") | {"members": [{"value": "bulkId:a"}]}, "/Groups"),
    )
    assert statuses(answer) == ["201", "201"]
    groups = {group["displayName"]: group for group in scim.get("/Groups").resources}
    assert [member["value"] for member in groups["A"]["members"]] == [groups["B"]["id"]]
    assert [member["value"] for member in groups["B"]["members"]] == [groups["A"]["id"]]
    versions = {result["bulkId"]: result["version"] for result in results(answer)}
    assert versions == {"a": groups["A"]["meta"]["version"], "b": groups["B"]["meta"]["version"]}


@pytest.mark.rfc("B-15")
def test_managers_may_refer_to_each_other_in_a_circle(scim: ScimClient) -> None:
    answer = scim.bulk(
        post("a", new_user("a", enterprise={"manager": {"value": "bulkId:b"}})),
        post("b", new_user("b", enterprise={"manager": {"value": "bulkId:c"}})),
        post("c", new_user("c", enterprise={"manager": {"value": "bulkId:a"}})),
    )
    assert statuses(answer) == ["201", "201", "201"]
    managers = {user["userName"]: user[ENTERPRISE]["manager"]["displayName"] for user in scim.get("/Users").resources}
    assert managers == {"a": "b", "b": "c", "c": "a"}


@pytest.mark.rfc("B-15")
def test_a_long_chain_of_references_is_no_recursion(scim: ScimClient) -> None:
    length = 400
    groups = [new_group(f"G{number}") | {"members": [{"value": f"bulkId:g{number + 1}"}]} for number in range(length)]
    groups.append(new_group("last"))
    operations = [post(f"g{number}", group, "/Groups") for number, group in enumerate(groups)]
    assert set(statuses(scim.bulk(*operations))) == {"201"}
    assert scim.find("members pr", "/Groups").body["totalResults"] == length


@pytest.mark.rfc("B-16")
def test_an_unknown_bulk_id_is_refused_and_one_that_failed_is_a_conflict(scim: ScimClient) -> None:
    scim.user("taken")
    answer = scim.bulk(
        post("x", new_group("x") | {"members": [{"value": "bulkId:nope"}]}, "/Groups"),
        post("bad", new_user("taken")),
        post("y", new_group("y") | {"members": [{"value": "bulkId:bad"}]}, "/Groups"),
        {"method": "DELETE", "path": "/Users/bulkId:bad"},
    )
    assert statuses(answer) == ["400", "409", "409", "409"]
    assert results(answer)[0]["response"]["scimType"] == "invalidValue"
    assert "nope" in results(answer)[0]["response"]["detail"]
    assert scim.get("/Groups").body["totalResults"] == 0
    assert b"bulkId:" not in scim.get("/").raw


@pytest.mark.rfc("B-17", "R-11")
def test_too_many_operations_are_413_and_none_runs(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim(bulk_max_operations=3)
    operations = [post(str(number), new_user()) for number in range(4)]
    assert "3" in scim.bulk(*operations).expect(413).detail
    assert scim.get("/Users").body["totalResults"] == 0
    assert statuses(scim.bulk(*operations[:3])) == ["201", "201", "201"]


@pytest.mark.rfc("B-18", "R-11", "T-09")
def test_too_large_a_payload_is_413_before_it_is_parsed(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim(bulk_max_payload=2048, max_body=4096)
    assert "2048" in scim.post("/Bulk", data="[" * 2049).expect(413).detail
    assert "maxPayloadSize" in scim.bulk(post("1", new_user(title="x" * 2048))).expect(413).detail
    assert scim.get("/Users").body["totalResults"] == 0
    assert statuses(scim.bulk(post("1", new_user(title="x" * 1024)))) == ["201"]
    # A single request has a limit of its own.
    scim.user(title="x" * 3000)


@pytest.mark.rfc("B-19", "E-06")
def test_version_is_the_precondition(scim: ScimClient) -> None:
    user = scim.user("u")
    path = f"/Users/{user['id']}"
    current = scim.patch(path, [replace("title", "t")]).etag
    stale = user["meta"]["version"]
    answer = scim.bulk(
        {"method": "PUT", "path": path, "version": stale, "data": new_user("u", title="stale")},
        {"method": "PATCH", "path": path, "version": stale, "data": patch_op(replace("title", "stale"))},
        {"method": "DELETE", "path": path, "version": stale},
        {"method": "PATCH", "path": path, "version": current, "data": patch_op(replace("title", "fresh"))},
    )
    assert statuses(answer) == ["412", "412", "412", "200"]
    assert scim.get(path).body["title"] == "fresh"


@pytest.mark.rfc("B-20", "R-03")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"schemas": [BULK_REQUEST]},
        {"schemas": [BULK_REQUEST], "Operations": []},
        {"schemas": [BULK_REQUEST], "Operations": {}},
        {"schemas": [BULK_REQUEST], "Operations": ["x"]},
        {"schemas": [USER], "Operations": [{"method": "DELETE", "path": "/Users/x"}]},
        {"Operations": [{"method": "DELETE", "path": "/Users/x"}]},
    ],
    ids=["empty", "no operations", "none", "object", "text", "other schema", "no schema"],
)
def test_a_fault_of_the_envelope_is_400_for_the_whole(scim: ScimClient, body: dict[str, Any]) -> None:
    scim.post("/Bulk", body).expect(400, "invalidSyntax")


@pytest.mark.rfc("B-20", "R-09")
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_bulk_is_posted(scim: ScimClient, method: str) -> None:
    answer = scim.request(method, "/Bulk").expect(405)
    assert {word.strip() for word in answer.headers["Allow"].split(",")} == {"POST", "OPTIONS"}


@pytest.mark.rfc("B-21", "A-03")
def test_what_a_token_may_do_is_asked_for_each_operation(scim: ScimClient, issue_token: Callable[..., str]) -> None:
    user = scim.user()
    reader = scim.with_token(issue_token(scim, "read"))
    answer = reader.bulk(post("1", new_user()), {"method": "DELETE", "path": f"/Users/{user['id']}"})
    assert statuses(answer) == ["403", "403"]
    assert scim.get("/Users").ids == [user["id"]]
    writer = scim.with_token(issue_token(scim, "write"))
    assert statuses(writer.bulk({"method": "DELETE", "path": f"/Users/{user['id']}"})) == ["204"]


@pytest.mark.rfc("B-22")
def test_an_operation_is_atomic_and_the_job_is_not(scim: ScimClient) -> None:
    user, group = scim.user("u"), scim.group("g")
    path = f"/Users/{user['id']}"
    half = patch_op(replace("title", "half"), replace("nope.nope", 1))
    members = patch_op(add("members", [{"value": user["id"]}]), remove("displayName"))
    answer = scim.bulk(
        {"method": "PATCH", "path": path, "data": patch_op(replace("nickName", "kept"))},
        {"method": "PATCH", "path": path, "data": half},
        {"method": "PATCH", "path": f"/Groups/{group['id']}", "data": members},
    )
    assert statuses(answer) == ["200", "400", "400"]
    after = scim.get(path).body
    assert after["nickName"] == "kept"
    assert "title" not in after
    assert "groups" not in after
    assert scim.get(f"/Groups/{group['id']}").body == group
