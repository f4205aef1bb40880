"""Resources as the core hands them to a backend, among them values that stores like to get wrong."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from scim_gateway.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Resource
from scim_gateway.testing.types import DEPOT_URN, DEVICE_URN

#: Two names, and whether they are the same name. Stores disagree about nearly every pair, so none is asked.
NAME_PAIRS: tuple[tuple[str, str, bool], ...] = (
    ("bob", "Bob", True),
    ("bob", "bob ", True),
    ("bob", "\tbob", True),
    ("bob", "bo b", False),
    ("bob", "b\N{LATIN SMALL LETTER O WITH ACUTE}b", False),
    ("bob", "b\N{CYRILLIC SMALL LETTER O}b", False),
    ("bob", "bo\N{ZERO WIDTH SPACE}b", True),
    ("bob", "\N{FULLWIDTH LATIN SMALL LETTER B}ob", True),
    ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}", True),
    ("stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE", True),
    ("kim", "\N{KELVIN SIGN}im", True),
    ("file", "\N{LATIN SMALL LIGATURE FI}le", True),
    ("istanbul", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}stanbul", False),
    ("isi", "\N{LATIN SMALL LETTER DOTLESS I}s\N{LATIN SMALL LETTER DOTLESS I}", False),
    ("\N{GREEK CAPITAL LETTER SIGMA}as", "\N{GREEK SMALL LETTER FINAL SIGMA}as", True),
    ("a%b", "a_b", False),
)

_clock = itertools.count()
_START = datetime(2026, 1, 1, tzinfo=UTC)


def resource(kind: str, schemas: Sequence[str] = (), /, **attributes: Any) -> Resource:
    """A new resource as the core hands it to a backend."""
    created = (_START + timedelta(milliseconds=next(_clock))).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return {
        "schemas": list(schemas),
        "id": str(uuid.uuid4()),
        **attributes,
        "meta": {"resourceType": kind, "created": created, "lastModified": created, "version": "1"},
    }


def user(name: str, /, **attributes: Any) -> Resource:
    """A new User."""
    return resource("User", [CORE_USER], userName=name, **attributes)


def group(name: str, *members: Resource) -> Resource:
    """A new Group with members."""
    elements = [{"value": member["id"], "type": member["meta"]["resourceType"]} for member in members]
    return resource("Group", [CORE_GROUP], displayName=name, **({"members": elements} if elements else {}))


def device(serial: str, /, **attributes: Any) -> Resource:
    """A new Device; keyword arguments ``shelf``, ``cost`` and ``badge`` belong to its extension."""
    depot = {name: attributes.pop(name) for name in ("shelf", "cost", "badge") if name in attributes}
    schemas = [DEVICE_URN, DEPOT_URN] if depot else [DEVICE_URN]
    return resource("Device", schemas, serial=serial, **attributes, **({DEPOT_URN: depot} if depot else {}))


def changed(before: Resource, *without: str, **attributes: Any) -> Resource:
    """A resource as the core changes it: the version one higher, ``before`` untouched."""
    after = {name: value for name, value in copy.deepcopy(before).items() if name not in without} | attributes
    after["meta"] = {**before["meta"], "version": str(int(before["meta"]["version"]) + 1)}
    return after


def nearly_its_id(one: Resource) -> list[str]:
    """Texts that are not the id of a resource, but that a store may take for it, by a collation, a path, a pattern."""
    id, kind = one["id"], one["meta"]["resourceType"]
    padded = [f"{id} ", f" {id}", f"{id}\t", f"{id}\n", f"{id}\0", f"\0{id}", f"{id}\N{ZERO WIDTH SPACE}"]
    paths = [f"{id}/", f"./{id}", f"../{kind}/{id}", f"{kind}/{id}", f"/{id}"]
    cases = [other for other in (id.upper(), id.title()) if other != id]
    return [*cases, id[:-1], f"{id[:-1]}%", f"{id[:-1]}_", f"{id}'", *padded, *paths]


def people() -> list[Resource]:
    """Users whose values are traps: letter case, accents, blanks, wildcards, quotes, empty and missing values."""

    def mail(*addresses: tuple[str, str], **primary: int) -> list[dict[str, Any]]:
        elements: list[dict[str, Any]] = [{"value": value, "type": kind} for value, kind in addresses]
        if "primary" in primary:
            elements[primary["primary"]]["primary"] = True
        return elements

    sharp = "Stra\N{LATIN SMALL LETTER SHARP S}e"
    return [
        user("ada", externalId="00u1", active=True, displayName="Ada", name={"givenName": "Ada", "familyName": "King"}),
        user(
            "Bob@Example.com",
            externalId="00U1",
            active=False,
            emails=mail(("bob@example.com", "work"), ("Bob@home.example", "home"), primary=0),
        ),
        user("b%b", displayName="100% _sure_", title="", emails=mail(("a_b@example.com", "work"))),
        user("b_b", displayName="100", title="x", emails=mail(("axb@example.com", "home"), primary=0)),
        user("o'hara", displayName='O\'Hara \\ "Q"', name={"familyName": "O'Hara"}, active=True),
        user("caf\N{LATIN SMALL LETTER E WITH ACUTE}", displayName="cafe", nickName="CAFE\N{COMBINING ACUTE ACCENT}"),
        user(sharp, displayName="STRASSE", name={"familyName": sharp, "givenName": ""}),
        user("\N{GRINNING FACE}", displayName=" padded ", externalId="", active=False),
        user("zoe", emails=mail(("zoe@example.com", "work"), ("zoe@example.org", "work")), displayName="adA"),
        user("Zoe.2", displayName="x" * 3000 + "end", nickName="x" * 1000, locale="en-GB"),
        user("zz", displayName="x" * 3000 + "other", nickName="x" * 999, active=True),
        user(
            "last",
            active=True,
            **{ENTERPRISE_USER: {"department": "R&D", "employeeNumber": "007", "manager": {"value": "m1"}}},
        ),
        user("last2", active=False, **{ENTERPRISE_USER: {"department": "r&d", "costCenter": ""}}),
    ]


def devices() -> list[Resource]:
    """Devices with a value of every type, some equal in one sense and different in another."""

    def port(value: str, type: str, speed: int | None = None, **rest: Any) -> dict[str, Any]:
        return {"value": value, "type": type, **({} if speed is None else {"speed": speed}), **rest}

    return [
        device("S1", label="Alpha", slots=2, weight=0.5, bought="2024-01-01T00:00:00Z", lent=True, tags=["a", "B"]),
        device("s1", label="beta", slots=-3, weight=-0.0, bought="2024-01-01T01:00:00+01:00", lent=False, tags=["b"]),
        device("S2", slots=9007199254740993, weight=1e18, bought="2024-01-01T00:00:00.0001Z", code="x", note="X"),
        device("S3", slots=9007199254740992, weight=10**18 + 1, code="X", note="", photo="AAEC", tags=[]),
        device("S4", weight=0.1, bought="2023-12-31T19:30:00-05:00", ports=[port("eth0", "lan", 100, primary=True)]),
        device("S5", ports=[port("eth0", "wan", 1000), port("eth1", "lan", 100)], manual="https://example.com/A"),
        device("S6", ports=[port("eth0", "lan"), port("eth1", "wan", 100, primary=True)], shelf="A1", cost=12.5),
        device("S7", maker={"name": "Acme", "country": "DE"}, shelf="a1", badge="b-1", slots=0, weight=0),
        device("S8", maker={"name": "ACME", "country": "de"}, shelf="", badge="B-2", lent=False, photo="AA=="),
    ]
