"""The messages of the protocol: which shapes are read, what is refused and how, what answers look like."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from scim_gateway.errors import (
    InvalidPath,
    InvalidSyntax,
    InvalidValue,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    ScimError,
    Unavailable,
    Uniqueness,
)
from scim_gateway.messages import (
    BULK_REQUEST,
    ERROR,
    LIST_RESPONSE,
    PATCH_OP,
    SEARCH_REQUEST,
    BulkOperation,
    PatchOperation,
    error_body,
    list_response,
    read_bulk,
    read_patch,
    read_search,
)
from scim_gateway.profile import ENTRA, LENIENT, OKTA, PROFILES, STRICT, Profile
from scim_gateway.schema import CORE_USER
from scim_gateway.search import Search


def patch(*operations: Any, **members: Any) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": list(operations), **members}


def search(**members: Any) -> dict[str, Any]:
    return {"schemas": [SEARCH_REQUEST], **members}


def bulk(*operations: Any, **members: Any) -> dict[str, Any]:
    return {"schemas": [BULK_REQUEST], "Operations": list(operations), **members}


# -- PatchOp ----------------------------------------------------------------------------------------------------------


def test_operations_of_a_patch_are_read_in_order() -> None:
    body = patch(
        {"op": "add", "path": "title", "value": "x"},
        {"op": "replace", "value": {"active": False}},
        {"op": "remove", "path": "members", "value": None},
        {"op": "remove", "path": ""},
    )
    assert read_patch(body, STRICT) == (
        PatchOperation("add", "title", "x", True),
        PatchOperation("replace", None, {"active": False}, True),
        PatchOperation("remove", "members", None, True),
        PatchOperation("remove", None, None, False),
    )


@pytest.mark.parametrize(
    "body",
    [
        {"Operations": [{"op": "add"}], "schemas": [SEARCH_REQUEST]},
        {"Operations": [{"op": "add"}], "schemas": [CORE_USER]},
        {"schemas": [PATCH_OP]},
        patch(),
        patch(Operations={"op": "add", "path": "title", "value": "x"}),
        patch(Operations=None),
        patch("add"),
        patch(None),
        patch({"op": "move", "path": "title"}),
        patch({"path": "title", "value": "x"}),
        patch({"op": None, "path": "title"}),
        patch({"op": 5}),
        patch({"op": ["add"]}),
        patch({"op": "add", "value": 1}, {"op": "addd", "value": 1}),
    ],
    ids=repr,
)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_what_has_not_the_shape_of_a_patch_is_a_syntax_error(body: dict[str, Any], profile: Profile) -> None:
    with pytest.raises(InvalidSyntax):
        read_patch(body, profile)


def test_a_path_is_a_text() -> None:
    with pytest.raises(InvalidPath, match="Operation 2: path has to be a string, not a number"):
        read_patch(patch({"op": "remove", "path": "title"}, {"op": "remove", "path": 5}), LENIENT)


def test_missing_or_odd_schemas_of_a_patch_are_overlooked_where_the_profile_allows_it() -> None:
    operation = {"op": "add", "path": "title", "value": "x"}
    for body in (
        {"Operations": [operation]},
        patch(operation, schemas=["urn:scim:api:PatchOp"]),
        patch(operation, schemas=[]),
    ):
        with pytest.raises(InvalidSyntax, match="schemas has to be"):
            read_patch(body, STRICT)
        for profile in (LENIENT, OKTA, ENTRA):
            assert len(read_patch(body, profile)) == 1


def test_op_and_member_names_are_read_in_any_letter_case_where_the_profile_allows_it() -> None:
    body = {"SCHEMAS": [PATCH_OP.upper()], "operations": [{"OP": "Replace", "Path": "active", "VALUE": "False"}]}
    for profile in (LENIENT, ENTRA):
        assert read_patch(body, profile) == (PatchOperation("replace", "active", "False", True),)
    with pytest.raises(InvalidSyntax):
        read_patch(body, STRICT)
    with pytest.raises(InvalidSyntax, match="op has to be add, remove or replace"):
        read_patch(patch({"op": "Replace", "path": "active", "value": False}), STRICT)


def test_unknown_members_are_ignored_or_refused() -> None:
    body = patch({"op": "add", "path": "title", "value": "x", "name": "addMember"}, id="1")
    assert read_patch(body, LENIENT) == (PatchOperation("add", "title", "x", True),)
    with pytest.raises(InvalidSyntax, match="id is no member of this message"):
        read_patch(body, STRICT)


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_a_message_is_an_object(body: Any) -> None:
    for reading in (read_patch, read_search, lambda body, profile: read_bulk(body, profile, 10)):
        with pytest.raises(InvalidSyntax, match="has to be a JSON object"):
            reading(body, LENIENT)


# -- SearchRequest ----------------------------------------------------------------------------------------------------


def test_a_search_request_is_read_with_all_its_members() -> None:
    body = search(
        attributes=["userName", "emails.value"],
        excludedAttributes=["title"],
        filter='userName eq "a"',
        sortBy="userName",
        sortOrder="descending",
        startIndex=-5,
        count=0,
        cursor="",
    )
    assert read_search(body, STRICT) == Search(
        filter='userName eq "a"',
        sort_by="userName",
        sort_order="descending",
        start_index=-5,
        count=0,
        cursor="",
        attributes=("userName", "emails.value"),
        excluded_attributes=("title",),
    )


def test_what_a_search_request_leaves_out_or_sends_as_null_is_not_given() -> None:
    assert read_search(search(), STRICT) == Search()
    assert read_search(search(filter=None, count=None, attributes=None), STRICT) == Search()


def test_what_a_search_request_sends_empty_is_not_given_unless_it_means_something() -> None:
    body = search(attributes=[], excludedAttributes=[], sortBy="", sortOrder="", filter="", cursor="", count=0)
    assert read_search(body, STRICT) == Search(filter="", cursor="", count=0)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("schemas", [None, [], [PATCH_OP], [CORE_USER], SEARCH_REQUEST])
def test_a_search_request_says_that_it_is_one(schemas: Any, profile: Profile) -> None:
    with pytest.raises(InvalidSyntax, match="schemas has to be"):
        read_search({"schemas": schemas}, profile)
    with pytest.raises(InvalidSyntax, match="schemas has to be"):
        read_search({}, profile)


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("count", "2", "count has to be an integer, not a string."),
        ("count", 1.0, "count has to be an integer."),
        ("count", True, "count has to be an integer, not a boolean."),
        ("startIndex", [1], "startIndex has to be an integer, not an array."),
        ("filter", 5, "filter has to be a string, not a number."),
        ("sortBy", ["userName"], "sortBy has to be a string, not an array."),
        ("sortOrder", {}, "sortOrder has to be a string, not an object."),
        ("cursor", 5, "cursor has to be a string, not a number."),
        ("attributes", [5], "attributes has to be an array of strings."),
        ("excludedAttributes", {"a": 1}, "excludedAttributes has to be an array of strings."),
    ],
)
@pytest.mark.parametrize("profile", [STRICT, LENIENT], ids=["strict", "lenient"])
def test_a_member_of_the_wrong_type_is_an_invalid_value(
    member: str, value: Any, message: str, profile: Profile
) -> None:
    with pytest.raises(InvalidValue) as error:
        read_search(search(**{member: value}), profile)
    assert error.value.detail == message


def test_a_comma_list_of_attributes_is_lifted_where_the_profile_allows_it() -> None:
    assert read_search(search(attributes="userName, emails"), LENIENT).attributes == ("userName", "emails")
    with pytest.raises(InvalidValue, match="attributes has to be an array of strings"):
        read_search(search(attributes="userName"), STRICT)


# -- BulkRequest ------------------------------------------------------------------------------------------------------


def test_operations_of_a_bulk_request_are_read_in_order() -> None:
    data = {"schemas": [CORE_USER], "userName": "a"}
    read = read_bulk(
        bulk(
            {"method": "POST", "path": "/Users", "bulkId": "u1", "data": data},
            {"method": "PATCH", "path": "/Users/1", "version": 'W/"2"', "data": {}},
            {"method": "DELETE", "path": "/Users/2"},
            failOnErrors=1,
        ),
        STRICT,
        10,
    )
    assert read.fail_on_errors == 1
    assert read.operations == (
        BulkOperation("POST", "/Users", "u1", None, data),
        BulkOperation("PATCH", "/Users/1", None, 'W/"2"', {}),
        BulkOperation("DELETE", "/Users/2"),
    )


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"schemas": [BULK_REQUEST]},
        bulk(),
        bulk(Operations={}),
        bulk("x"),
        bulk({}, schemas=[PATCH_OP]),
        bulk({}, schemas=[]),
    ],
    ids=repr,
)
def test_what_has_not_the_shape_of_a_bulk_request_is_a_syntax_error(body: dict[str, Any], profile: Profile) -> None:
    with pytest.raises(InvalidSyntax):
        read_bulk(body, profile, 10)


@pytest.mark.parametrize("number", [0, -1, "1", 1.5, True])
def test_fail_on_errors_is_a_positive_integer(number: Any) -> None:
    with pytest.raises(InvalidValue, match="failOnErrors"):
        read_bulk(bulk({"method": "DELETE", "path": "/Users/1"}, failOnErrors=number), LENIENT, 10)


def test_too_many_operations_are_refused_with_the_limit() -> None:
    operation = {"method": "DELETE", "path": "/Users/1"}
    assert len(read_bulk(bulk(*[operation] * 3), STRICT, 3).operations) == 3
    with pytest.raises(PayloadTooLarge, match="has 4 operations; at most 3 are allowed"):
        read_bulk(bulk(*[operation] * 4), STRICT, 3)


def test_a_bulk_id_occurs_once() -> None:
    operation = {"method": "POST", "path": "/Users", "bulkId": "u1", "data": {}}
    with pytest.raises(InvalidValue, match="The bulkId u1 occurs twice"):
        read_bulk(bulk(operation, operation), STRICT, 10)


@pytest.mark.parametrize(
    ("operation", "error", "message"),
    [
        ({"method": "GET", "path": "/Users/1"}, MethodNotAllowed, "method has to be POST, PUT, PATCH or DELETE"),
        ({"path": "/Users/1"}, InvalidSyntax, "needs method and path"),
        ({"method": "DELETE"}, InvalidSyntax, "needs method and path"),
        ({"method": "POST", "path": "/Users", "data": {}}, InvalidSyntax, "a POST needs a bulkId"),
        ({"method": "POST", "path": "/Users", "bulkId": "a"}, InvalidSyntax, "a POST needs data, an object"),
        ({"method": "PUT", "path": "/Users/1", "data": []}, InvalidSyntax, "a PUT needs data, an object"),
        ({"method": "PATCH", "path": "/Users/1", "data": None}, InvalidSyntax, "a PATCH needs data, an object"),
        ({"method": "DELETE", "path": 5}, InvalidValue, "path has to be a string, not a number"),
        ({"method": "DELETE", "path": "/Users/1", "bulkId": 5}, InvalidValue, "bulkId has to be a string"),
    ],
)
def test_a_fault_in_one_operation_is_told_there_and_stops_no_other(
    operation: dict[str, Any], error: type[ScimError], message: str
) -> None:
    good = {"method": "DELETE", "path": "/Users/2"}
    first, second = read_bulk(bulk(operation, good), LENIENT, 10).operations
    assert type(first.error) is error
    assert first.error is not None
    assert message in first.error.detail
    assert (second.path, second.error) == ("/Users/2", None)


def test_a_faulty_operation_keeps_what_its_result_needs() -> None:
    (operation,) = read_bulk(
        bulk({"method": "POST", "path": "/Users", "bulkId": "u1", "nope": 1}), STRICT, 10
    ).operations
    assert (operation.method, operation.path, operation.bulk_id) == ("POST", "/Users", "u1")
    assert isinstance(operation.error, InvalidSyntax)


def test_methods_are_read_in_any_letter_case_where_the_profile_allows_it() -> None:
    body = bulk({"method": "delete", "path": "/Users/1"})
    assert read_bulk(body, LENIENT, 10).operations[0].method == "DELETE"
    assert isinstance(read_bulk(body, STRICT, 10).operations[0].error, MethodNotAllowed)


# -- answers ----------------------------------------------------------------------------------------------------------


def test_a_page_by_index_says_where_it_starts_and_what_it_holds() -> None:
    assert list_response([{"id": "1"}], 5, start_index=5) == {
        "schemas": [LIST_RESPONSE],
        "totalResults": 5,
        "itemsPerPage": 1,
        "startIndex": 5,
        "Resources": [{"id": "1"}],
    }


def test_a_page_by_cursor_leads_to_the_next() -> None:
    page = list_response([{"id": "1"}], 5, next_cursor="n")
    assert (page["nextCursor"], "startIndex" in page) == ("n", False)
    assert "nextCursor" not in list_response([], 5)


def test_an_empty_page_still_has_its_resources() -> None:
    assert list_response([], 0, start_index=1)["Resources"] == []


@pytest.mark.parametrize(
    ("error", "body"),
    [
        (Uniqueness("taken"), {"status": "409", "scimType": "uniqueness", "detail": "taken"}),
        (NotFound("gone"), {"status": "404", "detail": "gone"}),
        (Unavailable("later"), {"status": "503", "detail": "later"}),
    ],
)
def test_an_error_tells_its_status_as_text_and_its_type_if_it_has_one(error: ScimError, body: dict[str, str]) -> None:
    assert error_body(error) == {"schemas": [ERROR], **body}
    assert orjson.loads(orjson.dumps(error_body(error))) == error_body(error)
