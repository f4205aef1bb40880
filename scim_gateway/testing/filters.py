"""Filters and orders that every backend has to answer as the core does."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from scim_gateway.abilities import TextHandler, Texts
from scim_gateway.backend import Backend, Page, Query
from scim_gateway.filter import Filter
from scim_gateway.filter_meaning import resolve
from scim_gateway.filter_parser import parse
from scim_gateway.ordering import Sort
from scim_gateway.profile import LENIENT
from scim_gateway.schema import ENTERPRISE_USER, AttributePath, Resource, ResourceType
from scim_gateway.testing.types import DEPOT_URN


def resolved(kind: ResourceType, text: str) -> Filter:
    """A filter as the core hands it over."""
    return resolve(parse(text), kind, LENIENT)


def sort(kind: ResourceType, path: AttributePath, descending: bool = False) -> Sort:
    """An order as the core hands it over."""
    target = kind.resolve(path)
    assert target is not None
    return Sort(target, descending)


USER_FILTERS = (
    'userName eq "ada"',
    'userName eq "ADA "',
    'userName ne "ada"',
    'userName sw "b"',
    'userName co "%"',
    'userName co "_"',
    'userName ew "B"',
    'userName sw "b%"',
    'userName gt "caf"',
    'userName le "o\'hara"',
    'userName co "\\u0027"',
    'userName eq "STRASSE"',
    'userName eq "nobody"',
    'userName sw ""',
    "userName pr",
    "title pr",
    'title eq ""',
    "title eq null",
    "displayName pr and not (title pr)",
    'displayName eq "ada"',
    'displayName eq "100% _SURE_"',
    'displayName co "\\\\"',
    'displayName ew "d"',
    'displayName ew "end"',
    f'displayName eq "{"x" * 3000}end"',
    f'displayName sw "{"X" * 3000}o"',
    f'displayName gt "{"x" * 2000}"',
    f'displayName lt "{"x" * 2000}"',
    'displayName co "xother"',
    'nickName eq "caf\N{LATIN SMALL LETTER E WITH ACUTE}"',
    f'nickName ge "{"x" * 1000}"',
    f'nickName lt "{"x" * 1000}"',
    'externalId eq "00u1"',
    'externalId sw "00"',
    "externalId pr",
    'externalId eq ""',
    "active eq true",
    "active ne true",
    "active eq false or not (active pr)",
    'name.familyName co "hara"',
    "name pr",
    "name.givenName pr",
    "emails pr",
    'emails eq "BOB@example.com"',
    'emails.value ew "example.com"',
    'emails.value ne "bob@example.com"',
    'emails.type eq "work"',
    'emails[type eq "work" and value co "example.org"]',
    'emails[type eq "home" and value ew "example.com"]',
    'emails[type eq "work" and not (primary eq true)]',
    'emails[primary eq true or value sw "zoe"]',
    'not (emails[type eq "work"])',
    "emails[primary eq false]",
    "emails.primary eq false",
    f'{ENTERPRISE_USER}:department eq "R&D"',
    f"{ENTERPRISE_USER}:department pr",
    f"{ENTERPRISE_USER} pr",
    f'{ENTERPRISE_USER}:manager.value eq "m1"',
    f'{ENTERPRISE_USER}:manager eq "M1"',
    f'schemas eq "{ENTERPRISE_USER}"',
    'meta.created ge "2026-01-01T00:00:00.000Z"',
    'meta.created gt "2027-01-01T00:00:00Z"',
    'meta.lastModified lt "2026-01-01T00:00:01+00:00"',
    'meta.resourceType eq "User"',
    'id eq "no-such-id"',
    "id pr",
    'userName sw "z" and (displayName sw "x" or emails pr) and not (active eq true)',
    'not (userName sw "z") and not (not (active eq true))',
)

DEVICE_FILTERS = (
    'serial eq "S1"',
    'serial eq "s1"',
    'serial sw "S"',
    'label eq "ALPHA"',
    'label ne "alpha"',
    "slots eq 2",
    "slots gt -3",
    "slots ge -3",
    "slots lt 0",
    "slots eq 9007199254740993",
    "slots gt 9007199254740992",
    "slots le 9007199254740992",
    "slots gt 1.5",
    "weight eq 0",
    "weight gt 0.1",
    "weight ge 0.1",
    "weight eq 1000000000000000000",
    "weight gt 1000000000000000000",
    "weight lt 1000000000000000001",
    "weight ne 0.5",
    'bought eq "2024-01-01T00:00:00Z"',
    'bought gt "2024-01-01T00:00:00Z"',
    'bought le "2024-01-01T00:30:00.000Z"',
    "bought pr",
    "lent eq true",
    "lent eq false",
    "not (lent pr)",
    'note eq "x"',
    "note pr",
    'code eq "x"',
    'photo eq "AAEC"',
    'photo sw "AA"',
    "photo pr",
    'manual co "/A"',
    'manual co "/a"',
    'tags eq "b"',
    'tags ne "b"',
    "tags pr",
    'tags[value sw "A"]',
    'ports[type eq "lan" and speed ge 100]',
    'ports[value eq "eth0" and (type eq "wan" or speed lt 1000)]',
    "ports[speed pr and not (primary eq true)]",
    'ports.value eq "eth1" and ports.type eq "lan"',
    'maker.name eq "acme"',
    'maker.country eq "DE"',
    'maker[name eq "acme" and country eq "de"]',
    f'{DEPOT_URN}:shelf eq "A1"',
    f"{DEPOT_URN}:cost gt 12",
    f'{DEPOT_URN}:badge eq "b-2"',
    f"{DEPOT_URN} pr",
)

SORTS: tuple[tuple[str, AttributePath], ...] = (
    ("User", AttributePath(None, "userName")),
    ("User", AttributePath(None, "displayName")),
    ("User", AttributePath(None, "externalId")),
    ("User", AttributePath(None, "active")),
    ("User", AttributePath(None, "name", "familyName")),
    ("User", AttributePath(None, "emails", "value")),
    ("User", AttributePath(None, "meta", "created")),
    ("User", AttributePath(None, "id")),
    ("User", AttributePath(ENTERPRISE_USER, "department")),
    ("Device", AttributePath(None, "slots")),
    ("Device", AttributePath(None, "weight")),
    ("Device", AttributePath(None, "bought")),
    ("Device", AttributePath(None, "lent")),
    ("Device", AttributePath(None, "tags")),
    ("Device", AttributePath(None, "ports", "speed")),
)


def assert_page(backend: Backend, query: Query, everything: Sequence[Resource]) -> Page:
    """That a backend gives the page of ``Query.run`` over all resources, which it returns; as texts, too, if it can."""
    expected = query.run(everything)
    handler = backend.handlers[query.resource_type.name]
    with backend.operation(write=False):
        page = handler.query(query)
        if isinstance(handler, TextHandler) and query.resource_type.members is None:
            found = handler.texts(query)
            as_texts = [orjson.loads(text) for text in found.json] if isinstance(found, Texts) else found.resources
            assert (list(as_texts), found.total_results) == (list(page.resources), page.total_results)
    assert [each["id"] for each in page.resources] == [wanted["id"] for wanted in expected.resources]
    assert list(page.resources) == list(expected.resources)
    assert page.total_results == expected.total_results
    return page
