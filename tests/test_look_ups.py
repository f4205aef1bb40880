"""Look-ups (``look_ups.py``): answered the short way, byte for byte as they are when each request is read by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from core_client import BACKENDS, BASE, ENTERPRISE, USER, Core, open_backend
from gadgets import CORE as GADGET_URN
from gadgets import EXTENSION as DEPOT_URN
from gadgets import GADGET
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import examples

import scim_gateway.query
from scim_gateway.backend import Backend
from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import StaleResource, Unavailable
from scim_gateway.exchange import Principal, Request, Response
from scim_gateway.filter_parser import FilterLimits
from scim_gateway.look_ups import SOME_TEXT, LookUps
from scim_gateway.profile import PROFILES
from scim_gateway.provider import ServiceProvider
from scim_gateway.provider_settings import ProviderSettings
from scim_gateway.schema import ResourceTypes

TYPES = ResourceTypes((*standard_resource_types(), GADGET))
READER = Principal("reader", frozenset({"read"}))
ODD_NAMES = ["Ann", "o'brien", "a b", "a+b", "é", "Straße", "😀", "50%", "a\u2028b", SOME_TEXT, "true", "null", "1"]


def put_in_words(provider: ServiceProvider) -> ServiceProvider:
    """The same service provider, which reads every request by itself."""
    provider._look_ups = LookUps(lambda form: None)
    return provider


@dataclass
class Directory:
    """Some people, groups in groups and gadgets; two service providers over them, one of which knows no look-ups."""

    core: Core
    ids: list[str]
    tags: list[str]
    texts: list[str]
    through_all: ServiceProvider

    def both(self, request: Request) -> tuple[Response, Response]:
        """The answers of the two; the first has known the form before."""
        for _ in range(2):
            short = self.core.provider.handle(replace(request))
        return short, self.through_all.handle(replace(request))

    def short_way(self, patch: pytest.MonkeyPatch) -> list[Request]:
        """Which requests are read by themselves from now on."""
        read: list[Request] = []
        admitted = self.core.provider._admitted

        def admit(request: Request) -> Any:
            read.append(request)
            return admitted(request)

        patch.setattr(self.core.provider, "_admitted", admit)
        return read


def fill(backend: Backend) -> Directory:
    core = Core(backend, principal=Principal("writer"))
    users = [core.user(name) for name in ODD_NAMES]
    users.append(
        core.user(
            "grace",
            externalId="00u1",
            password="never-tell-1",
            active=False,
            name={"familyName": "Hopper", "givenName": "Grace"},
            emails=[{"value": "grace@example.com", "type": "work", "primary": True}, {"value": "g@example.org"}],
            roles=[{"value": "admin"}],
            schemas=[USER, ENTERPRISE],
            **{ENTERPRISE: {"department": "Navy", "manager": {"value": users[0]["id"]}}},
        )
    )
    inner = core.group("inner", *users[:3], users[-1], externalId="g1")
    outer = core.group("outer", inner)
    groups = [inner, outer, core.group("outermost", outer, users[1]), core.group("empty")]
    some: dict[str, Any] = {
        "schemas": [GADGET_URN, DEPOT_URN],
        "label": "drill",
        "code": "Xy",
        "note": "a",
        "flag": True,
    }
    some |= {"seen": "2024-01-01T00:00:00Z", "link": "https://example.com/a", "blob": "AAEC", "secret": "hush"}
    some |= {"box": {"maker": "ann", "pin": "1234"}, "parts": [{"value": "bolt", "key": "k"}], "tags": ["a", "b"]}
    some[DEPOT_URN] = {"shelf": "s1", "keeper": {"value": users[0]["id"], "displayName": "Ann"}}
    gadgets = [
        core.json("POST", "/Gadgets", body, expect=201) for body in (some, {"schemas": [GADGET_URN], "label": "a"})
    ]
    every = [core.get(each) for each in (*users, *groups, *gadgets)]
    ids, tags = [each["id"] for each in every], [each["meta"]["version"] for each in every]
    texts = [
        *(each["meta"]["created"] for each in every[:2]),
        *(each["meta"]["location"] for each in every[:2]),
        *tags[:2],
    ]
    return Directory(core, ids, tags, texts, put_in_words(ServiceProvider(backend)))


@pytest.fixture(scope="module", params=BACKENDS)
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    backend = open_backend(request.param, tmp_path_factory.mktemp("look_ups"), TYPES)
    yield fill(backend)
    if request.param == "sql":
        backend.close()  # type: ignore[attr-defined]


# Requests around the forms that are known


def _paths() -> list[str]:
    """What a filter can compare, and what it cannot."""
    found = ["id", "schemas", "externalId", "meta.version", "meta.location", "meta.created", "meta.resourceType"]
    for kind in TYPES:
        for urn, attribute in kind.every_attribute():
            name = f"{urn}:{attribute.name}" if urn else attribute.name
            found += [name, *(f"{name}.{sub.name}" for sub in attribute.sub_attributes)]
        found += [f"{kind.schema.id}:{attribute.name}" for attribute in kind.schema.attributes[:4]]
    found += ["meta", "nothing", "userName.nothing", "urn:no:such:thing", DEPOT_URN, "", "not", "true", "x y"]
    return list(dict.fromkeys(found))


USUAL = ["userName", "displayName", "externalId", "label", "emails", "id", "groups.value", "members.value", "password"]
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


def mostly(usual: Any, others: Sequence[Any]) -> st.SearchStrategy[Any]:
    """As a rule the usual, now and then one of the others."""
    return st.sampled_from([*[usual] * len(others), *others])


places = st.integers(0, 100)
"""Stands for something that is stored: which it is, is told when the directory is known."""
cases = st.sampled_from(CASES)


@st.composite
def filters(draw: st.DrawFn) -> tuple[str, str, str | int]:
    """A shape, what stands before the text, and the text, or the place of a stored one."""
    blank = mostly(" ", ["  ", "", "\t", "\u00a0"])
    name = draw(cases)(draw(st.sampled_from(USUAL) | st.sampled_from(_paths())))
    text = draw(st.sampled_from(ODD_NAMES) | st.sampled_from(TEXTS) | places | st.text(max_size=4))
    return draw(mostly('{0}"{1}"', SHAPES)), f"{name}{draw(blank)}{draw(mostly('eq', OPERATORS))}{draw(blank)}", text


@st.composite
def parameters(draw: st.DrawFn) -> tuple[str, str]:
    """A query parameter beside the filter."""
    name = draw(
        st.sampled_from(["attributes", "excludedAttributes", "startIndex", "count", "cursor", "sortBy", "x", ""])
    )
    values = LISTS if "ttributes" in name else NUMBERS if name in ("startIndex", "count") else ["", "x", "userName"]
    return draw(cases)(name), draw(st.sampled_from(values))


@st.composite
def headers(draw: st.DrawFn) -> dict[str, str | int]:
    """Headers that matter to who reads; entity tags by their place."""
    condition = st.sampled_from(["*", 'W/"1"', '"1"', "1", '"nothing"', "", ","]) | places
    every = {"accept": st.sampled_from(ACCEPTS), "if-none-match": condition, "if-match": condition}
    named = draw(st.sampled_from([(), (), ("accept",), ("if-none-match",), ("if-match",), tuple(every)]))
    return {name: draw(every[name]) for name in named}


principals = mostly(READER, [None, None]) | st.builds(
    Principal, st.just("somebody"), st.sampled_from(SCOPES), st.sampled_from([None, *PROFILES, "unheard of"])
)


@st.composite
def questions(draw: st.DrawFn) -> Callable[[Directory], Request]:
    """A request that is a look-up, or nearly one."""
    method = draw(mostly("GET", ["HEAD", "OPTIONS", "PROPFIND", "POST", "get"]))
    endpoint = draw(st.sampled_from(["/Users", "/Users", "/Groups", "/Gadgets"]) | st.sampled_from(ENDPOINTS))
    id = draw(st.none() | places | st.sampled_from(IDS))
    query: list[tuple[str, Any]] = draw(st.lists(parameters(), max_size=3) if draw(st.booleans()) else st.just([]))
    for _ in range(draw(st.sampled_from([1, 1, 1, 1, 1, 0, 2] if id is None else [0, 0, 0, 1]))):
        name = draw(mostly("filter", ["Filter", "FILTER", "filter "]))
        query.insert(draw(st.integers(0, len(query))), (name, draw(filters())))
    named, principal = draw(headers()), draw(principals)

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
    looked_up = directory.core.provider._looked_up

    def look_up(*asked: Any) -> Any:
        found = looked_up(*asked)
        short.append(asked[2])
        return found

    @settings(max_examples=examples(1000))
    @given(ask=questions())
    def compare(ask: Callable[[Directory], Request]) -> None:
        request = ask(directory)
        short_way, long_way = directory.both(request)
        assert short_way == long_way

    monkeypatch.setattr(directory.core.provider, "_looked_up", look_up)
    compare()
    assert len(short) > examples(1000) / 5, "hardly anything that was asked had to do with look-ups"
