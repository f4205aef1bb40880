"""Lists, paging by index, sorting, projection and search: RFC 7644 §3.4.2, §3.4.3, §3.9 (chapter Q)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from declared import BADGE
from scim_http import ENTERPRISE, GROUP, LIST_RESPONSE, SEARCH_REQUEST, USER, ScimClient, add, new_user, replace


def fill(scim: ScimClient, count: int) -> list[str]:
    """Ids of new users in the order without sortBy: by creation, and by id within a millisecond."""
    users = [scim.user(f"u{number:03}", title=f"t{number % 3}") for number in range(count)]
    return [user["id"] for user in sorted(users, key=lambda user: (user["meta"]["created"], user["id"]))]


# The list response


@pytest.mark.rfc("Q-01", "Q-03", "Q-08")
def test_a_list_counts_all_matches_and_what_it_holds(scim: ScimClient) -> None:
    fill(scim, 5)
    body = scim.get("/Users?count=2").expect(200).body
    assert body["schemas"] == [LIST_RESPONSE]
    assert (body["totalResults"], body["itemsPerPage"], body["startIndex"]) == (5, 2, 1)
    assert len(body["Resources"]) == 2
    for member in ("totalResults", "itemsPerPage", "startIndex"):
        assert type(body[member]) is int
    last = scim.get("/Users?count=2&startIndex=5").body
    assert (last["totalResults"], last["itemsPerPage"], last["startIndex"]) == (5, 1, 5)


@pytest.mark.rfc("Q-02")
@pytest.mark.parametrize("path", ["/Users", "/Groups", "/"])
def test_no_match_is_200_with_an_empty_list(scim: ScimClient, path: str) -> None:
    body = scim.find('displayName eq "nobody"', path).body
    assert (body["totalResults"], body["itemsPerPage"], body["Resources"]) == (0, 0, [])


@pytest.mark.rfc("Q-04", "E-02")
def test_an_item_is_what_get_answers(scim: ScimClient) -> None:
    boss = scim.user()
    user = scim.user(title="t", enterprise={"department": "d", "manager": {"value": boss["id"]}})
    group = scim.group(members=[user["id"]])
    scim.group(members=[group["id"]])
    for path in ("/Users", "/Groups", "/"):
        items = scim.get(path).resources
        assert items
        for item in items:
            assert scim.get(item["meta"]["location"]).expect(200).body == item


@pytest.mark.rfc("Q-05")
@pytest.mark.parametrize("query", ["foo=bar", "aadOptscim062020", "foo", "&", "a=1&a=2", "%20=x"])
def test_unknown_parameters_are_ignored(scim: ScimClient, query: str) -> None:
    ids = fill(scim, 2)
    assert scim.get(f"/Users?{query}").expect(200).ids == ids


@pytest.mark.rfc("Q-05")
@pytest.mark.parametrize("name", ["count", "startIndex", "filter", "sortBy", "sortOrder"])
def test_a_repeated_parameter_is_refused(scim: ScimClient, name: str) -> None:
    value = {"filter": "title pr", "sortBy": "title", "sortOrder": "ascending"}.get(name, "1")
    scim.get("/Users", query=[(name, value), (name, value)]).expect(400, "invalidValue")


@pytest.mark.rfc("Q-05")
def test_parameters_are_read_in_any_case(scim: ScimClient) -> None:
    fill(scim, 3)
    assert scim.get("/Users", query={"FILTER": 'userName eq "u001"', "COUNT": 1}).names() == ["u001"]


# Paging by index


@pytest.mark.rfc("Q-06")
@pytest.mark.parametrize("start", ["0", "-5", "1", "-999999999"])
def test_a_start_below_one_is_one(scim: ScimClient, start: str) -> None:
    ids = fill(scim, 3)
    answer = scim.get(f"/Users?startIndex={start}&count=2").expect(200)
    assert answer.body["startIndex"] == 1
    assert answer.ids == ids[:2]


@pytest.mark.rfc("Q-07")
@pytest.mark.parametrize("count", ["0", "-1", "-999999999"])
def test_count_zero_or_less_gives_the_total_alone(scim: ScimClient, count: str) -> None:
    fill(scim, 3)
    body = scim.get(f"/Users?count={count}").expect(200).body
    assert (body["totalResults"], body["itemsPerPage"], body.get("Resources", [])) == (3, 0, [])


@pytest.mark.rfc("Q-08", "Q-09", "O-14")
def test_pages_have_the_servers_size_and_its_maximum(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim(default_count=3, max_results=4)
    ids = fill(scim, 6)
    assert scim.get("/Users").ids == ids[:3]
    for answer in (scim.get("/Users?count=100000"), scim.search("/Users", count=100000), scim.get("/?count=999999999")):
        assert answer.body["totalResults"] == 6
        assert answer.ids == ids[:4]
    assert scim.get("/Users?count=2").ids == ids[:2]


@pytest.mark.rfc("Q-10")
@pytest.mark.parametrize("path", ["/Users", "/"])
def test_a_start_past_the_end_is_an_empty_page(scim: ScimClient, path: str) -> None:
    fill(scim, 3)
    body = scim.get(f"{path}?startIndex=9999").expect(200).body
    assert (body["totalResults"], body["itemsPerPage"], body.get("Resources", [])) == (3, 0, [])


@pytest.mark.rfc("Q-11", "O-14")
@pytest.mark.parametrize("value", ["abc", "1.5", "", "1" + 30 * "0", "0x1", "1e3", "%20", "1,2", "٣", "true"])
@pytest.mark.parametrize("name", ["startIndex", "count"])
def test_a_number_that_is_none_is_400(scim: ScimClient, name: str, value: str) -> None:
    answer = scim.get(f"/Users?{name}={value}").expect(400, "invalidValue")
    assert name in answer.detail


@pytest.mark.rfc("Q-12", "O-15")
@pytest.mark.parametrize("sort", ["", "&sortBy=title", "&sortBy=title&sortOrder=descending", "&sortBy=nickName"])
@pytest.mark.parametrize("path", ["/Users", "/"])
def test_a_walk_finds_each_resource_once(scim: ScimClient, path: str, sort: str) -> None:
    ids = fill(scim, 10)
    seen: list[str] = []
    for start in range(1, 12, 3):
        seen += scim.get(f"{path}?startIndex={start}&count=3{sort}").ids
    assert sorted(seen) == sorted(ids)
    if not sort:
        assert seen == ids
    assert scim.get(f"{path}?{sort}").ids == seen


@pytest.mark.rfc("Q-13")
def test_paging_by_index_keeps_no_state(scim: ScimClient) -> None:
    ids = fill(scim, 5)
    assert scim.get("/Users?count=2").ids == ids[:2]
    scim.delete(f"/Users/{ids[0]}").expect(204)
    answer = scim.get("/Users?count=2&startIndex=3").expect(200)
    assert answer.body["totalResults"] == 4
    assert answer.ids == ids[3:]


# Sorting


@pytest.mark.rfc("Q-14", "Q-16")
def test_sorting_is_ascending_by_default_and_folds_case(scim: ScimClient) -> None:
    for name in ("carl", "alice", "Bob"):
        scim.user(name)
    assert scim.get("/Users?sortBy=userName").names() == ["alice", "Bob", "carl"]
    assert scim.get("/Users?sortBy=userName&sortOrder=descending").names() == ["carl", "Bob", "alice"]
    assert scim.get("/Users?sortOrder=descending").names() == scim.get("/Users").names()


@pytest.mark.rfc("Q-15")
def test_sort_order_is_read_in_any_case_and_nothing_else_is_one(scim: ScimClient) -> None:
    fill(scim, 3)
    assert scim.get("/Users?sortBy=userName&sortOrder=DESCENDING").names() == ["u002", "u001", "u000"]
    scim.get("/Users?sortBy=userName&sortOrder=foo").expect(400, "invalidValue")
    scim.search("/Users", sortBy="userName", sortOrder="down").expect(400, "invalidValue")


@pytest.mark.rfc("Q-16")
def test_case_exact_texts_sort_by_code_point(scim: ScimClient) -> None:
    for external in ("b", "B", "a", "é", "z"):
        scim.user(externalId=external)
    assert scim.get("/Users?sortBy=externalId").names("externalId") == ["B", "a", "b", "z", "é"]


@pytest.mark.rfc("Q-17", "S-43")
def test_numbers_sort_by_value_and_dates_by_instant(badge_scim: ScimClient) -> None:
    moments = ["2024-01-01T10:00:00+05:00", "2024-01-01T06:00:00Z", "2024-01-01T06:00:00.5Z"]
    for number, moment in zip((10, 9, -1), (moments[1], moments[0], moments[2]), strict=True):
        body = {"schemas": [USER, BADGE], "userName": f"n{number}", BADGE: {"number": number, "validFrom": moment}}
        badge_scim.post("/Users", body).expect(201)
    assert badge_scim.get(f"/Users?sortBy={BADGE}:number").names() == ["n-1", "n9", "n10"]
    assert badge_scim.get(f"/Users?sortBy={BADGE}:validFrom").names() == ["n9", "n10", "n-1"]
    created = [meta["created"] for meta in badge_scim.get("/Users?sortBy=meta.created").names("meta")]
    assert created == sorted(created)
    latest_first = badge_scim.get("/Users?sortBy=meta.created&sortOrder=descending").names("meta")
    assert [meta["created"] for meta in latest_first] == created[::-1]


@pytest.mark.rfc("Q-18")
def test_no_value_is_last_ascending_and_first_descending(scim: ScimClient) -> None:
    for name, title in (("none", None), ("b", "b"), ("a", "a")):
        scim.user(name, title=title)
    assert scim.get("/Users?sortBy=title").names() == ["a", "b", "none"]
    assert scim.get("/Users?sortBy=title&sortOrder=descending").names() == ["none", "b", "a"]


@pytest.mark.rfc("Q-19")
@pytest.mark.parametrize("by", ["emails.value", "emails"])
def test_of_several_values_the_primary_one_sorts_else_the_first(scim: ScimClient, by: str) -> None:
    scim.user("primary", emails=[{"value": "a@x"}, {"value": "m@x", "primary": True}])
    scim.user("first", emails=[{"value": "c@x"}, {"value": "z@x"}])
    scim.user("last", emails=[{"value": "z@x"}, {"value": "b@x"}])
    scim.user("none")
    assert scim.get(f"/Users?sortBy={by}").names() == ["first", "primary", "last", "none"]


@pytest.mark.rfc("Q-20")
def test_a_complex_attribute_is_sorted_by_one_of_its_parts(scim: ScimClient) -> None:
    for name in ("b", "a"):
        scim.user(name, name={"familyName": name})
    assert scim.get("/Users?sortBy=name.familyName").names() == ["a", "b"]
    scim.get("/Users?sortBy=name").expect(400, "invalidValue")


@pytest.mark.rfc("Q-21", "Q-20", "O-12")
def test_an_unknown_sort_attribute_is_400_and_known_ones_are_found_in_any_spelling(scim: ScimClient) -> None:
    ids = fill(scim, 2)
    for unknown in ("nope", "name.nope", "urn:example:x:y", "a b", "[", "userName.x"):
        scim.get("/Users", query={"sortBy": unknown}).expect(400, "invalidValue")
    for known in ("USERNAME", f"{USER}:userName", f"{USER.upper()}:username"):
        assert scim.get("/Users", query={"sortBy": known, "sortOrder": "descending"}).names() == ["u001", "u000"]
    assert scim.get("/Users", query={"sortBy": f"{ENTERPRISE}:department"}).ids == ids


@pytest.mark.rfc("Q-22", "D-04")
def test_sorting_is_announced_and_works_everywhere(scim: ScimClient) -> None:
    assert scim.get("/ServiceProviderConfig").body["sort"] == {"supported": True}
    scim.user("b", displayName="b")
    scim.group("a")
    assert scim.search(sortBy="displayName").names("displayName") == ["a", "b"]


@pytest.mark.rfc("Q-23")
@pytest.mark.parametrize("by", ["password", "PASSWORD", f"{USER}:password"])
def test_sorting_by_what_is_never_shown_is_refused(scim: ScimClient, by: str) -> None:
    scim.user(password="correct horse")
    scim.get("/Users", query={"sortBy": by}).expect(400, "invalidValue")
    scim.search("/Users", sortBy=by).expect(400, "invalidValue")
    scim.search(sortBy=by).expect(400)


# Projection


WHOLE: dict[str, Any] = {
    "userName": "whole",
    "title": "t",
    "name": {"familyName": "f", "givenName": "g"},
    "emails": [{"value": "a@b", "type": "work"}, {"value": "c@d", "type": "home", "primary": True}],
    "enterprise": {"department": "d", "division": "v"},
}


@pytest.mark.rfc("Q-24", "Q-25", "Q-27", "Q-28", "Q-29", "Q-30", "Q-34", "O-12")
@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("attributes=userName", {"userName": "whole"}),
        ("attributes=USERNAME", {"userName": "whole"}),
        (f"attributes={USER}:userName", {"userName": "whole"}),
        ("attributes=userName , title", {"userName": "whole", "title": "t"}),
        ("attributes=userName,,title,", {"userName": "whole", "title": "t"}),
        ("attributes=name.familyName", {"name": {"familyName": "f"}}),
        ("attributes=name", {"name": {"familyName": "f", "givenName": "g"}}),
        ("attributes=emails.value", {"emails": [{"value": "a@b"}, {"value": "c@d"}]}),
        ("attributes=emails.primary", {"emails": [{"primary": True}]}),
        (f"attributes={ENTERPRISE}:department", {ENTERPRISE: {"department": "d"}}),
        (f"attributes={ENTERPRISE}", {ENTERPRISE: {"department": "d", "division": "v"}}),
        (f"attributes={ENTERPRISE.upper()}:DIVISION", {ENTERPRISE: {"division": "v"}}),
        ("attributes=nope", {}),
        ("attributes=nope.nope,name.nope,urn:example:a:b", {}),
        ("attributes=id", {}),
    ],
)
def test_attributes_gives_what_is_always_shown_and_what_is_named(
    scim: ScimClient, query: str, shown: dict[str, Any]
) -> None:
    user = scim.user("whole", **{name: value for name, value in WHOLE.items() if name != "userName"})
    expected = {"schemas": user["schemas"], "id": user["id"], **shown}
    name, _, value = query.partition("=")
    assert scim.get(f"/Users/{user['id']}", query={name: value}).expect(200).body == expected
    assert scim.get("/Users", query={name: value}).resources == [expected]
    assert scim.search("/Users", attributes=[part.strip() for part in value.split(",")]).resources == [expected]


@pytest.mark.rfc("Q-25", "Q-27", "Q-28", "Q-29", "Q-30")
@pytest.mark.parametrize(
    ("query", "gone"),
    [
        ("excludedAttributes=id,emails", {"emails"}),
        ("excludedAttributes=ID, EMAILS,schemas", {"emails"}),
        (f"excludedAttributes={USER}:title", {"title"}),
        (f"excludedAttributes={ENTERPRISE}", {ENTERPRISE}),
        ("excludedAttributes=meta,nope", {"meta"}),
        ("excludedAttributes=", set()),
        ("attributes=", set()),
    ],
)
def test_excluded_attributes_takes_from_the_default_and_never_from_always(
    scim: ScimClient, query: str, gone: set[str]
) -> None:
    user = scim.user("whole", **{name: value for name, value in WHOLE.items() if name != "userName"})
    expected = {name: value for name, value in user.items() if name not in gone}
    name, _, value = query.partition("=")
    assert scim.get(f"/Users/{user['id']}", query={name: value}).expect(200).body == expected
    assert scim.get("/Users", query={name: value}).resources == [expected]


@pytest.mark.rfc("Q-28", "Q-29")
def test_parts_can_be_excluded(scim: ScimClient) -> None:
    user = scim.user("whole", **{name: value for name, value in WHOLE.items() if name != "userName"})
    path = f"/Users/{user['id']}"
    emails = scim.get(f"{path}?excludedAttributes=emails.type").body["emails"]
    assert emails == [{"value": "a@b"}, {"value": "c@d", "primary": True}]
    assert scim.get(f"{path}?excludedAttributes=name.givenName").body["name"] == {"familyName": "f"}
    assert scim.get(f"{path}?excludedAttributes={ENTERPRISE}:department").body[ENTERPRISE] == {"division": "v"}
    both = scim.get(f"{path}?excludedAttributes={ENTERPRISE}:department,{ENTERPRISE}:division").body
    assert ENTERPRISE not in both


@pytest.mark.rfc("Q-26", "O-13")
@pytest.mark.parametrize("path", ["/Users", "/", "/Users/{id}"])
def test_attributes_and_excluded_attributes_exclude_each_other(scim: ScimClient, path: str) -> None:
    path = path.format(id=scim.user()["id"])
    scim.get(f"{path}?attributes=userName&excludedAttributes=title").expect(400, "invalidValue")
    scim.search("/Users", attributes=["a"], excludedAttributes=["b"]).expect(400, "invalidValue")


@pytest.mark.rfc("Q-30")
def test_the_core_urn_alone_is_every_core_attribute(scim: ScimClient) -> None:
    user = scim.user("whole", **{name: value for name, value in WHOLE.items() if name != "userName"})
    core = scim.get(f"/Users/{user['id']}?attributes={USER}").expect(200).body
    assert {"userName", "title", "name", "emails", "active"} <= set(core)
    assert ENTERPRISE not in core


@pytest.mark.rfc("Q-31")
def test_request_attributes_come_when_named_and_never_ones_do_not(badge_scim: ScimClient) -> None:
    body = {"schemas": [USER, BADGE], "userName": "a", BADGE: {"hint": "h", "pin": "1234", "bare": "b"}}
    user = badge_scim.post("/Users", body).expect(201).body
    for path in (f"/Users/{user['id']}", "/Users"):
        query = {"attributes": f"{BADGE}:hint,{BADGE}:pin,password"}
        answer = badge_scim.get(path, query=query).expect(200).body
        resource = answer if path != "/Users" else answer["Resources"][0]
        assert resource == {"schemas": user["schemas"], "id": user["id"], BADGE: {"hint": "h"}}


@pytest.mark.rfc("Q-32", "P-07")
def test_projection_works_on_every_operation_that_returns_a_resource(scim: ScimClient) -> None:
    created = scim.post("/Users?attributes=title", new_user("p", title="t")).expect(201).body
    expected = {"schemas": [USER], "id": created["id"], "title": "t"}
    path = f"/Users/{created['id']}?attributes=title"
    assert created == expected
    assert scim.put(path, new_user("p", title="t")).expect(200).body == expected
    assert scim.patch(path, [replace("nickName", "n")]).expect(200).body == expected
    assert scim.get(path).body == expected
    assert scim.get("/Users?attributes=title").resources == [expected]
    assert scim.search("/Users", attributes=["title"]).resources == [expected]
    assert scim.search(excludedAttributes=["meta", "userName", "nickName", "active"]).resources == [expected]


@pytest.mark.rfc("Q-33", "E-13")
def test_projection_changes_neither_match_nor_order_nor_tag(scim: ScimClient) -> None:
    first = scim.user("b", emails=[{"value": "x@a"}])
    scim.user("a", emails=[{"value": "y@a"}])
    query = {"filter": 'emails.value sw "x"', "sortBy": "emails.value", "attributes": "title"}
    answer = scim.get("/Users", query=query)
    assert answer.resources == [{"schemas": [USER], "id": first["id"]}]
    assert scim.get("/Users", query={"sortBy": "userName", "attributes": "title"}).ids[1] == first["id"]
    assert scim.get(f"/Users/{first['id']}?attributes=title").etag == first["meta"]["version"]
    scim.group(members=[first["id"]])
    whole = scim.get(f"/Users/{first['id']}").etag
    assert scim.get(f"/Users/{first['id']}?excludedAttributes=groups,meta").etag == whole


@pytest.mark.rfc("Q-34")
def test_parts_of_meta_can_be_named(scim: ScimClient) -> None:
    user = scim.user()
    shown = scim.get(f"/Users/{user['id']}?attributes=meta.lastModified").body
    assert shown["meta"] == {"lastModified": user["meta"]["lastModified"]}
    assert "meta" not in scim.get(f"/Users/{user['id']}?attributes=userName").body


# POST /.search, and the root


@pytest.mark.rfc("Q-35")
def test_search_answers_like_the_query_with_the_same_parameters(scim: ScimClient) -> None:
    fill(scim, 7)
    asked: dict[str, Any] = {"filter": 'userName sw "u"', "sortBy": "title", "sortOrder": "descending"}
    asked |= {"startIndex": 2, "count": 3}
    answer = scim.search("/Users", attributes=["userName", "title"], **asked)
    assert answer.status == 200
    assert answer.body == scim.get("/Users", query={**asked, "attributes": "userName,title"}).body
    assert answer.body["totalResults"] == 7
    assert len(answer.ids) == 3
    excluded = scim.search("/Users", excludedAttributes=["meta", "title"], **asked)
    assert excluded.body == scim.get("/Users", query={**asked, "excludedAttributes": "meta,title"}).body
    assert scim.search("/Users").body == scim.get("/Users").body


@pytest.mark.rfc("Q-36", "R-03")
@pytest.mark.parametrize("path", ["", "/Users"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filter": "title pr"},
        {"schemas": [USER]},
        {"schemas": [LIST_RESPONSE], "count": 1},
        {"schemas": SEARCH_REQUEST},
    ],
    ids=["empty", "none", "user", "list response", "a text"],
)
def test_a_search_without_its_schema_is_invalid_syntax(scim: ScimClient, path: str, body: dict[str, Any]) -> None:
    scim.post(f"{path}/.search", body).expect(400, "invalidSyntax")


@pytest.mark.rfc("Q-36", "R-04")
@pytest.mark.parametrize(
    "wrong",
    [
        {"count": "2"},
        {"count": 1.5},
        {"count": True},
        {"startIndex": "1"},
        {"filter": 5},
        {"filter": ["title pr"]},
        {"sortBy": {}},
        {"attributes": [1]},
        {"attributes": {"a": 1}},
    ],
    ids=str,
)
def test_a_search_with_a_member_of_the_wrong_type_is_invalid_value(scim: ScimClient, wrong: dict[str, Any]) -> None:
    scim.search("/Users", **wrong).expect(400, "invalidValue")


@pytest.mark.rfc("Q-37", "Q-38", "O-19")
def test_the_root_spans_all_types_in_one_list(scim: ScimClient) -> None:
    users = fill(scim, 4)
    groups = [scim.group()["id"] for _ in range(3)]
    whole = scim.search()
    assert whole.body["totalResults"] == 7
    assert sorted(whole.ids) == sorted(users + groups)
    kinds = {item["meta"]["resourceType"]: item["schemas"] for item in whole.resources}
    assert kinds == {"User": [USER], "Group": [GROUP]}
    paged: list[str] = []
    for start in (1, 3, 5, 7):
        page = scim.search(startIndex=start, count=2)
        assert page.body["totalResults"] == 7
        paged += page.ids
    assert paged == whole.ids
    for path in ("", "/"):
        assert scim.get(path).body == whole.body


@pytest.mark.rfc("Q-37", "Q-14")
def test_the_root_sorts_across_types(scim: ScimClient) -> None:
    for name in ("a", "c"):
        scim.user(displayName=name)
    for name in ("b", "d"):
        scim.group(name)
    scim.user("nameless")
    assert scim.search(sortBy="displayName").names("displayName") == ["a", "b", "c", "d", None]
    descending = scim.search(sortBy="displayName", sortOrder="descending", count=2, startIndex=2)
    assert descending.names("displayName") == ["d", "c"]


@pytest.mark.rfc("Q-39", "F-23", "O-12")
def test_at_the_root_an_attribute_of_another_type_has_no_value(scim: ScimClient) -> None:
    user = scim.user("a", displayName="same")
    group = scim.group("same", [user["id"]])
    for text, ids in (
        ('userName eq "a"', [user["id"]]),
        ('displayName eq "same"', [user["id"], group["id"]]),
        ('meta.resourceType eq "Group"', [group["id"]]),
        ('meta.resourceType eq "User" and displayName pr', [user["id"]]),
        ("members pr", [group["id"]]),
        ('not (userName eq "a")', [group["id"]]),
        ('userName ne "a"', [group["id"]]),
        ("not (members pr)", [user["id"]]),
        ('nobody eq "has this"', []),
        (f'{ENTERPRISE}:department eq "x"', []),
        (f'members[value eq "{user["id"]}"]', [group["id"]]),
        (f'id eq "{group["id"]}"', [group["id"]]),
    ):
        assert sorted(scim.find(text, "/").ids) == sorted(ids), text
        assert sorted(scim.search(filter=text).ids) == sorted(ids), text


@pytest.mark.rfc("Q-40", "R-02")
def test_a_root_query_that_is_too_much_work_is_too_many(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim(max_root_candidates=3)
    fill(scim, 4)
    scim.search(sortBy="userName").expect(400, "tooMany")
    scim.get("/?sortBy=userName").expect(400, "tooMany")
    assert scim.search().body["totalResults"] == 4
    assert scim.search(sortBy="userName", filter='userName lt "u002"').names() == ["u000", "u001"]


@pytest.mark.rfc("Q-41", "R-09")
@pytest.mark.parametrize("path", ["/.search", "/Users/.search", "/Groups/.search"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_search_is_posted(scim: ScimClient, path: str, method: str) -> None:
    answer = scim.request(method, path).expect(405)
    assert {word.strip() for word in answer.headers["Allow"].split(",")} == {"POST", "OPTIONS"}


@pytest.mark.rfc("Q-04", "S-61")
def test_groups_of_users_are_right_in_lists(scim: ScimClient) -> None:
    users = fill(scim, 3)
    group = scim.group("g", [users[1]])
    scim.patch(f"/Groups/{group['id']}", [add("members", [{"value": users[2]}])])
    shown = {user["userName"]: [g["value"] for g in user.get("groups", [])] for user in scim.get("/Users").resources}
    assert shown == {"u000": [], "u001": [group["id"]], "u002": [group["id"]]}
