"""Queries over one type and all: pages, cursors, sorting, what only the core knows (RFC 7644 §3.4.2, RFC 9865)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from core_client import BASE, ENTERPRISE, LIST, SEARCH, USER, Core, open_backend

from scim_gateway.definitions import standard_resource_types
from scim_gateway.filter import And, Never, Not, Or, paths
from scim_gateway.filter_meaning import resolve
from scim_gateway.filter_parser import parse
from scim_gateway.narrowing import conjuncts, narrow
from scim_gateway.profile import STRICT
from scim_gateway.schema import AttributePath

RESOURCE_TYPES = standard_resource_types()
KINDS = RESOURCE_TYPES.by_name


def names(answer: dict[str, Any]) -> list[str]:
    return [resource.get("userName") or resource.get("displayName") for resource in answer["Resources"]]


def search(core: Core, path: str = "/Users/.search", **members: Any) -> dict[str, Any]:
    answer: dict[str, Any] = core.json("POST", path, {"schemas": [SEARCH], **members})
    return answer


# One page of one type


def test_an_empty_directory_answers_with_an_empty_list(core: Core) -> None:
    expected = {"schemas": [LIST], "totalResults": 0, "itemsPerPage": 0, "startIndex": 1, "Resources": []}
    assert core.json("GET", "/Users") == expected
    assert core.json("GET", "/Users", filter='userName eq "nobody"') == expected
    assert core.json("GET", "/") == expected


def test_an_item_is_what_a_read_of_it_gives(core: Core) -> None:
    boss = core.user("b")
    user = core.user("a", **{ENTERPRISE: {"manager": {"value": boss["id"]}}})
    group = core.group("g", user, boss)
    assert core.json("GET", "/Users", filter='userName eq "A"')["Resources"] == [core.get(user)]
    assert core.json("GET", "/Groups")["Resources"] == [core.get(group)]
    assert core.json("GET", "/")["Resources"] == [*core.json("GET", "/Users")["Resources"], core.get(group)]


@pytest.mark.parametrize(
    ("query", "start", "found"),
    [
        ({}, 1, "abcde"),
        ({"startIndex": 0}, 1, "abcde"),
        ({"startIndex": -5, "count": 2}, 1, "ab"),
        ({"startIndex": 3, "count": 2}, 3, "cd"),
        ({"startIndex": 5, "count": 2}, 5, "e"),
        ({"startIndex": 6}, 6, ""),
        ({"startIndex": 999_999_999}, 999_999_999, ""),
        ({"count": 0}, 1, ""),
        ({"count": -1}, 1, ""),
        ({"count": 100_000}, 1, "abcde"),
        ({"count": "+2"}, 1, "ab"),
        ({"count": " 2 "}, 1, "ab"),
        ({"STARTINDEX": 2, "Count": 1}, 2, "b"),
        ({"foo": "bar"}, 1, "abcde"),
    ],
)
def test_a_page_is_cut_by_index(core: Core, query: dict[str, Any], start: int, found: str) -> None:
    for name in "abcde":
        core.user(name)
    answer = core.json("GET", "/Users", sortBy="userName", **query)
    assert "".join(names(answer)) == found
    assert (answer["startIndex"], answer["itemsPerPage"], answer["totalResults"]) == (start, len(found), 5)


@pytest.mark.parametrize("name", ["startIndex", "count"])
@pytest.mark.parametrize("text", ["abc", "1.5", "", "1e3", "٣", "1" * 30, "0x1", "1,2"])
def test_what_is_no_integer_is_refused(core: Core, name: str, text: str) -> None:
    assert core.refused("GET", "/Users", **{name: text}) == (400, "invalidValue")


def test_a_parameter_given_twice_is_refused_unless_it_is_a_list(core: Core) -> None:
    core.user("a", title="t")
    assert core.refused("GET", "/Users", count=1, COUNT=2) == (400, "invalidValue")
    assert core.refused("GET", "/Users", filter="title pr", Filter="title pr") == (400, "invalidValue")
    answer = core.json("GET", "/Users", attributes="userName", Attributes="title")
    assert set(answer["Resources"][0]) == {"schemas", "id", "userName", "title"}


def test_pages_are_no_larger_than_advertised(core: Core) -> None:
    core = Core(core.backend, replace(core.settings, default_count=2, max_results=3))
    for name in "abcde":
        core.user(name)
    assert core.json("GET", "/Users")["itemsPerPage"] == 2
    assert core.json("GET", "/Users", count=100)["itemsPerPage"] == 3
    assert core.json("GET", "/", count=100)["itemsPerPage"] == 3
    assert core.json("GET", "/Users", count=100)["totalResults"] == 5


@pytest.mark.parametrize(
    ("query", "scim_type"),
    [
        ({"filter": ""}, "invalidFilter"),
        ({"filter": "nope eq 1"}, "invalidFilter"),
        ({"filter": "password pr"}, "invalidFilter"),
        ({"filter": "userName eq"}, "invalidFilter"),
        ({"sortBy": "nope"}, "invalidValue"),
        ({"sortBy": "password"}, "invalidValue"),
        ({"sortBy": "name"}, "invalidValue"),
        ({"sortBy": "userName", "sortOrder": "sideways"}, "invalidValue"),
        ({"attributes": "id", "excludedAttributes": "title"}, "invalidValue"),
    ],
)
def test_what_cannot_be_understood_is_refused(core: Core, query: dict[str, Any], scim_type: str) -> None:
    assert core.refused("GET", "/Users", **query) == (400, scim_type)


def test_empty_parameters_are_as_good_as_none(core: Core) -> None:
    core.user("a")
    empty = {"sortBy": "", "sortOrder": "", "attributes": "", "excludedAttributes": ""}
    assert core.json("GET", "/Users", **empty) == core.json("GET", "/Users")
    assert core.json("GET", "/Users", sortOrder="sideways") == core.json("GET", "/Users")


def test_sorting_goes_both_ways(core: Core) -> None:
    core.user("b", title="x")
    core.user("C", title="w")
    core.user("a")
    assert names(core.json("GET", "/Users", sortBy="USERNAME")) == ["a", "b", "C"]
    assert names(core.json("GET", "/Users", sortBy=f"{USER}:userName", sortOrder="Descending")) == ["C", "b", "a"]
    assert names(core.json("GET", "/Users", sortBy="title")) == ["C", "b", "a"]
    assert names(core.json("GET", "/Users", sortBy="title", sortOrder="descending")) == ["a", "b", "C"]


def test_the_reader_of_one_resource_may_say_what_has_no_meaning_there(core: Core) -> None:
    user = core.user("a")
    assert core.get(user, filter="nope", count="x", sortBy="y", cursor="z") == user


# A search by POST


def test_a_search_by_post_is_the_same_as_by_get(core: Core) -> None:
    for name in "abcde":
        core.user(name, title="t" if name != "c" else "u")
    query: dict[str, Any] = {
        "filter": 'title eq "t"',
        "sortBy": "userName",
        "sortOrder": "descending",
        "startIndex": 2,
        "count": 2,
    }
    got = core.json("GET", "/Users", attributes="userName,title", **query)
    assert names(got) == ["d", "b"]
    assert search(core, attributes=["userName", "title"], **query) == got
    without = search(core, excludedAttributes=["meta", "title", "active"], count=1, sortBy="userName")
    assert set(without["Resources"][0]) == {"schemas", "id", "userName"}


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ({}, "invalidSyntax"),
        ({"schemas": [USER]}, "invalidSyntax"),
        ({"schemas": [SEARCH], "count": "2"}, "invalidValue"),
        ({"schemas": [SEARCH], "startIndex": 1.5}, "invalidValue"),
        ({"schemas": [SEARCH], "filter": 5}, "invalidValue"),
        ({"schemas": [SEARCH], "filter": ""}, "invalidFilter"),
        ({"schemas": [SEARCH], "attributes": ["id"], "excludedAttributes": ["title"]}, "invalidValue"),
    ],
)
def test_a_search_that_is_none_is_refused(core: Core, body: dict[str, Any], scim_type: str) -> None:
    for path in ("/Users/.search", "/.search"):
        assert core.refused("POST", path, body) == (400, scim_type)


# All types at once


def test_a_search_over_all_types_pages_across_them(core: Core) -> None:
    users = {core.user(name)["id"] for name in "abc"}
    groups = {core.group(name)["id"] for name in "xy"}
    whole = [resource["id"] for resource in core.json("GET", "/")["Resources"]]
    assert set(whole[:3]) == users
    assert set(whole[3:]) == groups
    for start in range(1, 8):
        for count in range(4):
            answer = search(core, "/.search", startIndex=start, count=count)
            assert [resource["id"] for resource in answer["Resources"]] == whole[start - 1 : start - 1 + count]
            assert (answer["totalResults"], answer["startIndex"]) == (5, start)


def test_an_attribute_of_another_type_is_absent_there(core: Core) -> None:
    core.user("a", displayName="x")
    core.user("b")
    core.group("x")
    assert names(core.json("GET", "/", filter='userName eq "a"')) == ["a"]
    assert sorted(names(core.json("GET", "/", filter='displayName eq "x"'))) == ["a", "x"]
    assert sorted(names(core.json("GET", "/", filter="not (userName pr)"))) == ["x"]
    assert names(core.json("GET", "/", filter="nope pr")) == []
    assert core.refused("GET", "/", filter="nope") == (400, "invalidFilter")


def test_a_search_over_all_types_can_be_narrowed_to_one(core: Core) -> None:
    core.user("a")
    core.group("x")
    assert names(core.json("GET", "/", filter='meta.resourceType eq "Group"')) == ["x"]
    assert names(core.json("GET", "/", filter='meta.resourceType eq "User" and userName sw "a"')) == ["a"]
    assert names(core.json("GET", "/", filter='meta.resourceType eq "Nope"')) == []


def test_all_types_are_sorted_together(core: Core) -> None:
    core.user("b", displayName="m")
    core.user("a")
    core.user("c", displayName="z")
    core.group("n")
    core.group("A")
    assert names(core.json("GET", "/", sortBy="displayName")) == ["A", "b", "n", "c", "a"]
    assert names(core.json("GET", "/", sortBy="displayName", sortOrder="descending")) == ["a", "c", "n", "b", "A"]
    assert names(core.json("GET", "/", sortBy="displayName", startIndex=2, count=2)) == ["b", "n"]
    assert names(core.json("GET", "/", sortBy="userName"))[:3] == ["a", "b", "c"]
    assert core.refused("GET", "/", sortBy="nope") == (400, "invalidValue")


def test_a_sorted_search_over_too_much_is_refused(core: Core) -> None:
    core = Core(core.backend, replace(core.settings, max_root_candidates=3))
    for name in "abc":
        core.user(name)
    assert core.json("GET", "/", sortBy="id")["totalResults"] == 3
    core.group("x")
    assert core.refused("GET", "/", sortBy="id") == (400, "tooMany")
    assert core.json("GET", "/")["totalResults"] == 4
    assert core.json("GET", "/", sortBy="id", filter='meta.resourceType eq "User"')["totalResults"] == 3


# Cursors


def walk(core: Core, path: str = "/Users", **query: Any) -> list[list[str]]:
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = core.json("GET", path, cursor=cursor, **query)
        assert "startIndex" not in answer
        pages.append(names(answer))
        cursor = answer.get("nextCursor")
        assert cursor is None or re.fullmatch(r"[A-Za-z0-9._~-]+", cursor)
        assert len(pages) < 50
    return pages


@pytest.mark.parametrize(("count", "sizes"), [(3, [3, 3, 1]), (7, [7]), (8, [7]), (1, [1] * 7)])
@pytest.mark.parametrize("sort", [{}, {"sortBy": "title"}, {"sortBy": "title", "sortOrder": "descending"}])
@pytest.mark.parametrize("path", ["/Users", "/"])
def test_a_walk_by_cursor_sees_everything_once(
    core: Core, path: str, sort: dict[str, str], count: int, sizes: list[int]
) -> None:
    for index, name in enumerate("abcdefg"):
        core.user(name, **({"title": "xy"[index % 2]} if index % 3 else {}))
    pages = walk(core, path, count=count, **sort)
    assert [len(page) for page in pages] == sizes
    assert [name for page in pages for name in page] == names(core.json("GET", path, **sort))


def test_a_walk_survives_what_is_deleted_on_the_way(core: Core) -> None:
    users = [core.user(name) for name in "abcdef"]
    first = core.json("GET", "/Users", cursor="", count=2, sortBy="userName")
    for user in users[:3]:
        core.send("DELETE", f"/Users/{user['id']}")
    second = core.json("GET", "/Users", cursor=first["nextCursor"], count=2, sortBy="userName")
    assert names(second) == ["d", "e"]


def test_a_cursor_goes_on_in_a_search_by_post(core: Core) -> None:
    for name in "abc":
        core.user(name)
    first = search(core, cursor="", count=2, sortBy="userName")
    assert names(search(core, cursor=first["nextCursor"], count=2, sortBy="userName")) == ["c"]
    assert names(core.json("GET", "/Users", cursor=first["nextCursor"], sortBy="userName")) == ["c"]


def test_a_cursor_belongs_to_its_query(core: Core) -> None:
    for name in "abc":
        core.user(name)
    cursor = core.json("GET", "/Users", cursor="", count=1, filter="userName pr")["nextCursor"]
    assert core.refused("GET", "/Users", cursor=cursor, count=1) == (400, "invalidCursor")
    assert core.refused("GET", "/Groups", cursor=cursor, count=1, filter="userName pr")[0] == 400
    changes: list[dict[str, Any]] = [{"sortBy": "userName"}, {"attributes": "id"}, {"excludedAttributes": "name"}]
    for other in changes:
        query = {"cursor": cursor, "count": 1, "filter": "userName pr", **other}
        assert core.refused("GET", "/Users", **query) == (400, "invalidCursor")
    query = {"cursor": cursor, "filter": "userName pr"}
    assert core.refused("GET", "/Users", count=2, **query) == (400, "invalidCount")
    assert core.refused("GET", "/Users", count="x", **query) == (400, "invalidCount")
    assert core.refused("GET", "/Users", startIndex=1, **query) == (400, "invalidValue")
    assert core.json("GET", "/Users", count=1, **query)["totalResults"] == 3


def test_a_cursor_is_no_way_into_another_directory(core: Core, tmp_path: Path) -> None:
    other = Core(open_backend("memory", tmp_path))
    for some in (core, other):
        some.user("a")
        some.user("b")
    cursor = core.json("GET", "/Users", cursor="", count=1)["nextCursor"]
    assert other.refused("GET", "/Users", cursor=cursor, count=1) == (400, "invalidCursor")
    assert core.refused("GET", "/Users", cursor="garbage") == (400, "invalidCursor")


def test_a_cursor_expires(core: Core) -> None:
    core = Core(core.backend, replace(core.settings, cursor_timeout=-1))
    core.user("a")
    core.user("b")
    cursor = core.json("GET", "/Users", cursor="", count=1)["nextCursor"]
    assert core.refused("GET", "/Users", cursor=cursor) == (400, "expiredCursor")


def test_the_total_alone_ends_a_walk_at_once(core: Core) -> None:
    core.user("a")
    answer = core.json("GET", "/Users", cursor="", count=0)
    assert (answer["totalResults"], answer["Resources"]) == (1, [])
    assert "nextCursor" not in answer
    assert "nextCursor" not in core.json("GET", "/", cursor="", count=0)


# What no store holds


def test_users_are_found_by_their_groups(core: Core) -> None:
    users = {name: core.user(name, title=name) for name in "abcd"}
    inner = core.group("inner", users["a"], users["b"])
    outer = core.group("outer", inner, users["c"])

    def found(text: str, **more: Any) -> list[str]:
        return names(core.json("GET", "/Users", filter=text, sortBy="userName", **more))

    assert found(f'groups.value eq "{inner["id"]}"') == ["a", "b"]
    assert found(f'groups eq "{outer["id"]}"') == ["a", "b", "c"]
    assert found(f'groups[value eq "{outer["id"]}" and type eq "direct"]') == ["c"]
    assert found(f'groups.value eq "{inner["id"]}" and groups.value eq "{outer["id"]}" and title eq "b"') == ["b"]
    assert found(f'groups.value eq "{inner["id"]}" or userName eq "d"') == ["a", "b", "d"]
    assert found('groups.display co "INN"') == ["a", "b"]
    assert found("groups pr") == ["a", "b", "c"]
    assert found("not (groups pr)") == ["d"]
    assert found('groups.value eq "nope"') == []
    assert found("groups pr", count=1, startIndex=2) == ["b"]
    assert names(core.json("GET", "/", filter="groups pr", sortBy="userName")) == ["a", "b", "c"]
    assert names(core.json("GET", "/Users", sortBy="groups.display", filter="groups pr"))[:2] != []


def test_groups_are_found_by_their_members(core: Core) -> None:
    a, b = core.user("a", displayName="Alice"), core.user("b")
    core.group("one", a, b)
    core.group("two", b)

    def found(text: str) -> list[str]:
        return names(core.json("GET", "/Groups", filter=text, sortBy="displayName"))

    assert found(f'members.value eq "{a["id"]}"') == ["one"]
    assert found(f'members[value eq "{b["id"]}"]') == ["one", "two"]
    assert found('members.display eq "alice"') == ["one"]
    assert found('members[display eq "Alice" and type eq "User"]') == ["one"]
    assert found(f'members.$ref eq "{a["meta"]["location"]}"') == ["one"]
    assert names(core.json("GET", "/Groups", filter='members.display eq "alice"', excludedAttributes="members")) == [
        "one"
    ]


def test_resources_are_found_by_location_and_version(core: Core) -> None:
    boss = core.user("b")
    user = core.user("a", **{ENTERPRISE: {"manager": {"value": boss["id"]}}})
    core.group("g", user)
    user = core.get(user)

    def found(text: str) -> list[str]:
        return names(core.json("GET", "/Users", filter=text))

    assert found(f'meta.location eq "{user["meta"]["location"]}"') == ["a"]
    version = user["meta"]["version"].replace('"', '\\"')
    assert found(f'meta.version eq "{version}"') == ["a"]
    assert found(f'{ENTERPRISE}:manager.displayName eq "b"') == ["a"]
    assert found(f'{ENTERPRISE}:manager.$ref eq "{BASE}/Users/{boss["id"]}"') == ["a"]
    assert names(core.json("GET", "/Users", sortBy=f"{ENTERPRISE}:manager.displayName")) == ["a", "b"]


def test_a_walk_by_cursor_over_what_no_store_holds(core: Core) -> None:
    users = [core.user(name) for name in "abcde"]
    group = core.group("g", *users[1:])
    filter = f'groups.value eq "{group["id"]}"'
    assert walk(core, count=3, filter=filter, sortBy="userName") == [["b", "c", "d"], ["e"]]
    pages = walk(core, count=2, sortBy="meta.location")
    assert sorted(name for page in pages for name in page) == list("abcde")


# What can be told from a filter alone


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ('meta.resourceType eq "User"', "User", None),
        ('meta.resourceType eq "User"', "Group", Never()),
        ('meta.resourceType ne "User"', "Group", None),
        ("meta.resourceType pr", "Group", None),
        ('not (meta.resourceType eq "User")', "User", Never()),
        ('meta.resourceType eq "Group" or userName pr', "User", "userName pr"),
        ('meta.resourceType eq "User" or userName pr', "User", None),
        ('meta.resourceType eq "User" and userName pr', "User", "userName pr"),
        ("userName pr and nickName pr", "Group", Never()),
        ("userName pr or displayName pr", "Group", "displayName pr"),
        ("title pr and nickName pr", "User", "title pr and nickName pr"),
        ("title pr or nickName pr", "User", "title pr or nickName pr"),
        ("not (title pr)", "User", "not (title pr)"),
        ('id eq "abc-1"', "User", 'id eq "abc-1"'),
        ('id eq "ABC-1"', "User", Never()),
        ('id eq "abc "', "User", Never()),
        ('id eq ""', "User", Never()),
        ('id ne "ABC"', "User", None),
        ('id sw "A"', "User", 'id sw "A"'),
        ('members eq "a/b"', "Group", Never()),
        ('members[value eq "A" and type eq "User"]', "Group", Never()),
        ('members[value eq "A" or type eq "User"]', "Group", 'members[type eq "User"]'),
        ('members[value ne "A"]', "Group", "members pr"),
        ('not (members[value eq "A"])', "Group", None),
        ('groups.value eq "A" or title pr', "User", "title pr"),
        ('groups[value eq "a"]', "User", 'groups[value eq "a"]'),
        ('displayName eq "A" and members[display eq "A"]', "Group", 'displayName eq "A" and members[display eq "A"]'),
        ('meta[resourceType eq "User"]', "User", "meta pr"),
    ],
)
def test_a_filter_is_narrowed_to_what_the_type_leaves_open(text: str, kind: str, expected: Any) -> None:
    resource_type = KINDS[kind]
    resolved = resolve(parse(text), resource_type, STRICT, unknown_is_absent=True)
    if isinstance(expected, str):
        expected = resolve(parse(expected), resource_type, STRICT)
    ids = [AttributePath(None, name, sub) for name, sub in (("id", None), ("members", "value"), ("groups", "value"))]
    assert narrow(resolved, resource_type, ids) == expected


def test_the_paths_of_a_filter_are_found_wherever_they_stand() -> None:
    user = KINDS["User"]
    tree = resolve(parse('title pr and not (emails[type eq "work"] or name.givenName sw "a")'), user, STRICT)
    assert {str(path) for path in paths(tree)} == {"title", "emails.type", "name.givenName"}
    assert list(paths(None)) == []


def test_conjuncts_are_terms_that_all_hold() -> None:
    one, two = Not(Never()), Or((Never(), Never()))
    assert conjuncts(And((one, And((two, one))))) == (one, two, one)
    assert conjuncts(None) == ()
    assert conjuncts(two) == (two,)
