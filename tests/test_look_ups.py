"""Look-ups (``look_ups.py``): answered the short way, byte for byte as they are when each request is read by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from core_client import BACKENDS, BASE, ENTERPRISE, USER, Core, opened
from gadgets import CORE as GADGET_URN
from gadgets import EXTENSION as DEPOT_URN
from gadgets import GADGET
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import examples
from without_texts import WithoutTexts

import scim_gateway.query
from scim_gateway.actor import GATEWAY, current
from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import StaleResource, Unavailable
from scim_gateway.exchange import Principal, Request, Response
from scim_gateway.filter_parser import FilterLimits
from scim_gateway.look_ups import SOME_TEXT, Form, LookUps
from scim_gateway.profile import PROFILES
from scim_gateway.provider import ServiceProvider
from scim_gateway.provider_settings import ProviderSettings
from scim_gateway.routing import Match
from scim_gateway.schema import ResourceTypes

TYPES = ResourceTypes((*standard_resource_types(), GADGET))
READER = Principal("reader", frozenset({"read"}))
ODD_NAMES = ["Ann", "o'brien", "a b", "a+b", "é", "Straße", "😀", "50%", "a\u2028b", SOME_TEXT, "true", "null", "1"]


def without_look_ups(provider: ServiceProvider) -> ServiceProvider:
    """The same service provider, which reads every request by itself."""
    provider._look_ups = LookUps(lambda form: None)
    return provider


def spied_on(provider: ServiceProvider, patch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the requests that it reads by themselves from now on, because they are no look-ups it knows."""
    read: list[str] = []
    admitted = provider._admitted

    def admit(request: Request) -> Match:
        read.append(request.path)
        return admitted(request)

    patch.setattr(provider, "_admitted", admit)
    return read


@dataclass
class Directory:
    """Some people, groups in groups and gadgets; and two service providers over them, of which one knows look-ups."""

    short: ServiceProvider
    long: ServiceProvider
    ids: list[str]
    tags: list[str]
    texts: list[str]

    def both(self, request: Request) -> tuple[Response, Response]:
        """The answers of the two; the first one has been asked in the same form before."""
        self.short.handle(replace(request))
        return self.short.handle(replace(request)), self.long.handle(replace(request))


GRACE = {
    "externalId": "00u1",
    "password": "never-tell-1",
    "active": False,
    "emails": [{"value": "grace@example.com", "type": "work", "primary": True}, {"value": "g@example.org"}],
    "schemas": [USER, ENTERPRISE],
}
DRILL = {"schemas": [GADGET_URN, DEPOT_URN], "label": "drill", "code": "Xy", "note": "a", "flag": True, "tags": ["a"]}
DRILL |= {"seen": "2024-01-01T00:00:00Z", "link": "https://example.com/a", "blob": "AAEC", "secret": "hush"}
DRILL |= {
    "box": {"maker": "ann", "pin": "1234"},
    "parts": [{"value": "bolt", "key": "k-1"}],
    DEPOT_URN: {"shelf": "s1"},
}


def fill(core: Core) -> Directory:
    users = [core.user(each, title="Dr") for each in ODD_NAMES]
    department = {"department": "Navy", "manager": {"value": users[0]["id"]}}
    users.append(core.json("POST", "/Users", {**GRACE, "userName": "grace", ENTERPRISE: department}, expect=201))
    inner = core.group("inner", *users[:3], users[-1], externalId="g1")
    outer = core.group("outer", inner)
    groups = [inner, outer, core.group("outermost", outer, users[1]), core.group("empty")]
    small = {"schemas": [GADGET_URN], "label": "a"}
    gadgets = [core.json("POST", "/Gadgets", body, expect=201) for body in (DRILL, small)]
    every = [core.get(each) for each in (*users, *groups, *gadgets)]
    metas = [each["meta"] for each in every]
    tags = [meta["version"] for meta in metas]
    texts = [*(meta["created"] for meta in metas[:2]), *(meta["location"] for meta in metas[:2]), *tags[:2]]
    return Directory(
        core.provider, without_look_ups(ServiceProvider(core.backend)), [each["id"] for each in every], tags, texts
    )


@pytest.fixture(scope="module", params=BACKENDS)
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    with opened(request.param, tmp_path_factory.mktemp("look_ups"), TYPES) as core:
        yield fill(core)


# Requests around the forms that are known


def paths() -> list[str]:
    """What a filter can compare, and what it cannot."""
    found = ["id", "schemas", "externalId", "meta.version", "meta.location", "meta.created", "meta.resourceType"]
    for kind in TYPES:
        for urn, attribute in kind.every_attribute():
            name = f"{urn}:{attribute.name}" if urn else attribute.name
            found += [name, *(f"{name}.{sub.name}" for sub in attribute.sub_attributes)]
        found += [f"{kind.schema.id}:{attribute.name}" for attribute in kind.schema.attributes[:4]]
    found += ["meta", "nothing", "userName.nothing", "urn:no:such:thing", DEPOT_URN, "", "not", "true", "x y"]
    return list(dict.fromkeys(found))


PATHS = paths()
USUAL = ["userName", "displayName", "externalId", "label", "emails", "id", "title"]
TEXTS = ["", " ", "grace", "GRACE", "00u1", "inner", "outer", "Hopper", "work", "grace@example.com", "Navy", "drill"]
TEXTS += ["Xy", "xy", "a", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", "https://example.com/a", "AAEC", "s1"]
TEXTS += [
    '\\"',
    "\\u00e9",
    "\\",
    '"',
    '" or id pr or id eq "',
    "\n",
    "\x00",
    "\x1f",
    "\x7f",
    "\ud800",
    "%",
    "_",
    "bolt",
]
TEXTS += ["a) or (id pr", "hush", "1234", "never-tell-1", USER, "User", "x" * 255, "x" * 256, "x" * 257, "x" * 5000]
OPERATORS = ["EQ", "Eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "==", "eq "]
SHAPES = ["{0}{1}", "{0}'{1}'", '({0}"{1}")', 'not ({0}"{1}")', ' {0}"{1}"', '{0}"{1}" ', '{0}"{1}" and id pr', "{0}"]
SHAPES += ['id pr and {0}"{1}"', 'id pr or {0}"{1}"', 'emails[type eq "work" and {0}"{1}"]', 'emails[{0}"{1}"]']
SHAPES += ['emails[type eq "work"].{0}"{1}"', "{0}null", '{0}"{1}', '{0}{1}"', '{0}"{1}""{1}"']
LISTS = ["userName", "USERNAME", "emails", "groups", "members", "displayName,id", "meta.version", "password", ""]
LISTS += ["nothing", "secret", "box.pin", DEPOT_URN, f"{ENTERPRISE}:manager", "id", ",", "label", "parts.key"]
NUMBERS = ["0", "1", "2", "3", "-1", "1000000000", "999999999", "x", "", " 1 ", "+1", "1.0", "\u0661"]
ENDPOINTS = ["/Users/", "//Users", "/users", "/v2/Users", "/V2.0/Users", "/v3/Users", "/Users/.search", "/", "", "//"]
ENDPOINTS += ["/Me", "/Bulk", "/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Nothing", "/Users;x=y"]
ENDPOINTS += ["/Users\x00", "/v2", "/Users/x", "/Users/.search/", "/.search"]
IDS = ["nobody", ".search", "..", ".", "", "a b", "\u00e9", "\ufffd", "%2F", "\x00", "\n", ";", "x" * 256, "x" * 257]
IDS += [SOME_TEXT, "User", "Me", "*", "'", '"', "null", "\ud800", "../Groups", "a/b"]
ACCEPTS = ["application/json", "application/scim+json", "*/*", "text/html", "application/*;q=0", "", ",", "\u00e9"]
ACCEPTS += ["application/scim+json;q=0, application/json", "application/json;q=x"]
SCOPES = [frozenset({"read", "write"}), frozenset({"read"}), frozenset({"write"}), frozenset[str]()]
CASES: list[Callable[[str], str]] = [str, str, str, str.lower, str.upper, str.swapcase]


places = st.integers(0, 100)
"""Stands for something that is stored: which it is, is told when the directory is known."""
cases = st.sampled_from(CASES)
condition = st.sampled_from(["*", 'W/"1"', '"1"', "1", '"nothing"', "", ","]) | places
HEADERS = {"accept": st.sampled_from(ACCEPTS), "if-none-match": condition, "if-match": condition}
ODDITIES = [
    "method",
    "endpoint",
    "id",
    "filter name",
    "filters",
    "shape",
    "name",
    "blank",
    "operator",
    "text",
    "beside",
]
ODDITIES += ["principal", *HEADERS]


@st.composite
def parameters(draw: st.DrawFn) -> tuple[str, str]:
    """A query parameter beside the filter."""
    name = draw(
        st.sampled_from(["attributes", "excludedAttributes", "startIndex", "count", "cursor", "sortBy", "x", ""])
    )
    values = LISTS if "ttributes" in name else NUMBERS if name in ("startIndex", "count") else ["", "x", "userName"]
    return draw(cases)(name), draw(st.sampled_from(values))


@st.composite
def questions(draw: st.DrawFn) -> Callable[[Directory], Request]:
    """A look-up, but for a few of its parts, which are anything."""
    odd = draw(st.sets(st.sampled_from(ODDITIES), max_size=3))

    def part(name: str, usual: Sequence[Any], others: st.SearchStrategy[Any]) -> Any:
        return draw(others if name in odd else st.sampled_from(usual))

    def any_of(values: Sequence[Any]) -> st.SearchStrategy[Any]:
        return st.sampled_from(values)

    method = part("method", ["GET"], any_of(["HEAD", "OPTIONS", "PROPFIND", "POST", "get"]))
    endpoint = part("endpoint", ["/Users", "/Users", "/Groups", "/Gadgets"], any_of(ENDPOINTS))
    by_id = draw(st.booleans())
    id = part("id", [draw(places)], any_of(IDS)) if by_id else None
    query: list[tuple[str, Any]] = part("beside", [()], st.lists(parameters(), min_size=1, max_size=3))
    query = list(query)
    for _ in range(part("filters", [not by_id], st.integers(0, 2))):
        blank, operator = (
            part("blank", [" "], any_of(["  ", "", "\t", "\u00a0"])),
            part("operator", ["eq"], any_of(OPERATORS)),
        )
        path = draw(cases)(part("name", USUAL, any_of(PATHS)))
        text = part(
            "text", [*ODD_NAMES, "grace", "inner", "drill", "Dr", 0], any_of(TEXTS) | places | st.text(max_size=4)
        )
        shape = part("shape", ['{0}"{1}"'], any_of(SHAPES))
        sent = part("filter name", ["filter"], any_of(["Filter", "FILTER", "filter "]))
        query.insert(draw(st.integers(0, len(query))), (sent, (shape, f"{path}{blank}{operator}{blank}", text)))
    somebody = st.builds(Principal, st.just("x"), any_of(SCOPES), any_of([None, *PROFILES, "unheard of"]))
    principal = part("principal", [READER], somebody | st.none())
    named = {name: draw(values) for name, values in HEADERS.items() if name in odd}

    def ask(directory: Directory) -> Request:
        def known(value: str | int, among: Sequence[str]) -> str:
            return value if isinstance(value, str) else among[value % len(among)]

        stored = [*directory.ids, *directory.texts]
        pairs = tuple(
            (name, value if isinstance(value, str) else value[0].format(value[1], known(value[2], stored)))
            for name, value in query
        )
        about = {name: known(value, directory.tags) for name, value in named.items()}
        path = endpoint if id is None else f"{endpoint}/{known(id, directory.ids)}"
        return Request(method, path, BASE, pairs, about, b"{}", principal)

    return ask


def test_whatever_is_asked_the_short_way_answers_as_the_long_one(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    short: list[str] = []
    looked_up = directory.short._looked_up

    def look_up(*asked: Any) -> Any:
        found = looked_up(*asked)
        short.append(asked[2])
        return found

    @settings(max_examples=examples(500))
    @given(ask=questions())
    def compare(ask: Callable[[Directory], Request]) -> None:
        request = ask(directory)
        short_way, long_way = directory.both(request)
        assert short_way == long_way

    monkeypatch.setattr(directory.short, "_looked_up", look_up)
    compare()
    assert len(short) > examples(500) / 5, "hardly anything that was asked had to do with look-ups"


# Which requests are answered the short way


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/Users/{id}", ()),
        ("/Users/nobody", ()),
        ("/Users", (("filter", 'userName eq "Ann"'),)),
        ("/Users", (("filter", 'userName eq "nobody"'),)),
        ("/Users", (("filter", 'USERNAME EQ "Ann"'), ("excludedAttributes", "emails,name"), ("count", "1"))),
        ("/Users", (("startIndex", "1"), ("count", "100"), ("filter", 'externalId eq "00u1"'))),
        ("/Users", (("filter", f'{USER}:userName eq "Ann"'),)),
        ("/Users", (("filter", 'emails.value eq "grace@example.com"'),)),
        ("/Users", (("filter", 'id eq "{id}"'),)),
        ("/Groups", (("filter", 'displayName eq "inner"'), ("excludedAttributes", "members"))),
        ("/Gadgets", (("filter", 'label eq "drill"'), ("cursor2", "ignored"))),
    ],
)
def test_the_second_request_of_a_form_comes_the_short_way(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, path: str, query: tuple[tuple[str, str], ...]
) -> None:
    def asked(id: str, text: str) -> Request:
        pairs = tuple((name, value.replace("{id}", id).replace("Ann", text)) for name, value in query)
        return Request("GET", path.replace("{id}", id), BASE, pairs, {}, b"", READER)

    directory.short.handle(asked(directory.ids[0], "Ann"))
    read = spied_on(directory.short, monkeypatch)
    parsed: list[str] = []
    parse = scim_gateway.query.parse_filter
    monkeypatch.setattr(
        scim_gateway.query, "parse_filter", lambda text, limits: parsed.append(text) or parse(text, limits)
    )
    for id, text in zip(directory.ids[1:4], ("o'brien", "a b", "nobody"), strict=True):
        short = directory.short.handle(asked(id, text))
        assert (read, parsed) == ([], [])
        assert short == directory.long.handle(asked(id, text))
        parsed.clear()


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/Users/.search", ()),
        ("/Me", ()),
        ("/v2/Users/{id}", ()),
        ("/Users/{id}/", ()),
        ("/Users//{id}", ()),
        ("/Users/{id}", (("attributes", "id"),)),
        ("/Users/{id}", (("filter", 'userName eq "Ann"'),)),
        ("/", (("filter", 'userName eq "Ann"'),)),
        ("/Schemas", (("filter", 'id eq "Ann"'),)),
        ("/Users", (("Filter", 'userName eq "Ann"'),)),
        ("/Users", (("filter", 'userName eq "Ann"'), ("filter", 'userName eq "Ann"'))),
        ("/Users", (("filter", 'userName eq "Ann"'), ("FILTER", 'userName eq "Ann"'))),
        ("/Users", (("filter", 'userName eq "Ann"'), ("count", "1"), ("Count", "1"))),
        ("/Users", (("filter", 'userName eq "Ann"'), ("count", "many"))),
        ("/Users", (("filter", 'userName eq "Ann"'), ("attributes", "id"), ("excludedAttributes", "id"))),
        ("/Users", (("filter", 'userName eq "Ann"'), ("attributes", "id"))),
        ("/Users", (("filter", 'userName eq "Ann"'), ("cursor", ""))),
        ("/Users", (("filter", 'userName eq "Ann"'), ("sortBy", "userName"))),
        ("/Users", (("filter", 'userName eq "A\\"nn"'),)),
        ("/Users", (("filter", 'userName eq "\\u00e9"'),)),
        ("/Users", (("filter", 'userName eq "o\\u0027brien"'), ("count", "1"))),
        ("/Users", (("filter", 'userName sw "Ann"'),)),
        ("/Users", (("filter", 'userName ne "Ann"'),)),
        ("/Users", (("filter", 'not (userName eq "Ann")'),)),
        ("/Users", (("filter", 'id pr or userName eq "Ann"'),)),
        ("/Users", (("filter", 'nothing eq "Ann"'),)),
        ("/Users", (("filter", 'password eq "Ann"'),)),
        ("/Users", (("filter", 'active eq "Ann"'),)),
        ("/Users", (("filter", 'active eq "true"'),)),
        ("/Users", (("filter", 'meta.created eq "Ann"'),)),
        ("/Users", (("filter", 'meta.version eq "Ann"'),)),
        ("/Users", (("filter", 'meta.location eq "Ann"'),)),
        ("/Users", (("filter", 'name eq "Ann"'),)),
        ("/Users", (("filter", 'groups eq "{id}"'),)),
        ("/Users", (("filter", 'groups.value eq "{id}"'),)),
        ("/Users", (("filter", 'groups.display eq "inner"'),)),
        ("/Users", (("filter", f'{ENTERPRISE}:manager.displayName eq "Ann"'),)),
        ("/Gadgets", (("filter", 'secret eq "hush"'),)),
        ("/Gadgets", (("filter", 'box.pin eq "1234"'),)),
        ("/Gadgets", (("filter", 'parts.key eq "k-1"'),)),
        ("/Gadgets", (("filter", 'seen eq "2024-01-01T00:00:00Z"'),)),
        ("/Gadgets", (("filter", 'flag eq "true"'),)),
        ("/Gadgets", (("filter", 'size eq "1"'),)),
        ("/Users/" + "x" * 257, ()),
        ("/Users", (("filter", 'userName eq "' + "x" * 257 + '"'),)),
    ],
)
def test_what_is_no_look_up_is_read_each_time_and_answered_the_same(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, path: str, query: tuple[tuple[str, str], ...]
) -> None:
    read = spied_on(directory.short, monkeypatch)
    id = directory.ids[0]
    pairs = tuple((name, value.replace("{id}", id)) for name, value in query)
    request = Request("GET", path.replace("{id}", id), BASE, pairs, {}, b"", READER)
    short, long = directory.both(request)
    assert short == long
    assert read == [request.path] * 2


LONG = "x" * 20_000


@pytest.mark.parametrize(
    ("path", "query", "accept"),
    [
        ("/Users", [("filter", 'userName eq "ann"'), ("excludedAttributes", LONG)], ""),
        ("/Users", [("filter", 'userName eq "ann"'), (LONG, "1")], ""),
        ("/Users", [("filter", 'userName eq "ann"'), *[(f"x{number}", "12345") for number in range(150)]], ""),
        ("/Users", [("filter", f'{LONG} eq "ann"')], ""),
        ("/Users", [("filter", 'userName eq "ann"')], f"application/json;x={LONG}"),
        ("/Users/1", [], f"application/json;x={LONG}"),
        (f"/{LONG}/1", [], ""),
    ],
)
def test_a_form_that_is_long_is_not_kept(path: str, query: list[tuple[str, str]], accept: str) -> None:
    kept: list[Form] = []
    look_ups = LookUps(kept.append)
    assert look_ups.of(Request("GET", path, BASE, tuple(query), {"accept": accept}, b"", READER)) is None
    assert kept == []
    look_ups.of(Request("GET", "/Users/1", BASE, (), {"accept": "*/*"}, b"", READER))
    assert kept == [Form("/Users", "", (), "*/*", None)]


@pytest.mark.parametrize("start", [None, "-1", "0", "1", "2", "3", "13", "14", "999999999"])
@pytest.mark.parametrize("count", [None, "-1", "0", "1", "5", "13", "14", "999999999"])
def test_a_look_up_that_finds_many_is_paged(directory: Directory, start: str | None, count: str | None) -> None:
    query = [("filter", 'title eq "Dr"'), ("startIndex", start), ("count", count)]
    pairs = tuple((name, value) for name, value in query if value is not None)
    short, long = directory.both(Request("GET", "/Users", BASE, pairs, {}, b"", READER))
    assert short == long
    page = json.loads(short.body)
    assert page["totalResults"] == len(ODD_NAMES) == 13
    assert page["startIndex"] == max(1, int(start or 1))
    assert page["itemsPerPage"] == max(0, min(100 if count is None else int(count), 14 - page["startIndex"]))


# Nobody comes the short way past what the long one refuses


@pytest.mark.parametrize(("path", "query"), [("/Users/{id}", ()), ("/Users", (("filter", 'userName eq "Ann"'),))])
@pytest.mark.parametrize(
    ("principal", "method", "status"),
    [
        (None, "GET", 401),
        (Principal("x", frozenset()), "GET", 403),
        (Principal("x", frozenset({"write"})), "GET", 403),
        (Principal("x", frozenset({"READ", "reader"})), "GET", 403),
        (Principal("x", frozenset({"write"})), "HEAD", 403),
        (READER, "DELETE", 403),
        (READER, "PUT", 403),
        (READER, "PATCH", 403),
        (READER, "POST", 403),
        (READER, "get", 405),
        (READER, "PROPFIND", 405),
        (READER, "GET", 200),
    ],
)
def test_what_a_token_may_not_do_it_may_not_do_in_a_form_that_is_known(
    directory: Directory,
    path: str,
    query: tuple[tuple[str, str], ...],
    principal: Principal | None,
    method: str,
    status: int,
) -> None:
    request = Request("GET", path.replace("{id}", directory.ids[0]), BASE, query, {}, b"{}", READER)
    assert directory.short.handle(replace(request)).status == 200
    asked = replace(request, method=method, principal=principal)
    # Where the method does not apply at all, that is said first.
    expected = 405 if (query and method in ("DELETE", "PUT", "PATCH")) or (not query and method == "POST") else status
    assert directory.short.handle(replace(asked)).status == expected
    short, long = directory.both(asked)
    assert short == long


@pytest.mark.parametrize("query", [(), (("filter", 'userName eq "Ann"'),)])
def test_a_client_that_accepts_no_json_is_refused_and_one_that_accepts_only_plain_json_gets_it(
    directory: Directory, query: tuple[tuple[str, str], ...]
) -> None:
    path = "/Users" if query else f"/Users/{directory.ids[0]}"
    answers = {}
    for accept in ("", "application/scim+json", "application/json", "text/html"):
        request = Request("GET", path, BASE, query, {"accept": accept} if accept else {}, b"", READER)
        short, long = directory.both(request)
        assert short == long
        answers[accept] = short.status, short.headers["Content-Type"]
    assert answers == {
        "": (200, "application/scim+json"),
        "application/scim+json": (200, "application/scim+json"),
        "application/json": (200, "application/json"),
        "text/html": (406, "application/scim+json"),
    }


@pytest.mark.parametrize("limit", [10, 64, 250, 300, 4096])
def test_a_filter_that_is_longer_than_the_operator_allows_is_refused_in_a_known_form(core: Core, limit: int) -> None:
    limited = Core(core.backend, ProviderSettings(filter_limits=FilterLimits(max_length=limit)))
    long = without_look_ups(ServiceProvider(limited.backend, limited.settings))
    head = len('userName eq ""')
    for length in (0, 9, 50, 51, 236, 237, 256, 257, 286, 287, 4082, 4083):
        query = (("filter", f'userName eq "{"x" * length}"'),)
        request = Request("GET", "/Users", BASE, query, {}, b"", READER)
        for _ in range(2):
            answer = limited.provider.handle(replace(request))
            assert answer.status == (200 if head + length <= limit else 400)
        assert answer == long.handle(replace(request))


def test_each_base_url_has_locations_of_its_own(directory: Directory) -> None:
    for base in ("https://one.example/scim/v2", "https://two.example/x"):
        for path, query in ((f"/Users/{directory.ids[0]}", ()), ("/Users", (("filter", 'userName eq "Ann"'),))):
            short, long = directory.both(Request("GET", path, base, query, {}, b"", READER))
            assert short == long
            assert f'"location":"{base}/Users/{directory.ids[0]}"'.encode() in short.body


def test_a_version_that_the_client_has_is_not_sent_again(directory: Directory) -> None:
    def asked(**headers: str) -> Response:
        about = {name.replace("_", "-"): value for name, value in headers.items()}
        short, long = directory.both(Request("GET", f"/Users/{directory.ids[0]}", BASE, (), about, b"", READER))
        assert short == long
        return short

    tag = directory.tags[0]
    assert (asked(if_none_match=tag).status, asked(if_none_match=tag).body) == (304, b"")
    assert asked(if_none_match="*").status == 304
    assert asked(if_none_match='W/"other"').status == 200
    assert asked(if_match=tag).status == 200
    assert (asked(if_match='W/"other"').status, asked(if_match='W/"other"').route) == (412, "GET /Users/{id}")


def test_the_profile_of_who_asks_decides_how_a_filter_is_read(directory: Directory) -> None:
    query = (("filter", 'active eq "false"'),)
    statuses = {}
    for profile in ("strict", "lenient", "strict", None, "unheard of"):
        principal = replace(READER, profile=profile)
        short, long = directory.both(Request("GET", "/Users", BASE, query, {}, b"", principal))
        assert short == long
        statuses[profile] = short.status, short.scim_type
    assert statuses["strict"] == (400, "invalidFilter")
    assert statuses["lenient"] == statuses[None] == statuses["unheard of"] == (200, None)


@pytest.mark.parametrize("attribute", ["secret", "SECRET", f"{GADGET_URN}:secret", "sealed", "box.pin", "parts.key"])
def test_a_value_that_is_never_shown_cannot_be_probed(directory: Directory, attribute: str) -> None:
    for guess in ("hush", "wrong", "1234", "k-1"):
        query = (("filter", f'{attribute} eq "{guess}"'),)
        short, long = directory.both(Request("GET", "/Gadgets", BASE, query, {}, b"", READER))
        assert short == long
        assert (short.status, short.scim_type) == (400, "invalidFilter")
        assert guess.encode() not in short.body


def test_a_text_is_compared_in_the_letter_case_that_its_attribute_has(directory: Directory) -> None:
    def found(attribute: str, text: str) -> int:
        query = (("filter", f'{attribute} eq "{text}"'),)
        short, long = directory.both(Request("GET", "/Gadgets", BASE, query, {}, b"", READER))
        assert short == long
        return int(json.loads(short.body)["totalResults"])

    assert [found("label", "drill"), found("label", "DRILL"), found("code", "Xy"), found("code", "xy")] == [1, 1, 1, 0]


def test_the_text_that_stands_for_all_others_is_a_text_like_any_other(directory: Directory) -> None:
    for text, total in ((SOME_TEXT, 1), (SOME_TEXT.upper(), 1), (f"{SOME_TEXT}s", 0)):
        query = (("filter", f'userName eq "{text}"'),)
        short, long = directory.both(Request("GET", "/Users", BASE, query, {}, b"", READER))
        assert short == long
        assert json.loads(short.body)["totalResults"] == total
    short, long = directory.both(Request("GET", f"/Users/{SOME_TEXT}", BASE, (), {}, b"", READER))
    assert short == long
    assert (short.status, short.route) == (404, "GET /Users/{id}")


def test_what_is_logged_of_a_look_up_has_neither_id_nor_text(directory: Directory) -> None:
    id = directory.ids[0]
    asked: list[tuple[str, tuple[tuple[str, str], ...]]]
    asked = [(f"/Users/{id}", ()), ("/Users", (("filter", 'userName eq "Ann"'),)), ("/Users/nobody", ())]
    routes = [directory.both(Request("GET", path, BASE, query, {}, b"", READER))[0].route for path, query in asked]
    assert routes == ["GET /Users/{id}", "GET /Users", "GET /Users/{id}"]


# What changes is seen, what fails is answered


def test_what_was_changed_is_seen_by_the_next_look_up(core: Core) -> None:
    ann, group = core.user("ann"), core.group("team")
    by_name = {"filter": 'userName eq "ann"'}
    assert core.get(ann) == core.json("GET", "/Users", **by_name)["Resources"][0]
    core.patch(group, {"op": "add", "path": "members", "value": [{"value": ann["id"]}]})
    for found in (core.get(ann), core.json("GET", "/Users", **by_name)["Resources"][0]):
        assert [each["display"] for each in found["groups"]] == ["team"]
    core.patch(ann, {"op": "replace", "path": "userName", "value": "anna"})
    assert core.get(ann)["userName"] == "anna"
    assert core.json("GET", "/Users", **by_name)["totalResults"] == 0
    core.json("DELETE", f"/Users/{ann['id']}", expect=204)
    assert core.refused("GET", f"/Users/{ann['id']}") == (404, None)


def test_what_changes_while_it_is_looked_up_is_read_again_by_itself(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = core.user("ann")

    class Stale:
        def __enter__(self) -> None:
            raise StaleResource(ann["id"])

        def __exit__(self, *_: object) -> None:
            raise AssertionError("it was never entered")

    monkeypatch.setattr(core.backend, "look_up", Stale)
    read = spied_on(core.provider, monkeypatch)
    assert core.get(ann)["userName"] == "ann"
    assert core.json("GET", "/Users", filter='userName eq "ann"')["totalResults"] == 1
    assert len(read) == 2


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("The database is down."), 503), (RuntimeError("SELECT secret"), 500)]
)
def test_what_goes_wrong_in_a_look_up_is_a_scim_error_without_internals(
    core: Core, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    ann = core.user("ann")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(core.backend, "look_up", fail)
    for path, query in ((f"/Users/{ann['id']}", {}), ("/Users", {"filter": 'userName eq "ann"'})):
        response = core.send("GET", path, **query)
        assert (response.status, json.loads(response.body)["status"]) == (status, str(status))
        assert b"SELECT" not in response.body


def test_a_backend_sees_who_looks_something_up(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, actors = core.user("ann"), []
    look_up = core.backend.look_up
    monkeypatch.setattr(core.backend, "look_up", lambda: actors.append(current()) or look_up())
    core.json("GET", f"/Users/{ann['id']}", headers={"x-request-id": "r1", "user-agent": "Okta"})
    core.json("GET", "/Users", headers={"x-request-id": "r2"}, filter='userName eq "ann"')
    assert [(actor.name, actor.request_id, actor.agent) for actor in actors] == [
        ("test", "r1", "Okta"),
        ("test", "r2", None),
    ]
    assert current() == GATEWAY


def test_a_backend_without_texts_is_read_by_itself_in_one_operation(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, team = core.user("ann"), core.group("team")
    plain = Core(WithoutTexts(core.backend))
    opened: list[str] = []
    for name in ("operation", "look_up"):
        begin = getattr(plain.backend, name)
        monkeypatch.setattr(
            plain.backend, name, lambda *, begin=begin, name=name, **more: opened.append(name) or begin(**more)
        )
    for each in (ann, team):
        assert plain.get(each) == core.get(each)
        assert opened == ["operation"]
        opened.clear()
    query = {"filter": 'userName eq "ann"'}
    assert plain.json("GET", "/Users", **query) == core.json("GET", "/Users", **query)
    assert opened == ["operation"]


def test_many_threads_that_ask_in_many_forms_get_each_what_it_asked_for(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_name = dict(zip(ODD_NAMES, directory.ids, strict=False))
    forms: list[tuple[tuple[str, str], ...]] = [(), (("excludedAttributes", "title"),), (("excludedAttributes", "id"),)]

    def ask(number: int) -> tuple[str, str | None]:
        """A request, and the name that is found; one of three forms by name, or the one by an id."""
        name, form = ODD_NAMES[number % len(ODD_NAMES)], number % 4
        path, query = f"/Users/{by_name[name]}", ()
        if form < 3:
            path, query = "/Users", (("filter", f'userName eq "{name}"'), *forms[form])
        response = directory.short.handle(Request("GET", path, BASE, query, {}, b"", replace(READER)))
        body = json.loads(response.body)
        found = body["Resources"] if form < 3 else [body]
        assert [("title" in each, "id" in each) for each in found] == [(form != 1, True)]
        return name, found[0]["userName"]

    for number in range(4):
        ask(number)
    read = spied_on(directory.short, monkeypatch)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(len(ODD_NAMES) * 4 * 4)))
    assert {name for name, _ in answers} == set(ODD_NAMES)
    assert [name for name, found in answers if name != found] == []
    assert read == []
