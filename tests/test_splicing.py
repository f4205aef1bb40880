"""Answers made of texts: byte for byte what they are when everything is parsed, whatever is stored and asked for."""

from __future__ import annotations

import json
import re
import tempfile
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from core_client import ANYONE, BASE, ENTERPRISE, GROUP, PATCH_OP, USER, Core, open_backend, opened
from gadgets import CORE as GADGET_URN
from gadgets import EXTENSION as DEPOT_URN
from gadgets import GADGET
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import examples
from scim_gateway_memory import MemoryHandler
from scim_gateway_sql import SqlBackend
from without_texts import WithoutTexts

from scim_gateway.abilities import Text
from scim_gateway.backend import Backend
from scim_gateway.definitions import standard_resource_types
from scim_gateway.exchange import Request, Response
from scim_gateway.provider import ServiceProvider
from scim_gateway.relations import Membership
from scim_gateway.representation import Representation
from scim_gateway.schema import Attribute, Resource, ResourceType, ResourceTypes, Schema
from scim_gateway.splicing import Answers, Spliced

TYPES = ResourceTypes((*standard_resource_types(), GADGET))

# Values that look like what a text is searched for.
TRAPS = [
    '","meta":{"resourceType":"User","created":"x","lastModified":"y","version":"7"}}',
    ',"id":"a","meta":{"resourceType":"User"',
    '"manager":',
    '"manager":{"value":"x"}',
    '"members":[',
    "\\",
    '\\"',
    "é\u2028😀\x7f",
    "",
]
texts = st.sampled_from(TRAPS) | st.text(max_size=5)
name = st.fixed_dictionaries({}, optional={"givenName": texts, "familyName": texts})
mails = st.lists(
    st.fixed_dictionaries({"value": texts}, optional={"type": texts, "primary": st.booleans()}), max_size=2
)
enterprise = st.fixed_dictionaries(
    {}, optional={"department": texts, "costCenter": texts, "manager": st.just({"value": "u-0"})}
)
people = st.fixed_dictionaries(
    {},
    optional={"displayName": texts, "title": texts, "active": st.booleans(), "name": name, "emails": mails}
    | {ENTERPRISE: enterprise},
)
box = st.fixed_dictionaries({}, optional={"width": st.integers(0, 3), "maker": texts, "margin": texts, "pin": texts})
gadgets = st.fixed_dictionaries(
    {},
    optional={
        "note": texts,
        "weight": st.floats(allow_nan=False, allow_infinity=False),
        "hint": texts,
        "tags": st.lists(texts, max_size=2),
        "box": box,
        "parts": st.lists(st.fixed_dictionaries({}, optional={"value": texts, "key": texts}), max_size=2),
        DEPOT_URN: st.fixed_dictionaries({}, optional={"shelf": texts, "badge": texts, "cost": st.just(0.1)}),
    },
)
ASKED = ["userName", "displayName", "meta", "meta.version", "groups", "members", "members.value", "members.display"]
ASKED += ["id", "schemas", "name.givenName", "emails", "title", "label", "hint", "box", "box.maker", "tags", "nothing"]
ASKED += [ENTERPRISE, f"{ENTERPRISE}:manager", DEPOT_URN, f"{DEPOT_URN}:cost", GADGET_URN, USER, GROUP]
projections = st.dictionaries(
    st.sampled_from(["attributes", "excludedAttributes"]),
    st.lists(st.sampled_from(ASKED), min_size=1, max_size=3).map(",".join),
    max_size=1,
)
FILTERS = ['userName eq "user0"', 'id eq "u-1"', "displayName pr", 'displayName co "a"', "active eq true", 'id sw "g"']
FILTERS += ['meta.lastModified gt "2026-01-01T00:00:00.002Z"', 'members.value eq "u-0"', 'groups.value eq "g-0"']
pages = st.fixed_dictionaries(
    {},
    optional={
        "filter": st.sampled_from(FILTERS),
        "startIndex": st.integers(0, 4),
        "count": st.integers(0, 4),
        "sortBy": st.sampled_from(["userName", "displayName", "meta.created", "members.value", "id"]),
        "sortOrder": st.sampled_from(["ascending", "descending"]),
    },
)
bases = st.sampled_from(["https://scim.example/scim/v2", "http://[::1]:8000/a%20b/~c", "https://ünï.example/x"])
# How a resource is stored: as this release does it, or in an order of an earlier one.
orders = st.sampled_from(["last", "last", "first", "meta first"])


def stored(kind: str, id: str, number: int, attributes: Mapping[str, Any], order: str, version: int) -> Resource:
    at = f"2026-01-01T00:00:00.{number:03}Z"
    meta = {"resourceType": kind, "created": at, "lastModified": at, "version": str(version)}
    match order:
        case "first":
            return {"id": id, **attributes, "meta": meta}
        case "meta first":
            return {"meta": meta, **attributes, "id": id}
    return {**attributes, "id": id, "meta": meta}


@st.composite
def directories(draw: st.DrawFn) -> list[Resource]:
    """A few users and gadgets, and groups of them, one perhaps in another."""
    numbers = iter(range(1000))
    found = []
    for index, attributes in enumerate(draw(st.lists(people, min_size=1, max_size=4))):
        own = {"schemas": [USER], "userName": f"user{index}", **attributes}
        found.append(stored("User", f"u-{index}", next(numbers), own, draw(orders), draw(st.integers(1, 12))))
    for index, attributes in enumerate(draw(st.lists(gadgets, max_size=2))):
        own = {"schemas": [GADGET_URN], "label": f"label{index}", **attributes}
        found.append(stored("Gadget", f"d-{index}", next(numbers), own, draw(orders), 1))
    users = [each["id"] for each in found if each["meta"]["resourceType"] == "User"]
    for index in range(draw(st.integers(0, 3))):
        members = [{"value": id, "type": "User"} for id in draw(st.sets(st.sampled_from(users)))]
        if index and draw(st.booleans()):
            members.append({"value": f"g-{index - 1}", "type": "Group"})
        members.sort(key=lambda member: member["value"])
        own = {"schemas": [GROUP], "displayName": f"{draw(texts)}{index}", **({"members": members} if members else {})}
        found.append(stored("Group", f"g-{index}", next(numbers), own, draw(orders), 1))
    return found


def answers(backend: Backend, *requests: Request) -> Iterator[tuple[Response, Response]]:
    """Each answer, made of texts and of resources."""
    spliced, parsed = ServiceProvider(backend), ServiceProvider(WithoutTexts(backend))
    for request in requests:
        yield spliced.handle(request), parsed.handle(request)


def get(path: str, base: str, query: Mapping[str, Any], headers: Mapping[str, str], method: str = "GET") -> Request:
    pairs = tuple((key, str(value)) for key, value in query.items())
    return Request(method, path, base, pairs, headers, principal=ANYONE)


def without_cursor(response: Response) -> tuple[Any, ...]:
    # Two cursors to the same place are sealed differently.
    body = re.sub(rb'"nextCursor":"[^"]*"', b'"nextCursor":""', response.body)
    headers = {key: value for key, value in response.headers.items() if key != "Content-Length"}
    return response.status, headers, body, response.scim_type


@pytest.mark.parametrize("kind", ["memory", "sql"])
# How long it takes to draw an example depends on who else is on the machine.
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
@given(directories(), st.lists(projections, min_size=1, max_size=3), st.lists(pages, min_size=1, max_size=3), bases)
def test_what_is_spliced_is_what_is_parsed(
    kind: str,
    directory: list[Resource],
    shown: list[dict[str, str]],
    asked: list[dict[str, Any]],
    base: str,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        backend = open_backend(kind, Path(folder), TYPES)
        with backend.operation(write=True):
            for each in directory:
                backend.handlers[each["meta"]["resourceType"]].create(each)
        paths = [f"/{each['meta']['resourceType']}s/{each['id']}" for each in directory]
        requests = [
            get(path, base, projection, {"if-none-match": tag}, method)
            for path in [*paths, "/Users/none", "/Groups/u-0"]
            for projection in shown
            for method, tag in (("GET", ""), ("HEAD", ""), ("GET", 'W/"1"'))
        ]
        requests += [
            get(endpoint, base, {**query, **projection, **paging}, {})
            for endpoint in ("/Users", "/Groups", "/Gadgets", "/")
            for query in asked
            for projection in shown
            for paging in ({}, {"cursor": ""})
        ]
        # Twice, as the second answer may be one that was kept.
        for spliced, parsed in answers(backend, *requests, *requests[: 3 * len(paths)]):
            assert without_cursor(spliced) == without_cursor(parsed)
            assert (
                spliced.headers.get("Content-Length") == parsed.headers.get("Content-Length")
                or b"Cursor" in parsed.body
            )
        backend.close()


@pytest.fixture
def core(backend: str, tmp_path: Path) -> Iterator[Core]:
    with opened(backend, tmp_path, TYPES) as made:
        yield made


def parsed(core: Core) -> Core:
    return Core(WithoutTexts(core.backend))


def same(core: Core, path: str, **query: str | int) -> Response:
    """The answer, after a look that it is what it is without texts."""
    response, expected = core.send("GET", path, **query), parsed(core).send("GET", path, **query)
    assert response == expected
    return response


def test_whatever_wrote_a_resource_the_next_answer_is_made_of_its_text(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = core.user("ada", displayName="Ada")
    path = f"/Users/{ada['id']}"
    changes: list[tuple[str, Any]] = [
        ("PATCH", {"schemas": [PATCH_OP], "Operations": [{"op": "add", "path": "title", "value": "Dr"}]}),
        ("PATCH", {"schemas": [PATCH_OP], "Operations": [{"op": "add", "value": {f"{ENTERPRISE}:department": "R&D"}}]}),
        ("PUT", {"schemas": [USER], "userName": "ada", "nickName": "A"}),
    ]
    expected = [orjson.loads(same(core, path).body)]
    for method, body in changes:
        core.json(method, path, body)
        expected.append(orjson.loads(same(core, path).body))
    assert [each["meta"]["version"] for each in expected] == [f'W/"{number}"' for number in range(1, 5)]

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a text was parsed")

    monkeypatch.setattr("scim_gateway.representation.Representation.complete", refuse)
    assert core.get(ada) == expected[-1]
    assert core.json("GET", "/Users", filter='userName eq "ada"')["Resources"] == [expected[-1]]
    assert core.json("GET", "/Users")["Resources"] == [expected[-1]]


@pytest.mark.parametrize("parameter", ["attributes", "excludedAttributes"])
@pytest.mark.parametrize("asked", [*ASKED, "groups.display", "meta.location", "members.$ref", "userName,groups"])
def test_every_projection_shows_the_same_of_what_is_in_groups_and_of_groups(
    core: Core, parameter: str, asked: str
) -> None:
    ada = core.user("ada", displayName="Ada", title="Dr", **{ENTERPRISE: {"department": "R&D"}})
    inner = core.group("inner", ada)
    outer = core.group("outer", inner, ada)
    for each in (ada, inner, outer):
        path = each["meta"]["location"].removeprefix(BASE)
        same(core, path)  # an answer that may be kept
        same(core, path, **{parameter: asked})
    for endpoint in ("/Users", "/Groups", "/"):
        same(core, endpoint, **{parameter: asked})


def test_a_reference_is_completed_and_so_are_its_neighbours_on_the_page(core: Core) -> None:
    boss = core.user("boss", displayName="The Boss")
    core.user("ada", **{ENTERPRISE: {"manager": {"value": boss["id"]}}})
    core.user("bob")
    page = orjson.loads(same(core, "/Users").body)["Resources"]
    assert [each["userName"] for each in page] == ["boss", "ada", "bob"]
    assert page[1][ENTERPRISE]["manager"] == {
        "value": boss["id"],
        "$ref": boss["meta"]["location"],
        "displayName": "The Boss",
    }


def test_a_name_inside_a_value_is_no_reason_to_look_inside(core: Core) -> None:
    ada = core.user("ada", title='"manager":{"value":"x"},"members":[')
    assert core.get(ada)["title"] == '"manager":{"value":"x"},"members":['
    same(core, f"/Users/{ada['id']}")


def test_members_are_shown_by_their_names_of_today(core: Core) -> None:
    ada, bob = core.user("ada", displayName="Ada"), core.user("bob")
    inner = core.group("inner", bob)
    staff = core.group("staff", ada, bob, inner)
    outer = core.group("outer", staff)
    path = f"/Groups/{staff['id']}"

    def displays() -> set[str | None]:
        elements = orjson.loads(same(core, path).body)["members"]
        assert elements == orjson.loads(same(core, path).body)["members"]
        return {element.get("display") for element in elements}

    assert displays() == {"Ada", "bob", "inner"}
    core.patch(ada, {"op": "replace", "path": "displayName", "value": "Countess"})
    assert displays() == {"Countess", "bob", "inner"}
    core.patch(inner, {"op": "replace", "path": "displayName", "value": "within"})
    assert displays() == {"Countess", "bob", "within"}
    core.patch(staff, {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'})
    assert displays() == {"bob", "within"}
    core.json("DELETE", f"/Users/{bob['id']}", expect=204)
    assert displays() == {"within"}
    core.patch(staff, {"op": "replace", "path": "displayName", "value": "everybody"})
    assert orjson.loads(same(core, f"/Groups/{outer['id']}").body)["members"][0]["display"] == "everybody"
    core.json("DELETE", path, expect=204)
    assert core.send("GET", path).status == 404


def test_a_group_is_shown_at_the_base_url_of_each_request(core: Core) -> None:
    staff = core.group("staff", core.user("ada"))
    for base in ("https://one.example/scim/v2", "https://two.example/v2", "https://one.example/scim/v2"):
        response = core.provider.handle(get(f"/Groups/{staff['id']}", base, {}, {}))
        document = json.loads(response.body)
        assert document["meta"]["location"] == response.headers["Location"] == f"{base}/Groups/{staff['id']}"
        assert document["members"][0]["$ref"].startswith(f"{base}/Users/")


TEAM_URN = "urn:example:schemas:2.0:Team"
TEAM = ResourceType(
    "Team",
    "/Teams",
    Schema(
        TEAM_URN,
        "Team",
        attributes=(
            Attribute("displayName", required=True),
            Attribute(
                "people",
                type="complex",
                multi_valued=True,
                sub_attributes=(
                    Attribute("value", case_exact=True),
                    Attribute("$ref", type="reference", case_exact=True, reference_types=("Team", "User")),
                    Attribute("type"),
                    Attribute("display"),
                ),
            ),
            Attribute(
                "teams",
                type="complex",
                multi_valued=True,
                mutability="readOnly",
                sub_attributes=(Attribute("value", case_exact=True), Attribute("display"), Attribute("type")),
            ),
        ),
    ),
    members="people",
    containers="teams",
)


def test_what_has_members_and_tells_what_it_is_in_tells_both_as_they_are(tmp_path: Path) -> None:
    core = Core(open_backend("sql", tmp_path, ResourceTypes((*standard_resource_types(), TEAM))))

    def team(name: str, *people: Mapping[str, Any]) -> dict[str, Any]:
        members = [{"value": each["id"]} for each in people]
        body = {"schemas": [TEAM_URN], "displayName": name, "people": members}
        made: dict[str, Any] = core.json("POST", "/Teams", body, expect=201)
        return made

    ada = core.user("ada")
    inner = team("inner", ada)
    path = f"/Teams/{inner['id']}"
    assert "teams" not in orjson.loads(same(core, path).body)
    outer = team("outer", inner)
    shown = orjson.loads(same(core, path).body)
    assert [each["display"] for each in shown["people"]] == ["ada"]
    assert [each["display"] for each in shown["teams"]] == ["outer"]
    core.patch(outer, {"op": "replace", "path": "displayName", "value": "around"})
    assert [each["display"] for each in orjson.loads(same(core, path).body)["teams"]] == ["around"]
    core.backend.close()


def test_a_type_that_does_not_show_its_groups_does_not_when_they_come_with_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = Core(open_backend("memory", tmp_path))
    # Without members: a text with references is parsed.
    inner = core.group("inner")
    core.group("outer", inner)
    text = MemoryHandler.text

    def with_holders(handler: MemoryHandler, id: str) -> Text:
        groups = core.backend.handlers["Group"]
        assert isinstance(groups, MemoryHandler)
        # As of a look that went no further: what it is in is in nothing, as far as is known.
        holders = [replace(each, contained=False) for each in groups.containing([id]).get(id, ())]
        return text(handler, id)._replace(holders=holders)

    monkeypatch.setattr(MemoryHandler, "text", with_holders)
    shown = orjson.loads(same(core, f"/Groups/{inner['id']}").body)
    assert shown.keys() == {"schemas", "id", "meta", "displayName"}


def test_what_many_groups_add_is_not_kept_from_request_to_request(tmp_path: Path) -> None:
    core = Core(open_backend("memory", tmp_path, TYPES))
    people = [core.user(f"user{number}") for number in range(30)]
    for number in range(150):
        core.group(f"group {number}", *(each for index, each in enumerate(people) if index != number))

    def ask() -> int:
        return sum(len(core.send("GET", f"/Users/{each['id']}").body) for each in people)

    tracemalloc.start()
    try:
        answered = ask()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answered > 500_000
    assert kept < answered / 4


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the groups that are shown somewhere from now on, each as often as that is made."""
    names: list[str] = []
    show = Representation.group

    def counted(representation: Representation, membership: Membership, base_url: str) -> dict[str, Any]:
        names.append(str(membership.group.display))
        return show(representation, membership, base_url)

    monkeypatch.setattr(Representation, "group", counted)
    return names


def test_what_few_groups_add_is_made_once(core: Core, made: list[str]) -> None:
    people = [core.user(f"user{number}") for number in range(3)]
    group = core.group("group", *people)
    for each in people:
        assert core.get(each)["groups"][0]["display"] == "group"
    assert made == ["group"]
    core.patch(group, {"op": "replace", "path": "displayName", "value": "renamed"})
    assert core.get(people[0])["groups"][0]["display"] == "renamed"
    assert made == ["group", "renamed"]


def test_on_one_page_what_many_groups_add_is_made_once(core: Core, made: list[str]) -> None:
    people = [core.user(f"user{number}") for number in range(3)]
    names = [f"group {number}" for number in range(40)]
    for name in names:
        core.group(name, *people)
    found = core.json("GET", "/Users")["Resources"]
    assert [len(each["groups"]) for each in found] == [40] * 3
    assert made == names


def test_of_sets_of_few_groups_so_many_are_kept_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scim_gateway.splicing._KEPT_SETS", 2)
    core = Core(open_backend("memory", tmp_path, TYPES))
    people = [core.user(f"user{number}") for number in range(5)]
    for each in people:
        core.group(f"of {each['userName']}", each)
    for each in (*people, *people):
        assert [group["display"] for group in core.get(each)["groups"]] == [f"of {each['userName']}"]
    splicer = core.provider._types["User"]._splicer
    assert splicer is not None
    assert len(splicer._kept) <= 2


class TestKeptAnswers:
    def test_one_is_given_for_its_state_alone(self) -> None:
        answers, made = Answers(100, beside=0), Spliced(b"x" * 40, 'W/"1"', "here")
        answers.keep("a", 1, made)
        assert answers.get("a", 1) is made
        assert answers.get("a", 2) is None
        assert answers.get("b", 1) is None

    def test_they_stay_within_their_bounds_and_the_oldest_go_first(self) -> None:
        answers = Answers(100, beside=0)
        for key in "ab":
            answers.keep(key, 1, Spliced(b"x" * 40, "", ""))
        assert answers.get("a", 1)
        answers.keep("c", 1, Spliced(b"x" * 40, "", ""))
        assert [bool(answers.get(key, 1)) for key in "abc"] == [True, False, True]
        answers.keep("d", 1, Spliced(b"x" * 101, "", ""))
        assert not any(answers.get(key, 1) for key in "abcd")
        answers.keep("e", 1, Spliced(b"x" * 100, "", ""))
        answers.keep("e", 2, Spliced(b"x" * 10, "", ""))
        answers.keep("f", 2, Spliced(b"x" * 90, "", ""))
        assert answers.get("e", 2)
        assert answers.get("f", 2)

    def test_short_ones_are_bounded_by_what_is_kept_beside_them(self) -> None:
        answers = Answers(1000, beside=90)
        for key in range(30):
            answers.keep(key, 1, Spliced(b"x" * 10, "", ""))
        assert [key for key in range(30) if answers.get(key, 1)] == list(range(20, 30))


def open_twice(folder: Path) -> tuple[Core, Core]:
    """Two processes on one file, as far as their memory goes."""
    return Core(SqlBackend(f"sqlite:///{folder / 'one.db'}", TYPES)), Core(
        SqlBackend(f"sqlite:///{folder / 'one.db'}", TYPES)
    )


def test_an_answer_that_is_kept_is_given_up_when_another_process_changes_a_name(tmp_path: Path) -> None:
    here, there = open_twice(tmp_path)
    ada = here.user("ada", displayName="Ada")
    staff = here.group("staff", ada)
    assert here.get(staff)["members"][0]["display"] == "Ada"
    there.patch(ada, {"op": "replace", "path": "displayName", "value": "Countess"})
    assert here.get(staff)["members"][0]["display"] == "Countess"
    there.patch(ada, {"op": "remove", "path": "displayName"})
    assert here.get(staff)["members"][0]["display"] == "ada"
    here.backend.close()
    there.backend.close()


def test_a_change_of_a_name_that_is_undone_changes_nothing(tmp_path: Path) -> None:
    here, there = open_twice(tmp_path)
    ada, bob = here.user("ada", displayName="Ada"), here.user("bob")
    staff = here.group("staff", ada)
    assert here.get(staff)["members"][0]["display"] == "Ada"
    handler = there.backend.handlers["User"]

    def rename_and_fail() -> None:
        with there.backend.operation(write=True):
            before = handler.get(ada["id"])
            handler.modify(before, {**before, "displayName": "X", "meta": {**before["meta"], "version": "9"}})
            raise KeyError("something else")

    with pytest.raises(KeyError, match="something else"):
        rename_and_fail()
    assert here.get(staff)["members"][0]["display"] == "Ada"
    there.patch(bob, {"op": "replace", "path": "displayName", "value": "Bobby"})
    assert here.get(staff)["members"][0]["display"] == "Ada"
    here.backend.close()
    there.backend.close()


def test_a_group_that_has_not_changed_is_not_put_together_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = open_twice(tmp_path)
    people = [here.user(f"user{number}") for number in range(3)]
    staff = here.group("staff", *people[:2])
    expected = here.get(staff)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the members were read")

    monkeypatch.setattr(type(here.backend.handlers["Group"]), "members", refuse)
    # What nobody in the group is called by does not matter.
    there.patch(people[2], {"op": "replace", "path": "displayName", "value": "Somebody"})
    there.patch(people[0], {"op": "replace", "path": "title", "value": "Dr"})
    assert here.get(staff) == expected
    here.backend.close()
    there.backend.close()
