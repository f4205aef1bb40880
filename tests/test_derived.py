"""Searches by what no store holds: the same as a plain look at every resource as it is shown (RFC 7643 §4.1.2)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import pytest
import scim_gateway_sql.stream
from core_client import BASE, ENTERPRISE, SEARCH, Core
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_filter import matches
from rows import examples
from scim_gateway_memory import MemoryBackend
from scim_gateway_sql import SqlBackend

import scim_gateway.candidates
import scim_gateway.derived
from scim_gateway.backend import Backend, Page, Query, ResourceHandler
from scim_gateway.definitions import standard_resource_types
from scim_gateway.filter_parser import parse
from scim_gateway.schema import Resource, ResourceTypes

TYPES = standard_resource_types()
USER = TYPES.by_name["User"]


class PlainHandler(ResourceHandler):
    """A handler with none of the abilities, over one with several; counts the resources that queries look at."""

    def __init__(self, inner: ResourceHandler) -> None:
        self.resource_type = inner.resource_type
        self._inner = inner
        self.looked_at = 0

    def get(self, id: str, *, without: Collection[str] = ()) -> Resource:
        return self._inner.get(id)

    def query(self, query: Query) -> Page:
        everything = self._inner.query(Query(self.resource_type, count=10_000)).resources
        self.looked_at += len(everything)
        return query.run(everything)

    def create(self, resource: Resource) -> None:
        self._inner.create(resource)

    def modify(self, before: Resource, after: Resource) -> None:
        self._inner.modify(before, after)

    def delete(self, resource: Resource) -> None:
        self._inner.delete(resource)


class PlainBackend(Backend):
    """What the contract asks for, and nothing else."""

    def __init__(self) -> None:
        self.resource_types = TYPES
        self._inner = MemoryBackend(TYPES)
        self.handlers: dict[str, PlainHandler] = {
            name: PlainHandler(handler) for name, handler in self._inner.handlers.items()
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        return cls()

    def operation(self, *, write: bool) -> AbstractContextManager[object]:
        return self._inner.operation(write=write)


@pytest.fixture(scope="module", params=["memory", "plain", "sqlite", "mariadb"])
def core(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """A small directory with much in it: groups in groups and in a circle, managers, people who are alike."""
    match request.param:
        case "memory":
            backend: Backend = MemoryBackend(TYPES)
        case "plain":
            backend = PlainBackend()
        case "sqlite":
            backend = SqlBackend(f"sqlite:///{tmp_path_factory.mktemp('derived') / 'directory.db'}", TYPES)
        case _:
            server = request.getfixturevalue("mariadb_server")
            backend = SqlBackend.from_settings({"database_url": server.url(server.new_database())}, TYPES)
    core = Core(backend)
    users: list[dict[str, Any]] = []
    for number in range(12):
        more: dict[str, Any] = {"active": number % 3 != 0, "title": f"Title {number % 4}"}
        if number % 5 != 1:
            kinds = ("work", "home")[: 1 + number % 2]
            more["emails"] = [{"value": f"{kind}{number % 4}@example.org", "type": kind} for kind in kinds]
        if number:
            more[ENTERPRISE] = {"manager": {"value": users[number // 3]["id"]}}
        users.append(core.user(f"user{number:02}", displayName=f"Person {number % 7}", **more))
    inner = core.group("Inner", *users[:4])
    middle = core.group("Middle", inner, *users[3:6])
    outer = core.group("Outer", middle, users[0])
    core.patch(inner, {"op": "add", "path": "members", "value": [{"value": outer["id"]}]})
    core.group("Apart", *users[5:9])
    core.group("Nobody")
    yield core
    backend.close()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few people are many."""
    monkeypatch.setattr(scim_gateway.derived, "RESOURCES", 5)
    monkeypatch.setattr(scim_gateway.derived, "_MANY_GROUPS", 4)
    monkeypatch.setattr(scim_gateway.candidates, "_FEW", 4)
    monkeypatch.setattr(scim_gateway.candidates, "TERMS", 3)
    monkeypatch.setattr(scim_gateway_sql.stream, "BATCH", 4)


def shown(core: Core, kind: str) -> list[dict[str, Any]]:
    """Every resource as it is shown, read one by one."""
    listed = core.json("GET", f"/{kind}", attributes="id", count=1000)["Resources"]
    return [core.json("GET", f"/{kind}/{each['id']}") for each in listed]


MANAGER = f"{ENTERPRISE}:manager"
TERMS = (
    'groups.value eq "{inner}"',
    'groups.value eq "{outer}"',
    'groups eq "{apart}"',
    'groups.value ne "{inner}"',
    'groups.value eq "nothing"',
    'groups[value eq "{outer}" and type eq "direct"]',
    'groups[value eq "{middle}" and type eq "indirect"]',
    'groups[value eq "{apart}"]',
    'groups[display eq "Outer" and type eq "indirect"]',
    'groups.display co "e"',
    'groups.display eq "INNER"',
    'groups.display ne "Inner"',
    'groups.type eq "indirect"',
    'groups[display sw "o" or type eq "direct"]',
    'groups[not (display sw "o")]',
    'groups[display ne "Outer" and type eq "direct"]',
    'groups.$ref ew "{apart}"',
    'groups.display eq "Nobody"',
    "groups pr",
    "groups.display pr",
    'meta.location ew "{first}"',
    'meta.location co "Users"',
    'meta.version sw "W"',
    f'{MANAGER}.displayName co "1"',
    f"{MANAGER}.displayName pr",
    f'{MANAGER}.$ref co "Users"',
    "active eq true",
    'title co "2"',
    'emails[type ne "work"]',
    'emails[type eq "work" and value co "1"]',
    'userName sw "user0"',
    'id eq "{first}"',
)
filters = st.recursive(
    st.sampled_from(TERMS),
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).map(" and ".join)
        | st.lists(inner, min_size=2, max_size=3).map(lambda terms: f"({' or '.join(terms)})")
        | inner.map("not ({})".format)
    ),
    max_leaves=4,
)
sorts = st.sampled_from([None, "userName", "title", "groups.display", "meta.location", f"{MANAGER}.displayName"])


def check(core: Core, texts: Collection[str], sort: Mapping[str, str], start: int, count: int) -> None:
    """That searches find, in pages and by cursor, what a look at every resource finds."""
    people = shown(core, "Users")
    ids = {group["displayName"].lower(): group["id"] for group in shown(core, "Groups")}
    in_order = core.json("POST", "/Users/.search", {"schemas": [SEARCH], "count": 1000, **sort})["Resources"]
    rank = {each["id"]: place for place, each in enumerate(in_order)}
    for text in texts:
        for name, id in {**ids, "first": people[0]["id"]}.items():
            text = text.replace(f"{{{name}}}", id)
        expected = [each for each in people if matches(parse(text), each, USER)]
        expected.sort(key=lambda each: rank[each["id"]])
        asked = {"schemas": [SEARCH], "filter": text, **sort}
        page = core.json("POST", "/Users/.search", {**asked, "startIndex": start, "count": count})
        assert page["totalResults"] == len(expected), text
        assert page.get("Resources", []) == expected[start - 1 : start - 1 + count], text
        walked: list[dict[str, Any]] = []
        cursor = ""
        while cursor is not None:
            page = core.json("POST", "/Users/.search", {**asked, "cursor": cursor, "count": 3})
            walked += page.get("Resources", [])
            cursor = page.get("nextCursor")
        assert walked == expected, text


def test_each_term_alone_is_a_look_at_every_resource(core: Core) -> None:
    check(core, TERMS, {}, 1, 100)


@settings(max_examples=examples(120))
@given(
    texts=st.lists(filters, min_size=1, max_size=4),
    sort=sorts,
    order=st.sampled_from(["ascending", "descending"]),
    start=st.integers(1, 6),
    count=st.integers(0, 6),
)
def test_any_search_is_a_look_at_every_resource(
    core: Core, texts: list[str], sort: str | None, order: str, start: int, count: int
) -> None:
    check(core, texts, {"sortBy": sort, "sortOrder": order} if sort else {}, start, count)


@pytest.mark.parametrize("sort", ["groups.display", "meta.location", f"{MANAGER}.displayName"])
def test_an_order_by_what_no_store_holds_is_that_of_the_values_shown(core: Core, sort: str) -> None:
    def value(user: dict[str, Any]) -> str | None:
        if sort == "groups.display":
            return user["groups"][0]["display"] if "groups" in user else None
        if sort == "meta.location":
            return str(user["meta"]["location"])
        return user.get(ENTERPRISE, {}).get("manager", {}).get("displayName")

    found = core.json("GET", "/Users", sortBy=sort)["Resources"]
    assert found == sorted(
        shown(core, "Users"),
        key=lambda user: ((text := value(user)) is None, (text or "").lower(), user["meta"]["created"], user["id"]),
    )


def test_a_search_over_all_types_finds_what_is_in_groups_too(core: Core) -> None:
    found = core.json("GET", "/", filter='groups.display eq "apart" or displayName eq "apart"')
    people = [user for user in shown(core, "Users") if any(g["display"] == "Apart" for g in user.get("groups", ()))]
    groups = [group for group in shown(core, "Groups") if group["displayName"] == "Apart"]
    assert found["Resources"] == [*people, *groups]
    assert f"{BASE}/Users/" in json.dumps(found)


# What a search costs


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ('meta.location co "nowhere" and emails[type ne "work"]', 1),
        ('not (groups.display co "e") and emails[type ne "work"] and displayName co "e"', 1),
        ('groups.display co "zzz" and emails[type ne "work"]', 0),
    ],
)
def test_a_store_that_gives_pages_alone_is_looked_through_once(text: str, passes: int) -> None:
    backend = PlainBackend()
    core = Core(backend)
    for number in range(30):
        core.user(f"user{number}", displayName="e")
    users = backend.handlers["User"]
    users.looked_at = 0
    core.json("GET", "/Users", filter=text, count=0)
    assert users.looked_at == passes * 30


def test_each_group_is_asked_for_its_members_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = SqlBackend(f"sqlite:///{tmp_path / 'directory.db'}", TYPES)
    core = Core(backend)
    group = core.group("g", core.user("a"))
    asked: list[str] = []
    read = type(backend.handlers["Group"]).get

    def get(handler: Any, id: str, **more: Any) -> Resource:
        asked.append(id)
        return read(handler, id, **more)

    monkeypatch.setattr(type(backend.handlers["Group"]), "get", get)
    text = " and ".join([f'groups.value eq "{group["id"]}"'] * 20)
    assert core.json("GET", "/Users", filter=text)["totalResults"] == 1
    assert asked == [group["id"]]
    backend.close()
