"""Bulk requests (RFC 7644 §3.7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from core_client import (
    BASE,
    BULK,
    ENTERPRISE,
    ERROR,
    GROUP,
    PATCH_OP,
    USER,
    Core,
    path_of,
)

from scim_gateway.abilities import MembershipHandler
from scim_gateway.schema import Resource

RESPONSE = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"


def post_user(name: str, **attributes: Any) -> dict[str, Any]:
    data = {"schemas": [USER], "userName": name, **attributes}
    return {"method": "POST", "path": "/Users", "bulkId": name, "data": data}


def post_group(name: str, *members: str, **attributes: Any) -> dict[str, Any]:
    elements = [{"value": member} for member in members]
    data = {"schemas": [GROUP], "displayName": name, "members": elements, **attributes}
    return {"method": "POST", "path": "/Groups", "bulkId": name, "data": data}


def patch(path: str, *operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"method": "PATCH", "path": path, "data": {"schemas": [PATCH_OP], "Operations": list(operations)}, **more}


def run(core: Core, *operations: Any, **members: Any) -> list[dict[str, Any]]:
    body = {"schemas": [BULK], "Operations": list(operations), **members}
    answer = core.json("POST", "/Bulk", body)
    assert answer["schemas"] == [RESPONSE]
    results: list[dict[str, Any]] = answer["Operations"]
    for result in results:
        assert isinstance(result["status"], str)
        failed = not result["status"].startswith("2")
        assert ("response" in result) == failed
        if failed:
            assert result["response"]["schemas"] == [ERROR]
            assert result["response"]["status"] == result["status"]
    return results


def statuses(results: list[dict[str, Any]]) -> list[str]:
    return [result["status"] for result in results]


def at(core: Core, result: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = core.json("GET", result["location"].removeprefix(BASE))
    return found


def members_at(core: Core, result: dict[str, Any]) -> set[str]:
    return {element["value"] for element in at(core, result).get("members", ())}


def id_in(result: dict[str, Any]) -> str:
    location: str = result["location"]
    return location.rpartition("/")[2]


# Single operations


def test_each_operation_comes_to_what_it_would_alone(core: Core) -> None:
    user, other, third = core.user("a"), core.user("b"), core.user("c")
    results = run(
        core,
        post_user("d"),
        {"method": "PUT", "path": path_of(user), "data": {"schemas": [USER], "userName": "a", "title": "t"}},
        patch(path_of(other), {"op": "replace", "value": {"active": False}}),
        {"method": "DELETE", "path": path_of(third)},
    )
    assert statuses(results) == ["201", "200", "200", "204"]
    assert results[0] == {
        "method": "POST",
        "bulkId": "d",
        "location": at(core, results[0])["meta"]["location"],
        "version": 'W/"1"',
        "status": "201",
    }
    assert results[1]["location"] == user["meta"]["location"]
    assert results[1]["version"] == core.get(user)["meta"]["version"] == 'W/"2"'
    assert core.get(other)["active"] is False
    assert results[3]["location"] == third["meta"]["location"]
    assert core.refused("GET", path_of(third)) == (404, None)


def test_one_failure_stops_no_other(core: Core) -> None:
    core.user("a")
    results = run(core, post_user("A"), post_user("b"), {"method": "DELETE", "path": "/Users/nope"})
    assert statuses(results) == ["409", "201", "404"]
    assert results[0]["response"]["scimType"] == "uniqueness"
    assert "location" not in results[0]
    assert results[2]["location"] == f"{BASE}/Users/nope"


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"method": "GET", "path": "/Users"}, "405"),
        ({"method": "POST", "path": "/Users", "data": {"userName": "x"}}, "400"),
        ({"method": "POST", "path": "/Users", "bulkId": "x"}, "400"),
        ({"method": "POST", "bulkId": "x", "data": {}}, "400"),
        ({"method": "PUT", "path": "/Users", "data": {}}, "405"),
        ({"method": "POST", "path": "/Users/1", "bulkId": "x", "data": {}}, "405"),
        ({"method": "POST", "path": "/Nope", "bulkId": "x", "data": {}}, "404"),
        ({"method": "POST", "path": "/v9/Users", "bulkId": "x", "data": {}}, "400"),
        ({"method": "POST", "path": "/Bulk", "bulkId": "x", "data": {}}, "400"),
        ({"method": "POST", "path": "/Users/.search", "bulkId": "x", "data": {}}, "400"),
        ({"method": "POST", "path": "/.search", "bulkId": "x", "data": {}}, "400"),
        ({"method": "DELETE", "path": "/Me"}, "400"),
        ({"method": "DELETE", "path": "https://scim.example/scim/v2/Users/1"}, "404"),
        ({"method": "DELETE", "path": "/Users?filter=x"}, "404"),
        ({"method": "DELETE", "path": "/Schemas/x"}, "405"),
        ({"method": "POST", "path": "/Users", "bulkId": 5, "data": {}}, "400"),
    ],
)
def test_an_operation_that_makes_no_sense_fails_alone(core: Core, operation: dict[str, Any], status: str) -> None:
    assert statuses(run(core, operation, post_user("fine"))) == [status, "201"]


def test_a_defect_in_one_operation_stops_no_other_and_is_for_the_log(
    core: Core, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    users = core.backend.handlers["User"]
    create = users.create

    def create_with_a_defect(resource: Resource) -> None:
        if resource["userName"] == "bob":
            raise RuntimeError("SELECT secret")
        create(resource)

    monkeypatch.setattr(users, "create", create_with_a_defect)
    ada, bob, eve = run(core, post_user("ada"), post_user("bob", password="correct horse"), post_user("eve"))
    assert statuses([ada, bob, eve]) == ["201", "500", "201"]
    assert "SELECT" not in str(bob)
    assert "RuntimeError: SELECT secret" in caplog.text
    assert "correct horse" not in caplog.text


def test_what_a_defect_keeps_from_being_completed_is_taken_back(
    core: Core, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    groups = core.backend.handlers["Group"]
    way = "change_members" if isinstance(groups, MembershipHandler) else "modify"
    change = getattr(groups, way)

    def defect_once(*states: Any) -> None:
        monkeypatch.setattr(groups, way, change)
        raise RuntimeError("SELECT secret")

    monkeypatch.setattr(groups, way, defect_once)
    results = run(core, post_group("one", "bulkId:two"), post_group("two", "bulkId:one"))
    assert sorted(statuses(results)) == ["201", "500"]
    assert "RuntimeError: SELECT secret" in caplog.text
    assert core.json("GET", "/Groups")["totalResults"] == 1


def test_a_failed_operation_leaves_nothing_half_done(core: Core) -> None:
    user = core.user("a")
    operations = [{"op": "replace", "path": "title", "value": "t"}, {"op": "replace", "path": "nope", "value": 1}]
    assert statuses(run(core, patch(path_of(user), *operations), post_user("b"))) == ["400", "201"]
    assert core.get(user) == user


def test_a_version_is_a_precondition(core: Core) -> None:
    user = core.user("a")
    stale = patch(path_of(user), {"op": "replace", "path": "title", "value": "t"}, version='W/"0"')
    fresh = {**stale, "version": user["meta"]["version"]}
    results = run(core, stale, fresh)
    assert statuses(results) == ["412", "200"]
    assert results[0]["location"] == user["meta"]["location"]


def test_no_password_comes_back(core: Core) -> None:
    results = run(core, post_user("a", password="correct horse"), post_user("b", password="short"))
    assert statuses(results) == ["201", "400"]
    assert 'short"' not in str(results)
    assert "correct horse" not in str(results)


# The request as a whole


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ({"Operations": [{"method": "DELETE", "path": "/Users/1"}]}, "invalidSyntax"),
        ({"schemas": [BULK]}, "invalidSyntax"),
        ({"schemas": [BULK], "Operations": []}, "invalidSyntax"),
        ({"schemas": [BULK], "Operations": [5]}, "invalidSyntax"),
        (
            {"schemas": [BULK], "failOnErrors": 0, "Operations": [{"method": "DELETE", "path": "/Users/1"}]},
            "invalidValue",
        ),
        ({"schemas": [BULK], "failOnErrors": "1", "Operations": [{"method": "DELETE", "path": "/x"}]}, "invalidValue"),
        ({"schemas": [BULK], "Operations": [post_user("a"), post_user("a")]}, "invalidValue"),
    ],
)
def test_a_request_that_is_none_is_refused_as_a_whole(core: Core, body: dict[str, Any], scim_type: str) -> None:
    assert core.refused("POST", "/Bulk", body) == (400, scim_type)
    assert core.json("GET", "/Users")["totalResults"] == 0


def test_too_many_operations_are_refused_and_none_is_run(core: Core) -> None:
    core = Core(core.backend, replace(core.settings, bulk_max_operations=2))
    body = {"schemas": [BULK], "Operations": [post_user(name) for name in "abc"]}
    response = core.send("POST", "/Bulk", body)
    assert response.status == 413
    assert b"2" in response.body
    assert core.json("GET", "/Users")["totalResults"] == 0
    assert statuses(run(core, *body["Operations"][:2])) == ["201", "201"]


@pytest.mark.parametrize(("limit", "expected"), [(1, ["201", "404"]), (2, ["201", "404", "201", "404"]), (3, None)])
def test_after_so_many_errors_nothing_more_is_run(core: Core, limit: int, expected: list[str] | None) -> None:
    bad = {"method": "DELETE", "path": "/Users/nope"}
    operations = [post_user("a"), bad, post_user("b"), bad, post_user("c")]
    results = run(core, *operations, failOnErrors=limit)
    assert statuses(results) == (expected or ["201", "404", "201", "404", "201"])
    assert core.json("GET", "/Users")["totalResults"] == statuses(results).count("201")


# References between operations


@pytest.mark.parametrize("turned", [False, True])
def test_operations_refer_to_each_other_in_any_order(core: Core, turned: bool) -> None:
    operations = [
        post_user("boss"),
        post_user("a", **{ENTERPRISE: {"manager": {"value": "bulkId:boss"}}}),
        post_group("inner", "bulkId:a"),
        post_group("outer", "bulkId:inner", "bulkId:boss"),
    ]
    if turned:
        operations.reverse()
    results = {result["bulkId"]: result for result in run(core, *operations)}
    assert list(results) == [operation["bulkId"] for operation in operations]
    assert statuses(list(results.values())) == ["201"] * 4
    ids = {name: id_in(result) for name, result in results.items()}
    user = at(core, results["a"])
    assert user[ENTERPRISE]["manager"]["value"] == ids["boss"]
    assert {group["display"]: group["type"] for group in user["groups"]} == {"inner": "direct", "outer": "indirect"}
    assert members_at(core, results["outer"]) == {ids["inner"], ids["boss"]}
    assert at(core, results["outer"])["members"][0]["$ref"].startswith(BASE)


def test_a_new_resource_can_be_named_in_paths_values_and_filters(core: Core) -> None:
    old = core.user("old")
    group = core.group("g", old)
    results = run(
        core,
        patch(
            path_of(group), {"op": "add", "path": "members", "value": [{"value": "bulkId:a"}, {"value": "bulkId:b"}]}
        ),
        patch(path_of(group), {"op": "remove", "path": 'members[value eq "bulkId:b"]'}),
        patch("/Users/bulkId:a", {"op": "replace", "path": "title", "value": "t"}),
        post_user("a"),
        post_user("b"),
    )
    assert statuses(results) == ["200", "200", "200", "201", "201"]
    assert core.members(group) == {old["id"], id_in(results[3])}
    assert at(core, results[3])["title"] == "t"
    assert results[2]["location"] == results[3]["location"]


def test_a_delete_that_frees_a_name_stays_before_the_post_that_takes_it(core: Core) -> None:
    old = core.user("a")
    results = run(core, post_group("g", "bulkId:a"), {"method": "DELETE", "path": path_of(old)}, post_user("a"))
    assert statuses(results) == ["201", "204", "201"]
    assert members_at(core, results[0]) == {id_in(results[2])}


def test_what_refers_to_nothing_fails(core: Core) -> None:
    results = run(
        core,
        post_group("g", "bulkId:nope"),
        patch("/Users/bulkId:nope", {"op": "replace", "path": "title", "value": "t"}),
    )
    assert statuses(results) == ["400", "400"]
    assert results[0]["response"]["scimType"] == "invalidValue"
    assert "location" not in results[1]
    assert core.json("GET", "/Groups")["totalResults"] == 0


def test_what_refers_to_a_failed_operation_fails_and_so_on(core: Core) -> None:
    core.user("a")
    results = run(core, post_group("outer", "bulkId:g"), post_group("g", "bulkId:a"), post_user("a"), post_user("b"))
    assert statuses(results) == ["409", "409", "409", "201"]
    assert "scimType" not in results[0]["response"]
    assert core.json("GET", "/Groups")["totalResults"] == 0


def test_groups_can_hold_each_other(core: Core) -> None:
    results = run(core, post_group("A", "bulkId:B"), post_group("B", "bulkId:A"))
    assert statuses(results) == ["201", "201"]
    assert members_at(core, results[0]) == {id_in(results[1])}
    assert members_at(core, results[1]) == {id_in(results[0])}
    for result in results:
        assert result["version"] == at(core, result)["meta"]["version"]


def test_a_longer_circle_and_what_hangs_on_it(core: Core) -> None:
    results = run(
        core,
        post_group("hanger", "bulkId:A"),
        post_group("A", "bulkId:B", "bulkId:u"),
        post_group("B", "bulkId:C"),
        post_group("C", "bulkId:A", "bulkId:C"),
        post_user("u"),
    )
    assert statuses(results) == ["201"] * 5
    hanger, a, b, c, u = (id_in(result) for result in results)
    assert [members_at(core, result) for result in results[:4]] == [{a}, {b, u}, {c}, {a, c}]
    assert hanger not in (a, b, c)


def test_people_can_be_each_others_managers(core: Core) -> None:
    results = run(
        core,
        post_user("a", **{ENTERPRISE: {"manager": {"value": "bulkId:b"}}}),
        post_user("b", **{ENTERPRISE: {"manager": {"value": "bulkId:a"}, "department": "D"}}),
    )
    assert statuses(results) == ["201", "201"]
    assert at(core, results[0])[ENTERPRISE]["manager"]["value"] == id_in(results[1])
    assert at(core, results[1])[ENTERPRISE]["manager"]["value"] == id_in(results[0])


def test_a_circle_of_which_one_cannot_be_made_is_given_up(core: Core) -> None:
    core.group("B")
    results = run(core, post_group("A", "bulkId:B"), post_group("B", "bulkId:A"), post_user("u"))
    assert statuses(results) == ["409", "409", "201"]
    assert core.json("GET", "/Groups")["totalResults"] == 1


def test_a_circle_through_what_is_required_is_impossible(core: Core) -> None:
    results = run(
        core,
        {**post_user("a"), "data": {"schemas": [USER], "userName": "bulkId:b"}},
        {**post_user("b"), "data": {"schemas": [USER], "userName": "bulkId:a"}},
    )
    assert statuses(results) == ["409", "409"]
    assert core.json("GET", "/Users")["totalResults"] == 0


def test_a_long_chain_is_no_problem(core: Core) -> None:
    size = 300
    operations = [post_group(f"g{index}", f"bulkId:g{index + 1}") for index in range(size - 1)]
    results = run(core, *operations, post_group(f"g{size - 1}"))
    assert set(statuses(results)) == {"201"}
    assert members_at(core, results[0]) == {id_in(results[1])}


def test_a_text_that_only_looks_like_a_reference_stays(core: Core) -> None:
    results = run(core, post_user("a", displayName="see bulkId:b", title="bulkId: c"))
    assert statuses(results) == ["201"]
    assert at(core, results[0])["displayName"] == "see bulkId:b"
